"""Augmentation of images: at random in training, nothing in evaluation."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from k2t.emit.helpers.image import crop_to_aspect_ratio
from k2t.emit.helpers.sampling import homography, projective_transform


def uniform(x: Tensor, low: float, high: float) -> Tensor:
    """A random number for each image, of shape (N, 1, 1, 1)."""
    return low + (high - low) * torch.rand(x.shape[0], 1, 1, 1, device=x.device, dtype=x.dtype)


class Augmentation(nn.Module):
    """Changes images (N, C, H, W) in training only."""

    def forward(self, x: Tensor) -> Tensor:
        return self.augment(x) if self.training else x

    def augment(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class RandomFlip(Augmentation):
    """Mirrors half of the images."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def augment(self, x: Tensor) -> Tensor:
        return torch.where(uniform(x, 0, 1) <= 0.5, x.flip(self.dims), x)


class RandomCrop(Augmentation):
    """The same part of all images, of this size; enlarged where an image is smaller."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def augment(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if height > self.height and width > self.width:
            top = int(torch.randint(height - self.height + 1, ()))
            left = int(torch.randint(width - self.width + 1, ()))
        else:
            top = (height - max(min(height, width * self.height // self.width), 1)) // 2
            left = (width - max(min(width, height * self.width // self.height), 1)) // 2
        x = x[:, :, top : top + self.height, left : left + self.width]
        return F.interpolate(x, size=(self.height, self.width), mode="bilinear")


def wrap(place: Tensor, size: int) -> Tensor:
    """The place in a repeated image; its last pixel reaches up to the next first one."""
    last = max(size - 1, 1)
    below, above = (
        place + size * ((-place / last).floor() + 1),
        place - size * (place / last).floor(),
    )
    return torch.where(place < 0, below, torch.where(place > size - 1, above, place))


class RandomAffine(Augmentation):
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

    def augment(self, x: Tensor) -> Tensor:
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


class RandomShear(Augmentation):
    """Moves rows by their number times a factor, and columns likewise.

    Args:
        mode: what lies outside: "reflect", "nearest", "wrap" or "constant", which is `value`.
    """

    def __init__(
        self,
        x_factor: tuple[float, float] = (0, 0),
        y_factor: tuple[float, float] = (0, 0),
        interpolation: str = "bilinear",
        mode: str = "reflect",
        value: float = 0.0,
    ) -> None:
        super().__init__()
        self.x_factor, self.y_factor = x_factor, y_factor
        self.interpolation, self.mode, self.value = interpolation, mode, value

    def augment(self, x: Tensor) -> Tensor:
        sign = torch.where(uniform(x, 0, 1) > 0.5, -1, 1)
        across, down = (
            (sign * uniform(x, *factor)).flatten() for factor in (self.x_factor, self.y_factor)
        )
        one, zero = torch.ones_like(across), torch.zeros_like(across)
        matrix = torch.stack([one, across, zero, down, one, zero, zero, zero], 1)
        return projective_transform(x, matrix, self.interpolation, self.mode, self.value)


class RandomPerspective(Augmentation):
    """Moves the corners of some images by up to `scale` / 2 of their distance from the first."""

    def __init__(
        self,
        factor: tuple[float, float] = (0, 1),
        scale: float = 1.0,
        interpolation: str = "bilinear",
        value: float = 0.0,
    ) -> None:
        super().__init__()
        self.factor, self.scale, self.interpolation, self.value = (
            factor,
            scale,
            interpolation,
            value,
        )

    def augment(self, x: Tensor) -> Tensor:
        right, bottom = x.shape[3] - 1, x.shape[2] - 1
        start = x.new_tensor([[0, 0], [right, 0], [0, bottom], [right, bottom]])
        start = start.expand(x.shape[0], -1, -1)
        end = start * (1 + self.scale * (torch.rand_like(start) - 0.5))
        moved = projective_transform(
            x, homography(start, end), self.interpolation, "constant", self.value
        )
        return torch.where(uniform(x, 0, 1) < uniform(x, *self.factor), moved, x)


class RandomSize(Augmentation):
    """Resizes all images to a random part of their height or width."""

    def __init__(
        self,
        height: tuple[float, float] = (1, 1),
        width: tuple[float, float] = (1, 1),
        mode: str = "bilinear",
    ) -> None:
        super().__init__()
        self.height, self.width, self.mode = height, width, mode

    def augment(self, x: Tensor) -> Tensor:
        factors = [float(uniform(x[:1], *factor)) for factor in (self.height, self.width)]
        size = [int(n * factor) for n, factor in zip(x.shape[2:], factors, strict=True)]
        return F.interpolate(x, size=size, mode=self.mode)


class RandomCropOrResize(RandomCrop):
    """In evaluation, the largest part in the middle that has the ratio of the size, resized."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.augment(x)
        x = crop_to_aspect_ratio(x, self.height, self.width)
        return F.interpolate(x, size=(self.height, self.width), mode="bilinear")
