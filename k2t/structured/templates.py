"""What a place of the code does, once for all of its executions: the operations as expressions of its operands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from k2t.graph import map_structure
from k2t.program import Block, Code, Device, Module, Op, Parameter, Size, Value, leaves, values
from k2t.rules.parts import Parts
from k2t.structured.frames import Event, Frame, NotStructured, WeightObject
from k2t.structured.weights import constructor_argument
from k2t.symbols import Symbolic, code_of

# A module of a place: its constructor's call, and its number among the modules of the layer.
Key = tuple[ast.AST, int]


@dataclass(frozen=True)
class In:
    """A tensor among the operands: which operand, and the way to it inside lists and tuples."""

    operand: int
    path: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Made:
    """What step `step` made."""

    step: int
    path: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Moved:
    """A tensor in another order of axes."""

    value: Any
    order: tuple[int, ...]


@dataclass(frozen=True)
class Text:
    """An expression that is no tensor, of the constructor's variables."""

    code: str


@dataclass(frozen=True)
class Of:
    """`value.shape[axis]` or `value.device`."""

    value: Any
    axis: int | None


@dataclass(frozen=True)
class Own:
    """The attribute of a module or parameter."""

    key: Key


@dataclass(frozen=True)
class Group:
    """A tuple, a list or a slice of these."""

    kind: str
    items: tuple[Any, ...]


@dataclass(frozen=True)
class Step:
    """One operation."""

    target: Any
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Template:
    """What a place does.

    Attributes:
        steps: the operations.
        output: of `Made`, `In` and groups.
    """

    steps: tuple[Step, ...]
    output: Any


@dataclass
class ModuleTemplate:
    """A submodule that a place constructs.

    Attributes:
        call: a class as it is written, or the definition of the function whose class it is.
        args, kwargs: as a template has them, with `_in0_` for the last size of the first tensor.
        loops: around the constructor.
        state: whether it has weights.
    """

    key: Key
    call: str | ast.FunctionDef
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    loops: tuple[ast.AST, ...]
    state: bool
    instances: list[tuple[Module | Parameter, tuple[int, ...]]] = field(default_factory=list)


class Reader:
    """Reads the templates of one execution of a function, after the layout of its tensors was decided."""

    def __init__(self, frame: Frame, aliases: dict[Value, Value]) -> None:
        if frame.block is None:
            raise NotStructured(f"{frame.name} has no result")
        self.frame = frame
        self.aliases = aliases
        self.moved = {op.outputs: op for op in frame.block.ops if is_moved(op)}
        self.by_label: dict[str, list[Op]] = {}
        for op in frame.block.ops:
            if not is_moved(op):
                self.by_label.setdefault(op.layer, []).append(op)
        self.keys: dict[int, Key] = {}
        self.used = set(values(frame.block.outputs)).union(*(values((op.args, op.kwargs)) for op in frame.block.ops))

    def read(self, event: Event) -> tuple[Template, list[ModuleTemplate]]:
        """What one execution did, and the modules that it called."""
        event.ops = self.by_label.get(event.label, [])
        event.is_read = bool(event.ops) or not self.used.isdisjoint(values(event.output))
        event.orders = self.orders(event)
        known: dict[Value, Any] = {}
        for index, (_, value) in enumerate(event.operands):
            for path, leaf in paths(value):
                known.setdefault(self.actual(leaf), In(index, path))
        modules = []
        steps = []
        for number, op in enumerate(event.ops):
            if isinstance(op.target, Module):
                modules.append(self.module(event, op.target))
            modules += [self.weight(leaf) for leaf in leaves((op.args, op.kwargs)) if isinstance(leaf, Parameter)]
            steps.append(self.step(event, op, known))
            for path, leaf in paths(op.outputs):
                known[leaf] = Made(number, path)
        if event.ops and isinstance(event.output, tuple | list) and event.ops[-1].outputs is event.output:
            return Template(tuple(steps), Made(len(steps) - 1)), modules
        output = self.argument(event.output, known) if event.ops else self.passed(event, known)
        return Template(tuple(steps), output), modules

    def orders(self, event: Event) -> tuple[tuple[int, ...] | None, ...]:
        """How the tensors among the operands are laid out."""
        found = [leaf for _, value in event.operands for _, leaf in paths(value)]
        layouts = self.frame.block.layouts if self.frame.block is not None else {}
        return tuple(layouts.get(self.actual(leaf)) for leaf in found)

    def passed(self, event: Event, known: dict[Value, Any]) -> Any:
        """The output of what does nothing: what a folded or useless operation read."""
        leaves = list(paths(event.output))
        if len(leaves) == 1 and isinstance(leaves[0][1], Value):
            value = leaves[0][1]
            source = next((leaf for _, item in event.operands for _, leaf in paths(item)), None)
            if source is not None and value is not source:
                self.aliases[value] = self.actual(source)
            return known.get(self.actual(value)) or In(0)
        return self.argument(event.output, known)

    def actual(self, value: Any) -> Any:
        """The tensor that a variable holds, behind operations that were folded into others."""
        while isinstance(value, Value) and value in self.aliases:
            value = self.aliases[value]
        return value

    def module(self, event: Event, module: Module) -> ModuleTemplate:
        """The template of a submodule."""
        layer = event.layer
        maker = layer or event.caller
        site, loops = (maker.site, maker.loops) if maker is not None else (event.node, event.loops)
        if id(module) not in self.keys:
            owned = list(owned_by(layer.parts)) if layer is not None else [module]
            number = next((i for i, item in enumerate(owned) if item is module), None)
            if number is None:
                raise NotStructured("a wrapped layer", event.node)
            self.keys[id(module)] = (site, number)
        call: Any = module.call
        if isinstance(call, Block):
            if event.callee is None:
                raise NotStructured("a nested model", event.node)
            call = event.callee.node
        made = ModuleTemplate(
            self.keys[id(module)],
            call,
            tuple(self.argument(arg, {}) for arg in module.args),
            {key: self.argument(arg, {}) for key, arg in module.kwargs.items()},
            tuple(loop for loop, _ in loops),
            bool(module.weights) or isinstance(module.call, Block),
        )
        made.instances.append((module, tuple(number for _, number in loops)))
        return made

    def made(self, parameter: Parameter) -> WeightObject:
        """Where the code has made a parameter."""
        if id(parameter) not in self.frame.weights:
            raise NotStructured("a parameter of the layer itself")
        return self.frame.weights[id(parameter)]

    def weight(self, parameter: Parameter) -> ModuleTemplate:
        """The template of a parameter."""
        made = self.made(parameter)
        kwargs = {} if parameter.weight.trainable else {"requires_grad": Text("False")}
        loops = tuple(loop for loop, _ in made.loops)
        code = Text(constructor_argument(parameter))
        found = ModuleTemplate((made.site, 0), "nn.Parameter", (code,), kwargs, loops, True)
        found.instances.append((parameter, tuple(number for _, number in made.loops)))
        return found

    def step(self, event: Event, op: Op, known: dict[Value, Any]) -> Step:
        """One operation."""
        target: Any = op.target
        if isinstance(target, Module):
            target = Own(self.keys[id(target)])
        elif not isinstance(target, str):
            raise NotStructured("an operation under a condition", event.node)
        given = iter(op.args)
        taken = event.callee.tensors.values() if event.callee is not None else ()  # with the lists that they are in
        whole_args = [map_structure(lambda _: next(given), value) for value in taken] or op.args
        args = tuple(self.argument(arg, known) for arg in whole_args)
        return Step(target, args, tuple((key, self.argument(arg, known)) for key, arg in op.kwargs.items()))

    def argument(self, arg: Any, known: dict[Value, Any]) -> Any:
        """An argument in terms of the operands."""
        if isinstance(arg, Value):
            return self.tensor(arg, known)
        if isinstance(arg, Parameter):
            return Own((self.made(arg).site, 0))
        if isinstance(arg, Size):
            return Of(self.tensor(arg.value, known), arg.axis)
        if isinstance(arg, Device):
            return Of(self.tensor(arg.value, known), None)
        if isinstance(arg, Code):
            return Text(arg.text)
        if isinstance(arg, slice):
            bounds = (arg.start, arg.stop, arg.step)
            return Group("slice", tuple(self.argument(item, known) for item in bounds))
        if isinstance(arg, tuple | list) and (name := whole(arg)):
            return Text(name)
        if isinstance(arg, tuple | list):
            return Group(type(arg).__name__, tuple(self.argument(item, known) for item in arg))
        if isinstance(arg, dict):
            raise NotStructured("a dict of tensors")
        return Text("..." if arg is Ellipsis else code_of(arg))

    def tensor(self, value: Value, known: dict[Value, Any]) -> Any:
        """A tensor in terms of the operands."""
        if value in known:
            return known[value]
        if self.actual(value) in known:
            return known[self.actual(value)]
        if value in self.moved:
            source, *order = self.moved[value].args
            return Moved(self.tensor(source, known), tuple(order))
        raise NotStructured("a tensor that the code does not name")


def owned_by(parts: Parts) -> Iterator[Module | Parameter]:
    """The modules of a layer, and of the layers that it wraps."""
    yield from parts.modules.values()
    for child in parts.children.values():
        yield from owned_by(child)


def whole(items: Sequence[Any]) -> str:
    """The variable of whose items a tuple consists, or ""."""
    codes = [code_of(item) if isinstance(item, Symbolic) else "" for item in items]
    found = re.fullmatch(r"(\w+)\[0\]", codes[0]) if codes else None
    return found[1] if found and codes == [f"{found[1]}[{i}]" for i in range(len(codes))] else ""


def is_moved(op: Op) -> bool:
    """Whether the layout pass has inserted it."""
    return op.target == ".permute" and op.layout == "any"


def paths(structure: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Every tensor of a nested structure, with the way to it."""
    if isinstance(structure, Value):
        return [(path, structure)]
    if isinstance(structure, list | tuple):
        return [found for i, item in enumerate(structure) for found in paths(item, (*path, i))]
    if isinstance(structure, dict):
        return [found for key, item in structure.items() for found in paths(item, (*path, key))]
    return []


def unified(node: ast.AST, found: Sequence[Template]) -> Template:
    """The template of all executions.

    Raises:
        NotStructured: they differ.
    """
    first = found[0]
    if any(other != first for other in found):
        raise NotStructured("is translated differently from call to call", node)
    return first
