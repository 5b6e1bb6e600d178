from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Attention of the steps of (N, T, channels) to each other."""

    def __init__(self, channels: int, heads: int, head_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * heads * head_size)
        self.proj = nn.Linear(heads * head_size, channels)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v)
        result: Tensor = self.proj(x.transpose(1, 2).flatten(2))
        return result


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
        self.self_attention = SelfAttention(in_channels, num_heads, in_channels // num_heads)
        self.dropout1 = nn.Dropout(rate)
        self.layer_norm1 = nn.LayerNorm(in_channels, eps=1e-06)
        self.linear1 = nn.Linear(in_channels, ff_dim)
        self.linear2 = nn.Linear(ff_dim, in_channels)
        self.dropout2 = nn.Dropout(rate)
        self.layer_norm2 = nn.LayerNorm(in_channels, eps=1e-06)

    def forward(self, x: Tensor) -> Tensor:
        y = self.self_attention(x)
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
    elif isinstance(module, EncoderBlock):
        for part in module.self_attention.qkv.weight.chunk(3):
            nn.init.xavier_uniform_(part)
