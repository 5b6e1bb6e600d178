"""Where a file keeps the weights inside a custom layer: under the names of its attributes, in the order of creation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k2t.errors import UntranslatableError
from k2t.graph import snake_case
from k2t.program import Variable
from k2t.rules.custom.objects import Chain, Inner, Instance, Sublayer
from k2t.rules.parts import Parts

# Stands before the number of a layer whose name and path are not known yet: layers are made before they are assigned.
UNNAMED = "#"


def class_name(item: Inner) -> str:
    """The class of a layer."""
    if isinstance(item, Chain):
        return "Sequential"
    return item.kind.name if isinstance(item, Instance) else item.layer.kind


class Paths:
    """The path of each layer in an archive: Keras visits attributes by name, private ones last, each layer once.

    Attributes:
        nested: whether lists inside lists are visited, which releases before Keras 3.16 do not.
    """

    def __init__(self, nested: bool) -> None:
        self.nested = nested
        self.found: dict[Parts, str] = {}

    def visit(self, item: Inner, path: str) -> None:
        """A layer at `path`, and those inside it."""
        if item.parts in self.found:
            return
        self.found[item.parts] = path
        if isinstance(item, Chain):
            self.container(item.layers, f"{path}/layers")
        elif isinstance(item, Instance):
            attributes = dict(item.attributes)
            if item.kind.library_base() == "Model":
                attributes["layers"] = list(direct(list(item.attributes.values())))
            for name in sorted(attributes, key=lambda name: f"~{name}" if name.startswith("_") else name):
                value, inner = attributes[name], f"{path}/{name.lstrip('_')}".lstrip("/")
                if isinstance(value, Inner):
                    self.visit(value, inner)
                elif isinstance(value, list | tuple | dict):
                    self.container(value, inner)

    def container(self, items: Any, path: str) -> None:
        """Layers in a list are named after their class, with a number."""
        counts: dict[str, int] = {}
        for item in items.values() if isinstance(items, dict) else items:
            is_layer = isinstance(item, Inner)
            if not is_layer and not (self.nested and isinstance(item, list | tuple | dict)):
                continue
            name = snake_case(class_name(item)).lstrip("_") if is_layer else "container"
            counts[name] = number = counts.get(name, -1) + 1
            inner = f"{path}/{name}_{number}" if number else f"{path}/{name}"
            if is_layer:
                self.visit(item, inner)
            else:
                self.container(item, inner)


def direct(item: Any) -> Iterator[Inner]:
    """The layers that a model has itself, those in lists included."""
    if isinstance(item, Inner):
        yield item
    elif isinstance(item, list | tuple | dict):
        for part in item.values() if isinstance(item, dict) else item:
            yield from direct(part)


def archive_paths(root: Instance) -> dict[Parts, str]:
    """The path of each layer inside a custom layer."""
    tree = root.layer.weights.tree if root.layer.weights else None
    paths = Paths(tree is None or any(part.startswith("container") for key in tree for part in key.split("/")))
    paths.visit(root, root.parts.key)
    return paths.found


def in_order(item: Any) -> Iterator[Inner]:
    """The layers inside in the order in which Keras tracks them: that of assignment."""
    if isinstance(item, Inner):
        yield item
        if isinstance(item, Instance | Chain):
            yield from in_order(item.attributes if isinstance(item, Instance) else item.layers)
    elif isinstance(item, list | tuple | dict):
        for part in item.values() if isinstance(item, dict) else item:
            yield from in_order(part)


def settle(root: Instance) -> None:
    """Give every variable inside a custom layer its path and its place, every module its name.

    Raises:
        UntranslatableError: a layer with weights is no attribute, so that its weights cannot be found.
    """
    paths = archive_paths(root)
    items = list(dict.fromkeys(in_order(root)))
    for item in sorted(items, key=lambda item: list(paths).index(item.parts)):
        if item is not root:
            move(item.parts, paths[item.parts], root.parts)
        if isinstance(item, Instance):
            number(item)
    places: dict[Variable, int] = {}
    for item in items:
        for parts in every(item.parts) if isinstance(item, Sublayer) else own_parts(item):
            places |= {variable: len(places) for variable in parts.declared.values() if variable not in places}
    lost = [variable for parts in every(root.parts) for variable in parts.declared.values() if variable not in places]
    if lost:
        raise UntranslatableError(f"the weight {lost[0].keras_name} is of a layer that is no attribute of self")
    if root.layer.weights is not None and not root.parts.in_archive:
        check_order(items)
    variables = root.parts.variables
    spots = sorted(variables.index(variable) for variable in places)
    for spot, variable in zip(spots, sorted(places, key=lambda item: places[item]), strict=True):
        variables[spot] = variable


def every(parts: Parts) -> Iterator[Parts]:
    """Those of all layers inside, too."""
    yield parts
    for child in parts.children.values():
        yield from every(child)


def own_parts(item: Inner) -> list[Parts]:
    """Where the variables of a layer of the file are declared; those of the layer of Keras it derives from, too."""
    base = item.base if isinstance(item, Instance) else None
    return [item.parts, *(every(base.parts) if base else [])]


def move(parts: Parts, path: str, root: Parts) -> None:
    """Everything inside `parts` is kept below `path`."""
    before, label = parts.key, f"self.{path.removeprefix(root.key).strip('/').replace('/', '.')}"
    renamed = {parts.layer.name: label} if parts.layer.name.startswith(UNNAMED) else {}
    parts.layer.name = renamed.get(parts.layer.name, parts.layer.name)
    for one in every(parts):
        one.key = path + one.key[len(before) :]
        one.owner = tuple(renamed.get(name, name) for name in one.owner)
        for variable in one.declared.values():
            variable.key = path + variable.key[len(before) :]
            variable.owner = tuple(renamed.get(name, name) for name in variable.owner)
        for made in one.modules.values():
            made.layer = f"{root.layer.name}_{label.removeprefix('self.')}"


def number(item: Instance) -> None:
    """An archive numbers a layer's own variables: those that are trained first."""
    own = [variable for parts in own_parts(item) for variable in parts.declared.values()]
    if item.base is None:
        for place, variable in enumerate(sorted(own, key=lambda variable: variable in item.frozen)):
            variable.key = "/".join(part for part in (item.parts.key, "vars", str(place)) if part)
    elif item.parts.declared and len(own) > len(item.parts.declared):
        raise UntranslatableError(f"{item.kind.name} adds weights to those of {item.base.layer.kind}")


def check_order(items: list[Inner]) -> None:
    """HDF5 keeps a list; Keras 2 and 3 order it alike only where layers are made in the order of the attributes."""
    made = [item.made for item in items if not isinstance(item, Chain)]
    if made != sorted(made):
        raise UntranslatableError(
            "it makes its layers in another order than it assigns them, so that HDF5 does not tell their weights "
            "apart; save the model as .keras"
        )
