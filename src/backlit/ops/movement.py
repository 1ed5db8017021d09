"""Movement: ops that put elements in other places and change none."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import DType
from ..errors import ShapeError
from ..op import Op, Shape, describe, describe_inputs


class Reshape(Op):
    """y = the elements of x in row-major order, in another shape."""

    role = "mover"
    attributes = ("shape",)
    saves = ("x.shape",)
    primitive = True
    exact = True
    shape: Shape

    def forward(self, xp, x):
        return xp.reshape(x, self.shape)

    def backward(self, xp, grad_y, shape):
        return xp.reshape(grad_y, shape)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The given shape, which must hold as many elements as x."""
        if math.prod(x.shape) != math.prod(self.shape):
            raise ShapeError(
                f"reshape: the new shape must hold as many elements as the old, got "
                f"{x.shape} ({math.prod(x.shape)}) and {self.shape} ({math.prod(self.shape)})"
            )
        return self.shape, x.dtype


class PermuteDims(Op):
    """y = x with its axes in the order `axes`;  gx = gy in the inverse order."""

    role = "mover"
    symbol = "transpose"
    attributes = ("axes",)
    primitive = True
    exact = True
    axes: tuple[int, ...]

    def forward(self, xp, x):
        return xp.permute_dims(x, self.axes)

    def backward(self, xp, grad_y):
        inverse = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return xp.permute_dims(grad_y, tuple(inverse))

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The shape in the new order."""
        return tuple(x.shape[a] for a in self.axes), x.dtype


class BroadcastTo(Op):
    """y = x repeated along axes of size 1 and new leading axes;  gx = Σ gy over them."""

    role = "mover"
    symbol = "broadcast"
    attributes = ("shape",)
    primitive = True
    exact = True
    shape: Shape

    def forward(self, xp, x):
        return xp.broadcast_to(x, self.shape)

    def backward(self, xp, grad_y):
        return grad_y  # the engine sums it over the broadcast axes

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The given shape, to which x must broadcast."""
        tail = self.shape[len(self.shape) - len(x.shape) :]
        fits = len(x.shape) <= len(self.shape) and all(
            n in (1, m) for n, m in zip(x.shape, tail, strict=True)
        )
        if not fits:
            raise ShapeError(
                f"broadcast_to: each axis of x must be 1 or equal to the new shape's, from the "
                f"last, got {x.shape} and {self.shape}"
            )
        return self.shape, x.dtype


class Flip(Op):
    """y = x with the elements along `axis` in reverse order;  gx = gy reversed again."""

    role = "mover"
    attributes = ("axis",)
    primitive = True
    exact = True
    axis: tuple[int, ...]

    def forward(self, xp, x):
        return xp.flip(x, axis=self.axis)

    def backward(self, xp, grad_y):
        return xp.flip(grad_y, axis=self.axis)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """Shape and dtype of x."""
        return x.shape, x.dtype


class Concat(Op):
    """y = the inputs one after the other along `axis`;  each gets its own piece of gy."""

    role = "mover"
    attributes = ("axis",)
    saves = ("arrays.shape",)
    primitive = True
    exact = True
    axis: int

    def forward(self, xp, *arrays):
        return xp.concat(arrays, axis=self.axis)

    def backward(self, xp, grad_y, shapes):
        pieces, start = [], 0
        for shape in shapes:
            index = tuple((0, n, 1) for n in shape)
            count = shape[self.axis]
            own = (*index[: self.axis], (start, count, 1), *index[self.axis + 1 :])
            pieces.append(lambda own=own: xp.slice(grad_y, index=own))
            start += count
        return tuple(pieces)

    def infer(self, *arrays: Any) -> tuple[Shape, DType]:
        """The common shape with the sizes along `axis` added."""
        first = arrays[0]
        for i, x in enumerate(arrays):
            others = (s[: self.axis] + s[self.axis + 1 :] for s in (x.shape, first.shape))
            if len(x.shape) != len(first.shape) or len(set(others)) != 1:
                raise ShapeError(
                    f"concat: shapes must agree on every axis but {self.axis}, got "
                    f"{describe(first)} and arrays[{i}]: {describe(x)}"
                )
        total = sum(x.shape[self.axis] for x in arrays)
        shape = (*first.shape[: self.axis], total, *first.shape[self.axis + 1 :])
        return shape, first.dtype


class Slice(Op):
    """y = x[index], basic indexing;  gx = gy written into zeros.

    `index` has an entry for each axis of x: an integer, or (start, count, step); and None wherever
    an axis of size 1 is new.
    """

    role = "mover"
    chooses = True
    attributes = ("index",)
    saves = ("x.shape",)
    primitive = True
    exact = True
    index: tuple[int | tuple[int, int, int] | None, ...]

    def forward(self, xp, x):
        return xp.slice(x, index=self.index)

    def backward(self, xp, grad_y, shape):
        return xp.place(grad_y, index=self.index, shape=shape)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """One axis for each (start, count, step) and None."""
        return sliced_shape(self.index), x.dtype


def sliced_shape(index: tuple) -> Shape:
    """The shape that basic indexing gives."""
    return tuple(1 if i is None else i[1] for i in index if not isinstance(i, int))


class Place(Op):
    """y = zeros of `shape` with y[index] = x: the adjoint of Slice;  gx = gy[index]."""

    role = "mover"
    attributes = ("index", "shape")
    primitive = True
    exact = True
    index: tuple[int | tuple[int, int, int] | None, ...]
    shape: Shape

    def forward(self, xp, x):
        return xp.place(x, index=self.index, shape=self.shape)

    def backward(self, xp, grad_y):
        return xp.slice(grad_y, index=self.index)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The given shape."""
        if x.shape != sliced_shape(self.index):
            raise ShapeError(
                f"place: x must have the shape that the index selects, {sliced_shape(self.index)}, "
                f"got {describe_inputs(self, (x,))}"
            )
        return self.shape, x.dtype


class SetSlice(Op):
    """y = x with y[index] = value, basic indexing.

        gx = gy with 0 at the index;  gvalue = gy[index]

    The value broadcasts to what the index selects.
    """

    role = "mover"
    chooses = True
    attributes = ("index",)
    primitive = True
    exact = True
    index: tuple[int | tuple[int, int, int] | None, ...]

    def forward(self, xp, x, value):
        return xp.set_slice(x, value, index=self.index)

    def backward(self, xp, grad_y):
        return (
            lambda: xp.set_slice(grad_y, 0, index=self.index),
            lambda: xp.slice(grad_y, index=self.index),
        )

    def infer(self, x: Any, value: Any) -> tuple[Shape, DType]:
        """Shape and dtype of x."""
        require_fitting(sliced_shape(self.index), x, value)
        return x.shape, x.dtype


def require_fitting(selected: Shape, x: Any, value: Any) -> None:
    """Raise unless a value broadcasts to the part of x that it replaces."""
    if not hasattr(value, "shape"):
        return
    extra = len(selected) - len(value.shape)
    fits = extra >= 0 and all(
        n in (1, m) for n, m in zip(value.shape, selected[extra:], strict=True)
    )
    if not fits:
        raise ShapeError(
            f"item assignment: the value must broadcast to the selected shape {selected}, got "
            f"{describe(value)} (x: {describe(x)})"
        )
