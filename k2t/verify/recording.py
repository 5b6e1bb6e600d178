"""A reference in a file: inputs, and everything that Keras computed from them, as safetensors."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from k2t.errors import ReadError
from k2t.graph import Array
from k2t.verify.parity import Dtype, Trace

if TYPE_CHECKING:
    from k2t.verify.inputs import InputSpec

FORMAT = "1"


@dataclass
class Recording:
    """A reference that was run elsewhere.

    Attributes:
        state: the state dict of the module whose weights Keras had, where these lie in no file; empty otherwise.
        module: then, the metadata that would lie beside the module.
    """

    label: str
    kinds: dict[str, str]
    specs: list[InputSpec]
    arrays: list[Array]
    traces: dict[Dtype, Trace]
    state: dict[str, Array] = field(default_factory=dict)
    module: dict[str, str] = field(default_factory=dict)

    def inputs(self, seed: int, batch: int) -> tuple[list[InputSpec], list[Array]]:
        """The recorded inputs, whatever seed and batch are asked for."""
        return self.specs, self.arrays

    def run(self, arrays: list[Array], dtype: Dtype) -> Trace:
        """What was recorded."""
        return self.traces[dtype]


def write(path: Path, recording: Recording) -> None:
    """Write a recording. The names of tensors lie in the metadata: a Keras name may hold anything."""
    from safetensors.numpy import save_file

    tensors = {f"input/{index}": as_numbers(array) for index, array in enumerate(recording.arrays)}
    tensors |= {f"state/{key}": array for key, array in recording.state.items()}
    names: dict[str, dict[str, str]] = {}
    for dtype, trace in recording.traces.items():
        flat: dict[str, tuple[str, Array]] = {}
        for kind in ("outputs", "logits"):
            flat |= {f"{kind}/{i}": item for i, item in enumerate(getattr(trace, kind).items())}
        for i, (name, made) in enumerate(trace.layers.items()):
            flat |= {f"layers/{i}/{part}": (name, array) for part, array in enumerate(made)}
        tensors |= {f"{dtype}/{key}": array for key, (_, array) in flat.items()}
        names[dtype] = {key: name for key, (name, _) in flat.items()}
    facts = {
        "k2t.recording": FORMAT,
        "k2t.reference": recording.label,
        "k2t.inputs": json.dumps([asdict(spec) for spec in recording.specs]),
        "k2t.names": json.dumps(names),
        "k2t.kinds": json.dumps(recording.kinds),
        "k2t.module": json.dumps(recording.module),
    }
    save_file({key: np.ascontiguousarray(array) for key, array in tensors.items()}, str(path), facts)


def as_numbers(array: Array) -> Array:
    """An input as a tensor: strings as the bytes of their JSON."""
    return np.frombuffer(json.dumps(array.tolist()).encode(), np.uint8) if array.dtype == object else array


def as_input(array: Array, dtype: str) -> Array:
    """An input as it was."""
    return np.array(json.loads(array.tobytes()), object) if dtype == "string" else array


def is_recording(path: Path) -> bool:
    """Whether a file is a recording, by its content."""
    return path.is_file() and "k2t.recording" in _metadata(path)


def read(path: Path) -> Recording:
    """Read a recording.

    Raises:
        ReadError: it is of another format, or contradicts itself.
    """
    from safetensors.numpy import load_file

    from k2t.verify.inputs import InputSpec

    facts = _metadata(path)
    if facts["k2t.recording"] != FORMAT:
        raise ReadError(f"{path}: a recording of format {facts['k2t.recording']}, this k2t reads {FORMAT}")
    try:
        tensors = load_file(str(path))
        specs = [InputSpec(**item | {"shape": tuple(item["shape"])}) for item in json.loads(facts["k2t.inputs"])]
        arrays = [as_input(tensors[f"input/{index}"], spec.dtype) for index, spec in enumerate(specs)]
        traces: dict[Dtype, Trace] = {"float64": Trace(), "float32": Trace()}
        names = json.loads(facts["k2t.names"])
        for dtype, trace in traces.items():
            for key, name in names[dtype].items():
                array = tensors[f"{dtype}/{key}"]
                kind = key.partition("/")[0]
                if kind == "layers":
                    trace.layers[name] = (*trace.layers.get(name, ()), array)
                else:
                    getattr(trace, kind)[name] = array
        state = {key.removeprefix("state/"): array for key, array in tensors.items() if key.startswith("state/")}
        module, kinds = json.loads(facts.get("k2t.module", "{}")), json.loads(facts["k2t.kinds"])
        return Recording(facts["k2t.reference"], kinds, specs, arrays, traces, state, module)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadError(f"{path}: a broken recording: {error!r}") from error


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}
