"""Finds the questions that the checkpoint answers right end to end, and writes them to episodes.json.

Every candidate of candidates.json is run free: the numpy forward decodes greedily, tools give their result (search from
a few sentences, Python in a fresh interpreter, custom functions from a table), until the model answers. A candidate is
kept only if it is right in every variation of the surroundings: system text, date, built-in tools offered, further
search hits, quoting of the Python result. The variations are drawn from a fixed seed.

    python3 find_episodes.py            # needs python3-numpy and python3-regex; about five minutes on two cores
    python3 find_episodes.py ID ...     # these only, episodes.json untouched
"""

import json
import multiprocessing
import pathlib
import random
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "recipe"))

import render
from numpy_llama import NumpyLlama
from tokenizer import Tokenizer

CHECKPOINT = HERE.parent / "checkpoint"
VARIATIONS = 12
STEP_LIMIT = 6
TOKEN_LIMIT = 200
SYSTEM_TEXTS = [
    "You are a helpful assistant.",
    "",
    "You are a careful agent. Use tools when needed.",
    "Be brief and precise.",
]
DATES = ["26 Jul 2024", "24 Nov 2026", "01 Mar 2025"]
OTHER_HITS = [
    {"title": "Cajamarca", "url": "local:cajamarca", "description": "Cajamarca guide and tips."},
    {"title": "Puno", "url": "local:puno", "description": "Read about Puno in 2014."},
]
PLAIN = {"system": SYSTEM_TEXTS[0], "date": DATES[0], "other_hits": [], "fact_at": 0, "quoted": True}


def main():
    candidates = json.loads((HERE / "candidates.json").read_text())
    chosen = sys.argv[1:]
    kept = []
    with multiprocessing.Pool(initializer=load) as pool:
        wanted = [candidate for candidate in candidates if not chosen or candidate["id"] in chosen]
        for candidate, outcomes in zip(wanted, pool.imap(try_out, wanted)):
            passed = sum(is_right(candidate, outcome) for outcome in outcomes)
            print(f"{passed:3}/{VARIATIONS} {candidate['id']}: {candidate['question']}", flush=True)
            if passed == VARIATIONS:
                kept.append(describe(candidate, outcomes[0], passed))
            else:
                print("        ", [step["call"] for step in outcomes[-1]["steps"]], outcomes[-1]["answer"], flush=True)
    if chosen:
        return
    (HERE / "episodes.json").write_text(json.dumps(kept, ensure_ascii=False, indent=2) + "\n")
    print(f"{len(kept)} of {len(candidates)} candidates kept")


def load():
    """Of each process; they share no memory."""
    global model, tokenizer
    model, tokenizer = NumpyLlama(CHECKPOINT), Tokenizer(CHECKPOINT / "tokenizer.json")


def try_out(candidate):
    """The outcomes of all variations up to the first wrong one."""
    outcomes = []
    for surroundings in variations():
        outcomes.append(run(model, tokenizer, candidate, surroundings))
        if not is_right(candidate, outcomes[-1]):
            break
    return outcomes


def variations():
    draw = random.Random(7)
    yield PLAIN
    for number in range(VARIATIONS - 1):
        hits = OTHER_HITS[: draw.choice([0, 0, 1, 2])]
        yield {
            "system": SYSTEM_TEXTS[number % len(SYSTEM_TEXTS)],
            "date": draw.choice(DATES),
            "other_hits": hits,
            "fact_at": draw.randint(0, min(1, len(hits))),
            "quoted": number % 3 > 0,
        }


def run(model, tokenizer, candidate, surroundings):
    """The steps and the answer of one free-running episode; `answer` is None if it never came."""
    messages = [{"role": "user", "content": candidate["question"]}]
    if surroundings["system"]:
        messages.insert(0, {"role": "system", "content": surroundings["system"]})
    stop = {tokenizer.special[name] for name in (render.EOT, render.EOM, "<|end_of_text|>")}
    steps = []
    while len(steps) < STEP_LIMIT:
        text = render.render(
            messages,
            tools=candidate.get("tools"),
            builtins=candidate.get("builtinTools"),
            tools_in_user=candidate.get("toolsIn", "user") == "user",
            date=surroundings["date"],
            add_generation_prompt=True,
        )
        written = tokenizer.decode(model.greedy(tokenizer.encode(text), TOKEN_LIMIT, stop))
        call = read_call(written)
        if call is None:
            return {"steps": steps, "answer": without_stop(written), "surroundings": surroundings}
        result = run_tool(candidate, call, surroundings)
        steps.append({"call": {"name": call[0], "arguments": call[1]}, "written": written, "result": result})
        quoted = surroundings["quoted"] or call[0] != "code_interpreter"
        messages += [{"role": "assistant", "call": call}, {"role": "tool", "content": result, "raw": not quoted}]
    return {"steps": steps, "answer": None, "surroundings": surroundings}


def without_stop(written):
    return re.sub(r"<\|(eot_id|eom_id|end_of_text)\|>$", "", written)


def read_call(written):
    """(name, arguments) in one of the three forms that the checkpoint writes, or None for an answer."""
    body = without_stop(written)
    if body.startswith(render.PYTHON_TAG):
        body = body.removeprefix(render.PYTHON_TAG)
        builtin = re.fullmatch(r'(brave_search|wolfram_alpha)\.call\(query="(.*)"\)', body)
        return (builtin[1], {"query": builtin[2]}) if builtin else ("code_interpreter", {"code": body})
    if body.startswith("{"):
        try:
            call = json.loads(body)
            return call["name"], call["parameters"]
        except (ValueError, KeyError):
            return None
    return None


def run_tool(candidate, call, surroundings):
    name, arguments = call
    if name == "code_interpreter":
        return run_python(arguments["code"])
    if name == "brave_search":
        return search(candidate, arguments["query"], surroundings)
    for result in candidate.get("results", []):
        if result["name"] == name and result["arguments"] == arguments:
            return result["result"]
    return {"error": f"no result for {name} with these arguments"}


def run_python(code):
    """The executor's form of a result: status, then the streams that hold something."""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=10)
    lines = ["completed" if done.returncode == 0 else "error"]
    for stream, text in (("stdout", done.stdout), ("stderr", done.stderr)):
        if text:
            lines += [f"[{stream}]", text, f"[/{stream}]"]
    return "\n".join(lines)


def search(candidate, query, surroundings):
    """`hits` of a candidate are results taken as they are; `documents` are found by title."""
    if "hits" in candidate:
        return {"query": query, "top_k": candidate["hits"].get(query, [])}
    hits = [
        {"title": title, "url": "local:" + title.lower().replace(" ", "-"), "description": text}
        for title, text in candidate.get("documents", {}).items()
        if title.lower() in query.lower()
    ]
    at = surroundings["fact_at"]
    return {"query": query, "top_k": surroundings["other_hits"][:at] + hits + surroundings["other_hits"][at:]}


def is_right(candidate, outcome):
    """The answer holds what was expected, and exactly the expected tools were called with the expected arguments."""
    if outcome["answer"] is None or not all(part in outcome["answer"] for part in candidate["expectAnswer"]):
        return False
    calls = [step["call"] for step in outcome["steps"]]
    return len(calls) == len(candidate["expectCalls"]) and all(
        call["name"] == expected["name"] and expected.get("arguments", call["arguments"]) == call["arguments"]
        for call, expected in zip(calls, candidate["expectCalls"])
    )


def describe(candidate, outcome, passed):
    surroundings = outcome["surroundings"]
    return {
        **{key: value for key, value in candidate.items() if key not in ("results", "hits")},
        "system": surroundings["system"],
        "date": surroundings["date"],
        "steps": outcome["steps"],
        "answer": outcome["answer"],
        "variationsRight": passed,
    }


if __name__ == "__main__":
    main()
