"""Keras 1 models, and others that tf-keras cannot open: built layer by layer from the graph that k2t reads.

What is shared with the converter here is the reading of the graph and of options' names; layers compute as tf-keras
does, and weights are loaded and converted by tf-keras's own loader. Theano's kernels are turned round afterwards.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py

from k2t.errors import K2TError
from k2t.graph import Call, Graph, Layer, Ref, map_structure
from k2t.verify.recorder import flatten

# k2t's names for what tf-keras calls as Keras 2 did.
TO_KERAS_2 = {"keras2_hard_sigmoid": "hard_sigmoid", "keras2_tf1_bilinear": "bilinear"}

# Options of training and of random weights, which old files store in forms of their own; and what is given apart.
TRAINING_ONLY = ("_regularizer", "_constraint", "_initializer", "name", "dtype", "trainable")


# Values with which an option that tf-keras does not have says nothing.
INERT = (None, False)


def rebuild(keras: Any, graph: Graph, dtype: str) -> Any:
    """A functional tf-keras model of a graph, with random weights.

    Raises:
        K2TError: tf-keras has no such layer.
    """
    return _model(keras, graph, dtype, {})


def load_weights(model: Any, weights: Path) -> None:
    """tf-keras's loader: by name where the names are those of the model, else by order as Keras always did."""
    with h5py.File(weights) as file:
        group = file.get("model_weights", file)
        names = {name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs.get("layer_names", ())}
    by_name = {layer.name for layer in model.layers if layer.weights} <= names
    model.load_weights(str(weights), by_name=by_name)


def _model(keras: Any, graph: Graph, dtype: str, made: dict[int, Any]) -> Any:
    tensors: dict[Ref, Any] = {}
    inputs = []
    for given in graph.inputs:
        input_dtype = dtype if "float" in given.dtype else given.dtype
        tensor = keras.Input(batch_shape=given.shape, dtype=input_dtype, name=given.name)
        tensors[Ref(given.name)] = tensor
        inputs.append(tensor)
    for call in graph.calls:
        for index, tensor in enumerate(_called(keras, call, tensors, dtype, made)):
            tensors[Ref(call.name, index)] = tensor
    outputs = map_structure(lambda leaf: tensors[leaf] if isinstance(leaf, Ref) else leaf, graph.outputs)
    return keras.Model(inputs, outputs, name=graph.name)


def _called(keras: Any, call: Call, tensors: dict[Ref, Any], dtype: str, made: dict[int, Any]) -> Iterable[Any]:
    def symbolic(argument: Any) -> Any:
        return map_structure(lambda leaf: tensors[leaf] if isinstance(leaf, Ref) else leaf, argument)

    layer = _layer(keras, call.layer, dtype, made)
    args = [symbolic(argument) for argument in call.args]
    return flatten(layer(*args, **{key: symbolic(value) for key, value in call.kwargs.items()})).values()


def _layer(keras: Any, layer: Layer, dtype: str, made: dict[int, Any]) -> Any:
    if id(layer) in made:
        return made[id(layer)]
    if layer.graph is not None:
        built = _model(keras, layer.graph, dtype, made)
    else:
        kind = getattr(keras.layers, layer.kind, None)
        if kind is None:
            raise K2TError(f"the reference needs the layer {layer.kind} ({layer.name}), which tf-keras does not have")
        options = {key: _option(keras, value, dtype, made) for key, value in layer.options.items()}
        options = {key: value for key, value in options.items() if not key.endswith(TRAINING_ONLY)}
        unknown = [key for key in options.keys() - _parameters(kind) if options[key] not in INERT]
        if unknown:
            raise K2TError(f"{layer.name} ({layer.kind}): tf-keras does not know the option(s) {', '.join(unknown)}")
        options = {key: value for key, value in options.items() if key in _parameters(kind)}
        built = kind(**options, name=layer.name, dtype=dtype)
    built.trainable = layer.trainable
    made[id(layer)] = built
    return built


def _option(keras: Any, value: Any, dtype: str, made: dict[int, Any]) -> Any:
    if isinstance(value, Layer):
        return _layer(keras, value, dtype, made)
    return TO_KERAS_2.get(value, value) if isinstance(value, str) else value


def _parameters(kind: type) -> set[str]:
    """Names of the options of a layer class."""
    return {name for base in kind.__mro__ if "__init__" in vars(base) for name in inspect.signature(base).parameters}
