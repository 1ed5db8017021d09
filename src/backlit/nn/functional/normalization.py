"""Normalisation over a batch, a layer, groups, and neighbouring channels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...array_api import mean, ones, reciprocal, reshape, sqrt, square, var, zeros
from ...array_api.arguments import cached, number, shape_tuple, whole
from ...autograd import no_grad
from ...backend.halves import as_one_op, widened
from ...errors import ArgumentError, DTypeError, ShapeError
from ...op import Op, describe
from ...ops import normalization, pooling
from ...precision import beside_float32
from ...promotion import differ, floating
from ...state import where_called
from ...tensor import Tensor, apply
from .common import given


def _channels(name: str, x: Tensor, statistics: Iterable[tuple[str, Tensor | None]]) -> None:
    if x.ndim < 2:
        raise ShapeError(
            f"{name}: x must have shape (N, C, ...), got {describe(x)}{where_called()}"
        )
    for what, t in statistics:
        if t is None:
            continue
        if t.shape != (x.shape[1],):
            raise ShapeError(
                f"{name}: {what} must have one element for each of {x.shape[1]} channels "
                f"(x: {describe(x)}), got {describe(t)}{where_called()}"
            )
        if differ(t, x):
            raise DTypeError(
                f"{name}: x and {what} must have one dtype, got x: {describe(x)} and "
                f"{what}: {describe(t)}; use x.astype('{t.dtype.name}'){where_called()}"
            )


def _affine(weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, ...]:
    """Scale and shift as inputs of an op, which has no shift without a scale."""
    if bias is None:
        return () if weight is None else (weight,)
    return (ones(bias.shape, dtype=bias.dtype) if weight is None else weight, bias)


@beside_float32
def batch_norm(
    input: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel with mean 0 and variance 1, then scaled by `weight` and shifted by `bias`.

        y = (x - μ) / √(σ² + ε) · w + b           x: (N, C, ...), all others: (C)

    In training μ and σ² are the batch's (σ² divided by n), and the running statistics move towards
    the batch's by the factor `momentum` (σ² divided by n - 1). Otherwise they are the running ones.
    An empty batch moves nothing.

    >>> from backlit import tensor
    >>> batch_norm(tensor([[1.0], [3.0]]), training=True, eps=0.0)
    Tensor([[-1.],
            [ 1.]], shape=(2, 1), dtype=float32)
    """
    x = floating(given(input))
    kind = x.dtype
    _channels(
        "batch_norm",
        x,
        (
            ("weight", weight),
            ("bias", bias),
            ("running_mean", running_mean),
            ("running_var", running_var),
        ),
    )
    if training and not x.size:  # there are no statistics, nor a value to which they matter
        mu, variance = zeros(x.shape[1], dtype=kind), ones(x.shape[1], dtype=kind)
    elif training:
        over = (0, *range(2, x.ndim))
        n = x.size // x.shape[1]
        if n == 1:
            raise ShapeError(
                f"batch_norm: training needs more than one value in each channel, got "
                f"{describe(x)}; use a larger batch (drop_last=True leaves out one alone), or "
                f"eval(){where_called()}"
            )
        x = widened(x)  # its three ways to the result are one op
        mu, variance = mean(x, axis=over), var(x, axis=over)
        if running_mean is not None and running_var is not None:
            with no_grad():
                old_mean, old_var, momentum = widened((running_mean, running_var, momentum))
                keep = 1 - momentum
                running_mean.assign(old_mean * keep + mu * momentum)
                running_var.assign(old_var * keep + variance * (momentum * (n / (n - 1))))
    elif running_mean is None or running_var is None:
        raise ArgumentError(
            f"batch_norm: evaluation needs running_mean and running_var{where_called()}"
        )
    else:
        mu, variance = running_mean, running_var
    op = cached(normalization.BatchNorm, number("batch_norm: eps", eps))
    return apply(op, x, mu, variance, *_affine(weight, bias)).astype(kind)


def _last_axes(name: str, normalized_shape: Any, x: Tensor) -> tuple[int, ...]:
    """The shape as integers, or an error unless x ends with it."""
    shape = shape_tuple(f"{name}: normalized_shape", normalized_shape)
    count = len(shape)
    if not count or x.shape[x.ndim - count if x.ndim > count else 0 :] != shape:
        raise ShapeError(
            f"{name}: the last axes of x must be normalized_shape {shape}, got "
            f"{describe(x)}{where_called()}"
        )
    return shape


@beside_float32
def layer_norm(
    input: Any,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """The last axes with mean 0 and variance 1, then scaled by `weight` and shifted by `bias`.

        x: (..., *normalized_shape), weight and bias: normalized_shape

    >>> from backlit import tensor
    >>> layer_norm(tensor([[1.0, 3.0]]), 2, eps=0.0)
    Tensor([[-1.,  1.]], shape=(1, 2), dtype=float32)
    """
    x = floating(given(input))
    shape = _last_axes("layer_norm", normalized_shape, x)
    op = cached(normalization.LayerNorm, len(shape), number("layer_norm: eps", eps))
    return apply(op, x, *_affine(weight, bias))


@beside_float32
def group_norm(
    input: Any,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each group of channels of each row with mean 0 and variance 1, then a scale and shift.

        x: (N, C, ...), weight and bias: (C); C/num_groups neighbouring channels are a group

    With one group for each channel this is instance normalisation.
    Source: Wu & He, ECCV 2018, eq. 7.

    >>> from backlit import tensor
    >>> group_norm(tensor([[1.0, 3.0, 5.0, 9.0]]), 2, eps=0.0)
    Tensor([[-1.,  1., -1.,  1.]], shape=(1, 4), dtype=float32)
    """
    x = floating(given(input))
    _channels("group_norm", x, (("weight", weight), ("bias", bias)))
    channels = x.shape[1]
    if whole("group_norm: num_groups", num_groups) < 1 or channels % num_groups:
        raise ShapeError(
            f"group_norm: the channels must be a multiple of num_groups={num_groups}, got "
            f"{describe(x)}{where_called()}"
        )
    op = cached(normalization.LayerNorm, 1, number("group_norm: eps", eps))
    return _by_groups(op, x, num_groups, weight, bias)


@as_one_op
def _by_groups(
    op: Op, x: Tensor, num_groups: int, weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    rows = reshape(x, (x.shape[0], num_groups, math.prod(x.shape[1:]) // num_groups))
    y = reshape(apply(op, rows), x.shape)
    column = (x.shape[1], *(1,) * (x.ndim - 2))
    if weight is not None:
        y = y * reshape(weight, column)
    return y if bias is None else y + reshape(bias, column)


@beside_float32
def instance_norm(
    input: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each row with mean 0 and variance 1, then scaled and shifted.

        x: (N, C, ...), all others: (C)

    The running statistics, if given, move towards the means over the batch of mean and variance
    (divided by n - 1) by the factor `momentum`; without `use_input_stats` they are taken instead.
    Source: Ulyanov, Vedaldi & Lempitsky, "Instance normalization", arXiv:1607.08022, eq. 1.

    >>> from backlit import tensor
    >>> instance_norm(tensor([[[1.0, 3.0], [5.0, 9.0]]]), eps=0.0).tolist()
    [[[-1.0, 1.0], [-1.0, 1.0]]]
    """
    x = floating(given(input))
    running = (("running_mean", running_mean), ("running_var", running_var))
    _channels("instance_norm", x, (("weight", weight), ("bias", bias), *running))
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    if math.prod(x.shape[2:]) <= 1:
        raise ShapeError(
            f"instance_norm: the statistics need more than one place in each channel, got "
            f"{describe(x)}{where_called()}"
        )
    if running_mean is not None and running_var is not None:
        over = tuple(range(2, x.ndim))
        with no_grad():
            wide, old_mean, old_var = widened((x, running_mean, running_var))
            batch_mean = mean(mean(wide, axis=over), axis=0)
            batch_var = mean(var(wide, axis=over, correction=1), axis=0)
            running_mean.assign(old_mean * (1 - momentum) + batch_mean * momentum)
            running_var.assign(old_var * (1 - momentum) + batch_var * momentum)
    return group_norm(x, x.shape[1], weight, bias, eps)


@beside_float32
@as_one_op
def rms_norm(
    input: Any,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """The last axes divided by the root of their mean square, then scaled by `weight`.

        y = x / √(mean x² + ε) · w        x: (..., *normalized_shape), w: normalized_shape

    ε is the distance from 1 to the next number of x's type if not given. Source: Zhang & Sennrich,
    "Root mean square layer normalization", NeurIPS 2019, eq. 4.

    >>> from backlit import tensor
    >>> rms_norm(tensor([[3.0, 3.0, 3.0, 3.0]]), 4)
    Tensor([[1., 1., 1., 1.]], shape=(1, 4), dtype=float32)
    """
    x = floating(given(input))
    shape = _last_axes("rms_norm", normalized_shape, x)
    least = float(np.finfo(x.dtype).eps) if eps is None else number("rms_norm: eps", eps)
    if weight is not None and weight.shape != shape:
        raise ShapeError(
            f"rms_norm: weight must have the shape {shape} of the last axes, got "
            f"{describe(weight)}{where_called()}"
        )
    over = tuple(range(x.ndim - len(shape), x.ndim))
    y = x * reciprocal(sqrt(mean(square(x), axis=over, keepdims=True) + least))
    return y if weight is None else y * weight


@as_one_op
def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Each element divided by the energy of the neighbouring channels at its place.

        y[n,c,...] = x[n,c,...] / (k + α/size · Σ x[n,c',...]²)^β

    The sum goes over c - ⌊size/2⌋ ≤ c' < c + ⌈size/2⌉; channels outside count as 0.
    Source: Krizhevsky, Sutskever & Hinton, NIPS 2012, sec. 3.3, where α is not divided by the size.

    >>> from backlit import ones
    >>> local_response_norm(ones((1, 2, 1)), 2, alpha=2.0, beta=1.0).tolist()
    [[[0.5], [0.3333333432674408]]]
    """
    x = floating(given(input))
    whole("local_response_norm: size", size)
    if x.ndim < 3:
        raise ShapeError(
            f"local_response_norm: x must have shape (N, C, L, ...), got {describe(x)}"
            f"{where_called()}"
        )
    if x.size == 0:
        return x
    n, c = x.shape[:2]
    energy = reshape(square(x), (n, 1, c, math.prod(x.shape[2:])))
    border = (size // 2, (size - 1) // 2)
    windows = cached(pooling.WindowSum, (size, 1), (1, 1), (border, (0, 0)), (1, 1))
    total = reshape(apply(windows, energy), x.shape)
    return x * (total * (alpha / size) + k) ** -beta
