"""Computations over lists of numbers, and the lists: see task.py."""

import statistics

from kinds.task import Task


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
            f"the {words} [when|if] [the numbers|the values|my numbers] are {{t}}",
            f"the {words} among {listed}",
            f"the {words} of {listed}",
            f"the {words} [in|for|from] {listed}",
            f"the {words}: {{t}}",
            f"!the {words} once you have looked at {{t}}",
        ],
        "orders": [
            f"[look at|go over|read|check] {{t}} and [say|write|tell us|print|give] the {words}",
            f"[report|return|show|give me|tell me|say] the {words} [of|for|from|in] {listed}",
            f"[compute|calculate|find|work out|determine|get|print] the {words} of {listed}",
            f"[compute|calculate|find|work out] the {words} [for|from] {listed}",
            f"[take|use|consider|read] {{t}} and [give|tell|show|find|compute|return] [me |]the {words}",
            f"!go through {{t}} and report the {words}",
        ],
        "questions": [
            f"what do you get as [the |]{words} of {listed}",
            f"[how large|how high|what number] is the {words} of {listed}",
            f"if [I have|the numbers are|the values are|my list is] {{t}}, what is the {words}",
            f"what is the {words} of {listed}",
            f"[for|in|with|given|of] {{t}}, what is the {words}",
            f"what {words} [do|does|have] {listed}[| have]",
            f"which [number |value |]is the {words} of {listed}",
            f"!what would you call the {words} with values such as {{t}}",
        ],
        "clauses": [f"what the {words} of {listed} is", f"what {words} {{t}} [have|has]"],
        "short": [
            f"I [ended with|need it for|wrote|see|had|sold|ran|paid] {{t}}. [What is the|Say the|Report the"
            f"|The] {words}[?|.| please]",
            f"{{t}} is my list. [What is|Find|Report|I need] the {words}[?|.]",
            f"we [counted|measured|got|ended with] {{t}} and [want|need|look for] the {words}",
            f"{words} of {{t}}",
            f"{words}: {{t}}",
            f"{words} {{t}}",
            f"{{t}}: {words}[|?]",
            f"{{t}}, {words}[|?| please]",
            "[here is my data|here are my numbers|my data|data|numbers|my values"
            f"|these are my numbers]: {{t}}. [What is|Find|Give me] the {words}[?|.]",
            f"I [measured|counted|have|got|wrote down|saw|noted|collected] {{t}}. [Give me|What is|Find"
            f"|Compute] the {words}.",
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
            f"[line|set|lay|write] {{t}} [up |out |down |]{how}",
            f"[bring|get] {listed} [in|into] [a row|a line|the right order], {how}",
            f"[sort|order] {{t}} so that [they|it] [go|goes|run|runs] {how}",
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
            f"what [order do|does] {{t}} [have|become] [sorted |]{how}",
            f"what is the order of {{t}} {how}",
            f"can you [sort|order|arrange|rank] {{t}} {how}",
            f"how do I [sort|order|write|put] {{t}} {how}",
            f"what is {listed} [sorted|ordered|arranged] {how}",
            f"how [do|does] {{t}} look [sorted|ordered|when sorted] {how}",
            f"!how would {{t}} stand in a row {how}",
        ],
        "short": [
            f"{{t}} {how}[|, please|?]",
            f"[list|numbers|values|data]: {{t}}. [Sort|Order|Rank] {how}.",
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


def above(draw):
    values = numbers(draw)
    limit = draw.choose(values)
    found = sum(value > limit for value in values)
    more = "[above|greater than|larger than|bigger than|over|more than|higher than]"
    phrasings = {
        "questions": [
            f"how many [numbers|values|of them] [go beyond|pass|top|lie above|are past] {{m}} in {{t}}",
            f"how many of {{t}} [go beyond|pass|top|lie above|lie over] {{m}}",
            f"how many [numbers|values] {more} {{m}} [has|have|are there in] {{t}}",
            f"how many of [these numbers |the numbers |]{{t}} are {more} {{m}}",
            f"how many [numbers|values] [in|of|from] {{t}} are {more} {{m}}",
            f"[in|of|from|with] {{t}}, how many are {more} {{m}}",
            f"what is the number of values {more} {{m}} in {{t}}",
            "!among {t}, how many exceed {m}",
            "!how many of {t} would not fit under {m}",
        ],
        "orders": [
            f"[count|look|check|see] how many [of|in] {{t}} [go beyond|pass|lie above|lie over] {{m}}",
            f"[count|find out|say|tell me|work out] how many of {{t}} are {more} {{m}}",
            f"count the [numbers|values|ones] {more} {{m}} in {{t}}",
        ],
        "nouns": [f"the [number|count] of [values|numbers] {more} {{m}} in {{t}}"],
        "clauses": [
            f"how many of {{t}} [go beyond|pass|top|lie above|lie over] {{m}}",
            f"how many of {{t}} are {more} {{m}}", f"how many [numbers|values] in {{t}} are {more} {{m}}",
        ],
        "short": [
            f"{{t}}: how many {more} {{m}}?",
            f"how many {more} {{m}}: {{t}}",
            f"I have {{t}}. How many are {more} {{m}}?",
        ],
    }
    code = f"numbers = [{joined(values)}]\nprint(sum(n > {limit} for n in numbers))"
    answer_text = f"{found} of the numbers are greater than {limit}."
    return Task(phrasings, code, found, answer_text, {"t": joined(values), "m": limit})


def squares(draw):
    last = draw.between(3, 12)
    found = [i * i for i in range(1, last + 1)]
    phrasings = {
        "orders": [
            "[square|raise to the power of two] [|the integers ]1 to {n}",
            "[list|print|show] [the result of |]squaring [all numbers |the numbers |]1 to {n}",
            "[list|print|show|give|compute|write|calculate] [me |]the [squares|square numbers] [of the numbers |of "
            "|]from 1 to {n}",
            "[list|print|show|give] [me |]the first {n} [squares|square numbers]",
            "!square each number from 1 up to {n}",
            "!multiply each of 1 to {n} by itself",
        ],
        "nouns": [
            "the squares [of the numbers |of |][from |]1 to {n}",
            "the first {n} [squares|square numbers]",
            "a list of the squares [from|of] 1 to {n}",
        ],
        "questions": [
            "what do I get if I square [the |all |][numbers |]1 to {n}",
            "what is the square of each [number |]from 1 to {n}",
            "what are 1 to {n} squared",
            "what are the [squares|square numbers] [from|of] 1 to {n}",
            "what are the first {n} [squares|square numbers]",
        ],
        "short": ["squares [from|of] 1 to {n}[?|]", "first {n} squares", "squares: 1 to {n}", "squares up to {n}"],
    }
    code = f"print([i * i for i in range(1, {last} + 1)])"
    return Task(phrasings, code, found, f"The squares from 1 to {last} are {found}.", {"n": last})


def primes(draw):
    last = draw.between(5, 60)
    found = [n for n in range(2, last + 1) if all(n % d for d in range(2, n))]
    phrasings = {
        "orders": [
            "[collect|name|enumerate|count off|look for] [all |the |][primes|prime numbers] [up to|until"
            "|below or equal to|through|to] {n}",
            "stop at {n} and list [all |the |]primes",
            "[list|find|show|print|give|compute|write] [me |]the primes [up to|until|till|from 1 to|from 2 to"
            "|below or equal to] {n}",
            "[list|find|print|show] all [primes|prime numbers] [up to|until|from 1 to|not larger than] {n}",
        ],
        "nouns": [
            "every prime [number |][up to|until|through|from 1 to] {n}",
            "the [primes|prime numbers] [in|among] the numbers [from |]1 to {n}",
            "the prime [ones|numbers] among 1 to {n}",
            "[|all ]the [primes|prime numbers] [up to|until|till|from 1 to|from 2 to] {n}",
            "all primes [up to|until] {n}",
            "a list of [all |the |]primes up to {n}",
            "!the numbers to {n} that only 1 and themselves divide",
        ],
        "questions": [
            "[which|what] primes [do I meet|are there|come|do I find] [up to|until|from 1 to] {n}",
            "between 1 and {n}, [which|what] are the primes",
            "[which|what] [prime numbers|primes|numbers] are [there up to|prime up to|primes up to] {n}",
            "what are the [primes|prime numbers] [up to|until|from 1 to] {n}",
            "which numbers [up to|until] {n} are prime",
            "!where are the primes on the way to {n}",
        ],
        "clauses": ["[which|what] [primes|prime numbers] there are up to {n}", "which numbers up to {n} are prime"],
        "short": [
            "[all |]primes [up to|below or equal to|until] {n}",
            "primes to {n}",
            "prime numbers up to {n}",
            "primes: 1 to {n}",
            "!every prime not above {n}, please",
        ],
    }
    code = f"print([n for n in range(2, {last} + 1) if all(n % d for d in range(2, n))])"
    return Task(phrasings, code, found, f"The primes up to {last} are {found}.", {"n": last})


def fibonacci(draw):
    count = draw.between(3, 30)
    row = [0, 1]
    while len(row) < count:
        row.append(row[-1] + row[-2])
    if count < 13:
        phrasings = {
            "orders": [
                "[list|print|show|give|compute|write] [me |]the first {n} [Fibonacci numbers"
                "|numbers of the Fibonacci sequence]",
                "[list|print|show] {n} Fibonacci numbers",
            ],
            "nouns": ["the first {n} [Fibonacci numbers|Fibonacci terms|terms of Fibonacci]", "{n} Fibonacci numbers"],
            "questions": [
                "what does the Fibonacci [sequence|series|row] [look like|begin with] for {n} [terms|numbers]",
                "what are the first {n} Fibonacci [numbers|terms]",
                "which are the first {n} Fibonacci numbers",
                "!what do the Fibonacci numbers look like, the first {n} of them",
            ],
            "short": [
                "first {n} Fibonacci numbers[|?]",
                "{n} Fibonacci numbers",
                "Fibonacci, first {n}",
                "Fibonacci numbers: first {n}",
                "!how does the Fibonacci row start? Show {n} terms.",
            ],
        }
        code = f"a, b = 0, 1\nout = []\nfor _ in range({count}):\n    out.append(a)\n    a, b = b, a + b\nprint(out)"
        return Task(phrasings, code, row, f"The first {count} Fibonacci numbers are {row}.", {"n": count})
    phrasings = {
        "nouns": [
            "Fibonacci number {n}",
            "the Fibonacci number [at position|with index|in place] {n}",
            "the value of Fibonacci number {n}",
        ],
        "orders": ["[compute|find|calculate|get|determine|print|work out] Fibonacci number {n}"],
        "questions": [
            "what is [|the ]Fibonacci number [|at position ]{n}",
            "which number is Fibonacci number {n}",
            "!if I follow Fibonacci to place {n}, what stands there",
        ],
        "clauses": ["what Fibonacci number {n} is"],
        "short": [
            "Fibonacci number {n}",
            "Fibonacci {n}",
            "Fibonacci at {n}",
            "Fibonacci number: {n}",
            "!entry {n} of the Fibonacci row?",
        ],
    }
    code = f"a, b = 0, 1\nfor _ in range({count} - 1):\n    a, b = b, a + b\nprint(a)"
    return Task(phrasings, code, row[-1], f"Fibonacci number {count} is {row[-1]}.", {"n": count})
