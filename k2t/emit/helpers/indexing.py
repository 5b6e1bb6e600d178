"""Reductions of elements that share a number."""

import torch
from torch import Tensor


def segment_reduce(x: Tensor, ids: Tensor, count: int, how: str) -> Tensor:
    """The sum, product, maximum or minimum of the rows with each number from 0 to count - 1."""
    limits = torch.finfo(x.dtype)
    empty = {"sum": 0.0, "prod": 1.0, "amax": limits.min, "amin": limits.max}[how]
    start = x.new_full((count, *x.shape[1:]), empty)
    index = ids.reshape(-1, *[1] * (x.ndim - 1)).expand_as(x)
    return start.scatter_reduce(0, index, x, how)


def bincount_rows(x: Tensor, minlength: int = 0, weights: Tensor | None = None) -> Tensor:
    """How often each number is in each row."""
    size = max(minlength, int(x.max()) + 1)
    rows = [
        torch.bincount(row, None if weights is None else weights[i], size)
        for i, row in enumerate(x)
    ]
    return torch.stack(rows)


def scatter_reduce(x: Tensor, places: tuple[Tensor, ...], values: Tensor, reduce: str) -> Tensor:
    """Elements or slices of `x` at places, a tensor for each of the first axes, with `values`."""
    flat = x.flatten(0, len(places) - 1)
    place = places[0]
    for axis, other in enumerate(places[1:], 1):
        place = place * x.shape[axis] + other
    values = values.expand(*place.shape, *flat.shape[1:]).reshape(-1, *flat.shape[1:])
    place = place.reshape(-1, *[1] * (flat.ndim - 1)).expand_as(values)
    return flat.scatter_reduce(0, place, values, reduce).view_as(x)
