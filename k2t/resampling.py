"""TensorFlow's image resizing as matrices: `resized = rows @ image @ columns.T`, exact in float64.

Source of the formulas: tf.image.resize and its kernels ResizeBilinear, ResizeBicubic (half-pixel centers), ResizeArea
and ScaleAndTranslate, https://www.tensorflow.org/api_docs/python/tf/image/resize.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from k2t.graph import Array

# ResizeBicubic looks the cubic up in a table of this many steps for each pixel.
CUBIC_STEPS = 1024


def cubic(x: Array) -> Array:
    """Keys's cubic with a = -1/2."""
    near, far = ((1.5 * x - 2.5) * x) * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def mitchell(x: Array) -> Array:
    """Mitchell and Netravali's cubic."""
    near, far = ((7 / 6 * x - 2) * x) * x + 8 / 9, ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def lanczos(radius: int) -> Callable[[Array], Array]:
    """Windowed sinc; 1 within a thousandth of its centre."""
    return lambda x: np.where(x > radius, 0, np.where(x <= 1e-3, 1, np.sinc(x) * np.sinc(x / radius)))


# method -> radius, kernel of the distance from the sample
KERNELS: dict[str, tuple[float, Callable[[Array], Array]]] = {
    "bilinear": (1, lambda x: np.maximum(1 - x, 0)),
    "bicubic": (2, cubic),
    "mitchellcubic": (2, mitchell),
    "lanczos3": (3, lanczos(3)),
    "lanczos5": (5, lanczos(5)),
    "gaussian": (1.5, lambda x: np.where(x >= 1.5, 0, np.exp(-2 * x * x))),
}
METHODS = ("nearest", "area", *KERNELS)


def samples(size: int, target: int) -> Array:
    """Where the centres of the target's pixels lie, in pixels of the source."""
    return np.asarray((np.arange(target) + 0.5) * (size / target))


def area(size: int, target: int) -> Array:
    """The part of each target pixel that each source pixel covers."""
    edges = np.arange(target + 1) * (size / target)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.maximum(overlap, 0) * (target / size))


def stepped(place: Array) -> Array:
    """Places between pixels as ResizeBicubic rounds them."""
    whole = np.floor(place)
    return np.asarray(whole + np.rint((place - whole) * CUBIC_STEPS) / CUBIC_STEPS)


def rounded(size: int, target: int) -> Array:
    """`samples` in TensorFlow's float32: where a kernel jumps, rounding decides on which side a pixel lies."""
    one = np.float32(1)
    return (np.arange(target, dtype=np.float32) + one / 2) * (one / (np.float32(target) / np.float32(size)))


def matrix(size: int, target: int, method: str, antialias: bool = False) -> Array:
    """The matrix (target, size) that resizes one axis.

    Args:
        size: of the source.
        target: size wanted. TensorFlow leaves an image alone where it wants both of its sizes.
        method: one of `METHODS`.
        antialias: whether the kernel is widened when the image shrinks; says nothing for nearest and area.
    """
    if method == "nearest":
        chosen = np.minimum(np.floor(samples(size, target)).astype(int), size - 1)
        return np.asarray(np.eye(size)[chosen])
    if method == "area":
        return area(size, target)
    if method == "bilinear" and not antialias:
        place = np.clip(samples(size, target) - 0.5, 0, size - 1)
        return np.asarray(np.maximum(1 - np.abs(np.arange(size) - place[:, None]), 0))
    centre = rounded(size, target) if method == "gaussian" else samples(size, target)
    if method == "bicubic" and not antialias:
        centre = stepped(centre - 0.5) + 0.5
    radius, kernel = KERNELS[method]
    away = np.abs(np.arange(size) + 0.5 - centre[:, None]) / (max(size / target, 1.0) if antialias else 1.0)
    weights = np.where(away > radius, 0, kernel(away))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
