"""Spectrograms: short-time Fourier transforms as convolutions, and on the mel scale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Array
from k2t.program import Permutation, Value, Variable
from k2t.rules.base import example, require, rule
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


def mel_weights(bands: int, bins: int, rate: float, low: float, high: float) -> Array:
    """How much of each frequency is in each band: triangles on the scale of the Hidden Markov Model Toolkit.

    Shape (bins, bands). Formula: mel(f) = 1127 ln(1 + f / 700) (Young et al., The HTK Book, section 5.4); frequency 0
    is in no band.
    """
    places = 1127 * np.log1p(np.linspace(0, rate / 2, bins)[1:, None] / 700)
    edges = np.linspace(1127 * math.log1p(low / 700), 1127 * math.log1p(high / 700), bands + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    slopes = np.minimum((places - lower) / (centre - lower), (upper - places) / (upper - centre))
    return np.pad(np.maximum(slopes, 0), ((1, 0), (0, 0)))


MEL = {"fft_length": 16, "sequence_stride": 5, "num_mel_bins": 4, "sampling_rate": 800}


@rule(
    "MelSpectrogram",
    examples=[
        example((60,), **MEL),
        example((60,), power_to_db=False, mag_exp=1.0, **MEL),
        example((60,), sequence_length=10, window="hamming", top_db=20.0, max_freq=300, **MEL),
    ],
)
def mel_spectrogram(
    b: Builder,
    x: Value,
    *,
    fft_length: int = 2048,
    sequence_stride: int = 512,
    sequence_length: int | None = None,
    window: Any = "hann",
    sampling_rate: int = 16000,
    num_mel_bins: int = 128,
    min_freq: float = 20.0,
    max_freq: float | None = None,
    power_to_db: bool = True,
    top_db: float = 80.0,
    mag_exp: float = 2.0,
    min_power: float = 1e-10,
    ref_power: float = 1.0,
) -> Value:
    """torch.fft.rfft of frames, and a matrix that adds frequencies up on the mel scale."""
    from k2t.rules.operations.signal import stft

    real, imag = stft(b, x, sequence_length or fft_length, sequence_stride, fft_length, window)
    power = b.call("+", b.call(".square", real), b.call(".square", imag))
    if mag_exp != 2:
        power = b.call("**", b.call(".sqrt", power), mag_exp)
    highest = max_freq or int(sampling_rate / 2)
    weights = mel_weights(num_mel_bins, fft_length // 2 + 1, sampling_rate, min_freq, highest)
    matrix = b.constant("mel", weights)
    y = b.call("@", power, matrix, shape=(*power.shape[:-1], num_mel_bins), layout="keras")
    if power_to_db:
        reference = 10 * math.log10(max(abs(ref_power), min_power))
        y = b.call("decibels", y, min_power, reference, top_db, shape=y.shape, layout="keras")
    return moved(b, y, 0, 2, 1)
