"""Containers of Keras 3 besides the archive and HDF5: weights in several files, archives that are folders; and YAML."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
from test_hostile import load_all

import k2t
from k2t.check import check_generated
from k2t.errors import ReadError

SHARDS = 3e-5  # GB: the largest variable of `model` nearly fills a file


def model() -> Any:
    import keras
    from keras import layers

    given = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(given))
    x = keras.Sequential([layers.Dense(50), layers.BatchNormalization(), layers.Dense(90)])(x)
    made = keras.Model(given, layers.Dense(60)(x))
    parity.randomize(made)
    return made


def outputs(source: Path, folder: Path, **options: Any) -> np.ndarray:
    """What the converted model computes."""
    result = k2t.convert(source, **options)
    result.write(folder / "net.py")
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    return parity.run(parity.load_net(folder / "net.py").load(), result, [x])[0]


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """An unpacked archive with its weights in several files."""
    made = model()
    made.save(tmp_path / "whole.keras")
    folder = tmp_path / "model"
    with zipfile.ZipFile(tmp_path / "whole.keras") as archive:
        archive.extractall(folder)
    (folder / "model.weights.h5").unlink()
    made.save_weights(folder / "model.weights.json", max_shard_size=SHARDS)
    (tmp_path / "model.json").write_text(made.to_json())
    assert len(list(folder.glob("*.h5"))) > 2
    return folder


def test_weights_in_several_files_are_those_of_the_archive(sharded: Path, tmp_path: Path) -> None:
    want = outputs(tmp_path / "whole.keras", tmp_path)
    np.testing.assert_array_equal(outputs(sharded, tmp_path), want)
    weights = sharded / "model.weights.json"
    np.testing.assert_array_equal(outputs(tmp_path / "model.json", tmp_path, weights=weights), want)
    assert k2t.verify(tmp_path / "net.py", sharded).ok


def test_architecture_that_was_dumped_as_a_string_converts_and_is_checked(tmp_path: Path) -> None:
    made, source, weights = model(), tmp_path / "model.json", tmp_path / "made.weights.h5"
    source.write_text(json.dumps(made.to_json()))
    made.save_weights(weights)
    k2t.convert(source, weights=weights).write(tmp_path / "net.py")
    assert k2t.verify(tmp_path / "net.py", source, weights=weights, dtype="float64").ok


def test_archive_that_is_a_folder_converts_and_is_checked(tmp_path: Path) -> None:
    model().save(tmp_path / "whole.keras")
    with zipfile.ZipFile(tmp_path / "whole.keras") as archive:
        archive.extractall(tmp_path / "model")
    want = outputs(tmp_path / "whole.keras", tmp_path)
    np.testing.assert_array_equal(outputs(tmp_path / "model", tmp_path), want)
    assert not list(check_generated(tmp_path / "net.py"))
    (tmp_path / "model" / "metadata.json").write_text('{"keras_version": "3.0.0"}')
    assert ["stale" in line for line in check_generated(tmp_path / "net.py")] == [True]


def test_missing_and_foreign_parts_are_refused(sharded: Path) -> None:
    part = sorted(sharded.glob("*.h5"))[1]
    kept = part.read_bytes()
    part.unlink()
    with pytest.raises(ReadError, match=r"its part .* is missing; copy all parts"):
        load_all(sharded)
    part.write_bytes(kept[: len(kept) // 2])
    with pytest.raises(ReadError, match="truncated"):
        load_all(sharded)
    listed = {"weight_map": {"/layers/dense/vars": "../elsewhere.weights.h5"}}
    (sharded / "model.weights.json").write_text(json.dumps(listed))
    with pytest.raises(ReadError, match="lies in another folder, which is not followed"):
        load_all(sharded)
    (sharded / "model.weights.json").unlink()
    with pytest.raises(ReadError, match="holds no weights"):
        load_all(sharded)


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="a folder without a model"):
        k2t.convert(tmp_path)


def test_architecture_in_yaml_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("backend: tensorflow\nclass_name: Sequential\nconfig:\n- class_name: Dense\n")
    with pytest.raises(ReadError, match=r"turn it into JSON with .*yaml\.safe_load"):
        k2t.convert(tmp_path / "model.yaml")
