"""Transforms as objects: what they were made with, and transforms made of others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...array_api.arguments import number
from ...errors import ArgumentError
from ...foreign import words
from . import draws
from .functional import ONE_IMAGE


class Transform:
    """The base of transforms: subclass it and write `forward`, of one image.

    >>> class Half(Transform):
    ...     def forward(self, image):
    ...         return image / 2
    >>> Half()(4.0)
    2.0
    """

    def __call__(self, *args: Any) -> Any:
        """The transformed image."""
        try:
            return self.forward(*args)
        except TypeError:
            if len(args) > 1 and not _takes(self.forward, len(args)):
                raise ArgumentError(
                    f"{type(self).__name__}: got {len(args)} arguments; {ONE_IMAGE}"
                ) from None
            raise

    def forward(self, image: Any) -> Any:
        """The transformed image."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(image)")

    def __repr__(self) -> str:
        found = (f"{k}={_said(v)}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({', '.join(found)})"


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    return True


def _said(value: Any) -> str:
    return repr(getattr(value, "value", value))


def probability(what: str, p: Any) -> float:
    """A number in [0, 1]."""
    if not 0 <= number(f"{what}: p", p) <= 1:
        raise ArgumentError(f"{what}: p must lie in [0, 1], got {p}")
    return float(p)


def bounds(what: str, given: Any, least: float = 0.0) -> tuple[float, float]:
    """(low, high), in order."""
    if not isinstance(given, Sequence) or len(given) != 2:
        raise ArgumentError(f"{what} must be (low, high), got {given!r:.60}")
    low, high = (number(what, v) for v in given)
    if not least <= low <= high:
        raise ArgumentError(
            f"{what} must be (low, high), not below {least:g} and in order, got {given!r:.60}"
        )
    return low, high


def angles(what: str, given: Any, counts: Sequence[int] = (2,)) -> tuple[float, ...]:
    """A range of angles in degrees; one number d is (-d, d)."""
    if not isinstance(given, Sequence):
        if not number(what, given) >= 0:
            raise ArgumentError(f"{what} must not be negative if it is one number, got {given}")
        return -float(given), float(given)
    if len(given) not in counts:
        raise ArgumentError(
            f"{what} must be {' or '.join(map(str, counts))} angles, got {given!r:.60}"
        )
    return tuple(number(what, v) for v in given)


class _OfSeveral(Transform):
    """The base of transforms that are made of others."""

    def __init__(self, transforms: Iterable[Callable[[Any], Any]]):
        if not isinstance(transforms, Iterable) or isinstance(transforms, str):
            raise ArgumentError(
                f"{type(self).__name__}: transforms must be a list, got {words(transforms)[0]}"
            )
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise ArgumentError(
                    f"{type(self).__name__}: transforms must be functions of an image, got "
                    f"{words(transform)[0]}"
                )

    def __repr__(self) -> str:
        inner = "".join(f"\n    {line}" for t in self.transforms for line in str(t).splitlines())
        others = (f", {k}={v!r}" for k, v in vars(self).items() if k != "transforms")
        return f"{type(self).__name__}([{inner}\n]{''.join(others)})"


class Compose(_OfSeveral):
    """One transform after the other.

    >>> Compose([lambda x: x + 1, lambda x: 2 * x])(3)
    8
    """

    def forward(self, image: Any) -> Any:
        """The image after all of them."""
        for transform in self.transforms:
            image = transform(image)
        return image


class RandomApply(Compose):
    """All of the transforms, with probability p; else none."""

    def __init__(self, transforms: Iterable[Callable[[Any], Any]], p: float = 0.5):
        super().__init__(transforms)
        self.p = probability("RandomApply", p)

    def forward(self, image: Any) -> Any:
        """The image after all of them, or as it is."""
        return super().forward(image) if draws.chance(self.p) else image


class RandomOrder(_OfSeveral):
    """All of the transforms, in random order."""

    def forward(self, image: Any) -> Any:
        """The image after all of them."""
        for i in draws.order(len(self.transforms)):
            image = self.transforms[i](image)
        return image


class RandomChoice(_OfSeveral):
    """One of the transforms, with probabilities in proportion to p, or each as often."""

    def __init__(
        self, transforms: Iterable[Callable[[Any], Any]], p: Sequence[float] | None = None
    ):
        super().__init__(transforms)
        self.p = p
        weights = [1.0] * len(self.transforms) if p is None else list(p)
        if len(weights) != len(self.transforms) or not sum(weights) > 0 or min(weights) < 0:
            raise ArgumentError(
                f"RandomChoice: p must be a weight for each of {len(self.transforms)} transforms, "
                f"from 0 and one of them above, got {p!r:.60}"
            )

    def forward(self, *args: Any) -> Any:
        """The image after one of them."""
        i = draws.weighted(self.p if self.p is not None else [1.0] * len(self.transforms))
        return self.transforms[i](*args)


class Lambda(Transform):
    """A function as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]):
        if not callable(lambd):
            raise ArgumentError(f"Lambda: a function is needed, got {words(lambd)[0]}")
        self.lambd = lambd

    def forward(self, image: Any) -> Any:
        """What the function makes of the image."""
        return self.lambd(image)


__all__ = ["Compose", "Lambda", "RandomApply", "RandomChoice", "RandomOrder", "Transform"]
