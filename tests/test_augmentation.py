"""Augmentation in training: where only one outcome is possible, it is Keras's; else it is one of the possible ones."""

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
]


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


def test_what_has_no_translation_says_so_in_training(keras: Any, tmp_path: Path) -> None:
    net = training_net(keras, "RandomHue", {"factor": 0.2}, tmp_path)
    with pytest.raises(NotImplementedError, match=r"random_hue.* cannot be trained with"):
        run(net, images())
