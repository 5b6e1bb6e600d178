"""Peak memory of a conversion: `python tests/benchmarks/memory.py`.

The budget: 60 MB more than Python takes with the libraries imported, and twice the largest tensor. Models: VGG16's
weights (550 MB, one tensor of 411 MB), and one of 4 GB in 256 layers; both made without values.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import made

ROOT = Path(__file__).parents[2]
MB = 1_000_000
MEASURE = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
VGG16 = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0]


def vgg16() -> list[made.Spec]:
    """The layers of VGG16 for images of 224 by 224."""
    layers, channels = [], 3
    for filters in VGG16:
        layers.append(made.convolution(filters, channels) if filters else made.pooling())
        channels = filters or channels
    return [*layers, made.flatten(), made.dense(4096, 7 * 7 * 512), made.dense(4096, 4096), made.dense(1000, 4096)]


def peak(code: str) -> int:
    """Bytes in memory at most while a fresh Python runs `code`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code + MEASURE], env=environment, check=True, capture_output=True)
    return int(done.stdout)


def main() -> int:
    """The table; 1 if a model takes more than its budget."""
    models = {"VGG16": (vgg16(), (None, 224, 224, 3)), "4 GB": ([made.dense(2000, 2000)] * 256, (None, 2000))}
    baseline = peak("import h5py, numpy, libcst")
    failed = False
    print(f"{'model':8} {'file':>6} {'largest':>8} {'peak':>6} {'budget':>7}   MB, over {baseline // MB} MB")
    for name, (layers, shape) in models.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.h5"
            made.write(path, shape, layers)
            size = path.stat().st_size
            largest = max(made.size(weight) for _, _, weights in layers for _, weight in weights)
            code = (
                f"import k2t; k2t.convert({str(path)!r}, output={folder + '/net.py'!r}).write({folder + '/net.py'!r})"
            )
            used, budget = peak(code) - baseline, 60 * MB + 2 * largest
        failed |= used > budget
        row = [number // MB for number in (size, largest, used, budget)]
        print("{:8} {:6} {:8} {:6} {:7}".format(name, *row), "  TOO MUCH" if used > budget else "", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
