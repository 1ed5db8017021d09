"""Activation functions, softmax and maxout."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ... import array_api
from ...array_api import abs, arange, argmax, log, max, maximum, reshape
from ...array_api import where as choose
from ...array_api.arguments import along, cached, number, one_axis, whole
from ...backend.halves import as_one_op
from ...dtypes import float64
from ...errors import ArgumentError, DTypeError, ShapeError
from ...op import describe
from ...ops import activation
from ...precision import in_16_bits
from ...promotion import differ, floating
from ...random import Generator, given_generator
from ...state import where_called
from ...tensor import Tensor, apply
from .common import given, in_place

_RELU = activation.Relu()
_SILU = activation.Silu()
_GELU = activation.Gelu()
_GELU_TANH = activation.GeluTanh()
_SOFTPLUS = activation.Softplus()
_SELU = activation.Selu()
_RELU6 = activation.Relu6()
_HARDSIGMOID = activation.Hardsigmoid()
_HARDSWISH = activation.Hardswish()
_MISH = activation.Mish()
_LOGSIGMOID = activation.Logsigmoid()
_PRELU = activation.Prelu()


def _float(x: Any) -> Tensor:
    """An argument as a Tensor of floating numbers."""
    return floating(given(x))


def _replaced(x: Any, y: Tensor, inplace: bool) -> Tensor:
    """y, or with `inplace` x with its value."""
    return in_place(x, y) if inplace else y


def sigmoid(input: Any) -> Tensor:
    """y = 1 / (1 + e^-x).

    >>> from backlit import tensor
    >>> sigmoid(tensor([0.0]))
    Tensor([0.5], shape=(1,), dtype=float32)
    """
    return array_api.sigmoid(given(input))


def tanh(input: Any) -> Tensor:
    """y = tanh x.

    >>> from backlit import tensor
    >>> tanh(tensor([0.0]))
    Tensor([0.], shape=(1,), dtype=float32)
    """
    return array_api.tanh(given(input))


def relu(input: Any, inplace: bool = False) -> Tensor:
    """y = max(x, 0);  gx = gy where x > 0, else 0: the derivative at 0 is 0.

    With `inplace` x itself takes the result's value, too.

    >>> from backlit import tensor
    >>> relu(tensor([-1.0, 2.0]))
    Tensor([0., 2.], shape=(2,), dtype=float32)
    """
    return _replaced(input, apply(_RELU, given(input)), inplace)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """y = x where x > 0, else slope · x;  the derivative at 0 is the slope.

    >>> from backlit import tensor
    >>> leaky_relu(tensor([-1.0, 2.0]), 0.5)
    Tensor([-0.5,  2. ], shape=(2,), dtype=float32)
    """
    op = cached(activation.LeakyRelu, number("leaky_relu: negative_slope", negative_slope))
    return _replaced(input, apply(op, _float(input)), inplace)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """y = x where x > 0, else α (eˣ - 1).

    >>> from backlit import tensor
    >>> elu(tensor([0.0, 2.0]))
    Tensor([0., 2.], shape=(2,), dtype=float32)
    """
    op = cached(activation.Elu, number("elu: alpha", alpha))
    return _replaced(input, apply(op, _float(input)), inplace)


@as_one_op
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """y = log(1 + e^(βx)) / β, without overflow;  gx = gy σ(βx).  Where βx > threshold, y = x.

    At the usual threshold of 20 that changes y by less than 2.1e-9, so there the exact value stays.

    >>> from backlit import tensor
    >>> softplus(tensor([1e4]))
    Tensor([10000.], shape=(1,), dtype=float32)
    """
    x = _float(input)
    beta, threshold = number("softplus: beta", beta), number("softplus: threshold", threshold)
    if beta == 1:
        scaled, y = x, apply(_SOFTPLUS, x)
    else:
        scaled = x * beta
        y = apply(_SOFTPLUS, scaled) / beta
    return y if threshold == 20 else choose(scaled > threshold, x, y)


def silu(input: Any, inplace: bool = False) -> Tensor:
    """y = x σ(x), also called swish.

    >>> from backlit import tensor
    >>> silu(tensor([0.0]))
    Tensor([0.], shape=(1,), dtype=float32)
    """
    return _replaced(input, apply(_SILU, _float(input)), inplace)


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """y = x Φ(x), Φ the normal distribution function; `approximate="tanh"` is GPT-2's form.

    >>> from backlit import tensor
    >>> gelu(tensor([0.0, 1.0]))
    Tensor([0.    , 0.8413], shape=(2,), dtype=float32)
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return apply(_GELU if approximate == "none" else _GELU_TANH, _float(input))


def selu(input: Any, inplace: bool = False) -> Tensor:
    """y = λ x where x > 0, else λ α (eˣ - 1), with λ ≈ 1.0507 and α ≈ 1.6733.

    Source: Klambauer et al., "Self-normalizing neural networks", NIPS 2017, eq. 2.

    >>> from backlit import tensor
    >>> selu(tensor([0.0, 1.0]))
    Tensor([0.    , 1.0507], shape=(2,), dtype=float32)
    """
    return _replaced(input, apply(_SELU, _float(input)), inplace)


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """y = x where x > 0, else α (e^(x/α) - 1), whose slope is continuous; α is not 0.

    >>> from backlit import tensor
    >>> celu(tensor([0.0, 1.0]), 0.5)
    Tensor([0., 1.], shape=(2,), dtype=float32)
    """
    if number("celu: alpha", alpha) == 0:
        raise ArgumentError(f"celu: alpha must not be 0, got {alpha}; use relu{where_called()}")
    return _replaced(input, apply(cached(activation.Celu, float(alpha)), _float(input)), inplace)


def hardtanh(
    input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """y = x limited to [min_val, max_val]; the derivative at the limits is 0, unlike `clip`'s.

    >>> from backlit import tensor
    >>> hardtanh(tensor([-2.0, 0.5, 2.0]))
    Tensor([-1. ,  0.5,  1. ], shape=(3,), dtype=float32)
    """
    low, high = number("hardtanh: min_val", min_val), number("hardtanh: max_val", max_val)
    if low > high:
        raise ArgumentError(
            f"hardtanh: min_val must not lie above max_val, got {min_val} and {max_val}"
            f"{where_called()}"
        )
    op = activation.Hardtanh(low=low, high=high)  # not cached: 0.0 and -0.0 would be one
    return _replaced(input, apply(op, _float(input)), inplace)


def relu6(input: Any, inplace: bool = False) -> Tensor:
    """y = x limited to [0, 6].

    >>> from backlit import tensor
    >>> relu6(tensor([-2.0, 2.0, 8.0]))
    Tensor([0., 2., 6.], shape=(3,), dtype=float32)
    """
    return _replaced(input, apply(_RELU6, _float(input)), inplace)


def hardsigmoid(input: Any, inplace: bool = False) -> Tensor:
    """y = (x + 3) / 6 limited to [0, 1].

    >>> from backlit import tensor
    >>> hardsigmoid(tensor([-4.0, 0.0, 4.0]))
    Tensor([0. , 0.5, 1. ], shape=(3,), dtype=float32)
    """
    return _replaced(input, apply(_HARDSIGMOID, _float(input)), inplace)


def hardswish(input: Any, inplace: bool = False) -> Tensor:
    """y = x · hardsigmoid(x).

    Source: Howard et al., "Searching for MobileNetV3", ICCV 2019, sec. 5.2.

    >>> from backlit import tensor
    >>> hardswish(tensor([3.0, 0.0]))
    Tensor([3., 0.], shape=(2,), dtype=float32)
    """
    return _replaced(input, apply(_HARDSWISH, _float(input)), inplace)


def mish(input: Any, inplace: bool = False) -> Tensor:
    """y = x tanh(log(1 + eˣ)).

    Source: Misra, "Mish", BMVC 2020, eq. 1.

    >>> from backlit import tensor
    >>> mish(tensor([0.0, 1.0]))
    Tensor([0.    , 0.8651], shape=(2,), dtype=float32)
    """
    return _replaced(input, apply(_MISH, _float(input)), inplace)


def logsigmoid(input: Any) -> Tensor:
    """y = log σ(x), without overflow.

    >>> from backlit import tensor
    >>> logsigmoid(tensor([-1e4]))
    Tensor([-10000.], shape=(1,), dtype=float32)
    """
    return apply(_LOGSIGMOID, _float(input))


@as_one_op
def softsign(input: Any) -> Tensor:
    """y = x / (1 + |x|).

    >>> from backlit import tensor
    >>> softsign(tensor([-3.0, 0.0, 1.0]))
    Tensor([-0.75,  0.  ,  0.5 ], shape=(3,), dtype=float32)
    """
    x = _float(input)
    return x / (1 + abs(x))


@as_one_op
def tanhshrink(input: Any) -> Tensor:
    """y = x - tanh x.

    >>> from backlit import tensor
    >>> tanhshrink(tensor([0.0, 20.0]))
    Tensor([ 0., 19.], shape=(2,), dtype=float32)
    """
    x = _float(input)
    return x - array_api.tanh(x)


def _shrinking(op: type, name: str, x: Any, lambd: float) -> Tensor:
    limit = number(f"{name}: lambd", lambd)
    if math.isnan(limit) or (limit < 0 and op is activation.Softshrink):
        raise ArgumentError(f"{name}: lambd must not be negative, got {lambd}{where_called()}")
    return apply(cached(op, limit), _float(x))


def softshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """y = x moved towards 0 by λ, but not beyond;  gx = gy where |x| > λ, else 0.

    >>> from backlit import tensor
    >>> softshrink(tensor([-2.0, 0.25, 2.0]))
    Tensor([-1.5,  0. ,  1.5], shape=(3,), dtype=float32)
    """
    return _shrinking(activation.Softshrink, "softshrink", input, lambd)


def hardshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """y = x where |x| > λ, else 0; x itself for a negative λ.

    >>> from backlit import tensor
    >>> hardshrink(tensor([-2.0, 0.25, 2.0]))
    Tensor([-2.,  0.,  2.], shape=(3,), dtype=float32)
    """
    return _shrinking(activation.Hardshrink, "hardshrink", input, lambd)


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """y = x where x > threshold, else value.

    >>> from backlit import tensor
    >>> threshold(tensor([0.05, 0.5]), 0.1, 20.0)
    Tensor([20. ,  0.5], shape=(2,), dtype=float32)
    """
    return _below_replaced(input, threshold, value, inplace)


def _below_replaced(x: Any, limit: float, value: float, inplace: bool) -> Tensor:
    low, other = number("threshold: threshold", limit), number("threshold: value", value)
    op = activation.Threshold(threshold=low, value=other)  # not cached: 0.0 and -0.0 are one there
    return _replaced(x, apply(op, _float(x)), inplace)


@in_16_bits
def prelu(input: Any, weight: Any) -> Tensor:
    """y = x where x > 0, else w x, one slope w for all or one for each channel.

        x: (N, C, ...) or of any shape, weight: (1), () or (C)

    The derivative at 0 is the slope. Source: He et al., ICCV 2015, eq. 1.

    >>> from backlit import tensor
    >>> prelu(tensor([-2.0, 2.0]), tensor([0.25]))
    Tensor([-0.5,  2. ], shape=(2,), dtype=float32)
    """
    x, w = _float(input), given(weight)
    if w.ndim > 1:
        raise ShapeError(
            f"prelu: weight must have at most one axis, got {describe(w)}{where_called()}"
        )
    if w.size != 1:
        channels = 1 if x.ndim < 2 else x.shape[1]
        if w.size != channels:
            raise ShapeError(
                f"prelu: weight must have one slope, or one for each of {channels} channels "
                f"(x: {describe(x)}), got {describe(w)}{where_called()}"
            )
    if differ(x, w):
        raise DTypeError(
            f"prelu: x and weight must have one dtype, got x: {describe(x)} and weight: "
            f"{describe(w)}; use x.astype('{w.dtype.name}'){where_called()}"
        )
    shape = () if w.size == 1 else (w.size, *(1,) * (x.ndim - 2))
    return apply(_PRELU, x, reshape(w, shape))


def rrelu(
    input: Any,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """y = x where x > 0, else a x; a uniform in [lower, upper] in training, else their mean.

    Source: Xu et al., "Empirical evaluation of rectified activations", arXiv:1505.00853, sec. 2.4.

    >>> from backlit import tensor
    >>> rrelu(tensor([-4.0, 4.0]), 0.25, 0.75)
    Tensor([-2.,  4.], shape=(2,), dtype=float32)
    """
    low, high = number("rrelu: lower", lower), number("rrelu: upper", upper)
    if low > high:
        raise ArgumentError(
            f"rrelu: lower must not lie above upper, got {lower} and {upper}{where_called()}"
        )
    if not training:
        return leaky_relu(input, (low + high) / 2, inplace)
    x = _float(input)
    slopes = given_generator(generator).uniform(x.shape, low, high, dtype=x.dtype)
    return _replaced(input, apply(_PRELU, x, slopes), inplace)


@as_one_op
def glu(input: Any, dim: int = -1) -> Tensor:
    """y = a σ(b), a and b the two halves of x along an axis.

        x: (..., 2K, ...) -> (..., K, ...)

    Source: Dauphin et al., "Language modeling with gated convolutional networks", ICML 2017, eq. 1.

    >>> from backlit import tensor
    >>> glu(tensor([3.0, 0.0]))
    Tensor([1.5], shape=(1,), dtype=float32)
    """
    x = _float(input)
    axis = one_axis("glu", dim, x.ndim)
    size = x.shape[axis]
    if size % 2:
        raise ShapeError(f"glu: axis {axis} of {describe(x)} must be even{where_called()}")
    before = (slice(None),) * axis
    return x[(*before, slice(size // 2))] * array_api.sigmoid(x[(*before, slice(size // 2, None))])


def relu_(input: Tensor) -> Tensor:
    """`relu` with `inplace=True`.

    >>> from backlit import tensor
    >>> x = tensor([-1.0, 2.0])
    >>> relu_(x) is x, x.tolist()
    (True, [0.0, 2.0])
    """
    return relu(input, inplace=True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu` with `inplace=True`."""
    return leaky_relu(input, negative_slope, inplace=True)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu` with `inplace=True`."""
    return elu(input, alpha, inplace=True)


def selu_(input: Tensor) -> Tensor:
    """`selu` with `inplace=True`."""
    return selu(input, inplace=True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`celu` with `inplace=True`."""
    return celu(input, alpha, inplace=True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh` with `inplace=True`."""
    return hardtanh(input, min_val, max_val, inplace=True)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold` with `inplace=True`."""
    return _below_replaced(input, threshold, value, inplace=True)


def rrelu_(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Tensor:
    """`rrelu` with `inplace=True`."""
    return rrelu(input, lower, upper, training, inplace=True)


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
            f"maxout: axis {axis} of {describe(x)} must be a multiple of pieces={pieces}"
            f"{where_called()}"
        )
    shape = (*x.shape[:axis], x.shape[axis] // pieces, pieces, *x.shape[axis + 1 :])
    return max(reshape(x, shape), axis=axis + 1)


def _along(op: type, name: str, x: Any, dim: int | None, dtype: Any = None) -> Tensor:
    """An op along an axis, of x as a dtype; nothing of nothing."""
    x = given(x)
    if dim is None:
        dim = _implied(name, x)
    if dtype is not None:
        x = x.astype(dtype)
    axis, lone, x = along(name, dim, floating(x))
    y = apply(cached(op, axis), x) if x.shape[axis] else x
    return y.reshape(()) if lone else y


def _implied(name: str, x: Tensor) -> int:
    """PyTorch's choice of an axis where none is given, with its warning."""
    axis = 0 if x.ndim in (0, 1, 3) else 1
    warnings.warn(
        f"{name}: dim is not given, so axis {axis} of {describe(x)} is taken; say which you mean, "
        f"as dim={axis}{where_called()}",
        stacklevel=4,
    )
    return axis


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ along an axis;  gxᵢ = yᵢ (gyᵢ - Σⱼ gyⱼ yⱼ).

    Without `dim` it is axis 0 of x with 1 or 3 axes, else axis 1, and there is a warning. With
    `dtype` x is cast first.

    >>> from backlit import tensor
    >>> softmax(tensor([0.0, 0.0]), dim=0)
    Tensor([0.5, 0.5], shape=(2,), dtype=float32)
    """
    return _along(activation.Softmax, "softmax", input, dim, dtype)


def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """The softmax of -x: yᵢ = e^-xᵢ / Σⱼ e^-xⱼ along an axis, chosen as in `softmax`.

    >>> from backlit import tensor
    >>> softmin(tensor([0.0, 0.0]), dim=0)
    Tensor([0.5, 0.5], shape=(2,), dtype=float32)
    """
    x = given(input) if dtype is None else given(input).astype(dtype)
    return _along(activation.Softmax, "softmin", -floating(x), dim)


def masked_softmax(x: Any, dim: int = -1) -> Tensor:
    """The softmax along an axis, and 0 where all x along it are −∞, where the softmax is NaN.

    >>> from backlit import inf, tensor
    >>> masked_softmax(tensor([[0.0, -inf], [-inf, -inf]])).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    return _along(activation.MaskedSoftmax, "softmax", x, dim)


def log_softmax(
    input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """yᵢ = xᵢ - log Σⱼ e^xⱼ along an axis, chosen as in `softmax`;  gxᵢ = gyᵢ - e^yᵢ Σⱼ gyⱼ.

    >>> from backlit import tensor
    >>> log_softmax(tensor([0.0, 1e4]), dim=0)
    Tensor([-10000.,      0.], shape=(2,), dtype=float32)
    """
    return _along(activation.LogSoftmax, "log_softmax", input, dim, dtype)


@as_one_op
def gumbel_softmax(
    logits: Any,
    tau: float = 1.0,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """A sample that has a gradient: softmax((x + g) / τ), g = -log(-log u), u uniform in (0, 1).

    With `hard` the value is the one-hot vector of the largest, the gradient still the softmax's.
    `eps` has no effect, as in PyTorch. Source: Jang, Gu & Poole, ICLR 2017, eq. 2.

    >>> from backlit import Generator, tensor
    >>> gumbel_softmax(tensor([0.0, 50.0]), hard=True, generator=Generator(0)).tolist()
    [0.0, 1.0]
    """
    x = _float(logits)
    axis = one_axis("gumbel_softmax", dim, x.ndim)
    tau = number("gumbel_softmax: tau", tau)
    source = given_generator(generator)
    least = 2.0**-54 if x.dtype == float64 else 2.0**-25  # half a step: u is never 0
    uniform = maximum(source.uniform(x.shape, dtype=x.dtype), least)
    soft = softmax((x - log(-log(uniform))) / tau, axis)
    if not hard:
        return soft
    places = argmax(soft, axis=axis, keepdims=True)
    along = reshape(arange(x.shape[axis]), (-1, *(1,) * (x.ndim - 1 - axis)))
    return (along == places).astype(x.dtype) - soft.detach() + soft
