"""Networks from one sequence of tokens to another: source (N, S), target (N, T)."""

from __future__ import annotations

import math
from typing import Any

from ... import nn
from ...array_api import (
    arange,
    concat,
    cos,
    exp,
    expand_dims,
    full,
    index_copy,
    matmul,
    permute_dims,
    reshape,
    sin,
    stack,
    take,
    tanh,
    where,
)
from ...errors import ArgumentError, ShapeError
from ...nn.functional.activation import masked_softmax
from ...nn.utils.rnn import checked_lengths
from ...op import describe
from ...scanning import scan
from ...tensor import Tensor, as_tensor
from .decoding import Generative, padded


class AdditiveAttention(nn.Module):
    """Weights softmax(vᵀ tanh(W s + U h)) of vectors h for a query s.

        query: (N, T, Q), memory: (N, S, M), seen: (N, S) -> (N, T, M)

    Source: Bahdanau, Cho & Bengio, ICLR 2015, sec. 3.1 and app. A.1.2.
    """

    def __init__(self, query: int, memory: int, width: int):
        super().__init__()
        self.query = nn.Linear(query, width, bias=False)
        self.memory = nn.Linear(memory, width)
        self.energy = nn.Linear(width, 1, bias=False)

    def forward(self, query: Tensor, memory: Tensor, seen: Tensor) -> Tensor:
        """The weighted mean of the memory for each query."""
        both = expand_dims(self.query(query), axis=2) + expand_dims(self.memory(memory), axis=1)
        return _mean(self.energy(tanh(both))[..., 0], memory, seen)


class MultiplicativeAttention(nn.Module):
    """Weights softmax(sᵀ W h) of vectors h for a query s ("general").

        query: (N, T, Q), memory: (N, S, M), seen: (N, S) -> (N, T, M)

    Source: Luong, Pham & Manning, EMNLP 2015, sec. 3.1.
    """

    def __init__(self, query: int, memory: int):
        super().__init__()
        self.memory = nn.Linear(memory, query, bias=False)

    def forward(self, query: Tensor, memory: Tensor, seen: Tensor) -> Tensor:
        """The weighted mean of the memory for each query."""
        return _mean(matmul(query, self.memory(memory).mT), memory, seen)


def _mean(scores: Tensor, memory: Tensor, seen: Tensor) -> Tensor:
    """Σₛ softmax(scores)ₛ memoryₛ over what is seen: (N, T, S), (N, S, M), (N, S) -> (N, T, M)."""
    scores = where(expand_dims(seen, axis=1), scores, -math.inf)
    return matmul(masked_softmax(scores, -1), memory)


class Seq2Seq(Generative):
    """A recurrent encoder in both directions, and a decoder that attends to all its states.

        source: (N, S), target: (N, T), lengths: (N,) of the sources -> logits (N, T, vocabulary)

    The target is what the decoder is given: it begins with the token `start`, and logits t are
    those of the token after target[t]. With `attention="bahdanau"` the decoder attends with its
    state before a token, and the result goes into its next step; with "luong" it attends with its
    state after it. Both use GRUs. `generate` and `beam_search` take sources as prompts.
    Source: Bahdanau, Cho & Bengio, ICLR 2015; Luong, Pham & Manning, EMNLP 2015, without feeding
    the attended vector to the next step.

    >>> model = Seq2Seq(20, 30, width=8, hidden=8)
    >>> model(as_tensor([[1, 2, 3]]), as_tensor([[0, 4]])).shape
    (1, 2, 30)
    >>> len(model.generate([[1, 2, 3], [4]], 5)[1])
    5
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        width: int = 256,
        hidden: int = 256,
        attention: str = "bahdanau",
        dropout: float = 0.0,
        start: int = 0,
    ):
        super().__init__()
        if attention not in ("bahdanau", "luong"):
            raise ArgumentError(
                f"Seq2Seq: attention must be 'bahdanau' or 'luong', got {attention!r}"
            )
        self.start = start
        self.additive = attention == "bahdanau"
        self.dropout = nn.Dropout(dropout)
        self.source = nn.Embedding(source_vocabulary, width)
        self.target = nn.Embedding(target_vocabulary, width)
        self.encoder = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(hidden, hidden)
        memory = 2 * hidden
        self.attention: nn.Module
        if self.additive:
            self.attention = AdditiveAttention(hidden, memory, hidden)
            self.decoder = nn.GRU(width + memory, hidden, batch_first=True)
        else:
            self.attention = MultiplicativeAttention(hidden, memory)
            self.decoder = nn.GRU(width, hidden, batch_first=True)
        self.combine = nn.Linear(hidden + memory, hidden)
        self.head = nn.Linear(hidden, target_vocabulary)

    def forward(self, source: Tensor, target: Tensor, lengths: Any = None) -> Tensor:
        """The logits of the token after each of the target's."""
        source, target = as_tensor(source), as_tensor(target)
        encoded = self._encode(source, lengths)
        if target.ndim != 2 or target.shape[1] == 0 or target.shape[0] != source.shape[0]:
            raise ShapeError(
                "Seq2Seq: target must be tokens (N, T) with the N of source and T above 0, got "
                f"{describe(target)} and source: {describe(source)}; it begins with start"
            )
        logits, _ = self._decode(target, *encoded)
        return logits

    def _encode(self, source: Any, lengths: Any) -> tuple[Tensor, Tensor, Tensor]:
        """The decoder's first state (N, hidden), the memory (N, S, 2·hidden), what is seen."""
        source = as_tensor(source)
        if source.ndim != 2:
            raise ShapeError(f"Seq2Seq: source must be tokens (N, S), got {describe(source)}")
        n, s = source.shape
        lengths = checked_lengths("Seq2Seq", lengths, n, s)
        memory, last = self.encoder(self.dropout(self.source(source)), lengths=lengths)
        seen = arange(s) < expand_dims(lengths, axis=1)
        return tanh(self.bridge(last[1])), memory, seen

    def _decode(
        self, target: Tensor, state: Tensor, memory: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (N, T, vocabulary), and the state after the last token."""
        x = self.dropout(self.target(target))
        h = expand_dims(state, axis=0)
        if self.additive:

            def step(h: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
                context = self.attention(permute_dims(h, (1, 0, 2)), memory, seen)
                y, h = self.decoder(concat((expand_dims(token, axis=1), context), axis=2), h)
                return h, concat((y, context), axis=2)[:, 0]

            h, both = scan(step, h, permute_dims(x, (1, 0, 2)))
            both = permute_dims(both, (1, 0, 2))
        else:
            y, h = self.decoder(x, h)
            both = concat((y, self.attention(y, memory, seen)), axis=2)
        return self.head(self.dropout(tanh(self.combine(both)))), h[0]

    def begin(self, prompts: list[list[int]], count: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The logits after `start`; the decoder's state, the memory and what is seen of it."""
        state, memory, seen = self._encode(*padded(prompts))
        first = full((len(prompts), 1), self.start, dtype="int64")
        logits, state = self._decode(first, state, memory, seen)
        return logits[:, 0], (state, memory, seen)

    def step(self, tokens: Tensor, *state: Tensor) -> Tensor:
        """The logits after one more token (N,) in each row."""
        logits, after = self._decode(expand_dims(tokens, axis=1), *state)
        state[0].assign(after)
        return logits[:, 0]


def sinusoids(context: int, width: int) -> Tensor:
    """Vectors of places: sin(p / 10000^(2i/width)) in column 2i, the cosine in 2i + 1.

    Source: Vaswani et al., NeurIPS 2017, sec. 3.5.

    >>> sinusoids(2, 2).tolist()[0]
    [0.0, 1.0]
    """
    if width % 2:
        raise ArgumentError(f"sinusoids: width must be even, got {width}")
    rate = exp(arange(0.0, width, 2.0) * (-math.log(10_000.0) / width))
    angle = expand_dims(arange(float(context)), axis=1) * rate
    return reshape(stack((sin(angle), cos(angle)), axis=2), (context, width))


class TransformerSeq2Seq(Generative):
    """An encoder and a decoder of attention alone: embeddings, places, `nn.Transformer`.

        source: (N, S), target: (N, T), lengths: (N,) of the sources -> logits (N, T, vocabulary)

    The target is what the decoder is given: it begins with the token `start`, and logits t are
    those of the token after target[t]. Token vectors are multiplied by √width. `generate` and
    `beam_search` take sources as prompts; each step computes the decoder for all tokens so far.
    Source: Vaswani et al., NeurIPS 2017, sec. 3.

    >>> model = TransformerSeq2Seq(20, 30, width=8, heads=2, layers=1, hidden=16)
    >>> model(as_tensor([[1, 2, 3]]), as_tensor([[0, 4]])).shape
    (1, 2, 30)
    """

    positions: Tensor

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        width: int = 512,
        heads: int = 8,
        layers: int = 6,
        hidden: int = 2048,
        dropout: float = 0.1,
        places: int = 512,
        norm_first: bool = False,
        start: int = 0,
    ):
        super().__init__()
        self.start = start
        self.places = places
        self.scale = math.sqrt(width)
        self.dropout = nn.Dropout(dropout)
        self.source = nn.Embedding(source_vocabulary, width)
        self.target = nn.Embedding(target_vocabulary, width)
        for table in (self.source, self.target):
            nn.init.normal_(table.weight, std=1 / self.scale)
        self.register_buffer("positions", sinusoids(places, width), persistent=False)
        self.transformer = nn.Transformer(
            width,
            heads,
            layers,
            layers,
            hidden,
            dropout,
            batch_first=True,
            norm_first=norm_first,
        )
        self.head = nn.Linear(width, target_vocabulary)

    def forward(self, source: Tensor, target: Tensor, lengths: Any = None) -> Tensor:
        """The logits of the token after each of the target's."""
        memory, hidden = self._encode(source, lengths)
        return self.head(self._decode(as_tensor(target), memory, hidden))

    def _embedded(self, what: str, table: nn.Embedding, x: Tensor) -> Tensor:
        if x.ndim != 2 or not 0 < x.shape[1] <= self.places:
            raise ShapeError(
                f"TransformerSeq2Seq: {what} must be tokens with 1 to places={self.places} in a "
                f"row, got {describe(x)}; cut longer texts, or make the model with more places"
            )
        return self.dropout(table(x) * self.scale + self.positions[: x.shape[1]])

    def _encode(self, source: Any, lengths: Any) -> tuple[Tensor, Tensor]:
        """The memory (N, S, width), and which of it may not be seen."""
        x = self._embedded("source", self.source, as_tensor(source))
        n, s = x.shape[:2]
        lengths = checked_lengths("TransformerSeq2Seq", lengths, n, s)
        hidden = arange(s) >= expand_dims(lengths, axis=1)
        return self.transformer.encoder(x, src_key_padding_mask=hidden), hidden

    def _decode(self, target: Tensor, memory: Tensor, hidden: Tensor) -> Tensor:
        """(N, T) -> (N, T, width)."""
        x = self._embedded("target", self.target, target)
        return self.transformer.decoder(
            x, memory, memory_key_padding_mask=hidden, tgt_is_causal=True
        )

    def begin(self, prompts: list[list[int]], count: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The logits after `start`; the memory, what is hidden of it, the tokens, the next slot."""
        memory, hidden = self._encode(*padded(prompts))
        tokens = full((len(prompts), count), self.start, dtype="int64")
        slot = as_tensor(1)
        logits = self.head(self._decode(tokens[:, :1], memory, hidden)[:, 0])
        return logits, (memory, hidden, tokens, slot)

    def step(self, tokens: Tensor, *state: Tensor) -> Tensor:
        """The logits after one more token (N,) in each row."""
        memory, hidden, so_far, slot = state
        at = reshape(slot, (1,))
        so_far.assign(index_copy(so_far, 1, at, expand_dims(tokens, axis=1)))
        slot.assign(slot + 1)
        return self.head(take(self._decode(so_far, memory, hidden), at, axis=1)[:, 0])
