"""From a file of Keras code to classes: follow, unify, write."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k2t.code.layers import era_of_code
from k2t.code.script import Script
from k2t.lower.fold import fold_padding, fold_reshape, plain_dropout
from k2t.lower.layout import decide
from k2t.lower.names import Namespace
from k2t.lower.prune import prune
from k2t.program import Block, values
from k2t.rules.custom.objects import CustomClass
from k2t.rules.tracing.names import Closure, Library, Scope
from k2t.structured.classes import named, write
from k2t.structured.comments import Comments
from k2t.structured.desugar import INPUT, MODEL, constants, functional, wrapped
from k2t.structured.explore import FAILURES, explore, further
from k2t.structured.frames import Frame, NotStructured
from k2t.structured.gate import same
from k2t.structured.plan import Again, Plan
from k2t.structured.recorder import Recorder

ATTEMPTS = 20


@dataclass(frozen=True)
class Structured:
    """A structured translation.

    Attributes:
        classes: constants, then the text of each class, the main one last.
        main: the flat program for the sample arguments; its modules have the names of the emitted attributes.
        class_name: of the main class.
        arguments: of its constructor, for the sample arguments.
    """

    classes: tuple[str, ...]
    main: Block
    class_name: str
    arguments: Mapping[str, Any]


def structured(path: Path, entry: str, arguments: Mapping[str, Any]) -> Structured:
    """Translate the function `entry` of a file.

    Raises:
        NotStructured: the code has no structured translation.
    """
    out_channels: frozenset[str] = frozenset()
    varying: frozenset[str] = frozenset()
    for _ in range(ATTEMPTS):
        try:
            return attempt(path, entry, arguments, out_channels, varying)
        except Again as again:
            out_channels |= {again.out_channels} - {""}
            varying |= {again.varying} - {""}
        except NotStructured:
            raise
        except FAILURES as error:
            raise NotStructured(f"cannot be followed ({type(error).__name__}: {error})") from error
    raise NotStructured("needs too many attempts")


def attempt(
    path: Path, entry: str, arguments: Mapping[str, Any], out_channels: frozenset[str], varying: frozenset[str]
) -> Structured:
    """One translation, with what is known from those before."""
    script = Script(path, {})
    script.main = script.module(path)
    script.era = era_of_code(script.main.tree)
    fixed = constants(script.main.tree)
    names_fixed = frozenset(fixed)
    recorder = Recorder(Scope(script.main), script.era, names_fixed, varying)
    function = builder(script, entry, list(fixed.values()))
    main = recorder.enter(function, recorder.bind(function, [], dict(arguments)), tuple(arguments))
    explore(recorder)
    first = frozenset({4, 5} | {3 for frame in recorder.frames if reads_first(frame, 3)})
    for frame in recorder.frames:
        lowered(frame, first)
    plans = planned(recorder.frames, main.node, names_fixed, out_channels)
    comments = Comments(path.read_text())
    names = Namespace({"F", "Tensor", "Path"}, separator="")
    written = []
    for node, plan in plans.items():
        plan.class_name = names.claim(named(node.name))
        try:
            plan.read(plans)
        except NotStructured:
            if node.name in varying:
                raise
            raise Again(varying=node.name) from None
        written.append(write(plan, comments))
    if main.block is None:
        raise NotStructured("the function has no result")
    plan = plans[main.node]
    used = {name: script.main[name] for name in fixed if re.search(rf"\b{name}\b", "\n".join(written))}
    checked(recorder, main, plan, written, first, used)
    given = {item.name: item.value(main) for item in plan.parameters}
    kept = [ast.unparse(fixed[name]) for name in needed(fixed, used)]
    return Structured(("\n".join(kept),) * bool(kept) + tuple(written), main.block, plan.class_name, given)


def needed(fixed: Mapping[str, ast.Assign], used: Collection[str]) -> list[str]:
    """The constants that are used, and those that they are made of, in the order of the file."""
    wanted = set(used)
    for name in reversed(list(fixed)):
        if name in wanted:
            wanted |= {item.id for item in ast.walk(fixed[name].value) if isinstance(item, ast.Name)}
    return [name for name in fixed if name in wanted]


def checked(
    recorder: Recorder, main: Frame, plan: Plan, classes: list[str], first: frozenset[int], known: Mapping[str, Any]
) -> None:
    """Compare the classes with every execution of the main function, and with further ones.

    Raises:
        NotStructured: they compute something else.
    """

    def agrees(frame: Frame, named: bool) -> bool:
        if frame.block is None:
            return False
        given = {item.name: item.value(frame) for item in plan.parameters}
        return same(classes, known, plan.class_name, given, frame.block, named)

    for frame in plan.frames:
        if not agrees(frame, True):
            raise NotStructured("the written classes compute something else")
    for frames in further(recorder, main):
        for inner in frames:
            lowered(inner, first)
        if not agrees(frames[-1], False):
            raise NotStructured("the written classes compute something else for other arguments")


def builder(script: Script, entry: str, fixed: list[ast.Assign]) -> Closure:
    """The function that builds the model: one of the code, or the statements of the file that make a variable."""
    known = entry in script.main  # which asks the file's star imports, too
    found = script.main[entry] if known else None
    if isinstance(found, Closure) and isinstance(found.node, ast.FunctionDef):
        function = found
    elif found is not None and not isinstance(found, CustomClass):
        body = [script.main.tree.body[place] for place in script.main.definitions.needed(entry)]
        function = Closure(wrapped(body, script.main.path.stem, entry, fixed), Scope(script.main))
    else:
        raise NotStructured(f"{entry} is no function")
    keras = {MODEL: Library("keras.models.Model"), INPUT: Library("keras.Input")}
    if not isinstance(function.node, ast.FunctionDef):
        raise NotStructured(f"{entry} is a lambda")
    return replace(function, node=functional(function.node), names=Scope(keras, function.names))


def reads_first(frame: Frame, rank: int) -> bool:
    """Whether an operation wants tensors of this rank channels first."""
    return any(op.layout == "first" and any(v.rank == rank for v in values(op.args)) for op in frame.ops)


def lowered(frame: Frame, first: frozenset[int]) -> None:
    """Decide the layout of one execution."""
    block = frame.block
    if block is None:
        raise NotStructured("a function without a result")
    prune(block)
    decide(block, "first", first)
    fold_padding(block)
    fold_reshape(block)
    plain_dropout(block)


def planned(
    frames: list[Frame], main: ast.FunctionDef, fixed: frozenset[str], out_channels: frozenset[str]
) -> dict[ast.FunctionDef, Plan]:
    """A plan for each function, callees first."""
    by_node: dict[ast.FunctionDef, list[Frame]] = {}
    for frame in frames:
        by_node.setdefault(frame.node, []).append(frame)
    ordered: dict[ast.FunctionDef, Plan] = {}

    def add(node: ast.FunctionDef) -> None:
        for frame in by_node[node]:
            for event in frame.events:
                if event.callee is not None and event.callee.node not in ordered:
                    add(event.callee.node)
        ordered[node] = Plan(by_node[node], fixed, node.name in out_channels)

    add(main)
    return ordered
