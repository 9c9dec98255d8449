"""Trains the byte-level BPE vocabulary on generated conversations and writes a Hugging Face tokenizer.json.

python3 train_tokenizer.py tokenizer.json [size]
"""

import collections
import heapq
import json
import sys

from conversation import MIX, example
from draw import Draw
from tokenizer import BYTE_TO_CHARACTER, PIECE_PATTERN, SPECIAL_TOKENS, split_pieces, split_special, to_characters

VOCABULARY_SIZE = 2048
CONVERSATIONS = 10_000


def train(path, size=VOCABULARY_SIZE):
    counts = collections.Counter()
    for text in sample_texts():
        for part in split_special(text):
            if part and part not in SPECIAL_TOKENS:
                counts.update(split_pieces(part))
    alphabet = sorted(BYTE_TO_CHARACTER.values())
    merges = learn_merges(counts, size - len(alphabet) - len(SPECIAL_TOKENS))
    tokens = alphabet + [left + right for left, right in merges]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(tokenizer_json(tokens, merges), file, ensure_ascii=False)


def sample_texts():
    draw = Draw("tok")
    kinds, shares = list(MIX), list(MIX.values())
    for _ in range(CONVERSATIONS):
        yield "".join(text for text, _ in example(draw, draw.random.choices(kinds, shares)[0]))


def learn_merges(counts, wanted):
    """The `wanted` most frequent merges, each counted after the ones before it; ties in the order of the alphabet."""
    words = [(list(to_characters(piece)), count) for piece, count in counts.items()]
    frequency, holders = collections.Counter(), collections.defaultdict(set)
    for index, (symbols, count) in enumerate(words):
        for pair in zip(symbols, symbols[1:]):
            frequency[pair] += count
            holders[pair].add(index)
    queue = [(-count, pair) for pair, count in frequency.items()]
    heapq.heapify(queue)
    merges = []
    while len(merges) < wanted and queue:
        count, pair = heapq.heappop(queue)
        if frequency[pair] != -count:  # an old entry: put it back with what it counts now
            if frequency[pair] > 0:
                heapq.heappush(queue, (-frequency[pair], pair))
            continue
        merges.append(pair)
        for changed in merge_everywhere(words, frequency, holders, pair):
            if frequency[changed] > 0:
                heapq.heappush(queue, (-frequency[changed], changed))
    return merges


def merge_everywhere(words, frequency, holders, pair):
    """Joins the pair in every word that holds it; gives the pairs whose counts changed."""
    changed = set()
    for index in list(holders[pair]):
        symbols, count = words[index]
        for old in zip(symbols, symbols[1:]):
            frequency[old] -= count
            holders[old].discard(index)
            changed.add(old)
        joined = join(symbols, pair)
        words[index] = (joined, count)
        for new in zip(joined, joined[1:]):
            frequency[new] += count
            holders[new].add(index)
            changed.add(new)
    return changed


def join(symbols, pair):
    joined, at = [], 0
    while at < len(symbols):
        if tuple(symbols[at : at + 2]) == pair:
            joined.append(pair[0] + pair[1])
            at += 2
        else:
            joined.append(symbols[at])
            at += 1
    return joined


def tokenizer_json(tokens, merges):
    """The file's content in the layout that Llama 3's tokenizer.json has. Special tokens stand last."""
    begin = SPECIAL_TOKENS[0]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": len(tokens) + at, "content": token, **flags} for at, token in enumerate(SPECIAL_TOKENS)]
    first = {"SpecialToken": {"id": begin, "type_id": 0}}
    second = {"SpecialToken": {"id": begin, "type_id": 1}}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": PIECE_PATTERN}, "behavior": "Isolated", "invert": False}
    template = {
        "type": "TemplateProcessing",
        "single": [first, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [first, {"Sequence": {"id": "A", "type_id": 0}}, second, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {begin: {"id": begin, "ids": [added[0]["id"]], "tokens": [begin]}},
    }
    decoder = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": {"type": "Sequence", "processors": [{**decoder, "trim_offsets": False}, template]},
        "decoder": decoder,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": {token: id for id, token in enumerate(tokens)},
            "merges": [f"{left} {right}" for left, right in merges],
        },
    }


if __name__ == "__main__":
    train(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else VOCABULARY_SIZE)
