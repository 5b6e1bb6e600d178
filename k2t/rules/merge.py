"""Layers that merge several tensors."""

from __future__ import annotations

from functools import reduce
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Axis, Value
from k2t.rules.base import Example, broadcast, example, rule
from k2t.rules.builder import Builder
from k2t.rules.core import concatenate
from k2t.rules.masks import as_column, either, live_mask, mask_of


def aligned(b: Builder, tensors: list[Value]) -> list[Value]:
    """Keras inserts axes of size 1 after the batch axis where the ranks differ."""
    rank = max(x.rank for x in tensors)
    return [x if x.rank == rank else insert_axes(b, x, rank) for x in tensors]


def insert_axes(b: Builder, x: Value, rank: int) -> Value:
    """Axes of size 1 behind the batch axis."""
    index = (slice(None), *[None] * (rank - x.rank))
    return b.call("[]", x, index, shape=(x.shape[0], *[1] * (rank - x.rank), *x.shape[1:]), layout="keras")


def merge_masks(b: Builder, tensors: list[Value]) -> Value | None:
    """The mask of the output: where any input is valid, if all have a mask; in Keras 2, where all masks agree."""
    masks = [x.mask for x in tensors if x.mask is not None]
    if not masks or (len(masks) < len(tensors) and not b.layer.keras_2):
        return None
    return reduce(lambda first, second: b.call("&", first, second), masks) if b.layer.keras_2 else either(b, masks)


def hand_mask_on(b: Builder, output: Value, tensors: list[Value]) -> None:
    """Give the output the mask of the inputs; at run time there is none where that of an input has been taken."""
    output.mask, output.mask_taken = merge_masks(b, tensors), any(x.mask_taken for x in tensors)


def fold(b: Builder, inputs: list[Value], target: str) -> Value:
    """The inputs joined by a binary operation, first to last."""
    tensors = aligned(b, inputs)
    output = reduce(lambda first, second: b.call(target, first, second), tensors)
    if output is not tensors[0]:
        hand_mask_on(b, output, inputs)
    return output


def columns(b: Builder, inputs: list[Value]) -> list[Value | None]:
    """The masks as (N, T, 1), for layers of Keras 3 that leave out masked elements."""
    alike = len({x.rank for x in inputs}) == 1 and not b.layer.keras_2
    masks = [live_mask(x) if alike else None for x in inputs]
    return [as_column(b, mask, x.rank) if mask else None for x, mask in zip(inputs, masks, strict=True)]


def where(b: Builder, valid: Value | None, x: Value, other: Any) -> Value:
    """`x` where it is valid."""
    if valid is None:
        return x
    return b.call("torch.where", valid, x, other, shape=x.shape, dtype=x.dtype, layout="keras")


def extreme(b: Builder, inputs: list[Value], target: str) -> Value:
    """The maximum or minimum of the valid elements."""
    output, *rest = aligned(b, inputs)
    seen, *masks = columns(b, inputs)
    for x, valid in zip(rest, masks, strict=True):
        own = where(b, valid, x, output)
        output = b.call(target, where(b, seen, output, own), own)
        seen = either(b, [seen, valid]) if seen is not None and valid is not None else None
    if rest:
        hand_mask_on(b, output, inputs)
    return output


PAIR = ((5, 3), (5, 3))
BROADCAST = ((4, 1, 3), (1, 5, 3))


@rule("Add", examples=[example(*PAIR), example(*PAIR, (5, 3)), example(*BROADCAST), Example(PAIR, mask=True)])
def add(b: Builder, inputs: list[Value]) -> Value:
    """The operator +."""
    return fold(b, inputs, "+")


@rule("Multiply", examples=[example(*PAIR), example(*BROADCAST), Example(PAIR, mask=True)])
def multiply(b: Builder, inputs: list[Value]) -> Value:
    """The operator *; masked elements count as 1, and as 0 where all are masked."""
    masks = columns(b, inputs)
    tensors = [where(b, valid, x, 1) for x, valid in zip(inputs, masks, strict=True)]
    output = fold(b, tensors, "*")
    known = [valid for valid in masks if valid is not None]
    if known and len(known) == len(inputs):
        output = where(b, either(b, known), output, 0)
    if len(inputs) > 1:
        hand_mask_on(b, output, inputs)
    return output


@rule("Subtract", examples=[example(*PAIR), example(*BROADCAST)])
def subtract(b: Builder, inputs: list[Value]) -> Value:
    """The operator -."""
    if len(inputs) != 2:
        raise UntranslatableError(f"takes 2 inputs, has {len(inputs)}")
    return fold(b, inputs, "-")


@rule("Maximum", examples=[example(*PAIR, (5, 3)), example(*BROADCAST), Example(PAIR, mask=True)])
def maximum(b: Builder, inputs: list[Value]) -> Value:
    """torch.maximum."""
    return extreme(b, inputs, "torch.maximum")


@rule("Minimum", examples=[example(*PAIR), example(*BROADCAST)])
def minimum(b: Builder, inputs: list[Value]) -> Value:
    """torch.minimum."""
    return extreme(b, inputs, "torch.minimum")


@rule("Average", examples=[example(*PAIR), example(*PAIR, (5, 3))])
def average(b: Builder, inputs: list[Value]) -> Value:
    """The sum divided by the number of inputs."""
    output = b.call("/", fold(b, inputs, "+"), len(inputs))
    hand_mask_on(b, output, inputs)
    return output


@rule(
    "Concatenate",
    examples=[
        example((4, 3), (4, 2)),
        example((4, 5, 3), (4, 5, 2), axis=3),
        example((4, 3), (2, 3), axis=1),
        example((5, 4, 3), (2, 4, 3), axis=-3),
        example((None, 3), (None, 2)),
    ],
)
def concatenate_layer(b: Builder, inputs: list[Value], *, axis: int = -1) -> Value:
    """torch.cat; masks too along the steps, where an input has none, it is valid everywhere."""
    output = concatenate(b, inputs, axis)
    if all(x.mask is None for x in inputs):
        return output
    along_steps = axis % output.rank == 1 and output.rank > 2
    if along_steps:
        output.mask = concatenate(b, [mask_of(b, x) for x in inputs], 1)
    else:
        hand_mask_on(b, output, inputs)
    return output


@rule(
    "Dot",
    examples=[
        example((5,), (5,), axes=1),
        example((5,), (5,), axes=1, normalize=True),
        example((4, 3), (5, 3), axes=2),
        example((4, 3), (5, 4), axes=[1, 2]),
        example((4, 3), (3,), axes=[2, 1]),
    ],
)
def dot(b: Builder, inputs: list[Value], *, axes: int | list[int], normalize: bool = False) -> Value:
    """torch.einsum over one axis of each tensor, for each sample."""
    left, right = inputs
    first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = first % left.rank, second % right.rank
    if normalize:
        floor = 1e-6 if b.layer.keras_2 else 1e-7
        left = b.call("F.normalize", left, dim=Axis(first), eps=floor)
        right = b.call("F.normalize", right, dim=Axis(second), eps=floor)
    if (left.rank, right.rank) == (2, 2):
        product = b.call("*", left, right)
        return b.call(".sum", product, dim=1, keepdim=True, shape=(broadcast(left.shape, right.shape)[0], 1))
    letters = ["a" + "bcdefgh"[: left.rank - 1], "a" + "opqrstu"[: right.rank - 1]]
    letters[1] = letters[1].replace(letters[1][second], letters[0][first])
    rest = [term.replace(letters[0][first], "") for term in letters]
    shape = (
        *(n for i, n in enumerate(left.shape) if i != first),
        *(n for i, n in enumerate(right.shape) if i not in (0, second)),
    )
    equation = f"{letters[0]},{letters[1]}->{rest[0]}{rest[1][1:]}"
    return b.call("torch.einsum", equation, left, right, shape=shape, layout="keras")
