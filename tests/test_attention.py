"""Attention of a sequence to itself, which has a class of its own in emitted code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import parity

import k2t


def test_attention_to_itself_is_one_product_where_each_call_is_one(keras: Any, float64: None, tmp_path: Path) -> None:
    attention = keras.layers.MultiHeadAttention
    x = inputs = keras.Input((5, 8))
    x = attention(2, 4, dropout=0.1)(x, x)
    x = attention(3, 4, use_bias=False)(x, x, use_causal_mask=True)
    shared = attention(2, 4)
    model = keras.Model(inputs, shared(shared(x, x), inputs))
    parity.randomize(model)
    model.save(tmp_path / "net.keras")
    result = k2t.convert(tmp_path / "net.keras")
    result.write(tmp_path / "net.py")
    net = parity.load_net(tmp_path / "net.py").load().double()
    steps = [np.random.default_rng(0).normal(size=(3, 5, 8))]
    parity.assert_close(parity.run(net, result, steps)[0], parity.reference(model, steps)[0])
    assert result.source.count("= SelfAttention(") == 2
    assert result.source.count("nn.MultiheadAttention(") == 1
