"""What constructs something that is called with tensors later: classes of the code, functions that return a layer."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from k2t.rules.custom.objects import CustomClass
from k2t.rules.tracing.names import Closure, Library, Scope
from k2t.structured.desugar import with_loops
from k2t.structured.frames import LayerObject, NotStructured, arguments
from k2t.structured.objects import WEIGHT, merged
from k2t.structured.sequential import INPUT, MODEL, as_layer, called, functional
from k2t.structured.stars import is_starred, spread

KERAS = {
    MODEL: Library("keras.models.Model"),
    INPUT: Library("keras.Input"),
    WEIGHT: Library("keras.add_weight"),
}


@dataclass(frozen=True)
class Made:
    """A constructor.

    Attributes:
        function: of the tensors and the options; for a model, of the options alone.
        names: of the options, in order.
    """

    function: Closure
    names: tuple[str, ...]
    is_model: bool = False


class Makers:
    """The constructors and functions that were met, each made once.

    Attributes:
        specialized: functions with a class for each combination of words and switches among their arguments.
    """

    def __init__(self, specialized: frozenset[str]) -> None:
        self.specialized = specialized
        self.variants: dict[Any, ast.FunctionDef] = {}
        self.known: dict[ast.AST, Made | None] = {}
        self.loops: dict[ast.FunctionDef, ast.FunctionDef] = {}
        self.spread: dict[Any, ast.FunctionDef] = {}

    def looped(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """The function with loops in place of the comprehensions that make layers or call them."""
        if node not in self.loops:
            self.loops[node] = with_loops(node)
        return self.loops[node]

    def unstarred(self, function: Closure, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Closure:
        """The function; one with star arguments as one of those that this call gives."""
        if not is_starred(function):
            return function
        spec = function.node.args
        known = {item.arg for item in arguments(function.node)}
        count = max(0, len(args) - len(spec.posonlyargs) - len(spec.args)) if spec.vararg else 0
        keys = tuple(key for key in kwargs if key not in known) if spec.kwarg else ()
        key = (function.node, count, keys)
        if key not in self.spread:
            self.spread[key] = spread(function, count, keys)
        return replace(function, node=self.spread[key])

    def variant(self, node: ast.FunctionDef, bound: dict[str, Any]) -> ast.FunctionDef:
        """The function, or where it differs too much from call to call, the one for this kind of call."""
        if node.name not in self.specialized:
            return node
        kinds = str | bool | None | LayerObject
        options = {key: item for value in bound.values() if isinstance(value, dict) for key, item in value.items()}
        values = [value for name, value in (bound | options).items() if isinstance(value, kinds) and name != "name"]
        words = [value.layer.kind.lower() if isinstance(value, LayerObject) else str(value) for value in values]
        made_with = [repr(value.layer.options) for value in values if isinstance(value, LayerObject)]
        key = (node, tuple(words), tuple(made_with))
        if key not in self.variants:
            made = copy.deepcopy(node)
            first = next((other[1] for other in self.variants if other[0] is node), words)
            told = [word for word, usual in zip(words, first, strict=False) if word != usual and word.isidentifier()]
            made.name = "_".join([node.name, *(word for word in told if word not in ("None", "True", "False"))])
            self.variants[key] = made
        return self.variants[key]

    def of(self, function: Any) -> Made | None:
        """What a class or function of the code constructs; None where it constructs nothing of this kind."""
        if not isinstance(function, CustomClass | Closure) or isinstance(function.node, ast.Lambda):
            return None
        if function.node not in self.known:
            self.known[function.node] = (
                of_class(function) if isinstance(function, CustomClass) else of_function(function)
            )
        found = self.known[function.node]
        if found is None or isinstance(function, CustomClass):
            return found
        return replace(found, function=replace(found.function, names=Scope(KERAS, function.names)))


def of_class(kind: CustomClass) -> Made | None:
    """A layer or model of the code."""
    if kind.library_base() not in ("Layer", "Model") or kind.find("call") is None:
        return None
    found = kind.find("__init__")
    names = tuple(item.arg for item in arguments(found[1])[1:]) if found is not None else ()
    return Made(Closure(functional(merged(kind)), Scope(KERAS, kind.names)), names)


def of_function(function: Closure) -> Made | None:
    """A function that makes a model with inputs of its own, or a layer."""
    if not isinstance(function.node, ast.FunctionDef):
        return None
    names = tuple(item.arg for item in arguments(function.node))
    try:
        node = functional(function.node)
    except NotStructured:
        node = function.node
    if any(isinstance(item, ast.Call) and called(item) in (INPUT, "Input") for item in ast.walk(node)):
        return Made(replace(function, node=node), names, is_model=True)
    layer = as_layer(function.node)
    return None if layer is None else Made(replace(function, node=layer), names)
