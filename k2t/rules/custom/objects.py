"""What the names and attributes of custom layers stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from k2t.graph import Layer
from k2t.program import Variable
from k2t.rules.parts import Parts
from k2t.rules.tracing.names import Closure, Library


@dataclass(eq=False)
class CustomClass:
    """A class of the file.

    Attributes:
        bases: classes of the file or names of libraries.
        names: those around it, in which its methods are followed.
        attributes: its constants.
    """

    node: ast.ClassDef
    bases: list[Any]
    names: Mapping[str, Any] = field(repr=False)
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the file has it."""
        return self.node.name

    def lineage(self) -> Iterator[CustomClass]:
        """Itself and the classes of the file that it is derived from."""
        yield self
        for base in self.bases:
            if isinstance(base, CustomClass):
                yield from base.lineage()

    def library_base(self) -> str:
        """The class of Keras that it is derived from: `Layer`, `Model`, `Dense`; "" if there is none."""
        paths = [base.path for one in self.lineage() for base in one.bases if isinstance(base, Library)]
        return next((path.rpartition(".")[2] for path in paths if path != "builtins.object"), "")

    def methods(self) -> dict[str, ast.FunctionDef]:
        """Its own."""
        return {item.name: item for item in self.node.body if isinstance(item, ast.FunctionDef)}

    def find(self, name: str, after: CustomClass | None = None) -> tuple[CustomClass, ast.FunctionDef] | None:
        """The method of this name, and the class that has it; only classes `after` one, as for `super`."""
        lineage = list(self.lineage())
        start = lineage.index(after) + 1 if after is not None else 0
        for one in lineage[start:]:
            if (method := one.methods().get(name)) is not None:
                return one, method
        return None

    def registered(self) -> str:
        """`Package>Name` where a decorator registers it, else ""."""
        for item in self.node.decorator_list:
            called = item.func if isinstance(item, ast.Call) else item
            if ast.unparse(called).endswith("register_keras_serializable"):
                given = [getattr(value, "value", None) for value in getattr(item, "args", [])]
                named = {word.arg: getattr(word.value, "value", None) for word in getattr(item, "keywords", [])}
                package = (given[0] if given else None) or named.get("package") or "Custom"
                return f"{package}>{(given[1] if len(given) > 1 else None) or named.get('name') or self.name}"
        return ""


class Instance:
    """A custom layer: what `self` is.

    Attributes:
        parts: its variables, and those of the layers inside it.
        made: its number in the order in which layers are made.
        base: for a class derived from a layer of Keras other than Layer, that layer.
        frozen: those of its variables that are never trained.
    """

    def __init__(self, kind: CustomClass, parts: Parts, made: int = 0) -> None:
        self.kind = kind
        self.parts = parts
        self.made = made
        self.attributes: dict[str, Any] = {}
        self.base: Sublayer | None = None
        self.frozen: set[Variable] = set()
        self.built = False

    @property
    def layer(self) -> Layer:
        """The layer as the graph has it."""
        return self.parts.layer


@dataclass(eq=False)
class Sublayer:
    """A layer of Keras inside a custom layer."""

    layer: Layer
    parts: Parts
    made: int = 0


@dataclass(eq=False)
class Chain:
    """A Sequential model inside a custom layer."""

    parts: Parts
    layers: list[Any]


Inner = Instance | Sublayer | Chain


@dataclass(frozen=True)
class Method:
    """A method of a custom layer, of the class that defines it."""

    instance: Any
    kind: CustomClass
    node: ast.FunctionDef

    @property
    def function(self) -> Closure:
        """As a function of `self`."""
        return Closure(self.node, self.kind.names)


@dataclass(frozen=True)
class Super:
    """`super()`: the methods of the classes behind `kind`."""

    instance: Any
    kind: CustomClass


@dataclass(frozen=True)
class Activation:
    """What `keras.activations.get` returns."""

    which: Any


@dataclass(frozen=True)
class Ignored:
    """An initializer, a regularizer, a constraint: nothing that a trained layer computes with."""

    path: str


@dataclass(frozen=True)
class Initial:
    """What an initializer returns: the first values of a variable."""

    shape: tuple[int, ...]
