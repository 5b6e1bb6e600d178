"""Augmentation of images: at random in training, nothing in evaluation."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def uniform(x: Tensor, low: float, high: float) -> Tensor:
    """A random number for each image, of shape (N, 1, 1, 1)."""
    return low + (high - low) * torch.rand(x.shape[0], 1, 1, 1, device=x.device, dtype=x.dtype)


class RandomFlip(nn.Module):
    """Mirrors half of the images."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(uniform(x, 0, 1) <= 0.5, x.flip(self.dims), x) if self.training else x


class RandomBrightness(nn.Module):
    """Adds between `low` and `high` to each image, within the range of values."""

    def __init__(
        self, low: float, high: float, value_range: tuple[float, float] = (0, 255)
    ) -> None:
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def forward(self, x: Tensor) -> Tensor:
        return (
            (x + uniform(x, self.low, self.high)).clamp(*self.value_range) if self.training else x
        )


class RandomContrast(nn.Module):
    """Multiplies what differs from the mean by `low` to `high`, within the range of values."""

    def __init__(
        self, low: float, high: float, value_range: tuple[float, float] = (0, 255)
    ) -> None:
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        mean = x.mean((2, 3), keepdim=True)
        return (mean + (x - mean) * uniform(x, self.low, self.high)).clamp(*self.value_range)


def wrap(place: Tensor, size: int) -> Tensor:
    """The place in a repeated image; its last pixel reaches up to the next first one."""
    last = max(size - 1, 1)
    below, above = (
        place + size * ((-place / last).floor() + 1),
        place - size * (place / last).floor(),
    )
    return torch.where(place < 0, below, torch.where(place > size - 1, above, place))


class RandomAffine(nn.Module):
    """Draws each pixel from another place of the image: turned, zoomed or moved at random.

    Args:
        angle: in turns.
        height_zoom, width_zoom: pixels of the image for one of the output; None: as the height's.
        height_shift, width_shift: parts of the size.
        mode: what lies outside: "reflection", "border", "circular", or "zeros", which is `value`.
    """

    def __init__(
        self,
        angle: tuple[float, float] = (0, 0),
        height_zoom: tuple[float, float] = (1, 1),
        width_zoom: tuple[float, float] | None = None,
        height_shift: tuple[float, float] = (0, 0),
        width_shift: tuple[float, float] = (0, 0),
        interpolation: str = "bilinear",
        mode: str = "reflection",
        value: float = 0.0,
    ) -> None:
        super().__init__()
        self.angle, self.height_zoom, self.width_zoom = angle, height_zoom, width_zoom
        self.height_shift, self.width_shift = height_shift, width_shift
        self.interpolation, self.mode, self.value = interpolation, mode, value

    def forward(self, x: Tensor) -> Tensor:
        return self.draw(x) if self.training else x

    def draw(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        rows = (
            torch.arange(height, device=x.device, dtype=x.dtype).reshape(1, -1, 1, 1)
            - (height - 1) / 2
        )
        columns = (
            torch.arange(width, device=x.device, dtype=x.dtype).reshape(1, 1, -1, 1)
            - (width - 1) / 2
        )
        angle = 2 * math.pi * uniform(x, *self.angle)
        down, across = (
            height * uniform(x, *self.height_shift),
            width * uniform(x, *self.width_shift),
        )
        row_zoom = uniform(x, *self.height_zoom)
        column_zoom = row_zoom if self.width_zoom is None else uniform(x, *self.width_zoom)
        i = (columns * angle.sin() + rows * angle.cos()) * row_zoom - down
        j = (columns * angle.cos() - rows * angle.sin()) * column_zoom - across
        return self.sample(x - self.value, i + (height - 1) / 2, j + (width - 1) / 2) + self.value

    def sample(self, x: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """The image at rows `i` and columns `j`."""
        mode = self.mode
        if mode == "circular":
            i, j, mode = wrap(i, x.shape[2]), wrap(j, x.shape[3]), "border"
        grid = torch.cat(((2 * j + 1) / x.shape[3] - 1, (2 * i + 1) / x.shape[2] - 1), dim=3)
        return F.grid_sample(x, grid, self.interpolation, mode, align_corners=False)


class InferenceOnly(nn.Module):
    """An augmentation without a translation: nothing in evaluation, an error in training."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            raise NotImplementedError(f"{self.name} cannot be trained with: replace or remove it")
        return x
