"""`k2t check`, and the hook that runs it."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

import k2t
from k2t.check import read_generated
from k2t.cli import main

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "fixtures"
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, and what it was converted to, in folders of their own."""
    monkeypatch.chdir(tmp_path)
    for name in ("models", "src"):
        Path(name).mkdir()
    Path("models/model.h5").write_bytes((FIXTURES / "shapes_cnn.h5").read_bytes())
    k2t.convert("models/model.h5").write("src/net.py")
    return tmp_path


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = main(["check", *arguments])
    return code, capsys.readouterr().out.splitlines()


def git(*arguments: str) -> str:
    environment = os.environ | GIT
    return subprocess.run(["git", *arguments], env=environment, check=True, capture_output=True, text=True).stdout


def test_what_was_just_converted_passes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(capsys, "src/net.py") == (0, [])
    assert read_generated(Path("src/net.py")) is not None


def test_changed_source_is_stale(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("models/model.h5").write_bytes((FIXTURES / "two_inputs.h5").read_bytes())
    code, lines = check(capsys)
    assert code == 1
    assert lines == [
        "src/net.py: stale, ../models/model.h5 has changed since; run `k2t convert models/model.h5 -o src/net.py`"
    ]


@pytest.fixture
def with_weights(project: Path) -> Path:
    """An architecture and its weights in two files, converted; the weights."""
    with h5py.File(FIXTURES / "shapes_cnn.h5") as file:
        Path("models/model.json").write_text(file.attrs["model_config"])
        with h5py.File("models/trained once.h5", "w") as weights:
            for name in file["model_weights"]:
                file.copy(f"model_weights/{name}", weights)
            for name, value in file["model_weights"].attrs.items():
                weights.attrs[name] = value
    k2t.convert("models/model.json", weights="models/trained once.h5").write("src/net.py")
    return Path("models/trained once.h5")


def test_changed_weights_of_an_architecture_are_stale(with_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(capsys) == (0, [])
    with h5py.File(with_weights, "r+") as file:
        file["trained"] = "more"
    again = "k2t convert models/model.json -o src/net.py --weights 'models/trained once.h5'"
    assert check(capsys) == (
        1,
        [f"src/net.py: stale, ../models/trained once.h5 has changed since; run `{again}`"],
    )
    assert main(["convert", *shlex.split(again)[2:], "--no-verify"]) == 0
    capsys.readouterr()
    assert check(capsys) == (0, [])


def test_a_file_made_from_other_weights_is_found(with_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("src/other.py").write_bytes(Path("src/net.py").read_bytes())
    with h5py.File(with_weights, "r+") as file:
        file["trained"] = "more"
    k2t.convert("models/model.json", weights=with_weights).write("src/net.py")
    Path("src/other.py").replace("src/net.py")
    _, lines = check(capsys)
    assert any("its weights net.safetensors were made from another source" in line for line in lines)


def test_edit_by_hand_is_found(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = Path("src/net.py")
    net.write_text(net.read_text("utf-8").replace("bias=False", "bias=True", 1), "utf-8")
    code, lines = check(capsys)
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("src/net.py: edited by hand")


def test_missing_weights_are_found(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("src/net.safetensors").unlink()
    code, lines = check(capsys)
    assert code == 1
    assert len(lines) == 1
    assert "its weights net.safetensors are missing" in lines[0]


def test_weights_of_another_model_are_found(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("src/other.py").write_bytes(Path("src/net.py").read_bytes())
    k2t.convert(FIXTURES / "two_inputs.h5").write("src/net.py")
    Path("src/other.py").replace("src/net.py")
    code, lines = check(capsys)
    assert code == 1
    assert any("its weights net.safetensors were made from another source" in line for line in lines)


def test_the_way_out_names_the_options_of_the_conversion(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    k2t.convert("models/model.h5", class_name="Shapes", layout="keras").write("src/net.py")
    Path("src/net.safetensors").unlink()
    _, lines = check(capsys)
    assert lines[0].endswith("run `k2t convert model.h5 -o src/net.py --class-name Shapes --layout keras`")


def test_a_source_that_is_not_there_cannot_be_stale(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("models/model.h5").unlink()
    assert check(capsys) == (0, [])


def test_line_ends_of_windows_are_no_edit(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = Path("src/net.py")
    net.write_bytes(net.read_bytes().replace(b"\n", b"\r\n"))
    assert check(capsys) == (0, [])


def test_pointers_of_git_lfs_stand_for_their_files(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generated = read_generated(Path("src/net.py"))
    assert generated is not None
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 5\n"
    Path("src/model.h5").write_text(pointer.format(generated.sha256))
    Path("src/net.safetensors").write_text(pointer.format("0" * 64))
    assert check(capsys) == (0, [])
    Path("src/model.h5").write_text(pointer.format("0" * 64))
    code, lines = check(capsys)
    assert code == 1
    assert "stale" in lines[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1\n",
        '"""Made, converted by k2t 0.1.0 from something."""\n',
        '"""A, converted by k2t 1 from b.\n\n\\x',
        '"""A, converted by k2t 1 from b.\\N{no such name}\n"""\n\n',
    ],
)
def test_other_files_are_passed_over(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.py").write_text(text)
    assert check(capsys, str(tmp_path / "other.py")) == (0, [])


def test_damaged_weights_do_not_break_the_check(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    headers = [b"", b"[]", b"[" * 5000, b'{"__metadata__": 1}', b'{"__metadata__": {"k2t.source": 5}}', b"\xff" * 9]
    for header in headers:
        for length in (len(header), 1 << 62):
            Path("src/net.safetensors").write_bytes(length.to_bytes(8, "little") + header)
            assert check(capsys) == (0, [])


def test_git_tells_which_files_are_looked_at(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("src/net.safetensors").unlink()
    git("init", "-q")
    assert check(capsys)[0] == 1
    Path(".gitignore").write_text("src/\n")
    assert check(capsys) == (0, [])
    assert check(capsys, "src/net.py")[0] == 1


def test_a_model_is_checked_to_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(capsys, str(FIXTURES / "shapes_cnn.keras")) == (0, [])
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"no HDF5")
    code, lines = check(capsys, str(broken))
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"{broken}: ")


def test_a_file_that_does_not_exist_is_a_wrong_call() -> None:
    assert main(["check", "nowhere.py"]) == 2


def test_check_starts_at_once(project: Path) -> None:
    """Half a second, measured as processor time so that a busy machine does not count."""
    listing = "import json, sys, k2t.cli; code = k2t.cli.main(['check']); print(json.dumps([code, *sys.modules]))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", listing], env=environment(), capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, *modules = json.loads(done.stdout)
    assert code == 0
    assert not {"torch", "tensorflow", "keras", "numpy", "h5py", "libcst", "rich"} & set(modules)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def environment() -> dict[str, str]:
    return os.environ | GIT | {"PYTHONPATH": str(ROOT)}


def test_pre_commit_runs_the_hook(project: Path) -> None:
    """The real pre-commit on a real repository; only the environment of the hook is this one."""
    hooks = project / "hooks"
    hooks.mkdir()
    (hooks / ".pre-commit-hooks.yaml").write_bytes((ROOT / ".pre-commit-hooks.yaml").read_bytes())
    git("-C", str(hooks), "init", "-q")
    git("-C", str(hooks), "add", ".")
    git("-C", str(hooks), "commit", "-q", "-m", "hooks")
    revision = git("-C", str(hooks), "rev-parse", "HEAD").strip()
    (project / "bin").mkdir()
    command = project / "bin" / "k2t"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m k2t "$@"\n')
    command.chmod(0o755)
    hook = {"id": "k2t-check", "language": "system"}
    config = {"repos": [{"repo": str(hooks), "rev": revision, "hooks": [hook]}]}
    Path(".pre-commit-config.yaml").write_text(json.dumps(config))
    Path(".gitignore").write_text("hooks/\nbin/\nhome/\n")
    git("init", "-q")
    git("add", ".")

    def pre_commit() -> tuple[int, str]:
        places = {"PATH": f"{project / 'bin'}:{os.environ['PATH']}", "PRE_COMMIT_HOME": str(project / "home")}
        run = [sys.executable, "-m", "pre_commit", "run", "--color", "never"]
        done = subprocess.run(run, env=environment() | places, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    code, output = pre_commit()
    assert code == 0, output
    assert "Passed" in output
    git("commit", "-q", "-m", "model")
    git("rm", "-q", "src/net.safetensors")
    code, output = pre_commit()
    assert code == 1
    assert "src/net.py: its weights net.safetensors are missing" in output
