"""Follows attributes of custom layers: what `self` has, and what is set."""

from __future__ import annotations

import ast
import re
from typing import Any

from k2t.graph import Layer
from k2t.rules.base import RULES
from k2t.rules.builder import Builder
from k2t.rules.custom.constructors import SPATIAL
from k2t.rules.custom.objects import Activation, Chain, CustomClass, Inner, Instance, Method, Sublayer, Super
from k2t.rules.tracing.interpreter import Interpreter
from k2t.rules.tracing.names import Bound, Closure, Library

# Methods of Keras's Layer that have a meaning here.
INHERITED = frozenset(
    {
        "__call__",
        "__init__",
        "__setattr__",
        "add_loss",
        "add_metric",
        "add_update",
        "add_variable",
        "add_weight",
        "build",
        "call",
        "compute_mask",
        "get_config",
    }
)


class Attributes(Interpreter):
    """Follows attributes and methods of custom layers.

    Attributes:
        frames: the layer and the class whose methods are followed, the innermost last.
    """

    def __init__(self, b: Builder, names: dict[str, Any]) -> None:
        super().__init__(b, names)
        self.frames: list[tuple[Instance, CustomClass]] = []

    def do_classdef(self, node: ast.ClassDef) -> None:
        """A class; its constants are its attributes."""
        made = CustomClass(node, [self.evaluate(base) for base in node.bases], self.names)
        for item in node.body:
            if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
                made.attributes[item.targets[0].id] = self.evaluate(item.value)
        self.names[node.name] = made

    def attribute(self, node: ast.AST, value: Any, name: str) -> Any:
        """What `self`, a layer inside it or `super()` has."""
        if isinstance(value, Instance):
            return self.own_attribute(node, value, name)
        if isinstance(value, Super):
            found = value.instance.kind.find(name, after=value.kind)
            if found is None and name not in INHERITED:
                raise self.refusal(node, f"the attribute {name!r} of Keras's class")
            return Method(value.instance, *found) if found else Bound(value, name)
        if isinstance(value, Sublayer) and name in value.layer.options:
            return value.layer.options[name]
        if isinstance(value, Sublayer | Chain):
            return value.parts.layer.name if name == "name" else Bound(value, name)
        if isinstance(value, CustomClass):
            return value.name if name == "__name__" else Bound(value, name)
        if isinstance(value, Activation | Library) and name == "__name__":
            return value.path.rpartition(".")[2] if isinstance(value, Library) else value.which
        return super().attribute(node, value, name)

    def own_attribute(self, node: ast.AST, instance: Instance, name: str) -> Any:
        """`self.name`."""
        if name in instance.attributes:
            return instance.attributes[name]
        if (found := instance.kind.find(name)) is not None:
            kind, function = found
            decorators = {ast.unparse(item).rpartition(".")[2] for item in function.decorator_list}
            if decorators & {"property", "cached_property"}:
                return self.method(Method(instance, kind, function), [], {})
            return Closure(function, kind.names) if "staticmethod" in decorators else Method(instance, kind, function)
        for kind in instance.kind.lineage():
            if name in kind.attributes:
                return kind.attributes[name]
        if instance.base is not None and name in (options := base_options(instance.base.layer)):
            return options[name]
        known = {
            "name": instance.layer.name,
            "dtype": instance.layer.dtype,
            "compute_dtype": instance.layer.dtype,
            "variable_dtype": instance.layer.dtype,
            "trainable": instance.parts.trainable,
            "built": instance.built,
        }
        if name in known:
            return known[name]
        if name not in INHERITED:
            raise self.refusal(node, f"the attribute {name!r}, which the class does not set,")
        return Bound(Super(instance, instance.kind), name)

    def set_attribute(self, node: ast.Attribute, subject: Any, value: Any) -> None:
        """`self.name = value`, `layer.trainable = False`."""
        if isinstance(subject, Inner) and node.attr == "trainable":
            freeze(subject, bool(self.constant(node, value)))
        elif isinstance(subject, Instance):
            subject.attributes[node.attr] = value
        else:
            super().set_attribute(node, subject, value)

    def method(self, method: Method, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of the file."""
        self.frames.append((method.instance, method.kind))
        try:
            return self.run(method.function, [method.instance, *args], kwargs)
        finally:
            self.frames.pop()


def base_options(layer: Layer) -> dict[str, Any]:
    """The options of a layer of Keras, those included that are not given."""
    known = {**RULES[layer.kind].options, **layer.options}
    rank = re.search(r"([123])D", layer.kind)
    numbers = {key: value for key, value in known.items() if rank and key in SPATIAL and isinstance(value, int)}
    return {**known, **{key: (value,) * int(rank[1]) for key, value in numbers.items() if rank}}


def freeze(inner: Inner, trainable: bool) -> None:
    """`layer.trainable = ...`, for everything inside."""
    inner.parts.trainable = trainable
    if isinstance(inner, Chain):
        for item in inner.layers:
            freeze(item, trainable)
