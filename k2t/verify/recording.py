"""A reference in a file: inputs, and everything that Keras computed from them, as safetensors."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from k2t.errors import ReadError
from k2t.graph import Array
from k2t.verify.parity import Dtype, Trace

if TYPE_CHECKING:
    from k2t.verify.inputs import InputSpec
    from k2t.verify.reference import KerasReference

FORMAT = "1"


@dataclass
class Recording:
    """A reference that was run elsewhere."""

    label: str
    kinds: dict[str, str]
    specs: list[InputSpec]
    arrays: list[Array]
    traces: dict[Dtype, Trace]

    def inputs(self, seed: int, batch: int) -> tuple[list[InputSpec], list[Array]]:
        """The recorded inputs, whatever seed and batch are asked for."""
        return self.specs, self.arrays

    def run(self, arrays: list[Array], dtype: Dtype) -> Trace:
        """What was recorded."""
        return self.traces[dtype]


def write(
    path: Path, reference: KerasReference, specs: list[InputSpec], arrays: list[Array], traces: dict[Dtype, Trace]
) -> None:
    """Write a recording. The names of tensors lie in the metadata: a Keras name may hold anything."""
    from safetensors.numpy import save_file

    tensors = {f"input/{index}": array for index, array in enumerate(arrays)}
    names: dict[str, dict[str, str]] = {}
    for dtype, trace in traces.items():
        flat: dict[str, tuple[str, Array]] = {}
        for kind in ("outputs", "logits"):
            flat |= {f"{kind}/{i}": item for i, item in enumerate(getattr(trace, kind).items())}
        for i, (name, made) in enumerate(trace.layers.items()):
            flat |= {f"layers/{i}/{part}": (name, array) for part, array in enumerate(made)}
        tensors |= {f"{dtype}/{key}": array for key, (_, array) in flat.items()}
        names[dtype] = {key: name for key, (name, _) in flat.items()}
    facts = {
        "k2t.recording": FORMAT,
        "k2t.reference": reference.label,
        "k2t.inputs": json.dumps([asdict(spec) for spec in specs]),
        "k2t.names": json.dumps(names),
        "k2t.kinds": json.dumps(reference.kinds),
    }
    save_file({key: np.ascontiguousarray(array) for key, array in tensors.items()}, str(path), facts)


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
        arrays = [tensors[f"input/{index}"] for index in range(len(specs))]
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
        return Recording(facts["k2t.reference"], json.loads(facts["k2t.kinds"]), specs, arrays, traces)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadError(f"{path}: a broken recording: {error!r}") from error


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}
