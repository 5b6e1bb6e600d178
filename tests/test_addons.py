"""Layers of tensorflow_addons and keras_contrib, against the formulas that those packages publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import corpus
import h5py
import keras
import numpy as np
import pytest
from parity import assert_close, load_net, randomize, run

import k2t

CORPUS = corpus.FOLDER


class InstanceNormalization(keras.layers.Layer):
    """What a file of either package holds: the options and the weights; `groups` is of tensorflow_addons alone."""

    def __init__(self, axis: Any, epsilon: float = 1e-3, groups: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.options = {"axis": axis, "epsilon": epsilon, "center": True, "scale": True}
        self.options |= {} if groups is None else {"groups": groups}

    def build(self, input_shape: Any) -> None:
        axis = self.options["axis"]
        shape = (1,) if axis is None else (input_shape[axis],)
        self.gamma = self.add_weight(shape=shape, name="gamma")
        self.beta = self.add_weight(shape=shape, name="beta")

    def call(self, x: Any) -> Any:
        return x

    def get_config(self) -> Any:
        return super().get_config() | self.options


def formula(layer: InstanceNormalization, x: np.ndarray) -> np.ndarray:
    axis, epsilon = layer.options["axis"], layer.options["epsilon"]
    axes = tuple(i for i in range(1, x.ndim) if axis is None or i != axis % x.ndim)
    centred = x - x.mean(axes, keepdims=True)
    if "groups" in layer.options:
        y = centred / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    else:
        y = centred / (x.std(axes, keepdims=True) + epsilon)
    shape = [1] * x.ndim
    if axis is not None:
        shape[axis] = -1
    return y * layer.gamma.numpy().reshape(shape) + layer.beta.numpy().reshape(shape)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "options", [{"axis": None}, {"axis": -1, "epsilon": 0.1}, {"axis": 1}, {"axis": -1, "groups": 3, "epsilon": 0.1}]
)
def test_instance_normalization_of_both_packages(options: dict[str, Any], tmp_path: Path) -> None:
    layer = InstanceNormalization(**options)
    image = keras.Input((6, 5, 3))
    model = keras.Model(image, layer(image))
    randomize(model)
    path = tmp_path / "model.h5"
    model.save(path)
    with h5py.File(path, "r+") as file:  # the packages' files hold the plain name of the class
        config = json.loads(file.attrs["model_config"])
        entry = config["config"]["layers"][1]
        entry["class_name"] = "InstanceNormalization"
        for key in ("module", "registered_name"):
            entry.pop(key, None)
        file.attrs["model_config"] = json.dumps(config)
    result = k2t.convert(path)
    result.write(tmp_path / "net.py")
    net = load_net(tmp_path / "net.py").load().double()
    data = np.random.default_rng(0).normal(size=(2, 6, 5, 3))
    (got,) = run(net, result, [data])
    assert_close(got, formula(layer, data))


def test_a_network_of_tensorflow_addons_converts() -> None:
    paths = sorted(CORPUS.glob("*cyclegan*.h5"))
    if not paths:
        pytest.skip("the corpus is not here")
    for path in paths:
        assert "nn.GroupNorm(" in k2t.convert(path).source
