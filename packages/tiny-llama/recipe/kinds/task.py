"""What a computation in Python is: how it is asked, the code, what it prints, the answer."""

from dataclasses import dataclass, field


@dataclass
class Task:
    phrasings: dict  # what Draw.ask takes
    code: str
    result: object
    answer: str
    slots: dict = field(default_factory=dict)
