"""Files written by true old releases, against what those releases computed (see fixtures/eras)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from parity import load_net, run

import k2t

ERAS = Path(__file__).parents[1] / "fixtures" / "eras"
# What an old release computes in float32 only is compared as such.
TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
FILES = sorted(path for suffix in ("h5", "keras") for path in ERAS.rglob(f"*.{suffix}"))


def test_there_are_files_of_every_era() -> None:
    eras = {file.relative_to(ERAS).parts[0] for file in FILES}
    assert eras == {"keras1", "keras22", "keras215"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ERAS)))
def test_the_net_computes_what_the_old_release_computed(file: Path, tmp_path: Path) -> None:
    reference = np.load(file.with_suffix(".npz"))
    inputs = [reference[f"x{i}"] for i in range(sum(key.startswith("x") for key in reference))]
    inputs = [x.astype("float64") if x.dtype.kind == "f" else x for x in inputs]
    expected = [reference[f"y{i}"] for i in range(len(reference) - len(inputs))]

    result = k2t.convert(file)
    result.write(tmp_path / "net.py")
    net = load_net(tmp_path / "net.py").load().double()

    outputs = run(net, result, inputs)
    assert len(outputs) == len(expected)
    for output, y in zip(outputs, expected, strict=True):
        assert output.shape == y.shape
        error = np.abs(output - y).max() / np.abs(y).max()
        assert error <= TOLERANCE[y.dtype.name]
