"""The comparison itself: rows of errors, and what counts as agreement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from k2t.graph import Array

Dtype = Literal["float64", "float32"]
Named = dict[str, tuple[Array, ...]]

FLOAT64_LIMIT = 1e-9
FLOAT32_FLOOR = 1e-6
FLOAT32_FACTOR = 4.0
NOISE = 0.5  # what stands for each random number, of [0, 1) or normal, on both sides


@dataclass
class Trace:
    """What one run computed. Every array is in Keras's axis order.

    Attributes:
        outputs: what the model returns, by name, in Keras's order.
        logits: what enters the last softmax or sigmoid of an output, or the output itself; empty where unknown.
        layers: outputs of every call, by its path: `encoder/conv`, `encoder#1/conv` for the model's second call.
    """

    outputs: dict[str, Array] = field(default_factory=dict)
    logits: dict[str, Array] = field(default_factory=dict)
    layers: Named = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One tensor compared.

    Attributes:
        name: the output, or the path of the Keras call.
        kind: the Keras class, or `output` and `logits`.
        shape: in Keras's order.
        float64: largest error, relative to the largest value of the reference; None if it was not run.
        float32: the same of the float32 run, against the float64 reference.
        keras_float32: Keras's own float32 error.
        problem: why the two cannot be compared at all: shapes, or NaN and Inf in other places.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    float64: float | None = None
    float32: float | None = None
    keras_float32: float = 0.0
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether every error is within its limit."""
        if self.problem:
            return False
        limit32 = max(FLOAT32_FACTOR * self.keras_float32, FLOAT32_FLOOR)
        proof = self.float64 is None or self.float64 <= FLOAT64_LIMIT
        return proof and (self.float32 is None or self.float32 <= limit32)

    @property
    def unlucky(self) -> bool:
        """Whether float32 alone is over its limit: rounding, unless it stays so on other inputs."""
        return not self.ok and replace(self, float32=None).ok

    def joined(self, other: Row) -> Row:
        """The same tensor on other inputs too: the largest errors of both."""
        return replace(
            self,
            float64=_larger(self.float64, other.float64),
            float32=_larger(self.float32, other.float32),
            keras_float32=max(self.keras_float32, other.keras_float32),
            problem=self.problem or other.problem,
        )

    @property
    def error(self) -> float:
        """The float64 error, or the float32 error where only that was measured."""
        if self.problem:
            return float("inf")
        return next((e for e in (self.float64, self.float32) if e is not None), 0.0)


@dataclass(frozen=True)
class Parity:
    """The result of a verification. `ok` speaks of the outputs; the layers tell where an error comes from.

    Attributes:
        outputs: a row for each output, then for each tensor before a last softmax or sigmoid (kind `logits`).
        layers: a row for each Keras call whose value the module holds in a variable, in the module's order.
        reference: the library that computed the reference, such as `keras 3.15.1`.
        device: where the module ran.
    """

    net: str
    source: str
    outputs: tuple[Row, ...]
    layers: tuple[Row, ...] = ()
    reference: str = ""
    device: str = "cpu"

    @property
    def ok(self) -> bool:
        """Whether every output agrees, in every dtype that was run."""
        return bool(self.outputs) and all(row.ok for row in self.outputs)

    @property
    def max_error(self) -> float:
        """The largest error of an output, relative to its scale."""
        return max((row.error for row in self.outputs), default=float("inf"))

    @property
    def worst_layer(self) -> str | None:
        """The call with the largest error, None where no layer was compared."""
        return max(self.layers, key=lambda row: row.error).name if self.layers else None

    @property
    def first_diverging(self) -> str | None:
        """The first call, in the order of the module, that is outside its limit: the place to look at."""
        return next((row.name for row in self.layers if not row.ok), None)

    def to_json(self) -> str:
        """One JSON object; errors that are infinite are written as the string "inf"."""
        facts: dict[str, Any] = asdict(self) | {
            "ok": self.ok,
            "max_error": self.max_error,
            "worst_layer": self.worst_layer,
            "first_diverging": self.first_diverging,
        }
        for row, made in zip((*facts["outputs"], *facts["layers"]), (*self.outputs, *self.layers), strict=True):
            row["ok"] = made.ok
        return json.dumps(_finite(facts), allow_nan=False)


def _larger(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else max(first, second)


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor Infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def difference(actual: Array, expected: Array) -> tuple[float, str]:
    """(largest absolute difference over the largest finite absolute value of `expected`, problem or "")."""
    if actual.shape != expected.shape:
        return float("inf"), f"shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    actual, expected = (_numbers(array) for array in (actual, expected))
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(actual)) or not np.array_equal(
        actual[~finite], expected[~finite], equal_nan=True
    ):
        return float("inf"), "NaN or infinity in other places than in the reference"
    if not finite.any():
        return 0.0, ""
    scale = float(np.abs(expected[finite]).max()) or 1.0
    return float(np.abs(actual[finite] - expected[finite]).max()) / scale, ""


def _numbers(array: Array) -> Array:
    return array if np.iscomplexobj(array) else np.asarray(array, np.float64)


def compare(
    name: str, kind: str, actual: dict[Dtype, Array], expected: dict[Dtype, Array], reason: str = "computed nothing"
) -> Row:
    """One row. `expected` has both dtypes: the float64 run is the truth for the float32 run too."""
    truth = expected["float64"]
    shape = tuple(truth.shape)
    if not actual:
        return Row(name, kind, shape, problem=reason)
    errors: dict[Dtype, float] = {}
    for dtype, array in actual.items():
        errors[dtype], problem = difference(array, truth)
        if problem and dtype == "float32" and not difference(array, expected["float32"])[1]:
            errors[dtype], problem = 0.0, ""  # Keras overflows in float32 at the same places
        if problem:
            return Row(name, kind, shape, problem=f"{dtype}: {problem}")
    keras_error, overflow = difference(expected["float32"], truth)
    return Row(name, kind, shape, errors.get("float64"), errors.get("float32"), 0.0 if overflow else keras_error)


def output_rows(actual: dict[Dtype, Trace], expected: dict[Dtype, Trace], labels: Sequence[str] = ()) -> Iterable[Row]:
    """Outputs by name where the names agree, else by position; then the logits.

    Args:
        labels: what to call the outputs, where they have a position only.
    """
    for kind in ("outputs", "logits"):
        wanted = {dtype: getattr(trace, kind) for dtype, trace in expected.items()}
        given = {dtype: _renamed(getattr(trace, kind), wanted["float64"]) for dtype, trace in actual.items()}
        if kind == "logits" and not (any(given.values()) and wanted["float64"]):
            continue
        shown = dict(zip(wanted["float64"], labels, strict=False))
        for name in wanted["float64"]:
            arrays = {dtype: arrays[name] for dtype, arrays in given.items() if name in arrays}
            label = shown.get(name, name) if name.isdigit() else name
            yield compare(label, kind.rstrip("s") if kind == "outputs" else kind, arrays, _column(wanted, name))
        for name in next(iter(given.values())).keys() - wanted["float64"].keys():
            yield Row(name, kind, (), problem="the reference has no such output")


def layer_rows(actual: dict[Dtype, Trace], expected: dict[Dtype, Trace], kinds: dict[str, str]) -> Iterable[Row]:
    """A row for each tensor of each call that both sides recorded."""
    first = next(iter(actual.values()))
    for name in first.layers:
        truth = expected["float64"].layers.get(name, ())
        count = min(len(truth), len(first.layers[name]))
        for index in range(count):
            given = {dtype: trace.layers[name][index] for dtype, trace in actual.items()}
            wanted = {dtype: trace.layers[name][index] for dtype, trace in expected.items()}
            yield compare(name if count == 1 else f"{name}:{index}", kinds.get(name, ""), given, wanted)


def _column(arrays: dict[Dtype, dict[str, Array]], name: str) -> dict[Dtype, Array]:
    return {dtype: named[name] for dtype, named in arrays.items()}


def _renamed(given: dict[str, Array], wanted: dict[str, Array]) -> dict[str, Array]:
    """Names are matched where they agree as a set; otherwise the order counts."""
    if set(given) == set(wanted) or len(given) != len(wanted):
        return given
    return dict(zip(wanted, given.values(), strict=True))
