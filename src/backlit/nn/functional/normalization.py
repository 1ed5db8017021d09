"""Normalisation and dropout."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ...array_api import full, mean, reshape, var
from ...array_api.arguments import cached, number, shape_tuple, whole
from ...autograd import no_grad
from ...backend.halves import as_one_op, widened
from ...errors import ArgumentError, DTypeError, ShapeError
from ...op import Op, describe
from ...ops import normalization
from ...promotion import floating
from ...random import Generator, given_generator
from ...tensor import Tensor, apply
from .common import given, in_place, where


def dropout(
    x: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Each element 0 with probability p, else divided by 1 - p; x itself unless `training`.

    With `inplace` x itself takes the result's value, too.

    The random numbers come from `generator`, or from this thread's default one. Their state is
    Tensors, so a captured step draws a new mask each time it runs.

    >>> from backlit import Generator, full
    >>> y = dropout(full((1000,), 1.0), p=0.5, generator=Generator(0))
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    p = number("dropout: p", p)
    if not 0 <= p <= 1:
        raise ArgumentError(f"dropout: p must lie in [0, 1], got {p}{where()}")
    given_x, x = x, floating(given(x))
    if not training or p == 0:
        return x
    source = given_generator(generator)
    kept = source.bits(x.shape) >= int(p * 2**32) if p < 1 else full(x.shape, False)
    y = apply(cached(normalization.Dropout, p), x, kept)
    return in_place(given_x, y) if inplace else y


def _channels(name: str, x: Tensor, statistics: Iterable[tuple[str, Tensor | None]]) -> None:
    if x.ndim < 2:
        raise ShapeError(f"{name}: x must have shape (N, C, ...), got {describe(x)}{where()}")
    for what, t in statistics:
        if t is None:
            continue
        if t.shape != (x.shape[1],):
            raise ShapeError(
                f"{name}: {what} must have one element for each of {x.shape[1]} channels "
                f"(x: {describe(x)}), got {describe(t)}{where()}"
            )
        if t.dtype != x.dtype:
            raise DTypeError(
                f"{name}: x and {what} must have one dtype, got x: {describe(x)} and "
                f"{what}: {describe(t)}; use x.astype('{t.dtype.name}'){where()}"
            )


def batch_norm(
    x: Any,
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

    >>> from backlit import tensor
    >>> batch_norm(tensor([[1.0], [3.0]]), training=True, eps=0.0)
    Tensor([[-1.],
            [ 1.]], shape=(2, 1), dtype=float32)
    """
    x = floating(given(x))
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
    if (weight is None) != (bias is None):
        raise ArgumentError(
            f"batch_norm: weight and bias are given together or not at all{where()}"
        )
    if training:
        over = (0, *range(2, x.ndim))
        n = x.size // x.shape[1] if x.shape[1] else 0
        if n <= 1:
            raise ShapeError(
                f"batch_norm: training needs more than one value in each channel, got "
                f"{describe(x)}; use a larger batch, or eval(){where()}"
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
        raise ArgumentError(f"batch_norm: evaluation needs running_mean and running_var{where()}")
    else:
        mu, variance = running_mean, running_var
    op = cached(normalization.BatchNorm, number("batch_norm: eps", eps))
    affine = () if weight is None else (weight, bias)
    return apply(op, x, mu, variance, *affine).astype(kind)


def layer_norm(
    x: Any,
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
    x = floating(given(x))
    shape = shape_tuple("layer_norm: normalized_shape", normalized_shape)
    count = len(shape)
    if not count or x.shape[x.ndim - count if x.ndim > count else 0 :] != shape:
        raise ShapeError(
            f"layer_norm: the last axes of x must be normalized_shape {shape}, got "
            f"{describe(x)}{where()}"
        )
    op = cached(normalization.LayerNorm, count, number("layer_norm: eps", eps))
    if weight is None:
        if bias is not None:
            raise ArgumentError(f"layer_norm: a bias needs a weight{where()}")
        return apply(op, x)
    return apply(op, x, weight) if bias is None else apply(op, x, weight, bias)


def group_norm(
    x: Any,
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
    x = floating(given(x))
    _channels("group_norm", x, (("weight", weight), ("bias", bias)))
    channels = x.shape[1]
    if whole("group_norm: num_groups", num_groups) < 1 or channels % num_groups:
        raise ShapeError(
            f"group_norm: the channels must be a multiple of num_groups={num_groups}, got "
            f"{describe(x)}{where()}"
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
