"""Emitted files as their users' tools see them: formatted, linted, typed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import k2t
from k2t.check import HEADER
from k2t.emit.copied import FOLDER, defined, index
from k2t.emit.header import Header, with_header

ROOT = Path(__file__).parents[1]
MODELS = sorted(path for path in (ROOT / "fixtures").iterdir() if path.suffix in (".h5", ".keras"))


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every fixture converted."""
    folder = tmp_path_factory.mktemp("emitted")
    for path in MODELS:
        for layout in ("torch", "keras"):
            k2t.convert(path, layout=layout).write(folder / f"{path.stem}_{path.suffix[1:]}_{layout}.py")
    return folder


def tool(folder: Path, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_emitted_files_are_formatted(emitted: Path) -> None:
    tool(emitted, "ruff", "format", "--isolated", "--line-length", "100", "--check", ".")


def test_emitted_files_are_free_of_lint(emitted: Path) -> None:
    rules = "E,F,I,UP,B,D1,N"
    options = ["--isolated", "--line-length", "100", "--select", rules, "--ignore", "D102,D107,N812"]
    tool(emitted, "ruff", "check", *options, ".")


def test_emitted_files_are_typed(emitted: Path) -> None:
    tool(emitted, "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache" / "emitted"), ".")


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_the_same_input_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        k2t.convert(path).write(tmp_path / name / "net.py")
    for file in ("net.py", "net.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("name", sorted({path.stem for path in MODELS}))
def test_both_generations_of_a_model_give_the_same_code(name: str) -> None:
    """`fixtures` holds each model as Keras 3 and as Keras 2 store it."""
    bodies = []
    for suffix in (".h5", ".keras"):
        source = k2t.convert(ROOT / "fixtures" / f"{name}{suffix}").source
        bodies.append(source.partition('"""\n\n')[2].replace("0.30000001192092896", "0.3"))  # tf-keras rounds the slope
    assert bodies[0] == bodies[1]


def test_each_helper_is_found_and_no_two_have_the_same_name() -> None:
    names = [defined(node) for path in sorted(FOLDER.glob("*.py")) for node in ast.parse(path.read_text("utf-8")).body]
    assert sorted(filter(None, names)) == sorted(index())


@pytest.mark.parametrize("length", [70, 82, 94])
def test_the_long_name_of_a_source_makes_no_long_line_and_is_read_back(length: int) -> None:
    header = Header("a" * length + ".h5", "0" * 64, "2.2.4", "0.1.0", "")
    text = with_header("Net", "", header)
    found = HEADER.search(text)
    assert max(map(len, text.splitlines())) <= 100
    assert found is not None
    assert found["source"] == header.source
