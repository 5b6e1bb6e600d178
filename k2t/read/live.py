"""Live models of Keras 3 and tf-keras: their configuration, and their variables where they lie in memory.

Nothing is imported: who has a model has its library.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from k2t.errors import ReadError
from k2t.graph import Array, StoredArray
from k2t.read.config import is_model
from k2t.read.raw import checked
from k2t.read.values import is_keras

LIBRARIES = ("keras", "tf_keras")
# Types that numpy has not, and those that hold the same values.
WIDER = {"bfloat16": "float32"}


@dataclass(frozen=True)
class Live:
    """A model in memory.

    Attributes:
        config: as Keras serializes it, with the version.
        label: what messages call it.
        code: the Python source of its own classes and functions.
        layers: those of the outermost model, or the model itself where that is one layer.
    """

    config: dict[str, Any]
    label: str
    code: str
    layers: tuple[Any, ...]

    def arrays(self) -> dict[str, list[StoredArray]]:
        """The variables of each layer, as legacy files list them: what is trainable first, then the rest."""
        return {layer.name: [stored(variable) for variable in variables(layer)] for layer in self.layers}

    def sha256(self) -> str:
        """The hash of the configuration and of every array."""
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for arrays in self.arrays().values():
            for array in arrays:
                digest.update(np.ascontiguousarray(array.load()).data)
        return digest.hexdigest()


def is_live(source: Any) -> bool:
    """Whether it is a model and not the path of one."""
    return hasattr(source, "to_json") and hasattr(source, "trainable_weights")


def open_live(model: Any) -> Live:
    """A model in memory; one that is a class of its own is followed symbolically.

    Raises:
        ReadError: it is not built, or Keras cannot serialize it.
    """
    label = f"the live model {model.name}"
    found = functional(model)
    version = {"keras_version": library_of(model).__version__, "backend": backend_of(model)}
    if found is None:
        return Live({**as_layer(model, label), **version}, label, source_code(model), (model,))
    return Live({**serialized(found, label), **version}, label, source_code(found), tuple(found.layers))


def functional(model: Any) -> Any:
    """The model, if it is a graph of layers; else the graph that its `call` makes of symbolic inputs; None without.

    Raises:
        ReadError: its shape is not known yet.
    """
    try:
        if is_model(json.loads(model.to_json())):
            return model
    except Exception:  # Keras asks for `get_config`, which a graph does not need
        pass
    inputs = symbolic_inputs(model)
    given = next(iter(inputs.values())) if len(inputs) == 1 else inputs
    try:
        traced = library_of(model).Model(given, model.call(**inputs), name=model.name)
        traced.to_json()
    except Exception:  # whatever the code of the class does with what is no array
        return None
    unknown = {id(variable) for variable in model.weights} - {id(variable) for variable in traced.weights}
    return None if unknown else traced


def symbolic_inputs(model: Any) -> dict[str, Any]:
    """An input for each argument of `call` that the model has seen.

    Raises:
        ReadError: it has seen none.
    """
    keras = library_of(model)
    spec = getattr(model, "_saved_model_arg_spec", None)  # tf-keras
    names = list(inspect.signature(model.call).parameters)
    if spec:
        args, kwargs = spec
        seen = {
            **dict(zip(names, args, strict=False)),
            **{key: item for key, item in kwargs.items() if item is not None},
        }
        return {key: nested(item, lambda s: keras.Input(s.shape[1:], dtype=s.dtype)) for key, item in seen.items()}
    shapes = getattr(model, "_build_shapes_dict", None)
    if not shapes:
        raise ReadError(f"the live model {model.name} has no shapes yet; call it once on an input")
    keys = names[:1] if len(shapes) == 1 else [key.removesuffix("_shape") for key in shapes]
    given = dict(zip(keys, shapes.values(), strict=True))
    return {key: nested(shape, lambda sizes: keras.Input(tuple(sizes)[1:])) for key, shape in given.items()}


def nested(structure: Any, function: Any) -> Any:
    """`function` of each leaf; a shape is one."""
    if isinstance(structure, dict):
        return {key: nested(item, function) for key, item in structure.items()}
    if isinstance(structure, list | tuple) and not all(item is None or isinstance(item, int) for item in structure):
        return type(structure)([nested(item, function) for item in structure])
    return function(structure)


def serialized(model: Any, label: str) -> dict[str, Any]:
    """What Keras writes of a model."""
    try:
        config = json.loads(model.to_json())
    except Exception as error:
        raise ReadError(f"{label}: Keras cannot serialize it: {error}") from error
    if not isinstance(config, dict):
        raise ReadError(f"{label}: Keras serializes it as {type(config).__name__}")
    return config


def as_layer(model: Any, label: str) -> dict[str, Any]:
    """A class of its own, as a layer whose source says what it computes."""
    (given, *others) = symbolic_inputs(model).values()
    if others or not hasattr(given, "shape"):
        raise ReadError(
            f"{label}: Keras cannot follow it symbolically, and it takes several inputs; build it from layers"
        )
    try:
        options = dict(model.get_config())
    except NotImplementedError:
        options = {}
    kind = type(model)
    return {
        "class_name": kind.__name__,
        "module": kind.__module__,
        "config": {**options, "name": model.name},
        "build_config": {"input_shape": list(given.shape)},
    }


def variables(layer: Any) -> list[Any]:
    """What is trainable first, of that its own; tf-keras's models have these last."""
    own = {id(variable) for variable in getattr(layer, "_trainable_weights", ())}
    trainable = sorted(layer.trainable_weights, key=lambda variable: id(variable) not in own)
    return [*trainable, *layer.non_trainable_weights]


def stored(variable: Any) -> StoredArray:
    """A variable, copied out of the library when it is read."""
    dtype = getattr(variable.dtype, "name", variable.dtype)
    name = getattr(variable, "path", variable.name)
    wide = np.dtype(WIDER.get(dtype, dtype))
    return StoredArray(name, tuple(variable.shape), wide, checked(partial(_values, variable, wide), name))


def _values(variable: Any, dtype: np.dtype[Any]) -> Array:
    return np.asarray(variable.numpy()).astype(dtype)


def library_of(model: Any) -> Any:
    """The imported library that the model is of."""
    roots = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    found = next((sys.modules[root] for root in roots if root in LIBRARIES and root in sys.modules), None)
    if found is None:
        raise ReadError(f"the live model {model.name} is not of Keras, but {type(model).__module__}")
    return found


def backend_of(model: Any) -> str:
    """tensorflow, jax or torch."""
    return str(library_of(model).backend.backend())


def source_code(model: Any) -> str:
    """The source of what in a model is not of Keras: whole files, so that what their classes name is there, too."""
    texts = {}
    for item in own_objects(model):
        try:
            path = inspect.getsourcefile(item)
            is_file = path is not None and Path(path).is_file()
            texts[path if is_file else item] = (
                Path(str(path)).read_text("utf-8") if is_file else inspect.getsource(item)
            )
        except (OSError, TypeError):  # typed into a console
            continue
    return "\n\n".join(texts.values())


def own_objects(model: Any) -> Iterator[Any]:
    """Classes of layers and functions among their attributes that a user wrote."""
    for layer in model._flatten_layers():
        for item in (type(layer), *vars(layer).values()):
            own = (inspect.isfunction(item) or inspect.isclass(item)) and not is_keras(item.__module__)
            if own and item.__name__ != "<lambda>":
                yield item
