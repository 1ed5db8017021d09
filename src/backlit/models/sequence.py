"""Networks for text: x holds integer tokens (N, T)."""

from __future__ import annotations

import math
from typing import Any

from .. import nn
from ..array_api import arange, permute_dims, reshape
from ..errors import ShapeError
from ..nn.functional import embedding, linear, scaled_dot_product_attention
from ..op import describe
from ..tensor import Tensor


class CharLSTM(nn.Module):
    """Predicts each next character of a text: embedding, LSTM, linear layer.

    >>> from backlit import zeros
    >>> y, state = CharLSTM()(zeros((2, 5), dtype="int64"))
    >>> y.shape
    (2, 5, 65)
    """

    def __init__(self, vocabulary: int = 65, width: int = 64, hidden: int = 256, layers: int = 1):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(N, T) -> logits (N, T, vocabulary) and the state to go on from."""
        y, state = self.lstm(self.embedding(x), state)
        return self.head(y), state


class SelfAttention(nn.Module):
    """Several heads of causal self-attention with one linear map for queries, keys and values."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.residual_dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        n, t, width = x.shape
        parts = reshape(self.qkv(x), (n, t, 3, self.heads, width // self.heads))
        q, k, v = permute_dims(parts, (2, 0, 3, 1, 4))  # (3, N, heads, T, width/heads)
        p = self.dropout if self.training else 0.0
        y = scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        y = reshape(permute_dims(y, (0, 2, 1, 3)), (n, t, width))
        return self.residual_dropout(self.out(y))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each on normalised input and added to it."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        x = x + self.attention(self.norm1(x))
        return x + self.perceptron(self.norm2(x))


class GPT(nn.Module):
    """A transformer that predicts each next token from those before it.

    The table of token vectors is also the matrix of the output layer. Weights start normal with
    deviation 0.02, those that end a residual branch with 0.02/√(2 layers).
    Source: Radford et al., "Language models are unsupervised multitask learners", 2019, sec. 2.3.

    >>> from backlit import zeros
    >>> GPT(layers=1)(zeros((2, 5), dtype="int64")).shape
    (2, 5, 65)
    """

    def __init__(
        self,
        vocabulary: int = 65,
        context: int = 64,
        layers: int = 4,
        heads: int = 4,
        width: int = 128,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.context = context
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for name, p in self.named_parameters():
            if p.ndim < 2:
                continue
            ends = name.endswith(("attention.out.weight", "perceptron.2.weight"))
            nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers) if ends else 0.02)
        for m in self.modules():
            if isinstance(m, nn.Linear) and m.bias is not None:
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T) with T up to `context` -> logits (N, T, vocabulary)."""
        t = x.shape[1]
        if t > self.context:
            raise ShapeError(
                f"GPT: at most context={self.context} tokens are possible, got {describe(x)}"
            )
        y = self.tokens(x) + embedding(arange(t), self.positions.weight)
        y = self.dropout(y)
        for block in self.blocks:
            y = block(y)
        return linear(self.norm(y), self.tokens.weight)
