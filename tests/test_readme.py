"""What README.md says is so."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import readme

import k2t.cli

ROOT = Path(__file__).parents[1]
TEXT = readme.README.read_text("utf-8")
COMMANDS = k2t.cli.k2t.commands


def test_made_parts_are_up_to_date() -> None:
    assert readme.made(TEXT) == TEXT, "run `make readme`"


def test_every_command_is_told_and_no_other() -> None:
    assert set(re.findall(r"^\| `k2t (\w+)", TEXT, re.MULTILINE)) == COMMANDS.keys()


def test_every_option_that_is_told_exists() -> None:
    options = {
        name
        for command in COMMANDS.values()
        for option in command.params
        for name in (*option.opts, *option.secondary_opts)
    }
    told = set(re.findall(r"(?<=[ `])--?[a-z][a-z-]*", readme_prose()))
    assert {"--json", "--weights", "-o"} <= told
    assert told - {"-k", "-m", "--help"} <= options


def readme_prose() -> str:
    """The text in front of the table of layers."""
    return TEXT[: TEXT.index("## Layers")]


def test_the_commands_to_set_up_are_those_of_make() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    told = set(re.findall(r"^\$ make (\w+)", TEXT, re.MULTILINE))
    assert told == {"demo", "test"}
    assert told <= targets
    assert 'make test VENV="$folder/venv"' in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_hook_exists() -> None:
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    assert re.findall(r"- id: (.*)", readme_prose()) == re.findall(r"- id: (.*)", hooks)


def test_the_python_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "fixtures" / "two_inputs.h5", tmp_path / "model.h5")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    library, use = re.findall(r"```python\n((?:import k2t|from net).*?)```", TEXT, re.DOTALL)
    exec(library, {})
    printed = capsys.readouterr().out
    assert printed.startswith("TwoInputs [None, 1, 20, 20]")
    assert printed.splitlines()[1].startswith("True ")
    names: dict[str, object] = {}
    exec(use, names)
    assert type(names["model"]).__name__ == "TwoInputs"


def test_every_declared_dependency_is_pinned_for_the_tests() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    declared = re.findall(r'"([\w-]+)>=', (ROOT / "pyproject.toml").read_text("utf-8"))
    pinned = {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
    assert set(declared) <= pinned
