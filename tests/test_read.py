from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from files import (
    Arrays,
    called,
    dense,
    functional,
    input_layer,
    kernel,
    node,
    sequential,
    tensor,
    tree_bytes,
    write_h5,
    write_keras,
)

from k2t.errors import ReadError
from k2t.graph import Call, Layer, Ref, Source
from k2t.read import read

CORPUS = Path(__file__).parents[1].parent / "shared" / "corpus"
FILES = sorted(path for path in CORPUS.glob("*") if path.suffix not in (".json", ".jsonl"))

SMALL = sequential(dense("one", batch_input_shape=[None, 3]), dense("two", 1))
WEIGHTS = {"one": kernel(3, 2), "two": kernel(2, 1)}
TREE = {
    "layers/dense/vars/0": kernel(3, 2)["kernel:0"],
    "layers/dense/vars/1": kernel(3, 2)["bias:0"],
    "layers/dense_1/vars/0": kernel(2, 1)["kernel:0"],
    "layers/dense_1/vars/1": kernel(2, 1)["bias:0"],
}


def flat(layer: Layer) -> list[Any]:
    assert layer.weights
    assert layer.weights.flat is not None
    return [array.load() for array in layer.weights.flat]


def tree(layer: Layer) -> dict[str, Any]:
    assert layer.weights
    assert layer.weights.tree is not None
    return {path: array.load() for path, array in layer.weights.tree.items()}


def calls(source: Source) -> dict[str, Call]:
    return {call.name: call for call in source.graph.calls}


def keras3(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry as Keras 3 serializes it."""
    config = entry["config"]
    if isinstance(config, dict) and "layers" in config:
        config = {**config, "layers": [keras3(layer) for layer in config["layers"]]}
    return {"module": "keras.layers", "registered_name": None, **entry, "config": config}


def check_small(source: Source) -> None:
    first, second = source.graph.calls
    assert [call.layer.kind for call in source.graph.calls] == ["Dense", "Dense"]
    assert first.args == (Ref(source.graph.inputs[0].name),)
    assert second.args == (Ref(first.name),)
    assert source.graph.outputs == Ref(second.name)
    assert source.graph.inputs[0].shape == (None, 3)
    for call, arrays in zip(source.graph.calls, WEIGHTS.values(), strict=True):
        weights = call.layer.weights
        assert weights
        stored = list(weights.flat or (weights.tree or {}).values())
        for array, wanted in zip(stored, arrays.values(), strict=True):
            assert array.shape == wanted.shape
            np.testing.assert_array_equal(array.load(), wanted)


@pytest.mark.parametrize("text", [bytes, str])
@pytest.mark.parametrize("chunks", [1, 2])
def test_names_are_read_from_bytes_and_str_in_one_attribute_or_several(tmp_path: Path, text: type, chunks: int) -> None:
    check_small(read(write_h5(tmp_path / "m.h5", SMALL, WEIGHTS, text=text, chunks=chunks)))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("separator", ["/", "\\"])
def test_archives_are_read_stored_or_compressed_from_any_system(
    tmp_path: Path, compression: int, separator: str
) -> None:
    path = write_keras(tmp_path / "m.keras", keras3(SMALL), TREE, compression=compression, separator=separator)
    check_small(read(path))


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    check_small(read(write_h5(tmp_path / "m.keras", SMALL, WEIGHTS)))
    check_small(read(write_keras(tmp_path / "m.h5", keras3(SMALL), TREE)))
    check_small(read(str(write_h5(tmp_path / "m.model", SMALL, WEIGHTS))))


def test_sequential_may_be_a_plain_list(tmp_path: Path) -> None:
    config = {**SMALL, "config": SMALL["config"]["layers"]}
    check_small(read(write_h5(tmp_path / "m.h5", config, WEIGHTS, version="2.1.3")))


@pytest.mark.parametrize("wrap", [json.dumps, lambda config: json.dumps(json.dumps(config))])
def test_architecture_takes_its_weights_from_another_file(tmp_path: Path, wrap: Any) -> None:
    (tmp_path / "m.json").write_text(wrap({**SMALL, "keras_version": "2.4.0", "backend": "tensorflow"}))
    weights = write_h5(tmp_path / "w.h5", None, WEIGHTS)
    source = read(tmp_path / "m.json", weights=weights)
    check_small(source)
    assert (source.keras_version, source.backend) == ("2.4.0", "tensorflow")


def test_architecture_of_keras_3_takes_its_weights_from_a_tree(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(keras3(SMALL)))
    (tmp_path / "m.weights.h5").write_bytes(tree_bytes(TREE))
    check_small(read(tmp_path / "m.json", weights=tmp_path / "m.weights.h5"))


def test_architecture_alone_has_no_weights(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(SMALL))
    source = read(tmp_path / "m.json")
    assert [layer.weights for layer in source.graph.layers()] == [None, None]


def test_weights_go_by_position_where_names_differ(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(SMALL))
    renamed = {"dense_7": WEIGHTS["one"], "dense_8": WEIGHTS["two"]}
    check_small(read(tmp_path / "m.json", weights=write_h5(tmp_path / "w.h5", None, renamed)))


def test_weights_of_another_model_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(SMALL))
    foreign = {"alien": kernel(), "dense_8": kernel(), "three": kernel()}
    with pytest.raises(ReadError, match="alien, dense_8, three"):
        read(tmp_path / "m.json", weights=write_h5(tmp_path / "w.h5", None, foreign))


def test_arrays_lie_in_the_file_until_they_are_loaded(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", SMALL, WEIGHTS)
    source = read(path)
    with h5py.File(path, "r") as file:
        offset = file["model_weights/one/one/kernel:0"].id.get_offset()
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(np.full(6, 7, "float32").tobytes())
    np.testing.assert_array_equal(flat(next(source.graph.layers()))[0], np.full((3, 2), 7))


@pytest.mark.parametrize("dtype", [">f4", "float16", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("storage", [{}, {"chunks": True, "compression": "gzip"}, {"chunks": True, "shuffle": True}])
def test_arrays_of_every_type_and_storage_load_as_they_are(tmp_path: Path, dtype: str, storage: dict[str, Any]) -> None:
    path = write_h5(tmp_path / "m.h5", SMALL, {"two": kernel(2, 1), "one": {}})
    values = np.arange(6).reshape(3, 2).astype(dtype)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/one"]
        group.create_dataset("kernel:0", data=values, **storage)
        group.attrs["weight_names"] = [b"kernel:0"]
    (array,) = next(read(path).graph.layers()).weights.flat  # type: ignore[union-attr, misc]
    assert array.dtype == values.dtype.newbyteorder("=")
    loaded = array.load()
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, values)


def test_bfloat16_loads_as_float32(tmp_path: Path) -> None:
    values = np.array([[1.0, -2.5, 3.0]], "float32")
    halves = (values.view(np.uint32) >> 16).astype(np.uint16).view("V2")
    path = write_keras(
        tmp_path / "m.keras", keras3(sequential(dense("one", input_shape=[1]))), {"layers/dense/vars/0": halves}
    )
    (array,) = tree(next(read(path).graph.layers())).values()
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, values)


def test_nan_weights_are_weights(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", SMALL, {**WEIGHTS, "one": {"kernel:0": np.full((3, 2), np.nan, "float32")}})
    assert np.isnan(flat(next(read(path).graph.layers()))[0]).all()


def test_user_block_in_front_moves_the_arrays(tmp_path: Path) -> None:
    plain = write_h5(tmp_path / "m.h5", SMALL, WEIGHTS)
    with h5py.File(tmp_path / "u.h5", "w", userblock_size=512) as target, h5py.File(plain, "r") as origin:
        target.attrs.update(origin.attrs)
        origin.copy("model_weights", target)
    check_small(read(tmp_path / "u.h5"))


@pytest.mark.parametrize("name", ["a/b", "with space", "été 层", "class", "x.y;import os", "a" * 300, ".", "-1"])
def test_odd_names_survive(tmp_path: Path, name: str) -> None:
    weights: dict[str, Arrays] = {"holder": kernel()}
    path = write_h5(tmp_path / "m.h5", sequential(dense(name, input_shape=[3])), weights)
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]
        group.attrs["layer_names"] = [name.encode()]
        if name != ".":
            group.move("holder", name)
            group[name].attrs["weight_names"] = [b"holder/kernel:0", b"holder/bias:0"]
        else:
            group.attrs["weight_names"] = [b"holder/holder/kernel:0", b"holder/holder/bias:0"]
    (layer,) = read(path).graph.layers()
    assert layer.name == name
    np.testing.assert_array_equal(flat(layer)[0], kernel()["kernel:0"])


def test_stray_groups_and_the_models_own_weights_are_no_layers(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", SMALL, WEIGHTS)
    with h5py.File(path, "r+") as file:
        file["model_weights/stray/kernel:0"] = np.zeros(3)
        file["model_weights/top_level_model_weights/scale"] = np.zeros(3)
        file["model_weights/top_level_model_weights"].attrs["weight_names"] = [b"scale"]
        file["optimizer_weights/adam"] = np.zeros(3)
    source = read(path)
    check_small(source)
    assert source.surplus == ("top_level_model_weights/scale",)


def test_optimizer_of_an_archive_is_not_surplus_and_unknown_layers_are(tmp_path: Path) -> None:
    more = {"optimizer/vars/0": np.zeros(3), "layers/dense_2/vars/0": np.zeros(3)}
    source = read(write_keras(tmp_path / "m.keras", keras3(SMALL), {**TREE, **more}))
    check_small(source)
    assert source.surplus == ("layers/dense_2/vars/0",)


def test_archives_of_tf_keras_2_12_count_weighted_layers_twice(tmp_path: Path) -> None:
    old = "_layer_checkpoint_dependencies"
    arrays = {path.replace("layers/", f"{old}/").replace("dense_1", "dense_2"): array for path, array in TREE.items()}
    check_small(read(write_keras(tmp_path / "m.keras", keras3(SMALL), arrays, version="2.12.0")))


def test_sha256_is_of_the_files_bytes(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", SMALL, WEIGHTS)
    source = read(path)
    assert source.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()
    assert source.sha256()


def test_facts_of_origin_are_kept(tmp_path: Path) -> None:
    source = read(write_h5(tmp_path / "m.h5", SMALL, WEIGHTS, version="2.2.4-tf", backend="tensorflow"))
    assert (source.keras_version, source.backend) == ("2.2.4-tf", "tensorflow")
    source = read(write_keras(tmp_path / "m.keras", keras3(SMALL), TREE, version="3.9.2"))
    assert (source.keras_version, source.backend) == ("3.9.2", "")


def test_shape_of_the_input_is_told_from_the_first_kernel(tmp_path: Path) -> None:
    source = read(write_h5(tmp_path / "m.h5", sequential(dense("one"), dense("two", 1)), WEIGHTS))
    assert source.graph.inputs[0].shape == (None, 3)


def test_unknown_shape_of_the_input_says_what_to_do(tmp_path: Path) -> None:
    flatten = {"class_name": "Flatten", "config": {"name": "flatten"}}
    path = write_h5(tmp_path / "m.h5", sequential(flatten, dense("one")), {"one": kernel()})
    with pytest.raises(ReadError, match="save it again after"):
        read(path)


def test_dtypes_and_trainable_flags_leave_the_options(tmp_path: Path) -> None:
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
    layers = [
        dense("one", dtype=policy, trainable=False, batch_input_shape=[None, 3]),
        dense("two", dtype="float64", quantization_config=None),
        dense("three", dtype={"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}),
    ]
    weights = {name: {} for name in ("one", "two", "three")}
    one, two, three = read(write_h5(tmp_path / "m.h5", sequential(*layers), weights)).graph.layers()
    assert (one.dtype, one.trainable, two.dtype, two.trainable) == ("float32", False, "float64", True)
    assert not {"dtype", "trainable", "name", "batch_input_shape"} & (one.options.keys() | two.options.keys())
    assert three.options["dtype"] == {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}


def test_foreign_classes_keep_their_package(tmp_path: Path) -> None:
    layers = [
        {**dense("one", input_shape=[3]), "module": "mine", "registered_name": "Pack>Dense"},
        {**dense("two"), "module": None, "registered_name": "Dense"},
        {**dense("three"), "module": "keras.layers", "registered_name": None},
    ]
    model = keras3(sequential(*layers))
    kinds = [layer.kind for layer in read(write_keras(tmp_path / "m.keras", model, {})).graph.layers()]
    assert kinds == ["Pack>Dense", "Custom>Dense", "Dense"]


def test_model_of_a_class_of_its_own_is_one_layer_with_all_weights(tmp_path: Path) -> None:
    entry = {"module": None, "class_name": "Net", "config": {"num": 3}, "registered_name": "Pack>Net"}
    path = write_keras(tmp_path / "m.keras", {**entry, "build_config": {"input_shape": [None, 3]}}, TREE)
    source = read(path)
    (call,) = source.graph.calls
    assert (call.layer.kind, call.layer.options) == ("Pack>Net", {"num": 3})
    assert tree(call.layer).keys() == TREE.keys()
    assert source.graph.inputs[0].shape == (None, 3)


def test_wrapped_layers_become_layers_and_functions_become_names(tmp_path: Path) -> None:
    function = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}
    foreign = {"module": "mine", "class_name": "function", "config": "relu", "registered_name": "Pack>relu"}
    leaky = {"module": "keras.layers", "class_name": "LeakyReLU", "config": {"name": "l", "negative_slope": 0.5}}
    inner = {"class_name": "Dense", "config": {"name": "inner", "units": 2, "activation": function}}
    zeros = {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None}
    options = {"layer": inner, "shape": {"class_name": "__tuple__", "items": [1, 2]}, "other": foreign}
    wrapper = {"class_name": "TimeDistributed", "config": {"name": "t", "activation": leaky, "init": zeros, **options}}
    config = keras3(sequential(input_layer("i", 4, 3), wrapper))
    (layer,) = read(write_keras(tmp_path / "n.keras", config, {})).graph.layers()
    wrapped = layer.options["layer"]
    assert (wrapped.kind, wrapped.name, wrapped.options["activation"]) == ("Dense", "inner", "relu")
    assert layer.options["activation"].options == {"negative_slope": 0.5}
    assert layer.options["shape"] == [1, 2]
    assert layer.options["other"] == "Pack>relu"
    assert layer.options["init"] == {"class_name": "Zeros", "config": {}}


CALLED = dense("d", 3)


def read_functional(tmp_path: Path, model: dict[str, Any], version: str = "2.9.0") -> Source:
    weights: dict[str, Arrays] = {entry["name"]: {} for entry in model["config"]["layers"]}
    return read(write_h5(tmp_path / "m.h5", model, weights, version=version))


def test_shared_layer_is_one_layer_and_two_calls(tmp_path: Path) -> None:
    shared = called(CALLED, [["x", 0, 0, {}]], [["d", 0, 0, {}]])
    source = read_functional(tmp_path, functional([input_layer("x", 3), shared], [["x", 0, 0]], [["d", 1, 0]]))
    first, second = source.graph.calls
    assert first.layer is second.layer
    assert (first.name, second.name) == ("d", "d#1")
    assert (second.args, source.graph.outputs) == ((Ref("d"),), Ref("d#1"))


def test_only_calls_that_the_outputs_need_appear_in_an_order_that_can_be_computed(tmp_path: Path) -> None:
    last, unused = called(dense("last"), [["first", 0, 0]]), called(dense("unused"), [["x", 0, 0]])
    layers = [last, unused, called(dense("first"), [["x", 0, 0]]), input_layer("x", 3)]
    source = read_functional(tmp_path, functional(layers, [["x", 0, 0]], [["last", 0, 0]]))
    assert list(calls(source)) == ["first", "last"]
    assert source.surplus == ()


@pytest.mark.parametrize("base", [0, 1])
def test_nested_models_are_called_by_either_numbering(tmp_path: Path, base: int) -> None:
    inner = functional([input_layer("y", 3), called(CALLED, [["y", 0, 0]])], [["y", 0, 0]], [["d", 0, 0]], "inner")
    nested = called(inner, [["a", 0, 0]], [["b", 0, 0]])
    add = {"class_name": "Subtract", "config": {"name": "s"}}
    layers = [input_layer("a", 3), input_layer("b", 3), nested]
    layers.append(called(add, [["inner", base, 0, {}], ["inner", base + 1, 0, {}]]))
    source = read_functional(tmp_path, functional(layers, [["a", 0, 0], ["b", 0, 0]], [["s", 0, 0]]))
    assert calls(source)["s"].args == ([Ref("inner"), Ref("inner#1")],)
    assert calls(source)["inner#1"].args == (Ref("b"),)
    graph = calls(source)["inner"].layer.graph
    assert graph
    assert graph.outputs == Ref("d")


def test_outputs_of_keras_3_number_nested_functional_models_from_one(tmp_path: Path) -> None:
    inner = functional([input_layer("y", 3), called(CALLED, node(tensor("y")))], [["y", 0, 0]], [["d", 0, 0]], "inner")
    nested = called(inner, node(tensor("a")), node(tensor("inner", 0)))
    layers = [input_layer("a", 3), nested, called(dense("e"), node(tensor("inner", 0)))]
    source = read_functional(tmp_path, functional(layers, [["a", 0, 0]], [["e", 0, 0], ["inner", 2, 0]]), "3.8.0")
    assert source.graph.outputs == [Ref("e"), Ref("inner#1")]
    assert calls(source)["e"].args == (Ref("inner"),)


@pytest.mark.parametrize("mode", ["flat", "nested"])
def test_arguments_of_older_nodes_are_tensors_constants_and_options(tmp_path: Path, mode: str) -> None:
    first = ["x", 0, 0, {"y": ["z", 0, 0], "initial_state": [["z", 0, 0]], "axis": -1, "mask": None}]
    layer = {"class_name": "TFOpLambda", "config": {"name": "op", "function": "math.multiply"}}
    constant = called({**layer, "config": {"name": "two"}}, ["_CONSTANT_VALUE", -1, 2.0, {"y": ["op", 0, 0]}])
    operation = called(layer, first if mode == "flat" else [first])
    layers = [input_layer("x", 3), input_layer("z", 3), operation, constant]
    source = read_functional(tmp_path, functional(layers, [["x", 0, 0], ["z", 0, 0]], ["two", 0, 0]))
    assert calls(source)["op"].args == (Ref("x"),)
    assert calls(source)["op"].kwargs == {"y": Ref("z"), "initial_state": [Ref("z")], "axis": -1}
    assert (calls(source)["two"].args, calls(source)["two"].kwargs) == ((2.0,), {"y": Ref("op")})


def test_operations_of_keras_3_keep_constants_and_slices(tmp_path: Path) -> None:
    part = {"class_name": "__slice__", "config": {"start": 1, "stop": None, "step": None}}
    array = {"class_name": "__numpy__", "config": {"value": [1, 2], "dtype": "int32"}}
    number = {"class_name": "__tensor__", "config": {"value": 3.0, "dtype": "float32"}}
    module = {"module": "keras.src.ops.numpy", "registered_name": "GetItem"}
    item = {"class_name": "GetItem", "config": {"name": "item"}, **module}
    arguments = node(tensor("x"), [{"class_name": "__ellipsis__", "config": {}}, part], array, k=number)
    model = functional([input_layer("x", 3), called(item, arguments)], ["x", 0, 0], ["item", 0, 0])
    (call,) = read(write_keras(tmp_path / "m.keras", keras3(model), {})).graph.calls
    assert call.layer.kind == "ops.GetItem"
    assert call.args[:2] == (Ref("x"), [Ellipsis, slice(1, None)])
    np.testing.assert_array_equal(call.args[2], np.array([1, 2], "int32"))
    assert call.kwargs == {"k": 3.0}


@pytest.mark.parametrize(("version", "single"), [("3.8.0", True), ("3.12.0", False)])
def test_list_of_one_output_is_a_list_since_keras_3_11(tmp_path: Path, version: str, single: bool) -> None:
    model = functional([input_layer("x", 3), called(CALLED, node(tensor("x")))], [["x", 0, 0]], [["d", 0, 0]])
    outputs = read(write_keras(tmp_path / "m.keras", keras3(model), {}, version=version)).graph.outputs
    assert outputs == (Ref("d") if single else [Ref("d")])


def test_inputs_and_outputs_keep_their_structure(tmp_path: Path) -> None:
    layers = [input_layer("x", 3), input_layer("z", 2), called(CALLED, node(tensor("x")))]
    model = functional(layers, {"b": ["x", 0, 0], "a": ["z", 0, 0]}, {"p": ["d", 0, 0], "q": [["z", 0, 0]]})
    graph = read(write_keras(tmp_path / "m.keras", keras3(model), {})).graph
    assert [item.name for item in graph.inputs] == ["z", "x"]
    assert graph.outputs == {"p": Ref("d"), "q": [Ref("z")]}


def test_layer_shared_with_a_nested_model_finds_its_weights_there(tmp_path: Path) -> None:
    shared = {**dense("d", 3), "shared_object_id": 7}
    inner = functional([input_layer("y", 3), called(shared, node(tensor("y")))], ["y", 0, 0], ["d", 0, 0], "inner")
    layers = [input_layer("x", 3), called(inner, node(tensor("x"))), called(shared, node(tensor("inner")))]
    arrays = {"layers/functional/layers/dense/vars/0": np.eye(3), "layers/functional/layers/dense/vars/1": np.ones(3)}
    path = write_keras(tmp_path / "m.keras", keras3(functional(layers, ["x", 0, 0], ["d", 0, 0])), arrays)
    nested, outer = read(path).graph.layers()
    assert tree(nested).keys() == {"layers/dense/vars/0", "layers/dense/vars/1"}
    np.testing.assert_array_equal(tree(outer)["vars/0"], np.eye(3))


def test_branches_of_a_keras_1_merge_are_layers_of_the_model(tmp_path: Path) -> None:
    def branch(name: str) -> dict[str, Any]:
        options = {"output_dim": 2, "activation": "linear", "bias": True, "input_dim": 3, "init": "normal"}
        config = {"name": name, "batch_input_shape": [None, 3], "input_dtype": "float32", **options}
        return {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": config}]}

    merge = {"name": "merge_1", "mode": "concat", "concat_axis": -1, "layers": [branch("left"), branch("right")]}
    model = {"class_name": "Sequential", "config": [{"class_name": "Merge", "config": merge}]}
    source = read(write_h5(tmp_path / "m.h5", model, {"left": kernel(), "right": kernel()}, version="1.2.2"))
    assert [call.layer.kind for call in source.graph.calls] == ["Dense", "Dense", "Concatenate"]
    assert calls(source)["merge_1"].args == ([Ref("left"), Ref("right")],)
    assert [item.shape for item in source.graph.inputs] == [(None, 3), (None, 3)]
    np.testing.assert_array_equal(flat(calls(source)["right"].layer)[0], kernel()["kernel:0"])


def test_nameless_models_inside_a_list_go_by_position(tmp_path: Path) -> None:
    inner = {"class_name": "Sequential", "config": [dense("one", input_shape=[3])]}
    model = {"class_name": "Sequential", "config": [inner, dense("two", 1)]}
    weights = {"sequential_5": kernel(3, 2), "two": kernel(2, 1)}
    first, _ = read(write_h5(tmp_path / "m.h5", model, weights, version="2.1.0")).graph.layers()
    np.testing.assert_array_equal(flat(first)[0], kernel(3, 2)["kernel:0"])


def test_frozen_model_freezes_its_layers(tmp_path: Path) -> None:
    model = sequential(dense("one", input_shape=[3], trainable=True))
    model["config"]["trainable"] = False
    (layer,) = read(write_h5(tmp_path / "m.h5", model, {"one": kernel()})).graph.layers()
    assert layer.trainable is False


def test_thousands_of_layers_are_read_in_any_order(tmp_path: Path) -> None:
    names = [f"d{number}" for number in range(3000)]
    layers = [called(dense(name), [[before, 0, 0, {}]]) for before, name in zip(["x", *names], names, strict=False)]
    model = functional([*reversed(layers), input_layer("x", 2)], [["x", 0, 0]], [[names[-1], 0, 0]])
    (tmp_path / "m.json").write_text(json.dumps(model))
    source = read(tmp_path / "m.json")
    assert list(calls(source)) == names


@pytest.mark.skipif(not FILES, reason="the corpus is not here")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_model_of_the_corpus_is_read_with_all_its_weights(path: Path) -> None:
    architecture = path.with_name(f"{path.name}.arch.json")
    source = read(architecture, weights=path) if architecture.exists() else read(path)
    assert source.surplus == ()
    for layer in source.graph.layers():
        assert layer.weights
        arrays = layer.weights.flat if layer.weights.tree is None else layer.weights.tree.values()
        for array in arrays or ():
            loaded = array.load()
            assert (loaded.shape, loaded.dtype) == (array.shape, array.dtype)
