"""A recurrent network that writes text letter by letter."""

from __future__ import annotations

from typing import Any

from ... import nn
from ...array_api import arange, expand_dims, permute_dims
from ...errors import ArgumentError
from ...tensor import Tensor
from ..catalogue import network
from .decoding import Generative, padded

_CELLS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@network(input=(64,), dtype="int64", parameters=350_593, multiply_adds=22_036_480)
class CharRNN(Generative):
    """Predicts each next token of a text: embedding, recurrent layers, linear layer.

    `cell` is "lstm", "gru" or "rnn" (with tanh).
    Source: Mikolov et al., Interspeech 2010; Graves, arXiv:1308.0850, sec. 2 (LSTM).

    >>> from backlit import zeros
    >>> model = CharRNN(cell="gru")
    >>> y, state = model(zeros((2, 5), dtype="int64"))
    >>> y.shape
    (2, 5, 65)
    >>> len(model.generate([[1, 2, 3]], 10)[0])
    10
    """

    def __init__(
        self,
        vocabulary: int = 65,
        width: int = 64,
        hidden: int = 256,
        layers: int = 1,
        cell: str = "lstm",
        dropout: float = 0.0,
    ):
        super().__init__()
        if cell not in _CELLS:
            raise ArgumentError(f"CharRNN: cell must be one of {', '.join(_CELLS)}, got {cell!r}")
        self.embedding = nn.Embedding(vocabulary, width)
        self.rnn = _CELLS[cell](width, hidden, layers, batch_first=True, dropout=dropout)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(N, T) -> logits (N, T, vocabulary) and the state to go on from."""
        y, state = self.rnn(self.embedding(x), state)
        return self.head(y), state

    def begin(self, prompts: list[list[int]], count: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The logits after each prompt, and the states (N, layers, hidden)."""
        tokens, lengths = padded(prompts)
        y, state = self.rnn(self.embedding(tokens), lengths=lengths)
        state = state if isinstance(state, tuple) else (state,)
        last = y[arange(len(prompts)), lengths - 1]
        return self.head(last), tuple(permute_dims(s, (1, 0, 2)) for s in state)

    def step(self, tokens: Tensor, *state: Tensor) -> Tensor:
        """The logits after one more token (N,) in each row."""
        before = tuple(permute_dims(s, (1, 0, 2)) for s in state)
        logits, after = self(expand_dims(tokens, axis=1), before if len(before) > 1 else before[0])
        for s, new in zip(state, after if isinstance(after, tuple) else (after,), strict=True):
            s.assign(permute_dims(new, (1, 0, 2)))
        return logits[:, 0]
