"""The errors that k2t raises.

K2TError
├── ReadError          the source cannot be read, or is not a model
├── UnsupportedError   the model is read, parts of it have no translation; lists all of them
├── UntranslatableError  inside a rule: why one layer has none
└── ParityError        the emitted module and its reference disagree
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


class K2TError(Exception):
    """Base of every error that k2t raises on purpose; its text is meant for the user."""


class ReadError(K2TError):
    """The source cannot be read: it is broken, of a foreign format, or contradicts itself."""


class ParityError(K2TError):
    """The emitted module computes something else than its reference."""


@dataclass(frozen=True)
class Problem:
    """One layer that cannot be translated, and why."""

    layer: str
    kind: str
    reason: str

    def __str__(self) -> str:
        """One line of the message."""
        return f"{self.layer} ({self.kind}): {self.reason}"


class UnsupportedError(K2TError):
    """The model holds layers or options without a translation.

    Attributes:
        problems: every layer concerned, in the order of the model.
        note: a last line of the message, or "".
    """

    def __init__(self, problems: Sequence[Problem], note: str = "") -> None:
        self.problems = tuple(problems)
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"cannot convert {len(self.problems)} layer(s):{lines}" + (f"\n{note}" if note else ""))


class UntranslatableError(K2TError):
    """Raised for one layer: this option or input has no translation. Collected into UnsupportedError."""


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Arguments that something was not made for become a refusal."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UntranslatableError(f"{what} ({type(error).__name__}: {error})") from error
