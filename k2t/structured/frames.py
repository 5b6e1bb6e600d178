"""What the recorder notes: each execution of a function, and in it each place that worked on tensors."""

from __future__ import annotations

import ast
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from k2t.errors import K2TError
from k2t.graph import Layer
from k2t.program import Block, Module, Op, Parameter, Value, values
from k2t.rules.parts import Parts
from k2t.rules.tracing.names import Closure


class NotStructured(K2TError):  # noqa: N818 - no error of the user's: the way to the evaluated translation
    """The code has no structured translation; says why, and where.

    Attributes:
        node: the place in the code.
    """

    def __init__(self, reason: str, node: ast.AST | None = None) -> None:
        super().__init__(reason)
        self.node = node


class SizeNeeded(NotStructured):
    """What is constructed depends on the size of an image that varies."""

    def __init__(self, node: ast.AST) -> None:
        super().__init__("depends on the size of an image that varies", node)


@dataclass(eq=False)
class LayerObject:
    """A layer that the code has constructed.

    Attributes:
        site: the constructor's call.
        loops: the loops around it.
    """

    layer: Layer
    site: ast.AST
    parts: Parts
    loops: tuple[tuple[ast.AST, int], ...]


@dataclass(eq=False)
class WeightObject:
    """A parameter that the code has made.

    Attributes:
        site: the call that made it.
        loops: the loops around it.
    """

    parameter: Parameter
    site: ast.AST
    loops: tuple[tuple[ast.AST, int], ...]


@dataclass(eq=False)
class ModelObject:
    """A functional model: `Model(inputs, outputs)`."""

    site: ast.AST
    inputs: Any
    outputs: Any


def arguments(node: ast.FunctionDef | ast.Lambda) -> list[ast.arg]:
    """The arguments of a function, in order."""
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def spelled(node: ast.AST, names: Sequence[str]) -> dict[str, ast.expr]:
    """The arguments of a call by name, as the code has them."""
    if not isinstance(node, ast.Call):
        return {}
    plain = itertools.takewhile(lambda item: not isinstance(item, ast.Starred), node.args)
    return dict(zip(names, plain, strict=False)) | {k.arg: k.value for k in node.keywords if k.arg is not None}


def default_values(node: ast.FunctionDef | ast.Lambda) -> dict[str, ast.expr]:
    """The defaults of a function's arguments."""
    positional = [*node.args.posonlyargs, *node.args.args]
    found = dict(
        zip(
            [item.arg for item in positional][len(positional) - len(node.args.defaults) :],
            node.args.defaults,
            strict=True,
        )
    )
    found |= {k.arg: d for k, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None}
    return found


@dataclass(eq=False)
class Caller:
    """What the code constructs with options and calls with tensors: a layer or a model of its own, or a function.

    Attributes:
        function: of the tensors and the options; of a functional model, the one that built it.
        options: those that it was constructed with, by name; `spelled` as the code has them.
        site: the constructor's call, or for a function its call.
        loops: the loops around it.
        frame: its execution: of a functional model at once, else at its first call; `module` is called then.
    """

    function: Closure
    options: dict[str, Any]
    spelled: dict[str, ast.expr]
    site: ast.AST
    loops: tuple[tuple[ast.AST, int], ...]
    frame: Frame | None = None
    module: Module | None = None


@dataclass(eq=False)
class Event:
    """One execution of a place in the code that makes or reads tensors.

    Attributes:
        node: the place: a call, an operator, a subscript.
        label: unique name of the execution; the operations of the rules carry it.
        operands: the syntax and the value of each argument.
        loops: the loops of the function around it, with the number of the iteration.
        output: what it gave.
        sizes: the last size of each tensor among the operands (`_in0_`, …) and others that are expressions (`_in0_1_`):
            an expression that is valid here, or None; `known`: what they are.
        made: the last size of each output tensor, an expression of `_in0_`, ….
        caller: for a call of a function, layer or model of the code, what is called; `callee` is its frame.
        spelled: then, the arguments of the function as the code has them.
        layer: for a call of a layer, the layer.
        orders: the order of axes of each tensor among the operands, once the layout is decided.
        is_read: whether anything reads what it gave, which the last round of a loop may leave unread.
    """

    node: ast.AST
    label: str
    operands: list[tuple[ast.expr, Any]]
    loops: tuple[tuple[ast.AST, int], ...]
    output: Any = None
    sizes: dict[str, str | None] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    made: list[Any] = field(default_factory=list)
    caller: Caller | None = None
    spelled: dict[str, ast.expr] = field(default_factory=dict)
    layer: LayerObject | None = None
    ops: list[Op] = field(default_factory=list)
    orders: tuple[tuple[int, ...] | None, ...] = ()
    is_read: bool = True

    @property
    def callee(self) -> Frame | None:
        """The execution of the function that is called."""
        return self.caller.frame if self.caller is not None else None

    @property
    def modules(self) -> list[Module]:
        """The modules that it calls, in order."""
        return list(dict.fromkeys(op.target for op in self.ops if isinstance(op.target, Module)))

    @property
    def parameters(self) -> list[Parameter]:
        """The parameters that it reads."""
        return [arg for op in self.ops for arg in op.args if isinstance(arg, Parameter)]


@dataclass(eq=False)
class Frame:
    """One execution of a function that takes tensors, or of the function that builds the model.

    Attributes:
        node: its definition.
        arguments: what it was called with, by name, defaults included; `given` names those that the call spells.
        tensors: the arguments that are tensors, or collections of them.
        fixed: the arguments that are to be numbers.
        variables: what they hold now.
        versions: how often each variable was assigned.
        taken: the outcomes of each condition.
        seen: what each expression gave at last.
        assigned: what each variable has held.
        collections: lists and dicts that tensors were put into.
        weights: the parameters that the code made, by identity.
        late: variables that a Lambda reads, as they are when it is called: (name, version).
    """

    node: ast.FunctionDef
    arguments: dict[str, Any] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    tensors: dict[str, Any] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    parent: Frame | None = None
    function: Any = None
    events: list[Event] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    inputs: dict[ast.AST, Value] = field(default_factory=dict)
    loops: tuple[tuple[ast.AST, int], ...] = ()
    variables: Mapping[str, Any] | None = None
    versions: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    taken: dict[ast.AST, list[bool]] = field(default_factory=lambda: defaultdict(list))
    seen: dict[ast.AST, Any] = field(default_factory=dict)
    assigned: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    collections: list[Any] = field(default_factory=list)
    counts: dict[ast.AST, int] = field(default_factory=lambda: defaultdict(int))
    weights: dict[int, WeightObject] = field(default_factory=dict)
    layers: dict[ast.AST, list[LayerObject]] = field(default_factory=lambda: defaultdict(list))
    late: set[tuple[str, int]] = field(default_factory=set)
    model: ModelObject | None = None
    output: Any = None
    block: Block | None = None

    @property
    def name(self) -> str:
        """Of the function."""
        return self.node.name

    def tensor_names(self) -> set[str]:
        """The variables that hold tensors, or collections of them."""
        known = {id(item) for item in self.collections}
        return {
            name
            for name, held in [*self.assigned.items(), *((name, [value]) for name, value in self.tensors.items())]
            if any(id(value) in known or any(values(value)) for value in held)
        }
