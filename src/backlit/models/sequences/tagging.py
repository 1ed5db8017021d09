"""Networks that give each word of a sentence a tag: x holds integer tokens (N, T)."""

from __future__ import annotations

from typing import Any

from ... import nn
from ...array_api import arange, argmax, expand_dims, reshape, where
from ...errors import ShapeError
from ...nn.functional import cross_entropy
from ...op import describe
from ...tensor import Tensor, as_tensor
from ..catalogue import network


@network(input=(5,), dtype="int64", parameters=1_026_009, multiply_adds=25_900)
class WindowTagger(nn.Module):
    """Names the class of the middle word of a window: embedding, tanh layer, linear layer.

    `embedding` may be a table that is there already, as for `BiLSTMTagger`.
    Source: Collobert et al., JMLR 12 (2011), sec. 3.3.1.

    >>> from backlit import zeros
    >>> WindowTagger(vocabulary=100)(zeros((64, 5), dtype="int64")).shape
    (64, 9)
    """

    def __init__(
        self,
        vocabulary: int = 20_000,
        width: int = 50,
        window: int = 5,
        hidden: int = 100,
        classes: int = 9,
        *,
        embedding: nn.Embedding | None = None,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width) if embedding is None else embedding
        self.hidden = nn.Linear(window * self.embedding.embedding_dim, hidden)
        self.activation = nn.Tanh()
        self.output = nn.Linear(hidden, classes)
        self.flatten = nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        """(N, window) -> logits (N, classes)."""
        y = self.flatten(self.embedding(x))
        return self.output(self.activation(self.hidden(y)))


@network(input=(32,), dtype="int64", parameters=1_123_409, multiply_adds=3_897_600)
class BiLSTMTagger(nn.Module):
    """Names the class of each word of a sentence: embedding, LSTM in both directions, linear layer.

        x: (N, T) tokens, lengths: (N,) -> logits (N, T, classes)

    Sentences are padded at their ends to one T; `lengths` say how many words each has, at least
    one. Padding has no influence. `embedding` may be a table that is there already, as that of
    `nn.Embedding.from_pretrained`; then `vocabulary` and `width` are its own.
    Source: Graves & Schmidhuber, Neural Networks 18 (2005); Huang, Xu & Yu, arXiv:1508.01991,
    sec. 2.2.

    >>> from backlit import tensor, zeros
    >>> model = BiLSTMTagger(vocabulary=100, classes=5)
    >>> model(zeros((2, 7), dtype="int64"), tensor([7, 3])).shape
    (2, 7, 5)
    """

    def __init__(
        self,
        vocabulary: int = 20_000,
        width: int = 50,
        hidden: int = 100,
        classes: int = 9,
        layers: int = 1,
        dropout: float = 0.0,
        *,
        embedding: nn.Embedding | None = None,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width) if embedding is None else embedding
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(
            self.embedding.embedding_dim,
            hidden,
            layers,
            batch_first=True,
            dropout=dropout,
            bidirectional=True,
        )
        self.output = nn.Linear(2 * hidden, classes)

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        """(N, T) -> logits (N, T, classes); without `lengths` all sentences have T words."""
        y, _ = self.lstm(self.dropout(self.embedding(x)), lengths=lengths)
        return self.output(self.dropout(y))

    def loss(self, x: Tensor, tags: Any, lengths: Any = None) -> Tensor:
        """The mean of -log p(tag) over all words; tags (N, T) may be anything where padded."""
        logits = self(x, lengths)
        tags = _tags(self, tags, x)
        if lengths is not None:
            tags = where(_words(x, lengths), tags, -100)
        return cross_entropy(
            reshape(logits, (-1, logits.shape[-1])), reshape(tags, (-1,)), ignore_index=-100
        )

    def decode(self, x: Tensor, lengths: Any = None) -> list[list[int]]:
        """The most probable tag of each word, in lists as long as the sentences."""
        rows = argmax(self(x, lengths), axis=-1).tolist()
        if lengths is None:
            return rows
        return [row[:n] for row, n in zip(rows, as_tensor(lengths).tolist(), strict=True)]


@network(input=(32,), dtype="int64", parameters=1_123_508, multiply_adds=3_897_600)
class BiLSTMCRF(BiLSTMTagger):
    """A `BiLSTMTagger` whose tags are judged together, by a `nn.CRF` on its logits.

        x: (N, T) tokens, lengths: (N,) -> emissions (N, T, classes)

    With `constraints` (see `data.text.tag_constraints`) impossible sequences of tags
    get no probability.
    Source: Huang, Xu & Yu, arXiv:1508.01991, sec. 2.4; Lample et al., NAACL 2016, sec. 2.

    >>> from backlit import tensor, zeros
    >>> from backlit.data.text import tag_constraints
    >>> model = BiLSTMCRF(100, constraints=tag_constraints(["O", "B-x", "I-x"]), classes=3)
    >>> [len(tags) for tags in model.decode(zeros((2, 7), dtype="int64"), tensor([7, 3]))]
    [7, 3]
    """

    def __init__(
        self,
        vocabulary: int = 20_000,
        width: int = 50,
        hidden: int = 100,
        classes: int = 9,
        layers: int = 1,
        dropout: float = 0.0,
        *,
        embedding: nn.Embedding | None = None,
        constraints: tuple[Any, Any, Any] | None = None,
    ):
        super().__init__(vocabulary, width, hidden, classes, layers, dropout, embedding=embedding)
        self.crf = nn.CRF(classes, batch_first=True, constraints=constraints)

    def loss(self, x: Tensor, tags: Any, lengths: Any = None) -> Tensor:
        """-log p(tags), divided by the number of words."""
        mask = None if lengths is None else _words(x, lengths)
        return -self.crf(self(x, lengths), _tags(self, tags, x), mask, reduction="token_mean")

    def decode(self, x: Tensor, lengths: Any = None) -> list[list[int]]:
        """The most probable sequence of tags of each sentence."""
        mask = None if lengths is None else _words(x, lengths)
        return self.crf.decode(self(x, lengths), mask)


def _words(x: Tensor, lengths: Any) -> Tensor:
    """(N, T): whether a sentence has that word."""
    return arange(x.shape[1]) < expand_dims(as_tensor(lengths), axis=1)


def _tags(model: nn.Module, tags: Any, x: Tensor) -> Tensor:
    tags = as_tensor(tags)
    if tags.shape != x.shape:
        raise ShapeError(
            f"{type(model).__name__}: tags must have the shape (N, T) of x, got {describe(tags)} "
            f"and x: {describe(x)}"
        )
    return tags
