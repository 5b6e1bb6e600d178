"""Functions of TensorFlow, the Keras backend and numpy, by name, against themselves in float64."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
from safetensors.numpy import save_file
from tensorflow_examples import MORE, SINGLE
from test_operations import array, sized

import k2t
from k2t.emit.file import write_body
from k2t.emit.weights import entries
from k2t.errors import UntranslatableError
from k2t.graph import Layer, map_structure
from k2t.lower import lower
from k2t.program import Block, Value, leaves
from k2t.rules.builder import Builder, apply_layer
from k2t.rules.operations.base import Call, Given, call, real, whole
from k2t.rules.operations.dialects import call_dialect
from k2t.rules.parts import Parts

X, Y = real(None, 4, 6), real(None, 4, 6)
IMAGE, FIRST = real(None, 8, 6, 3), real(None, 3, 8, 6)
SQUARE = real(None, 3, 3)
ROWS = whole(None, 4, below=4)
SHARE = real(None, 4, 6, between=(0.1, 0.9))
KERNEL = np.arange(54.0).reshape(3, 3, 3, 2) / 54
TENSORFLOW: dict[str, list[Call]] = {
    **{
        f"tf.{name}": [call(X)]
        for name in ["abs", "exp", "floor", "negative", "sigmoid", "sign", "sin", "square", "tanh"]
    },
    **{
        f"tf.math.{name}": [call(SHARE)]
        for name in ["acos", "asin", "atan", "log", "log1p", "rsqrt", "sqrt", "softplus", "erf", "reciprocal"]
    },
    **{
        f"tf.nn.{name}": [call(X)]
        for name in ["elu", "gelu", "log_softmax", "relu", "relu6", "selu", "softmax", "softsign", "swish"]
    },
    **{
        f"tf.{name}": [call(X, Y), call(X, 2.0)]
        for name in ["add", "maximum", "minimum", "multiply", "subtract", "divide"]
    },
    **{
        f"tf.{name}": [call(X, Y), call(X, y=0.5)]
        for name in ["equal", "greater", "greater_equal", "less", "less_equal"]
    },
    **{
        f"tf.math.{name}": [call(X, Y)]
        for name in ["atan2", "divide_no_nan", "floordiv", "floormod", "squared_difference"]
    },
    **{
        f"tf.reduce_{name}": [call(X, 1), call(X), call(input_tensor=X, axis=[1, 2], keepdims=True)]
        for name in ["max", "mean", "min", "prod", "sum"]
    },
    "tf.add_n": [call([X, Y, X])],
    "tf.argmax": [call(X, axis=-1), call(X)],
    "tf.argsort": [call(X, direction="DESCENDING")],
    "tf.broadcast_to": [call(real(1, 6), [4, 6])],
    "tf.cast": [call(X, "int32"), call(ROWS, "float64")],
    "tf.clip_by_value": [call(X, -0.5, 0.5)],
    "tf.concat": [call([X, Y], 1), call(values=[X, Y], axis=-1)],
    "tf.cumsum": [call(X, axis=1), call(X, 1, reverse=True)],
    "tf.einsum": [call("abc,adc->abd", X, real(None, 5, 6))],
    "tf.expand_dims": [call(X, 1), call(X, axis=-1)],
    "tf.gather": [call(X, ROWS, axis=1, batch_dims=1), call(X, np.array([2, 0]), axis=2), call(X, np.array([1]))],
    "tf.gather_nd": [call(real(5, 6, 2), np.array([[0, 1], [4, 5]]))],
    "tf.identity": [call(X)],
    "tf.image.central_crop": [call(IMAGE, 0.5)],
    "tf.image.crop_to_bounding_box": [call(IMAGE, 1, 2, 4, 3)],
    "tf.image.extract_patches": [call(IMAGE, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")],
    "tf.image.flip_left_right": [call(IMAGE)],
    "tf.image.flip_up_down": [call(IMAGE)],
    "tf.image.grayscale_to_rgb": [call(real(None, 4, 5, 1))],
    "tf.image.resize": [call(IMAGE, (4, 9)), call(IMAGE, [16, 12], "nearest")],
    "tf.image.rgb_to_hsv": [call(real(None, 4, 5, 3, between=(0.0, 1.0)))],
    "tf.image.rot90": [call(IMAGE), call(IMAGE, 3)],
    "tf.image.transpose": [call(IMAGE)],
    "tf.linalg.band_part": [call(SQUARE, -1, 0), call(SQUARE, 1, 1)],
    "tf.linalg.det": [call(SQUARE)],
    "tf.linalg.diag": [call(real(None, 4))],
    "tf.linalg.diag_part": [call(SQUARE)],
    "tf.linalg.inv": [call(SQUARE)],
    "tf.linalg.matmul": [call(X, Y, transpose_b=True), call(a=X, b=real(None, 6, 2)), call(X, np.ones((6, 2)))],
    "tf.linalg.matrix_transpose": [call(X)],
    "tf.linalg.norm": [call(X, axis=-1), call(X), call(X, ord=1, axis=1, keepdims=True)],
    "tf.linalg.trace": [call(SQUARE)],
    "tf.math.count_nonzero": [call(ROWS, 1), call(ROWS, axis=1, keepdims=True)],
    "tf.math.l2_normalize": [call(X, -1), call(X, axis=[1, 2]), call(X, axis=1, epsilon=9.0)],
    "tf.math.reduce_logsumexp": [call(X, -1)],
    "tf.math.reduce_std": [call(X, 1)],
    "tf.math.reduce_variance": [call(X)],
    "tf.math.top_k": [call(X, 2)],
    "tf.math.unsorted_segment_sum": [call(real(9, 2), whole(9, below=3), 3)],
    "tf.meshgrid": [call(real(3), real(4)), call(real(3), real(4), indexing="ij")],
    "tf.nn.avg_pool2d": [call(IMAGE, 2, 2, "SAME")],
    "tf.nn.batch_normalization": [call(X, real(6), real(6, between=(0.5, 2)), real(6), real(6), 1e-3)],
    "tf.nn.bias_add": [call(IMAGE, np.array([0.5, 1.0, -1.0]))],
    "tf.nn.conv2d": [call(IMAGE, KERNEL, 1, "SAME"), call(IMAGE, KERNEL, [1, 2, 2, 1], "VALID")],
    "tf.nn.conv2d_transpose": [call(IMAGE, KERNEL.transpose(0, 1, 3, 2), [3, 16, 12, 2], 2, "SAME")],
    "tf.nn.crelu": [call(X)],
    "tf.nn.depth_to_space": [call(real(None, 3, 2, 8), 2)],
    "tf.nn.depthwise_conv2d": [call(IMAGE, KERNEL, [1, 1, 1, 1], "SAME")],
    "tf.nn.leaky_relu": [call(X), call(X, alpha=0.25)],
    "tf.nn.max_pool": [call(IMAGE, [1, 3, 3, 1], [1, 2, 2, 1], "SAME"), call(IMAGE, 2, 2, "VALID")],
    "tf.nn.moments": [call(X, axes=[1]), call(X, [0, 1], keepdims=True)],
    "tf.nn.sigmoid_cross_entropy_with_logits": [call(labels=SHARE, logits=X)],
    "tf.nn.silu": [call(X, 0.5)],
    "tf.nn.softmax_cross_entropy_with_logits": [call(labels=SHARE, logits=X)],
    "tf.nn.space_to_depth": [call(IMAGE, 2)],
    "tf.nn.sparse_softmax_cross_entropy_with_logits": [call(labels=ROWS, logits=X)],
    "tf.norm": [call(X, axis=-1)],
    "tf.one_hot": [call(ROWS, 5), call(ROWS, 4, on_value=2.0, off_value=-1.0, axis=1, dtype="float64")],
    "tf.ones_like": [call(X)],
    "tf.pad": [
        call(X, [[0, 0], [1, 2], [0, 0]]),
        call(IMAGE, [[0, 0], [1, 1], [2, 2], [0, 0]], "REFLECT"),
        call(X, [[0, 0], [1, 2], [0, 1]], "SYMMETRIC"),
        call(X, [[0, 0], [1, 0], [0, 0]], constant_values=2.0),
    ],
    "tf.repeat": [call(X, 2, axis=1)],
    "tf.reshape": [call(X, [-1, 24]), call(X, (-1, 3, 8)), call(tensor=X, shape=[-1, 6])],
    "tf.reverse": [call(X, [1])],
    "tf.roll": [call(X, 1, 1)],
    "tf.slice": [call(X, [0, 1, 2], [-1, 2, 3])],
    "tf.sort": [call(X), call(X, direction="DESCENDING")],
    "tf.split": [call(X, 2, axis=2), call(X, [1, 3], 1), call(X, [2, -1], -1)],
    "tf.squeeze": [call(real(None, 1, 3), 1), call(real(None, 1, 3, 1), axis=[1, 3])],
    "tf.stack": [call([X, Y], axis=1), call([X, Y])],
    "tf.strided_slice": [call(X, [0, 1, 0], [0, 4, 6], [1, 2, 3], begin_mask=1, end_mask=1)],
    "tf.tensordot": [call(X, real(6, 2), 1), call(X, real(6, 4), [[1, 2], [1, 0]])],
    "tf.tile": [call(X, [1, 2, 1])],
    "tf.transpose": [call(X, [0, 2, 1]), call(X), call(IMAGE, perm=[0, 3, 1, 2])],
    "tf.unstack": [call(X, axis=1)],
    "tf.zeros_like": [call(X)],
}
BACKEND: dict[str, list[Call]] = {
    **{
        f"K.{name}": [call(X)]
        for name in [
            "abs",
            "exp",
            "relu",
            "sigmoid",
            "sign",
            "sin",
            "softmax",
            "softplus",
            "softsign",
            "square",
            "tanh",
        ]
    },
    **{
        f"K.{name}": [call(X, axis=1), call(X), call(X, -1, True)]
        for name in ["max", "mean", "min", "prod", "std", "sum", "var"]
    },
    **{f"K.{name}": [call(X, Y)] for name in ["equal", "greater", "less", "maximum", "minimum", "not_equal"]},
    "K.argmax": [call(X), call(X, axis=1)],
    "K.batch_dot": [
        call(X, Y, axes=2),
        call(X, real(None, 6, 5)),
        call(X, Y, [1, 1]),
        call(real(None, 4), real(None, 4), 1),
    ],
    "K.batch_flatten": [call(X)],
    "K.bias_add": [call(IMAGE, np.array([0.5, 1.0, -1.0]), "channels_last")],
    "K.binary_crossentropy": [call(SHARE, X, from_logits=True)],
    "K.categorical_crossentropy": [call(SHARE, X, from_logits=True)],
    "K.clip": [call(X, -0.5, 0.5)],
    "K.concatenate": [call([X, Y]), call([X, Y], axis=1)],
    "K.conv2d": [call(IMAGE, KERNEL, padding="same"), call(IMAGE, KERNEL, (2, 2))],
    "K.cumsum": [call(X, 1)],
    "K.dot": [call(X, real(6, 2))],
    "K.elu": [call(X, 0.5)],
    "K.expand_dims": [call(X), call(X, axis=1)],
    "K.flatten": [call(X)],
    "K.gather": [call(real(5, 3), ROWS)],
    "K.hard_sigmoid": [call(X)],
    "K.l2_normalize": [call(X, axis=-1), call(X, 1)],
    "K.one_hot": [call(ROWS, 5)],
    "K.permute_dimensions": [call(X, (0, 2, 1))],
    "K.pool2d": [call(IMAGE, (2, 2)), call(IMAGE, (2, 2), (2, 2), "same", pool_mode="avg")],
    "K.pow": [call(X, 2)],
    "K.repeat": [call(real(None, 4), 3)],
    "K.repeat_elements": [call(X, 2, 1)],
    "K.reshape": [call(X, (-1, 24))],
    "K.resize_images": [call(IMAGE, 2, 3, "channels_last")],
    "K.reverse": [call(X, 1)],
    "K.spatial_2d_padding": [call(IMAGE), call(IMAGE, ((1, 0), (2, 1)))],
    "K.squeeze": [call(real(None, 1, 3), 1)],
    "K.stack": [call([X, Y], axis=1)],
    "K.temporal_padding": [call(X, (1, 2))],
    "K.tile": [call(X, (1, 2, 1))],
    "K.transpose": [call(real(None, 4))],
}
NUMPY: dict[str, list[Call]] = {
    "np.sqrt": [call(SHARE)],
    "np.sum": [call(X, axis=1)],
    "np.clip": [call(X, a_min=-1, a_max=0.5)],
    "np.concatenate": [call([X, Y], axis=-1)],
    "np.pad": [call(X, ((0, 0), (1, 1), (0, 2)))],
    "np.expand_dims": [call(a=X, axis=1)],
}
# Operations that a functional model cannot record, or records in a way that Keras itself cannot run.
OPERATIONS: dict[str, list[Call]] = {
    "keras.ops.nonzero": [call(ROWS)],
    "keras.ops.searchsorted": [
        call(np.array([-1.0, 0.0, 0.5]), real(None)),
        call(np.array([0.0, 1.0]), real(None), side="right"),
    ],
    "keras.ops.unique": [call(ROWS)],
    "keras.ops.conv_transpose": [call(IMAGE, KERNEL.transpose(0, 1, 3, 2), 2, "same")],
    "keras.ops.eigh": [call(real(None, 1, 1))],
    "keras.ops.qr": [call(real(None, 1, 1))],
    "keras.ops.lu_factor": [call(real(5, 5)), call(real(6, 6))],
}
CASES = [
    pytest.param(name, calls, id=name) for name, calls in (TENSORFLOW | MORE | BACKEND | NUMPY | OPERATIONS).items()
]


@pytest.fixture(autouse=True)
def float64(keras_2: Any) -> Iterator[None]:
    """Both sides compute in float64."""
    import torch

    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def function(name: str) -> Any:
    """The function itself: `K.` is tf-keras's backend."""
    import keras
    import tensorflow as tf
    import tf_keras

    library, *path = name.split(".")
    return reduce(getattr, path, {"tf": tf, "K": tf_keras.backend, "np": np, "keras": keras}[library])


def emitted(name: str, example: Call, folder: Path) -> tuple[Any, list[Given]]:
    """A module that calls the function, and what its inputs are."""
    inputs: list[tuple[Given, Value]] = []

    def value(leaf: Any) -> Any:
        if not isinstance(leaf, Given):
            return leaf
        known = next((made for given, made in inputs if given is leaf), None)
        made = known or Value(leaf.shape, "int32" if leaf.below else "float64", layer=f"x{len(inputs)}")
        if known is None:
            inputs.append((leaf, made))
        return made

    args, kwargs = map_structure(value, (example.args, example.kwargs))
    b = Builder([], Parts(Layer("layer", "Lambda")), "layer")
    outputs = call_dialect(b, name, args, kwargs)
    names = [f"x{i}" for i in range(len(inputs))]
    block = Block("Net", [made for _, made in inputs], names, b.ops, outputs)
    (folder / "net.py").write_text(write_body(lower(block, layout="keras"), "float64").body)
    save_file({item.key: item.load() for item in entries(block)}, folder / "net.safetensors")
    return parity.load_net(folder / "net.py").load(), [given for given, _ in inputs]


@pytest.mark.parametrize(("name", "calls"), CASES)
def test_parity(name: str, calls: list[Call], tmp_path: Path) -> None:
    for got, wanted in results(name, calls, tmp_path):
        parity.assert_close(got, wanted)


@pytest.mark.parametrize(("name", "calls"), SINGLE.items())
def test_parity_with_what_tensorflow_computes_in_float32(name: str, calls: list[Call], tmp_path: Path) -> None:
    for got, wanted in results(name, calls, tmp_path):
        assert np.abs(got - wanted).max() < 1e-6 * np.abs(wanted).max()


def results(name: str, calls: list[Call], tmp_path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of what the emitted module computes and the function itself."""
    import tensorflow as tf
    import torch

    for example in calls:
        net, inputs = emitted(name, example, tmp_path)
        rng = np.random.default_rng(0)
        arrays = [array(given, sized(given, 3, 7), rng) for given in inputs]
        make = np.asarray if name.startswith("np.") else tf.constant
        by_given = {id(given): make(item) for given, item in zip(inputs, arrays, strict=True)}
        args, kwargs = map_structure(lambda leaf: by_given.get(id(leaf), leaf), (example.args, example.kwargs))  # noqa: B023
        with parity.float64_kernels(), torch.no_grad():
            wanted = [np.asarray(leaf) for leaf in leaves(numbers(function(name)(*args, **kwargs)))]
            got = [tensor.numpy() for tensor in leaves(net(*[torch.from_numpy(item) for item in arrays]))]
        yield from zip(got, wanted, strict=True)


def numbers(structure: Any) -> Any:
    """Named tuples of TensorFlow as tuples."""
    return tuple(structure) if isinstance(structure, tuple) else structure


@pytest.mark.parametrize(
    "name", ["tf.while_loop", "tf.py_function", "tf.boolean_mask", "K.map_fn", "tf.no_such_function"]
)
def test_what_has_no_translation_is_refused_by_name(name: str) -> None:
    b = Builder([], Parts(Layer("layer", "Lambda")), "layer")
    with pytest.raises(UntranslatableError, match=name.rpartition(".")[2]):
        call_dialect(b, name, (Value((None, 3)),), {})


@pytest.mark.parametrize("name", ["tf.nn.relu", "tensorflow.compat.v1.nn.relu", "tf.raw_ops.Relu"])
def test_all_spellings_of_a_name_mean_the_same(name: str, tmp_path: Path) -> None:
    emitted(name, call(X), tmp_path)
    assert "F.relu(x)" in (tmp_path / "net.py").read_text()


def test_an_unknown_argument_is_refused_by_name() -> None:
    b = Builder([], Parts(Layer("layer", "Lambda")), "layer")
    with pytest.raises(UntranslatableError, match="surprise"):
        call_dialect(b, "tf.reduce_sum", (Value((None, 3)),), {"surprise": 1})


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_calls_that_tf_keras_recorded_have_parity(suffix: str, tmp_path: Path) -> None:
    import tensorflow as tf
    import tf_keras

    x, image = tf_keras.Input((4, 6)), tf_keras.Input((8, 8, 3))
    rows = tf_keras.Input((4,), dtype="int32")
    one = tf.constant([1.0, 2, 3, 4, 5, 6], "float64")
    outputs = [
        1 - x / 2 + x * one,
        abs(-x) ** 2 @ tf.ones((6, 2), "float64"),
        tf.concat([x[:, 1:], x[:, 0:1]], axis=1),
        tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1] * 6]),
        tf.where(x > 0, x, tf.zeros_like(x)),
        tf.split(x, 2, axis=-1)[1],
        tf.reduce_mean(tf.nn.relu(image), axis=[1, 2]),
        tf.nn.conv2d(image, tf.ones((3, 3, 3, 2), "float64"), strides=1, padding="SAME"),
        tf.image.resize(image[:, ::-1], (4, 4), "nearest"),
        tf.gather(x, rows, axis=1, batch_dims=1),
        tf.cast(rows, "float64"),
    ]
    model = tf_keras.Model([x, image, rows], outputs)
    model.save(tmp_path / f"model{suffix}")
    result = k2t.convert(tmp_path / f"model{suffix}")
    result.write(tmp_path / "net.py")
    net = parity.load_net(tmp_path / "net.py").load()
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 4, 6)), rng.normal(size=(3, 8, 8, 3)), rng.integers(0, 4, (3, 4)).astype("int32")]
    with parity.float64_kernels():
        wanted = [np.asarray(item) for item in model(arrays)]
    for got, want in zip(parity.run(net, result, arrays), wanted, strict=True):
        parity.assert_close(got, want)


def test_an_equation_without_its_tensors_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf
    import tf_keras

    x = tf_keras.Input((4, 6))
    tf_keras.Model(x, tf.einsum("abc,abd->acd", x, x)).save(tmp_path / "model.h5")
    with pytest.raises(k2t.UnsupportedError, match="saves only the equation"):
        k2t.convert(tmp_path / "model.h5")


@pytest.mark.parametrize("release", ["tensorflow_2.3", "tensorflow_2.15"])
def test_what_old_releases_recorded_computes_what_they_computed(release: str, tmp_path: Path) -> None:
    folder = Path(__file__).parents[1] / "fixtures" / "recorded" / release
    result = k2t.convert(folder / "recorded.h5")
    result.write(tmp_path / "net.py")
    with np.load(folder / "recorded.npz") as stored:
        inputs, wanted = ([stored[key] for key in sorted(stored) if key.startswith(kind)] for kind in ("in", "out"))
    got = parity.run(parity.load_net(tmp_path / "net.py").load(), result, inputs)
    assert len(got) == len(wanted) == 18
    for one, other in zip(got, wanted, strict=True):
        parity.assert_close(one, other)


@pytest.mark.parametrize(
    "node",
    [
        None,
        {},
        "\x00",
        {"op": "NoSuchOperation"},
        {"op": "Pack", "attr": {"axis": {"i": "x"}}},
        {"op": "Cast", "attr": {}},
    ],
)
def test_a_damaged_operation_is_refused(node: object) -> None:
    layer = Layer("layer", "TensorFlowOpLayer", {"node_def": node, "constants": {}})
    with pytest.raises(UntranslatableError):
        apply_layer(Builder([], Parts(layer), "layer"), (Value((None, 3)),), {})
