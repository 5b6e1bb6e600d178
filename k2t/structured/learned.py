"""What an attempt finds out that the next one must know from its start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Learned:
    """What earlier attempts have found out of the functions; each attribute as in `Again`.

    Attributes:
        explored: whether functions are followed with other arguments, for the branches that they do not take.
    """

    out_channels: frozenset[str] = frozenset()
    varying: frozenset[str] = frozenset()
    specialized: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    alike: frozenset[str] = frozenset()
    explored: bool = True

    def more(self, again: Again) -> Learned:
        """With what one more attempt has found out."""
        return Learned(
            self.out_channels | {again.out_channels} - {""},
            self.varying | {again.varying} - {""},
            self.specialized | {again.specialized} - {""},
            self.fixed | {again.fixed} - {""},
            self.alike | {again.alike} - {""},
            self.explored,
        )


class Again(Exception):  # noqa: N818 - not an error: the way to another attempt
    """Something was learned that the translation must know from its start.

    Attributes:
        out_channels: a function whose class must tell the channels of its output, or "".
        varying: a function that sees tensors of several sizes, or "".
        specialized: a function that is called in ways that differ too much for one class, or "".
        fixed: an argument of the main function without which there is no class, or "".
        alike: a function whose tensors are to have the same order of axes in all of its executions, or "".
        events: the size of the attempt.
    """

    events = 10

    def __init__(
        self, out_channels: str = "", varying: str = "", specialized: str = "", fixed: str = "", alike: str = ""
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.varying = varying
        self.specialized = specialized
        self.fixed = fixed
        self.alike = alike
