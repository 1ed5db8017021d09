"""Negative log-likelihoods of distributions: normal, Poisson, and of label sequences (CTC)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...array_api import (
    concat,
    exp,
    expand_dims,
    full,
    isinf,
    log,
    logaddexp,
    maximum,
    mean,
    square,
    stack,
    sum,
    take_along_axis,
)
from ...array_api import where as choose
from ...array_api.arguments import number, whole
from ...backend.halves import as_one_op
from ...dtypes import INTEGER, int64
from ...errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from ...op import Requirement, describe
from ...precision import in_float32
from ...promotion import floating
from ...scanning import scan
from ...state import STATE, where_called
from ...tensor import Tensor, as_tensor, wrap
from .common import given
from .distance import at_least
from .reduction import chosen, known, reduced


@as_one_op
def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """l = (log σ² + (t - x)² / σ²) / 2, x the mean and σ² the variance of a normal distribution.

        x, target: (N, ...), var: the same, or with one axis of size 1, or without the last, or ()

    σ² is at least `eps`; `full` adds log(2π) / 2. Source: Nix & Weigend, ICNN 1994, eq. 5.

    >>> from backlit import tensor
    >>> gaussian_nll_loss(tensor([1.0]), tensor([3.0]), tensor([1.0]))
    Tensor(2., shape=(), dtype=float32)
    """
    name = "gaussian_nll_loss"
    known(name, reduction)
    x, t = floating(given(input)), given(target)
    variance = wrap(np.asarray(var, x.dtype)) if isinstance(var, int | float) else given(var)
    variance = variance.astype(x.dtype)
    if variance.shape != x.shape and isinstance(var, Tensor):
        if variance.shape == x.shape[:-1]:
            variance = expand_dims(variance, axis=-1)
        else:
            pairs = zip(x.shape, variance.shape, strict=False)
            differing = [m for n, m in pairs if n != m]
            if variance.ndim != x.ndim or differing != [1]:
                raise ShapeError(
                    f"{name}: var must have the shape of x, or with one axis of size 1, or "
                    f"without the last axis, got {describe(variance)} and x: {describe(x)}"
                    f"{where_called()}"
                )

    def positive(xp: Any, v: Any) -> tuple[Requirement, ...]:
        cure = "a variance is a square, as exp(s) is positive"
        return (Requirement(v >= 0, v, ArgumentError, "var must not be negative", cure),)

    STATE.execution.require(name, positive, (variance,))
    variance = at_least(variance, number(f"{name}: eps", eps))
    losses = 0.5 * (log(variance) + square(x - t) / variance)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(name, losses, reduction)


@in_float32
@as_one_op
def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """l = e^x - t x of counts t with the mean e^x; without `log_input` l = x - t log(x + ε).

    `full` adds Stirling's log t! ≈ t log t - t + log(2πt) / 2 where t > 1.

    >>> from backlit import tensor
    >>> poisson_nll_loss(tensor([0.0]), tensor([3.0]))
    Tensor(1., shape=(), dtype=float32)
    """
    reduction = chosen("poisson_nll_loss", size_average, reduce, reduction)
    x = floating(given(input))
    t = given(target).astype(x.dtype)
    least = number("poisson_nll_loss: eps", eps)
    losses = exp(x) - t * x if log_input else x - t * log(x + least)
    if full:
        large = choose(t > 1, t, 2.0)
        stirling = large * log(large) - large + 0.5 * log(2 * math.pi * large)
        losses = losses + choose(t > 1, stirling, 0.0)
    return reduced("poisson_nll_loss", losses, reduction)


# -- connectionist temporal classification ------------------------------------------------------


#: The logarithm of no probability at all, finite so that derivatives of every order are, too.
_IMPOSSIBLE = -1e30


def _lengths(what: str, lengths: Any, count: int) -> Tensor:
    """Lengths as (N,) integers."""
    t = as_tensor(lengths)
    if t.dtype not in INTEGER:
        raise DTypeError(f"ctc_loss: {what} must be integers, got {describe(t)}{where_called()}")
    t = t.reshape((-1,)).astype(int64)
    if t.shape != (count,):
        raise ShapeError(
            f"ctc_loss: {what} must have one length for each of {count} rows, got "
            f"{describe(t)}{where_called()}"
        )
    return t


def _padded(targets: Tensor, lengths: Tensor, rows: int) -> Tensor:
    """Targets (N, S), also of rows that stand one after another."""
    if targets.ndim == 2 and targets.shape[0] == rows:
        return targets
    if targets.ndim != 1:
        raise ShapeError(
            f"ctc_loss: targets must have shape ({rows}, S), or be all rows one after another, got "
            f"{describe(targets)}{where_called()}"
        )
    counts = lengths._concrete("ctc_loss with targets one after another")
    if int(counts.sum()) != targets.shape[0]:
        raise ShapeError(
            f"ctc_loss: targets must have as many labels as target_lengths say, "
            f"{int(counts.sum())}, got {describe(targets)}{where_called()}"
        )
    longest = int(counts.max(initial=0))
    start = np.concatenate([[0], np.cumsum(counts)[:-1]])
    places = start[:, None] + np.minimum(np.arange(longest), np.maximum(counts[:, None] - 1, 0))
    last = max(targets.shape[0] - 1, 0)
    return targets[wrap(np.minimum(places, last))] if longest else targets.reshape((rows, 0))


def _require_labels(
    targets: Tensor, lengths: tuple[Tensor, Tensor], steps: int, classes: int
) -> None:
    """Raise unless labels are classes and lengths lie in what is there."""
    longest = targets.shape[1]

    def fits(xp: Any, t: Any, given_steps: Any, counts: Any) -> tuple[Requirement, ...]:
        def between(values: Any, most: int) -> Any:
            return xp.logical_and(values >= 0, values <= most)

        labels = f"targets must lie in [0, {classes})"
        inputs = f"input_lengths must lie in [0, T] for T = {steps}"
        outputs = f"target_lengths must lie in [0, S] for S = {longest}"
        inside = xp.logical_or(
            xp.arange(0, longest, 1, dtype=int64) >= xp.expand_dims(counts, 1),
            between(t, classes - 1),
        )
        return (
            Requirement(
                between(given_steps, steps), given_steps, ArgumentError, inputs, "cut them"
            ),
            Requirement(between(counts, longest), counts, ArgumentError, outputs, "cut them"),
            Requirement(inside, t, IndexRangeError, labels, "x has one column for each class"),
        )

    STATE.execution.require("ctc_loss", fits, (targets, *lengths))


@as_one_op
def _ctc_losses(x: Tensor, targets: Tensor, steps: Tensor, counts: Tensor, blank: int) -> Tensor:
    """-log p of each row: x (T, N, C), targets (N, S), numbers of steps and labels (N,)."""
    rows, labels = targets.shape
    size = 2 * labels + 1
    # The labels with a blank before, between and behind them: z = (b, l₁, b, l₂, …, b).
    used = wrap(np.arange(labels)) < expand_dims(counts, axis=1)
    blanks = full((rows, size), blank, dtype=int64)
    pairs = stack([blanks[:, :labels], choose(used, targets, blank)], axis=2)
    z = concat([pairs.reshape((rows, 2 * labels)), blanks[:, :1]], axis=1)
    scores = take_along_axis(x, expand_dims(z, axis=0), axis=2)
    # A label may follow another one without a blank between if they differ.
    differ = (z[:, 2:] != z[:, :-2]) & wrap(np.arange(2, size) % 2 == 1)
    jump = concat([full((rows, min(2, size)), False), differ], axis=1)
    nothing = full((rows, size), _IMPOSSIBLE, dtype=x.dtype)
    before = full((rows, 2), _IMPOSSIBLE, dtype=x.dtype)

    def step(alpha: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        framed = concat([before, alpha], axis=1)
        arrived = logaddexp(alpha, framed[:, 1:-1])
        arrived = logaddexp(arrived, choose(jump, framed[:, :-2], nothing))
        alpha = score + arrived
        return alpha, alpha

    alpha = choose(wrap(np.arange(size) < 2), scores[0], nothing)
    alphas = expand_dims(alpha, axis=0)
    if x.shape[0] > 1:
        alphas = concat([alphas, scan(step, alpha, scores[1:])[1]])
    final = take_along_axis(alphas, maximum(steps - 1, 0).reshape((1, rows, 1)), axis=0)[0]
    ends = [2 * counts, maximum(2 * counts - 1, 0)]
    last, label = (take_along_axis(final, expand_dims(e, axis=1), axis=1)[:, 0] for e in ends)
    losses = -choose(counts > 0, logaddexp(last, label), last)
    losses = choose(losses > -0.5 * _IMPOSSIBLE, math.inf, losses)
    return choose(steps > 0, losses, choose(counts > 0, math.inf, 0.0))


@in_float32
def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Connectionist temporal classification: -log of the probability of a sequence of labels.

        log_probs: (T, N, C) or (T, C), targets: (N, S), (S) or all rows one after another,
        input_lengths, target_lengths: (N) or ()

    p is the sum over all ways of writing the labels over the steps, where labels may last several
    steps and the class `blank` may stand between them. "mean" divides each loss by the number of
    its labels (1 if it has none) and takes the mean over the batch. What cannot be written in the
    steps has an infinite loss, with `zero_infinity` 0, and no gradient; PyTorch's is NaN.

    The gradient is that of this function. PyTorch adds e^x to it, which makes no difference where
    log_probs come from `log_softmax`, whose own gradient takes it away again.
    Source: Graves et al., "Connectionist temporal classification", ICML 2006, sec. 4.1, eq. 6 to 8.

    >>> from backlit import log, tensor
    >>> x = log(tensor([[0.4, 0.6], [0.4, 0.6]]))
    >>> round(ctc_loss(x, tensor([1]), 2, 1, reduction="sum").exp().item(), 4)  # 1 / (1 - 0.4²)
    1.1905
    """
    x, t = floating(given(log_probs)), given(targets)
    lone = x.ndim == 2
    if lone:
        x, t = expand_dims(x, axis=1), t.reshape((1, -1))
    if x.ndim != 3 or x.shape[0] == 0:
        raise ShapeError(
            f"ctc_loss: log_probs must have shape (T, N, C) or (T, C) with T > 0, got {describe(x)}"
            f"{where_called()}"
        )
    steps, rows, classes = x.shape
    if t.dtype not in INTEGER:
        raise DTypeError(f"ctc_loss: targets must be integers, got {describe(t)}{where_called()}")
    if not 0 <= whole("ctc_loss: blank", blank, 0) < classes:
        raise ArgumentError(
            f"ctc_loss: blank must lie in [0, {classes}), got {blank}{where_called()}"
        )
    known("ctc_loss", reduction)
    lasting = _lengths("input_lengths", input_lengths, rows)
    counts = _lengths("target_lengths", target_lengths, rows)
    t = _padded(t.astype(int64), counts, rows)
    _require_labels(t, (lasting, counts), steps, classes)
    losses = _ctc_losses(x, t, lasting, counts, blank)
    if zero_infinity:
        losses = choose(isinf(losses), 0.0, losses)
    if reduction == "mean":
        losses = losses / maximum(counts, 1).astype(losses.dtype)
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    return losses[0] if lone else losses
