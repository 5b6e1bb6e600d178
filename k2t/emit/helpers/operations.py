"""Functions of TensorFlow that PyTorch has not, on channels-first images and others."""

import torch
from torch import Tensor
from torch.nn import functional as F


def depth_to_space(x: Tensor, block: int) -> Tensor:
    """F.pixel_shuffle with TensorFlow's order of channels: block row, block column, channel."""
    n, c, height, width = x.shape
    x = x.reshape(n, block, block, c // block**2, height, width)
    return x.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, height * block, width * block)


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """F.pixel_unshuffle with TensorFlow's order of channels: block row, block column, channel."""
    n, c, height, width = x.shape
    x = x.reshape(n, c, height // block, block, width // block, block)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(n, -1, height // block, width // block)


def sparsemax(x: Tensor, dim: int = -1) -> Tensor:
    """What Keras calls sparsemax: the threshold takes the sum of all cumulated sums."""
    z = x.sort(dim, descending=True).values.movedim(dim, -1)
    sums = z.cumsum(-1)
    count = torch.arange(1, z.shape[-1] + 1, dtype=x.dtype, device=x.device)
    support = z - (sums - 1) / count > 0
    threshold = ((sums * support).sum(-1, keepdim=True) - 1) / support.sum(-1, keepdim=True)
    return F.relu(x - threshold.movedim(-1, dim))


def overlap_add(frames: Tensor, stride: int) -> Tensor:
    """Frames (N, count, length) added up, each `stride` behind the one before."""
    count, length = frames.shape[1:]
    size = (1, (count - 1) * stride + length)
    return F.fold(frames.transpose(1, 2), size, (1, length), stride=(1, stride)).flatten(1)


def extract_patches(
    x: Tensor, size: tuple[int, int], stride: int | tuple[int, int], dilation: int = 1
) -> Tensor:
    """Patches of images as channels, in TensorFlow's order: row, column, channel."""
    step = (stride, stride) if isinstance(stride, int) else stride
    height, width = ((x.shape[i + 2] - dilation * (size[i] - 1) - 1) // step[i] + 1 for i in (0, 1))
    y = F.unfold(x, size, dilation, stride=step)
    y = y.reshape(x.shape[0], x.shape[1], -1, height, width)
    return y.transpose(1, 2).flatten(1, 2)


def extract_patches_3d(x: Tensor, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Patches of volumes as channels, in TensorFlow's order: depth, row, column, channel."""
    for axis in range(3):
        x = x.unfold(axis + 2, size[axis], stride[axis])
    return x.permute(0, 5, 6, 7, 1, 2, 3, 4).flatten(1, 4)


def rgb_to_hsv(x: Tensor) -> Tensor:
    """Hue, saturation and value of red, green and blue, all between 0 and 1."""
    red, green, blue = x.unbind(1)
    value, span = x.amax(1), x.amax(1) - x.amin(1)
    scale = 1 / (6 * torch.where(span > 0, span, 1))
    hue = torch.where(value == green, (blue - red) * scale + 2 / 6, (red - green) * scale + 4 / 6)
    hue = torch.where(value == red, (green - blue) * scale, hue)
    hue = torch.where(span > 0, torch.where(hue < 0, hue + 1, hue), 0)
    saturation = torch.where(value > 0, span / torch.where(value > 0, value, 1), 0)
    return torch.stack([hue, saturation, value], 1)


def hsv_to_rgb(x: Tensor) -> Tensor:
    """Red, green and blue of hue, saturation and value, all between 0 and 1."""
    hue, saturation, value = x.unbind(1)
    hue = hue * 6
    colour = torch.stack([(hue - 3).abs() - 1, 2 - (hue - 2).abs(), 2 - (hue - 4).abs()], 1).clamp(
        0, 1
    )
    saturation = saturation.unsqueeze(1)
    return (1 - saturation + saturation * colour) * value.unsqueeze(1)


def sobel_edges(x: Tensor, channels: int) -> Tensor:
    """Vertical and horizontal gradients of images on a new last axis; `channels` is an axis."""
    y = x.movedim(channels, 1)
    down = torch.tensor([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], dtype=x.dtype, device=x.device)
    kernel = torch.stack([down, down.T]).unsqueeze(1).repeat(y.shape[1], 1, 1, 1)
    edges = F.conv2d(F.pad(y, (1, 1, 1, 1), mode="reflect"), kernel, groups=y.shape[1])
    edges = edges.reshape(*y.shape[:2], 2, *y.shape[2:])
    return edges.movedim(2, -1).movedim(1, channels)


def ssim(x: Tensor, y: Tensor, kernel: Tensor, c1: float, c2: float) -> Tensor:
    """Structural similarity at each place: https://doi.org/10.1109/TIP.2003.819861."""
    images = torch.stack([x, y, x * x, y * y, x * y])
    blurred = F.conv2d(images.flatten(0, 2).unsqueeze(1), kernel)
    a, b, aa, bb, ab = blurred.reshape(5, *x.shape[:2], *blurred.shape[2:])
    contrast = (2 * (ab - a * b) + c2) / (aa - a * a + bb - b * b + c2)
    similarity: Tensor = (2 * a * b + c1) / (a * a + b * b + c1) * contrast
    return similarity
