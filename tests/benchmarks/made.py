"""Keras 2 files made without Keras: as long and as large as a benchmark wants them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Spec = tuple[str, dict[str, Any], list[tuple[str, tuple[int, ...]]]]


def dense(units: int, inputs: int) -> Spec:
    """A Dense layer: its class, configuration and weights."""
    options = {"units": units, "activation": "relu", "use_bias": True}
    return "Dense", options, [("kernel", (inputs, units)), ("bias", (units,))]


def convolution(filters: int, inputs: int) -> Spec:
    """A Conv2D layer, 3 by 3."""
    options = {"filters": filters, "kernel_size": [3, 3], "padding": "same", "activation": "relu"}
    return "Conv2D", options, [("kernel", (3, 3, inputs, filters)), ("bias", (filters,))]


def pooling() -> Spec:
    """Maximum over 2 by 2."""
    return "MaxPooling2D", {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}, []


def flatten() -> Spec:
    """All features in one axis."""
    return "Flatten", {}, []


def size(shape: tuple[int, ...]) -> int:
    """Bytes of a float32 tensor."""
    return 4 * math.prod(shape)


def write(path: Path, input_shape: tuple[int | None, ...], layers: Iterable[Spec]) -> None:
    """A functional model, one layer after the other; its weights are holes in the file, which read as zeros."""
    holes = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    holes.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    holes.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    entries = [entry("InputLayer", "input", {"batch_input_shape": input_shape, "dtype": "float32"}, [])]
    names = []
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights")
        for number, (kind, options, weights) in enumerate(layers):
            name = f"layer_{number}"
            entries.append(entry(kind, name, options, [[[entries[-1]["name"], 0, 0, {}]]]))
            names.append(name)
            stored = group.create_group(name)
            for weight, shape in weights:
                stored.create_dataset(f"{name}/{weight}:0", shape, "float32", dcpl=holes)
            stored.attrs["weight_names"] = np.array([f"{name}/{weight}:0".encode() for weight, _ in weights])
        for start in range(0, len(names), 1000):  # an attribute holds 64 KiB at most
            group.attrs[f"layer_names{start // 1000}"] = np.array(
                [name.encode() for name in names[start : start + 1000]]
            )
        config = {
            "name": "made",
            "layers": entries,
            "input_layers": [["input", 0, 0]],
            "output_layers": [[entries[-1]["name"], 0, 0]],
        }
        file.attrs["keras_version"], file.attrs["backend"] = "2.15.0", "tensorflow"
        set_long(file, "model_config", json.dumps({"class_name": "Functional", "config": config}))


def entry(kind: str, name: str, options: dict[str, Any], inbound: list[Any]) -> dict[str, Any]:
    """A layer of a functional model's configuration."""
    config = {"name": name, "trainable": True, **options}
    return {"class_name": kind, "name": name, "config": config, "inbound_nodes": inbound}


def set_long(file: h5py.File, name: str, text: str) -> None:
    """An attribute of any length, as Keras writes it."""
    file.attrs.create(name, text, dtype=h5py.string_dtype())
