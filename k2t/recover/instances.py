"""What is to become one class, and what is an instance of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k2t.program import Block, Code, Module, Op, Parameter, Value, leaves
from k2t.recover.align import Template
from k2t.recover.express import MISSING
from k2t.recover.forms import Segment, Slot


@dataclass(eq=False)
class Instance:
    """A module of the model that is an instance of a recovered class.

    Attributes:
        modules: the class's module or parameter -> this instance's.
        values: the class's value -> this instance's.
        arguments: of the constructor.
        caller: the module that calls it, where it is a nested Keras model.
    """

    block: Block
    segment: Segment
    modules: dict[Module | Parameter, Module | Parameter]
    values: dict[Value, Value]
    arguments: dict[str, Any]
    caller: Module | None = None

    @property
    def output(self) -> Value:
        """What it makes first."""
        return self.segment.outputs[0]

    def call(self) -> Module:
        """The constructor call that makes it."""
        args, kwargs = [], {}
        for argument in self.block.arguments:
            value = self.arguments[argument.name]
            if argument.default is None:
                args.append(None if value is MISSING else value)
            else:
                kwargs[argument.name] = Code(argument.default) if value is MISSING else value
        return Module(self.block, tuple(args), kwargs)


@dataclass(eq=False)
class Group:
    """Segments that become instances of one class.

    Attributes:
        forms: for each segment, the index of its form in the template.
    """

    template: Template
    segments: list[Segment]
    forms: list[int]


def owned(op: Op) -> list[Module | Parameter]:
    """The module or parameters of an operation."""
    found: list[Module | Parameter] = [op.target] if isinstance(op.target, Module) else []
    return found + [leaf for leaf in leaves((op.args, op.kwargs)) if isinstance(leaf, Parameter)]


def parameter_at(op: Op, slot: Slot) -> Parameter:
    """The parameter at a place of an operation's arguments."""
    found: Any = getattr(op, slot[0])
    for key in slot[1:]:
        found = found[key]
    if not isinstance(found, Parameter):
        raise TypeError(f"no parameter at {slot}")
    return found
