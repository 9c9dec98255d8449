"""What a fact of the world of the conversations is. All of it is made up."""

from dataclasses import dataclass


@dataclass
class Fact:
    question: str
    query: str
    sentence: str
    answer: str
    subject: str
    value: str | None = None  # the number or the name that further steps work with
    kind: str = ""
