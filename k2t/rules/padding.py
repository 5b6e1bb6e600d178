"""Keras's padding="same" in terms of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from k2t.program import plain

Pair = tuple[int, int]


def to_tuple(value: Any, rank: int) -> tuple[int, ...]:
    """An option that is one number for all spatial axes or a list of them."""
    if isinstance(value, int):
        return (value,) * rank
    return tuple(item if isinstance(item, int) else int(item) for item in value)


def same_total(size: int | None, kernel: int, stride: int, dilation: int = 1) -> int | None:
    """Padding of one axis, before and after together; None where it depends on an unknown size.

    Formula of TensorFlow's SAME: max((ceil(size / stride) - 1) * stride + reach - size, 0), where
    reach = (kernel - 1) * dilation + 1.
    """
    reach = (kernel - 1) * dilation + 1
    if stride == 1:
        return reach - 1
    if size is not None:
        return max(reach - (size % stride or stride), 0)
    return 0 if reach == 1 else None


@dataclass(frozen=True)
class Same:
    """The padding of the spatial axes of one layer.

    Attributes:
        pairs: (before, after) of each axis, or None where it depends on unknown sizes.
    """

    pairs: tuple[Pair, ...] | None

    @property
    def symmetric(self) -> tuple[int, ...] | None:
        """The padding of each axis where before and after are equal on all."""
        if self.pairs is None or any(before != after for before, after in self.pairs):
            return None
        return tuple(before for before, _ in self.pairs)


def same(sizes: Sequence[int | None], kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Same:
    """Keras's "same" padding; where a total is odd, the odd one goes behind."""
    totals = [same_total(*axis) for axis in zip(sizes, kernel, strides, dilation, strict=True)]
    if None in totals:
        return Same(None)
    return Same(tuple(((total or 0) // 2, (total or 0) - (total or 0) // 2) for total in totals))


# (kernel's reach) -> (before, after), whatever the size of the input.
FIXED: dict[str, Callable[[int], Pair]] = {
    "valid": lambda reach: (0, 0),
    "causal": lambda reach: (reach - 1, 0),
    "full": lambda reach: (reach - 1, reach - 1),  # Keras 1
    "theano_same": lambda reach: (reach // 2, reach - 1 - reach // 2),  # "same", as Theano had it
}


def padding_of(
    padding: str, sizes: Sequence[int | None], kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> Same:
    """A convolution's padding, from Keras's word for it."""
    if padding == "same":
        return same(sizes, kernel, strides, dilation)
    return Same(tuple(FIXED[padding]((k - 1) * d + 1) for k, d in zip(kernel, dilation, strict=True)))


def output_size(size: int | None, kernel: int, stride: int, padding: str, dilation: int = 1) -> int | None:
    """Length of a convolution's or pooling's output along one axis."""
    if size is None:
        return None
    if padding in ("same", "causal", "theano_same"):
        return -(-size // stride)
    reach = (kernel - 1) * dilation + 1
    if padding == "valid" and reach == stride:
        return size // stride
    return (size - reach + (2 * (reach - 1) if padding == "full" else 0)) // stride + 1


__all__ = ["Pair", "Same", "output_size", "plain", "same", "same_total", "to_tuple"]
