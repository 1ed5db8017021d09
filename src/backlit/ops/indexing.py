"""Indexing by integer arrays, and the adjoints, which add into zeros.

A `pattern` is a basic index (see `movement.Slice`) in which the word "array" stands wherever an
index array goes; NumPy's rules say where the axes of the arrays appear in the result.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import DType, int64
from ..errors import IndexRangeError, ShapeError
from ..op import Op, Shape, describe
from .movement import require_fitting


def block_place(pattern: tuple) -> tuple[bool, int]:
    """Whether a pattern's arrays are adjacent, and which axis of the result is their first."""
    advanced = [p for p, i in enumerate(pattern) if i == "array" or isinstance(i, int)]
    adjacent = advanced[-1] - advanced[0] == len(advanced) - 1
    return adjacent, advanced[0] if adjacent else 0


def selected_shape(pattern: tuple, block: Shape) -> Shape:
    """The shape that a pattern selects with index arrays that broadcast to `block`."""
    _, place = block_place(pattern)
    rest = [1 if i is None else i[1] for i in pattern if i is None or isinstance(i, tuple)]
    return (*rest[:place], *block, *rest[place:])


def gathered_shape(pattern: tuple, indices: tuple[Any, ...]) -> Shape:
    """The shape of x[pattern with the index arrays filled in]."""
    try:
        block = np.broadcast_shapes(*[i.shape for i in indices])
    except ValueError:
        shapes = " and ".join(str(i.shape) for i in indices)
        raise ShapeError(f"gather: index arrays must broadcast, got shapes {shapes}") from None
    return selected_shape(pattern, block)


def check_range(name: str, indices: Any, size: int, axis: int) -> None:
    """Raise unless all indices lie in [-size, size)."""
    if type(indices) is not np.ndarray or indices.size == 0:
        return
    low, high = indices.min(), indices.max()
    if low < -size or high >= size:
        wrong = low if low < -size else high
        raise IndexRangeError(
            f"{name}: indices must lie in [-{size}, {size}) on axis {axis}, got {wrong}"
        )


def check_indices(pattern: tuple, shape: Shape, indices: tuple[Any, ...]) -> None:
    """Raise unless all index arrays lie in the range of their axes."""
    arrays = iter(indices)
    for axis, i in enumerate([i for i in pattern if i is not None]):
        if i == "array":
            check_range("indexing", next(arrays), shape[axis], axis)


class Gather(Op):
    """y = x[indices];  gx = gy added into zeros at the indices."""

    role = "mover"
    chooses = True
    attributes = ("pattern",)
    saves = ("x.shape", "indices")
    primitive = True
    exact = True
    pattern: tuple

    def forward(self, xp, x, *indices):
        return xp.gather(x, *indices, pattern=self.pattern)

    def backward(self, xp, grad_y, shape, indices):
        return xp.scatter_add(grad_y, *indices, pattern=self.pattern, shape=shape)

    def infer(self, x: Any, *indices: Any) -> tuple[Shape, DType]:
        """NumPy's rule: the block of index axes in place of adjacent arrays, else in front."""
        check_indices(self.pattern, x.shape, indices)
        return gathered_shape(self.pattern, indices), x.dtype


class ScatterAdd(Op):
    """y = zeros of `shape`, then y[indices] += x, repeated indices adding up;  gx = gy[indices]."""

    role = "distributor"
    adds = True
    attributes = ("pattern", "shape")
    saves = ("indices",)
    primitive = True
    pattern: tuple
    shape: Shape

    def forward(self, xp, x, *indices):
        return xp.scatter_add(x, *indices, pattern=self.pattern, shape=self.shape)

    def backward(self, xp, grad_y, indices):
        return xp.gather(grad_y, *indices, pattern=self.pattern)

    def infer(self, x: Any, *indices: Any) -> tuple[Shape, DType]:
        """The given shape."""
        return self.shape, x.dtype


class SetItems(Op):
    """y = x with y[indices] = value; where places repeat, the value's last element there stays.

        gx = gy with 0 at the indices;  gvalue = gy[indices], but 0 for what was written over

    The value broadcasts to what the indices select.
    """

    role = "mover"
    chooses = True
    attributes = ("pattern",)
    saves = ("indices",)
    primitive = True
    exact = True
    pattern: tuple

    def forward(self, xp, x, value, *indices):
        return xp.set_items(x, value, *indices, pattern=self.pattern)

    def backward(self, xp, grad_y, indices):
        def of_value():
            shape = gathered_shape(self.pattern, indices)
            order = xp.reshape(xp.arange(0, math.prod(shape), 1, dtype=int64), shape)
            nobody = xp.full(grad_y.shape, -1, dtype=int64)
            winner = xp.set_items(nobody, order, *indices, pattern=self.pattern)
            stays = xp.equal(xp.gather(winner, *indices, pattern=self.pattern), order)
            gradient = xp.gather(grad_y, *indices, pattern=self.pattern)
            return xp.where(stays, gradient, xp.zeros_like(gradient))

        return (lambda: xp.set_items(grad_y, 0, *indices, pattern=self.pattern), of_value)

    def infer(self, x: Any, value: Any, *indices: Any) -> tuple[Shape, DType]:
        """Shape and dtype of x."""
        check_indices(self.pattern, x.shape, indices)
        require_fitting(gathered_shape(self.pattern, indices), x, value)
        return x.shape, x.dtype


class ScatterExtreme(Op):
    """y = x with y[indices] = the largest (or smallest) of what is there and all of the source.

    The gradient is shared equally by all that attain y, as in PyTorch.
    """

    role = "router"
    chooses = True
    attributes = ("pattern", "largest")
    saves = ("x", "source", "indices", "y")
    primitive = True
    exact = True
    pattern: tuple
    largest: bool

    def forward(self, xp, x, source, *indices):
        return xp.scatter_extreme(x, source, *indices, pattern=self.pattern, largest=self.largest)

    def backward(self, xp, grad_y, x, source, indices, y):
        stayed = xp.astype(x == y, grad_y.dtype)
        came = xp.astype(source == xp.gather(y, *indices, pattern=self.pattern), grad_y.dtype)
        count = stayed + xp.scatter_add(came, *indices, pattern=self.pattern, shape=x.shape)
        share = grad_y / xp.maximum(count, 1.0)
        return (
            lambda: stayed * share,
            lambda: came * xp.gather(share, *indices, pattern=self.pattern),
        )

    def infer(self, x: Any, source: Any, *indices: Any) -> tuple[Shape, DType]:
        """Shape and dtype of x."""
        check_indices(self.pattern, x.shape, indices)
        return x.shape, x.dtype


class ScatterProd(Op):
    """y = x with y[indices] multiplied by all of the source;  each gets gy · (all others' product).

    Where one of them is 0 that is exact to the first order.
    """

    role = "switcher"
    attributes = ("pattern",)
    saves = ("x", "source", "indices")
    primitive = True
    pattern: tuple

    def forward(self, xp, x, source, *indices):
        return xp.scatter_prod(x, source, *indices, pattern=self.pattern)

    def backward(self, xp, grad_y, x, source, indices):
        pattern = self.pattern
        known, new = xp.where(x == 0, 1.0, x), xp.where(source == 0, 1.0, source)
        product = grad_y * xp.scatter_prod(known, new, *indices, pattern=pattern)
        empty = xp.astype(source == 0, grad_y.dtype)
        zeros = xp.astype(x == 0, grad_y.dtype)
        zeros = zeros + xp.scatter_add(empty, *indices, pattern=pattern, shape=x.shape)

        def others(own, safe, product, zeros):
            """The product without an own factor, which may be the only 0."""
            return xp.where(
                own == 0,
                xp.where(zeros == 1, product, 0.0),
                xp.where(zeros == 0, product / safe, 0.0),
            )

        def of_source():
            at = [xp.gather(v, *indices, pattern=pattern) for v in (product, zeros)]
            return others(source, new, *at)

        return lambda: others(x, known, product, zeros), of_source

    def infer(self, x: Any, source: Any, *indices: Any) -> tuple[Shape, DType]:
        """Shape and dtype of x."""
        check_indices(self.pattern, x.shape, indices)
        return x.shape, x.dtype


class Take(Op):
    """y = the slices of x at `indices` along `axis`;  gx = gy added at the indices."""

    role = "mover"
    chooses = True
    attributes = ("axis",)
    saves = ("x.shape", "indices")
    primitive = True
    exact = True
    axis: int

    def forward(self, xp, x, indices):
        return xp.take(x, indices, axis=self.axis)

    def backward(self, xp, grad_y, shape, indices):
        return xp.take_add(grad_y, indices, axis=self.axis, size=shape[self.axis])

    def infer(self, x: Any, indices: Any) -> tuple[Shape, DType]:
        """The axes of `indices` in place of `axis`."""
        check_range("take", indices, x.shape[self.axis], self.axis)
        return x.shape[: self.axis] + indices.shape + x.shape[self.axis + 1 :], x.dtype


class TakeAdd(Op):
    """The adjoint of Take: x added into zeros with `size` slices along `axis`."""

    role = "distributor"
    adds = True
    attributes = ("axis", "size")
    saves = ("indices",)
    primitive = True
    axis: int
    size: int

    def forward(self, xp, x, indices):
        return xp.take_add(x, indices, axis=self.axis, size=self.size)

    def backward(self, xp, grad_y, indices):
        return xp.take(grad_y, indices, axis=self.axis)

    def infer(self, x: Any, indices: Any) -> tuple[Shape, DType]:
        """The axes of `indices` replaced by one of the given size."""
        tail = x.shape[self.axis + len(indices.shape) :]
        return (*x.shape[: self.axis], self.size, *tail), x.dtype


class TakeAlongAxis(Op):
    """y[..., i, ...] = x[..., indices[..., i, ...], ...];  gx = gy added at the indices."""

    role = "mover"
    chooses = True
    attributes = ("axis",)
    saves = ("x.shape", "indices")
    primitive = True
    exact = True
    axis: int

    def forward(self, xp, x, indices):
        return xp.take_along_axis(x, indices, axis=self.axis)

    def backward(self, xp, grad_y, shape, indices):
        return xp.put_along_axis_add(grad_y, indices, axis=self.axis, size=shape[self.axis])

    def infer(self, x: Any, indices: Any) -> tuple[Shape, DType]:
        """The shape of `indices`, which agrees with x on every other axis."""
        a = self.axis
        if (
            len(x.shape) != len(indices.shape)
            or x.shape[:a] + x.shape[a + 1 :] != indices.shape[:a] + indices.shape[a + 1 :]
        ):
            raise ShapeError(
                f"take_along_axis: x and indices must agree on every axis but {a}, got "
                f"x: {describe(x)} and indices: {describe(indices)}"
            )
        check_range("take_along_axis", indices, x.shape[a], a)
        return indices.shape, x.dtype


class PutAlongAxisAdd(Op):
    """The adjoint of TakeAlongAxis: x added into zeros of length `size` along `axis`."""

    role = "distributor"
    adds = True
    attributes = ("axis", "size")
    saves = ("indices",)
    primitive = True
    axis: int
    size: int

    def forward(self, xp, x, indices):
        return xp.put_along_axis_add(x, indices, axis=self.axis, size=self.size)

    def backward(self, xp, grad_y, indices):
        return xp.take_along_axis(grad_y, indices, axis=self.axis)

    def infer(self, x: Any, indices: Any) -> tuple[Shape, DType]:
        """The shape of x with the given size along `axis`."""
        return (*x.shape[: self.axis], self.size, *x.shape[self.axis + 1 :]), x.dtype
