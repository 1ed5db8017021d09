"""Losses as modules, called with the network's output and the target."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..array_api.arguments import number
from ..errors import ArgumentError
from ..random import Generator
from ..tensor import Tensor, as_tensor
from . import functional
from .functional.reduction import chosen
from .linear import Linear
from .module import Module


class Loss(Module):
    """Base of the losses: they hold a `reduction`, "mean", "sum" or "none".

    `size_average` and `reduce` are PyTorch's old words for it.
    """

    reductions: ClassVar[tuple[str, ...]] = ("mean", "sum", "none")
    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ):
        super().__init__()
        reduction = chosen(type(self).__name__, size_average, reduce, reduction)
        if reduction not in self.reductions:
            known = ", ".join(map(repr, self.reductions))
            raise ArgumentError(
                f"{type(self).__name__}: reduction must be one of {known}, got {reduction!r}"
            )
        self.reduction = reduction

    def extra_repr(self) -> str:
        """The reduction, if it is not the mean."""
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"

    def _hold(self, name: str, value: Any) -> None:
        self.register_buffer(name, None if value is None else as_tensor(value))


class MSELoss(Loss):
    """Squared error (x - t)²: see `functional.mse_loss`."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of an output for a target of the same shape."""
        return functional.mse_loss(x, target, reduction=self.reduction)


class L1Loss(Loss):
    """Absolute error |x - t|: see `functional.l1_loss`."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of an output for a target of the same shape."""
        return functional.l1_loss(x, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """Squared near 0, absolute beyond `beta`: see `functional.smooth_l1_loss`."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of an output for a target of the same shape."""
        return functional.smooth_l1_loss(x, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """Squared near 0, linear beyond `delta`: see `functional.huber_loss`."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of an output for a target of the same shape."""
        return functional.huber_loss(x, target, self.reduction, self.delta)


class CrossEntropyLoss(Loss):
    """Softmax and negative log-likelihood of logits: see `functional.cross_entropy`.

        x: (N, C, ...), target: integer labels (N, ...) or probabilities (N, C, ...)

    >>> CrossEntropyLoss()(as_tensor([[0.0, 0.0]]), as_tensor([1]))
    Tensor(0.6931, shape=(), dtype=float32)
    """

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(size_average, reduce, reduction)
        if not 0 <= number("CrossEntropyLoss: label_smoothing", label_smoothing) <= 1:
            raise ArgumentError(
                f"CrossEntropyLoss: label_smoothing must lie in [0, 1], got {label_smoothing}"
            )
        self._hold("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of logits for labels or probabilities."""
        return functional.cross_entropy(
            x,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class LinearCrossEntropyLoss(Loss):
    """A last layer and its loss in one: see `functional.linear_cross_entropy`.

        x: (N, I), target: integer labels (N, ...) or probabilities (N, C, ...)

    `out_features` are the axes ... of a loss of several labels. `options` has no effect.

    >>> LinearCrossEntropyLoss(2, 1)(as_tensor([[0.0, 0.0]]), as_tensor([0])).item()
    0.0
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: Any = None,
        generator: Generator | None = None,
    ):
        super().__init__(reduction=reduction)
        self._hold("weight", weight)
        self.num_classes = num_classes
        self.out_features = out_features
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        rows = math.prod(out_features, start=num_classes)
        self.linear = Linear(in_features, rows, bias, device, dtype, generator=generator)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of what the layer makes of x, for labels or probabilities."""
        shape = (self.num_classes, *self.out_features)
        bias = self.linear.bias
        return functional.linear_cross_entropy(
            x,
            self.linear.weight.reshape((*shape, self.linear.in_features)),
            target,
            linear_bias=None if bias is None else bias.reshape(shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Loss):
    """Negative log-likelihood of log-probabilities: see `functional.nll_loss`."""

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self._hold("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of log-probabilities for labels."""
        return functional.nll_loss(
            x, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class BCELoss(Loss):
    """Binary cross-entropy of probabilities: see `functional.binary_cross_entropy`."""

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self._hold("weight", weight)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of probabilities for targets between 0 and 1."""
        return functional.binary_cross_entropy(x, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits: see `functional.binary_cross_entropy_with_logits`.

    >>> BCEWithLogitsLoss()(as_tensor([0.0]), as_tensor([1.0]))
    Tensor(0.6931, shape=(), dtype=float32)
    """

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Any = None,
    ):
        super().__init__(size_average, reduce, reduction)
        self._hold("weight", weight)
        self._hold("pos_weight", pos_weight)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of logits for targets between 0 and 1."""
        return functional.binary_cross_entropy_with_logits(
            x, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class MultiMarginLoss(Loss):
    """Multiclass hinge of scores: see `functional.multi_margin_loss`."""

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Any = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        if p not in (1, 2):
            raise ArgumentError(f"MultiMarginLoss: p must be 1 or 2, got {p}")
        self.p = p
        self.margin = margin
        self._hold("weight", weight)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of scores for labels."""
        return functional.multi_margin_loss(
            x, target, self.p, self.margin, self.weight, reduction=self.reduction
        )


class HingeEmbeddingLoss(Loss):
    """x for target 1, max(0, margin - x) for -1: see `functional.hinge_embedding_loss`."""

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of distances for targets 1 and -1."""
        return functional.hinge_embedding_loss(x, target, self.margin, reduction=self.reduction)


class KLDivLoss(Loss):
    """Divergence of e^x from a distribution: see `functional.kl_div`."""

    reductions = ("mean", "sum", "none", "batchmean")

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ):
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of log-probabilities for probabilities."""
        return functional.kl_div(x, target, reduction=self.reduction, log_target=self.log_target)
