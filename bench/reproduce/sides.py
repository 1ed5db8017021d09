"""The two who train: Backlit compiled, PyTorch eager with its fused optimizers."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .recipe import Arrays, Data, Recipe, State


@dataclass(frozen=True)
class Settings:
    """How PyTorch runs."""

    threads: int = 1
    channels_last: bool = False


def starting(recipe: Recipe, data: Data, seed: int) -> State:
    """The values that Backlit draws for a network."""
    import backlit

    backlit.manual_seed(seed)
    model = recipe.ours(data, 0.0)
    return {name: t.numpy().copy() for name, t in model.state_dict().items()}


class _Side:
    """What both do with what they `apply`."""

    recipe: Recipe
    double = False
    """Whether all is computed in float64, to tell rounding from a difference."""

    def _arrays(self, batch: Arrays) -> list[np.ndarray]:
        kept = [np.ascontiguousarray(part) for part in batch]
        return [a.astype(np.float64) if self.double and a.dtype.kind == "f" else a for a in kept]

    def apply(self, function: Any, batch: Arrays) -> Any:
        """`function(F, model, *batch)` of the trained model, as an array."""
        raise NotImplementedError

    def over(self, function: Any, arrays: Arrays) -> np.ndarray:
        """`apply` for all examples, in batches of one size."""
        size, count = 200, len(arrays[0])
        size = min(size, count)
        found = []
        for i in range(0, count, size):
            rows = np.minimum(
                np.arange(i, i + size), count - 1
            )  # the last one again, left out below
            found.append(self.apply(function, tuple(part[rows] for part in arrays)))
        return np.concatenate(found)[:count]

    def loss_of(self, batch: Arrays) -> float:
        """The loss of a batch without training."""
        return float(self.apply(self.recipe.loss, batch))


class Backlit(_Side):
    """Training steps compiled as a whole, and called from Python; or eager, for short tests."""

    name = "backlit"

    def __init__(
        self,
        recipe: Recipe,
        data: Data,
        state: State,
        seed: int,
        dropout: float | None = None,
        compiled: bool = True,
        double: bool = False,
    ):
        import backlit
        from backlit import optim
        from backlit.nn import functional

        self.recipe, self.F, self.backlit = recipe, functional, backlit
        backlit.manual_seed(seed)
        self.model = recipe.ours(data, recipe.dropout if dropout is None else dropout)
        self.model.load_state_dict({k: backlit.asarray(v) for k, v in state.items()})
        self.double = double
        if double:
            self.model.double()
        kinds = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD}
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = kinds[recipe.optimizer](trained, **recipe.settings)
        self.compile: Callable[[Any], Any] = backlit.compile if compiled else lambda f: f
        self._step = self.compile(self._update)
        self._functions: dict[Any, Any] = {}

    def _tensors(self, batch: Arrays) -> list[Any]:
        return [self.backlit.asarray(part) for part in self._arrays(batch)]

    def _update(self, *batch: Any) -> Any:
        loss = self.recipe.loss(self.F, self.model, *batch)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def step(self, batch: Arrays, rate: float) -> Any:
        """Train on a batch; the loss, which `float` reads."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return self._step(*self._tensors(batch))

    def apply(self, function: Any, batch: Arrays) -> Any:
        """`function(F, model, *batch)` of the trained model, as an array."""
        if function not in self._functions:
            self._functions[function] = self.compile(
                lambda *given: function(self.F, self.model, *given)
            )
        self.model.eval()
        with self.backlit.no_grad():
            found = self._functions[function](*self._tensors(batch)).numpy().copy()
        self.model.train()
        return found

    def decode(self, *batch: np.ndarray) -> list[Any]:
        """The model's own `decode`."""
        self.model.eval()
        with self.backlit.no_grad():
            found = self.model.decode(*self._tensors(batch))
        self.model.train()
        return found


class PyTorch(_Side):
    """As its users write it, with fused optimizers and the settings that `fastest` has found."""

    name = "pytorch"

    def __init__(
        self,
        recipe: Recipe,
        data: Data,
        state: State,
        seed: int,
        dropout: float | None = None,
        compiled: bool = True,
        double: bool = False,
        settings: Settings | None = None,
    ):
        import torch
        from torch.nn import functional

        self.recipe, self.F, self.torch = recipe, functional, torch
        torch.manual_seed(seed)
        p = recipe.dropout if dropout is None else dropout
        self.model = recipe.theirs(data, p, state)
        self.channels_last = settings is not None and settings.channels_last
        if settings is not None:
            torch.set_num_threads(settings.threads)
        if self.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.double = double
        if double:
            self.model.double()
        kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = kinds[recipe.optimizer](trained, fused=True, **recipe.settings)

    def _tensors(self, batch: Arrays) -> list[Any]:
        found = [self.torch.from_numpy(part) for part in self._arrays(batch)]
        if self.channels_last:
            found[0] = found[0].contiguous(memory_format=self.torch.channels_last)
        return found

    def step(self, batch: Arrays, rate: float) -> Any:
        """Train on a batch; the loss, which `float` reads."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.recipe.loss(self.F, self.model, *self._tensors(batch))
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def apply(self, function: Any, batch: Arrays) -> Any:
        """`function(F, model, *batch)` of the trained model, as an array."""
        self.model.eval()
        with self.torch.no_grad():
            found = function(self.F, self.model, *self._tensors(batch)).numpy()
        self.model.train()
        return found

    def decode(self, *batch: np.ndarray) -> list[Any]:
        """The model's own `decode`."""
        self.model.eval()
        with self.torch.no_grad():
            found = self.model.decode(*self._tensors(batch))
        self.model.train()
        return found


def fastest(recipe: Recipe, data: Data, turns: int = 3) -> Settings:
    """The settings with which PyTorch's steps take the least time: threads, layout of images.

    Each is tried in turns on three batches, after one for which nothing is ready yet; its quietest
    turn counts.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    tried = [
        Settings(threads, last)
        for threads in sorted({1, cores or 1})
        for last in ((False, True) if data.train[0].ndim == 4 else (False,))
    ]
    state = starting(recipe, data, 0)
    sides = {one: PyTorch(recipe, data, state, 0, settings=one) for one in tried}
    batches = [batch for batch, _ in zip(recipe.batches(data, 0, 0), range(3), strict=False)]
    best = dict.fromkeys(tried, math.inf)
    for turn in range(turns + 1):
        for one, side in sides.items():
            side.torch.set_num_threads(one.threads)
            began = time.perf_counter()
            for batch in batches:
                float(side.step(batch, 1e-4))
            if turn:
                best[one] = min(best[one], time.perf_counter() - began)
    return min(tried, key=best.__getitem__)


SIDES: tuple[Any, ...] = (Backlit, PyTorch)
