"""How often the model writes whole assistant turns exactly, given the right history. If the likeliest token is the
right one at every place of a turn, greedy decoding writes exactly that turn. Three columns: calls, answers (turns
without a call), and whole episodes. `bench/eval-tiny.mjs` measures free-running episodes; this is the quick look
during training.

    python3 evaluate.py run 200
"""

import collections
import pathlib
import sys

import batches
import torch
from conversation import BEHAVIOURS, example
from draw import Draw
from llama import Config, logits, rounded_to_bf16
from tokenizer import Tokenizer

TOKENS_AT_ONCE = 5000
SETTINGS = {
    "fresh words, wordings of training": ("train", 0.0),
    "held-out words": ("test", 0.0),
    "held-out words and wordings": ("test", 1.0),
}


@torch.no_grad()
def evaluate(config, weights, tokenizer, count, behaviours, split="test", new_wording=0.0, seed="evaluation"):
    """({behaviour: {column: per cent}}, [(behaviour, before, right, written)] of the first wrong turns)"""
    weights = rounded_to_bf16(weights)
    items = examples(tokenizer, count, behaviours, Draw(seed, split, new_wording))
    right, total, wrong = collections.Counter(), collections.Counter(), []
    for batch in in_batches(items):
        ids, _ = batches.to_tensors([(ids, target) for _, ids, target in batch], 0)
        best = logits(config, weights, ids.to(next(iter(weights.values())).device)).argmax(-1).cpu().tolist()
        for (behaviour, ids, target), likeliest in zip(batch, best):
            whole = True
            for start, end in turns(target):
                text = tokenizer.decode(ids[start:end])
                column = "call" if text.startswith(("<|python_tag|>", '{"name"')) else "answer"
                exact = likeliest[start - 1 : end - 1] == ids[start:end]
                count_in(right, total, (behaviour, column), exact)
                whole = whole and exact
                if not exact:
                    before = tokenizer.decode(ids[max(0, start - 60) : start])
                    wrong.append((behaviour, before, text, tokenizer.decode(likeliest[start - 1 : end - 1])))
            count_in(right, total, (behaviour, "episode"), whole)
    figures = {behaviour: {} for behaviour in behaviours}
    for (behaviour, column), number in sorted(total.items()):
        figures[behaviour][column] = round(100 * right[behaviour, column] / number, 1)
    return figures, wrong


def count_in(right, total, key, exact):
    total[key] += 1
    right[key] += exact


def examples(tokenizer, count, behaviours, draw):
    """Episodes of up to LONGEST tokens, shortest first."""
    items = []
    for behaviour in behaviours:
        kept = 0
        while kept < count:
            ids, target = batches.encode(tokenizer, example(draw, behaviour, single=True))
            if len(ids) <= batches.LONGEST:
                items.append((behaviour, ids, target))
                kept += 1
    return sorted(items, key=lambda item: len(item[1]))


def in_batches(items):
    batch = []
    for item in items:
        if batch and len(item[1]) * (len(batch) + 1) > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def turns(target):
    """[start, end) of every run of tokens to be learnt."""
    start = None
    for at, learnt in enumerate([*target, False]):
        if learnt and start is None:
            start = at
        elif not learnt and start is not None:
            yield start, at
            start = None


def main(folder, count="200"):
    folder = pathlib.Path(folder)
    tokenizer = Tokenizer(folder / "tokenizer.json")
    state = torch.load(folder / "state.pt")
    print(f"step {state['step']}, {state['tokens']} tokens")
    for title, (split, new_wording) in SETTINGS.items():
        print(title)
        config = Config(vocabulary=tokenizer.size)
        figures, wrong = evaluate(
            config, state["weights"], tokenizer, int(count), BEHAVIOURS, split, new_wording, seed="final"
        )
        for behaviour, columns in figures.items():
            print(f"  {behaviour:10}", columns, flush=True)
        for behaviour, before, text, written in wrong[:14] if split == "test" else []:
            print(f"  wrong, {behaviour}: …{before!r}\n    right   {text!r}\n    written {written!r}")


if __name__ == "__main__":
    main(*sys.argv[1:])
