"""The nodes of the layout decision."""

from __future__ import annotations

from k2t.program import Value


class Labels:
    """Nodes of the decision: True is channels first, False is Keras's order.

    Attributes:
        fixed: nodes with a given label.
        reads: (operation, value) -> the node whose label says how the operation reads the value.
        makes: value -> the node whose label says how it is made.
        frames: values whose channels go behind the frame axis: (N, T, C, ...).
    """

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.fixed: dict[int, bool] = {}
        self.reads: dict[tuple[int, Value], int] = {}
        self.makes: dict[Value, int] = {}
        self.prefers: set[int] = set()
        self.frames: set[Value] = set()

    def new(self, fixed: bool | None = None) -> int:
        """A node, free or with a label."""
        self.parent.append(len(self.parent))
        if fixed is not None:
            self.fixed[len(self.parent) - 1] = fixed
        return len(self.parent) - 1

    def find(self, node: int) -> int:
        """The node that stands for all that are joined with `node`."""
        while self.parent[node] != node:
            self.parent[node] = self.parent[self.parent[node]]
            node = self.parent[node]
        return node

    def join(self, first: int, second: int) -> None:
        """Both have the same label; Keras's order where they cannot."""
        first, second = self.find(first), self.find(second)
        if first == second:
            return
        self.parent[second] = first
        given = [self.fixed.pop(node) for node in (first, second) if node in self.fixed]
        if given:
            self.fixed[first] = all(given)
