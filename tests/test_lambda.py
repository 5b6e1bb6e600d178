"""Lambda layers: functions recovered from their bytes, without running them."""

from __future__ import annotations

import ast
import base64
import contextlib
import json
import marshal
import runpy
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2t.errors import UnsupportedError
from k2t.graph import Call, Graph, Input, Layer, PythonFunction, Ref
from k2t.read.bytecode.stored import function
from k2t.rules.translate import translate

FOLDER = Path(__file__).parents[1] / "fixtures" / "lambdas"
RELEASES = sorted(FOLDER.glob("python*.json"))
ORIGINALS: dict[str, Any] = runpy.run_path(str(FOLDER / "make.py"))
STORED = {path.stem: json.loads(path.read_text("utf-8")) for path in RELEASES}
CASES = [(release, name) for release, functions in STORED.items() for name in functions]
TEXTS = {
    "scale": "def function(x):\n    return x / 127.5 - 1.0",
    "slice": "def function(x):\n    return x[:, 0:2, ::2]",
    "keyword": "def function(x):\n    return K.sum(x, axis=-1, keepdims=True)",
    "distance": "def function(t):\n    return K.sqrt(K.sum(K.square(t[0] - t[1]), axis=1))",
    "tuple": "def function(x):\n    return tf.reshape(x, (-1, 2, 3))",
    "function": "def function(x):\n    return K.map_fn(lambda y: y + 1, x)",
    "early": "def early(x, flag):\n    if flag:\n        return x * 2\n    else:\n        return x",
}
OPERATORS = "add sub mul truediv floordiv mod pow radd rsub rmul lt gt and".split()  # noqa: SIM905


class Symbol:
    """Writes down what is done to it; two parts can be taken from it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def __getattr__(self, name: str) -> Symbol:
        return Symbol(f"{self}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Symbol:
        if args and callable(args[0]) and not isinstance(args[0], Symbol):
            args = (args[0](Symbol("y")), *args[1:])
        return Symbol(f"{self}({args}, {kwargs})")

    def __getitem__(self, key: Any) -> Symbol:
        return Symbol(f"{self}[{key}]")

    def __iter__(self) -> Any:
        return iter([self[0], self[1]])

    def __neg__(self) -> Symbol:
        return Symbol(f"-{self}")


for _name in OPERATORS:
    setattr(Symbol, f"__{_name}__", lambda self, other, _name=_name: Symbol(f"{_name}({self}, {other})"))


def computed(call: Any) -> str:
    """What a function does to a tensor."""
    names = call.__globals__
    kept = {key: names.get(key) for key in ("K", "tf")}
    names.update(K=Symbol("K"), tf=Symbol("tf"))
    try:
        return repr(call(Symbol("x")))
    finally:
        names.update(kept)


@pytest.mark.parametrize(("release", "name"), CASES, ids=lambda item: item)
def test_a_recovered_function_does_what_the_original_does(release: str, name: str) -> None:
    original = ORIGINALS["FUNCTIONS"][name]
    cells = [cell.cell_contents for cell in original.__closure__ or ()]
    defaults = list(original.__defaults__ or ())
    found = function([STORED[release][name], defaults, cells])
    assert found.node is not None, found.problem
    if name == "imports":  # nothing to call
        assert [type(item) for item in found.node.body[:-1]] == [ast.Import] * 4
        return
    names: dict[str, Any] = dict(found.closure)
    exec(compile(ast.Module([found.node], []), "recovered", "exec"), names)
    recovered = names[found.node.name]
    recovered.__defaults__ = tuple(defaults)
    assert computed(recovered) == computed(original)


@pytest.mark.parametrize("release", STORED)
@pytest.mark.parametrize("name", TEXTS)
def test_the_text_is_the_same_whichever_python_wrote_the_bytes(release: str, name: str) -> None:
    assert ast.unparse(function([STORED[release][name], None, None]).node) == TEXTS[name]


def stored(code: CodeType) -> str:
    return base64.b64encode(marshal.dumps(code)).decode("ascii")


def test_an_endless_loop_is_refused_with_its_instructions() -> None:
    def endless(x: Any) -> Any:
        while x:
            x = x + 1
        return x

    found = function([stored(endless.__code__), None, None])
    assert found.node is None
    assert "loop" in found.problem
    assert "LOAD_FAST 'x'" in found.problem


def test_exceptions_are_refused() -> None:
    def careful(x: Any) -> Any:
        try:
            return x + 1
        except ValueError:
            return x

    found = function([stored(careful.__code__), None, None])
    assert found.node is None
    assert found.problem


BYTES = base64.b64decode(STORED["python3.12"]["body"])


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=20, max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    found = function([base64.b64encode(data).decode("ascii"), None, None])
    assert isinstance(found, PythonFunction)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CASES), st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(case: tuple[str, str], place: int, byte: int) -> None:
    release, name = case
    data = bytearray(base64.b64decode(STORED[release][name]))
    data[place % len(data)] = byte
    found = function([base64.b64encode(bytes(data)).decode("ascii"), None, None])
    assert isinstance(found, PythonFunction)
    assert found.node is not None or found.problem


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(CASES), st.integers(0, 10_000), st.integers(0, 255))
def test_a_model_with_damaged_bytes_converts_or_is_refused(case: tuple[str, str], place: int, byte: int) -> None:
    release, name = case
    data = bytearray(base64.b64decode(STORED[release][name]))
    data[place % len(data)] = byte
    damaged = function([base64.b64encode(bytes(data)).decode("ascii"), None, None])
    layer = Layer("l", "Lambda", {"function": damaged})
    graph = Graph("m", (Input("x", (None, 4, 3, 2)),), (Call("l", layer, (Ref("x"),)),), Ref("l"))
    with contextlib.suppress(UnsupportedError):  # and nothing else
        translate(graph)
