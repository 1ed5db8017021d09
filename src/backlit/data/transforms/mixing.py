"""Batches in which each image is mixed with the one before it, and so are their labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...array_api.arguments import number, whole
from ...errors import ArgumentError, IndexRangeError, ShapeError
from ...foreign import words
from ...op import describe
from ...tensor import Tensor, wrap
from . import draws
from .base import Transform


def _log_gamma_draw(shape: float) -> float:
    """The logarithm of a number with the density x^(shape-1) e^-x / Γ(shape).

    Source: Marsaglia & Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000),
    with the boost of section 6.
    """
    d = shape + 1 - 1 / 3
    while True:
        u, v, accept, boost = draws.uniforms(4)
        x = math.sqrt(-2 * math.log1p(-u)) * math.cos(2 * math.pi * v)
        cube = (1 + x / math.sqrt(9 * d)) ** 3
        if cube > 0 and math.log1p(-accept) < 0.5 * x * x + d - d * cube + d * math.log(cube):
            return math.log(d * cube) + math.log1p(-boost) / shape


def beta(alpha: float) -> float:
    """A number in [0, 1] with the density of Beta(alpha, alpha)."""
    difference = _log_gamma_draw(alpha) - _log_gamma_draw(alpha)
    part = math.exp(-abs(difference))
    return 1 / (1 + part) if difference > 0 else part / (1 + part)


def dirichlet(alpha: float, n: int) -> list[float]:
    """n shares that add up to 1, with the density of Dirichlet(alpha, …, alpha)."""
    logs = [_log_gamma_draw(alpha) for _ in range(n)]
    parts = [math.exp(log - max(logs)) for log in logs]
    return [part / sum(parts) for part in parts]


class _Mixing(Transform):
    """The base: labels as shares of classes, and the share of each example that is left."""

    def __init__(self, *, alpha: float = 1.0, num_classes: int | None = None):
        who = type(self).__name__
        self.alpha = number(f"{who}: alpha", alpha)
        if not self.alpha > 0:
            raise ArgumentError(f"{who}: alpha must be positive, got {alpha}")
        self.num_classes = num_classes
        if num_classes is not None:
            whole(f"{who}: num_classes", num_classes)

    def forward(self, *batch: Any) -> Any:
        """(images, labels) of a batch, mixed; labels are float32 (N, classes)."""
        who = type(self).__name__
        given = batch[0] if len(batch) == 1 else batch
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise ArgumentError(
                f"{who}: a batch (images, labels) is needed, got {words(given)[0]}; use it after "
                "examples are collated"
            )
        images, labels = given
        if not isinstance(images, Tensor) or images.ndim != 4:
            what = describe(images) if isinstance(images, Tensor) else words(images)[0]
            raise ShapeError(f"{who}: images must be a Tensor (N, C, H, W), got {what}")
        images._require_cut(who, "mix before the model, or give images.detach()")
        shares = self._shares(labels, len(images))
        mixed, left = self.mixed(images.numpy(), beta(self.alpha))
        soft = np.float32(left) * shares + np.float32(1 - left) * np.roll(shares, 1, axis=0)
        return (wrap(mixed), wrap(soft)) if isinstance(given, tuple) else [wrap(mixed), wrap(soft)]

    def _shares(self, labels: Any, n: int) -> np.ndarray:
        """The labels as shares of classes (N, classes)."""
        who = type(self).__name__
        if not isinstance(labels, Tensor) or labels.ndim not in (1, 2) or len(labels) != n:
            what = describe(labels) if isinstance(labels, Tensor) else words(labels)[0]
            raise ShapeError(
                f"{who}: labels must be classes ({n},) or shares ({n}, classes), got {what}"
            )
        values = labels.numpy()
        if values.ndim == 2:
            if self.num_classes not in (None, values.shape[1]):
                raise ShapeError(
                    f"{who}: labels must be shares of num_classes={self.num_classes} classes, got "
                    f"{describe(labels)}"
                )
            return values.astype(np.float32)
        if self.num_classes is None:
            raise ArgumentError(f"{who}: num_classes must be given for labels that are numbers")
        if values.dtype.kind not in "iu":
            raise ShapeError(f"{who}: labels (N,) must be integers, got {describe(labels)}")
        outside = values[(values < 0) | (values >= self.num_classes)]
        if outside.size:
            raise IndexRangeError(
                f"{who}: labels must lie in [0, {self.num_classes}), got {outside[0]}"
            )
        return np.eye(self.num_classes, dtype=np.float32)[values]

    def mixed(self, images: np.ndarray, share: float) -> tuple[np.ndarray, float]:
        """The mixed images, and which share of each one is left."""
        raise NotImplementedError


class MixUp(_Mixing):
    """Each image of a batch mixed with the one before it, and so are their labels.

        y_i = λ x_i + (1 - λ) x_(i-1)

    λ is drawn from Beta(alpha, alpha), once for the batch. Labels become float32 (N, classes); they
    are classes (N,), of `num_classes`, or shares (N, classes).

        mix = MixUp(alpha=0.2, num_classes=10)
        loader = DataLoader(data, 64, shuffle=True, collate_fn=lambda e: mix(collate(e)))

    Source: Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018, eq. 1.
    """

    def mixed(self, images: np.ndarray, share: float) -> tuple[np.ndarray, float]:
        """The mixed images, and which share of each one is left."""
        if images.dtype.kind not in "f":
            raise ShapeError(
                f"MixUp: images must be floats, got {describe(images)}; use ConvertImageDtype first"
            )
        kind = images.dtype.type
        return kind(share) * images + kind(1 - share) * np.roll(images, 1, axis=0), share


class CutMix(_Mixing):
    """A box of each image of a batch replaced by that of the one before it; labels by area.

    The box has a share 1 - λ of the area, where λ is drawn from Beta(alpha, alpha) once for the
    batch, and its middle is anywhere; what lies outside of the image is cut off. Labels as in
    `MixUp`.

    Source: Yun et al., "CutMix: regularization strategy to train strong classifiers with
    localizable features", ICCV 2019, eq. 1 and 2.
    """

    def mixed(self, images: np.ndarray, share: float) -> tuple[np.ndarray, float]:
        """The mixed images, and which share of each one is left."""
        h, w = images.shape[-2:]
        x, y = draws.below(w, h)
        half = 0.5 * math.sqrt(1 - share)
        left, right = max(x - int(half * w), 0), min(x + int(half * w), w)
        top, bottom = max(y - int(half * h), 0), min(y + int(half * h), h)
        mixed = images.copy()
        mixed[..., top:bottom, left:right] = np.roll(images, 1, axis=0)[..., top:bottom, left:right]
        return mixed, 1 - (right - left) * (bottom - top) / (w * h)


__all__ = ["CutMix", "MixUp"]
