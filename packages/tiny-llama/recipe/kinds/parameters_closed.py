"""Parameters with few values: one of some options, or true and false. See parameter.py."""

from kinds.parameter import Parameter


def choices(draw, options):
    scales = [["Celsius", "Fahrenheit"], ["celsius", "fahrenheit"], ["Celsius", "Fahrenheit", "Kelvin"]]

    def enum(keys, description, values, phrases):
        return Parameter(keys, description, phrases, options=values)

    return [
        enum(
            ["unit", "units", "temperature_unit"],
            "The temperature unit",
            draw.choose(scales),
            [
                "in {v}",
                "using {v}",
                "in degrees {v}",
                "in {v} please",
                "as {v}",
                "with {v}",
                "given in {v}",
                "in units of {v}",
                "!measured in {v}",
                "!I think in {v}",
            ],
        ),
        enum(
            ["priority", "level", "urgency"],
            "The priority",
            ["low", "medium", "high"],
            [
                "with {v} priority",
                "at {v} priority",
                "as {v} priority",
                "priority {v}",
                "of {v} priority",
                "with priority {v}",
                "on {v} priority",
                "it has {v} priority",
                "as {v}",
                "level {v}",
                "!{v} urgency",
                "!it ranks {v}",
            ],
        ),
        enum(
            ["color", "colour"],
            "The color",
            ["red", "green", "blue", "black", "white"],
            [
                "in {v}",
                "colored {v}",
                "in the color {v}",
                "with the color {v}",
                "color {v}",
                "of {v} color",
                "the {v} one",
                "a {v} one",
                "!painted {v}",
            ],
        ),
        enum(
            ["size", "format"],
            "The size",
            ["small", "medium", "large"],
            [
                "in size {v}",
                "size {v}",
                "of {v} size",
                "in {v}",
                "of size {v}",
                "{v} size",
                "that is {v}",
                "the {v} kind",
                "!as a {v} one",
            ],
        ),
        enum(
            ["currency"],
            "The currency",
            ["USD", "EUR", "GBP", "JPY"],
            [
                "in {v}",
                "paid in {v}",
                "with currency {v}",
                "currency {v}",
                "using {v}",
                "to be paid in {v}",
                "in the currency {v}",
                "with {v}",
                "!charged in {v}",
            ],
        ),
        enum(
            ["mode", "kind", "type", "category"],
            draw.choose(["The mode", "The kind", "Category"]),
            options,
            [
                "in {v} mode",
                "as {v}",
                "of type {v}",
                "of kind {v}",
                "category {v}",
                "type {v}",
                "kind {v}",
                "mode {v}",
                "in the mode {v}",
                "in the category {v}",
                "of the {v} kind",
                "of the type {v}",
                "the {v} type",
                "!using the {v} variant",
            ],
        ),
        enum(
            ["sort", "sort_by", "order_by"],
            "How to sort",
            ["price", "date", "name", "rating"],
            [
                "sorted by {v}",
                "ordered by {v}",
                "sort by {v}",
                "sorted on {v}",
                "in order of {v}",
                "order by {v}",
                "with {v} order",
                "arranged by {v}",
                "!by {v}",
            ],
        ),
    ]


def switches():
    return [
        switch(
            ["express", "urgent", "fast"],
            "Whether it is urgent",
            [
                "with express delivery",
                "as fast as possible",
                "urgently",
                "it is urgent",
                "very urgent",
                "fast",
                "quickly",
                "as soon as possible",
                "express",
                "{k}",
            ],
            [
                "without hurry",
                "no hurry",
                "it is not urgent",
                "not urgent",
                "not fast",
                "there is no hurry",
                "slowly",
                "not {k}",
            ],
        ),
        switch(
            ["notify", "send_mail", "remind"],
            "Whether to send a message",
            [
                "and notify me",
                "with a notification",
                "and send me a mail",
                "and tell me",
                "with a message",
                "notify me",
                "and remind me",
            ],
            [
                "and do not notify me",
                "without a notification",
                "without a mail",
                "and do not tell me",
                "no notification",
                "do not remind me",
                "no message",
            ],
        ),
        switch(
            ["breakfast", "gift", "insurance", "tax", "parking"],
            "Whether it is included",
            ["with {k}", "including {k}", "plus {k}", "{k} included", "and {k}", "{k}: yes", "and with {k}", "{k} too"],
            [
                "without {k}",
                "excluding {k}",
                "no {k}",
                "{k} not included",
                "but no {k}",
                "{k}: no",
                "and without {k}",
                "not with {k}",
            ],
        ),
    ]


def switch(keys, description, yes, no):
    return Parameter(keys, description, None, type="boolean", yes=yes, no=no)
