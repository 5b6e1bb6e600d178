"""`--fold-bn`: normalization disappears, what is computed stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity import assert_close, load_net, randomize, run

import k2t

Build = Callable[[Any, Any], Any]
# name -> (shape of the input, layers, normalizations left)
FOLDED: dict[str, tuple[tuple[int | None, ...], Build, int]] = {
    "convolution": ((9, 8, 3), lambda layers, x: layers.Conv2D(4, 3, use_bias=False)(x), 0),
    "a bias": ((9, 8, 3), lambda layers, x: layers.Conv2D(4, 3, strides=2, padding="same")(x), 0),
    "groups": ((9, 8, 4), lambda layers, x: layers.Conv2D(6, 3, groups=2)(x), 0),
    "depthwise": ((9, 8, 3), lambda layers, x: layers.DepthwiseConv2D(3, depth_multiplier=2)(x), 0),
    "separable": ((9, 8, 3), lambda layers, x: layers.SeparableConv2D(5, 3)(x), 0),
    "transposed": ((5, 4, 3), lambda layers, x: layers.Conv2DTranspose(4, 3, strides=2, padding="same")(x), 0),
    "a cut": ((5, 4, 3), lambda layers, x: layers.Conv2DTranspose(4, 5, strides=2, padding="same")(x), 0),
    "unknown sizes": ((None, None, 3), lambda layers, x: layers.Conv2D(4, 3, strides=2, padding="same")(x), 0),
    "dense": ((7,), lambda layers, x: layers.Dense(4)(x), 0),
    "dense over steps": ((5, 7), lambda layers, x: layers.Dense(4, use_bias=False)(x), 0),
    "one dimension": ((9, 3), lambda layers, x: layers.Conv1D(4, 3, padding="causal")(x), 0),
    "an activation": ((9, 8, 3), lambda layers, x: layers.Conv2D(4, 3, activation="relu")(x), 1),
}


def converted(keras: Any, folder: Path, model: Any) -> tuple[str, list[np.ndarray], list[np.ndarray]]:
    """The folded code, what it computes, and what Keras computes."""
    randomize(model)
    model.save(folder / "net.keras")
    result = k2t.convert(folder / "net.keras", fold_bn=True)
    result.write(folder / "net.py")
    sizes = [7 if n is None else n for n in model.input_shape[1:]]
    inputs = np.random.default_rng(0).normal(size=(3, *sizes))
    got = run(load_net(folder / "net.py").load(), result, [inputs])
    return result.source, got, [np.asarray(model(inputs, training=False))]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", FOLDED)
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"scale": False, "center": False}])
def test_a_layer_takes_up_the_normalization_behind_it(
    keras: Any, tmp_path: Path, name: str, options: dict[str, bool]
) -> None:
    shape, build, left = FOLDED[name]
    x = keras.Input(shape)
    y = keras.layers.ReLU()(keras.layers.BatchNormalization(**options)(build(keras.layers, x)))
    source, got, want = converted(keras, tmp_path, keras.Model(x, y))
    assert source.count("nn.BatchNorm") == left
    assert_close(got[0], want[0])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("shape", "build", "left"),
    [
        ((9, 8, 4), lambda layers, x: layers.Conv2D(6, 3, groups=2)(x), 0),
        ((9, 8, 4), lambda layers, x: layers.DepthwiseConv2D(3, strides=2)(x), 0),
        ((9, 8, 4), lambda layers, x: layers.Conv2D(6, 3, padding="same")(x), 1),
        ((7,), lambda layers, x: layers.Dense(4, use_bias=False)(x), 0),
        ((5, 7), lambda layers, x: layers.Dense(4)(x), 0),
    ],
)
def test_a_layer_takes_up_the_normalization_in_front_where_nothing_pads(
    keras: Any, tmp_path: Path, shape: tuple[int, ...], build: Build, left: int
) -> None:
    x = keras.Input(shape)
    model = keras.Model(x, build(keras.layers, keras.layers.BatchNormalization()(keras.layers.ReLU()(x))))
    source, got, want = converted(keras, tmp_path, model)
    assert source.count("nn.BatchNorm") == left
    assert_close(got[0], want[0])


@pytest.mark.usefixtures("float64")
def test_only_what_belongs_together_is_folded(keras: Any, tmp_path: Path) -> None:
    x = keras.Input((9, 8, 3))
    shared = keras.layers.Conv2D(3, 3, padding="same", name="shared")
    twice = keras.layers.BatchNormalization(name="twice")(shared(x))
    again = keras.layers.BatchNormalization(name="again")(shared(twice))
    seen = keras.layers.Conv2D(3, 3, padding="same", name="seen")(again)
    normalized = keras.layers.BatchNormalization(name="beside")(seen)
    pair = keras.layers.Conv2D(3, 1, name="pair")
    both = keras.layers.BatchNormalization(name="both")
    y = both(pair(keras.layers.Add()([seen, normalized])))
    y = keras.layers.Add()([both(pair(keras.layers.ReLU()(y))), y])
    source, got, want = converted(keras, tmp_path, keras.Model(x, y))
    kept = [name for name in ("twice", "again", "beside", "both") if f"self.{name} = nn.BatchNorm2d" in source]
    assert kept == ["twice", "again", "beside"]
    assert_close(got[0], want[0])


def test_a_folded_module_is_verified_in_float64_too(keras: Any, tmp_path: Path) -> None:
    x = keras.Input((9, 8, 3))
    y = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(x))
    model = keras.Model(x, keras.layers.ReLU()(y))
    randomize(model)
    model.save(tmp_path / "net.keras")
    k2t.convert(tmp_path / "net.keras", fold_bn=True).write(tmp_path / "net.py")
    parity = k2t.verify(tmp_path / "net.py", str(tmp_path / "net.keras"))
    assert parity.ok, parity
    source = (tmp_path / "net.py").read_text()
    assert "options: --fold-bn\n" in source
    assert "init_weights" not in source  # it cannot be trained
    network = load_net(tmp_path / "net.py").load()
    assert {str(tensor.dtype) for tensor in network.state_dict().values()} == {"torch.float32"}
