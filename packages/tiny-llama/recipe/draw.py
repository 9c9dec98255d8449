"""Random material for conversations: made-up names, numbers and dates, and sentences from a phrase grammar. One seed
and one split in, the same stream of draws out. Knows nothing of tools or of messages.

A *core* is a sentence with alternatives in square brackets and slots in braces: "[what is|what's] the height of {m}".
`say` picks a core and puts around it a prefix and a suffix, changes of case, lost punctuation and, rarely, a typo,
all before the slots are filled, so that names and numbers stay whole. `ask` puts a part of a sentence into one of the
frames of frames.py first. What begins with "!" is held out: the training split never uses it.
"""

import datetime
import math
import random
import re

from frames import FRAMES, IDLE_WORDS
from words import (
    ASKING,
    CITIES,
    CODAS,
    FIRST_NAMES,
    HELD_OUT_CITIES,
    HELD_OUT_FIRST_NAMES,
    HELD_OUT_LAST_NAMES,
    HELD_OUT_REGIONS,
    HELD_OUT_WORDS,
    LAST_NAMES,
    ONSETS,
    PREFIXES,
    REGIONS,
    SUFFIXES,
    VOWELS,
)  # fmt: skip


class Draw:
    def __init__(self, seed, split="train", new_wording=0.0, pieces=()):
        """`new_wording`: in the test split, the chance that a held-out core is used where there is one. `pieces`: what three
        of ten made-up words are put together from, for training only."""
        self.random = random.Random(f"{seed}-{split}")
        self.held_out = split == "test"
        self.new_wording = new_wording
        self.pieces = pieces

    # ---- choices

    def choose(self, options):
        return self.random.choice(options)

    def chance(self, probability):
        return self.random.random() < probability

    def between(self, low, high):
        return self.random.randint(low, high)

    def pick(self, options):
        """One of the options; those marked ! only in the test split, with chance `new_wording`."""
        marked = [option[1:] for option in options if option.startswith("!")]
        if marked and self.held_out and self.chance(self.new_wording):
            return self.choose(marked)
        return self.choose([option for option in options if not option.startswith("!")])

    def known_or_new(self, known, new):
        """A word of the training list, or of the list that only the test split has."""
        return self.choose(new if self.held_out else known)

    # ---- names

    def word(self, syllables=None):
        if self.pieces and self.chance(0.3):
            return self.word_of_pieces()
        syllables = syllables or self.choose([1, 2, 2, 2, 3, 3])
        word = "".join(
            self.choose(ONSETS) + self.choose(VOWELS) + (self.choose(CODAS) if self.chance(0.45) else "")
            for _ in range(syllables)
        )
        return word if len(word) > 2 else word + self.choose("nrst")

    def word_of_pieces(self):
        """One to three pieces of the vocabulary: syllables would leave a third of it without a use."""
        word = "".join(self.choose(self.pieces) for _ in range(self.choose([1, 2, 2, 3])))
        return self.word_of_pieces() if word in HELD_OUT_WORDS else word

    def name(self):
        return self.word().capitalize()

    def city(self):
        if self.chance(0.5):
            city = self.known_or_new(CITIES, HELD_OUT_CITIES)
        else:
            city = " ".join(self.name() for _ in range(1 if self.chance(0.7) else 2))
        return city.lower() if self.chance(0.05) else city

    def place(self):
        """A city, in one case of four with its region behind a comma."""
        city = self.city()
        if self.chance(0.28):
            city += ", " + (self.known_or_new(REGIONS, HELD_OUT_REGIONS) if self.chance(0.7) else self.name())
        return city

    def person(self):
        first = self.known_or_new(FIRST_NAMES, HELD_OUT_FIRST_NAMES) if self.chance(0.6) else self.name()
        last = self.known_or_new(LAST_NAMES, HELD_OUT_LAST_NAMES) if self.chance(0.6) else self.name()
        return first + (" " + self.name() if self.chance(0.06) else "") + " " + last

    def company(self):
        name = self.name() if self.chance(0.75) else self.name() + " " + self.name()
        return name + self.choose(
            ["", "", "", " Inc", " Corp", " Labs", " Group", " Energy", " Foods", " Motors", " Bank", " & Sons"]
        )

    def title(self):
        article = self.choose(["The ", "", "", ""])
        words = " ".join(self.name() for _ in range(self.between(1, 3)))
        return (
            article
            + words
            + self.choose([" Road", " River", " Night", " Garden", " Letters", " Sea", " Winter", "", ""])
        )

    # ---- numbers and dates

    def number(self, low=2, high=999):
        """Between low and high, every count of digits equally likely."""
        digits = self.between(len(str(low)), len(str(high)))
        return max(low, min(high, self.between(10 ** (digits - 1) if digits > 1 else 0, 10**digits - 1)))

    def any_number(self):
        """One to nine digits, sometimes negative or decimal."""
        many = self.random.random()
        number = self.number(1, 999999999) if many < 0.25 else self.number(1, 9999)
        if self.chance(0.15):
            number = round(number / self.choose([10, 100]), 2)
        return -number if self.chance(0.12) else number

    def date(self):
        return datetime.date(2020, 1, 1) + datetime.timedelta(days=self.between(0, 2900))

    def identifier(self):
        letters = "".join(self.choose("ABCDEFGHKMNPRSTXZ") for _ in range(self.between(1, 3)))
        return self.choose(
            [
                letters + "-" + str(self.number(10, 99999)),
                letters + str(self.number(10, 99999)),
                str(self.number(10, 999999999)),
                "#" + str(self.number(10, 99999)),
            ]
        )

    # ---- sentences

    def say(self, cores, **slots):
        """One of the cores as a styled sentence with its slots filled."""
        return fill(self.style(self.expand(self.pick(cores))), slots)

    def expand(self, core):
        """Resolves [a|b|c] from the inside out."""
        while alternatives := re.search(r"\[([^\[\]]*)\]", core):
            chosen = self.choose(alternatives.group(1).split("|"))
            core = core[: alternatives.start()] + chosen + core[alternatives.end() :]
        return core

    def ask(self, slots, short=(), **phrasings):
        """A styled sentence with its slots filled. `phrasings` are parts of sentences by the kind of frame that they
        stand in: nouns, clauses, questions, orders; `short` are whole sentences. Those marked ! are held out."""
        return fill(self.style(self.expand(self.framed(short, phrasings))), slots)

    def framed(self, short, phrasings):
        groups = {kind: list(parts) for kind, parts in {**phrasings, "short": short}.items() if parts}
        new = {kind: [part for part in parts if part.startswith("!")] for kind, parts in groups.items()}
        wants_new = self.held_out and self.chance(self.new_wording)
        if wants_new and any(new.values()) and self.chance(0.6):  # the rest: a known part in a new frame
            kind, part = self.choose([(kind, part[1:]) for kind, parts in new.items() for part in parts])
            frames = [frame for frame in FRAMES.get(kind, ()) if not frame.startswith("!")]
        else:
            known = {kind: [part for part in parts if part not in new[kind]] for kind, parts in groups.items()}
            if wants_new and len(known) > 1:
                known.pop("short", None)  # nothing to put it into
            kind = self.random.choices([kind for kind in known if known[kind]], weights_of(known))[0]
            part = self.choose(known[kind])
            frames = [frame.removeprefix("!") for frame in FRAMES.get(kind, ()) if frame.startswith("!") == wants_new]
        if kind == "short":
            return part
        return self.in_frame(self.choose(frames), self.expand(part))

    def in_frame(self, frame, part):
        if frame.startswith(("<x>", "[tell me|show me|say")) and self.chance(0.5):
            part = re.sub("^the ", "", part)
        asking = self.pick(ASKING) if "<a>" in frame else ""
        end = "?" if asking.startswith(("Can", "Could", "Do", "Any", "Would", "May")) else self.choose([".", ".", ""])
        while "<s>" in frame:
            frame = frame.replace("<s>", self.idle_words(), 1)
        return self.expand(frame).replace("<x>", part).replace("<a>", asking).replace("<e>", end)

    def idle_words(self):
        """One to six words that mean nothing here, now and then made up."""
        words = [self.choose(IDLE_WORDS) if self.chance(0.9) else self.word() for _ in range(self.between(1, 6))]
        return " ".join(words) + self.choose(["", "", ",", ":", "."])

    def style(self, sentence):
        capital = self.chance(0.3) or self.chance(0.8)
        if capital:
            sentence = sentence[0].upper() + sentence[1:]
        if self.chance(0.12):
            sentence = sentence.rstrip("?.!")
        prefix = self.pick(PREFIXES)
        if not prefix and self.chance(0.07):
            prefix = self.idle_words().capitalize().rstrip(",:.") + self.choose([". ", ", ", ": ", "! ", "? "])
        if prefix and prefix[-2] in ",:" and self.chance(0.7) and sentence[:2] not in ("I ", "I'"):
            sentence = sentence[0].lower() + sentence[1:]
        sentence = prefix + sentence
        if sentence[-1:] in "?.!" and self.chance(0.22):
            sentence += self.pick(SUFFIXES)
        elif self.chance(0.03):
            sentence += " " + self.idle_words()
        if self.chance(0.02):
            sentence = self.with_typo(sentence)
        if self.chance(0.02) and "{" not in sentence:
            sentence = sentence.upper()
        return sentence

    def with_typo(self, sentence):
        """Two neighbouring letters of one ordinary word swapped; slots are left alone."""
        words = list(re.finditer(r"(?<![\w{])[a-z]{4,}(?![\w}])", sentence))
        if not words:
            return sentence
        word = self.choose(words)
        at = self.random.randrange(word.start() + 1, word.end() - 1)
        return sentence[:at] + sentence[at + 1] + sentence[at] + sentence[at + 2 :]


def weights_of(known):
    """How often a kind of frame is used: one with many parts more often, but not in proportion."""
    return [math.sqrt(len(parts)) for parts in known.values() if parts]


def fill(sentence, slots):
    return re.sub(r"\{(\w+)\}", lambda slot: str(slots[slot.group(1)]), sentence)
