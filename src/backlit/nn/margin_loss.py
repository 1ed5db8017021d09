"""Losses of margins, distances and likelihoods as modules, called with outputs and targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tensor import Tensor
from . import functional
from .loss import Loss


class MarginRankingLoss(Loss):
    """Hinge of the difference of two scores: see `functional.margin_ranking_loss`."""

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, x1: Tensor, x2: Tensor, target: Tensor) -> Tensor:
        """The loss of two scores for targets 1 (the first is larger) and -1."""
        return functional.margin_ranking_loss(x1, x2, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(MarginRankingLoss):
    """Angles of pairs that belong together or apart: see `functional.cosine_embedding_loss`."""

    def forward(self, x1: Tensor, x2: Tensor, target: Tensor) -> Tensor:
        """The loss of two embeddings for targets 1 (together) and -1 (apart)."""
        return functional.cosine_embedding_loss(
            x1, x2, target, self.margin, reduction=self.reduction
        )


class ContrastiveLoss(Loss):
    """Pairs together, or apart by a margin: see `functional.contrastive_loss`."""

    def __init__(
        self, margin: float = 1.0, *, squared_margin: bool = False, reduction: str = "mean"
    ):
        super().__init__(reduction=reduction)
        self.margin = margin
        self.squared_margin = squared_margin

    def forward(self, x1: Tensor, x2: Tensor, target: Tensor) -> Tensor:
        """The loss of two embeddings for targets 1 (together) and 0 (apart)."""
        return functional.contrastive_loss(
            x1,
            x2,
            target,
            self.margin,
            squared_margin=self.squared_margin,
            reduction=self.reduction,
        )


class OneVsAllHingeLoss(Loss):
    """Each class against all others: see `functional.one_vs_all_hinge_loss`."""

    def __init__(self, p: int = 1, margin: float = 1.0, reduction: str = "mean"):
        super().__init__(reduction=reduction)
        self.p = p
        self.margin = margin

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of scores for labels."""
        return functional.one_vs_all_hinge_loss(
            x, target, self.p, self.margin, reduction=self.reduction
        )


class TripletMarginLoss(Loss):
    """The positive nearer than the negative by a margin: see `functional.triplet_margin_loss`."""

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss of three embeddings."""
        return functional.triplet_margin_loss(
            anchor,
            positive,
            negative,
            self.margin,
            self.p,
            self.eps,
            self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(Loss):
    """`TripletMarginLoss` with a distance of your own."""

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ):
        super().__init__(reduction=reduction)
        self.distance_function = distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss of three embeddings."""
        return functional.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class SoftMarginLoss(Loss):
    """log(1 + e^(-t x)) for targets 1 and -1: see `functional.soft_margin_loss`."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of scores for targets 1 and -1."""
        return functional.soft_margin_loss(x, target, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """Hinges between labels and the other classes: see `functional.multilabel_margin_loss`."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of scores for rows of labels that end with -1."""
        return functional.multilabel_margin_loss(x, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(Loss):
    """Binary cross-entropies of classes: see `functional.multilabel_soft_margin_loss`."""

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
        """The loss of scores for targets 1 and 0 of each class."""
        return functional.multilabel_soft_margin_loss(
            x, target, self.weight, reduction=self.reduction
        )


class GaussianNLLLoss(Loss):
    """-log of a normal density with learned variance: see `functional.gaussian_nll_loss`."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, x: Tensor, target: Tensor, var: Any) -> Tensor:
        """The loss of means and variances for numbers."""
        return functional.gaussian_nll_loss(x, target, var, self.full, self.eps, self.reduction)


class PoissonNLLLoss(Loss):
    """-log of the probability of counts: see `functional.poisson_nll_loss`."""

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of (logarithms of) means for counts."""
        return functional.poisson_nll_loss(
            x, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction
        )


class CTCLoss(Loss):
    """-log of the probability of a sequence of labels without times: see `functional.ctc_loss`.

    Source: Graves et al., "Connectionist temporal classification", ICML 2006.
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False):
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(
        self, x: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any
    ) -> Tensor:
        """The loss of log-probabilities (T, N, C) for labels (N, S)."""
        return functional.ctc_loss(
            x,
            targets,
            input_lengths,
            target_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )
