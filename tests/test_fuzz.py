"""Random models: 200 from a fixed seed; more by `python tests/fuzz.py --count 3000`."""

from __future__ import annotations

from typing import Any

import fuzz
import pytest

PARTS = 20


@pytest.mark.parametrize("part", range(PARTS))
def test_random_models_have_parity(part: int, keras: Any, float64: None) -> None:
    verdicts = fuzz.run(keras, range(part * 10, part * 10 + 10))
    assert {seed: verdict for seed, verdict in verdicts.items() if verdict != "ok"} == {}
