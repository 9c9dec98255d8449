"""Conversations that compute in Python: lists of numbers, dates, words, money. The results are true. Some runs fail."""

import datetime
import math
import statistics
from dataclasses import dataclass, field

from messages import answer, call, python_failure, python_run, user



@dataclass
class Task:
    phrasings: dict  # what Draw.ask takes
    code: str
    result: object
    answer: str
    slots: dict = field(default_factory=dict)


def python_episode(draw):
    task = TASKS[draw.choose(KINDS)](draw)
    question = user(draw.ask(task.slots, **task.phrasings))
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
    listed = "[|||these numbers: |the numbers |these values: |the list |the following numbers: |my numbers ]{t}"
    phrasings = {
        "nouns": [
            f"the {words} of {listed}",
            f"the {words} [in|for|from] {listed}",
            f"the {words}: {{t}}",
            f"!the {words} once you have looked at {{t}}",
        ],
        "orders": [
            f"[compute|calculate|find|work out|determine|get|print] the {words} of {listed}",
            f"[compute|calculate|find|work out] the {words} [for|from] {listed}",
            f"[take|use|consider|read] {{t}} and [give|tell|show|find|compute|return] [me |]the {words}",
            f"!go through {{t}} and report the {words}",
        ],
        "questions": [
            f"what is the {words} of {listed}",
            f"[for|in|with|given|of] {{t}}, what is the {words}",
            f"what {words} [do|does|have] {listed}[| have]",
            f"which [number |value |]is the {words} of {listed}",
            f"!what would you call the {words} with values such as {{t}}",
        ],
        "clauses": [f"what the {words} of {listed} is", f"what {words} {{t}} [have|has]"],
        "short": [
            f"{words} of {{t}}",
            f"{words}: {{t}}",
            f"{words} {{t}}",
            f"{{t}}: {words}[|?]",
            f"{{t}}, {words}[|?| please]",
            f"[here is my data|here are my numbers|my data|data|numbers|my values|these are my numbers]: {{t}}. [What is|Find|Give me] the {words}[?|.]",
            f"I [measured|counted|have|got|wrote down|saw|noted|collected] {{t}}. [Give me|What is|Find|Compute] the {words}.",
            f"{{t}} - what is the {words}?",
            f"[my list|the list|the data] [is|has] {{t}}, [give me|what is|find] the {words}",
            f"!my list reads {{t}}, report the {words}",
            f"!after a week I ended up with {{t}} and need the {words}",
        ],
    }
    found = round(COMPUTE[function](values), 4) if rounded else COMPUTE[function](values)
    needed = "import statistics\n" if "." in function else ""
    shown_call = f"round({function}(numbers), 4)" if rounded else f"{function}(numbers)"
    code = f"{needed}numbers = [{joined(values)}]\nprint({shown_call})"
    return Task(phrasings, code, found, f"The {answer_name} is {found}.", {"t": shown})


def sorting(draw):
    values = numbers(draw)
    shown = in_words(draw, values)
    falling = draw.chance(0.4)
    order = "descending" if falling else "ascending"
    way = "[largest to smallest|high to low]" if falling else "[smallest to largest|low to high]"
    how = f"[in {order} order|from {way}]"
    listed = "[these numbers: |the following numbers: |the numbers |my numbers: |the list |the values ||]{t}"
    phrasings = {
        "orders": [
            f"[sort|order|arrange|rank|put] {listed} {how}",
            f"[sort|order|arrange] {how}: {{t}}",
            f"put {listed} {how}",
            f"[sort|order|arrange] [these|the|my] [numbers|values] {how}: {{t}}",
            f"[take|use] {{t}} and [sort|order|arrange] [them|the numbers] {how}",
            f"[give|show|list|print] [me |]{{t}} [sorted|ordered|arranged] {how}",
            f"!bring {{t}} into order, {how}",
            f"!line up {{t}} {how}",
        ],
        "questions": [
            f"what is {listed} [sorted|ordered|arranged] {how}",
            f"how [do|does] {{t}} look [sorted|ordered|when sorted] {how}",
            f"!how would {{t}} stand in a row {how}",
        ],
        "short": [
            f"{{t}} - [sort|order] them {how}",
            f"{{t}}: [sort|order|arrange] {how}",
            f"{{t}}, {how}",
            f"I [have|got|measured] {{t}}. [Sort|Order|Arrange] them {how}.",
            f"!{{t}}, but {how}",
        ],
    }
    found = sorted(values, reverse=falling)
    code = f"numbers = [{joined(values)}]\nprint(sorted(numbers{', reverse=True' if falling else ''}))"
    return Task(phrasings, code, found, f"The sorted list is {found}.", {"t": shown})


def interest(draw):
    principal = draw.number(100, 999999)
    rate = draw.choose([draw.between(1, 12), round(draw.random.uniform(1, 9), 1)])
    years = draw.between(2, 40)
    found = round(principal * (1 + rate / 100) ** years, 2)
    rates = "[at|with] {i}%[| interest| a year| per year| yearly| compounded yearly| interest per year| each year]"
    phrasings = {
        "questions": [
            f"what [will|would] ${{p}} be worth after {{y}} years {rates}",
            f"how much is ${{p}} after {{y}} years {rates}",
            f"how much [will I have|do I get|is there|money will I have] [if I invest|if I save|from|for] ${{p}} [for|over] {{y}} years {rates}",
            f"what [becomes|do I make] of ${{p}} in {{y}} years {rates}",
            f"what does ${{p}} grow to in {{y}} years {rates}",
            f"!to what does ${{p}} swell in {{y}} years {rates}",
        ],
        "nouns": [
            "the compound interest [on|for] ${p} at {i}% for {y} years",
            f"the value of ${{p}} after {{y}} years {rates}",
            f"what ${{p}} [will be|is] worth [in|after] {{y}} years {rates}",
        ],
        "orders": [
            "[compute|calculate|work out|find] [the |]compound interest [on|for] ${p} at {i}% [for|over] {y} years",
            f"[compute|calculate|work out|find] [what|how much] ${{p}} [is worth|becomes|is|grows to] [after|in] {{y}} years {rates}",
        ],
        "short": [
            "[I invest|if I invest|suppose I put|say I save|I put|assume I invest|I have] ${p} at {i}% [interest |]compounded yearly for {y} years"
            "[. How much will I have?|, how much will I have?|. What do I get?|. What is it worth?]",
            "compound interest on ${p} at {i}% for {y} years[?|]",
            "[if I save|I save|I leave|I keep] ${p} for {y} years at {i}% a year[, what do I end up with?|. How much is that?|. How much do I get?]",
            "${p}, {i}%, {y} years: [compound interest|how much|what is it worth]?",
            "!my bank pays {i}% a year on ${p}. How much after {y} years?",
            "!for {y} years my ${p} earn {i}% every year; what have I then?",
        ],
    }
    code = (
        f"principal = {principal}\nrate = {rate} / 100\nyears = {years}\n"
        "print(round(principal * (1 + rate) ** years, 2))"
    )
    slots = {"p": principal, "i": rate, "y": years}
    return Task(phrasings, code, found, f"You will have ${found} after {years} years.", slots)


def days_between(draw):
    first = draw.date()
    last = first + datetime.timedelta(days=draw.between(1, 2000))
    found = (last - first).days
    span = "[between {a} and {b}|from {a} to {b}|from {a} until {b}|between {a} and {b}|from {a} till {b}]"
    phrasings = {
        "questions": [
            f"how many days [are|are there|lie|is it|pass|go by] {span}",
            "how [long|many days] is it from {a} [to|until] {b}[ in days|]",
            f"what is the [difference in days|number of days|distance in days|count of days] {span}",
            "how many days [after|later than] {a} is {b}",
            "how many days before {b} is {a}",
            "how far apart are {a} and {b} in days",
            f"how many days do I [have|wait|stay] {span}",
            "!I leave on {a} and return on {b}, how many days is that",
            "!today is {a}; in how many days will it be {b}",
        ],
        "nouns": [
            f"the [number of days|days|difference in days|days in total|count of days] {span}",
            "the difference [in days |]between {a} and {b}",
            "!the length in days of a holiday that begins {a} and ends {b}",
        ],
        "orders": [
            f"[count|compute|calculate|work out|find] the [|number of ]days {span}",
            f"[count|work out] how many days [are|there are] {span}",
        ],
        "clauses": [f"how many days [there are|are|it is|lie|pass] {span}", "how [many days|long] it is from {a} to {b}"],
        "short": [f"days {span}[?|]", f"number of days {span}", "{a} to {b}, [how many days|days]?", "days: {a} - {b}"],
    }
    code = (
        "from datetime import date\n"
        f"a = date({first.year}, {first.month}, {first.day})\n"
        f"b = date({last.year}, {last.month}, {last.day})\nprint((b - a).days)"
    )
    answer_text = f"There are {found} days between {first} and {last}."
    return Task(phrasings, code, found, answer_text, {"a": first, "b": last})


def factorial(draw):
    number = draw.between(3, 25)
    found = math.factorial(number)
    phrasings = {
        "nouns": ["the factorial of [|the number ]{n}", "{n} factorial", "{n}!", "the value of {n} factorial"],
        "orders": ["[compute|calculate|find|work out|get|determine|take|print] [the factorial of {n}|{n} factorial|{n}!]"],
        "questions": ["what is [{n} factorial|the factorial of {n}|{n}!]", "how much is [{n} factorial|the factorial of {n}|{n}!]",
                      "!what do you get when you multiply everything from 1 up to {n}"],
        "clauses": ["what [{n} factorial|the factorial of {n}] is", "how much {n} factorial is"],
        "short": ["[factorial of {n}|{n}!|factorial {n}|{n} factorial|factorial: {n}|{n}, factorial]", "!multiply all numbers from 1 to {n}"],
    }
    code = f"import math\nprint(math.factorial({number}))"
    return Task(phrasings, code, found, f"The factorial of {number} is {found}.", {"n": number})


def fibonacci(draw):
    count = draw.between(3, 30)
    row = [0, 1]
    while len(row) < count:
        row.append(row[-1] + row[-2])
    if count < 13:
        phrasings = {
            "orders": ["[list|print|show|give|compute|write] [me |]the first {n} [Fibonacci numbers|numbers of the Fibonacci sequence]",
                       "[list|print|show] {n} Fibonacci numbers"],
            "nouns": ["the first {n} [Fibonacci numbers|Fibonacci terms|terms of Fibonacci]", "{n} Fibonacci numbers"],
            "questions": ["what are the first {n} Fibonacci [numbers|terms]", "which are the first {n} Fibonacci numbers",
                          "!what do the Fibonacci numbers look like, the first {n} of them"],
            "short": ["first {n} Fibonacci numbers[|?]", "{n} Fibonacci numbers", "Fibonacci, first {n}", "Fibonacci numbers: first {n}",
                      "!how does the Fibonacci row start? Show {n} terms."],
        }
        code = f"a, b = 0, 1\nout = []\nfor _ in range({count}):\n    out.append(a)\n    a, b = b, a + b\nprint(out)"
        return Task(phrasings, code, row, f"The first {count} Fibonacci numbers are {row}.", {"n": count})
    phrasings = {
        "nouns": ["Fibonacci number {n}", "the Fibonacci number [at position|with index|in place] {n}", "the value of Fibonacci number {n}"],
        "orders": ["[compute|find|calculate|get|determine|print|work out] Fibonacci number {n}"],
        "questions": ["what is [|the ]Fibonacci number [|at position ]{n}", "which number is Fibonacci number {n}",
                      "!if I follow Fibonacci to place {n}, what stands there"],
        "clauses": ["what Fibonacci number {n} is"],
        "short": ["Fibonacci number {n}", "Fibonacci {n}", "Fibonacci at {n}", "Fibonacci number: {n}", "!entry {n} of the Fibonacci row?"],
    }
    code = f"a, b = 0, 1\nfor _ in range({count} - 1):\n    a, b = b, a + b\nprint(a)"
    return Task(phrasings, code, row[-1], f"Fibonacci number {count} is {row[-1]}.", {"n": count})


def primes(draw):
    last = draw.between(5, 60)
    found = [n for n in range(2, last + 1) if all(n % d for d in range(2, n))]
    phrasings = {
        "orders": [
            "[list|find|show|print|give|compute|write] [me |]the primes [up to|until|till|from 1 to|from 2 to|below or equal to] {n}",
            "[list|find|print|show] all [primes|prime numbers] [up to|until|from 1 to|not larger than] {n}",
        ],
        "nouns": ["[|all ]the [primes|prime numbers] [up to|until|till|from 1 to|from 2 to] {n}", "all primes [up to|until] {n}",
                  "a list of [all |the |]primes up to {n}", "!the numbers to {n} that only 1 and themselves divide"],
        "questions": [
            "[which|what] [prime numbers|primes|numbers] are [there up to|prime up to|primes up to] {n}",
            "what are the [primes|prime numbers] [up to|until|from 1 to] {n}",
            "which numbers [up to|until] {n} are prime",
            "!where are the primes on the way to {n}",
        ],
        "clauses": ["[which|what] [primes|prime numbers] there are up to {n}", "which numbers up to {n} are prime"],
        "short": ["[all |]primes [up to|below or equal to|until] {n}", "primes to {n}", "prime numbers up to {n}", "primes: 1 to {n}",
                  "!every prime not above {n}, please"],
    }
    code = f"print([n for n in range(2, {last} + 1) if all(n % d for d in range(2, n))])"
    return Task(phrasings, code, found, f"The primes up to {last} are {found}.", {"n": last})


def letters(draw):
    word = draw.word(draw.between(2, 4))
    letter = draw.choose(word)
    found = word.count(letter)
    phrasings = {
        "questions": [
            "how many times does [|the letter ]{l} [occur|appear|come up|stand] in [|the word ]{w}",
            "how many [{l}'s|{l}s|{l}|letters {l}|times {l}] [are|are there] in [|the word ]{w}",
            "how often does [|the letter ]{l} [appear|occur|come] in [|the word ]{w}",
            "how often is [|the letter ]{l} [used|found] in [|the word ]{w}",
            "how many {l} [does|has] [|the word ]{w}[ have|]",
            "!do I have to type {l} often when I write {w}, how many times",
        ],
        "orders": ["[count|find] [the letter {l}|the {l}s|how many {l}|the {l}|every {l}] in [|the word ]{w}",
                   "count how [often|many times] {l} [is|appears|occurs] in [|the word ]{w}",
                   "!go through {w} letter by letter and count {l}"],
        "nouns": ["the [number|count] of [letters {l}|{l}|{l}'s|the letter {l}] in [|the word ]{w}", "!number of {l} among the letters of {w}"],
        "clauses": ["how [often|many times] [|the letter ]{l} [appears|occurs|is] in [|the word ]{w}", "how many {l} [are|there are] in [|the word ]{w}"],
        "short": ["how many {l} in {w}?", "{l} in {w}, how many?", "count {l}: {w}", "{w}: how many {l}?"],
    }
    code = f"print('{word}'.count('{letter}'))"
    answer_text = f"The letter {letter} occurs {found} times in {word}."
    return Task(phrasings, code, found, answer_text, {"w": word, "l": letter})


def reversal(draw):
    word = draw.word(draw.between(2, 4))
    phrasings = {
        "orders": [
            "[reverse|turn around|flip|mirror] [|the word |the text ]{w}",
            "[spell|write|say|print|show|give me] [|the word ]{w} [backwards|in reverse|from back to front|from the end|reversed|the other way round]",
            "!turn the letters of {w} around",
            "!start at the last letter of {w} and end at the first",
        ],
        "questions": [
            "what is [|the word ]{w} [backwards|spelled backwards|in reverse|reversed|from back to front]",
            "how [do I|do you|is] [write|spell|say|written] {w} [backwards|in reverse]",
            "what does {w} [look like|read] [backwards|in reverse|reversed]",
            "!what would {w} read in a mirror",
        ],
        "nouns": ["the [reverse|reversed form|reversal] of [|the word ]{w}", "{w} [backwards|in reverse|reversed]", "the word {w} [backwards|reversed]"],
        "short": ["{w} backwards", "{w}, reversed", "reverse: {w}", "{w} in reverse", "backwards: {w}"],
    }
    found = word[::-1]
    return Task(phrasings, f"print('{word}'[::-1])", found, f"The word {word} reversed is {found}.", {"w": word})


def word_count(draw):
    text = " ".join(draw.word() for _ in range(draw.between(3, 8)))
    found = len(text.split())
    phrasings = {
        "questions": [
            "how many words [are|are there|do you see|can you count] in '{t}'",
            "how many words [does|has] '{t}'[ have|]",
            "what is the [number of words|word count] [in|of] '{t}'",
            "of how many words [is|consists] '{t}'",
            "!how long is '{t}' in words",
        ],
        "orders": ["[count|find] [the words|words|the number of words|how many words are] in '{t}'", "count the words: '{t}'",
                   "!number the words of '{t}' and say the last number"],
        "nouns": ["the [number of words|word count|count of words] [in|of] '{t}'"],
        "clauses": ["how many words [are|there are] in '{t}'", "how many words '{t}' has"],
        "short": ["word count of '{t}'[?|]", "'{t}' - how many words?", "'{t}': [word count|words|number of words]", "word count: '{t}'",
                  "!length in words: '{t}'"],
    }
    return Task(phrasings, f"print(len('{text}'.split()))", found, f"There are {found} words.", {"t": text})


def circle(draw):
    radius = draw.number(1, 999)
    found = round(math.pi * radius * radius, 2)
    round_ = "circle [with|of|that has] [|a ]radius [|of ]{n}"
    phrasings = {
        "nouns": [f"the [area|surface|area] of a {round_}", "the area of the circle whose radius is {n}", f"the circle area for radius {{n}}"],
        "orders": [f"[compute|calculate|find|work out|determine|get] the area of a {round_}", "[compute|calculate|find] the circle area [for|with] radius {n}",
                   "!measure the space inside a circle of radius {n}"],
        "questions": [f"what [is the area of|area has] a {round_}", f"how [big|large] is [|the area of ]a {round_}", f"what area does a {round_} have",
                      "!how much surface does a circle with radius {n} cover"],
        "clauses": [f"how [big|large] [|the area of ]a {round_} is", f"what the area of a {round_} is"],
        "short": [f"area of a {round_}[|?]", "a circle has [a |]radius [of |]{n}. What is its area?", "circle, radius {n}: area?", "circle area, r = {n}",
                  "my circle has radius {n}. [Area?|How big is it?|What is the area?]", "!r = {n}, what does the circle cover?"],
    }
    code = f"import math\nprint(round(math.pi * {radius} ** 2, 2))"
    return Task(phrasings, code, found, f"The area of a circle with radius {radius} is {found}.", {"n": radius})


def hypotenuse(draw):
    a, b = draw.number(1, 999), draw.number(1, 999)
    found = round(math.hypot(a, b), 4)
    sides = "[legs|sides|short sides|legs of length|catheti] {a} and {b}"
    phrasings = {
        "nouns": [f"the hypotenuse of a [right |right-angled |]triangle with {sides}", f"the hypotenuse [for|with|from] {sides}",
                  "the [length of the |]hypotenuse, legs {a} and {b}"],
        "orders": [f"[compute|calculate|find|work out|determine] the hypotenuse [for|with|of a right triangle with] {sides}"],
        "questions": [f"what is the hypotenuse [for|with|of a right triangle with] {sides}", f"how long is the hypotenuse [for|with|of a triangle with] {sides}",
                      "!two sides at a right angle are {a} and {b}, what does the third measure"],
        "clauses": [f"how long the hypotenuse [for|with|of a right triangle with] {sides} is", "what the hypotenuse for {a} and {b} is"],
        "short": ["a [right |right-angled |]triangle has legs {a} and {b}. [How long is|What is|Find|Compute] the hypotenuse[?|.]",
                  "hypotenuse for legs {a} and {b}[?|]", "hypotenuse of {a} and {b}", "hypotenuse: {a}, {b}", "right triangle {a}, {b}: hypotenuse?",
                  "!legs {a} and {b}: how long is the third side of the right triangle?"],
    }
    code = f"import math\nprint(round(math.hypot({a}, {b}), 4))"
    return Task(phrasings, code, found, f"The hypotenuse is {found}.", {"a": a, "b": b})


def temperature(draw):
    degrees, to_celsius = draw.between(-40, 120), draw.chance(0.5)
    found = round((degrees - 32) * 5 / 9, 1) if to_celsius else round(degrees * 9 / 5 + 32, 1)
    source, target = ("Fahrenheit", "Celsius") if to_celsius else ("Celsius", "Fahrenheit")
    phrasings = {
        "questions": [
            "what [is|are|would be] {n} [degrees |]{A} in {B}",
            "how [warm|much|cold|hot] is {n} [degrees |]{A} in {B}",
            "how many degrees {B} [is|are|make] {n} [degrees |]{A}",
            "what does {n} [degrees |]{A} [mean|make|equal] in {B}",
            "!{n} {A} is how many degrees {B}",
            "!my thermometer says {n} {A}, what would one in {B} say",
        ],
        "orders": [
            "[convert|change|turn|translate|recalculate] {n} [degrees |]{A} [to|into|in] {B}",
            "[write|give|say|show|express] {n} [degrees |]{A} in {B}",
        ],
        "nouns": ["{n} [degrees |]{A} in [degrees |]{B}", "the {B} [value|temperature|equivalent] [for|of] {n} [degrees |]{A}"],
        "clauses": ["what {n} [degrees |]{A} [is|are] in {B}", "how [warm|much|cold] {n} [degrees |]{A} is in {B}"],
        "short": ["{n} [degrees |]{A} [in|to] {B}[?|]", "{n} {A} = ? {B}", "{n} {A} -> {B}", "{n} {A}, in {B}?"],
    }
    formula = f"({degrees} - 32) * 5 / 9" if to_celsius else f"{degrees} * 9 / 5 + 32"
    answer_text = f"{degrees} degrees {source} is {found} degrees {target}."
    return Task(phrasings, f"print(round({formula}, 1))", found, answer_text, {"n": degrees, "A": source, "B": target})


def percentage(draw):
    share, whole = draw.number(2, 99), draw.number(10, 999999)
    found = round(whole * share / 100, 2)
    phrasings = {
        "questions": [
            "what is {a}[%| percent] of {b}",
            "how much [is|are|makes] {a}[%| percent] of {b}",
            "[which|what] number is {a}[%| percent] of {b}",
            "what [do|does] {a}[%| percent] of {b} [make|come to|equal]",
            "how much is that, {a}[%| percent] of {b}",
            "!take {a}% from {b}, how much is that part",
            "!of {b} I may keep {a}%, which is how much",
        ],
        "orders": ["[compute|calculate|work out|find|determine|get|take|print] {a}[%| percent] of {b}"],
        "nouns": ["{a}[%| percent] of {b}", "the value of {a}[%| percent] of {b}"],
        "clauses": ["[what|how much] {a}[%| percent] of {b} [is|makes|are]"],
        "short": ["{a}% of {b}", "{a} percent of {b}", "{a}% of {b} = ?", "{b}: {a}%", "{a}%, {b}", "!a share of {a}% in {b}"],
    }
    code = f"print(round({whole} * {share} / 100, 2))"
    return Task(phrasings, code, found, f"{share}% of {whole} is {found}.", {"a": share, "b": whole})


def squares(draw):
    last = draw.between(3, 12)
    found = [i * i for i in range(1, last + 1)]
    phrasings = {
        "orders": ["[list|print|show|give|compute|write|calculate] [me |]the [squares|square numbers] [of the numbers |of |]from 1 to {n}",
                   "[list|print|show|give] [me |]the first {n} [squares|square numbers]",
                   "!square each number from 1 up to {n}", "!multiply each of 1 to {n} by itself"],
        "nouns": ["the squares [of the numbers |of |][from |]1 to {n}", "the first {n} [squares|square numbers]", "a list of the squares [from|of] 1 to {n}"],
        "questions": ["what are the [squares|square numbers] [from|of] 1 to {n}", "what are the first {n} [squares|square numbers]"],
        "short": ["squares [from|of] 1 to {n}[?|]", "first {n} squares", "squares: 1 to {n}", "squares up to {n}"],
    }
    code = f"print([i * i for i in range(1, {last} + 1)])"
    return Task(phrasings, code, found, f"The squares from 1 to {last} are {found}.", {"n": last})


def above(draw):
    values = numbers(draw)
    limit = draw.choose(values)
    found = sum(value > limit for value in values)
    more = "[above|greater than|larger than|bigger than|over|more than|higher than]"
    phrasings = {
        "questions": [
            f"how many of [these numbers |the numbers |]{{t}} are {more} {{m}}",
            f"how many [numbers|values] [in|of|from] {{t}} are {more} {{m}}",
            f"[in|of|from|with] {{t}}, how many are {more} {{m}}",
            f"what is the number of values {more} {{m}} in {{t}}",
            "!among {t}, how many exceed {m}",
            "!how many of {t} would not fit under {m}",
        ],
        "orders": [
            f"[count|find out|say|tell me|work out] how many of {{t}} are {more} {{m}}",
            f"count the [numbers|values|ones] {more} {{m}} in {{t}}",
        ],
        "nouns": [f"the [number|count] of [values|numbers] {more} {{m}} in {{t}}"],
        "clauses": [f"how many of {{t}} are {more} {{m}}", f"how many [numbers|values] in {{t}} are {more} {{m}}"],
        "short": [f"{{t}}: how many {more} {{m}}?", f"how many {more} {{m}}: {{t}}", f"I have {{t}}. How many are {more} {{m}}?"],
    }
    code = f"numbers = [{joined(values)}]\nprint(sum(n > {limit} for n in numbers))"
    answer_text = f"{found} of the numbers are greater than {limit}."
    return Task(phrasings, code, found, answer_text, {"t": joined(values), "m": limit})


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
