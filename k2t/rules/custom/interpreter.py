"""Follows the methods of custom layers: what `__init__`, `build` and `call` do to `self` and to tensors."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Layer
from k2t.program import Parameter, Size, Value, leaves
from k2t.rules.activations import activate
from k2t.rules.base import RULES
from k2t.rules.builder import Builder, apply_layer
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
from k2t.rules.tracing.interpreter import Interpreter
from k2t.rules.tracing.names import Bound, Closure, Library

# Classes of Keras whose subclasses are followed whole.
PLAIN_BASES = ("", "Layer", "Model")
# Arguments of every layer's constructor.
LAYER_OPTIONS = frozenset(
    {"name", "trainable", "dtype", "autocast", "dynamic", "activity_regularizer", "input_shape", "batch_input_shape"}
)
IGNORED = ("initializers", "regularizers", "constraints", "SeedGenerator", "InputSpec", "metrics", "losses")
NO_EFFECT = frozenset({"add_loss", "add_metric", "add_update", "_set_keras_history"})


class LayerInterpreter(Interpreter):
    """Follows custom layers.

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
        known = {
            "name": instance.layer.name,
            "dtype": instance.layer.dtype,
            "compute_dtype": instance.layer.dtype,
            "variable_dtype": instance.layer.dtype,
            "trainable": instance.parts.trainable,
            "built": instance.built,
        }
        return known[name] if name in known else Bound(Super(instance, instance.kind), name)

    def set_attribute(self, node: ast.Attribute, subject: Any, value: Any) -> None:
        """`self.name = value`, `layer.trainable = False`."""
        if isinstance(subject, Inner) and node.attr == "trainable":
            freeze(subject, bool(self.constant(node, value)))
        elif isinstance(subject, Instance):
            if isinstance(value, Inner) and subject.layer.name.startswith(UNNAMED):
                value = value  # its own path is found when the layer is placed
            subject.attributes[node.attr] = value
        else:
            super().set_attribute(node, subject, value)

    def apply(self, node: ast.AST, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result of a call: of a layer, a class, a method, or of what any code may call."""
        if isinstance(function, Method):
            return self.method(function, args, kwargs)
        if isinstance(function, Instance):
            return self.call_instance(function, args, kwargs)
        with self.placed(node):
            if isinstance(function, CustomClass):
                return self.construct(function, args, kwargs)
            if isinstance(function, Sublayer):
                return self.call_layer(function, args, kwargs)
            if isinstance(function, Chain):
                return self.call_chain(function, args, kwargs)
            if isinstance(function, Activation):
                return activate(self.b, *args, function.which)
            if isinstance(function, Ignored):
                return self.initial(args, kwargs)
        return super().apply(node, function, args, kwargs)

    def method(self, method: Method, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of the file."""
        self.frames.append((method.instance, method.kind))
        try:
            return self.run(method.function, [method.instance, *args], kwargs)
        finally:
            self.frames.pop()

    def builder(self, inner: Inner) -> Builder:
        """Adds operations for a layer inside."""
        return Builder(self.b.ops, inner.parts, self.b.call_name)

    # Making layers.

    def inner_parts(self, kind: str, options: dict[str, Any], name: Any) -> tuple[Any, int]:
        """The parts of a new layer inside the one whose method is followed, and its number."""
        if not self.frames:
            raise UntranslatableError(f"{kind} is made outside of a layer")
        self.made += 1
        around = self.frames[-1][0].parts
        token = f"{UNNAMED}{self.made}"
        layer = Layer(name if isinstance(name, str) else token, kind, options, around.layer.dtype)
        parts = around.child(layer, token, around.shared)
        return parts, self.made

    made = 0

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

    # Weights.

    def initial(self, args: list[Any], kwargs: dict[str, Any]) -> Initial:
        """What an initializer makes."""
        shape = kwargs.get("shape", args[0] if args else None)
        return Initial(known_shape(shape))

    def variable(self, args: list[Any], kwargs: dict[str, Any]) -> Parameter:
        """`tf.Variable(initial_value, trainable)`."""
        value = kwargs.get("initial_value", kwargs.get("initializer", args[0] if args else None))
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

    # Calling layers.

    def call_layer(self, inner: Sublayer, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A layer of Keras."""
        kwargs = {key: value for key, value in kwargs.items() if key != "training" or value in (True, False)}
        if inner.layer.kind in RULES and "inputs" in kwargs and not args:
            args = [kwargs.pop("inputs")]
        return apply_layer(self.builder(inner), tuple(args), kwargs)

    def call_chain(self, chain: Chain, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A Sequential model: one layer after the other."""
        value = args[0] if args else kwargs.get("inputs")
        training = {"training": kwargs["training"]} if kwargs.get("training") is not None else {}
        for item in chain.layers:
            value = self.apply(chain_place(), item, [value], training if isinstance(item, Sublayer) else {})
        return value

    def call_instance(self, instance: Instance, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A layer of the file: built at its first call, then `call`, then its mask."""
        found = instance.kind.find("call")
        if found is None:
            if instance.base is None:
                raise UntranslatableError(f"{instance.kind.name} has no method call")
            return self.call_layer(instance.base, args, kwargs)
        names = [item.arg for item in (*found[1].args.args, *found[1].args.kwonlyargs)][1:]
        given = dict(zip(names, args, strict=False)) | kwargs
        tensors = {key: item for key, item in given.items() if has_tensor(item) and not key.endswith("mask")}
        self.build(instance, tensors)
        masks = self.masks(names, tensors, given)
        extra = {key: None for key in ("training",) if key in names and key not in given}
        output = self.method(Method(instance, *found), args, {**kwargs, **extra, **masks})
        self.mask_output(instance, args[0] if args else next(iter(tensors.values()), None), output, masks)
        return output

    def build(self, instance: Instance, tensors: dict[str, Any]) -> None:
        """`build(input_shape)`, or with the shape of each tensor by name."""
        found = None if instance.built else instance.kind.find("build")
        instance.built = True
        if found is None:
            return
        names = [item.arg for item in found[1].args.args][1:]
        shapes = {f"{key}_shape": shapes_of(item) for key, item in tensors.items()}
        if len(names) > 1 and set(names) <= shapes.keys():
            self.method(Method(instance, *found), [], {name: shapes[name] for name in names})
        else:
            self.method(Method(instance, *found), list(shapes.values())[: max(len(names), 0)], {})

    def masks(self, names: list[str], tensors: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """The masks that Keras hands to a call: `mask`, or `<name>_mask` where there are several tensors."""
        wanted = {"mask": item for item in tensors.values()} if len(tensors) == 1 else {}
        if len(tensors) > 1:
            wanted = {f"{key}_mask": item for key, item in tensors.items()}
            carried = [item for item in tensors.values() if isinstance(item, Value) and item.mask is not None]
            if "mask" in names and given.get("mask") is None and carried:
                raise UntranslatableError("Keras 2 and 3 differ in the mask of a layer called with several tensors")
        return {
            key: masks_of(item) for key, item in wanted.items() if key in names and given.get(key) is None
        }

    def mask_output(self, instance: Instance, first: Any, output: Any, masks: dict[str, Any]) -> None:
        """The mask goes on where the layer supports that, through its `compute_mask` if it has one."""
        found = instance.kind.find("compute_mask")
        supports = instance.attributes.get("supports_masking", found is not None)
        if not supports or not isinstance(output, Value) or output.mask is not None:
            return
        mask = masks.get("mask", masks_of(first))
        made = self.method(Method(instance, *found), [first, mask], {}) if found is not None else mask
        if isinstance(made, Value) and output is not first:
            output.mask = made

    # What layers inherit from Keras.

    def method_call(self, bound: Bound, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method that the file does not define."""
        subject, name = bound.subject, bound.name
        if isinstance(subject, Super):
            return self.base_method(subject, name, args, kwargs)
        if isinstance(subject, Chain) and name == "add":
            subject.layers += [item for item in args if isinstance(item, Inner)]
            return None
        if isinstance(subject, Sublayer | Chain):
            return self.layer_method(subject, name, args, kwargs)
        return super().method_call(bound, args, kwargs)

    def layer_method(self, inner: Sublayer | Chain, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of a layer of Keras."""
        if name == "build":
            return None
        if name in ("call", "__call__"):
            return self.apply(chain_place(), inner, args, kwargs)
        if name == "compute_mask" and isinstance(inner, Sublayer) and inner.layer.kind == "Embedding":
            return self.operation("not_equal", args[0], 0) if inner.layer.options.get("mask_zero") else None
        raise UntranslatableError(f"{name} of a layer of class {inner.parts.layer.kind}")

    def base_method(self, subject: Super, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of Keras's class behind the file's."""
        instance = subject.instance
        if name == "__init__":
            return self.base_init(instance, args, kwargs)
        if name in ("add_weight", "add_variable"):
            return self.weight_call(instance, args, kwargs)
        if name == "build" or name in NO_EFFECT:
            return None
        if name == "compute_mask":
            return args[1] if len(args) > 1 else kwargs.get("mask")
        if name == "call" and instance.base is not None:
            return self.call_layer(instance.base, args, kwargs)
        if name == "get_config":
            return {}
        if name == "__call__":
            return self.call_instance(instance, args, kwargs)
        raise UntranslatableError(f"{instance.kind.name}.{name}, which neither the file nor Keras's Layer defines")

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
        layer = Layer(instance.layer.name, base, configuration(base, args, own), instance.layer.dtype)
        instance.base = Sublayer(layer, instance.parts.child(layer, ""), instance.made)


def chain_place() -> ast.AST:
    """Stands for a call that the code does not spell."""
    return ast.Pass()


def freeze(inner: Inner, trainable: bool) -> None:
    """`layer.trainable = ...`, for everything inside."""
    inner.parts.trainable = trainable
    if isinstance(inner, Chain):
        for item in inner.layers:
            freeze(item, trainable)


def unwrapped(value: Any) -> Any:
    """An option that is a layer, as configurations have it."""
    if isinstance(value, Sublayer | Instance):
        return value.layer
    return [unwrapped(item) for item in value] if isinstance(value, list) else value


def has_tensor(item: Any) -> bool:
    """Whether there is a tensor in nested arguments."""
    return any(isinstance(leaf, Value | Parameter | Size) for leaf in leaves(item))


def shapes_of(item: Any) -> Any:
    """The shape of a tensor, a list of them for several."""
    if isinstance(item, Value | Parameter):
        return item.shape
    return [shapes_of(part) for part in (item.values() if isinstance(item, dict) else item)]


def masks_of(item: Any) -> Any:
    """Keras's mask of a tensor, a list of them for several."""
    if isinstance(item, list | tuple):
        return [masks_of(part) for part in item]
    return item.mask if isinstance(item, Value) else None


def known_shape(shape: Any) -> tuple[int, ...]:
    """The shape of a variable.

    Raises:
        UntranslatableError: a size is not known.
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(shape or ())
    if not all(isinstance(item, int) for item in sizes):
        raise UntranslatableError(f"a weight of the shape {sizes}: a size is not known")
    return tuple(int(item) for item in sizes)
