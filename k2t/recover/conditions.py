"""Operations that some instances lack: an `nn.Identity()` in their place, or an `if`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from k2t.program import Block, Branch, Module, Op, Value, values
from k2t.recover.align import Step
from k2t.recover.express import Column, Scope
from k2t.recover.forms import ACTIVATIONS

FLAGS = {
    "MaxPool": "pool",
    "AvgPool": "pool",
    "ZeroPad": "pad",
    "ConvTranspose": "upsample",
    "Upsample": "upsample",
    "Conv": "project",
}
PADS = {3: "nn.ZeroPad1d", 4: "nn.ZeroPad2d", 5: "nn.ZeroPad3d"}


@dataclass
class Run:
    """Operations that follow each other and that the same instances have."""

    ops: list[Op]
    presence: Column
    output: Value
    bypass: Value


def conditional(block: Block, steps: Sequence[Step], presence: Sequence[Column], scope: Scope) -> list[Op]:
    """The operations of a class, those that not every instance has under their condition."""
    ops: list[Op] = []
    for item in runs(block, steps, presence):
        if isinstance(item, Op):
            ops.append(item)
        else:
            ops.append(identity(item, scope) or branch(item, scope))
    return ops


def runs(block: Block, steps: Sequence[Step], presence: Sequence[Column]) -> list[Op | Run]:
    """Operations that every instance has, and runs of those that only some have."""
    last = {value: i for i, op in enumerate(block.ops) for value in values((op.args, op.kwargs))}
    last |= dict.fromkeys(values(block.outputs), len(block.ops))
    bypass = {step.makes[0]: step.bypass for step in steps if step.bypass is not None}
    found: list[Op | Run] = []
    start = 0
    for i, op in enumerate(block.ops):
        if all(presence[i]):
            found.append(op)
            start = i + 1
            continue
        ends = i + 1 == len(block.ops) or presence[i + 1] != presence[i]
        output = next(values(op.outputs))
        if ends or last.get(output, -1) > i + 1 or not reads(block.ops[i + 1], output):
            inside = {value for own in block.ops[start : i + 1] for value in values(own.outputs)}
            source = output
            while source in inside:
                source = bypass[source]
            found.append(Run(block.ops[start : i + 1], presence[i], output, source))
            start = i + 1
    return found


def reads(op: Op, value: Value) -> bool:
    """Whether the operation reads the value."""
    return any(item is value for item in values((op.args, op.kwargs)))


def identity(run: Run, scope: Scope) -> Op | None:
    """A module or `nn.Sequential` that is an `nn.Identity()` where the operations are missing."""
    modules, current = [], run.bypass
    for op in run.ops:
        read = list(values((op.args, op.kwargs)))
        module = as_module(op)
        if read != [current] or module is None or partly_frozen(module):
            return None
        modules.append(module)
        current = next(values(op.outputs))
    whole = modules[0] if len(modules) == 1 else sequential(run, modules)
    kind = str(modules[0].call).rpartition(".")[2]
    usual = next((word for start, word in FLAGS.items() if kind.startswith(start)), "")
    name = usual or next((module.name for module in modules if module.name), kind.lower())
    resizes = usual and usual != "project"
    whole.condition = condition(run, scope, re.split(r"_|\d+$", name)[0], "spatial" if resizes else "bool")
    return Op(whole, (run.bypass,), {}, run.output, layer=run.ops[-1].layer)


def partly_frozen(module: Module) -> bool:
    """Whether some of its parameters are trained and others are not."""
    return len({weight.trainable for weight in module.weights.values() if not weight.buffer}) > 1


def sequential(run: Run, modules: list[Module]) -> Module:
    """The modules behind each other."""
    between = [value for op in run.ops[:-1] for value in values(op.outputs)]
    return Module("nn.Sequential", tuple(modules), between=between)


def as_module(op: Op) -> Module | None:
    """The operation as a module that is called with one tensor."""
    if isinstance(op.target, Module):
        return op.target if len(op.args) == 1 and not op.kwargs else None
    if op.target == "F.pad" and len(op.args) == 2 and not op.kwargs:
        call = PADS.get(op.args[0].rank)
        return Module(call, (plain(op.args[1]),), name="pad") if call else None
    if isinstance(op.target, str) and op.target in ACTIVATIONS:
        return Module(ACTIVATIONS[op.target], op.args[1:], dict(op.kwargs))
    return None


def plain(amounts: Any) -> Any:
    """One number where all are equal."""
    if not isinstance(amounts, tuple):
        return amounts
    return amounts[0] if len(set(amounts)) == 1 else amounts


def branch(run: Run, scope: Scope) -> Op:
    """`if self.residual:` with the operations."""
    made = {value for op in run.ops for value in values(op.outputs)}
    outside = dict.fromkeys(value for op in run.ops for value in values((op.args, op.kwargs)) if value not in made)
    wish = {"+": "residual", "*": "gated"}.get(str(run.ops[-1].target), "active")
    text = condition(run, scope, wish)
    if any(named.name == text for named in scope.names):
        scope.stored.add(text)
    else:
        known = {own: name for name, own in scope.conditions.items()}
        taken = {*known.values(), *(named.name for named in scope.names)}
        name = known.get(text) or next(n for n in (wish, *(f"{wish}{i}" for i in range(2, 99))) if n not in taken)
        scope.conditions[name] = text
        text = name
    reads = tuple(dict.fromkeys([run.bypass, *outside]))
    return Op(Branch(f"self.{text}", run.ops, run.output, run.bypass), reads, {}, run.output, layer=run.ops[-1].layer)


def condition(run: Run, scope: Scope, name: str, kind: str = "bool") -> str:
    """When the operations are there: an expression of the parameters, those of this kind first, or one more."""
    return scope.express(run.presence, kind) or scope.add(name, "bool", run.presence)
