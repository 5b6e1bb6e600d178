"""The objects of a checkpoint and the layers of a model, side by side: which tensor is which variable of which layer.

A model has its layers as `layer-0`, `layer-1`, ...; whatever else an object has goes by the name of the attribute.
"""

from __future__ import annotations

from k2t.errors import ReadError
from k2t.graph import Layer, StoredArray
from k2t.read.bundle import Bundle, Node
from k2t.read.config import Model

Tree = dict[str, StoredArray]

# What SavedModel adds to a layer: its variables once more, and what is none of them.
NOT_OWN = frozenset(
    {"variables", "trainable_variables", "non_trainable_variables", "regularization_losses", "keras_api", "states"}
)


class ObjectReader:
    """Reads the variables of the layers of one model."""

    def __init__(self, model: Model, bundle: Bundle) -> None:
        self.model = model
        self.bundle = bundle
        self.nodes = bundle.nodes()

    def trees(self) -> dict[Layer, Tree]:
        """The arrays of each layer of the outermost model, by their paths in a `.keras` archive.

        Raises:
            ReadError: the checkpoint is of another model, or damaged.
        """
        if "" not in self.model.slots:
            return {layer: self.tree(layer, self.nodes[0]) for layer in self.model.layers}
        return {layer: self.tree(layer, node) for layer, node in self.members("", self.nodes[0])}

    def members(self, model: Layer | str, node: Node) -> list[tuple[Layer, Node]]:
        """The layers of a model with their objects."""
        slots = self.model.slots[model]
        numbers = [node.children.get(f"layer-{index}") for index in range(len(slots) + 1)]
        if numbers[-1] is not None or None in numbers[:-1]:
            raise ReadError(f"{self.bundle.prefix}: a checkpoint of another model, which has not {len(slots)} layers")
        return [(slot, self.nodes[n]) for slot, n in zip(slots, numbers, strict=False) if slot and n is not None]

    def tree(self, layer: Layer, node: Node) -> Tree:
        """The arrays of one layer, and of those inside it."""
        if layer.graph is not None:
            parts = [(inner.path, self.tree(inner, child)) for inner, child in self.members(layer, node)]
            return {f"{path}/{key}": array for path, tree in parts for key, array in tree.items()}
        return self.attributes(layer, node, set())

    def attributes(self, layer: Layer | None, node: Node, seen: set[int]) -> Tree:
        """The arrays of an object by attributes: its own in the order in which they were made, then what is inside."""
        tree: Tree = {}
        inside: Tree = {}
        for name, number in node.children.items():
            child = self.nodes[number]
            if number in seen or name in NOT_OWN:
                continue
            if child.key:
                seen.add(number)
                tree[f"vars/{len(tree)}"] = self.bundle.array(child.key, child.name)
            else:
                inside |= {
                    f"{path}/{key}": array
                    for path, own in self.inner(layer, name, number, seen)
                    for key, array in own.items()
                }
        return tree | inside

    def inner(self, layer: Layer | None, name: str, number: int, seen: set[int]) -> list[tuple[str, Tree]]:
        """The arrays of an attribute: of the layer or the layers that the configuration has there, or of any object."""
        node, path = self.nodes[number], name.lstrip("_")
        option = self.option(layer, path)
        if isinstance(option, Layer):
            return [(path, self.tree(option, node))]
        if isinstance(option, list):
            items = [(item, node.children.get(str(index))) for index, item in enumerate(option)]
            return [(item.path, self.tree(item, self.nodes[n])) for item, n in items if n is not None]
        seen.add(number)
        return [(path, self.attributes(None, node, seen))]

    def option(self, layer: Layer | None, name: str) -> Layer | list[Layer] | None:
        """What the configuration of a layer has under the name of an attribute."""
        found = layer.options.get(name) if layer else None
        if layer and found is None and name.endswith("ward_layer"):  # Bidirectional makes its two from one
            found = layer.options.get("layer")
        if isinstance(found, list) and any(isinstance(item, Layer) for item in found):
            return [item for item in found if isinstance(item, Layer)]
        return found if isinstance(found, Layer) else None
