"""Layers that merge several tensors."""

from __future__ import annotations

from functools import reduce

from k2t.errors import UntranslatableError
from k2t.program import Axis, Value
from k2t.rules.base import broadcast, example, rule
from k2t.rules.builder import Builder
from k2t.rules.core import concatenate


def aligned(b: Builder, tensors: list[Value]) -> list[Value]:
    """Keras inserts axes of size 1 after the batch axis where the ranks differ."""
    rank = max(x.rank for x in tensors)
    return [x if x.rank == rank else insert_axes(b, x, rank) for x in tensors]


def insert_axes(b: Builder, x: Value, rank: int) -> Value:
    """Axes of size 1 behind the batch axis."""
    index = (slice(None), *[None] * (rank - x.rank))
    return b.call("[]", x, index, shape=(x.shape[0], *[1] * (rank - x.rank), *x.shape[1:]), layout="keras")


def merge_masks(b: Builder, tensors: list[Value]) -> Value | None:
    """The masks of all inputs, joined by and; those without a mask do not count."""
    masks = [x.mask for x in tensors if x.mask is not None]
    if not masks:
        return None
    return reduce(lambda first, second: b.call("&", first, second), masks)


def fold(b: Builder, inputs: list[Value], target: str) -> Value:
    """The inputs joined by a binary operation, first to last."""
    tensors = aligned(b, inputs)
    output = reduce(lambda first, second: b.call(target, first, second), tensors)
    if output is not tensors[0]:
        output.mask = merge_masks(b, inputs)
    return output


PAIR = ((5, 3), (5, 3))
BROADCAST = ((4, 1, 3), (1, 5, 3))


@rule("Add", examples=[example(*PAIR), example(*PAIR, (5, 3)), example(*BROADCAST)])
def add(b: Builder, inputs: list[Value]) -> Value:
    """The operator +."""
    return fold(b, inputs, "+")


@rule("Multiply", examples=[example(*PAIR), example(*BROADCAST)])
def multiply(b: Builder, inputs: list[Value]) -> Value:
    """The operator *."""
    return fold(b, inputs, "*")


@rule("Subtract", examples=[example(*PAIR), example(*BROADCAST)])
def subtract(b: Builder, inputs: list[Value]) -> Value:
    """The operator -."""
    if len(inputs) != 2:
        raise UntranslatableError(f"takes 2 inputs, has {len(inputs)}")
    return fold(b, inputs, "-")


@rule("Maximum", examples=[example(*PAIR, (5, 3)), example(*BROADCAST)])
def maximum(b: Builder, inputs: list[Value]) -> Value:
    """torch.maximum."""
    return fold(b, inputs, "torch.maximum")


@rule("Minimum", examples=[example(*PAIR), example(*BROADCAST)])
def minimum(b: Builder, inputs: list[Value]) -> Value:
    """torch.minimum."""
    return fold(b, inputs, "torch.minimum")


@rule("Average", examples=[example(*PAIR), example(*PAIR, (5, 3))])
def average(b: Builder, inputs: list[Value]) -> Value:
    """The sum divided by the number of inputs."""
    output = b.call("/", fold(b, inputs, "+"), len(inputs))
    output.mask = merge_masks(b, inputs)
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
    """torch.cat; the mask is that of the inputs, True where an input has none."""
    output = concatenate(b, inputs, axis)
    masks = [x.mask for x in inputs]
    if any(mask is not None for mask in masks):
        if axis % output.rank == 1:
            full = [
                mask
                if mask is not None
                else b.call(
                    "torch.ones_like",
                    b.call("[]", x, index_last(x), shape=x.shape[:2], layout="keras"),
                    dtype="bool",
                    layout="keras",
                )
                for mask, x in zip(masks, inputs, strict=True)
            ]
            output.mask = concatenate(b, full, 1)
        else:
            output.mask = merge_masks(b, inputs)
    return output


def index_last(x: Value) -> tuple[object, ...]:
    """The subscript `[:, :, 0, ...]`."""
    return (slice(None), slice(None), *([0] * (x.rank - 2)))


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
        left = b.call("F.normalize", left, dim=Axis(first), eps=1e-6)
        right = b.call("F.normalize", right, dim=Axis(second), eps=1e-6)
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
