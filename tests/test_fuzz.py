"""Random models: 50 from a fixed seed; more by `python tests/fuzz.py --count 3000`."""

from __future__ import annotations

import fuzz
import pytest

pytest.importorskip("tf_keras")

PARTS = 10
FIRST = 40100


@pytest.mark.parametrize("part", range(PARTS))
def test_random_models_have_parity(part: int) -> None:
    verdicts = fuzz.run(range(FIRST + part * 5, FIRST + part * 5 + 5))
    wrong = {seed: said for seed, said in verdicts.items() if said.partition(":")[0] not in ("ok", *fuzz.FOREIGN)}
    assert wrong == {}
