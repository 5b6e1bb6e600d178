"""Code for Keras 1 and 2 on today's tf-keras: where its names were, and how Keras 1 spelled its layers.

Sources: the packages `keras` of releases 1.2.2 and 2.3.1 (modules, signatures of layers); what `k2t.read.eras` knows of
the options that Keras 1 named otherwise.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from k2t.read.eras import Era
from k2t.read.eras.keras1 import KINDS, from_keras_1
from k2t.read.eras.signatures import TABLES, positional

ROOTS = ("keras", "tensorflow.keras", "tensorflow.python.keras")
MOVED = {"engine": "layers", "objectives": "losses", "initializations": "initializers", "legacy": "layers"}

ERA = Era((1, 2, 2), "tensorflow")
# What Keras 1 computed where nothing was said.
DEFAULTS: dict[str, dict[str, Any]] = {
    "LSTM": {"inner_activation": "hard_sigmoid"},
    "GRU": {"inner_activation": "hard_sigmoid", "reset_after": False},
    "ConvLSTM2D": {"inner_activation": "hard_sigmoid"},
}
# Options of every layer, which stay as they are.
COMMON = {"name", "input_shape", "batch_input_shape", "input_dtype", "trainable", "input_dim", "input_length"}
# With these, a layer is given as Keras 2 has it, whatever the rest of the code is like.
MODERN = {"padding", "kernel_size", "filters", "units", "rate", "use_bias", "kernel_initializer", "kernel_regularizer"}
TRAINING = ("init", "_init", "_regularizer", "_constraint", "weights")
# TensorFlow 0.12 to 1.x.
RENAMED = {"mul": "multiply", "sub": "subtract", "neg": "negative", "pack": "stack", "unpack": "unstack"}


def install(keras: Any, version: str) -> None:
    """Let `import keras` and every module of its past find tf-keras, and TensorFlow have the names of its past."""
    import tensorflow as tf

    layers = {name: getattr(keras.layers, name) for name in dir(keras.layers) if not name.startswith("_")}
    models = {"Model": _old_model(keras.Model)}
    if version.startswith("1"):
        layers |= {name: _old_layer(keras, name) for name in TABLES[1] if KINDS.get(name, name) in layers}
        layers |= {"merge": _merge(keras), "Merge": _merge(keras), "Layer": _old_base(keras.layers.Layer)}
    backend = {"image_dim_ordering": lambda: "tf", "set_image_dim_ordering": lambda order: None}
    own = {"layers": layers | models, "models": models, "backend": backend, "": models}
    sys.meta_path.insert(0, _Finder(keras, own))
    for name in [name for name in sys.modules if name in ROOTS or name.startswith(tuple(f"{root}." for root in ROOTS))]:
        del sys.modules[name]
    keras.layers.Layer.name = property(lambda layer: layer._name, lambda layer, name: setattr(layer, "_name", name))
    inner = importlib.import_module(f"{keras.__name__}.src.applications.imagenet_utils")
    keras.applications.imagenet_utils.correct_pad = inner.correct_pad
    keras.applications.imagenet_utils._obtain_input_shape = _input_shape(inner.obtain_input_shape)
    for name in dir(tf.compat.v1):
        if not hasattr(tf, name):
            setattr(tf, name, getattr(tf.compat.v1, name))
    for old, new in RENAMED.items():
        setattr(tf, old, getattr(tf, new))


class _Module(types.ModuleType):
    """A module of old Keras: its names are looked up where they are today."""

    def __init__(self, name: str, own: Mapping[str, Any], places: Sequence[Any]) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        for place in reversed(places):
            vars(self).update({key: getattr(place, key) for key in dir(place) if not key.startswith("_")})
        vars(self).update(own)
        self._places = places

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        for place in self._places:
            if hasattr(place, name):
                return getattr(place, name)
        return _gone(name)


def _gone(name: str) -> Callable[..., Any]:
    """What is imported and not there: an error when it is called."""

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{name} is gone from Keras")

    return missing


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, keras: Any, own: dict[str, dict[str, Any]]) -> None:
        self.keras = keras
        self.own = own

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if ".src" not in name and (name in ROOTS or name.startswith(tuple(f"{root}." for root in ROOTS))):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        root = max((root for root in ROOTS if f"{spec.name}.".startswith(f"{root}.")), key=len)
        parts = [MOVED.get(part, part) for part in spec.name[len(root) :].split(".") if part]
        found = self.keras
        for part in parts:
            inner = getattr(found, part, None)
            found = inner if isinstance(inner, types.ModuleType) else found
        top = parts[0] if parts else ""
        others = [self.keras.layers, self.keras.models] if top == "layers" else []
        return _Module(spec.name, self.own.get(top, {}), [found, *others])

    def exec_module(self, module: types.ModuleType) -> None:
        """Its modules are old ones, too: `from keras import backend`."""
        if module.__name__ in ROOTS:
            for name, value in list(vars(module).items()):
                if isinstance(value, types.ModuleType) and name != "src":
                    setattr(module, name, importlib.import_module(f"{module.__name__}.{name}"))


def _input_shape(own: Callable[..., Any]) -> Callable[..., Any]:
    """`_obtain_input_shape`, whose argument `require_flatten` was named `include_top` before."""

    def obtain(*args: Any, **kwargs: Any) -> Any:
        return own(*args, **{"require_flatten" if key == "include_top" else key: kwargs[key] for key in kwargs})

    return obtain


def _old_layer(keras: Any, name: str) -> Callable[..., Any]:
    """A layer with the arguments of Keras 1; given as Keras 2 has them, they are taken as such."""
    names = positional(name, ERA)

    def make(*args: Any, **kwargs: Any) -> Any:
        if not MODERN.isdisjoint(kwargs) or (len(args) > 1 and isinstance(args[1], tuple | list)):
            return getattr(keras.layers, name)(*args, **kwargs)
        given = dict(zip(names, args, strict=False)) | kwargs
        common = {
            key: value
            for key, value in given.items()
            if key in COMMON and not (name == "Embedding" and key == "input_dim")
        }
        config = {key: value for key, value in given.items() if key not in common and not key.endswith(TRAINING)}
        kind, config = from_keras_1(name, DEFAULTS.get(name, {}) | config, ERA)
        config = {key: value for key, value in config.items() if value is not None}
        return getattr(keras.layers, kind)(**config, **common)

    return make


def _old_base(layer: Any) -> Any:
    """The class that custom layers extend: `add_weight(shape, initializer)`; it listed its variables itself."""

    class Layer(layer):  # type: ignore[misc]
        trainable_weights = property(layer.trainable_weights.fget, lambda self, value: None)

        def add_weight(self, *args: Any, **kwargs: Any) -> Any:
            return super().add_weight(**dict(zip(("shape", "initializer"), args, strict=False)) | kwargs)

    return Layer


def _merge(keras: Any) -> Callable[..., Any]:
    """`merge(tensors, mode)`, and the layer `Merge(mode)`."""

    def merge(inputs: Any = None, mode: Any = "sum", concat_axis: int = -1, dot_axes: Any = -1, **kwargs: Any) -> Any:
        config = {"mode": mode, "concat_axis": concat_axis, "dot_axes": dot_axes}
        options = {key: value for key, value in kwargs.items() if key == "name"}
        if callable(mode):
            layer = keras.layers.Lambda(mode, arguments=kwargs.get("arguments"), **options)
        else:
            kind, config = from_keras_1("Merge", config, ERA)
            layer = getattr(keras.layers, kind)(**config, **options)
        return layer if inputs is None else layer(inputs)

    return merge


def _old_model(model: Any) -> Any:
    """`Model(input=…, output=…)`, which Keras 2 took, too."""

    class Model(model):  # type: ignore[misc]
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            if cls is not Model:
                return super().__new__(cls, *args, **kwargs)
            renamed = {{"input": "inputs", "output": "outputs"}.get(key, key): value for key, value in kwargs.items()}
            return model(*args, **renamed)

    return Model
