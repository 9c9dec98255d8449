"""Whole conversations: a system turn with its tools, and one to four episodes that share them. A seed and a kind in,
messages and render options out.

    python3 conversation.py several 3     # prints three conversations, what is to be learnt in brackets
"""

import sys

import render
from draw import Draw
from kinds.built_in_chain import built_in_chain
from kinds.chat import chat_episode, no_tools_episode
from kinds.conditions import conditions_episode
from kinds.drill import drill_episode
from kinds.facts import fact
from kinds.function_calls import NOTHING_FITS, function_episode
from kinds.function_chain import function_chain
from kinds.functions import functions, schema
from kinds.maths import maths_episode
from kinds.python_code import python_episode
from kinds.search import failed_search, search_episode
from words import SYSTEM_TEXTS

SEARCH, MATHS, PYTHON = "brave_search", "wolfram_alpha", "code_interpreter"
WEB = [SEARCH, MATHS]

#: Shares of the kinds in training, relative to each other.
MIX = {"search": 20, "maths": 8, "python": 15, "functions": 52, "several": 24, "chat": 9, "errors": 4, "drill": 1}
MIXED = ["search"] * 6 + ["maths"] * 3 + ["python"] * 4 + ["chain"] * 2 + ["chat"] * 2
#: How many episodes follow the first: a system turn with its tools costs tokens that teach nothing.
FURTHER = [0, 1, 2, 3, 4, 5]
FUNCTION_EPISODES = [1, 3, 4, 5, 6, 7, 8]
#: What an evaluation covers.
BEHAVIOURS = ["search", "maths", "python", "functions", "several", "chat", "errors"]


def conversation(draw, kind, single=False):
    """(messages, options of render.segments). `single`: one episode only."""
    further = 0 if single else draw.choose(FURTHER)
    setting = {"builtins": None, "tools": None, "date": spoken_date(draw)}
    messages = COMPOSE[kind](draw, setting, further, single)
    persona = draw.pick(SYSTEM_TEXTS)
    if draw.chance(0.08):
        persona = f"You are {draw.name()}, a helpful assistant."
    if persona:
        messages.insert(0, {"role": "system", "content": persona})
    return messages, {**setting, "tools_in_user": draw.chance(0.6)}


def example(draw, kind, single=False):
    """[(text, is to be learnt)]"""
    messages, options = conversation(draw, kind, single)
    return render.segments(messages, **options)


def spoken_date(draw):
    short = draw.chance(0.85)
    return draw.date().strftime("%d %b %Y" if short else "%d %B %Y")


def search(draw, setting, further, _):
    setting["builtins"] = draw.choose([WEB, WEB + [PYTHON], WEB, [SEARCH], [SEARCH, PYTHON]])
    if draw.chance(0.02):
        setting["builtins"] = draw.choose([[PYTHON], [MATHS]])
    return search_episode(draw, setting["builtins"]) + mixed(draw, setting, further)


def maths(draw, setting, further, _):
    setting["builtins"] = draw.choose([WEB, WEB + [PYTHON], WEB, [MATHS], [PYTHON]])
    return maths_episode(draw, setting["builtins"]) + mixed(draw, setting, further)


def python(draw, setting, further, _):
    setting["builtins"] = draw.choose([[PYTHON], [PYTHON], WEB, WEB + [PYTHON], [SEARCH, PYTHON]])
    return python_episode(draw) + mixed(draw, setting, further)


def errors(draw, setting, further, _):
    setting["builtins"] = draw.choose([WEB])
    return failed_search(draw, fact(draw)) + mixed(draw, setting, further)


def mixed(draw, setting, count):
    """Further episodes with the built-in tools at hand."""
    with_search = SEARCH in setting["builtins"]
    names = MIXED if with_search else ["maths", "python", "python", "chat"]
    return [message for _ in range(count) for message in episode(draw, draw.choose(names), setting)]


def episode(draw, name, setting):
    if name == "search":
        return search_episode(draw, setting["builtins"])
    if name == "maths":
        return maths_episode(draw, setting["builtins"])
    if name == "python":
        return python_episode(draw)
    return built_in_chain(draw) if name == "chain" else chat_episode(draw, setting["date"])


def functions_offered(draw, setting, _, single):
    if draw.chance(0.07):
        setting["tools"], messages = conditions_episode(draw)
        return messages
    offered = functions(draw)
    draw.random.shuffle(offered)
    setting["tools"] = [schema(draw, made) for made in offered]
    messages = []
    for _ in range(1 if single else draw.choose(FUNCTION_EPISODES)):
        talk = not draw.chance(0.96)
        messages += chat_episode(draw, setting["date"]) if talk else function_episode(draw, offered)
    refused = any(message.get("content") == NOTHING_FITS for message in messages)
    if draw.chance(0.1) and not refused:  # a built-in tool might fit after all
        setting["builtins"] = draw.choose([WEB, [PYTHON], WEB + [PYTHON]])
    return messages


def several(draw, setting, further, _):
    if draw.chance(0.45):
        setting["builtins"] = draw.choose([WEB, WEB + [PYTHON], [SEARCH, PYTHON]])
        messages = built_in_chain(draw)
        for _ in range(further):
            messages += episode(draw, draw.choose(["search", "python", "chain", "chain"]), setting)
        return messages
    setting["tools"], needed, messages = function_chain(draw)
    if needed == [PYTHON]:
        setting["builtins"] = draw.choose([[PYTHON], WEB + [PYTHON], [SEARCH, PYTHON]])
    elif needed == [SEARCH]:
        setting["builtins"] = draw.choose([[SEARCH, PYTHON], WEB])
    return messages


def chat(draw, setting, further, _):
    setting["builtins"] = draw.choose([None, None, WEB, [PYTHON], WEB + [PYTHON]])
    if setting["builtins"] is None and draw.chance(0.35):
        messages = no_tools_episode(draw)
    else:
        messages = chat_episode(draw, setting["date"])
    for _ in range(further):
        messages += chat_episode(draw, setting["date"])
    return messages


def drill(draw, *_):
    return drill_episode(draw)


COMPOSE = {
    "search": search,
    "maths": maths,
    "python": python,
    "functions": functions_offered,
    "several": several,
    "chat": chat,
    "errors": errors,
    "drill": drill,
}


def main(kind, count=1):
    draw = Draw(1)
    for _ in range(int(count)):
        print("".join(f"⟦{text}⟧" if learnt else text for text, learnt in example(draw, kind)), end="\n\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
