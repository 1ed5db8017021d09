"""How much a batch counts in the mean over several, and examples that count differently."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..array_api import ones_like, where
from ..array_api.arguments import whole
from ..dtypes import float32
from ..errors import ArgumentError, ShapeError
from ..nn import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    LinearCrossEntropyLoss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from ..nn import functional as F
from ..op import describe
from ..tensor import Tensor, as_tensor, wrap
from .metrics.base import examples_in

_OF_LABELS = (CrossEntropyLoss, LinearCrossEntropyLoss, NLLLoss)
_OF_NUMBERS = (BCELoss, BCEWithLogitsLoss, HuberLoss, L1Loss, MSELoss, SmoothL1Loss)
_FUNCTIONS = (F.cross_entropy, F.nll_loss)
#: Labels that do not count, by default.
IGNORED = -100


def class_weights(labels: Any, classes: int | None = None) -> Tensor:
    """A weight for each class with which all classes count the same: N / (C n_c).

    N labels, n_c of them of class c, of C classes; without `classes` those up to the largest. For
    `nn.CrossEntropyLoss(class_weights(labels))`. Labels below 0 do not count. A class that does not
    occur has the weight 0.

    >>> class_weights([0, 0, 0, 1]).tolist()
    [0.6666666865348816, 2.0]
    """
    found = as_tensor(labels).numpy().reshape(-1)
    if found.dtype.kind not in "iu":
        raise ArgumentError(f"class_weights: labels must be integers, got {describe(found)}")
    found = found[found >= 0]
    if not found.size:
        raise ArgumentError("class_weights: there must be at least one label, got none")
    least = int(found.max()) + 1
    total = least if classes is None else whole("class_weights: classes", classes, least)
    n = np.bincount(found, minlength=total)
    present = np.count_nonzero(n)
    return wrap((len(found) / (present * np.maximum(n, 1)) * (n > 0)).astype(np.float32))


def counts(loss_fn: Any, target: Any) -> Tensor | None:
    """What each entry of a target counts in the loss's mean; None where each counts 1.

    Labels count as the loss's class weights say, those that it ignores 0.
    """
    known = isinstance(loss_fn, _OF_LABELS)
    if not known and not any(loss_fn is f for f in (None, *_FUNCTIONS)):
        return None
    if not isinstance(target, Tensor) or target.dtype.kind not in "iu":
        return None
    ignored = getattr(loss_fn, "ignore_index", IGNORED)
    counted = target != (IGNORED if ignored is None else ignored)
    weight = getattr(loss_fn, "weight", None)
    if weight is None:
        return counted.astype(float32)
    return where(counted, weight[where(counted, target, 0)], 0)


def weight_of(loss_fn: Any, inputs: Any, target: Any) -> Tensor | None:
    """The number by which the mean of a batch's losses was divided; None if they were summed.

    The mean of the batches' losses with these weights is the loss of all of them in one batch. Of a
    function of somebody's it is the number of examples.
    """
    if getattr(loss_fn, "reduction", "mean") == "sum":
        return None
    counted = counts(loss_fn, target)
    if counted is not None:
        return counted.sum()
    if isinstance(loss_fn, _OF_NUMBERS) and isinstance(target, Tensor):
        return as_tensor(float(target.size))
    return as_tensor(float(examples_in(inputs if target is None else target)))


def weighted(loss_fn: Any, prediction: Any, target: Any, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The mean loss of examples that count differently, and by what it was divided.

    Σ_i w_i Σ_j l_ij / Σ_i w_i Σ_j c_ij       c: see `counts`
    """
    if getattr(loss_fn, "reduction", None) != "mean":
        raise ArgumentError(
            "fit: weights of examples need a loss with reduction='mean', as nn.CrossEntropyLoss(), "
            f"got {type(loss_fn).__name__}"
        )
    each = copy.copy(loss_fn)
    each.reduction = "none"
    losses = each(prediction, target)
    if weights.ndim != 1 or losses.ndim == 0 or len(weights) != losses.shape[0]:
        raise ShapeError(
            "fit: there must be one weight for each example, got weights of "
            f"{describe(weights)} for losses of {describe(losses)}"
        )
    wide = weights.reshape((len(weights),) + (1,) * (losses.ndim - 1))
    counted = counts(loss_fn, target)
    total = (wide * (ones_like(losses) if counted is None else counted)).sum()
    return (wide * losses).sum() / total, total
