"""Arrays of a shape that is typed: `3x4` of numbers, `5x2:7` of whole numbers below 7."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError


def random_array(text: str, rng: np.random.Generator) -> np.ndarray:
    """Numbers from 0.3 to 1.5 in size, of both signs; or integers below a limit."""
    size, colon, limit = text.partition(":")
    try:
        shape = tuple(int(n) for n in size.split("x")) if size else ()
        below = int(limit) if colon else 0
        if min(shape, default=1) < 0 or (colon and below < 1):
            raise ValueError
    except ValueError:
        raise ArgumentError(
            f"a shape must be numbers with x between, as 3x4 or 5x2:7, got {text!r}"
        ) from None
    if colon:
        return rng.integers(0, below, shape)
    return np.asarray(rng.uniform(0.3, 1.5, shape) * rng.choice([-1.0, 1.0], shape))
