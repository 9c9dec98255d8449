"""Equations, calculus, values of expressions: see problem.py."""

import math

from kinds.problem import Problem


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
            "[determine|get|find|give me|show me|list] the [root|roots|solution|solutions|zeros] of {e}",
            "[clear up|resolve|figure out|do] {e}",
            "[rearrange|resolve|transform] {e} for {v}",
            "solve {e} and [tell me|give me|show me|say] {v}",
            "[solve|solve this equation:|solve the equation|work out|find the roots of|find the solution of"
            "|find the solutions of|crack|do the equation] {e}",
            "solve {e} for {v}",
            "[find|get|compute|determine|calculate|work out] {v} [if|when|where|from|in|such that|given] {e}",
            "!untangle the equation {e}",
            "!isolate {v}: {e}",
        ],
        "questions": [
            "which value of {v} [makes {e} true|solves {e}|fits {e}|works in {e}]",
            "[when|for which {v}] is {e} [true|right|correct|satisfied]",
            "what number is {v} [in|if|when] {e}",
            "what does {v} equal [in|if|when] {e}",
            "what values [can|may|does] {v} [take|have] in {e}",
            "what is the value of {v} [in|if|when] {e}",
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
            "the [value|values] of {v} [in|for|that solves|such that] {e}",
            "the number {v} [in|with|for which] {e}",
            "the [roots|solutions|solution|zeros|answer] [of|to] [|the equation ]{e}",
            "the {v} [that solves|of|in] {e}",
            "!the unknown in {e}",
        ],
        "clauses": [
            "what {v} [has to be|equals|is equal to] [in|if|when] {e}",
            "what number {v} is [in|if|when] {e}",
            "how {e} is solved",
            "what {v} is [if|when|in] {e}",
            "[which|what] {v} solves {e}",
            "!which number {v} stands for in {e}",
        ],
        "short": ["{e}, {v} = ?", "equation: {e}", "{e}. {v}?", "[solution|roots]: {e}", "!given {e}, {v} must be"],
    }
    solution = f"{v} = {draw.choose(['', '-'])}{n(1, 60)}"
    if draw.chance(0.3):
        solution += f".{n(1, 99)}"
    if draw.chance(0.3):
        solution += f" and {v} = {n(1, 60)}"
    return Problem(
        phrasings, expression, f"solve {expression}", solution, f"The solution of {expression} is {solution}."
    )


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
        "nouns": [
            "the {w} [function |][for|to] {e}",
            "the {w} of the [term|formula|curve] {e}",
            "the {w} of {e}", "the {w} of [f|the function|the expression] {e}", "!the {w} that belongs to {e}",
        ],
        "questions": [
            "[what|how] does the {w} of {e} look[ like|]",
            "what {w} does {e} have",
            "what do I get as [the |]{w} of {e}",
            "can you [form|find|work out|take] the {w} of {e}",
            "what is the {w} of {e}",
            "how do I " + verb + " {e}",
            "what [do I get|comes out] if I " + verb + " {e}",
            "which function is the {w} of {e}",
            "!what does {e} turn into as {w}",
        ],
        "clauses": [
            "what the {w} of {e} [looks like|would be]",
            "how I get the {w} of {e}",
            "what the {w} of {e} is", "how to " + verb + " {e}", "!what function {e} has as {w}",
        ],
        "short": ["{w} of {e}", "{w}: {e}", "{e}, {w}", "{e}: {w}?", "!take the {w} of {e}"],
    }
    answer_text = f"The {word} of {expression} is {found}."
    return Problem(phrasings, expression, f"{word} of {expression}", found, answer_text, word)


def derivative(draw, v):
    return calculus(draw, v, "derivative", "[differentiate|derive]")


def integral(draw, v):
    return calculus(draw, v, "integral", "integrate")


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
            "[add up|sum up|total|simplify|tell me|give me|say|show me|count] {e}",
            "[punch|type|put|enter] {e} into [a|the|your] calculator",
            "do the [sum|maths|math|calculation] [for |of |: |]{e}",
            "[find out|tell me|see] [what|how much] {e} [is|makes|gives]",
            "use [a|your|the] calculator for {e}",
            "[calculate|evaluate|compute|work out|solve|find|determine|do|figure out|reckon|compute the value of] {e}",
            "!add it up for me: {e}",
            "!run the numbers on {e}",
        ],
        "nouns": [
            "the [total|number|solution|sum] [of|for] {e}",
            "the [answer|solution|result] [for|to] {e}",
            "the [result|value|answer|outcome] of {e}", "{e}", "!what comes of {e}",
        ],
        "questions": [
            "what number is {e}",
            "what's the [total|result|answer|solution] [of|for|to] {e}",
            "can you [calculate|compute|add up|work out|do] {e}",
            "what [will|would] {e} [be|give|make]",
            "where does {e} [lead|end]",
            "{e}, how much is [it|that]",
            "what do you get [for|with|from] {e}",
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
        "short": [
            "{e} equals",
            "[sum|total|maths|math|calculator|calculation]: {e}",
            "I [calculate|add|need|have] {e}. [What is it?|How much is that?|What do I get?]",
            "{e}", "{e} = ?", "{e} =", "{e}?", "calc {e}", "result: {e}", "calculate: {e}", "= {e}",
        ],
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
            "to what power do I raise {w} to get {e}",
            "what exponent of {w} gives {e}",
            "what is the [log|logarithm] [base|to base|in base] {w} of {e}",
            "what is log base {w} of {e}",
            "what is the [logarithm|log] of {e} [in|to|for] base {w}",
            "!{w} to which power is {e}",
        ],
        "clauses": ["what the log base {w} of {e} is", "what the logarithm of {e} in base {w} is"],
        "short": [
            "log base {w} of {e}",
            "log_{w}({e})",
            "log {e} base {w}",
            "log {e}, base {w}",
            "logarithm of {e} base {w}",
        ],
    }
    query = f"log base {base} of {number}"
    return Problem(phrasings, number, query, found, f"The log base {base} of {number} is {found}.", str(base))


def root(draw, _):
    number = draw.number(2, 999999)
    found = f"{math.sqrt(number):.4f}"
    phrasings = {
        "orders": [
            "[compute|calculate|find|work out|determine|take|extract] the [square root|root|square root] of {e}",
        ],
        "nouns": [
            "the [square root|square root|root|second root] of [|the number ]{e}",
            "the sqrt of {e}",
            "sqrt({e})",
        ],
        "questions": [
            "what number [has|gives] the square {e}",
            "what is the side of a square of [area|size] {e}",
            "{e} is the square of [which|what] number",
            "what is the [square root|root|second root] of {e}",
            "what is [sqrt|sqrt of|root of|the sqrt of] {e}",
            "[which|what] number times itself [is|makes|equals] {e}",
            "what do I [multiply by itself|square] to get {e}",
            "!which number squared gives {e}",
            "!a square has the area {e}, how long is its side",
        ],
        "clauses": [
            "what number has the square {e}",
            "what the square root of {e} is",
            "which number times itself is {e}",
            "!from which number {e} is the square",
        ],
        "short": [
            "[square root of {e}|sqrt {e}|sqrt of {e}|sqrt({e})|root of {e}|{e}, square root|square root: {e}"
            "|{e} square root]"
        ],
    }
    code = f"import math\nprint(round(math.sqrt({number}), 4))"
    answer_text = f"The square root of {number} is {found}."
    return Problem(phrasings, number, f"square root of {number}", found, answer_text, code=code)
