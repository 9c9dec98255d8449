"""Conversations that call one custom function; results of functions and the answers to them."""

from messages import answer, call, result, user
from words import CONDITIONS, NOUNS

from kinds.facts import fact
from kinds.functions import function, request
from kinds.python_code import python_episode

NOTHING_FITS = "None of my functions can do that."


def function_episode(draw, offered):
    if draw.chance(0.08):
        question = unfitting_question(draw, offered)
        if question:
            return [user(question), answer(NOTHING_FITS)]
    made = draw.choose(offered)
    question, arguments = request(draw, made)
    found, said = function_result(draw)
    right = call(made.name, arguments)
    asked = [user(question)]
    if draw.chance(0.08):
        asked += refused_call(draw, made, arguments, offered)
    asked.append(right)
    closed = {parameter.key for parameter in made.parameters if parameter.options}
    texts = [key for key, value in arguments.items() if isinstance(value, str) and key not in closed]
    if texts and draw.chance(0.05):
        asked += corrected_call(draw, made, arguments, draw.choose(texts))
    return asked + [found, answer(said)]


def unfitting_question(draw, offered):
    """What none of the functions does: another function's job, a fact or a computation; None if one might do it."""
    which = draw.random.random()
    if which < 0.25:
        return fact(draw).question
    if which < 0.4:
        return python_episode(draw)[0]["content"]
    other = function(draw)
    apart = all(other.noun != made.noun and other.verb != made.verb for made in offered)
    return request(draw, other)[0] if apart else None


def refused_call(draw, made, arguments, offered):
    """A wrong call, not to be learnt, and the loop's answer. Texts: tool-call.ts, tool-problem.ts of packages/core."""
    wrong, problem = spoiled(draw, made, arguments)
    if problem is None:
        names = ", ".join(one.name for one in offered)
        name = draw.choose([f"{made.noun}_{made.verb}s", f"do_{made.noun}", f"{made.verb}{made.noun}s", draw.word()])
        text = f'There is no tool named "{name}". Available tools: {names}.'
        return [{**call(name, arguments), "target": False}, result({"error": text})]
    text = f"The input of {made.name} is not valid: {problem}. Nothing was run. Call it again with a valid input."
    return [{**call(made.name, wrong), "target": False}, result({"error": text})]


def spoiled(draw, made, arguments):
    """(arguments with one fault, what the check says about it), or (None, None) for an unknown name."""
    if not arguments or draw.chance(0.25):
        return None, None
    key = draw.choose(list(arguments))
    value = arguments[key]
    parameter = next((one for one in made.parameters if one.key == key), None)
    if parameter and parameter.options:
        wrong = draw.word()
        listed = ", ".join(f'"{option}"' for option in parameter.options)
        return {**arguments, key: wrong}, f'{key}: must be one of {listed}, not "{wrong}"'
    if isinstance(value, str) or draw.chance(0.3):
        if parameter and parameter.optional:
            return None, None
        return {name: given for name, given in arguments.items() if name != key}, f"{key}: is required"
    wanted = parameter.type if parameter else made.pair.type
    article = "an" if wanted == "integer" else "a"
    shown = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return {**arguments, key: shown}, f'{key}: must be {article} {wanted}, not a string ("{shown}")'


def corrected_call(draw, made, arguments, key):
    """The function names a better value: one more try."""
    better = draw.choose([draw.name() + " " + draw.name(), draw.name(), draw.identifier()])
    refusal = result({"error": f"unknown {key}", "did_you_mean": better})
    return [refusal, call(made.name, {**arguments, key: better})]


def function_result(draw):
    """(result, answer)"""
    which = draw.random.random()
    for limit, make in RESULTS:
        if which < limit:
            return make(draw)
    return record_result(draw)


def sentence_result(draw):
    def state():
        return draw.choose(["ready", "in " + draw.city(), "with " + draw.person(), "closed until " + str(draw.date())])

    sentence = draw.choose(
        [
            lambda: f"The {draw.choose(NOUNS)} is {state()}",
            lambda: f"{draw.person()} has {draw.number()} {draw.choose(NOUNS)}s",
            lambda: f"{draw.place()}: {draw.choose(CONDITIONS)}, {draw.between(-20, 110)} degrees",
            lambda: f"Sent to {draw.person()} at {draw.between(0, 23):02d}:{draw.between(0, 59):02d}",
        ]
    )()
    plain = result(sentence)
    wrapped = [result({"output": sentence}), result({"result": sentence})]
    return draw.choose([plain, plain, result(sentence, raw=True), *wrapped]), sentence + "."


def number_result(draw):
    number = draw.any_number()
    return result(number), f"The result is {number}."


def done_result(draw):
    return result(draw.choose([{"ok": True}, {"success": True}, {"status": "ok"}, "ok", "done"])), "Done."


def empty_result(draw):
    return result(draw.choose([[], {"results": []}, {"items": []}])), "I found nothing."


def list_result(draw):
    found = [draw.choose([draw.name(), draw.person(), draw.word()]) for _ in range(draw.between(1, 4))]
    return result(draw.choose([found, {"results": found}])), "I found: " + ", ".join(found) + "."


def error_result(draw):
    error = error_text(draw)
    return result(draw.choose([{"error": error}, {"error": error}, "Error: " + error])), f"That did not work: {error}."


def error_text(draw):
    return draw.choose(
        [
            f"{draw.choose(NOUNS)} not found",
            f"no {draw.choose(NOUNS)} with this id",
            "permission denied",
            "service unavailable",
            "timeout",
            f"{draw.choose(NOUNS)} is closed",
            "invalid date",
            f"{draw.person()} is unknown",
            f"limit of {draw.number()} reached",
            "network error",
            f"The tool {draw.word()} failed",
            f"The tool {draw.word()} did not answer within {draw.choose([10, 30, 60])}000 ms",
        ]
    )


def record_result(draw):
    record = {}
    for _ in range(draw.choose([1, 1, 2, 2, 3])):
        key = draw.choose(
            [
                "status", "result", "id", "confirmation", "temperature", "total", "price", "count", "owner", "message",
                "location", "date", "score", "reference", "balance", "available", draw.word(),
            ]
        )  # fmt: skip
        record[key] = field_value(draw, key)
    shown = lambda value: ("true" if value else "false") if isinstance(value, bool) else value
    said = "The " + ", the ".join(f"{key} is {shown(value)}" for key, value in record.items()) + "."
    return result(record if draw.chance(0.85) else {"output": record}), said


def field_value(draw, key):
    values = {
        "status": lambda: draw.choose(["confirmed", "pending", "done", "shipped", "failed", "active", "open"]),
        "id": lambda: draw.identifier().strip("#"),
        "temperature": lambda: draw.between(-20, 110),
        "total": lambda: draw.number(1, 999999999),
        "price": lambda: round(draw.random.uniform(1, 9999), 2),
        "count": lambda: draw.number(1, 999),
        "owner": draw.person,
        "location": draw.place,
        "date": lambda: str(draw.date()),
        "score": lambda: draw.between(0, 100),
        "balance": draw.any_number,
        "available": lambda: draw.chance(0.5),
    }
    words = lambda: " ".join(draw.word() for _ in range(draw.between(1, 3)))
    return values.get(key, words)()


RESULTS = [
    (0.25, sentence_result),
    (0.32, number_result),
    (0.38, done_result),
    (0.42, empty_result),
    (0.48, list_result),
    (0.53, error_result),
]
