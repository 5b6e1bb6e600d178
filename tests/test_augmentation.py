"""Augmentation in training: a certain outcome is Keras's; random ones have the distribution of Keras's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
import torch

import k2t

SHAPE = (9, 7, 3)
# Keras turns, moves and zooms in float32.
TOLERANCE = 1e-5

CERTAIN = [
    ("RandomRotation", {"factor": (0.125, 0.125)}),
    ("RandomRotation", {"factor": (-0.3, -0.3), "fill_mode": "wrap"}),
    ("RandomRotation", {"factor": (0.2, 0.2), "fill_mode": "constant", "fill_value": 5.0}),
    ("RandomZoom", {"height_factor": (0.5, 0.5), "fill_mode": "nearest"}),
    ("RandomZoom", {"height_factor": (0.25, 0.25), "width_factor": (-0.5, -0.5)}),
    ("RandomTranslation", {"height_factor": (0.25, 0.25), "width_factor": (-0.5, -0.5), "fill_mode": "wrap"}),
    ("RandomTranslation", {"height_factor": (-0.5, -0.5), "width_factor": (0.125, 0.125)}),
    ("RandomBrightness", {"factor": (0.25, 0.25), "value_range": (0.0, 2.0)}),
    ("RandomContrast", {"factor": (0.0, 0.0), "value_range": (-1.0, 1.0)}),
    ("RandomColorDegeneration", {"factor": (0.25, 0.25), "value_range": (-9.0, 9.0)}),
    ("RandomSharpness", {"factor": (0.75, 0.75), "value_range": (-9.0, 9.0)}),
    ("RandomSaturation", {"factor": (0.25, 0.25), "value_range": (0.0, 1.0)}),
    ("RandomInvert", {"factor": (1.0, 1.0), "value_range": (0.0, 1.0)}),
    ("RandomGrayscale", {"factor": 1.0}),
    ("Solarization", {"addition_factor": 0.0, "threshold_factor": 0.0, "value_range": (0.0, 1.0)}),
    ("RandomGaussianBlur", {"factor": (1.0, 1.0), "kernel_size": (3, 5), "sigma": (0.5, 0.5)}),
]
# Kind -> options with which it changes images.
ANY: dict[str, dict[str, Any]] = {
    "AugMix": {"value_range": (0, 1)},
    "CutMix": {},
    "MixUp": {"alpha": 2.0},
    "RandAugment": {"num_ops": 9, "value_range": (0, 1)},
    "RandomColorJitter": {"brightness_factor": 0.3, "contrast_factor": 0.3, "hue_factor": 0.2, "value_range": (0, 1)},
    "RandomElasticTransform": {"scale": (0.5, 1.0)},
    "RandomErasing": {},
    "RandomGaussianBlur": {"sigma": 0.9},
    "RandomGrayscale": {"factor": 0.9},
    "RandomHue": {"factor": 0.3, "value_range": (0, 1)},
    "RandomInvert": {},
    "RandomPerspective": {},
    "RandomPosterization": {"factor": 4},
    "RandomSaturation": {"factor": 0.3, "value_range": (0, 1)},
    "RandomSharpness": {"factor": 0.3},
    "RandomShear": {"x_factor": 0.4, "y_factor": 0.3},
    "Solarization": {"addition_factor": 0.3, "threshold_factor": 0.3, "value_range": (0, 1)},
}
DRAWN: list[tuple[str, dict[str, Any]]] = [
    *((kind, ANY[kind]) for kind in ANY if kind not in ("RandAugment", "AugMix")),
    ("RandomErasing", {"factor": 0.5, "fill_value": 0.7, "scale": (0.1, 0.5), "value_range": (0, 1)}),
    ("RandomPosterization", {"factor": (1, 5), "value_range": (0, 1)}),
    ("RandomSaturation", {"factor": (0.1, 0.9), "value_range": (0, 1)}),
    ("RandomPerspective", {"factor": 0.5, "scale": 0.4}),
    ("RandomShear", {"x_factor": (0.1, 0.4), "fill_mode": "constant"}),
]
DRAWS = 120


def statistics(y: np.ndarray) -> np.ndarray:
    """Numbers that tell distributions of images apart: of the first image, and at places of it."""
    return np.array([y[0].mean(), y[0].std(), *y[0].mean((0, 1)), y[0, 2, 3, 0], y[0, 4, 4, 1]])


def training_net(keras: Any, kind: str, options: dict[str, Any], folder: Path) -> Any:
    inputs = keras.Input(SHAPE)
    keras.Model(inputs, getattr(keras.layers, kind)(**options)(inputs)).save(folder / "model.keras")
    k2t.convert(folder / "model.keras").write(folder / "net.py")
    return parity.load_net(folder / "net.py").load().double().train()


def images() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (4, *SHAPE))


def run(net: Any, x: np.ndarray) -> np.ndarray:
    output: torch.Tensor = net(torch.from_numpy(x).permute(0, 3, 1, 2))
    return output.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize(("kind", "options"), CERTAIN, ids=str)
def test_a_certain_outcome_is_that_of_keras(kind: str, options: dict[str, Any], keras: Any, tmp_path: Path) -> None:
    x = images()
    wanted = np.asarray(getattr(keras.layers, kind)(**options)(x.astype("float32"), training=True))
    assert np.abs(run(training_net(keras, kind, options, tmp_path), x) - wanted).max() < TOLERANCE


def test_half_of_the_images_are_mirrored(keras: Any, tmp_path: Path) -> None:
    net, x = training_net(keras, "RandomFlip", {"mode": "horizontal"}, tmp_path), images()
    mirrored = [
        bool((y == x[i, :, ::-1]).all()) for _ in range(100) for i, y in enumerate(run(net, x)) if (y != x[i]).any()
    ]
    assert all(mirrored)
    assert 140 < len(mirrored) < 260


def test_contrast_differs_between_its_bounds(keras: Any, tmp_path: Path) -> None:
    net = training_net(keras, "RandomContrast", {"factor": (0.5, 0.25), "value_range": (-99, 99)}, tmp_path)
    x = images()
    ratios = np.concatenate([(run(net, x).std((1, 2)) / x.std((1, 2))).ravel() for _ in range(50)])
    below, above = sorted((0.5, 0.25))
    assert 1 - below <= ratios.min() < 1 - 0.9 * below
    assert 1 + 0.9 * above < ratios.max() <= 1 + above + 1e-12


def test_every_augmentation_trains(keras: Any, tmp_path: Path) -> None:
    x = np.abs(images())
    for kind, options in ANY.items():
        net = training_net(keras, kind, options, tmp_path)
        changed = [run(net, x) for _ in range(10)]
        assert all(np.isfinite(y).all() for y in changed), kind
        assert any((y != x).any() for y in changed), kind


@pytest.mark.parametrize(("kind", "options"), DRAWN, ids=str)
def test_random_outcomes_have_the_distribution_of_keras(
    kind: str, options: dict[str, Any], keras: Any, tmp_path: Path
) -> None:
    tf = pytest.importorskip("tensorflow")
    keras.utils.set_random_seed(0)
    torch.manual_seed(0)
    x = np.abs(images()).astype("float32") / 4
    layer = getattr(keras.layers, kind)(**options)
    draw = tf.function(lambda: layer(x, training=True))
    theirs = np.stack([statistics(draw().numpy()) for _ in range(DRAWS)])
    net = training_net(keras, kind, options, tmp_path)
    ours = np.stack([statistics(run(net, x.astype("float64"))) for _ in range(DRAWS)])
    error = np.sqrt((theirs.var(0) + ours.var(0)) / DRAWS) + TOLERANCE
    assert (np.abs(theirs.mean(0) - ours.mean(0)) < 5 * error).all()
    spread = theirs.std(0) + ours.std(0) + TOLERANCE
    assert (np.abs(theirs.std(0) - ours.std(0)) / spread < 0.35).all()


def test_a_crop_is_a_part_of_the_images(keras: Any, tmp_path: Path) -> None:
    net, x = training_net(keras, "RandomCrop", {"height": 4, "width": 5}, tmp_path), images()
    parts = {(i, j): x[:, i : i + 4, j : j + 5] for i in range(6) for j in range(3)}
    found = set()
    for _ in range(200):
        y = run(net, x)
        found |= {place for place, part in parts.items() if np.allclose(part, y)}
    assert found == parts.keys()


def test_equalization_is_that_of_keras(keras: Any) -> None:
    from k2t.emit.helpers.colours import Equalization

    x = np.random.default_rng(0).integers(0, 200, (2, 9, 7, 3)).astype("float32")
    for options in ({}, {"bins": 16}, {"value_range": (0, 199)}):
        wanted = np.asarray(keras.layers.Equalization(**options)(x, training=True))
        assert np.abs(run(Equalization(**options), x) - wanted).max() < 1e-4


def test_tf_keras_crops_at_random_and_resizes_in_evaluation(tmp_path: Path) -> None:
    import tf_keras

    x = tf_keras.Input((9, 8, 3))
    y = tf_keras.layers.RandomCrop(4, 5)(x)
    y = tf_keras.layers.RandomHeight(0.2)(y)
    model = tf_keras.Model(x, tf_keras.layers.RandomWidth((0.3, 0.5))(y))
    model.save(tmp_path / "model.h5")
    k2t.convert(tmp_path / "model.h5").write(tmp_path / "net.py")
    net = parity.load_net(tmp_path / "net.py").load()
    given = np.random.default_rng(0).normal(0, 1, (2, 9, 8, 3)).astype("float32")
    assert np.abs(run(net, given) - model.predict(given, verbose=0)).max() < TOLERANCE
    height, width = run(net.train(), given).shape[1:3]
    assert 3 <= height <= 4
    assert 6 <= width <= 7
