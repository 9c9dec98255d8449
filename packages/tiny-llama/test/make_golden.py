"""Writes golden.json, by which engines are tested: for five prompts the token ids, 16 logits of the last position and
40 greedy tokens; for held-out.json its perplexity. All from the double-precision numpy forward.

    python3 make_golden.py              # needs python3-numpy and python3-regex; about half a minute
"""

import json
import math
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "recipe"))

import render
from numpy_llama import NumpyLlama
from tokenizer import Tokenizer

CHECKPOINT = HERE.parent / "checkpoint"
GREEDY_TOKENS = 40
LOGITS = 16


def main():
    model, tokenizer = NumpyLlama(CHECKPOINT), Tokenizer(CHECKPOINT / "tokenizer.json")
    held_out = json.loads((HERE / "held-out.json").read_text())
    golden = {
        "about": "Made by make_golden.py. logits: the 16 largest of the last position, as [id, value].",
        "prompts": [golden_prompt(model, tokenizer, name, text) for name, text in prompts()],
        "perplexity": perplexity(model, held_out["conversations"]),
    }
    (HERE / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")


def prompts():
    """Name and text of five prompts: the layout's main forms, a long one, and one outside of the layout."""
    episodes = {episode["id"]: episode for episode in json.loads((HERE / "episodes.json").read_text())}
    yield "search", prompt_of(episodes["weather"], steps=0)
    yield "after two searches", prompt_of(episodes["sample-heights"], steps=2)
    yield "custom function in the user turn", prompt_of(episodes["conditions-user"], steps=1)
    yield "custom function in the system turn", prompt_of(episodes["order-cancel-system"], steps=1)
    yield "bare text beyond ASCII", render.BEGIN + "Qhapaq Ñan: 40,000 km — 道路 🏔️\n"


def prompt_of(episode, steps):
    messages = [{"role": "system", "content": episode["system"]}, {"role": "user", "content": episode["question"]}]
    for step in episode["steps"][:steps]:
        messages.append({"role": "assistant", "call": (step["call"]["name"], step["call"]["arguments"])})
        messages.append({"role": "tool", "content": step["result"]})
    return render.render(
        messages,
        tools=episode.get("tools"),
        builtins=episode.get("builtinTools"),
        tools_in_user=episode.get("toolsIn", "user") == "user",
        date=episode["date"],
        add_generation_prompt=True,
    )


def golden_prompt(model, tokenizer, name, text):
    ids = tokenizer.encode(text)
    logits = model.extend(model.start(), ids)[-1]
    top = np.argsort(-logits, kind="stable")[:LOGITS]
    greedy = model.greedy(ids, GREEDY_TOKENS, stop=())
    return {
        "name": name,
        "text": text,
        "ids": ids,
        "logits": [[int(id), round(float(logits[id]), 9)] for id in top],
        "greedy": greedy,
        "smallestMargin": round(smallest_margin(model, ids, greedy), 6),
    }


def smallest_margin(model, ids, greedy):
    """The smallest gap between the first and second logit along the greedy path: how much error the path bears."""
    rows = np.sort(model.extend(model.start(), ids + greedy)[len(ids) - 1 : -1], axis=-1)
    return float((rows[:, -1] - rows[:, -2]).min())


def perplexity(model, conversations):
    """exp of the mean negative log-likelihood: over the assistant's tokens, and over all but each text's first."""
    sums = {"assistant": [0.0, 0], "all": [0.0, 0]}
    for conversation in conversations:
        ids = conversation["ids"]
        logits = model.extend(model.start(), ids)[:-1]
        peak = logits.max(-1, keepdims=True)
        loss = np.log(np.exp(logits - peak).sum(-1)) + peak[:, 0] - logits[np.arange(len(ids) - 1), ids[1:]]
        written = np.concatenate([loss[start - 1 : end - 1] for start, end in conversation["assistant"]])
        for name, losses in (("assistant", written), ("all", loss)):
            sums[name][0] += float(losses.sum())
            sums[name][1] += len(losses)
    figures = {name: {"tokens": n, "value": round(math.exp(total / n), 9)} for name, (total, n) in sums.items()}
    return {"file": "held-out.json", **figures}


if __name__ == "__main__":
    main()
