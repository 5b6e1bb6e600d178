"""Keras code and its structured translation, run side by side."""

from __future__ import annotations

import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

from k2t.code import read_code
from k2t.emit.weights import entries
from k2t.graph import StoredArray
from k2t.structured.convert import from_code
from k2t.structured.file import file_text
from k2t.structured.translate import Structured, structured
from k2t.verify.exact import float64_kernels


def translated(path: Path, entry: str, arguments: dict[str, Any]) -> tuple[Structured, str]:
    """The translation and its text."""
    result = structured(path, entry, arguments)
    return result, file_text([*result.classes, result.start], result.class_name)


def keras_model(path: Path, entry: str, arguments: dict[str, Any]) -> Any:
    """What the Keras code builds, with random weights."""
    import keras

    keras.utils.clear_session()
    namespace: dict[str, Any] = {}
    exec(compile(path.read_text().replace("tensorflow.keras", "keras"), str(path), "exec"), namespace)
    owner, _, method = entry.rpartition(".")
    model = (getattr(namespace[owner](), method) if owner else namespace[method])(**arguments)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        noise = (rng.standard_normal(variable.shape) * 0.2).astype("float32")
        variable.assign(np.abs(noise) + 0.5 if "variance" in variable.path else noise)
    return model


def bound(path: Path, entry: str, arguments: dict[str, Any], model: Any) -> Structured:
    """The translation with the weights of the Keras model."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "model.weights.h5"
        model.save_weights(weights)
        result = from_code(path, entry, read_code(f"{path}:{entry}", arguments, (), weights), arguments, None)
        for item in entries(result.main):
            for variable in item.weight.variables:
                array = np.array(variable.array.load())  # type: ignore[union-attr]
                variable.array = StoredArray(variable.name, array.shape, array.dtype, lambda array=array: array)
    return result


def torch_model(text: str, result: Structured) -> torch.nn.Module:
    """The emitted class with the weights of the program."""
    module = types.ModuleType("emitted")
    sys.modules["emitted"] = module
    exec(compile(text, "net.py", "exec"), module.__dict__)
    net = getattr(module, result.class_name)(**result.arguments).double().eval()
    state = {entry.key: torch.from_numpy(np.array(entry.load())) for entry in entries(result.main)}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert not [key for key in missing if not key.endswith("num_batches_tracked")], missing
    return net


def difference(path: Path, entry: str, sample: dict[str, Any], arguments: dict[str, Any], sizes: int = 16) -> float:
    """The largest difference between Keras's outputs and those of the translation, relative to their scale.

    Args:
        sample: arguments with which the code was translated.
        arguments: those with which the class is constructed.
    """
    import keras

    keras.backend.set_floatx("float64")
    try:
        model = keras_model(path, entry, arguments)
        _, text = translated(path, entry, sample)
        result = bound(path, entry, arguments, model)
        net = torch_model(text, result)
        rng = np.random.default_rng(1)
        shapes = [[2, *(size or sizes for size in tensor.shape[1:])] for tensor in model.inputs]
        whole = ["int" in str(tensor.dtype) for tensor in model.inputs]
        given = [
            rng.integers(0, 3, shape) if ints else rng.standard_normal(shape)
            for shape, ints in zip(shapes, whole, strict=True)
        ]
        with float64_kernels():
            expected = model(given if len(given) > 1 else given[0], training=False)
        with torch.no_grad():
            orders = [result.main.order(value) for value in result.main.inputs]
            tensors = [torch.from_numpy(array) for array in given]
            moved = [one if order is None else one.permute(order) for one, order in zip(tensors, orders, strict=True)]
            found = net(*moved)
        return max(apart(a, b) for a, b in zip(flat(expected), flat(found), strict=True))
    finally:
        keras.backend.set_floatx("float32")
        keras.utils.clear_session()  # it remembers the dtype


def flat(outputs: Any) -> list[Any]:
    """The tensors of an output."""
    if isinstance(outputs, list | tuple):
        return [item for one in outputs for item in flat(one)]
    return [item for one in outputs.values() for item in flat(one)] if isinstance(outputs, dict) else [outputs]


def apart(keras_tensor: Any, tensor: torch.Tensor) -> float:
    """The largest difference, relative to the scale."""
    expected = np.asarray(keras_tensor)
    found = (tensor.movedim(1, -1) if tensor.ndim >= 4 else tensor).numpy()
    assert expected.shape == found.shape, (expected.shape, found.shape)
    return float(np.abs(expected - found).max() / max(np.abs(expected).max(), 1e-30))
