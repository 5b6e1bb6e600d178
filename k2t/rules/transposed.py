"""Transposed convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Index, Value, Weight
from k2t.rules.activations import activate
from k2t.rules.base import example, require, rule, size
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry, kernel_first
from k2t.rules.padding import plain, to_tuple


def added(reach: int, stride: int, padding: str, output_padding: int | None) -> int:
    """What an output is longer than `(input - 1) * stride`, where `reach = (kernel - 1) * dilation + 1`.

    Source: Keras's table of output sizes, https://keras.io/api/layers/convolution_layers/convolution2d_transpose.
    """
    if output_padding is None:
        return max(reach, stride) if padding == "valid" else stride
    return (reach if padding == "valid" else reach % 2) + output_padding


@dataclass(frozen=True)
class Crop:
    """What is cut off a full transposed convolution along one axis.

    Attributes:
        padding, output_padding: as PyTorch has them.
        before, behind: what a slice cuts off in addition.
    """

    padding: int
    output_padding: int = 0
    before: int = 0
    behind: int = 0


def crop(reach: int, length: int, stride: int, padding: str) -> Crop:
    """How an output becomes `length` longer than `(input - 1) * stride`, where a full one is `reach` longer.

    TensorFlow cuts half of the difference off in front and the rest behind, Theano half of the kernel in front; what
    is missing, they add behind.
    """
    front = reach // 2 if padding == "theano_same" else max(reach - length, 0) // 2
    back = reach - length - front
    if back >= front:
        return Crop(front, behind=back - front)
    if front - back < stride:
        return Crop(front, front - back)
    return Crop(max(back, 0), max(-back, 0), before=front - max(back, 0))


def cut_off(b: Builder, y: Value, geometry: Geometry, crops: list[Crop]) -> Value:
    """A slice: without the first and last elements of each spatial axis."""
    if all((cut.before, cut.behind) == (0, 0) for cut in crops):
        return y
    parts = [slice(cut.before or None, -cut.behind or None) for cut in crops]
    cuts = {axis: part for axis, part in zip(geometry.spatial, parts, strict=True) if part != slice(None)}
    sizes = tuple(
        None if n is None else n - cut.before - cut.behind for n, cut in zip(geometry.sizes(y), crops, strict=True)
    )
    index = Index(tuple(cuts.get(axis) for axis in range(y.rank)))
    return b.call("[]", y, index, shape=geometry.shape(y, sizes, y.shape[geometry.channels]))


def weights(b: Builder, shape: tuple[int, ...], use_bias: bool) -> dict[str, Weight | None]:
    """The module's state, from a kernel (..., out, in)."""
    kernel = b.weight(b.variable("kernel", shape), transform=kernel_first)
    return {"weight": kernel, "bias": b.weight(b.variable("bias", (shape[-2],))) if use_bias else None}


def module_options(
    stride: tuple[int, ...], crops: list[Crop], dilation: tuple[int, ...], use_bias: bool
) -> dict[str, Any]:
    """What the module is told besides its sizes."""
    options = {
        "stride": stride,
        "padding": tuple(cut.padding for cut in crops),
        "output_padding": tuple(cut.output_padding for cut in crops),
        "dilation": dilation,
    }
    neutral = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
    arguments = {key: plain(value) for key, value in options.items() if set(value) != {neutral[key]}}
    return arguments if use_bias else {**arguments, "bias": False}


def transposed(rank: int) -> Any:
    """The rule of ConvNDTranspose."""

    def translate(
        b: Builder,
        x: Value,
        *,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
    ) -> Value:
        require(padding, ("valid", "same", "theano_same"), "padding")
        geometry = Geometry(x, rank, data_format)
        kernel_size, stride, dilation = (to_tuple(value, rank) for value in (kernel_size, strides, dilation_rate))
        extra = (None,) * rank if output_padding is None else to_tuple(output_padding, rank)
        reach = [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation, strict=True)]
        lengths = [added(r, s, padding, e) for r, s, e in zip(reach, stride, extra, strict=True)]
        if any(length < 1 for length in lengths):
            raise UntranslatableError(f"output_padding={output_padding!r} leaves nothing")
        crops = [crop(*axis, padding) for axis in zip(reach, lengths, stride, strict=True)]
        module = b.module(
            f"nn.ConvTranspose{rank}d",
            size(x, geometry.channels),
            filters,
            plain(kernel_size),
            weights=weights(b, (*kernel_size, filters, size(x, geometry.channels)), use_bias),
            **module_options(stride, crops, dilation, use_bias),
        )
        sizes = [
            None if n is None else (n - 1) * s + length + cut.before + cut.behind
            for n, s, length, cut in zip(geometry.sizes(x), stride, lengths, crops, strict=True)
        ]
        y = b.call(module, x, shape=geometry.shape(x, tuple(sizes), filters), layout=geometry.layout)
        return activate(b, cut_off(b, y, geometry, crops), activation)

    translate.__doc__ = f"nn.ConvTranspose{rank}d; a slice where Keras cuts more off behind than in front."
    return translate


_IMAGE = (5, 4, 3)
for _rank in (1, 2, 3):
    _shape, _open = (*_IMAGE[:_rank], 3), (None,) * _rank + (3,)
    _examples = [
        example(_shape, filters=2, kernel_size=3),
        example(_shape, filters=2, kernel_size=2, strides=3, activation="relu"),
        example(_open, filters=2, kernel_size=4, strides=2, padding="same", use_bias=False),
        example(_open, filters=2, kernel_size=3, strides=2, padding="same"),
        example(_shape, filters=2, kernel_size=5, strides=2, padding="same"),
        example(_shape, filters=2, kernel_size=1, strides=2, padding="same"),
        example(_shape, filters=2, kernel_size=4, padding="same"),
        example(_shape, filters=2, kernel_size=3, strides=2, padding="same", output_padding=1),
        example(_shape, filters=2, kernel_size=3, strides=2, padding="valid", output_padding=1),
        example(_shape, filters=2, kernel_size=4, strides=3, padding="same", output_padding=1),
        example((3, *_shape[:-1]), filters=2, kernel_size=3, strides=2, padding="same", data_format="channels_first"),
    ]
    if _rank == 2:
        _examples += [
            example((5, 4, 3), filters=2, kernel_size=[3, 4], strides=[2, 1], padding="same"),
            example((5, 4, 3), filters=2, kernel_size=3, dilation_rate=2),
            example((5, 4, 3), filters=2, kernel_size=[3, 4], dilation_rate=2, padding="same"),
        ]
    rule(f"Conv{_rank}DTranspose", examples=_examples)(transposed(_rank))
