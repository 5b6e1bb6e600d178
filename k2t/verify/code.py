"""The reference for Keras code: a child process runs it, this one translates its weights for the emitted module."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2t.errors import K2TError
from k2t.graph import Shape
from k2t.verify.child import MARK, RECORDING, Request
from k2t.verify.recording import Recording, read


@dataclass(frozen=True)
class Given:
    """What a caller says of Keras code.

    Attributes:
        arguments: those of the builder, and values for names of the module.
        input_shapes: batch included, for a model or layer whose code does not say them.
        seed, batch: of the random inputs.
    """

    arguments: Mapping[str, Any]
    input_shapes: Sequence[Shape] = ()
    seed: int = 0
    batch: int = 3


def code_reference(source: str | Path, weights: str | Path | None, given: Given) -> Recording:
    """Run Keras code in a child process, and record what its model computes.

    Both models get the same random weights, unless a file names some: those that the child saved are translated as
    `k2t convert --weights` does it.

    Args:
        weights: a file that the model loads, and from which the module was made.

    Raises:
        K2TError: the code cannot be translated, or does not run.
    """
    from k2t.code import entry_of, era_of, parts_of
    from k2t.pipeline import convert

    options: dict[str, Any] = {"arguments": dict(given.arguments), "input_shapes": list(given.input_shapes)}
    with tempfile.TemporaryDirectory(prefix="k2t-") as folder:
        request = Request(
            path=str(parts_of(str(source))[0]),
            entry=entry_of(str(source)),
            **options,
            version=".".join(map(str, era_of(str(source)).version)),
            weights=None if weights is None else str(weights),
            seed=given.seed,
            batch=given.batch,
            folder=folder,
        )
        recording, saved = run_child(request)
        if weights is None:
            filled = convert(source, weights=saved, **options)
            constants = {entry.key for entry in filled.tensors if entry.weight.buffer and not entry.weight.variables}
            recording.state = {item.key: item.load() for item in filled.tensors if item.key not in constants}
            recording.module = dict(filled.metadata)
    return recording


def run_child(request: Request) -> tuple[Recording, Path]:
    """(the recording, the file of the weights) of a request.

    Raises:
        K2TError: what the child said, or how it ended.
    """
    folder = Path(request.folder)
    (folder / "request").write_text(repr(vars(request)), "utf-8")
    environment = os.environ | {
        "TF_USE_LEGACY_KERAS": "0" if request.version.startswith("3") else "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "k2t.verify.child", str(folder / "request")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
        errors = (said[-1:] or [f"{request.path}: {last_line(done.stderr)}"])[0].removeprefix(MARK)
        raise K2TError(f"{errors} (run as the reference)")
    return read(folder / RECORDING), next(folder.glob("*weights.h5"), folder)


def last_line(text: str) -> str:
    """The error of a traceback."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "ended without a word"
