"""Rules that follow Adam: other moments, other corrections, or only the sign of the step.

m ← β₁ m + (1 - β₁) g and v ← β₂ v + (1 - β₂) g² are as in `Adam`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from .optimizer import Optimizer, settings_of
from .rules import Decayed, Numbers, Settings


class NAdam(Decayed):
    """Adam with Nesterov's look ahead: the momentum of the next step in this one.

        μₜ = β₁ (1 - 0.96^(t ψ) / 2),   P ← P μₜ                  ψ: momentum_decay
        θ ← θ - lr (μₜ₊₁ m / (1 - P μₜ₊₁) + (1 - μₜ) g / (1 - P)) / (√(v / (1 - β₂ᵗ)) + ε)

    Source: Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016, algorithm 2,
    with the schedule of μ from its section 3.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """m, v and P."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0, "mu_product": 1.0}

    def state_for(
        self, settings: Settings, shape: tuple[int, ...]
    ) -> dict[str, tuple[float, tuple[int, ...]]]:
        """P is one number."""
        return {**super().state_for(settings, shape), "mu_product": (1.0, ())}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """lr, μₜ, μₜ₊₁, 1 - β₂ᵗ, ε, then β₁, 1 - β₁, β₂, 1 - β₂ and the decay."""
        beta1, beta2 = settings["betas"]
        psi = settings["momentum_decay"]
        now, following = (beta1 * (1 - 0.5 * xp.pow(0.96, t * psi)) for t in (step, step + 1))
        rest = 1 - xp.pow(beta2, step)
        moments = (beta1, 1 - beta1, beta2, 1 - beta2)
        return settings["lr"], now, following, rest, settings["eps"], *moments, self.decay(settings)

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        lr, now, following, rest, eps, beta1, rest1, beta2, rest2, decay = numbers
        parameter, grad = self.decayed(settings, decay, parameter, grad)
        m = beta1 * state[0] + rest1 * grad
        v = beta2 * state[1] + rest2 * (grad * grad)
        product = state[2] * now
        size = xp.sqrt(v / rest) + eps
        ahead = following / (1 - product * following) * m
        step = lr * (ahead + (1 - now) / (1 - product) * grad)
        return parameter - step / size, m, v, product


class RAdam(Decayed):
    """Adam whose first steps, while v is still unreliable, are those of momentum alone.

        ρ∞ = 2 / (1 - β₂) - 1,   ρₜ = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ)
        r = √((ρₜ - 4)(ρₜ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρₜ))
        θ ← θ - lr m̂ r √(1 - β₂ᵗ) / (√v + ε) if ρₜ > 5, else θ - lr m̂,   m̂ = m / (1 - β₁ᵗ)

    Source: Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020,
    algorithm 2; 5 in place of its 4, and ε, as in PyTorch.
    """

    elementwise = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """m and v."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """lr / (1 - β₁ᵗ), if ρₜ > 5, r √(1 - β₂ᵗ), ε, then β₁, 1 - β₁, β₂, 1 - β₂, the decay."""
        beta1, beta2 = settings["betas"]
        power = xp.pow(beta2, step)
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * power / (1 - power)
        known = length > 5.0
        safe = xp.where(known, length, 5.0)
        ratio = (safe - 4) * (safe - 2) * longest / ((longest - 4) * (longest - 2) * safe)
        factor = xp.sqrt(xp.maximum(ratio, 0.0) * (1 - power))
        rate = settings["lr"] / (1 - xp.pow(beta1, step))
        moments = (beta1, 1 - beta1, beta2, 1 - beta2)
        flag = xp.where(known, 1.0, 0.0)
        return rate, flag, factor, settings["eps"], *moments, self.decay(settings)

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        rate, known, factor, eps, beta1, rest1, beta2, rest2, decay = numbers
        parameter, grad = self.decayed(settings, decay, parameter, grad)
        m = beta1 * state[0] + rest1 * grad
        v = beta2 * state[1] + rest2 * (grad * grad)
        scale = xp.where(known > 0.5, factor / (xp.sqrt(v) + eps), xp.ones_like(v))
        return parameter - rate * m * scale, m, v


class Adamax(Optimizer):
    """Adam with the largest of decaying gradients in place of the root of their mean square.

        u ← max(β₂ u, |g| + ε)
        θ ← θ - lr / (1 - β₁ᵗ) · m / u

    Source: Kingma & Ba, ICLR 2015, algorithm 2; ε keeps u above 0, as in PyTorch.
    """

    elementwise = True
    optional = ("weight_decay",)
    pairs = ("betas",)
    ranges: ClassVar = {"betas": (0.0, 1.0)}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """m and u."""
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """lr / (1 - β₁ᵗ), ε, β₁, 1 - β₁, β₂ and λ."""
        beta1, beta2 = settings["betas"]
        rate = settings["lr"] / (1 - xp.pow(beta1, step))
        return rate, settings["eps"], beta1, 1 - beta1, beta2, settings["weight_decay"]

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        rate, eps, beta1, rest1, beta2, decay = numbers
        if decay is not None:
            grad = grad + decay * parameter
        m = beta1 * state[0] + rest1 * grad
        largest = xp.maximum(beta2 * state[1], xp.abs(grad) + eps)
        return parameter - rate * m / largest, m, largest


class Lion(Optimizer):
    """Steps of one size, in the direction that momentum and gradient together have.

        θ ← (1 - lr λ) θ - lr sign(β₁ m + (1 - β₁) g),   then  m ← β₂ m + (1 - β₂) g

    The rate is three to ten times smaller than Adam's, the decay as many times larger. PyTorch has
    it not.

    Source: Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, algorithm 2.
    """

    elementwise = True
    optional = ("weight_decay",)
    pairs = ("betas",)
    ranges: ClassVar = {"betas": (0.0, 1.0)}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """m."""
        return {"exp_avg": 0.0}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """lr, what is left of θ, β₁, 1 - β₁, β₂, 1 - β₂."""
        beta1, beta2 = settings["betas"]
        decay = settings["weight_decay"]
        left = None if decay is None else 1 - settings["lr"] * decay
        return settings["lr"], left, beta1, 1 - beta1, beta2, 1 - beta2

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        lr, left, beta1, rest1, beta2, rest2 = numbers
        direction = xp.sign(beta1 * state[0] + rest1 * grad)
        parameter = parameter if left is None else left * parameter
        return parameter - lr * direction, beta2 * state[0] + rest2 * grad


__all__ = ["Adamax", "Lion", "NAdam", "RAdam"]
