"""Attention with what nn.MultiheadAttention lacks: sizes of its own, Keras's masks, scores."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MultiHeadAttention(nn.Module):
    """Attention of several heads of their own sizes.

    A query of which `mask` says that it may see nothing at all gets the mean of all values.
    """

    def __init__(
        self,
        inputs: tuple[int, int, int],
        heads: int,
        sizes: tuple[int, int],
        outputs: int,
        kv_heads: int | None = None,
        bias: bool = True,
        gate: bool = False,
        dropout: float = 0.0,
    ) -> None:
        """Sizes of query, key and value; of a head's key and value; of the output."""
        super().__init__()
        self.heads = heads
        self.kv_heads = kv_heads
        self.dropout = dropout
        query, key, value = inputs
        self.query = nn.Linear(query, heads * sizes[0], bias=bias)
        self.key = nn.Linear(key, (kv_heads or heads) * sizes[0], bias=bias)
        self.value = nn.Linear(value, (kv_heads or heads) * sizes[1], bias=bias)
        self.gate = nn.Linear(query, heads * sizes[1], bias=bias) if gate else None
        self.output = nn.Linear(heads * sizes[1], outputs, bias=bias)

    def project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, T, features) -> (N, heads, T, size of a head), for each of the three."""
        q = self.query(query).unflatten(-1, (self.heads, -1)).transpose(-3, -2)
        k = self.key(key).unflatten(-1, (self.kv_heads or self.heads, -1)).transpose(-3, -2)
        v = self.value(value).unflatten(-1, (self.kv_heads or self.heads, -1)).transpose(-3, -2)
        if self.kv_heads:
            groups = self.heads // self.kv_heads
            k, v = k.repeat_interleave(groups, -3), v.repeat_interleave(groups, -3)
        return q, k, v

    def merge(self, x: Tensor, query: Tensor) -> Tensor:
        """(N, heads, T, size of a head) -> (N, T, outputs)."""
        x = x.transpose(-3, -2).flatten(-2)
        if self.gate is not None:
            x = x * torch.sigmoid(self.gate(query))
        result: Tensor = self.output(x)
        return result

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        q, k, v = self.project(query, key, value)
        seen = None
        if mask is not None:
            blind = ~mask.any(-1, keepdim=True)
            q, seen = q.masked_fill(blind, 0), mask | blind
        dropout = self.dropout if self.training else 0.0
        x = F.scaled_dot_product_attention(
            q, k, v, attn_mask=seen, dropout_p=dropout, is_causal=causal
        )
        return self.merge(x, query)


class MultiHeadAttentionWithScores(MultiHeadAttention):
    """The same with the scores as second output.

    A query of which `mask` says that it may see nothing gets zeros.

    Keras 2 adds a `penalty` to the scores of hidden values; in Keras 3 these do not count.
    """

    def forward(  # type: ignore[override]
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        penalty: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        q, k, v = self.project(query, key, value)
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        if mask is None:
            weights = F.softmax(scores, dim=-1)
        elif penalty is None:
            scores = scores.masked_fill(~mask, torch.finfo(q.dtype).min)
            weights = F.softmax(scores, dim=-1).masked_fill(~mask, 0)
        else:
            weights = F.softmax(scores + penalty * ~mask, dim=-1)
        dropped = F.dropout(weights, self.dropout, self.training)
        return self.merge(dropped @ v, query), weights


def pair_mask(query: Tensor, value: Tensor) -> Tensor:
    """Which values each query may see, if both masks: (N, T) and (N, S) -> (N, 1, T, S)."""
    return query[:, None, :, None] & value[:, None, None]


def causal_mask(query: Tensor, value: Tensor) -> Tensor:
    """Which values each query may see: those not after it."""
    sizes = query.shape[1], value.shape[1]
    return torch.ones(sizes, dtype=torch.bool, device=query.device).tril()


def window_mask(query: Tensor, value: Tensor, window: int) -> Tensor:
    """Which values each query may see: those less than `window` steps away."""
    steps = [torch.arange(x.shape[1], device=query.device) for x in (query, value)]
    return (steps[0][:, None] - steps[1]).abs() < window


def additive_mask(mask: Tensor, x: Tensor) -> Tensor:
    """What is added to scores: 0, or -1e9 where `mask` is False."""
    return torch.zeros_like(mask, dtype=x.dtype).masked_fill(~mask, -1e9)
