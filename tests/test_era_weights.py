"""The arrays of each release become today's: checked against independent arithmetic."""

from __future__ import annotations

import json
from typing import Any

import corpus
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2t.errors import ReadError
from k2t.graph import Call, Graph, Layer, StoredArray
from k2t.read.eras import Era, keras1, keras2, modern_layer, modern_weights, weights

KERAS_1 = Era((1, 2, 2), "tensorflow")
KERAS_2 = Era((2, 2, 4), "tensorflow")
KERAS_2_THEANO = Era((2, 2, 4), "theano")
KERAS_3 = Era((3, 9, 2), "tensorflow")

CORPUS = corpus.FOLDER


def stored(*arrays: np.ndarray) -> list[StoredArray]:
    return [StoredArray(f"a{i}", a.shape, a.dtype, lambda a=a: a) for i, a in enumerate(arrays)]


def loaded(layer: Layer, era: Era, *arrays: np.ndarray) -> list[np.ndarray]:
    """The modern arrays; each has the shape and dtype that were announced."""
    modern = modern_weights(layer, stored(*arrays), era)
    values = [array.load() for array in modern]
    assert [(v.shape, v.dtype) for v in values] == [(a.shape, a.dtype) for a in modern]
    return values


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def conv(kind: str = "Conv2D", data_format: str = "channels_last", **options: Any) -> Layer:
    return Layer("c", kind, {"filters": 4, "kernel_size": [3, 2], "data_format": data_format, **options})


def test_a_channels_first_kernel_of_keras_1_is_turned_to_the_back() -> None:
    kernel, bias = random(4, 5, 3, 2), random(4)
    modern = loaded(conv(data_format="channels_first"), KERAS_1, kernel, bias)
    assert modern[0].shape == (3, 2, 5, 4)
    assert modern[0][2, 1, 4, 3] == kernel[3, 4, 2, 1]
    assert np.array_equal(modern[1], bias)


def test_a_kernel_of_keras_2_is_the_same_for_both_data_formats() -> None:
    kernel = random(3, 2, 5, 4)
    assert np.array_equal(loaded(conv(data_format="channels_first"), KERAS_2, kernel)[0], kernel)


@pytest.mark.parametrize("kind", ["Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose"])
def test_theano_convolves_so_its_kernels_are_turned_around(kind: str) -> None:
    rank = int(kind[4])
    kernel = random(*(3, 2, 4)[:rank], 5, 6)
    modern = loaded(conv(kind), KERAS_2_THEANO, kernel)[0]
    axes = tuple(range(rank))
    assert np.array_equal(modern, kernel[tuple(slice(None, None, -1) for _ in axes)])


def test_theano_correlates_in_depthwise_convolutions() -> None:
    kernel = random(3, 2, 5, 1)
    assert np.array_equal(loaded(conv("DepthwiseConv2D"), KERAS_2_THEANO, kernel)[0], kernel)


@pytest.mark.parametrize("shape", [(3, 1, 5, 4), (4, 5, 3, 1)])
def test_a_temporal_kernel_of_keras_1_loses_its_second_axis(shape: tuple[int, ...]) -> None:
    kernel = random(*shape)
    modern = loaded(conv("Conv1D", kernel_size=3), KERAS_1, kernel)[0]
    assert modern.shape == (3, 5, 4)
    assert modern[2, 4, 1] == (kernel[2, 0, 4, 1] if shape[0] == 3 else kernel[1, 4, 2, 0])


@pytest.mark.parametrize(("data_format", "shape"), [("channels_last", (3, 2, 5, 4)), ("channels_first", (4, 5, 3, 2))])
def test_a_transposed_kernel_of_keras_1_has_its_channels_swapped(data_format: str, shape: tuple[int, ...]) -> None:
    kernel = random(*shape)
    modern = loaded(conv("Conv2DTranspose", data_format), KERAS_1, kernel)[0]
    assert modern.shape == (3, 2, 4, 5)
    assert modern[2, 1, 3, 4] == (kernel[2, 1, 4, 3] if data_format == "channels_last" else kernel[3, 4, 2, 1])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm(x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Today's LSTM on one sequence: gates i, f, c, o."""
    h = c = np.zeros(len(recurrent))
    for step in x:
        i, f, g, o = np.split(step @ kernel + h @ recurrent + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    return h


def gru(x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Today's GRU(reset_after=True) on one sequence: gates z, r, h."""
    h = np.zeros(len(recurrent))
    for step in x:
        xz, xr, xh = np.split(step @ kernel + bias[0], 3)
        hz, hr, hh = np.split(h @ recurrent + bias[1], 3)
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        h = z * h + (1 - z) * np.tanh(xh + r * hh)
    return h


def test_the_twelve_arrays_of_an_lstm_of_keras_1_compute_the_same() -> None:
    gates = {gate: (random(5, 4) + n, random(4, 4) - n, random(4) * n) for n, gate in enumerate("icfo")}
    x = random(6, 5)
    modern = loaded(Layer("l", "LSTM", {"units": 4}), KERAS_1, *(a for gate in "icfo" for a in gates[gate]))
    h = c = np.zeros(4)
    for step in x:
        value = {gate: step @ w + h @ u + b for gate, (w, u, b) in gates.items()}
        c = sigmoid(value["f"]) * c + sigmoid(value["i"]) * np.tanh(value["c"])
        h = sigmoid(value["o"]) * np.tanh(c)
    assert np.allclose(lstm(x, *modern), h, rtol=0, atol=1e-14)


def test_the_nine_arrays_of_a_gru_of_keras_1_stand_in_gate_order() -> None:
    arrays = [array + gate for gate in range(3) for array in (random(5, 4), random(4, 4), random(4))]
    kernel, recurrent, bias = loaded(Layer("g", "GRU", {"units": 4}), KERAS_1, *arrays)
    assert np.array_equal(kernel, np.hstack(arrays[0::3]))
    assert np.array_equal(recurrent, np.hstack(arrays[1::3]))
    assert np.array_equal(bias, np.hstack(arrays[2::3]))


def test_an_lstm_saved_in_the_mode_for_gpus_stays_as_it_is() -> None:
    arrays = [random(5, 16), random(4, 16), random(16)]
    assert all(map(np.array_equal, loaded(Layer("l", "LSTM", {"units": 4}), KERAS_1, *arrays), arrays))


def cudnn_gates(kernel: np.ndarray, gates: int) -> list[np.ndarray]:
    """What cuDNN reads: the values in order of rows, gate after gate, each as (units, inputs)."""
    units = kernel.shape[1] // gates
    return [kernel[:, g * units : (g + 1) * units].ravel().reshape(units, -1) for g in range(gates)]


def test_cudnn_lstm_computes_the_same_as_its_lstm() -> None:
    kernel, recurrent, bias, x = random(5, 16), random(4, 16), random(32), random(6, 5)
    w, u = cudnn_gates(kernel, 4), cudnn_gates(recurrent, 4)
    h = c = np.zeros(4)
    for step in x:
        i, f, g, o = (
            w[n] @ step + u[n] @ h + bias[4 * n : 4 * n + 4] + bias[16 + 4 * n : 20 + 4 * n] for n in range(4)
        )
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    modern = loaded(Layer("l", "LSTM", {"units": 4}), KERAS_2, kernel, recurrent, bias)
    assert np.allclose(lstm(x, *modern), h, rtol=0, atol=1e-14)


def test_cudnn_gru_computes_the_same_as_its_gru() -> None:
    kernel, recurrent, bias, x = random(5, 12), random(4, 12), random(24), random(6, 5)
    w, u, b = cudnn_gates(kernel, 3), cudnn_gates(recurrent, 3), bias.reshape(6, 4)
    h = np.zeros(4)
    for step in x:
        z = sigmoid(w[0] @ step + b[0] + u[0] @ h + b[3])
        r = sigmoid(w[1] @ step + b[1] + u[1] @ h + b[4])
        h = z * h + (1 - z) * np.tanh(w[2] @ step + b[2] + r * (u[2] @ h + b[5]))
    modern = loaded(Layer("g", "GRU", {"units": 4, "reset_after": True}), KERAS_2, kernel, recurrent, bias)
    assert np.allclose(gru(x, *modern), h, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_layers_of_today_are_left_alone(kind: str) -> None:
    arrays = [random(5, 12), random(4, 12), random(12)]
    layer = Layer("l", kind, {"units": 4})
    assert modern_weights(layer, stored(*arrays), KERAS_3) == tuple(stored(*arrays))
    assert all(map(np.array_equal, loaded(layer, KERAS_2, *arrays), arrays))


def test_both_directions_of_a_bidirectional_layer_are_converted() -> None:
    arrays = [random(5, 4), random(4, 4), random(4)] * 8
    layer = Layer("b", "Bidirectional", {"layer": Layer("l", "LSTM", {"units": 4})})
    assert [a.shape for a in loaded(layer, KERAS_1, *arrays)] == [(5, 16), (4, 16), (16,)] * 2


def test_a_convolution_in_time_distributed_is_converted() -> None:
    layer = Layer("t", "TimeDistributed", {"layer": conv(data_format="channels_first")})
    assert [a.shape for a in loaded(layer, KERAS_1, random(4, 5, 3, 2), random(4))] == [(3, 2, 5, 4), (4,)]


def test_a_deviation_of_the_first_releases_becomes_a_variance() -> None:
    gamma, beta, mean, std, x = random(4), random(4), random(4), np.abs(random(4)) + 0.5, random(3, 4)
    layer = Layer("bn", "BatchNormalization", {"epsilon": 1e-3})
    modern = loaded(layer, Era((1, 0, 3), "theano"), gamma, beta, mean, std)
    assert np.allclose((x - mean) / np.sqrt(modern[3] + 1e-3), (x - mean) / (std + 1e-3), rtol=0, atol=1e-14)
    assert np.array_equal(loaded(layer, Era((1, 0, 6), "theano"), gamma, beta, mean, std)[3], std)


def test_the_shape_of_its_weights_tells_which_axes_a_prelu_shares() -> None:
    layer = Layer("p", "PReLU")
    loaded(layer, KERAS_1, random(1, 1, 5))
    assert layer.options == {"shared_axes": [1, 2]}


def test_highway_has_its_kernels_before_its_biases() -> None:
    arrays = [random(4, 4), random(4), random(4, 4) + 1, random(4) + 1]
    modern = loaded(Layer("h", "Highway"), Era((1, 1, 0), "theano"), *arrays)
    assert all(map(np.array_equal, modern, (arrays[0], arrays[2], arrays[1], arrays[3])))


def nested(*layers: Layer) -> Layer:
    calls = tuple(Call(layer.name, layer, ()) for layer in layers)
    return Layer("inner", "Sequential", graph=Graph("inner", (), calls, None))


def test_layers_of_a_nested_model_are_converted_in_their_places() -> None:
    inner = (
        conv(data_format="channels_first", use_bias=False),
        Layer("bn", "BatchNormalization", {"epsilon": 1e-3}),
        Layer("frozen", "Dense", {"units": 2}, trainable=False),
        Layer("relu", "ReLU"),
        Layer("lstm", "LSTM", {"units": 4}),
    )
    kernel, (gamma, beta, mean, std) = random(4, 5, 3, 2), (random(4) + n for n in range(4))
    gates = [random(4, 4), random(4, 4), random(4)] * 4
    frozen = [random(4, 2), random(2)]
    modern = loaded(nested(*inner), KERAS_1, kernel, gamma, beta, *gates, mean, std, *frozen)
    shapes = [(3, 2, 5, 4), (4,), (4,), (4, 16), (4, 16), (16,), (4,), (4,), (4, 2), (2,)]
    assert [array.shape for array in modern] == shapes
    assert np.array_equal(modern[2], beta)
    assert np.array_equal(modern[7], std)
    assert np.array_equal(modern[8], frozen[0])


def test_models_inside_nested_models_are_converted_in_their_places() -> None:
    lstm_arrays = [random(4, 4), random(4, 4), random(4)] * 4
    recurrent = Layer("lstm", "LSTM", {"units": 4})
    frozen = Layer("frozen", "LSTM", {"units": 4}, trainable=False)
    inner = nested(Layer("dense", "Dense", {"units": 4}), recurrent, frozen, Layer("bn", "BatchNormalization"))
    first = [random(4, 4), random(4), *lstm_arrays, random(4) + 1, random(4) + 2, random(4, 2), random(2)]
    rest = [*lstm_arrays, random(4) + 3, random(4) + 4]
    modern = loaded(nested(inner, Layer("head", "Dense", {"units": 2})), KERAS_1, *first, *rest)
    gates = [(4, 16), (4, 16), (16,)]
    shapes = [(4, 4), (4,), *gates, (4,), (4,), (4, 2), (2,), *gates, (4,), (4,)]
    assert [array.shape for array in modern] == shapes
    assert np.array_equal(modern[-1], rest[-1])


def test_arrays_left_over_in_a_nested_model_are_an_error_that_names_it() -> None:
    with pytest.raises(ReadError, match="inner"):
        modern_weights(nested(Layer("d", "Dense", {"units": 2})), stored(random(4, 2), random(2), random(3)), KERAS_1)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.floats()
    | st.sampled_from(["same", "th", "default", "hard_sigmoid"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["class_name", "units"]), inner, max_size=2)
    ),
    max_leaves=4,
)
OPTIONS = st.sampled_from(
    sorted(
        {*keras1.KEYS, *keras1.KEYS.values(), "axis", "epsilon", "layer", "mode", "nb_row", "nb_col", "output_shape"}
    )
)
KINDS = st.sampled_from(
    sorted({*keras1.KINDS, *keras1.CHANGES, *keras2.KINDS, *weights.KERAS_1, *weights.KERNELS, "Merge", "MaxPooling2D"})
)
ERAS = st.sampled_from([KERAS_1, KERAS_2, KERAS_2_THEANO, KERAS_3, Era((1, 0, 2), "theano"), Era((), "")])


@given(
    kind=KINDS,
    config=st.dictionaries(OPTIONS, JSON),
    era=ERAS,
    shapes=st.lists(st.lists(st.integers(0, 4), max_size=5)),
)
@settings(max_examples=300, deadline=None)
def test_damaged_configurations_and_arrays_pass_through(
    kind: str, config: dict[str, Any], era: Era, shapes: list[list[int]]
) -> None:
    """What is wrong with them, the rules and the binding say; here nothing may fail."""
    Era.guess("", "", [{"class_name": kind, "config": config}])
    modern_kind, options = modern_layer(kind, config, era)
    loaded(Layer("x", modern_kind, options), era, *(np.zeros(shape) for shape in shapes))


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not here")
def test_the_arrays_of_every_real_lstm_and_gru_have_the_shape_of_today() -> None:
    """Whatever release wrote the file: units, and as many gates."""
    count = 0
    for path in sorted(CORPUS.glob("*.h*5")):
        with h5py.File(path) as file:
            attributes = {key: str(np.asarray(value).astype(str)) for key, value in file.attrs.items()}
            if "model_config" not in attributes:
                continue
            config = json.loads(attributes["model_config"])
            era = Era.guess(attributes.get("keras_version", ""), attributes.get("backend", ""), config)
            entries = config["config"]
            for entry in entries if isinstance(entries, list) else entries["layers"]:
                if entry["class_name"] not in ("LSTM", "GRU", "CuDNNLSTM", "CuDNNGRU", "SimpleRNN"):
                    continue
                kind, options = modern_layer(entry["class_name"], entry["config"], era)
                group = file["model_weights"][entry["config"]["name"]]
                arrays = [group[name][()] for name in group.attrs["weight_names"]]
                kernel, recurrent, bias = loaded(Layer(entry["config"]["name"], kind, options), era, *arrays)
                width = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[kind] * options["units"]
                assert (kernel.shape[1], recurrent.shape) == (width, (options["units"], width)), path.name
                assert bias.shape == ((2, width) if options.get("reset_after") else (width,)), path.name
                count += 1
    assert count > 10
