"""The emitted module: loaded from its file, run."""

from __future__ import annotations

import ast
import json
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from k2t.errors import K2TError, ReadError
from k2t.graph import Array
from k2t.verify.observe import RECORD, Observer, entries, in_keras_order, instrumented, order
from k2t.verify.parity import NOISE, Dtype, Trace
from k2t.verify.recorder import flatten


@dataclass(frozen=True)
class Port:
    """An input or output of the module.

    Attributes:
        permute: torch's axes in Keras's order: `torch = keras.permute(permute)`; None where they agree.
    """

    name: str
    dtype: str
    permute: tuple[int, ...] | None


class Candidate:
    """A net.py and the weights beside it, or those of a reference.

    Args:
        tree: its code, if it is parsed already.
        metadata: what the file of its weights would say, if there is none.
        state: its state dict then.

    Attributes:
        inputs, outputs: in Keras's order.
    """

    def __init__(
        self,
        net: Path,
        device: str = "cpu",
        tree: ast.Module | None = None,
        metadata: Mapping[str, str] | None = None,
        state: Mapping[str, Array] | None = None,
    ) -> None:
        self.net = net
        self.device = device
        self.state = state if metadata else None
        self.metadata = metadata or read_metadata(net.with_suffix(".safetensors"))
        try:
            self.inputs = _ports(self.metadata["k2t.inputs"])
            self.outputs = _ports(self.metadata["k2t.outputs"])
            self._entries = entries(self.metadata.get("k2t.layers", "[]"))
        except (ValueError, KeyError, TypeError) as error:
            raise ReadError(f"{net.with_suffix('.safetensors')}: its metadata is broken: {error!r}") from error
        self.tree = tree or parse(net)

    def load(self, observer: Observer | None = None) -> Any:
        """The module in eval mode, from its own `load()`.

        Raises:
            K2TError: net.py does not run, or its weights do not fit.
        """
        namespace = types.ModuleType(self.net.stem)
        namespace.__file__ = str(self.net.resolve())
        tree = self.tree
        if observer is not None:
            tree = instrumented(tree)
            setattr(namespace, RECORD, observer.record)
        try:
            exec(compile(tree, str(self.net), "exec"), vars(namespace))
            return namespace.load(device=self.device) if self.state is None else self._filled(namespace)
        except Exception as error:
            raise K2TError(f"{self.net}: does not load: {type(error).__name__}: {error}") from error

    def _filled(self, namespace: types.ModuleType) -> Any:
        """The module, made with the arguments of the reference, and with its weights."""
        import torch

        arguments = json.loads(self.metadata.get("k2t.arguments", "{}"))
        given = {name: with_tuples(value) for name, value in arguments.items()}
        load = None if given else getattr(namespace, "load", None)  # it reads long constants
        model = load() if load else getattr(namespace, self.metadata["k2t.class"])(**given)
        state = {key: torch.from_numpy(array) for key, array in (self.state or {}).items()}
        trained = {key for key, _ in model.named_parameters()}
        constants = {key: value for key, value in model.state_dict().items() if key not in trained}
        model.load_state_dict(constants | state)
        return model.eval().to(self.device)

    def run(self, names: list[str], arrays: list[Array], dtype: Dtype) -> Trace:
        """One pass in inference mode; every array of the result is in Keras's order.

        Args:
            names: Keras's names of the inputs.
            arrays: the inputs in Keras's order.

        Raises:
            K2TError: the module does not load or run.
        """
        import torch

        observer = Observer(self.tree, self._entries)
        tensors = self.tensors(names, arrays, dtype)
        with torch.no_grad(), exact_float32(), default_dtype(dtype), without_noise():
            model = self.load(observer).to(getattr(torch, dtype)).eval()
            observer.watch(model)
            try:
                outputs = self._named(model(*tensors))
                layers = observer.layers()
                logits = self._named(model.logits(*tensors)) if hasattr(model, "logits") else {}
            except Exception as error:
                raise K2TError(f"{self.net}: forward fails: {type(error).__name__}: {error}") from error
        return Trace(outputs, logits, layers)

    def tensors(self, names: list[str], arrays: list[Array], dtype: Dtype) -> list[Any]:
        """The module's inputs on its device: matched by name where the names agree, else by position."""
        import torch

        if len(arrays) != len(self.inputs):
            raise K2TError(f"{self.net}: takes {len(self.inputs)} input(s), the reference {len(arrays)}")
        by_name = dict(zip(names, arrays, strict=True))
        if set(by_name) == {port.name for port in self.inputs} and len(by_name) == len(arrays):
            arrays = [by_name[port.name] for port in self.inputs]
        made = []
        for array, port in zip(arrays, self.inputs, strict=True):
            if port.dtype == "string":
                made.append(array.tolist())
                continue
            ordered = array.transpose(port.permute) if port.permute else array
            tensor = torch.from_numpy(np.ascontiguousarray(ordered)).to(self.device)
            made.append(tensor.to(getattr(torch, dtype if "float" in port.dtype else port.dtype)))
        return made

    def _named(self, outputs: Any) -> dict[str, Array]:
        leaves = flatten(outputs)
        if len(leaves) != len(self.outputs):
            raise K2TError(f"returns {len(leaves)} output(s), the metadata names {len(self.outputs)}")
        pairs = zip(leaves.items(), self.outputs, strict=True)
        return {name: in_keras_order(leaf, port.permute) for (name, leaf), port in pairs}


def read_metadata(weights: Path) -> dict[str, str]:
    """Metadata of a safetensors file.

    Raises:
        ReadError: there is no such file, it is broken, or k2t did not write it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(weights), framework="numpy") as file:
            metadata = dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise ReadError(f"{weights}: cannot be read: {error}") from error
    missing = {"k2t.inputs", "k2t.outputs"} - metadata.keys()
    if missing:
        raise ReadError(f"{weights}: not written by k2t: its metadata has no {', '.join(sorted(missing))}")
    return metadata


def parse(net: Path) -> ast.Module:
    """The syntax tree of net.py."""
    try:
        return ast.parse(net.read_text("utf-8"), str(net))
    except OSError as error:
        raise ReadError(f"{net}: cannot be opened ({error.strerror})") from error
    except (SyntaxError, ValueError) as error:
        raise ReadError(f"{net}: is no Python file that k2t wrote ({error})") from error


@contextmanager
def default_dtype(dtype: Dtype) -> Iterator[None]:
    """Within it, modules are made in that dtype, so that the constants of a configuration are not rounded first."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def exact_float32() -> Iterator[None]:
    """TF32 keeps 10 bits of a float32's mantissa: a CUDA device that uses it fails for no fault of the module."""
    import torch

    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value


def with_tuples(value: Any) -> Any:
    """JSON has no tuples, and modules take no lists for sizes."""
    return tuple(map(with_tuples, value)) if isinstance(value, list) else value


@contextmanager
def without_noise() -> Iterator[None]:
    """Within it, random numbers are `NOISE`, which a reference that runs code draws, too."""
    import torch

    def full(*size: Any, **options: Any) -> Any:
        return torch.full(size[0] if len(size) == 1 and not isinstance(size[0], int) else size, NOISE, **options)

    def like(tensor: Any, **options: Any) -> Any:
        return torch.full_like(tensor, NOISE, **options)

    own: dict[str, Any] = {"randn": full, "rand": full, "randn_like": like, "rand_like": like}
    before = {name: getattr(torch, name) for name in own}
    vars(torch).update(own)
    try:
        yield
    finally:
        vars(torch).update(before)


def _ports(text: str) -> list[Port]:
    return [Port(item["name"], item["dtype"], order(item["permute"])) for item in json.loads(text)]
