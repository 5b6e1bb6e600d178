"""Every example of every rule: Keras in float64 against the emitted module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import parity
import pytest

import k2t
import k2t.rules
from k2t.rules.base import RULES, Example


def label(kind: str, example: Example, number: int) -> str:
    options = ",".join(f"{key}={value}" for key, value in example.options.items())
    return f"{kind}-{number}-{example.name or options}"


CASES = [
    pytest.param(kind, example, id=label(kind, example, number))
    for kind, rule in RULES.items()
    for number, example in enumerate(rule.examples)
]


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_parity(kind: str, example: Example, keras: Any, float64: None, tmp_path: Path) -> None:
    if not example.refuses:
        parity.check_example(keras, kind, example, tmp_path)
        return
    parity.build(keras, kind, example).save(tmp_path / "model.keras")
    with pytest.raises(k2t.UnsupportedError, match=example.refuses):
        k2t.convert(tmp_path / "model.keras")


@pytest.mark.parametrize("kind", sorted(RULES))
def test_every_rule_says_what_its_layer_becomes(kind: str) -> None:
    assert RULES[kind].summary.endswith(".")
