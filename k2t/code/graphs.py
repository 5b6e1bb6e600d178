"""From recorded calls to the graph of a model, its layers in the order in which Keras has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k2t.code.objects import Given, Made, Net, Recorded, Tensor
from k2t.errors import UntranslatableError
from k2t.graph import Call, Graph, Input, Ref, map_structure, snake_case
from k2t.program import Size, leaves


def tensors(structure: Any) -> Iterator[Tensor]:
    """Every tensor of nested arguments, in order."""
    return (leaf for leaf in leaves(structure) if isinstance(leaf, Tensor))


def history(inputs: list[Tensor], outputs: Any) -> list[Recorded]:
    """The calls between inputs and outputs, in the order in which the code made them.

    Raises:
        UntranslatableError: an output depends on an input that is not among `inputs`.
    """
    ends = set(inputs)
    found: dict[Recorded, None] = {}
    pending = list(tensors(outputs))
    while pending:
        tensor = pending.pop()
        if tensor in ends or tensor.origin in found:
            continue
        if isinstance(tensor.origin, Given):
            if tensor.origin in [one.origin for one in inputs]:
                continue
            raise UntranslatableError(
                f"an output depends on the input {tensor.origin.name!r}, which is not among the inputs"
            )
        found[tensor.origin] = None
        pending += tensors((tensor.origin.args, tensor.origin.kwargs))
    return sorted(found, key=lambda call: call.number)


def graph_of(name: str, inputs: list[Tensor], outputs: Any) -> Graph:
    """The graph of a model."""
    calls = history(inputs, outputs)
    taken: set[str] = set()
    given = {tensor: input_of(tensor, taken) for tensor in inputs}
    names: dict[Recorded, str] = {}
    first: dict[Made, str] = {}
    for call in calls:
        base = first.get(call.made, call.made.layer.name)
        again = call.made in first
        name_of = f"{base}#1" if again else base
        number = 1
        while name_of in taken:
            number += 1
            name_of = f"{base}#{number}" if again else f"{base}_{number}"
        taken.add(name_of)
        names[call] = name_of
        first.setdefault(call.made, name_of)

    def reference(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        if leaf in given:
            return Ref(given[leaf].name)
        if isinstance(leaf.origin, Given):
            return Ref(leaf.origin.name)
        return Ref(names[leaf.origin], leaf.index)

    for made, own in first.items():
        made.layer.name = own
    made_calls = tuple(
        Call(names[call], call.made.layer, map_structure(reference, call.args), map_structure(reference, call.kwargs))
        for call in calls
    )
    return Graph(name, tuple(given.values()), made_calls, map_structure(reference, outputs))


def input_of(tensor: Tensor, taken: set[str]) -> Input:
    """An input of a graph; a tensor inside another model may be one, too."""
    if isinstance(tensor.value, Size):
        raise UntranslatableError("a size as the input of a model")
    name = tensor.origin.name if isinstance(tensor.origin, Given) else f"{tensor.origin.made.layer.name}_input"
    number, base = 1, name
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    taken.add(name)
    return Input(name, tensor.value.shape, tensor.value.dtype)


def ordered(inputs: list[Tensor], outputs: Any) -> list[Made]:
    """The layers of a Functional model as `model.layers` has them, inputs included: by depth, then by first visit.

    Source: `keras/src/ops/function.py`, `map_graph`.
    """
    visits: dict[Made, int] = {}
    done: list[Recorded | Given] = []
    seen: set[int] = set()
    ends = set(inputs)
    for output in tensors(outputs):
        visit(output, ends, visits, done, seen)
    depths: dict[int, int] = {}
    depth_of: dict[Made, int] = {}
    for node in reversed(done):
        depth = max(depths.get(id(node), 0), depth_of.get(node.made, 0))
        depth_of[node.made] = depths[id(node)] = depth
        for tensor in parents(node, ends):
            depths[id(tensor.origin)] = max(depth + 1, depths.get(id(tensor.origin), 0))
    for tensor in inputs:
        made = tensor.origin.made
        if made not in depth_of:
            depth_of[made] = 0
            visits.setdefault(made, -1)
    return sorted(depth_of, key=lambda made: (-depth_of[made], visits[made]))


def parents(node: Recorded | Given, ends: set[Tensor]) -> list[Tensor]:
    """What a call is made of."""
    return [] if isinstance(node, Given) else list(tensors((node.args, node.kwargs)))


def visit(
    output: Tensor, ends: set[Tensor], visits: dict[Made, int], done: list[Recorded | Given], seen: set[int]
) -> None:
    """Depth first, each call after what it is made of."""
    stack: list[tuple[Tensor, Iterator[Tensor]]] = []

    def enter(tensor: Tensor) -> None:
        node = tensor.origin
        if id(node) in seen:
            return
        seen.add(id(node))
        visits.setdefault(node.made, len(visits))
        stack.append((tensor, iter([] if tensor in ends else parents(node, ends))))

    enter(output)
    while stack:
        tensor, rest = stack[-1]
        following = next(rest, None)
        if following is None:
            done.append(tensor.origin)
            stack.pop()
        else:
            enter(following)


def is_function(made: Made) -> bool:
    """Whether it stands for a function of tensors, which `model.layers` does not list."""
    return made.layer.kind == "Function" or made.layer.kind.startswith("ops.")


def locate(layers: list[Made], prefix: str = "", known: dict[Made, str] | None = None) -> dict[str, str]:
    """Give each layer, and those inside models, the path where an archive keeps it.

    Returns:
        Path of each layer that another model before has, too -> where the archive keeps it, which is once.
    """
    used: dict[str, int] = {}
    known = {} if known is None else known
    copies: dict[str, str] = {}
    for made in layers:
        if is_function(made) or made.layer.kind == "InputLayer":
            continue
        name = snake_case(made.layer.kind.rpartition(">")[2])
        number = used[name] = used.get(name, -1) + 1
        made.layer.path = f"layers/{name}_{number}" if number else f"layers/{name}"
        path = f"{prefix}{made.layer.path}"
        if made in known:
            copies[path] = known[made]
            continue
        known[made] = path
        if isinstance(made, Net):
            inner = made.members if made.sequential else ordered(made.inputs, made.outputs)
            copies |= locate(inner, f"{path}/", known)
    return copies
