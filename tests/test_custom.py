"""Custom layers from their source: parity with Keras, which runs the same source."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import corpus
import custom_layers
import keras
import numpy as np
import pytest
from parity import assert_close, load_net, randomize, reference, run

import k2t
from k2t.verify.exact import float64_kernels

pytestmark = pytest.mark.usefixtures("float64")

CORPUS = corpus.FOLDER
SOURCE = Path(custom_layers.__file__)
SEQUENCE, TOKENS, IMAGE = (5, 6), (7,), (8, 8, 3)

Steps = Callable[[], list[Callable[[Any], Any]]]
MODELS: dict[str, tuple[tuple[int | None, ...], str, Steps]] = {
    "weights": (SEQUENCE, "float64", lambda: [custom_layers.Scale(3)]),
    "called twice": (SEQUENCE, "float64", lambda: [custom_layers.Antirectifier()] * 2),
    "sublayers": (SEQUENCE, "float64", lambda: [custom_layers.FeedForward(6)]),
    "transformer": (SEQUENCE, "float64", lambda: [custom_layers.TransformerBlock(6, 2, 4)]),
    "token embedding": (TOKENS, "int32", lambda: [custom_layers.TokenAndPositionEmbedding(9, 5, 4)]),
    "constant and mask": (
        TOKENS,
        "int32",
        lambda: [custom_layers.SinusoidalEmbedding(5, 4), custom_layers.MaskedMean()],
    ),
    "mask into a layer of Keras": (
        TOKENS,
        "int32",
        lambda: [custom_layers.SinusoidalEmbedding(5, 4), keras.layers.LSTM(3)],
    ),
    "patches": (IMAGE, "float64", lambda: [custom_layers.Patches(4), custom_layers.PatchEncoder(4, 5)]),
    "several inputs": (SEQUENCE, "float64", lambda: [lambda x: [x, x * x + 1], custom_layers.CosineDistance()]),
    "derived from Dense": (SEQUENCE, "float64", lambda: [custom_layers.Gated(4)]),
    "around a layer": (SEQUENCE, "float64", lambda: [custom_layers.Residual(keras.layers.Dense(6))]),
    "around a layer of the file": (SEQUENCE, "float64", lambda: [custom_layers.Residual(custom_layers.Gated(6))]),
    "inside each other": (SEQUENCE, "float64", lambda: [custom_layers.Tower(6)]),
    "images": (IMAGE, "float64", lambda: [custom_layers.ConvBlock(4)]),
    "attention": (SEQUENCE, "float64", lambda: [custom_layers.Attention(3)]),
    "attention of notebooks": ((5, 8), "float64", lambda: [custom_layers.SelfAttention(8, 2)]),
    "attention over any length": ((None, 8), "float64", lambda: [custom_layers.SelfAttention(8, 4)]),
    "channel attention": (IMAGE, "float64", lambda: [keras.layers.Conv2D(4, 3), custom_layers.ChannelAttention()]),
    "in a layer of Keras": (
        (4, *SEQUENCE),
        "float64",
        lambda: [keras.layers.TimeDistributed(custom_layers.Scale(2))],
    ),
    "function": (SEQUENCE, "float64", lambda: [keras.layers.Dense(4, activation=custom_layers.wobble)]),
    "function as a layer": (SEQUENCE, "float64", lambda: [keras.layers.Activation(custom_layers.wobble)]),
}
README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def check(model: Any, path: Path, custom: Path, *inputs: np.ndarray) -> None:
    """Save, convert, load, compare."""
    model.save(path)
    result = k2t.convert(path, custom=custom)
    result.write(path.with_name("net.py"))
    net = load_net(path.with_name("net.py")).load().double()
    for got, wanted in zip(run(net, result, list(inputs)), reference(model, list(inputs)), strict=True):
        assert_close(got, wanted)


def model_of(name: str) -> tuple[Any, np.ndarray]:
    shape, dtype, steps = MODELS[name]
    rng = np.random.default_rng(3)
    size = (3, *(n or 4 for n in shape))
    data = rng.integers(0, 5, size).astype("int32") if dtype == "int32" else rng.normal(size=size)
    with float64_kernels():
        image = keras.Input(shape, dtype=dtype)
        output = image
        for step in steps():
            output = step(output)
        model = keras.Model(image, output)
    randomize(model)
    return model, data


@pytest.mark.parametrize("extension", ["keras", "h5"])
@pytest.mark.parametrize("name", MODELS)
def test_the_source_of_a_layer_gives_its_operations(name: str, extension: str, tmp_path: Path) -> None:
    model, data = model_of(name)
    check(model, tmp_path / f"model.{extension}", SOURCE, data)


@pytest.mark.parametrize("kind", [custom_layers.Classifier, custom_layers.Towers])
def test_a_subclassed_model_is_followed_whole(kind: Any, tmp_path: Path) -> None:
    with float64_kernels():
        model = kind(4)
        model(np.zeros((1, 6)))
    randomize(model)
    check(model, tmp_path / "model.keras", SOURCE, np.random.default_rng(0).normal(size=(3, 6)))


NESTED = """
from keras import Model, layers

class NestedDenseModel(Model):
    def __init__(self, num, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [[layers.Dense(4, use_bias=False) for _ in range(num)]]
        self.out = layers.Dense(2)

    def call(self, x):
        for layer in self.blocks[0]:
            x = layer(x)
        return self.out(x)
"""


WILD = """
import tensorflow as tf
import tensorflow.keras.backend as K
from tensorflow import keras
from tensorflow.keras import layers

class SamplingLayer(layers.Layer):
    def call(self, inputs):
        z_mean, z_log_var = inputs
        batch = tf.shape(z_mean)[0]
        dim = tf.shape(z_mean)[1]
        epsilon = tf.keras.backend.random_normal(shape=(batch, dim))
        return z_mean + tf.exp(0.5 * z_log_var) * epsilon

class L2NormLayer(layers.Layer):
    def call(self, x):
        return tf.math.l2_normalize(x, axis=-1)

class CosineDistance(keras.layers.Layer):
    def call(self, inputs):
        a, b = (K.l2_normalize(x, axis=-1) for x in inputs)
        return 1 - K.sum(a * b, axis=-1, keepdims=True)
"""


@pytest.mark.parametrize("name", ["vae_encoder", "vae_model", "cluster__encoder", "cluster__encoder_train_model"])
def test_custom_layers_in_the_wild_convert_from_their_source(name: str, tmp_path: Path) -> None:
    paths = list(CORPUS.glob(f"*{name}.keras"))
    if not paths:
        pytest.skip("the corpus is not here")
    (tmp_path / "layers.py").write_text(WILD)
    assert "class " in k2t.convert(paths[0], custom=tmp_path / "layers.py").source


def test_lists_in_lists_of_older_releases_are_found(tmp_path: Path) -> None:
    paths = list(CORPUS.glob("*nested_container.keras"))
    if not paths:
        pytest.skip("the corpus is not here")
    (tmp_path / "layers.py").write_text(NESTED)
    assert "nn.Linear(4, 2)" in k2t.convert(paths[0], custom=tmp_path / "layers.py").source


def sampling() -> Any:
    image = keras.Input((4,))
    mean, log_var = keras.layers.Dense(3, name="mean")(image), keras.layers.Dense(3, name="log_var")(image)
    return keras.Model(image, custom_layers.Sampling()([mean, log_var]))


def test_a_layer_that_draws_at_random_draws_from_the_same_distribution(tmp_path: Path) -> None:
    import torch

    model = sampling()
    model.save(tmp_path / "model.keras")
    result = k2t.convert(tmp_path / "model.keras", custom=SOURCE)
    result.write(tmp_path / "net.py")
    net = load_net(tmp_path / "net.py").load().double()
    x = np.random.default_rng(0).normal(size=(1, 4))
    mean, log_var = (np.asarray(model.get_layer(name)(x)) for name in ("mean", "log_var"))
    with torch.no_grad():
        drawn = net(torch.from_numpy(x).expand(20_000, -1)).numpy()
    deviation = np.exp(0.5 * log_var[0])
    np.testing.assert_allclose(drawn.mean(0), mean[0], atol=5 * deviation.max() / 20_000**0.5)
    np.testing.assert_allclose(drawn.std(0), deviation, rtol=0.03)


def refusal(model: Any, folder: Path, source: str | None) -> str:
    """Why a model does not convert with this source of its layers."""
    model.save(folder / "model.keras")
    custom = None
    if source is not None:
        custom = folder / "layers.py"
        custom.write_text(source)
    with pytest.raises(k2t.UnsupportedError) as caught:
        k2t.convert(folder / "model.keras", custom=custom)
    (problem,) = caught.value.problems
    assert problem.layer == "scale"
    assert problem.kind == "mine>Scale"
    return problem.reason


def scaled() -> Any:
    image = keras.Input(SEQUENCE)
    return keras.Model(image, custom_layers.Scale(2, name="scale")(image))


HEAD = "from keras import layers, ops\nclass Scale(layers.Layer):\n"
INIT = "  def __init__(self, power, **kwargs):\n    super().__init__(**kwargs)\n"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f"{INIT}  def call(self, x):\n    return x if x[0, 0, 0] > 0 else -x\n", "values of a tensor.*line 6"),
        (f"{INIT}  def call(self, x):\n    while True: x = x + 1\n", "more than.*steps.*line 6"),
        (f"{INIT}  def call(self, x):\n    return open('a', 'w')\n", "the name 'open'.*line 6"),
        (f"{INIT}  def call(self, x):\n    return ops.nonsense(x)\n", "nonsense.*line 6"),
        (f"{INIT}", "no method call"),
        (f"{INIT}  def call(self, x):\n    return self.power * x\n", "power.*line 6"),
        (f"{INIT}  def call(self, x):\n    return self.call(x)\n", "call each other so often"),
        ("  def call(self, x):\n    return x\n", "unknown option power=2"),
        ("  def __init__(self, size):\n    super().__init__()\n  def call(self, x):\n    return x\n", "named power"),
        (f"{INIT}  def call(self, x):\n    return layers.Dense(4)(x)\n", "no attribute of self"),
        (f"{INIT}  def call(self, x):\n    return [0] * 10**9\n", "that large"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_line(body: str, reason: str, tmp_path: Path) -> None:
    assert re.search(reason, refusal(scaled(), tmp_path, HEAD + body))


def test_without_its_source_the_ways_out_are_named(tmp_path: Path) -> None:
    reason = refusal(scaled(), tmp_path, None)
    assert "--custom FILE" in reason
    assert "rule" in reason


def test_source_that_lacks_a_weight_of_the_file_is_refused(tmp_path: Path) -> None:
    scaled().save(tmp_path / "model.keras")
    source = tmp_path / "layers.py"
    source.write_text(HEAD + INIT + "  def call(self, x):\n    return x\n")
    with pytest.raises(k2t.ReadError, match="weights that it does not have"):
        k2t.convert(tmp_path / "model.keras", custom=source)


@pytest.mark.parametrize("text", ["class (", None])
def test_a_file_that_is_no_python_is_refused(text: str | None, tmp_path: Path) -> None:
    scaled().save(tmp_path / "model.keras")
    source = tmp_path / "layers.py"
    if text is not None:
        source.write_text(text)
    with pytest.raises(k2t.ReadError, match=r"layers\.py"):
        k2t.convert(tmp_path / "model.keras", custom=source)


def test_the_source_is_not_run(tmp_path: Path) -> None:
    source = tmp_path / "layers.py"
    source.write_text(SOURCE.read_text("utf-8") + f"\nopen({str(tmp_path / 'victim')!r}, 'w').close()\n")
    scaled().save(tmp_path / "model.keras")
    k2t.convert(tmp_path / "model.keras", custom=source)
    assert not (tmp_path / "victim").exists()


def test_the_rule_of_the_readme_translates_a_layer(tmp_path: Path) -> None:
    (text,) = re.findall(r"```python\n(from k2t import rule.*?)```", README, re.DOTALL)
    source = tmp_path / "rules.py"
    source.write_text(text.replace("mine>Scale", "mine>Weighted"))

    @keras.saving.register_keras_serializable(package="mine")
    class Weighted(keras.layers.Layer):
        def __init__(self, power: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.power = power

        def build(self, shape: Any) -> None:
            self.weight = self.add_weight(shape=(shape[-1],))

        def call(self, x: Any) -> Any:
            return x**self.power * self.weight

        def get_config(self) -> Any:
            return {**super().get_config(), "power": self.power}

    image = keras.Input(IMAGE)
    x = keras.layers.Conv2D(4, 3)(image)
    model = keras.Model(image, Weighted(2)(x))
    randomize(model)
    for _ in range(2):  # a file may be given again
        check(model, tmp_path / "model.keras", source, np.random.default_rng(0).normal(size=(2, *IMAGE)))


TF_SOURCE = """
import tensorflow as tf
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Layer, Dense, Dropout, LayerNormalization


class Weighted(Layer):
    def __init__(self, units=4, **kwargs):
        self.units = units
        super(Weighted, self).__init__(**kwargs)

    def build(self, input_shape):
        self.frozen = self.add_weight("frozen", shape=[self.units], initializer="ones", trainable=False)
        self.W = self.add_weight(name="W", shape=(int(input_shape[-1]), self.units), initializer="uniform")
        w_init = tf.random_normal_initializer()
        self.b = tf.Variable(initial_value=w_init(shape=(self.units,), dtype=K.floatx()), trainable=True)
        super(Weighted, self).build(input_shape)

    def call(self, inputs, mask=None):
        scores = K.tanh(K.dot(inputs, self.W) + self.b) * self.frozen
        return K.softmax(scores, axis=-1)


class Tower(Layer):
    def __init__(self, units, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.first = Dense(units, activation=tf.nn.relu)
        self.second = Weighted(units)
        self.third = [Dense(units), Dense(units)]
        self.norm = LayerNormalization(epsilon=1e-6)
        self.drop = Dropout(rate)

    def call(self, x, training=None):
        y = self.second(self.first(x))
        for layer in self.third:
            y = layer(y) + y
        return self.norm(self.drop(tf.reduce_sum(y, axis=1), training=training))
"""


def test_layers_of_tf_keras_convert_from_their_source(keras_2: Any, tmp_path: Path) -> None:
    source = tmp_path / "layers.py"
    source.write_text(TF_SOURCE)
    names: dict[str, Any] = {}
    exec(TF_SOURCE.replace("tensorflow.keras", "tf_keras"), names)
    image = keras_2.Input(SEQUENCE)
    tower = names["Tower"]
    tower.get_config = lambda self: {**keras_2.layers.Layer.get_config(self), "units": 4}
    model = keras_2.Model(image, tower(4)(image))
    randomize(model)
    check(model, tmp_path / "model.h5", source, np.random.default_rng(0).normal(size=(3, *SEQUENCE)))
