"""Spectrograms: short-time Fourier transforms as convolutions, and on the mel scale."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Permutation, Value, Variable
from k2t.rules.base import example, refuse, require, rule
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry, Window, convolve
from k2t.rules.core import concatenate, reshape

# Keras clips here before square roots and logarithms (`keras.config.epsilon()`).
EPSILON = 1e-7


def moved(b: Builder, x: Value, *order: int) -> Value:
    """.permute."""
    return b.call(".permute", x, Permutation(order), shape=tuple(x.shape[i] for i in order), layout="permute")


def transform(b: Builder, signals: Value, part: str, kernel: Variable, moves: Window) -> Value:
    """The real or the imaginary part of signals (M, 1, T) at each frequency and frame: (M, F, frames)."""
    geometry = Geometry(signals, 1, "channels_first")
    bins = kernel.shape[-1]
    return convolve(b, signals, geometry, moves, filters=bins, groups=1, kernel=kernel, bias=None, role=part)


def spectrum(b: Builder, parts: dict[str, Value], mode: str) -> Value:
    """What `mode` asks for, from the real and the imaginary part (M, F, frames)."""
    if mode in parts:
        return parts[mode]
    if mode == "angle":
        return b.call("torch.atan2", parts["imag"], parts["real"])
    if mode == "stft":
        return concatenate(b, [parts["real"], parts["imag"]], 1)
    power = b.call("+", *(b.call(".square", part) for part in parts.values()))
    if mode == "psd":
        return b.call("double_middle", power)
    magnitude = b.call(".sqrt", b.call(".clamp", power, min=EPSILON))
    return magnitude if mode == "magnitude" else b.call(".log", b.call(".clamp", magnitude, min=EPSILON))


AUDIO = (40, 2)
# Without a window, for which Keras needs SciPy; the weights of the test are random anyway.
PLAIN = {"window": None}
SMALL = {"frame_length": 8, "frame_step": 3, "fft_length": 8, **PLAIN}


@rule(
    "STFTSpectrogram",
    examples=[
        example(AUDIO, **SMALL),
        example(AUDIO, mode="stft", frame_length=8, expand_dims=True, **PLAIN),
        example((2, 40), mode="psd", frame_length=6, data_format="channels_first", **PLAIN),
        example((None, 1), mode="magnitude", padding="same", **SMALL),
        example((2, 40), mode="angle", expand_dims=True, data_format="channels_first", **SMALL),
        example(AUDIO, mode="real", **SMALL),
        example(AUDIO, mode="imag", **SMALL),
    ],
)
def stft_spectrogram(
    b: Builder,
    x: Value,
    *,
    mode: str = "log",
    frame_length: int = 256,
    frame_step: int | None = None,
    fft_length: int | None = None,
    window: Any = "hann",
    periodic: bool = False,
    scaling: str | None = "density",
    padding: str = "valid",
    expand_dims: bool = False,
    data_format: str | None = None,
) -> Value:
    """nn.Conv1d with the cosines and sines that the file holds as weights."""
    require(mode, ("log", "magnitude", "psd", "real", "imag", "angle", "stft"), "mode")
    require(padding, ("valid", "same"), "padding")
    last = Geometry(x, 1, data_format).channels == 2
    batch, channels, steps = (x.shape[i] for i in ((0, 2, 1) if last else (0, 1, 2)))
    if channels is None:
        raise UntranslatableError("needs a known number of channels")
    bins = (fft_length or 1 << (frame_length - 1).bit_length()) // 2 + 1
    moves = Window((frame_length,), (frame_step or frame_length // 2,), padding, (1,))
    names = [part for part in ("real", "imag") if mode not in ("real", "imag") or part == mode]
    kernels = {part: b.variable(f"{part}_kernel", (frame_length, 1, bins)) for part in names}
    signals = moved(b, x, 0, 2, 1) if last else x
    if channels > 1:
        signals = reshape(b, signals, (-1, 1, -1 if steps is None else steps))
    y = spectrum(b, {part: transform(b, signals, part, kernel, moves) for part, kernel in kernels.items()}, mode)
    frequencies, frames = (-1 if n is None else n for n in y.shape[1:])
    if expand_dims:
        y = reshape(b, y, (batch, channels, frequencies, frames))
        return moved(b, y, 0, 3, 2, 1) if last else moved(b, y, 0, 1, 3, 2)
    if channels > 1:
        y = reshape(b, y, (batch, channels * frequencies, frames))
    return moved(b, y, 0, 2, 1) if last else y


refuse("MelSpectrogram", "has no translation yet; compute the spectrogram before the network, with your data")
