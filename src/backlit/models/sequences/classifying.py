"""Networks that give a whole text a class: x holds integer tokens (N, T)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import nn
from ...array_api import (
    arange,
    concat,
    expand_dims,
    logical_and,
    max,
    pad,
    permute_dims,
    reshape,
    sum,
    where,
)
from ...array_api.arguments import whole
from ...dtypes import INTEGER, int64
from ...errors import ArgumentError, ShapeError
from ...nn.functional import relu
from ...nn.utils.rnn import checked_lengths
from ...op import describe
from ...tensor import Tensor, as_tensor
from ..catalogue import network


@network(input=(32,), dtype="int64", parameters=1_060_902, multiply_adds=1_920_600)
class TextCNN(nn.Module):
    """Convolutions over windows of words, the largest answer of each kernel, a linear layer.

        x: (N, T) tokens, lengths: (N,) -> logits (N, classes)

    Windows begin at each word; behind a text's end they see zeros, so padding has no influence and
    a text may be shorter than a window.
    Source: Kim, EMNLP 2014, sec. 2.

    >>> from backlit import tensor, zeros
    >>> TextCNN(100, classes=2)(zeros((3, 7), dtype="int64"), tensor([7, 1, 4])).shape
    (3, 2)
    """

    def __init__(
        self,
        vocabulary: int = 20_000,
        width: int = 50,
        classes: int = 2,
        windows: Sequence[int] = (3, 4, 5),
        channels: int = 100,
        dropout: float = 0.5,
        *,
        embedding: nn.Embedding | None = None,
    ):
        super().__init__()
        self.windows = tuple(whole("TextCNN: a window", k) for k in windows)
        if not self.windows:
            raise ArgumentError("TextCNN: at least one window is needed, got none")
        self.embedding = nn.Embedding(vocabulary, width) if embedding is None else embedding
        width = self.embedding.embedding_dim
        self.convolutions = nn.ModuleList(nn.Conv1d(width, channels, k) for k in self.windows)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(channels * len(self.windows), classes)

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        """(N, T) -> logits (N, classes)."""
        x, words = _words("TextCNN", x, lengths)
        y = where(expand_dims(words, axis=2), self.embedding(x), 0.0)
        y = permute_dims(y, (0, 2, 1))  # (N, width, T)
        answers = []
        for k, convolution in zip(self.windows, self.convolutions, strict=True):
            found = relu(convolution(pad(y, ((0, 0), (0, 0), (0, k - 1)))))
            # ReLU is at least 0, so a 0 where no word begins is never the only maximum.
            answers.append(max(where(expand_dims(words, axis=1), found, 0.0), axis=2))
        return self.output(self.dropout(concat(answers, axis=1)))


@network(input=(32,), dtype="int64", parameters=6_000_102, multiply_adds=100)
class FastText(nn.Module):
    """The mean vector of a text's words and of its runs of up to n words, and a linear layer.

        x: (N, T) tokens, lengths: (N,) -> logits (N, classes)

    A run of tokens a, b, … has the vector number ((a · 116049371 + b) · … ) mod `buckets`, so that
    different runs may share one. With `ngrams` 1 there are words only.
    Source: Joulin, Grave, Bojanowski & Mikolov, EACL 2017, sec. 2 (there letters are hashed, not
    tokens).

    >>> from backlit import tensor, zeros
    >>> FastText(100, classes=2, buckets=500)(zeros((3, 7), dtype="int64"), tensor([7, 1, 4])).shape
    (3, 2)
    """

    def __init__(
        self,
        vocabulary: int = 20_000,
        width: int = 50,
        classes: int = 2,
        ngrams: int = 2,
        buckets: int = 100_000,
        *,
        embedding: nn.Embedding | None = None,
    ):
        super().__init__()
        self.ngrams = whole("FastText: ngrams", ngrams)
        self.buckets = whole("FastText: buckets", buckets)
        self.embedding = nn.Embedding(vocabulary, width) if embedding is None else embedding
        width = self.embedding.embedding_dim
        self.runs = nn.Embedding(buckets, width) if self.ngrams > 1 else None
        self.output = nn.Linear(width, classes)

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        """(N, T) -> logits (N, classes)."""
        x, words = _words("FastText", x, lengths)
        total, count = _summed(self.embedding(x), words)
        run, is_run = x.astype(int64), words
        for n in range(1, self.ngrams):
            if self.runs is None or x.shape[1] <= n:
                break
            run = (run[:, :-1] * 116_049_371 + x[:, n:]) % self.buckets
            is_run = logical_and(is_run[:, :-1], words[:, n:])
            more, number = _summed(self.runs(run), is_run)
            total, count = total + more, count + number
        return self.output(total / expand_dims(count, axis=1))


def _summed(vectors: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of a row's vectors that count (N, D), and how many those are (N,)."""
    picked = where(expand_dims(counted, axis=2), vectors, 0.0)
    return sum(picked, axis=1), sum(counted.astype(vectors.dtype), axis=1)


def _words(name: str, x: Any, lengths: Any) -> tuple[Tensor, Tensor]:
    """Tokens (N, T), and where words are: (N, T) of truth values."""
    x = as_tensor(x)
    if x.ndim != 2 or x.shape[1] == 0 or x.dtype not in INTEGER:
        raise ShapeError(f"{name}: x must be tokens (N, T) with T above 0, got {describe(x)}")
    n, t = x.shape
    return x, arange(t) < reshape(checked_lengths(name, lengths, n, t), (n, 1))
