"""One step of training: what is trained, its gradients and the moving statistics, in float64 against the reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest

import k2t
from k2t.pipeline import Result
from k2t.verify.training import Training, compare_training

LIMIT = 1e-9
Build = Callable[[Any], Any]


def convolutional(keras: Any) -> Any:
    layers = keras.layers
    x = inputs = keras.Input((9, 8, 3))
    x = layers.Conv2D(5, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.ReLU()(x)
    x = layers.SeparableConv2D(6, 3, depth_multiplier=2)(x)
    x = layers.BatchNormalization(scale=False, epsilon=1e-5)(x)
    x = layers.Add()([x, layers.Conv2D(6, 1)(layers.Cropping2D(1)(inputs))])
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Dropout(0.4)(x)))


def recurrent(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(11, 5, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.GRU(6)(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def partly_frozen(keras: Any) -> Any:
    layers = keras.layers
    x = inputs = keras.Input((9, 8, 3))
    x = layers.Conv2D(5, 3, trainable=False)(x)
    x = layers.BatchNormalization(trainable=False)(x)
    base = keras.Model(inputs, layers.BatchNormalization()(layers.Conv2D(4, 3)(x)), name="base")
    base.trainable = False
    x = layers.GlobalAveragePooling2D()(base(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.BatchNormalization()(x)))


MODELS = (convolutional, recurrent, partly_frozen)


@pytest.fixture(params=["keras", "tf_keras"])
def library(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def save(library: Any, build: Build, folder: Path) -> tuple[Any, Path, Result]:
    library.backend.clear_session()
    model = build(library)
    parity.randomize(model)
    path = folder / ("model.keras" if library.__name__ == "keras" else "model.h5")
    model.save(path)
    result = k2t.convert(path)
    result.write(folder / "net.py")
    return model, path, result


@pytest.mark.parametrize("build", MODELS)
def test_gradients_agree(library: Any, build: Build, tmp_path: Path) -> None:
    model, path, _ = save(library, build, tmp_path)
    training: Training = compare_training(tmp_path / "net.py", path)
    trained = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert training.parameters == trained
    assert [row for row in training.rows if row.problem or row.gradient > LIMIT] == []


@pytest.mark.parametrize("build", MODELS)
def test_parameters_and_flags_agree(library: Any, build: Build, tmp_path: Path) -> None:
    model, _, result = save(library, build, tmp_path)
    net = parity.load_net(tmp_path / "net.py").load()
    parameters = {flag: sum(p.numel() for p in net.parameters() if p.requires_grad is flag) for flag in (True, False)}
    statistics = sum(buffer.numel() for buffer in net.buffers() if buffer.is_floating_point())
    constants = sum(tensor.size // 4 for tensor in result.tensors if not tensor.weight.variables)
    assert parameters[True] == sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert parameters[True] + parameters[False] + statistics == model.count_params() + constants


@pytest.mark.parametrize("shape", [(5,), (4, 5), (6, 7, 5)])
def test_moving_statistics_follow_keras_but_for_bessels_correction(
    shape: tuple[int, ...], keras: Any, float64: None, tmp_path: Path
) -> None:
    """PyTorch's variance moves to an estimate of the population's, n / (n - 1) times that of the batch."""
    import torch

    model = keras.Sequential([keras.Input(shape), keras.layers.BatchNormalization(momentum=0.8)])
    parity.randomize(model)
    model.save(tmp_path / "model.keras")
    result = k2t.convert(tmp_path / "model.keras")
    result.write(tmp_path / "net.py")
    net = parity.load_net(tmp_path / "net.py").load().train()
    x = np.random.default_rng(0).normal(1, 2, (4, *shape))
    before = model.layers[0].get_weights()[3]
    model(x, training=True)
    _, _, mean, variance = model.layers[0].get_weights()
    tensor = torch.from_numpy(x)
    net(tensor.permute(result.inputs[0].permute) if result.inputs[0].permute else tensor)
    module = next(net.children())
    count = x.size // shape[-1]
    parity.assert_close(module.running_mean.numpy(), mean)
    biased = before * 0.8 + (module.running_var.numpy() - before * 0.8) * (count - 1) / count
    parity.assert_close(biased, variance)
