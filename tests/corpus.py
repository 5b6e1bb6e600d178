"""Real models from public repositories through k2t: `python tests/corpus.py [FOLDER]` prints a table.

FOLDER holds the models and an `index.jsonl` that names each one's classes; without it, the folder `shared/corpus`
beside the project. The models are not part of the project.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import k2t

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "corpus"


@dataclass(frozen=True)
class Model:
    """A model of the corpus: its architecture, and the file of its weights where that is another."""

    source: Path
    weights: Path | None
    keras_version: str

    @property
    def name(self) -> str:
        return (self.weights or self.source).name


@dataclass(frozen=True)
class Verdict:
    """What became of a model, with the error or the reason.

    Attributes:
        outcome: `parity`, `differs`, `refused`, or `converted` where Keras would have to run code in the file.
    """

    outcome: str
    error: float | None = None
    reason: str = ""


def models(folder: Path = FOLDER) -> list[Model]:
    """The models of the index; none where the folder is absent."""
    index = folder / "index.jsonl"
    rows = [json.loads(line) for line in index.read_text().splitlines()] if index.exists() else []
    return [
        Model(
            folder / row.get("arch_file", row["file"]),
            folder / row["file"] if "arch_file" in row else None,
            row.get("keras_version") or "",
        )
        for row in rows
    ]


def judge(model: Model, folder: Path) -> Verdict:
    """Convert a model and compare it with its Keras."""
    try:
        result = k2t.convert(model.source, weights=model.weights)
    except k2t.UnsupportedError as error:
        return Verdict("refused", reason="; ".join(f"{p.layer} ({p.kind})" for p in error.problems))
    net = folder / "net.py"
    result.write(net)
    try:
        parity = k2t.verify(net, model.source, weights=model.weights)
    except k2t.K2TError as error:
        return Verdict("converted", reason=str(error).partition("\n")[0])
    return Verdict("parity" if parity.ok else "differs", parity.max_error)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    outcomes: Counter[str] = Counter()
    for model in models(folder):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            verdict = judge(model, Path(place))
        outcomes[verdict.outcome] += 1
        detail = verdict.reason if verdict.error is None else f"{verdict.error:.1e}"
        seconds = time.perf_counter() - start
        print(
            f"{verdict.outcome:8} {model.keras_version:9} {seconds:5.1f} s  {model.name[:70]:70} {detail}", flush=True
        )
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
    return 1 if outcomes["differs"] else 0


if __name__ == "__main__":
    sys.exit(main())
