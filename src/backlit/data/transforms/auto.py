"""Augmentation by operations that are drawn from a list, with strengths that are drawn or given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...array_api.arguments import number, whole
from ...errors import ArgumentError
from ...tensor import wrap
from . import draws
from . import functional as F
from .base import Transform
from .functional import InterpolationMode
from .mixing import beta, dirichlet
from .policies import POLICIES, AutoAugmentPolicy


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
_INVERT = {"Invert": _Operation(lambda image, *_: F.invert(image), False)}


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
        operation = (_OPERATIONS | _INVERT)[name]
        strength = float(strengths[step]) if strengths else 0.0
        if operation.signed and sign:
            strength = -strength
        return operation.act(image, strength, self.interpolation, self.fill)


def _learned_ranges(image: Any) -> dict[str, float]:
    """The largest strengths for an image: AutoAugment, CVPR 2019, table 6."""
    _, h, w = F.get_dimensions(image)
    return {"ShearX": 0.3, "ShearY": 0.3, "TranslateX": 150 / 331 * w, "TranslateY": 150 / 331 * h,
            "Rotate": 30.0, "Brightness": 0.9, "Color": 0.9, "Contrast": 0.9, "Sharpness": 0.9,
            "Posterize": 4, "Solarize": 255.0}  # fmt: skip


class AutoAugment(_Automatic):
    """Two operations with probabilities and strengths of a policy that was learned on a data set.

    Images are PIL images or Tensors of bytes.

    Source: Cubuk et al., "AutoAugment: learning augmentation strategies from data", CVPR 2019.
    """

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = None,
    ):
        super().__init__(10, interpolation, fill)
        try:
            self.policy = AutoAugmentPolicy(policy)
        except ValueError:
            names = ", ".join(p.value for p in AutoAugmentPolicy)
            raise ArgumentError(
                f"AutoAugment: policy must be one of {names}, got {policy!r:.60}"
            ) from None

    def forward(self, image: Any) -> Any:
        """The image after the operations."""
        far, pairs = _learned_ranges(image), POLICIES[self.policy]
        (which,) = draws.below(len(pairs))
        for name, p, step in pairs[which]:
            if draws.chance(p):
                strengths = _strengths(far, name, self.num_magnitude_bins)
                (sign,) = draws.below(2)
                image = self._done(image, name, strengths, step or 0, sign)
        return image


class AugMix(_Automatic):
    """The image, mixed with what `mixture_width` chains of random operations make of it.

    A chain has `chain_depth` operations, 1 to 3 if that is not positive, each of a strength of up
    to `severity` of ten. The shares of the chains are drawn from Dirichlet(alpha, …), that of all
    of them together from Beta(alpha, alpha). Without `all_ops` colours are left alone.

    Source: Hendrycks et al., "AugMix: a simple data processing method to improve robustness and
    uncertainty", ICLR 2020, algorithm 1.
    """

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = None,
    ):
        super().__init__(10, interpolation, fill)
        self.severity = whole("AugMix: severity", severity)
        if severity > self.num_magnitude_bins:
            raise ArgumentError(f"AugMix: severity must lie between 1 and 10, got {severity}")
        self.mixture_width = whole("AugMix: mixture_width", mixture_width)
        self.chain_depth = chain_depth
        self.alpha = number("AugMix: alpha", alpha)
        if not self.alpha > 0:
            raise ArgumentError(f"AugMix: alpha must be positive, got {alpha}")
        self.all_ops = all_ops

    def forward(self, image: Any) -> Any:
        """The mixture."""
        values = F.pil_to_tensor(image) if F.is_picture(image) else image
        _, h, w = F.get_dimensions(image)
        far = {**_learned_ranges(image), "TranslateX": w / 3, "TranslateY": h / 3}
        colours = ("Brightness", "Color", "Contrast", "Sharpness")
        names = [n for n in _OPERATIONS if n != "Identity" and (self.all_ops or n not in colours)]
        share = beta(self.alpha)
        mixed = (1 - share) * values.numpy().astype(np.float32)
        for part in dirichlet(self.alpha, self.mixture_width):
            made = self._chain(values, names, far)
            mixed += share * part * made.numpy().astype(np.float32)
        y = wrap(mixed.astype(values.numpy().dtype))
        return F.to_pil_image(y, image.mode) if F.is_picture(image) else y

    def _chain(self, image: Any, names: list[str], far: dict[str, float]) -> Any:
        """What a chain of operations makes of an image."""
        depth = self.chain_depth if self.chain_depth > 0 else 1 + draws.below(3)[0]
        for _ in range(depth):
            which, step, sign = draws.below(len(names), self.severity, 2)
            name = names[which]
            strengths = _strengths(far, name, self.num_magnitude_bins)
            if name == "Posterize":
                strengths = [bits - 4 for bits in strengths]
            image = self._done(image, name, strengths, step, sign)
        return image


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
        far = _learned_ranges(image)
        for _ in range(self.num_ops):
            which, sign = draws.below(len(_OPERATIONS), 2)
            name = list(_OPERATIONS)[which]
            strengths = _strengths(far, name, self.num_magnitude_bins)
            image = self._done(image, name, strengths, self.magnitude, sign)
        return image


__all__ = ["AugMix", "AutoAugment", "RandAugment", "TrivialAugmentWide"]
