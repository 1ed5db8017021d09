"""The affine map."""

from __future__ import annotations

from typing import Any

from ...ops import contraction
from ...precision import narrowed
from ...state import STATE
from ...tensor import Tensor, apply
from .common import given

_LINEAR = contraction.Linear()


def linear(input: Any, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x Wᵀ + b.

        x: (..., I), weight: (O, I), bias: (O) -> (..., O)

    >>> from backlit import tensor
    >>> linear(tensor([[1.0, 2.0]]), tensor([[3.0, 4.0]]), tensor([0.5]))
    Tensor([[11.5]], shape=(1, 1), dtype=float32)
    """
    if STATE.autocast is not None:
        return narrowed(linear, input, weight, bias)
    inputs = (input, weight) if bias is None else (input, weight, bias)
    return apply(_LINEAR, *[given(t) for t in inputs])
