"""What a made-up function takes: parameters with a schema type, values, and phrases that put a value into a request."""

import datetime
from dataclasses import dataclass, field

LANGUAGES = ["English", "French", "German", "Spanish", "Italian", "Japanese", "Korean", "Arabic", "Hindi", "Swahili"]


@dataclass
class Parameter:
    keys: list  # possible names
    description: str
    phrases: list | None  # how a request gives the value; None: only by the parameter's own name
    value: object = None  # a function that draws one
    type: str = "string"
    options: list | None = None  # the values of an enum
    yes: list = field(default_factory=list)  # a boolean's phrases
    no: list = field(default_factory=list)
    key: str = ""
    optional: bool = False


@dataclass
class Pair:
    """Two parameters of one type that only the wording tells apart."""

    keys: list
    type: str
    values: object
    phrases: list


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
            ["in {v}", "for {v}", "in the city of {v}", "located in {v}", "at {v}", "in the town of {v}", "here in {v}", "that is in {v}", "down in {v}", "in the {v} area", "near {v}", "!around {v}", "!somewhere in {v}"],
            draw.place,
        ),
        Parameter(
            ["date", "day", "on_date", "due_date"],
            draw.choose(["The date as YYYY-MM-DD", "Date (YYYY-MM-DD)", "The day"]),
            ["on {v}", "for {v}", "dated {v}", "on the date {v}", "on the day {v}", "for the date {v}", "of {v}", "of the {v}", "by {v}", "due {v}", "date {v}", "for {v} please", "!scheduled {v}", "!when it is {v}"],
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
            ["with id {v}", "number {v}", "with reference {v}", "with the code {v}", "{v}", "id {v}", "with the id {v}", "reference {v}", "code {v}", "with number {v}", "known as {v}", "(id {v})", "that has the id {v}", "no. {v}", "with identifier {v}", "!filed as {v}", "!which you find under {v}"],
            draw.identifier,
        ),
    ]


def choices(draw, options):
    scales = [["Celsius", "Fahrenheit"], ["celsius", "fahrenheit"], ["Celsius", "Fahrenheit", "Kelvin"]]

    def enum(keys, description, values, phrases):
        return Parameter(keys, description, phrases, options=values)

    return [
        enum(["unit", "units", "temperature_unit"], "The temperature unit", draw.choose(scales),
             ["in {v}", "using {v}", "in degrees {v}", "in {v} please", "as {v}", "with {v}", "given in {v}", "in units of {v}", "!measured in {v}", "!I think in {v}"]),
        enum(["priority", "level", "urgency"], "The priority", ["low", "medium", "high"],
             ["with {v} priority", "at {v} priority", "as {v} priority", "priority {v}", "of {v} priority", "with priority {v}", "on {v} priority", "it has {v} priority", "as {v}", "level {v}", "!{v} urgency", "!it ranks {v}"]),
        enum(["color", "colour"], "The color", ["red", "green", "blue", "black", "white"],
             ["in {v}", "colored {v}", "in the color {v}", "with the color {v}", "color {v}", "of {v} color", "the {v} one", "a {v} one", "!painted {v}"]),
        enum(["size", "format"], "The size", ["small", "medium", "large"],
             ["in size {v}", "size {v}", "of {v} size", "in {v}", "of size {v}", "{v} size", "that is {v}", "the {v} kind", "!as a {v} one"]),
        enum(["currency"], "The currency", ["USD", "EUR", "GBP", "JPY"],
             ["in {v}", "paid in {v}", "with currency {v}", "currency {v}", "using {v}", "to be paid in {v}", "in the currency {v}", "with {v}", "!charged in {v}"]),
        enum(["mode", "kind", "type", "category"], draw.choose(["The mode", "The kind", "Category"]), options,
             ["in {v} mode", "as {v}", "of type {v}", "of kind {v}", "category {v}", "type {v}", "kind {v}", "mode {v}", "in the mode {v}", "in the category {v}", "of the {v} kind", "of the type {v}", "the {v} type", "!using the {v} variant"]),
        enum(["sort", "sort_by", "order_by"], "How to sort", ["price", "date", "name", "rating"],
             ["sorted by {v}", "ordered by {v}", "sort by {v}", "sorted on {v}", "in order of {v}", "order by {v}", "with {v} order", "arranged by {v}", "!by {v}"]),
    ]  # fmt: skip


def quantities(draw):
    amount = lambda: draw.number(2, 9999) if draw.chance(0.5) else round(draw.random.uniform(1, 9999), 2)
    return [
        Parameter(
            ["amount", "price", "max_price", "budget", "limit"],
            draw.choose(["The amount in dollars", "Amount", "Price limit"]),
            ["for ${v}", "for {v} dollars", "of ${v}", "of {v} dollars", "at ${v}", "with ${v}", "costing ${v}", "at most ${v}", "up to {v} dollars", "under ${v}", "with {v} dollars", "!worth ${v}"],
            amount,
            "number",
        ),
        Parameter(
            ["temperature", "offset", "value", "target"],
            draw.choose(["The value", "Target value"]),
            ["to {v}", "at {v}", "with the value {v}", "set to {v}", "with value {v}", "value {v}", "to the value {v}", "to a value of {v}", "to be {v}", "set at {v}", "!up to {v}"],
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
            ["to {v}", "for {v}", "at {v}", "with the email {v}", "sent to {v}", "email {v}", "with mail address {v}", "to the address {v}", "to the mailbox {v}", "!mail {v}"],
            address,
        ),
        Parameter(
            ["title", "subject", "label", "topic", "note"],
            draw.choose(["The title", "Short text"]),
            ["called '{v}'", "titled '{v}'", "with the title '{v}'", "saying '{v}'", "named '{v}'", "with title '{v}'", "about '{v}'", "on '{v}'", "with the text '{v}'", "that says '{v}'", "'{v}'", "!under the heading '{v}'"],
            title,
        ),
        Parameter(
            ["time", "start_time", "at", "hour"],
            "The time as HH:MM",
            ["at {v}", "starting at {v}", "at {v} sharp", "for {v}", "at {v} o'clock", "at the time {v}", "time {v}", "beginning at {v}", "when it is {v}", "by {v}", "!from {v} on"],
            time,
        ),
        Parameter(
            ["language", "lang"],
            "The language",
            ["in {v}", "in the {v} language", "in {v} please", "translated to {v}", "language {v}", "with language {v}", "for {v} speakers", "written in {v}", "the {v} one", "!spoken in {v}"],
            lambda: draw.choose(LANGUAGES),
        ),
        Parameter(
            ["duration", "minutes", "days", "nights"],
            "How long",
            ["for {v} minutes", "lasting {v} days", "for {v} nights", "for {v} days", "that lasts {v} minutes", "of {v} days", "{v} days long", "{v} minutes long", "taking {v} minutes", "lasting {v} nights", "!over {v} days"],
            lambda: draw.number(1, 90),
            "integer",
        ),
    ]


def switches():
    return [
        switch(["express", "urgent", "fast"], "Whether it is urgent",
               ["with express delivery", "as fast as possible", "urgently", "it is urgent", "very urgent", "fast", "quickly", "as soon as possible", "express", "{k}"],
               ["without hurry", "no hurry", "it is not urgent", "not urgent", "not fast", "there is no hurry", "slowly", "not {k}"]),
        switch(["notify", "send_mail", "remind"], "Whether to send a message",
               ["and notify me", "with a notification", "and send me a mail", "and tell me", "with a message", "notify me", "and remind me"],
               ["and do not notify me", "without a notification", "without a mail", "and do not tell me", "no notification", "do not remind me", "no message"]),
        switch(["breakfast", "gift", "insurance", "tax", "parking"], "Whether it is included",
               ["with {k}", "including {k}", "plus {k}", "{k} included", "and {k}", "{k}: yes", "and with {k}", "{k} too"], ["without {k}", "excluding {k}", "no {k}", "{k} not included", "but no {k}", "{k}: no", "and without {k}", "not with {k}"]),
    ]  # fmt: skip


def switch(keys, description, yes, no):
    return Parameter(keys, description, None, type="boolean", yes=yes, no=no)


def nameless(draw, word, compound):
    """Parameters with made-up names, which only their own name can bring into a request."""
    return [
        Parameter([word], "The " + word, None, draw.word),
        Parameter([compound], "A number", None, draw.number, "integer"),
        Parameter([draw.word()], "A text", None, lambda: draw.name() + " " + draw.name()),
        switch(
            [draw.word()], "A switch", ["with {k}", "with {k} on", "{k} on", "{k} true", "{k}: yes", "turn {k} on", "and {k}"], ["without {k}", "with {k} off", "{k} off", "{k} false", "{k}: no", "turn {k} off", "no {k}"]
        ),
    ]


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
            Pair(["from_city", "to_city"], "string", two(draw.place),
                 ["from {a} to {b}", "to {b} from {a}", "!leaving {a} for {b}"]),
            Pair(["origin", "destination"], "string", two(draw.city),
                 ["from {a} to {b}", "to {b} from {a}", "starting in {a} and ending in {b}"]),
            Pair(["start_date", "end_date"], "string", dates,
                 ["from {a} to {b}", "between {a} and {b}", "from {a} until {b}", "starting {a}, ending {b}"]),
            Pair(["check_in", "check_out"], "string", dates,
                 ["from {a} to {b}", "between {a} and {b}", "checking in {a} and out {b}"]),
            Pair(["min_price", "max_price"], "integer", rising,
                 ["between ${a} and ${b}", "from {a} to {b} dollars", "for at least ${a} and at most ${b}"]),
            Pair(["old_name", "new_name"], "string", two(draw.word),
                 ["from {a} to {b}", "{a} to {b}", "called {a} to {b}"]),
            Pair(["sender", "receiver"], "string", two(draw.person),
                 ["from {a} to {b}", "to {b} from {a}", "!for {b}, sent by {a}"]),
            Pair(["source_lang", "target_lang"], "string", languages,
                 ["from {a} to {b}", "from {a} into {b}", "to {b} from {a}"]),
            Pair(["width", "height"], "integer", two(lambda: draw.number(1, 999)),
                 ["{a} wide and {b} high", "with width {a} and height {b}", "{a} by {b}",
                  "with height {b} and width {a}"]),
            Pair(["x", "y"], "number", two(draw.any_number),
                 ["at {a}, {b}", "with x {a} and y {b}", "at x={a} and y={b}", "with y {b} and x {a}"]),
        ]
    )  # fmt: skip
