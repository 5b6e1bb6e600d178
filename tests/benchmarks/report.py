"""What the emitted code looks like, as Markdown: `python tests/benchmarks/report.py [NAME ...] > report.md`.

Lines (everything in the file), classes, the longest function, and what a linter (ruff) and a type checker (mypy
--strict) say of it, for the networks of keras.applications, random weights, and the models of the corpus where it is at
hand; beside them the lines that torchvision 0.29.2 and timm 1.0.31 need for the network. NAME is a network, or the
beginning of a file name of the corpus.
"""

from __future__ import annotations

import ast
import gc
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import corpus
import keras
from applications import build, builders

import k2t

# Lines of the classes and functions that one network needs in the library's file, without enumerations of weights, and
# of the whole file, which holds the network's sisters, too. Counted from the releases named above.
BY_HAND = {
    "ResNet50": ("torchvision", 237, 985),
    "MobileNetV2": ("torchvision", 189, 260),
    "MobileNetV3Small": ("torchvision", 314, 424),
    "EfficientNetB0": ("torchvision", 313, 1132),
    "DenseNet121": ("torchvision", 223, 448),
    "VGG16": ("torchvision", 84, 511),
    "ConvNeXtTiny": ("torchvision", 186, 415),
    "InceptionV3": ("torchvision", 412, 478),
    "InceptionResNetV2": ("timm", 413, 480),
    "NASNetLarge": ("timm", 780, 843),
    "Xception": ("timm", 346, 410),
}
TARGETS = {
    "ResNet50": 140,
    "MobileNetV2": 150,
    "EfficientNetB0": 170,
    "DenseNet121": 130,
    "VGG16": 90,
    "ConvNeXtTiny": 150,
    "NASNetMobile": 320,
}
LINT = [
    "ruff",
    "check",
    "--isolated",
    "--line-length",
    "100",
    "--select",
    "E,F,I,UP,B,D1,N",
    "--ignore",
    "D102,D107,N812",
]
TYPES = ["mypy", "--strict", "--no-error-summary"]


def sources(names: list[str]) -> Iterator[tuple[str, str]]:
    """(name, emitted code) of every model."""
    for name in builders("keras"):
        if not names or name in names:
            with tempfile.TemporaryDirectory() as folder:
                build(keras, name).save(Path(folder) / "net.keras")
                keras.backend.clear_session()
                gc.collect()
                yield name, k2t.convert(Path(folder) / "net.keras").source
    for model in corpus.models():
        if not names or any(model.name.startswith(name) for name in names):
            try:
                yield model.name, k2t.convert(model.source, weights=model.weights).source
            except k2t.UnsupportedError:
                continue


def findings(folder: Path, command: list[str]) -> Counter[str]:
    """File -> what the tool finds in it."""
    done = subprocess.run(
        [sys.executable, "-m", *command, "."], cwd=folder, capture_output=True, text=True, check=False
    )
    return Counter(re.findall(r"^(?:\s*-->\s*)?(net_\d+\.py):\d+", done.stdout, re.MULTILINE))


def shape(code: str) -> tuple[int, int, int]:
    """Lines, classes, and lines of the longest function."""
    nodes = list(ast.walk(ast.parse(code)))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    longest = max((node.end_lineno or 0) - node.lineno + 1 for node in functions)
    return code.count("\n"), sum(isinstance(node, ast.ClassDef) for node in nodes), longest


def row(name: str, code: str, lint: int, types: int) -> str:
    """One line of the table."""
    lines, classes, longest = shape(code)
    library, own, whole = BY_HAND.get(name, ("", 0, 0))
    by_hand = f"{own} of {whole} ({library})" if library else ""
    target = str(TARGETS.get(name, "")) + (" missed" if lines > TARGETS.get(name, lines) else "")
    verdicts = [f"{count} finding(s)" if count else "clean" for count in (lint, types)]
    return f"| {name} | {lines} | {target} | {classes} | {longest} | {' | '.join(verdicts)} | {by_hand} |"


def main() -> None:
    """The table."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found = dict(sources(sys.argv[1:]))
        for number, code in enumerate(found.values()):
            (folder / f"net_{number}.py").write_text(code, "utf-8")
        lint, types = findings(folder, LINT), findings(folder, TYPES)
    print("| model | lines | target | classes | longest function | ruff | mypy --strict | by hand |")
    print("| --- | ---: | ---: | ---: | ---: | --- | --- | --- |")
    for number, (name, code) in enumerate(found.items()):
        print(row(name, code, lint[f"net_{number}.py"], types[f"net_{number}.py"]))


if __name__ == "__main__":
    main()
