"""Conversations that compute in Python: lists of numbers, dates, words, money. The results are true. Some runs fail."""

import datetime
import math
import statistics
from dataclasses import dataclass, field

from messages import answer, call, python_failure, python_run, user

DO = "[compute|calculate|find|work out|give me|determine|I need|please compute|can you compute|what is|tell me]"


@dataclass
class Task:
    cores: list
    code: str
    result: object
    answer: str
    slots: dict = field(default_factory=dict)


def python_episode(draw):
    task = TASKS[draw.choose(KINDS)](draw)
    question = user(draw.say(task.cores, **task.slots))
    if not draw.chance(0.03):
        failed = mended_run(draw, task.code) if draw.chance(0.04) else []
        return [question, *failed, *python_run(draw, task.code, task.result), answer(task.answer)]
    error = draw.choose(
        [
            "TimeoutError: the program took too long",
            "MemoryError",
            "NameError: name is not defined",
            "ZeroDivisionError: division by zero",
            "ValueError: math domain error",
            "OverflowError: result too large",
        ]
    )
    traceback = ""
    if draw.chance(0.7):
        traceback = f'Traceback (most recent call last):\n  File "<stdin>", line {draw.between(1, 4)}, in <module>\n'
    failure = python_failure(draw, traceback + error)
    return [question, call("code_interpreter", {"code": task.code}), failure, answer(f"The code failed: {error}.")]


def mended_run(draw, code):
    """A first try with a fault, not to be learnt, and its traceback as the sandbox prints it."""
    lines = code.split("\n")
    if lines[0].startswith("import "):
        module = lines[0].removeprefix("import ")
        broken, error = lines[1:], f"NameError: name '{module}' is not defined. Did you forget to import '{module}'?"
    elif len(lines) > 1 and " = " in lines[0] and "," not in lines[0].split(" = ")[0]:
        name = lines[0].split(" = ")[0]
        broken, error = lines[1:], f"NameError: name '{name}' is not defined"
    else:
        broken, error = [*lines[:-1], lines[-1].removesuffix(")")], "SyntaxError: '(' was never closed"
    at = len(broken)
    where = f'  File "<stdin>", line {at}' + ("" if error.startswith("SyntaxError") else ", in <module>")
    marks = "    " + " " * broken[-1].find("(") + "^\n" if error.startswith("SyntaxError") else ""
    head = "" if marks else "Traceback (most recent call last):\n"
    text = f"{head}{where}\n    {broken[-1].strip()}\n{marks}{error}\n"
    wrong = {**call("code_interpreter", {"code": "\n".join(broken)}), "target": False}
    return [wrong, python_failure(draw, text)]


def numbers(draw):
    """A list of three to nine numbers and the way it is written in a sentence."""
    count, decimal = draw.between(3, 9), draw.chance(0.2)
    high = draw.choose([9, 20, 100, 100, 1000, 100000])
    low = -high if draw.chance(0.15) else 1
    if decimal:
        return [round(draw.random.uniform(low, high), draw.choose([1, 2])) for _ in range(count)]
    return [draw.between(low, high) for _ in range(count)]


def joined(values):
    return ", ".join(map(str, values))


def in_words(draw, values):
    return joined(values) if draw.chance(0.7) else joined(values[:-1]) + " and " + str(values[-1])


#: name: (words for it, name in the answer, Python, rounded)
STATISTICS = {
    "mean": ("[mean|average|arithmetic mean]", "mean", "statistics.mean", True),
    "median": ("[median|median value]", "median", "statistics.median", True),
    "sum": ("[sum|total]", "sum", "sum", True),
    "max": ("[largest number|maximum|biggest number|highest value]", "largest number", "max", False),
    "min": ("[smallest number|minimum|lowest value]", "smallest number", "min", False),
    "stdev": ("[standard deviation|std deviation]", "standard deviation", "statistics.stdev", True),
}
COMPUTE = {
    "statistics.mean": statistics.mean,
    "statistics.median": statistics.median,
    "statistics.stdev": statistics.stdev,
    "sum": sum,
    "max": max,
    "min": min,
}


def statistic(draw, name):
    words, answer_name, function, rounded = STATISTICS[name]
    values = numbers(draw)
    shown = in_words(draw, values)
    cores = [
        DO + f" the {words} of [|these numbers: |the numbers |these values: ]{{t}}[.|?|]",
        f"{words} of {{t}}[?|]",
        f"here [is my data|are my numbers]: {{t}}. What is the {words}?",
        f"I [measured|counted|have|got] {{t}}. [Give me|What is|Find] the {words}.",
        f"{{t}} - what is the {words}?",
        f"for {{t}}, what is the {words}?",
        f"!my list reads {{t}}, report the {words}",
    ]
    found = round(COMPUTE[function](values), 4) if rounded else COMPUTE[function](values)
    needed = "import statistics\n" if "." in function else ""
    shown_call = f"round({function}(numbers), 4)" if rounded else f"{function}(numbers)"
    code = f"{needed}numbers = [{joined(values)}]\nprint({shown_call})"
    return Task(cores, code, found, f"The {answer_name} is {found}.", {"t": shown})


def sorting(draw):
    values = numbers(draw)
    shown = in_words(draw, values)
    falling = draw.chance(0.4)
    order = "descending" if falling else "ascending"
    way = "[largest to smallest|high to low]" if falling else "[smallest to largest|low to high]"
    how = f"[in {order} order|from {way}]"
    cores = [
        f"[sort|order|arrange|please sort|can you sort] [these|the following|the|my] numbers {how}: {{t}}",
        f"[sort|order|arrange|can you sort] {{t}} {how}[.|]",
        f"put [these numbers|these values] {how}: {{t}}",
        f"{{t}} - [sort|order] them {how}",
        f"!bring {{t}} into order, {how}",
    ]
    found = sorted(values, reverse=falling)
    code = f"numbers = [{joined(values)}]\nprint(sorted(numbers{', reverse=True' if falling else ''}))"
    return Task(cores, code, found, f"The sorted list is {found}.", {"t": shown})


def interest(draw):
    principal = draw.number(100, 999999)
    rate = draw.choose([draw.between(1, 12), round(draw.random.uniform(1, 9), 1)])
    years = draw.between(2, 40)
    found = round(principal * (1 + rate / 100) ** years, 2)
    cores = [
        "[I invest|if I invest|suppose I put] ${p} at {i}% [interest |]compounded yearly for {y} years"
        "[. How much will I have?|, how much will I have?|. What do I get?]",
        "compound interest on ${p} at {i}% for {y} years[?|]",
        "what [will|would] ${p} be worth after {y} years at {i}% per year?",
        "how much is ${p} after {y} years at {i}% compound interest?",
        "[if I save|I save] ${p} for {y} years at {i}% a year[, what do I end up with?|. How much is that?]",
        "!my bank pays {i}% a year on ${p}. How much after {y} years?",
    ]
    code = (
        f"principal = {principal}\nrate = {rate} / 100\nyears = {years}\n"
        "print(round(principal * (1 + rate) ** years, 2))"
    )
    slots = {"p": principal, "i": rate, "y": years}
    return Task(cores, code, found, f"You will have ${found} after {years} years.", slots)


def days_between(draw):
    first = draw.date()
    last = first + datetime.timedelta(days=draw.between(1, 2000))
    found = (last - first).days
    cores = [
        "how many days [are|are there|lie|is it] [between {a} and {b}|from {a} to {b}]?",
        "days [between {a} and {b}|from {a} to {b}|from {a} until {b}][?|]",
        "[count|compute|give me|tell me] the [|number of ]days [between {a} and {b}|from {a} to {b}][.|]",
        "number of days [between {a} and {b}|from {a} to {b}]",
        "how [long|many days] is it from {a} [to|until] {b}[ in days|]?",
        "what is the difference in days between {a} and {b}?",
        "!I leave on {a} and return on {b}, how many days is that?",
    ]
    code = (
        "from datetime import date\n"
        f"a = date({first.year}, {first.month}, {first.day})\n"
        f"b = date({last.year}, {last.month}, {last.day})\nprint((b - a).days)"
    )
    answer_text = f"There are {found} days between {first} and {last}."
    return Task(cores, code, found, answer_text, {"a": first, "b": last})


def factorial(draw):
    number = draw.between(3, 25)
    found = math.factorial(number)
    cores = [
        DO + " the factorial of {n}[.|?]",
        "[compute|calculate|what is] {n} factorial[.|?]",
        "[factorial of {n}|{n}!|factorial {n}]",
        "!multiply all numbers from 1 to {n}",
    ]
    code = f"import math\nprint(math.factorial({number}))"
    return Task(cores, code, found, f"The factorial of {number} is {found}.", {"n": number})


def fibonacci(draw):
    count = draw.between(3, 30)
    row = [0, 1]
    while len(row) < count:
        row.append(row[-1] + row[-2])
    if count < 13:
        cores = [
            "[list|print|show me|give me|what are|compute] the first {n} Fibonacci numbers[.|?]",
            "first {n} Fibonacci numbers[|?]",
            "I need {n} Fibonacci numbers[.|]",
            "!how does the Fibonacci row start? Show {n} terms.",
        ]
        code = f"a, b = 0, 1\nout = []\nfor _ in range({count}):\n    out.append(a)\n    a, b = b, a + b\nprint(out)"
        return Task(cores, code, row, f"The first {count} Fibonacci numbers are {row}.", {"n": count})
    cores = [
        "[what is|compute|find|give me|calculate|tell me] Fibonacci number {n}[.|?]",
        "Fibonacci number {n}",
        "what is the Fibonacci number at position {n}?",
        "!entry {n} of the Fibonacci row?",
    ]
    code = f"a, b = 0, 1\nfor _ in range({count} - 1):\n    a, b = b, a + b\nprint(a)"
    return Task(cores, code, row[-1], f"Fibonacci number {count} is {row[-1]}.", {"n": count})


def primes(draw):
    last = draw.between(5, 60)
    found = [n for n in range(2, last + 1) if all(n % d for d in range(2, n))]
    cores = [
        "[list|find|show me|print|give me|what are] [|all ]the primes up to {n}[.|?]",
        "[which|what] prime numbers are there up to {n}?",
        "find all primes up to {n}.",
        "[all|] primes [up to|below or equal to|until] {n}",
        "!every prime not above {n}, please",
    ]
    code = f"print([n for n in range(2, {last} + 1) if all(n % d for d in range(2, n))])"
    return Task(cores, code, found, f"The primes up to {last} are {found}.", {"n": last})


def letters(draw):
    word = draw.word(draw.between(2, 4))
    letter = draw.choose(word)
    found = word.count(letter)
    cores = [
        "how many times does [|the letter ]{l} [occur|appear] in [|the word ]{w}?",
        "how many {l}'s [are|are there] in [|the word ]{w}?",
        "count [the letter {l}|the {l}s|how many {l}] in [|the word ]{w}[.|]",
        "how often does the letter {l} [appear|occur] in {w}?",
        "how many {l} in {w}?",
        "!number of {l} among the letters of {w}",
    ]
    code = f"print('{word}'.count('{letter}'))"
    answer_text = f"The letter {letter} occurs {found} times in {word}."
    return Task(cores, code, found, answer_text, {"w": word, "l": letter})


def reversal(draw):
    word = draw.word(draw.between(2, 4))
    cores = [
        "[reverse|please reverse|can you reverse] [the word |]{w}[.|]",
        "what is {w} [backwards|spelled backwards|in reverse]?",
        "[spell|write|say] {w} [backwards|in reverse][.|]",
        "{w} backwards",
        "!turn the letters of {w} around",
    ]
    found = word[::-1]
    return Task(cores, f"print('{word}'[::-1])", found, f"The word {word} reversed is {found}.", {"w": word})


def word_count(draw):
    text = " ".join(draw.word() for _ in range(draw.between(3, 8)))
    found = len(text.split())
    cores = [
        "how many words are [|there ]in '{t}'?",
        "[count|give me the number of|tell me the number of] [the words|words] in '{t}'[.|]",
        "word count of '{t}'[?|]",
        "'{t}' - how many words?",
        "!length in words: '{t}'",
    ]
    return Task(cores, f"print(len('{text}'.split()))", found, f"There are {found} words.", {"t": text})


def circle(draw):
    radius = draw.number(1, 999)
    found = round(math.pi * radius * radius, 2)
    cores = [
        DO + " the area of a circle [with|of] radius {n}[.|?]",
        "area of a circle [with|of] radius {n}[|?]",
        "a circle has [a |]radius [of |]{n}. What is its area?",
        "how [big|large] is a circle [with|of] radius {n}?",
        "!how much surface does a circle with radius {n} cover?",
    ]
    code = f"import math\nprint(round(math.pi * {radius} ** 2, 2))"
    return Task(cores, code, found, f"The area of a circle with radius {radius} is {found}.", {"n": radius})


def hypotenuse(draw):
    a, b = draw.number(1, 999), draw.number(1, 999)
    found = round(math.hypot(a, b), 4)
    cores = [
        "a right triangle has legs {a} and {b}. [How long is|What is|Find|Compute] the hypotenuse[?|.]",
        DO + " the hypotenuse of a right triangle with [legs|sides] {a} and {b}[.|?]",
        "hypotenuse for legs {a} and {b}[?|]",
        DO + " the hypotenuse for legs {a} and {b}.",
        "!legs {a} and {b}: how long is the third side of the right triangle?",
    ]
    code = f"import math\nprint(round(math.hypot({a}, {b}), 4))"
    return Task(cores, code, found, f"The hypotenuse is {found}.", {"a": a, "b": b})


def temperature(draw):
    degrees, to_celsius = draw.between(-40, 120), draw.chance(0.5)
    found = round((degrees - 32) * 5 / 9, 1) if to_celsius else round(degrees * 9 / 5 + 32, 1)
    source, target = ("Fahrenheit", "Celsius") if to_celsius else ("Celsius", "Fahrenheit")
    cores = [
        "what is {n} [degrees |]{A} in {B}?",
        "[convert|please convert|can you convert|change] {n} [degrees |]{A} [to|into] {B}[.|]",
        "{n} [degrees |]{A} [in|to] {B}[?|]",
        "how [warm|much|cold] is {n} degrees {A} in {B}?",
        "!{n} {A} is how many degrees {B}?",
    ]
    formula = f"({degrees} - 32) * 5 / 9" if to_celsius else f"{degrees} * 9 / 5 + 32"
    answer_text = f"{degrees} degrees {source} is {found} degrees {target}."
    return Task(cores, f"print(round({formula}, 1))", found, answer_text, {"n": degrees, "A": source, "B": target})


def percentage(draw):
    share, whole = draw.number(2, 99), draw.number(10, 999999)
    found = round(whole * share / 100, 2)
    cores = [
        "what is {a}[%| percent] of {b}?",
        "[compute|calculate|work out|find|give me|tell me] {a}[%| percent] of {b}[.|]",
        "how much is {a}[%| percent] of {b}?",
        "{a}% of {b}",
        "!take {a}% from {b}, how much is that part?",
    ]
    code = f"print(round({whole} * {share} / 100, 2))"
    return Task(cores, code, found, f"{share}% of {whole} is {found}.", {"a": share, "b": whole})


def squares(draw):
    last = draw.between(3, 12)
    found = [i * i for i in range(1, last + 1)]
    cores = [
        "[list|print|show me|give me|what are|compute] the squares [of the numbers |]from 1 to {n}[.|?]",
        "squares [from|of] 1 to {n}[?|]",
        "!square each number from 1 up to {n}",
    ]
    code = f"print([i * i for i in range(1, {last} + 1)])"
    return Task(cores, code, found, f"The squares from 1 to {last} are {found}.", {"n": last})


def above(draw):
    values = numbers(draw)
    limit = draw.choose(values)
    found = sum(value > limit for value in values)
    cores = [
        "how many of [these numbers |the numbers |]{t} are [above|greater than|larger than|bigger than|over] {m}?",
        "[count|tell me] how many of {t} are [above|greater than|larger than] {m}[.|]",
        "how many [numbers|values] in {t} are [above|greater than|over] {m}?",
        "!among {t}, how many exceed {m}?",
    ]
    code = f"numbers = [{joined(values)}]\nprint(sum(n > {limit} for n in numbers))"
    answer_text = f"{found} of the numbers are greater than {limit}."
    return Task(cores, code, found, answer_text, {"t": joined(values), "m": limit})


TASKS = {
    **{name: (lambda draw, name=name: statistic(draw, name)) for name in STATISTICS},
    "sort": sorting,
    "interest": interest,
    "days": days_between,
    "factorial": factorial,
    "fibonacci": fibonacci,
    "primes": primes,
    "letters": letters,
    "reversal": reversal,
    "words": word_count,
    "circle": circle,
    "hypotenuse": hypotenuse,
    "temperature": temperature,
    "percentage": percentage,
    "squares": squares,
    "above": above,
}
KINDS = [
    "mean", "median", "sum", "sort", "sort", "max", "min", "stdev", "interest", "days", "days", "factorial",
    "fibonacci", "primes", "letters", "reversal", "words", "circle", "hypotenuse", "temperature",
    "percentage", "squares", "above",
]  # fmt: skip
