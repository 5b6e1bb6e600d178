"""Operations that join, split, shift, pad and rearrange."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Shape
from k2t.program import Axis, Index, Pads, Size, Value
from k2t.rules.base import require
from k2t.rules.builder import Builder
from k2t.rules.operations.base import (
    Options,
    call,
    is_tensor,
    normal_axis,
    operation,
    real,
    size_product,
)
from k2t.rules.operations.creation import known
from k2t.rules.operations.elementwise import cast
from k2t.rules.operations.indexing import flat
from k2t.rules.operations.shape import concatenate, expand_dims, flip, get_item, reshape, split, transpose

_X = real(None, 4, 3)
_Y = real(None, 4, 3)
_IMAGE = real(None, 5, 4, 3)
_FIXED = real(2, 5, 4, 3)


@operation("append", examples=[call(_X, _Y), call(_X, _Y, 1)])
def append(b: Builder, x1: Value, x2: Value, axis: int | None = None) -> Value:
    """torch.cat, of flattened tensors where no axis is given."""
    if axis is None:
        return concatenate(b, [flat(b, x1), flat(b, x2)], 0)
    return concatenate(b, [x1, x2], axis)


def stacked(b: Builder, xs: Sequence[Value], *, axis: int, rank: int) -> Value:
    """torch.cat along an axis, of tensors of at least `rank` axes."""
    tensors = []
    for item in xs:
        x = item
        while x.rank < rank:
            x = expand_dims(b, x, 2 if (rank, x.rank) == (3, 2) else 0)
        tensors.append(x)
    return concatenate(b, tensors, axis)


operation("vstack", examples=[call([_X, _Y])])(lambda b, xs: stacked(b, xs, axis=0, rank=2))
operation("hstack", examples=[call([_X, _Y])])(lambda b, xs: stacked(b, xs, axis=1 if xs[0].rank > 1 else 0, rank=1))
operation("dstack", examples=[call([_X, _Y]), call([real(None, 4), real(None, 4)])])(
    lambda b, xs: stacked(b, xs, axis=2, rank=3)
)


@operation("array_split", examples=[call(_IMAGE, 3, 1), call(_IMAGE, 2, axis=2)])
def array_split(b: Builder, x: Value, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    """Slices, the first ones longer where they cannot be equal."""
    size = x.shape[normal_axis(axis, x.rank)]
    if not isinstance(indices_or_sections, int):
        return split(b, x, indices_or_sections, axis)
    if size is None:
        raise UntranslatableError(f"cannot split axis {axis} of unknown size")
    short, longer = divmod(size, indices_or_sections)
    lengths = [short + (i < longer) for i in range(indices_or_sections)]
    return split(b, x, np.cumsum(lengths)[:-1].tolist(), axis)


def split_along(b: Builder, x: Value, indices_or_sections: Any, *, axis: int) -> list[Value]:
    """Slices along a given axis."""
    return split(b, x, indices_or_sections, axis if x.rank > 1 else 0)


operation("vsplit", examples=[call(real(4, 3), 2)])(partial(split_along, axis=0))
operation("hsplit", examples=[call(_X, 2), call(_X, [1, 2])])(partial(split_along, axis=1))
operation("dsplit", examples=[call(_IMAGE, 2)])(partial(split_along, axis=2))
operation("flipud", examples=[call(_X)])(lambda b, x: flip(b, x, 0))
operation("fliplr", examples=[call(_X)])(lambda b, x: flip(b, x, 1))


@operation("ravel", examples=[call(_X), call(_IMAGE)])
def ravel(b: Builder, x: Value) -> Value:
    """.flatten."""
    return flat(b, x)


@operation("roll", examples=[call(_X, 1, 1), call(_X, -2), call(_IMAGE, (1, 2), (1, 2))])
def roll(b: Builder, x: Value, shift: Any, axis: Any = None) -> Value:
    """.roll."""
    if axis is None:
        return b.call(".roll", x, shift, shape=x.shape, layout="keras")
    if isinstance(axis, int):
        return b.call(".roll", x, shift, Axis(axis), shape=x.shape)
    return b.call(".roll", x, tuple(shift), [Axis(one) for one in axis], shape=x.shape)


@operation("rot90", examples=[call(_IMAGE, 1, (1, 2)), call(_X), call(_X, 3, (2, 1))])
def rot90(b: Builder, array: Value, k: int = 1, axes: Sequence[int] = (0, 1)) -> Value:
    """torch.rot90."""
    first, second = (normal_axis(axis, array.rank) for axis in axes)
    shape = list(array.shape)
    if k % 2:
        shape[first], shape[second] = shape[second], shape[first]
    return b.call("torch.rot90", array, k, (Axis(first), Axis(second)), shape=tuple(shape))


MODES = {"reflect": "reflect", "constant": "constant", "edge": "replicate", "wrap": "circular"}
_PADS = ((0, 0), (1, 2), (2, 0), (0, 0))


@operation(
    "pad",
    examples=[
        call(_IMAGE, _PADS),
        call(_IMAGE, _PADS, "constant", 0.5),
        call(_IMAGE, _PADS, "reflect"),
        call(_IMAGE, _PADS, "symmetric"),
        call(_X, ((0, 0), (1, 2), (1, 1)), "reflect"),
        call(_X, ((1, 0), (1, 2), (0, 1)), "symmetric"),
        call(real(None, None, 3), ((0, 0), (1, 2), (0, 0))),
    ],
)
def pad(b: Builder, x: Value, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Value:
    """F.pad where it has the mode; else slices, reversed, around the tensor."""
    require(mode, ("constant", "reflect", "symmetric", "edge", "wrap"), "mode")
    widths = np.broadcast_to(np.asarray(pad_width), (x.rank, 2)).tolist()
    pairs = tuple((int(before), int(after)) for before, after in widths)
    shape = tuple(None if n is None else n + sum(pair) for n, pair in zip(x.shape, pairs, strict=True))
    if mode == "constant":
        options: Options = {"value": constant_values} if constant_values else {}
        return b.call("F.pad", x, Pads(pairs), shape=shape, **options)
    padded = [axis for axis, pair in enumerate(pairs) if pair != (0, 0)]
    if mode in ("reflect", "edge") and x.rank == 4 and set(padded) <= {1, 2}:
        spatial = tuple(amount for axis in (2, 1) for amount in pairs[axis])
        return b.call("F.pad", x, spatial, mode=MODES[mode], shape=shape, layout="first")
    for axis in padded:
        x = mirrored(b, x, axis, pairs[axis], mode)
    return x


def mirrored(b: Builder, x: Value, axis: int, pair: tuple[int, int], mode: str) -> Value:
    """One axis padded with its own elements."""
    if mode not in ("reflect", "symmetric"):
        raise UntranslatableError(f"pad with mode={mode!r} along axis {axis}")
    skip = int(mode == "reflect")
    before, after = pair

    def reverse(cut: slice, length: int) -> Value:
        items = tuple(cut if one == axis else None for one in range(x.rank))
        part = b.call("[]", x, Index(items), shape=(*x.shape[:axis], length, *x.shape[axis + 1 :]))
        return flip(b, part, axis)

    parts = [x]
    if before:
        parts.insert(0, reverse(slice(skip, before + skip), before))
    if after:
        parts.append(reverse(slice(-after - skip, -1 if skip else None), after))
    return concatenate(b, parts, axis)


@operation("diag", examples=[call(real(None)), call(real(None), 1), call(real(None, 4)), call(real(4, 4), -1)])
def diag(b: Builder, x: Value, k: int = 0) -> Value:
    """torch.diag."""
    size = None if None in x.shape else diagonal_length(x.shape, k)
    if x.rank == 1:
        length = None if x.shape[0] is None else x.shape[0] + abs(k)
        shape: Shape = (length, length)
    else:
        shape = (size,)
    return b.call("torch.diag", x, *([k] if k else []), shape=shape, layout="keras")


@operation("diagflat", examples=[call(_X), call(real(None), 2)])
def diagflat(b: Builder, x: Value, k: int = 0) -> Value:
    """torch.diag of the flattened tensor."""
    return diag(b, flat(b, x) if x.rank > 1 else x, k)


def diagonal_length(sizes: Shape, offset: int) -> int | None:
    """How many elements the diagonal of a matrix has."""
    rows, width = sizes
    if rows is None or width is None:
        return None
    return max(min(rows + min(offset, 0), width - max(offset, 0)), 0)


@operation("diagonal", examples=[call(_X, axis1=1, axis2=2), call(_IMAGE, 1, 1, 2), call(real(4, 3), -1)])
def diagonal(b: Builder, x: Value, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """torch.diagonal."""
    axes = [normal_axis(axis, x.rank) for axis in (axis1, axis2)]
    rest = tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
    length = diagonal_length(tuple(x.shape[axis] for axis in axes), offset)
    return b.call("torch.diagonal", x, offset, *axes, shape=(*rest, length), layout="keras")


@operation("trace", examples=[call(_X, axis1=1, axis2=2), call(real(4, 3)), call(_IMAGE, 1, 1, 2)])
def trace(b: Builder, x: Value, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """The sum of the diagonal."""
    y = diagonal(b, x, offset, axis1, axis2)
    return b.call(".sum", y, -1, shape=y.shape[:-1], layout="keras")


@operation("slice", examples=[call(real(6, 5), (1, 2), (3, 2)), call(_X, (0, 1, 0), (2, 2, 3))])
def slice_(b: Builder, inputs: Value, start_indices: Any, shape: Sequence[Any]) -> Value:
    """A subscript."""
    if isinstance(start_indices, Value):
        raise UntranslatableError("a slice at a place that is computed")
    items = []
    for start, length, size in zip(start_indices, shape, inputs.shape, strict=True):
        if isinstance(start, Size | Value) or isinstance(length, Size | Value):
            stop: Any = end_of(b, start, length)
        else:
            stop = None if length == -1 or (size is not None and start + length == size) else start + length
        items.append(slice(start or None, stop) if not is_tensor(start) else slice(start, stop))
    y = get_item(b, inputs, tuple(items))
    if isinstance(y, Value) and not any(is_tensor(item) for item in shape):
        y.shape = tuple(known(item) if item != -1 else own for item, own in zip(shape, y.shape, strict=True))
    return y


def end_of(b: Builder, start: Any, length: Any) -> Any:
    """start + length, one of them known at run time only."""
    return length if start == 0 else b.call("+", start, length, shape=(), dtype="int32", layout="keras")


@operation("extract_sequences", examples=[call(real(None, 9), 4, 2), call(real(None, 2, 9), 3, 3)])
def extract_sequences(b: Builder, x: Value, sequence_length: int, sequence_stride: int) -> Value:
    """.unfold along the last axis."""
    size = x.shape[-1]
    count = None if size is None else (size - sequence_length) // sequence_stride + 1
    shape = (*x.shape[:-1], count, sequence_length)
    return b.call(".unfold", x, -1, sequence_length, sequence_stride, shape=shape, layout="keras")


TERM = re.compile(r"\(([^()]*)\)|(\S+)")


def terms(pattern: str) -> list[list[str]]:
    """One side of a pattern of einops: the names of each axis."""
    return [(grouped or single).split() for grouped, single in TERM.findall(pattern)]


@operation(
    "rearrange",
    examples=[
        call(_FIXED, "b h w c -> b (h w) c"),
        call(_FIXED, "b h w c -> b c h w"),
        call(real(2, 4, 3), "b (h w) c -> b h w c", h=2),
        call(_FIXED, "b h (w v) c -> b (h v) w c", v=2),
    ],
)
def rearrange(b: Builder, tensor: Value, pattern: str, **axes_lengths: int) -> Value:
    """.reshape, .permute, .reshape: https://einops.rocks/api/rearrange."""
    left, _, right = pattern.partition("->")
    before, after = terms(left), terms(right)
    if len(before) != tensor.rank or "..." in pattern:
        raise UntranslatableError(f"rearrange {pattern!r} of {tensor.shape}")
    sizes: dict[str, Any] = dict(axes_lengths)
    for names, size in zip(before, tensor.shape, strict=True):
        unknown = [name for name in names if name not in sizes]
        total = size_product([sizes[name] for name in names if name in sizes])
        if len(unknown) == 1:
            sizes[unknown[0]] = None if size is None or not total else size // total
    names = [name for group in before for name in group]
    y = tensor
    if any(len(group) != 1 for group in before):
        y = reshape(b, y, [sizes[name] for name in names])
    y = transpose(b, y, [names.index(name) for group in after for name in group])
    if any(len(group) != 1 for group in after):
        y = reshape(b, y, [size_product([sizes[name] for name in group]) for group in after])
    return y


@operation("view_as_real")
def view_as_real(b: Builder, x: Value) -> Value:
    """torch.view_as_real."""
    return b.call("torch.view_as_real", x, shape=(*x.shape, 2), dtype="float32", layout="keras")


@operation("view_as_complex")
def view_as_complex(b: Builder, x: Value) -> Value:
    """torch.view_as_complex."""
    return b.call("torch.view_as_complex", cast(b, x, "float32"), shape=x.shape[:-1], dtype="complex64", layout="keras")
