"""Images seen from another side, or with each place moved by its own step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...array_api.arguments import number
from ...errors import ArgumentError
from ...tensor import Tensor, wrap
from . import arrays, draws
from . import functional as F
from .base import Transform, probability
from .functional import InterpolationMode


class RandomPerspective(Transform):
    """With probability p seen from another side.

    Each corner moves inwards by up to `distortion_scale` of half the width and half the height.
    """

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ):
        self.p = probability("RandomPerspective", p)
        if not 0 <= number("RandomPerspective: distortion_scale", distortion_scale) <= 1:
            raise ArgumentError(
                f"RandomPerspective: distortion_scale must lie in [0, 1], got {distortion_scale}"
            )
        self.distortion_scale = distortion_scale
        self.interpolation = F.interpolation_mode("RandomPerspective", interpolation)
        self.fill = fill

    @staticmethod
    def get_params(
        width: int, height: int, distortion_scale: float
    ) -> tuple[list[list[int]], list[list[int]]]:
        """(startpoints, endpoints): the corners, and where they go, drawn."""
        far_x, far_y = (int(distortion_scale * (n // 2)) + 1 for n in (width, height))
        x = draws.below(far_x, far_x, far_x, far_x)
        y = draws.below(far_y, far_y, far_y, far_y)
        right, bottom = width - 1, height - 1
        start = [[0, 0], [right, 0], [right, bottom], [0, bottom]]
        end = [[x[0], y[0]], [right - x[1], y[1]], [right - x[2], bottom - y[2]],
               [x[3], bottom - y[3]]]  # fmt: skip
        return start, end

    def forward(self, image: Any) -> Any:
        """The image from another side, or as it is."""
        if not draws.chance(self.p):
            return image
        _, h, w = F.get_dimensions(image)
        points = self.get_params(w, h, self.distortion_scale)
        return F.perspective(image, *points, self.interpolation, self.fill)


class ElasticTransform(Transform):
    """Each place moved at random, as through wavy glass: by `alpha` pixels, smooth over `sigma`.

    Source: Simard, Steinkraus & Platt, "Best practices for convolutional neural networks applied to
    visual document analysis", ICDAR 2003, section 2.
    """

    def __init__(
        self,
        alpha: float | Sequence[float] = 50.0,
        sigma: float | Sequence[float] = 5.0,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ):
        self.alpha = _two("alpha", alpha)
        self.sigma = _two("sigma", sigma)
        self.interpolation = F.interpolation_mode("ElasticTransform", interpolation)
        self.fill = fill

    @staticmethod
    def get_params(alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]) -> Tensor:
        """A displacement (1, H, W, 2), drawn, for an image of a size (H, W)."""
        h, w = size
        steps = 2 * np.array(draws.uniforms(2 * h * w), np.float32).reshape(2, 1, h, w) - 1
        for i, (far, smooth) in enumerate(zip(alpha, sigma, strict=True)):
            if smooth > 0:
                taps = int(8 * smooth + 1) // 2 * 2 + 1
                steps[i] = arrays.blur(steps[i], (taps, taps), (smooth, smooth))
            steps[i] *= far / size[i]
        return wrap(np.ascontiguousarray(steps.transpose(1, 2, 3, 0)))

    def forward(self, image: Any) -> Any:
        """The image, moved."""
        _, h, w = F.get_dimensions(image)
        moved = self.get_params(self.alpha, self.sigma, (h, w))
        return F.elastic_transform(image, moved, self.interpolation, self.fill)


def _two(name: str, given: float | Sequence[float]) -> list[float]:
    values = list(given) if isinstance(given, Sequence) else [given]
    found = [number(f"ElasticTransform: {name}", v) for v in (values * 2)[:2]]
    if len(values) not in (1, 2) or not all(v >= 0 for v in found):
        raise ArgumentError(
            f"ElasticTransform: {name} must be 1 or 2 numbers from 0, got {given!r:.60}"
        )
    return found


__all__ = ["ElasticTransform", "RandomPerspective"]
