"""The messages that conversations are made of; see render.py for their form."""

PAST_FORM_SHARE = 0.1
RAW_SHARE = 0.15  # the project quotes strings, as the layout does; other servers print them raw


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
    return result(f"completed\n[stdout]\n{output}{line_end}\n[/stdout]", raw=draw.chance(RAW_SHARE))


def python_failure(draw, error):
    return result(f"error\n[stderr]\n{error}\n[/stderr]", raw=draw.chance(RAW_SHARE))
