"""The two functions that users call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from k2t.errors import K2TError, ReadError
from k2t.graph import Array, Shape
from k2t.sources import code_parts
from k2t.verify.code import Given, code_reference
from k2t.verify.parity import Dtype, Parity, Row, Trace, layer_rows, output_rows

if TYPE_CHECKING:
    from k2t.verify.candidate import Candidate
    from k2t.verify.inputs import InputSpec

BOTH: tuple[Dtype, ...] = ("float64", "float32")
RESULTS = ("output", "logits")  # kinds of the rows that decide
MORE_INPUTS = 4


class Reference(Protocol):
    """What verification needs of a reference, live or recorded.

    Attributes:
        kinds: path of a call -> class of its layer.
        module, state: metadata and state dict of the module, where no file beside it has them; else empty.
    """

    kinds: dict[str, str]
    module: dict[str, str]
    state: dict[str, Array]

    @property
    def label(self) -> str:
        """Name and version of the library that computes it."""

    def inputs(self, seed: int, batch: int) -> tuple[list[InputSpec], list[Array]]:
        """The inputs to compare on, in Keras's order."""

    def run(self, arrays: list[Array], dtype: Dtype) -> Trace:
        """Everything that the reference computes."""


def verify(
    net: str | Path,
    source: Any,
    *,
    weights: str | Path | None = None,
    device: str = "cpu",
    dtype: Dtype | None = None,
    seed: int = 0,
    batch: int = 3,
    run_source: bool = False,
    arguments: Mapping[str, Any] | None = None,
    input_shapes: Sequence[Shape] = (),
) -> Parity:
    """Run an emitted module and its reference on the same random inputs and compare.

    float64 is the proof: outputs agree to 1e-9 of their scale. float32 is the promise: against the float64
    reference, the error is at most 4 times Keras's own float32 error, with a floor of 1e-6 of the scale; where one
    set of inputs says no, several decide, since a single error of rounding is a matter of luck.

    Args:
        net: the emitted file; its weights lie beside it.
        source: what it was made from, a live Keras model, or a file that `record` wrote.
        weights: the weights of an architecture that has none.
        device: where the module runs, such as `cuda`; the reference runs on the CPU.
        dtype: None for both.
        seed: of the inputs.
        batch: size of the batch, unless the model fixes it.
        run_source: executes code that the source is or holds (Lambda layers) to have a reference.
        arguments: of Keras code, as they were given to `convert`, or others that the module takes.
        input_shapes: of Keras code that does not say them, batch included.

    Raises:
        K2TError: something is missing, cannot be read, or does not run. A difference is no error: see `Parity.ok`.
    """
    from k2t.verify.candidate import Candidate, parse

    wanted = (dtype,) if dtype else BOTH
    with progress(2) as step:
        step("loading")
        tree = parse(Path(net))
        reference = _reference(source, weights, run_source, Given(arguments or {}, input_shapes, seed, batch))
        candidate = Candidate(Path(net), device, tree, reference.module, reference.state)
        step("comparing")
        rows = _rows(candidate, reference, wanted, seed, batch)
        for other in range(seed + 1, seed + MORE_INPUTS + 1):
            if not any(row.unlucky for row in rows if row.kind in RESULTS):
                break
            more = _rows(candidate, reference, wanted, other, batch)
            rows = [row.joined(again) for row, again in zip(rows, more, strict=True)]
        if any(row.kind in RESULTS and not row.ok for row in rows) and is_random(candidate, reference, seed, batch):
            raise K2TError(f"{net}: its outputs are random at inference, as those of the source; none can be compared")
        return Parity(
            str(net),
            source if isinstance(source, str) else str(getattr(source, "name", source)),
            tuple(row for row in rows if row.kind in RESULTS),
            tuple(row for row in rows if row.kind not in RESULTS),
            reference.label,
            device,
        )


def is_random(candidate: Candidate, reference: Reference, seed: int, batch: int) -> bool:
    """Whether the module computes something else when it runs again on the same inputs."""
    specs, arrays = reference.inputs(seed, batch)
    first, second = (candidate.run([spec.name for spec in specs], arrays, "float64").outputs for _ in range(2))
    return any(not np.array_equal(first[name], second[name], equal_nan=True) for name in first)


def _rows(candidate: Candidate, reference: Reference, wanted: Sequence[Dtype], seed: int, batch: int) -> list[Row]:
    """The comparison on one set of inputs: outputs, logits, layers."""
    specs, arrays = reference.inputs(seed, batch)
    expected = {each: reference.run(arrays, each) for each in BOTH}
    actual = {each: candidate.run([spec.name for spec in specs], arrays, each) for each in wanted}
    labels = [port.name for port in candidate.outputs]
    return [*output_rows(actual, expected, labels), *layer_rows(actual, expected, reference.kinds)]


def record(
    source: Any,
    output: str | Path,
    *,
    weights: str | Path | None = None,
    seed: int = 0,
    batch: int = 3,
    run_source: bool = False,
    arguments: Mapping[str, Any] | None = None,
    input_shapes: Sequence[Shape] = (),
) -> None:
    """Store inputs and everything that the reference computes from them, for `verify` where there is no Keras.

    Args:
        output: a safetensors file.
        arguments, input_shapes: as `verify` has them.

    Raises:
        K2TError: the reference cannot be had.
    """
    from k2t.verify.recording import Recording, write

    with progress(2) as step:
        step("running the reference")
        reference = _reference(source, weights, run_source, Given(arguments or {}, input_shapes, seed, batch))
        specs, arrays = reference.inputs(seed, batch)
        traces = {each: reference.run(arrays, each) for each in BOTH}
        step("writing")
        facts = reference.label, reference.kinds, specs, arrays, traces, reference.state, reference.module
        write(Path(output), Recording(*facts))


def _reference(source: Any, weights: str | Path | None, run_source: bool, given: Given) -> Reference:
    """What computes the reference, or has computed it."""
    from k2t.verify.recording import is_recording, read

    if isinstance(source, str | Path) and code_parts(source):
        if not run_source:
            raise K2TError(f"{source}: is Keras code, which a reference must run; if you trust it, allow --run-source")
        return code_reference(source, weights, given)
    if isinstance(source, str | Path):
        if not Path(source).exists():
            raise ReadError(f"{source}: no such file")
        if is_recording(Path(source)):
            return read(Path(source))
    from k2t.verify.loading import keras_reference

    return keras_reference(source, weights, run_source)


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on stderr while a person looks at it; yields what starts the next step."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        started = False

        def step(description: str) -> None:
            nonlocal started
            bar.update(task, description=description, advance=1 if started else 0)
            started = True

        yield step
