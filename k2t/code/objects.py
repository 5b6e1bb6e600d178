"""What the code's expressions make: symbolic tensors, layers, models, and objects of the code's own classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from k2t.errors import Problem
from k2t.graph import Layer, Shape
from k2t.program import Size, Value
from k2t.rules.custom.objects import CustomClass
from k2t.rules.tracing.names import Library, Unknown


@dataclass(frozen=True)
class Broken(Unknown):
    """A tensor or model behind something without a translation; `problems` names all of that."""

    problems: tuple[Problem, ...] = ()

    def __str__(self) -> str:
        """All problems."""
        return "; ".join(map(str, self.problems))


@dataclass(eq=False)
class Made:
    """A layer that the code makes.

    Attributes:
        serial: its number in the order of making.
        given_shape: the shape of its input, batch included, where its constructor states it.
        missing: why it cannot be made, or None.
        calls: its calls so far.
        attributes: what the code has set on it.
        named: whether the code names it.
    """

    layer: Layer
    serial: int = 0
    given_shape: Shape | None = None
    given_dtype: str = "float32"
    missing: str = ""
    calls: list[Recorded] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    named: bool = False


@dataclass(eq=False)
class Net(Made):
    """A Sequential or Functional model.

    Attributes:
        inputs, outputs: tensors of the model's own graph; empty and None while the input's shape is not known.
        members: the layers of a Sequential model.
        problems: what was added to it and has no translation.
    """

    inputs: list[Tensor] = field(default_factory=list)
    outputs: Any = None
    members: list[Made] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def sequential(self) -> bool:
        """Whether layers are added one by one."""
        return self.layer.kind == "Sequential"


@dataclass(eq=False)
class Thing:
    """An object of one of the code's own classes that is no layer."""

    kind: CustomClass
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Custom(Made):
    """A layer or model of one of the code's own classes.

    Attributes:
        kind: the class.
        net: what its constructor hands to Keras's Model, if it does.
        base: the layer of Keras that it is derived from, if that is another than Layer and Model.
    """

    kind: CustomClass = field(kw_only=True)
    net: Net | None = None
    base: Made | None = None


@dataclass(eq=False)
class Given:
    """An input of models."""

    name: str
    shape: Shape
    dtype: str
    made: Made


@dataclass(eq=False)
class Recorded:
    """A call of a layer or of a function of tensors.

    Attributes:
        number: its place in the order of all calls.
        args, kwargs: tensors and constants, nested.
        tensors: its outputs, in order.
        shapes: of its inputs, nested.
    """

    made: Made
    number: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tensors: list[Tensor] = field(default_factory=list)
    output: Any = None


@dataclass(eq=False)
class Tensor:
    """A symbolic tensor of the code, or one size of one.

    Attributes:
        value: its shape, dtype and mask.
        index: which output of its call it is.
    """

    value: Value | Size
    origin: Given | Recorded
    index: int = 0


@dataclass(frozen=True)
class Partial:
    """`functools.partial`, and what else calls a function with arguments of its own."""

    function: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Configured:
    """An initializer, a regularizer, a constraint."""

    class_name: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class PendingWeight:
    """A variable that a custom layer makes in its constructor."""

    name: Any
    shape: Any
    trainable: Any


class Parser(dict[str, Any]):
    """An `argparse.ArgumentParser`: its arguments with their defaults."""

    def add(self, names: list[Any], options: dict[str, Any]) -> None:
        """`parser.add_argument(...)`."""
        label = next((item for item in names if str(item).startswith("--")), names[0])
        name = options.get("dest") or str(label).lstrip("-").replace("-", "_")
        flag = {"store_true": False, "store_false": True}.get(options.get("action", ""))
        value = options.get("default", flag)
        convert = options.get("type")
        if (
            isinstance(value, str)
            and isinstance(convert, Library)
            and convert.path in ("builtins.int", "builtins.float")
        ):
            value = compute_number(convert.path, value)
        required = options.get("required") or not str(label).startswith("-")
        self[name] = Unknown(f"--{name}", name=name) if value is None and required and "nargs" not in options else value


def compute_number(path: str, text_: str) -> Any:
    """A default that is written as text."""
    return int(text_) if path.endswith("int") else float(text_)
