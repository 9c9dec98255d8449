"""The parameters of made-up functions, one of each kind. See parameter.py."""

from kinds.parameter import LANGUAGES, Parameter
from kinds.parameters_closed import choices, switch, switches


def parameters(draw):
    """One of each kind of parameter, with fresh words."""
    word, compound = draw.word(), draw.word() + "_" + draw.word()
    options = [draw.word() for _ in range(draw.between(2, 4))]
    named = [*texts(draw), *choices(draw, options), *quantities(draw), *further(draw), *switches()]
    return named + nameless(draw, word, compound)


def texts(draw):
    small = lambda: draw.number(1, 99) if draw.chance(0.7) else draw.number(1, 999999999)
    return [
        Parameter(
            ["city", "location", "place", "town", "destination"],
            draw.choose(["The city", "City name", "The place", "Where it is"]),
            [
                "in {v}",
                "for {v}",
                "in the city of {v}",
                "located in {v}",
                "at {v}",
                "in the town of {v}",
                "here in {v}",
                "that is in {v}",
                "down in {v}",
                "in the {v} area",
                "near {v}",
                "!around {v}",
                "!somewhere in {v}",
            ],
            draw.place,
        ),
        Parameter(
            ["date", "day", "on_date", "due_date"],
            draw.choose(["The date as YYYY-MM-DD", "Date (YYYY-MM-DD)", "The day"]),
            [
                "on {v}",
                "for {v}",
                "dated {v}",
                "on the date {v}",
                "on the day {v}",
                "for the date {v}",
                "of {v}",
                "of the {v}",
                "by {v}",
                "due {v}",
                "date {v}",
                "for {v} please",
                "!scheduled {v}",
                "!when it is {v}",
            ],
            lambda: str(draw.date()),
        ),
        Parameter(
            ["name", "person", "customer", "customer_name", "full_name", "user"],
            draw.choose(["The name of the person", "Full name", "Who it is for"]),
            [
                "for {v}",
                "under the name {v}",
                "named {v}",
                "for the customer {v}",
                "belonging to {v}",
                "in the name of {v}",
                "for my friend {v}",
                "that belongs to {v}",
                "owned by {v}",
                "of the customer {v}",
                "under {v}",
                "for a person named {v}",
                "of {v}",
                "!on behalf of {v}",
                "!because {v} asked for it",
            ],
            draw.person,
        ),
        Parameter(
            ["count", "quantity", "people", "guests", "number", "seats", "copies"],
            draw.choose(["How many", "The number of items", "Number of people"]),
            [
                "for {v} people",
                "with {v} items",
                "times {v}",
                "{v} times",
                "with {v} pieces",
                "for {v} guests",
                "for a group of {v}",
                "{v} of them",
                "with a count of {v}",
                "{v} pieces",
                "for {v} persons",
                "{v} items",
                "!{v} in total",
                "!we are {v}",
            ],
            small,
            "integer",
        ),
        Parameter(
            ["id", "order_id", "code", "reference", "item_id", "number"],
            draw.choose(["The identifier", "Reference code", "The id"]),
            [
                "with id {v}",
                "number {v}",
                "with reference {v}",
                "with the code {v}",
                "{v}",
                "id {v}",
                "with the id {v}",
                "reference {v}",
                "code {v}",
                "with number {v}",
                "known as {v}",
                "(id {v})",
                "that has the id {v}",
                "no. {v}",
                "with identifier {v}",
                "!filed as {v}",
                "!which you find under {v}",
            ],
            draw.identifier,
        ),
    ]


def quantities(draw):
    amount = lambda: draw.number(2, 9999) if draw.chance(0.5) else round(draw.random.uniform(1, 9999), 2)
    return [
        Parameter(
            ["amount", "price", "max_price", "budget", "limit"],
            draw.choose(["The amount in dollars", "Amount", "Price limit"]),
            [
                "for ${v}",
                "for {v} dollars",
                "of ${v}",
                "of {v} dollars",
                "at ${v}",
                "with ${v}",
                "costing ${v}",
                "at most ${v}",
                "up to {v} dollars",
                "under ${v}",
                "with {v} dollars",
                "!worth ${v}",
            ],
            amount,
            "number",
        ),
        Parameter(
            ["temperature", "offset", "value", "target"],
            draw.choose(["The value", "Target value"]),
            [
                "to {v}",
                "at {v}",
                "with the value {v}",
                "set to {v}",
                "with value {v}",
                "value {v}",
                "to the value {v}",
                "to a value of {v}",
                "to be {v}",
                "set at {v}",
                "!up to {v}",
            ],
            draw.any_number,
            "number",
        ),
    ]


def further(draw):
    address = lambda: f"{draw.word()}@{draw.word()}.{draw.choose(['com', 'org', 'net'])}"
    title = lambda: " ".join([draw.name()] + [draw.word() for _ in range(draw.between(0, 3))])
    time = lambda: f"{draw.between(0, 23):02d}:{draw.choose([0, 15, 30, 45]):02d}"
    return [
        Parameter(
            ["email", "recipient", "address", "contact"],
            "The email address",
            [
                "to {v}",
                "for {v}",
                "at {v}",
                "with the email {v}",
                "sent to {v}",
                "email {v}",
                "with mail address {v}",
                "to the address {v}",
                "to the mailbox {v}",
                "!mail {v}",
            ],
            address,
        ),
        Parameter(
            ["title", "subject", "label", "topic", "note"],
            draw.choose(["The title", "Short text"]),
            [
                "called '{v}'",
                "titled '{v}'",
                "with the title '{v}'",
                "saying '{v}'",
                "named '{v}'",
                "with title '{v}'",
                "about '{v}'",
                "on '{v}'",
                "with the text '{v}'",
                "that says '{v}'",
                "'{v}'",
                "!under the heading '{v}'",
            ],
            title,
        ),
        Parameter(
            ["time", "start_time", "at", "hour"],
            "The time as HH:MM",
            [
                "at {v}",
                "starting at {v}",
                "at {v} sharp",
                "for {v}",
                "at {v} o'clock",
                "at the time {v}",
                "time {v}",
                "beginning at {v}",
                "when it is {v}",
                "by {v}",
                "!from {v} on",
            ],
            time,
        ),
        Parameter(
            ["language", "lang"],
            "The language",
            [
                "in {v}",
                "in the {v} language",
                "in {v} please",
                "translated to {v}",
                "language {v}",
                "with language {v}",
                "for {v} speakers",
                "written in {v}",
                "the {v} one",
                "!spoken in {v}",
            ],
            lambda: draw.choose(LANGUAGES),
        ),
        Parameter(
            ["duration", "minutes", "days", "nights"],
            "How long",
            [
                "for {v} minutes",
                "lasting {v} days",
                "for {v} nights",
                "for {v} days",
                "that lasts {v} minutes",
                "of {v} days",
                "{v} days long",
                "{v} minutes long",
                "taking {v} minutes",
                "lasting {v} nights",
                "!over {v} days",
            ],
            lambda: draw.number(1, 90),
            "integer",
        ),
    ]


def nameless(draw, word, compound):
    """Parameters with made-up names, which only their own name can bring into a request."""
    return [
        Parameter([word], "The " + word, None, draw.word),
        Parameter([compound], "A number", None, draw.number, "integer"),
        Parameter([draw.word()], "A text", None, lambda: draw.name() + " " + draw.name()),
        switch(
            [draw.word()],
            "A switch",
            ["with {k}", "with {k} on", "{k} on", "{k} true", "{k}: yes", "turn {k} on", "and {k}"],
            ["without {k}", "with {k} off", "{k} off", "{k} false", "{k}: no", "turn {k} off", "no {k}"],
        ),
    ]
