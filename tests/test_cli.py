"""The command line: results on stdout, messages on stderr, exit codes 0, 1 and 2."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import k2t
from k2t.cli import main

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "fixtures"
CNN = str(FIXTURES / "shapes_cnn.keras")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def start(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **options)


def change_weights(path: str, key: str) -> None:
    """Make one weight a little wrong."""
    with safe_open(path, "numpy") as file:
        metadata, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    weights[key] += np.float32(1e-3)
    save_file(weights, path, metadata)


def loaded(*arguments: str) -> set[str]:
    """The modules that are loaded after a command."""
    program = "import sys, k2t.cli; k2t.cli.main(sys.argv[1:]); print('MODULES', *sys.modules)"
    return set(start("-c", program, *arguments).stdout.partition("MODULES")[2].split())


def sequential(name: str, *layers: tuple[str, dict[str, Any]]) -> str:
    """An architecture on inputs of shape (N, 4)."""
    entries = [{"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 4]}}]
    entries += [{"class_name": kind, "config": config} for kind, config in layers]
    return json.dumps({"class_name": "Sequential", "config": {"name": name, "layers": entries}})


def test_convert_writes_two_files_and_says_what_is_in_them(capsys: Capture) -> None:
    code, out, err = run(capsys, "convert", CNN, "-o", "net.py", "--no-verify")
    assert (code, err) == (0, "")
    assert sorted(os.listdir()) == ["net.py", "net.safetensors"]
    assert "net.py: ShapesCNN, 16 layers, 5,804 parameters, from Keras 3" in out
    assert "image  float32 (N, 1, 28, 28), in Keras (N, 28, 28, 1)" in out


def test_json_of_convert_has_the_promised_fields(capsys: Capture) -> None:
    code, out, _ = run(capsys, "convert", CNN, "-o", "net.py", "--no-verify", "--json")
    facts = json.loads(out)
    assert code == 0
    assert list(facts) == [
        *("source", "output", "weights", "class_name", "keras_version", "backend"),
        *("inputs", "outputs", "layers", "parameters", "parity"),
    ]
    assert facts["inputs"] == [
        {
            "name": "image",
            "keras_shape": [None, 28, 28, 1],
            "torch_shape": [None, 1, 28, 28],
            "permute": [0, 3, 1, 2],
            "dtype": "float32",
        }
    ]
    assert (facts["source"], facts["output"], facts["weights"]) == (CNN, "net.py", "net.safetensors")
    assert facts["parity"] is None


def test_options_reach_the_file(capsys: Capture) -> None:
    arguments = ("--class-name", "Shapes", "--layout", "keras", "--no-verify", "--json")
    _, out, _ = run(capsys, "convert", CNN, "-o", "net.py", *arguments)
    facts = json.loads(out)
    assert facts["class_name"] == "Shapes"
    assert facts["inputs"][0]["permute"] is None
    assert "class Shapes(nn.Module)" in Path("net.py").read_text("utf-8")


@pytest.mark.parametrize(
    ("source", "output"),
    [("model.002.keras", "model_002.py"), ("3d net.keras", "net_3d_net.py"), ("class.keras", "net_class.py")],
)
def test_the_output_is_named_after_the_source(source: str, output: str, capsys: Capture) -> None:
    Path(source).write_bytes(Path(CNN).read_bytes())
    assert run(capsys, "convert", source, "--no-verify")[0] == 0
    assert Path(output).is_file()


def test_only_a_named_output_replaces_what_somebody_wrote(capsys: Capture) -> None:
    assert run(capsys, "convert", CNN, "--no-verify")[0] == 0
    assert run(capsys, "convert", CNN, "--no-verify")[0] == 0
    Path("shapes_cnn.py").write_text("mine = True\n")
    code, _, err = run(capsys, "convert", CNN, "--no-verify")
    assert code == 2
    assert "shapes_cnn.py: exists and is not as k2t wrote it" in err
    assert Path("shapes_cnn.py").read_text() == "mine = True\n"
    assert run(capsys, "convert", CNN, "--no-verify", "-o", "shapes_cnn.py")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.h5"], "nothing.h5: there is no such file"),
        (["broken.h5"], "broken.h5: not a Keras model"),
        (["truncated.keras"], "truncated.keras: "),
        (["refused.json"], "refused.json: cannot convert 1 layer(s):\n  odd (Package>Odd): "),
        ([CNN, "-o", "net.txt"], "net.txt: the output is a Python file and its name must end in .py"),
        ([CNN, "-o", "no/net.py"], "no/net.py: there is no folder no; make it first"),
        ([CNN, "-o", "folder.py"], "is a directory"),
        ([CNN, "--layout", "other"], "'other' is not one of"),
        ([CNN, "--no-such-option"], "No such option"),
        ([CNN, "--arg", "classes=10"], "--arg and --input-shape are for Keras code"),
        ([], "Missing argument 'SOURCE'"),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(arguments: list[str], message: str, capsys: Capture) -> None:
    Path("broken.h5").write_bytes(b"this is no HDF5")
    Path("truncated.keras").write_bytes(Path(CNN).read_bytes()[:3000])
    Path("refused.json").write_text(sequential("net", ("Package>Odd", {"name": "odd"})))
    Path("folder.py").mkdir()
    before = sorted(os.listdir())
    code, out, err = run(capsys, "convert", *arguments, "--no-verify")
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert sorted(os.listdir()) == before


def test_a_source_is_never_overwritten(capsys: Capture) -> None:
    Path("model.py").write_bytes(Path(CNN).read_bytes())
    code, _, err = run(capsys, "convert", "model.py", "-o", "model.py", "--no-verify")
    assert code == 2
    assert "is the source itself" in err
    assert Path("model.py").read_bytes() == Path(CNN).read_bytes()


def test_a_folder_that_cannot_be_written_to_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "somewhere")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    code, _, err = run(capsys, "convert", CNN, "-o", "net.py", "--no-verify")
    assert (code, err) == (2, "Error: somewhere: Permission denied\n")


def test_a_mistake_of_k2t_is_called_one(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("k2t.pipeline.convert", fail)
    code, out, err = run(capsys, "convert", CNN, "--no-verify")
    assert (code, out) == (2, "")
    assert err.startswith("Error: this is a bug of k2t, please report it: KeyError: 'surprise' (test_cli.py, line ")
    assert err.count("\n") == 1


def test_an_interruption_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("k2t.pipeline.convert", stop)
    assert run(capsys, "convert", CNN, "--no-verify") == (130, "", "\ninterrupted\n")
    assert os.listdir() == []


def test_names_in_a_file_do_not_steer_the_terminal(capsys: Capture) -> None:
    Path("model.json").write_text(sequential("\x1b[2Jnet", ("ReLU", {"name": "r\x1b[31m\u202e"})))
    for command in (("inspect", "model.json"), ("convert", "model.json", "-o", "net.py", "--no-verify")):
        code, out, err = run(capsys, *command)
        assert code == 0
        assert "\x1b" not in out + err
        assert "\u202e" not in out + err


def test_without_a_reference_convert_does_not_verify(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys.modules["k2t.cli.convert"], "find_spec", lambda name: None)
    code, _, err = run(capsys, "convert", CNN, "-o", "net.py")
    assert code == 0
    assert err == 'not verified: torch, tensorflow, keras: not installed; run `pip install "k2t[verify]"`\n'
    Path("net.py").unlink()
    code, _, err = run(capsys, "convert", CNN, "-o", "net.py", "--verify")
    assert code == 2
    assert "not installed" in err
    assert not Path("net.py").exists()


def test_convert_verifies_and_a_failed_parity_exits_with_1(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    code, out, _ = run(capsys, "convert", CNN, "-o", "net.py", "--json")
    assert code == 0
    assert json.loads(out)["parity"]["ok"] is True
    result = k2t.convert(CNN)
    result.source = result.source.replace("F.relu(", "torch.tanh(").replace(
        "from torch import", "import torch\nfrom torch import"
    )
    monkeypatch.setattr("k2t.pipeline.convert", lambda source, **_: result)
    code, out, err = run(capsys, "convert", CNN, "-o", "net.py")
    assert code == 1
    assert "does not agree with the reference" in out
    assert "The files are kept" in err
    assert Path("net.py").is_file()


def test_verify_compares_with_the_source_and_with_a_recording(capsys: Capture) -> None:
    assert run(capsys, "convert", CNN, "-o", "net.py", "--no-verify")[0] == 0
    assert run(capsys, "record", CNN, "-o", "reference.safetensors")[0] == 0
    code, out, _ = run(capsys, "verify", "net.py", "reference.safetensors", "--report", "report.html")
    assert code == 0
    assert "block2_conv" in out
    assert "ShapesCNN" in Path("net.py").read_text("utf-8")
    assert "block2_conv" in Path("report.html").read_text("utf-8")
    change_weights("net.safetensors", "block2_conv.weight")
    code, out, _ = run(capsys, "verify", "net.py", "reference.safetensors", "--json", "--dtype", "float64")
    assert code == 1
    assert json.loads(out)["first_diverging"] == "block2_conv"


def test_inspect_names_everything_that_does_not_convert(capsys: Capture) -> None:
    layers = [("Package>Odd", {"name": "odd"}), ("ReLU", {"name": "relu", "strange": 1})]
    Path("model.json").write_text(sequential("net", *layers))
    code, out, _ = run(capsys, "inspect", "model.json")
    assert code == 0
    assert "does not convert: odd (Package>Odd): no rule for this layer" in out
    assert "does not convert: relu (ReLU): unknown option strange=1" in out
    _, out, _ = run(capsys, "inspect", "model.json", "--json")
    assert [problem["layer"] for problem in json.loads(out)["problems"]] == ["odd", "relu"]


def test_inspect_shows_shapes_and_parameters(capsys: Capture) -> None:
    _, out, _ = run(capsys, "inspect", CNN, "--json")
    facts = json.loads(out)
    assert facts["parameters"] == 5804
    row = next(layer for layer in facts["layers"] if layer["name"] == "block2_conv")
    assert (row["kind"], row["output_shape"], row["parameters"]) == ("Conv2D", [None, 7, 7, 16], 1152)
    assert facts["problems"] == []
    assert "Everything in it converts." in run(capsys, "inspect", CNN)[1]


def test_layers_come_from_the_rules(capsys: Capture) -> None:
    from k2t.rules.base import REFUSED, RULES

    _, out, _ = run(capsys, "layers", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert {name for name, row in rows.items() if row["type"] == "layer"} >= RULES.keys() | REFUSED.keys()
    assert rows["Conv2D"]["generations"]["Keras 1.2"] == ["AtrousConvolution2D", "Convolution2D"]
    assert rows["JaxLayer"]["becomes"] is None
    assert rows["einsum"]["generations"] == {"Keras 3.15": ["keras.ops.einsum"]}
    assert "Conv2D" in run(capsys, "layers")[1]


def test_the_module_is_the_command() -> None:
    done = start("-m", "k2t", "--version")
    assert (done.returncode, done.stdout) == (0, f"k2t, version {k2t.__version__}\n")


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    modules = loaded("convert", "--help")
    assert "click" in modules
    assert not {"torch", "tensorflow", "keras", "numpy", "h5py", "libcst", "rich"} & modules


def test_converting_imports_neither_torch_nor_keras() -> None:
    modules = loaded("convert", CNN, "-o", "net.py", "--no-verify")
    assert "k2t.pipeline" in modules
    assert not {"torch", "tensorflow", "keras", "rich"} & modules


@pytest.mark.parametrize("command", ["layers --json", "--version"])
def test_a_reader_that_has_enough_is_no_error(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "k2t", *command.split()],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="only there the command runs in a child process")
def test_a_crash_in_a_library_is_one_message() -> None:
    crash = "lambda submit: os.kill(os.getpid(), signal.SIGSEGV)"
    done = start("-c", f"import os, signal, sys, k2t.__main__ as m; sys.exit(m.main({crash}))")
    assert done.returncode == 2
    assert done.stderr == "Error: a library crashed on the input (SIGSEGV); a file that does so is damaged\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only there the command runs in a child process")
@pytest.mark.parametrize(
    ("call", "printed"),
    [
        ("os.getppid", "True"),  # made by the parent, whose parent is this test
        ("math.sqrt, -1", "ValueError: math domain error"),  # made again, where its error is of use
        ("lambda: os.getpid()", "False"),  # cannot be sent
    ],
)
def test_the_process_that_waits_makes_calls(call: str, printed: str) -> None:
    run = f"lambda submit: print(submit({call})() == {os.getpid()}) or 0"
    done = start("-c", f"import math, os, sys, k2t.__main__ as m; sys.exit(m.main({run}))")
    assert printed in done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only there the command runs in a child process")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_when_the_command_is_killed(number: signal.Signals) -> None:
    sleep = "lambda submit: print('started', flush=True) or time.sleep(60)"
    command = [sys.executable, "-c", f"import time, sys, k2t.__main__ as m; sys.exit(m.main({sleep}))"]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) as process:
        if process.stdout is None or process.stdout.readline() != b"started\n":
            raise ValueError("no output")
        process.send_signal(number)
        begin = time.monotonic()
        process.stdout.read()  # ends when the last process that could write has ended
        assert time.monotonic() - begin < 30
