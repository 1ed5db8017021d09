"""Recurrent layers, with PyTorch's weights and names."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..array_api import concat, flip, permute_dims, reshape, stack, take, zeros
from ..array_api.arguments import number, whole
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..random import Generator
from ..state import STATE
from ..tensor import Tensor, as_tensor
from . import functional, init
from .linear import positive
from .module import Module
from .parameter import Parameter
from .utils.rnn import Layout, PackedSequence, Padded


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
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        positive(self, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not 0 <= number(f"{type(self).__name__}: dropout", dropout) <= 1:
            raise ArgumentError(f"{type(self).__name__}: dropout must lie in [0, 1], got {dropout}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.proj_size = self._projected(proj_size)
        self.generator = generator
        rows = self.gates * hidden_size
        out = proj_size or hidden_size
        self._names: list[list[str]] = []
        for layer in range(num_layers):
            width = input_size if layer == 0 else out * (2 if bidirectional else 1)
            for direction in ("", "_reverse")[: 2 if bidirectional else 1]:
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (rows, width),
                    "weight_hh": (rows, out),
                }
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                names = []
                for name, shape in shapes.items():
                    names.append(f"{name}_l{layer}{direction}")
                    setattr(self, names[-1], Parameter(zeros(shape, dtype=dtype, device=device)))
                self._names.append(names)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """New starting values, uniform in ±1/√H."""
        _bounded(self, self.hidden_size, generator)

    def _projected(self, proj_size: Any) -> int:
        """The size of what is handed on of a hidden state, 0 for all of it."""
        if proj_size != 0:
            raise ArgumentError(
                f"{type(self).__name__}: proj_size is for LSTM only, got {proj_size!r}"
            )
        return 0

    def flatten_parameters(self) -> None:
        """Nothing: it is for GPUs, and scripts written for them call it."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    @property
    def _flat_weights_names(self) -> list[str]:
        """The parameters' names in that order: courses give starting values by them."""
        return [name for names in self._names for name in names]

    @property
    def _flat_weights(self) -> list[Parameter]:
        """The parameters in that order."""
        return [p for weights in self.all_weights for p in weights]

    def run(self, x: Tensor, state: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
        """One layer in one direction: all states (T, N, H), hidden ones first."""
        raise NotImplementedError(f"{type(self).__name__}.run")

    def _fail(self, what: str, wanted: str, x: Tensor) -> None:
        where = f"; in {STATE.scope.path}" if STATE.scope is not None else ""
        raise ShapeError(
            f"{type(self).__name__}: {what} must have shape {wanted}, got {describe(x)}{where}"
        )

    def forward(self, x: Any, hx: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        """(T, N, I) and states (layers·directions, N, H) -> (T, N, directions·H) and states.

        With `batch_first` inputs and outputs are (N, T, ...). Without a batch axis, (T, I) and
        (layers·directions, H). A missing state is 0; an LSTM has two, (h, c). For sequences of
        different lengths x is a `nn.utils.rnn.PackedSequence`, and so is the output; the states are
        those after the last step of each, in the order before sorting. Or x is padded, and
        `lengths` are the N numbers of steps: then the results are the same, padded with 0. As a
        Tensor they may differ from call to call of one compiled function.
        """
        if isinstance(x, PackedSequence):
            if lengths is not None:
                raise ArgumentError(
                    f"{type(self).__name__}: a PackedSequence has lengths of its own; leave "
                    "lengths out, or give the padded Tensor"
                )
            return self._run_packed(x, hx)
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
        layout = None if lengths is None else Padded(type(self).__name__, lengths, x)
        x, ends = self._layers(x, self._states(hx, lone, x), layout)
        if layout is not None:
            x = layout.cleared(x)
        if lone:
            x, ends = x[:, 0], [end[:, 0] for end in ends]
        elif self.batch_first:
            x = permute_dims(x, (1, 0, 2))
        return x, ends[0] if self.states == 1 else tuple(ends)

    def _run_packed(self, packed: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        """The same for sequences of different lengths, each with its own last step."""
        if packed.data.ndim != 2 or packed.data.shape[1] != self.input_size:
            wanted = f"(Σ Lₙ, I) with I = input_size = {self.input_size}"
            self._fail("the data of x", wanted, packed.data)
        layout = Layout(packed.sizes)
        x = layout.padded(packed.data)
        start = self._states(hx, False, x)
        if hx is not None and packed.sorted_indices is not None:
            start = [take(s, packed.sorted_indices, axis=1) for s in start]
        x, ends = self._layers(x, start, layout)
        if packed.unsorted_indices is not None:
            ends = [take(end, packed.unsorted_indices, axis=1) for end in ends]
        return packed.with_data(layout.packed(x)), ends[0] if self.states == 1 else tuple(ends)

    def _layers(
        self, x: Tensor, start: list[Tensor], layout: Layout | Padded | None
    ) -> tuple[Tensor, list[Tensor]]:
        """All layers in all directions: (T, N, I) -> (T, N, directions·H), and the last states."""
        last: list[list[Tensor]] = []
        directions = 1 + self.bidirectional
        for layer in range(self.num_layers):
            outputs = []
            for d in range(directions):
                number = layer * directions + d
                weights = [getattr(self, name) for name in self._names[number]]
                turned = _turned(x, layout) if d else x
                states = self.run(turned, [s[number] for s in start], weights)
                last.append([s[-1] if layout is None else layout.last(s) for s in states])
                outputs.append(_turned(states[0], layout) if d else states[0])
            x = concat(outputs, axis=2) if directions > 1 else outputs[0]
            if self.dropout and layer + 1 < self.num_layers:
                x = functional.dropout(x, self.dropout, self.training, generator=self.generator)
        return x, [stack([end[s] for end in last]) for s in range(self.states)]

    def _states(self, hx: Any, lone: bool, x: Tensor) -> list[Tensor]:
        """The first states, (layers·directions, N, H) each."""
        count, rows = len(self._names), x.shape[1]
        widths = (self.proj_size or self.hidden_size, self.hidden_size)[: self.states]
        if hx is None:
            return [zeros((count, rows, width), dtype=x.dtype) for width in widths]
        given = [hx] if self.states == 1 else list(hx)
        result = []
        for s, width in zip(given, widths, strict=True):
            s = as_tensor(s)
            wanted = (count, width) if lone else (count, rows, width)
            if s.shape != wanted:
                self._fail("a state", str(wanted), s)
            result.append(reshape(s, (count, rows, width)))
        return result

    def extra_repr(self) -> str:
        """Sizes, and what is not usual."""
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (
            ("num_layers", 1),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
            ("proj_size", 0),
        ):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text if self.bias else f"{text}, bias=False"


def _turned(x: Tensor, layout: Layout | Padded | None) -> Tensor:
    """Each sequence from its end to its beginning."""
    return flip(x, axis=0) if layout is None else layout.reversed(x)


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
        device: Any = None,
        dtype: Any = None,
        *,
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
            device=device,
            dtype=dtype,
            generator=generator,
        )
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNN: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        self.nonlinearity = nonlinearity

    def run(self, x: Tensor, state: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
        """One layer in one direction."""
        b_ih, b_hh = weights[2:] if self.bias else (None, None)
        return [functional.rnn(x, state[0], weights[0], weights[1], b_ih, b_hh, self.nonlinearity)]


class LSTM(_Recurrent):
    """Long short-term memory with gates i, f, g, o: see `ops.recurrence.LstmScan`.

        x: (T, N, I), (h, c): two (layers·directions, N, H) -> (T, N, directions·H), (h, c)

    With `proj_size` P hidden states are W_hr h, of P columns; the cells keep their H.
    Source of the projection: Sak, Senior & Beaufays, Interspeech 2014.

    >>> y, (h, c) = LSTM(3, 5, batch_first=True, bidirectional=True)(zeros((2, 7, 3)))
    >>> y.shape, h.shape, c.shape
    ((2, 7, 10), (2, 2, 5), (2, 2, 5))
    """

    gates = 4
    states = 2

    def run(self, x: Tensor, state: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
        """One layer in one direction."""
        w_hr = weights[-1] if self.proj_size else None
        b_ih, b_hh = weights[2:4] if self.bias else (None, None)
        return list(
            functional.lstm(x, (state[0], state[1]), weights[0], weights[1], b_ih, b_hh, w_hr)
        )

    def _projected(self, proj_size: Any) -> int:
        size = whole("LSTM: proj_size", proj_size, 0)
        if size and size >= self.hidden_size:
            raise ArgumentError(
                f"LSTM: proj_size must be below hidden_size, {self.hidden_size}, got {size}"
            )
        return size


class GRU(_Recurrent):
    """Gated recurrent unit with gates r, z, n: see `ops.recurrence.GruScan`.

        x: (T, N, I), h: (layers·directions, N, H) -> (T, N, directions·H), h

    >>> GRU(3, 5)(zeros((7, 2, 3)))[0].shape
    (7, 2, 5)
    """

    gates = 3

    def run(self, x: Tensor, state: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
        """One layer in one direction."""
        return [functional.gru(x, state[0], *weights)]


class _Cell(Module):
    """Base of the cells: one step of a recurrent layer."""

    gates: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        positive(self, input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        rows = self.gates * hidden_size
        self.weight_ih = Parameter(zeros((rows, input_size), dtype=dtype, device=device))
        self.weight_hh = Parameter(zeros((rows, hidden_size), dtype=dtype, device=device))
        self.bias_ih: Parameter | None
        self.bias_hh: Parameter | None
        if bias:
            self.bias_ih = Parameter(zeros((rows,), dtype=dtype, device=device))
            self.bias_hh = Parameter(zeros((rows,), dtype=dtype, device=device))
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
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__(input_size, hidden_size, bias, device, dtype, generator=generator)
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(
                f"RNNCell: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}"
            )
        self.nonlinearity = nonlinearity

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state."""
        rows, (start,), lone = self._start(x, (hx,))
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

    def forward(self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The next states."""
        rows, start, lone = self._start(x, (None, None) if hx is None else tuple(hx))
        h, c = (s[0] for s in functional.lstm(rows, (start[0], start[1]), *self._weights()))
        return (h[0], c[0]) if lone else (h, c)


class GRUCell(_Cell):
    """One step of `GRU`: x: (N, I), h: (N, H) -> (N, H).

    >>> GRUCell(3, 5)(zeros((2, 3))).shape
    (2, 5)
    """

    gates = 3

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state."""
        rows, (start,), lone = self._start(x, (hx,))
        y = functional.gru(rows, start, *self._weights())[0]
        return y[0] if lone else y
