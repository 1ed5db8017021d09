"""Embeddings and recurrent layers, with PyTorch's weights and names."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..array_api import concat, flip, permute_dims, reshape, stack, zeros
from ..array_api.arguments import number, whole
from ..dtypes import float32
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..random import Generator
from ..state import STATE
from ..tensor import Tensor, as_tensor
from . import functional, init
from .linear import positive
from .module import Module, Parameter


class Embedding(Module):
    """A table of vectors, looked up by integers: (...) -> (..., D).

    Rows start normally distributed; the row `padding_idx` starts at 0 and never learns.

    >>> from backlit import tensor
    >>> Embedding(10, 4)(tensor([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        dtype: Any = float32,
        generator: Generator | None = None,
    ):
        super().__init__()
        positive(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None:
            padding_idx = whole("Embedding: padding_idx", padding_idx, -math.inf)
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ArgumentError(
                    f"Embedding: padding_idx must lie in [-{num_embeddings}, {num_embeddings}), "
                    f"got {padding_idx}"
                )
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.weight = Parameter(zeros((num_embeddings, embedding_dim), dtype=dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """New starting values."""
        init.normal_(self.weight, generator=generator)
        if self.padding_idx is not None:
            array = self.weight.numpy().copy()
            array[self.padding_idx] = 0
            self.weight.assign(array)

    def forward(self, indices: Tensor) -> Tensor:
        """(...) -> (..., D)."""
        return functional.embedding(indices, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """Sizes."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


def _bounded(module: Module, hidden_size: int, generator: Generator | None) -> None:
    """All parameters uniform in ±1/√H."""
    bound = 1 / math.sqrt(hidden_size)
    for p in module.parameters():
        init.uniform_(p, -bound, bound, generator)


class _Recurrent(Module):
    """Base of the recurrent layers: layers, directions, and what goes between them."""

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = float32,
        generator: Generator | None = None,
    ):
        super().__init__()
        positive(self, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not 0 <= number(f"{type(self).__name__}: dropout", dropout) <= 1:
            raise ArgumentError(f"{type(self).__name__}: dropout must lie in [0, 1], got {dropout}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.use_bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.generator = generator
        rows = self.gates * hidden_size
        self._names: list[list[str]] = []
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * (2 if bidirectional else 1)
            for direction in ("", "_reverse")[: 2 if bidirectional else 1]:
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (rows, width),
                    "weight_hh": (rows, hidden_size),
                }
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                names = []
                for name, shape in shapes.items():
                    names.append(f"{name}_l{layer}{direction}")
                    setattr(self, names[-1], Parameter(zeros(shape, dtype=dtype)))
                self._names.append(names)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """New starting values, uniform in ±1/√H."""
        _bounded(self, self.hidden_size, generator)

    def run(
        self, x: Tensor, state: list[Tensor], weights: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """One layer in one direction: all hidden states, and the last states."""
        raise NotImplementedError(f"{type(self).__name__}.run")

    def _fail(self, what: str, wanted: str, x: Tensor) -> None:
        where = f"; in {STATE.scope.path}" if STATE.scope is not None else ""
        raise ShapeError(
            f"{type(self).__name__}: {what} must have shape {wanted}, got {describe(x)}{where}"
        )

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(T, N, I) and states (layers·directions, N, H) -> (T, N, directions·H) and states.

        With `batch_first` inputs and outputs are (N, T, ...). Without a batch axis, (T, I) and
        (layers·directions, H). A missing state is 0; an LSTM has two, (h, c).
        """
        x = as_tensor(x)
        lone = x.ndim == 2
        wanted = "(N, T, I)" if self.batch_first else "(T, N, I)"
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            self._fail("x", f"{wanted} or (T, I) with I = input_size = {self.input_size}", x)
        if lone:
            x = reshape(x, (x.shape[0], 1, x.shape[1]))
        elif self.batch_first:
            x = permute_dims(x, (1, 0, 2))
        if x.shape[0] == 0:
            self._fail("x", f"{wanted} with T > 0", x)
        count = len(self._names)
        shape = (count, x.shape[1], self.hidden_size)
        given = self._states(state, shape, lone, x)
        last: list[list[Tensor]] = []
        directions = 1 + self.bidirectional
        for layer in range(self.num_layers):
            outputs = []
            for d in range(directions):
                number = layer * directions + d
                weights = [getattr(self, name) for name in self._names[number]]
                start = [s[number] for s in given]
                y, end = self.run(flip(x, axis=0) if d else x, start, weights)
                outputs.append(flip(y, axis=0) if d else y)
                last.append(end)
            x = concat(outputs, axis=2) if directions > 1 else outputs[0]
            if self.dropout and layer + 1 < self.num_layers:
                x = functional.dropout(x, self.dropout, self.training, generator=self.generator)
        ends = [stack([end[s] for end in last]) for s in range(self.states)]
        if lone:
            x, ends = x[:, 0], [end[:, 0] for end in ends]
        elif self.batch_first:
            x = permute_dims(x, (1, 0, 2))
        return x, ends[0] if self.states == 1 else tuple(ends)

    def _states(self, state: Any, shape: tuple[int, ...], lone: bool, x: Tensor) -> list[Tensor]:
        if state is None:
            return [zeros(shape, dtype=x.dtype)] * self.states
        given = [state] if self.states == 1 else list(state)
        wanted = (shape[0], shape[2]) if lone else shape
        result = []
        for s in given:
            s = as_tensor(s)
            if s.shape != wanted:
                self._fail("a state", str(wanted), s)
            result.append(reshape(s, shape))
        return result

    def extra_repr(self) -> str:
        """Sizes, and what is not usual."""
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (
            ("num_layers", 1),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
        ):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text if self.use_bias else f"{text}, bias=False"


class RNN(_Recurrent):
    """hₜ = tanh(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh), or ReLU (`nonlinearity="relu"`).

        x: (T, N, I), h: (layers·directions, N, H) -> (T, N, directions·H), h

    >>> y, h = RNN(3, 5, num_layers=2)(zeros((7, 2, 3)))
    >>> y.shape, h.shape
    ((7, 2, 5), (2, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = float32,
        generator: Generator | None = None,
    ):
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            dtype=dtype,
            generator=generator,
        )
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNN: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        self.nonlinearity = nonlinearity

    def run(
        self, x: Tensor, state: list[Tensor], weights: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """One layer in one direction."""
        b_ih, b_hh = weights[2:] if self.use_bias else (None, None)
        y = functional.rnn(x, state[0], weights[0], weights[1], b_ih, b_hh, self.nonlinearity)
        return y, [y[-1]]


class LSTM(_Recurrent):
    """Long short-term memory with gates i, f, g, o: see `ops.recurrence.LstmScan`.

        x: (T, N, I), (h, c): two (layers·directions, N, H) -> (T, N, directions·H), (h, c)

    >>> y, (h, c) = LSTM(3, 5, batch_first=True, bidirectional=True)(zeros((2, 7, 3)))
    >>> y.shape, h.shape, c.shape
    ((2, 7, 10), (2, 2, 5), (2, 2, 5))
    """

    gates = 4
    states = 2

    def run(
        self, x: Tensor, state: list[Tensor], weights: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """One layer in one direction."""
        y, h, c = functional.lstm(x, (state[0], state[1]), *weights)
        return y, [h, c]


class GRU(_Recurrent):
    """Gated recurrent unit with gates r, z, n: see `ops.recurrence.GruScan`.

        x: (T, N, I), h: (layers·directions, N, H) -> (T, N, directions·H), h

    >>> GRU(3, 5)(zeros((7, 2, 3)))[0].shape
    (7, 2, 5)
    """

    gates = 3

    def run(
        self, x: Tensor, state: list[Tensor], weights: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """One layer in one direction."""
        y = functional.gru(x, state[0], *weights)
        return y, [y[-1]]


class _Cell(Module):
    """Base of the cells: one step of a recurrent layer."""

    gates: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: Any = float32,
        generator: Generator | None = None,
    ):
        super().__init__()
        positive(self, input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        rows = self.gates * hidden_size
        self.weight_ih = Parameter(zeros((rows, input_size), dtype=dtype))
        self.weight_hh = Parameter(zeros((rows, hidden_size), dtype=dtype))
        self.bias_ih: Parameter | None
        self.bias_hh: Parameter | None
        if bias:
            self.bias_ih = Parameter(zeros((rows,), dtype=dtype))
            self.bias_hh = Parameter(zeros((rows,), dtype=dtype))
        else:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """New starting values, uniform in ±1/√H."""
        _bounded(self, self.hidden_size, generator)

    def _start(self, x: Tensor, states: tuple[Any, ...]) -> tuple[Tensor, list[Tensor], bool]:
        """x: (1, N, I), states (N, H), and whether a batch axis was added."""
        x = as_tensor(x)
        lone = x.ndim == 1
        rows = reshape(x, (1, *x.shape)) if lone else x
        where = f"; in {STATE.scope.path}" if STATE.scope is not None else ""
        name = type(self).__name__
        if rows.ndim != 2 or rows.shape[1] != self.input_size:
            raise ShapeError(
                f"{name}: x must have shape (N, I) or (I) with I = input_size = "
                f"{self.input_size}, got {describe(x)}{where}"
            )
        shape = (rows.shape[0], self.hidden_size)
        full = []
        for s in states:
            s = zeros(shape, dtype=x.dtype) if s is None else as_tensor(s)
            if s.shape != (shape[1:] if lone and s.ndim == 1 else shape):
                raise ShapeError(
                    f"{name}: a state must have shape {shape}, got {describe(s)}{where}"
                )
            full.append(reshape(s, shape))
        return reshape(rows, (1, *rows.shape)), full, lone

    def _weights(self) -> tuple[Any, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def extra_repr(self) -> str:
        """Sizes."""
        bias = "" if self.bias_ih is not None else ", bias=False"
        return f"{self.input_size}, {self.hidden_size}{bias}"


class RNNCell(_Cell):
    """One step of `RNN`: x: (N, I), h: (N, H) -> (N, H).

    >>> RNNCell(3, 5)(zeros((2, 3))).shape
    (2, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        dtype: Any = float32,
        generator: Generator | None = None,
    ):
        super().__init__(input_size, hidden_size, bias, dtype=dtype, generator=generator)
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(
                f"RNNCell: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}"
            )
        self.nonlinearity = nonlinearity

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """The next state."""
        rows, (start,), lone = self._start(x, (h,))
        w_ih, w_hh, b_ih, b_hh = self._weights()
        y = functional.rnn(rows, start, w_ih, w_hh, b_ih, b_hh, self.nonlinearity)[0]
        return y[0] if lone else y


class LSTMCell(_Cell):
    """One step of `LSTM`: x: (N, I), (h, c): two (N, H) -> (h, c).

    >>> h, c = LSTMCell(3, 5)(zeros((2, 3)))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    gates = 4

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The next states."""
        rows, start, lone = self._start(x, (None, None) if state is None else tuple(state))
        _, h, c = functional.lstm(rows, (start[0], start[1]), *self._weights())
        return (h[0], c[0]) if lone else (h, c)


class GRUCell(_Cell):
    """One step of `GRU`: x: (N, I), h: (N, H) -> (N, H).

    >>> GRUCell(3, 5)(zeros((2, 3))).shape
    (2, 5)
    """

    gates = 3

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """The next state."""
        rows, (start,), lone = self._start(x, (h,))
        y = functional.gru(rows, start, *self._weights())[0]
        return y[0] if lone else y
