from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import corpus
import h5py
import numpy as np
import pytest
from files import (
    Arrays,
    dense,
    flat,
    keras3,
    kernel,
    sequential,
    tree,
    tree_bytes,
    write_h5,
    write_keras,
)

from k2t.errors import ReadError
from k2t.graph import Ref, Source
from k2t.read import read

CORPUS = corpus.FOLDER
FILES = sorted(path for path in CORPUS.glob("*") if path.suffix not in (".json", ".jsonl"))

SMALL = sequential(dense("one", batch_input_shape=[None, 3]), dense("two", 1))
WEIGHTS = {"one": kernel(3, 2), "two": kernel(2, 1)}
TREE = {
    "layers/dense/vars/0": kernel(3, 2)["kernel:0"],
    "layers/dense/vars/1": kernel(3, 2)["bias:0"],
    "layers/dense_1/vars/0": kernel(2, 1)["kernel:0"],
    "layers/dense_1/vars/1": kernel(2, 1)["bias:0"],
}


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
    assert read(path).sha256() == hashlib.sha256(path.read_bytes()).hexdigest()


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
