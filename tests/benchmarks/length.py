"""How the time of a conversion grows with the number of layers: `python tests/benchmarks/length.py`.

A chain of layers, made by the script; the time for each layer must not depend on their number.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import made

import k2t

LENGTHS = (1250, 2500, 5000)
KINDS = {"Dense": (made.dense(4, 4), (None, 4)), "Conv2D": (made.convolution(4, 4), (None, 8, 8, 4))}


def main() -> None:
    """The table."""
    print(f"{'kind':8} {'layers':>6} {'seconds':>8} {'ms/layer':>9}")
    for kind, (layer, shape) in KINDS.items():
        for length in LENGTHS:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "chain.h5"
                made.write(path, shape, [layer] * length)
                start = time.process_time()
                k2t.convert(path).write(Path(folder) / "net.py")
                seconds = time.process_time() - start
            print(f"{kind:8} {length:6} {seconds:8.2f} {1000 * seconds / length:9.2f}", flush=True)


if __name__ == "__main__":
    main()
