"""Keras code as the reference: what of it is run, and that the emitted module computes the same."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import k2t
from k2t.cli import main
from k2t.sources import code_parts, given, written
from k2t.verify.child import Request
from k2t.verify.code import run_child
from k2t.verify.script import Script, needed, nested, without_reloads

BUILDER = """
    from keras import layers, Model

    def block(x, filters):
        x = layers.Conv2D(filters, 3, padding="same", strides=2)(x)
        return layers.Activation("relu")(layers.BatchNormalization()(x))

    def build(size=16, depth=2, classes=5):
        inputs = x = layers.Input((size, size, 3))
        for level in range(depth):
            x = block(x, 8 * 2**level)
        x = layers.Flatten()(x)
        return Model(inputs, layers.Dense(classes, activation="softmax")(x))

    print("training starts")
    history = build().fit(open("missing.csv"))
"""
SUBCLASS = """
    import keras
    from keras import ops

    class Scorer(keras.Model):
        def __init__(self, units=4):
            super().__init__()
            self.z_first = keras.layers.Dense(units)
            self.heads = [keras.layers.Dense(3) for _ in range(2)]

        def call(self, inputs):
            x = ops.tanh(self.z_first(inputs))
            return self.heads[0](x) * self.heads[1](x)
"""
KERAS_1 = """
    from keras.models import Sequential
    from keras.layers.core import Dense, Flatten
    from keras.layers.convolutional import Convolution2D, MaxPooling2D
    from keras.layers.recurrent import LSTM
    from keras.engine.topology import Layer
    from keras.optimizers import SGD
    from keras import backend as K
    import matplotlib.pyplot as plt

    class Scale(Layer):
        def build(self, input_shape):
            self.gamma = self.add_weight((input_shape[-1],), initializer="one", name="gamma")
        def call(self, x, mask=None):
            return K.reshape(self.gamma, (1, 1, 1, 4)) * x

    model = Sequential()
    model.add(Convolution2D(4, 3, 3, border_mode="same", subsample=(2, 2), init="he_normal", input_shape=(9, 9, 1)))
    model.add(Scale())
    model.add(MaxPooling2D((2, 2), border_mode="valid"))
    model.add(Flatten())
    model.add(Dense(output_dim=2, bias=False))
    model.compile(SGD(lr=0.1), loss="mse")
    plt.plot(model.fit(None).history)
"""


def script(folder: Path, code: str, name: str = "model.py") -> Path:
    """A file with this code."""
    path = folder / name
    path.write_text(dedent(code), "utf-8")
    return path


def kept(code: str, name: str, **values: object) -> list[str]:
    """The statements that a name needs."""
    return [ast.unparse(item) for item in needed(ast.parse(dedent(code)).body, name, values)]


def test_only_the_statements_that_a_model_needs_are_run() -> None:
    code = """
        import numpy, keras
        epochs = 3
        width = 4
        data = numpy.load("missing.npy")
        model = keras.Sequential()
        for _ in range(2):
            model.add(keras.layers.Dense(width))
        width = 5
        model.compile("adam")
        model.fit(data, epochs=epochs)
        model = None if data is None else model.fit(data)
    """
    assert kept(code.rpartition("        model = None")[0], "model") == [
        "import numpy, keras",
        "width = 4",
        "model = keras.Sequential()",
        "for _ in range(2):\n    model.add(keras.layers.Dense(width))",
    ]


def test_functions_of_libraries_change_nothing_but_settings() -> None:
    code = """
        import sys, keras
        sys.path.append("..")
        keras.backend.set_image_data_format("channels_last")
        data = read("missing.csv")
        keras.utils.plot_model(data)
        keras.utils.get_file(data)
        def build():
            return keras.Sequential(sys)
    """
    assert [line.partition("(")[0] for line in kept(code, "build")] == [
        "import sys, keras",
        "sys.path.append",
        "keras.backend.set_image_data_format",
        "def build",
    ]


def test_a_model_that_is_loaded_again_is_the_one_that_was_saved() -> None:
    code = "model = build()\nmodel.save('m')\nmodel = keras.models.load_model('m')\nother = load_model('other')"
    assert [ast.unparse(item) for item in without_reloads(ast.parse(code).body)] == [
        "model = build()",
        "model.save('m')",
        "other = load_model('other')",
    ]


def test_what_functions_use_is_run_wherever_it_is_defined() -> None:
    code = """
        x = 1
        def build(depth, x=2):
            return helper(depth) + x + SCALE
        SCALE = 3
        def helper(n):
            return n * other(n)
        def other(n): return n
        def unused(): return load()
    """
    names = [line.split("(")[0] for line in kept(code, "build")]
    assert names == ["def build", "SCALE = 3", "def helper", "def other"]


def test_given_values_take_the_place_of_statements() -> None:
    code = """
        classes = len(open("labels.txt").read())
        size = classes * 2
    """
    assert kept(code, "size", classes=3) == ["size = classes * 2"]


def test_attributes_of_data_are_given_alike() -> None:
    found = nested({"x_train.shape": (60, 28), "self.size": 1, "depth": 2})
    assert found["x_train"].shape == (60, 28)
    assert found.keys() == {"x_train", "depth"}


def test_a_name_that_is_not_there_is_named() -> None:
    with pytest.raises(k2t.K2TError, match="there is no unet in the code"):
        kept("x = 1", "unet")


def test_methods_find_the_attributes_that_are_given(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        class Gan:
            def __init__(self):
                raise RuntimeError("trains")
            def build(self, factor=2):
                return [self.size * factor, self.size]
        """,
    )
    assert Script(path, "Gan.build[0]", {"self.size": 3, "factor": 5}).run() == 15


def test_code_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    path = script(tmp_path, "import json\nmodel = json.loads('{')\n")
    with pytest.raises(k2t.K2TError, match=r"model\.py:2: fails: JSONDecodeError"):
        Script(path, "model", {}).run()


def test_magics_of_a_notebook_are_no_code(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["model = nothing"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!pip install keras\n", "model = 3"]},
    ]
    path = tmp_path / "notebook.ipynb"
    path.write_text(json.dumps({"cells": cells}), "utf-8")
    assert Script(path, "model", {}).run() == 3


def test_the_spelling_of_sources_and_values() -> None:
    assert code_parts("a/model.py:Gan.build[1]") == ("a/model.py", "Gan.build[1]")
    assert code_parts("model.h5") is None
    options = {"input_shape": (64, 64, 3), "depth": 3, "name": "my net"}, [(None, 8)]
    assert given(" ".join(written(*options))) == options


def test_code_is_not_run_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script(tmp_path, "open('ran', 'w')\n" + dedent(BUILDER))
    net = tmp_path / "net.py"
    assert main(["convert", f"{path}:build", "-o", str(net)]) == 0
    said = capsys.readouterr().err
    assert "--run-source" in said
    assert re.fullmatch(r"translated (\d+) of \1 layer calls", said.splitlines()[-1])
    assert not net.with_suffix(".safetensors").exists()
    assert main(["verify", str(net), f"{path}:build"]) == 2
    assert "--run-source" in capsys.readouterr().err
    assert main(["record", f"{path}:build", "-o", str(tmp_path / "reference.safetensors")]) == 2
    assert not Path("ran").exists()


def test_a_builder_is_verified_with_other_arguments_too(tmp_path: Path) -> None:
    source = f"{script(tmp_path, BUILDER)}:build"
    net = tmp_path / "net.py"
    arguments = {"depth": 3, "size": 17}
    k2t.convert(source, arguments=arguments).write(net)
    parity = k2t.verify(net, source, run_source=True, arguments=arguments)
    assert parity.ok
    assert {row.kind for row in parity.outputs} == {"output", "logits"}
    assert any(row.kind == "Conv2D" for row in parity.layers)
    assert "keras" in parity.reference
    assert "keras" not in sys.modules or "training starts" not in parity.to_json()


def test_a_subclassed_model_is_recorded_and_verified_elsewhere(tmp_path: Path) -> None:
    source = f"{script(tmp_path, SUBCLASS)}:Scorer"
    options = ["--input-shape", "(None, 6)", "--arg", "units=5"]
    net, recording = tmp_path / "net.py", tmp_path / "reference.safetensors"
    assert main(["convert", source, *options, "-o", str(net)]) == 0
    assert main(["record", source, *options, "--run-source", "-o", str(recording)]) == 0
    Path(source.partition(":")[0]).unlink()
    parity = k2t.verify(net, recording)
    assert parity.ok
    net.write_text(net.read_text("utf-8").replace("torch.tanh", "torch.sigmoid"), "utf-8")
    assert not k2t.verify(net, recording).ok


def test_code_of_keras_1_runs_on_the_keras_of_today(tmp_path: Path) -> None:
    source = f"{script(tmp_path, KERAS_1)}:model"
    net = tmp_path / "net.py"
    k2t.convert(source).write(net)
    parity = k2t.verify(net, source, run_source=True, dtype="float64")
    assert parity.ok
    assert parity.reference.startswith("tf-keras")


def test_a_child_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    path = script(tmp_path, "from keras import layers\n\ndef build():\n    return layers.Dense('many')\n")
    request = Request(str(path), "build", {}, [], "3", None, 0, 2, str(tmp_path))
    with pytest.raises(k2t.K2TError, match=r"build: fails: .*units") as found:
        run_child(request)
    assert "\n" not in str(found.value)


def test_check_knows_the_code_and_what_it_imports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(tmp_path, "WIDTH = 3\n", "sizes.py")
    code = "from keras import layers, Sequential\nfrom sizes import WIDTH\n\nnet = Sequential([layers.Input((4,)), "
    path = script(tmp_path, f"{code}layers.Dense(WIDTH)])\n")
    net = tmp_path / "out" / "net.py"
    net.parent.mkdir()
    k2t.convert(f"{path}:net", output=net).write(net)
    assert main(["check", str(net)]) == 0
    script(tmp_path, "WIDTH = 4\n", "sizes.py")
    assert main(["check", str(net)]) == 1
    assert "stale" in capsys.readouterr().out


def test_functions_of_operations_have_their_own_defaults(tmp_path: Path) -> None:
    code = "from keras import layers, ops, Sequential\n\nmodel = Sequential([layers.Dense(3, ops.gelu)])\n"
    result = k2t.convert(f"{script(tmp_path, code)}:model", input_shapes=[(None, 4)])
    assert 'approximate="tanh"' in result.source


def test_inspect_shows_the_model_that_code_builds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = f"{script(tmp_path, BUILDER)}:build"
    assert main(["inspect", source, "--json", "--arg", "depth=1"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [layer["kind"] for layer in shown["layers"]][:2] == ["Conv2D", "BatchNormalization"]
    assert shown["parameters"] == 3 * 3 * 3 * 8 + 8 + 4 * 8 + 8 * 8 * 8 * 5 + 5
    assert shown["problems"] == []
