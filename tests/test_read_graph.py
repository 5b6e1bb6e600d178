"""A configuration of any release becomes the graph that it means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import (
    Arrays,
    called,
    calls,
    dense,
    flat,
    functional,
    input_layer,
    keras3,
    kernel,
    node,
    sequential,
    tensor,
    tree,
    write_h5,
    write_keras,
)

from k2t.graph import Ref, Source
from k2t.read import read

TREE = {"layers/dense/vars/0": np.zeros((3, 2)), "layers/dense/vars/1": np.zeros(2)}


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
