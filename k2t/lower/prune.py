"""Removes what is computed for nobody, and masks that are computed twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from k2t.graph import map_structure
from k2t.program import Block, Device, Op, Size, Sizes, Value, values


def prune(block: Block) -> None:
    """Drop operations whose results nobody reads; those without a result are there for what they do."""
    merge_masks(block)
    read = set(values(block.outputs))
    kept: list[Op] = []
    for op in reversed(block.ops):
        made = list(values(op.outputs))
        if op.outputs is None or any(value in read for value in made):
            kept.append(op)
            read.update(values((op.args, op.kwargs)))
    block.ops = kept[::-1]


def merge_masks(block: Block) -> None:
    """Files of Keras 3 state the masks that layers compute themselves."""
    known: dict[Any, Value] = {}
    same: dict[Value, Value] = {}

    def current(leaf: Any) -> Any:
        if isinstance(leaf, Size | Device):
            return replace(leaf, value=same.get(leaf.value, leaf.value))
        if isinstance(leaf, Sizes):
            return replace(leaf, items=map_structure(current, leaf.items))
        return same.get(leaf, leaf) if isinstance(leaf, Value) else leaf

    ops = []
    for op in block.ops:
        now = replace(op, args=map_structure(current, op.args), kwargs=map_structure(current, op.kwargs))
        made = op.outputs
        if isinstance(op.target, str) and isinstance(made, Value) and made.dtype == "bool":
            first = known.setdefault((op.target, frozen(now.args), frozen(now.kwargs)), made)
            if first is not made:
                same[made] = first
                continue
        ops.append(now)
    block.ops = ops
    block.outputs = map_structure(current, block.outputs)


def frozen(structure: Any) -> Any:
    """Nested arguments as something hashable."""
    if isinstance(structure, dict):
        return tuple((key, frozen(item)) for key, item in sorted(structure.items()))
    if isinstance(structure, list | tuple):
        return tuple(frozen(item) for item in structure)
    return (structure.start, structure.stop, structure.step) if isinstance(structure, slice) else structure
