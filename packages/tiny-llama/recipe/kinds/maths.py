"""Conversations about equations, units and arithmetic: through wolfram_alpha where it is offered, through Python where
only that is. The engine's results are plausible and not all of them true: the model has to copy them, not to know them.
"""

import math
from dataclasses import dataclass

from messages import answer, call, python_run, result, user
from words import UNIT_PAIRS

DO = "[compute|calculate|find|work out|give me|determine|I need|please find|can you compute|what is]"
KINDS = [
    "equation", "equation", "derivative", "integral", "gcd", "lcm", "factors", "units", "root", "prime", "value", "log",
]  # fmt: skip
#: What is asked where only Python can answer.
PYTHON_KINDS = ["gcd", "lcm", "root", "value"]


@dataclass
class Problem:
    cores: list
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
    question = user(draw.say(problem.cores, e=problem.expression, v=letter, w=problem.word))
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
    cores = [
        "can you help me solve this equation: {e}",
        "[solve|please solve|can you solve|help me solve|I have to solve] [|the equation |this equation: ]{e}",
        "find {v} if {e}",
        "what is {v} [when|if] {e}?",
        "[please |]solve for {v}: {e}",
        "I need the solution of {e}[.|]",
        "[for which|for what] {v} is {e}?",
        "{e}, [what is {v}?|solve for {v}|find {v}]",
        "what [is the solution|are the solutions] of {e}?",
        "!which value of {v} satisfies {e}?",
        "!{v} is unknown in {e}. Find it.",
    ]
    solution = f"{v} = {draw.choose(['', '-'])}{n(1, 60)}"
    if draw.chance(0.3):
        solution += f".{n(1, 99)}"
    if draw.chance(0.3):
        solution += f" and {v} = {n(1, 60)}"
    return Problem(cores, expression, f"solve {expression}", solution, f"The solution of {expression} is {solution}.")


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
    cores = [
        DO + " the {w} of {e}[.|]",
        "{w} of {e}[?|]",
        verb + " {e}[.|]",
        "I [need|want] the {w} of {e}, please.",
        f"[please|can you] {verb} {{e}}",
        "!take the {w} of {e}",
    ]
    answer_text = f"The {word} of {expression} is {found}."
    return Problem(cores, expression, f"{word} of {expression}", found, answer_text, word)


def derivative(draw, v):
    return calculus(draw, v, "derivative", "[differentiate|derive]")


def integral(draw, v):
    return calculus(draw, v, "integral", "integrate")


def common_number(draw, short, long, compute, held_out):
    a, b = draw.number(4, 99999), draw.number(4, 99999)
    expression, found = f"{a} and {b}", str(compute(a, b))
    cores = [
        DO + f" the [{long}|{short}] of {{e}}[.|]",
        f"[{short} of {{e}}|{long} of {{e}}]",
        f"[tell me|show me] the [{long}|{short}] of {{e}}.",
        held_out,
    ]
    code = f"import math\nprint(math.{short}({a}, {b}))"
    answer_text = f"The {long} of {expression} is {found}."
    return Problem(cores, expression, f"{short} of {expression}", found, answer_text, code=code)


def gcd(draw, _):
    held_out = "!which is the biggest number that divides {e}?"
    return common_number(draw, "gcd", "greatest common divisor", math.gcd, held_out)


def lcm(draw, _):
    held_out = "!the smallest number that {e} both divide?"
    return common_number(draw, "lcm", "least common multiple", math.lcm, held_out)


def factors(draw, _):
    number = draw.number(10, 999999)
    found = " * ".join(str(draw.between(2, 97)) for _ in range(draw.between(1, 3)))
    cores = [
        "[factor|factorise|factorize] {e}",
        "[what are|find|give me|list] the prime factors of {e}[?|.]",
        DO + " the prime factorization of {e}.",
        "which primes divide {e}?",
        "!break {e} down into primes",
    ]
    return Problem(cores, number, f"factor {number}", found, f"The prime factorization of {number} is {found}.")


def units(draw, _):
    source, target = draw.choose(UNIT_PAIRS)
    source, target = (source, target) if draw.chance(0.5) else (target, source)
    amount = draw.number(2, 9999)
    found = f"{draw.between(1, 9999)}.{draw.between(1, 99)} {target}"
    cores = [
        "[convert|please convert|can you convert|change|turn] {e} [to|into] {w}[.|]",
        "how many {w} [are|is|are in|make] {e}?",
        "what is {e} in {w}?",
        "{e} in {w}",
        "{e} to {w}",
        "how much is {e} in {w}?",
        "!express {e} as {w}",
    ]
    query = f"convert {amount} {source} to {target}"
    return Problem(cores, f"{amount} {source}", query, found, f"{amount} {source} is {found}.", target)


def root(draw, _):
    number = draw.number(2, 999999)
    found = f"{math.sqrt(number):.4f}"
    cores = [
        DO + " the square root of {e}[.|?]",
        "[square root of {e}|sqrt {e}|sqrt of {e}|sqrt({e})]",
        "tell me the square root of {e}.",
        "!which number squared gives {e}?",
    ]
    code = f"import math\nprint(round(math.sqrt({number}), 4))"
    answer_text = f"The square root of {number} is {found}."
    return Problem(cores, number, f"square root of {number}", found, answer_text, code=code)


def prime(draw, _):
    number, is_prime = draw.number(11, 999999), draw.chance(0.5)
    found = f"{number} is {'' if is_prime else 'not '}a prime number"
    cores = [
        "is {e} [prime|a prime|a prime number]?",
        "[check|tell me|find out|can you check] [if|whether] {e} is [prime|a prime number][.|]",
        "{e} prime?",
        "!does {e} have divisors other than 1 and itself?",
    ]
    return Problem(cores, number, f"is {number} prime", found, f"{'Yes' if is_prime else 'No'}, {found}.")


def log(draw, _):
    number, base = draw.number(2, 9999), draw.between(2, 20)
    found = f"{math.log(number, base):.{draw.between(2, 5)}f}"
    cores = [
        DO + " the log base {w} of {e}[.|?]",
        "log base {w} of {e}",
        DO + " the logarithm of {e} in base {w}.",
        "give me the base {w} logarithm of {e}.",
        "!{w} to which power is {e}?",
    ]
    query = f"log base {base} of {number}"
    return Problem(cores, number, query, found, f"The log base {base} of {number} is {found}.", str(base))


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
    cores = [
        "what is {e}?",
        "[calculate|evaluate|compute|work out|how much is|solve|please calculate|can you compute|what does] {e}[|]",
        "{e}",
        "{e} = ?",
        "how much is {e}?",
        "!add it up for me: {e}",
        "!the value of {e}?",
    ]
    found = f"{exact:.10g}"
    return Problem(
        cores,
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
