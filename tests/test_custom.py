"""Custom layers from their source: parity with Keras, which runs the same source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import custom_layers
import keras
import numpy as np
import pytest
from parity import assert_close, load_net, randomize, reference, run

import k2t
from k2t.verify.exact import float64_kernels

pytestmark = pytest.mark.usefixtures("float64")

SOURCE = Path(custom_layers.__file__)
SEQUENCE, TOKENS, IMAGE = (5, 6), (7,), (8, 8, 3)

Layers = Callable[[Any], Any]
MODELS: dict[str, tuple[tuple[int | None, ...], str, Layers]] = {
    "weights": (SEQUENCE, "float64", lambda x: custom_layers.Scale(3)(x)),
    "called twice": (SEQUENCE, "float64", lambda x: (s := custom_layers.Antirectifier())(s(x))),
    "sublayers": (SEQUENCE, "float64", lambda x: custom_layers.FeedForward(6)(x)),
    "transformer": (SEQUENCE, "float64", lambda x: custom_layers.TransformerBlock(6, 2, 4)(x)),
    "token embedding": (TOKENS, "int32", lambda x: custom_layers.TokenAndPositionEmbedding(9, 5, 4)(x)),
    "constant and mask": (
        TOKENS,
        "int32",
        lambda x: custom_layers.MaskedMean()(custom_layers.SinusoidalEmbedding(5, 4)(x)),
    ),
    "mask into a layer of Keras": (
        TOKENS,
        "int32",
        lambda x: keras.layers.LSTM(3)(custom_layers.SinusoidalEmbedding(5, 4)(x)),
    ),
    "patches": (IMAGE, "float64", lambda x: custom_layers.PatchEncoder(4, 5)(custom_layers.Patches(4)(x))),
    "several inputs": (SEQUENCE, "float64", lambda x: custom_layers.CosineDistance()([x, x * x + 1])),
    "derived from Dense": (SEQUENCE, "float64", lambda x: custom_layers.Gated(4)(x)),
    "around a layer": (SEQUENCE, "float64", lambda x: custom_layers.Residual(keras.layers.Dense(6))(x)),
    "around a layer of the file": (
        SEQUENCE,
        "float64",
        lambda x: custom_layers.Residual(custom_layers.Gated(6))(x),
    ),
    "inside each other": (SEQUENCE, "float64", lambda x: custom_layers.Tower(6)(x)),
    "images": (IMAGE, "float64", lambda x: custom_layers.ConvBlock(4)(x)),
    "attention": (SEQUENCE, "float64", lambda x: custom_layers.Attention(3)(x)),
    "in a layer of Keras": (
        (4, *SEQUENCE),
        "float64",
        lambda x: keras.layers.TimeDistributed(custom_layers.Scale(2))(x),
    ),
    "function": (SEQUENCE, "float64", lambda x: keras.layers.Dense(4, activation=custom_layers.wobble)(x)),
    "function as a layer": (SEQUENCE, "float64", lambda x: keras.layers.Activation(custom_layers.wobble)(x)),
}


def check(model: Any, path: Path, custom: Path, *inputs: np.ndarray) -> None:
    """Save, convert, load, compare."""
    model.save(path)
    result = k2t.convert(path, custom=custom)
    result.write(path.with_name("net.py"))
    net = load_net(path.with_name("net.py")).load().double()
    for got, wanted in zip(run(net, result, list(inputs)), reference(model, list(inputs)), strict=True):
        assert_close(got, wanted)


def model_of(name: str) -> tuple[Any, np.ndarray]:
    shape, dtype, layers = MODELS[name]
    rng = np.random.default_rng(3)
    size = (3, *(n or 4 for n in shape))
    data = rng.integers(0, 5, size).astype("int32") if dtype == "int32" else rng.normal(size=size)
    with float64_kernels():
        image = keras.Input(shape, dtype=dtype)
        model = keras.Model(image, layers(image))
    randomize(model)
    return model, data


@pytest.mark.parametrize("extension", ["keras", "h5"])
@pytest.mark.parametrize("name", MODELS)
def test_the_source_of_a_layer_gives_its_operations(name: str, extension: str, tmp_path: Path) -> None:
    model, data = model_of(name)
    check(model, tmp_path / f"model.{extension}", SOURCE, data)


def test_a_subclassed_model_is_followed_whole(tmp_path: Path) -> None:
    with float64_kernels():
        model = custom_layers.Classifier(4)
        model(np.zeros((1, 6)))
    randomize(model)
    check(model, tmp_path / "model.keras", SOURCE, np.random.default_rng(0).normal(size=(3, 6)))
