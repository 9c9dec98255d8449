"""Conversations that call one custom function; results of functions and the answers to them."""

from messages import answer, call, result, user
from words import CONDITIONS, NOUNS

from kinds.functions import function, request

NOTHING_FITS = "None of my functions can do that."


def function_episode(draw, offered):
    if draw.chance(0.05):
        other = function(draw)
        if all(other.noun != made.noun and other.verb != made.verb for made in offered):
            return [user(request(draw, other)[0]), answer(NOTHING_FITS)]
    made = draw.choose(offered)
    question, arguments = request(draw, made)
    found, said = function_result(draw)
    asked = [user(question), call(made.name, arguments)]
    closed = {parameter.key for parameter in made.parameters if parameter.options}
    texts = [key for key, value in arguments.items() if isinstance(value, str) and key not in closed]
    if texts and draw.chance(0.05):
        asked += corrected_call(draw, made, arguments, draw.choose(texts))
    return asked + [found, answer(said)]


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
        ]
    )


def record_result(draw):
    record = {}
    for _ in range(draw.choose([1, 2, 2, 3])):
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
