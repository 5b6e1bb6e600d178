"""Calls of a Functional model: the three spellings of inbound nodes, and an order in which they can be computed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from k2t.errors import ReadError
from k2t.graph import Call, Ref, refs
from k2t.read.values import expect, is_serialized, plain, short

CONSTANT = "_CONSTANT_VALUE"
# What these arguments are when nobody passed them.
UNSET = ("mask", "training")

Resolve = Callable[[str, int, int], Ref]


@dataclass(frozen=True)
class Arguments:
    """What a layer is called with."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def arguments(node: Any, resolve: Resolve, names: frozenset[str], where: str) -> Arguments:
    """One inbound node: of Keras 3 (a dict of args and kwargs), or of Keras 1, 2 and tf.keras (lists)."""
    if isinstance(node, dict) and {"args", "kwargs"} <= node.keys():
        args = expect(_tensors(node["args"], resolve, where), list, where)
        kwargs = expect(_tensors(node["kwargs"], resolve, where), dict, where)
        if kwargs.get("training") is False:  # Dropout's default, which the mode of the model overrides in Keras 3
            del kwargs["training"]
    else:
        kwargs = {}
        first = _first_argument(node, resolve, names, kwargs, where)
        args = [first[0] if isinstance(first, list) and len(first) == 1 else first]
    return Arguments(tuple(args), {key: v for key, v in kwargs.items() if not (v is None and key in UNSET)})


def _tensors(value: Any, resolve: Resolve, where: str) -> Any:
    """Keras 3: symbolic tensors anywhere inside the arguments. Dictionaries are sorted, as Keras flattens them."""
    if isinstance(value, list):
        return [_tensors(item, resolve, where) for item in value]
    if is_serialized(value) and value["class_name"] == "__keras_tensor__":
        config = expect(value.get("config"), dict, where)
        return resolve(*_history(config.get("keras_history"), where))
    if isinstance(value, dict) and not is_serialized(value):
        return {key: _tensors(value[key], resolve, where) for key in sorted(value)}
    return plain(value)


def _first_argument(node: Any, resolve: Resolve, names: frozenset[str], kwargs: dict[str, Any], where: str) -> Any:
    """Older: a nesting of [layer, node, tensor, kwargs]; the other arguments stand with each tensor of the first."""
    if isinstance(node, dict):
        return {key: _first_argument(node[key], resolve, names, kwargs, where) for key in sorted(node)}
    items = expect(node, list, where)
    if not items or not isinstance(items[0], str):
        return [_first_argument(item, resolve, names, kwargs, where) for item in items]
    if len(items) not in (3, 4):
        raise ReadError(f"{where}: {short(items)} is no reference to a tensor; the configuration is damaged")
    if len(items) == 4:
        for key, value in expect(items[3], dict, where).items():
            kwargs[key] = _keyword(plain(value), resolve, names)
    return plain(items[2]) if items[0] == CONSTANT else resolve(*_history(items[:3], where))


def _keyword(value: Any, resolve: Resolve, names: frozenset[str]) -> Any:
    """A further argument of an older node, in which [layer, node, tensor] stands for a tensor."""
    if isinstance(value, list):
        if is_history(value) and value[0] in names:
            return resolve(*value)
        return [_keyword(item, resolve, names) for item in value]
    if isinstance(value, dict):
        return {key: _keyword(item, resolve, names) for key, item in value.items()}
    return value


def is_history(value: Any) -> bool:
    """Whether it is [layer, node, tensor]."""
    return isinstance(value, list) and len(value) == 3 and list(map(type, value)) == [str, int, int]


def _history(value: Any, where: str) -> tuple[str, int, int]:
    if not is_history(value):
        raise ReadError(f"{where}: {short(value)} is no reference to a tensor; the configuration is damaged")
    name, node, tensor = value
    return name, node, tensor


def boundary(structure: Any, resolve: Callable[[str, int, int], Any], where: str) -> Any:
    """`input_layers` or `output_layers`: the same nesting with each [layer, node, tensor] resolved."""
    if is_history(structure):
        return resolve(*structure)
    if isinstance(structure, dict):
        return {key: boundary(item, resolve, where) for key, item in structure.items()}
    return [boundary(item, resolve, where) for item in expect(structure, list, where)]


def in_order(calls: dict[str, Call], outputs: Any) -> tuple[Call, ...]:
    """The calls that the outputs need, each after those whose results it takes, else in the order given.

    Raises:
        ReadError: they depend on each other in a circle.
    """
    sources = {name: _sources(call, calls) for name, call in calls.items()}
    needed = _needed({ref.call for ref in refs(outputs)}, sources)
    users: dict[str, list[str]] = {name: [] for name in needed}
    missing = {name: len(sources[name]) for name in needed}
    for name in needed:
        for source in sources[name]:
            users[source].append(name)
    position = {name: index for index, name in enumerate(calls)}
    ready = [(position[name], name) for name in needed if not missing[name]]
    heapq.heapify(ready)
    ordered: list[Call] = []
    while ready:
        _, name = heapq.heappop(ready)
        ordered.append(calls[name])
        for user in users[name]:
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(ready, (position[user], user))
    if len(ordered) < len(needed):
        stuck = min((name for name in needed if missing[name]), key=position.__getitem__)
        raise ReadError(f"the layer {stuck!r} depends on its own output; the configuration is damaged")
    return tuple(ordered)


def as_run(calls: tuple[Call, ...], outputs: Any) -> tuple[Call, ...]:
    """The calls in the order in which Keras 3 computes them: the farthest from the outputs first.

    How far one is, it counts from the outputs back; a layer is as far as the farthest of its calls. Those that are
    equally far come as they are reached (keras.src.ops.function.map_graph).
    """
    named = {call.name: call for call in calls}
    sources = {name: [ref.call for ref in refs(_sorted(call)) if ref.call in named] for name, call in named.items()}
    depths: dict[str, int] = {}
    layers: dict[int, int] = {}
    for name in reversed(_traversed([ref.call for ref in refs(outputs) if ref.call in named], sources)):
        layer = id(named[name].layer)
        depths[name] = layers[layer] = max(depths.get(name, 0), layers.get(layer, 0))
        for source in sources[name]:
            depths[source] = max(depths.get(source, 0), depths[name] + 1)
    return tuple(named[name] for name in sorted(depths, key=depths.__getitem__, reverse=True))


def _sorted(call: Call) -> list[Any]:
    """The arguments as Keras 3 lists them: those with names by name."""
    return [*call.args, *(call.kwargs[key] for key in sorted(call.kwargs))]


def _traversed(roots: list[str], sources: dict[str, list[str]]) -> list[str]:
    """Each name behind its sources, as a search in depth leaves them."""
    done: dict[str, None] = {}
    for root in roots:
        stack = [root]
        while stack:
            missing = next((source for source in sources[stack[-1]] if source not in done), None)
            if missing is None:
                done[stack.pop()] = None
            else:
                stack.append(missing)
    return list(done)


def _sources(call: Call, calls: dict[str, Call]) -> set[str]:
    return {ref.call for ref in refs((call.args, call.kwargs)) if ref.call in calls}


def _needed(roots: set[str], sources: dict[str, set[str]]) -> set[str]:
    needed = {name for name in roots if name in sources}
    pending = list(needed)
    while pending:
        fresh = sources[pending.pop()] - needed
        needed |= fresh
        pending.extend(fresh)
    return needed


def histories(value: Any) -> Iterator[tuple[str, int]]:
    """Every (layer, node) that inbound nodes of either spelling refer to."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            if len(item) in (3, 4) and list(map(type, item[:3])) == [str, int, int]:
                yield item[0], item[1]
            pending.extend(item[3:] if item and isinstance(item[0], str) else item)
