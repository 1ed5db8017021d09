"""Activation functions, softmax and maxout."""

from __future__ import annotations

from typing import Any

from ...array_api import max, reshape
from ...array_api.arguments import cached, number, one_axis, whole
from ...errors import ArgumentError, ShapeError
from ...op import describe
from ...ops import activation
from ...promotion import floating
from ...tensor import Tensor, apply
from .common import given, in_place, where

_RELU = activation.Relu()
_SILU = activation.Silu()
_GELU = activation.Gelu()
_GELU_TANH = activation.GeluTanh()
_SOFTPLUS = activation.Softplus()


def relu(x: Any, inplace: bool = False) -> Tensor:
    """y = max(x, 0);  gx = gy where x > 0, else 0: the derivative at 0 is 0.

    With `inplace` x itself takes the result's value, too.

    >>> from backlit import tensor
    >>> relu(tensor([-1.0, 2.0]))
    Tensor([0., 2.], shape=(2,), dtype=float32)
    """
    y = apply(_RELU, given(x))
    return in_place(x, y) if inplace else y


def leaky_relu(x: Any, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """y = x where x > 0, else slope · x;  the derivative at 0 is the slope.

    >>> from backlit import tensor
    >>> leaky_relu(tensor([-1.0, 2.0]), 0.5)
    Tensor([-0.5,  2. ], shape=(2,), dtype=float32)
    """
    op = cached(activation.LeakyRelu, number("leaky_relu: negative_slope", negative_slope))
    y = apply(op, floating(given(x)))
    return in_place(x, y) if inplace else y


def elu(x: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """y = x where x > 0, else α (eˣ - 1).

    >>> from backlit import tensor
    >>> elu(tensor([0.0, 2.0]))
    Tensor([0., 2.], shape=(2,), dtype=float32)
    """
    y = apply(cached(activation.Elu, number("elu: alpha", alpha)), floating(given(x)))
    return in_place(x, y) if inplace else y


def softplus(x: Any) -> Tensor:
    """y = log(1 + eˣ), without overflow;  gx = gy σ(x).

    >>> from backlit import tensor
    >>> softplus(tensor([1e4]))
    Tensor([10000.], shape=(1,), dtype=float32)
    """
    return apply(_SOFTPLUS, floating(given(x)))


def silu(x: Any, inplace: bool = False) -> Tensor:
    """y = x σ(x), also called swish.

    >>> from backlit import tensor
    >>> silu(tensor([0.0]))
    Tensor([0.], shape=(1,), dtype=float32)
    """
    y = apply(_SILU, floating(given(x)))
    return in_place(x, y) if inplace else y


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """y = x Φ(x), Φ the normal distribution function; `approximate="tanh"` is GPT-2's form.

    >>> from backlit import tensor
    >>> gelu(tensor([0.0, 1.0]))
    Tensor([0.    , 0.8413], shape=(2,), dtype=float32)
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return apply(_GELU if approximate == "none" else _GELU_TANH, floating(given(x)))


def maxout(x: Any, pieces: int, dim: int = -1) -> Tensor:
    """The largest of each `pieces` neighbours along an axis; the gradient goes to it.

        x: (..., K·pieces, ...) -> (..., K, ...)

    Source: Goodfellow et al., "Maxout networks", ICML 2013.

    >>> from backlit import tensor
    >>> maxout(tensor([1.0, 5.0, 4.0, 2.0]), 2)
    Tensor([5., 4.], shape=(2,), dtype=float32)
    """
    x = given(x)
    axis = one_axis("maxout", dim, x.ndim)
    if whole("maxout: pieces", pieces) < 1 or x.shape[axis] % pieces:
        raise ShapeError(
            f"maxout: axis {axis} of {describe(x)} must be a multiple of pieces={pieces}{where()}"
        )
    shape = (*x.shape[:axis], x.shape[axis] // pieces, pieces, *x.shape[axis + 1 :])
    return max(reshape(x, shape), axis=axis + 1)


def _along(op: type, name: str, x: Any, dim: int) -> Tensor:
    """An op along an axis; nothing of nothing."""
    x = floating(given(x))
    axis = one_axis(name, dim, x.ndim)
    return apply(cached(op, axis), x) if x.shape[axis] else x


def softmax(x: Any, dim: int = -1) -> Tensor:
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ along an axis;  gxᵢ = yᵢ (gyᵢ - Σⱼ gyⱼ yⱼ).

    >>> from backlit import tensor
    >>> softmax(tensor([0.0, 0.0]))
    Tensor([0.5, 0.5], shape=(2,), dtype=float32)
    """
    return _along(activation.Softmax, "softmax", x, dim)


def masked_softmax(x: Any, dim: int = -1) -> Tensor:
    """The softmax along an axis, and 0 where all x along it are −∞, where the softmax is NaN.

    >>> from backlit import inf, tensor
    >>> masked_softmax(tensor([[0.0, -inf], [-inf, -inf]])).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    return _along(activation.MaskedSoftmax, "softmax", x, dim)


def log_softmax(x: Any, dim: int = -1) -> Tensor:
    """yᵢ = xᵢ - log Σⱼ e^xⱼ along an axis;  gxᵢ = gyᵢ - e^yᵢ Σⱼ gyⱼ.

    >>> from backlit import tensor
    >>> log_softmax(tensor([0.0, 1e4]))
    Tensor([-10000.,      0.], shape=(2,), dtype=float32)
    """
    return _along(activation.LogSoftmax, "log_softmax", x, dim)
