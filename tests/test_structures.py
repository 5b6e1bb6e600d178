"""Models of every shape of graph: nested, shared, several inputs and outputs, saved in both formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
import torch

import k2t

Builder = Callable[[Any], Any]
MODELS: dict[str, Builder] = {}


def model(function: Builder) -> Builder:
    MODELS[function.__name__] = function
    return function


@model
def nested_model_called_once(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((8, 9, 3)), layers.Conv2D(4, 3, strides=2, padding="same"), layers.ReLU()])
    x = keras.Input((8, 9, 3))
    return keras.Model(x, layers.Dense(3, activation="softmax")(layers.Flatten()(inner(x))))


@model
def siamese_model(keras: Any) -> Any:
    layers = keras.layers
    inner_input = keras.Input((8, 9, 3))
    y = layers.BatchNormalization()(layers.Conv2D(4, 3)(inner_input))
    encoder = keras.Model(inner_input, layers.Dense(5)(layers.Flatten()(y)), name="encoder")
    left, right = keras.Input((8, 9, 3), name="left"), keras.Input((8, 9, 3), name="right")
    return keras.Model([left, right], layers.Dot(axes=1, normalize=True)([encoder(left), encoder(right)]))


@model
def nested_twice_deep(keras: Any) -> Any:
    layers = keras.layers
    deep = keras.Sequential([layers.Dense(4), layers.BatchNormalization()], name="deep")
    middle = keras.Sequential([deep, layers.Dense(4, activation="tanh")], name="middle")
    x = keras.Input((6,))
    return keras.Model(x, layers.Dense(2)(middle(x)))


@model
def shared_convolution_on_two_sizes(keras: Any) -> Any:
    layers = keras.layers
    conv = layers.Conv2D(3, 3, strides=2, padding="same", name="conv")
    x = keras.Input((9, 8, 3))
    pool = layers.GlobalAveragePooling2D()
    first = conv(x)
    return keras.Model(x, layers.Concatenate()([pool(first), pool(conv(first))]))


@model
def several_outputs_as_a_dict(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((5,), name="x")
    y = layers.Dense(4, activation="relu")(x)
    return keras.Model(x, {"b": layers.Dense(2, activation="softmax")(y), "a": layers.Dense(3)(y)})


@model
def several_inputs_as_a_dict(keras: Any) -> Any:
    layers = keras.layers
    inputs = {"second": keras.Input((5,), name="second"), "first": keras.Input((4, 3), name="first")}
    y = layers.Concatenate()([layers.Flatten()(inputs["first"]), inputs["second"]])
    return keras.Model(inputs, [layers.Dense(2)(y), y])


@model
def an_input_that_is_an_output(keras: Any) -> Any:
    x = keras.Input((4, 5, 3))
    return keras.Model(x, [x, keras.layers.Conv2D(2, 3)(x)])


@model
def frozen_part(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(3, 3), layers.BatchNormalization(), layers.ReLU()], name="inner"
    )
    inner.trainable = False
    return keras.Sequential([keras.Input((6, 6, 2)), inner, layers.GlobalMaxPooling2D(), layers.Dense(2)])


@model
def frozen_layer_in_a_nested_model(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(6), layers.BatchNormalization(), layers.Dense(6)])
    inner.layers[0].trainable = False
    return keras.Sequential([keras.Input((6,)), inner, layers.Dense(2)])


@model
def names_that_are_no_identifiers(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((4,), name="class")
    y = layers.Dense(4, name="2nd-layer.with dots")(x)
    y = layers.Dense(4, name="forward")(y)
    y = layers.Dense(4, name="schicht_äöü")(y)
    return keras.Model(x, layers.Dense(4, name="import")(y), name="def")


@model
def unet(keras: Any) -> Any:
    layers = keras.layers
    x = inputs = keras.Input((None, None, 3))
    skips = []
    for filters in (4, 6):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        skips.append(x)
        x = layers.MaxPooling2D(padding="same")(x)
    x = layers.Conv2D(8, 3, padding="same")(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


@model
def inverted_residuals(keras: Any) -> Any:
    """With squeeze and excitation, and one activation or the other."""
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 3))
    blocks = ((4, "relu", 1), (4, "relu", 1), (6, "hard_silu", 2), (6, "hard_silu", 1), (6, "hard_silu", 1))
    for i, (width, activation, stride) in enumerate(blocks):
        before, name = x, f"block{i}"
        x = layers.Conv2D(2 * x.shape[-1], 1, activation=activation, name=f"{name}_expand")(x)
        x = layers.DepthwiseConv2D(3, stride, "same", activation=activation, name=f"{name}_depthwise")(x)
        y = layers.Conv2D(x.shape[-1], 1, name=f"{name}_gate")(layers.GlobalAveragePooling2D(keepdims=True)(x))
        x = layers.Multiply()([x, layers.ReLU(6.0)(y + 3.0) * (1 / 6)])
        x = layers.Conv2D(width, 1, name=f"{name}_project")(x)
        x = layers.Add()([before, x]) if before.shape == x.shape else x
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def two_calls_of_a_convolution(keras: Any, *shapes: tuple[int, ...]) -> Any:
    conv, pool = keras.layers.Conv2D(3, 3, strides=2, padding="same"), keras.layers.GlobalAveragePooling2D()
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, keras.layers.Add()([pool(conv(x)) for x in inputs]))


@pytest.mark.parametrize(("second", "fixed"), [((8, 8, 3), True), ((9, 8, 3), False)])
def test_a_shared_layer_pads_by_the_size_only_where_its_calls_differ(
    second: tuple[int, ...], fixed: bool, keras: Any, tmp_path: Path
) -> None:
    two_calls_of_a_convolution(keras, (8, 8, 3), second).save(tmp_path / "model.keras")
    source = k2t.convert(tmp_path / "model.keras").source
    assert ("(0, 1, 0, 1)" in source) == fixed
    assert ("Conv2dSame" in source) != fixed


def test_an_activation_that_differs_is_a_parameter_of_the_block(keras: Any, tmp_path: Path) -> None:
    inverted_residuals(keras).save(tmp_path / "model.keras")
    source = k2t.convert(tmp_path / "model.keras").source
    assert source.count("class ") == 2
    assert "activation: Callable[[Tensor], Tensor] = F." in source
    assert "self.residual = in_channels == " in source
    assert "if stride != 1 else nn.Identity()" in source
    assert "F.hardsigmoid(" in source
    assert "relu6" not in source


def test_a_model_that_ends_in_a_nested_classifier_has_logits(keras: Any, tmp_path: Path) -> None:
    layers, x = keras.layers, keras.Input((4,))
    parts = [layers.Dense(8, activation="relu", name="hidden"), layers.Dense(3, activation="softmax", name="classes")]
    head = keras.Sequential([keras.Input((4,)), *parts], name="head")
    keras.Model(x, head(layers.Dense(4)(x))).save(tmp_path / "model.keras")
    result = k2t.convert(tmp_path / "model.keras")
    result.write(tmp_path / "net.py")
    net = parity.load_net(tmp_path / "net.py").load().double()
    ones = torch.ones(2, 4, dtype=torch.float64)
    assert net.logits(ones).softmax(1).equal(net(ones))
    found = k2t.verify(tmp_path / "net.py", tmp_path / "model.keras")
    assert found.ok
    assert [row.kind for row in found.outputs] == ["output", "logits", "logits"]
    assert "head/hidden" in [row.name for row in found.layers]


def inputs_for(built: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 1, (3, *(n or 10 for n in x.shape[1:]))) for x in built.inputs]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_parity(name: str, suffix: str, keras: Any, float64: None, tmp_path: Path) -> None:
    built = MODELS[name](keras)
    parity.randomize(built)
    path = tmp_path / f"model{suffix}"
    try:
        built.save(path)
    except ValueError as error:
        pytest.skip(f"Keras cannot save it: {error}")
    result = k2t.convert(path)
    result.write(tmp_path / "net.py")
    net = parity.load_net(tmp_path / "net.py").load()
    inputs = inputs_for(built)
    named = {x.name: array for x, array in zip(built.inputs, inputs, strict=True)}
    given = named if "as_a_dict" in name and len(named) > 1 else list(named.values())
    want = parity.flatten(built(given if len(inputs) > 1 else inputs[0], training=False))
    for got, expected in zip(parity.run(net, result, inputs), want, strict=True):
        parity.assert_close(got, keras.ops.convert_to_numpy(expected))
    trained = sum(int(np.prod(v.shape)) for v in built.trainable_weights)
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == trained
    assert result.parameters == built.count_params()
