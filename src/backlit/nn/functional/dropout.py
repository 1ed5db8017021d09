"""Dropout of elements and of whole channels."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ...array_api import full
from ...array_api import where as choose
from ...array_api.arguments import cached, number
from ...backend.halves import as_one_op
from ...errors import ArgumentError, ShapeError
from ...op import describe
from ...ops import normalization
from ...promotion import floating
from ...random import Generator, given_generator
from ...state import where_called
from ...tensor import Tensor, apply
from .common import given, in_place


def _probability(name: str, p: Any) -> float:
    p = number(f"{name}: p", p)
    if not 0 <= p <= 1:
        raise ArgumentError(f"{name}: p must lie in [0, 1], got {p}{where_called()}")
    return p


#: What SELU comes near at -∞: the value that keeps mean and variance when it stands for others.
_SATURATION = -1.7580993408473766


@as_one_op
def _towards_saturation(x: Tensor, p: float, kept: Tensor) -> Tensor:
    if p == 1:
        return x * 0.0
    scale = 1 / math.sqrt((1 - p) * (1 + p * _SATURATION**2))
    shift = -scale * p * _SATURATION
    return choose(kept, x * scale + shift, scale * _SATURATION + shift)


def _dropped(
    name: str,
    given_x: Any,
    p: float,
    training: bool,
    inplace: bool,
    generator: Generator | None,
    channels: int = 0,
    alpha: bool = False,
) -> Tensor:
    """Dropout of elements, or of all that lies behind the first `channels` axes together."""
    p, x = _probability(name, p), floating(given(given_x))
    active = training and p > 0
    if x.ndim < channels and (active or not alpha):
        raise ShapeError(
            f"{name}: x must have shape (N, C, ...), got {describe(x)}{where_called()}"
        )
    if not active:
        return x
    shape = (*x.shape[:channels], *(1,) * (x.ndim - channels)) if channels else x.shape
    source = given_generator(generator)
    kept = source.bits(shape) >= int(p * 2**32) if p < 1 else full(shape, False)
    y = (
        _towards_saturation(x, p, kept)
        if alpha
        else apply(cached(normalization.Dropout, p), x, kept)
    )
    return in_place(given_x, y) if inplace else y


def dropout(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Each element 0 with probability p, else divided by 1 - p; x itself unless `training`.

    With `inplace` x itself takes the result's value, too.

    The random numbers come from `generator`, or from this thread's default one. Their state is
    Tensors, so a captured step draws a new mask each time it runs.

    >>> from backlit import Generator, full
    >>> y = dropout(full((1000,), 1.0), p=0.5, generator=Generator(0))
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    return _dropped("dropout", input, p, training, inplace, generator)


def dropout1d(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Each channel of a signal 0 with probability p, else divided by 1 - p: (N, C, L) or (C, L).

    Source: Tompson et al., "Efficient object localization", CVPR 2015, sec. 3.2.

    >>> from backlit import Generator, ones
    >>> dropout1d(ones((1, 2, 3)), generator=Generator(9)).tolist()
    [[[2.0, 2.0, 2.0], [0.0, 0.0, 0.0]]]
    """
    axes = given(input).ndim
    if axes not in (2, 3):
        raise ShapeError(
            f"dropout1d: x must have shape (N, C, L) or (C, L), got {describe(given(input))}"
            f"{where_called()}"
        )
    return _dropped("dropout1d", input, p, training, inplace, generator, axes - 1)


def dropout2d(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Each channel of an image 0 with probability p, else divided by 1 - p: (N, C, H, W).

    x with 3 axes is taken for (N, C, L), not for one image, as in PyTorch, with its warning: give
    `x[None]`, or use `dropout1d`. Source: Tompson et al., CVPR 2015, sec. 3.2.

    >>> from backlit import Generator, ones
    >>> dropout2d(ones((1, 2, 1, 3)), generator=Generator(9)).tolist()
    [[[[2.0, 2.0, 2.0]], [[0.0, 0.0, 0.0]]]]
    """
    axes = given(input).ndim
    if axes != 4:
        warnings.warn(
            f"dropout2d: x should have shape (N, C, H, W), and {describe(given(input))} is taken "
            f"for (N, C, ...); give x[None] if it is one image{where_called()}",
            stacklevel=2,
        )
    return _dropped("dropout2d", input, p, training, inplace, generator, 2)


def dropout3d(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Each channel of a volume 0 with probability p, else divided by 1 - p.

        x: (N, C, D, H, W) or (C, D, H, W)

    Source: Tompson et al., CVPR 2015, sec. 3.2.

    >>> from backlit import Generator, ones
    >>> dropout3d(ones((2, 1, 1, 2)), generator=Generator(9)).tolist()
    [[[[2.0, 2.0]]], [[[0.0, 0.0]]]]
    """
    axes = given(input).ndim
    if axes not in (4, 5):
        warnings.warn(
            f"dropout3d: x should have shape (N, C, D, H, W) or (C, D, H, W), and "
            f"{describe(given(input))} is taken for (N, C, ...){where_called()}",
            stacklevel=2,
        )
    return _dropped("dropout3d", input, p, training, inplace, generator, 1 if axes == 4 else 2)


def alpha_dropout(
    input: Any,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Elements become α' with probability p, then all are scaled and shifted: for SELU networks.

        y = a (x or α') + b,  α' = -1.7581,  a = ((1-p) (1 + p α'²))^-½,  b = -a p α'

    x with mean 0 and variance 1 keeps both.
    Source: Klambauer et al., "Self-normalizing neural networks", NIPS 2017, sec. 3.

    >>> from backlit import ones
    >>> alpha_dropout(ones(2)).tolist()
    [1.0, 1.0]
    """
    return _dropped("alpha_dropout", input, p, training, inplace, generator, alpha=True)


def feature_alpha_dropout(
    input: Any,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """`alpha_dropout` of whole channels, x: (N, C, ...).

    >>> from backlit import ones
    >>> feature_alpha_dropout(ones((1, 2, 3))).shape
    (1, 2, 3)
    """
    name = "feature_alpha_dropout"
    return _dropped(name, input, p, training, inplace, generator, 2, alpha=True)
