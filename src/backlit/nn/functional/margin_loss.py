"""Losses of margins and of distances: hinges over scores, over labels, over embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...array_api import (
    arange,
    clip,
    cumulative_prod,
    expand_dims,
    maximum,
    mean,
    minimum,
    sqrt,
    square,
    sum,
    take_along_axis,
    vector_norm,
)
from ...array_api import where as choose
from ...array_api.arguments import number
from ...backend.halves import as_one_op
from ...dtypes import INTEGER
from ...errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from ...op import Requirement, describe
from ...precision import in_float32
from ...promotion import floating
from ...state import STATE, where_called
from ...tensor import Tensor, wrap
from .activation import logsigmoid, relu, softplus
from .common import given
from .distance import pairwise_distance
from .reduction import chosen, reduced


@in_float32
@as_one_op
def margin_ranking_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """l = max(0, margin - t (x₁ - x₂)): x₁ should rank above x₂ where t = 1, below where t = -1.

    All three have one shape. The derivative at the margin is that of the slope.

    >>> from backlit import tensor
    >>> margin_ranking_loss(tensor([1.0]), tensor([3.0]), tensor([1.0]))
    Tensor(2., shape=(), dtype=float32)
    """
    reduction = chosen("margin_ranking_loss", size_average, reduce, reduction)
    a, b, t = given(input1), given(input2), given(target)
    if not a.ndim == b.ndim == t.ndim:
        raise ShapeError(
            f"margin_ranking_loss: x1, x2 and target must have one number of axes, got "
            f"{describe(a)}, {describe(b)} and {describe(t)}{where_called()}"
        )
    losses = clip(number("margin_ranking_loss: margin", margin) - t * (a - b), 0)
    return reduced("margin_ranking_loss", losses, reduction)


@in_float32
@as_one_op
def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """l = 1 - cos(x₁, x₂) where t = 1, max(0, cos(x₁, x₂) - margin) where t = -1.

        x1, x2: (N, D) or (D), target: (N) or ()

    >>> from backlit import tensor
    >>> x = tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> cosine_embedding_loss(x, x, tensor([1, -1]), reduction="none").round().tolist()
    [0.0, 1.0]
    """
    reduction = chosen("cosine_embedding_loss", size_average, reduce, reduction)
    a, b, t = floating(given(input1)), floating(given(input2)), given(target)
    if a.ndim not in (1, 2) or a.ndim != b.ndim or t.ndim != a.ndim - 1:
        raise ShapeError(
            f"cosine_embedding_loss: x1 and x2 must have shape (N, D) and target (N), or (D) and "
            f"(), got {describe(a)}, {describe(b)} and {describe(t)}{where_called()}"
        )
    least = 1e-12  # PyTorch's
    lengths = sqrt((sum(square(a), axis=-1) + least) * (sum(square(b), axis=-1) + least))
    cosine = sum(a * b, axis=-1) / lengths
    apart = clip(cosine - number("cosine_embedding_loss: margin", margin), 0)
    losses = choose(t == 1, 1 - cosine, choose(t == -1, apart, 0.0))
    return reduced("cosine_embedding_loss", losses, reduction)


@in_float32
@as_one_op
def contrastive_loss(
    x1: Any,
    x2: Any,
    target: Any,
    margin: float = 1.0,
    *,
    squared_margin: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """l = d²/2 where t = 1, max(0, margin - d)²/2 where t = 0, with d = ‖x₁ - x₂‖.

        x1, x2: (N, D) or (D), target: (N) or (), 1 for pairs that belong together, 0 for others

    Where two that do not belong together coincide, d has no derivative; it counts as 0. With
    `squared_margin` the others cost max(0, margin - d²)/2, Caffe's `legacy_version`.
    Source: Hadsell, Chopra & LeCun, "Dimensionality reduction by learning an invariant mapping",
    CVPR 2006, eq. 4, where t = 0 marks the pairs that belong together.

    >>> from backlit import tensor
    >>> x1, x2 = tensor([[0.0], [0.0]]), tensor([[2.0], [0.5]])
    >>> contrastive_loss(x1, x2, tensor([1, 0]), reduction="none")
    Tensor([2.   , 0.125], shape=(2,), dtype=float32)
    """
    name = "contrastive_loss"
    most = number(f"{name}: margin", margin)
    if not most > 0:
        raise ArgumentError(f"{name}: margin must be positive, got {margin}{where_called()}")
    a, b, t = floating(given(x1)), floating(given(x2)), given(target)
    if a.ndim not in (1, 2) or a.shape != b.shape or t.shape != a.shape[:-1]:
        raise ShapeError(
            f"{name}: x1 and x2 must have shape (N, D) and target (N), or (D) and (), got "
            f"{describe(a)}, {describe(b)} and {describe(t)}{where_called()}"
        )

    def pairs(xp: Any, t: Any) -> tuple[Requirement, ...]:
        known = xp.logical_or(t == 0, t == 1)
        return (Requirement(known, t, ArgumentError, "target must be 0 or 1", "1 is together"),)

    STATE.execution.require(name, pairs, (t,))
    near = sum(square(a - b), axis=-1)
    if squared_margin:
        far = clip(most - near, 0)
    else:
        far = square(clip(most - vector_norm(a - b, axis=-1), 0))
    return reduced(name, choose(t == 1, near, far) / 2, reduction)


@in_float32
@as_one_op
def one_vs_all_hinge_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """l_n = Σ_c max(0, margin - s_nc x_nc)ᵖ, s_nc = 1 for the class that n has, -1 for the others.

        x: (N, C) or (C), target: integer labels (N) or ();  p = 1 or 2

    C support-vector machines, each of one class against all others; `multi_margin_loss` compares
    the classes with each other. The derivative at the hinge is 0.

    >>> from backlit import tensor
    >>> one_vs_all_hinge_loss(tensor([[0.5, -2.0, 0.25]]), tensor([0]))
    Tensor(1.75, shape=(), dtype=float32)
    """
    name = "one_vs_all_hinge_loss"
    if p not in (1, 2):
        raise ArgumentError(f"{name}: p must be 1 or 2, got {p!r:.60}{where_called()}")
    x, t = floating(given(input)), given(target)
    if x.ndim not in (1, 2) or t.shape != x.shape[:-1]:
        raise ShapeError(
            f"{name}: x must have shape (N, C) and target (N), or (C) and (), got {describe(x)} "
            f"and {describe(t)}{where_called()}"
        )
    if t.dtype not in INTEGER:
        raise DTypeError(
            f"{name}: target must be integer labels, got {describe(t)}{where_called()}; use "
            "target.astype('int64')"
        )
    classes = x.shape[-1]

    def labels(xp: Any, i: Any) -> tuple[Requirement, ...]:
        inside = xp.logical_and(i >= 0, i < classes)
        condition = f"labels must lie in [0, {classes})"
        return (Requirement(inside, i, IndexRangeError, condition, f"x is {describe(x)}"),)

    STATE.execution.require(name, labels, (t,))
    own = expand_dims(t, axis=-1) == arange(classes)
    hinge = relu(number(f"{name}: margin", margin) + choose(own, -x, x))
    return reduced(name, sum(hinge if p == 1 else square(hinge), axis=-1), reduction)


@in_float32
def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """l = max(0, d(a, p) - d(a, n) + margin), d the `pairwise_distance` with norm p and ε.

        anchor, positive, negative: (N, D) or (D) -> (N) or () before the reduction

    With `swap` d(a, n) is the smaller of d(a, n) and d(p, n).
    Source: Balntas et al., "Learning shallow convolutional feature descriptors", BMVC 2016, sec. 3.

    >>> from backlit import tensor
    >>> triplet_margin_loss(tensor([0.0]), tensor([2.0]), tensor([1.0]))
    Tensor(2., shape=(), dtype=float32)
    """
    reduction = chosen("triplet_margin_loss", size_average, reduce, reduction)
    order, least = number("triplet_margin_loss: p", p), number("triplet_margin_loss: eps", eps)
    return _triplet(
        "triplet_margin_loss",
        (anchor, positive, negative),
        lambda a, b: pairwise_distance(a, b, order, least),
        margin,
        swap,
        reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with a distance of your own, `pairwise_distance` if None.

    >>> from backlit import abs, sum, tensor
    >>> triplet_margin_with_distance_loss(
    ...     tensor([[0.0]]), tensor([[2.0]]), tensor([[1.0]]),
    ...     distance_function=lambda a, b: sum(abs(a - b), axis=1))
    Tensor(2., shape=(), dtype=float32)
    """
    name = "triplet_margin_with_distance_loss"
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet(name, (anchor, positive, negative), distance, margin, swap, reduction)


@as_one_op
def _triplet_losses(near: Tensor, far: Tensor, margin: float) -> Tensor:
    return clip(margin + near - far, 0)


def _triplet(
    name: str,
    three: tuple[Any, Any, Any],
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    if not number(f"{name}: margin", margin) > 0:
        raise ArgumentError(f"{name}: margin must be positive, got {margin}{where_called()}")
    a, p, n = (given(x) for x in three)
    if not a.ndim == p.ndim == n.ndim:
        raise ShapeError(
            f"{name}: anchor, positive and negative must have one number of axes, got "
            f"{describe(a)}, {describe(p)} and {describe(n)}{where_called()}"
        )
    near, far = distance(a, p), distance(a, n)
    if swap:
        far = minimum(far, distance(p, n))
    return reduced(name, _triplet_losses(near, far, float(margin)), reduction)


def _like_target(name: str, x: Any, target: Any) -> tuple[Tensor, Tensor]:
    """Both as floating Tensors of one shape."""
    x, target = floating(given(x)), given(target)
    if x.shape != target.shape:
        raise ShapeError(
            f"{name}: x and target must have one shape, got x: {describe(x)} and target: "
            f"{describe(target)}{where_called()}"
        )
    return x, target.astype(x.dtype)


@in_float32
@as_one_op
def soft_margin_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """l = log(1 + e^(-t x)), targets t of 1 and -1, without overflow.

    >>> from backlit import tensor
    >>> soft_margin_loss(tensor([0.0, 1e4]), tensor([1.0, 1.0]), reduction="none")
    Tensor([0.6931, 0.    ], shape=(2,), dtype=float32)
    """
    reduction = chosen("soft_margin_loss", size_average, reduce, reduction)
    x, t = _like_target("soft_margin_loss", input, target)
    return reduced("soft_margin_loss", softplus(-t * x), reduction)


@as_one_op
def multilabel_soft_margin_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Binary cross-entropy of each class, its mean over the classes: targets 0 and 1.

        l_n = -Σ_c w_c (t_nc log σ(x_nc) + (1 - t_nc) log σ(-x_nc)) / C         x, t: (N, C) or (C)

    >>> from backlit import tensor
    >>> multilabel_soft_margin_loss(tensor([[0.0, 0.0]]), tensor([[1.0, 0.0]]))
    Tensor(0.6931, shape=(), dtype=float32)
    """
    reduction = chosen("multilabel_soft_margin_loss", size_average, reduce, reduction)
    x, t = _like_target("multilabel_soft_margin_loss", input, target)
    if not x.ndim:
        raise ShapeError(
            f"multilabel_soft_margin_loss: x must have an axis of classes, got {describe(x)}"
            f"{where_called()}"
        )
    losses = -(t * logsigmoid(x) + (1 - t) * logsigmoid(-x))
    if weight is not None:
        losses = losses * given(weight)
    return reduced("multilabel_soft_margin_loss", mean(losses, axis=-1), reduction)


@in_float32
@as_one_op
def multilabel_margin_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """l_n = Σ_j Σ_i max(0, 1 - (x[n, t_j] - x[n, i])) / C over labels t_j and classes i without.

        x: (N, C) or (C), target: integers of the same shape: labels, then -1

    What stands behind the first -1 does not count.

    >>> from backlit import tensor
    >>> multilabel_margin_loss(tensor([[0.1, 0.2, 0.4, 0.8]]), tensor([[3, 0, -1, 1]]))
    Tensor(0.85, shape=(), dtype=float32)
    """
    name = "multilabel_margin_loss"
    reduction = chosen(name, size_average, reduce, reduction)
    x, t = floating(given(input)), given(target)
    if x.shape == t.shape == ():  # PyTorch's: of one class
        x, t = x.reshape((1,)), t.reshape((1,))
    if x.shape != t.shape or x.ndim not in (1, 2):
        raise ShapeError(
            f"{name}: x and target must have one shape (N, C) or (C), got {describe(x)} and "
            f"{describe(t)}{where_called()}"
        )
    if t.dtype not in INTEGER:
        raise DTypeError(f"{name}: target must be integers, got {describe(t)}{where_called()}")
    classes = x.shape[-1]

    def labels(xp: Any, i: Any) -> tuple[Requirement, ...]:
        inside = xp.logical_and(i >= -1, i < classes)
        condition = f"target must lie in [-1, {classes})"
        return (Requirement(inside, i, IndexRangeError, condition, "-1 ends the labels"),)

    STATE.execution.require(name, labels, (t,))
    counts = cumulative_prod((t >= 0).astype(x.dtype), axis=-1)
    place = maximum(t, 0)
    same = expand_dims(place, axis=-1) == wrap(np.arange(classes))
    marked = sum(expand_dims(counts, axis=-1) * same.astype(x.dtype), axis=-2) > 0
    score = take_along_axis(x, place, axis=-1)
    gap = relu(1 - (expand_dims(score, axis=-1) - expand_dims(x, axis=-2)))
    others = expand_dims(counts, axis=-1) * (1 - expand_dims(marked, axis=-2).astype(x.dtype))
    return reduced(name, sum(gap * others, axis=(-2, -1)) / classes, reduction)
