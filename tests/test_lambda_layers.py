"""Lambda layers saved by Keras, against Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import corpus
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import backend as K
from keras import ops
from parity import assert_close, load_net, randomize, reference, run

import k2t
from k2t.verify.exact import float64_kernels

pytestmark = pytest.mark.usefixtures("float64")

CORPUS = corpus.FOLDER


def stored(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keras 3 stores the bytes of functions without a name alone; older releases did for all."""
    function.__name__ = "<lambda>"
    return function


@stored
def several_statements(x: Any, scale: float = 2.0) -> Any:
    mean = ops.mean(x, axis=-1, keepdims=True)
    std = ops.std(x, axis=-1, keepdims=True)
    return (x - mean) / (std + 1e-6) * scale


@stored
def imports(x: Any) -> Any:
    from keras import ops as o

    return o.relu(x) + 1


@stored
def joined(x: Any) -> Any:
    return ops.stack([x[:, i] * (i + 1) for i in range(4)], axis=1)


@stored
def grown(x: Any, steps: int = 3) -> Any:
    for step in range(1, steps):
        x = x + step * x
    return x


@stored
def helper(x: Any) -> Any:
    def halved(y: Any) -> Any:
        return y / 2

    return halved(x) + halved(x * x)


def closure(factor: float) -> Callable[[Any], Any]:
    return lambda x: x * factor


FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "scaled": (lambda x: x / 127.5 - 1.0, {}),
    "sliced": (lambda x: x[:, 1:3, ::2], {}),
    "last": (lambda x: x[:, -1], {}),
    "statements": (several_statements, {}),
    "arguments": (several_statements, {"arguments": {"scale": 0.5}}),
    "import": (imports, {}),
    "comprehension": (joined, {}),
    "loop": (grown, {}),
    "inner function": (helper, {}),
    "closure": (closure(2.5), {}),
    "condition": (lambda x: ops.transpose(x, (0, 2, 1)) if K.image_data_format() == "channels_last" else x, {}),
    "backend": (lambda x: tf.nn.softmax(x) if K.backend() == "tensorflow" else x, {}),
    "normalized": (lambda x: tf.math.l2_normalize(x, axis=1), {}),
    "reshaped": (lambda x: tf.reshape(x, (-1, 2, 6)), {}),
    "batch of the shape": (lambda x: tf.reshape(x, (tf.shape(x)[0], 12)), {}),
    "output shape": (lambda x: ops.sum(x, axis=1), {"output_shape": (3,)}),
    "output shape function": (lambda x: ops.sum(x, axis=1), {"output_shape": lambda s: (s[0], s[2])}),
    "numpy": (lambda x: x * np.sqrt(2.0), {}),
    "operators": (lambda x: (x > 0) & (x < 1), {}),
}


def check(model: Any, path: Path, *inputs: np.ndarray, custom: Path | None = None) -> str:
    """Save, convert, load, compare."""
    model.save(path)
    result = k2t.convert(path, custom=custom)
    result.write(path.with_name("net.py"))
    net = load_net(path.with_name("net.py")).load().double()
    for got, wanted in zip(run(net, result, list(inputs)), reference(model, list(inputs)), strict=True):
        assert_close(got, wanted)
    return result.source


@pytest.mark.parametrize("extension", ["keras", "h5"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_function_becomes_operations(name: str, extension: str, tmp_path: Path) -> None:
    function, options = FUNCTIONS[name]
    with float64_kernels():
        image = keras.Input((4, 3))
        model = keras.Model(image, keras.layers.Lambda(function, **options)(image))
    check(model, tmp_path / f"model.{extension}", np.random.default_rng(0).normal(size=(2, 4, 3)))


@pytest.mark.parametrize("extension", ["keras", "h5"])
def test_several_tensors_come_in_and_go_out(extension: str, tmp_path: Path) -> None:
    with float64_kernels():
        first, second = keras.Input((4,)), keras.Input((4,))
        total, product = keras.layers.Lambda(lambda t: [t[0] + t[1], t[0] * t[1]])([first, second])
        distance = keras.layers.Lambda(lambda t: ops.sqrt(ops.sum(ops.square(t[0] - t[1]), axis=1, keepdims=True)))
        model = keras.Model([first, second], [total, distance([total, product])])
    rng = np.random.default_rng(0)
    check(model, tmp_path / f"model.{extension}", rng.normal(size=(2, 4)), rng.normal(size=(2, 4)))


def test_the_mask_function_of_a_lambda_is_followed(tmp_path: Path) -> None:
    with float64_kernels():
        image = keras.Input((5, 3))
        x = keras.layers.Lambda(lambda x: x * 2, mask=lambda x, mask: ops.any(ops.not_equal(x, 0), axis=-1))(image)
        model = keras.Model(image, keras.layers.LSTM(2)(x))
    randomize(model)
    data = np.random.default_rng(0).normal(size=(3, 5, 3))
    data[0, 3:] = 0
    data[1, 1] = 0
    check(model, tmp_path / "model.keras", data)


@pytest.mark.parametrize("name", ["scaled", "sliced", "last", "closure", "backend", "normalized", "reshaped", "numpy"])
def test_lambdas_of_tf_keras_convert(keras_2: Any, name: str, tmp_path: Path) -> None:
    image = keras_2.Input((4, 3))
    model = keras_2.Model(image, keras_2.layers.Lambda(FUNCTIONS[name][0])(image))
    check(model, tmp_path / "model.h5", np.random.default_rng(0).normal(size=(2, 4, 3)))


def test_a_function_by_name_is_taken_from_the_file_of_the_user(tmp_path: Path) -> None:
    source = tmp_path / "functions.py"
    source.write_text("from keras import ops\nHALF = 0.5\n\ndef halved(x):\n    return ops.tanh(x) * HALF\n")
    names: dict[str, Any] = {}
    exec(source.read_text(), names)
    with float64_kernels():
        image = keras.Input((4, 3))
        model = keras.Model(image, keras.layers.Lambda(names["halved"])(image))
    model.save(tmp_path / "model.keras")
    with pytest.raises(k2t.UnsupportedError, match=r"--custom FILE"):
        k2t.convert(tmp_path / "model.keras")
    check(model, tmp_path / "model.keras", np.random.default_rng(0).normal(size=(2, 4, 3)), custom=source)


def test_a_lambda_that_would_write_a_file_is_refused_and_not_run(tmp_path: Path) -> None:
    victim = str(tmp_path / "victim")

    @stored
    def write(x: Any) -> Any:
        with open("victim", "w") as file:
            file.write("x")
        return x

    @stored
    def system(x: Any) -> Any:
        import os

        os.system("touch " + victim)
        return x

    @stored
    def hidden(x: Any) -> Any:
        return x * len([c for c in ().__class__.__base__.__subclasses__()])

    for number, function in enumerate((write, system, hidden)):
        image = keras.Input((4,))
        model = keras.Model(image, keras.layers.Lambda(function, output_shape=(4,))(image))
        path = tmp_path / f"model{number}.keras"
        model.save(path)
        for file in tmp_path.glob("victim*"):
            file.unlink()
        Path("victim").unlink(missing_ok=True)
        with pytest.raises(k2t.UnsupportedError, match=r"no translation|instructions, if it is of Python"):
            k2t.convert(path)
        assert not Path(victim).exists()
        assert not Path("victim").exists()


@pytest.mark.parametrize(
    "name",
    ["CarND-Behavioral-Cloning-P3__model.h5", "sequential_lambda.h5", "space_to_depth_graph_tensorflow_2.h5"],
)
def test_lambdas_in_the_wild_convert(name: str) -> None:
    paths = list(CORPUS.glob(f"*{name}"))
    if not paths:
        pytest.skip("the corpus is not here")
    assert "class " in k2t.convert(paths[0]).source
