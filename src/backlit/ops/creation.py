"""Arrays from nothing: constants, sequences, random bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import DType
from ..errors import ArgumentError
from ..op import Op, Requirement, Shape, require_held


class Full(Op):
    """y = `value` everywhere."""

    cost = 0
    attributes = ("shape", "value", "dtype")
    primitive = True
    exact = True
    shape: Shape
    value: float
    dtype: DType

    def check(self):
        """The value is a number of the dtype."""
        require_held("full: fill_value", self.value, self.dtype)

    def forward(self, xp):
        return xp.full(self.shape, self.value, dtype=self.dtype)

    def infer(self) -> tuple[Shape, DType]:
        """The given shape and dtype."""
        return self.shape, self.dtype


class Arange(Op):
    """yᵢ = start + i step, for `count` elements."""

    attributes = ("start", "count", "step", "dtype")
    primitive = True
    exact = True
    start: float
    count: int
    step: float
    dtype: DType

    def forward(self, xp):
        return xp.arange(self.start, self.count, self.step, dtype=self.dtype)

    def infer(self) -> tuple[Shape, DType]:
        """(count,) of the given dtype."""
        return (self.count,), self.dtype


#: How many uint32 a block has, by which a stream moves on: Philox 4x64 makes 256 bits.
WORDS_PER_BLOCK = 8


def blocks(shape: Shape) -> int:
    """How many blocks random bits of a shape take."""
    return -(-math.prod(shape) // WORDS_PER_BLOCK)


class RandomBits(Op):
    """y = uint32 random bits from Philox 4x64-10 with a key, from block `counter` on."""

    attributes = ("shape",)
    primitive = True
    shape: Shape

    def forward(self, xp, key, counter):
        return xp.random_bits(key, counter, self.shape)

    def infer(self, key: Any, counter: Any) -> tuple[Shape, DType]:
        """The given shape, uint32."""
        return self.shape, np.dtype("uint32")


class RandomPoisson(Op):
    """y = Poisson distributed numbers with these means, of the key's stream for block `counter`."""

    primitive = True

    def forward(self, xp, key, counter, mean):
        return xp.random_poisson(key, counter, mean)

    def requires(self, xp, key, counter, mean):
        """Means that int64 numbers have."""
        fits = xp.logical_and(mean >= 0, mean < 2.0**62)
        return (
            Requirement(
                fits, mean, ArgumentError, "the mean must lie in [0, 2**62)", "look for NaN"
            ),
        )

    def infer(self, key: Any, counter: Any, mean: Any) -> tuple[Shape, DType]:
        """Shape and dtype of the means."""
        return mean.shape, mean.dtype
