"""A byte-level BPE tokenizer.json in, token ids of text out, and back. Special tokens are found by their
literal, because the texts here come from our own renderer and hold no others; an engine that meets outside text
must keep special tokens and text apart.
"""

import json

import regex

#: Letters without a leading space and one digit per piece: a name or a number has the same ids wherever it stands.
PIECE_PATTERN = r" ?[^\s\p{L}\p{N}]+|\p{L}+|\p{N}|\s+"
SPECIAL_TOKENS = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|eot_id|>", "<|eom_id|>", "<|python_tag|>", "<|finetune_right_pad_id|>",
)  # fmt: skip
CACHED_PIECES = 300_000

split_pieces = regex.compile(PIECE_PATTERN).findall
split_special = regex.compile("(" + "|".join(regex.escape(token) for token in SPECIAL_TOKENS) + ")").split


def byte_alphabet():
    """GPT-2's one printable character per byte: printable Latin-1 stays, the rest moves up from U+0100."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in kept]
    return {**{byte: chr(byte) for byte in kept}, **{byte: chr(256 + at) for at, byte in enumerate(moved)}}


BYTE_TO_CHARACTER = byte_alphabet()
CHARACTER_TO_BYTE = {character: byte for byte, character in BYTE_TO_CHARACTER.items()}


def to_characters(text):
    return "".join(BYTE_TO_CHARACTER[byte] for byte in text.encode())


class Tokenizer:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        self.vocabulary = content["model"]["vocab"]
        self.special = {token["content"]: token["id"] for token in content["added_tokens"]}
        self.size = len(self.vocabulary) + len(self.special)
        self.lower_case_pieces = [token for token in self.vocabulary if regex.fullmatch("[a-z]{2,}", token)]
        self._rank = {tuple(merge.split(" ")): rank for rank, merge in enumerate(content["model"]["merges"])}
        self._bytes = {id: bytes(CHARACTER_TO_BYTE[c] for c in token) for token, id in self.vocabulary.items()}
        self._bytes |= {id: token.encode() for token, id in self.special.items()}
        self._cache = {}

    def encode(self, text):
        ids = []
        for part in split_special(text):
            if part in self.special:
                ids.append(self.special[part])
            else:
                for piece in split_pieces(part):
                    ids += self._encode_piece(piece)
        return ids

    def decode(self, ids):
        return b"".join(self._bytes[id] for id in ids).decode("utf-8", "replace")

    def _encode_piece(self, piece):
        ids = self._cache.get(piece)
        if ids is None:
            whole = to_characters(piece)
            ids = [self.vocabulary[whole]] if whole in self.vocabulary else self._merge(list(whole))
            if len(self._cache) < CACHED_PIECES:
                self._cache[piece] = ids
        return ids

    def _merge(self, symbols):
        never = len(self._rank)
        while len(symbols) > 1:
            ranks = [self._rank.get(pair, never) for pair in zip(symbols, symbols[1:])]
            best = min(ranks)
            if best == never:
                break
            at = ranks.index(best)
            symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
        return [self.vocabulary[symbol] for symbol in symbols]
