"""Fourier transforms; Keras has complex tensors as pairs of real ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Shape
from k2t.program import Value
from k2t.rules.base import require
from k2t.rules.builder import Builder
from k2t.rules.operations.arrangement import pad
from k2t.rules.operations.base import Options, call, elementwise, operation, real, replaced, tensor
from k2t.rules.operations.shape import get_item

_PAIR = (real(None, 4, 6), real(None, 4, 6))


def pair_of(b: Builder, x: Value) -> list[Value]:
    """The real and the imaginary part."""
    return [b.call(f"torch.{part}", x, shape=x.shape, dtype="float32", layout="keras") for part in ("real", "imag")]


def complex_of(b: Builder, x: Any) -> Value:
    """A pair of real tensors as a complex one."""
    if isinstance(x, Value):
        return x
    first, second = x
    return b.call("torch.complex", first, second, shape=first.shape, dtype="complex64", layout="keras")


def transform(b: Builder, x: Any, *, target: str) -> list[Value]:
    """A transform of a complex tensor."""
    made = complex_of(b, x)
    return pair_of(b, b.call(target, made, shape=made.shape, dtype="complex64", layout="keras"))


for _name in ("fft", "fft2", "ifft2"):
    operation(_name, examples=[call(_PAIR)])(partial(transform, target=f"torch.fft.{_name}"))


@operation("rfft", examples=[call(real(None, 6)), call(real(None, 6), 8), call(real(None, 6), 4)])
def rfft(b: Builder, x: Value, fft_length: int | None = None) -> list[Value]:
    """torch.fft.rfft."""
    length = x.shape[-1] if fft_length is None else fft_length
    shape = (*x.shape[:-1], None if length is None else length // 2 + 1)
    options: Options = {} if fft_length is None else {"n": fft_length}
    return pair_of(b, b.call("torch.fft.rfft", x, shape=shape, dtype="complex64", layout="keras", **options))


@operation("irfft", examples=[call(_PAIR), call(_PAIR, 8)])
def irfft(b: Builder, x: Any, fft_length: int | None = None) -> Value:
    """torch.fft.irfft."""
    made = complex_of(b, x)
    bins = made.shape[-1]
    length = fft_length if fft_length is not None else None if bins is None else 2 * (bins - 1)
    options: Options = {} if fft_length is None else {"n": fft_length}
    shape = replaced(made.shape, made.rank - 1, length)
    return b.call("torch.fft.irfft", made, shape=shape, dtype="float32", layout="keras", **options)


def window_of(window: Any, sequence_length: int, fft_length: int) -> Any:
    """The window in the middle of a frame; None for none."""
    if window is None and sequence_length == fft_length:
        return None
    angle = 2 * np.pi * np.arange(sequence_length) / sequence_length
    named = {"hann": 0.5 - 0.5 * np.cos(angle), "hamming": 0.54 - 0.46 * np.cos(angle)}
    if isinstance(window, str):
        require(window, tuple(named), "window")
    values = np.ones(fft_length) if window is None else named[window] if isinstance(window, str) else np.asarray(window)
    before = (fft_length - len(values)) // 2
    return np.pad(values, (before, fft_length - len(values) - before))


@operation("stft", examples=[call(real(None, 20), 6, 3, 8), call(real(None, 20), 8, 4, 8, "hamming", False)])
def stft(
    b: Builder,
    x: Value,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> list[Value]:
    """Frames, times the window, torch.fft.rfft."""
    if center:
        pads = ((0, 0),) * (x.rank - 1) + ((fft_length // 2, fft_length // 2),)
        x = pad(b, x, pads, "reflect")
    size = x.shape[-1]
    count = None if size is None else (size - fft_length) // sequence_stride + 1
    shape: Shape = (*x.shape[:-1], count, fft_length)
    frames = b.call(".unfold", x, -1, fft_length, sequence_stride, shape=shape, layout="keras")
    weights = window_of(window, sequence_length, fft_length)
    if weights is not None:
        frames = elementwise(b, "*", frames, tensor(b, weights, "window"))
    return rfft(b, frames)


@operation("istft", examples=[call((real(None, 7, 5), real(None, 7, 5)), 8, 4, 8)])
def istft(
    b: Builder,
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """torch.fft.irfft, times the inverse window, added where frames overlap."""
    frames = irfft(b, x, fft_length)
    count = frames.shape[-2]
    if frames.rank != 3 or count is None:
        raise UntranslatableError(f"istft of {frames.shape}: needs three axes and a known number of frames")
    weights = window_of(window, sequence_length, fft_length)
    if weights is not None:
        frames = elementwise(b, "*", frames, tensor(b, inverse_window(weights, sequence_stride), "window"))
    total = (count - 1) * sequence_stride + fft_length
    shape = (frames.shape[0], total)
    y = b.call("overlap_add", frames, sequence_stride, shape=shape, layout="keras")
    start = fft_length // 2 if center else 0
    stop = start + length if length is not None else total - fft_length // 2 if center else total
    return get_item(b, y, (slice(None), slice(start or None, stop)))


def inverse_window(window: Any, stride: int) -> Any:
    """The window over the sum of its squares where frames overlap."""
    frames = -(-len(window) // stride)
    padded = np.pad(window**2, (0, frames * stride - len(window))).reshape(frames, stride)
    return window / np.tile(padded.sum(0), frames)[: len(window)]
