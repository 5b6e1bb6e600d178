"""Images: upsampling, resizing, cropping, rescaling."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import Code, Index, Value
from k2t.resampling import METHODS, matrix
from k2t.rules.base import Example, example, require, rule
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry
from k2t.rules.padding import plain, to_tuple

TF1 = "keras2_tf1_bilinear"
MODES = {"nearest": "nearest-exact", "bilinear": "bilinear"}


def upsample(b: Builder, x: Value, geometry: Geometry, factors: tuple[int, ...]) -> Value:
    """nn.Upsample, which repeats elements."""
    sizes = tuple(None if n is None else n * factor for n, factor in zip(geometry.sizes(x), factors, strict=True))
    module = b.module("nn.Upsample", scale_factor=plain(factors))
    return b.call(module, x, shape=geometry.shape(x, sizes, x.shape[geometry.channels]), layout=geometry.layout)


@rule("UpSampling1D", examples=[example((5, 3)), example((None, 3), size=3)])
def upsampling_1d(b: Builder, x: Value, *, size: int = 2) -> Value:
    """nn.Upsample."""
    return upsample(b, x, Geometry(x, 1, None), (size,))


@rule(
    "UpSampling3D",
    examples=[example((2, 3, 4, 2)), example((None, 3, 4, 2), size=[1, 3, 2]), example((3, 2, 3, 4), size=3)],
)
def upsampling_3d(b: Builder, x: Value, *, size: Any = 2, data_format: str | None = None) -> Value:
    """nn.Upsample."""
    return upsample(b, x, Geometry(x, 3, data_format), to_tuple(size, 3))


@rule(
    "UpSampling2D",
    examples=[
        example((5, 4, 3)),
        example((None, None, 3), size=[3, 2]),
        example((5, 4, 3), interpolation="bilinear"),
        example((None, None, 3), size=[3, 1], interpolation="bilinear"),
        example((5, 4, 3), size=[2, 4], interpolation="bicubic"),
        example((5, 4, 3), size=3, interpolation="bicubic"),
        example((None, 4, 3), size=2, interpolation="bicubic"),
        Example(((None, 4, 3),), {"size": 3, "interpolation": "bicubic"}, refuses="needs an input of known size"),
        example((5, 4, 3), size=[2, 1], interpolation="lanczos5"),
        example((3, 4, 5), size=[2, 3], data_format="channels_first"),
        example((3, 4, 5), interpolation="bilinear", data_format="channels_first"),
    ],
)
def upsampling_2d(
    b: Builder, x: Value, *, size: Any = 2, data_format: str | None = None, interpolation: str = "nearest"
) -> Value:
    """nn.Upsample or F.interpolate; matrices where PyTorch has no such interpolation."""
    geometry, factors = Geometry(x, 2, data_format), to_tuple(size, 2)
    require(interpolation, (*METHODS, TF1), "interpolation")
    if interpolation == "nearest":
        return upsample(b, x, geometry, factors)
    sizes = tuple(None if n is None else n * factor for n, factor in zip(geometry.sizes(x), factors, strict=True))
    shape = geometry.shape(x, sizes, x.shape[geometry.channels])
    if interpolation == TF1:
        return b.call("upsample_tf1_bilinear", x, *factors, shape=shape, layout=geometry.layout)
    if interpolation == "bilinear":
        module = b.module("nn.Upsample", scale_factor=plain(factors), mode="bilinear")
        return b.call(module, x, shape=shape, layout=geometry.layout)
    if interpolation == "bicubic" and all(factor in (1, 2, 4, 8, 16) for factor in factors):
        # antialias: not to smooth, but because only so PyTorch has Keras's cubic, which is Keys's
        options = {"scale_factor": plain(factors), "mode": "bicubic", "antialias": True}
        return b.call("F.interpolate", x, shape=shape, layout=geometry.layout, **options)
    return by_matrices(b, x, geometry, sizes, interpolation, False)


def by_matrices(
    b: Builder, x: Value, geometry: Geometry, sizes: tuple[int | None, ...], interpolation: str, antialias: bool
) -> Value:
    """`rows @ image @ columns`, with the interpolation's weights as constants."""
    before = geometry.sizes(x)
    if None in before or any(b.fixed(n) is None for n in before):
        raise UntranslatableError(f"interpolation={interpolation!r} needs an input of known size")
    rows, columns = (
        matrix(n or 0, target or 0, interpolation, antialias) for n, target in zip(before, sizes, strict=True)
    )
    channels = x.shape[geometry.channels]
    higher = geometry.shape(x, (sizes[0], before[1]), channels)
    y = b.call("@", b.constant("rows", rows), x, shape=higher, layout=geometry.layout)
    final = geometry.shape(x, sizes, channels)
    return b.call("@", y, b.constant("columns", columns.T), shape=final, layout=geometry.layout)


def resize(
    b: Builder, x: Value, geometry: Geometry, sizes: tuple[int, int], interpolation: str, antialias: bool
) -> Value:
    """F.interpolate to a size; matrices where PyTorch has no such interpolation."""
    if geometry.sizes(x) == sizes:
        return x
    shape = geometry.shape(x, sizes, x.shape[geometry.channels])
    if interpolation in MODES or (interpolation == "bicubic" and antialias):
        options: dict[str, Any] = {"size": sizes, "mode": MODES.get(interpolation, interpolation)}
        if antialias and interpolation != "nearest":
            options["antialias"] = True
        return b.call("F.interpolate", x, shape=shape, layout=geometry.layout, **options)
    return by_matrices(b, x, geometry, sizes, interpolation, antialias)


def cropped(height: int, width: int, sizes: tuple[int, int]) -> tuple[int, int]:
    """The largest part of an image with the ratio of `sizes`."""
    target_height, target_width = sizes
    return (
        max(min(height, width * target_height // target_width), 1),
        max(min(width, height * target_width // target_height), 1),
    )


def crop_middle(b: Builder, x: Value, geometry: Geometry, sizes: tuple[int, int]) -> Value:
    """A slice: the middle of images of known size."""
    starts = [((n or 0) - target) // 2 for n, target in zip(geometry.sizes(x), sizes, strict=True)]
    cuts = {
        axis: slice(start, start + target)
        for axis, start, target, n in zip(geometry.spatial, starts, sizes, geometry.sizes(x), strict=True)
        if n != target
    }
    if not cuts:
        return x
    index = Index(tuple(cuts.get(axis) for axis in range(x.rank)))
    return b.call("[]", x, index, shape=geometry.shape(x, sizes, x.shape[geometry.channels]))


def crop_to_ratio(b: Builder, x: Value, geometry: Geometry, sizes: tuple[int, int]) -> Value:
    """The largest part in the middle with the ratio of `sizes`."""
    height, width = (b.fixed(n) for n in geometry.sizes(x))
    if height is not None and width is not None:
        return crop_middle(b, x, geometry, cropped(height, width, sizes))
    shape = geometry.shape(x, (None, None), x.shape[geometry.channels])
    return b.call("crop_to_aspect_ratio", x, *sizes, shape=shape, layout=geometry.layout)


def pad_to_ratio(b: Builder, x: Value, geometry: Geometry, sizes: tuple[int, int], value: float) -> Value:
    """The image in the middle of a constant, with the ratio of `sizes`."""
    height, width = (b.fixed(n) for n in geometry.sizes(x))
    if height is not None and width is not None:
        vertical = max(width * sizes[0] // sizes[1] - height, 0) // 2
        horizontal = max(height * sizes[1] // sizes[0] - width, 0) // 2
        return geometry.pad(b, x, ((vertical, vertical), (horizontal, horizontal)), value)
    shape = geometry.shape(x, (None, None), x.shape[geometry.channels])
    return b.call("pad_to_aspect_ratio", x, *sizes, value, shape=shape, layout=geometry.layout)


def as_float(b: Builder, x: Value) -> Value:
    """Images of integers as floating point numbers."""
    if "float" in x.dtype:
        return x
    return b.call(".to", x, Code("torch.get_default_dtype()"), dtype="float32")


def as_before(b: Builder, y: Value, dtype: str) -> Value:
    """Rounded to the integers that the images had, as Keras 3 does; Keras 2 leaves them as they are."""
    if "float" in dtype or b.layer.keras_2:
        return y
    limits = np.iinfo(dtype)
    bounded = b.call("torch.clamp", b.call("torch.round", y), int(limits.min), int(limits.max))
    return b.call(".to", bounded, Code(f"torch.{dtype}"), dtype=dtype)


@rule(
    "Resizing",
    examples=[
        example((7, 5, 3), height=4, width=9),
        example((None, None, 3), height=6, width=6),
        example((None, None, 3), height=6, width=6, interpolation="nearest"),
        example((9, 8, 3), height=4, width=6, antialias=True),
        example((9, 8, 3), height=4, width=12, interpolation="bicubic"),
        example((None, 8, 3), height=4, width=12, interpolation="bicubic", antialias=True),
        example((9, 8, 3), height=4, width=12, interpolation="lanczos3", antialias=True),
        example((9, 8, 3), height=4, width=12, interpolation="area"),
        example((9, 5, 3), height=4, width=4, crop_to_aspect_ratio=True),
        example((None, None, 3), height=5, width=4, crop_to_aspect_ratio=True),
        example((9, 5, 3), height=4, width=4, pad_to_aspect_ratio=True, fill_value=0.5),
        example((None, None, 3), height=5, width=4, pad_to_aspect_ratio=True),
        example((3, 7, 5), height=4, width=9, data_format="channels_first"),
        Example(((8, 6, 3),), {"height": 4, "width": 12}, integers=256),
    ],
)
def resizing(
    b: Builder,
    x: Value,
    *,
    height: int,
    width: int,
    interpolation: str = "bilinear",
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    antialias: bool = False,
    data_format: str | None = None,
) -> Value:
    """F.interpolate; matrices where PyTorch has no such interpolation."""
    require(interpolation, METHODS, "interpolation")
    require(fill_mode, ("constant",), "fill_mode")
    geometry, sizes, dtype = Geometry(x, 2, data_format), (height, width), x.dtype
    x = as_float(b, x)
    if crop_to_aspect_ratio:
        x = crop_to_ratio(b, x, geometry, sizes)
    elif pad_to_aspect_ratio:
        x = pad_to_ratio(b, x, geometry, sizes, fill_value)
    return as_before(b, resize(b, x, geometry, sizes, interpolation, antialias), dtype)


@rule(
    "CenterCrop",
    examples=[
        example((7, 6, 3), height=4, width=3),
        example((7, 6, 3), height=7, width=3),
        example((7, 6, 3), height=9, width=3),
        example((None, None, 3), height=8, width=9),
        example((3, 7, 6), height=4, width=3, data_format="channels_first"),
    ],
)
def center_crop(b: Builder, x: Value, *, height: int, width: int, data_format: str | None = None) -> Value:
    """A slice; an image that is too small is resized."""
    geometry, sizes = Geometry(x, 2, data_format), (height, width)
    x = as_float(b, x)
    known = [b.fixed(n) for n in geometry.sizes(x)]
    if None in known:
        shape = geometry.shape(x, sizes, x.shape[geometry.channels])
        return b.call("center_crop_or_resize", x, height, width, shape=shape, layout=geometry.layout)
    if all((n or 0) >= target for n, target in zip(known, sizes, strict=True)):
        return crop_middle(b, x, geometry, sizes)
    return resize(b, crop_to_ratio(b, x, geometry, sizes), geometry, sizes, "bilinear", False)


def numbers(b: Builder, role: str, value: Any) -> Any:
    """An option that is a number, or an array along the last axes: a literal or a buffer."""
    if isinstance(value, int | float):
        return float(value)
    array = np.asarray(value, dtype=np.float64)
    if array.size == 1:
        return float(array.reshape(()))
    return b.constant(role, array, axes=tuple(range(-array.ndim, 0)))


@rule(
    "Rescaling",
    masking=True,
    examples=[
        example((4, 5, 3), scale=1 / 255),
        example((4, 5, 3), scale=2.0, offset=-1.0),
        example((4, 5, 3), scale=[0.5, 2.0, 3.0], offset=[-1.0, 0.5, 0.25]),
        example((4, 3), scale=1.0, offset=[-1.0, 0.5, 0.25]),
        Example(((4, 5, 3),), {"scale": 2}, integers=256),
    ],
)
def rescaling(b: Builder, x: Value, *, scale: Any, offset: Any = 0.0) -> Value:
    """The operators * and +."""
    factor, shift = numbers(b, "scale", scale), numbers(b, "offset", offset)
    apply = partial(b.call, dtype=b.layer.dtype)
    y = x if factor == 1 and "float" in x.dtype else apply("*", x, factor)
    if isinstance(shift, float) and shift <= 0:
        return y if shift == 0 else apply("-", y, -shift)
    return apply("+", y, shift)
