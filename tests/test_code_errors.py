"""Keras code in, at its edges: notebooks, projects, old spellings; and what is said where code cannot be followed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import k2t
from k2t.check import check_generated
from k2t.cli import main
from k2t.code import read_code
from k2t.errors import K2TError, ReadError, UnsupportedError

SMALL = """
    import keras
    from keras import layers
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(units, activation="relu")(inputs))
"""


def written(folder: Path, source: str, name: str = "model.py") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(source))
    return str(path)


def calls(source: str, **arguments: Any) -> list[tuple[str, dict[str, Any]]]:
    """(kind, options) of each call."""
    return [(call.layer.kind, call.layer.options) for call in read_code(source, arguments).graph.calls]


def test_a_notebook_is_read_without_its_magics(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# title"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!pip install keras\n", "units = 3"]},
        {"cell_type": "code", "source": ["an exercise: fill in ??? here"]},
        {"cell_type": "code", "source": dedent(SMALL)},
    ]
    path = tmp_path / "book.ipynb"
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    assert calls(str(path)) == [("Dense", {"units": 3, "activation": "relu"})]


def test_imports_of_the_project_are_followed(tmp_path: Path) -> None:
    written(tmp_path, "", "pkg/__init__.py")
    written(tmp_path, "WIDTH = 5\ndef head(x): return blocks.dense(x, WIDTH)\nfrom . import blocks\n", "pkg/heads.py")
    written(tmp_path, "from keras.layers import *\ndef dense(x, n): return Dense(n)(x)\n", "pkg/blocks.py")
    source = """
        from keras.layers import Input
        from keras.models import Model
        from pkg.heads import head
        def build():
            a = Input((4,))
            return Model(a, head(a))
    """
    assert calls(written(tmp_path, source) + ":build") == [("Dense", {"units": 5})]


def test_keras_1_and_keras_3_spell_the_same_model(tmp_path: Path) -> None:
    old = """
        from keras.models import Model
        from keras.layers import Input, Convolution2D, MaxPooling2D, Flatten, Dense, merge
        def build():
            a = Input(shape=(8, 8, 3))
            x = Convolution2D(4, 3, 5, border_mode="same", subsample=(2, 1), activation="relu", name="one")(a)
            y = Convolution2D(4, 1, 1, border_mode="same", subsample=(2, 1), bias=False, name="two")(a)
            x = merge([x, y], mode="concat", concat_axis=3, name="three")
            x = MaxPooling2D((2, 2), strides=(2, 2), border_mode="valid", name="four")(x)
            return Model(input=a, output=Dense(output_dim=2, name="five")(Flatten(name="flat")(x)))
    """
    new = """
        import keras
        from keras import layers, ops
        def build():
            a = keras.Input(shape=(8, 8, 3))
            x = layers.Conv2D(4, (3, 5), padding="same", strides=(2, 1), activation="relu", name="one")(a)
            y = layers.Conv2D(4, 1, padding="same", strides=(2, 1), use_bias=False, name="two")(a)
            x = layers.Concatenate(axis=3, name="three")([x, y])
            x = layers.MaxPool2D(2, name="four")(x)
            return keras.Model(a, layers.Dense(2, name="five")(layers.Flatten(name="flat")(x)))
    """
    texts = [k2t.convert(written(tmp_path, text, name) + ":build", flat=True).source for name, text in
             (("old/net.py", old), ("new/net.py", new))]  # fmt: skip
    bodies = [text.partition("from __future__")[2] for text in texts]
    assert "nn.Conv2d(3, 4, (3, 5), stride=(2, 1)" in bodies[0]
    assert bodies[0] == bodies[1]


def test_a_recurrent_layer_means_what_its_release_computed(tmp_path: Path) -> None:
    source = "from keras.models import Sequential\nfrom keras.layers import {}\nm = Sequential()\nm.add({})\n"
    old = calls(written(tmp_path, source.format("LSTM", "LSTM(output_dim=3, input_dim=2, inner_init='one')")))
    tf = written(tmp_path, source.format("GRU", "GRU(3, input_shape=(4, 2))").replace("keras", "tensorflow.keras"))
    assert old[0][1]["recurrent_activation"] == "keras2_hard_sigmoid"
    assert calls(tf)[0][1]["reset_after"] is True


def test_nothing_of_the_code_runs(tmp_path: Path) -> None:
    spy = f"open({str(tmp_path / 'spy')!r}, 'w').write('x')"
    source = f"import os\n{spy}\nunits = 4\nos.system('touch {tmp_path / 'spy'}')\n{dedent(SMALL)}"
    assert calls(written(tmp_path, source)) == [("Dense", {"units": 4, "activation": "relu"})]
    assert not (tmp_path / "spy").exists()


def test_a_value_that_the_code_does_not_hold_is_named_and_can_be_given(tmp_path: Path) -> None:
    path = written(tmp_path, f"import pandas as pd\nunits = len(pd.read_csv('x.csv').columns)\n{dedent(SMALL)}")
    with pytest.raises(
        UnsupportedError, match=r"model.py:\d+:\d+ \(Dense\).*`units = len\(.*--arg units=VALUE"
    ) as error:
        read_code(path)
    assert str(error.value).endswith("translated 0 of 1 layer calls")
    assert calls(path, units=7)[0][1]["units"] == 7


def test_every_place_without_translation_is_listed(tmp_path: Path) -> None:
    source = """
        import keras
        from keras import layers
        a = keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3)(a)
        y = layers.TFSMLayer("saved")(x)
        z = layers.Lambda(lambda t: mystery(t))(x)
        model = keras.Model(a, layers.add([y, z]))
    """
    with pytest.raises(UnsupportedError) as error:
        read_code(written(tmp_path, source))
    assert [problem.kind for problem in error.value.problems] == ["TFSMLayer", "Lambda"]
    assert "model.py:6:5" in str(error.value)
    assert "mystery" in str(error.value)


PARTS = """
    import keras
    from keras import layers
    a = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(a)
    for _ in range(2):
        x = layers.TFSMLayer("saved")(x)
    model = keras.Model(a, layers.Dense(2)(layers.Flatten()(x)))
"""


def test_partial_code_is_marked_with_its_reasons_and_the_rest_is_translated(tmp_path: Path) -> None:
    result = k2t.convert(written(tmp_path, PARTS), partial=True)
    assert "# not translated: TFSMLayer: wraps a program of another framework" in result.source
    assert 'Untranslated("model.py:7:9 (TFSMLayer)")' in result.source
    assert "nn.Linear(144, 2)" in result.source
    assert "options: --partial" in result.source
    assert [text.partition(": ")[0] for text in result.calls.left_out] == ["model.py:7:9 (TFSMLayer)"]
    assert (result.calls.translated, result.calls.total) == (3, 5)


KEPT = """
    SIZES = [1,  2]   # odd spacing
    CLASSES = ["cat", "dog"]


    class Labels(object):
        first = 0

        @staticmethod
        def name(): return CLASSES[Labels.first]


    # how an image
    # is read
    def load_image(path,size = 3):
        return   np.load( path )[:size] + SIZES
"""
LEFT = """
    rate = 0.1; os.system("exit")
    WIDTH = 4
    _epochs = 5
    def halved(width): return width // 2
    def loss(y): return layers.Flatten()(y) + WIDTH
    def total(y): return loss(y)
    def plotted(y): return plt.plot(y)
    def counts(y): return deque(y), Mapping
    def late(size=os.getpid()): return size
    images = load_image("a.npy", size=_epochs)
    print(Labels.name())
"""
MODEL = """
    def build(width=3):
        a = Input((4,))
        return Model(a, layers.Dense(halved(width * 2))(a))
"""


def test_what_does_not_concern_keras_stays_byte_for_byte(tmp_path: Path) -> None:
    imports = """
        import os, json
        import numpy as np
        import matplotlib.pyplot as plt
        from collections import deque, Mapping
        from keras import layers, Input, Model
    """
    path = written(tmp_path, dedent(imports) + dedent(KEPT) + dedent(LEFT) + dedent(MODEL)) + ":build"
    result = k2t.convert(path)
    assert result.source.endswith(f"# fmt: off\n{dedent(KEPT).strip()}\n# fmt: on\n")
    assert "\n\nimport numpy as np\nfrom torch import Tensor, nn\n" in result.source
    alone = k2t.convert(path, keep=False).source
    assert "options: --no-keep" in alone
    assert alone.partition("\nclass ")[2] in result.source
    assert not {"np", "CLASSES"} & {*re.findall(r"\w+", alone)}
    result.write(tmp_path / "net.py")
    assert not [*check_generated(tmp_path / "net.py")]


def test_what_stays_of_a_notebook_is_formatted_as_it_was_and_shares_imports(tmp_path: Path) -> None:
    helper = "def area(r):\n    return math.pi * r**2"
    sources = ["%matplotlib inline\nimport math\nimport keras", helper, "model = keras.Sequential()\nmodel.add("]
    sources[2] += "keras.layers.Dense(2, input_shape=(3,), kernel_initializer='he_normal'))"
    cells = [{"cell_type": "code", "source": [text]} for text in sources]
    (tmp_path / "notebook.ipynb").write_text(json.dumps({"cells": cells}))
    source = k2t.convert(tmp_path / "notebook.ipynb").source
    assert source.endswith(f"\n\n\n{helper}\n")
    assert source.count("import math\n") == 1


def test_the_command_refuses_partial_code_unless_it_is_told_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = written(tmp_path, PARTS), tmp_path / "net.py"
    assert main(["convert", source, "-o", str(output)]) == 2
    assert "model.py:7:9 (TFSMLayer)" in capsys.readouterr().err
    assert not output.exists()
    assert main(["convert", source, "-o", str(output), "--partial"]) == 0
    assert output.exists()
    text = capsys.readouterr().err
    assert "model.py:7:9 (TFSMLayer)" in text
    assert text.rstrip().endswith("translated 3 of 5 layer calls")


@pytest.mark.parametrize(
    ("source", "entry", "reason"),
    [
        ("import keras\nx = 1\n", "", "no model is made in it"),
        ("import keras\nx = 1\n", ":build", "there is no 'build'"),
        (
            "import keras\ndef a(): return keras.Sequential()\ndef b(): return keras.Sequential()\n",
            "",
            "name one: .*(of a, b)",
        ),
        ("def build(): return 3\n", ":build", "makes int, and no model"),
        ("import keras\ndef build(n): raise ValueError('bad ' + str(n))\n", ":build", "raises ValueError"),
        ("import keras\nm = keras.Sequential([keras.layers.Dense(3)])\n", ":m", "--input-shape"),
        ("def build(:\n", ":build", "no Python that can be parsed"),
        ("def build():\n  return build()\n", ":build", "call each other"),
        ("def build():\n  while True: pass\n", ":build", "steps"),
    ],
)
def test_what_is_wrong_is_said(source: str, entry: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=reason):
        read_code(written(tmp_path, source) + entry)


def test_an_argument_that_nothing_takes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(K2TError, match="nothing is named depth"):
        read_code(written(tmp_path, f"units = 3\n{dedent(SMALL)}"), {"depth": 3})


def test_an_unknown_condition_spoils_what_it_would_change(tmp_path: Path) -> None:
    source = """
        import os, keras
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        if os.environ.get("DEEP"):
            model.add(keras.layers.Dense(3))
    """
    with pytest.raises(UnsupportedError, match="DEEP"):
        read_code(written(tmp_path, source))


def test_a_method_that_the_layer_of_keras_calls_may_not_be_overridden(tmp_path: Path) -> None:
    source = """
        from keras import Sequential, layers
        class Halved(layers.Conv2D):
            def {method}(self, inputs, kernel):
                return super().{method}(inputs, kernel / 2)
        model = Sequential([layers.Input((8, 8, 3)), Halved(4, 3)])
    """
    with pytest.raises(UnsupportedError, match="Halved overrides the method convolution_op"):
        k2t.convert(written(tmp_path, source.format(method="convolution_op")))
    assert k2t.convert(written(tmp_path, source.format(method="own"))).layers == 1


def test_the_features_of_a_backbone_may_lie_in_a_list(tmp_path: Path) -> None:
    source = """
        from keras import Input, layers
        def encoder():
            image = Input((8,))
            features = [layers.Dense(units)(image) for units in (3, 5)]
            return image, features
    """
    result = k2t.convert(written(tmp_path, source) + ":encoder")
    assert [one.keras_shape for one in result.outputs] == [[None, 3], [None, 5]]


@pytest.mark.parametrize(
    ("library", "call", "made"),
    [
        ("tensorflow.keras", "Conv2D(8, 3, 3)", "nn.Conv2d(3, 8, 3, stride=3)"),
        ("tensorflow.keras", "Conv2D(8, 3, 2)", "nn.Conv2d(3, 8, 3, stride=2)"),
        ("keras", "Conv2D(8, 3, 3)", "nn.Conv2d(3, 8, 3)"),
        ("keras", "Conv2D(8, 3, 2)", "nn.Conv2d(3, 8, 3, stride=2)"),
    ],
)
def test_a_third_number_of_a_convolution_is_its_stride_except_in_keras_1_style(
    library: str, call: str, made: str, tmp_path: Path
) -> None:
    source = f"""
        from {library} import Input, Sequential
        from {library}.layers import Conv2D
        model = Sequential([Input((9, 9, 3)), {call}])
    """
    assert made in k2t.convert(written(tmp_path, source), flat=True).source


def test_a_function_of_a_lambda_may_make_layers_without_weights(tmp_path: Path) -> None:
    source = """
        from tensorflow.keras import Input, Model, layers
        def cropped(x, layer):
            return layers.Multiply()([layers.Cropping2D(2)(x), layer(x)])
        image = Input((8, 8, 3))
        model = Model(image, layers.Lambda(lambda x: cropped(x, layers.{layer}))(image))
    """
    assert k2t.convert(written(tmp_path, source.format(layer="MaxPooling2D(5, 1)"))).outputs[0].keras_shape[1] == 4
    with pytest.raises(UnsupportedError, match="Conv2D has weights and is made outside of a layer"):
        k2t.convert(written(tmp_path, source.format(layer="Conv2D(3, 5)")))


def test_layers_of_tensorflow_addons_are_known_by_their_package(tmp_path: Path) -> None:
    source = """
        import tensorflow_addons as tfa
        from tensorflow.keras import Input, Sequential
        model = Sequential([Input((6,)), tfa.layers.GELU()])
    """
    assert 'F.gelu(x, approximate="tanh")' in k2t.convert(written(tmp_path, source)).source


@pytest.mark.parametrize(
    "source",
    [
        "head = keras.Sequential([keras.layers.Dense(3)])\ndef classifier(): return keras.Model(x, head(x))",
        "class Network:\n  def build(self): return keras.Model(x, keras.layers.Dense(3)(x))\nmodel = Network().build()",
    ],
    ids=["what a builder reads is a part", "what an object makes"],
)
def test_the_model_that_is_meant_is_found_where_no_name_is_given(source: str, tmp_path: Path) -> None:
    graph = read_code(written(tmp_path, f"import keras\nx = keras.Input((4,))\n{source}\n")).graph
    assert [item.shape for item in graph.inputs] == [(None, 4)]
