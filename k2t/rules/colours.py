"""Augmentation of colours, by noise, by boxes and by several images: nothing in evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k2t.program import Module, Value
from k2t.rules.augmentation import (
    FIRST,
    IMAGE,
    Bounds,
    augment,
    augmentation,
    bounds,
    in_range,
    part,
    random_rotation,
    random_shear,
    random_translation,
    upwards,
)
from k2t.rules.base import example, require, rule
from k2t.rules.builder import Builder


def around_one(factor: Any, width: float) -> Bounds:
    """The limits of a factor, of how much less than 1 it is and how much more."""
    below, above = factor if isinstance(factor, list | tuple) else (factor, factor)
    return 1.0 - below, 1.0 + above


def bits(factor: Any, width: float) -> tuple[int, int]:
    """The limits of how many bits are kept."""
    low, high = sorted(factor) if isinstance(factor, list | tuple) else (1, factor)
    return int(low), int(high)


# Kind -> the limits of its random number, from the option `factor` and the width of the range of values.
LIMITS: dict[str, Callable[[Any, float], Bounds]] = {
    "RandomBrightness": lambda factor, width: bounds(factor, scale=width),
    "RandomColorDegeneration": lambda factor, width: bounds(factor),
    "RandomContrast": around_one,
    "RandomHue": lambda factor, width: upwards(factor),
    "RandomInvert": lambda factor, width: upwards(factor),
    "RandomPosterization": bits,
    "RandomSaturation": lambda factor, width: bounds(factor),
    "RandomSharpness": lambda factor, width: upwards(factor),
}


def limits(kind: str, factor: Any, value_range: Any) -> Bounds:
    """The limits of the random number of an augmentation."""
    low, high = sorted(value_range)
    return LIMITS[kind](factor, high - low)


def by_number(kind: str) -> Callable[..., Module]:
    """What makes the module of an augmentation by one random number."""

    def make(*, factor: Any = 1.0, value_range: Any = (0, 255)) -> Module:
        return part(kind, *limits(kind, factor, value_range), **in_range(value_range))

    make.__doc__ = "A local module: a random number for each image."
    return make


for _kind in LIMITS:
    _factors: tuple[Any, Any] = (4, [2, 6]) if _kind == "RandomPosterization" else (0.2, [0.1, 0.3])
    augmentation(
        _kind,
        examples=[example(IMAGE, factor=_factors[0]), example(IMAGE, factor=_factors[1], value_range=[0, 1])],
    )(by_number(_kind))


@rule("RandomColorJitter", examples=[example(IMAGE, brightness_factor=0.2, hue_factor=0.1)])
def random_color_jitter(
    b: Builder,
    x: Value,
    *,
    value_range: Any = (0, 255),
    brightness_factor: Any = None,
    contrast_factor: Any = None,
    saturation_factor: Any = None,
    hue_factor: Any = None,
    seed: int | None = None,
    data_format: str | None = None,
    bounding_box_format: str | None = None,
    training: bool | None = None,
) -> Value:
    """A local module for each of brightness, contrast, saturation and hue."""
    factors = {
        "brightness": brightness_factor,
        "contrast": contrast_factor,
        "saturation": saturation_factor,
        "hue": hue_factor,
    }
    for name, factor in factors.items():
        if factor is not None:
            one_sided = upwards(factor) if name == "contrast" else factor
            module = by_number(f"Random{name.capitalize()}")(factor=one_sided, value_range=value_range)
            x = augment(b, x, module, data_format=data_format, training=training, role=name)
    return x


@augmentation("RandomGrayscale", examples=[example(IMAGE), example(FIRST, factor=0.2, data_format="channels_first")])
def random_grayscale(*, factor: float = 0.5) -> Module:
    """A local module: the brightness of some images."""
    return part("RandomGrayscale", factor)


@augmentation(
    "Solarization", examples=[example(IMAGE), example(IMAGE, addition_factor=0.2, threshold_factor=[0.1, 0.3])]
)
def solarization(*, addition_factor: Any = 0.0, threshold_factor: Any = 0.0, value_range: Any = (0, 255)) -> Module:
    """A local module: adds, and inverts what is above a threshold."""
    found = upwards(addition_factor, 255), upwards(threshold_factor, 255)
    return part("Solarization", *found, **in_range(value_range))


@augmentation("Equalization")
def equalization(*, value_range: Any = (0, 255), bins: int = 256) -> Module:
    """A local module: torch.bincount of each channel."""
    options = in_range(value_range) | ({} if bins == 256 else {"bins": bins})
    return part("Equalization", **options)


@augmentation("MixUp", examples=[example(IMAGE, alpha=0.4)])
def mix_up(*, alpha: float = 0.2) -> Module:
    """A local module: each image and another one."""
    return part("MixUp", alpha)


@augmentation("CutMix", examples=[example(IMAGE, factor=0.5)])
def cut_mix(*, factor: Any = 1.0) -> Module:
    """A local module: a box of another image."""
    return part("CutMix", *upwards(factor))


@augmentation("RandomErasing", examples=[example(IMAGE), example(IMAGE, factor=0.5, scale=[0.1, 0.2], fill_value=0.5)])
def random_erasing(
    *,
    factor: Any = 1.0,
    scale: Any = (0.02, 0.33),
    fill_value: Any = None,
    value_range: Any = (0, 255),
) -> Module:
    """A local module: a box of noise, or of a value."""
    options = in_range(value_range)
    if fill_value is not None:
        options["value"] = tuple(fill_value) if isinstance(fill_value, list | tuple) else fill_value
    found = upwards(factor), upwards(scale)
    return part("RandomErasing", *found, **options)


@augmentation(
    "RandomGaussianBlur", examples=[example(IMAGE), example(IMAGE, factor=0.5, kernel_size=[3, 5], sigma=0.8)]
)
def random_gaussian_blur(
    *,
    factor: Any = 1.0,
    kernel_size: Any = 3,
    sigma: Any = 1.0,
    value_range: Any = (0, 255),
) -> Module:
    """A local module: F.conv2d with the same random kernel for all images."""
    size = tuple(kernel_size) if isinstance(kernel_size, list | tuple) else (kernel_size, kernel_size)
    found = upwards(factor), size, upwards(sigma)
    options = in_range(value_range)
    return part("RandomGaussianBlur", *found, **options)


SHAPES = ("shear", "translation", "rotation")
LIGHT = ("brightness", "degeneration", "contrast", "sharpness")
TONES = ("posterization", "solarization", "contrast_range", "equalization")


def parts(factor: Any, value_range: Any, interpolation: str, names: tuple[str, ...]) -> list[Module]:
    """The augmentations among which one is chosen, by these names."""
    pair = upwards(factor)

    def numbered(kind: str, factor: Any = pair) -> Module:
        return by_number(kind)(factor=factor, value_range=value_range)

    made: dict[str, Callable[[], Module]] = {
        "shear": lambda: random_shear(x_factor=pair, y_factor=pair, interpolation=interpolation),
        "translation": lambda: random_translation(height_factor=pair, width_factor=pair, interpolation=interpolation),
        "rotation": lambda: random_rotation(factor=pair, interpolation=interpolation),
        "brightness": lambda: numbered("RandomBrightness"),
        "degeneration": lambda: numbered("RandomColorDegeneration"),
        "contrast": lambda: numbered("RandomContrast"),
        "sharpness": lambda: numbered("RandomSharpness"),
        "posterization": lambda: numbered("RandomPosterization", max(1, int(8 * pair[1]))),
        "solarization": lambda: solarization(addition_factor=factor, threshold_factor=factor, value_range=value_range),
        "contrast_range": lambda: part("AutoContrast", **in_range(value_range)),
        "equalization": lambda: equalization(value_range=value_range),
    }
    return [made[name]() for name in names]


@augmentation("RandAugment", examples=[example(IMAGE), example(IMAGE, num_ops=3, factor=0.2, value_range=[0, 1])])
def rand_augment(
    *,
    value_range: Any = (0, 255),
    num_ops: int = 2,
    factor: Any = 0.5,
    interpolation: str = "bilinear",
    seed: int | None = None,
    data_format: str | None = None,
) -> Module:
    """A local module that chooses among others."""
    require(data_format, (None, "channels_last"), "data_format")
    return part("RandAugment", num_ops, *parts(factor, value_range, interpolation, SHAPES + LIGHT + TONES))


@augmentation("AugMix", examples=[example(IMAGE), example(IMAGE, num_chains=2, all_ops=False, value_range=[0, 1])])
def aug_mix(
    *,
    value_range: Any = (0, 255),
    num_chains: int = 3,
    chain_depth: int = 3,
    factor: Any = 0.3,
    alpha: float = 1.0,
    all_ops: bool = True,
    interpolation: str = "bilinear",
    seed: int | None = None,
    data_format: str | None = None,
) -> Module:
    """A local module that mixes chains of others."""
    require(data_format, (None, "channels_last"), "data_format")
    names = SHAPES + TONES + (LIGHT if all_ops else ())
    found = num_chains, chain_depth, alpha, tuple(sorted(value_range))
    return part("AugMix", *found, *parts(factor, value_range, interpolation, names))
