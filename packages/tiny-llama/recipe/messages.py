"""The messages that conversations are made of; see render.py for their form."""

PAST_FORM_SHARE = 0.1


def user(text):
    return {"role": "user", "content": text}


def answer(text):
    return {"role": "assistant", "content": text}


def call(name, arguments):
    return {"role": "assistant", "call": (name, arguments)}


def result(content, raw=False):
    """A tool result. `raw` prints a string without JSON quotes."""
    return {"role": "tool", "content": content, "raw": raw}


def python_run(draw, code, output):
    """A code call and its result, one in ten of them in the form of past turns, which is not to be learnt."""
    past = draw.chance(PAST_FORM_SHARE)
    written = {**call("code_interpreter", {"code": code}), "past_form": past, "target": not past}
    return [written, python_output(draw, output)]


def python_output(draw, output):
    line_end = "\n" if draw.chance(0.5) else ""
    return result(f"completed\n[stdout]\n{output}{line_end}\n[/stdout]", raw=draw.chance(0.6))


def python_failure(draw, error):
    status = draw.choose(["error", "completed", "error"])
    return result(f"{status}\n[stderr]\n{error}\n[/stderr]", raw=draw.chance(0.6))
