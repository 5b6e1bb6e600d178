"""What takes the place of a layer without a translation."""

from __future__ import annotations

from torch import Tensor, nn


class Untranslated(nn.Module):
    """To be written by hand: a layer without a translation.

    What follows it expects the shape of its input.
    """

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{self.place} was not translated; write it here")
