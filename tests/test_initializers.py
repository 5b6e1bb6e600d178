"""Training from scratch starts from Keras's distributions: the emitted class against Keras's own fresh weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity import load_net

import k2t

NAMES = [
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "random_uniform",
    "random_normal",
    "truncated_normal",
    "variance_scaling",
    "orthogonal",
    "zeros",
    "ones",
]
KERNELS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "Dense": ((120,), {"units": 200}),
    "Conv1D": ((9, 40), {"filters": 90, "kernel_size": 7}),
    "Conv2D": ((9, 9, 20), {"filters": 90, "kernel_size": 5, "groups": 2}),
    "Conv2DTranspose": ((9, 9, 20), {"filters": 90, "kernel_size": 4}),
    "DepthwiseConv2D": ((9, 9, 900), {"kernel_size": 5}),
    "EinsumDense": ((9, 30), {"equation": "abc,cde->abde", "output_shape": [9, 20, 30]}),
}


def draws(keras: Any, folder: Path, inputs: Any, outputs: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """State of the emitted class as it is constructed, and as Keras drew it; and the emitted text."""
    import torch

    path = folder / "net.keras"
    keras.Model(inputs, outputs).save(path)
    result = k2t.convert(path, class_name="Net")
    result.write(folder / "net.py")
    module = load_net(folder / "net.py")
    torch.manual_seed(0)
    fresh, loaded = module.Net().state_dict(), module.load().state_dict()
    return {key: value.numpy() for key, value in fresh.items()}, {key: value.numpy() for key, value in loaded.items()}


def assert_alike(got: np.ndarray, want: np.ndarray) -> None:
    """Two samples of one distribution: Kolmogorov and Smirnov's distance, moments, and bounds."""
    assert got.shape == want.shape
    got, want = np.sort(got, axis=None), np.sort(want, axis=None)
    if want[0] == want[-1] or np.unique(want).size < 5:
        np.testing.assert_array_equal(got, want)
        return
    both = np.concatenate([got, want])
    distance = np.abs(np.searchsorted(got, both, "right") - np.searchsorted(want, both, "right")).max() / got.size
    assert distance < 1.95 * math.sqrt(2 / got.size)
    assert got.std() == pytest.approx(want.std(), rel=4 / math.sqrt(got.size))
    if want[-1] < 2.5 * want.std():
        assert got[-1] == pytest.approx(want[-1], rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_kernels_start_as_keras_draws_them(keras: Any, tmp_path: Path, name: str) -> None:
    keras.utils.set_random_seed(0)
    inputs, outputs = [], []
    for kind, (shape, options) in KERNELS.items():
        if name == "orthogonal" and kind in ("DepthwiseConv2D", "EinsumDense"):
            continue  # PyTorch sees another matrix there
        own = "depthwise_initializer" if kind.startswith("Depthwise") else "kernel_initializer"
        inputs.append(keras.Input(shape))
        outputs.append(getattr(keras.layers, kind)(**options, **{own: name})(inputs[-1]))
    fresh, drawn = draws(keras, tmp_path, inputs, outputs)
    for key, want in drawn.items():
        assert_alike(fresh[key], want)


@pytest.mark.parametrize("scale", [1 / 3, 1.0, 2.0, 5.0])
def test_variance_scaling_counts_the_fans_of_keras(keras: Any, tmp_path: Path, scale: float) -> None:
    keras.utils.set_random_seed(0)
    x = keras.Input((7, 7, 30))
    outputs = []
    for mode in ("fan_in", "fan_out", "fan_avg"):
        for distribution in ("uniform", "truncated_normal", "untruncated_normal"):
            start = keras.initializers.VarianceScaling(scale, mode, distribution)
            y = keras.layers.Conv2D(160, 3, kernel_initializer=start)(x)
            outputs.append(keras.layers.DepthwiseConv2D(3, depth_multiplier=8, depthwise_initializer=start)(y))
    fresh, drawn = draws(keras, tmp_path, x, outputs)
    for key, want in drawn.items():
        assert_alike(fresh[key], want)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("options", [{}, {"activation": "softsign"}, {"recurrent_initializer": "he_normal"}])
def test_recurrent_layers_start_as_in_keras(keras: Any, tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    keras.utils.set_random_seed(0)
    x = keras.Input((5, 60))
    layer = getattr(keras.layers, kind)
    y = keras.layers.Bidirectional(layer(80, return_sequences=True, **options))(x)
    fresh, drawn = draws(keras, tmp_path, x, layer(70, **options)(y))
    for key, want in drawn.items():
        assert_alike(fresh[key], want)
        if "weight_hh" in key and not options.get("recurrent_initializer"):
            np.testing.assert_allclose(fresh[key].T @ fresh[key], np.eye(want.shape[1]), atol=1e-5)


def test_attention_and_embeddings_start_as_in_keras(keras: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    words = keras.Input((9,), dtype="int32")
    x = keras.layers.Embedding(300, 96)(words)
    x = keras.layers.MultiHeadAttention(4, 24)(x, x)
    x = keras.layers.MultiHeadAttention(4, 20, value_dim=30)(x, x)
    x = keras.layers.LayerNormalization(gamma_initializer="zeros")(x)
    fresh, drawn = draws(keras, tmp_path, words, keras.layers.PReLU()(x))
    for key, want in drawn.items():
        assert_alike(fresh[key], want)


@pytest.mark.parametrize("kind", ["BatchNormalization", "LayerNormalization", "RMSNormalization", "GroupNormalization"])
def test_normalizations_start_as_torch_starts_them(keras: Any, tmp_path: Path, kind: str) -> None:
    x = keras.Input((5, 64))
    fresh, drawn = draws(keras, tmp_path, x, getattr(keras.layers, kind)()(x))
    assert all(np.array_equal(fresh[key], want) for key, want in drawn.items())
    assert "init_weights" not in (tmp_path / "net.py").read_text()


def test_exceptions_are_written_for_their_layer_only(keras: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    x = keras.Input((50,))
    y = keras.layers.Dense(400, "relu", kernel_initializer="he_normal")(x)
    y = keras.layers.Dense(300, "relu", kernel_initializer="he_normal")(y)
    y = keras.layers.Dense(200, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), name="head")(y)
    fresh, drawn = draws(keras, tmp_path, x, y)
    for key, want in drawn.items():
        assert_alike(fresh[key], want)
    text = (tmp_path / "net.py").read_text()
    assert text.count("variance_scaling_(module.weight, 2.0)") == 1
    assert "nn.init.normal_(module.head.weight, std=0.01)" in text


def test_an_initializer_that_is_not_kerass_is_left_to_torch(keras: Any, tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("Mine")
    class Halves(keras.initializers.Initializer):  # type: ignore[misc]
        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            return keras.ops.full(shape, 0.5)

    x = keras.Input((5,))
    fresh, drawn = draws(keras, tmp_path, x, keras.layers.Dense(4, kernel_initializer=Halves())(x))
    assert np.unique(drawn["fc.weight"]).tolist() == [0.5]
    assert np.unique(fresh["fc.weight"]).size > 1
    assert not fresh["fc.bias"].any()
