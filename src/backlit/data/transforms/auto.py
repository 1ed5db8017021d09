"""Augmentation by operations that are drawn from a list, with strengths that are drawn or given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ...array_api.arguments import whole
from ...errors import ArgumentError
from . import draws
from . import functional as F
from .base import Transform
from .functional import InterpolationMode


class _Operation(NamedTuple):
    """Something that can be done to an image with a strength."""

    #: Called with (image, strength, interpolation, fill).
    act: Callable[[Any, float, Any, Any], Any]
    signed: bool  # the strength may be negative as well


def _sheared(x: bool) -> Callable[..., Any]:
    def act(image: Any, strength: float, mode: Any, fill: Any) -> Any:
        angle = math.degrees(math.atan(strength))
        shear = (angle, 0.0) if x else (0.0, angle)
        return F.affine(image, 0.0, (0, 0), 1.0, shear, mode, fill, (0, 0))

    return act


def _moved(x: bool) -> Callable[..., Any]:
    def act(image: Any, strength: float, mode: Any, fill: Any) -> Any:
        step = (int(strength), 0) if x else (0, int(strength))
        return F.affine(image, 0.0, step, 1.0, (0.0, 0.0), mode, fill)

    return act


def _factor(change: Callable[[Any, float], Any]) -> _Operation:
    return _Operation(lambda image, strength, *_: change(image, 1.0 + strength), True)


#: The operations of both papers, by their names there.
_OPERATIONS = {
    "Identity": _Operation(lambda image, *_: image, False),
    "ShearX": _Operation(_sheared(True), True),
    "ShearY": _Operation(_sheared(False), True),
    "TranslateX": _Operation(_moved(True), True),
    "TranslateY": _Operation(_moved(False), True),
    "Rotate": _Operation(lambda image, a, mode, fill: F.rotate(image, a, mode, fill=fill), True),
    "Brightness": _factor(F.adjust_brightness),
    "Color": _factor(F.adjust_saturation),
    "Contrast": _factor(F.adjust_contrast),
    "Sharpness": _factor(F.adjust_sharpness),
    "Posterize": _Operation(lambda image, bits, *_: F.posterize(image, int(bits)), False),
    "Solarize": _Operation(lambda image, threshold, *_: F.solarize(image, threshold), False),
    "AutoContrast": _Operation(lambda image, *_: F.autocontrast(image), False),
    "Equalize": _Operation(lambda image, *_: F.equalize(image), False),
}


def _strengths(far: dict[str, float], name: str, bins: int) -> list[float]:
    """The strengths of an operation in even steps; none where it has no strength."""
    if name == "Posterize":
        return [8 - round(i * far[name] / (bins - 1)) for i in range(bins)]
    if name == "Solarize":
        return [255.0 - 255.0 * i / (bins - 1) for i in range(bins)]
    return [far[name] * i / (bins - 1) for i in range(bins)] if name in far else []


class _Automatic(Transform):
    """The base: `num_magnitude_bins` steps of strength, and how affine operations fill in."""

    def __init__(self, num_magnitude_bins: int, interpolation: Any, fill: Any):
        who = type(self).__name__
        self.num_magnitude_bins = whole(f"{who}: num_magnitude_bins", num_magnitude_bins, 2)
        self.interpolation = F.interpolation_mode(who, interpolation)
        self.fill = fill

    def _done(self, image: Any, name: str, strengths: Sequence[float], step: int, sign: int) -> Any:
        operation = _OPERATIONS[name]
        strength = float(strengths[step]) if strengths else 0.0
        if operation.signed and sign:
            strength = -strength
        return operation.act(image, strength, self.interpolation, self.fill)


class TrivialAugmentWide(_Automatic):
    """One operation of a list, with a strength of its wide range; all equally probable.

    Images are PIL images or Tensors of bytes.

    Source: Müller & Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation",
    ICCV 2021, algorithm 1 and table 1.
    """

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = None,
    ):
        super().__init__(num_magnitude_bins, interpolation, fill)

    def forward(self, image: Any) -> Any:
        """The image after the operation."""
        far = {"ShearX": 0.99, "ShearY": 0.99, "TranslateX": 32.0, "TranslateY": 32.0,
               "Rotate": 135.0, "Brightness": 0.99, "Color": 0.99, "Contrast": 0.99,
               "Sharpness": 0.99, "Posterize": 6, "Solarize": 255.0}  # fmt: skip
        which, step, sign = draws.below(len(_OPERATIONS), self.num_magnitude_bins, 2)
        name = list(_OPERATIONS)[which]
        strengths = _strengths(far, name, self.num_magnitude_bins)
        return self._done(image, name, strengths, step, sign)


class RandAugment(_Automatic):
    """`num_ops` operations of a list, each with the strength of step `magnitude`.

    Images are PIL images or Tensors of bytes.

    Source: Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search
    space", NeurIPS 2020, figure 2; ranges of AutoAugment, CVPR 2019, table 6.
    """

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = None,
    ):
        super().__init__(num_magnitude_bins, interpolation, fill)
        self.num_ops = whole("RandAugment: num_ops", num_ops, 0)
        self.magnitude = whole("RandAugment: magnitude", magnitude, 0)
        if self.magnitude >= self.num_magnitude_bins:
            raise ArgumentError(
                f"RandAugment: magnitude must be below num_magnitude_bins={num_magnitude_bins}, "
                f"got {magnitude}"
            )

    def forward(self, image: Any) -> Any:
        """The image after the operations."""
        _, h, w = F.get_dimensions(image)
        far = {"ShearX": 0.3, "ShearY": 0.3, "TranslateX": 150 / 331 * w,
               "TranslateY": 150 / 331 * h, "Rotate": 30.0, "Brightness": 0.9, "Color": 0.9,
               "Contrast": 0.9, "Sharpness": 0.9, "Posterize": 4, "Solarize": 255.0}  # fmt: skip
        for _ in range(self.num_ops):
            which, sign = draws.below(len(_OPERATIONS), 2)
            name = list(_OPERATIONS)[which]
            strengths = _strengths(far, name, self.num_magnitude_bins)
            image = self._done(image, name, strengths, self.magnitude, sign)
        return image


__all__ = ["RandAugment", "TrivialAugmentWide"]
