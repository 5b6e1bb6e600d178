"""Which values a query of a multi-head attention may see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from k2t.errors import UntranslatableError
from k2t.program import Value
from k2t.rules.builder import Builder

ALL = slice(None)


def every(b: Builder, masks: list[Value]) -> Value | None:
    """All masks joined by and."""
    return reduce(lambda first, second: b.call("&", first, second, layout="keras"), masks) if masks else None


def over_queries(b: Builder, mask: Value) -> Value:
    """(N, T) -> (N, 1, T, 1)."""
    shape = (mask.shape[0], 1, mask.shape[1], 1)
    return b.call("[]", mask, (ALL, None, ALL, None), shape=shape, layout="keras")


def over_values(b: Builder, mask: Value) -> Value:
    """(N, S) -> (N, 1, 1, S)."""
    return b.call("[]", mask, (ALL, None, None), shape=(mask.shape[0], 1, 1, mask.shape[1]), layout="keras")


def over_heads(b: Builder, mask: Value) -> Value:
    """(N, T, S) -> (N, 1, T, S), as booleans."""
    if mask.dtype != "bool":
        mask = b.call(".bool", mask, dtype="bool", layout="keras")
    if mask.rank == 4:
        return mask
    if mask.rank != 3:
        raise UntranslatableError(f"attention_mask must have the shape (N, T, S), has {mask.shape}")
    return b.call("[]", mask, (ALL, None), shape=(mask.shape[0], 1, *mask.shape[1:]), layout="keras")


@dataclass(frozen=True)
class Seen:
    """What may be seen: masks of a call, each None or a value; causality; a window."""

    query: Value | None = None
    value: Value | None = None
    key: Value | None = None
    attention: Value | None = None
    causal: bool = False
    window: int | None = None

    @property
    def only_causal(self) -> bool:
        """Whether causality is all."""
        return self.causal and not (self.query or self.value or self.key or self.attention or self.window)


def mask_of(b: Builder, seen: Seen, query: Value, value: Value) -> Value | None:
    """One mask (N or 1, 1, T, S), True where a query may see a value."""
    others = [mask for mask in (seen.value, seen.key) if mask]
    masks: list[Value] = []
    if seen.query and others:
        shape = (query.shape[0], 1, query.shape[1], value.shape[1])
        masks = [b.call("pair_mask", seen.query, others.pop(0), shape=shape, dtype="bool", layout="keras")]
    elif seen.query:
        masks = [over_queries(b, seen.query)]
    masks += [over_values(b, mask) for mask in others]
    masks += [over_heads(b, seen.attention)] if seen.attention else []
    square = (query.shape[1], value.shape[1])
    if seen.causal:
        masks.append(b.call("causal_mask", query, value, shape=square, dtype="bool", layout="keras"))
    if seen.window:
        masks.append(b.call("window_mask", query, value, seen.window, shape=square, dtype="bool", layout="keras"))
    return every(b, masks)
