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
    """What Keras calls sparsemax: its threshold is made of the sum of all cumulated sums of the support."""
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
