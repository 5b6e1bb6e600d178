"""Arrays of older releases, in the order and shape that today's layers have.

Sources: `preprocess_weights_for_loading` in `keras/engine/topology.py` 2.0.0 and `engine/saving.py` 2.2.4, which state
what Keras 2 makes of them; `keras/backend/theano_backend.py`, whose convolutions turn the kernel around.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from k2t.errors import ReadError
from k2t.graph import Array, Layer, StoredArray
from k2t.read.eras.era import Era

Arrays = list[StoredArray]


def modern_weights(layer: Layer, arrays: Sequence[StoredArray], era: Era) -> tuple[StoredArray, ...]:
    """The arrays of a layer of a legacy HDF5 file as today's layer orders and shapes them; nothing is read yet.

    Arrays of an unexpected shape stay as they are: binding names them.

    Raises:
        ReadError: the arrays of a nested model cannot be told apart.
    """
    return tuple(converted(layer, list(arrays), era)) if era.before_keras_3 else tuple(arrays)


def converted(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """The arrays of one layer and all that it wraps."""
    if layer.graph is not None:
        return nested(layer, arrays, era)
    inner = layer.options.get("layer")
    if layer.kind == "Bidirectional" and isinstance(inner, Layer):
        half = len(arrays) // 2
        return converted(inner, arrays[:half], era) + converted(inner, arrays[half:], era)
    if isinstance(inner, Layer):
        return converted(inner, arrays, era)
    if not arrays:
        return arrays
    if era.keras_1 and layer.kind in KERAS_1:
        arrays = KERAS_1[layer.kind](layer, arrays, era)
    if era.backend == "theano" and layer.kind in CONVOLUTIONS:
        count = 2 if layer.kind == "ConvLSTM2D" else 1
        arrays = [derived(turn, array.shape, array) for array in arrays[:count]] + arrays[count:]
    if layer.kind in CUDNN:
        arrays = CUDNN[layer.kind](arrays)
    return arrays


def nested(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """The arrays of a nested model: of all its layers what is trainable, then of all the rest."""
    trainable: list[Arrays] = []
    rest: list[Arrays] = []
    layers = [] if layer.graph is None else list(layer.graph.layers())
    for part, index in ((trainable, 0), (rest, 1)):
        for sub in layers:
            count = counts(sub, arrays, era)[index]
            part.append(arrays[:count])
            arrays = arrays[count:]
    if arrays:
        raise ReadError(f"{layer.name}: the arrays of this nested model cannot be told apart")
    first: Arrays = []
    last: Arrays = []
    for sub, own, others in zip(layers, trainable, rest, strict=True):
        modern = converted(sub, own + others, era)
        split = len(modern) - len(others) if own else 0
        first += modern[:split]
        last += modern[split:]
    return first + last


def counts(layer: Layer, arrays: Arrays, era: Era) -> tuple[int, int]:
    """How many arrays a layer stored, trainable and not; `arrays` starts with them."""
    inner = layer.options.get("layer")
    if layer.graph is not None:
        pairs = [counts(sub, arrays, era) for sub in layer.graph.layers()]
        trainable, rest = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    elif isinstance(inner, Layer):
        times = 2 if layer.kind == "Bidirectional" else 1
        trainable, rest = (times * count for count in counts(inner, arrays, era))
    elif layer.kind == "BatchNormalization":
        trainable, rest = layer.options.get("scale", True) + layer.options.get("center", True), 2
    elif era.keras_1 and layer.kind in GATES and arrays and arrays[0].shape[-1] == layer.options.get("units"):
        trainable, rest = 3 * GATES[layer.kind], 0
    else:
        trainable, rest = KERNELS.get(layer.kind, 0), 0
        trainable += layer.kind in WITH_BIAS and bool(layer.options.get("use_bias", True))
    return (trainable, rest) if layer.trainable else (0, trainable + rest)


def derived(function: Callable[..., Array], shape: tuple[int, ...], *arrays: StoredArray) -> StoredArray:
    """`function` of stored arrays, computed when it is read."""
    load = partial(_load, function, arrays)
    return StoredArray(arrays[0].name, shape, arrays[0].dtype, load)


def _load(function: Callable[..., Array], arrays: tuple[StoredArray, ...]) -> Array:
    return function(*(array.load() for array in arrays))


def transposed(array: StoredArray, axes: tuple[int, ...]) -> StoredArray:
    """The array with its axes in another order."""
    return derived(lambda values: values.transpose(axes), tuple(array.shape[axis] for axis in axes), array)


def joined(arrays: Arrays) -> StoredArray:
    """The arrays side by side along their last axis."""
    shape = (*arrays[0].shape[:-1], sum(array.shape[-1] for array in arrays))
    return derived(lambda *parts: np.concatenate(parts, axis=-1), shape, *arrays)


def turn(kernel: Array) -> Array:
    """A kernel for a true convolution as the correlation has it, and back."""
    return np.flip(kernel, axis=tuple(range(kernel.ndim - 2)))


def conv1d(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """(length, 1, in, out) until 1.2, (out, in, length, 1) until 1.1."""
    kernel, *rest = arrays
    length = np.ravel(layer.options["kernel_size"])[0]
    if len(kernel.shape) != 4:
        return arrays
    if kernel.shape[:2] != (length, 1) or kernel.shape[3] != layer.options["filters"]:
        kernel = transposed(kernel, (2, 3, 1, 0))
    shape = (kernel.shape[0], *kernel.shape[2:])
    return [derived(lambda values: values.reshape(shape), shape, kernel), *rest]


def convolution(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """(out, in, ...) for channels first."""
    if layer.options["data_format"] != "channels_first":
        return arrays
    kernels = 2 if layer.kind == "SeparableConv2D" else 1
    rank = len(arrays[0].shape)
    return [transposed(a, (*range(2, rank), 1, 0)) for a in arrays[:kernels]] + arrays[kernels:]


def deconvolution(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """(rows, columns, in, out), or (out, in, rows, columns) for channels first; now (rows, columns, out, in)."""
    first = layer.options["data_format"] == "channels_first"
    return [transposed(arrays[0], (2, 3, 0, 1) if first else (0, 1, 3, 2)), *arrays[1:]]


def gru(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """Kernel, recurrent kernel and bias of each gate in turn: z, r, h."""
    return [joined(arrays[part::3]) for part in range(3)] if len(arrays) == 9 else arrays


def lstm(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """Kernel, recurrent kernel and bias of each gate in turn: i, c, f, o; now i, f, c, o."""
    if len(arrays) != 12:
        return arrays
    ordered = [arrays[3 * gate + part] for part in range(3) for gate in (0, 2, 1, 3)]
    return [joined(ordered[4 * part : 4 * part + 4]) for part in range(3)]


def conv_lstm(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """As a convolution's, then as an LSTM's."""
    return lstm(layer, [*(convolution(layer, [a], era)[0] if len(a.shape) > 1 else a for a in arrays)], era)


def highway(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """Until 1.1 each kernel with its bias; since then both kernels, then both biases."""
    if len(arrays) != 4 or len(arrays[1].shape) != 1:
        return arrays
    return [arrays[0], arrays[2], arrays[1], arrays[3]]


def shared_axes(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """The configuration does not say over which axes the parameters are shared; their shape does."""
    shared = [axis + 1 for axis, size in enumerate(arrays[0].shape) if size == 1]
    layer.options.setdefault("shared_axes", shared or None)
    return arrays


def batch_normalization(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """Until 1.0.5 the last array was a deviation, to which epsilon was added again: x / (std + epsilon)."""
    if not (1, 0) <= era.version < (1, 0, 6):
        return arrays
    epsilon = layer.options.get("epsilon", 1e-6)
    *rest, deviation = arrays
    return [*rest, derived(lambda std: (std + epsilon) ** 2 - epsilon, deviation.shape, deviation)]


def cudnn_lstm(arrays: Arrays) -> Arrays:
    """A CuDNNLSTM has two biases, 8 units long; they are added. Kernels: see `cudnn_kernels`."""
    if len(arrays) != 3 or arrays[2].shape != (8 * arrays[1].shape[0],):
        return arrays
    shape = (4 * arrays[1].shape[0],)
    return [*cudnn_kernels(arrays, 4), derived(lambda bias: bias.reshape(2, -1).sum(axis=0), shape, arrays[2])]


def cudnn_gru(arrays: Arrays) -> Arrays:
    """A CuDNNGRU has two biases in one row, as GRU(reset_after=True) has in two. Kernels: see `cudnn_kernels`."""
    units = arrays[1].shape[0] if len(arrays) == 3 else 0
    if not units or arrays[2].shape != (6 * units,):
        return arrays
    return [*cudnn_kernels(arrays, 3), derived(lambda bias: bias.reshape(2, -1), (2, 3 * units), arrays[2])]


def cudnn_kernels(arrays: Arrays, gates: int) -> Arrays:
    """cuDNN has each gate's kernels as (units, in) and (units, units), the first stored as if it were (in, units)."""

    def kernel(values: Array) -> Array:
        parts = np.split(values, gates, axis=1)
        return np.concatenate([part.reshape(part.shape[::-1]).T for part in parts], axis=1)

    def recurrent(values: Array) -> Array:
        return np.concatenate([part.T for part in np.split(values, gates, axis=1)], axis=1)

    return [derived(kernel, arrays[0].shape, arrays[0]), derived(recurrent, arrays[1].shape, arrays[1])]


KERAS_1: dict[str, Callable[[Layer, Arrays, Era], Arrays]] = {
    "BatchNormalization": batch_normalization,
    "Conv1D": conv1d,
    "Conv2D": convolution,
    "Conv3D": convolution,
    "Conv2DTranspose": deconvolution,
    "ConvLSTM2D": conv_lstm,
    "GRU": gru,
    "Highway": highway,
    "LSTM": lstm,
    "PReLU": shared_axes,
    "ParametricSoftplus": shared_axes,
    "SReLU": shared_axes,
    "SeparableConv2D": convolution,
}
CUDNN = {"GRU": cudnn_gru, "LSTM": cudnn_lstm}
CONVOLUTIONS = frozenset({"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "ConvLSTM2D"})

# For nested models: arrays of a layer without its bias.
KERNELS = {
    "Dense": 1,
    "Conv1D": 1,
    "Conv2D": 1,
    "Conv3D": 1,
    "Conv1DTranspose": 1,
    "Conv2DTranspose": 1,
    "Conv3DTranspose": 1,
    "DepthwiseConv2D": 1,
    "SeparableConv1D": 2,
    "SeparableConv2D": 2,
    "LocallyConnected1D": 1,
    "LocallyConnected2D": 1,
    "ConvLSTM2D": 2,
    "SimpleRNN": 2,
    "GRU": 2,
    "LSTM": 2,
    "Highway": 2,
    "MaxoutDense": 1,
    "Embedding": 1,
    "PReLU": 1,
    "ParametricSoftplus": 2,
    "SReLU": 4,
}
WITH_BIAS = KERNELS.keys() - {"Embedding", "PReLU", "ParametricSoftplus", "SReLU"}
GATES = {"GRU": 3, "LSTM": 4, "ConvLSTM2D": 4}
