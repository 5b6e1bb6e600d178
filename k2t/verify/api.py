"""The two functions that users call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from k2t.errors import ReadError
from k2t.graph import Array
from k2t.verify.parity import Dtype, Parity, Trace, layer_rows, output_rows

if TYPE_CHECKING:
    from k2t.verify.inputs import InputSpec

BOTH: tuple[Dtype, ...] = ("float64", "float32")


class Reference(Protocol):
    """What verification needs of a reference, live or recorded."""

    kinds: dict[str, str]

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
) -> Parity:
    """Run an emitted module and its reference on the same random inputs and compare.

    float64 is the proof: outputs agree to 1e-9 of their scale. float32 is the promise: against the float64
    reference, the error is at most 4 times Keras's own float32 error, with a floor of 1e-6 of the scale.

    Args:
        net: the emitted file; its weights lie beside it.
        source: what it was made from, a live Keras model, or a file that `record` wrote.
        weights: the weights of an architecture that has none.
        device: where the module runs, such as `cuda`; the reference runs on the CPU.
        dtype: None for both.
        seed: of the inputs.
        batch: size of the batch, unless the model fixes it.
        run_source: executes code that the source holds (Lambda layers) to have a reference.

    Raises:
        K2TError: something is missing, cannot be read, or does not run. A difference is no error: see `Parity.ok`.
    """
    from k2t.verify.candidate import Candidate

    wanted = (dtype,) if dtype else BOTH
    with progress(4) as step:
        step("loading the module")
        candidate = Candidate(Path(net), device)
        step("running the reference")
        reference = _reference(source, weights, run_source)
        specs, arrays = reference.inputs(seed, batch)
        expected = {each: reference.run(arrays, each) for each in BOTH}
        step("running the module")
        actual = {each: candidate.run([spec.name for spec in specs], arrays, each) for each in wanted}
        step("comparing")
        labels = [port.name for port in candidate.outputs]
        layers = list(layer_rows(actual, expected, reference.kinds))
        return Parity(
            str(net),
            source if isinstance(source, str) else str(getattr(source, "name", source)),
            (*output_rows(actual, expected, labels), *(row for row in layers if row.kind == "logits")),
            tuple(row for row in layers if row.kind != "logits"),
            reference.label,
            device,
        )


def record(
    source: Any,
    output: str | Path,
    *,
    weights: str | Path | None = None,
    seed: int = 0,
    batch: int = 3,
    run_source: bool = False,
) -> None:
    """Store inputs and everything that the reference computes from them, for `verify` where there is no Keras.

    Args:
        output: a safetensors file.

    Raises:
        K2TError: the reference cannot be had.
    """
    from k2t.verify.loading import keras_reference
    from k2t.verify.recording import write

    with progress(2) as step:
        step("running the reference")
        reference = keras_reference(source, weights, run_source)
        specs, arrays = reference.inputs(seed, batch)
        traces = {each: reference.run(arrays, each) for each in BOTH}
        step("writing")
        write(Path(output), reference, specs, arrays, traces)


def _reference(source: Any, weights: str | Path | None, run_source: bool) -> Reference:
    from k2t.verify.recording import is_recording, read

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
