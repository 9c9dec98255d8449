"""Writes evaluation cases for `pnpm eval:tiny` as JSON lines: one free-running episode each, with what the tools will
find and what the model should call and answer. Words are held out from training; with `--wordings new` the sentences
are too. `--wordings documented` gives the examples of the format's documentation.

    for wordings in known new documented; do python3 cases.py --count 100 --wordings $wordings; done > cases.jsonl

A search case carries documents for a real search; where the search is meant to fail or an engine's answer is made up,
the tool's results are part of the case. Python always runs for real.
"""

import argparse
import json

from conversation import BEHAVIOURS, MATHS, PYTHON, SEARCH, conversation
from documented import documented_cases
from draw import Draw

SCRIPTED_PARAMETERS = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="cases per behaviour (default %(default)s)")
    parser.add_argument("--wordings", choices=["known", "new", "documented"], default="known")
    parser.add_argument("--seed", default="free-running")
    option = parser.parse_args()
    if option.wordings == "documented":
        for number, documented in enumerate(documented_cases()):
            print(json.dumps({"id": f"documented-{number}", **documented}, ensure_ascii=False))
        return
    draw = Draw(option.seed, "test", 1.0 if option.wordings == "new" else 0.0)
    for behaviour in BEHAVIOURS:
        written = 0
        while written < option.count:
            messages, options = conversation(draw, behaviour, single=True)
            if not has_staged_failure(messages):
                label = f"{behaviour}/{option.wordings}-{written}"
                print(json.dumps({"id": label, **case(messages, options)}, ensure_ascii=False))
                written += 1


def has_staged_failure(messages):
    """Whether a call is wrong on purpose, or Python fails in a way that it would not in truth."""
    for before, message in zip(messages, messages[1:]):
        if "call" not in before:
            continue
        wrong_on_purpose = not before.get("target", True) and not before.get("past_form")
        if wrong_on_purpose or (before["call"][0] == PYTHON and "[stderr]" in str(message["content"])):
            return True
    return False


def case(messages, options):
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    question = next(message["content"] for message in messages if message["role"] == "user")
    calls = [
        (*before["call"], message["content"]) for before, message in zip(messages, messages[1:]) if "call" in before
    ]
    found = [result for name, _, result in calls if name == SEARCH]
    documents = documents_of(found, [arguments["query"] for name, arguments, _ in calls if name == SEARCH])
    scripted = {name for name, _, _ in calls} - {PYTHON} - ({SEARCH} if documents else set())
    builtins = options["builtins"]
    if builtins is not None and PYTHON not in builtins and any(name == PYTHON for name, _, _ in calls):
        builtins = [*builtins, PYTHON]  # the layout never lists it: the prompt stays the same
    return {
        **({"system": system} if system else {}),
        **({"builtin_tools": builtins} if builtins is not None else {}),
        **({"documents": documents} if documents else {}),
        **tools(options, calls, scripted),
        "tools_in_user_message": options["tools_in_user"],
        "date": options["date"],
        "question": question,
        "expectCalls": [expected(name, arguments) for name, arguments, _ in calls],
        "expectAnswer": [messages[-1]["content"].removesuffix(".")],
    }


def documents_of(results, queries):
    """{title: text} from which a search would give these results, or None where some result is empty or an error."""
    documents = {}
    for result, query in zip(results, queries):
        if isinstance(result, str) and not result.startswith(("Error", "No results")):
            documents[query] = result
        elif isinstance(result, dict) and result.get("top_k"):
            for hit in result["top_k"]:
                documents.setdefault(hit["title"], hit["description"])
        else:
            return None
    return documents or None


def tools(options, calls, scripted):
    """Custom functions, and built-in tools whose results are scripted, with a result for each expected call."""
    offered = [schema.get("function", schema) for schema in options["tools"] or []]
    for name in (SEARCH, MATHS):
        if name in scripted:
            offered.append({"name": name, "description": name, "parameters": SCRIPTED_PARAMETERS})
    entries = []
    for schema in offered:
        results = [
            {"arguments": arguments, "result": result} for name, arguments, result in calls if name == schema["name"]
        ]
        entries.append({"schema": schema, "results": results})
    return {"tools": entries} if entries else {}


def expected(name, arguments):
    """Code may be written in more than one way; any other call is as good as its arguments."""
    return {"name": name} if name == PYTHON else {"name": name, "arguments": arguments}


if __name__ == "__main__":
    main()
