"""The arrays of a file, handed to the layers that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import h5py

from k2t.errors import ReadError
from k2t.graph import Layer, StoredArray, Weights
from k2t.read.bundle import Bundle
from k2t.read.config import Model, saved
from k2t.read.eras import Era, modern_weights
from k2t.read.h5 import Store
from k2t.read.live import Live
from k2t.read.objects import ObjectReader
from k2t.read.shards import Shards

Stored = Store | Shards | Bundle | Live
# What an archive holds besides the layers.
NOT_LAYERS = frozenset({"optimizer", "_optimizer"})
OLD_LAYERS = "_layer_checkpoint_dependencies"
# The model's own variables in a legacy file.
TOP_LEVEL = "top_level_model_weights"


def attach(model: Model, stored: Stored, era: Era) -> tuple[str, ...]:
    """Give each layer of the outermost model its arrays; returns the names of those that belong to none.

    Raises:
        ReadError: the file is damaged, or holds the weights of another model.
    """
    if isinstance(stored, Live):
        return _attach_flat(model, stored.arrays(), stored.label, era)
    if isinstance(stored, Bundle):
        for layer, tree in ObjectReader(model, stored).trees().items():
            layer.weights = Weights(tree=tree)
        return ()
    if isinstance(stored, Shards):
        return _attach_tree(model, stored.arrays(NOT_LAYERS), stored.label)
    root = stored.group(stored.root, "model_weights") or stored.root
    names = stored.names(root, "layer_names")
    if names is not None:
        surplus = _attach_flat(model, _flat(stored, root, names), stored.label, era)
        own = _listed(stored, root, TOP_LEVEL) if TOP_LEVEL in root else []
        return (*surplus, *(array.name for array in own))
    if "nb_layers" in root.attrs:
        raise ReadError(f"{stored.label}: weights of Keras 0 are not supported; save the model with Keras 1 or later")
    return _attach_tree(model, stored.arrays(stored.root, NOT_LAYERS), stored.label)


def _flat(store: Store, root: h5py.Group, names: list[str]) -> dict[str, list[StoredArray]]:
    """Legacy HDF5: one list of arrays for each layer."""
    if len(set(names)) != len(names):
        raise ReadError(f"{store.label}: layer_names holds a name twice; the file is damaged")
    return {name: _listed(store, root, name) for name in names}


def _attach_flat(model: Model, stored: dict[str, list[StoredArray]], label: str, era: Era) -> tuple[str, ...]:
    partners = _partners(model.layers, stored, label)
    for layer in model.layers:
        arrays = stored.pop(partners.get(layer.name, layer.name), None)
        if arrays is not None:
            layer.weights = Weights(flat=modern_weights(layer, arrays, era))
    return tuple(array.name for arrays in stored.values() for array in arrays)


def _listed(store: Store, root: h5py.Group, name: str) -> list[StoredArray]:
    group = store.group(root, name)
    if group is None:
        raise ReadError(f"{store.label}: the group of the layer {name!r} is missing; the file is damaged")
    names = store.names(group, "weight_names") or []
    return [store.array(group, item, f"{name}/{item}") for item in names]


def _partners(layers: Sequence[Layer], stored: dict[str, list[StoredArray]], label: str) -> dict[str, str]:
    """Layer -> name under which the file has it, where these differ.

    Keras goes by position, not by name: names that Keras invents differ from one building of the model to the next.
    """
    with_arrays = {name for name, arrays in stored.items() if arrays}
    if with_arrays <= {layer.name for layer in layers} or [layer.path for layer in layers] == [""]:
        return {}  # the second is a subclassed model, whose layers are not known here
    names = list(stored)
    if len(names) == len(layers) + 1 and not stored[names[0]]:
        names = names[1:]  # an input, which the configuration has not as a layer
    if len(names) != len(layers):
        foreign = sorted(with_arrays - {layer.name for layer in layers})
        raise ReadError(f"{label}: holds weights of layers that the model does not have: {', '.join(foreign)}")
    return {layer.name: name for layer, name in zip(layers, names, strict=True)}


def _attach_tree(model: Model, stored: Iterator[tuple[str, StoredArray]], label: str) -> tuple[str, ...]:
    """Keras 3 and `.keras`: a path for each variable, below the path of its layer."""
    found, arrays = dict(stored), dict[str, StoredArray]()
    for path, modern in modern_paths(found).items():
        # tf.keras has attributes as private that are public today: `_query_dense`.
        key = "/".join(part.lstrip("_") for part in modern.split("/"))
        if key in arrays:
            raise ReadError(f"{label}: the array {key} exists twice; the file is damaged")
        if key.split("/")[0] not in NOT_LAYERS:
            arrays[key] = found[path]
    trees = _trees(arrays, model)
    for layer in saved(model.layers):
        layer.weights = Weights(tree=trees.pop(layer.path, {}))
    return tuple(array.name for tree in trees.values() for array in tree.values())


def _trees(arrays: dict[str, StoredArray], model: Model) -> dict[str, dict[str, StoredArray]]:
    """The arrays by the path of the outermost layer, then by their path below it."""
    if [layer.path for layer in model.layers] == [""]:
        return {"": arrays}
    copies: dict[str, list[str]] = {}
    for copy, original in model.aliases.items():
        copies.setdefault(original, []).append(copy)
    trees: dict[str, dict[str, StoredArray]] = {}
    copied = {path: array for key, array in arrays.items() for path in _copied(key, copies)}
    for path, array in {**copied, **arrays}.items():
        parts = path.split("/")
        trees.setdefault("/".join(parts[:2]), {})["/".join(parts[2:])] = array
    return trees


def _copied(key: str, copies: dict[str, list[str]]) -> list[str]:
    """The paths under which other layers look for an array that several share."""
    parts = key.split("/") if copies else []
    cuts = [("/".join(parts[:count]), parts[count:]) for count in range(2, len(parts))]
    return ["/".join((copy, *rest)) for prefix, rest in cuts for copy in copies.get(prefix, ())]


def modern_paths(paths: Iterable[str]) -> dict[str, str]:
    """The paths of an archive's arrays, each with the one that Keras gives to it today.

    Until 2.15, tf.keras joined them with backslashes on Windows. From 2.12 to 2.14, it had the layers under another
    name, and the counter also counted layers seen before.
    """
    plain = {path: "/".join(filter(None, path.replace("\\", "/").split("/"))) for path in paths}
    numbers: dict[tuple[str, str], set[int]] = {}
    for path in plain.values():
        for where, name, number, _ in _old_layers(path):
            numbers.setdefault((where, name), set()).add(number)
    ranks = {(*place, number): rank for place, found in numbers.items() for rank, number in enumerate(sorted(found))}
    return {path: _renumbered(key, ranks) for path, key in plain.items()}


def _renumbered(path: str, ranks: dict[tuple[str, str, int], int]) -> str:
    """A path with the names and numbers of today."""
    parts = path.split("/")
    for where, name, number, index in _old_layers(path):
        rank = ranks[where, name, number]
        parts[index - 1 : index + 1] = ["layers", f"{name}_{rank}" if rank else name]
    return "/".join(parts)


def _old_layers(key: str) -> list[tuple[str, str, int, int]]:
    """Each layer in an old path: the path of its list, its class, its number, and where in the path it stands."""
    parts = key.split("/")
    found = []
    for index in range(1, len(parts)):
        if parts[index - 1] == OLD_LAYERS:
            name, _, number = parts[index].rpartition("_")
            counted = bool(name) and number.isdecimal()
            found.append(
                ("/".join(parts[:index]), name if counted else parts[index], int(number) if counted else 0, index)
            )
    return found
