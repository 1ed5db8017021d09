"""A model, a batch and a loss, looked at without leaving a trace on any of them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..array_api import zeros
from ..autograd import enable_grad, grad
from ..compiler import compile
from ..errors import ArgumentError, TraceError
from ..nn.keeping import kept
from ..nn.module import Module
from ..tensor import Tensor, as_tensor, describe
from .records.value import squares


def draws(module: Module) -> bool:
    """Whether a layer draws random numbers in its present mode."""
    return module.training and module._draws and getattr(module, "p", 1) != 0


def require_batch(who: str, batch: Any) -> None:
    """Raise unless this is a batch of a DataLoader: the model's inputs, then the target."""
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise ArgumentError(
            f"{who}: a batch is a tuple of the model's inputs, then the target, got "
            f"{type(batch).__name__}; as DataLoader gives it"
        )


def require_loss(who: str, loss: Any) -> Tensor:
    """Raise unless this is a Tensor of one number."""
    if not isinstance(loss, Tensor) or loss.size != 1:
        got = describe(loss) if isinstance(loss, Tensor) else type(loss).__name__
        raise ArgumentError(f"{who}: the loss must be a single number, got {got}")
    return loss


class Problem:
    """loss_fn(model(*inputs), target) as a function of the model's parameters.

    `batch` is what a DataLoader gives: the model's inputs, then the target.
    """

    def __init__(self, who: str, model: Module, batch: Any, loss_fn: Callable[..., Tensor]):
        self.who = who
        if not isinstance(model, Module):
            raise ArgumentError(f"{who}: needs a Module, got {type(model).__name__}")
        require_batch(who, batch)
        self.model = model
        self.batch = [as_tensor(x) for x in batch]
        self.loss_fn = loss_fn
        named = {id(p): (n, p) for n, p in reversed(list(model.named_parameters()))}
        trained = [(n, p) for n, p in reversed(named.values()) if p.requires_grad]
        if not trained:
            raise ArgumentError(f"{who}: the model has no parameter that requires a gradient")
        self.names = [n for n, _ in trained]
        self.parameters = [p for _, p in trained]

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(p.size for p in self.parameters)

    @property
    def rows(self) -> int:
        """The number of samples in the batch."""
        counts = {t.shape[0] if t.shape else None for t in self.batch}
        if len(counts) != 1 or None in counts or 0 in counts:
            shapes = ", ".join(str(t.shape) for t in self.batch)
            raise ArgumentError(
                f"{self.who}: inputs and target need the same number of samples along their first "
                f"axis, and at least one, got shapes {shapes}"
            )
        return self.batch[0].shape[0]

    def loss(self, *batch: Tensor) -> Tensor:
        """The loss of a batch, with its graph."""
        with enable_grad():
            loss = self.loss_fn(self.model(*batch[:-1]), batch[-1])
        return require_loss(self.who, loss)

    def gradients(self, output: Tensor, create_graph: bool = False) -> list[Tensor]:
        """d output / d parameter for each, zero where there is no path."""
        found = [None] * len(self.parameters)
        if output.requires_grad:
            found = grad(output, self.parameters, create_graph=create_graph, allow_unused=True)
        return [
            zeros(p.shape, dtype=p.dtype) if g is None else g
            for g, p in zip(found, self.parameters, strict=True)
        ]

    def steady(self) -> None:
        """Raise if a layer draws random numbers or mixes samples in its present mode."""
        names = [
            f"{type(m).__name__} {n or '(the model)'}"
            for n, m in self.model.named_modules()
            if draws(m) or (m.training and m._mixes)
        ]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ArgumentError(
                f"{self.who}: each sample must have a result of its own, the same each time, but "
                f"{', '.join(names[:3])}{more} in training mode mixes samples or draws random "
                "numbers; call model.eval() first"
            )

    def share(self, mean: Sequence[np.ndarray]) -> float:
        """What one sample's gradient counts in that of the batch: 1/N for a mean, 1 for a sum.

        `mean` is the mean of the samples' own gradients. Raises if the batch's gradient is neither
        it nor N times it: then the samples do not stand for themselves.
        """
        with self.kept():
            whole = [g.numpy() for g in self.gradients(self.loss(*self.batch))]
        n = self.rows
        scale = math.sqrt(squares(*whole))
        for name, factor in (("mean", 1.0), ("sum", float(n))):
            pairs = zip(whole, mean, strict=True)
            off = math.sqrt(squares(*(g - factor * m.astype(np.float64) for g, m in pairs)))
            if off <= 1e-3 * scale + 1e-6 * n:
                return 1.0 if name == "sum" and n > 1 else 1.0 / n
        raise ArgumentError(
            f"{self.who}: the batch's gradient must be the mean or the sum of its samples' own, "
            "but it is neither; the loss weighs samples differently, or the model mixes them "
            "(see.diagnose shows which)"
        )

    def kept(self) -> contextlib.AbstractContextManager[None]:
        """Whatever happens inside, afterwards the model and all random numbers are as before."""
        return kept(self.model)


class Fast:
    """A function compiled to native code, or run as it is where it cannot be captured."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self.compiled: Any = compile(function)

    def __call__(self, *args: Any) -> Any:
        """The function's result."""
        if self.compiled is not None:
            try:
                return self.compiled(*args)
            except TraceError:
                self.compiled = None
        return self.function(*args)

    def each(self, *arrays: Tensor) -> Any:
        """The results for each row of the arrays, as batches of one, stacked."""
        n = arrays[0].shape[0]
        if self.compiled is not None:
            try:
                return self.compiled.epoch(np.arange(n).reshape(n, 1), *arrays)
            except TraceError:
                self.compiled = None
        results = [self.function(*(a[i : i + 1] for a in arrays)) for i in range(n)]
        if isinstance(results[0], Tensor):
            return as_tensor(np.stack([r.numpy() for r in results]))
        return [
            as_tensor(np.stack([r.numpy() for r in column]))
            for column in zip(*results, strict=True)
        ]
