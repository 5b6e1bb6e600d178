"""Recovery: from one class with all operations back to the architecture: repeated parts become classes.

The flat block stays what the weights belong to: its modules get dotted names, their places below the new classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from k2t.lower.names import RESERVED, Namespace, identifier
from k2t.program import Block, Module, Op, Value
from k2t.recover.classes import ClassBuilder, Instance
from k2t.recover.groups import choose
from k2t.recover.split import Splitter
from k2t.recover.stages import container


@dataclass(frozen=True)
class Seat:
    """A class in its place in the model.

    Attributes:
        path: below the block that it was recovered from.
        values: value of the class -> value of that block.
    """

    path: str
    block: Block
    values: Mapping[Value, Value] | None = None

    def value(self, own: Value) -> Value | None:
        """The value of the model that a value of the class stands for."""
        return own if self.values is None else self.values.get(own)


@dataclass
class Recovery:
    """The classes to write, the main one last, and where they are: block -> the places of the classes in it."""

    classes: list[Block]
    seats: dict[Block, list[Seat]]


def as_they_are(blocks: Sequence[Block]) -> Recovery:
    """No recovery: each block is a class."""
    return Recovery(list(blocks), {block: [Seat("", block)] for block in blocks})


def recover(blocks: Sequence[Block]) -> Recovery:
    """Find the repeated parts of each block; its modules are named after their places then."""
    names = Namespace({"F", "Tensor", "Path", *(block.name for block in blocks)}, separator="")
    found = Recovery([], {})
    for block in blocks:
        recover_block(block, names, found)
    return found


def recover_block(block: Block, names: Namespace, found: Recovery) -> None:
    """Add the classes of one block, and their places."""
    instances: list[Instance] = []
    for group in choose(Splitter(block)):
        own, members = ClassBuilder(group, block.layouts).build()
        own.name = names.claim(own.name)
        found.classes.append(own)
        instances += members
    code = replace(block, ops=collapsed(block, instances)) if instances else block
    seats = [Seat("", code)]
    taken = Namespace(RESERVED | {item.name for item in code.modules()} | {item.name for item in code.parameters()})
    by_op = {id(op): instance for op, instance in zip(code.ops, owners(code, instances), strict=True) if instance}
    code.ops = rows(code, by_op, taken, seats)
    found.classes.append(code)
    found.seats[block] = seats


def collapsed(block: Block, instances: Sequence[Instance]) -> list[Op]:
    """The operations with each instance as a single one."""
    starts = {instance.segment.start: instance for instance in instances}
    ops, position = [], 0
    while position < len(block.ops):
        instance = starts.get(position)
        if instance is None:
            ops.append(block.ops[position])
            position += 1
            continue
        segment = instance.segment
        outputs = segment.outputs[0] if len(segment.outputs) == 1 else tuple(segment.outputs)
        call = instance.call()
        call.layer = segment.prefix.strip("_-/. ") or segment.ops[-1].layer
        ops.append(Op(call, tuple(segment.inputs), {}, outputs, "fixed", call.layer))
        position += len(segment.ops)
    return ops


def owners(code: Block, instances: Sequence[Instance]) -> list[Instance | None]:
    """For each operation the instance that it calls."""
    by_output = {instance.output: instance for instance in instances}
    return [by_output.get(op.outputs) if isinstance(op.outputs, Value) else None for op in code.ops]


def rows(code: Block, by_op: Mapping[int, Instance], taken: Namespace, seats: list[Seat]) -> list[Op]:
    """The operations with rows of instances in containers; gives every instance its place."""
    readers: dict[Value, int] = {}
    for op in code.ops:
        for value in op.args:
            if isinstance(value, Value):
                readers[value] = readers.get(value, 0) + 1
    ops: list[Op] = []
    position = 0
    while position < len(code.ops):
        stop = position
        while stop < len(code.ops) and id(code.ops[stop]) in by_op:
            if stop > position and not follows(code.ops[stop - 1], code.ops[stop], readers):
                break
            stop += 1
        if stop - position < 2:
            op = code.ops[position]
            if id(op) in by_op:
                place(by_op[id(op)], named(op, taken), seats)
            ops.append(op)
            position += 1
            continue
        run = code.ops[position:stop]
        ops.append(contained(run, [by_op[id(op)] for op in run], taken, seats))
        position = stop
    return ops


def named(op: Op, taken: Namespace) -> str:
    """The attribute of a single instance."""
    module = op.target
    if not isinstance(module, Module):
        raise TypeError("an instance is a module")
    module.name = taken.claim(identifier(module.layer))
    return module.name


def follows(first: Op, second: Op, readers: Mapping[Value, int]) -> bool:
    """Whether the second reads what the first makes, and nothing else does."""
    return len(second.args) == 1 and second.args[0] is first.outputs and readers.get(first.outputs) == 1


def contained(run: Sequence[Op], instances: Sequence[Instance], taken: Namespace, seats: list[Seat]) -> Op:
    """One call of a container for instances in a row."""
    name = taken.claim("stages" if len(instances) > 3 else "blocks")
    calls = [op.target for op in run if isinstance(op.target, Module)]
    module, paths = container(instances, name, calls)
    for instance, path in zip(instances, paths, strict=True):
        place(instance, f"{name}.{path}", seats)
    return Op(module, run[0].args, {}, run[-1].outputs, "fixed", run[-1].layer)


def place(instance: Instance, path: str, seats: list[Seat]) -> None:
    """Name the modules of an instance after their place."""
    seats.append(Seat(path, instance.block, instance.values))
    for ours, own in instance.modules.items():
        own.name = f"{path}.{ours.name}"
