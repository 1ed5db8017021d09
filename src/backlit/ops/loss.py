"""Losses, each as one op whose derivative can be read: the loss and its softmax are not separate.

Every loss has a `reduction`: "none" (one loss for each element or row), "sum" or "mean".
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..dtypes import FLOATING, INTEGER, int64
from ..errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from ..op import Op, Requirement, Shape, describe


class Loss(Op):
    """Base of all losses: what the reduction does to the losses and to the upstream gradient."""

    role = "scaler"
    attributes: ClassVar[tuple[str, ...]] = ("reduction",)
    reduction: str

    def reduced(self, xp, losses):
        """The losses as they are, their sum or their mean."""
        if self.reduction == "none":
            return losses
        total = xp.sum(losses)
        return total / losses.size if self.reduction == "mean" else total

    def share(self, grad_y, count: int):
        """The upstream gradient of each of `count` losses."""
        return grad_y / count if self.reduction == "mean" else grad_y

    def slope_of(self, each: str, letters: str, of: str = "elements") -> str:
        """`slope_text`, if the derivative of each loss is `each`: that of their mean or sum."""
        if self.reduction == "mean":
            return f"{each if each.startswith('2') else f'({each})'}/N, {letters}, N {of}"
        return f"{each}, {letters}"

    def require_elements(self, x: Any, size: int) -> None:
        """Raise if the mean of no elements is asked for."""
        if size == 0 and self.reduction == "mean":
            raise ShapeError(
                f"{self.name}: the mean of an empty batch has no value, got {describe(x)}; "
                "leave empty batches out, or use reduction='sum'"
            )

    def require_floating(self, name: str, x: Any) -> None:
        """Raise unless an input is floating."""
        if x.dtype not in FLOATING:
            raise DTypeError(
                f"{self.name}: {name} must be floating, got {describe(x)}; "
                f"use {name}.astype('float32')"
            )

    def require_alike(self, x: Any, target: Any) -> None:
        """Raise unless input and target have one shape and one floating dtype."""
        if x.shape != target.shape:
            hint = f"target.reshape({x.shape})" if x.size == target.size else "one of each"
            raise ShapeError(
                f"{self.name}: x and target must have one shape, got x: {describe(x)} and "
                f"target: {describe(target)}; give {hint}"
            )
        self.require_floating("x", x)
        if x.dtype != target.dtype:
            raise DTypeError(
                f"{self.name}: x and target must have one dtype, got x: {describe(x)} and "
                f"target: {describe(target)}; use target.astype('{x.dtype.name}')"
            )
        self.require_elements(x, x.size)


class Pairwise(Loss):
    """Base of the losses that compare two arrays of one shape element by element."""

    saves = ("x", "target")

    def check(self, x, target):
        """One shape, one floating dtype, and at least one element for a mean."""
        self.require_alike(x, target)


class MseLoss(Pairwise):
    """Squared error: l = (x - t)²;  gx = 2 gl (x - t), gt = -gx."""

    def forward(self, xp, x, target):
        error = x - target
        return self.reduced(xp, error * error)

    def backward(self, xp, grad_y, x, target):
        grad_x = (x - target) * (2 * self.share(grad_y, x.size))
        return grad_x, lambda: -grad_x

    def slope_text(self, position: int, count: int) -> str:
        """2(x − t)/N."""
        return self.slope_of("2(x − t)" if position == 0 else "2(t − x)", "t the target")


class L1Loss(Pairwise):
    """Absolute error: l = |x - t|;  gx = gl sign(x - t), so 0 where they are equal, gt = -gx."""

    def forward(self, xp, x, target):
        return self.reduced(xp, xp.abs(x - target))

    def backward(self, xp, grad_y, x, target):
        grad_x = xp.sign(x - target) * self.share(grad_y, x.size)
        return grad_x, lambda: -grad_x


class HuberLoss(Pairwise):
    """Squared error near 0, absolute error far from it; e = x - t, c = `scale`.

        l = c e² / 2               where |e| ≤ δ       gx = gl c e
        l = c δ (|e| - δ/2)        elsewhere           gx = gl c δ sign e

    c = 1 is Huber's loss, c = 1/δ the smooth L1 loss.
    Source: Huber, Ann. Math. Stat. 35 (1964) 73-101.
    """

    whole = True
    attributes = ("delta", "scale", "reduction")
    delta: float
    scale: float

    def forward(self, xp, x, target):
        error = x - target
        size = xp.abs(error)
        far = (self.scale * self.delta) * (size - 0.5 * self.delta)
        return self.reduced(
            xp, xp.where(size <= self.delta, (0.5 * self.scale) * error * error, far)
        )

    def backward(self, xp, grad_y, x, target):
        limited = xp.minimum(xp.maximum(x - target, -self.delta), self.delta)
        grad_x = limited * (self.scale * self.share(grad_y, x.size))
        return grad_x, lambda: -grad_x


class KlDiv(Pairwise):
    """Divergence of a distribution t from e^x, term by term: l = t (log t - x), 0 where t = 0.

        gx = -gl t,   gt = gl (log t + 1 - x)

    A negative t and NaN give NaN. With `log_target` the target is log t: l = e^t (t - x),
    gx = -gl e^t, gt = gl e^t (t - x + 1).
    """

    attributes = ("log_target", "reduction")
    log_target: bool

    def forward(self, xp, x, target):
        if self.log_target:
            return self.reduced(xp, xp.exp(target) * (target - x))
        none = target == 0
        terms = target * (xp.log(xp.where(none, 1.0, target)) - x)
        return self.reduced(xp, xp.where(none, xp.where(x == x, 0.0, x), terms))

    def backward(self, xp, grad_y, x, target):
        share = self.share(grad_y, x.size)
        if self.log_target:
            p = xp.exp(target)
            return lambda: -share * p, lambda: share * (p * (target - x + 1))
        none = target == 0
        slope = xp.log(xp.where(none, 1.0, target)) + 1 - x
        return lambda: -share * target, lambda: xp.where(none, 0.0, share * slope)


class BinaryCrossEntropy(Pairwise):
    """l = -(t log p + (1-t) log(1-p)) of a probability p;  gp = gl (p - t) / (p (1-p)).

    Logarithms are at least -100 and the denominator at least 10⁻¹², as in PyTorch, so that p = 0
    and p = 1 have finite losses. Better give logits to `binary_cross_entropy_with_logits`.
    """

    def requires(self, xp, x, target):
        """Probabilities lie between 0 and 1."""
        inside = xp.logical_and(x >= 0, x <= 1)
        cure = "apply sigmoid, or use binary_cross_entropy_with_logits"
        condition = "x must be probabilities in [0, 1]"
        return (Requirement(inside, x, ArgumentError, condition, cure),)

    def forward(self, xp, x, target):
        log_p = xp.maximum(xp.log(x), -100.0)
        log_q = xp.maximum(xp.log1p(-x), -100.0)
        return self.reduced(xp, -(target * log_p + (1 - target) * log_q))

    def backward(self, xp, grad_y, x, target):
        share = self.share(grad_y, x.size)

        def grad_target():
            return share * (xp.maximum(xp.log1p(-x), -100.0) - xp.maximum(xp.log(x), -100.0))

        return lambda: share * (x - target) / xp.maximum(x * (1 - x), 1e-12), grad_target


class BinaryCrossEntropyWithLogits(Loss):
    """l = -(w t log σ(x) + (1-t) log(1 - σ(x))), w = 1 or `pos_weight`, finite for every finite x.

    l  = (1-t) x + (1 + (w-1) t) log(1 + e^-x)
    gx = gl ((1-t) - (1 + (w-1) t) σ(-x)),  with w = 1: gl (σ(x) - t)
    gt = gl (-x + (w-1) log(1 + e^-x))
    """

    applies = "sigmoid"
    saves = ("x", "target", "pos_weight")

    def check(self, x, target, *pos_weight):
        """One shape, one floating dtype; pos_weight broadcasts to them."""
        self.require_alike(x, target)
        if pos_weight:
            w = pos_weight[0]
            tail = x.shape[len(x.shape) - len(w.shape) :]
            if len(w.shape) > len(x.shape) or any(
                n not in (1, m) for n, m in zip(w.shape, tail, strict=True)
            ):
                raise ShapeError(
                    f"{self.name}: pos_weight must broadcast to x, got pos_weight: {describe(w)} "
                    f"and x: {describe(x)}"
                )

    def forward(self, xp, x, target, *pos_weight):
        softplus = xp.maximum(-x, 0) + xp.log1p(xp.exp(-xp.abs(x)))
        if pos_weight:
            softplus = (1 + (pos_weight[0] - 1) * target) * softplus
        return self.reduced(xp, (1 - target) * x + softplus)

    def backward(self, xp, grad_y, x, target, pos_weight):
        share = self.share(grad_y, x.size)

        def grad_x():
            if not pos_weight:
                return share * (xp.reciprocal(1 + xp.exp(-x)) - target)
            weight = 1 + (pos_weight[0] - 1) * target
            return share * ((1 - target) - weight * xp.reciprocal(1 + xp.exp(x)))

        def grad_target():
            if not pos_weight:
                return -share * x
            softplus = xp.maximum(-x, 0) + xp.log1p(xp.exp(-xp.abs(x)))
            return share * ((pos_weight[0] - 1) * softplus - x)

        def grad_weight():
            return share * (target * (xp.maximum(-x, 0) + xp.log1p(xp.exp(-xp.abs(x)))))

        return (grad_x, grad_target, grad_weight)[: 2 + len(pos_weight)]

    def slope_text(self, position: int, count: int) -> str:
        """(σ(x) − t)/N."""
        return "" if position or count > 2 else self.slope_of("σ(x) − t", "t the target")


class HingeEmbeddingLoss(Pairwise):
    """l = x where t = 1, max(0, margin - x) where t = -1;  gx = gl, or -gl where x < margin.

    Other targets give both, l = x + max(0, margin - x), and NaN gives NaN.
    """

    attributes = ("margin", "reduction")
    margin: float

    def forward(self, xp, x, target):
        near = xp.where(target == -1, 0.0, xp.where(target == target, x, target))
        apart = xp.where(target == 1, 0.0, xp.maximum(self.margin - x, 0))
        return self.reduced(xp, near + apart)

    def backward(self, xp, grad_y, x, target):
        slope = xp.where(x < self.margin, -1.0, xp.where(x >= self.margin, 0.0, x))
        near = xp.where(target == -1, 0.0, xp.where(target == target, 1.0, target))
        slope = near + xp.where(target == 1, 0.0, slope)
        return slope * self.share(grad_y, x.size), lambda: xp.zeros_like(target)


# -- losses of class labels ---------------------------------------------------------------------


class Classification(Loss):
    """Base of the losses of logits or scores x: (N, C, ...) and integer labels (N, ...)."""

    def check_labels(self, x: Any, target: Any) -> None:
        """Floating scores, integer labels of the right shape."""
        self.require_floating("x", x)
        if target.dtype not in INTEGER:
            raise DTypeError(
                f"{self.name}: target must be integer labels, got {describe(target)}; "
                "use target.astype('int64')"
            )
        wanted = (x.shape[0], *x.shape[2:])
        if target.shape != wanted:
            if target.shape == x.shape:
                cure = f"; of one-hot rows give target.astype('{x.dtype.name}') or the labels"
            elif target.shape == x.shape[:-1]:
                cure = "; the classes are axis 1, so give backlit.moveaxis(x, -1, 1)"
            elif math.prod(target.shape) == math.prod(wanted):
                cure = f"; give target.reshape({wanted})"
            else:
                cure = ""
            raise ShapeError(
                f"{self.name}: for x of shape (N, C, ...) the target must have shape (N, ...), "
                f"got x: {describe(x)} and target: {describe(target)}, wanted {wanted}{cure}"
            )
        self.require_elements(x, math.prod(wanted))

    def required_labels(self, xp, x, target, ignore_index=None):
        """Each label is a class or ignored."""
        classes = x.shape[1]
        condition = f"labels must lie in [0, {classes})"
        known = xp.logical_and(target >= 0, target < classes)
        if ignore_index is not None:
            known = xp.logical_or(known, target == ignore_index)
            condition += f" or be ignore_index={ignore_index}"

        def cure():
            return f"x has {classes} classes on axis 1 ({describe(x)})"

        return (Requirement(known, target, IndexRangeError, condition, cure),)

    def check_weight(self, x: Any, weight: tuple[Any, ...]) -> None:
        """One weight for each class."""
        if weight and weight[0].shape != (x.shape[1],):
            raise ShapeError(
                f"{self.name}: weight must have one element for each of {x.shape[1]} classes, "
                f"got {describe(weight[0])}"
            )


def _column(xp, row, ndim: int):
    """A vector over the classes, shaped to broadcast against (N, C, ...)."""
    return xp.reshape(row, (-1, *(1,) * (ndim - 2))) if ndim > 2 else row


def _wide(xp, labels):
    """Labels in a type that holds every class and every `ignore_index`."""
    return labels if labels.dtype == int64 else xp.astype(labels, int64)


def _is_class(xp, labels, shape: Shape):
    """Whether the label of a row is the class of the column: (N, C, ...) for labels (N, ...)."""
    classes = _column(xp, xp.arange(0, shape[1], 1, int64), len(shape))
    return xp.expand_dims(labels, 1) == classes


class Labelled(Classification):
    """Base of the losses that weight rows by the class of their label and can ignore labels."""

    attributes: ClassVar[tuple[str, ...]] = ("ignore_index", "reduction")
    ignore_index: int

    def check(self, x, target, *weight):
        """Integer labels; one weight for each class."""
        self.check_labels(x, target)
        self.check_weight(x, weight)

    def requires(self, xp, x, target, *weight):
        """Each label is a class or ignored."""
        return self.required_labels(xp, x, target, self.ignore_index)

    def rows(self, xp, dtype, target, weight):
        """Which rows count, labels that are always in range, and the weight of each row."""
        labels = _wide(xp, target)
        counted = labels != self.ignore_index
        labels = xp.where(counted, labels, 0)
        if weight:
            return counted, labels, xp.where(counted, xp.take(weight[0], labels, axis=0), 0.0)
        return counted, labels, xp.astype(counted, dtype)

    def weighted(self, xp, losses, weights):
        """The reduction; the mean divides by the sum of the weights."""
        if self.reduction == "none":
            return losses
        total = xp.sum(losses)
        return total / xp.sum(weights) if self.reduction == "mean" else total

    def row_share(self, xp, grad_y, counted, weights):
        """The upstream gradient of each row's loss, 0 for ignored ones: (N, 1, ...)."""
        if self.reduction == "mean":
            grad_y = grad_y / xp.sum(weights)
        return xp.expand_dims(xp.where(counted, grad_y, 0.0), 1)


class NllLoss(Labelled):
    """Negative log-likelihood: l_n = -w_t x_nt of log-probabilities x;  gx_nc = -gl_n w_t [c = t].

    The mean is Σ l_n / Σ w_t; rows whose label is `ignore_index` count in neither.
    """

    whole = True
    saves = ("x", "target", "weight", "y")

    def forward(self, xp, x, target, *weight):
        counted, labels, weights = self.rows(xp, x.dtype, target, weight)
        chosen = xp.take_along_axis(x, xp.expand_dims(labels, 1), axis=1)
        losses = xp.where(counted, -weights * xp.reshape(chosen, target.shape), 0.0)
        return self.weighted(xp, losses, weights)

    def backward(self, xp, grad_y, x, target, weight, y):
        counted, labels, weights = self.rows(xp, x.dtype, target, weight)
        share = self.row_share(xp, grad_y, counted, weights)
        own = _is_class(xp, labels, x.shape)

        def grad_weight():
            each = -x - y if self.reduction == "mean" else -x
            return xp.sum(xp.where(own, share * each, 0.0), axis=(0, *range(2, x.ndim)))

        grad_x = xp.where(own, -(share * xp.expand_dims(weights, 1)), 0.0)
        return (grad_x, None, grad_weight)[: 2 + len(weight)]


class CrossEntropy(Labelled):
    """Softmax and negative log-likelihood in one op; logits x: (N, C, ...), labels t: (N, ...).

        p = softmax(x),  l_n = -Σ_c q_nc log p_nc,  q_nc = w_c ((1-ε) [c = t_n] + ε/C)
        gx = gl (p Σ_c q - q);  without weights the mean gives gx = (P - Y) / M

    ε is the label smoothing, w the class weights (1 if none are given). Rows whose label is
    `ignore_index` have q = 0. The mean is Σ l_n / Σ w_t over the M rows that count.

    Source: Szegedy et al., CVPR 2016, sec. 7 (smoothing).
    """

    applies = "softmax"
    whole = True
    attributes = ("label_smoothing", "ignore_index", "reduction")
    saves = ("x", "target", "weight", "y")
    label_smoothing: float

    def forward(self, xp, x, target, *weight):
        z = x - xp.max(x, axis=1, keepdims=True)
        log_total = xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))
        counted, labels, weights = self.rows(xp, x.dtype, target, weight)
        chosen = log_total - xp.take_along_axis(z, xp.expand_dims(labels, 1), axis=1)
        losses = xp.where(counted, weights * xp.reshape(chosen, target.shape), 0.0)
        if self.label_smoothing:
            every = log_total - z
            if weight:
                every = every * _column(xp, weight[0], x.ndim)
            every = xp.where(counted, xp.sum(every, axis=1) / x.shape[1], 0.0)
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * every
        return self.weighted(xp, losses, weights)

    def backward(self, xp, grad_y, x, target, weight, y):
        z = x - xp.max(x, axis=1, keepdims=True)
        e = xp.exp(z)
        total = xp.sum(e, axis=1, keepdims=True)
        counted, labels, weights = self.rows(xp, x.dtype, target, weight)
        share = self.row_share(xp, grad_y, counted, weights)
        own = _is_class(xp, labels, x.shape)
        smooth = self.label_smoothing / x.shape[1]

        def grad_x():
            p = e / total
            if not self.label_smoothing:
                return (p - own) * (share * xp.expand_dims(weights, 1))
            q = xp.where(own, 1 - self.label_smoothing + smooth, smooth + 0.0 * total)
            if weight:
                q = q * _column(xp, weight[0], x.ndim)
                p = p * xp.sum(q, axis=1, keepdims=True)
            return (p - q) * share

        def grad_weight():
            every = xp.log(total) - z
            mean = y if self.reduction == "mean" else 0.0
            each = xp.where(own, (1 - self.label_smoothing) * every - mean, 0.0) + smooth * every
            return xp.sum(share * each, axis=(0, *range(2, x.ndim)))

        return (grad_x, None, grad_weight)[: 2 + len(weight)]

    def slope_text(self, position: int, count: int) -> str:
        """(p − y)/N."""
        if position or count > 2 or self.label_smoothing:
            return ""
        letters = "p = softmax(x), y = 1 for the right class and else 0"
        return self.slope_of("p − y", letters, "rows that count")


class SoftCrossEntropy(Classification):
    """Cross-entropy from logits x and probability targets t, both (N, C, ...).

    l_n = -Σ_c q_nc log p_nc,  p = softmax(x),  q = w ((1-ε) t + ε/C)
    gx = gl (p Σ_c q - q),  gt = -gl (1-ε) w log p;  the mean is over the rows
    """

    applies = "softmax"
    attributes = ("label_smoothing", "reduction")
    saves = ("x", "target", "weight")
    label_smoothing: float

    def check(self, x, target, *weight):
        """One shape, one floating dtype; one weight for each class."""
        self.require_alike(x, target)
        self.check_weight(x, weight)

    def _smoothed(self, target):
        if not self.label_smoothing:
            return target
        return (1 - self.label_smoothing) * target + self.label_smoothing / target.shape[1]

    def _log_p(self, xp, x):
        z = x - xp.max(x, axis=1, keepdims=True)
        return z - xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))

    def forward(self, xp, x, target, *weight):
        q = self._smoothed(target)
        if weight:
            q = q * _column(xp, weight[0], x.ndim)
        return self.reduced(xp, -xp.sum(q * self._log_p(xp, x), axis=1))

    def backward(self, xp, grad_y, x, target, weight):
        log_p = self._log_p(xp, x)
        share = self.share(grad_y, x.size // x.shape[1])
        if self.reduction == "none":
            share = xp.expand_dims(share, 1)

        def grad_x():
            q = self._smoothed(target)
            if weight:
                q = q * _column(xp, weight[0], x.ndim)
            return share * (xp.exp(log_p) * xp.sum(q, axis=1, keepdims=True) - q)

        def grad_target():
            g = log_p * ((self.label_smoothing - 1) * share)
            return g * _column(xp, weight[0], x.ndim) if weight else g

        def grad_weight():
            each = -share * log_p * self._smoothed(target)
            return xp.sum(each, axis=(0, *range(2, x.ndim)))

        return (grad_x, grad_target, grad_weight)[: 2 + len(weight)]


class MultiMarginLoss(Classification):
    """Multiclass hinge of scores x: (N, C), for p = 1 or 2.

        l_n   = Σ_{c≠t} max(0, margin - x_nt + x_nc)ᵖ / C
        gx_nc = gl_n p max(0, ...)ᵖ⁻¹ / C for c ≠ t, minus their sum for c = t;  0 at the hinge

    With `weight` each row counts w_t. Source: Weston & Watkins, ESANN 1999, sec. 3.
    """

    attributes = ("p", "margin", "reduction")
    saves = ("x", "target", "weight")
    p: int
    margin: float

    def check(self, x, target, *weight):
        """A matrix of scores, integer labels, one weight for each class."""
        if len(x.shape) != 2:
            raise ShapeError(f"multi_margin_loss: x must have shape (N, C), got {describe(x)}")
        self.check_labels(x, target)
        self.check_weight(x, weight)

    def requires(self, xp, x, target, *weight):
        """Each label is a class."""
        return self.required_labels(xp, x, target)

    def _excess(self, xp, x, labels):
        chosen = xp.take_along_axis(x, xp.expand_dims(labels, 1), axis=1)
        other = xp.maximum(self.margin - chosen + x, 0)
        return xp.where(_is_class(xp, labels, x.shape), 0.0, other)

    def _losses(self, xp, excess):
        total = xp.sum(excess if self.p == 1 else excess * excess, axis=1)
        return total / excess.shape[1]

    def forward(self, xp, x, target, *weight):
        labels = _wide(xp, target)
        losses = self._losses(xp, self._excess(xp, x, labels))
        return self.reduced(xp, losses * xp.take(weight[0], labels, axis=0) if weight else losses)

    def backward(self, xp, grad_y, x, target, weight):
        labels = _wide(xp, target)
        excess = self._excess(xp, x, labels)
        own = _is_class(xp, labels, x.shape)
        share = self.share(grad_y, x.shape[0])

        def grad_x():
            hinge = xp.where(excess == 0, 0.0, excess)  # 0, or NaN
            slope = xp.where(excess > 0, 1.0, hinge) if self.p == 1 else 2 * excess
            row = share * xp.take(weight[0], labels, axis=0) if weight else share
            if row.ndim:
                row = xp.expand_dims(row, 1)
            total = xp.sum(slope, axis=1, keepdims=True)
            return xp.where(own, -total, slope) * (row / x.shape[1])

        def grad_weight():
            each = xp.expand_dims(share * self._losses(xp, excess), 1)
            return xp.sum(xp.where(own, each, 0.0), axis=0)

        return (grad_x, None, grad_weight)[: 2 + len(weight)]
