"""Builds Keras models from examples and compares the emitted module with them, in float64."""

from __future__ import annotations

import gc
import importlib.util
import inspect
import itertools
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np

import k2t
from k2t.rules.base import RULES, Example
from k2t.verify.exact import float64_kernels

TOLERANCE = 1e-9
SIZES = (7, 8, 11)
LIBRARIES = {"keras", "tensorflow", "tf_keras", "torch"}
_counter = itertools.count()
_spared: set[str] = set()


def spare_libraries() -> None:
    """Imported libraries are no garbage. Keras collects with every new session: it took half of each test's time."""
    imported = LIBRARIES & sys.modules.keys()
    if imported - _spared:
        gc.freeze()
        _spared.update(imported)


def load_net(path: Path) -> ModuleType:
    """Import an emitted file, as its user would."""
    name = f"net_{next(_counter)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def randomize(model: Any, seed: int = 0) -> None:
    """Every weight at random; variances positive."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        values = rng.normal(0, 0.5, variable.shape)
        path = getattr(variable, "path", variable.name)
        if "variance" in path or "var" in path.rsplit("/", 1)[-1]:
            values = np.abs(values) + 0.5
        variable.assign(values.astype(variable.dtype if isinstance(variable.dtype, str) else variable.dtype.name))
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):  # Normalization keeps copies of its variables
            layer.finalize_state()


def run(net: Any, result: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of the emitted module in Keras's order of axes."""
    import torch

    tensors = []
    for array, info in zip(inputs, result.inputs, strict=True):
        if array.dtype == object:
            tensors.append(array.tolist())
            continue
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        tensors.append(tensor.permute(info.permute) if info.permute else tensor)
    with torch.no_grad():
        output = net(*tensors)
    outputs = (
        list(output.values())
        if isinstance(output, dict)
        else list(output)
        if isinstance(output, tuple) or (isinstance(output, list) and isinstance(output[0], torch.Tensor))
        else [output]  # a tensor, or a list of strings
    )
    assert len(outputs) == len(result.outputs)
    arrays = []
    for tensor, info in zip(outputs, result.outputs, strict=True):
        if info.dtype == "string":
            arrays.append(np.array(tensor, object))
            continue
        order = [info.permute.index(axis) for axis in range(tensor.ndim)] if info.permute else range(tensor.ndim)
        arrays.append(tensor.permute(tuple(order)).numpy())
    return arrays


def as_text(word: Any) -> str:
    """TensorFlow's strings are bytes."""
    return word.decode() if isinstance(word, bytes) else str(word)


def assert_close(got: np.ndarray, want: np.ndarray) -> None:
    """Within 1e-9 of the scale of `want`, shape and NaNs included."""
    assert got.shape == want.shape
    if want.dtype.kind in "biuO":
        np.testing.assert_array_equal(got, np.vectorize(as_text)(want) if want.dtype == object else want)
        return
    scale = max(float(np.nanmax(np.abs(want), initial=0)), 1e-30)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    error = float(np.nanmax(np.abs(got - want), initial=0)) / scale
    assert error <= TOLERANCE, f"error {error:.2e} of the scale {scale:.3g}"


def shapes_of(example: Example, size: int) -> list[tuple[int, ...]]:
    """Concrete input shapes: `size`, `size` + 1, … where the example leaves them open."""
    return [tuple(size + i if n is None else n for i, n in enumerate(shape)) for shape in example.shapes]


def inputs_of(example: Example, size: int, batch: int) -> list[np.ndarray]:
    """Random inputs for an example."""
    rng = np.random.default_rng(size + batch)
    if example.words:
        return [rng.choice(np.array(example.words, object), (batch, *s)) for s in shapes_of(example, size)]
    if example.integers:
        return [rng.integers(0, example.integers, (batch, *s)).astype("int32") for s in shapes_of(example, size)]
    arrays = [rng.normal(0, 1, (batch, *s)) for s in shapes_of(example, size)]
    if example.mask:
        for i, array in enumerate(arrays[: len(arrays) - example.states]):
            array[0, -2 - i :] = 0
            array[-1, 1 + i] = 0
            array[1, :1] = 0
            array[1:-1] = 0
    return arrays


def build(keras: Any, kind: str, example: Example) -> Any:
    """A Keras model with one layer of the example's configuration; wrapped layers are given as (kind, options)."""
    dtype = "string" if example.words else "int32" if example.integers else "float64"
    inputs = [keras.Input(shape, dtype=dtype, name=f"in{i}") for i, shape in enumerate(example.shapes)]
    count = len(inputs) - example.states
    tensors = [keras.layers.Masking()(x) for x in inputs[:count]] if example.mask else inputs[:count]
    layer = make_layer(keras, kind, example.options)
    states = {"initial_state": inputs[count:]} if example.states else {}
    apart = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(RULES[kind].function).parameters.values())
    arguments = tensors if apart or len(tensors) == 1 else [tensors]
    outputs = layer(*arguments, **states, **example.calls)
    return keras.Model(inputs[0] if len(inputs) == 1 else inputs, outputs)


def make_layer(keras: Any, kind: str, options: dict[str, Any]) -> Any:
    """A Keras layer; an option that is a (kind, options) pair becomes a layer."""

    def made(value: Any) -> Any:
        if isinstance(value, list):
            return [made(item) for item in value]
        is_layer = isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict)
        return make_layer(keras, *value) if is_layer else value

    return getattr(keras.layers, kind)(**{key: made(value) for key, value in options.items()})


def check_example(keras: Any, kind: str, example: Example, folder: Path) -> None:
    """Save, convert, load, compare for several sizes and batches."""
    with float64_kernels():
        model = build(keras, kind, example)
    randomize(model)
    path = folder / "model.keras"
    model.save(path)
    result = k2t.convert(path)
    result.write(folder / "net.py")
    net = load_net(folder / "net.py").load().double()
    open_sizes = any(None in shape for shape in example.shapes)
    for size in SIZES if open_sizes else SIZES[:1]:
        for batch in (2, 3):
            inputs = inputs_of(example, size, batch)
            wanted = reference(model, inputs)
            for got, expected in zip(run(net, result, inputs), wanted, strict=True):
                assert_close(got, expected)


def reference(model: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Keras's outputs in inference mode."""
    import tensorflow as tf

    def compute(arguments: list[Any]) -> Any:
        return model(arguments[0] if len(arguments) == 1 else arguments, training=False)

    with float64_kernels():
        try:
            outputs = compute(inputs)
        except (tf.errors.NotFoundError, tf.errors.UnimplementedError, tf.errors.InvalidArgumentError):
            # only XLA has these kernels on a CPU: for float64, channels first, dilated transposed convolutions
            outputs = tf.function(compute, jit_compile=True, autograph=False)([tf.constant(array) for array in inputs])
    return [np.asarray(item) for item in flatten(outputs)]


def flatten(structure: Any) -> list[Any]:
    """The tensors of nested lists, tuples and dicts, in order."""
    if isinstance(structure, dict):
        return [leaf for item in structure.values() for leaf in flatten(item)]
    if isinstance(structure, list | tuple):
        return [leaf for item in structure for leaf in flatten(item)]
    return [structure]
