"""Transforms that draw what they do to an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...array_api.arguments import number
from ...errors import ArgumentError, ShapeError
from ...random import default_generator
from . import draws
from . import functional as F
from .base import Transform, angles, bounds, probability
from .functional import InterpolationMode


class _Perhaps(Transform):
    """The base of transforms that happen with probability p."""

    def __init__(self, p: float = 0.5):
        self.p = probability(type(self).__name__, p)

    def forward(self, image: Any) -> Any:
        """The changed image, or as it is."""
        return self.changed(image) if draws.chance(self.p) else image

    def changed(self, image: Any) -> Any:
        """The image if it happens."""
        raise NotImplementedError


class RandomHorizontalFlip(_Perhaps):
    """With probability p mirrored from left to right."""

    def changed(self, image: Any) -> Any:
        """Mirrored."""
        return F.hflip(image)


class RandomVerticalFlip(_Perhaps):
    """With probability p mirrored from top to bottom."""

    def changed(self, image: Any) -> Any:
        """Mirrored."""
        return F.vflip(image)


class RandomGrayscale(_Perhaps):
    """With probability p grey, in as many channels as before."""

    def __init__(self, p: float = 0.1):
        super().__init__(p)

    def changed(self, image: Any) -> Any:
        """Grey."""
        return F.rgb_to_grayscale(image, F.get_dimensions(image)[0])


class RandomInvert(_Perhaps):
    """With probability p white minus the image."""

    def changed(self, image: Any) -> Any:
        """Inverted."""
        return F.invert(image)


class RandomPosterize(_Perhaps):
    """With probability p only the upper bits of bytes."""

    def __init__(self, bits: int, p: float = 0.5):
        super().__init__(p)
        self.bits = bits

    def changed(self, image: Any) -> Any:
        """With fewer bits."""
        return F.posterize(image, self.bits)


class RandomSolarize(_Perhaps):
    """With probability p what is not below a threshold inverted."""

    def __init__(self, threshold: float, p: float = 0.5):
        super().__init__(p)
        self.threshold = threshold

    def changed(self, image: Any) -> Any:
        """Partly inverted."""
        return F.solarize(image, self.threshold)


class RandomAdjustSharpness(_Perhaps):
    """With probability p smoother (below 1) or sharper."""

    def __init__(self, sharpness_factor: float, p: float = 0.5):
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def changed(self, image: Any) -> Any:
        """Smoother or sharper."""
        return F.adjust_sharpness(image, self.sharpness_factor)


class RandomAutocontrast(_Perhaps):
    """With probability p each channel stretched to the whole range."""

    def changed(self, image: Any) -> Any:
        """Stretched."""
        return F.autocontrast(image)


class RandomEqualize(_Perhaps):
    """With probability p each channel with about equally frequent values."""

    def changed(self, image: Any) -> Any:
        """Equalized."""
        return F.equalize(image)


class RandomCrop(Transform):
    """A part of a size, anywhere in the image, after a `padding` if that is given.

    With `pad_if_needed` an image that is too small is padded on both sides. `fill` and
    `padding_mode` as in `Pad`.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ):
        self.size = F.pair("RandomCrop: size", size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """(top, left, height, width), drawn."""
        _, h, w = F.get_dimensions(img)
        height, width = output_size
        if h < height or w < width:
            raise ShapeError(
                f"RandomCrop: size must be at most that of the image, got {(height, width)} and "
                f"{(h, w)}; use pad_if_needed=True"
            )
        if (h, w) == (height, width):
            return 0, 0, h, w
        top, left = draws.below(h - height + 1, w - width + 1)
        return top, left, height, width

    def forward(self, image: Any) -> Any:
        """The part."""
        if self.padding is not None:
            image = F.pad(image, self.padding, self.fill, self.padding_mode)
        _, h, w = F.get_dimensions(image)
        missing = (max(self.size[1] - w, 0), max(self.size[0] - h, 0))
        if self.pad_if_needed and any(missing):
            image = F.pad(image, missing, self.fill, self.padding_mode)
        return F.crop(image, *self.get_params(image, self.size))


def _box(h: int, w: int, scale: Sequence[float], ratio: Sequence[float]) -> tuple[float, float]:
    """(width, height) of a box: a share of the area of an image, and width by height, drawn."""
    logarithms = [math.log(r) for r in ratio]
    share, aspect = draws.between(scale, logarithms)
    area, aspect = h * w * share, math.exp(aspect)
    return math.sqrt(area * aspect), math.sqrt(area / aspect)


class RandomResizedCrop(Transform):
    """A part with a share of the area within `scale` and width by height within `ratio`, resized.

    The ratio is evenly distributed on a logarithmic scale. Where ten draws do not fit into the
    image, it is the largest part in the middle that has such a ratio.

    Source: Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 6.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ):
        self.size = F.pair("RandomResizedCrop: size", size)
        self.scale = bounds("RandomResizedCrop: scale", scale)
        self.ratio = bounds("RandomResizedCrop: ratio", ratio, 1e-6)
        self.interpolation = F.interpolation_mode("RandomResizedCrop", interpolation)
        self.antialias = antialias

    @staticmethod
    def get_params(
        img: Any, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """(top, left, height, width), drawn."""
        _, h, w = F.get_dimensions(img)
        for _ in range(10):
            width, height = map(round, _box(h, w, scale, ratio))
            if 0 < width <= w and 0 < height <= h:
                top, left = draws.below(h - height + 1, w - width + 1)
                return top, left, height, width
        height, width = h, w
        if w / h < min(ratio):
            height = round(w / min(ratio))
        elif w / h > max(ratio):
            width = round(h * max(ratio))
        return (h - height) // 2, (w - width) // 2, height, width

    def forward(self, image: Any) -> Any:
        """The part, resized."""
        part = self.get_params(image, self.scale, self.ratio)
        return F.resized_crop(image, *part, self.size, self.interpolation, self.antialias)


class RandomRotation(Transform):
    """Turned by an angle within `degrees`; one number d is (-d, d). The rest as `rotate`."""

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: Any = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[int] | None = None,
        fill: Any = 0,
    ):
        self.degrees = angles("RandomRotation: degrees", degrees)
        self.interpolation = F.interpolation_mode("RandomRotation", interpolation)
        self.expand = expand
        self.center = center
        self.fill = 0 if fill is None else fill

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """The angle, drawn."""
        return draws.between(degrees)[0]

    def forward(self, image: Any) -> Any:
        """Turned."""
        angle = self.get_params(self.degrees)
        return F.rotate(image, angle, self.interpolation, self.expand, self.center, self.fill)


class RandomAffine(Transform):
    """Turned, moved, scaled and sheared, each within its range; as `affine`.

    `translate` are the largest shares (of the width, of the height), `scale` is (low, high),
    `shear` a range of angles along x, or two: (x low, x high, y low, y high).
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Sequence[int] | None = None,
    ):
        self.degrees = angles("RandomAffine: degrees", degrees)
        if translate is not None and not (
            len(translate) == 2 and all(0 <= t <= 1 for t in translate)
        ):
            raise ArgumentError(
                f"RandomAffine: translate must be two shares in [0, 1], got {translate!r:.60}"
            )
        self.translate = translate
        self.scale = None if scale is None else bounds("RandomAffine: scale", scale, 1e-6)
        self.shear = None if shear is None else angles("RandomAffine: shear", shear, (2, 4))
        self.interpolation = F.interpolation_mode("RandomAffine", interpolation)
        self.fill = 0 if fill is None else fill
        self.center = center

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """(angle, (x, y), scale, (shear x, shear y)), drawn, for an image (width, height)."""
        far_x, far_y = (t * n for t, n in zip(translate or (0, 0), img_size, strict=True))
        sheared = [*(shears or (0.0, 0.0)), 0.0, 0.0]
        angle, x, y, scale, shear_x, shear_y = draws.between(
            degrees,
            (-far_x, far_x),
            (-far_y, far_y),
            scale_ranges or (1.0, 1.0),
            sheared[:2],
            sheared[2:4],
        )
        return angle, (round(x), round(y)), scale, (shear_x, shear_y)

    def forward(self, image: Any) -> Any:
        """The image, mapped."""
        _, h, w = F.get_dimensions(image)
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, (w, h))
        return F.affine(image, *drawn, self.interpolation, self.fill, self.center)


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed in random order.

    A number v stands for the range (1 - v, 1 + v) of factors, cut at 0; of the hue for (-v, v).

    Source: Howard, "Some improvements on deep convolutional neural network based image
    classification" (2013), section 2.2.
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
    ):
        self.brightness = _factors("brightness", brightness)
        self.contrast = _factors("contrast", contrast)
        self.saturation = _factors("saturation", saturation)
        self.hue = _shifts(hue)

    @staticmethod
    def get_params(
        brightness: Sequence[float] | None,
        contrast: Sequence[float] | None,
        saturation: Sequence[float] | None,
        hue: Sequence[float] | None,
    ) -> tuple[list[int], float | None, float | None, float | None, float | None]:
        """(order, and a factor for each that has a range), drawn."""
        ranges = (brightness, contrast, saturation, hue)
        order = draws.order(4)
        drawn = draws.between(*(r or (1.0, 1.0) for r in ranges))
        b, c, s, h = (None if r is None else v for r, v in zip(ranges, drawn, strict=True))
        return order, b, c, s, h

    def forward(self, image: Any) -> Any:
        """The image with other colours."""
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        steps = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for i in order:
            factor = factors[i]
            if factor is not None:
                image = steps[i](image, factor)
        return image


def _factors(name: str, given: Any) -> tuple[float, float] | None:
    """The range of a factor; None if it is always 1."""
    if isinstance(given, Sequence):
        found = bounds(f"ColorJitter: {name}", given)
    else:
        value = number(f"ColorJitter: {name}", given)
        if not value >= 0:
            raise ArgumentError(f"ColorJitter: {name} must not be negative, got {given}")
        found = max(0.0, 1 - value), 1 + value
    return None if found == (1.0, 1.0) else found


def _shifts(given: Any) -> tuple[float, float] | None:
    """The range of the hue's shift; None if it is always 0."""
    low, high = (
        bounds("ColorJitter: hue", given, -0.5)
        if isinstance(given, Sequence)
        else (-number("ColorJitter: hue", given), float(given))
    )
    if not -0.5 <= low <= high <= 0.5:
        raise ArgumentError(
            f"ColorJitter: hue must lie in [0, 0.5], or be a range in [-0.5, 0.5], got {given}"
        )
    return None if low == high == 0 else (low, high)


class GaussianBlur(Transform):
    """Weighted means over windows of a size (x, y), with σ drawn from a range, or a number."""

    def __init__(
        self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)
    ):
        self.kernel_size = F.pair("GaussianBlur: kernel_size", kernel_size)
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ArgumentError(f"GaussianBlur: kernel_size must be odd, got {kernel_size}")
        spread = sigma if isinstance(sigma, Sequence) else (sigma, sigma)
        self.sigma = bounds("GaussianBlur: sigma", spread, 1e-12)

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """σ, drawn."""
        return draws.between((sigma_min, sigma_max))[0]

    def forward(self, image: Any) -> Any:
        """The blurred image."""
        sigma = self.get_params(*self.sigma)
        return F.gaussian_blur(image, self.kernel_size, (sigma, sigma))


class RandomErasing(_Perhaps):
    """With probability p a box of a Tensor is filled with a value, or "random" normal numbers.

    The box has a share of the area within `scale` and height by width within `ratio`. Where ten
    draws do not fit into the image, it stays as it is.

    Source: Zhong et al., "Random erasing data augmentation", AAAI 2020, algorithm 1.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | str | Sequence[float] = 0,
        inplace: bool = False,
    ):
        super().__init__(p)
        self.scale = bounds("RandomErasing: scale", scale)
        if self.scale[1] > 1:
            raise ArgumentError(f"RandomErasing: scale must be at most 1, got {scale}")
        self.ratio = bounds("RandomErasing: ratio", ratio, 1e-6)
        if isinstance(value, str) and value != "random":
            raise ArgumentError(
                f'RandomErasing: value must be a number, one for each channel, or "random", got '
                f"{value!r:.60}"
            )
        self.value = value
        self.inplace = inplace

    def changed(self, image: Any) -> Any:
        """The image with a box in it."""
        channels, h, w = F.get_dimensions(image)
        value: Any = self.value
        if isinstance(value, Sequence) and not isinstance(value, str):
            if len(value) not in (1, channels):
                raise ShapeError(
                    f"RandomErasing: value must have a number for each of {channels} channels, got "
                    f"{value!r:.60}"
                )
            value = [[[float(v)]] for v in value]
        for _ in range(10):
            height, width = map(round, _box(h, w, self.scale, self.ratio))
            if height < h and width < w:
                if self.value == "random":
                    value = default_generator().normal((channels, height, width))
                i, j = draws.below(h - height + 1, w - width + 1)
                return F.erase(image, i, j, height, width, value, self.inplace)
        return image


__all__ = [
    "ColorJitter",
    "GaussianBlur",
    "RandomAdjustSharpness",
    "RandomAffine",
    "RandomAutocontrast",
    "RandomCrop",
    "RandomEqualize",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomPosterize",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSolarize",
    "RandomVerticalFlip",
]
