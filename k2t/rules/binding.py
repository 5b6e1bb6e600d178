"""Which array of the file is which variable of a layer."""

from __future__ import annotations

from collections.abc import Sequence

from k2t.errors import ReadError
from k2t.graph import Layer, StoredArray
from k2t.program import Variable


def bind(variables: Sequence[Variable], layer: Layer) -> None:
    """Give each variable of `layer`, and of the layers inside it, its array.

    Raises:
        ReadError: an array is missing, surplus, or has another shape than the configuration says.
    """
    weights = layer.weights
    if weights is None:
        if variables:
            raise ReadError(f"layer {layer.name}: the file holds no weights for it; name their file with --weights")
        return
    if weights.tree is not None:
        pairs = from_tree(variables, weights.tree, layer)
    else:
        pairs = from_list(variables, weights.flat or (), layer)
    for variable, array in pairs:
        if array.shape != variable.shape:
            raise ReadError(
                f"layer {layer.name}: {variable.keras_name} must have shape {variable.shape}, "
                f"the file has {array.shape} ({array.name})"
            )
        variable.array = array


def from_tree(
    variables: Sequence[Variable], tree: dict[str, StoredArray], layer: Layer
) -> list[tuple[Variable, StoredArray]]:
    """By path; the states of random generators are no weights."""
    rest = {public(key): array for key, array in tree.items() if "seed_generator" not in key.split("/")}
    if missing := [variable for variable in variables if variable.key not in rest]:
        raise ReadError(f"layer {layer.name}: no weight at {missing[0].key} ({missing[0].keras_name}) in the file")
    if surplus := sorted(rest.keys() - {variable.key for variable in variables}):
        raise ReadError(f"layer {layer.name}: the file holds weights that it does not have: {', '.join(surplus)}")
    return [(variable, rest[variable.key]) for variable in variables]


def public(key: str) -> str:
    """Paths are names of attributes; those of inner layers are private in some releases: `_query_dense/vars/0`."""
    return "/".join(part.lstrip("_") or part for part in key.split("/"))


def from_list(
    variables: Sequence[Variable], arrays: Sequence[StoredArray], layer: Layer
) -> list[tuple[Variable, StoredArray]]:
    """By position: Keras writes the trainable variables first, then the others."""
    if len(arrays) != len(variables):
        names = ", ".join(variable.keras_name for variable in variables) or "none"
        raise ReadError(f"layer {layer.name}: has {len(variables)} weights ({names}), the file holds {len(arrays)}")
    if by_name := match_names(variables, arrays):
        return by_name
    ordered = sorted(variables, key=lambda variable: not variable.trainable)
    return list(zip(ordered, arrays, strict=True))


def match_names(
    variables: Sequence[Variable], arrays: Sequence[StoredArray]
) -> list[tuple[Variable, StoredArray]] | None:
    """By the inner layer's and the variable's name, where these tell all of a nested model's arrays apart."""
    wanted = {(*variable.owner[-1:], variable.name.rpartition("/")[2]): variable for variable in variables}
    found = {tuple(array.name.split(":")[0].split("/")[-2:]): array for array in arrays}
    if len(wanted) != len(variables) or wanted.keys() != found.keys():
        return None
    return [(variable, found[key]) for key, variable in wanted.items()]
