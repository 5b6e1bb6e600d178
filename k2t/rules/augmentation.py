"""Augmentation of images: nothing in evaluation; in training at random as in Keras."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from k2t.errors import UntranslatableError
from k2t.program import Module, Value
from k2t.rules.base import Example, example, require, rule
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry

Bounds = tuple[float, float]
IMAGE = (6, 5, 3)
FIRST = (3, 6, 5)
# Keras's fill_mode -> padding of F.grid_sample, or of F.pad.
FILL_MODES = {"reflect": "reflection", "nearest": "border", "constant": "zeros", "wrap": "circular"}
USUAL_RANGE = (0, 255)


def bounds(factor: Any, offset: float = 0.0, scale: float = 1.0) -> Bounds:
    """The limits of a random number: a pair, or one number for both sides of 0."""
    low, high = sorted(factor) if isinstance(factor, list | tuple) else (-abs(factor), abs(factor))
    return offset + scale * low, offset + scale * high


def upwards(factor: Any, scale: float = 1.0) -> Bounds:
    """The limits of a random number that is not negative: a pair, or 0 and one number."""
    low, high = sorted(factor) if isinstance(factor, list | tuple) else (0.0, abs(factor))
    return low, scale * high


def in_range(value_range: Any) -> dict[str, Any]:
    """The option for values that are not 0 to 255."""
    low, high = sorted(value_range)
    return {} if (low, high) == USUAL_RANGE else {"value_range": (low, high)}


def part(call: str, *args: Any, **options: Any) -> Module:
    """A local module."""
    return Module(call, args, options)


def augment(
    b: Builder, x: Value, part: Module, *, data_format: str | None, training: bool | None, role: str = ""
) -> Value:
    """A local module on images, which follows the mode of the network as Keras 3 has it, whatever the call says."""
    if b.layer.keras_2 and training is False:
        return x
    if b.layer.keras_2 and training:
        raise UntranslatableError("is called with training=True: it would change images at inference too, at random")
    module = b.module(part.call, *part.args, role=role, **part.kwargs)
    return b.call(module, x, layout=Geometry(x, 2, data_format).layout)


def common(
    b: Builder,
    x: Value,
    *,
    seed: int | None = None,
    data_format: str | None = None,
    bounding_box_format: str | None = None,
    training: bool | None = None,
) -> None:
    """What all augmentations take."""


COMMON = inspect.signature(common).parameters
Make = TypeVar("Make", bound=Callable[..., Module | None])


def augmentation(kind: str, examples: Sequence[Example] = ()) -> Callable[[Make], Make]:
    """Register the rule of an augmentation.

    The function makes its module from the options that are its own, or none where it changes no image.
    """

    def register(make: Make) -> Make:
        own = inspect.signature(make).parameters

        def translate(b: Builder, x: Value, **options: Any) -> Value:
            module = make(**{key: value for key, value in options.items() if key in own})
            if module is None:
                return x
            return augment(b, x, module, data_format=options.get("data_format"), training=options.get("training"))

        inputs, shared = list(COMMON.values())[:2], list(COMMON.values())[2:]
        options = [*own.values(), *(option for option in shared if option.name not in own)]
        translate.__signature__ = inspect.Signature([*inputs, *options])  # type: ignore[attr-defined]
        translate.__doc__ = make.__doc__
        rule(kind, examples=examples)(translate)
        return make

    return register


FLIPS = {"horizontal": (3,), "vertical": (2,), "horizontal_and_vertical": (2, 3)}


@augmentation("RandomFlip", examples=[example(IMAGE), example(FIRST, mode="vertical", data_format="channels_first")])
def random_flip(*, mode: str = "horizontal_and_vertical") -> Module:
    """A local module: .flip for some images."""
    require(mode, tuple(FLIPS), "mode")
    return part("RandomFlip", FLIPS[mode])


def outside(fill_mode: str, fill_value: float, interpolation: str) -> dict[str, Any]:
    """The options of `RandomAffine` for what lies outside of the image, and between its pixels."""
    options = in_keras(fill_mode, fill_value, interpolation)
    return options | ({} if fill_mode == "reflect" else {"mode": FILL_MODES[fill_mode]})


def in_keras(fill_mode: str, fill_value: float, interpolation: str) -> dict[str, Any]:
    """The same, with the fill mode as Keras calls it."""
    require(fill_mode, tuple(FILL_MODES), "fill_mode")
    require(interpolation, ("bilinear", "nearest"), "interpolation")
    options: dict[str, Any] = {} if interpolation == "bilinear" else {"interpolation": interpolation}
    options |= {} if fill_mode == "reflect" else {"mode": fill_mode}
    return options | ({"value": fill_value} if fill_mode == "constant" and fill_value else {})


@augmentation(
    "RandomRotation", examples=[example(IMAGE, factor=0.2), example(FIRST, factor=0.1, data_format="channels_first")]
)
def random_rotation(
    *,
    factor: Any,
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
    seed: int | None = None,
    fill_value: float = 0.0,
) -> Module:
    """A local module: F.grid_sample."""
    options: dict[str, Any] = {"angle": bounds(factor), **outside(fill_mode, fill_value, interpolation)}
    return part("RandomAffine", **options)


@augmentation(
    "RandomTranslation",
    examples=[example(IMAGE, height_factor=0.2, width_factor=[-0.1, 0.3], fill_mode="constant", fill_value=0.5)],
)
def random_translation(
    *,
    height_factor: Any,
    width_factor: Any,
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
    seed: int | None = None,
    fill_value: float = 0.0,
) -> Module:
    """A local module: F.grid_sample."""
    options: dict[str, Any] = {"height_shift": bounds(height_factor), "width_shift": bounds(width_factor)}
    options |= outside(fill_mode, fill_value, interpolation)
    return part("RandomAffine", **options)


@augmentation(
    "RandomZoom", examples=[example(IMAGE, height_factor=0.2), example(IMAGE, height_factor=0.2, width_factor=0.1)]
)
def random_zoom(
    *,
    height_factor: Any,
    width_factor: Any = None,
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
    seed: int | None = None,
    fill_value: float = 0.0,
) -> Module:
    """A local module: F.grid_sample."""
    options: dict[str, Any] = {"height_zoom": bounds(height_factor, 1.0)}
    options |= {} if width_factor is None else {"width_zoom": bounds(width_factor, 1.0)}
    options |= outside(fill_mode, fill_value, interpolation)
    return part("RandomAffine", **options)


@augmentation(
    "RandomShear", examples=[example(IMAGE, x_factor=0.2), example(IMAGE, y_factor=0.3, fill_mode="constant")]
)
def random_shear(
    *,
    x_factor: Any = 0.0,
    y_factor: Any = 0.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
) -> Module:
    """A local module: interpolation between pixels."""
    options: dict[str, Any] = {"x_factor": bounds(x_factor), "y_factor": bounds(y_factor)}
    options |= in_keras(fill_mode, fill_value, interpolation)
    return part("RandomShear", **options)


@augmentation("RandomPerspective", examples=[example(IMAGE), example(IMAGE, factor=0.5, scale=0.2, fill_value=0.5)])
def random_perspective(
    *,
    factor: Any = 1.0,
    scale: float = 1.0,
    interpolation: str = "bilinear",
    fill_value: float = 0.0,
) -> Module:
    """A local module: interpolation between pixels."""
    options = {"factor": upwards(factor), "scale": scale, **in_keras("reflect", 0.0, interpolation)}
    options |= {"value": fill_value} if fill_value else {}
    return part("RandomPerspective", **options)


@augmentation(
    "RandomElasticTransform", examples=[example(IMAGE), example(IMAGE, scale=[0.1, 0.5], fill_mode="nearest")]
)
def random_elastic_transform(
    *,
    factor: Any = 1.0,
    scale: Any = 1.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    value_range: Any = (0, 255),
) -> Module | None:
    """A local module: smooth noise, and interpolation between pixels."""
    if not upwards(factor)[1] or not upwards(scale)[1]:
        return None
    options = in_keras(fill_mode, fill_value, interpolation) | in_range(value_range)
    if options.pop("interpolation", None):
        options["order"] = 0
    limits = upwards(factor), upwards(scale)
    return part("RandomElasticTransform", *limits, **options)


@rule("RandomCrop", examples=[example(IMAGE, height=3, width=4), example(IMAGE, height=3, width=9)])
def random_crop(
    b: Builder,
    x: Value,
    *,
    height: int,
    width: int,
    seed: int | None = None,
    data_format: str | None = None,
    bounding_box_format: str | None = None,
    training: bool | None = None,
) -> Value:
    """A local module: the same part of all images; in evaluation all of them, as they are or, in Keras 2, resized."""
    if not b.layer.keras_2:
        return augment(b, x, part("RandomCrop", height, width), data_format=data_format, training=training)
    geometry = Geometry(x, 2, data_format)
    module = b.module("RandomCropOrResize", height, width)
    shape = geometry.shape(x, (height, width), x.shape[geometry.channels])
    return b.call(module, x, shape=shape, layout=geometry.layout)


def resized_at_random(axis: int) -> Any:
    """The rule of RandomHeight and RandomWidth."""

    def translate(
        b: Builder,
        x: Value,
        *,
        factor: Any,
        interpolation: str = "bilinear",
        seed: int | None = None,
        training: bool | None = None,
    ) -> Value:
        require(interpolation, ("bilinear", "nearest"), "interpolation")
        options: dict[str, Any] = {} if interpolation == "bilinear" else {"mode": "nearest-exact"}
        side = ("height", "width")[axis]
        options |= {side: bounds(factor, 1.0)}
        y = augment(b, x, part("RandomSize", **options), data_format=None, training=training)
        y.shape = tuple(None if place == axis + 1 else n for place, n in enumerate(x.shape))
        return y

    translate.__doc__ = "A local module: F.interpolate to a random size."
    return translate


rule("RandomHeight")(resized_at_random(0))
rule("RandomWidth")(resized_at_random(1))
