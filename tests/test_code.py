"""Keras code in: every construct computes what Keras computes when it runs the same source, in float64."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import k2t
from k2t.verify.exact import float64_kernels
from tests.code_programs import PROGRAMS
from tests.parity import assert_close, load_net, randomize, reference, run

pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")


def keras_model(path: Path, entry: str, arguments: dict[str, Any]) -> Any:
    """The model that Keras builds from the source, which only tests run; values that it does not hold are given."""
    source = path.read_text("utf-8")
    if "tensorflow" in source:
        source = source.replace("from tensorflow import keras", "import tf_keras as keras").replace(
            "tensorflow.keras", "tf_keras"
        )
    if "pandas" in source:
        lines = source.splitlines()
        kept = [line for line in lines if "data" not in line and "pandas" not in line]
        source = "\n".join(line.replace("len(labels)", str(arguments["num_classes"])) for line in kept)
    module = ModuleType("program")
    sys.modules["program"] = module
    exec(compile(source.replace("model.fit([], [])", "pass"), str(path), "exec"), vars(module))
    made: Any = module
    for part in entry.split("."):
        made = made() if isinstance(made, type) else made
        made = getattr(made, part)
    return made(**arguments) if (callable(made) and not hasattr(made, "call")) or isinstance(made, type) else made


def inputs_for(model: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 1, [n or 5 if i else 3 for i, n in enumerate(tensor.shape)]) for tensor in model.inputs]


@pytest.mark.parametrize("name", PROGRAMS)
def test_code_computes_what_keras_computes(name: str, tmp_path: Path) -> None:
    source, entry, arguments = PROGRAMS[name]
    path = tmp_path / "program.py"
    path.write_text(source)
    with float64_kernels():
        for library in (keras, tf_keras):
            library.backend.clear_session()  # it remembers the dtype of other tests
            library.backend.set_floatx("float64")
        try:
            model = keras_model(path, entry, arguments)
        finally:
            for library in (keras, tf_keras):
                library.backend.set_floatx("float32")
    randomize(model)
    for variable in model.weights:  # the emitted module keeps its weights in float32
        variable.assign(np.asarray(variable).astype("float32"))
    model.save_weights(tmp_path / "m.weights.h5")
    for flat in (True, False):
        weights = tmp_path / "m.weights.h5"
        result = k2t.convert(f"{path}:{entry}", arguments=arguments, weights=weights, flat=flat)
        result.write(tmp_path / "net.py")
        net = load_net(tmp_path / "net.py").load().double()
        given = inputs_for(model)
        for got, wanted in zip(run(net, result, given), reference(model, given), strict=True):
            assert_close(got, wanted)
