"""Masks, written as Keras 3 records them in a file, so that what is computed twice is seen to be the same."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from k2t.program import Value
from k2t.rules.builder import Builder


def call_operation(b: Builder, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Value:
    """An operation of `keras.ops`; these are imported late, for some of them use masks."""
    from k2t.rules.operations.base import call_operation as call

    made: Value = call(b, name, args, kwargs)
    return made


def live_mask(x: Value | None) -> Value | None:
    """The mask that a tensor has at run time."""
    return None if x is None or x.mask_taken else x.mask


def differs(b: Builder, x: Value, value: float) -> Value:
    """x != value."""
    return call_operation(b, "not_equal", (x, value), {})


def any_last(b: Builder, x: Value) -> Value:
    """Whether any element along the last axis is True."""
    return call_operation(b, "any", (x,), {"axis": -1, "keepdims": False})


def either(b: Builder, masks: list[Value]) -> Value:
    """The masks joined by or."""
    return reduce(lambda first, second: call_operation(b, "logical_or", (first, second), {}), masks)


def as_column(b: Builder, mask: Value, rank: int) -> Value:
    """The mask with axes of size 1 behind, up to `rank`."""
    index = (..., *[None] * (rank - mask.rank))
    return b.call("[]", mask, index, shape=(*mask.shape, *[1] * (rank - mask.rank)), dtype="bool", layout="keras")


def mask_of(b: Builder, x: Value) -> Value:
    """The mask that `x` carries, or one that is True everywhere."""
    if x.mask is not None:
        return x.mask
    index = (slice(None), slice(None), *([0] * (x.rank - 2)))
    first = b.call("[]", x, index, shape=x.shape[:2], layout="keras")
    return call_operation(b, "ones_like", (first,), {"dtype": "bool"})
