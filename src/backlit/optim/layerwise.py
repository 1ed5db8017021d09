"""Rules that look at a parameter as a whole: its norm, its rows and columns, its directions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

from ..dtypes import finfo
from ..errors import ArgumentError
from .optimizer import Optimizer, settings_of
from .rules import Numbers, Settings


def _norm(xp: Any, x: Any) -> Any:
    return xp.sqrt(xp.sum(x * x))


def _mean_square(xp: Any, x: Any, axis: int) -> Any:
    """The mean of squares along an axis, which stays."""
    return xp.sum(x * x, axis=axis, keepdims=True) / x.shape[axis]


class Adafactor(Optimizer):
    """Adam's scaling with the memory of a row and a column for each matrix, and no momentum.

        R ← R + t^γ (mean of g² over columns - R),   C ← C + t^γ (mean of g² over rows - C)
        v = R C / max(mean R, ε₁),   u = g / √max(v, ε₁²)               γ: beta2_decay
        θ ← (1 - lr λ) θ - max(ε₂, rms θ) min(lr, 1/√t) u / max(1, rms u / d)

    Parameters of fewer than two axes keep v itself. `eps` is (ε₁, ε₂); None is the dtype's own.

    Source: Shazeer & Stern, "Adafactor", ICML 2018, algorithm 4 with 5; ε₁ where PyTorch has it.
    """

    optional = ("weight_decay",)
    pairs = ("eps",)
    ranges: ClassVar = {"beta2_decay": (-math.inf, 0.0), "d": (1.0, math.inf)}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def check(self, settings: Settings) -> None:
        """Raise unless settings lie in their ranges; ε₁ may be None."""
        eps = settings.get("eps")
        if isinstance(eps, tuple) and len(eps) == 2 and eps[0] is None:
            settings = {**settings, "eps": (0.0, eps[1])}
        super().check(settings)

    def state_for(
        self, settings: Settings, shape: tuple[int, ...]
    ) -> dict[str, tuple[float, tuple[int, ...]]]:
        """R and C, or v."""
        if len(shape) < 2:
            return {"variance": (0.0, shape)}
        return {
            "row_var": (0.0, (*shape[:-1], 1)),
            "col_var": (0.0, (*shape[:-2], 1, shape[-1])),
        }

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """min(lr, 1/√t), t^γ, ε₁, ε₂, d and what is left of θ."""
        rate = xp.minimum(settings["lr"], 1 / xp.sqrt(step))
        decay = settings["weight_decay"]
        left = None if decay is None else 1 - settings["lr"] * decay
        return rate, xp.pow(step, settings["beta2_decay"]), *settings["eps"], settings["d"], left

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        rate, weight, eps1, eps2, d, left = numbers
        eps1 = float(finfo(parameter.dtype).eps) if eps1 is None else eps1
        root = math.sqrt(math.prod(parameter.shape))
        size = xp.maximum(_norm(xp, parameter) / root, eps2) * rate
        if left is not None:
            parameter = left * parameter
        if len(parameter.shape) < 2:
            square = state[0] + weight * (grad * grad - state[0])
            new: tuple[Any, ...] = (square,)
        else:
            row = state[0] + weight * (_mean_square(xp, grad, -1) - state[0])
            column = state[1] + weight * (_mean_square(xp, grad, -2) - state[1])
            new = (row, column)
            mean = xp.sum(row, axis=-2, keepdims=True) / row.shape[-2]
            square = row * column / xp.maximum(mean, eps1)
        step = grad / xp.sqrt(xp.maximum(square, eps1 * eps1))
        limit = xp.maximum(_norm(xp, step) / (root * d), 1.0)
        return parameter - size / limit * step, *new


class Muon(Optimizer):
    """Momentum whose step for a matrix has all directions at about one size.

        B ← B + (1 - μ) (g - B),   U = g + μ (B - g) with nesterov, else B
        θ ← (1 - lr λ) θ - lr √max(1, rows/columns) · NS(U)

    NS brings the singular values of U / |U| near 1: `ns_steps` times X ← a X + (b A + c A²) X with
    A = X Xᵀ and (a, b, c) = `ns_coefficients`. With `adjust_lr_fn="match_rms_adamw"` the factor is
    0.2 √max(rows, columns), so that rates of AdamW fit. For the matrices inside a network; the
    other parameters have an optimizer of their own. NS is computed in the parameter's dtype;
    PyTorch computes it in bfloat16, so results agree to about two digits.

    Source: Jordan et al., "Muon", 2024; Liu et al., arXiv:2502.16982 (the other factor).
    """

    pairs = ()
    fixed = ("ns_coefficients", "ns_steps", "adjust_lr_fn")
    flags = ("nesterov",)
    optional = ("weight_decay",)
    ranges: ClassVar = {"momentum": (0.0, 1.0)}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):
        super().__init__(params, settings_of(locals()))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add matrices with settings of their own."""
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.ndim != 2:
                self.param_groups.pop()
                self._group_steps.pop()
                raise ArgumentError(
                    f"Muon: a parameter must have 2 axes, got shape {p.shape}; give the others to "
                    "an optimizer such as AdamW"
                )

    def check(self, settings: Settings) -> None:
        """Raise unless settings lie in their ranges."""
        super().check(settings)
        steps = settings.get("ns_steps", 1)
        if isinstance(steps, bool) or not isinstance(steps, int) or not 0 <= steps < 100:
            raise ArgumentError(f"Muon: ns_steps must be an integer in [0, 100), got {steps!r}")
        if len(settings.get("ns_coefficients", (0, 0, 0))) != 3:
            raise ArgumentError(
                f"Muon: ns_coefficients must be 3 numbers, got {settings['ns_coefficients']!r}"
            )
        if settings.get("adjust_lr_fn") not in (None, "original", "match_rms_adamw"):
            raise ArgumentError(
                "Muon: adjust_lr_fn must be None, 'original' or 'match_rms_adamw', got "
                f"{settings['adjust_lr_fn']!r}"
            )

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """B."""
        return {"momentum_buffer": 0.0}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """lr, what is left of θ, μ, 1 - μ and ε."""
        decay = settings["weight_decay"]
        left = None if decay is None else 1 - settings["lr"] * decay
        momentum = settings["momentum"]
        return settings["lr"], left, momentum, 1 - momentum, settings["eps"]

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        lr, left, momentum, rest, eps = numbers
        buffer = state[0] + rest * (grad - state[0])
        x = grad + momentum * (buffer - grad) if settings["nesterov"] else buffer
        rows, columns = x.shape
        x = x.mT if rows > columns else x
        x = x / xp.maximum(_norm(xp, x), eps)
        a, b, c = settings["ns_coefficients"]
        for _ in range(settings["ns_steps"]):
            gram = xp.matmul(x, x.mT)
            x = a * x + xp.matmul(b * gram + c * xp.matmul(gram, gram), x)
        x = x.mT if rows > columns else x
        if settings["adjust_lr_fn"] == "match_rms_adamw":
            ratio = 0.2 * math.sqrt(max(rows, columns))
        else:
            ratio = math.sqrt(max(1, rows / columns))
        parameter = parameter if left is None else left * parameter
        return parameter - lr * ratio * x, buffer


def _trust(xp: Any, weight: Any, step: Any) -> Any:
    """|weight| / step, and 1 where one of them is 0."""
    usable = xp.logical_and(weight > 0, step > 0)
    return xp.where(usable, weight / xp.where(usable, step, xp.ones_like(step)), 1.0)


class LARS(Optimizer):
    """Momentum whose rate for each parameter follows the ratio of its norm to its gradient's.

        λ = η |θ| / (|g| + β |θ|)                 η: trust_coefficient, β: weight_decay
        v ← μ v + lr λ (g + β θ),   θ ← θ - v

    λ is 1 where a norm is 0. For large batches. PyTorch has it not.

    Source: You, Gitman & Ginsburg, "Large batch training of convolutional networks",
    arXiv:1708.03888, algorithm 1.
    """

    optional = ("momentum", "weight_decay")
    ranges: ClassVar = {"momentum": (0.0, 1.0)}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """v, if there is a momentum."""
        return {} if settings["momentum"] is None else {"momentum_buffer": 0.0}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """lr, μ, β and η."""
        names = ("lr", "momentum", "weight_decay", "trust_coefficient")
        return tuple(settings[n] for n in names)

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        lr, momentum, decay, trust = numbers
        weight, size = _norm(xp, parameter), _norm(xp, grad)
        if decay is not None:
            size = size + decay * weight
            grad = grad + decay * parameter
        step = lr * _trust(xp, trust * weight, size) * grad
        if momentum is None:
            return (parameter - step,)
        v = momentum * state[0] + step
        return parameter - v, v


class LAMB(Optimizer):
    """Adam's step with weight decay, at a length that follows the norm of the parameter.

        u = m̂ / (√v̂ + ε) + λ θ,   θ ← θ - lr |θ| / |u| · u

    m̂ and v̂ as in `Adam`; the ratio is 1 where a norm is 0. For large batches. PyTorch has it not.

    Source: You et al., "Large batch optimization for deep learning", ICLR 2020, algorithm 2, with
    the identity as φ.
    """

    optional = ("weight_decay",)
    pairs = ("betas",)
    ranges: ClassVar = {"betas": (0.0, 1.0)}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """m and v."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """lr, 1 - β₁ᵗ, 1 - β₂ᵗ, ε, β₁, 1 - β₁, β₂, 1 - β₂ and λ."""
        beta1, beta2 = settings["betas"]
        rests = (1 - xp.pow(beta1, step), 1 - xp.pow(beta2, step))
        moments = (beta1, 1 - beta1, beta2, 1 - beta2)
        return settings["lr"], *rests, settings["eps"], *moments, settings["weight_decay"]

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        lr, left1, left2, eps, beta1, rest1, beta2, rest2, decay = numbers
        m = beta1 * state[0] + rest1 * grad
        v = beta2 * state[1] + rest2 * (grad * grad)
        step = m / left1 / (xp.sqrt(v / left2) + eps)
        if decay is not None:
            step = step + decay * parameter
        ratio = _trust(xp, _norm(xp, parameter), _norm(xp, step))
        return parameter - lr * ratio * step, m, v


__all__ = ["LAMB", "LARS", "Adafactor", "Muon"]
