"""A conversation in, the text of the Llama 3.1 / 3.3 Hugging Face layout out, in segments of which
some are to be learnt. Knows nothing of tokens.

A message is a dict with `role` (system, user, assistant, tool) and `content`; an assistant message may
instead hold `call=(name, arguments)`. On an assistant message `target` (default True) marks text that the
model has to learn. A code call is written as bare code behind the python tag, which is how a model
writes it; `past_form=True` writes it as `code_interpreter.call(code="…")`, the form that the layout gives to
past turns. `raw=True` on a tool message prints a string result without JSON quotes.
"""

import json

BEGIN, START_HEADER, END_HEADER = "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>"
EOT, EOM, PYTHON_TAG = "<|eot_id|>", "<|eom_id|>", "<|python_tag|>"
DEFAULT_DATE = "26 Jul 2024"

ANSWER_FORM = (
    'Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.'
    "Do not use variables.\n\n"
)
PREAMBLE_IN_SYSTEM = (
    "You have access to the following functions. To call a function, please respond with JSON for a function call."
    + ANSWER_FORM
)
PREAMBLE_IN_USER = (
    "Given the following functions, please respond with a JSON for a function call with its proper arguments "
    "that best answers the given prompt.\n\n" + ANSWER_FORM
)


def render(messages, tools=None, builtins=None, tools_in_user=True, date=DEFAULT_DATE, add_generation_prompt=False):
    """The whole conversation as one string."""
    return "".join(text for text, _ in segments(messages, tools, builtins, tools_in_user, date, add_generation_prompt))


def segments(messages, tools=None, builtins=None, tools_in_user=True, date=DEFAULT_DATE, add_generation_prompt=False):
    """[(text, is_target)]. `tools`: None or a list of schemas; `builtins`: None or a list of built-in tool names."""
    turns = list(messages)
    system_text = turns.pop(0)["content"].strip() if turns and turns[0]["role"] == "system" else ""
    listing = "".join(dumps(tool, indent=4) + "\n\n" for tool in tools or [])
    in_system = PREAMBLE_IN_SYSTEM + listing if tools is not None and not tools_in_user else ""
    opening = BEGIN + system_message(tools, builtins, date, in_system + system_text)
    if tools is not None and tools_in_user:
        opening += header("user") + PREAMBLE_IN_USER + listing + turns.pop(0)["content"].strip() + EOT
    parts = [(opening, False)]
    for turn in turns:
        parts += turn_segments(turn, builtins)
    if add_generation_prompt:
        parts.append((header("assistant"), False))
    return parts


def system_message(tools, builtins, date, text):
    lines = header("system")
    if builtins is not None or tools is not None:
        lines += "Environment: ipython\n"
    if builtins is not None:
        lines += "Tools: " + ", ".join(name for name in builtins if name != "code_interpreter") + "\n\n"
    return lines + f"Cutting Knowledge Date: December 2023\nToday Date: {date}\n\n" + text + EOT


def turn_segments(turn, builtins):
    if turn["role"] == "tool":
        return [(header("ipython") + tool_result(turn) + EOT, False)]
    if "call" in turn:
        return [(header("assistant"), False), (call_text(turn, builtins), turn.get("target", True))]
    body = turn["content"].strip() + EOT
    if turn["role"] == "assistant":
        return [(header("assistant"), False), (body, turn.get("target", True))]
    return [(header(turn["role"]) + body, False)]


def tool_result(turn):
    content = turn["content"]
    quoted = isinstance(content, (dict, list)) or (isinstance(content, str) and not turn.get("raw"))
    return dumps(content) if quoted else str(content)


def call_text(turn, builtins):
    name, arguments = turn["call"]
    end = EOT if builtins is None else EOM
    if builtins is not None and name == "code_interpreter" and not turn.get("past_form"):
        return PYTHON_TAG + arguments["code"] + end  # the layout never lists code_interpreter, so no look-up here
    if builtins is not None and name in builtins:
        listed = ", ".join(f'{key}="{value}"' for key, value in arguments.items())
        return f"{PYTHON_TAG}{name}.call({listed}){end}"
    return '{"name": "' + name + '", "parameters": ' + dumps(arguments) + "}" + end


def header(role):
    return START_HEADER + role + END_HEADER + "\n\n"


def dumps(value, indent=None):
    return json.dumps(value, ensure_ascii=False, indent=indent)
