"""The update rules, each as its formula for one parameter θ with gradient g.

`weight_decay` λ adds λ θ to the gradient first, except in `AdamW`. `maximize` turns the sign of the
gradient. `foreach`, `fused` and `capturable` choose among PyTorch's programs for one rule, and
change nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from ..errors import ArgumentError
from .optimizer import Optimizer, settings_of

Settings = dict[str, Any]
Numbers = tuple[Any, ...]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum μ as an option.

        v ← μ v + (1 - τ) g            τ: dampening; the first v is g itself
        θ ← θ - lr · v                 with nesterov: θ - lr · (g + μ v)

    Momentum is often written as an exponentially weighted average, V ← β V + (1 - β) g from V = 0,
    θ ← θ - α V. The two are one method: V = (1 - β) v, so α here is lr / (1 - β) there, and β is
    μ. The average keeps the size of a gradient when β changes; the sum grows as 1 / (1 - μ). This
    form is chosen by `averaged=True` (with nesterov the step is (1 - μ) g + μ V). PyTorch has it
    not; `dampening=μ` differs from it in the first step, which is then g and not (1 - μ) g.

    >>> from backlit import tensor
    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    Tensor([0.46], shape=(1,), dtype=float32, requires_grad=True)

    Source: Polyak, USSR Comput. Math. Math. Phys. 4 (1964); Sutskever, Martens, Dahl & Hinton,
    "On the importance of initialization and momentum in deep learning", ICML 2013, sec. 2. Where
    they put the learning rate inside v, it stands outside here, as in PyTorch: a change of lr acts
    at once.
    """

    elementwise = True
    optional = ("momentum", "dampening", "weight_decay")
    flags = ("nesterov", "averaged")
    ranges: ClassVar = {"momentum": (0.0, 1.0), "dampening": (0.0, 1.0)}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        averaged: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def check(self, settings: Settings) -> None:
        """Raise unless settings lie in their ranges, and nesterov and average have a momentum."""
        super().check(settings)
        for name in ("nesterov", "averaged"):
            if settings.get(name) and "momentum" in settings:
                if settings["momentum"] == 0:
                    raise ArgumentError(f"SGD: {name} needs a momentum above 0, got 0")
                if settings["dampening"] != 0:
                    raise ArgumentError(
                        f"SGD: {name} needs dampening=0, got {settings['dampening']}"
                    )

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """v, if there is a momentum."""
        return {} if settings["momentum"] is None else {"momentum_buffer": 0.0}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """lr, λ, μ and the weight of the new gradient (None for 1)."""
        momentum, dampening = settings["momentum"], settings["dampening"]
        weight = None
        if settings["averaged"]:
            weight = 1 - momentum
        elif momentum is not None and dampening is not None:
            weight = xp.where(step == 1, 1.0, 1 - dampening)
        return settings["lr"], settings["weight_decay"], momentum, weight

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        lr, decay, momentum, weight = numbers
        if decay is not None:
            grad = grad + decay * parameter
        if momentum is None:
            return (parameter - lr * grad,)
        new = grad if weight is None else weight * grad
        v = momentum * state[0] + new
        step = new + momentum * v if settings["nesterov"] else v
        return parameter - lr * step, v


class Decayed(Optimizer):
    """The base of rules whose weight decay is in the gradient, or apart from it as in AdamW."""

    optional = ("weight_decay",)
    flags: ClassVar[tuple[str, ...]] = ("decoupled_weight_decay",)
    pairs = ("betas",)
    ranges: ClassVar = {"betas": (0.0, 1.0)}

    def decay(self, settings: Settings) -> Any:
        """λ, or apart from the gradient what is left of θ: 1 - lr λ."""
        decay = settings["weight_decay"]
        if decay is None or not settings["decoupled_weight_decay"]:
            return decay
        return 1 - settings["lr"] * decay

    def decayed(self, settings: Settings, decay: Any, parameter: Any, grad: Any) -> tuple[Any, Any]:
        """Parameter and gradient after weight decay."""
        if decay is None:
            return parameter, grad
        if settings["decoupled_weight_decay"]:
            return decay * parameter, grad
        return parameter, grad + decay * parameter


class Adam(Decayed):
    """Adam: steps of the size of the learning rate, scaled by running moments of the gradient.

        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        θ ← θ - lr · m̂ / (√v̂ + ε),   m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)

    worked out as θ - (lr r / (1 - β₁ᵗ)) · m / (√v + ε r), r = √(1 - β₂ᵗ), which is the same with
    fewer operations on arrays (the paper's remark after algorithm 1). With `amsgrad` the largest v
    so far stands for v in the last line; with `decoupled_weight_decay` it is `AdamW`.

    >>> from backlit import tensor
    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Tensor([0.9], shape=(1,), dtype=float32, requires_grad=True)

    Source: Kingma & Ba, ICLR 2015, algorithm 1; amsgrad: Reddi, Kale & Kumar, ICLR 2018, algorithm
    2, with the bias corrections, as in PyTorch.
    """

    elementwise = True
    flags = ("amsgrad", "decoupled_weight_decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """m and v, and the largest v."""
        names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if settings["amsgrad"] else ()))
        return dict.fromkeys(names, 0.0)

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """lr r / (1 - β₁ᵗ), ε r with r = √(1 - β₂ᵗ), then β₁, 1 - β₁, β₂, 1 - β₂ and the decay."""
        beta1, beta2 = settings["betas"]
        root = xp.sqrt(1 - xp.pow(beta2, step))
        rate = settings["lr"] * root / (1 - xp.pow(beta1, step))
        decay = self.decay(settings)
        return rate, settings["eps"] * root, beta1, 1 - beta1, beta2, 1 - beta2, decay

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        rate, eps, beta1, rest1, beta2, rest2, decay = numbers
        parameter, grad = self.decayed(settings, decay, parameter, grad)
        m = beta1 * state[0] + rest1 * grad
        v = beta2 * state[1] + rest2 * (grad * grad)
        if not settings["amsgrad"]:
            return parameter - rate * m / (xp.sqrt(v) + eps), m, v
        largest = xp.maximum(state[2], v)
        return parameter - rate * m / (xp.sqrt(largest) + eps), m, v, largest


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: θ ← (1 - lr λ) θ before Adam's step.

    In Adam the decay λ θ is divided by √v̂ like every gradient, so weights with large gradients
    decay less; here all decay at the same rate.

    Source: Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2,
    with the decay scaled by lr as in PyTorch.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        Optimizer.__init__(self, params, settings_of(locals()) | {"decoupled_weight_decay": True})


class RMSprop(Optimizer):
    """RMSprop: the gradient divided by the root of its running mean square.

        s ← α s + (1 - α) g²
        θ ← θ - lr · g / (√s + ε)

    With `centered` s - a² stands for s, a ← α a + (1 - α) g: the variance in place of the mean
    square (not below 0, where rounding would take it). With `momentum` μ the step is
    b ← μ b + g / (√s + ε), θ ← θ - lr b.

    Source: Tieleman & Hinton, "Lecture 6.5, rmsprop", Neural Networks for Machine Learning, 2012;
    centered: Graves, arXiv:1308.0850, eq. 38 to 42. ε is added outside the root, as in PyTorch.
    """

    elementwise = True
    optional = ("weight_decay", "momentum")
    flags = ("centered",)
    ranges: ClassVar = {"alpha": (0.0, 1.0), "momentum": (0.0, 1.0)}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """s, and a if centered, and b if there is a momentum."""
        names = ["square_avg"]
        if settings["centered"]:
            names.append("grad_avg")
        if settings["momentum"] is not None:
            names.append("momentum_buffer")
        return dict.fromkeys(names, 0.0)

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """lr, α, 1 - α, ε, λ, μ."""
        alpha = settings["alpha"]
        decay, momentum = settings["weight_decay"], settings["momentum"]
        return settings["lr"], alpha, 1 - alpha, settings["eps"], decay, momentum

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        lr, alpha, rest, eps, decay, momentum = numbers
        if decay is not None:
            grad = grad + decay * parameter
        square = alpha * state[0] + rest * (grad * grad)
        new = [square]
        if settings["centered"]:
            mean = alpha * state[1] + rest * grad
            new.append(mean)
            spread = xp.maximum(square - mean * mean, 0.0)
        else:
            spread = square
        step = grad / (xp.sqrt(spread) + eps)
        if momentum is not None:
            velocity = momentum * state[-1] + step
            return parameter - lr * velocity, *new, velocity
        return parameter - lr * step, *new


class Adagrad(Optimizer):
    """Adagrad: the gradient divided by the root of the sum of all its squares.

        s ← s + g²
        θ ← θ - lr / (1 + (t - 1) η) · g / (√s + ε)          η: lr_decay

    s starts at `initial_accumulator_value`.

    Source: Duchi, Hazan & Singer, JMLR 12 (2011), sec. 1.1 with the diagonal matrix.
    """

    elementwise = True
    optional = ("lr_decay", "weight_decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(params, settings_of(locals()))

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """s."""
        return {"sum": settings["initial_accumulator_value"]}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """The rate of this step, ε, λ."""
        lr, decay = settings["lr"], settings["lr_decay"]
        rate = lr if decay is None else lr / (1 + (step - 1) * decay)
        return rate, settings["eps"], settings["weight_decay"]

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        rate, eps, decay = numbers
        if decay is not None:
            grad = grad + decay * parameter
        total = state[0] + grad * grad
        return parameter - rate * grad / (xp.sqrt(total) + eps), total


class Adadelta(Optimizer):
    """Adadelta: steps scaled by the ratio of the running sizes of past steps and of gradients.

        s ← ρ s + (1 - ρ) g²
        d = g √(u + ε) / √(s + ε)
        u ← ρ u + (1 - ρ) d²
        θ ← θ - lr · d

    Source: Zeiler, arXiv:1212.5701, algorithm 1, which has lr = 1.
    """

    elementwise = True
    optional = ("weight_decay",)
    ranges: ClassVar = {"rho": (0.0, 1.0)}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, settings_of(locals()))

    def initial_state(self, settings: Settings) -> dict[str, float]:
        """s and u."""
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def coefficients(self, xp: Any, settings: Settings, step: Any) -> Numbers:
        """lr, ρ, 1 - ρ, ε, λ."""
        rho = settings["rho"]
        return settings["lr"], rho, 1 - rho, settings["eps"], settings["weight_decay"]

    def update(
        self, xp: Any, settings: Settings, numbers: Numbers, parameter: Any, grad: Any, *state: Any
    ) -> tuple[Any, ...]:
        """The rule for one parameter."""
        lr, rho, rest, eps, decay = numbers
        if decay is not None:
            grad = grad + decay * parameter
        square = rho * state[0] + rest * (grad * grad)
        delta = grad * xp.sqrt(state[1] + eps) / xp.sqrt(square + eps)
        return parameter - lr * delta, square, rho * state[1] + rest * (delta * delta)
