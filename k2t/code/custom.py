"""The code's own layer classes: made once by the code, followed as operations in every graph that calls them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from k2t.code.layers import FUNCTIONAL, kind_of, options_of
from k2t.code.objects import Broken, Configured, Custom, Made, Net, Partial, PendingWeight, Tensor, Thing
from k2t.code.standard import HANDLERS, NAMED
from k2t.errors import Problem, UntranslatableError, refusing
from k2t.graph import Layer
from k2t.program import Value
from k2t.read.eras import Era
from k2t.rules.base import Rule
from k2t.rules.builder import Builder, apply_layer
from k2t.rules.custom.interpreter import IMPLIED, LayerInterpreter
from k2t.rules.custom.making import unwrapped
from k2t.rules.custom.objects import Chain, CustomClass, Ignored, Inner, Instance, Method, Sublayer, Super
from k2t.rules.custom.source import CustomRule
from k2t.rules.custom.weights import UNNAMED, settle
from k2t.rules.parts import Parts
from k2t.rules.tracing.names import Bound, Closure, Library, Unknown

# Layers that a method makes come after those that the code made before.
LATER = 1_000_000


class CodeLayers(LayerInterpreter):
    """Follows the methods of layers; what the code made before becomes a part of the layer."""

    limit = 1_000_000

    def __init__(self, b: Builder, era: Era) -> None:
        super().__init__(b, {})
        self.era = era
        self.made = LATER
        self.adopted: dict[int, Any] = {}

    def of_name(self, node: ast.Name) -> Any:
        """A name of the code."""
        return self.adopt(super().of_name(node))

    def attribute(self, node: ast.AST, value: Any, name: str) -> Any:
        """What an object has under this name."""
        if isinstance(value, Thing):
            if name in value.attributes:
                return self.adopt(value.attributes[name])
            if (found := value.kind.find(name)) is not None:
                return Partial(Closure(found[1], found[0].names), (value,))
        if (
            isinstance(value, Value)
            and name in ("shape", "_keras_shape")
            and all(isinstance(i, int) for i in value.shape[1:])
        ):
            return super().attribute(node, value, name)
        return self.adopt(super().attribute(node, value, name))

    def method_call(self, bound: Bound, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method that the code does not define."""
        if bound.name == "__setattr__":
            subject = bound.subject.instance if isinstance(bound.subject, Super) else bound.subject
            subject.attributes[args[0]] = args[1]
            return None
        return super().method_call(bound, args, kwargs)

    def adopt(self, item: Any) -> Any:
        """What the code made, as a part of the layer whose method is followed."""
        if isinstance(item, list | tuple) and any(isinstance(part, Made | list | tuple | dict) for part in item):
            return self.kept(item, lambda: type(item)(self.adopt(part) for part in item))
        if isinstance(item, dict) and any(isinstance(part, Made | list | tuple | dict) for part in item.values()):
            return self.kept(item, lambda: {key: self.adopt(part) for key, part in item.items()})
        if isinstance(item, PendingWeight):
            return self.kept(item, lambda: self.pending(item))
        if isinstance(item, Tensor):
            raise UntranslatableError(
                "a tensor of the model inside the function of a layer; hand it over as an argument"
            )
        if isinstance(item, Broken):
            raise UntranslatableError(str(item))
        if isinstance(item, Configured):
            return Ignored(item.class_name)
        return self.kept(item, lambda: self.inner(item)) if isinstance(item, Made) else item

    def kept(self, item: Any, make: Callable[[], Any]) -> Any:
        """Each object becomes a part once."""
        if id(item) not in self.adopted:
            self.adopted[id(item)] = (item, make())
        return self.adopted[id(item)][1]

    def parts_of(self, made: Made) -> Parts:
        """The parts of a layer inside the one that is followed."""
        around = self.frames[-1][0].parts if self.frames else self.b.parts
        token = f"{UNNAMED}{made.serial}"
        name = made.layer.name if made.named else token
        return around.child(replace(made.layer, name=name), token, around.shared)

    def inner(self, made: Made) -> Inner:
        """A layer that the code made."""
        if made.missing:
            raise UntranslatableError(made.missing)
        parts = self.parts_of(made)
        if isinstance(made, Custom) and (made.net is None or made.kind.find("call")):
            return fill(self, Instance(made.kind, parts, made.serial), made)
        net = made.net if isinstance(made, Custom) else made
        if isinstance(net, Net) and net.sequential:
            if net.problems:
                raise UntranslatableError("; ".join(map(str, net.problems)))
            chain = Chain(parts, [])
            holder = Instance(CLASS, parts, made.serial)
            self.frames.append((holder, CLASS))
            chain.layers = [self.adopt(member) for member in net.members]
            self.frames.pop()
            return chain
        return Sublayer(parts.layer, parts, made.serial)

    def pending(self, item: PendingWeight) -> Any:
        """A variable that the constructor made."""
        args = {"name": item.name, "shape": item.shape, "trainable": item.trainable}
        return self.weight_call(self.frames[-1][0], [], args)

    def apply(self, node: ast.AST, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result of a call."""
        if isinstance(function, Partial):
            return self.apply(node, function.function, [*function.args, *args], {**function.kwargs, **kwargs})
        if isinstance(function, Thing) and (found := function.kind.find("__call__")):
            return self.run(Closure(found[1], found[0].names), [function, *args], kwargs)
        if isinstance(function, Unknown):
            raise UntranslatableError(str(function))
        if isinstance(function, Made):
            function = self.adopt(function)
        return super().apply(node, function, args, kwargs)

    def layer_method(self, inner: Sublayer | Chain, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of a layer of Keras; shapes are found out on a tensor that flows nowhere."""
        if name != "compute_output_shape":
            return super().layer_method(inner, name, args, kwargs)
        scratch, outer = Builder([], self.b.parts, self.b.call_name), self.b
        self.b = scratch
        try:
            with refusing("cannot be followed"):
                value = Value(tuple(args[0]), "float32")
                parts = Parts(inner.parts.layer)
                found = self.apply(IMPLIED, inner, [value], {}) if isinstance(inner, Chain) else None
                output = found or apply_layer(Builder([], parts, "shape"), (value,), {})
        finally:
            self.b = outer
        return output.shape

    def library_call(self, node: ast.AST, path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A function of a library; a layer where the name is that of one, in the spelling of its time."""
        if path in HANDLERS and path.split(".", maxsplit=1)[0] in (
            "functools",
            "inspect",
            "itertools",
            "collections",
            "copy",
        ):
            return HANDLERS[path](self, node, args, kwargs)
        if path.endswith(".InputSpec"):
            return NAMED["InputSpec"](self, node, args, kwargs)
        if kind := kind_of(path):
            args, kwargs = as_option(
                (unwrapped(args), {key: unwrapped(item) for key, item in kwargs.items()}), self.era
            )
            today, options = options_of(kind, list(args), kwargs, self.era)
            parts, made = self.inner_parts(today, options, kwargs.get("name"))
            parts.trainable = parts.trainable and kwargs.get("trainable", True) is not False
            return Sublayer(parts.layer, parts, made)
        name = path.rpartition(".")[2]
        if name in FUNCTIONAL and ".layers." in path:
            made = self.library_call(node, f"keras.layers.{name.capitalize()}", args[1:], kwargs)
            return self.call_layer(made, [args[0]], {})
        return super().library_call(node, path, args, kwargs)


# Stands for the class of a Sequential model.
CLASS = CustomClass(ast.ClassDef("Sequential", [], [], [], []), [], {})


def fill(interpreter: CodeLayers, instance: Instance, made: Custom) -> Instance:
    """Give a layer the attributes that its constructor set."""
    interpreter.adopted[id(made)] = (made, instance)
    interpreter.frames.append((instance, made.kind))
    try:
        if made.base is not None:
            layer = replace(made.base.layer, name=instance.layer.name)
            instance.base = Sublayer(layer, instance.parts.child(layer, ""), made.serial)
        for name, value in made.attributes.items():
            try:
                instance.attributes[name] = interpreter.adopt(value)
            except UntranslatableError as error:  # counts where the attribute is used
                instance.attributes[name] = Unknown(f"self.{name}", reason=str(error))
    finally:
        interpreter.frames.pop()
    return instance


def rule_of(made: Custom, era: Era) -> Rule:
    """A layer of the code as a rule."""
    instances: dict[Parts, tuple[CodeLayers, Instance]] = {}

    def translate(b: Builder, *inputs: Any, **calls: Any) -> Any:
        with refusing("cannot be followed"):
            if b.parts not in instances:
                interpreter = CodeLayers(b, era)
                instances[b.parts] = interpreter, fill(interpreter, Instance(made.kind, b.parts), made)
            interpreter, instance = instances[b.parts]
            interpreter.b, interpreter.steps = b, 0
            output = interpreter.call_instance(instance, list(inputs), calls)
            settle(instance)
        return output

    translate.__doc__ = ast.get_docstring(made.kind.node)
    found = made.kind.find("call")
    names = [item.arg for item in (*found[1].args.args, *found[1].args.kwonlyargs)][2:] if found else []
    takes_any = found is not None and found[1].args.kwarg is not None
    options = dict.fromkeys([*names, *(["training", "mask"] if takes_any else [])])
    return CustomRule(made.kind.name, translate, (), False, options)


def untranslated(name: str, problems: Sequence[Problem]) -> Layer:
    """What takes the place of a layer without a translation; nobody knows more than the shape of its input."""
    reason = "; ".join(map(str, dict.fromkeys(problems)))

    def translate(b: Builder, x: Value) -> Value:
        """A module to be written by hand."""
        return b.call(b.module("Untranslated", reason), x, shape=x.shape)

    return Layer(name, "Untranslated", rule=CustomRule("Untranslated", translate, (), False, {}))


class Followed:
    """A function of the code as an option of a layer: of a Lambda, or an activation.

    Attributes:
        function: anything that the code can call.
    """

    def __init__(self, function: Any, era: Era) -> None:
        self.function = function
        self.era = era

    def __call__(self, b: Builder, *args: Any, **kwargs: Any) -> Any:
        """Add its operations."""
        with refusing("cannot be followed"):
            return CodeLayers(b, self.era).apply(IMPLIED, self.function, list(args), kwargs)

    def parameters(self) -> list[str] | None:
        """Names of its arguments; None where they are not known."""
        function = self.function
        if isinstance(function, Partial):
            inner = Followed(function.function, self.era).parameters()
            return inner and [name for name in inner[len(function.args) :] if name not in function.kwargs]
        if isinstance(function, Method):
            return function.function.parameters()[1:]
        if isinstance(function, Closure):
            return [*function.parameters(), *(item.arg for item in function.node.args.kwonlyargs)]
        return None


def as_option(value: Any, era: Era) -> Any:
    """An argument of a layer's constructor, as configurations have it."""
    if isinstance(value, Made):
        if value.missing:
            raise UntranslatableError(value.missing)
        return value.layer
    if isinstance(value, Configured):
        return {"class_name": value.class_name, "config": dict(value.config)}
    if isinstance(value, Closure | Partial | Method | Thing):
        return Followed(value, era)
    if isinstance(value, Library):
        return library_option(value, era)
    if isinstance(value, list | tuple):
        return type(value)(as_option(item, era) for item in value)
    if isinstance(value, Mapping):
        return {key: as_option(item, era) for key, item in value.items()}
    return value


# Functions whose arguments have other defaults than the activations of that name.
OTHERWISE = frozenset({"keras.ops.gelu", "keras.ops.nn.gelu", "tf.nn.leaky_relu", "tf.compat.v1.nn.leaky_relu"})


def library_option(value: Library, era: Era) -> Any:
    """A function of a library: an activation by its name, anything else as a function."""
    from k2t.rules.activations import ACTIVATIONS

    name = value.path.rpartition(".")[2]
    known = value.path.startswith(("keras.activations.", "tf.nn.", "keras.ops.", "tf.", "K."))
    if known and name in ACTIVATIONS and value.path not in OTHERWISE:
        return name
    if value.path.startswith(("keras.initializers", "keras.regularizers", "keras.constraints")):
        return name
    return Followed(value, era)


def layer_named(name: str, kind: str, options: dict[str, Any], era: Era, dtype: str, trainable: bool) -> Layer:
    """A layer as the graph has it."""
    return Layer(name, kind, options, dtype, trainable, keras_2=era.before_keras_3)
