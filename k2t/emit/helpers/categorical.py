"""Categories as numbers and as vectors."""

import torch
from torch import Tensor, nn


class OneHot(nn.Module):
    """1 at the place that `x` names among `size`, else 0; all 0 where it names none."""

    places: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        # a buffer, so that the result has the dtype of the module
        self.register_buffer("places", torch.arange(float(size)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x[..., None] == self.places).to(self.places.dtype)


def discretize(x: Tensor, boundaries: Tensor) -> Tensor:
    """How many of the boundaries are not above `x`."""
    return torch.bucketize(x.to(boundaries.dtype), boundaries, right=True)


def look_up(x: Tensor, vocabulary: Tensor, start: int, missing: int | Tensor) -> Tensor:
    """`start` plus the place of `x` in the vocabulary; `missing` where it is not in it."""
    found = x[..., None] == vocabulary
    return torch.where(found.any(-1), found.to(torch.uint8).argmax(-1) + start, missing)


def at_place(x: Tensor, vocabulary: Tensor, start: int, missing: int) -> Tensor:
    """What the vocabulary, which begins at place `start`, has at place `x`; else `missing`."""
    place = x - start
    known = (place >= 0) & (place < len(vocabulary))
    return torch.where(known, vocabulary[place.clamp(0, len(vocabulary) - 1)], missing)
