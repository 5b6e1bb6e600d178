"""Augmentation by noise, boxes and several images: in training, nothing in evaluation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from k2t.emit.helpers.augmentation import Augmentation, uniform
from k2t.emit.helpers.sampling import map_coordinates


def shuffled(x: Tensor) -> Tensor:
    """The images in another order."""
    return x[torch.randperm(x.shape[0], device=x.device)]


def boxes(x: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """True in a box of each image, of these parts of its sizes, anywhere."""
    inside = []
    for dim, part in ((2, height), (3, width)):
        length = part * x.shape[dim]
        start = uniform(x, 0, 1) * (x.shape[dim] - length)
        places = torch.arange(x.shape[dim], device=x.device).view([-1, 1] if dim == 2 else [-1])
        inside.append((places >= start) & (places < start + length))
    return inside[0] & inside[1]


def blur(x: Tensor, size: tuple[int, int], sigma: tuple[Tensor, Tensor]) -> Tensor:
    """Each channel blurred, with these standard deviations along the width and the height."""
    kernels = []
    for length, spread in zip(size, sigma, strict=True):
        places = torch.arange(length, device=x.device, dtype=x.dtype) - (length - 1) / 2
        weights = (-0.5 * (places / spread) ** 2).exp()
        kernels.append(weights / weights.sum())
    kernel = torch.outer(kernels[1], kernels[0]).reshape(1, 1, *size)
    kernel = kernel.repeat(x.shape[1], 1, 1, 1)
    return F.conv2d(x, kernel, padding=(size[0] // 2, size[1] // 2), groups=x.shape[1])


class MixUp(Augmentation):
    """Each image and another one, in a proportion of a beta distribution."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def augment(self, x: Tensor) -> Tensor:
        alpha = x.new_full((x.shape[0], 1, 1, 1), self.alpha)
        weight = torch.distributions.Beta(alpha, alpha).sample()
        return weight * x + (1 - weight) * shuffled(x)


class CutMix(Augmentation):
    """A box of each image from another one."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def augment(self, x: Tensor) -> Tensor:
        alpha = (uniform(x[:1], self.low, self.high) + 1e-6).expand(x.shape[0], -1, -1, -1)
        part = (1 - torch.distributions.Beta(alpha, alpha).sample()).sqrt()
        return torch.where(boxes(x, part, part), shuffled(x), x)


class RandomErasing(Augmentation):
    """A box in some images is filled with a value, or with noise.

    Args:
        factor: bounds of the probability.
        scale: bounds of the squares of the box's sides, as parts of the image's.
    """

    def __init__(
        self,
        factor: tuple[float, float],
        scale: tuple[float, float],
        value: float | tuple[float, ...] | None = None,
        value_range: tuple[float, float] = (0, 255),
    ) -> None:
        super().__init__()
        self.factor, self.scale, self.value, self.value_range = factor, scale, value, value_range

    def augment(self, x: Tensor) -> Tensor:
        box = boxes(x, uniform(x, *self.scale).sqrt(), uniform(x, *self.scale).sqrt())
        if self.value is None:
            fill = torch.randn_like(x) * self.value_range[1]
        else:
            fill = x.new_tensor(self.value).reshape(1, -1, 1, 1)
        erased = torch.where(box, fill.clamp(*self.value_range), x)
        return torch.where(uniform(x, 0, 1) < uniform(x, *self.factor), erased, x)


class RandomGaussianBlur(Augmentation):
    """Blurs some images, all alike.

    Args:
        factor: bounds of the probability.
        sigma: bounds of the standard deviations along the width and the height.
    """

    def __init__(
        self,
        factor: tuple[float, float],
        size: tuple[int, int],
        sigma: tuple[float, float],
        value_range: tuple[float, float] = (0, 255),
    ) -> None:
        super().__init__()
        self.factor, self.size, self.sigma, self.value_range = factor, size, sigma, value_range

    def augment(self, x: Tensor) -> Tensor:
        wide, high = (uniform(x[:1], *self.sigma).flatten() + 1e-6 for _ in range(2))
        blurred = blur(x, self.size, (wide, high))
        x = torch.where(uniform(x, 0, 1) < uniform(x, *self.factor), blurred, x)
        return x.clamp(*self.value_range)


class RandomElasticTransform(Augmentation):
    """Moves the pixels of some images down and to the right by a smooth random field.

    Args:
        factor: bounds of the probability.
        scale: bounds of the strength.
        order: 1 interpolates linearly, 0 takes the nearest pixel.
        mode: what lies outside: "reflect", "nearest", "wrap" or "constant", which is `value`.
    """

    def __init__(
        self,
        factor: tuple[float, float],
        scale: tuple[float, float],
        order: int = 1,
        mode: str = "reflect",
        value: float = 0.0,
        value_range: tuple[float, float] = (0, 255),
    ) -> None:
        super().__init__()
        self.factor, self.scale, self.order, self.mode = factor, scale, order, mode
        self.value, self.value_range = value, value_range

    def augment(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        scale = uniform(x[:1], *self.scale).flatten()
        alpha, sigma = 0.1 * max(height, width) * scale, 0.05 * min(height, width) * scale
        size = 6 * int(sigma) | 1
        fields = torch.randn(x.shape[0], 1, height, width, dtype=x.dtype, device=x.device) * sigma
        fields = alpha * blur(fields, (size, size), (sigma, sigma))
        places = torch.meshgrid(
            torch.arange(height, device=x.device),
            torch.arange(width, device=x.device),
            indexing="ij",
        )
        moved = torch.stack(
            [self.move(*pair) for pair in zip(x, fields + torch.stack(places), strict=True)]
        )
        x = torch.where(uniform(x, 0, 1) < uniform(x, *self.factor), moved, x)
        return x.clamp(*self.value_range)

    def move(self, image: Tensor, places: Tensor) -> Tensor:
        """The pixels of one image at these places (2, H, W)."""
        channels = [
            map_coordinates(channel, places, self.order, self.mode, self.value) for channel in image
        ]
        return torch.stack(channels)


class RandAugment(Augmentation):
    """As many times as it says, one of the augmentations for all images."""

    def __init__(self, times: int, *augmentations: nn.Module) -> None:
        super().__init__()
        self.times, self.augmentations = times, nn.ModuleList(augmentations)

    def augment(self, x: Tensor) -> Tensor:
        for _ in range(self.times):
            x = self.augmentations[int(torch.randint(len(self.augmentations), ()))](x)
        return x


class AugMix(Augmentation):
    """The images and a mixture of chains of augmentations of them."""

    def __init__(
        self,
        chains: int,
        depth: int,
        alpha: float,
        value_range: tuple[float, float],
        *augmentations: nn.Module,
    ) -> None:
        super().__init__()
        self.chains, self.depth, self.alpha, self.value_range = chains, depth, alpha, value_range
        self.augmentations = nn.ModuleList([*augmentations, nn.Identity()])

    def augment(self, x: Tensor) -> Tensor:
        alpha = x.new_tensor(self.alpha)
        weights = torch.distributions.Dirichlet(alpha.expand(self.chains)).sample()
        mixed = torch.zeros_like(x)
        for weight in weights:
            y = x
            for _ in range(self.depth):
                y = self.augmentations[int(torch.randint(len(self.augmentations), ()))](y)
            mixed = mixed + weight * y
        share = torch.distributions.Beta(alpha, alpha).sample()
        return (share * x + (1 - share) * mixed).clamp(*self.value_range)
