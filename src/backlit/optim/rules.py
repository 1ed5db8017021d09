"""The update rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Group, Optimizer


class Adam(Optimizer):
    """Adam: steps of the size of the learning rate, scaled by running moments of the gradient.

        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        θ ← θ - lr · m̂ / (√v̂ + ε),   m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)

    With `weight_decay` λ the gradient is g + λ θ first; `AdamW` decays apart from it.

    Source: Kingma & Ba, ICLR 2015, algorithm 1.
    """

    state_names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def coefficients(self, xp: Any, lr: Any, step: Any, group: Group) -> tuple[Any, ...]:
        """lr / (1 - β₁ᵗ) and 1 / √(1 - β₂ᵗ)."""
        beta1, beta2 = group["betas"]
        return lr / (1 - beta1**step), 1 / xp.sqrt(1 - beta2**step)

    def update(
        self,
        xp: Any,
        group: Group,
        coefficients: tuple[Any, ...],
        parameter: Any,
        grad: Any,
        *state: Any,
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        rate, scale = coefficients
        m, v = state
        beta1, beta2 = group["betas"]
        if group["weight_decay"]:
            grad = grad + group["weight_decay"] * parameter
        m = beta1 * m + (1 - beta1) * grad
        v = beta2 * v + (1 - beta2) * (grad * grad)
        return parameter - rate * m / (xp.sqrt(v) * scale + group["eps"]), m, v
