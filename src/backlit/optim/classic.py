"""Two older rules: steps by signs alone, and an average of all parameters so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import ArgumentError
from .optimizer import Optimizer, settings_of
from .rules import Numbers, Settings


class Rprop(Optimizer):
    """A step size for each number, which grows while its gradient keeps the sign.

        s ← clip(s · η₊ or η₋, low, high)    as g keeps or changes its sign, low, high: step_sizes
        θ ← θ - s sign(g)                    where the sign has changed there is no step

    For gradients of the whole data set. s starts as lr; `etas` is (η₋, η₊).

    Source: Riedmiller & Braun, "A direct adaptive method for faster backpropagation learning",
    ICNN 1993; no step after a change of sign, as in PyTorch (their way back is left out).
    """

    elementwise = True
    pairs = ("etas", "step_sizes")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def check(self, settings: Settings) -> None:
        """Raise unless η₋ lies below 1 and η₊ above."""
        super().check(settings)
        if "etas" in settings and not settings["etas"][0] < 1 < settings["etas"][1]:
            raise ArgumentError(f"Rprop: etas must lie below 1 and above 1, got {settings['etas']}")

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """The last gradient, and s."""
        return {"prev": 0.0, "step_size": settings["lr"]}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """η₋, η₊ and the limits."""
        return *settings["etas"], *settings["step_sizes"]

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        shrink, grow, low, high = numbers
        agreement = grad * state[0]
        ones = xp.ones_like(grad)
        factor = xp.where(agreement > 0, grow * ones, xp.where(agreement < 0, shrink * ones, ones))
        size = xp.minimum(xp.maximum(state[1] * factor, low), high)
        grad = xp.where(agreement < 0, xp.zeros_like(grad), grad)
        return parameter - size * xp.sign(grad), grad, size


class ASGD(Optimizer):
    """Gradient descent that also keeps the average of its parameters, in the state `ax`.

        θ ← (1 - λ η) θ - η g,   ax ← ax + μ (θ - ax)           λ: lambd
        then  η = lr / (1 + λ lr t)^α,   μ = 1 / max(1, t - t₀)

    η starts as lr and μ as 1, so that up to step t₀ the average is θ itself.

    Source: Polyak & Juditsky, SIAM J. Control Optim. 30 (1992); the rate as in PyTorch.
    """

    optional = ("weight_decay",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """η, μ and the average."""
        return {"eta": settings["lr"], "mu": 1.0, "ax": 0.0}

    def state_for(
        self, settings: Settings, shape: tuple[int, ...]
    ) -> dict[str, tuple[float, tuple[int, ...]]]:
        """η and μ are one number each."""
        every = super().state_for(settings, shape)
        return {n: (v, s if n == "ax" else ()) for n, (v, s) in every.items()}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """λ, the next η and μ, and the weight decay."""
        lr, lambd = settings["lr"], settings["lambd"]
        eta = lr / xp.pow(1 + lambd * lr * step, settings["alpha"])
        mu = 1 / xp.maximum(step - settings["t0"], 1.0)
        return lambd, eta, mu, settings["weight_decay"]

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        lambd, next_eta, next_mu, decay = numbers
        eta, mu, average = state
        if decay is not None:
            grad = grad + decay * parameter
        parameter = (1 - lambd * eta) * parameter - eta * grad
        average = xp.where(mu == 1, parameter, average + mu * (parameter - average))
        return parameter, next_eta, next_mu, average


__all__ = ["ASGD", "Rprop"]
