"""What two pieces of a model must have in common to be instances of one class, and where they may differ."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from k2t.program import Block, Code, Device, Module, Op, Parameter, Size, Sizes, Value, leaves, values

Slot = tuple[Any, ...]
# Options that a constructor call may leave out.
DEFAULTS: dict[str, Any] = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True}
CONVOLUTIONS = ("nn.Conv1d", "nn.Conv2d", "nn.Conv3d")
# Functions of one tensor that stand for each other in blocks of one class, and the module that does the same.
ACTIVATIONS = {
    "F.relu": "nn.ReLU",
    "F.relu6": "nn.ReLU6",
    "F.silu": "nn.SiLU",
    "F.gelu": "nn.GELU",
    "F.elu": "nn.ELU",
    "F.selu": "nn.SELU",
    "F.leaky_relu": "nn.LeakyReLU",
    "F.hardswish": "nn.Hardswish",
    "F.hardsigmoid": "nn.Hardsigmoid",
    "torch.sigmoid": "nn.Sigmoid",
    "torch.tanh": "nn.Tanh",
}
# Functions and methods whose integers are sizes; those of others say which axis.
SIZED = (".reshape", ".expand", ".repeat", ".split", ".narrow", "F.pad", "F.interpolate", "torch.split")


@dataclass(eq=False)
class Segment:
    """A piece of a model: operations that follow each other.

    Attributes:
        inputs: values that it reads and does not make, in the order of their first use.
        outputs: values that are read behind it.
        prefix, suffix: what the names of its layers have in common.
        start: index of its first operation in the block around it.
    """

    ops: list[Op]
    inputs: list[Value]
    outputs: list[Value]
    prefix: str = ""
    suffix: str = ""
    start: int = 0

    @property
    def stop(self) -> int:
        """Index behind its last operation."""
        return self.start + len(self.ops)

    @property
    def form(self) -> Hashable:
        """Equal for segments that differ in constants only."""
        return form_of(self)

    def made(self) -> list[Value]:
        """Every value of the segment: inputs, then what each operation makes."""
        return [*self.inputs, *(value for op in self.ops for value in values(op.outputs))]


def segment_of(block: Block, start: int, stop: int, readers: dict[Value, int]) -> Segment:
    """The operations from `start` to `stop`; `readers` is the last reader of each value."""
    ops = block.ops[start:stop]
    made = {value for op in ops for value in values(op.outputs)}
    read = dict.fromkeys(value for op in ops for value in values((op.args, op.kwargs)))
    outputs = [value for op in ops for value in values(op.outputs) if readers.get(value, -1) >= stop]
    return Segment(ops, [value for value in read if value not in made], outputs, start=start)


def last_readers(block: Block) -> dict[Value, int]:
    """Value -> index of the last operation that reads it; the number of operations for an output."""
    found = {value: i for i, op in enumerate(block.ops) for value in values((op.args, op.kwargs))}
    return found | dict.fromkeys(values(block.outputs), len(block.ops))


def form_of(segment: Segment) -> Hashable:
    """The structure of the segment: kinds of operations, and how they are connected."""
    numbers: dict[Any, int] = {}

    def number(item: Any) -> int:
        return numbers.setdefault(item, len(numbers))

    for value in segment.inputs:
        number(value)
    rows = []
    modules = [op.target for op in segment.ops if isinstance(op.target, Module)]
    alone = sum(isinstance(module.call, Block) or module.call in CONVOLUTIONS for module in modules) == 1
    for op in segment.ops:
        read = tuple(number(value) for value in values((op.args, op.kwargs)))
        own = [leaf for leaf in leaves((op.args, op.kwargs)) if isinstance(leaf, Parameter)]
        owner = tuple(number(item) for item in ([op.target] if isinstance(op.target, Module) else own))
        rows.append((kind_of(op, mixed=alone), owner, read, tuple(number(value) for value in values(op.outputs))))
    return tuple(rows), tuple(number(value) for value in segment.outputs)


def kind_of(op: Op, mixed: bool = False) -> Hashable:
    """What the operation is, whatever it reads and whatever sizes it has.

    Args:
        mixed: whether the size of a kernel may be a number here and a tuple there.
    """
    target = op.target
    if isinstance(target, Module):
        return ("module", module_kind(target, mixed), shape_of((op.args, op.kwargs), False))
    if is_plain_activation(op):
        target = "activation"
    return (target, shape_of((op.args, op.kwargs), target in SIZED), shape_of(op.outputs, False))


def is_plain_activation(op: Op) -> bool:
    """Whether it is an activation without options."""
    return op.target in ACTIVATIONS and len(op.args) == 1 and not op.kwargs


def module_kind(module: Module, mixed: bool) -> Hashable:
    """The class, which options are given, the state, and what of it is trained."""
    if isinstance(module.call, Block):
        given = [] if mixed else [*module.args, *module.kwargs.values()]
        return id(module.call), tuple(isinstance(value, tuple) for value in given)
    call = module.call
    options = [name for name in module.kwargs if not (name in DEFAULTS and call in CONVOLUTIONS)]
    state = tuple((key, weight.buffer, weight.trainable) for key, weight in module.weights.items())
    args = module.args[:2] if mixed and call in CONVOLUTIONS else module.args
    return call, is_depthwise(module), len(module.args), tuple(options), tuple(map(type, args)), state


def is_depthwise(module: Module) -> bool:
    """Whether each channel of a convolution has a group of its own."""
    return module.kwargs.get("groups", 1) not in (1, None) and module.kwargs["groups"] == module.args[0]


def shape_of(structure: Any, sized: bool) -> Hashable:
    """Arguments without values; numbers are left out where they are sizes, floats always."""
    if isinstance(structure, list | tuple):
        if structure and not any(isinstance(leaf, Value | Parameter | Size | Device) for leaf in leaves(structure)):
            return "constant" if sized else ("constant", tuple(shape_of(item, False) for item in structure))
        return (type(structure).__name__, *(shape_of(item, sized) for item in structure))
    if isinstance(structure, dict):
        return tuple((key, shape_of(item, sized)) for key, item in structure.items())
    return leaf_shape(structure, sized)


def leaf_shape(leaf: Any, sized: bool) -> Hashable:
    """One argument."""
    if isinstance(leaf, Parameter):
        return ("parameter", len(leaf.shape), leaf.weight.buffer, leaf.weight.trainable, leaf.weight.text)
    if isinstance(leaf, Size):
        return ("size", leaf.axis)
    if isinstance(leaf, Value | Device | Sizes):
        return type(leaf).__name__
    if isinstance(leaf, slice):
        return ("slice", leaf.start, leaf.stop, leaf.step)
    if isinstance(leaf, Code):
        return leaf.text
    if isinstance(leaf, float) or (sized and isinstance(leaf, int)):
        return "number"
    return str(leaf) if not isinstance(leaf, int | bool) else leaf


def slots(op: Op) -> Iterator[tuple[Slot, Any]]:
    """The constants of an operation that may differ between instances: where each is, and its value."""
    target = op.target
    if isinstance(target, Module):
        for index, value in enumerate(target.args):
            yield ("module", index), value
        options = DEFAULTS | target.kwargs if target.call in CONVOLUTIONS else target.kwargs
        for name, value in options.items():
            yield ("module", name), value
    if is_plain_activation(op):
        yield ("target",), Code(str(target))
    yield from constants(("args",), op.args)
    yield from constants(("kwargs",), op.kwargs)


def constants(place: Slot, structure: Any) -> Iterator[tuple[Slot, Any]]:
    """The constants of nested arguments; a tuple without values is one constant."""
    if isinstance(structure, dict):
        for name, item in structure.items():
            yield from constants((*place, name), item)
    elif isinstance(structure, list | tuple):
        if len(place) > 1 and not any(
            isinstance(leaf, Value | Parameter | Size | Device) for leaf in leaves(structure)
        ):
            yield place, structure
            return
        for index, item in enumerate(structure):
            yield from constants((*place, index), item)
    elif isinstance(structure, Parameter):
        for axis, size in enumerate(structure.shape):
            yield (*place, "shape", axis), size
    elif not isinstance(structure, Value | Size | Device | Sizes | slice):
        yield place, structure
