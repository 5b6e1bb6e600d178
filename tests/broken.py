"""Broken and hostile model files, made when they are needed: what each is, and what its message must say."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from files import called, dense, functional, input_layer, kernel, node, sequential, tensor, write_h5, write_keras

SMALL = sequential(dense("one", batch_input_shape=[None, 3]))
WEIGHTS = {"one": kernel()}
TREE = {"layers/dense/vars/0": kernel()["kernel:0"], "layers/dense/vars/1": kernel()["bias:0"]}


@dataclass(frozen=True)
class Broken:
    """A way to break a file.

    Attributes:
        write: writes it into a folder, returns its path.
        says: what the message must contain.
    """

    write: Callable[[Path], Path]
    says: str


CASES: dict[str, Broken] = {}

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def broken(says: str) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    def register(write: Callable[[Path], Path]) -> Callable[[Path], Path]:
        CASES[write.__name__] = Broken(write, says)
        return write

    return register


def small_h5(folder: Path) -> Path:
    return write_h5(folder / "m.h5", SMALL, WEIGHTS)


def small_keras(folder: Path, **changes: Any) -> Path:
    return write_keras(folder / "m.keras", SMALL, TREE, **changes)


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def model_json(folder: Path, model: Any) -> Path:
    return written(folder, "m.json", json.dumps(model).encode())


def connected(folder: Path, *layers: dict[str, Any], outputs: Any = None) -> Path:
    """A Functional model of these layers, an input x in front."""
    model = functional([input_layer("x", 3), *layers], [["x", 0, 0]], outputs or [[layers[-1]["name"], 0, 0]])
    return model_json(folder, model)


@broken("no such file")
def missing_file(folder: Path) -> Path:
    return folder / "nothing.h5"


@broken("not a Keras model")
def empty_file(folder: Path) -> Path:
    return written(folder, "m.h5", b"")


@broken("not a Keras model")
def picture(folder: Path) -> Path:
    return written(folder, "m.h5", b"\x89PNG\r\n\x1a\n" + bytes(100))


@broken("git lfs pull")
def pointer_of_git_lfs(folder: Path) -> Path:
    return written(folder, "m.h5", POINTER)


@broken("not a Keras model")
def pickle(folder: Path) -> Path:
    return written(folder, "m.keras", b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.")


@broken("SavedModel")
def folder_of_a_saved_model(folder: Path) -> Path:
    (folder / "saved").mkdir()
    written(folder, "saved/saved_model.pb", b"")
    return folder / "saved"


@broken("is Keras code")
def keras_code(folder: Path) -> Path:
    return written(folder, "m.py", b"import keras\n")


@broken("is Keras code")
def function_in_keras_code(folder: Path) -> Path:
    keras_code(folder)
    return folder / "m.py:build"


@broken("no such file")
def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "m.h5")
    return folder / "m.h5"


@broken("is Keras code")
def notebook(folder: Path) -> Path:
    return written(folder, "m.ipynb", b'{"cells": []}')


@broken("copy it again")
def truncated_h5(folder: Path) -> Path:
    return written(folder, "t.h5", small_h5(folder).read_bytes()[:-300])


@broken("copy it again")
def header_of_h5_alone(folder: Path) -> Path:
    return written(folder, "t.h5", small_h5(folder).read_bytes()[:90])


@broken("copy it again")
def truncated_archive(folder: Path) -> Path:
    return written(folder, "t.keras", small_keras(folder).read_bytes()[:-300])


@broken("Bad CRC-32")
def archive_with_a_flipped_bit_in_its_weights(folder: Path) -> Path:
    data = bytearray(small_keras(folder).read_bytes())
    data[data.index(b"HDF") + 2000] ^= 1
    return written(folder, "t.keras", bytes(data))


@broken("without config.json")
def archive_of_something_else(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "m.keras", "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    return folder / "m.keras"


@broken("points outside")
def archive_with_a_path_upwards(folder: Path) -> Path:
    return small_keras(folder, extra={"../../etc/cron.d/x": "evil"})


@broken("points outside")
def archive_with_an_absolute_path(folder: Path) -> Path:
    return small_keras(folder, extra={"/etc/cron.d/x": "evil"})


@broken("exists twice")
def archive_with_a_member_twice(folder: Path) -> Path:
    return small_keras(folder, extra={"assets\\x": "one", "assets/x": "two"})


@broken("zip bomb")
def zip_bomb(folder: Path) -> Path:
    return small_keras(folder, compression=zipfile.ZIP_DEFLATED, extra={"assets/zeros": bytes(1 << 27)})


@broken("damaged zip file")
def archive_that_declares_less_than_it_holds(folder: Path) -> Path:
    path = small_keras(folder, compression=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    size = struct.pack("<L", zipfile.ZipFile(path).getinfo("config.json").file_size)
    data = data.replace(size, struct.pack("<L", 5))
    return written(folder, "t.keras", bytes(data))


@broken("damaged JSON")
def configuration_cut_off(folder: Path) -> Path:
    path = small_h5(folder)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(SMALL)[:-5]
    return path


@broken("holds weights but no model")
def weights_alone(folder: Path) -> Path:
    return write_h5(folder / "w.h5", None, WEIGHTS)


@broken("damaged JSON")
def json_cut_off(folder: Path) -> Path:
    return written(folder, "m.json", b'{"class_name": "Sequential", ')


@broken("not of a Keras model")
def json_of_something_else(folder: Path) -> Path:
    return model_json(folder, {"name": "package", "version": "1.0.0"})


@broken("nested too deep")
def json_that_never_ends(folder: Path) -> Path:
    return written(folder, "m.json", b'{"class_name":' * 100_000)


@broken("nested too deep")
def models_inside_models_without_end(folder: Path) -> Path:
    before, after = json.dumps(sequential({"inner": 0})).split('{"inner": 0}')
    return written(folder, "m.json", (before * 300 + json.dumps(SMALL) + after * 300).encode())


@broken("not Unicode")
def half_of_a_character_as_a_name(folder: Path) -> Path:
    return model_json(folder, sequential(dense("\ud800", batch_input_shape=[None, 3])))


@broken("not Unicode")
def bytes_that_are_no_text_as_a_name(folder: Path) -> Path:
    path = small_h5(folder)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = np.bytes_(json.dumps(SMALL).replace("one", "?").encode().replace(b"?", b"\xff"))
    return path


@broken("names no class")
def model_without_a_class(folder: Path) -> Path:
    path = small_h5(folder)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = "{}"
    return path


@broken("depends on its own output")
def circle(folder: Path) -> Path:
    return connected(folder, called(dense("a"), [["b", 0, 0]]), called(dense("b"), [["a", 0, 0]]))


@broken("depends on its own output")
def layer_that_feeds_itself(folder: Path) -> Path:
    return connected(folder, called(dense("a"), [["a", 0, 0]]))


@broken("call 0 of 'ghost'")
def call_of_a_layer_that_is_not_there(folder: Path) -> Path:
    return connected(folder, called(dense("a"), [["ghost", 0, 0]]))


@broken("call 3 of 'a'")
def output_of_a_call_that_is_not_there(folder: Path) -> Path:
    return connected(folder, called(dense("a"), [["x", 0, 0]]), outputs=[["a", 3, 0]])


@broken("is used but does not exist")
def negative_call(folder: Path) -> Path:
    return connected(folder, called(dense("a"), [["x", 0, 0]]), outputs=[["a", -1, 0]])


@broken("Keras 3.2 does not say which call of 'a'")
def calls_that_keras_3_2_confused(folder: Path) -> Path:
    shared = called(dense("a"), node(tensor("x")), node(tensor("a")))
    layers = [input_layer("x", 3), shared, called(dense("b"), node(tensor("a")))]
    return write_keras(folder / "m.keras", functional(layers, [["x", 0, 0]], [["b", 0, 0]]), {}, version="3.2.1")


@broken("two layers are named 'a'")
def two_layers_of_one_name(folder: Path) -> Path:
    return connected(folder, called(dense("a"), [["x", 0, 0]]), called(dense("a"), [["x", 0, 0]]))


@broken("two layers are named 'a'")
def two_layers_of_one_name_in_a_row(folder: Path) -> Path:
    return model_json(folder, sequential(dense("a", batch_input_shape=[None, 3]), dense("a")))


@broken("not among the model's inputs")
def input_that_is_not_declared(folder: Path) -> Path:
    return connected(folder, input_layer("y", 3), called(dense("a"), [["y", 0, 0]]))


@broken("is no shape")
def shape_of_negative_size(folder: Path) -> Path:
    return model_json(folder, sequential(dense("a", batch_input_shape=[None, -3])))


@broken("sparse")
def sparse_input(folder: Path) -> Path:
    entry = input_layer("x", 3)
    entry["config"]["sparse"] = True
    return model_json(folder, sequential(entry, dense("a")))


@broken("without layers")
def sequential_of_nothing(folder: Path) -> Path:
    return model_json(folder, sequential())


@broken("expected list")
def layers_called_with_nonsense(folder: Path) -> Path:
    return connected(folder, {**dense("a"), "name": "a", "inbound_nodes": 7})


@broken("is missing")
def layer_without_its_group(folder: Path) -> Path:
    path = small_h5(folder)
    with h5py.File(path, "r+") as file:
        del file["model_weights/one"]
    return path


@broken("one/one/bias:0 is missing")
def array_that_is_missing(folder: Path) -> Path:
    path = small_h5(folder)
    with h5py.File(path, "r+") as file:
        del file["model_weights/one/one/bias:0"]
    return path


@broken("is missing")
def group_in_place_of_an_array(folder: Path) -> Path:
    path = small_h5(folder)
    with h5py.File(path, "r+") as file:
        del file["model_weights/one/one/bias:0"]
        file.create_group("model_weights/one/one/bias:0")
    return path


@broken("holds a name twice")
def layer_names_with_a_name_twice(folder: Path) -> Path:
    path = small_h5(folder)
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = [b"one", b"one"]
    return path


@broken("Keras 0")
def weights_of_keras_0(folder: Path) -> Path:
    path = small_h5(folder)
    with h5py.File(path, "r+") as file:
        del file["model_weights"].attrs["layer_names"]
        file["model_weights"].attrs["nb_layers"] = 1
    return path


def with_kernel(folder: Path, make: Callable[[h5py.Group], None]) -> Path:
    """A file whose kernel is what `make` puts in its place."""
    path = small_h5(folder)
    with h5py.File(path, "r+") as file:
        del file["model_weights/one/one/kernel:0"]
        make(file["model_weights/one/one"])
    return path


@broken("declares")
def array_of_a_declared_size_that_no_file_holds(folder: Path) -> Path:
    return with_kernel(folder, lambda group: group.create_dataset("kernel:0", (1 << 40, 2), "f4", chunks=(1024, 2)))


@broken("declares")
def array_that_was_never_written(folder: Path) -> Path:
    return with_kernel(folder, lambda group: group.create_dataset("kernel:0", (1 << 34,), "f4"))


@broken("another file")
def array_in_another_file(folder: Path) -> Path:
    return with_kernel(folder, lambda group: group.create_dataset("kernel:0", (4,), "u1", external="/etc/hostname"))


@broken("another file")
def link_into_another_file(folder: Path) -> Path:
    with h5py.File(folder / "other.h5", "w") as file:
        file["secret"] = np.zeros(3)
    return with_kernel(folder, lambda group: group.__setitem__("kernel:0", h5py.ExternalLink("other.h5", "/secret")))


@broken("another file")
def virtual_array(folder: Path) -> Path:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "secret", (3,))
    return with_kernel(folder, lambda group: group.create_virtual_dataset("kernel:0", layout))


@broken("damaged")
def link_to_itself(folder: Path) -> Path:
    return with_kernel(folder, lambda group: group.__setitem__("kernel:0", h5py.SoftLink(f"{group.name}/kernel:0")))


@broken("is empty")
def array_without_a_shape(folder: Path) -> Path:
    return with_kernel(folder, lambda group: group.create_dataset("kernel:0", data=h5py.Empty("f4")))
