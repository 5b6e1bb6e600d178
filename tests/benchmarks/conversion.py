"""`k2t convert ResNet50.h5 --no-verify` against the least that could be done: `python tests/benchmarks/conversion.py`.

The least reads each array with h5py, transposes it and writes safetensors. Both run as cold processes, in turn; the
ratio is that of the fastest runs, which other load on the machine disturbs least.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNS = 10
TARGET = 1.5

SAVE = """
import sys, keras
keras.applications.ResNet50(weights=None).save(sys.argv[1])
"""
LEAST = """
import sys, h5py, numpy as np
from safetensors.numpy import save_file
arrays = {}
def visit(name, item):
    if isinstance(item, h5py.Dataset):
        array = item[()]
        arrays[name] = np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T)
with h5py.File(sys.argv[1]) as file:
    file["model_weights"].visititems(visit)
save_file(arrays, sys.argv[2])
"""


def timed(*arguments: str) -> float:
    """Seconds of a fresh Python with these arguments."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> int:
    """The times; 1 if the ratio is above the target."""
    with tempfile.TemporaryDirectory() as folder:
        model, weights, net = (str(Path(folder) / name) for name in ("ResNet50.h5", "least.safetensors", "net.py"))
        timed("-c", SAVE, model)
        convert = ("-m", "k2t", "convert", model, "-o", net, "--no-verify")
        times = [(timed("-c", LEAST, model, weights), timed(*convert)) for _ in range(RUNS + 1)][1:]
    least, k2t = (min(column) for column in zip(*times, strict=True))
    print(f"the least {least:.2f} s, k2t {k2t:.2f} s, ratio {k2t / least:.2f} (target {TARGET})")
    return int(k2t > TARGET * least)


if __name__ == "__main__":
    sys.exit(main())
