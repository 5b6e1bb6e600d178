"""Follows the making of custom layers: the layers inside them, and their weights."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Layer, snake_case
from k2t.program import Parameter
from k2t.rules.activations import activate
from k2t.rules.base import RULES
from k2t.rules.builder import Builder
from k2t.rules.custom.attributes import Attributes
from k2t.rules.custom.constructors import configuration, is_layer
from k2t.rules.custom.objects import (
    Activation,
    Chain,
    CustomClass,
    Ignored,
    Initial,
    Inner,
    Instance,
    Method,
    Sublayer,
    Super,
)
from k2t.rules.custom.weights import UNNAMED
from k2t.rules.parts import Parts
from k2t.rules.tracing.names import Closure, Library

# Classes of Keras whose subclasses are followed whole.
PLAIN_BASES = ("", "Layer", "Model")
# Arguments of every layer's constructor.
LAYER_OPTIONS = frozenset(
    {"name", "trainable", "dtype", "autocast", "dynamic", "activity_regularizer", "input_shape", "batch_input_shape"}
)
IGNORED = frozenset(
    {
        "initializations",
        "initializers",
        "regularizers",
        "constraints",
        "SeedGenerator",
        "InputSpec",
        "metrics",
        "losses",
    }
)


class Making(Attributes):
    """Follows what makes layers and weights.

    Attributes:
        made: the number of layers so far.
        loose: those that a function makes, and no layer's method.
    """

    def __init__(self, b: Builder, names: dict[str, Any]) -> None:
        super().__init__(b, names)
        self.made = 0
        self.loose: set[Parts] = set()

    def builder(self, inner: Inner) -> Builder:
        """Adds operations for a layer inside."""
        return Builder(self.b.ops, inner.parts, self.b.call_name)

    def inner_parts(self, kind: str, options: dict[str, Any], name: Any) -> tuple[Parts, int]:
        """The parts of a new layer inside the one whose method is followed, and its number."""
        self.made += 1
        around = self.frames[-1][0].parts if self.frames else self.b.parts  # of a Lambda
        token = f"{UNNAMED}{self.made}"
        label = name if isinstance(name, str) else token if self.frames else snake_case(kind)
        layer = Layer(label, kind, options, around.layer.dtype, keras_2=around.layer.keras_2)
        parts = around.child(layer, token, around.shared)
        if not self.frames:
            self.loose.add(parts)
        return parts, self.made

    def construct(self, kind: CustomClass, args: list[Any], kwargs: dict[str, Any]) -> Instance:
        """A layer of the file inside a layer."""
        parts, made = self.inner_parts(kind.name, dict(kwargs), kwargs.get("name"))
        instance = Instance(kind, parts, made)
        self.initialize(instance, args, kwargs)
        return instance

    def initialize(self, instance: Instance, args: list[Any], kwargs: dict[str, Any]) -> None:
        """`__init__`."""
        found = instance.kind.find("__init__")
        if found is not None:
            self.method(Method(instance, *found), args, kwargs)
        else:
            self.base_method(Super(instance, instance.kind), "__init__", args, kwargs)

    def library_call(self, node: ast.AST, path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A function of a library; a layer where the name is that of one."""
        name = path.rpartition(".")[2]
        if path == "builtins.super":
            instance, kind = self.frames[-1]
            return Super(instance, args[0] if args else kind)
        if is_layer(path):
            options = {key: unwrapped(value) for key, value in configuration(name, args, kwargs).items()}
            parts, made = self.inner_parts(name, options, kwargs.get("name"))
            parts.trainable = parts.trainable and kwargs.get("trainable", True) is not False
            return Sublayer(parts.layer, parts, made)
        if name == "Sequential":
            parts, _ = self.inner_parts(name, {}, kwargs.get("name", args[1] if len(args) > 1 else None))
            layers = args[0] if args else kwargs.get("layers") or []
            return Chain(parts, [item for item in layers if isinstance(item, Inner)])
        if path in ("keras.activations.get", "keras.activations.deserialize"):
            return args[0] if isinstance(args[0], Closure | Library) else Activation(args[0])
        if path in ("keras.layers.deserialize", "keras.saving.deserialize_keras_object"):
            return args[0]
        if path.startswith("keras.activations."):
            return activate(self.b, args[0], {"class_name": name, "config": kwargs} if kwargs else name)
        if name.endswith("initializer") or any(part in path.split(".") for part in IGNORED):
            return Ignored(path)
        if name in ("Input", "InputLayer"):
            return Ignored(path)
        if path in ("tf.Variable", "keras.Variable", "K.variable"):
            return self.variable(args, kwargs)
        return super().library_call(node, path, args, kwargs)

    def initial(self, args: list[Any], kwargs: dict[str, Any]) -> Initial:
        """What an initializer makes."""
        shape = kwargs.get("shape", args[0] if args else None)
        return Initial(known_shape(shape))

    def variable(self, args: list[Any], kwargs: dict[str, Any]) -> Parameter:
        """`tf.Variable(initial_value, trainable)`."""
        value: Any = kwargs.get("initial_value", kwargs.get("initializer", args[0] if args else None))
        shape = value.shape if isinstance(value, Initial) else np.shape(value)
        return self.add_weight(self.frames[-1][0], kwargs.get("name"), shape, kwargs.get("trainable", True))

    def weight_call(self, instance: Instance, args: list[Any], kwargs: dict[str, Any]) -> Parameter:
        """`self.add_weight(...)`: first the name in Keras 2, the shape in Keras 3."""
        named = bool(args) and (isinstance(args[0], str) or args[0] is None)
        shape = kwargs.get("shape", args[1] if named and len(args) > 1 else args[0] if args and not named else ())
        name = args[0] if named else kwargs.get("name")
        return self.add_weight(instance, name, known_shape(shape), kwargs.get("trainable"))

    def add_weight(self, instance: Instance, name: Any, shape: tuple[int, ...], trainable: Any) -> Parameter:
        """A variable of a layer of the file."""
        wish = str(name or "variable").rpartition("/")[2]
        number = sum(other.rpartition("_")[0] == wish or other == wish for other in instance.parts.declared)
        role = f"{wish}_{number}" if number else wish
        b = self.builder(instance)
        variable = b.variable(role, shape, trainable is not False)
        if trainable is False:
            instance.frozen.add(variable)
        return b.parameter(role, variable)

    def base_init(self, instance: Instance, args: list[Any], kwargs: dict[str, Any]) -> None:
        """`super().__init__(...)`."""
        base = instance.kind.library_base()
        own = {key: value for key, value in kwargs.items() if key not in LAYER_OPTIONS}
        if base in PLAIN_BASES:
            if own:
                raise UntranslatableError(f"unknown option {', '.join(f'{key}={own[key]!r}' for key in sorted(own))}")
            return
        if base not in RULES:
            raise UntranslatableError(f"{instance.kind.name} is derived from {base}, which is no layer")
        options = configuration(base, args, own)
        layer = Layer(instance.layer.name, base, options, instance.layer.dtype, keras_2=instance.layer.keras_2)
        instance.base = Sublayer(layer, instance.parts.child(layer, ""), instance.made)

    def base_method(self, subject: Super, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of Keras's class behind the file's."""
        raise NotImplementedError


def unwrapped(value: Any) -> Any:
    """An option that is a layer, as configurations have it."""
    if isinstance(value, Sublayer | Instance):
        return value.layer
    return [unwrapped(item) for item in value] if isinstance(value, list) else value


def known_shape(shape: Any) -> tuple[int, ...]:
    """The shape of a variable.

    Raises:
        UntranslatableError: a size is not known.
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(shape or ())
    if not all(isinstance(item, int) for item in sizes):
        raise UntranslatableError(f"a weight of the shape {sizes}: a size is not known")
    return tuple(int(item) for item in sizes)
