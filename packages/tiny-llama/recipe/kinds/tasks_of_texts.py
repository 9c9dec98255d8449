"""Computations over words and dates: see task.py."""

import datetime

from kinds.task import Task


def letters(draw):
    word = draw.word(draw.between(2, 4))
    letter = draw.choose(word)
    found = word.count(letter)
    phrasings = {
        "questions": [
            "how [often|many times] do I [see|find|read|write|type|meet] [|the letter ]{l} in [|the word ]{w}",
            "how many times [is|do you see|can you find] [|the letter ]{l} in [|the word ]{w}",
            "with how many {l} is {w} written",
            "how many times does [|the letter ]{l} [occur|appear|come up|stand] in [|the word ]{w}",
            "how many [{l}'s|{l}s|{l}|letters {l}|times {l}] [are|are there] in [|the word ]{w}",
            "how often does [|the letter ]{l} [appear|occur|come] in [|the word ]{w}",
            "how often is [|the letter ]{l} [used|found] in [|the word ]{w}",
            "how many {l} [does|has] [|the word ]{w}[ have|]",
            "!do I have to type {l} often when I write {w}, how many times",
        ],
        "orders": [
            "[look|search|go] through [|the word ]{w} and count [|the letter |every ]{l}",
            "check how [often|many times] {w} [has|uses|contains] [|the letter ]{l}",
            "[count|find] [the letter {l}|the {l}s|how many {l}|the {l}|every {l}] in [|the word ]{w}",
            "count how [often|many times] {l} [is|appears|occurs] in [|the word ]{w}",
            "!go through {w} letter by letter and count {l}",
        ],
        "nouns": [
            "the [number|count] of [letters {l}|{l}|{l}'s|the letter {l}] in [|the word ]{w}",
            "!number of {l} among the letters of {w}",
        ],
        "clauses": [
            "how [often|many times] [|the letter ]{l} [appears|occurs|is] in [|the word ]{w}",
            "how many {l} [are|there are] in [|the word ]{w}",
        ],
        "short": ["how many {l} in {w}?", "{l} in {w}, how many?", "count {l}: {w}", "{w}: how many {l}?"],
    }
    code = f"print('{word}'.count('{letter}'))"
    answer_text = f"The letter {letter} occurs {found} times in {word}."
    return Task(phrasings, code, found, answer_text, {"w": word, "l": letter})


def reversal(draw):
    word = draw.word(draw.between(2, 4))
    phrasings = {
        "orders": [
            "[read|type|put|give] [|the word |the letters of ]{w} [backwards|in reverse"
            "|from the last letter to the first|from right to left]",
            "[swap|turn] the order of the letters [in|of] [|the word ]{w}",
            "begin [|the word ]{w} at its end",
            "[reverse|turn around|flip|mirror] [|the word |the text ]{w}",
            "[spell|write|say|print|show|give me] [|the word ]{w} [backwards|in reverse|from back to front"
            "|from the end|reversed|the other way round]",
            "!turn the letters of {w} around",
            "!start at the last letter of {w} and end at the first",
        ],
        "questions": [
            "what do I get if I [reverse|turn around|flip] [|the word ]{w}",
            "what is [|the word ]{w} [from right to left|from the last letter to the first|read from the end]",
            "how does [|the word ]{w} read [backwards|from right to left|from the end]",
            "what is [|the word ]{w} [backwards|spelled backwards|in reverse|reversed|from back to front]",
            "how [do I|do you|is] [write|spell|say|written] {w} [backwards|in reverse]",
            "what does {w} [look like|read] [backwards|in reverse|reversed]",
            "!what would {w} read in a mirror",
        ],
        "nouns": [
            "the [reverse|reversed form|reversal] of [|the word ]{w}",
            "{w} [backwards|in reverse|reversed]",
            "the word {w} [backwards|reversed]",
        ],
        "short": ["{w} backwards", "{w}, reversed", "reverse: {w}", "{w} in reverse", "backwards: {w}"],
    }
    found = word[::-1]
    return Task(phrasings, f"print('{word}'[::-1])", found, f"The word {word} reversed is {found}.", {"w": word})


def word_count(draw):
    text = " ".join(draw.word() for _ in range(draw.between(3, 8)))
    found = len(text.split())
    phrasings = {
        "questions": [
            "how many words long is '{t}'",
            "what is the length of '{t}' [in|counted in] words",
            "how many words [make up|stand in|form] '{t}'",
            "how many words [are|are there|do you see|can you count] in '{t}'",
            "how many words [does|has] '{t}'[ have|]",
            "what is the [number of words|word count] [in|of] '{t}'",
            "of how many words [is|consists] '{t}'",
            "!how long is '{t}' in words",
        ],
        "orders": [
            "[count|find] [the words|words|the number of words|how many words are] in '{t}'",
            "count the words: '{t}'",
            "!number the words of '{t}' and say the last number",
        ],
        "nouns": ["the [number of words|word count|count of words] [in|of] '{t}'"],
        "clauses": ["how many words [are|there are] in '{t}'", "how many words '{t}' has"],
        "short": [
            "word count of '{t}'[?|]",
            "'{t}' - how many words?",
            "'{t}': [word count|words|number of words]",
            "word count: '{t}'",
            "!length in words: '{t}'",
        ],
    }
    return Task(phrasings, f"print(len('{text}'.split()))", found, f"There are {found} words.", {"t": text})


def days_between(draw):
    first = draw.date()
    last = first + datetime.timedelta(days=draw.between(1, 2000))
    found = (last - first).days
    span = "[between {a} and {b}|from {a} to {b}|from {a} until {b}|between {a} and {b}|from {a} till {b}]"
    phrasings = {
        "questions": [
            f"how many days [do I have to wait|will pass|went by|must I count] {span}",
            f"if I [leave|go|start|begin] on {{a}} and [come back|end|stop"
            f"|am back] on {{b}}, how many days [do I stay|is it|am I away|are those]",
            f"[today is|it is|now it is] {{a}}, how many days [are left|remain|is it] until {{b}}",
            f"how many days [are|are there|lie|is it|pass|go by] {span}",
            "how [long|many days] is it from {a} [to|until] {b}[ in days|]",
            f"what is the [difference in days|number of days|distance in days|count of days] {span}",
            "how many days [after|later than] {a} is {b}",
            "how many days before {b} is {a}",
            "how far apart are {a} and {b} in days",
            f"how many days do I [have|wait|stay] {span}",
            "!I leave on {a} and return on {b}, how many days is that",
            "!today is {a}; in how many days will it be {b}",
        ],
        "nouns": [
            "the [length|duration] in days of [a trip|a stay|a visit|a course] [from|between] {a} [to|and] {b}",
            "the days that [lie|pass] between {a} and {b}",
            f"the [number of days|days|difference in days|days in total|count of days] {span}",
            "the difference [in days |]between {a} and {b}",
            "!the length in days of a holiday that begins {a} and ends {b}",
        ],
        "orders": [
            f"[count|compute|calculate|work out|find] the [|number of ]days {span}",
            f"[count|work out] how many days [are|there are] {span}",
        ],
        "clauses": [
            f"how many days [there are|are|it is|lie|pass] {span}",
            "how [many days|long] it is from {a} to {b}",
        ],
        "short": [f"days {span}[?|]", f"number of days {span}", "{a} to {b}, [how many days|days]?", "days: {a} - {b}"],
    }
    code = (
        "from datetime import date\n"
        f"a = date({first.year}, {first.month}, {first.day})\n"
        f"b = date({last.year}, {last.month}, {last.day})\nprint((b - a).days)"
    )
    answer_text = f"There are {found} days between {first} and {last}."
    return Task(phrasings, code, found, answer_text, {"a": first, "b": last})
