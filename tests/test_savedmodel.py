"""SavedModel folders and checkpoints of TensorFlow: of old releases, of today's tf-keras, and broken ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
from broken import POINTER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_hostile import load_all, survives

import k2t
from k2t.errors import ReadError
from k2t.read import savedmodel

FIXTURES = Path(__file__).parents[1] / "fixtures" / "savedmodel"
RELEASES = ["tensorflow_2.4", "tensorflow_2.15"]
INDEX, DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"
FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def outputs(source: Any, folder: Path, inputs: list[np.ndarray], **options: Any) -> list[np.ndarray]:
    """What the converted model computes in float64."""
    result = k2t.convert(source, **options)
    result.write(folder / "net.py")
    return parity.run(parity.load_net(folder / "net.py").load().double(), result, inputs)


@pytest.mark.parametrize("release", RELEASES)
def test_folder_of_an_old_release_computes_what_that_release_computed(release: str, tmp_path: Path) -> None:
    stored = np.load(FIXTURES / release / "arrays.npz")
    found = outputs(FIXTURES / release / "model", tmp_path, [stored["in0"], stored["in1"]])
    for index, array in enumerate(found):
        parity.assert_close(array, stored[f"out{index}"])


@pytest.mark.parametrize("release", RELEASES)
def test_weights_may_be_the_checkpoint_alone(release: str, tmp_path: Path) -> None:
    found = savedmodel.open_savedmodel(FIXTURES / release / "model")
    architecture = tmp_path / "model.json"
    architecture.write_text(json.dumps({**found.config, "keras_version": found.keras_version}))
    stored = np.load(FIXTURES / release / "arrays.npz")
    inputs = [stored["in0"], stored["in1"]]
    prefix = FIXTURES / release / "model" / savedmodel.VARIABLES
    for weights in (prefix, prefix.with_suffix(".index")):
        parity.assert_close(outputs(architecture, tmp_path, inputs, weights=weights)[0], stored["out0"])


def recurrent(keras: Any) -> tuple[Any, tuple[int, ...]]:
    """Cells in lists and in both directions, a sublayer with private attributes, a nested model, an optimizer."""
    layers = keras.layers
    x = given = keras.Input((6, 4))
    x = layers.Bidirectional(layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(2)], return_sequences=True))(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    inner = keras.Sequential([layers.Dense(5), keras.Sequential([layers.BatchNormalization()])])
    x = layers.LSTM(4)(layers.TimeDistributed(inner)(x))
    model = keras.Model(given, layers.Dense(2)(x))
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model, (6, 4)


def nested(keras: Any) -> tuple[Any, tuple[int, ...]]:
    """A model that is called twice, and whose layers have inputs before and between them."""
    layers = keras.layers
    first, second = keras.Input((5,), name="z"), keras.Input((5,), name="a")
    branch = keras.Model([first, second], layers.Dense(5)(layers.Dense(5)(first) * second), name="branch")
    branch.layers[-1].trainable = False
    x = keras.Input((5,))
    y = branch([x, branch([x, layers.PReLU()(x)])])
    return keras.Model(x, layers.LayerNormalization()(y)), (5,)


@pytest.mark.parametrize("build", [recurrent, nested])
@pytest.mark.parametrize("whole", [True, False], ids=["folder", "checkpoint"])
def test_model_of_tf_keras_has_parity(keras_2: Any, build: Any, whole: bool, tmp_path: Path) -> None:
    model, sizes = build(keras_2)
    parity.randomize(model)
    if whole:
        model.save(tmp_path / "model", save_format="tf")
    else:
        model.save_weights(tmp_path / "weights")
        (tmp_path / "model").write_text(model.to_json())
    weights = None if whole else tmp_path / "weights"
    k2t.convert(tmp_path / "model", weights=weights).write(tmp_path / "net.py")
    found = k2t.verify(tmp_path / "net.py", tmp_path / "model", weights=weights)
    assert found.ok, found
    x = np.random.default_rng(0).normal(size=(2, *sizes))
    parity.assert_close(outputs(tmp_path / "model", tmp_path, [x], weights=weights)[0], model(x).numpy())


OWN = """
import tf_keras as keras

class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = keras.layers.Dense(5)
        self.last = keras.layers.Dense(3)

    def call(self, x):
        return self.last(keras.activations.relu(self.first(x)))
"""


def test_model_of_a_class_of_its_own_converts_with_its_source(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    names: dict[str, Any] = {"__name__": "own"}
    exec(OWN, names)
    model = names["Own"]()
    x = np.random.default_rng(0).normal(size=(2, 5)).astype("float32")
    model(x)
    parity.randomize(model)
    want = model(x).numpy()
    model.save(tmp_path / "model", save_format="tf")
    got = outputs(tmp_path / "model", tmp_path, [x.astype("float64")], custom=tmp_path / "own.py")[0]
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_folder_without_keras_metadata_is_refused_with_the_way_out(tmp_path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.variable = tf.Variable(1.0)
    tf.saved_model.save(module, tmp_path / "model")
    with pytest.raises(ReadError, match=r"without Keras metadata.*save it as \.keras"):
        k2t.convert(tmp_path / "model")


def test_variables_in_several_files_of_bfloat16_and_in_parts_are_told_apart(tmp_path: Path) -> None:
    import tensorflow as tf

    from k2t.read.bundle import Bundle

    values = tf.constant([1.5, -2.0], tf.bfloat16)
    raw = tf.raw_ops.SaveV2
    raw(prefix=f"{tmp_path}/a", tensor_names=["half"], shape_and_slices=[""], tensors=[values])
    raw(prefix=f"{tmp_path}/b", tensor_names=["part"], shape_and_slices=["4 0,2"], tensors=[values])
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[f"{tmp_path}/a", f"{tmp_path}/b"], destination_prefix=f"{tmp_path}/all"
    )
    bundle = Bundle(f"{tmp_path}/all")
    np.testing.assert_array_equal(bundle.array("half", "half").load(), np.float32([1.5, -2]))
    with pytest.raises(ReadError, match="cut in parts"):
        bundle.array("part", "part")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(FIXTURES / "tensorflow_2.15" / "model", tmp_path / "model")
    return tmp_path / "model"


def test_checkpoint_of_another_model_is_refused(folder: Path) -> None:
    other = FIXTURES.parent / "shapes_cnn.h5"
    with pytest.raises(ReadError, match="a checkpoint of another model"):
        k2t.convert(other, weights=folder / INDEX)


@pytest.mark.parametrize(
    ("name", "size", "says"),
    [
        (DATA, 5000, "ends within"),
        (DATA, None, "missing"),
        (INDEX, 100, "truncated"),
        (INDEX, None, "no such file"),
        ("keras_metadata.pb", 500, "ends within a field"),
    ],
)
def test_incomplete_folder_is_refused(folder: Path, name: str, size: int | None, says: str) -> None:
    if size is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:size])
    with pytest.raises(ReadError) as raised:
        load_all(folder)
    assert says.lower() in str(raised.value).lower()


@pytest.mark.parametrize("name", [DATA, "keras_metadata.pb"])
def test_pointer_of_git_lfs_in_the_place_of_a_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(POINTER)
    with pytest.raises(ReadError, match=f"{name}: only the pointer of Git LFS"):
        load_all(folder)


def test_object_that_contains_itself_is_read_once(tmp_path: Path) -> None:
    from k2t.graph import Layer
    from k2t.read.bundle import Node
    from k2t.read.objects import ObjectReader

    reader = ObjectReader.__new__(ObjectReader)
    reader.nodes = [Node({"me": 0, "again": 1}), Node({"back": 0})]
    assert reader.tree(Layer("loop", "Loop"), reader.nodes[0]) == {}


@FUZZ
@given(
    name=st.sampled_from([INDEX, DATA, "keras_metadata.pb"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_bytes_are_read_or_refused(name: str, changes: list[tuple[float, int]], folder: Path) -> None:
    intact = (folder / name).read_bytes()
    damaged = bytearray(intact)
    for place, byte in changes:
        damaged[int(place * len(damaged))] = byte
    (folder / name).write_bytes(damaged)
    survives(folder)
    (folder / name).write_bytes(intact)
