"""Limits on gradients, applied between `backward` and `step`."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ... import array_api
from ...array_api.arguments import listed, number
from ...autograd import no_grad
from ...dtypes import LOW_PRECISION, float32
from ...errors import ArgumentError, NonFiniteError
from ...op import describe
from ...tensor import Tensor


def to_limit(name: str, parameters: Tensor | Iterable[Tensor], limit: float) -> list[Tensor]:
    """The Tensors whose gradients are now limited; what looks on at a loop looks here."""
    return [p for p in listed(name, parameters) if p.grad is not None]


def _wide(t: Tensor) -> Tensor:
    return t.astype(float32) if t.dtype in LOW_PRECISION else t


@no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients so that their norm as one vector is at most `max_norm`; return the norm.

        n = ‖(g₁, g₂, …)‖,   gᵢ ← gᵢ · min(1, max_norm / (n + 1e-6))

    The norm is that before scaling. It is computed without overflow, in float32 for 16-bit
    gradients. `norm_type` is 2, 1, any p > 0 or infinity. A norm that is not finite makes every
    gradient NaN or 0; `error_if_nonfinite` raises instead, naming the first such gradient, and is
    not available inside a captured function. `foreach` changes nothing.

    >>> from backlit import tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> w.grad = tensor([3.0, 4.0])
    >>> clip_grad_norm_(w, 1.0)
    Tensor(5., shape=(), dtype=float32)
    >>> w.grad
    Tensor([0.6, 0.8], shape=(2,), dtype=float32)

    Source: Pascanu, Mikolov & Bengio, ICML 2013, algorithm 1; 1e-6 as in PyTorch.
    """
    if not number("clip_grad_norm_: max_norm", max_norm) >= 0:
        raise ArgumentError(f"clip_grad_norm_: max_norm must not be negative, got {max_norm}")
    clipped = to_limit("clip_grad_norm_", parameters, max_norm)
    gradients: list[Tensor] = [p.grad for p in clipped]  # type: ignore[misc]
    total = _norm("clip_grad_norm_", gradients, norm_type, error_if_nonfinite)
    _scale(clipped, max_norm, total)
    return total


@no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of several Tensors as one vector: see `clip_grad_norm_`.

    >>> from backlit import tensor
    >>> get_total_norm([tensor([3.0]), tensor([4.0])])
    Tensor(5., shape=(), dtype=float32)
    """
    return _norm("get_total_norm", listed("get_total_norm", tensors), norm_type, error_if_nonfinite)


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale all gradients as `clip_grad_norm_` does, with a norm that is known already."""
    _scale(to_limit("clip_grads_with_norm_", parameters, max_norm), max_norm, total_norm)


def _norm(name: str, tensors: list[Tensor], norm_type: float, error_if_nonfinite: bool) -> Tensor:
    if not number(f"{name}: norm_type", norm_type) > 0:
        raise ArgumentError(f"{name}: norm_type must be above 0, got {norm_type}")
    if not tensors:
        return array_api.zeros(())
    norms = [array_api.vector_norm(_wide(t), ord=norm_type) for t in tensors]
    total = array_api.vector_norm(array_api.stack(norms), ord=norm_type)
    if error_if_nonfinite and not math.isfinite(float(total)):
        bad = next((i for i, n in enumerate(norms) if not math.isfinite(float(n))), None)
        which = "their sum of powers" if bad is None else (
            f"the gradient of parameter {bad} ({describe(tensors[bad])})"
        )  # fmt: skip
        raise NonFiniteError(
            f"{name}: the norm of the gradients must be finite, got {float(total)} from "
            f"{which}; see where it first appears, or leave error_if_nonfinite out"
        )
    return total


def _scale(clipped: list[Tensor], max_norm: float, total: Tensor) -> None:
    scale = array_api.minimum(max_norm / (total + 1e-6), 1.0)
    for p in clipped:
        p.grad = p.grad * scale.astype(p.dtype)


@no_grad()
def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Limit every element of every gradient to [-clip_value, clip_value].

    >>> from backlit import tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> w.grad = tensor([3.0, -0.5])
    >>> clip_grad_value_(w, 1.0)
    >>> w.grad
    Tensor([ 1. , -0.5], shape=(2,), dtype=float32)
    """
    if not number("clip_grad_value_: clip_value", clip_value) >= 0:
        raise ArgumentError(f"clip_grad_value_: clip_value must not be negative, got {clip_value}")
    for p in to_limit("clip_grad_value_", parameters, clip_value):
        p.grad = array_api.clip(p.grad, -clip_value, clip_value)
