"""The cheapest assignment of two labels to the nodes of a graph: a minimum cut, component by component."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

# One tensor: the node that makes it, and the nodes that read it. It costs 1 when any of these has another label.
Edge = tuple[int, tuple[int, ...]]


def cheapest(fixed: dict[int, bool], edges: Sequence[Edge], default: dict[int, bool]) -> dict[int, bool]:
    """A label for every node such that the fewest edges join different labels.

    Args:
        fixed: nodes whose label is given.
        edges: the tensors between nodes.
        default: every free node, with the label it takes where the cost is the same.
    """
    labels = dict(fixed)
    for component, own in components(default.keys(), edges, fixed):
        around = {fixed[node] for edge in own for node in (edge[0], *edge[1]) if node in fixed}
        if len(around) == 2:
            labels |= minimum_cut(component, own, fixed)
        else:
            label = around.pop() if around else any(default[node] for node in component)
            labels |= dict.fromkeys(component, label)
    return labels


def components(
    free: Iterable[int], edges: Sequence[Edge], fixed: dict[int, bool]
) -> Iterable[tuple[list[int], list[Edge]]]:
    """Free nodes that touch each other, with all edges at them."""
    at: dict[int, list[int]] = defaultdict(list)
    for number, (maker, readers) in enumerate(edges):
        for node in {maker, *readers} - fixed.keys():
            at[node].append(number)
    seen: set[int] = set()
    for start in free:
        if start in seen:
            continue
        seen.add(start)
        component, own, todo = [start], dict[int, None](), [start]
        while todo:
            for number in at[todo.pop()]:
                if number in own:
                    continue
                own[number] = None
                maker, readers = edges[number]
                new = [node for node in {maker, *readers} if node not in fixed and node not in seen]
                seen.update(new)
                component += new
                todo += new
        yield component, [edges[number] for number in own]


SOURCE, SINK = -1, -2


def minimum_cut(component: list[int], edges: list[Edge], fixed: dict[int, bool]) -> dict[int, bool]:
    """Nodes on the side of True (the source) and of False (the sink), by augmenting paths of unit capacity."""
    capacity: dict[object, dict[object, float]] = defaultdict(dict)

    def name(node: int) -> int:
        return node if node not in fixed else SOURCE if fixed[node] else SINK

    def connect(start: object, end: object, size: float) -> None:
        capacity[start][end] = capacity[start].get(end, 0) + size
        capacity[end].setdefault(start, 0)

    for number, (maker, readers) in enumerate(edges):
        connect(name(maker), ("out", number), 1)
        connect(("in", number), name(maker), 1)
        for reader in readers:
            connect(("out", number), name(reader), float("inf"))
            connect(name(reader), ("in", number), float("inf"))
    reached = augment(capacity)
    return {node: node in reached for node in component}


def augment(capacity: dict[object, dict[object, float]]) -> set[object]:
    """Fill the network; returns what the source still reaches."""
    while True:
        parent: dict[object, object] = {SOURCE: SOURCE}
        queue = deque([SOURCE])
        while queue and SINK not in parent:
            node: object = queue.popleft()
            for neighbour, room in capacity[node].items():
                if room > 0 and neighbour not in parent:
                    parent[neighbour] = node
                    queue.append(neighbour)  # type: ignore[arg-type]
        if SINK not in parent:
            return set(parent)
        end: object = SINK
        while end != SOURCE:
            start = parent[end]
            capacity[start][end] -= 1
            capacity[end][start] += 1
            end = start
