"""Two parameters of one type that belong together, such as a start and an end."""

import datetime
from dataclasses import dataclass

from kinds.parameter import LANGUAGES


@dataclass
class Pair:
    """Two parameters of one type that only the wording tells apart."""

    keys: list
    type: str
    values: object
    phrases: list


def pair(draw):
    def dates():
        first = draw.date()
        return str(first), str(first + datetime.timedelta(days=draw.between(1, 60)))

    def rising():
        low = draw.number(1, 999)
        return low, low + draw.number(1, 999)

    two = lambda one: lambda: (one(), one())
    languages = lambda: tuple(draw.random.sample(LANGUAGES[:8], 2))
    return draw.choose(
        [
            Pair(
                ["from_city", "to_city"],
                "string",
                two(draw.place),
                ["from {a} to {b}", "to {b} from {a}", "!leaving {a} for {b}"],
            ),
            Pair(
                ["origin", "destination"],
                "string",
                two(draw.city),
                ["from {a} to {b}", "to {b} from {a}", "starting in {a} and ending in {b}"],
            ),
            Pair(
                ["start_date", "end_date"],
                "string",
                dates,
                ["from {a} to {b}", "between {a} and {b}", "from {a} until {b}", "starting {a}, ending {b}"],
            ),
            Pair(
                ["check_in", "check_out"],
                "string",
                dates,
                ["from {a} to {b}", "between {a} and {b}", "checking in {a} and out {b}"],
            ),
            Pair(
                ["min_price", "max_price"],
                "integer",
                rising,
                ["between ${a} and ${b}", "from {a} to {b} dollars", "for at least ${a} and at most ${b}"],
            ),
            Pair(
                ["old_name", "new_name"],
                "string",
                two(draw.word),
                ["from {a} to {b}", "{a} to {b}", "called {a} to {b}"],
            ),
            Pair(
                ["sender", "receiver"],
                "string",
                two(draw.person),
                ["from {a} to {b}", "to {b} from {a}", "!for {b}, sent by {a}"],
            ),
            Pair(
                ["source_lang", "target_lang"],
                "string",
                languages,
                ["from {a} to {b}", "from {a} into {b}", "to {b} from {a}"],
            ),
            Pair(
                ["width", "height"],
                "integer",
                two(lambda: draw.number(1, 999)),
                [
                    "{a} wide and {b} high",
                    "with width {a} and height {b}",
                    "{a} by {b}",
                    "with height {b} and width {a}",
                ],
            ),
            Pair(
                ["x", "y"],
                "number",
                two(draw.any_number),
                ["at {a}, {b}", "with x {a} and y {b}", "at x={a} and y={b}", "with y {b} and x {a}"],
            ),
        ]
    )
