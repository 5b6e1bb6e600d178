"""Which tensors are channels first: one decision over the whole block, with the fewest permutes.

Keras's tensors are (N, H, W, C), PyTorch's convolutions want (N, C, H, W), its linear and recurrent
layers (N, ..., C). Each operation says which orders it can work in; the cheapest assignment is a minimum cut.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from k2t.graph import Shape
from k2t.lower.cut import Edge, cheapest
from k2t.lower.labels import Labels
from k2t.lower.rewrite import Order, Rewriter, border, sizes_only
from k2t.program import Axes, Block, Module, Op, Parameter, Permutation, Value, leaves, values


def decide(block: Block, boundary: str, first_ranks: frozenset[int] = frozenset(), *, alike: bool = False) -> None:
    """Choose an order for every tensor of `block`, insert the permutes, write axes as numbers.

    Args:
        block: changed in place; the blocks that it calls must have been decided before.
        boundary: `torch` leaves inputs and outputs free, `keras` keeps Keras's order there, `first` has those of
            `first_ranks` axes channels first and the others in Keras's order.
        alike: inside, too, tensors of `first_ranks` axes are channels first wherever an operation allows it, so that
            programs that differ elsewhere lay them out alike.
    """
    block.ops = [made for op in block.ops for made in with_copies(op)]
    labels = Labels()
    keras = labels.new(False)
    first = labels.new(True)
    for value in block.inputs:
        free = boundary == "torch" and value.rank > 2
        labels.makes[value] = labels.new(None if free else value.rank in first_ranks)
        if value.rank == 4:
            labels.prefers.add(labels.makes[value])
    for number, op in enumerate(block.ops):
        constrain(labels, number, op, keras, first)
    spread_frames(labels, block)
    flatten_only_into_linear(labels, block)
    for value, node in labels.makes.items():
        if alike and value.rank in first_ranks:
            labels.fixed.setdefault(labels.find(node), True)
    chosen = solve(labels, block, boundary, first_ranks)
    Rewriter(block, labels, chosen).run(boundary, first_ranks)


def with_copies(op: Op) -> Iterator[Op]:
    """The operation; before it, a copy of each tensor that a nested block takes in two orders."""
    if isinstance(op.target, Module) and isinstance(op.target.call, Block):
        orders: dict[Value, Order] = {}
        given = list(op.args)
        for number, inner in enumerate(op.target.call.inputs):
            value, order = given[number], op.target.call.layouts[inner]
            if orders.setdefault(value, order) != order:
                given[number] = Value(value.shape, value.dtype, layer=value.layer)
                same = Permutation(tuple(range(value.rank)))
                yield Op(".permute", (value, same), {}, given[number], "permute", value.layer)
        op.args = tuple(given)
    yield op


def constrain(labels: Labels, number: int, op: Op, keras: int, first: int) -> None:
    """What `op` demands of the tensors that it reads and makes."""
    read = list(values((op.args, op.kwargs)))
    made = list(values(op.outputs))
    kind = op.layout
    if kind == "any" and not same_rank(op, [*read, *made]):
        kind = "keras"
    if kind == "reshape":
        sides = [keras if moves_data(value.shape) else labels.new() for value in ((read or made)[0], made[0])]
    elif kind == "permute":
        sides = [labels.new(), labels.new()]
    elif kind in ("any", "flatten", "merge_frames", "split_frames"):
        sides = [labels.new()] * 2
    elif kind == "reduce":
        node = labels.new()
        sides = [node, node if keeps_channels_last(op, read[0]) else keras]
    elif kind == "linear":
        absorbs = read[0].rank == 2
        sides = [labels.new() if absorbs else keras, keras]
    else:
        sides = [keras if kind == "keras" else first] * 2
    labels.frames.update({"merge_frames": read, "split_frames": made}.get(kind, []))
    labels.frames.update(value for value, order in border(op).items() if order[1:2] == (1,) and not in_order(order))
    for value in read:
        side = labels.new() if sizes_only(op, value) else side_of(labels, op, value, sides[0], keras)
        labels.reads[number, value] = side
    for value in made:
        labels.makes[value] = side_of(labels, op, value, sides[1], keras)


def spread_frames(labels: Labels, block: Block) -> None:
    """What elementwise operations read and make is laid out alike, before and after layers that see single frames."""
    todo = [op for op in block.ops if op.layout == "any"]
    count = -1
    while labels.frames and count != len(labels.frames):
        count = len(labels.frames)
        for op in (*todo, *reversed(todo)):
            tensors = set(values((op.args, op.kwargs, op.outputs)))
            if tensors & labels.frames:
                labels.frames |= tensors


def side_of(labels: Labels, op: Op, value: Value, side: int, keras: int) -> int:
    """The node for one tensor: tensors of rank 1 and 2 have no channels to move, except flattened ones."""
    if value in (inside := border(op)):
        return labels.new(not in_order(inside[value]))
    if value.rank <= 2 and op.layout not in ("any", "flatten", "linear"):
        return keras
    return side


def in_order(order: Order) -> bool:
    """Whether it is Keras's order of axes."""
    return order == tuple(range(len(order)))


def same_rank(op: Op, tensors: list[Value]) -> bool:
    """Whether an elementwise operation aligns its tensors axis by axis."""
    ranks = {value.rank for value in tensors if value.rank}
    plain = [leaf for leaf in leaves((op.args, op.kwargs)) if isinstance(leaf, Parameter) and not leaf.axes]
    return len(ranks) <= 1 and all(not leaf.shape or ranks == {1} for leaf in plain)


def keeps_channels_last(op: Op, value: Value) -> bool:
    """Whether a reduction leaves the batch and channel axes, and more than these."""
    axes = next(leaf for leaf in leaves((op.args, op.kwargs)) if isinstance(leaf, Axes))
    removed = {axis % value.rank for axis in axes.indices}
    return value.rank - len(removed) > 2 and not removed & {0, value.rank - 1}


def moves_data(shape: Shape) -> bool:
    """Whether moving the last axis behind the first changes the order of the elements."""
    return len(shape) > 2 and shape[-1] != 1 and any(size != 1 for size in shape[1:-1])


def flatten_only_into_linear(labels: Labels, block: Block) -> None:
    """Features keep the order that they were flattened in only where linear layers absorb it."""
    flat: dict[Value, Shape] = {}
    calls = Counter(id(op.target) for op in block.ops)
    for number, op in enumerate(block.ops):
        made = next(values(op.outputs), None)
        for value in values((op.args, op.kwargs)):
            if value in flat and made is not None:
                once = calls[id(op.target)] == 1
                join_features(labels, flat, Reading(number, op, value, made, op.layout == "linear" and once))
        if op.layout == "flatten" and made is not None:
            source = next(values(op.args))
            flat[made] = source.shape
            if None in source.shape[1:]:
                labels.join(labels.makes[made], labels.new(False))
    outputs = set(values(block.outputs))
    for value in flat:
        if value in outputs:
            labels.join(labels.makes[value], labels.new(False))


@dataclass(frozen=True)
class Reading:
    """Operation `op`, the `number`-th, reads flattened features and makes a tensor of them."""

    number: int
    op: Op
    value: Value
    made: Value
    absorbs: bool


def join_features(labels: Labels, flat: dict[Value, Shape], reading: Reading) -> None:
    """How an operation that reads flattened features takes part in their order."""
    op, value, made = reading.op, reading.value, reading.made
    if reading.absorbs or not moves_data(flat[value]):
        return
    node = labels.reads[reading.number, value]
    labels.join(labels.makes[value], node)
    others = [
        leaf for leaf in leaves((op.args, op.kwargs)) if isinstance(leaf, Value | Parameter) and leaf is not value
    ]
    if op.layout == "any" and not others and made.shape == value.shape:
        flat[made] = flat[value]
    else:
        labels.join(node, labels.new(False))


def solve(labels: Labels, block: Block, boundary: str, first_ranks: frozenset[int]) -> dict[int, bool]:
    """The label of every node."""
    readers: dict[Value, set[int]] = defaultdict(set)
    for (_, value), node in labels.reads.items():
        if value.rank > 2:
            readers[value].add(labels.find(node))
    if boundary != "torch":
        for value in values(block.outputs):
            readers[value].add(labels.find(labels.new(value.rank in first_ranks)))
    edges: list[Edge] = [(labels.find(labels.makes[value]), tuple(sorted(nodes))) for value, nodes in readers.items()]
    prefers = {labels.find(node) for node in labels.prefers}
    roots = {labels.find(node) for node in range(len(labels.parent))}
    free = {node: node in prefers for node in sorted(roots - labels.fixed.keys())}
    found = cheapest(labels.fixed, edges, free)
    return {node: found[labels.find(node)] for node in range(len(labels.parent))}
