"""From a file of Keras code to classes: follow, unify, write."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k2t.code.entry import EMPTY_WORDS, title
from k2t.code.modules import code_text
from k2t.code.script import Script
from k2t.emit.initial import init_weights
from k2t.graph import Input
from k2t.lower.fold import fold_padding, fold_reshape, plain_dropout
from k2t.lower.initial import begin, write_constants
from k2t.lower.layout import decide
from k2t.lower.names import class_names
from k2t.lower.prune import prune
from k2t.program import Block, Op, Permutation, Value, values
from k2t.structured.classes import named, write
from k2t.structured.comments import Comments
from k2t.structured.desugar import constants
from k2t.structured.entries import builder, delegated, held, is_variable, taken, taken_from_data
from k2t.structured.explore import FAILURES, explore, further
from k2t.structured.file import file_text
from k2t.structured.frames import Frame, NotStructured, SizeNeeded
from k2t.structured.gate import same
from k2t.structured.learned import Again, Learned
from k2t.structured.pairs import Node, ends
from k2t.structured.plan import Plan
from k2t.structured.recorder import Recorder
from k2t.symbols import deps_of

# How much is followed before another attempt is not worth its time, in calls of layers.
MAX_EVENTS = 3000


@dataclass(frozen=True)
class Structured:
    """A structured translation.

    Attributes:
        classes: constants of the file, then the text of each class, the main one last.
        start: the text of `init_weights`, or "".
        main: the flat program for the sample arguments; its modules have the names of the emitted attributes.
        class_name: of the main class.
        arguments: of its constructor, for the sample arguments.
        ends: how the outputs of `main` are made, before its layout was decided.
    """

    classes: tuple[str, ...]
    start: str
    main: Block
    class_name: str
    arguments: Mapping[str, Any]
    ends: tuple[Node, ...]

    def body(self, has_weights: bool) -> str:
        """The text of the file below its header."""
        return file_text([*self.classes, self.start], self.class_name, self.arguments if has_weights else None)


def structured(
    path: Path, entry: str, arguments: Mapping[str, Any], inputs: Sequence[Input] = (), name: str | None = None
) -> Structured:
    """Translate the function `entry` of a file.

    Args:
        arguments: the sample arguments of the function, and values for names that the file leaves open.
        inputs: of the evaluated model, for code that does not say them.
        name: the class name that the user wants.

    Raises:
        NotStructured: the code has no structured translation.
    """
    learned = Learned()
    events = 0
    while events < MAX_EVENTS:
        try:
            return attempt(path, entry, arguments, inputs, name, learned)
        except Again as again:
            learned, events = learned.more(again), events + again.events
        except NotStructured:
            raise
        except FAILURES as error:
            raise NotStructured(f"cannot be followed ({type(error).__name__}: {error})") from error
    raise NotStructured("needs too many attempts")


def attempt(
    path: Path,
    entry: str,
    arguments: Mapping[str, Any],
    inputs: Sequence[Input],
    name: str | None,
    learned: Learned,
) -> Structured:
    """One translation, with what is known from those before."""
    script = Script(path, arguments)
    outside = taken_from_data(script, entry, arguments)
    fixed = {name: node for name, node in constants(script.main.tree).items() if name not in outside}
    names = frozenset(fixed)
    recorder = Recorder(script, names, learned)
    for constant, node in fixed.items():  # as they are before any code changes them
        script.main[constant] = recorder.evaluate(node.value)
    main = followed(recorder, entry, arguments, inputs, list(fixed.values()))
    made = ends(main.block) if main.block is not None else ()
    explore(recorder)
    first = frozenset({4, 5} | {3 for frame in recorder.frames if reads_first(frame, 3)})
    for frame in recorder.frames:
        lowered(frame, first, learned)
    plans = planned(recorder.frames, main.node, names, learned)
    name_classes(plans, main.node, name or main_name(main, entry, path))
    comments = Comments(code_text(path))
    written = []
    try:
        for plan in plans.values():  # the main function is the last one
            read(plan, plans, learned)
            start = started(plans.values()) if plan.node is main.node else ""
            written.append(write(plan, comments, ["self.apply(init_weights)"] * bool(start)))
    except Again as again:
        again.events = 10 + sum(len(frame.events) for frame in recorder.frames)
        raise
    except SizeNeeded:
        if free := image_sizes(main) - learned.fixed:
            raise Again(fixed=min(free)) from None
        raise
    used = {name: script.main[name] for name in fixed if re.search(rf"\b{name}\b", "\n".join(written))}
    checked(recorder, main, plan, written, first, used)
    kept = [ast.unparse(fixed[name]) for name in needed(fixed, used)]
    texts = ("\n".join(kept),) * bool(kept) + tuple(written)
    constructed = {item.name: item.value(main) for item in plan.parameters}
    if main.block is None:
        raise NotStructured("the function has no result")
    return Structured(texts, start, main.block, plan.class_name, constructed, made)


def followed(
    recorder: Recorder, entry: str, arguments: Mapping[str, Any], inputs: Sequence[Input], fixed: list[ast.Assign]
) -> Frame:
    """The execution of the function that builds the model."""
    script = recorder.script
    wanted = (*arguments, *sorted(recorder.learned.outside))
    outside = {name: script.main[name] for name in wanted if held(script, name)}
    if is_variable(script, entry):
        recorder.from_outside = functools.partial(held, script)
    function = recorder.makers.unstarred(builder(script, entry, fixed, outside), (), arguments)
    given = taken(function, arguments, outside, inputs)
    recorder.main = function.node.name  # type: ignore[union-attr]
    main = delegated(recorder.enter(function, recorder.bind(function, [], given), tuple(given)))
    recorder.main = main.function.node.name
    return main


def image_sizes(main: Frame) -> set[str]:
    """The arguments of the main function of which the sizes of its inputs are made."""
    return {name for value in main.inputs.values() for name, _ in deps_of(*value.shape)} & main.arguments.keys()


def main_name(main: Frame, entry: str, path: Path) -> str:
    """The name of the main class: after its function, or the file where that is called `build_model` and the like."""
    own = named(main.node.name)
    return named(title(entry, path)) if own.lower() in EMPTY_WORDS else own


def name_classes(plans: Mapping[ast.FunctionDef, Plan], main: ast.FunctionDef, wish: str) -> None:
    """Name the classes after the functions, the main one by its wish, where no other function has that name."""
    names = class_names(frame.block for plan in plans.values() for frame in plan.frames if frame.block is not None)
    own = {named(node.name) for node in plans if node is not main}
    plans[main].class_name = names.claim(f"{wish}Net" if wish in own else wish)
    for node, plan in plans.items():
        plan.class_name = plan.class_name or names.claim(named(node.name))


def read(plan: Plan, plans: dict[ast.FunctionDef, Plan], learned: Learned) -> None:
    """Unify the executions of a function; where they differ, try again without sizes, then with several classes.

    Raises:
        Again: with what was learned.
        NotStructured: they differ even so.
    """
    try:
        plan.read(plans)
    except NotStructured:
        name = plan.frames[0].function.node.name
        if name not in learned.varying:
            raise Again(varying=name) from None
        if name not in learned.specialized and plan.frames[0].parent is not None:
            raise Again(specialized=name) from None
        if name not in learned.unexplored:
            raise Again(unexplored=name) from None
        raise


def started(plans: Collection[Plan]) -> str:
    """The text of `init_weights`.

    Raises:
        NotStructured: layers of one list start differently.
    """
    text = init_weights([plan.outline() for plan in plans])
    lists = {plan.names[key] for plan in plans for key, module in plan.modules.items() if module.loops}
    if any(re.search(rf"module\.{name}\b", text) for name in lists):
        raise NotStructured("layers of one loop start from different distributions")
    return text


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
        Again: they compute something else for another value of an argument, which is to be a number.
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
    if recorder.learned.fixed & {item.shape or item.name for item in plan.parameters}:
        raise NotStructured("the written classes compute something else for other arguments")
    for name, frames in further(recorder, main):
        for inner in frames:
            lowered(inner, first, recorder.learned)
        if not agrees(frames[-1], False):
            raise Again(fixed=name)


def reads_first(frame: Frame, rank: int) -> bool:
    """Whether an operation wants tensors of this rank channels first."""
    return any(op.layout == "first" and any(v.rank == rank for v in values(op.args)) for op in frame.ops)


def lowered(frame: Frame, first: frozenset[int], learned: Learned) -> None:
    """Decide the layout of one execution."""
    block = frame.block
    if block is None:
        raise NotStructured("a function without a result")
    prune(block)
    alike = frame.name in learned.alike
    if alike:
        block.ops = [made for op in block.ops for made in moved_back(op, first)]
    decide(block, "first", first, alike=alike)
    fold_padding(block)
    fold_reshape(block)
    plain_dropout(block)
    write_constants(block)
    begin(block)


def moved_back(op: Op, first: frozenset[int]) -> list[Op]:
    """The operation; behind one that works in Keras's order, a step in which the layout may put the channels first."""
    made = op.outputs
    if op.layout not in ("keras", "linear") or not isinstance(made, Value) or made.rank not in first:
        return [op]
    kept = Value(made.shape, made.dtype, layer=made.layer)
    same = Permutation(tuple(range(made.rank)))
    return [replace(op, outputs=kept), Op(".permute", (kept, same), {}, made, "permute", op.layer)]


def planned(
    frames: list[Frame], main: ast.FunctionDef, fixed: frozenset[str], learned: Learned
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
        ordered[node] = Plan(by_node[node], fixed, node.name in learned.out_channels, node.name in learned.alike)

    add(main)
    return ordered
