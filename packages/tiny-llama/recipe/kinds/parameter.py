"""One parameter of a made-up function: a schema type, values, and phrases that put a value into a request."""

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
