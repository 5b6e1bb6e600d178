"""A dozen of the networks of keras.applications; `python tests/applications.py` runs all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import applications
import numpy as np
import pytest
import torch
from parity import load_net

import k2t

# Two for each block between convolutions and LayerNormalization, one for the stem and for each of three downsamplings.
CONVNEXT_TINY = 2 * 18 + 1 + 3

CASES = [
    ("keras", "ConvNeXtTiny", ".keras", CONVNEXT_TINY),
    ("keras", "DenseNet121", ".h5", 0),
    ("keras", "EfficientNetB0", ".h5", 0),
    ("keras", "EfficientNetV2B0", ".keras", 0),
    ("keras", "InceptionV3", ".keras", 0),
    ("keras", "MobileNet", ".h5", 0),
    ("keras", "MobileNetV3Small", ".keras", 0),
    ("keras", "NASNetMobile", ".h5", 0),
    ("keras", "ResNet50V2", ".keras", 0),
    ("tf_keras", "EfficientNetB0", ".h5", 0),
    ("tf_keras", "MobileNetV2", ".h5", 0),
    ("tf_keras", "ResNet50", ".h5", 0),
]


@pytest.mark.parametrize(("library", "name", "suffix", "permutes"), CASES)
def test_logits_agree_with_the_fewest_permutes_and_flat_bit_for_bit(
    library: str, name: str, suffix: str, permutes: int, tmp_path: Path
) -> None:
    pytest.importorskip(library)
    with applications.float64(library) as keras:
        model = applications.build(keras, name)
        case = applications.check(keras, model, tmp_path / f"net{suffix}")
        images = applications.images(model, 2, np.random.default_rng(1))
    assert case.ok, case
    flat = k2t.convert(tmp_path / f"net{suffix}", flat=True)
    assert flat.source.count(".permute(") == permutes
    flat.write(tmp_path / "flat.py")
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        recovered, plain = (load_net(tmp_path / f"{file}.py").load().float()(x) for file in ("net", "flat"))
    assert torch.equal(recovered, plain)


def test_a_unet_has_no_permute(tmp_path: Path) -> None:
    with applications.float64("keras") as keras:
        case = applications.check(keras, unet(keras), tmp_path / "unet.keras")
    assert case.ok, case
    assert ".permute(" not in case.source


def test_squeeze_and_excitation_keeps_the_axes_that_it_reduces(tmp_path: Path) -> None:
    with applications.float64("keras") as keras:
        layers = keras.layers
        x = inputs = keras.Input((6, 7, 4))
        for squeeze in (layers.GlobalAveragePooling2D(), layers.GlobalMaxPooling2D()):
            scale = layers.Conv2D(4, 1, activation="sigmoid")(layers.Reshape((1, 1, 4))(squeeze(x)))
            x = layers.Multiply()([x, scale])
        model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
        applications.randomize(model)
        case = applications.check(keras, model, tmp_path / "excited.keras")
    assert case.ok, case
    assert case.source.count("keepdim=True") == 2
    assert ".reshape(" not in case.source


def unet(keras: Any) -> Any:
    """Two levels, with transposed and resizing upsampling."""
    layers = keras.layers
    x = inputs = keras.Input((20, 24, 3))
    skips = []
    for filters in (4, 8):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        skips.append(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D()(skips[-1])
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(8, 2, strides=2, padding="same")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.Concatenate()([x, skips[1]]))
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Concatenate()([skips[0], x]))
    model = keras.Model(inputs, layers.Conv2D(5, 1, activation="softmax")(x))
    applications.randomize(model)
    return model
