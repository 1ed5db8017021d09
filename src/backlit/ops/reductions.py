"""Reductions: sums, products, extremes, statistics, searches and running folds along axes."""

from __future__ import annotations

import math
import typing

import numpy as np

from ..dtypes import DType
from ..op import Op, Reduction, Shape


def _count(shape: Shape, axis: tuple[int, ...]) -> int:
    return math.prod(shape[a] for a in axis)


def _divisor(shape: Shape, axis: tuple[int, ...]) -> float:
    """The number of elements, NaN for none."""
    return _count(shape, axis) or math.nan


class Sum(Reduction):
    """y = Σ x over `axis`;  gx = gy, copied to every element that was added."""

    role = "distributor"
    symbol = "Σ"
    adds = True
    primitive = True

    def forward(self, xp, x):
        return xp.sum(x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, xp, grad_y):
        return self.spread(xp, grad_y)


class Mean(Reduction):
    """y = Σ x / n over `axis`, n elements, NaN for none;  gx = gy / n."""

    role = "sharer"
    adds = True
    saves = ("x.shape",)

    def forward(self, xp, x):
        return xp.sum(x, axis=self.axis, keepdims=self.keepdims) / _divisor(x.shape, self.axis)

    def backward(self, xp, grad_y, shape):
        return self.spread(xp, grad_y) / _divisor(shape, self.axis)


class Dispersion(Reduction):
    """Base of Var and Std: the distances from the mean, and what their squares are divided by.

    The mean is taken off before squaring, so a large offset costs no digits, and it is found from
    the distances to the first element, so equal elements have a variance of exactly 0: Chan, Golub
    & LeVeque, "Algorithms for computing the sample variance", The American Statistician 37 (1983),
    sec. 2.
    """

    attributes = ("axis", "keepdims", "correction")
    correction: float

    def centred(self, xp, x):
        """x - m."""
        count = _count(x.shape, self.axis)
        if count == 0:
            return x
        first = tuple((0, 1 if a in self.axis else n, 1) for a, n in enumerate(x.shape))
        shifted = x - xp.slice(x, index=first)
        return shifted - xp.sum(shifted, axis=self.axis, keepdims=True) / count

    def weight(self, shape: Shape) -> float:
        """1 / (n - correction)."""
        freedom = _count(shape, self.axis) - self.correction
        return 1 / freedom if freedom > 0 else math.nan

    def variance(self, xp, x):
        """Σ (x - m)² / (n - correction)."""
        centred = self.centred(xp, x)
        total = xp.sum(centred * centred, axis=self.axis, keepdims=self.keepdims)
        return total * self.weight(x.shape)


class Var(Dispersion):
    """y = Σ (x - m)² / (n - correction), m the mean;  gx = 2 gy (x - m) / (n - correction)."""

    saves = ("x",)

    def forward(self, xp, x):
        return self.variance(xp, x)

    def backward(self, xp, grad_y, x):
        return self.spread(xp, grad_y) * self.centred(xp, x) * (2 * self.weight(x.shape))


class Std(Dispersion):
    """y = √(Σ (x - m)² / (n - correction));  gx = gy (x - m) / (y (n - correction)), 0 where y = 0.

    0 is the subgradient of smallest norm, as in PyTorch.
    """

    saves = ("x", "y")

    def forward(self, xp, x):
        return xp.sqrt(self.variance(xp, x))

    def backward(self, xp, grad_y, x, y):
        y = self.spread(xp, y)
        share = xp.where(y == 0, 0.0, self.spread(xp, grad_y) * self.weight(x.shape))
        return share * (self.centred(xp, x) / xp.where(y == 0, 1.0, y))


class Extreme(Reduction):
    """Base of Max and Min: the gradient is shared equally by all elements that attain y."""

    role = "router"
    chooses = True
    primitive = True
    has_identity = False
    saves = ("x", "y")

    def backward(self, xp, grad_y, x, y):
        hit = xp.where(x == self.spread(xp, y), xp.ones_like(x), xp.zeros_like(x))
        return self.spread(xp, grad_y) * (hit / xp.sum(hit, axis=self.axis, keepdims=True))


class Max(Extreme):
    """y = max x over `axis`: routes the gradient to the largest; a tie is shared equally."""

    def forward(self, xp, x):
        return xp.max(x, axis=self.axis, keepdims=self.keepdims)


class Min(Extreme):
    """y = min x over `axis`: routes the gradient to the smallest; a tie is shared equally."""

    def forward(self, xp, x):
        return xp.min(x, axis=self.axis, keepdims=self.keepdims)


class Prod(Reduction):
    """y = Π x over one axis;  gx = gy · (the product of all the others), exact where x is 0."""

    role = "switcher"
    whole = True
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.prod(x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, xp, grad_y, x):
        (axis,) = self.axis
        others = _before(xp, x, axis) * xp.flip(_before(xp, xp.flip(x, axis=axis), axis), axis=axis)
        return self.spread(xp, grad_y) * others


def _before(xp, x, axis):
    """The product of all elements before each one."""
    n = x.shape[axis]
    if n == 0:
        return x
    whole = [(0, size, 1) for size in x.shape]
    head = tuple(whole[:axis])
    tail = tuple(whole[axis + 1 :])
    first = xp.ones_like(xp.slice(x, index=(*head, (0, 1, 1), *tail)))
    rest = xp.slice(x, index=(*head, (0, n - 1, 1), *tail))
    return xp.cumulative_prod(xp.concat((first, rest), axis=axis), axis=axis)


class All(Reduction):
    """y = whether all elements are true: no derivative."""

    primitive = True
    result = "bool"

    def forward(self, xp, x):
        return xp.all(x, axis=self.axis, keepdims=self.keepdims)


class Any(Reduction):
    """y = whether any element is true: no derivative."""

    primitive = True
    result = "bool"

    def forward(self, xp, x):
        return xp.any(x, axis=self.axis, keepdims=self.keepdims)


class Argmax(Reduction):
    """y = the index of the first largest element along one axis: no derivative."""

    primitive = True
    result = "int64"
    has_identity = False

    def forward(self, xp, x):
        return xp.argmax(x, axis=self.axis[0], keepdims=self.keepdims)


class Argmin(Reduction):
    """y = the index of the first smallest element along one axis: no derivative."""

    primitive = True
    result = "int64"
    has_identity = False

    def forward(self, xp, x):
        return xp.argmin(x, axis=self.axis[0], keepdims=self.keepdims)


class Running(Op):
    """Base of the folds that keep every intermediate result along `axis`."""

    whole = True
    attributes = ("axis",)
    primitive = True
    axis: int

    def infer(self, x: typing.Any) -> tuple[Shape, DType]:
        """Shape and dtype of x."""
        return x.shape, x.dtype

    def backwards(self, xp, x):
        """The running sum from the last element to the first."""
        turned = xp.cumulative_sum(xp.flip(x, axis=self.axis), axis=self.axis)
        return xp.flip(turned, axis=self.axis)


class CumulativeSum(Running):
    """yᵢ = Σ_{j≤i} xⱼ;  gxᵢ = Σ_{j≥i} gyⱼ."""

    effect = "each element gets the upstream gradients of all sums that it is in, added up"
    role = "distributor"
    adds = True

    def forward(self, xp, x):
        return xp.cumulative_sum(x, axis=self.axis)

    def backward(self, xp, grad_y):
        return self.backwards(xp, grad_y)


class CumulativeProd(Running):
    """yᵢ = Π_{j≤i} xⱼ;  gxᵢ = (Π_{k<i} xₖ) rᵢ with rᵢ = gyᵢ + xᵢ₊₁ rᵢ₊₁, exact where x is 0.

    The recurrence for r is a linear one, folded in log₂ n steps: Blelloch, "Prefix sums and their
    applications" (1990), sec. 1.4.1.
    """

    role = "switcher"
    saves = ("x",)

    def forward(self, xp, x):
        return xp.cumulative_prod(x, axis=self.axis)

    def backward(self, xp, grad_y, x):
        r, factor, step = grad_y, _moved_up(xp, x, self.axis, 1), 1
        while step < x.shape[self.axis]:
            r = r + factor * _moved_up(xp, r, self.axis, step)
            factor = factor * _moved_up(xp, factor, self.axis, step)
            step *= 2
        return _before(xp, x, self.axis) * r


def _moved_up(xp, x, axis, step):
    """xᵢ₊ₛ in place of xᵢ along `axis`, zeros at the end."""
    n = x.shape[axis]
    whole = [(0, size, 1) for size in x.shape]
    head, tail = tuple(whole[:axis]), tuple(whole[axis + 1 :])
    if step >= n:
        return xp.zeros_like(x)
    rest = xp.slice(x, index=(*head, (step, n - step, 1), *tail))
    end = xp.zeros_like(xp.slice(x, index=(*head, (0, step, 1), *tail)))
    return xp.concat((rest, end), axis=axis)


class Argsort(Op):
    """The stable order of the elements along `axis`: no derivative."""

    attributes = ("axis", "descending")
    primitive = True
    axis: int
    descending: bool

    def forward(self, xp, x):
        return xp.argsort(x, axis=self.axis, descending=self.descending)

    def infer(self, x):
        """Shape of x, int64."""
        return x.shape, np.dtype("int64")


class Norm(Reduction):
    """y = √Σ x², scaled by the largest |x| so that no square overflows;  gx = gy x / y, 0 at 0."""

    whole = True
    saves = ("x", "y")

    def forward(self, xp, x):
        largest = xp.max(xp.abs(x), axis=self.axis, keepdims=True)
        usable = xp.logical_and(largest > 0, xp.isfinite(largest))
        scale = xp.where(usable, largest, 1.0)
        scaled = x / scale
        y = scale * xp.sqrt(xp.sum(scaled * scaled, axis=self.axis, keepdims=True))
        return y if self.keepdims else xp.sum(y, axis=self.axis)

    def backward(self, xp, grad_y, x, y):
        y = self.spread(xp, y)
        share = xp.where(y == 0, 0.0, self.spread(xp, grad_y))
        return share * (x / xp.where(y == 0, 1.0, y))
