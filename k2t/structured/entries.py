"""The function that an entry names, and what it is called with."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from k2t.code.entry import resolve, split
from k2t.code.objects import Thing
from k2t.code.script import Script
from k2t.code.slices import assigned
from k2t.graph import Input, map_structure
from k2t.program import Value
from k2t.rules.custom.objects import CustomClass, Method
from k2t.rules.tracing.names import Closure, Scope
from k2t.structured.desugar import wrapped
from k2t.structured.frames import Caller, Frame, NotStructured, arguments, default_values
from k2t.structured.makers import KERAS, of_class
from k2t.structured.objects import detached, is_literal, only
from k2t.structured.sequential import called, functional, sequential_functions
from k2t.symbols import number


def builder(script: Script, entry: str, fixed: list[ast.Assign], outside: Collection[str]) -> Closure:
    """The function that builds the model: one of the code, or the statements of the file that make a variable.

    Args:
        fixed: constants of the file, which stay.
        outside: variables of the file that it takes as arguments.
    """
    name, index = split(entry)
    found = script.main.tree.body
    if is_variable(script, entry):
        body = [found[place] for place in script.main.definitions.needed(name)]
        body = until_made([node for node in body if not assigned(node) or not assigned(node) <= set(outside)], name)
        function = Closure(wrapped(body, script.main.path.stem, name, fixed), Scope(script.main))
    else:
        function = closure_of(resolve(script, name))
    if not isinstance(function.node, ast.FunctionDef):
        raise NotStructured(f"{entry} is a lambda")
    known = {name: Closure(node, script.main) for name, node in sequential_functions(script.main.tree).items()}
    node = functional(function.node if index is None else only(function.node, index))
    return replace(function, node=taking(node, outside), names=Scope(KERAS | known, function.names))


def is_variable(script: Script, entry: str) -> bool:
    """Whether an entry is a variable of the file, which statements of the file make."""
    name, _ = split(entry)
    names = {node.name for node in script.main.tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return bool(script.main.definitions.of(name)) and name not in names


def taken_from_data(script: Script, entry: str, given: Collection[str]) -> set[str]:
    """Of what the caller gives, the names that are no arguments of the function: the file's own values give way."""
    function = [node for node in script.main.tree.body if isinstance(node, ast.FunctionDef) and node.name == entry]
    return set(given) - {item.arg for node in function for item in arguments(node)}


def until_made(body: list[ast.stmt], name: str) -> list[ast.stmt]:
    """The statements up to the last one that makes a functional model of this name."""
    last = [place for place, node in enumerate(body) if is_model(node) and name in assigned(node)]
    return body[: last[-1] + 1] if last else body


def is_model(node: ast.stmt) -> bool:
    """Whether it is `model = Model(…)`."""
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and called(node.value) == "Model"


def held(script: Script, name: str) -> bool:
    """Whether the evaluated file has a number, a text or a table for a variable."""
    return name in script.main and is_literal(script.main[name])


def taking(function: ast.FunctionDef, outside: Collection[str]) -> ast.FunctionDef:
    """The function with those of these variables that it reads as arguments, in front of its own."""
    own = {item.arg for item in arguments(function)} | assigned(function)
    read = {item.id for item in ast.walk(function) if isinstance(item, ast.Name)}
    made = copy.copy(function)
    made.args = copy.copy(function.args)
    made.args.args = [*(ast.arg(name) for name in outside if name in read - own), *function.args.args]
    return made


def closure_of(value: Any) -> Closure:
    """What an entry names, as a function.

    Raises:
        NotStructured: it is none.
    """
    if isinstance(value, Closure):
        return value
    if isinstance(value, CustomClass) and (made := of_class(value)) is not None:
        return made.function
    if isinstance(value, Method) and isinstance(value.instance, Thing):
        return detached(value.kind, value.node, value.instance.attributes)
    raise NotStructured(f"{type(value).__name__.lower()} that is no function")


def taken(
    function: Closure, given: Mapping[str, Any], outside: Mapping[str, Any], inputs: Sequence[Input]
) -> dict[str, Any]:
    """The arguments of the function: those given or from outside; else, without a default, the model's inputs."""
    node = function.node
    names = [item.arg for item in arguments(node)]
    found = {name: value for name, value in {**outside, **given}.items() if name in names}
    free = [name for name in names if name not in found and name not in default_values(node)]
    for name, item in zip(free, inputs, strict=False):
        found[name] = item.shape[1:] if "shape" in name else Value(item.shape, item.dtype, layer=name)
    return found


def delegated(frame: Frame) -> Frame:
    """The execution that makes the model: that of another function, where this one only calls it."""
    while isinstance(frame.output, Caller) and frame.output.frame is not None:
        frame = frame.output.frame
        frame.arguments = {name: map_structure(number, value) for name, value in frame.arguments.items()}
        frame.parent = None
    return frame
