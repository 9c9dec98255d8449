"""Conversations about equations, units and arithmetic: through wolfram_alpha where it is offered, through Python where
only that is.
"""

from messages import answer, call, python_run, result, user

from kinds.problems_of_expressions import derivative, equation, integral, log, root, value
from kinds.problems_of_numbers import factors, gcd, lcm, prime, units

KINDS = [
    "equation", "equation", "derivative", "integral", "gcd", "lcm", "factors", "units", "root", "prime", "value", "log",
]  # fmt: skip
#: What is asked where only Python can answer.
PYTHON_KINDS = ["gcd", "lcm", "root", "value"]
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
