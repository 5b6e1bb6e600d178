"""Everything that Keras ships is translated, or refused with a reason; `k2t layers` says which."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
import torch

import k2t
from k2t.cli.layers import RELEASES, exported_layers, known_layers, known_operations
from k2t.read.eras.exported import BASES, OPERATIONS

# Inside keras.ops, and no functions of tensors.
MODULES = {"image", "linalg", "nn", "numpy"}


def test_every_layer_of_every_release_has_a_row() -> None:
    known = {row.name: row for row in known_layers()}
    missing = [(release, name) for release, name, kind in exported_layers() if kind not in known]
    assert missing == []
    assert {release for row in known.values() for release in row.generations} == set(RELEASES)


def test_every_layer_of_the_installed_keras_has_a_row(keras: Any) -> None:
    layer = keras.layers.Layer
    exported = {name: item for name, item in vars(keras.layers).items() if inspect.isclass(item)}
    exported = {name: item for name, item in exported.items() if issubclass(item, layer)}
    known = {row.name for row in known_layers()} | BASES
    assert [name for name, item in exported.items() if not {name, item.__name__} & known] == []


def test_every_function_of_the_installed_keras_ops_has_a_row(keras: Any) -> None:
    names = {name for name in dir(keras.ops) if not name.startswith("_")} - MODULES
    names |= {f"image.{name}" for name in dir(keras.ops.image) if not name.startswith("_")}
    assert names - {row.name for row in known_operations()} == set()
    assert set(OPERATIONS) == {row.name for row in known_operations()}


def test_refusals_are_few_and_say_why() -> None:
    layers = [row for row in known_layers() if row.becomes is None]
    operations = [row for row in known_operations() if row.becomes is None]
    assert len(layers) <= 5
    assert len(operations) <= 15
    assert all(len(row.refused or "") > 20 for row in [*layers, *operations])


@pytest.mark.parametrize("trainable", [False, True])
def test_random_fourier_features_are_those_of_tf_keras(trainable: bool, tmp_path: Path) -> None:
    import tf_keras

    layer = tf_keras.layers.experimental.RandomFourierFeatures(5, scale=2.0, trainable=trainable)
    x = tf_keras.Input((4,))
    model = tf_keras.Model(x, tf_keras.layers.Dense(2)(layer(x)))
    model.save(tmp_path / "model.h5")
    k2t.convert(tmp_path / "model.h5").write(tmp_path / "net.py")
    net = parity.load_net(tmp_path / "net.py").load()
    given = np.random.default_rng(0).normal(0, 1, (3, 4)).astype("float32")
    assert np.abs(net(torch.from_numpy(given)).detach().numpy() - model.predict(given, verbose=0)).max() < 1e-6
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == 12 + trainable


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("implementation", [1, 2, 3])
@pytest.mark.parametrize("rank", [1, 2])
def test_locally_connected_layers_of_tf_keras(rank: int, implementation: int, data_format: str, tmp_path: Path) -> None:
    import tf_keras

    sizes = (9, 8)[:rank]
    x = tf_keras.Input((*sizes, 3) if data_format == "channels_last" else (3, *sizes))
    options = {"strides": 2, "implementation": implementation, "data_format": data_format}
    y = getattr(tf_keras.layers, f"LocallyConnected{rank}D")(5, (3, 2)[:rank], **options)(x)
    model = tf_keras.Model(x, y)
    parity.randomize(model)
    model.save(tmp_path / "model.h5")
    k2t.convert(tmp_path / "model.h5").write(tmp_path / "net.py")
    found = k2t.verify(tmp_path / "net.py", tmp_path / "model.h5")
    assert found.ok
    assert found.outputs[0].shape[-1 if data_format == "channels_last" else 1] == 5
