"""Operations of keras.ops.image."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Array
from k2t.program import Value
from k2t.rules.base import size
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry
from k2t.rules.operations.base import REFUSED_OPERATIONS, Given, call, operation, real, replaced
from k2t.rules.operations.network import pair, stateless
from k2t.rules.operations.reduction import reduce_axes
from k2t.rules.operations.shape import expand_dims, squeeze
from k2t.rules.padding import output_size, plain, same, to_tuple

_IMAGE = real(None, 7, 6, 3)
_COLOURS = Given((None, 7, 6, 3), between=(0.0, 1.0))


def on_batches(translation: Callable[..., Any]) -> Callable[..., Any]:
    """A single image is a batch of one."""

    @functools.wraps(translation)
    def wrapped(b: Builder, images: Value, *args: Any, **kwargs: Any) -> Any:
        if images.rank != 3:
            return translation(b, images, *args, **kwargs)
        return squeeze(b, translation(b, expand_dims(b, images, 0), *args, **kwargs), 0)

    return wrapped


@operation(
    "resize",
    examples=[
        call(_IMAGE, (4, 9)),
        call(real(None, None, None, 3), (5, 5), "nearest"),
        call(real(7, 6, 3), (4, 4)),
        call(real(None, 3, 7, 6), (14, 12), data_format="channels_first"),
        call(_IMAGE, (4, 4), crop_to_aspect_ratio=True),
    ],
)
@on_batches
def resize(
    b: Builder,
    images: Value,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """What the layer Resizing does."""
    height, width = size
    return stateless(
        b,
        "Resizing",
        images,
        height=height,
        width=width,
        interpolation=interpolation,
        antialias=antialias,
        crop_to_aspect_ratio=crop_to_aspect_ratio,
        pad_to_aspect_ratio=pad_to_aspect_ratio,
        fill_mode=fill_mode,
        fill_value=fill_value,
        data_format=data_format,
    )


@operation("rgb_to_grayscale", examples=[call(_COLOURS), call(real(None, 3, 4, 5), "channels_first")])
@on_batches
def rgb_to_grayscale(b: Builder, images: Value, data_format: str | None = None) -> Value:
    """The weighted sum of the channels: 0.2989 R + 0.587 G + 0.114 B."""
    geometry = Geometry(images, 2, data_format)
    if images.shape[geometry.channels] == 1:
        return images
    shape = replaced(images.shape, geometry.channels, 1)
    weights = b.constant("grayscale", np.array([0.2989, 0.587, 0.114]).reshape(1, 3, 1, 1))
    return b.call("F.conv2d", images, weights, shape=shape, layout=geometry.layout)


def register_colours(name: str) -> None:
    """A local function on the three channels."""

    @on_batches
    def translation(b: Builder, images: Value, data_format: str | None = None) -> Value:
        return b.call(name, images, shape=images.shape, layout=Geometry(images, 2, data_format).layout)

    operation(name, examples=[call(_COLOURS), call(Given((None, 3, 4, 5), between=(0.0, 1.0)), "channels_first")])(
        translation
    )


register_colours("rgb_to_hsv")
register_colours("hsv_to_rgb")


@operation(
    "extract_patches",
    examples=[call(_IMAGE, 3), call(_IMAGE, (3, 2), 2, 1, "same"), call(_IMAGE, 2, 1, 2)],
)
@on_batches
def extract_patches(
    b: Builder,
    images: Value,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Value:
    """A local function around F.unfold, because TensorFlow has the channels of a patch last."""
    if images.rank == 5:  # Keras records both operations under one name
        return extract_patches_3d(b, images, size, strides, dilation_rate, padding, data_format)
    geometry = Geometry(images, 2, data_format)
    kernel = pair(size)
    stride, dilation = pair(strides or size), pair(dilation_rate)
    padding = padding.lower()
    sizes = geometry.sizes(images)
    shape_of = zip(sizes, kernel, stride, dilation, strict=True)
    counts = tuple(output_size(n, k, s, padding, d) for n, k, s, d in shape_of)
    if padding == "same":
        needed = same(tuple(b.fixed(n) for n in sizes), kernel, stride, dilation)
        if needed.pairs is None:
            images = b.call("pad_same", images, kernel, stride, dilation, shape=images.shape, layout=geometry.layout)
        else:
            images = geometry.pad(b, images, needed.pairs)
    channels = images.shape[geometry.channels]
    depth = None if channels is None else kernel[0] * kernel[1] * channels
    options = {"stride": plain(stride), **({} if set(dilation) == {1} else {"dilation": plain(dilation)})}
    shape = geometry.shape(images, counts, depth)
    return b.call("extract_patches", images, kernel, shape=shape, layout=geometry.layout, **options)


@operation("extract_patches_3d", examples=[call(real(None, 4, 6, 5, 2), (2, 3, 2)), call(real(None, 4, 6, 5, 2), 2)])
def extract_patches_3d(
    b: Builder,
    volumes: Value,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Value:
    """A local function."""
    geometry = Geometry(volumes, 3, data_format)
    kernel, stride = to_tuple(size, 3), to_tuple(strides or size, 3)
    if set(to_tuple(dilation_rate, 3)) != {1}:
        raise UntranslatableError("extract_patches_3d with a dilation")
    padding = padding.lower()
    sizes = geometry.sizes(volumes)
    counts = tuple(output_size(n, k, s, padding) for n, k, s in zip(sizes, kernel, stride, strict=True))
    if padding == "same":
        needed = same(tuple(b.fixed(n) for n in sizes), kernel, stride, (1, 1, 1))
        if needed.pairs is None:
            raise UntranslatableError("extract_patches_3d with padding='same' of volumes of unknown size")
        volumes = geometry.pad(b, volumes, needed.pairs)
    channels = volumes.shape[geometry.channels]
    depth = None if channels is None else int(np.prod(kernel)) * channels
    shape = geometry.shape(volumes, counts, depth)
    return b.call("extract_patches_3d", volumes, kernel, stride, shape=shape, layout=geometry.layout)


def edges_of(length: int | None, before: int | None, after: int | None, target: int | None, sign: int) -> list[int]:
    """(before, after) of a padding (sign 1) or cropping (-1), where one of three may be left open."""
    if before is None or after is None:
        if length is None or target is None:
            raise UntranslatableError("images of unknown size, with one side left open")
        rest = sign * (target - length)
        before = rest - after if before is None and after is not None else before or 0
        after = rest - before
    return [before, after]


def sides(b: Builder, images: Value, geometry: Geometry, given: list[Any], sign: int) -> list[list[int]]:
    """(before, after) of both axes; `given` is top, bottom, height, left, right, width."""
    height, width = (b.fixed(n) for n in geometry.sizes(images))
    top, bottom, target_height, left, right, target_width = given
    return [
        edges_of(height, top, bottom, target_height, sign),
        edges_of(width, left, right, target_width, sign),
    ]


@operation("pad_images", examples=[call(_IMAGE, 1, 2, 0, 3), call(_IMAGE, 1, 2, target_height=12, target_width=9)])
@on_batches
def pad_images(
    b: Builder,
    images: Value,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Value:
    """F.pad."""
    geometry = Geometry(images, 2, data_format)
    given = [top_padding, bottom_padding, target_height, left_padding, right_padding, target_width]
    pads = sides(b, images, geometry, given, 1)
    return geometry.pad(b, images, tuple((before, after) for before, after in pads))


@operation("crop_images", examples=[call(_IMAGE, 1, 2, 0, 1), call(_IMAGE, 1, 2, target_height=3, target_width=2)])
@on_batches
def crop_images(
    b: Builder,
    images: Value,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """A slice."""
    geometry = Geometry(images, 2, data_format)
    given = [top_cropping, bottom_cropping, target_height, left_cropping, right_cropping, target_width]
    cuts = sides(b, images, geometry, given, -1)
    return stateless(b, "Cropping2D", images, cropping=cuts, data_format=data_format)


def gaussian(length: int, sigma: float) -> Array:
    """A normal distribution at `length` places around 0, of sum 1."""
    places = np.arange(length) - (length - 1) / 2
    weights = np.exp(-0.5 * (places / sigma) ** 2)
    return np.asarray(weights / weights.sum())


@operation("gaussian_blur", examples=[call(_IMAGE), call(_IMAGE, (3, 5), (0.5, 1.5)), call(_IMAGE, (4, 3))])
@on_batches
def gaussian_blur(
    b: Builder,
    images: Value,
    kernel_size: Any = (3, 3),
    sigma: Any = (1.0, 1.0),
    data_format: str | None = None,
) -> Value:
    """F.conv2d of each channel with the same constant kernel; sigma[0] spreads along the width, as in Keras."""
    geometry = Geometry(images, 2, data_format)
    channels = size(images, geometry.channels)
    wide, high = (gaussian(n, s) for n, s in zip(pair(kernel_size), sigma, strict=True))
    kernel = np.outer(high, wide)
    if kernel.shape[0] != kernel.shape[1]:
        kernel = kernel.reshape(tuple(kernel_size))
    weight = b.constant("kernel", np.tile(kernel, (channels, 1, 1, 1)))
    pads = same(geometry.sizes(images), pair(kernel_size), (1, 1), (1, 1))
    padded = geometry.pad(b, images, pads.pairs or ((0, 0), (0, 0)))
    shape = geometry.shape(images, geometry.sizes(images), channels)
    return b.call("F.conv2d", padded, weight, groups=channels, shape=shape, layout=geometry.layout)


@operation("sobel_edges", examples=[call(_IMAGE)])
def sobel_edges(b: Builder, images: Value, data_format: str | None = None) -> Value:
    """A local function: vertical and horizontal gradients on a new last axis."""
    geometry = Geometry(images, 2, data_format)
    shape = (*images.shape, 2)
    if geometry.layout == "first":
        raise_unless_channels_last(images)
    return b.call("sobel_edges", images, geometry.channels, shape=shape, layout="keras")


def raise_unless_channels_last(images: Value) -> None:
    """The channels must be known, to be groups."""
    size(images, -1)


@operation("ssim", examples=[call(_COLOURS, Given((None, 7, 6, 3), between=(0.0, 1.0)), filter_size=5)])
def ssim(
    b: Builder,
    image1: Value,
    image2: Value,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Value:
    """A local function: the structural similarity of Wang et al. (2004)."""
    if image1.rank == 3:
        first, second = expand_dims(b, image1, 0), expand_dims(b, image2, 0)
        options = (max_val, filter_size, filter_sigma, k1, k2, data_format)
        return squeeze(b, ssim(b, first, second, *options), 0)
    geometry = Geometry(image1, 2, data_format)
    weights = gaussian(filter_size, filter_sigma)
    kernel = b.constant("kernel", np.outer(weights, weights)[None, None])
    constants = ((k1 * max_val) ** 2, (k2 * max_val) ** 2)
    shape = geometry.shape(image1, (None, None), image1.shape[geometry.channels])
    scores = b.call("ssim", image1, image2, kernel, *constants, shape=shape, layout=geometry.layout)
    return reduce_axes(b, ".mean", scores, (1, 2, 3))


REFUSED_OPERATIONS["elastic_transform"] = "draws at random; augment the data before the model"
