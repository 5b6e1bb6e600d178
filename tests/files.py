"""Small model files made by hand: HDF5 and archives of any release, without Keras."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from k2t.graph import Call, Layer, Source

Arrays = dict[str, np.ndarray[Any, Any]]


def dense(name: str, units: int = 2, **options: Any) -> dict[str, Any]:
    """A serialized Dense layer of Keras 2."""
    config = {"name": name, "trainable": True, "units": units, "activation": "linear", **options}
    return {"class_name": "Dense", "config": config}


def input_layer(name: str, *sizes: int | None) -> dict[str, Any]:
    """A serialized InputLayer of Keras 2."""
    config = {"name": name, "batch_input_shape": [None, *sizes], "dtype": "float32"}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def called(layer: dict[str, Any], *nodes: Any) -> dict[str, Any]:
    """The layer in a Functional model, called once for each node."""
    return {**layer, "name": layer["config"]["name"], "inbound_nodes": list(nodes)}


def sequential(*layers: dict[str, Any], name: str = "model") -> dict[str, Any]:
    """A serialized Sequential model of Keras 2."""
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def functional(layers: list[dict[str, Any]], inputs: Any, outputs: Any, name: str = "model") -> dict[str, Any]:
    """A serialized Functional model."""
    config = {"name": name, "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Functional", "config": config}


def tensor(name: str, node: int = 0, index: int = 0) -> dict[str, Any]:
    """A symbolic tensor as Keras 3 writes it."""
    return {"class_name": "__keras_tensor__", "config": {"shape": [None, 2], "keras_history": [name, node, index]}}


def node(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """An inbound node of Keras 3."""
    return {"args": list(args), "kwargs": kwargs}


def kernel(inputs: int = 3, units: int = 2) -> Arrays:
    """The arrays of a Dense layer, by the names that tf.keras gives them."""
    values = np.arange(inputs * units, dtype="float32").reshape(inputs, units)
    return {"kernel:0": values, "bias:0": np.arange(units, dtype="float32")}


def write_h5(path: Path, config: Any, weights: dict[str, Arrays], version: str = "2.9.0", **changes: Any) -> Path:
    """A whole model as legacy HDF5.

    Args:
        path: where to.
        config: the model, None for a file of weights alone.
        weights: layer -> name -> array.
        version: keras_version.
        changes: `chunks`, how many attributes a list of names is cut into; `text`, str or bytes for attributes.
    """
    chunks, text = changes.get("chunks", 1), changes.get("text", bytes)
    with h5py.File(path, "w") as file:
        group = file if config is None else file.create_group("model_weights")
        if config is not None:
            stored = json.dumps(config)
            file.attrs["model_config"] = stored if text is str else stored.encode()
        file.attrs["keras_version"] = version
        file.attrs["backend"] = changes.get("backend", "tensorflow")
        write_names(group, "layer_names", list(weights), chunks, text)
        for layer, arrays in weights.items():
            own = group.create_group(layer)
            write_names(own, "weight_names", [f"{layer}/{name}" for name in arrays], chunks, text)
            for name, array in arrays.items():
                own[f"{layer}/{name}"] = array
    return path


def write_names(group: h5py.Group, key: str, names: list[str], chunks: int, text: type) -> None:
    """A list of names in one attribute or several, as bytes or str."""
    values = [name if text is str else name.encode() for name in names]
    size = -(-len(values) // chunks) or 1
    for number in range(chunks):
        group.attrs[key if chunks == 1 else f"{key}{number}"] = values[number * size : (number + 1) * size]


def write_keras(path: Path, config: Any, arrays: Arrays, version: str = "3.8.0", **changes: Any) -> Path:
    """A `.keras` archive.

    Args:
        path: where to.
        config: the model.
        arrays: path in the archive -> array.
        version: keras_version.
        changes: `compression`, of the zip; `separator`, of the groups' names; `extra`, further members.
    """
    with zipfile.ZipFile(path, "w", changes.get("compression", zipfile.ZIP_STORED)) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", tree_bytes(arrays, changes.get("separator", "/")))
        for name, data in changes.get("extra", {}).items():
            archive.writestr(name, data)
    return path


def tree_bytes(arrays: Arrays, separator: str = "/") -> bytes:
    """An HDF5 file with an array at each path, as Keras 3 writes weights."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for path, array in arrays.items():
            group, _, variable = path.rpartition("/vars/")
            file[f"{separator.join((*group.split('/'), 'vars'))}/{variable}"] = array
    return buffer.getvalue()


def flat(layer: Layer) -> list[Any]:
    """What a legacy file holds for a layer."""
    assert layer.weights
    assert layer.weights.flat is not None
    return [array.load() for array in layer.weights.flat]


def tree(layer: Layer) -> dict[str, Any]:
    """What an archive holds for a layer, by path."""
    assert layer.weights
    assert layer.weights.tree is not None
    return {path: array.load() for path, array in layer.weights.tree.items()}


def calls(source: Source) -> dict[str, Call]:
    """The calls of a model by name."""
    return {call.name: call for call in source.graph.calls}


def keras3(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry as Keras 3 serializes it."""
    config = entry["config"]
    if isinstance(config, dict) and "layers" in config:
        config = {**config, "layers": [keras3(layer) for layer in config["layers"]]}
    return {"module": "keras.layers", "registered_name": None, **entry, "config": config}
