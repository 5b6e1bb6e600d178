"""Constants of emitted code: an expression makes the same values, so that code without weights computes too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from parity import load_net

import k2t
from k2t.lower.constants import expression

ARRAYS = {
    "torch.arange(7)": np.arange(7),
    "torch.arange(3, 15, 4, dtype=torch.int32)": np.arange(3, 15, 4, dtype="int32"),
    "torch.arange(4, 0, -1)": np.arange(4, 0, -1),
    "torch.arange(5).reshape(1, 5)": np.arange(5)[None],
    "torch.zeros(2, 3)": np.zeros((2, 3)),
    "torch.ones(4, dtype=torch.bool)": np.ones(4, bool),
    "torch.full((2,), 0.1)": np.full(2, 0.1),
    "torch.ones(1, 3, 3, dtype=torch.bool).tril()": np.tril(np.ones((1, 3, 3), bool)),
    "torch.ones(2, 3).triu()": np.triu(np.ones((2, 3))),
    "torch.tensor([[0.1, 2.0]])": np.array([[0.1, 2.0]]),
    "torch.tensor([True, False])": np.array([True, False]),
    "torch.tensor(3)": np.array(3),
}


@pytest.mark.parametrize("text", ARRAYS)
def test_a_constant_is_written_as_a_person_would_and_has_its_values(text: str) -> None:
    array = ARRAYS[text]
    assert expression(array) == text
    torch.set_default_dtype(torch.float64)
    try:
        made = eval(text)
    finally:
        torch.set_default_dtype(torch.float32)
    assert str(made.dtype) == f"torch.{array.dtype}"
    np.testing.assert_array_equal(made.numpy(), array)


def test_what_is_long_or_not_finite_is_no_expression() -> None:
    assert not expression(np.random.default_rng(0).normal(size=65))
    assert not expression(np.array([0.0, np.inf]))


POSITIONS = """
import numpy as np
import keras
from keras import layers

class Positions(layers.Layer):
    def __init__(self, length, width):
        super().__init__()
        self.table = layers.Embedding(length, width)
        self.scale = {constant}
    def call(self, x):
        return (x + self.table(keras.ops.arange(0, 6))) * self.scale

inputs = keras.Input((6, {width}))
model = keras.Model(inputs, Positions(6, {width})(inputs))
"""


def test_code_without_weights_knows_its_constants(tmp_path: Path) -> None:
    """Each position is its own row of the table, also before any weights are loaded."""
    source, net = tmp_path / "model.py", tmp_path / "net.py"
    source.write_text(POSITIONS.format(constant="[0.5, 1.0, 2.0, 4.0]", width=4))
    result = k2t.convert(source)
    result.write(net)
    model = getattr(load_net(net), result.class_name)()
    table = next(item for item in model.modules() if isinstance(item, torch.nn.Embedding)).weight
    x = torch.zeros(2, 6, 4)
    torch.testing.assert_close(model(x)[1], table * torch.tensor([0.5, 1.0, 2.0, 4.0]))


def test_constants_that_are_too_long_for_code_are_in_a_file(tmp_path: Path) -> None:
    """Of code without weights too: `load` reads them and leaves the rest to training."""
    source, net = tmp_path / "model.py", tmp_path / "net.py"
    source.write_text(POSITIONS.format(constant="np.sin(np.arange(120.0)).reshape(6, 20)", width=20))
    result = k2t.convert(source)
    assert result.write(net) == net.with_suffix(".safetensors")
    model = load_net(net).load()
    assert model.training
    expected = torch.sin(torch.arange(120.0, dtype=torch.float64)).reshape(6, 20)
    found = next(buffer for buffer in model.buffers() if buffer.shape == expected.shape)
    torch.testing.assert_close(found.double(), expected)
