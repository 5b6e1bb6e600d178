"""Operations that change shapes, join, split and index."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import Axes, Axis, Index, Permutation, Size, Value
from k2t.rules.base import broadcast
from k2t.rules.builder import Builder
from k2t.rules.core import concatenate as join
from k2t.rules.core import reshape as reshape_to
from k2t.rules.operations.base import (
    MAX_PARTS,
    call,
    is_tensor,
    normal_axes,
    normal_axis,
    operation,
    real,
    replaced,
    size_product,
    tensor,
)
from k2t.rules.operations.creation import known
from k2t.symbols import is_symbolic, number

_X = real(None, 4, 3)
_IMAGE = real(None, 5, 4, 3)


@operation("shape")
def shape(b: Builder, x: Value) -> tuple[Any, ...]:
    """Known sizes as numbers, others as they are at run time."""
    return tuple(Size(x, axis) if size is None else size for axis, size in enumerate(x.shape))


@operation("size")
def size(b: Builder, x: Value) -> Any:
    """The number of elements."""
    total = size_product(x.shape)
    return total if total is not None else b.call(".numel", x, shape=(), dtype="int32", layout="keras")


@operation("ndim")
def ndim(b: Builder, x: Value) -> int:
    """The number of axes."""
    return x.rank


@operation(
    "reshape",
    examples=[call(_X, (-1, 12)), call(_X, (-1, 3)), call(real(None, None, 6), (-1, 3, 2)), call(_X, (2, 6, -1))],
)
def reshape(b: Builder, x: Value, newshape: Sequence[Any]) -> Value:
    """.reshape in Keras's order of elements; a -1 that stands for the batch is told apart from one that does not."""
    sizes = [newshape] if isinstance(newshape, int) else list(newshape)
    entries = [-1 if item is None else item for item in sizes]
    if any(not isinstance(item, int) and not is_tensor(item) for item in entries):
        raise UntranslatableError(f"cannot reshape to {newshape!r}")
    total, rest = size_product(x.shape[1:]), size_product([known(item) for item in entries[1:]])
    first_is_batch = isinstance(entries[0], Size) and entries[0].axis == 0
    if isinstance(entries[0], int) and entries[0] == -1 and total is not None and rest == total:
        entries[0] = x.shape[0]
    elif (first_is_batch or entries[0] == x.shape[0]) and entries.count(-1) == 1 and total is not None:
        others = size_product([known(item) for item in entries[1:] if not (isinstance(item, int) and item == -1)])
        if others:
            entries[entries.index(-1)] = total // others
    if not any(is_tensor(item) for item in entries[1:]):
        return reshape_to(b, x, tuple(None if is_tensor(item) else item for item in entries))
    return b.call(".reshape", x, *entries, shape=tuple(known(item) for item in entries), layout="keras")


@operation("expand_dims", examples=[call(_X, 1), call(_X, -1), call(_X, (0, 2)), call(_IMAGE, 3)])
def expand_dims(b: Builder, x: Value, axis: Any) -> Value:
    """.unsqueeze, one axis after another."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    rank = x.rank + len(axes)
    for one in sorted(item % rank for item in axes):
        x = b.call(".unsqueeze", x, one, shape=(*x.shape[:one], 1, *x.shape[one:]), layout="keras")
    return x


@operation(
    "squeeze", examples=[call(real(None, 1, 3), 1), call(real(None, 1, 3, 1)), call(real(None, 1, 3, 1), (1, -1))]
)
def squeeze(b: Builder, x: Value, axis: Any = None) -> Value:
    """.squeeze of axes of size 1."""
    axes = tuple(i for i, n in enumerate(x.shape) if n == 1) if axis is None else normal_axes(axis, x.rank)
    if any(x.shape[one] not in (1, None) for one in axes):
        raise UntranslatableError(f"cannot squeeze axis {axis} of {x.shape}")
    result = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    where = Axis(axes[0]) if len(axes) == 1 else Axes(axes)
    return b.call(".squeeze", x, where, shape=result, layout="keras")


@operation("transpose", examples=[call(_X, (0, 2, 1)), call(_X), call(_IMAGE, (0, 3, 1, 2)), call(real(None, 4))])
def transpose(b: Builder, x: Value, axes: Sequence[int] | None = None) -> Value:
    """.permute; the axes reversed where none are given."""
    order = tuple(reversed(range(x.rank))) if axes is None else tuple(axis % x.rank for axis in axes)
    result = tuple(x.shape[axis] for axis in order)
    if order == tuple(range(x.rank)):
        return x
    if x.rank < 3:
        return b.call(".permute", x, *order, shape=result, layout="keras")
    return b.call(".permute", x, Permutation(order), shape=result, layout="permute")


@operation("swapaxes", examples=[call(_X, 1, 2), call(_IMAGE, 1, -1)])
def swapaxes(b: Builder, x: Value, axis1: int, axis2: int) -> Value:
    """.permute with two axes exchanged."""
    order = list(range(x.rank))
    order[axis1 % x.rank], order[axis2 % x.rank] = order[axis2 % x.rank], order[axis1 % x.rank]
    return transpose(b, x, order)


@operation("moveaxis", examples=[call(_IMAGE, 1, -1), call(_IMAGE, (1, 2), (3, 1))])
def moveaxis(b: Builder, x: Value, source: Any, destination: Any) -> Value:
    """.permute with some axes elsewhere."""
    sources = [item % x.rank for item in ([source] if isinstance(source, int) else source)]
    targets = [item % x.rank for item in ([destination] if isinstance(destination, int) else destination)]
    order = [axis for axis in range(x.rank) if axis not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return transpose(b, x, order)


@operation(
    "concatenate",
    examples=[call([_X, real(None, 4, 3)], 1), call([_X, real(None, 4, 3)], -1), call([_X, np.ones((2, 4, 3))])],
)
def concatenate(b: Builder, xs: Sequence[Value], axis: int = 0) -> Value:
    """torch.cat."""
    return join(b, [tensor(b, x) for x in xs], axis)


@operation("stack", examples=[call([_X, real(None, 4, 3)]), call([_X, real(None, 4, 3)], axis=-1), call([_X, _X], 1)])
def stack(b: Builder, x: Sequence[Value], axis: int = 0) -> Value:
    """torch.stack."""
    first = broadcast(*(item.shape for item in x))
    axis %= len(first) + 1
    result = (*first[:axis], len(x), *first[axis:])
    return b.call("torch.stack", list(x), axis, shape=result, layout="keras", dtype=x[0].dtype)


@operation("split", examples=[call(_IMAGE, 2, 2), call(_IMAGE, [1, 3], axis=1), call(_IMAGE, 3, -1)])
def split(b: Builder, x: Value, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    """Slices between the given indices, or so many equal ones."""
    axis %= x.rank
    length = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if length is None or length % indices_or_sections or indices_or_sections > MAX_PARTS:
            raise UntranslatableError(f"cannot split {x.shape} into {indices_or_sections} along axis {axis}")
        bounds: list[int | None] = list(range(0, length + 1, length // indices_or_sections))
    else:
        bounds = [0, *indices_or_sections, length]
    return [take_slice(b, x, axis, start, stop) for start, stop in itertools.pairwise(bounds)]


def take_slice(b: Builder, x: Value, axis: int, start: int | None, stop: int | None) -> Value:
    """`x[..., start:stop, ...]` along one axis."""
    length = x.shape[axis]
    cut = slice(start or None, None if stop == length else stop)
    items = tuple(cut if i == axis else None for i in range(x.rank))
    return b.call("[]", x, Index(items), shape=(*x.shape[:axis], slice_length(length, cut), *x.shape[axis + 1 :]))


@operation("unstack", examples=[call(_X, axis=1), call(_X, axis=-1)])
def unstack(b: Builder, x: Value, num: int | None = None, axis: int = 0) -> list[Value]:
    """Each slice along an axis."""
    axis %= x.rank
    length = num or x.shape[axis]
    if length is None or length > MAX_PARTS or x.shape[axis] not in (None, length):
        raise UntranslatableError(f"cannot unstack axis {axis} of {x.shape} into {length} parts")
    return [get_item(b, x, (*(slice(None),) * axis, index)) for index in range(length)]


@operation(
    "get_item",
    examples=[
        call(_IMAGE, (slice(None), slice(1, None, 2))),
        call(_IMAGE, (Ellipsis, 0)),
        call(_X, (slice(None), None, 1)),
        call(_IMAGE, (slice(None), slice(None), slice(None, None, -1))),
        call(_X, 0),
        call(_IMAGE, (slice(None), slice(None), slice(None), slice(0, 2))),
    ],
)
def get_item(b: Builder, x: Value, key: Any) -> Value:
    """A subscript: slices, numbers, new axes, an ellipsis."""
    items = full_subscript(x, key)
    result: list[int | None] = []
    axis = 0
    for item in items:
        if item is None:
            result.append(1)
            continue
        if isinstance(item, slice):
            result.append(slice_length(x.shape[axis], item))
        axis += 1
    if axis != x.rank:
        raise UntranslatableError(f"too many subscripts for {x.shape}: {key!r}")
    if any(isinstance(item, slice) and isinstance(item.step, int) and item.step < 0 for item in items):
        return flipped_item(b, x, items)
    if all(isinstance(item, slice) and item == slice(None) for item in items):
        return x
    if all(isinstance(item, slice) for item in items):
        cut = tuple(None if item == slice(None) else item for item in items)
        return b.call("[]", x, Index(cut), shape=tuple(result))
    while isinstance(items[-1], slice) and items[-1] == slice(None):
        items.pop()
    return b.call("[]", x, tuple(items), shape=tuple(result), layout="keras")


def full_subscript(x: Value, key: Any) -> list[Any]:
    """One entry for each axis of `x`, and None for each new one."""
    items = list(key) if isinstance(key, tuple | list) else [key]
    if any(isinstance(item, Value) and item.rank for item in items):
        raise UntranslatableError("a subscript that is a tensor")
    if any(item is Ellipsis for item in items):
        place = next(i for i, item in enumerate(items) if item is Ellipsis)
        missing = x.rank - sum(item is not None for item in items) + 1
        items[place : place + 1] = [slice(None)] * missing
    return items + [slice(None)] * (x.rank - sum(item is not None for item in items))


def slice_length(size: int | None, cut: slice) -> int | None:
    """The length of a slice of an axis, None where it is unknown."""
    if any(is_tensor(bound) for bound in (cut.start, cut.stop, cut.step)):
        return None
    if is_symbolic(cut.start, cut.stop) and size is not None and inside(cut, size):
        return cut.stop - (0 if cut.start is None else cut.start)  # type: ignore[no-any-return]
    if size is not None:
        return len(range(*cut.indices(size)))
    if cut.stop is not None and cut.stop >= 0 and (cut.start or 0) >= 0 and cut.step in (None, 1):
        return int(cut.stop) - int(cut.start or 0)
    return 1 if cut.start == -1 and cut.stop is None else None


def inside(cut: slice, size: int) -> bool:
    """Whether a slice without steps begins and ends within the axis."""
    start, stop = number(cut.start or 0), number(cut.stop)
    return cut.step is None and stop is not None and 0 <= start <= stop <= size


def flipped_item(b: Builder, x: Value, items: list[Any]) -> Value:
    """PyTorch has no negative steps: the axis is flipped first."""
    whole = slice(None, None, -1)
    axes = [axis for axis, item in enumerate(items) if isinstance(item, slice) and item == whole]
    rest = [slice(None) if axis in axes else item for axis, item in enumerate(items)]
    if None in items or any(isinstance(item, slice) and isinstance(item.step, int) and item.step < 0 for item in rest):
        raise UntranslatableError("a slice with a negative step that does not take the whole axis")
    return get_item(b, flip(b, x, axes), tuple(rest))


@operation("flip", examples=[call(_X, 1), call(_X), call(_IMAGE, (1, 2))])
def flip(b: Builder, x: Value, axis: Any = None) -> Value:
    """.flip."""
    return b.call(".flip", x, Axes(normal_axes(axis, x.rank)), shape=x.shape)


@operation("tile", examples=[call(_X, 2), call(_X, (1, 2, 3)), call(real(None, 3), (2, 1, 1))])
def tile(b: Builder, x: Value, repeats: Any) -> Value:
    """.repeat, which is numpy's tile."""
    x = tensor(b, x) if isinstance(x, np.ndarray) else x
    counts = [repeats] if isinstance(repeats, int) else list(repeats)
    counts = [1] * (x.rank - len(counts)) + counts
    sizes = (1,) * (len(counts) - x.rank) + tuple(x.shape)
    pairs = zip(sizes, map(known, counts), strict=True)
    result = tuple(None if size is None or count is None else size * count for size, count in pairs)
    return b.call(".repeat", x, *counts, shape=result, layout="keras")


@operation("repeat", examples=[call(_X, 2, 1), call(_X, 2), call(_X, [1, 2, 0], 2)])
def repeat(b: Builder, x: Value, repeats: Any, axis: int | None = None) -> Value:
    """.repeat_interleave."""
    if axis is None:
        x, axis = b.call(".flatten", x, shape=(size_product(x.shape),), layout="keras"), 0
    axis = normal_axis(axis, x.rank)
    length = x.shape[axis]
    if isinstance(repeats, int):
        result = replaced(x.shape, axis, None if length is None else length * repeats)
        return b.call(".repeat_interleave", x, repeats, dim=Axis(axis), shape=result)
    counts = tensor(b, np.asarray(repeats), "repeats")
    result = replaced(x.shape, axis, int(np.sum(repeats)) if np.size(repeats) == length else None)
    return b.call(".repeat_interleave", x, counts, dim=axis, shape=result, layout="keras")


@operation("broadcast_to", examples=[call(real(1, 3), (4, 3)), call(real(3), (2, 4, 3))])
def broadcast_to(b: Builder, x: Value, shape: Sequence[Any]) -> Value:
    """.expand."""
    sizes = [-1 if item is None else item for item in shape]
    return b.call(".expand", x, *sizes, shape=tuple(known(item) for item in sizes), layout="keras")
