"""Functions of tf.image: colours, padding, differences."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import Value
from k2t.rules.base import size
from k2t.rules.builder import Builder
from k2t.rules.operations.base import is_real
from k2t.rules.operations.dialects import REFUSED_FUNCTIONS, dialect
from k2t.rules.operations.tensorflow import op
from k2t.rules.operations.tensorflow_nn import resized

# Colours as rows: TensorFlow multiplies (R, G, B) by these.
YIQ = np.array([[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617], [0.114, -0.32134392, 0.31119955]])
YUV = np.array([[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512], [0.114, 0.43601035, -0.10001026]])
FROM_YIQ = np.array([[1, 1, 1], [0.95598634, -0.27201283, -1.10674021], [0.6208248, -0.64720424, 1.70423049]])
FROM_YUV = np.array([[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]])
MATRICES = {"rgb_to_yiq": YIQ, "yiq_to_rgb": FROM_YIQ, "rgb_to_yuv": YUV, "yuv_to_rgb": FROM_YUV}
for _name in ("brightness", "contrast", "crop", "flip_left_right", "flip_up_down", "hue", "jpeg_quality", "saturation"):
    for _prefix in ("random", "stateless_random"):
        REFUSED_FUNCTIONS[f"tf.image.{_prefix}_{_name}"] = "draws at random; augment the data before the model"
BOXES = "chooses boxes; call torchvision.ops.nms behind the model"
for _name in ("", "_overlaps", "_padded", "_with_scores"):
    REFUSED_FUNCTIONS[f"tf.image.non_max_suppression{_name}"] = BOXES


def colours(b: Builder, images: Value, *, matrix: Any) -> Any:
    """A matrix product along the last axis."""
    return op(b, "matmul", images, matrix)


for _name, _matrix in MATRICES.items():
    dialect(f"tf.image.{_name}")(partial(colours, matrix=_matrix))


def refuse_integers(image: Value, name: str) -> None:
    """TensorFlow scales and rounds whole numbers on the way."""
    if not is_real(image.dtype):
        raise UntranslatableError(f"tf.image.{name} of an image of dtype {image.dtype}; cast it before")


@dialect("tf.image.adjust_brightness")
def adjust_brightness(b: Builder, image: Value, delta: Any) -> Any:
    """The operator +."""
    refuse_integers(image, "adjust_brightness")
    return op(b, "add", image, delta)


@dialect("tf.image.adjust_contrast")
def adjust_contrast(b: Builder, images: Value, contrast_factor: Any) -> Any:
    """Differences from the mean of each channel, times the factor."""
    refuse_integers(images, "adjust_contrast")
    mean = op(b, "mean", images, (-3, -2), keepdims=True)
    return op(b, "add", op(b, "multiply", op(b, "subtract", images, mean), contrast_factor), mean)


@dialect("tf.image.adjust_gamma")
def adjust_gamma(b: Builder, image: Value, gamma: Any = 1, gain: Any = 1) -> Any:
    """The operator **."""
    refuse_integers(image, "adjust_gamma")
    return op(b, "multiply", op(b, "power", image, gamma), gain)


def hsv_changed(b: Builder, image: Value, channel: int, change: Any) -> Any:
    """One of hue, saturation and value changed."""
    parts = [op(b, "get_item", op(b, "rgb_to_hsv", image), (..., slice(i, i + 1))) for i in range(3)]
    parts[channel] = change(parts[channel])
    return op(b, "hsv_to_rgb", op(b, "concatenate", parts, -1))


@dialect("tf.image.adjust_saturation")
def adjust_saturation(b: Builder, image: Value, saturation_factor: Any) -> Any:
    """A local function to HSV and back."""
    refuse_integers(image, "adjust_saturation")
    return hsv_changed(b, image, 1, lambda x: op(b, "clip", op(b, "multiply", x, saturation_factor), 0, 1))


@dialect("tf.image.adjust_hue")
def adjust_hue(b: Builder, image: Value, delta: Any) -> Any:
    """A local function to HSV and back."""
    refuse_integers(image, "adjust_hue")
    return hsv_changed(b, image, 0, lambda x: op(b, "mod", op(b, "add", x, delta), 1))


@dialect("tf.image.convert_image_dtype")
def convert_image_dtype(b: Builder, image: Value, dtype: Any, saturate: bool = False) -> Any:
    """Whole numbers of images as real ones between 0 and 1."""
    name = getattr(dtype, "name", dtype)
    if is_real(image.dtype) and is_real(name):
        return op(b, "cast", image, name)
    if is_real(image.dtype) or not is_real(name):
        raise UntranslatableError(f"tf.image.convert_image_dtype from {image.dtype} to {name}")
    return op(b, "multiply", op(b, "cast", image, name), 1 / np.iinfo(image.dtype).max)


@dialect("tf.image.pad_to_bounding_box")
def pad_to_bounding_box(
    b: Builder, image: Value, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Any:
    """F.pad."""
    below = target_height - size(image, -3) - offset_height
    right = target_width - size(image, -2) - offset_width
    pads = [(0, 0)] * (image.rank - 3) + [(offset_height, below), (offset_width, right), (0, 0)]
    return op(b, "pad", image, pads)


@dialect("tf.image.resize_with_crop_or_pad", "tf.image.resize_image_with_crop_or_pad")
def resize_with_crop_or_pad(b: Builder, image: Value, target_height: int, target_width: int) -> Any:
    """The middle of the image, or zeros around it."""
    for axis, target in ((-3, target_height), (-2, target_width)):
        extra = target - size(image, axis)
        if extra < 0:
            start = -extra // 2
            places = [slice(None)] * image.rank
            places[axis] = slice(start, start + target)
            image = op(b, "get_item", image, tuple(places))
        elif extra:
            pads = [(0, 0)] * image.rank
            pads[axis] = (extra // 2, extra - extra // 2)
            image = op(b, "pad", image, pads)
    return image


@dialect("tf.image.resize_with_pad", "tf.image.resize_image_with_pad")
def resize_with_pad(
    b: Builder,
    image: Value,
    target_height: int,
    target_width: int,
    method: Any = "bilinear",
    antialias: bool = False,
) -> Any:
    """F.interpolate within the size, and zeros around it."""
    height, width = size(image, -3), size(image, -2)
    ratio = max(height / target_height, width / target_width)
    inner = [int(height / ratio), int(width / ratio)]
    shrunk = resized(b, image, inner, method, antialias, True, False)
    top, left = (target_height - inner[0]) // 2, (target_width - inner[1]) // 2
    return pad_to_bounding_box(b, shrunk, max(top, 0), max(left, 0), target_height, target_width)


@dialect("tf.image.image_gradients")
def image_gradients(b: Builder, image: Value) -> tuple[Any, Any]:
    """Differences to the next row and column; 0 at the end."""
    found = []
    for axis in (1, 2):
        pads = [(0, 0)] * image.rank
        pads[axis] = (0, 1)
        found.append(op(b, "pad", op(b, "diff", image, 1, axis), pads))
    return found[0], found[1]


@dialect("tf.image.total_variation")
def total_variation(b: Builder, images: Value) -> Any:
    """The sum of all absolute differences of neighbours."""
    first = images.rank - 3
    parts = [
        op(b, "sum", op(b, "absolute", op(b, "diff", images, 1, axis)), tuple(range(first, images.rank)))
        for axis in (first, first + 1)
    ]
    return op(b, "add", *parts)


@dialect("tf.image.psnr")
def psnr(b: Builder, a: Value, b_: Any, max_val: float) -> Any:
    """The peak signal-to-noise ratio of each image, in decibels."""
    error = op(b, "mean", op(b, "square", op(b, "subtract", a, b_)), (-3, -2, -1))
    scaled = op(b, "multiply", op(b, "log", error), -10 / np.log(10))
    return op(b, "add", scaled, 20 * np.log10(max_val))
