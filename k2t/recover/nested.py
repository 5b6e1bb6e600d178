"""Nested Keras models of one structure are instances of one class."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from k2t.program import Block, Module, Op, Value, values
from k2t.recover.align import template_of
from k2t.recover.forms import Segment
from k2t.recover.instances import Group
from k2t.recover.naming import common_prefix, common_suffix


def alike(blocks: Sequence[Block]) -> list[list[Block]]:
    """Those that are called once and have the structure of another."""
    calls = Counter(module.call for block in blocks for module in block.modules() if isinstance(module.call, Block))
    forms: dict[Hashable, list[Block]] = defaultdict(list)
    for block in blocks[:-1]:
        inside = any(isinstance(module.call, Block) for module in block.modules())
        if calls[block] == 1 and not inside and block.ops and isinstance(block.outputs, Value):
            forms[segment_of(block).form].append(block)
    return [same for same in forms.values() if len(same) > 1]


def segment_of(block: Block) -> Segment:
    """The whole block."""
    names = [op.layer.partition("#")[0] for op in block.ops]
    return Segment(block.ops, block.inputs, list(values(block.outputs)), common_prefix(names), common_suffix(names))


def group_of(blocks: Sequence[Block], turned: Mapping[Block, Op]) -> Group:
    """The nested models as instances; each with the permutation behind its call, if it takes that in."""
    segments = []
    for block in blocks:
        segment = segment_of(block)
        if block in turned:
            segment = with_permutation(segment, turned[block])
        segments.append(segment)
    return Group(template_of(segments[0]), segments, [0] * len(segments))


def with_permutation(segment: Segment, op: Op) -> Segment:
    """The segment with a last step that permutes its output."""
    source = segment.outputs[0]
    result = Value(source.shape, source.dtype)
    last = Op(".permute", (source, *op.args[1:]), {}, result, op.layout, segment.ops[-1].layer)
    return replace(segment, ops=[*segment.ops, last], outputs=[result])


def turn(ops: list[Op], blocks: Sequence[Block]) -> tuple[list[Op], dict[Block, Op]]:
    """Where each of these models is followed by a permutation and by readers without one: the model permutes.

    Given: y = model(x); z = conv(y); w = y.permute(0, 2, 3, 1) + z. Result: y = model(x), permuted;
    z = conv(y.permute(0, 3, 1, 2)); w = y + z, which is what a block reads that follows another block.
    """
    readers: dict[Value, list[Op]] = defaultdict(list)
    for op in ops:
        for value in values((op.args, op.kwargs)):
            readers[value].append(op)
    calls = {
        op.target.call: op
        for op in ops
        if isinstance(op.target, Module) and isinstance(op.target.call, Block) and op.target.call in blocks
    }
    turned: dict[Block, Op] = {}
    for block, call in calls.items():
        behind = readers[call.outputs]
        permutes = [op for op in behind if op.target == ".permute"]
        if len(permutes) != 1 or len(behind) != 2 or not all(op.target == "+" for op in readers[permutes[0].outputs]):
            return ops, {}
        turned[block] = permutes[0]
    if len(turned) != len(blocks) or len({op.args[1:] for op in turned.values()}) != 1:
        return ops, {}
    gone = {id(op) for op in turned.values()}
    found = []
    for op in ops:
        if id(op) in gone:
            continue
        called = op.target.call if isinstance(op.target, Module) else None
        if not isinstance(called, Block) or called not in turned:
            found.append(op)
            continue
        permute = turned[called]
        order = permute.args[1:]
        back = tuple(order.index(axis) for axis in range(len(order)))
        found.append(Op(op.target, op.args, op.kwargs, permute.outputs, op.layout, op.layer))
        found.append(Op(".permute", (permute.outputs, *back), {}, op.outputs, permute.layout, ""))
    return found, turned
