from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MultiHeadAttention(nn.Module):
    """Attention of `heads` heads of their own sizes.

    A query that may see nothing at all gets the mean of all values.
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
        self.kv_heads = kv_heads or heads
        self.dropout = dropout
        query, key, value = inputs
        self.query = nn.Linear(query, heads * sizes[0], bias=bias)
        self.key = nn.Linear(key, self.kv_heads * sizes[0], bias=bias)
        self.value = nn.Linear(value, self.kv_heads * sizes[1], bias=bias)
        self.gate = nn.Linear(query, heads * sizes[1], bias=bias) if gate else None
        self.output = nn.Linear(heads * sizes[1], outputs, bias=bias)

    def project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, T, features) -> (N, heads, T, size of a head), for each of the three."""
        q = self.query(query).unflatten(-1, (self.heads, -1)).transpose(-3, -2)
        k = self.key(key).unflatten(-1, (self.kv_heads, -1)).transpose(-3, -2)
        v = self.value(value).unflatten(-1, (self.kv_heads, -1)).transpose(-3, -2)
        groups = self.heads // self.kv_heads
        if groups > 1:
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
        if mask is not None:
            blind = ~mask.any(-1, keepdim=True)  # sees nothing: the same weight for all
            q, mask = q.masked_fill(blind, 0), mask | blind
        dropout = self.dropout if self.training else 0.0
        return self.merge(F.scaled_dot_product_attention(q, k, v, mask, dropout, causal), query)


class TokenAndPositionEmbedding(nn.Module):
    def __init__(self, maxlen: int, vocab_size: int, embed_dim: int) -> None:
        super().__init__()
        self.token_emb = nn.Embedding(vocab_size, embed_dim)
        self.pos_emb = nn.Embedding(maxlen, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.token_emb(x) + self.pos_emb(torch.arange(x.shape[1], device=x.device))


class EncoderBlock(nn.Module):
    def __init__(self, in_channels: int, num_heads: int, ff_dim: int, rate: float = 0.1) -> None:
        super().__init__()
        self.multi_head_attention = MultiHeadAttention(
            (in_channels, in_channels, in_channels),
            num_heads,
            (in_channels // num_heads, in_channels // num_heads),
            in_channels,
        )
        self.dropout1 = nn.Dropout(rate)
        self.layer_norm1 = nn.LayerNorm(in_channels, eps=1e-06)
        self.linear1 = nn.Linear(in_channels, ff_dim)
        self.linear2 = nn.Linear(ff_dim, in_channels)
        self.dropout2 = nn.Dropout(rate)
        self.layer_norm2 = nn.LayerNorm(in_channels, eps=1e-06)

    def forward(self, x: Tensor) -> Tensor:
        y = self.multi_head_attention(x, x, x)
        x = self.layer_norm1(x + self.dropout1(y))
        y = F.relu(self.linear1(x))
        y = self.linear2(y)
        return self.layer_norm2(x + self.dropout2(y))


class TextClassifier(nn.Module):
    def __init__(
        self, maxlen: int = 12, vocab_size: int = 30, embed_dim: int = 8, num_classes: int = 2
    ) -> None:
        super().__init__()
        self.token_and_position_embedding = TokenAndPositionEmbedding(maxlen, vocab_size, embed_dim)
        self.encoder_block = EncoderBlock(embed_dim, num_heads=2, ff_dim=16)
        self.linear = nn.Linear(embed_dim, num_classes)
        self.apply(init_weights)

    def logits(self, tokens: Tensor) -> Tensor:
        """Scores before the softmax, which is what the loss functions of PyTorch expect."""
        x = self.token_and_position_embedding(tokens)
        x = self.encoder_block(x).mean(1)
        return self.linear(x)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.softmax(self.logits(tokens), dim=1)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Embedding):
        nn.init.uniform_(module.weight, -0.05, 0.05)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
