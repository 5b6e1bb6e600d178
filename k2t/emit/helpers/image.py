"""Resizing of images of any size."""

import torch
from torch import Tensor
from torch.nn import functional as F


def upsample_tf1_bilinear(x: Tensor, height: int, width: int) -> Tensor:
    """Bilinear upsampling as in TensorFlow 1: output pixel i lies at i / factor of the input."""
    x = F.pad(x, (0, 1, 0, 1), mode="replicate")
    size = ((x.shape[2] - 1) * height + 1, (x.shape[3] - 1) * width + 1)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)[:, :, :-1, :-1]


def center_crop(x: Tensor, height: int, width: int) -> Tensor:
    """The middle of each image."""
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]


def crop_to_aspect_ratio(x: Tensor, height: int, width: int) -> Tensor:
    """The largest part in the middle of each image with the ratio `height` to `width`."""
    return center_crop(
        x,
        max(min(x.shape[2], x.shape[3] * height // width), 1),
        max(min(x.shape[3], x.shape[2] * width // height), 1),
    )


def pad_to_aspect_ratio(x: Tensor, height: int, width: int, value: float) -> Tensor:
    """Each image in the middle of `value`, with the ratio `height` to `width`."""
    vertical = max(x.shape[3] * height // width - x.shape[2], 0) // 2
    horizontal = max(x.shape[2] * width // height - x.shape[3], 0) // 2
    return F.pad(x, (horizontal, horizontal, vertical, vertical), value=value)


def center_crop_or_resize(x: Tensor, height: int, width: int) -> Tensor:
    """The middle of each image; too small ones are resized."""
    if x.shape[2] >= height and x.shape[3] >= width:
        return center_crop(x, height, width)
    return F.interpolate(
        crop_to_aspect_ratio(x, height, width), size=(height, width), mode="bilinear"
    )


def auto_contrast(
    x: Tensor, dims: tuple[int, ...], low: float = 0.0, high: float = 255.0
) -> Tensor:
    """The values of each image spread over the whole range; where all are equal, as they are."""
    least, most = x.amin(dims, keepdim=True), x.amax(dims, keepdim=True)
    spread = low + (high - low) * (x - least) / (most - least)
    return torch.where(most > least, spread, x)
