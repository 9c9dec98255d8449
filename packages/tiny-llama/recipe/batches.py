"""Batches of tokens: conversations and token-level copy drills, sorted by length into rows of equal width. A seed and
a pool number in, the pool's batches out: the same each time, so that a run can go on from any step.
"""

import torch
from conversation import example
from draw import Draw

LONGEST = 1024  # what is longer loses its end
BATCHES_PER_POOL = 24
DRILL_TOKENS_FROM = 200  # smaller ids are single bytes, most of which no text of ours holds


def pool(tokenizer, seed, number, tokens_per_batch, mix):
    """[(ids (rows, width), target mask (rows, width))], about BATCHES_PER_POOL of them. `mix`: kind -> share; the kind
    "token drill" repeats random ids."""
    draw = Draw(f"{seed}/{number}", pieces=tokenizer.lower_case_pieces)
    kinds, shares = list(mix), list(mix.values())
    items, tokens = [], 0
    while tokens < tokens_per_batch * BATCHES_PER_POOL:
        kind = draw.random.choices(kinds, shares)[0]
        item = token_drill(tokenizer, draw.random) if kind == "token drill" else encode(tokenizer, example(draw, kind))
        ids, target = (of_item[:LONGEST] for of_item in item)
        if any(target):  # a long list of functions may leave no room for a call
            items.append((ids, target))
            tokens += len(ids)
    items.sort(key=lambda item: len(item[0]) + draw.random.random() * 16)
    rows = in_rows(items, tokens_per_batch)
    draw.random.shuffle(rows)
    return [to_tensors(batch, tokenizer.special["<|finetune_right_pad_id|>"]) for batch in rows]


def encode(tokenizer, segments):
    """(ids, is target)"""
    ids, target = [], []
    for text, learnt in segments:
        encoded = tokenizer.encode(text)
        ids += encoded
        target += [learnt] * len(encoded)
    return ids, target


def token_drill(tokenizer, random):
    """Random ids that the assistant repeats, all of them or from a given one on: every entry gets copied."""
    last = tokenizer.size - len(tokenizer.special)
    ids = [random.randrange(DRILL_TOKENS_FROM, last) for _ in range(random.randint(4, 90))]
    ask = tokenizer.encode("<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n")
    reply = tokenizer.encode("<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")
    end = tokenizer.special["<|eot_id|>"]
    if random.random() < 0.5:
        given, wanted = [], ids
    else:
        start = random.randrange(len(ids))
        span = ids[start : start + random.randint(3, 40)]
        given, wanted = span[:1], span[1:]
    whole = not given
    prompt = ask + ids + reply + given
    return prompt + wanted + [end], [False] * len(prompt) + [True] * len(wanted) + [whole]


def in_rows(items, tokens_per_batch):
    rows, batch, longest = [], [], 0
    for item in items:
        longest_with = max(longest, len(item[0]))
        if batch and longest_with * (len(batch) + 1) > tokens_per_batch:
            rows.append(batch)
            batch, longest_with = [], len(item[0])
        batch.append(item)
        longest = longest_with
    return rows + [batch] if batch else rows


def to_tensors(batch, padding):
    width = (max(len(ids) for ids, _ in batch) + 31) // 32 * 32 + 1
    all_ids = torch.full((len(batch), width), padding, dtype=torch.long)
    all_targets = torch.zeros((len(batch), width), dtype=torch.bool)
    for row, (ids, target) in enumerate(batch):
        all_ids[row, : len(ids)] = torch.tensor(ids)
        all_targets[row, : len(ids)] = torch.tensor(target, dtype=torch.bool)
    return all_ids, all_targets
