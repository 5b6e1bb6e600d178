"""Random models: 200 from a fixed seed; more by `python tests/fuzz.py --count 3000`."""

from __future__ import annotations

from typing import Any

import fuzz
import numpy as np
import parity
import pytest
import rounding

pytest.importorskip("tf_keras")

PARTS = 20
FIRST = 40100


@pytest.mark.parametrize("part", range(PARTS))
def test_random_models_have_parity(part: int) -> None:
    verdicts = fuzz.run(range(FIRST + part * 10, FIRST + part * 10 + 10))
    wrong = {seed: said for seed, said in verdicts.items() if said.partition(":")[0] not in ("ok", *fuzz.FOREIGN)}
    assert wrong == {}


@pytest.mark.parametrize(("offset", "least", "most"), [(0.0, 1e-17, 1e-14), (1e9, 1e-8, 1e-5)])
def test_rounding_moves_the_results_of_models_that_lose_digits_and_of_no_others(
    offset: float, least: float, most: float, keras: Any, float64: None
) -> None:
    x = keras.Input((3,))
    shifted = keras.layers.Rescaling(1.0, offset)(keras.layers.Dense(3)(x))
    model = keras.Model(x, keras.layers.Rescaling(1.0, -offset)(shifted))
    parity.randomize(model)
    inputs = [np.random.default_rng(0).normal(0, 1, (4, 3))]
    want, weights = parity.reference(model, inputs), model.get_weights()
    moves = max(fuzz.distance(moved, want) for moved in rounding.moved_outputs(model, inputs))
    assert least < moves < most
    np.testing.assert_array_equal(parity.reference(model, inputs)[0], want[0])
    assert all((now == before).all() for now, before in zip(model.get_weights(), weights, strict=True))
