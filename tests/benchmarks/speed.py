"""Emitted networks against the same networks written by hand: `python tests/benchmarks/inference.py [NAME ...]`.

Two threads, batches of 1 and 8, the two timed in turn; the ratio is that of the fastest runs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import networks
import torch
from parity import load_net

import k2t

NETWORKS = {"ResNet50": networks.resnet50, "MobileNetV2": networks.mobilenet_v2, "VGG16": networks.vgg16}
TARGET = 1.05
RUNS = {1: 40, 8: 20}


def emitted(name: str) -> Any:
    """The network of keras.applications, converted."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.keras"
        getattr(keras.applications, name)(weights=None).save(path)
        k2t.convert(path).write(Path(folder) / "net.py")
        keras.backend.clear_session()
        return load_net(Path(folder) / "net.py").load()


def timed(network: Any, images: torch.Tensor) -> float:
    """Seconds of one pass."""
    start = time.perf_counter()
    network(images)
    return time.perf_counter() - start


def main() -> int:
    """The table; 1 if a network is slower than the target allows."""
    torch.set_num_threads(2)
    failed = False
    print(f"{'network':12} {'batch':>5} {'emitted':>8} {'by hand':>8} {'ratio':>6}")
    for name in sys.argv[1:] or NETWORKS:
        pair = emitted(name), NETWORKS[name]().eval()
        for batch, runs in RUNS.items():
            images = torch.randn(batch, 3, 224, 224)
            with torch.inference_mode():
                times = [[timed(network, images) for network in pair] for _ in range(runs + 2)][2:]
            best = [min(column) for column in zip(*times, strict=True)]
            ratio = best[0] / best[1]
            failed |= ratio > TARGET
            print(f"{name:12} {batch:5} {best[0]:8.4f} {best[1]:8.4f} {ratio:6.3f}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
