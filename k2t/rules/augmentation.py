"""Augmentation of images: nothing in evaluation; in training as in Keras, or an error."""

from __future__ import annotations

import inspect
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Value
from k2t.rules.base import example, refuse, require, rule
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry

Bounds = tuple[float, float]
IMAGE = (6, 5, 3)
FIRST = (3, 6, 5)
# Keras's fill_mode -> padding of F.grid_sample, or of F.pad.
FILL_MODES = {"reflect": "reflection", "nearest": "border", "constant": "zeros", "wrap": "circular"}


def bounds(factor: Any, offset: float = 0.0, scale: float = 1.0) -> Bounds:
    """The limits of a random number: a pair, or one number for both sides of 0."""
    low, high = sorted(factor) if isinstance(factor, list | tuple) else (-abs(factor), abs(factor))
    return offset + scale * low, offset + scale * high


def augment(
    b: Builder, x: Value, call: str, *args: Any, data_format: str | None, training: Any, **options: Any
) -> Value:
    """A local module on images, which follows the mode of the network as Keras 3 has it, whatever the call says."""
    if b.layer.keras_2 and training is False:
        return x
    if b.layer.keras_2 and training:
        raise UntranslatableError("is called with training=True: it would change images at inference too, at random")
    return b.call(b.module(call, *args, **options), x, layout=Geometry(x, 2, data_format).layout)


FLIPS = {"horizontal": (3,), "vertical": (2,), "horizontal_and_vertical": (2, 3)}


@rule("RandomFlip", examples=[example(IMAGE), example(FIRST, mode="vertical", data_format="channels_first")])
def random_flip(
    b: Builder,
    x: Value,
    *,
    mode: str = "horizontal_and_vertical",
    seed: int | None = None,
    data_format: str | None = None,
    bounding_box_format: str | None = None,
    training: bool | None = None,
) -> Value:
    """A local module: .flip for some images."""
    require(mode, tuple(FLIPS), "mode")
    return augment(b, x, "RandomFlip", FLIPS[mode], data_format=data_format, training=training)


@rule("RandomBrightness", examples=[example(IMAGE, factor=0.2), example(IMAGE, factor=[0.1, 0.3], value_range=[0, 1])])
def random_brightness(
    b: Builder,
    x: Value,
    *,
    factor: Any,
    value_range: Any = (0, 255),
    seed: int | None = None,
    data_format: str | None = None,
    bounding_box_format: str | None = None,
    training: bool | None = None,
) -> Value:
    """A local module: + and clamp."""
    low, high = value_range
    limits = bounds(factor, scale=high - low)
    options = {} if (low, high) == (0, 255) else {"value_range": (low, high)}
    return augment(b, x, "RandomBrightness", *limits, data_format=data_format, training=training, **options)


@rule("RandomContrast", examples=[example(IMAGE, factor=0.2), example(IMAGE, factor=[0.1, 0.3], value_range=[0, 1])])
def random_contrast(
    b: Builder,
    x: Value,
    *,
    factor: Any,
    value_range: Any = (0, 255),
    seed: int | None = None,
    data_format: str | None = None,
    bounding_box_format: str | None = None,
    training: bool | None = None,
) -> Value:
    """A local module: differences from the mean, larger or smaller."""
    below, above = factor if isinstance(factor, list | tuple) else (factor, factor)
    low, high = value_range
    options = {} if (low, high) == (0, 255) else {"value_range": (low, high)}
    limits = (1.0 - below, 1.0 + above)
    return augment(b, x, "RandomContrast", *limits, data_format=data_format, training=training, **options)


def outside(fill_mode: str, fill_value: float, interpolation: str) -> dict[str, Any]:
    """The options of `RandomAffine` for what lies outside of the image, and between its pixels."""
    require(fill_mode, tuple(FILL_MODES), "fill_mode")
    require(interpolation, ("bilinear", "nearest"), "interpolation")
    options: dict[str, Any] = {} if interpolation == "bilinear" else {"interpolation": interpolation}
    options |= {} if fill_mode == "reflect" else {"mode": FILL_MODES[fill_mode]}
    return options | ({"value": fill_value} if fill_mode == "constant" and fill_value else {})


@rule("RandomRotation", examples=[example(IMAGE, factor=0.2), example(FIRST, factor=0.1, data_format="channels_first")])
def random_rotation(
    b: Builder,
    x: Value,
    *,
    factor: Any,
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
    seed: int | None = None,
    fill_value: float = 0.0,
    data_format: str | None = None,
    bounding_box_format: str | None = None,
    training: bool | None = None,
) -> Value:
    """A local module: F.grid_sample."""
    options = {"angle": bounds(factor), **outside(fill_mode, fill_value, interpolation)}
    return augment(b, x, "RandomAffine", data_format=data_format, training=training, **options)


@rule(
    "RandomTranslation",
    examples=[example(IMAGE, height_factor=0.2, width_factor=[-0.1, 0.3], fill_mode="constant", fill_value=0.5)],
)
def random_translation(
    b: Builder,
    x: Value,
    *,
    height_factor: Any,
    width_factor: Any,
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
    seed: int | None = None,
    fill_value: float = 0.0,
    data_format: str | None = None,
    bounding_box_format: str | None = None,
    training: bool | None = None,
) -> Value:
    """A local module: F.grid_sample."""
    options = {"height_shift": bounds(height_factor), "width_shift": bounds(width_factor)}
    options |= outside(fill_mode, fill_value, interpolation)
    return augment(b, x, "RandomAffine", data_format=data_format, training=training, **options)


@rule("RandomZoom", examples=[example(IMAGE, height_factor=0.2), example(IMAGE, height_factor=0.2, width_factor=0.1)])
def random_zoom(
    b: Builder,
    x: Value,
    *,
    height_factor: Any,
    width_factor: Any = None,
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
    seed: int | None = None,
    fill_value: float = 0.0,
    data_format: str | None = None,
    bounding_box_format: str | None = None,
    training: bool | None = None,
) -> Value:
    """A local module: F.grid_sample."""
    options: dict[str, Any] = {"height_zoom": bounds(height_factor, 1.0)}
    options |= {} if width_factor is None else {"width_zoom": bounds(width_factor, 1.0)}
    options |= outside(fill_mode, fill_value, interpolation)
    return augment(b, x, "RandomAffine", data_format=data_format, training=training, **options)


# What has no translation for training -> its options, those of every augmentation apart.
INFERENCE_ONLY = {
    "AugMix": "value_range num_chains chain_depth factor alpha all_ops interpolation",
    "CutMix": "factor",
    "MixUp": "alpha",
    "RandAugment": "value_range num_ops factor interpolation",
    "RandomColorDegeneration": "factor value_range",
    "RandomColorJitter": "value_range brightness_factor contrast_factor saturation_factor hue_factor",
    "RandomElasticTransform": "factor scale interpolation fill_mode fill_value value_range",
    "RandomErasing": "factor scale fill_value value_range",
    "RandomGaussianBlur": "factor kernel_size sigma value_range",
    "RandomGrayscale": "factor",
    "RandomHue": "factor value_range",
    "RandomInvert": "factor value_range",
    "RandomPerspective": "factor scale interpolation fill_value",
    "RandomPosterization": "factor value_range",
    "RandomSaturation": "factor value_range",
    "RandomSharpness": "factor value_range",
    "RandomShear": "x_factor y_factor interpolation fill_mode fill_value",
    "Solarization": "addition_factor threshold_factor value_range",
}


def inference_only(kind: str, options: str) -> Any:
    """The rule of an augmentation that is translated for inference only."""

    def translate(
        b: Builder, x: Value, *, data_format: str | None = None, training: bool | None = None, **options: Any
    ) -> Value:
        return augment(b, x, "InferenceOnly", f"{b.layer.name} ({kind})", data_format=data_format, training=training)

    own = [item for item in inspect.signature(translate).parameters.values() if item.kind != item.VAR_KEYWORD]
    names = [*options.split(), "seed", "bounding_box_format"]
    extra = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in names]
    translate.__signature__ = inspect.Signature([*own, *extra])  # type: ignore[attr-defined]
    translate.__doc__ = "A local module that does nothing in evaluation, and cannot be trained with."
    return translate


for _kind, _options in INFERENCE_ONLY.items():
    _required = (
        {"factor": 4} if _kind == "RandomPosterization" else {"factor": 0.5} if "factor" in _options.split() else {}
    )
    rule(_kind, examples=[example(IMAGE, **_required)])(inference_only(_kind, _options))


refuse(
    "RandomCrop",
    "does not crop in evaluation: Keras 3 does nothing, Keras 2 resizes; crop before the network, with your data",
)
