"""What a problem for wolfram_alpha is. Its result is plausible and not always true: the model has to copy it, not to
know it."""

from dataclasses import dataclass


@dataclass
class Problem:
    phrasings: dict  # what Draw.ask takes
    expression: object  # fills {e}
    query: str
    result: str
    answer: str
    word: str = ""  # fills {w}
    code: str | None = None
    printed: str | None = None  # what the code prints, where that differs from the engine's result
    python_answer: str | None = None
