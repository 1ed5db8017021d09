"""Dropout layers: of elements, of whole channels, and for self-normalising networks."""

from __future__ import annotations

from ..array_api.arguments import number
from ..errors import ArgumentError
from ..random import Generator
from ..tensor import Tensor
from . import functional
from .module import Module


class Dropout(Module):
    """In training each element 0 with probability p, else divided by 1 - p; in evaluation x itself.

    Random numbers come from `generator`, or from this thread's default one. With `inplace` x takes
    the result's value, too.

    >>> from backlit import ones
    >>> Dropout(0.5).eval()(ones((2,)))
    Tensor([1., 1.], shape=(2,), dtype=float32)
    """

    _draws = True

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None
    ):
        super().__init__()
        name = type(self).__name__
        if not 0 <= number(f"{name}: p", p) <= 1:
            raise ArgumentError(f"{name}: p must lie in [0, 1], got {p}")
        self.p = p
        self.inplace = inplace
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """x with elements dropped, in training."""
        return functional.dropout(x, self.p, self.training, self.inplace, generator=self.generator)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}{', inplace=True' * self.inplace}"


class Dropout1d(Dropout):
    """In training each channel of a signal 0 with probability p: see `functional.dropout1d`."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, L) with channels dropped, in training."""
        return functional.dropout1d(
            x, self.p, self.training, self.inplace, generator=self.generator
        )


class Dropout2d(Dropout):
    """In training each channel of an image 0 with probability p: see `functional.dropout2d`."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) with channels dropped, in training."""
        return functional.dropout2d(
            x, self.p, self.training, self.inplace, generator=self.generator
        )


class Dropout3d(Dropout):
    """In training each channel of a volume 0 with probability p: see `functional.dropout3d`."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, D, H, W) with channels dropped, in training."""
        return functional.dropout3d(
            x, self.p, self.training, self.inplace, generator=self.generator
        )


class AlphaDropout(Dropout):
    """Dropout that keeps mean 0 and variance 1, for SELU: see `functional.alpha_dropout`."""

    def forward(self, x: Tensor) -> Tensor:
        """x with elements replaced, in training."""
        return functional.alpha_dropout(
            x, self.p, self.training, self.inplace, generator=self.generator
        )


class FeatureAlphaDropout(Dropout):
    """`AlphaDropout` of whole channels, x: (N, C, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        """x with channels replaced, in training."""
        return functional.feature_alpha_dropout(
            x, self.p, self.training, self.inplace, generator=self.generator
        )
