"""Every emitted network through torch.export and torch.compile: `python tests/benchmarks/export.py [NAME ...]`.

NAME is a network of keras.applications or the beginning of a file name of the corpus; all of them without one. Batches
and sizes that Keras leaves open are dynamic; `fullgraph=True` makes a graph break an error. What was exported and
compiled must compute what the module computes. PyTorch breaks the graph at its own recurrent layers unless
`torch._dynamo.config.allow_rnn` is set, which is set here.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import corpus
import torch
from applications import build, builders
from parity import load_net
from torch.export import Dim

import k2t

OPEN = 24
BATCHES = (3, 5)
TOLERANCE = 1e-5


def from_corpus(names: list[str]) -> Iterator[tuple[str, k2t.pipeline.Result]]:
    """The models of the corpus that convert."""
    for model in corpus.models():
        if not names or any(model.name.startswith(name) for name in names):
            try:
                yield model.name, k2t.convert(model.source, weights=model.weights)
            except k2t.UnsupportedError:
                continue


def from_applications(names: list[str]) -> Iterator[tuple[str, k2t.pipeline.Result]]:
    """The networks of keras.applications, for small images."""
    import keras

    for name in builders("keras"):
        if not names or name in names:
            with tempfile.TemporaryDirectory() as folder:
                build(keras, name).save(Path(folder) / "net.keras")
                keras.backend.clear_session()
                gc.collect()
                yield name, k2t.convert(Path(folder) / "net.keras")


def inputs_of(result: Any, batch: int, size: int) -> tuple[torch.Tensor, ...]:
    """Random inputs between 0 and 1, which as indices fit every table."""
    shapes = [[n or (size if axis else batch) for axis, n in enumerate(item.torch_shape)] for item in result.inputs]
    dtypes = [getattr(torch, item.dtype) for item in result.inputs]
    return tuple(torch.rand(shape).to(dtype) for shape, dtype in zip(shapes, dtypes, strict=True))


def dynamic_of(result: Any) -> tuple[dict[int, Any], ...]:
    """The axes that Keras leaves open."""
    shapes = [item.torch_shape for item in result.inputs]
    return tuple({axis: Dim.DYNAMIC for axis, n in enumerate(shape) if n is None} for shape in shapes)


def leaves(output: Any) -> list[torch.Tensor]:
    return torch.utils._pytree.tree_leaves(output)


def agree(function: Callable[..., Any], net: Any, result: Any) -> str:
    """ok, or how far they are apart, over batches and sizes."""
    for batch, size in zip(BATCHES, (OPEN, 2 * OPEN), strict=True):
        inputs = inputs_of(result, batch, size)
        for got, want in zip(leaves(function(*inputs)), leaves(net(*inputs)), strict=True):
            error = (got.double() - want.double()).abs().max() / want.double().abs().max().clamp(min=1e-30)
            if got.shape != want.shape or error > TOLERANCE:
                return f"differs by {error:.1e}"
    return "ok"


def exported(net: Any, result: Any) -> str:
    """torch.export with the open axes dynamic."""
    program = torch.export.export(net, inputs_of(result, BATCHES[0], OPEN), dynamic_shapes=dynamic_of(result))
    return agree(program.module(), net, result)


def compiled(net: Any, result: Any) -> str:
    """torch.compile without graph breaks."""
    torch._dynamo.reset()
    return agree(torch.compile(net, fullgraph=True, backend="eager", dynamic=True), net, result)


def attempt(check: Callable[[Any, Any], str], net: Any, result: Any) -> str:
    """The verdict, or the first line of the error."""
    try:
        with torch.no_grad():
            return check(net, result)
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [""]
        return f"{type(error).__name__}: {lines[0]}"[:160]


def main() -> int:
    """The table; 1 if something does not export or compile."""
    torch._dynamo.config.allow_rnn = True
    names, failed, count = sys.argv[1:], 0, 0
    for source in (from_corpus, from_applications):
        for name, result in source(names):
            with tempfile.TemporaryDirectory() as folder:
                result.write(Path(folder) / "net.py")
                net = load_net(Path(folder) / "net.py").load()
            start = time.perf_counter()
            verdicts = [attempt(check, net, result) for check in (exported, compiled)]
            count += 1
            failed += verdicts != ["ok", "ok"]
            print(
                f"{name[:60]:60} export: {verdicts[0]}  compile: {verdicts[1]}  {time.perf_counter() - start:.1f} s",
                flush=True,
            )
    print(f"{count - failed} of {count} export and compile")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
