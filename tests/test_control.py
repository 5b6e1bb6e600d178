"""Control flow of keras.ops in custom layers: branches, and loops of known length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest

import k2t

SOURCE = """
import keras
from keras import ops


class Loops(keras.layers.Layer):
    def call(self, x):
        {body}
"""
BODIES = {
    "cond by a constant": "return ops.cond(x.shape[1] == 4, lambda: x + 1, lambda: x - 1)",
    "cond by a tensor": "return ops.cond(ops.sum(x) > 0, lambda: x + 1, lambda: x - 1)",
    "switch": "return ops.switch(1, [lambda y: y + 1, lambda y: y * 2], x)",
    "fori_loop": "return ops.fori_loop(0, 3, lambda i, y: y * 2 + 1, x)",
    "map": "return ops.transpose(ops.map(lambda row: row * row + 1, ops.transpose(x)))",
    "vectorized_map": "return ops.transpose(ops.vectorized_map(lambda row: ops.square(row), ops.transpose(x)))",
    "scan": "return ops.transpose(ops.scan(lambda c, r: (c + r, c * r), ops.zeros_like(x[:, 0]), ops.transpose(x))[1])",
    "scan backwards": "return ops.scan(lambda c, r: (c * 2 + r, None), x[:, 0], ops.transpose(x), reverse=True)[0]",
}


@pytest.mark.parametrize("name", BODIES)
def test_parity(name: str, keras: Any, float64: None, tmp_path: Path) -> None:
    source = tmp_path / "custom.py"
    source.write_text(SOURCE.format(body=BODIES[name]))
    layer = parity.load_net(source).Loops()
    x = keras.Input((4,))
    model = keras.Model(x, layer(x))
    model.save(tmp_path / "model.keras")
    result = k2t.convert(tmp_path / "model.keras", custom=source)
    result.write(tmp_path / "net.py")
    given = np.random.default_rng(0).normal(0, 1, (3, 4))
    got = parity.run(parity.load_net(tmp_path / "net.py").load(), result, [given])
    parity.assert_close(got[0], np.asarray(layer(given)))
