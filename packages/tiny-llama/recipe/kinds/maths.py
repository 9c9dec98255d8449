"""Conversations about equations, units and arithmetic: through wolfram_alpha where it is offered, through Python where
only that is. The engine's results are plausible and not all of them true: the model has to copy them, not to know them.
"""

import math
from dataclasses import dataclass

from messages import answer, call, python_run, result, user
from words import UNIT_PAIRS

KINDS = [
    "equation", "equation", "derivative", "integral", "gcd", "lcm", "factors", "units", "root", "prime", "value", "log",
]  # fmt: skip
#: What is asked where only Python can answer.
PYTHON_KINDS = ["gcd", "lcm", "root", "value"]


@dataclass
class Problem:
    phrasings: dict  # what Draw.ask takes
    expression: object  # fills {e}
    query: str
    result: str
    answer: str
    word: str = ""  # fills {w}
    code: str | None = None
    printed: str | None = None  # what the code prints, where that differs from the engine's result
    python_answer: str | None = None


def maths_episode(draw, builtins):
    letter = draw.choose("xyzt")
    kind = draw.choose(KINDS)
    with_engine = "wolfram_alpha" in builtins
    if not with_engine and kind not in PYTHON_KINDS:
        kind = draw.choose(PYTHON_KINDS)
    problem = PROBLEMS[kind](draw, letter)
    question = user(draw.ask({"e": problem.expression, "v": letter, "w": problem.word}, **problem.phrasings))
    if not with_engine:
        run = python_run(draw, problem.code, problem.printed or problem.result)
        return [question, *run, answer(problem.python_answer or problem.answer)]
    asked = [question, call("wolfram_alpha", {"query": problem.query})]
    if draw.chance(0.04):
        unsuccessful = {"queryresult": {"success": False, "inputstring": problem.query}}
        failure = draw.choose([unsuccessful, {"error": "no result"}, "Error: no result"])
        return asked + [result(failure), answer("I could not get a result for that.")]
    if draw.chance(0.15):
        return asked + [result(problem.result), answer(problem.answer)]
    return asked + [engine_result(draw, problem), answer(problem.answer)]


def engine_result(draw, problem):
    interpretation = {"title": "Input interpretation", "subpods": [{"title": "", "plaintext": problem.query}]}
    title = draw.choose(["Result", "Results", "Decimal approximation", "Solution"])
    found = {"title": title, "primary": True, "subpods": [{"title": "", "plaintext": problem.result}]}
    pods = [found] if draw.chance(0.4) else [interpretation, found]
    if draw.chance(0.3):
        del found["primary"]
    return result({"queryresult": {"success": True, "inputstring": problem.query, "pods": pods}})


def equation(draw, v):
    n = lambda low=2, high=99: draw.between(low, high)
    expression = draw.choose(
        [
            f"{n()}{v} + {n()} = {n(2, 999)}",
            f"{v}^2 - {n()}{v} + {n()} = 0",
            f"{v}^3 - {n(2, 9)}{v}^2 + {n(2, 9)}{v} - {n()} = 0",
            f"{n(2, 9)}{v} - {n()} = {n()}",
            f"{v}^2 = {n()}",
            f"{n(2, 9)}{v} = {n()}",
            f"{n()} - {v} = {n(2, 9)}{v}",
        ]
    )
    phrasings = {
        "orders": [
            "[solve|solve the equation|work out|find the roots of|find the solution of|find the solutions of|crack|do the equation] {e}",
            "solve {e} for {v}",
            "[find|get|compute|determine|calculate|work out] {v} [if|when|where|from|in|such that|given] {e}",
            "!untangle the equation {e}",
            "!isolate {v}: {e}",
        ],
        "questions": [
            "what [are|is] the [roots|solutions|solution|zeros] of {e}",
            "[for which|for what] {v} [is|does|holds] {e}[| hold]",
            "[what is|what's] {v} [in|if|when|for] {e}",
            "which {v} [solves|satisfies|fulfils] {e}",
            "how do I solve {e}",
            "{e}, what is {v}",
            "!what must {v} be so that {e}",
            "!where does {e} become true",
        ],
        "nouns": [
            "the [roots|solutions|solution|zeros|answer] [of|to] [|the equation ]{e}",
            "the {v} [that solves|of|in] {e}",
            "!the unknown in {e}",
        ],
        "clauses": ["what {v} is [if|when|in] {e}", "[which|what] {v} solves {e}", "!which number {v} stands for in {e}"],
        "short": ["{e}, {v} = ?", "equation: {e}", "{e}. {v}?", "[solution|roots]: {e}", "!given {e}, {v} must be"],
    }
    solution = f"{v} = {draw.choose(['', '-'])}{n(1, 60)}"
    if draw.chance(0.3):
        solution += f".{n(1, 99)}"
    if draw.chance(0.3):
        solution += f" and {v} = {n(1, 60)}"
    return Problem(phrasings, expression, f"solve {expression}", solution, f"The solution of {expression} is {solution}.")


def calculus(draw, v, word, verb):
    n = lambda low=2, high=99: draw.between(low, high)
    expression = draw.choose(
        [
            f"{v}^{n(2, 9)} + {n()}{v}",
            f"{n(2, 9)}{v}^{n(2, 9)}",
            f"sin({n(2, 9)}{v})",
            f"e^({n(2, 9)}{v})",
            f"{v}^{n(2, 9)} - {n()}{v}^2 + {n()}",
            f"cos({v}) + {n()}{v}",
        ]
    )
    found = draw.choose(
        [f"{n(2, 99)}{v}^{n(2, 9)} + {n()}", f"{n(2, 9)} cos({n(2, 9)}{v})", f"{n(2, 9)} e^({n(2, 9)}{v})"]
    )
    phrasings = {
        "orders": [
            verb + " {e}",
            verb + " {e} [with respect to|by] {v}",
            "[compute|calculate|find|work out|determine|take|form] the {w} of {e}",
        ],
        "nouns": ["the {w} of {e}", "the {w} of [f|the function|the expression] {e}", "!the {w} that belongs to {e}"],
        "questions": [
            "what is the {w} of {e}",
            "how do I " + verb + " {e}",
            "what [do I get|comes out] if I " + verb + " {e}",
            "which function is the {w} of {e}",
            "!what does {e} turn into as {w}",
        ],
        "clauses": ["what the {w} of {e} is", "how to " + verb + " {e}", "!what function {e} has as {w}"],
        "short": ["{w} of {e}", "{w}: {e}", "{e}, {w}", "{e}: {w}?", "!take the {w} of {e}"],
    }
    answer_text = f"The {word} of {expression} is {found}."
    return Problem(phrasings, expression, f"{word} of {expression}", found, answer_text, word)


def derivative(draw, v):
    return calculus(draw, v, "derivative", "[differentiate|derive]")


def integral(draw, v):
    return calculus(draw, v, "integral", "integrate")


def common_number(draw, short, long, compute, wide, held_out, order):
    a, b = draw.number(4, 99999), draw.number(4, 99999)
    expression, found = f"{a} and {b}", str(compute(a, b))
    phrasings = {
        "orders": [
            f"[compute|calculate|find|work out|determine] the [{long}|{short}|{long}] of {{e}}",
            "!" + order,
        ],
        "nouns": [
            f"the [{long}|{short}|{long}] of [|the numbers ]{{e}}",
            f"the [{wide}] [of|for] {{e}}",
            f"the [{long}|{short}] for {{e}}",
        ],
        "questions": [
            f"what is the [{long}|{short}|{wide}] of {{e}}",
            f"what [{short}|{long}] do {{e}} have",
            f"which number is the [{long}|{wide}] of {{e}}",
            held_out,
        ],
        "clauses": [f"what the [{long}|{short}|{wide}] of {{e}} is", f"which number is the [{long}] of {{e}}"],
        "short": [f"[{short} of {{e}}|{long} of {{e}}|{short}: {{e}}|{{e}}, {short}|{short} {{e}}|{wide} of {{e}}]"],
    }
    code = f"import math\nprint(math.{short}({a}, {b}))"
    answer_text = f"The {long} of {expression} is {found}."
    return Problem(phrasings, expression, f"{short} of {expression}", found, answer_text, code=code)


def gcd(draw, _):
    wide = "greatest common factor|highest common factor|largest common divisor|biggest common divisor"
    held_out = "!which is the biggest number that divides {e}"
    order = "find the largest number that goes into both {e}"
    return common_number(draw, "gcd", "greatest common divisor", math.gcd, wide, held_out, order)


def lcm(draw, _):
    wide = "lowest common multiple|smallest common multiple|least multiple in common"
    held_out = "!what is the smallest number that {e} both divide"
    order = "find the first number that is in the tables of {e}"
    return common_number(draw, "lcm", "least common multiple", math.lcm, wide, held_out, order)


def factors(draw, _):
    number = draw.number(10, 999999)
    found = " * ".join(str(draw.between(2, 97)) for _ in range(draw.between(1, 3)))
    phrasings = {
        "orders": [
            "[factor|factorise|factorize|factor out|decompose|split] [|the number ]{e}",
            "[find|list|give|compute|show|determine] [the |all ]prime factors of {e}",
            "[write|split|decompose|factor|express] {e} [into|as a product of|in] [primes|prime factors|its prime factors|prime numbers]",
            "!break {e} down into primes",
            "!take {e} apart into its primes",
        ],
        "nouns": [
            "the prime factors of {e}",
            "the prime [factorization|factorisation|decomposition|factors] of {e}",
            "the [factors|factorization|divisors that are prime] of {e}",
            "!the primes whose product is {e}",
        ],
        "questions": [
            "what are the [prime factors|prime divisors|factors] of {e}",
            "which primes [divide|make up|are in] {e}",
            "which prime numbers [divide|are factors of] {e}",
            "how does {e} [factor|factorise|split into primes]",
            "!out of which primes is {e} made",
        ],
        "clauses": ["what the prime factors of {e} are", "which primes divide {e}", "how {e} factors"],
        "short": ["prime factors of {e}", "{e} [factored|prime factors|factorization|factors]", "factor: {e}", "factors of {e}"],
    }
    return Problem(phrasings, number, f"factor {number}", found, f"The prime factorization of {number} is {found}.")


def units(draw, _):
    source, target = draw.choose(UNIT_PAIRS)
    source, target = (source, target) if draw.chance(0.5) else (target, source)
    amount = draw.number(2, 9999)
    found = f"{draw.between(1, 9999)}.{draw.between(1, 99)} {target}"
    phrasings = {
        "orders": [
            "[convert|change|turn|translate|bring|transform|recalculate|put] {e} [to|into|in] {w}",
            "convert {e} to {w}",
            "[write|give|show|say|state] {e} in {w}",
            "!express {e} as {w}",
        ],
        "nouns": [
            "{e} in {w}",
            "the number of {w} in {e}",
            "the [value|amount|equivalent] [of {e} in {w}|in {w} of {e}]",
            "!the {w} that {e} come to",
        ],
        "questions": [
            "how many {w} [are|is|are in|make|are there in|do I get from|equal|correspond to] {e}",
            "what [is|are|would be] {e} in {w}",
            "how much is {e} in {w}",
            "{e} [is|are|make|makes|equals|equal] how many {w}",
            "how much are {e} [in|as] {w}",
            "!with {e} I have how many {w}",
        ],
        "clauses": [
            "how many {w} {e} [are|make|is|would be]",
            "what {e} [is|are] in {w}",
            "how much {e} [is|are] in {w}",
            "how many {w} are in {e}",
            "!what {e} would be called in {w}",
        ],
        "short": ["{e} in {w}", "{e} to {w}", "{e} = ? {w}", "{e} -> {w}", "{e} as {w}", "{e}, [how many {w}|in {w}|to {w}]?"],
    }
    query = f"convert {amount} {source} to {target}"
    return Problem(phrasings, f"{amount} {source}", query, found, f"{amount} {source} is {found}.", target)


def root(draw, _):
    number = draw.number(2, 999999)
    found = f"{math.sqrt(number):.4f}"
    phrasings = {
        "orders": [
            "[compute|calculate|find|work out|determine|take|extract] the [square root|root|square root] of {e}",
        ],
        "nouns": ["the [square root|square root|root|second root] of [|the number ]{e}", "the sqrt of {e}", "sqrt({e})"],
        "questions": [
            "what is the [square root|root|second root] of {e}",
            "what is [sqrt|sqrt of|root of|the sqrt of] {e}",
            "[which|what] number times itself [is|makes|equals] {e}",
            "what do I [multiply by itself|square] to get {e}",
            "!which number squared gives {e}",
            "!a square has the area {e}, how long is its side",
        ],
        "clauses": ["what the square root of {e} is", "which number times itself is {e}", "!from which number {e} is the square"],
        "short": ["[square root of {e}|sqrt {e}|sqrt of {e}|sqrt({e})|root of {e}|{e}, square root|square root: {e}|{e} square root]"],
    }
    code = f"import math\nprint(round(math.sqrt({number}), 4))"
    answer_text = f"The square root of {number} is {found}."
    return Problem(phrasings, number, f"square root of {number}", found, answer_text, code=code)


def prime(draw, _):
    number, is_prime = draw.number(11, 999999), draw.chance(0.5)
    found = f"{number} is {'' if is_prime else 'not '}a prime number"
    phrasings = {
        "questions": [
            "is {e} [prime|a prime|a prime number|prime or not|really prime]",
            "[would|can] {e} be [prime|a prime number]",
            "{e} is [prime|a prime|a prime number], [right|true|or not|yes or no]",
            "is [the number|this number|this a prime:] {e} [a prime number|prime]",
            "can [we|you|I] call {e} a prime",
            "!does {e} have divisors other than 1 and itself",
            "!can {e} be divided, or is it a prime",
        ],
        "orders": [
            "[check|find out|test|verify|see|say] [if|whether] {e} is [prime|a prime|a prime number]",
            "[test|check] {e} for [being prime|being a prime|primality]",
        ],
        "clauses": ["[if|whether] {e} is [prime|a prime|a prime number|prime or not]", "!whether {e} belongs to the primes"],
        "short": ["{e} prime?", "prime: {e}?", "is {e} prime", "prime or not: {e}", "{e} a prime number?"],
    }
    return Problem(phrasings, number, f"is {number} prime", found, f"{'Yes' if is_prime else 'No'}, {found}.")


def log(draw, _):
    number, base = draw.number(2, 9999), draw.between(2, 20)
    found = f"{math.log(number, base):.{draw.between(2, 5)}f}"
    phrasings = {
        "nouns": [
            "the log base {w} of {e}",
            "the [logarithm|log] of {e} [in|to the|with|for the] base {w}",
            "the base {w} [logarithm|log] of {e}",
            "the base-{w} log of {e}",
        ],
        "orders": ["[compute|calculate|find|work out|determine|take] the [log|logarithm] base {w} of {e}"],
        "questions": [
            "what is the [log|logarithm] [base|to base|in base] {w} of {e}",
            "what is log base {w} of {e}",
            "what is the [logarithm|log] of {e} [in|to|for] base {w}",
            "!{w} to which power is {e}",
        ],
        "clauses": ["what the log base {w} of {e} is", "what the logarithm of {e} in base {w} is"],
        "short": ["log base {w} of {e}", "log_{w}({e})", "log {e} base {w}", "log {e}, base {w}", "logarithm of {e} base {w}"],
    }
    query = f"log base {base} of {number}"
    return Problem(phrasings, number, query, found, f"The log base {base} of {number} is {found}.", str(base))


def value(draw, _):
    n = lambda low, high: draw.between(low, high)
    sign = lambda: draw.choose(["+", "-", "*", "/", "+", "*"])
    number = lambda: draw.number(1, 9999) if draw.chance(0.8) else round(draw.random.uniform(1, 99), 2)
    expression = draw.choose(
        [
            f"{number()} {sign()} {number()}",
            f"({number()} {sign()} {number()}) {sign()} {number()}",
            f"{number()} {sign()} {number()} {sign()} {number()}",
            f"{n(2, 20)}^{n(2, 9)}",
            f"-{number()} {sign()} {number()}",
        ]
    )
    exact = eval(expression.replace("^", "**"))  # an expression of our own with positive divisors
    phrasings = {
        "orders": [
            "[calculate|evaluate|compute|work out|solve|find|determine|do|figure out|reckon|compute the value of] {e}",
            "!add it up for me: {e}",
            "!run the numbers on {e}",
        ],
        "nouns": ["the [result|value|answer|outcome] of {e}", "{e}", "!what comes of {e}"],
        "questions": [
            "what is {e}",
            "what's {e}",
            "how much [is|are|makes] {e}",
            "what [does|do] {e} [make|give|equal|come to|yield]",
            "what is the [result|value|answer|outcome] of {e}",
            "{e} [is|makes|equals|gives] [what|how much]",
            "what do I get for {e}",
            "!the value of {e}",
            "!where do I land with {e}",
        ],
        "clauses": ["[what|how much] {e} [is|makes|gives|equals]", "what the result of {e} is"],
        "short": ["{e}", "{e} = ?", "{e} =", "{e}?", "calc {e}", "result: {e}", "calculate: {e}", "= {e}"],
    }
    found = f"{exact:.10g}"
    return Problem(
        phrasings,
        expression,
        expression,
        found,
        f"{expression} = {found}.",
        code=f"print({expression.replace('^', ' ** ')})",
        printed=str(exact),
        python_answer=f"{expression} = {exact}.",
    )


PROBLEMS = {
    "equation": equation,
    "derivative": derivative,
    "integral": integral,
    "gcd": gcd,
    "lcm": lcm,
    "factors": factors,
    "units": units,
    "root": root,
    "prime": prime,
    "value": value,
    "log": log,
}
