"""Conversations that compute in Python: lists of numbers, dates, words, money. The results are true. Some runs fail."""

from messages import answer, call, python_failure, python_run, user

from kinds.tasks_of_lists import STATISTICS, above, fibonacci, primes, sorting, squares, statistic
from kinds.tasks_of_numbers import circle, factorial, hypotenuse, interest, percentage, temperature
from kinds.tasks_of_texts import days_between, letters, reversal, word_count

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
