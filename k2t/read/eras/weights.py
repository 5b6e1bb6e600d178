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

TODAY = Era((3,), "")


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
    layers = [] if layer.graph is None else list(layer.graph.layers())
    whole, parts = arrays, list[list[Arrays]]()
    for trainable in (True, False):
        parts.append([])
        for sub in layers:
            count = stored(sub, arrays, era, trainable)
            parts[-1].append(arrays[:count])
            arrays = arrays[count:]
    if arrays and not (era.keras_1 or era.backend == "theano"):
        return whole  # of layers that are as they are today; only CuDNN's were stored in another form
    if arrays:
        raise ReadError(f"{layer.name}: the arrays of this nested model cannot be told apart")
    first: Arrays = []
    last: Arrays = []
    for sub, own, others in zip(layers, *parts, strict=True):
        modern = converted(sub, own + others, era)
        split = stored(sub, modern, TODAY, trainable=True)
        first += modern[:split]
        last += modern[split:]
    return first + last


def stored(layer: Layer, arrays: Arrays, era: Era, trainable: bool) -> int:
    """How many of `arrays`, which start with them, are what `layer` stored among the trainable ones, or the rest."""
    if layer.trainable:
        return stored_as(layer, arrays, era, trainable)
    if trainable:
        return 0
    count = stored_as(layer, arrays, era, True)
    return count + stored_as(layer, arrays[count:], era, False)


def stored_as(layer: Layer, arrays: Arrays, era: Era, trainable: bool) -> int:
    """Like `stored`, whatever the layer's own flag."""
    inner = layer.options.get("layer")
    wrapped = [inner] * (2 if layer.kind == "Bidirectional" else 1) if isinstance(inner, Layer) else []
    if subs := list(layer.graph.layers()) if layer.graph is not None else wrapped:
        count = 0
        for sub in subs:
            count += stored(sub, arrays[count:], era, trainable)
        return count
    if layer.kind == "BatchNormalization":
        return sum(bool(layer.options.get(key, True)) for key in ("scale", "center")) if trainable else 2
    if not trainable:
        return 0
    units = layer.options.get("filters" if layer.kind == "ConvLSTM2D" else "units")
    if era.keras_1 and layer.kind in GATES and arrays[:1] and arrays[0].shape[-1:] == (units,):
        return 3 * GATES[layer.kind]
    return KERNELS.get(layer.kind, 0) + (layer.kind in WITH_BIAS and bool(layer.options.get("use_bias", True)))


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
    """(out, in, length, 1) until 1.0, (length, 1, in, out) since 1.1."""
    kernel, *rest = arrays
    length, filters = layer.options.get("kernel_size"), layer.options.get("filters")
    if len(kernel.shape) != 4:
        return arrays
    if (kernel.shape[:2], kernel.shape[3]) != ((length, 1), filters):
        kernel = transposed(kernel, (2, 3, 1, 0))
    shape = (kernel.shape[0], *kernel.shape[2:])
    return [derived(lambda values: values.reshape(shape), shape, kernel), *rest] if kernel.shape[1] == 1 else arrays


def convolution(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """(out, in, ...) for channels first."""
    if layer.options.get("data_format") != "channels_first":
        return arrays
    return [transposed(a, (*range(2, len(a.shape)), 1, 0)) if len(a.shape) > 3 else a for a in arrays]


def deconvolution(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """(rows, columns, in, out), or (out, in, rows, columns) for channels first; now (rows, columns, out, in)."""
    if len(arrays[0].shape) != 4:
        return arrays
    first = layer.options.get("data_format") == "channels_first"
    return [transposed(arrays[0], (2, 3, 0, 1) if first else (0, 1, 3, 2)), *arrays[1:]]


def gru(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """Kernel, recurrent kernel and bias of each gate in turn: z, r, h."""
    return joined_gates(arrays, (0, 1, 2))


def lstm(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """Kernel, recurrent kernel and bias of each gate in turn: i, c, f, o; now i, f, c, o."""
    return joined_gates(arrays, (0, 2, 1, 3))


def joined_gates(arrays: Arrays, order: tuple[int, ...]) -> Arrays:
    """All kernels side by side, all recurrent kernels, all biases."""
    parts = [[arrays[3 * gate + part] for gate in order] for part in range(3)] if len(arrays) == 3 * len(order) else []
    if not parts or any(len({array.shape for array in part}) != 1 or not part[0].shape for part in parts):
        return arrays
    return [joined(part) for part in parts]


def conv_lstm(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """As a convolution's, then as an LSTM's."""
    return lstm(layer, convolution(layer, arrays, era), era)


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
    epsilon = layer.options.get("epsilon", 1e-6)
    if not (1, 0) <= era.version < (1, 0, 6) or not isinstance(epsilon, float):
        return arrays
    *rest, deviation = arrays
    return [*rest, derived(lambda std: (std + epsilon) ** 2 - epsilon, deviation.shape, deviation)]


def cudnn_lstm(arrays: Arrays) -> Arrays:
    """A CuDNNLSTM has two biases, 8 units long; they are added. Kernels: see `cudnn_kernels`."""
    if not is_cudnn(arrays, 4):
        return arrays
    shape = (arrays[1].shape[1],)
    return [*cudnn_kernels(arrays, 4), derived(lambda bias: bias.reshape(2, -1).sum(axis=0), shape, arrays[2])]


def cudnn_gru(arrays: Arrays) -> Arrays:
    """A CuDNNGRU has two biases in one row, as GRU(reset_after=True) has in two. Kernels: see `cudnn_kernels`."""
    if not is_cudnn(arrays, 3):
        return arrays
    shape = (2, arrays[1].shape[1])
    return [*cudnn_kernels(arrays, 3), derived(lambda bias: bias.reshape(shape), shape, arrays[2])]


def is_cudnn(arrays: Arrays, gates: int) -> bool:
    """Whether these are the arrays of a cuDNN layer: only these have two biases in one row."""
    if len(arrays) != 3 or [len(array.shape) for array in arrays] != [2, 2, 1]:
        return False
    units, width = arrays[1].shape
    return width == gates * units == arrays[0].shape[1] and arrays[2].shape == (2 * width,)


def cudnn_kernels(arrays: Arrays, gates: int) -> Arrays:
    """cuDNN has each gate's kernels as (units, in) and (units, units), the first stored as if it were (in, units)."""

    def kernel(values: Array) -> Array:
        parts = np.split(values, gates, axis=1)
        return np.concatenate([part.reshape(part.shape[::-1]).T for part in parts], axis=1)

    def recurrent(values: Array) -> Array:
        return np.concatenate([part.T for part in np.split(values, gates, axis=1)], axis=1)

    return [derived(kernel, arrays[0].shape, arrays[0]), derived(recurrent, arrays[1].shape, arrays[1])]


def locally_connected(layer: Layer, arrays: Arrays, era: Era) -> Arrays:
    """The bias was stored (rows, columns, filters); channels first took the same values as (filters, rows, columns)."""
    if layer.options.get("data_format") != "channels_first" or len(arrays) != 2 or len(arrays[1].shape) != 3:
        return arrays
    rows, columns, filters = arrays[1].shape
    shape = (filters, rows, columns)
    return [arrays[0], derived(lambda bias: bias.reshape(shape), shape, arrays[1])]


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
    "LocallyConnected2D": locally_connected,
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
