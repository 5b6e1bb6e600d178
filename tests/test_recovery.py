"""Back to the architecture: how long the code is, and that it computes what the flat code computes, bit for bit."""

from __future__ import annotations

import cProfile
import json
import pstats
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parity import load_net

import k2t
from k2t.code import read_code
from k2t.emit.file import write_body
from k2t.emit.header import Header, with_header
from k2t.emit.weights import entries
from k2t.graph import StoredArray
from k2t.lower import lower
from k2t.program import Block
from k2t.read import read
from k2t.recover import as_they_are, recover
from k2t.rules import translate

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures").glob("*.keras"))
# Everything counted: docstrings, initialisers, `load`. With the deeper network of the same blocks.
LONGEST = [
    ("ResNet50", 140, "ResNet152"),
    ("MobileNetV2", 150, None),
    ("EfficientNetB0", 170, "EfficientNetB7"),
    ("DenseNet121", 130, "DenseNet201"),
    ("VGG16", 90, None),
    ("ConvNeXtTiny", 150, "ConvNeXtXLarge"),
    ("NASNetMobile", 320, None),
    ("MobileNetV3Large", 185, None),
    ("InceptionV3", 195, None),
]


def architecture(keras: Any, name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Block:
    """A network of keras.applications as a program; its weights have no values."""

    def bind(variables: Any, layer: Any) -> None:
        for variable in variables:
            variable.array = StoredArray(variable.name, variable.shape, np.dtype(variable.dtype), lambda: np.zeros(0))

    monkeypatch.setattr(translate, "bind", bind)
    keras.backend.clear_session()
    path = folder / f"{name}.json"
    with keras.StatelessScope(initialize_variables=False):
        path.write_text(getattr(keras.applications, name)(weights=None).to_json())
    return translate.translate(read(path).graph)


def written(main: Block, flat: bool = False) -> str:
    """The text of net.py, and the state dict that it has is that of the weights file."""
    recovery = (as_they_are if flat else recover)(lower(main))
    source = with_header(main.name, write_body(recovery.classes).body, Header("model.json", "", "", "", ""))
    namespace = {"__name__": "net", "__file__": "net.py"}
    exec(compile(source, "net.py", "exec"), namespace)
    with torch.device("meta"):
        model = namespace[main.name]()  # type: ignore[operator]
    state = {key: tuple(item.shape) for key, item in model.state_dict().items() if "num_batches" not in key}
    assert {item.key: item.shape for item in entries(main)} == state
    return source


def lines(source: str) -> int:
    return source.count("\n")


@pytest.mark.parametrize(("name", "longest", "deeper"), LONGEST)
def test_a_network_is_as_short_as_a_person_writes_it_and_depth_is_free(
    name: str, longest: int, deeper: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keras = pytest.importorskip("keras")
    length = lines(written(architecture(keras, name, monkeypatch, tmp_path)))
    assert length <= longest
    if deeper:
        assert abs(lines(written(architecture(keras, deeper, monkeypatch, tmp_path))) - length) <= 3


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_recovery_never_makes_it_longer(path: Path) -> None:
    structured, flat = k2t.convert(path), k2t.convert(path, flat=True)
    assert lines(structured.source) <= lines(flat.source)
    assert "options: --flat" in flat.source
    for result in (structured, flat):
        assert len(json.loads(result.metadata["k2t.weights"])) == len(result.tensors)


def test_what_is_between_blocks_in_a_row_may_be_read_by_others(tmp_path: Path) -> None:
    code = """
from keras import Input, Model, layers

def block(x):
    x = layers.Conv2D(8, 3, padding="same")(x)
    return layers.ReLU()(layers.BatchNormalization()(x))

inputs = Input((8, 8, 8))
first = block(inputs)
second = block(first)
third = block(second)
model = Model(inputs, layers.Concatenate()([first, second, third]))
"""
    (tmp_path / "model.py").write_text(code, "utf-8")
    result = k2t.convert(f"{tmp_path / 'model.py'}:model")
    (tmp_path / "net.py").write_text(result.source, "utf-8")
    net = getattr(load_net(tmp_path / "net.py"), result.class_name)()
    assert net(torch.zeros(2, 8, 8, 8)).shape == (2, 24, 8, 8)


PRE_NORM = """
    y = layers.LayerNormalization()(x)
    x = layers.Add()([layers.MultiHeadAttention(2, 4)(y, y), x])
    y = layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x))
    x = layers.Add()([layers.Dense(8)(y), x])
"""
POST_NORM = """
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    y = layers.Dense(8)(layers.Dense(16, activation="gelu")(x))
    x = layers.LayerNormalization()(x + y)
"""


@pytest.mark.parametrize("block", [PRE_NORM, POST_NORM], ids=["normalization in front", "normalization behind"])
def test_attention_and_the_layers_behind_it_are_one_block(block: str, tmp_path: Path) -> None:
    """A Transformer whose layers have no names: the blocks are in a row, each with both residuals."""
    path = tmp_path / "model.py"
    path.write_text(f"""
import keras
from keras import layers

x = inputs = keras.Input((9, 8))
for _ in range(4):
{block}
model = keras.Model(inputs, x)
""")
    source = written(translate.translate(read_code(str(path)).graph, has_weights=False))
    assert "self.blocks = nn.Sequential(*(TransformerBlock() for _ in range(4)))" in source
    assert source.count("nn.LayerNorm(") == 2


def test_the_search_is_linear_in_the_number_of_layers(tmp_path: Path) -> None:
    calls = []
    for count in (300, 1200):
        main = translate.translate(read(chain(count, tmp_path / f"{count}.json")).graph, has_weights=False)
        profile = cProfile.Profile()  # calls of functions, the same on any machine, unlike seconds
        profile.runcall(recover, lower(main))
        calls.append(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]
    assert calls[1] <= 4.2 * calls[0]


def chain(count: int, path: Path) -> Path:
    """Convolutions behind each other."""
    layers: list[Any] = [{"class_name": "InputLayer", "config": {"batch_shape": [None, 8, 8, 4], "name": "input"}}]
    for i in range(count):
        options = {"filters": 4, "kernel_size": [3, 3], "padding": "same", "activation": ("relu", "linear")[i % 7 == 0]}
        layers.append({"class_name": "Conv2D", "config": {"name": f"conv2d_{i}", **options}})
    path.write_text(json.dumps({"class_name": "Sequential", "config": {"name": "chain", "layers": layers}}))
    return path
