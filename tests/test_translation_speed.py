"""How long it takes to translate a long file of Keras code, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STAGE = '''
def stage_{number}(x, filters, kernel_size=3):
    """Two convolutions, each normalized."""
    for _ in range(2):
        x = layers.Conv2D(filters, kernel_size, padding="same")(x)
        # the statistics of the batch
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
    return x
'''
READER = '''
def read_{number}(path, limit=None):
    """Rows of a file."""
    rows = []
    with open(path) as file:
        for number, text in enumerate(file):
            if limit is not None and number >= limit:
                break
            rows.append([float(part) for part in text.split(",")])
    return rows
'''
MEASURE = """
import sys, time
import k2t
result = k2t.convert(sys.argv[1])
assert result.source.count("nn.Conv2d(") >= 1
print(time.process_time(), *sorted({"torch", "tensorflow", "keras"} & sys.modules.keys()))
"""


def long_code(stages: int, lines: int) -> str:
    """A builder of many stages, among functions that read data."""
    parts = ["from keras import Input, Model, layers\n", *(STAGE.format(number=number) for number in range(stages))]
    body = "".join(f"    x = stage_{number}(x, {8 + number // 10 * 8})\n" for number in range(stages))
    parts.append(f"\ndef build(input_shape=(64, 64, 3), classes=10):\n    inputs = x = Input(input_shape)\n{body}")
    parts.append("    x = layers.GlobalAveragePooling2D()(x)\n    return Model(inputs, layers.Dense(classes)(x))\n")
    missing = lines - sum(part.count("\n") for part in parts)
    return "".join([*parts, *(READER.format(number=number) for number in range(missing // READER.count("\n") + 1))])


def test_two_thousand_lines_take_less_than_three_seconds_and_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text(long_code(20, 2000), "utf-8")
    assert path.read_text("utf-8").count("\n") >= 2000
    command = [sys.executable, "-c", MEASURE, f"{path}:build"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    seconds, *imported = done.stdout.split()
    assert imported == []
    assert float(seconds) < 3
