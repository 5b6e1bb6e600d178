from __future__ import annotations

import ast
import contextlib
import io
import itertools
import json
import time
from pathlib import Path
from typing import Any

import h5py
import hostile
import numpy as np
import pytest
from broken import CASES, SMALL, TREE, WEIGHTS, Broken, small_h5, small_keras
from files import called, dense, functional, input_layer, kernel, sequential, write_h5
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import k2t
from k2t.errors import ReadError, UnsupportedError
from k2t.graph import Call, Graph, Input, Layer, Ref
from k2t.lower import lower
from k2t.read import read
from k2t.rules.translate import translate

NUMBERS = itertools.count()
FUZZ = settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def load_all(path: Path) -> None:
    """Read a model and every array of it."""
    for layer in read(path).graph.layers():
        for array in (layer.weights.flat or (layer.weights.tree or {}).values()) if layer.weights else ():
            array.load()


def survives(path: Path) -> None:
    """Reading ends well, or with the error that is meant for it."""
    with contextlib.suppress(ReadError):
        load_all(path)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_broken_file_is_refused_with_a_message_that_names_it(case: Broken, tmp_path: Path) -> None:
    path = case.write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    started = time.monotonic()
    with pytest.raises(ReadError) as raised:
        load_all(path)
    assert case.says in str(raised.value)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 1000
    assert sorted(tmp_path.rglob("*")) == before
    assert time.monotonic() - started < 20


@pytest.fixture(scope="module", params=[small_h5, small_keras])
def intact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a file in order."""
    path: Path = request.param(tmp_path_factory.mktemp("intact"))
    return path.read_bytes()


def fresh(folder: Path, data: bytes) -> Path:
    """A file that HDF5 has not opened before."""
    path = folder / f"m{next(NUMBERS)}.h5"
    path.write_bytes(data)
    return path


@FUZZ
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_flipped_bytes_are_read_or_refused(intact: bytes, flips: list[tuple[int, int]], tmp_path: Path) -> None:
    data = bytearray(intact)
    for position, value in flips:
        data[position % len(data)] = value
    survives(fresh(tmp_path, bytes(data)))


@FUZZ
@given(position=st.integers(0, 2047), value=st.integers(0, 255))
def test_flipped_bytes_in_front_are_read_or_refused(intact: bytes, position: int, value: int, tmp_path: Path) -> None:
    data = bytearray(intact)
    data[position] = value
    survives(fresh(tmp_path, bytes(data)))


@FUZZ
@given(share=st.floats(0, 1))
def test_files_cut_anywhere_are_read_or_refused(intact: bytes, share: float, tmp_path: Path) -> None:
    survives(fresh(tmp_path, intact[: int(share * len(intact))]))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("__tuple__")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["class_name", "config", "items", "name", "value"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@FUZZ
@given(data=st.data())
def test_any_value_anywhere_in_a_configuration_is_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    nested = {"class_name": "Sequential", "config": {"name": "inner", "layers": SMALL["config"]["layers"]}}
    nodes = [[["x", 0, 0, {}]]]
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3]}, "name": "x", "inbound_nodes": []},
        {**nested, "name": "inner", "inbound_nodes": nodes},
    ]
    model: Any = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["inner", 0, 0]]}
    model = json.loads(json.dumps({"class_name": "Functional", "config": model}))
    places: list[tuple[Any, Any]] = []
    pending = [model]
    while pending:
        item = pending.pop()
        for key, value in item.items() if isinstance(item, dict) else enumerate(item):
            places.append((item, key))
            pending.extend([value] if isinstance(value, dict | list) else [])
    holder, key = data.draw(st.sampled_from(range(len(places))).map(places.__getitem__))
    holder[key] = data.draw(VALUES)
    path = tmp_path / "m.json"
    path.write_text(json.dumps(model))
    survives(path)


FOLDER = Path(__file__).parents[1] / "fixtures"
FIXTURES = sorted([*FOLDER.glob("*.h5"), *FOLDER.glob("*.keras")])


@pytest.mark.parametrize("source", FIXTURES, ids=lambda path: path.name)
def test_damaged_models_convert_or_are_refused(source: Path, tmp_path: Path) -> None:
    found = {}
    for seed in range(40):
        path = fresh(tmp_path, hostile.damaged(source, seed)).rename(tmp_path / f"m{seed}{source.suffix}")
        found[seed] = hostile.verdict(path)
    assert {seed: verdict for seed, verdict in found.items() if verdict not in ("converted", "refused")} == {}


def test_heap_of_texts_that_would_be_read_for_ever_is_refused(tmp_path: Path) -> None:
    path = small_h5(tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "2.9.0"  # of variable length
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    data[heap + 24 : heap + 32] = (4000).to_bytes(8, "little")  # an object that ends in the middle of nowhere
    with pytest.raises(ReadError, match="heap"):
        load_all(fresh(tmp_path, bytes(data)))


def test_inner_model_that_is_called_with_other_axes_is_refused(tmp_path: Path) -> None:
    inner = functional(
        [input_layer("x", 4, 3), called(dense("one"), [["x", 0, 0, {}]])], [["x", 0, 0]], [["one", 0, 0]], "inner"
    )
    model = functional(
        [input_layer("y", 5, 4, 3), {**inner, "name": "inner", "inbound_nodes": [[["y", 0, 0, {}]]]}],
        [["y", 0, 0]],
        [["inner", 1, 0]],
    )
    path = tmp_path / "m.json"
    path.write_text(json.dumps(model))
    with pytest.raises(k2t.UnsupportedError, match="do not fit"):
        k2t.convert(path)


def test_axis_of_a_number_is_refused() -> None:
    layer = Layer("s", "Softmax", {"axis": -1})
    graph = Graph("model", (Input("x", ()),), (Call("s", layer, (Ref("x"),)),), Ref("s"))
    with pytest.raises(k2t.UnsupportedError, match="has no axes"):
        lower(translate(graph))


def test_groups_in_a_circle_end(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for path, array in TREE.items():
            file[path] = array
        file["layers/dense/again"] = file["layers"]
    small_keras(tmp_path)
    (tmp_path / "m.json").write_text(json.dumps({**SMALL, "module": "keras"}))
    (tmp_path / "w.h5").write_bytes(buffer.getvalue())
    (layer,) = read(tmp_path / "m.json", weights=tmp_path / "w.h5").graph.layers()
    assert layer.weights
    assert layer.weights.tree
    assert layer.weights.tree.keys() == {"vars/0", "vars/1"}


def test_file_that_shrinks_after_reading_is_refused_when_its_arrays_are_loaded(tmp_path: Path) -> None:
    path = small_h5(tmp_path)
    (layer,) = read(path).graph.layers()
    assert layer.weights
    (array, *_) = layer.weights.flat or ()
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ReadError, match="was changed"):
        array.load()


def test_nothing_of_a_lambda_is_executed(tmp_path: Path) -> None:
    code = ["4wEAAAAAAAAAAAAAAAEAAAACAAAA\n", None, None]
    options = {"name": "l", "function": code, "function_type": "lambda", "batch_input_shape": [None, 3]}
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"class_name": "Sequential", "config": [{"class_name": "Lambda", "config": options}]}))
    (layer,) = read(path).graph.layers()
    function = layer.options["function"]  # data, whatever the bytes are
    assert function.node is None
    assert "of no Python" in function.problem


def test_architecture_is_no_file_of_weights(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(SMALL))
    with pytest.raises(ReadError, match="holds no weights"):
        read(path, weights=path)


def test_arrays_of_several_threads_are_right(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    (layer,) = read(small_keras(tmp_path, compression=8)).graph.layers()
    assert layer.weights
    (array, *_) = (layer.weights.tree or {}).values()
    with ThreadPoolExecutor(8) as pool:
        for values in pool.map(lambda _: array.load(), range(64)):
            np.testing.assert_array_equal(values, TREE["layers/dense/vars/0"])


def test_option_of_the_wrong_kind_is_refused_with_its_name(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", sequential(dense("one", batch_input_shape=[None, 3], use_bias="yes")), WEIGHTS)
    with pytest.raises(UnsupportedError, match=r"one \(Dense\): option use_bias='yes' is no bool"):
        k2t.convert(path)


def test_subclassed_model_without_a_shape_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", {"class_name": "Mine", "config": {"name": "mine", "units": 3}}, WEIGHTS)
    with pytest.raises(ReadError, match=r"mine: the model was saved without the shape of its input; save it again"):
        k2t.convert(path)


def test_output_that_a_layer_does_not_return_is_refused_with_both_layers(tmp_path: Path) -> None:
    first, second = called(dense("one"), [["x", 0, 0, {}]]), called(dense("two"), [["one", 0, 7, {}]])
    model = functional([input_layer("x", 3), first, second], [["x", 0, 0]], [["two", 0, 0]])
    path = write_h5(tmp_path / "m.h5", model, {"one": kernel(), "two": kernel()})
    with pytest.raises(UnsupportedError, match=r"two \(Dense\): takes output 7 of one, which has no such output"):
        k2t.convert(path)


def test_model_without_outputs_is_refused() -> None:
    graph = Graph("model", (Input("x", (None, 3)),), (), [])
    with pytest.raises(k2t.UnsupportedError, match="no tensor"):
        translate(graph)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"kernel:0": (3, 2)}, "(one/kernel, one/bias), the file holds 1"),
        (
            {"kernel:0": (3, 2), "bias:0": (2,), "more:0": (2,)},
            "(one/kernel, one/bias), the file holds 3",
        ),
        ({"kernel:0": (2, 3), "bias:0": (2,)}, "one/kernel must have shape (3, 2), the file has (2, 3)"),
        ({"kernel:0": (3, 2), "bias:0": ()}, "one/bias must have shape (2,), the file has ()"),
    ],
)
def test_arrays_that_are_not_the_layers_are_refused_with_both_sides(
    arrays: dict[str, tuple[int, ...]], message: str, tmp_path: Path
) -> None:
    weights = {"one": {name: np.zeros(shape, np.float32) for name, shape in arrays.items()}}
    path = write_h5(tmp_path / "m.h5", SMALL, weights)
    with pytest.raises(k2t.K2TError) as raised:
        k2t.convert(path, output=tmp_path / "net.py")
    assert message in str(raised.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["class", "a b; import os", '"""', "print(1)", "größe", "__init__", "1"])
def test_names_are_never_code(name: str, tmp_path: Path) -> None:
    model = sequential(dense(name, batch_input_shape=[None, 3]), name=name)
    source = k2t.convert(write_h5(tmp_path / "m.h5", model, {name: kernel()})).source
    statements = {type(node) for node in ast.parse(source).body[1:]}
    assert statements <= {ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign}
    assert not {"os", "print"} & {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
