"""Keras scripts in the wild, translated from source, run against Keras in float64 with random weights.

Prints a table: `python tests/scripts.py --scripts FOLDER [--index scripts.jsonl] [--cache FOLDER] [NUMBER ...]`.
FOLDER holds each script, with the files of its project that it imports, as `LINE/PATH`: its line of the index, from 0.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import k2t
from k2t.verify import code
from k2t.verify.child import RECORDING, Request
from k2t.verify.recording import Recording, read

INDEX = Path(__file__).parents[2] / "shared" / "scripts.jsonl"

# What the index does not say: values that come from data, and which of several models is meant.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "examples/reuters_mlp_relu_vs_selu.py": {"max_words": 1000, "num_classes": 46},
    "keras_applications/resnet50.py": {
        "backend": "keras.backend",
        "layers": "keras.layers",
        "models": "keras.models",
        "utils": "keras.utils",
    },
}
ENTRIES = {
    "INFOGAN.build_disk_and_q_net": ("INFOGAN.build_disk_and_q_net[0]", "INFOGAN.build_disk_and_q_net[1]"),
}


@dataclass(frozen=True)
class Case:
    """One model of a script.

    Attributes:
        number: line of the index.
        missing: whether the folder lacks the script.
    """

    number: int
    name: str
    path: Path
    entry: str
    arguments: dict[str, Any]
    input_shapes: list[tuple[int | None, ...]]

    @property
    def missing(self) -> bool:
        """Whether the folder lacks the script."""
        return not self.path.is_file()


@dataclass(frozen=True)
class Outcome:
    """What became of it; `error` is that of the largest output in float64, relative to its scale."""

    case: Case
    layers: int = 0
    error: float | None = None
    seconds: float = 0.0
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was translated and computes the same."""
        return not self.problem


def entries(text: str) -> list[str]:
    """`create_base_network(784); module variable model` as ["create_base_network", "model"]."""
    found: list[str] = []
    owner = ""
    for part in map(str.strip, text.split(";")):
        if variables := re.match(r"module variables? (.+)", part):
            found += map(str.strip, variables[1].split(","))
        elif method := re.match(r"(\w*)(?:\(\))?\.(\w+)\(", part):
            owner = method[1] or owner
            found.append(f"{owner}.{method[2]}")
        elif function := re.match(r"(\w+)\(", part):
            found.append(function[1])
    return [name for entry in found for name in ENTRIES.get(entry, (entry,))]


def frozen(value: Any) -> Any:
    """JSON has no tuples, and most code wants them."""
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def cases(index: Path, scripts: Path) -> Iterator[Case]:
    """The models of all scripts."""
    for number, line in enumerate(index.read_text("utf-8").splitlines()):
        script = json.loads(line)
        given = script.get("example_args", {}) | ARGUMENTS.get(script["path"], {})
        arguments = {key: frozen(value) for key, value in given.items()}
        shapes = frozen(script["input_shapes"])
        path = scripts / str(number) / script["path"]
        for entry in entries(script["entry"]):
            is_class = "." not in entry and entry[:1].isupper()
            yield Case(number, script["path"], path, entry, arguments, [shapes[0]] if is_class else [])


def examine(case: Case, folder: Path) -> Outcome:
    """Translate, run both, compare."""
    if case.missing:
        return Outcome(case, problem="missing: the folder has no such script")
    options: dict[str, Any] = {"arguments": case.arguments, "input_shapes": case.input_shapes}
    source = f"{case.path}:{case.entry}"
    start = time.perf_counter()
    try:
        result = k2t.convert(source, **options)
    except Exception as error:  # a crash is one more finding, not the end of the table
        return Outcome(case, seconds=time.perf_counter() - start, problem=described(error))
    made = Outcome(case, result.layers, seconds=time.perf_counter() - start)
    net = folder / "net.py"
    net.write_text(result.source, "utf-8")
    try:
        parity = k2t.verify(net, source, run_source=True, dtype="float64", **options)
    except Exception as error:
        return replace(made, problem=described(error))
    if parity.ok:
        return replace(made, error=parity.max_error)
    reasons = [row.problem for row in parity.outputs if row.problem]
    where = f"first to diverge: {parity.first_diverging}"
    return replace(made, error=parity.max_error, problem="; ".join(reasons) or where)


def described(error: Exception) -> str:
    """The message of an error of k2t; of a crash, its class too."""
    return str(error) if isinstance(error, k2t.K2TError) else f"crashed, {type(error).__name__}: {error}"


def cached(folder: Path) -> None:
    """Keep what Keras computed for a script: it does not change with the translator."""
    run = code.run_child

    def run_once(request: Request) -> tuple[Recording, Path]:
        key = re.sub(r"\W+", "_", f"{request.path}:{request.entry}")
        kept = folder / key
        if not kept.exists():
            run(request)
            shutil.copytree(request.folder, kept)
        return read(kept / RECORDING), next(kept.glob("*weights.h5"))

    code.run_child = run_once


def line(outcome: Outcome) -> str:
    """A row of the table."""
    error = "" if outcome.error is None else f"{outcome.error:.1e}"
    case, verdict = outcome.case, "ok" if outcome.ok else f"FAILS {' '.join(outcome.problem.split())[:400]}"
    name = f"{case.name}:{case.entry}"
    return f"{case.number:3} {name:80} {outcome.layers:6} {error:>8} {outcome.seconds:7.2f}  {verdict}"


def main() -> int:
    """The table; 1 when a script fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int, metavar="NUMBER")
    parser.add_argument("--scripts", type=Path, required=True)
    parser.add_argument("--index", type=Path, default=INDEX)
    parser.add_argument("--cache", type=Path, help="a folder that keeps what Keras computed")
    options = parser.parse_args()
    if not options.index.is_file():
        print(f"{options.index}: no such file; it names the scripts")
        return 2
    if options.cache:
        cached(options.cache)
    print(f"{'':3} {'script':80} {'layers':>6} {'error':>8} {'seconds':>7}")
    outcomes = []
    for case in cases(options.index, options.scripts):
        if not options.numbers or case.number in options.numbers:
            with tempfile.TemporaryDirectory() as folder:
                outcomes.append(examine(case, Path(folder)))
            print(line(outcomes[-1]), flush=True)
    scripts = {outcome.case.number for outcome in outcomes}
    failed = {outcome.case.number for outcome in outcomes if not outcome.ok}
    good = sum(outcome.ok for outcome in outcomes)
    print(f"{len(scripts - failed)} of {len(scripts)} scripts, {good} of {len(outcomes)} models translated with parity")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
