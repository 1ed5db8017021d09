"""Special functions, and forms of exponentials, logarithms and roots, under PyTorch's names."""

from __future__ import annotations

import math
from typing import Any

from ..backend.halves import as_one_op
from ..ops import special as ops
from ..promotion import floating, operand, promoted
from ..tensor import Tensor, apply, as_tensor
from .arguments import cached, whole
from .elementwise import Unary, logaddexp, pow, reciprocal, sqrt, unary_float

__all__ = [
    "deg2rad",
    "digamma",
    "erfinv",
    "exp2",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "lgamma",
    "logaddexp2",
    "polygamma",
    "rad2deg",
    "rsqrt",
    "sinc",
    "xlogy",
]

erfinv = unary_float(ops.Erfinv)
lgamma = unary_float(ops.Lgamma)
sinc = unary_float(ops.Sinc)


def _bessel(n: int, scaled: bool, doc: str) -> Unary:
    def function(x: Any, /) -> Tensor:
        return apply(cached(ops.Bessel, n, scaled), floating(as_tensor(x)))

    function.__name__ = function.__qualname__ = f"i{n}{'e' * scaled}"
    function.__doc__ = doc
    return function


i0 = _bessel(0, False, "y = I₀(x), the modified Bessel function of order 0;  gx = gy I₁(x).")
i1 = _bessel(1, False, "y = I₁(x), that of order 1;  gx = gy (I₀(x) - I₁(x) / x), gy / 2 at 0.")
i0e = _bessel(0, True, "y = e^(-|x|) I₀(x), which is a number where I₀ is beyond all numbers.")
i1e = _bessel(1, True, "y = e^(-|x|) I₁(x), which is a number where I₁ is beyond all numbers.")


def digamma(x: Any) -> Tensor:
    """y = ψ(x) = (log Γ)′(x), the derivative of `lgamma`.

    >>> digamma(as_tensor([1.0]))
    Tensor([-0.5772], shape=(1,), dtype=float32)
    """
    return polygamma(0, x)


def polygamma(n: int, x: Any) -> Tensor:
    """y = ψ⁽ⁿ⁾(x), the n-th derivative of `digamma`.

    >>> polygamma(1, as_tensor([1.0]))  # π²/6
    Tensor([1.6449], shape=(1,), dtype=float32)
    """
    order = whole("polygamma: n", n, 0)
    return apply(cached(ops.Polygamma, order), floating(as_tensor(x)))


def xlogy(x1: Any, x2: Any) -> Tensor:
    """y = x1 log x2, and 0 where x1 = 0, also for log 0;  the gradient for x1 is 0 there.

    >>> xlogy(as_tensor([0.0, 2.0]), as_tensor([0.0, 1.0]))
    Tensor([0., 0.], shape=(2,), dtype=float32)
    """
    return apply(cached(ops.Xlogy), *both(floating(operand(x1)), floating(operand(x2))))


def both(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Two operands as Tensors of one dtype, which a number has from the other."""
    a, b = promoted(a, b)
    dtype = a.dtype if isinstance(a, Tensor) else b.dtype
    return tuple(x if isinstance(x, Tensor) else as_tensor(x).astype(dtype) for x in (a, b))  # type: ignore[return-value]


def exp2(x: Any) -> Tensor:
    """y = 2ˣ;  gx = gy y log 2.

    >>> exp2(as_tensor([3.0, -1.0]))
    Tensor([8. , 0.5], shape=(2,), dtype=float32)
    """
    return pow(2.0, floating(as_tensor(x)))


@as_one_op
def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """y = log₂(2^x1 + 2^x2) without overflow.

    >>> logaddexp2(as_tensor([1000.0]), as_tensor([1000.0]))
    Tensor([1001.], shape=(1,), dtype=float32)
    """
    a, b = both(floating(operand(x1)), floating(operand(x2)))
    return logaddexp(a * math.log(2), b * math.log(2)) / math.log(2)


@as_one_op
def rsqrt(x: Any) -> Tensor:
    """y = 1 / √x;  gx = -gy y³ / 2.

    >>> rsqrt(as_tensor([4.0]))
    Tensor([0.5], shape=(1,), dtype=float32)
    """
    return reciprocal(sqrt(x))


def deg2rad(x: Any) -> Tensor:
    """Degrees in radians: y = x π / 180."""
    return floating(as_tensor(x)) * (math.pi / 180)


def rad2deg(x: Any) -> Tensor:
    """Radians in degrees: y = x 180 / π."""
    return floating(as_tensor(x)) * (180 / math.pi)
