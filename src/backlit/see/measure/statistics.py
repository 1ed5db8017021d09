"""Cheap statistics of chosen layers at every step: values, gradients and updates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ...nn.module import Module
from ...op import Op
from ...state import STATE, observing
from ...table import Table, Tabular
from ...tensor import Tensor
from ..records.value import norm

#: What a row says of a layer, in this order. None: not computed in that step.
COLUMNS = ("mean", "std", "zeros", "weight", "gradient", "update")


class Watch(Tabular, observing):
    """Rows of statistics, one for each step: see `watch`."""

    def __init__(self, layers: dict[str, Module]):
        super().__init__()
        self._names = {id(m): n for n, m in layers.items()}
        self._layers = layers
        self._outputs: dict[str, np.ndarray] = {}
        self._last: dict[int, np.ndarray] = {}
        #: For each step the statistics by layer: `rows[-1]["0"]["gradient"]`.
        self.rows: list[dict[str, dict[str, float | None]]] = []
        for p in self._parameters():
            self._last[id(p)] = p.array.copy()

    def _parameters(self) -> list[Tensor]:
        """The parameters of all layers that are watched."""
        return [p for m in self._layers.values() for p in m.parameters()]

    def _watchers(self) -> tuple[Callable[..., None] | None, ...]:
        return self.observe, None, None

    def _ended(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """Take down a row, unless the step has failed."""
        if error is None:
            self.step()

    def observe(self, op: Op, inputs: tuple[Any, ...], y: Tensor) -> None:
        """Take down what an op made; in a `with` block it is told of each."""
        scope = STATE.scope
        while scope is not None:  # the last op inside a layer makes its output
            name = self._names.get(id(scope.module))
            if name is not None and type(y.array) is np.ndarray:
                self._outputs[name] = y.array
            scope = scope.parent

    def step(self) -> dict[str, dict[str, float | None]]:
        """End a step: take down a row. A `with` block does it by itself."""
        row = {name: self._look(name, layer) for name, layer in self._layers.items()}
        self._outputs.clear()
        self.rows.append(row)
        return row

    def _look(self, name: str, layer: Module) -> dict[str, float | None]:
        """The numbers of one layer at the end of a step."""
        found: dict[str, float | None] = dict.fromkeys(COLUMNS)
        y = self._outputs.get(name)
        if y is not None and y.size:
            found["mean"] = mean = float(y.mean(dtype=np.float64 if y.itemsize < 4 else None))
            found["std"] = _std(y, mean)
            found["zeros"] = int(np.count_nonzero(y == 0)) / y.size  # faster than counting floats
        parameters = list(layer.parameters())
        if not parameters:
            return found
        found["weight"] = weight = math.hypot(*(norm(p.array) for p in parameters))
        gradients = [p.grad.array for p in parameters if p.grad is not None]
        if gradients:
            found["gradient"] = math.hypot(*map(norm, gradients))
        moved = math.hypot(*map(self._moved, parameters))
        found["update"] = moved / weight if weight else None
        return found

    def _moved(self, p: Tensor) -> float:
        """How far a parameter went since the last row."""
        last = self._last[id(p)]
        if last.shape != p.shape or last.dtype != p.dtype:
            self._last[id(p)] = p.array.copy()
            return math.nan
        np.subtract(p.array, last, out=last)
        distance = norm(last)
        np.copyto(last, p.array)
        return distance

    def table(self) -> Table:
        """The last row: what is known of each layer."""
        cells = [
            [name, *("—" if v is None else f"{v:.3g}" for v in row.values())]
            for last in self.rows[-1:]
            for name, row in last.items()
        ]
        return Table(["layer", *COLUMNS], cells, f"step {len(self.rows)}")

    def __repr__(self) -> str:
        return str(self.table()) if self.rows else "No step was watched."


def _std(y: np.ndarray, mean: float) -> float:
    """The standard deviation. In one pass without copies where that loses no digits."""
    square = norm(y) ** 2 / y.size
    variance = square - mean * mean
    if variance < 1e-2 * square:  # the two nearly cancel
        return float(y.std(dtype=np.float64))
    return math.sqrt(variance)


def watch(model: Module, layers: Sequence[str] | None = None) -> Watch:
    """Watch layers of a model: put each training step in a `with` block, or call `step` after it.

    By default all innermost layers are watched; `layers` names some, as in `named_modules`. A row
    has for each layer the mean, the standard deviation and the share of zeros of its output (in a
    `with` block), the norms of its parameters and of their gradients, and the size of the update
    relative to that of the parameters. A compiled step shows no outputs, and only those gradients
    that it leaves in `grad`. Under a Trainer use `train.Watch`.

    >>> import backlit
    >>> from backlit import nn, optim
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    >>> optimizer = optim.SGD(net.parameters(), lr=0.1)
    >>> watching = watch(net)
    >>> with watching:
    ...     net(backlit.ones((4, 2))).sum().backward()
    ...     optimizer.step()
    >>> row = watching.rows[-1]["0"]
    >>> round(row["update"] * row["weight"] / row["gradient"], 6)
    0.1
    """
    if not isinstance(model, Module):
        raise ArgumentError(f"watch: model must be a Module, got {type(model).__name__}")
    known = dict(model.named_modules())
    if layers is None:
        return Watch({n or type(m).__name__: m for n, m in known.items() if not m._modules})
    unknown = [n for n in layers if n not in known]
    if unknown or isinstance(layers, str) or not layers:
        raise ArgumentError(
            f"watch: layers must be a list of names of layers, got {layers!r}; the model has "
            f"{', '.join(n for n in known if n) or 'none'}"
        )
    return Watch({n: known[n] for n in layers})
