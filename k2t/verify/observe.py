"""Per-layer values of an emitted module: a copy of its code, instrumented in memory, reports them while it runs."""

from __future__ import annotations

import ast
import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from k2t.graph import Array
from k2t.verify.recorder import flatten

RECORD = "__k2t_record__"
# The variable of what a `return` computes, in the metadata and in the instrumented code.
RESULT = "__k2t_result__"
LOGITS = "logits"


@dataclass(frozen=True)
class Entry:
    """Where the output of a Keras call lies.

    Attributes:
        layer: Keras's name of the call in its model.
        owner: path of the module that is this Keras model; `module` may be a part of it.
        module: path of the module whose `forward` or `logits` computes it.
        statement: index in that body of the statement after which it is ready; None: it is the output of `module`.
        variable: the local variable that holds it then.
        permute: torch's axes in Keras's order, None where they agree.
    """

    layer: str
    owner: str
    module: str
    statement: int | None
    variable: str
    permute: tuple[int, ...] | None


@dataclass(frozen=True)
class Seen:
    """One value: `layer` is a path of calls below the module at `module`."""

    module: str
    layer: str
    arrays: tuple[Array, ...]


def entries(text: str) -> list[Entry]:
    """The entries in the metadata of a safetensors file."""
    return [
        Entry(
            item["layer"],
            item.get("owner", item["module"].rpartition(".")[0] if item["statement"] is None else item["module"]),
            item["module"],
            item["statement"],
            item["variable"],
            order(item["permute"]),
        )
        for item in json.loads(text)
    ]


def instrumented(tree: ast.Module) -> ast.Module:
    """A copy that calls `__k2t_record__(self, index, locals())` after every top-level statement of each class's body.

    The body is that of `logits` where a class has it, since `forward` only adds the last activation, else `forward`.
    """
    tree = copy.deepcopy(tree)
    for method in bodies(tree).values():
        method.body = list(_with_records(method))
    return ast.fix_missing_locations(tree)


def bodies(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """Class name -> the method that computes."""
    found = {}
    for item in tree.body:
        if isinstance(item, ast.ClassDef):
            methods = {method.name: method for method in item.body if isinstance(method, ast.FunctionDef)}
            method = methods.get("logits") or methods.get("forward")
            if method is not None:
                found[item.name] = method
    return found


def _with_records(method: ast.FunctionDef) -> Iterator[ast.stmt]:
    owner = method.args.args[0].arg
    for index, statement in enumerate(method.body):
        returned = statement.value if isinstance(statement, ast.Return) else None
        yield ast.Assign([ast.Name(RESULT, ast.Store())], returned) if returned else statement
        yield ast.parse(f"{RECORD}({owner}, {index}, locals())").body[0]
        if returned:
            yield ast.Return(ast.Name(RESULT, ast.Load()))


@dataclass
class Observer:
    """Collects the values of one run.

    Attributes:
        tree: the code of the module, not instrumented.
        entries: which values to keep.
    """

    tree: ast.Module
    entries: list[Entry]
    seen: list[Seen] = field(default_factory=list)
    _paths: dict[int, str] = field(default_factory=dict)
    _calls: Counter[str] = field(default_factory=Counter)
    _by_place: dict[tuple[str, int | None], list[Entry]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Entries by the place in which they are looked up."""
        for entry in self.entries:
            self._by_place.setdefault((entry.module, entry.statement), []).append(entry)

    def watch(self, model: Any) -> None:
        """Prepare for a run of `model`, an instance of the instrumented class."""
        self.seen.clear()
        self._calls.clear()
        modules = dict(model.named_modules())
        self._paths = {id(module): path for path, module in modules.items()}
        methods = bodies(self.tree)
        for (path, statement), inline in self._by_place.items():
            if statement is not None or path not in modules:
                continue
            parent, _, name = path.rpartition(".")
            if _calls(modules[parent], name, methods) == len(inline):  # else: which call is which?
                modules[path].register_forward_hook(self._hook(path, inline))
        for path, module in modules.items():
            if path and hasattr(module, "logits"):
                module.logits = self._keeping_logits(path, module.logits)

    def record(self, module: Any, statement: int, variables: dict[str, Any]) -> None:
        """Called after each statement of the instrumented module."""
        path = self._paths.get(id(module), "?")
        for entry in self._by_place.get((path, statement), ()):
            self._add(entry.owner, entry.owner, entry, variables.get(entry.variable))

    def _hook(self, path: str, inline: list[Entry]) -> Any:
        def observe(module: Any, args: Any, output: Any) -> None:
            entry = inline[self._calls[path] % len(inline)]
            self._calls[path] += 1
            self._add(entry.owner, path, entry, output)

        return observe

    def _keeping_logits(self, path: str, logits: Any) -> Any:
        def kept(*args: Any) -> Any:
            scores = logits(*args)
            self.seen.append(
                Seen(path, LOGITS, tuple(leaf.detach().cpu().numpy() for leaf in flatten(scores).values()))
            )
            return scores

        return kept

    def _add(self, parent: str, inside: str, entry: Entry, value: Any) -> None:
        """Keep a value; what modules below `inside` showed since the last one belongs to this call."""
        leaves = list(flatten(value).values())
        if not all(hasattr(leaf, "detach") for leaf in leaves):
            return
        arrays = tuple(in_keras_order(leaf, entry.permute) for leaf in leaves)
        call = entry.layer.removesuffix(f"#{LOGITS}")  # its softmax was moved behind the model that ends in it
        for index in range(len(self.seen) - 1, -1, -1):
            earlier = self.seen[index]
            if not _below(earlier.module, parent, inside):
                break
            kept = earlier.arrays
            if earlier.layer == LOGITS:  # laid out as the output of the model that they belong to
                kept = tuple(transposed(array, entry.permute) for array in kept)
            self.seen[index] = Seen(parent, f"{call}/{earlier.layer}", kept)
        self.seen.append(Seen(parent, entry.layer if call == entry.layer else f"{call}/{LOGITS}", arrays))

    def layers(self) -> dict[str, tuple[Array, ...]]:
        """Values by the path of their call; what no call claimed goes by the names of the modules around it."""
        found: dict[str, tuple[Array, ...]] = {}
        for item in self.seen:
            found.setdefault("/".join((*filter(None, item.module.split(".")), item.layer)), item.arrays)
        return found


def _below(path: str, parent: str, inside: str) -> bool:
    """Whether a value of module `path` belongs to the call that just ended: of module `inside`, or in `parent`."""
    if inside != parent:
        return path == inside or path.startswith(f"{inside}.")
    return path != parent and path.startswith(f"{parent}." if parent else "")


def _calls(parent: Any, name: str, methods: dict[str, ast.FunctionDef]) -> int:
    """How often a module calls `self.name`."""
    kind = type(parent).__name__
    if kind not in methods:
        return int(kind == "Sequential")
    method = methods[kind]
    calls = (node.func for node in ast.walk(method) if isinstance(node, ast.Call))
    return sum(isinstance(func, ast.Attribute) and ast.unparse(func) == f"self.{name}" for func in calls)


def in_keras_order(tensor: Any, permute: tuple[int, ...] | None) -> Array:
    """A torch tensor as an array, its axes as Keras has them."""
    return transposed(tensor.detach().cpu().numpy(), permute)


def transposed(array: Array, permute: tuple[int, ...] | None) -> Array:
    """An array with torch's axes, its axes as Keras has them."""
    if permute and len(permute) == array.ndim:
        return array.transpose(np.argsort(permute))
    return array


def order(permute: list[int] | None) -> tuple[int, ...] | None:
    """An order of axes as the metadata has it."""
    return None if permute is None else tuple(permute)
