"""The shape of the house: who imports whom, how long things are, what every rule has."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from k2t.rules.base import RULES

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "k2t").rglob("*.py"))
MAX_FILE, MAX_FUNCTION = 400, 50

DATA = {"errors", "graph", "program"}
# Part of the package -> the parts that it may import, besides itself.
MAY_IMPORT = {
    "errors": set(),
    "graph": set(),
    "program": {"graph"},
    "resampling": {"graph"},
    "symbols": set(),
    "sources": set(),
    "hashes": set(),
    "check": {"hashes", "sources", "code", "errors"},
    "read": {"sources", "errors", "graph", "hashes"},
    "rules": DATA | {"resampling", "symbols"},
    "lower": DATA,
    "emit": DATA | {"lower.initial", "lower.names", "lower.scores", "recover"},
    "verify": {"sources", "errors", "graph", "read", "resampling", "code", "pipeline"},
    "recover": DATA | {"lower.names", "lower.scores"},
    "code": DATA | {"sources", "read", "rules"},
    "structured": DATA | {"symbols", "read.eras", "rules", "code", "lower", "emit"},
    "pipeline": DATA | {"sources", "hashes", "__version__", "read", "rules", "code", "lower", "emit", "structured"},
    "cli": DATA | {"sources", "__version__", "check", "emit", "pipeline", "read", "recover", "rules", "verify"},
    "parent": set(),
    "__main__": {"cli", "parent"},
    "__init__": {"errors", "pipeline", "rules", "verify"},
}
# Package -> the only parts that may import it.
ONLY_IN = {
    "torch": {"emit/helpers", "verify"},
    "tensorflow": {"verify"},
    "keras": {"verify"},
    "tf_keras": {"verify"},
    "libcst": {"emit"},
    "click": {"cli"},
    "rich": {"cli", "verify"},
}
# The only files that run code: the emitted module, to compare it, and with --run-source the Keras code.
RUNS_CODE = {ROOT / "k2t/verify/candidate.py", ROOT / "k2t/verify/script.py"}
# The only file that pickles: what two processes of one command tell each other.
PICKLES = {ROOT / "k2t/parent.py"}
# Rules whose tests are not made from examples, and why.
APPLICATIONS = "only inside the models of keras.applications, which tests convert whole"
CELL = "a part of RNN, and tested as such"
LEGACY = "gone from Keras 3, tested with files of older releases"
ADDED = "of another package, tested with its formula"
WITHOUT_EXAMPLES = {
    "Addons>GELU": ADDED,
    "Addons>GroupNormalization": ADDED,
    "Addons>InstanceNormalization": ADDED,
    "InstanceNormalization": ADDED,
    "CustomScaleLayer": APPLICATIONS,
    "Equalization": "no model of Keras can hold it, since its output is its input; tested in training",
    "Lambda": "its function is no option; tests make the models that hold one",
    "LayerScale": APPLICATIONS,
    "StochasticDepth": APPLICATIONS,
    "GRUCell": CELL,
    "LSTMCell": CELL,
    "SimpleRNNCell": CELL,
    "StackedRNNCells": CELL,
    "Highway": LEGACY,
    "RandomFourierFeatures": LEGACY,
    "RandomHeight": LEGACY,
    "RandomWidth": LEGACY,
    "LocallyConnected1D": LEGACY,
    "LocallyConnected2D": LEGACY,
    "MaxoutDense": LEGACY,
    "Merge": LEGACY,
    "ParametricSoftplus": LEGACY,
    "SReLU": LEGACY,
    "ThresholdedReLU": LEGACY,
}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part(path: Path) -> str:
    return path.relative_to(ROOT / "k2t").parts[0].removesuffix(".py")


def python(program: str) -> str:
    """What a program prints in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of each import; the name is "" for a whole module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_part_imports_only_what_comes_before_it(path: Path) -> None:
    allowed = MAY_IMPORT[part(path)] | {part(path)}
    for module, imported in imports(path):
        if module.split(".")[0] != "k2t":
            continue
        target = module.removeprefix("k2t").lstrip(".") or imported
        assert target in allowed or target.split(".")[0] in allowed, f"{name(path)} imports {module} {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_heavy_packages_are_imported_in_their_part_only(path: Path) -> None:
    place = path.relative_to(ROOT / "k2t").as_posix()
    for module, _ in imports(path):
        allowed = ONLY_IN.get(module.split(".")[0])
        assert allowed is None or place.startswith(tuple(allowed)), f"{name(path)} imports {module}"


def lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_files_and_functions_fit_on_a_few_screens(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documentation = node.body[0] if ast.get_docstring(node) else None
            length = lines(node) - (lines(documentation) if documentation else 0)
            assert length <= MAX_FUNCTION, f"{node.name} has {length} lines without its docstring"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_is_asserted_or_executed(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        assert not isinstance(node, ast.Assert), f"{name(path)}:{node.lineno}: raise an error that says what to do"
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        assert path in RUNS_CODE or called not in ("eval", "exec", "compile"), f"{name(path)}: {called}"
    imported = {module.split(".")[0] for module, _ in imports(path)}
    assert path in PICKLES or not {"pickle", "marshal", "shelve", "dill"} & imported


def test_importing_k2t_loads_nothing_heavy() -> None:
    program = "import json, sys, k2t; print(json.dumps(list(sys.modules)))"
    loaded = set(json.loads(python(program)))
    assert "k2t.errors" in loaded
    assert not {"torch", "tensorflow", "keras", "tf_keras", "libcst", "h5py", "numpy", "rich", "click"} & loaded


def test_public_names_are_what_they_say() -> None:
    program = (
        "import k2t, k2t.verify; print([type(getattr(k2t, name)).__name__ for name in ('verify', 'convert', 'rule')])"
    )
    assert python(program) == "['function', 'function', 'function']\n"


@pytest.mark.parametrize("kind", sorted(RULES))
def test_every_rule_has_an_example(kind: str) -> None:
    assert RULES[kind].examples or WITHOUT_EXAMPLES.get(kind), f"{kind} has no example"
