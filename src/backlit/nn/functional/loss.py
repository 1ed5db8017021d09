"""Losses and penalties."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...array_api import abs, reshape, square, sum
from ...array_api.arguments import cached, listed, number
from ...backend.halves import as_one_op
from ...dtypes import INTEGER
from ...errors import ArgumentError, ShapeError
from ...op import describe
from ...ops import loss
from ...precision import in_float32
from ...promotion import floating
from ...state import where_called
from ...tensor import Tensor, apply, as_tensor
from .common import given
from .linear import linear
from .reduction import chosen, known, reduced


def _loss(cls: Any, reduction: str, *inputs: Any, attributes: tuple[Any, ...] = ()) -> Tensor:
    op = cached(cls, *attributes, known(cls.name, reduction))
    return apply(op, *[x if isinstance(x, Tensor) else as_tensor(x) for x in inputs])


@as_one_op
def _weighted(
    name: str, losses: Tensor, weight: Any, reduction: str, by_weight: bool = False
) -> Tensor:
    """The losses times their weights; the mean divided by their number or by the weights' sum."""
    weight = given(weight)
    if by_weight and weight.shape != losses.shape:
        raise ShapeError(
            f"{name}: weight must have the shape of x, got {describe(weight)} and "
            f"{describe(losses)}{where_called()}"
        )
    losses = losses * weight
    if by_weight and reduction == "mean":
        return sum(losses) / sum(weight)
    return reduced(name, losses, reduction)


@in_float32
def mse_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Tensor:
    """Squared error l = (x - t)², its mean, sum or each one;  gx = 2 (x - t) / n for the mean.

    `weight`, of x's shape, multiplies the losses; the mean is then divided by its sum.

    >>> from backlit import tensor
    >>> mse_loss(tensor([1.0, 2.0]), tensor([1.0, 4.0]))
    Tensor(2., shape=(), dtype=float32)
    """
    reduction = chosen("mse_loss", size_average, reduce, reduction)
    if weight is None:
        return _loss(loss.MseLoss, reduction, input, target)
    losses = _loss(loss.MseLoss, "none", input, target)
    return _weighted("mse_loss", losses, weight, reduction, by_weight=True)


@in_float32
def l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Tensor:
    """Absolute error l = |x - t|;  gx = sign(x - t) / n for the mean.

    `weight`, of x's shape, multiplies the losses; the mean is then divided by its sum.

    >>> from backlit import tensor
    >>> l1_loss(tensor([1.0, 2.0]), tensor([1.0, 4.0]))
    Tensor(1., shape=(), dtype=float32)
    """
    reduction = chosen("l1_loss", size_average, reduce, reduction)
    if weight is None:
        return _loss(loss.L1Loss, reduction, input, target)
    losses = _loss(loss.L1Loss, "none", input, target)
    return _weighted("l1_loss", losses, weight, reduction, by_weight=True)


@in_float32
def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Tensor:
    """l = e²/2 where |e| ≤ δ, else δ (|e| - δ/2), e = x - t.

    `weight`, of x's shape, multiplies the losses; the mean is still divided by their number.

    >>> from backlit import tensor
    >>> huber_loss(tensor([1.0, 3.0]), tensor([0.0, 0.0]), reduction="none")
    Tensor([0.5, 2.5], shape=(2,), dtype=float32)
    """
    if not number("huber_loss: delta", delta) > 0:
        raise ArgumentError(f"huber_loss: delta must be positive, got {delta}")
    attributes = (float(delta), 1.0)
    if weight is None:
        return _loss(loss.HuberLoss, reduction, input, target, attributes=attributes)
    losses = _loss(loss.HuberLoss, "none", input, target, attributes=attributes)
    return _weighted("huber_loss", losses, weight, reduction)


@in_float32
def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """l = e²/2β where |e| ≤ β, else |e| - β/2, e = x - t; for β = 0 the absolute error.

    >>> from backlit import tensor
    >>> smooth_l1_loss(tensor([1.0, 3.0]), tensor([0.0, 0.0]), reduction="none")
    Tensor([0.5, 2.5], shape=(2,), dtype=float32)
    """
    reduction = chosen("smooth_l1_loss", size_average, reduce, reduction)
    beta = number("smooth_l1_loss: beta", beta)
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    if not beta > 0:
        raise ArgumentError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    return _loss(loss.HuberLoss, reduction, input, target, attributes=(beta, 1 / beta))


@in_float32
def kl_div(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Divergence l = t (log t - x) of the distribution e^x from t, both of one shape.

    `reduction="batchmean"` divides the sum by the first axis, which is the mathematical divergence.

    >>> from backlit import tensor
    >>> kl_div(tensor([[-1.0, -0.5]]), tensor([[1.0, 0.0]]), reduction="sum")
    Tensor(1., shape=(), dtype=float32)
    """
    reduction = chosen("kl_div", size_average, reduce, reduction)
    x = given(input)
    if reduction == "batchmean":
        if 0 in x.shape[:1]:
            raise ShapeError(f"kl_div: the mean of an empty batch has no value, got {describe(x)}")
        y = _loss(loss.KlDiv, "sum", x, target, attributes=(log_target,))
        return y / x.shape[0] if x.ndim else y
    return _loss(loss.KlDiv, reduction, x, target, attributes=(log_target,))


@in_float32
def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """l = x where t = 1, else max(0, margin - x); targets are 1 and -1.

    Of any other target it is the sum of both, as in PyTorch.

    >>> from backlit import tensor
    >>> hinge_embedding_loss(tensor([0.25, 0.25]), tensor([1.0, -1.0]), reduction="none")
    Tensor([0.25, 0.75], shape=(2,), dtype=float32)
    """
    return _loss(
        loss.HingeEmbeddingLoss,
        chosen("hinge_embedding_loss", size_average, reduce, reduction),
        input,
        target,
        attributes=(number("hinge_embedding_loss: margin", margin),),
    )


@in_float32
def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """l = -(t log p + (1-t) log(1-p)) of probabilities p; each logarithm is at least -100.

    >>> from backlit import tensor
    >>> binary_cross_entropy(tensor([0.5]), tensor([1.0]))
    Tensor(0.6931, shape=(), dtype=float32)
    """
    reduction = chosen("binary_cross_entropy", size_average, reduce, reduction)
    if weight is None:
        return _loss(loss.BinaryCrossEntropy, reduction, input, target)
    losses = _loss(loss.BinaryCrossEntropy, "none", input, target)
    return _weighted("binary_cross_entropy", losses, weight, reduction)


@in_float32
def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """l = (1-t) x + (1 + (w-1) t) log(1 + e^-x), w the weight of positive targets, finite at ±10⁴.

    Without w: gx = (σ(x) - t) / n for the mean. `weight` multiplies the losses.

    >>> from backlit import tensor
    >>> binary_cross_entropy_with_logits(tensor([1e4, -1e4]), tensor([0.0, 0.0]))
    Tensor(5000., shape=(), dtype=float32)
    """
    reduction = chosen("binary_cross_entropy_with_logits", size_average, reduce, reduction)
    inputs = (input, target) if pos_weight is None else (input, target, pos_weight)
    if weight is None:
        return _loss(loss.BinaryCrossEntropyWithLogits, reduction, *inputs)
    losses = _loss(loss.BinaryCrossEntropyWithLogits, "none", *inputs)
    return _weighted("binary_cross_entropy_with_logits", losses, weight, reduction)


def _rows(name: str, x: Any, target: Any) -> tuple[Tensor, Tensor, bool]:
    """Logits and target with a batch axis, and whether it was added: (C) and () are one row."""
    x, target = floating(given(x)), given(target)
    if x.ndim == 0:
        raise ShapeError(
            f"{name}: x must have shape (C) or (N, C, ...), got {describe(x)}{where_called()}"
        )
    if x.ndim == 1 and target.ndim < 2:
        one_label = target.shape == (1,) and target.dtype in INTEGER
        rows = target if one_label else reshape(target, (1, *target.shape))
        return reshape(x, (1, *x.shape)), rows, True
    return x, target, False


@in_float32
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """l_n = -Σ_c q_nc log softmax(x)_nc, the softmax and its loss in one node: gx = (P - Y) / M.

        x: (N, C, ...) or (C); target: integer labels (N, ...) or (), or probabilities in x's shape

    `weight` has one factor for each class; rows labelled `ignore_index` do not count;
    `label_smoothing` ε mixes the target with the uniform distribution, (1-ε) t + ε/C.

    >>> from backlit import tensor
    >>> cross_entropy(tensor([[0.0, 0.0], [0.0, 0.0]]), tensor([0, 1]))
    Tensor(0.6931, shape=(), dtype=float32)
    """
    reduction = chosen("cross_entropy", size_average, reduce, reduction)
    label_smoothing = number("cross_entropy: label_smoothing", label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(
            f"cross_entropy: label_smoothing must lie in [0, 1], got {label_smoothing}"
        )
    x, target, lone = _rows("cross_entropy", input, target)
    inputs = (x, target) if weight is None else (x, target, weight)
    if target.ndim == x.ndim and target.array.dtype.kind not in "iub":
        smoothing: tuple[Any, ...] = (label_smoothing,)
        y = _loss(loss.SoftCrossEntropy, reduction, *inputs, attributes=smoothing)
    else:
        attributes = (label_smoothing, ignore_index)
        y = _loss(loss.CrossEntropy, reduction, *inputs, attributes=attributes)
    return reshape(y, ()) if lone else y


def linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Any,
    *,
    linear_bias: Any = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """The `cross_entropy` of the logits x Wᵀ + b.

        x: (N, I) or (I), linear_weight: (C, ..., I), linear_bias: (C, ...), target as there

    `options` has no effect: PyTorch's say how the batch is cut to save memory.

    >>> from backlit import tensor
    >>> linear_cross_entropy(tensor([1.0]), tensor([[0.0], [0.0]]), tensor(1))
    Tensor(0.6931, shape=(), dtype=float32)
    """
    x, w, target = given(input), given(linear_weight), given(target)
    if x.ndim not in (1, 2) or w.ndim < 2 or x.shape[-1] != w.shape[-1]:
        raise ShapeError(
            f"linear_cross_entropy: x must have shape (N, I) or (I), linear_weight (C, ..., I), "
            f"got {describe(x)} and {describe(w)}{where_called()}"
        )
    shape = (*x.shape[:-1], *w.shape[:-1])
    bias = None if linear_bias is None else reshape(given(linear_bias), (-1,))
    logits = reshape(linear(x, reshape(w, (-1, w.shape[-1])), bias), shape)
    if ignore_index is not None and target.shape == shape:
        raise ArgumentError(
            "linear_cross_entropy: ignore_index must be None where target is probabilities, got "
            f"{ignore_index}{where_called()}"
        )
    return cross_entropy(
        logits,
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


@in_float32
def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """l_n = -w_t x_nt of log-probabilities x; the mean divides by Σ w_t.

        x: (N, C, ...) or (C), target: integer labels (N, ...) or ()

    >>> from backlit import tensor
    >>> nll_loss(tensor([[-1.0, -2.0]]), tensor([1]))
    Tensor(2., shape=(), dtype=float32)
    """
    reduction = chosen("nll_loss", size_average, reduce, reduction)
    x, target, lone = _rows("nll_loss", input, target)
    inputs = (x, target) if weight is None else (x, target, weight)
    y = _loss(loss.NllLoss, reduction, *inputs, attributes=(ignore_index,))
    return reshape(y, ()) if lone else y


@in_float32
def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Multiclass hinge: l_n = Σ_{c≠t} max(0, margin - x_nt + x_nc)ᵖ / C, x: (N, C) or (C).

    Lectures on support-vector machines often leave the division by C out.

    >>> from backlit import tensor
    >>> multi_margin_loss(tensor([[3.0, 2.5]]), tensor([0]))
    Tensor(0.25, shape=(), dtype=float32)
    """
    if p not in (1, 2):
        raise ArgumentError(f"multi_margin_loss: p must be 1 or 2, got {p}")
    reduction = chosen("multi_margin_loss", size_average, reduce, reduction)
    given_x, target = given(input), given(target)
    single = target.ndim == 0
    given_x = given_x if given_x.ndim else reshape(given_x, (1,))  # PyTorch's: of one class
    x, target, lone = _rows("multi_margin_loss", given_x, target)
    inputs = (x, target) if weight is None else (x, target, weight)
    y = _loss(
        loss.MultiMarginLoss,
        reduction,
        *inputs,
        attributes=(p, number("multi_margin_loss: margin", margin)),
    )
    return reshape(y, ()) if lone and single else y


def l1_penalty(parameters: Tensor | Iterable[Tensor], strength: float) -> Tensor:
    """λ Σ |w| over one Tensor or several, to add to a loss;  gw = λ sign w.

    >>> from backlit import tensor
    >>> l1_penalty(tensor([1.0, -2.0]), 0.5)
    Tensor(1.5, shape=(), dtype=float32)
    """
    first, *rest = listed("l1_penalty", parameters)
    total = sum(abs(first))
    for w in rest:
        total = total + sum(abs(w))
    return strength * total


def l2_penalty(parameters: Tensor | Iterable[Tensor], strength: float) -> Tensor:
    """λ Σ w² over one Tensor or several, to add to a loss;  gw = 2 λ w.

    >>> from backlit import tensor
    >>> l2_penalty(tensor([1.0, -2.0]), 0.5)
    Tensor(2.5, shape=(), dtype=float32)
    """
    first, *rest = listed("l2_penalty", parameters)
    total = sum(square(first))
    for w in rest:
        total = total + sum(square(w))
    return strength * total
