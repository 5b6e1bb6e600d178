"""What code calls: layers, models, functions of Keras and TensorFlow, and the standard library as far as it is data."""

from __future__ import annotations

import ast
import copy
from typing import Any

import numpy as np

from k2t.code.layers import FUNCTIONAL, MODELS, kind_of
from k2t.code.members import Members
from k2t.code.models import BASES
from k2t.code.objects import Configured, Custom, Made, Net, Partial, Tensor, Thing
from k2t.code.records import fields_of
from k2t.code.standard import HANDLERS, NAMED, text
from k2t.errors import UntranslatableError
from k2t.graph import Layer
from k2t.program import leaves
from k2t.read.eras import Era
from k2t.rules.base import RULES
from k2t.rules.custom.objects import Activation, CustomClass, Method
from k2t.rules.tracing.names import Unknown

DEAD = (
    "optimizers",
    "losses",
    "metrics",
    "callbacks",
    "datasets",
    "preprocessing",
    "estimator",
    "data",
    "io",
    "summary",
)
NORMAL, UNIFORM, GAIN = ("mean", "stddev", "seed"), ("minval", "maxval", "seed"), ("gain", "seed")
# The positional arguments of initializers.
INITIALIZERS = {
    "constant": ("value",),
    **dict.fromkeys(("randomnormal", "normal", "truncatednormal"), NORMAL),
    **dict.fromkeys(("randomuniform", "uniform"), UNIFORM),
    **dict.fromkeys(("orthogonal", "orthogonalinitializer", "identity"), GAIN),
    "variancescaling": ("scale", "mode", "distribution", "seed"),
}


class Libraries(Members):
    """Follows calls of libraries."""

    def apply(self, node: ast.AST, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result of a call."""
        self.step(node)
        if isinstance(function, Unknown):
            return function
        if isinstance(function, Method):
            return self.method(function, args, kwargs)
        if isinstance(function, Partial):
            return self.apply(node, function.function, [*function.args, *args], {**function.kwargs, **kwargs})
        if isinstance(function, Thing):
            found = self.attribute(node, function, "__call__")
            return self.apply(node, found, args, kwargs)
        with self.placed(node):
            if isinstance(function, Made):
                return self.call(node, function, args, kwargs)
            if isinstance(function, CustomClass):
                return self.construct(node, function, args, kwargs)
            if isinstance(function, Activation):
                return self.activated(node, function.which, args)
        return super().apply(node, function, args, kwargs)

    # -- the code's own classes --------------------------------------------------------------------------------------

    def construct(self, node: ast.AST, kind: CustomClass, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """An object of a class of the code."""
        thing = self.blank(kind, kwargs)
        self.initialize(node, thing, args, kwargs)
        return thing

    def blank(self, kind: CustomClass, kwargs: dict[str, Any]) -> Thing | Custom:
        """An object before its constructor has run."""
        base = kind.library_base()
        if base not in BASES and base not in RULES:
            return Thing(kind)
        label = kwargs.get("name")
        name = str(label) if isinstance(label, str) else self.auto_name(kind.name)
        layer = Layer(name, f"Custom>{kind.name}", keras_2=self.era.before_keras_3)
        return Custom(layer, self.serial(), named=isinstance(label, str), kind=kind)

    def initialize(self, node: ast.AST, thing: Thing | Custom, args: list[Any], kwargs: dict[str, Any]) -> None:
        """`__init__`."""
        found = thing.kind.find("__init__")
        if found is not None:
            self.method(Method(thing, *found), args, kwargs)
        elif isinstance(thing, Custom):
            self.base_init(node, thing, args, kwargs)
        else:
            self.fields(thing, args, kwargs)

    def fields(self, thing: Thing, args: list[Any], kwargs: dict[str, Any]) -> None:
        """The constructor of a dataclass or a named tuple."""
        thing.attributes |= dict(zip(fields_of(thing.kind), args, strict=False)) | kwargs

    def base_init(self, node: ast.AST, thing: Thing | Custom, args: list[Any], kwargs: dict[str, Any]) -> None:
        """`super().__init__(...)` of Keras's classes."""
        if not isinstance(thing, Custom):
            return
        base = thing.kind.library_base()
        if isinstance(name := kwargs.get("name"), str):
            thing.layer.name, thing.named = name, True
        if kwargs.get("trainable") is False:
            thing.layer.trainable = False
        if base == "Sequential":
            thing.net = self.model(node, "Sequential", args, kwargs)
        elif base in ("Model", "Functional"):
            if args or "inputs" in kwargs or "input" in kwargs:
                made = self.model(node, "Model", args, kwargs)
                if isinstance(made, Net):
                    made.layer.name = thing.layer.name
                    thing.net = made
                else:
                    thing.missing = str(made)
        elif base in RULES:
            thing.base = self.layer(node, base, args, {k: v for k, v in kwargs.items() if k != "name"})
            thing.missing = thing.base.missing

    # -- libraries ---------------------------------------------------------------------------------------------------

    def of_call(self, node: ast.Call) -> Any:
        """`function(*args, **kwargs)`; remembers where."""
        outer, self.here = self.here, node
        try:
            return super().of_call(node)
        finally:
            self.here = outer

    def library_call(self, node: ast.AST, path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A function or class of a library."""
        library, _, name = path.rpartition(".")
        if (known := HANDLERS.get(path) or NAMED.get(name)) is not None:
            return known(self, node, args, kwargs)
        if library == "builtins":
            return super().library_call(node, path, args, kwargs)
        if is_keras(path):
            made = self.of_keras(node, path, name, args, kwargs)
            if made is not NOTHING:
                return made
        if path.split(".", maxsplit=1)[0] not in ("tf", "keras", "K", "np", "math", "tensor", "tfa"):
            return Unknown(text(node), self.place(node))
        if (set(path.split(".")) & set(DEAD) and not path.startswith("tf.math")) or name[:1].isupper():
            return Unknown(text(node), self.place(node))
        if any(isinstance(leaf, Unknown) for leaf in leaves((args, kwargs))):
            return next(leaf for leaf in leaves((args, kwargs)) if isinstance(leaf, Unknown))
        try:
            return super().library_call(node, path, args, kwargs)
        except UntranslatableError as error:
            if any(isinstance(leaf, Tensor) for leaf in leaves((args, kwargs))):
                raise
            return Unknown(text(node), self.place(node), reason=str(error))

    def argument(self, item: Any) -> Any:
        """An argument of a recorded function."""
        return item

    def of_keras(self, node: ast.AST, path: str, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A class or function of Keras; NOTHING if it is a function of tensors."""
        parts = path.split(".")
        if "applications" in parts:
            return self.application(node, path, args, kwargs)
        if name == "Input":
            return self.input(args, kwargs)
        if name == "InputLayer":
            return self.input(args, kwargs).origin.made
        if name in MODELS and (
            len(parts) < 3 or parts[-2] in ("models", "keras", "engine", "training", "topology", "src", "model")
        ):
            return self.model(node, name, args, kwargs)
        if kind := kind_of(path):
            return self.layer(node, kind, args, kwargs)
        if {"initializers", "initializations", "regularizers", "constraints"} & set(parts):
            if name in ("get", "deserialize"):
                return configured(args[0], [], {}) if isinstance(args[0], str) else args[0]
            return configured(name, args, kwargs)
        if "layers" in parts and name in FUNCTIONAL:
            layer = self.layer(node, name.capitalize(), args[1:], kwargs_without(kwargs, "inputs"))
            return self.call(node, layer, [args[0] if args else kwargs["inputs"]], {})
        if name == "merge" and "layers" in parts:
            return self.merged(node, args, kwargs)
        if "activations" in parts:
            if name in ("get", "deserialize"):
                return Activation(args[0]) if isinstance(args[0], str) or args[0] is None else args[0]
            if args and any(isinstance(leaf, Tensor) for leaf in leaves(args)):
                return self.function(path, args, kwargs)
        return self.cloned(node, args[0]) if name == "clone_model" else NOTHING

    def merged(self, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """`merge(inputs, mode)` of Keras 1."""
        mode = kwargs.get("mode", args[1] if len(args) > 1 else "sum")
        options = kwargs_without(kwargs, "inputs", "mode", "output_shape", "output_mask")
        inputs = args[0] if args else kwargs["inputs"]
        if not isinstance(mode, str | Unknown):
            layer = self.layer(node, "Lambda", [mode], kwargs_without(options, "concat_axis", "dot_axes"))
            return self.call(node, layer, [inputs], {})
        outer, self.era = self.era, Era((1, 2, 2), self.era.backend, False, self.era.data_format)
        layer = self.layer(node, "Merge", [], {**options, "mode": mode})
        self.era = outer
        return self.call(node, layer, [inputs], {})

    def activated(self, node: ast.AST, which: Any, args: list[Any]) -> Any:
        """An activation that `keras.activations.get` returned, called."""
        return args[0] if which is None else self.function(f"keras.activations.{which}", args, {})

    def application(self, node: ast.AST, path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A model of `keras.applications`."""
        from k2t.code.backbones import builder

        parts = path.split(".")
        if parts[-1] == "preprocess_input" and args and isinstance(args[0], Tensor):
            return self.preprocessed(node, parts[-2], args[0])
        if parts[-1] in ("preprocess_input", "decode_predictions"):
            return Unknown(text(node), self.place(node))
        function = builder(self, parts[-1])
        if function is None:
            raise UntranslatableError(
                f"no description of keras.applications.{parts[-1]}; it needs keras to be installed"
            )
        if "weights" not in function.parameters():
            return self.apply(node, function, args, kwargs)
        if not isinstance(kwargs.get("weights"), Unknown):
            kwargs = {**kwargs, "weights": None}
        args = [item for place, item in enumerate(args) if place < 1 or item not in ("imagenet", "noisy-student")]
        return self.apply(node, function, args, kwargs)

    def preprocessed(self, node: ast.AST, family: str, images: Any) -> Any:
        """`preprocess_input` of images between 0 and 255: what each family of models expects."""
        if family.startswith(("efficientnet", "mobilenet_v3", "convnext", "regnet")):
            return images
        if family.startswith(("vgg", "resnet50", "imagenet_utils")) or family == "resnet":
            reverse = (Ellipsis, slice(None, None, -1))
            return self.binary(node, ast.Sub, self.item(node, images, reverse), np.array([103.939, 116.779, 123.68]))
        if family.startswith("densenet"):
            scaled = self.binary(
                node, ast.Sub, self.binary(node, ast.Div, images, 255.0), np.array([0.485, 0.456, 0.406])
            )
            return self.binary(node, ast.Div, scaled, np.array([0.229, 0.224, 0.225]))
        return self.binary(node, ast.Sub, self.binary(node, ast.Div, images, 127.5), 1.0)

    def cloned(self, node: ast.AST, net: Any) -> Any:
        """`clone_model(net)`."""
        if not isinstance(net, Net) or not net.sequential:
            raise UntranslatableError("a clone of a model that is not Sequential")
        made = Net(Layer(self.auto_name("sequential"), "Sequential"), self.serial(), net.given_shape, net.given_dtype)
        for item in net.members:
            made.members.append(
                Made(copy.copy(item.layer), self.serial(), item.given_shape, item.given_dtype, item.missing)
            )
        return made


NOTHING = object()


def is_keras(path: str) -> bool:
    """Whether a name is one of Keras, or of packages whose layers have rules."""
    return path.split(".", maxsplit=1)[0] in ("keras", "tfa", "tensorflow_addons", "keras_contrib") or bool(
        kind_of(path)
    )


def configured(name: str, args: list[Any], kwargs: dict[str, Any]) -> Configured:
    """An initializer, with arguments by their usual names."""
    names = INITIALIZERS.get(name.replace("_", "").lower(), ())
    given = dict(zip(names, args, strict=False)) | kwargs
    return Configured(name, {key: value for key, value in given.items() if not isinstance(value, Unknown)})


def kwargs_without(kwargs: dict[str, Any], *names: str) -> dict[str, Any]:
    """Arguments less some."""
    return {key: value for key, value in kwargs.items() if key not in names}
