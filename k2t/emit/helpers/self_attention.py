"""Attention of a sequence to itself, without a mask: one product for queries, keys and values."""

from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Attention of the steps of (N, T, channels) to each other."""

    def __init__(
        self, channels: int, heads: int, head_size: int, bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(channels, 3 * heads * head_size, bias=bias)
        self.proj = nn.Linear(heads * head_size, channels, bias=bias)

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=causal)
        result: Tensor = self.proj(x.transpose(1, 2).flatten(2))
        return result
