"""Puts a decided layout into effect: permutes, axes as numbers, permuted weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from k2t.errors import Problem, UnsupportedError
from k2t.graph import Array, map_structure
from k2t.lower.labels import Labels
from k2t.program import (
    Axes,
    Axis,
    Block,
    Device,
    Index,
    Module,
    Op,
    Pads,
    Parameter,
    Permutation,
    Size,
    Sizes,
    Value,
    leaves,
    values,
)

Order = tuple[int, ...]


class Rewriter:
    """Rewrites the operations of one block.

    Attributes:
        order: value -> order of its axes as it is made.
        ops: the new operations.
    """

    def __init__(self, block: Block, labels: Labels, chosen: Mapping[int, bool]) -> None:
        self.block = block
        self.labels = labels
        self.chosen = chosen
        self.ops: list[Op] = []
        self.order: dict[Value, Order] = {}
        self.moved: dict[tuple[Value, Order], Value] = {}
        self.flat: dict[Value, tuple[tuple[int | None, ...], Order]] = {}

    def wanted(self, value: Value, node: int, whole: bool = False) -> Order:
        """The order that the label of `node` means for `value`; `whole` says that an axis of frames is like others."""
        if not self.chosen[node] or value.rank <= 2:
            return tuple(range(value.rank))
        position = 2 if value in self.labels.frames and not whole else 1
        return (*range(position), value.rank - 1, *range(position, value.rank - 1))

    def run(self, boundary: str, first_ranks: frozenset[int]) -> None:
        """Rewrite the whole block in place; the arguments as for `decide`."""
        for value in self.block.inputs:
            self.order[value] = self.wanted(value, self.labels.makes[value])
        for number, op in enumerate(self.block.ops):
            self.rewrite(number, op)
        if boundary != "torch":
            self.block.outputs = map_structure(
                lambda value: self.permuted(value, order_of(value.rank, value.rank in first_ranks)), self.block.outputs
            )
        self.block.ops = self.ops
        self.block.layouts = self.order

    def rewrite(self, number: int, op: Op) -> None:
        """One operation, with the permutes in front of it."""
        reads: dict[Value, Order] = {}
        replaced: dict[Value, Value] = {}
        inside = border(op)
        for value in values((op.args, op.kwargs)):
            wanted = self.wanted(value, self.labels.reads[number, value], op.layout in ("first", "split_frames"))
            reads[value] = inside.get(value) or (self.order[value] if sizes_only(op, value) else wanted)
            replaced[value] = self.permuted(value, reads[value])
        for value in values(op.outputs):
            whole = op.layout in ("first", "merge_frames")
            self.order[value] = inside.get(value) or self.wanted(value, self.labels.makes[value], whole)
        self.remember_features(op)
        main = next(values((op.args, op.kwargs)), None)
        made = next(values(op.outputs), None)
        inner = reads[main] if main is not None else ()
        outer = self.order[made] if made is not None else ()
        if op.layout == "permute":
            self.add_permute(op, replaced, inner, outer)
            return
        if (
            not inner
            and main is not None
            and any(isinstance(leaf, Axis | Axes) for leaf in leaves((op.args, op.kwargs)))
        ):
            raise UnsupportedError([Problem(op.layer, "layer", "its input has no axes")])
        convert = converter(inner, outer, replaced, self.order)
        args, kwargs = tuple(spread(op.args, convert)), map_structure(convert, op.kwargs)
        target = op.target
        self.ops.append(replace(op, target=target, args=args, kwargs=kwargs))

    def permuted(self, value: Value, order: Order) -> Value:
        """`value` in another order of axes, permuted once for all who want it so."""
        if self.order[value] == order:
            return value
        if (value, order) not in self.moved:
            moved = Value(value.shape, value.dtype, layer=value.layer)
            steps = tuple(self.order[value].index(axis) for axis in order)
            self.ops.append(Op(".permute", (value, *steps), {}, moved, layer=value.layer))
            self.order[moved] = order
            self.moved[value, order] = moved
        return self.moved[value, order]

    def add_permute(self, op: Op, replaced: dict[Value, Value], inner: Order, outer: Order) -> None:
        """Keras's own permutation and both layouts, as one permutation."""
        source, permutation = op.args
        if not isinstance(permutation, Permutation):
            raise TypeError("a permute has the arguments (value, Permutation)")
        steps = tuple(inner.index(permutation.order[axis]) for axis in outer)
        self.ops.append(replace(op, args=(replaced[source], *steps)))

    def remember_features(self, op: Op) -> None:
        """Follow flattened features to the linear layer that absorbs their order."""
        source = next(values(op.args), None)
        made = next(values(op.outputs), None)
        if source is None or made is None:
            return
        if op.layout == "flatten":
            order = self.wanted(source, self.labels.makes[made])
            if order != tuple(range(source.rank)):
                self.flat[made] = (source.shape, order)
        elif source in self.flat and op.layout == "any":
            self.flat[made] = self.flat[source]
        elif source in self.flat and op.layout == "linear" and isinstance(op.target, Module):
            absorb(op.target, *self.flat[source])


def order_of(rank: int, first: bool) -> Order:
    """Channels first, or Keras's order."""
    return (0, rank - 1, *range(1, rank - 1)) if first and rank > 2 else tuple(range(rank))


def border(op: Op) -> dict[Value, Order]:
    """For the call of a nested block, the orders that it has decided on."""
    if not isinstance(op.target, Module) or not isinstance(op.target.call, Block):
        return {}
    block = op.target.call
    outer, inner = [*values(op.args), *values(op.outputs)], [*block.inputs, *values(block.outputs)]
    return {value: block.layouts[other] for value, other in zip(outer, inner, strict=True)}


def sizes_only(op: Op, value: Value) -> bool:
    """Whether the operation asks for the sizes of `value` alone."""
    return not any(leaf is value for leaf in leaves((op.args, op.kwargs)))


def absorb(module: Module, shape: tuple[int | None, ...], order: Order) -> None:
    """Permute the weights of a linear layer along its input features, flattened in `order`."""
    sizes = tuple(size or 0 for size in shape[1:])
    axes = tuple(axis - 1 for axis in order[1:])
    for key, axis in module.absorbs.items():
        weight = module.weights[key]
        module.weights[key] = replace(weight, transform=reordered(weight.transform, axis, sizes, axes))


def reordered(
    transform: Callable[..., Array], axis: int, sizes: tuple[int, ...], axes: tuple[int, ...]
) -> Callable[..., Array]:
    """`transform`, then the features along `axis` in another order."""

    def apply(*arrays: Array) -> Array:
        array = transform(*arrays)
        before, after = array.shape[:axis], array.shape[axis + 1 :]
        split = array.reshape(*before, *sizes, *after)
        order = (
            *range(axis),
            *(axis + step for step in axes),
            *range(axis + len(sizes), split.ndim),
        )
        return split.transpose(order).reshape(array.shape)

    return apply


def converter(
    inner: Order, outer: Order, replaced: dict[Value, Value], orders: dict[Value, Order]
) -> Callable[[Any], Any]:
    """Turns layout-dependent arguments into plain ones, for tensors read in order `inner`, made in `outer`."""
    rank = len(inner)

    def place(axis: int) -> int:
        return inner.index(axis % rank)

    def sized(leaf: Size) -> Size:
        value = replaced[leaf.value]
        return Size(value, orders[value].index(leaf.axis % value.rank))

    written: dict[type, Callable[[Any], Any]] = {
        Value: lambda leaf: replaced[leaf],
        Axis: lambda leaf: place(leaf.index),
        Axes: lambda leaf: one_or_several(sorted(place(axis) for axis in leaf.indices)),
        Pads: lambda leaf: padding_argument([leaf.pairs[axis] for axis in inner]),
        Index: lambda leaf: subscript([leaf.items[axis] for axis in inner]),
        Sizes: lambda leaf: tuple(map_structure(convert, leaf.items[axis]) for axis in outer),
        Size: sized,
        Device: lambda leaf: Device(replaced[leaf.value]),
        Parameter: lambda leaf: shaped(leaf, inner) if leaf.axes else leaf,
    }

    def convert(leaf: Any) -> Any:
        return written[type(leaf)](leaf) if type(leaf) in written else leaf

    return convert


def one_or_several(axes: list[int]) -> int | tuple[int, ...]:
    """As a person writes them."""
    return axes[0] if len(axes) == 1 else tuple(axes)


def spread(args: tuple[Any, ...], convert: Callable[[Any], Any]) -> Iterator[Any]:
    """The arguments converted; sizes one by one, as in `x.reshape(-1, 3, 4)`."""
    for arg in args:
        if isinstance(arg, Sizes):
            yield from convert(arg)
        else:
            yield map_structure(convert, arg)


def padding_argument(pairs: list[tuple[int, int]]) -> tuple[int, ...]:
    """As F.pad takes it: the last axis first, without the untouched axes at the front."""
    while len(pairs) > 1 and pairs[0] == (0, 0):
        pairs = pairs[1:]
    return tuple(amount for pair in reversed(pairs) for amount in pair)


def subscript(items: list[Any]) -> tuple[Any, ...]:
    """One entry for each axis, without the untouched axes at the end."""
    while len(items) > 1 and items[-1] is None:
        items = items[:-1]
    return tuple(slice(None) if item is None else item for item in items)


def shaped(parameter: Parameter, order: Order) -> Parameter:
    """The parameter with its axes where they lie in tensors of this order; changed in place, for all its uses."""
    rank = len(order)
    own = {axis % rank: size for axis, size in zip(parameter.axes, parameter.shape, strict=True)}
    sizes = [own.get(axis, 1) for axis in order]
    moved = [axis for axis in order if axis in own]
    permutation = tuple(sorted(own).index(axis) for axis in moved)
    while len(sizes) > 1 and sizes[0] == 1:
        sizes = sizes[1:]
    weight, shape = parameter.weight, tuple(sizes)
    parameter.weight = replace(
        weight, transform=lambda *arrays: weight.transform(*arrays).transpose(permutation).reshape(shape)
    )
    parameter.shape, parameter.axes = shape, ()
    return parameter
