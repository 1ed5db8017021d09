"""L-BFGS: Newton's method with what the last steps have shown of the curvature."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from ..autograd import enable_grad
from ..errors import ArgumentError
from ..state import STATE
from ..tensor import wrap
from .line_search import Point, strong_wolfe
from .optimizer import Optimizer, settings_of


class _Memory:
    """What is kept between iterations: the last changes of gradient and place."""

    def __init__(self, state: dict[str, Any]):
        self.state = state
        self.iterations = int(state.get("n_iter", 0))
        self.direction = _array(state, "d")
        self.t = state.get("t", 0.0)
        self.scale = state.get("H_diag", 1.0)
        self.gradient = _array(state, "prev_flat_grad")
        self.changes = list(_array(state, "old_dirs")) if "old_dirs" in state else []
        self.steps = list(_array(state, "old_stps")) if "old_stps" in state else []

    def next_direction(self, gradient: np.ndarray, most: int) -> np.ndarray:
        """-H g, H the inverse Hessian as the last `most` steps have shown it (alg. 7.4)."""
        if self.iterations > 1:
            y, s = gradient - self.gradient, self.direction * self.t
            curvature = float(y @ s)
            if curvature > 1e-10:
                self.changes.append(y)
                self.steps.append(s)
                del self.changes[:-most], self.steps[:-most]
                self.scale = curvature / float(y @ y)
        q = -gradient
        factors = []
        pairs = list(zip(self.changes, self.steps, strict=True))
        for y, s in reversed(pairs):
            factors.append(float(s @ q) / float(y @ s))
            q = q - factors[-1] * y
        q = q * self.scale
        for (y, s), factor in zip(pairs, reversed(factors), strict=True):
            q = q + s * (factor - float(y @ q) / float(y @ s))
        return q

    def keep(self) -> None:
        """Write it into the optimizer's state."""
        new = {"n_iter": self.iterations, "d": wrap(self.direction), "t": self.t}
        new |= {"H_diag": self.scale, "prev_flat_grad": wrap(self.gradient)}
        if self.changes:
            new |= {"old_dirs": wrap(np.stack(self.changes))}
            new |= {"old_stps": wrap(np.stack(self.steps))}
        self.state.update(new)


def _array(state: dict[str, Any], name: str) -> Any:
    return state[name].array if name in state else None


class LBFGS(Optimizer):
    """Steps along -H g, H an inverse Hessian made of the last `history_size` steps.

        optimizer.step(closure)       closure: zero_grad, loss, backward, return the loss

    For losses of the whole data set, without dropout and the like: the closure is called several
    times a step, up to `max_iter` iterations and `max_eval` (1.25 times as many) calls, until the
    largest number of the gradient is at most `tolerance_grad`, or step or loss change by less than
    `tolerance_change`. Without `line_search_fn` every step has length lr (the first is shorter);
    "strong_wolfe" looks for a good length. There is one group. Whether to go on is decided by
    values, so a step stands outside a captured function; the closure may call one.

    >>> from backlit import tensor
    >>> w = tensor([4.0, -2.0], requires_grad=True)
    >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 1) ** 4).sum()
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3):
    ...     _ = optimizer.step(closure)
    >>> closure().item() < 1e-6
    True

    Source: Liu & Nocedal, Math. Programming 45 (1989); Nocedal & Wright, Numerical Optimization,
    2nd ed. (2006), algorithms 7.4 and 7.5.
    """

    fixed = ("max_iter", "max_eval", "history_size", "line_search_fn")
    ranges: ClassVar = {}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        if max_eval is None and isinstance(max_iter, int):
            max_eval = max_iter * 5 // 4
        super().__init__(params, settings_of(locals()))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the one group that there is."""
        if self.param_groups:
            raise ArgumentError("LBFGS: there is one group of parameters, got a second one")
        super().add_param_group(param_group)

    def check(self, settings: dict[str, Any]) -> None:
        """Raise unless settings lie in their ranges."""
        super().check(settings)
        for name in ("max_iter", "max_eval", "history_size"):
            n = settings.get(name, 1)
            if isinstance(n, bool) or not isinstance(n, int) or n < 1:
                raise ArgumentError(f"LBFGS: {name} must be an integer from 1, got {n!r}")
        if settings.get("line_search_fn") not in (None, "strong_wolfe"):
            raise ArgumentError(
                "LBFGS: line_search_fn must be None or 'strong_wolfe', got "
                f"{settings['line_search_fn']!r}"
            )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Some iterations; the loss before them."""
        if closure is None:
            raise ArgumentError(
                "LBFGS.step: a closure that computes the loss and its gradients is required; write "
                "optimizer.step(closure), where closure calls zero_grad and backward and returns "
                "the loss"
            )
        STATE.execution.forbid(
            "LBFGS.step: whether to go on is decided by values, which a captured function does "
            "not have; call it outside, with a closure that calls a captured function"
        )
        settings = self.param_groups[0].floats()
        params = self.param_groups[0]["params"]
        state = self.state[params[0]]
        memory, first = _Memory(state), self._evaluate(closure)
        loss, gradient = float(first), self._gradient()
        calls = 1
        if not np.abs(gradient).max() <= settings["tolerance_grad"]:
            calls += self._iterate(closure, memory, loss, gradient)
            memory.keep()
        evaluations: Any = state.get("func_evals", 0)
        state["func_evals"] = evaluations + calls
        return first

    def _iterate(
        self, closure: Callable[[], Any], memory: _Memory, loss: float, gradient: np.ndarray
    ) -> int:
        """The iterations of one step; how often the closure was called."""
        settings = self.param_groups[0].floats()
        small, near = settings["tolerance_grad"], settings["tolerance_change"]
        calls = 0
        for number in range(1, settings["max_iter"] + 1):
            memory.iterations += 1
            d = memory.next_direction(gradient, settings["history_size"])
            memory.direction, memory.gradient, before = d, gradient, loss
            length = settings["lr"]
            if memory.iterations == 1:
                length *= min(1.0, 1 / float(np.abs(gradient).sum()))
            memory.t = length
            slope = float(gradient @ d)
            if slope > -near:
                break
            last = number == settings["max_iter"]
            if settings["line_search_fn"] is not None:
                start = Point(0.0, loss, gradient, slope)
                limit = settings["max_eval"] - 1 - calls
                found, count = self._search(closure, start, length, d, limit)
                calls += count
                loss, gradient, memory.t = found.value, found.gradient, found.t
            else:
                self._put(self._place() + length * d)
                if not last:
                    loss, gradient = float(self._evaluate(closure)), self._gradient()
                    calls += 1
            if (
                last
                or calls + 1 >= settings["max_eval"]
                or np.abs(gradient).max() <= small
                or np.abs(d * memory.t).max() <= near
                or abs(loss - before) < near
            ):
                break
        return calls

    def _search(
        self,
        closure: Callable[[], Any],
        start: Point,
        length: float,
        d: np.ndarray,
        limit: int,
    ) -> tuple[Point, int]:
        """A good length along d, where the parameters are then."""
        place = self._place()

        def evaluate(t: float) -> Point:
            self._put(place + t * d)
            value, gradient = float(self._evaluate(closure)), self._gradient()
            return Point(t, value, gradient, float(gradient @ d))

        near = self.param_groups[0]["tolerance_change"]
        found, count = strong_wolfe(evaluate, start, length, float(np.abs(d).max()), limit, near)
        self._put(place + found.t * d)
        return found, count

    # -- parameters as one vector -------------------------------------------------------------

    def _evaluate(self, closure: Callable[[], Any]) -> Any:
        with enable_grad():
            return closure()

    def _gradient(self) -> np.ndarray:
        params = self.param_groups[0]["params"]
        parts = [
            np.zeros(p.size, p.dtype) if p.grad is None else p.grad.array.reshape(-1)
            for p in params
        ]
        return np.concatenate(parts)

    def _place(self) -> np.ndarray:
        return np.concatenate([p.array.reshape(-1) for p in self.param_groups[0]["params"]])

    def _put(self, vector: np.ndarray) -> None:
        start = 0
        for p in self.param_groups[0]["params"]:
            p.assign(vector[start : start + p.size].reshape(p.shape))
            start += p.size


__all__ = ["LBFGS"]
