"""Structured translation: a golden file for each construct, and parity with Keras for several arguments.

A golden file is renewed by hand: run the translation, read it, and keep it if it is what a person would have written.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from structured_parity import difference, translated

import k2t
from k2t.code import read_code
from k2t.rules.translate import translate
from k2t.structured.frames import NotStructured
from k2t.structured.gate import same
from k2t.structured.pairs import adopt, ends
from k2t.structured.translate import structured

CODE = Path(__file__).parent / "structured_code"
# file -> entry, the arguments that it is translated with, and others that the class is constructed with
CASES: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "unet": ("build_unet", {"input_shape": (16, 16, 3)}, [{"input_shape": (32, 16, 1), "depth": 2, "num_classes": 5}]),
    "resnet": ("build_resnet", {}, [{"input_shape": (17, 20, 2), "depths": (1, 3, 2), "width": 4}]),
    "configured": ("make_model", {}, [{"use_bn": False, "dropout": 0.0}, {"include_top": False}]),
    "encoder": ("build_unet", {"input_shape": (16, 16, 3)}, [{"input_shape": (16, 32, 2)}]),
    "vgg": ("vgg", {}, [{"input_shape": (24, 16, 1), "dense_units": (5,)}]),
    "inception": ("build_model", {}, [{"growth": 3, "shape": (33, 31, 2)}]),
    "skips": ("unet", {}, [{"size": 32, "widths": (2, 3, 4, 5)}]),
    "variants": ("net", {}, [{"width": 3, "channels": 2}]),
    "sequential": ("cnn", {}, [{"num_classes": 3}]),
    "stacked": ("mlp", {}, [{"depth": 2, "hidden": 5, "input_dim": 4}]),
    "subclassed": ("classifier", {}, [{"num_classes": 3, "width": 4}]),
    "siamese": ("siamese", {}, [{"features": 4, "units": 3}]),
    "gan": ("GAN.build_generator", {}, []),
    "projection": ("build_resnet", {}, [{"width": 3}]),
    "towers": ("towers", {}, [{"kernels": (3, 3, 1, 5), "width": 2}]),
    "downsample": ("encoder", {}, [{"width": 3}]),
    "closure": ("build", {}, [{"width": 2}]),
    "early": ("build", {}, [{"width": 4}]),
    "pyramid": ("pyramid", {}, [{"width": 3}]),
    "weight": ("classifier", {}, [{"features": 4, "units": 5}]),
    "positions": ("text_classifier", {}, [{"maxlen": 9, "embed_dim": 6, "num_classes": 3}]),
    "nested": ("build", {}, [{"width": 3, "depth": 3}]),
    "operators": ("build", {}, [{"filters": 4}]),
    "heads": ("heads", {}, [{"width": 3, "depth": 3}]),
    "stars": ("build", {}, [{"width": 3}]),
    "groups": ("build", {}, [{"width": 12, "groups": 2}]),
    "loops": ("build", {}, [{"widths": (2, 3, 4), "kernels": (1, 3, 5), "stages": 1}]),
}
GOLDEN = {name: (entry, sample) for name, (entry, sample, _) in CASES.items()} | {
    "script": ("model", {}),
    "keras1": ("squeezenet", {}),
    "sampling": ("encoder", {}),
    "labels": ("model", {"num_classes": 3, "features": 4}),
    "notebook": ("make_critic", {}),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_code_becomes_the_code_that_a_person_would_write(name: str) -> None:
    entry, sample = GOLDEN[name]
    (path,) = CODE.glob(f"{name}_keras.*")
    _, text = translated(path, entry, sample)
    assert text == (CODE / f"{name}_torch.py").read_text()


RUNS = [(name, arguments) for name, case in CASES.items() for arguments in ({}, *case[2])]


@pytest.mark.parametrize(("name", "arguments"), RUNS)
def test_the_class_computes_what_keras_computes_also_for_other_arguments(name: str, arguments: dict[str, Any]) -> None:
    entry, sample, _ = CASES[name]
    assert difference(CODE / f"{name}_keras.py", entry, sample, {**sample, **arguments}) < 1e-12


def test_a_size_that_holds_for_the_sample_alone_is_no_argument(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(
        "import tensorflow as tf\nfrom keras import Input, Model, layers\n\n"
        "def build(width=4):\n"
        "    inputs = Input((3,))\n"
        "    a, b = tf.split(layers.Dense(width)(inputs), 2, axis=-1)\n"
        "    return Model(inputs, a * b)\n"
    )
    text = structured(path, "build", {}).body(has_weights=False)
    assert "def __init__(self) -> None" in text
    assert text.count("self.linear(") == 1


def test_the_gate_sees_another_number_another_order_and_another_name() -> None:
    path = CODE / "encoder_keras.py"
    result = structured(path, "build_unet", {"input_shape": (16, 16, 3)})
    assert same(result.classes, {}, result.class_name, result.arguments, result.main)
    for old, new in (
        ("EncoderBlock(16, 32)", "EncoderBlock(16, 33)"),
        ("[x, skip]", "[skip, x]"),
        ("self.conv_transpose", "self.up"),
        ("num_filters + skip_channels", "num_filters + in_channels"),
    ):
        changed = [text.replace(old, new) for text in result.classes]
        assert changed != list(result.classes)
        assert not same(changed, {}, result.class_name, result.arguments, result.main)


def test_code_that_is_too_dynamic_is_left_to_evaluation(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(
        "from keras import Input, Model, layers\n\n"
        "def build():\n"
        "    x = inputs = Input((8, 4))\n"
        "    for i in range(2):\n"
        "        x = layers.LSTM(4, return_sequences=i == 0)(x)\n"
        "    return Model(inputs, x)\n"
    )
    with pytest.raises(NotStructured, match="differently from call to call"):
        structured(path, "build", {})
    assert "evaluated with these arguments: is translated differently" in k2t.convert(f"{path}:build").source


def test_a_lambda_that_keras_reads_a_loop_variable_in_when_the_model_runs_is_left_to_evaluation(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text((CODE / "groups_keras.py").read_text().replace("lambda z, i=i:", "lambda z:"))
    with pytest.raises(NotStructured, match="a Lambda reads i, which changes"):
        structured(path, "build", {})
    assert k2t.convert(f"{path}:build").source.count("x[:, 6:8]") == 4


@pytest.mark.parametrize(("bounds", "is_same"), [("1:3", True), ("0:2", False), ("1:4:2", False)])
def test_programs_that_take_other_parts_of_a_tensor_are_not_the_same(
    bounds: str, is_same: bool, tmp_path: Path
) -> None:
    blocks = []
    for name, part in (("written", "1:3"), ("evaluated", bounds)):
        path = tmp_path / f"{name}.py"
        path.write_text(f"import keras\nx = keras.Input((6,))\nmodel = keras.Model(x, x[:, {part}] * 2.0)\n")
        blocks.append(translate(read_code(str(path)).graph, has_weights=False))
    with contextlib.nullcontext() if is_same else pytest.raises(NotStructured):
        adopt(*map(ends, blocks))


def test_a_constant_stays_beside_an_argument_of_its_name(tmp_path: Path) -> None:
    code = """
import keras
words = 10

def build(words=words):
    x = keras.Input((words,))
    return keras.Model(x, keras.layers.Dense(words)(x))
"""
    (tmp_path / "model.py").write_text(code)
    source = k2t.convert(f"{tmp_path / 'model.py'}:build", arguments={"words": 12}).source
    assert "words = 10\n" in source
    assert "words: int = words" in source
