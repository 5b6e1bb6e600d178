"""The emitted module: loaded, instrumented in memory, run."""

from __future__ import annotations

import ast
import copy
import json
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from k2t.errors import K2TError, ReadError
from k2t.graph import Array
from k2t.verify.parity import Dtype, Trace
from k2t.verify.recorder import flatten

RECORD = "__k2t_record__"


@dataclass(frozen=True)
class Port:
    """An input or output of the module.

    Attributes:
        permute: torch's axes in Keras's order: `torch = keras.permute(permute)`; None where they agree.
    """

    name: str
    dtype: str
    permute: tuple[int, ...] | None


@dataclass(frozen=True)
class Entry:
    """Where the output of a Keras call lies.

    Attributes:
        layer: Keras's name of the call in its model.
        module: path of the module whose `forward` or `logits` computes it.
        statement: index in that body of the statement after which it is ready.
        variable: the local variable that holds it then.
    """

    layer: str
    module: str
    statement: int
    variable: str
    permute: tuple[int, ...] | None


class Candidate:
    """A net.py and the weights beside it.

    Attributes:
        metadata: of the safetensors file.
    """

    def __init__(self, net: Path, device: str = "cpu") -> None:
        self.net = net
        self.device = device
        self.metadata = read_metadata(net.with_suffix(".safetensors"))
        self.inputs = [_port(item) for item in json.loads(self.metadata["k2t.inputs"])]
        self.outputs = [_port(item) for item in json.loads(self.metadata["k2t.outputs"])]
        self.entries: dict[tuple[str, int], list[Entry]] = {}
        for item in json.loads(self.metadata.get("k2t.layers", "[]")):
            entry = Entry(item["layer"], item["module"], item["statement"], item["variable"], _order(item["permute"]))
            self.entries.setdefault((entry.module, entry.statement), []).append(entry)
        self.tree = parse(net)
        self._records: list[tuple[str, str, tuple[Array, ...]]] = []

    def load(self, instrument: bool = True) -> Any:
        """The module in eval mode, from its own `load()`.

        Raises:
            K2TError: net.py does not run, or its weights do not fit.
        """
        namespace = types.ModuleType(self.net.stem)
        namespace.__file__ = str(self.net.resolve())
        tree = instrumented(self.tree) if instrument else self.tree
        setattr(namespace, RECORD, self._record)
        try:
            exec(compile(tree, str(self.net), "exec"), vars(namespace))
            return namespace.load(device=self.device)
        except Exception as error:
            raise K2TError(f"{self.net}: does not load: {type(error).__name__}: {error}") from error

    def run(self, names: list[str], arrays: list[Array], dtype: Dtype) -> Trace:
        """One pass in inference mode; every array of the result is in Keras's order.

        Args:
            names: Keras's names of the inputs.
            arrays: the inputs in Keras's order.
        """
        import torch

        model = self.load()
        model = model.to(getattr(torch, dtype)).eval()
        self._records, self._model = [], model
        self._paths = {id(module): path for path, module in model.named_modules()}
        tensors = self.tensors(names, arrays, dtype)
        with torch.no_grad(), exact_float32():
            try:
                outputs = model(*tensors)
            except Exception as error:
                raise K2TError(f"{self.net}: forward fails: {type(error).__name__}: {error}") from error
            layers = self._claimed()
            logits = model.logits(*tensors) if hasattr(model, "logits") else {}
        return Trace(self._named(outputs), self._named(logits) if hasattr(model, "logits") else {}, layers)

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
            floating = "float" in port.dtype
            ordered = array.transpose(port.permute) if port.permute else array
            tensor = torch.from_numpy(np.ascontiguousarray(ordered)).to(self.device)
            made.append(tensor.to(getattr(torch, dtype if floating else port.dtype)))
        return made

    def _named(self, outputs: Any) -> dict[str, Array]:
        if hasattr(outputs, "items"):
            permutes = {port.name: port.permute for port in self.outputs}
            return {name: in_keras_order(leaf, permutes.get(name)) for name, leaf in flatten(dict(outputs)).items()}
        leaves = flatten(outputs)
        if len(leaves) != len(self.outputs):
            raise K2TError(f"{self.net}: returns {len(leaves)} output(s), its metadata names {len(self.outputs)}")
        pairs = zip(leaves.items(), self.outputs, strict=True)
        return {name: in_keras_order(leaf, port.permute) for (name, leaf), port in pairs}

    def _record(self, module: Any, statement: int, variables: dict[str, Any]) -> None:
        """Called after each statement of the instrumented module."""
        path = self._paths.get(id(module), "?")
        for entry in self.entries.get((path, statement), ()):
            leaves = flatten(variables.get(entry.variable)).values()
            if all(hasattr(leaf, "detach") for leaf in leaves):
                arrays = tuple(in_keras_order(leaf, entry.permute) for leaf in leaves)
                self._claim(path, entry.layer)
                self._records.append((path, entry.layer, arrays))

    def _claim(self, parent: str, layer: str) -> None:
        """What modules inside `parent` recorded since its last statement belongs to the call of `layer`."""
        prefix = f"{parent}." if parent else ""
        for index in range(len(self._records) - 1, -1, -1):
            path, name, arrays = self._records[index]
            if path == parent or not path.startswith(prefix):
                break
            self._records[index] = (parent, f"{layer}/{name}", arrays)

    def _claimed(self) -> dict[str, tuple[Array, ...]]:
        """Layers by the path of their call; what a nested module left unclaimed goes by the module's own name."""
        named: dict[str, tuple[Array, ...]] = {}
        for path, name, arrays in self._records:
            named.setdefault("/".join((*filter(None, path.split(".")), name)), arrays)
        return named


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
    except (OSError, SyntaxError, ValueError) as error:
        raise ReadError(f"{net}: cannot be read: {error}") from error


def instrumented(tree: ast.Module) -> ast.Module:
    """A copy that calls `__k2t_record__(self, index, locals())` after every top-level statement of each class's body.

    The body is that of `logits` where a class has it, since `forward` only adds the last activation, else `forward`.
    """
    tree = copy.deepcopy(tree)
    for item in tree.body:
        if not isinstance(item, ast.ClassDef):
            continue
        methods = {method.name: method for method in item.body if isinstance(method, ast.FunctionDef)}
        method = methods.get("logits") or methods.get("forward")
        if method is not None:
            method.body = list(_with_records(method))
    return ast.fix_missing_locations(tree)


def _with_records(method: ast.FunctionDef) -> Iterator[ast.stmt]:
    owner = method.args.args[0].arg
    for index, statement in enumerate(method.body):
        yield statement
        if not isinstance(statement, ast.Return):
            yield ast.parse(f"{RECORD}({owner}, {index}, locals())").body[0]


def in_keras_order(tensor: Any, permute: tuple[int, ...] | None) -> Array:
    """A torch tensor as an array, its axes as Keras has them."""
    array: Array = tensor.detach().cpu().numpy()
    if permute and len(permute) == array.ndim:
        return array.transpose(np.argsort(permute))
    return array


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


def _port(item: dict[str, Any]) -> Port:
    return Port(item["name"], item["dtype"], _order(item["permute"]))


def _order(permute: list[int] | None) -> tuple[int, ...] | None:
    return None if permute is None else tuple(permute)
