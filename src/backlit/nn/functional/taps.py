"""A linear map along one axis of which each result reads a few places."""

from __future__ import annotations

import numpy as np

from ...array_api import take
from ...tensor import Tensor, wrap


def weighted_taps(x: Tensor, axis: int, places: np.ndarray, weights: np.ndarray) -> Tensor:
    """y_i = Σ_k weights[k, i] · x at places[k, i], along one axis; both are (taps, m).

    What no tap reads has no part in the result, also where it is not finite.
    """
    column = (-1, *(1,) * (x.ndim - 1 - axis))
    parts = []
    for index, weight in zip(places, weights, strict=True):
        part = take(x, wrap(index), axis=axis)
        if (weight != 1).any():
            part = part * wrap(weight.astype(x.dtype).reshape(column))
        parts.append(part)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
