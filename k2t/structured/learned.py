"""What an attempt finds out that the next one must know from its start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Learned:
    """What earlier attempts have found out.

    Attributes:
        out_channels: functions whose class must tell the channels of its output.
        varying: functions that see tensors of several sizes.
        specialized: functions that are called in ways that differ too much for one class.
        fixed: arguments of the main function without which there is no class.
        alike: functions whose tensors are to have the same order of axes in all of their executions.
        outside: variables of the file that the main function is to take as arguments.
        unexplored: functions that are not followed with other arguments, for the branches that they do not take.
    """

    out_channels: frozenset[str] = frozenset()
    varying: frozenset[str] = frozenset()
    specialized: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    alike: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()
    unexplored: frozenset[str] = frozenset()

    def more(self, again: Again) -> Learned:
        """With what one more attempt has found out."""
        found: dict[str, Any] = {kind: getattr(self, kind) | {name} for kind, name in again.found.items()}
        return replace(self, **found)


class Again(Exception):  # noqa: N818 - not an error: the way to another attempt
    """Something was learned that the translation must know from its start.

    Attributes:
        found: attribute of `Learned` -> one more name.
        events: the size of the attempt.
    """

    events = 10

    def __init__(self, **found: str) -> None:
        super().__init__()
        self.found = found
