"""Convolutions: plain, grouped, depthwise, separable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k2t.errors import UntranslatableError
from k2t.graph import Array
from k2t.program import LayoutKind, Pads, Value, Variable
from k2t.rules.activations import activate
from k2t.rules.base import example, require, rule, size
from k2t.rules.builder import Builder
from k2t.rules.lora import adapt
from k2t.rules.padding import FIXED, output_size, padding_of, plain, to_tuple
from k2t.symbols import is_symbolic


class Geometry:
    """Where the axes of an image-like tensor lie, in Keras's order.

    Attributes:
        rank: number of spatial axes.
        layout: how a PyTorch module sees the tensor.
        channels: the channel axis.
        spatial: the spatial axes.
    """

    def __init__(self, x: Value, rank: int, data_format: str | None) -> None:
        require(data_format, (None, "channels_last", "channels_first"), "data_format")
        if x.rank != rank + 2:
            raise UntranslatableError(f"needs an input of {rank + 2} axes, has {x.shape}")
        first = data_format == "channels_first"
        self.rank = rank
        self.layout: LayoutKind = "keras" if first else "first"
        self.channels = 1 if first else rank + 1
        self.spatial = tuple(range(2, rank + 2)) if first else tuple(range(1, rank + 1))

    def sizes(self, x: Value) -> tuple[int | None, ...]:
        """The spatial sizes."""
        return tuple(x.shape[axis] for axis in self.spatial)

    def shape(self, x: Value, sizes: tuple[int | None, ...], channels: int | None) -> tuple[int | None, ...]:
        """The shape of `x` with other spatial sizes and channels."""
        by_axis = {0: x.shape[0], self.channels: channels, **dict(zip(self.spatial, sizes, strict=True))}
        return tuple(by_axis[axis] for axis in range(self.rank + 2))

    def pads(self, pairs: tuple[tuple[int, int], ...]) -> Pads:
        """Padding of the spatial axes."""
        by_axis = dict(zip(self.spatial, pairs, strict=True))
        return Pads(tuple(by_axis.get(axis, (0, 0)) for axis in range(self.rank + 2)))

    def pad(self, b: Builder, x: Value, pairs: tuple[tuple[int, int], ...], value: float = 0.0) -> Value:
        """F.pad on the spatial axes."""
        if all(pair == (0, 0) for pair in pairs):
            return x
        sizes = tuple(None if n is None else n + sum(pair) for n, pair in zip(self.sizes(x), pairs, strict=True))
        extra = {"value": value} if value else {}
        return b.call("F.pad", x, self.pads(pairs), shape=self.shape(x, sizes, x.shape[self.channels]), **extra)  # type: ignore[arg-type]


def kernel_first(array: Array) -> Array:
    """(..., in, out) -> (out, in, ...)."""
    return array.transpose(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))


def depthwise_first(array: Array) -> Array:
    """(..., channels, multiplier) -> (channels * multiplier, 1, ...)."""
    *spatial, channels, multiplier = array.shape
    moved = array.transpose(array.ndim - 2, array.ndim - 1, *range(array.ndim - 2))
    return moved.reshape(channels * multiplier, 1, *spatial)


@dataclass(frozen=True)
class Window:
    """How a kernel moves over the spatial axes."""

    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    dilation: tuple[int, ...]

    def output_sizes(self, sizes: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The spatial sizes behind it."""
        axes = zip(sizes, self.kernel_size, self.strides, self.dilation, strict=True)
        return tuple(output_size(n, k, s, self.padding, d) for n, k, s, d in axes)


def window(rank: int, kernel_size: Any, strides: Any, padding: str, dilation: Any) -> Window:
    """The window of a layer's options."""
    return Window(to_tuple(kernel_size, rank), to_tuple(strides, rank), padding, to_tuple(dilation, rank))


def padded(b: Builder, x: Value, geometry: Geometry, moves: Window) -> tuple[str, dict[str, Any], Value]:
    """How a convolution pads: the class, its options, and its input, padded where neither does."""
    require(moves.padding, ("same", *FIXED), "padding")
    sizes = tuple(b.fixed(n) for n in geometry.sizes(x))
    if moves.padding == "same" and is_symbolic(*moves.kernel_size, *moves.strides, *moves.dilation):
        if set(moves.strides) == {1}:
            return f"nn.Conv{geometry.rank}d", {"padding": "same"}, x
        return f"Conv{geometry.rank}dSame", {}, x
    needed = padding_of(moves.padding, sizes, moves.kernel_size, moves.strides, moves.dilation)
    if needed.pairs is None:
        return f"Conv{geometry.rank}dSame", {}, x
    call = f"nn.Conv{geometry.rank}d"
    if needed.symmetric is not None:
        return call, {"padding": plain(needed.symmetric)} if any(needed.symmetric) else {}, x
    if moves.padding == "same" and set(moves.strides) == {1}:
        return call, {"padding": "same"}, x
    return call, {}, geometry.pad(b, x, needed.pairs)


def convolve(
    b: Builder,
    x: Value,
    geometry: Geometry,
    moves: Window,
    *,
    filters: int,
    groups: int,
    kernel: Variable,
    bias: Variable | None,
    transform: Any = kernel_first,
    role: str = "",
) -> Value:
    """nn.ConvNd with Keras's padding: as an option where it is symmetric, by F.pad or a local class where not."""
    call, options, source = padded(b, x, geometry, moves)
    if set(moves.dilation) != {1}:
        options["dilation"] = plain(moves.dilation)
    if groups != 1:
        options["groups"] = groups
    if bias is None:
        options["bias"] = False
    stride = {} if set(moves.strides) == {1} else {"stride": plain(moves.strides)}
    module = b.module(
        call,
        size(x, geometry.channels),
        filters,
        plain(moves.kernel_size),
        role=role,
        weights={"weight": b.weight(kernel, transform=transform), "bias": b.weight(bias) if bias else None},
        **stride,
        **options,
    )
    shape = geometry.shape(x, moves.output_sizes(geometry.sizes(x)), filters)
    return b.call(module, source, shape=shape, layout=geometry.layout)


def conv(rank: int) -> Any:
    """The rule of ConvND."""

    def translate(
        b: Builder,
        x: Value,
        *,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        lora_rank: int | None = None,
        lora_alpha: int | None = None,
        quantization_config: Any = None,
    ) -> Value:
        if quantization_config is not None:
            raise UntranslatableError("is quantized, which Keras's convolutions are not")
        geometry = Geometry(x, rank, data_format)
        moves = window(rank, kernel_size, strides, padding, dilation_rate)
        channels = size(x, geometry.channels)
        if channels % groups or filters % groups:
            raise UntranslatableError(f"groups={groups} divides {channels} channels or {filters} filters unevenly")
        shape = (*moves.kernel_size, channels // groups, filters)
        adapt(b, "kernel", shape, (filters,) if use_bias else None, lora_rank, lora_alpha)
        kernel = b.variable("kernel", shape)
        bias = b.variable("bias", (filters,)) if use_bias else None
        y = convolve(b, x, geometry, moves, filters=filters, groups=groups, kernel=kernel, bias=bias)
        return activate(b, y, activation)

    translate.__doc__ = f"nn.Conv{rank}d; padding as an option where it is symmetric."
    return translate


rule(
    "Conv1D",
    examples=[
        example((9, 3), filters=4, kernel_size=3),
        example((9, 3), filters=4, kernel_size=4, padding="same", activation="relu"),
        example((10, 3), filters=4, kernel_size=3, strides=2, padding="same"),
        example((None, 3), filters=4, kernel_size=5, strides=3, padding="same"),
        example((9, 3), filters=4, kernel_size=3, padding="causal", dilation_rate=2),
        example((9, 4), filters=6, kernel_size=3, groups=2, use_bias=False),
        example((3, 9), filters=4, kernel_size=3, data_format="channels_first"),
    ],
)(conv(1))
rule(
    "Conv2D",
    examples=[
        example((8, 9, 3), filters=4, kernel_size=3),
        example((8, 9, 3), filters=4, kernel_size=[3, 2], padding="same"),
        example((8, 9, 3), filters=4, kernel_size=3, strides=2, padding="same", activation="relu"),
        example((7, 8, 3), filters=4, kernel_size=[5, 3], strides=[3, 2], padding="same", use_bias=False),
        example((9, 8, 3), filters=4, kernel_size=3, dilation_rate=2, padding="same"),
        example((None, None, 3), filters=4, kernel_size=3, strides=2, padding="same"),
        example((8, 9, 4), filters=6, kernel_size=3, groups=2),
        example((8, 9, 3), filters=4, kernel_size=3, lora_rank=2),
        example((3, 8, 9), filters=4, kernel_size=3, strides=2, padding="same", data_format="channels_first"),
    ],
)(conv(2))
rule(
    "Conv3D",
    examples=[
        example((5, 6, 7, 2), filters=3, kernel_size=3),
        example((5, 6, 7, 2), filters=3, kernel_size=[2, 3, 4], strides=2, padding="same"),
        example((5, 6, 7, 2), filters=3, kernel_size=3, padding="same", use_bias=False),
    ],
)(conv(3))


def depthwise(rank: int) -> Any:
    """The rule of DepthwiseConvND."""

    def translate(
        b: Builder,
        x: Value,
        *,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
    ) -> Value:
        geometry = Geometry(x, rank, data_format)
        moves = window(rank, kernel_size, strides, padding, dilation_rate)
        channels = size(x, geometry.channels)
        filters = channels * depth_multiplier
        y = convolve(
            b,
            x,
            geometry,
            moves,
            filters=filters,
            groups=channels,
            kernel=b.variable("kernel", (*moves.kernel_size, channels, depth_multiplier)),
            bias=b.variable("bias", (filters,)) if use_bias else None,
            transform=depthwise_first,
        )
        return activate(b, y, activation)

    translate.__doc__ = f"nn.Conv{rank}d with as many groups as channels."
    return translate


rule(
    "DepthwiseConv1D",
    examples=[
        example((9, 3), kernel_size=3),
        example((9, 3), kernel_size=4, strides=2, padding="same", depth_multiplier=2, activation="relu"),
    ],
)(depthwise(1))
rule(
    "DepthwiseConv2D",
    examples=[
        example((8, 9, 3), kernel_size=3),
        example((8, 9, 3), kernel_size=3, strides=2, padding="same", depth_multiplier=2, use_bias=False),
        example((None, None, 3), kernel_size=5, strides=2, padding="same", activation="relu"),
        example((8, 9, 3), kernel_size=[3, 2], padding="same", dilation_rate=2),
    ],
)(depthwise(2))


def separable(rank: int) -> Any:
    """The rule of SeparableConvND."""

    def translate(
        b: Builder,
        x: Value,
        *,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
    ) -> Value:
        geometry = Geometry(x, rank, data_format)
        moves, ones = window(rank, kernel_size, strides, padding, dilation_rate), (1,) * rank
        channels = size(x, geometry.channels)
        inner = channels * depth_multiplier
        y = convolve(
            b,
            x,
            geometry,
            moves,
            filters=inner,
            groups=channels,
            kernel=b.variable("depthwise_kernel", (*moves.kernel_size, channels, depth_multiplier)),
            bias=None,
            transform=depthwise_first,
            role="depthwise",
        )
        y = convolve(
            b,
            y,
            geometry,
            window(rank, 1, 1, "valid", 1),
            filters=filters,
            groups=1,
            kernel=b.variable("pointwise_kernel", (*ones, inner, filters)),
            bias=b.variable("bias", (filters,)) if use_bias else None,
            role="pointwise",
        )
        return activate(b, y, activation)

    translate.__doc__ = f"Two nn.Conv{rank}d: one with as many groups as channels, one of size 1."
    return translate


rule(
    "SeparableConv1D",
    examples=[
        example((9, 3), filters=4, kernel_size=3),
        example((9, 3), filters=4, kernel_size=3, strides=2, padding="same", depth_multiplier=2, activation="relu"),
    ],
)(separable(1))
rule(
    "SeparableConv2D",
    examples=[
        example((8, 9, 3), filters=4, kernel_size=3),
        example((8, 9, 3), filters=4, kernel_size=3, strides=2, padding="same", depth_multiplier=2, use_bias=False),
        example((None, 9, 3), filters=4, kernel_size=3, strides=2, padding="same", activation="relu"),
    ],
)(separable(2))
