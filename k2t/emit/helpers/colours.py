"""Augmentation of colours: at random in training, nothing in evaluation."""

import torch
from torch import Tensor
from torch.nn import functional as F

from k2t.emit.helpers.augmentation import Augmentation, uniform
from k2t.emit.helpers.image import auto_contrast
from k2t.emit.helpers.operations import hsv_to_rgb, rgb_to_hsv


def rescale(x: Tensor, old: tuple[float, float], new: tuple[float, float]) -> Tensor:
    """Values of one range in another."""
    return (x - old[0]) / (old[1] - old[0]) * (new[1] - new[0]) + new[0]


def grayscale(x: Tensor) -> Tensor:
    """The brightness of RGB images (N, 3, H, W), of shape (N, 1, H, W)."""
    return 0.2989 * x[:, :1] + 0.5870 * x[:, 1:2] + 0.1140 * x[:, 2:]


class RandomColour(Augmentation):
    """An augmentation by a number between `low` and `high`, within a range of values."""

    def __init__(
        self, low: float, high: float, value_range: tuple[float, float] = (0, 255)
    ) -> None:
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def factor(self, x: Tensor) -> Tensor:
        """One for each image."""
        return uniform(x, self.low, self.high)


class RandomBrightness(RandomColour):
    """Adds the number to each image."""

    def augment(self, x: Tensor) -> Tensor:
        return (x + self.factor(x)).clamp(*self.value_range)


class RandomContrast(RandomColour):
    """Multiplies what differs from the mean."""

    def augment(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return (mean + (x - mean) * self.factor(x)).clamp(*self.value_range)


class RandomHue(RandomColour):
    """Turns the hue by up to half of a turn."""

    def augment(self, x: Tensor) -> Tensor:
        shift = torch.where(uniform(x, 0, 1) > 0.5, -0.5, 0.5) * self.factor(x)
        hue, saturation, value = rgb_to_hsv(rescale(x, self.value_range, (0, 1))).chunk(3, 1)
        hue = hue + shift
        hue = torch.where(hue > 1, hue - 1, hue)
        hue = torch.where(hue < 0, hue + 1, hue)
        x = hsv_to_rgb(torch.cat([hue, saturation, value], 1)).clamp(0, 1)
        return rescale(x, (0, 1), self.value_range)


class RandomSaturation(RandomColour):
    """Multiplies the saturation: by 0 for the number 0, by 1 for 0.5, by any for 1."""

    def augment(self, x: Tensor) -> Tensor:
        factor = self.factor(x)
        hue, saturation, value = rgb_to_hsv(x).chunk(3, 1)
        saturation = (saturation * (factor / (1 - factor + 1e-7))).clamp(*self.value_range)
        return hsv_to_rgb(torch.cat([hue, saturation, value], 1))


class RandomColorDegeneration(RandomColour):
    """Moves colours towards grey."""

    def augment(self, x: Tensor) -> Tensor:
        return (x + self.factor(x) * (grayscale(x) - x)).clamp(*self.value_range)


class RandomSharpness(RandomColour):
    """Moves pixels away from the mean of their neighbours, or towards it below 0.5."""

    def augment(self, x: Tensor) -> Tensor:
        kernel = torch.full_like(x[:1, :1, :1, :1], 1 / 13).repeat(x.shape[1], 1, 3, 3)
        kernel[:, :, 1, 1] = 5 / 13
        smooth = F.conv2d(x, kernel, padding=1, groups=x.shape[1])
        return (x + (1 - 2 * self.factor(x)) * (smooth - x)).clamp(*self.value_range)


class RandomInvert(RandomColour):
    """Inverts each image with a probability between `low` and `high`."""

    def augment(self, x: Tensor) -> Tensor:
        return torch.where(uniform(x, 0, 1) < self.factor(x), self.value_range[1] - x, x)


class RandomPosterization(RandomColour):
    """Keeps the upper bits of each value: `low` to `high` - 1 of 8, or `low` if that is `high`."""

    def augment(self, x: Tensor) -> Tensor:
        bits = uniform(x, self.low, self.high).floor()
        step = 2 ** (8 - bits)
        x = (rescale(x, self.value_range, (0, 255)).trunc() / step).floor() * step
        return rescale(x, (0, 255), self.value_range)


class RandomGrayscale(Augmentation):
    """Each image without colours, with a probability."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def augment(self, x: Tensor) -> Tensor:
        return torch.where(uniform(x, 0, 1) < self.p, grayscale(x), x)


class Solarization(Augmentation):
    """Adds to each image and inverts what is above a threshold, both of 255."""

    def __init__(
        self,
        addition: tuple[float, float],
        threshold: tuple[float, float],
        value_range: tuple[float, float] = (0, 255),
    ) -> None:
        super().__init__()
        self.addition, self.threshold, self.value_range = addition, threshold, value_range

    def augment(self, x: Tensor) -> Tensor:
        x = rescale(x, self.value_range, (0, 255))
        y = (x + uniform(x, *self.addition)).clamp(0, 255)
        y = torch.where(y < uniform(x, *self.threshold), y, 255 - y)
        return rescale(y, (0, 255), self.value_range)


class AutoContrast(Augmentation):
    """Spreads the values of each channel over the whole range."""

    def __init__(self, value_range: tuple[float, float] = (0, 255)) -> None:
        super().__init__()
        self.value_range = value_range

    def augment(self, x: Tensor) -> Tensor:
        return auto_contrast(x, (2, 3), *self.value_range)


class Equalization(Augmentation):
    """Spreads the values of each channel of a batch, so that all are about as frequent."""

    def __init__(self, value_range: tuple[float, float] = (0, 255), bins: int = 256) -> None:
        super().__init__()
        self.value_range, self.bins = value_range, bins

    def augment(self, x: Tensor) -> Tensor:
        x = rescale(x, self.value_range, (0, 255))
        x = torch.stack([self.equalize(channel) for channel in x.unbind(1)], 1)
        return rescale(x, (0, 255), self.value_range)

    def equalize(self, x: Tensor) -> Tensor:
        """One channel of all images."""
        places = (x.float() * (self.bins - 1) / 255).int().clamp(0, self.bins - 1)
        counts = torch.bincount(places.flatten(), minlength=self.bins)
        total = counts.cumsum(0).to(x.dtype)
        least = total[total > 0][0]
        table = ((total - least) * 255 / (total[-1] - least).clamp(min=1)).round().clamp(0, 255)
        found = table[(x / 255 * (self.bins - 1)).clamp(0, self.bins - 1).int()]
        return torch.where((counts > 0).sum() > 1, found, x)


def equalize_tiles(
    x: Tensor,
    limit: float = 4.0,
    tiles: tuple[int, int] = (8, 8),
    value_range: tuple[float, float] = (0, 255),
) -> Tensor:
    """Contrast limited adaptive histogram equalization, interpolated between tiles.

    Args:
        limit: no value counts more often than this times the mean, if it is above 0; what is
            more is shared by all values.
    """
    rows, columns = tiles
    height, width = x.shape[2:]
    high, wide = -(-height // rows), -(-width // columns)
    y = rescale(x.float(), value_range, (0, 255))
    y = torch.cat([y, y[:, :, height - (high * rows - height) :].flip(2)], 2)
    y = torch.cat([y, y[:, :, :, width - (wide * columns - width) :].flip(3)], 3)
    levels = y.clamp(0, 255).long()
    blocks = levels.reshape(*x.shape[:2], rows, high, columns, wide).transpose(3, 4)
    counts = F.one_hot(blocks.flatten(4), 256).sum(-2).float()  # as in Keras, whatever the dtype
    if limit > 0:
        kept = counts.clamp(max=limit * high * wide / 256)
        counts = kept + (counts - kept).sum(-1, keepdim=True) / 256
    total = counts.cumsum(-1)
    least = total[..., :1]
    rest = high * wide - least
    table = ((total - least) * 255 / torch.where(rest == 0, 1, rest)).clamp(0, 255)
    batch = torch.arange(x.shape[0], device=x.device).reshape(-1, 1, 1, 1)
    channel = torch.arange(x.shape[1], device=x.device).reshape(-1, 1, 1)
    place = [
        ((torch.arange(n * size, device=x.device) - size / 2) / size + 1).unsqueeze(1 - axis)
        for axis, (n, size) in enumerate(((rows, high), (columns, wide)))
    ]
    (top, left), (dy, dx) = zip(
        *((item.floor(), item - item.floor()) for item in place), strict=True
    )

    def at(row: Tensor, column: Tensor) -> Tensor:
        row, column = (row - 1).clamp(0, rows - 1).long(), (column - 1).clamp(0, columns - 1).long()
        return table[batch, channel, row, column, levels]

    upper = at(top, left) * (1 - dx) + at(top, left + 1) * dx
    lower = at(top + 1, left) * (1 - dx) + at(top + 1, left + 1) * dx
    y = (upper * (1 - dy) + lower * dy)[:, :, :height, :width]
    return rescale(y, (0, 255), value_range).to(x.dtype)
