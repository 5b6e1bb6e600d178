"""Operations of neural networks: convolutions, pooling, normalization, attention, losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as with_changes
from functools import partial
from typing import Any

import numpy as np

from k2t.graph import Array, Layer
from k2t.program import Parameter, Permutation, Value
from k2t.rules.base import require, size
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry, depthwise_first, kernel_first
from k2t.rules.operations.base import (
    REFUSED_OPERATIONS,
    Options,
    call,
    operation,
    real,
    tensor,
)
from k2t.rules.padding import output_size, plain, same, to_tuple
from k2t.rules.transposed import added, crop, cut_off

_X = real(None, 4, 3)
_IMAGE = real(None, 6, 5, 4)
_FIRST = real(None, 4, 6, 5)


def stateless(b: Builder, kind: str, x: Value, **options: Any) -> Any:
    """What the Keras layer `kind` does, which has no weights."""
    number = len(b.parts.children)
    layer = Layer(b.layer.name, kind, options, b.layer.dtype, path=f"{kind}_{number}")
    return b.apply(layer, x, key=layer.path)


def pooled(
    b: Builder,
    inputs: Value,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
    *,
    kind: str,
) -> Any:
    """What the pooling layer does."""
    options = {"pool_size": pool_size, "strides": strides, "padding": padding.lower(), "data_format": data_format}
    return stateless(b, f"{kind}Pooling{inputs.rank - 2}D", inputs, **options)


_POOLS = [call(_IMAGE, 2), call(_IMAGE, (3, 2), 2, "same"), call(_X, 2, 1, "same")]
operation("max_pool", examples=_POOLS)(partial(pooled, kind="Max"))
operation("average_pool", examples=_POOLS)(partial(pooled, kind="Average"))


def adaptive_pool(b: Builder, inputs: Value, output_size: Any, data_format: str | None = None, *, kind: str) -> Value:
    """F.adaptive_avg_pool2d and its like."""
    rank = inputs.rank - 2
    geometry = Geometry(inputs, rank, data_format)
    sizes = to_tuple(output_size, rank)
    shape = geometry.shape(inputs, sizes, inputs.shape[geometry.channels])
    return b.call(f"F.adaptive_{kind}_pool{rank}d", inputs, plain(sizes), shape=shape, layout=geometry.layout)


_ADAPTIVE = [call(_IMAGE, (2, 2)), call(_IMAGE, (3, 2)), call(_X, (3,))]
operation("adaptive_average_pool", examples=_ADAPTIVE)(partial(adaptive_pool, kind="avg"))
operation("adaptive_max_pool", examples=_ADAPTIVE)(partial(adaptive_pool, kind="max"))


def arranged(b: Builder, kernel: Any, transform: Callable[[Array], Array], order: tuple[int, ...]) -> Any:
    """A kernel as torch wants it: stored so where it is a constant or a variable, else permuted.

    Args:
        order: Keras's axes as (out, spatial..., in); layout `first` does the rest.
    """
    if isinstance(kernel, Parameter):
        own = kernel.weight.transform
        kernel.weight = with_changes(kernel.weight, transform=lambda *arrays: transform(own(*arrays)))
        kernel.shape = transform(np.broadcast_to(np.zeros(()), kernel.shape)).shape
        return kernel
    shape = tuple(kernel.shape[axis] for axis in order)
    return b.call(".permute", kernel, Permutation(order), shape=shape, layout="permute")


@operation(
    "conv",
    examples=[
        call(_IMAGE, np.arange(72.0).reshape(3, 3, 4, 2)),
        call(_IMAGE, real(3, 2, 4, 2), 2, "same"),
        call(_X, np.arange(12.0).reshape(2, 3, 2), dilation_rate=2),
        call(real(None, None, None, 3), np.ones((3, 3, 3, 2)), strides=2, padding="same"),
    ],
)
def conv(
    b: Builder,
    inputs: Value,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Value:
    """F.conv2d and its like."""
    rank = inputs.rank - 2
    geometry = Geometry(inputs, rank, data_format)
    kernel = tensor(b, kernel, "kernel")
    *kernel_size, own, filters = (size(kernel, axis) for axis in range(rank + 2))
    groups = size(inputs, geometry.channels) // own
    weight = arranged(b, kernel, kernel_first, (rank + 1, *range(rank + 1)))
    return convolve(b, inputs, weight, geometry, tuple(kernel_size), strides, padding, dilation_rate, groups, filters)


def convolve(
    b: Builder,
    x: Value,
    weight: Any,
    geometry: Geometry,
    kernel_size: tuple[int, ...],
    strides: Any,
    padding: str,
    dilation_rate: Any,
    groups: int,
    filters: int,
) -> Value:
    """F.conv2d with Keras's padding."""
    padding = padding.lower()
    require(padding, ("valid", "same"), "padding")
    stride, dilation = to_tuple(strides, geometry.rank), to_tuple(dilation_rate, geometry.rank)
    sizes = tuple(
        output_size(*axis[:3], padding, axis[3])
        for axis in zip(geometry.sizes(x), kernel_size, stride, dilation, strict=True)
    )
    options: Options = {} if set(stride) == {1} else {"stride": plain(stride)}
    source = x
    if padding == "same":
        needed = same(tuple(b.fixed(n) for n in geometry.sizes(x)), kernel_size, stride, dilation)
        if needed.symmetric is not None:
            options |= {"padding": plain(needed.symmetric)} if any(needed.symmetric) else {}
        elif needed.pairs is not None:
            source = geometry.pad(b, x, needed.pairs)
        else:
            source = b.call("pad_same", x, kernel_size, stride, dilation, shape=x.shape, layout=geometry.layout)
    options |= {} if set(dilation) == {1} else {"dilation": plain(dilation)}
    options |= {} if groups == 1 else {"groups": groups}
    shape = geometry.shape(x, sizes, filters)
    return b.call(f"F.conv{geometry.rank}d", source, weight, shape=shape, layout=geometry.layout, **options)


@operation(
    "depthwise_conv",
    examples=[call(_IMAGE, np.arange(36.0).reshape(3, 3, 4, 1)), call(_IMAGE, real(3, 2, 4, 2), 2, "same")],
)
def depthwise_conv(
    b: Builder,
    inputs: Value,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Value:
    """F.conv2d with as many groups as channels."""
    rank = inputs.rank - 2
    geometry = Geometry(inputs, rank, data_format)
    kernel = tensor(b, kernel, "kernel")
    *kernel_size, channels, multiplier = (size(kernel, axis) for axis in range(rank + 2))
    weight = arranged(b, kernel, depthwise_first, (rank, rank + 1, *range(rank)))
    filters = channels * multiplier
    if isinstance(weight, Value):
        flat_shape = (filters, *kernel_size, 1)
        weight = b.call(".reshape", weight, flat_shape, shape=flat_shape, layout="keras")
    size_ = tuple(kernel_size)
    return convolve(b, inputs, weight, geometry, size_, strides, padding, dilation_rate, channels, filters)


@operation("separable_conv", examples=[call(_IMAGE, real(3, 3, 4, 2), real(1, 1, 8, 3), padding="same")])
def separable_conv(
    b: Builder,
    inputs: Value,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Value:
    """Two F.conv2d: one with as many groups as channels, one of size 1."""
    y = depthwise_conv(b, inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(b, y, pointwise_kernel, data_format=data_format)


@operation("conv_transpose")
def conv_transpose(
    b: Builder,
    inputs: Value,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Value:
    """F.conv_transpose2d and its like; a slice where Keras cuts more off behind than in front."""
    rank = inputs.rank - 2
    padding = padding.lower()
    geometry = Geometry(inputs, rank, data_format)
    kernel = tensor(b, kernel, "kernel")
    *kernel_size, filters, _ = (size(kernel, axis) for axis in range(rank + 2))
    stride, dilation = to_tuple(strides, rank), to_tuple(dilation_rate, rank)
    extra = (None,) * rank if output_padding is None else to_tuple(output_padding, rank)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation, strict=True)]
    lengths = [added(r, s, padding, e) for r, s, e in zip(reach, stride, extra, strict=True)]
    crops = [crop(*axis, padding) for axis in zip(reach, lengths, stride, strict=True)]
    weight = arranged(b, kernel, kernel_first, (rank + 1, *range(rank + 1)))
    given = {
        "stride": (stride, 1),
        "padding": (tuple(cut.padding for cut in crops), 0),
        "output_padding": (tuple(cut.output_padding for cut in crops), 0),
        "dilation": (dilation, 1),
    }
    options = {key: plain(value) for key, (value, usual) in given.items() if set(value) != {usual}}
    sizes = [
        None if n is None else (n - 1) * s + length + cut.before + cut.behind
        for n, s, length, cut in zip(geometry.sizes(inputs), stride, lengths, crops, strict=True)
    ]
    shape = geometry.shape(inputs, tuple(sizes), filters)
    y = b.call(f"F.conv_transpose{rank}d", inputs, weight, shape=shape, layout=geometry.layout, **options)
    return cut_off(b, y, geometry, crops)


_BLOCKS = [call(_IMAGE, 2), call(real(None, 3, 2, 8), 2), call(real(None, 8, 3, 2), 2, "channels_first")]


@operation("depth_to_space", examples=_BLOCKS)
def depth_to_space(b: Builder, x: Value, block_size: int, data_format: str = "channels_last") -> Value:
    """F.pixel_shuffle for one channel; else a local function, because TensorFlow orders channels otherwise."""
    geometry = Geometry(x, 2, data_format)
    channels = size(x, geometry.channels) // block_size**2
    sizes = tuple(None if n is None else n * block_size for n in geometry.sizes(x))
    target = "F.pixel_shuffle" if channels == 1 else "depth_to_space"
    return b.call(target, x, block_size, shape=geometry.shape(x, sizes, channels), layout=geometry.layout)


@operation("space_to_depth", examples=[call(real(None, 6, 4, 3), 2), call(real(None, 3, 6, 4), 2, "channels_first")])
def space_to_depth(b: Builder, x: Value, block_size: int, data_format: str = "channels_last") -> Value:
    """F.pixel_unshuffle for one channel; else a local function, because TensorFlow orders channels otherwise."""
    geometry = Geometry(x, 2, data_format)
    channels = size(x, geometry.channels)
    sizes = tuple(None if n is None else n // block_size for n in geometry.sizes(x))
    target = "F.pixel_unshuffle" if channels == 1 else "space_to_depth"
    shape = geometry.shape(x, sizes, channels * block_size**2)
    return b.call(target, x, block_size, shape=shape, layout=geometry.layout)


def pair(value: Any) -> tuple[int, int]:
    """One number for both axes, or two."""
    first, second = to_tuple(value, 2)
    return first, second


def window_options(dilation: Any, padding: Any, stride: Any) -> Options:
    """What differs from the defaults of F.unfold."""
    given = {"dilation": (pair(dilation), 1), "padding": (pair(padding), 0), "stride": (pair(stride), 1)}
    return {key: plain(value) for key, (value, usual) in given.items() if set(value) != {usual}}


@operation("unfold", examples=[call(real(2, 3, 6, 5), 2), call(real(2, 3, 6, 5), (3, 2), 1, 1, 2)])
def unfold(b: Builder, x: Value, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Value:
    """F.unfold."""
    options = window_options(dilation, padding, stride)
    counts = [
        None if n is None else (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(
            x.shape[2:], pair(kernel_size), pair(dilation), pair(padding), pair(stride), strict=True
        )
    ]
    rows = size(x, 1) * pair(kernel_size)[0] * pair(kernel_size)[1]
    places = None if None in counts else (counts[0] or 0) * (counts[1] or 0)
    return b.call("F.unfold", x, plain(pair(kernel_size)), shape=(x.shape[0], rows, places), layout="keras", **options)


@operation("fold", examples=[call(real(2, 12, 20), (6, 5), 2), call(real(2, 12, 12), (6, 8), 2, 1, 0, 2)])
def fold(
    b: Builder,
    x: Value,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Value:
    """F.fold."""
    options = window_options(dilation, padding, stride)
    sizes, kernel = pair(output_size), pair(kernel_size)
    shape = (x.shape[0], size(x, 1) // (kernel[0] * kernel[1]), *sizes)
    return b.call("F.fold", x, plain(sizes), plain(kernel), shape=shape, layout="keras", **options)


for _name in ("ctc_loss", "ctc_decode"):
    REFUSED_OPERATIONS[_name] = "belongs to the training or decoding loop; call torch.nn.functional.ctc_loss there"
for _name in ("associative_scan", "custom_gradient", "jvp", "vectorize", "while_loop"):
    REFUSED_OPERATIONS[_name] = "takes Python functions, which a file does not hold; rewrite it in PyTorch"


@operation("convert_to_numpy")
def convert_to_numpy(b: Builder, x: Any) -> Any:
    """Nothing: the result stays a tensor."""
    return x
