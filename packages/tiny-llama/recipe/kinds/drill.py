"""Copy drills, for training only: texts to repeat and keys to look up. Copying is what the rest stands on."""

import json

from messages import answer, user


def drill_episode(draw):
    if draw.chance(0.5):
        text = " ".join(piece(draw) for _ in range(draw.between(2, 14)))
        return [user(draw.choose(["Repeat: ", "Repeat after me: ", "Say: "]) + text), answer(text)]
    record = {}
    for _ in range(draw.between(3, 7)):
        key = draw.word()
        record[key] = draw.choose([draw.name(), draw.number(0, 999999), draw.person(), draw.place()])
    keys = list(record)
    asked = draw.random.sample(keys, min(len(keys), draw.between(1, 3)))
    text = json.dumps(record, ensure_ascii=False) + "\n\nRead: " + ", ".join(asked)
    return [user(text), answer(" ".join(f"The {key} is {record[key]}." for key in asked))]


def piece(draw):
    makers = [
        draw.name,
        draw.word,
        lambda: str(draw.any_number()),
        draw.place,
        draw.identifier,
        lambda: draw.word(3) + draw.choose(".,-:") + str(draw.number()),
    ]
    return draw.choose(makers)()
