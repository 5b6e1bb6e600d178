"""Layers whose weights are small integers with scales."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Int8Linear(nn.Module):
    """nn.Linear with integers for weights, and a scale for each output.

    Unless `weight_only`, the inputs are rounded to integers, too, after a scaling that makes the
    largest of each row `levels`.
    """

    weight: Tensor
    scale: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        weight_only: bool = False,
        levels: int = 127,
        eps: float = 1e-7,
    ) -> None:
        super().__init__()
        self.weight_only, self.levels, self.eps = weight_only, levels, eps
        self.register_buffer("weight", torch.zeros(out_features, in_features, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(out_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        scale = self.scale
        if not self.weight_only:
            rows = self.levels / (x.abs().amax(-1, keepdim=True) + self.eps)
            x, scale = (x * rows).round().clamp(-self.levels, self.levels), scale * rows
        y = F.linear(x, self.weight.to(x.dtype)) / scale
        return y if self.bias is None else y + self.bias


class GroupedLinear(nn.Module):
    """nn.Linear with integers for weights, and a scale for each output and each group of inputs.

    Args:
        dtype: of the weights.
        scaled_inputs: whether each input is divided by a scale of its own.
    """

    weight: Tensor
    scale: Tensor
    group: Tensor
    input_scale: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        groups: int,
        bias: bool = True,
        *,
        dtype: torch.dtype = torch.int8,
        scaled_inputs: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(out_features, in_features, dtype=dtype))
        self.register_buffer("scale", torch.ones(out_features, groups))
        self.register_buffer("group", torch.zeros(in_features, dtype=torch.int64))
        self.register_buffer("input_scale", torch.ones(in_features) if scaled_inputs else None)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale[:, self.group]
        if self.input_scale is not None:
            weight = weight / self.input_scale
        return F.linear(x, weight, self.bias)


def to_float8(x: Tensor, scale: Tensor) -> Tensor:
    """Rounded to the eight bits of a floating-point format, after a scaling."""
    return (x / scale).clamp(-448, 448).to(torch.float8_e4m3fn).to(x.dtype) * scale


class Float8Linear(nn.Linear):
    """nn.Linear of inputs and weights that are rounded to eight bits; the bias to bfloat16."""

    input_scale: Tensor
    weight_scale: Tensor

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        self.register_buffer("input_scale", torch.ones(()))
        self.register_buffer("weight_scale", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(to_float8(x, self.input_scale), to_float8(self.weight, self.weight_scale))
        if self.bias is None:
            return y
        return y + (self.bias.bfloat16() if self.bias.dtype == torch.float32 else self.bias)


class Int8Embedding(nn.Module):
    """nn.Embedding with integers for weights, and a scale for each row, by which it is divided."""

    weight: Tensor
    scale: Tensor

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(num_embeddings, embedding_dim, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(num_embeddings))

    def forward(self, index: Tensor) -> Tensor:
        return self.weight[index] / self.scale[index].unsqueeze(-1)


class GroupedEmbedding(nn.Module):
    """nn.Embedding with integers for weights, and a scale for each row and group of columns."""

    weight: Tensor
    scale: Tensor
    group: Tensor

    def __init__(self, num_embeddings: int, embedding_dim: int, groups: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(num_embeddings, embedding_dim, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(num_embeddings, groups))
        self.register_buffer("group", torch.zeros(embedding_dim, dtype=torch.int64))

    def forward(self, index: Tensor) -> Tensor:
        return self.weight[index] * self.scale[index][..., self.group]
