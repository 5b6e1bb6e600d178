"""Models in memory: functional and sequential ones, classes of their own, custom layers; nothing is written to disk."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest

import k2t
from k2t.errors import ReadError

LIBRARIES = ["keras", "tf_keras"]


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param)


def compare(model: Any, inputs: list[np.ndarray], folder: Path) -> Any:
    """The emitted module in float64 against the live model in its own precision; returns what was converted."""
    result = k2t.convert(model)
    result.write(folder / "net.py")
    want = model(inputs[0] if len(inputs) == 1 else inputs)
    got = parity.run(parity.load_net(folder / "net.py").load().double(), result, inputs)
    want = want if isinstance(want, list | tuple) else [want]
    for array, tensor in zip(got, want, strict=True):
        np.testing.assert_allclose(array, np.asarray(tensor), rtol=2e-4, atol=2e-5)
    return result


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def test_functional_model_converts_and_is_verified(library: Any, tmp_path: Path) -> None:
    layers = library.layers
    x, y = library.Input((8, 8, 3), name="x"), library.Input((4,), name="y")
    inner = library.Sequential([layers.Dense(5), layers.BatchNormalization()], name="inner")
    inner.layers[0].trainable = False
    z = layers.Flatten()(layers.Conv2D(2, 3, activation="relu")(x))
    shared = layers.Dense(4)
    z = layers.Concatenate()([inner(shared(layers.Dense(4)(z))), shared(y)])
    model = library.Model([x, y], [layers.Dense(2, activation="softmax")(z), z], name="net")
    parity.randomize(model)
    result = compare(model, [normal(2, 8, 8, 3), normal(2, 4)], tmp_path)
    assert result.keras_version == library.__version__
    assert k2t.verify(tmp_path / "net.py", model).ok


def test_sequential_model_with_recurrent_layers_converts(library: Any, tmp_path: Path) -> None:
    layers = library.layers
    model = library.Sequential(
        [library.Input((6, 4)), layers.Bidirectional(layers.LSTM(3, return_sequences=True)), layers.GRU(2)]
    )
    parity.randomize(model)
    compare(model, [normal(2, 6, 4)], tmp_path)
    assert k2t.verify(tmp_path / "net.py", model).ok


def test_bfloat16_variables_are_read(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="bfloat16")])
    parity.randomize(model)
    result = k2t.convert(model)
    result.write(tmp_path / "net.py")
    net = parity.load_net(tmp_path / "net.py").load()
    np.testing.assert_array_equal(
        next(iter(net.parameters())).detach().float().numpy().T, np.float32(model.layers[0].kernel.numpy())
    )


def test_subclassed_model_is_followed_symbolically(library: Any, tmp_path: Path) -> None:
    class Net(library.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = library.layers.Dense(5, activation="relu")
            self.blocks = [library.layers.Dense(5) for _ in range(2)]

        def call(self, x: Any, training: bool | None = None) -> Any:
            x = self.first(x)
            for block in self.blocks:
                x = x + block(x)
            return x * 2

    model = Net()
    with pytest.raises(ReadError, match="call it once on an input"):
        k2t.convert(model)
    model(normal(2, 4).astype("float32"))
    parity.randomize(model)
    compare(model, [normal(3, 4)], tmp_path)
    assert k2t.verify(tmp_path / "net.py", model).ok


def test_subclassed_model_with_several_inputs_is_followed(library: Any, tmp_path: Path) -> None:
    class Two(library.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.dense = library.layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            first, second = inputs
            return self.dense(first) + self.dense(second)

    model = Two()
    model([normal(2, 4).astype("float32"), normal(2, 4).astype("float32")])
    parity.randomize(model)
    compare(model, [normal(2, 4), normal(2, 4)], tmp_path)


SCALE = """
import {library} as keras

FACTOR = 3.0

def squared(x):
    return x * x

class Scale(keras.layers.Layer):
    def __init__(self, power=1, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")

    def call(self, x):
        return FACTOR * self.gain * x ** self.power

    def get_config(self):
        return {{**super().get_config(), "power": self.power}}

class Plain(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def build(self, shape):
        self.offset = self.add_weight(shape=(3,), initializer="ones", name="offset")

    def call(self, x):
        return self.dense(x) + self.offset
"""


@pytest.fixture
def own(library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with classes of the user's own."""
    name = f"own_{library.__name__}"
    (tmp_path / f"{name}.py").write_text(SCALE.format(library=library.__name__))
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module(name)


def test_custom_layers_of_a_live_model_are_found_by_their_source(library: Any, own: Any, tmp_path: Path) -> None:
    layers = [library.Input((4,)), own.Scale(2), library.layers.Dense(3, activation=own.squared)]
    model = library.Sequential(layers)
    parity.randomize(model)
    compare(model, [normal(2, 4)], tmp_path)


def test_subclassed_model_with_variables_of_its_own_is_translated_from_its_source(own: Any, tmp_path: Path) -> None:
    model = own.Plain()
    model(normal(2, 4).astype("float32"))
    parity.randomize(model)
    compare(model, [normal(2, 4)], tmp_path)


def test_hash_of_a_live_model_changes_with_its_weights() -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    before = k2t.convert(model)
    assert k2t.convert(model).metadata["k2t.source_sha256"] == before.metadata["k2t.source_sha256"]
    parity.randomize(model)
    assert k2t.convert(model).metadata["k2t.source_sha256"] != before.metadata["k2t.source_sha256"]
