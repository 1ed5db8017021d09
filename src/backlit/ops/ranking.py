"""Ranks: which elements along an axis are first, k-th, the largest so far; where one fits in."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType
from ..op import Op, Shape


class Argtop(Op):
    """The places of the k largest (or smallest) elements along `axis`, in order: no derivative.

    Of equal elements the first ones are taken, and NaN is the largest: y is what the stable order
    begins with, found without putting the others in order.
    """

    attributes = ("axis", "k", "largest")
    primitive = True
    axis: int
    k: int
    largest: bool

    def forward(self, xp, x):
        return xp.argtop(x, axis=self.axis, k=self.k, largest=self.largest)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The shape of x with k along `axis`, int64."""
        return (*x.shape[: self.axis], self.k, *x.shape[self.axis + 1 :]), np.dtype("int64")


class Argkth(Op):
    """The place of the element of rank `k` along `axis`, the smallest has 0: no derivative.

    Of equal elements the first has the lowest rank, and NaN is the largest.
    """

    attributes = ("axis", "k")
    primitive = True
    axis: int
    k: int

    def forward(self, xp, x):
        return xp.argkth(x, axis=self.axis, k=self.k)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The shape of x with 1 along `axis`, int64."""
        return (*x.shape[: self.axis], 1, *x.shape[self.axis + 1 :]), np.dtype("int64")


class Argrunning(Op):
    """The place of the largest (or smallest) element so far along `axis`: no derivative.

    Of equal elements it is the last so far; NaN is both the largest and the smallest.
    """

    attributes = ("axis", "largest")
    primitive = True
    axis: int
    largest: bool

    def forward(self, xp, x):
        return xp.argrunning(x, axis=self.axis, largest=self.largest)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The shape of x, int64."""
        return x.shape, np.dtype("int64")


class Searchsorted(Op):
    """y = how many elements of the sorted `row` are smaller than x, or not larger: no derivative.

    row: (..., N), x: (..., M) -> (..., M); or one row (N) for x of any shape.
    """

    attributes = ("side",)
    primitive = True
    side: str

    def forward(self, xp, row, x):
        return xp.searchsorted(row, x, side=self.side)

    def infer(self, row: Any, x: Any) -> tuple[Shape, DType]:
        """The shape of x, int64."""
        return x.shape, np.dtype("int64")
