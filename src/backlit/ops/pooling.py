"""Pooling: the largest element or the sum of each window of an image, and their adjoints.

Place (p, q) of the output Y: (N, C, P, Q) has the window of places

    h = p·sh + i·dh - top,   w = q·sw + j·dw - left         0 ≤ i < I, 0 ≤ j < J

of the image X: (N, C, H, W), with kernel (I, J), stride (sh, sw), dilation (dh, dw) and padding
((top, bottom), (left, right)). Places outside the image belong to no window.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..dtypes import DType
from ..errors import ShapeError
from ..op import Op, Shape, describe, describe_inputs
from .convolution import Padding, Pair, window_count


class Windows(Op):
    """Base of all: the attributes, and the number of windows."""

    attributes: ClassVar[tuple[str, ...]] = ("kernel", "stride", "padding", "dilation")
    primitive = True
    kernel: Pair
    stride: Pair
    padding: Padding
    dilation: Pair

    def check(self, *inputs):
        """The conditions that `infer` states: NumPy would compute something else."""
        self.infer(*inputs)

    def counts(self, x: Shape) -> Shape:
        """(P, Q) for the places (H, W) of an image."""
        return tuple(
            window_count(*each)
            for each in zip(x, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        )

    def has_empty(self, x: Shape) -> bool:
        """Whether some window, dilated, has no place inside an image with places (H, W)."""
        along = zip(x, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return any(
            not any(0 <= p * stride + i * dilation - before < size for i in range(kernel))
            for size, kernel, stride, (before, after), dilation in along
            for p in range(window_count(size, kernel, stride, (before, after), dilation))
        )

    def pooled(self, x: Any) -> Shape:
        """(N, C, P, Q) for an image."""
        if len(x.shape) != 4:
            raise ShapeError(f"{self.name}: x must have shape (N, C, H, W), got {describe(x)}")
        p, q = self.counts(x.shape[2:])
        if p < 1 or q < 1:
            raise ShapeError(
                f"{self.name}: the window {self.kernel} with dilation {self.dilation} must fit "
                f"into the image {x.shape[2:]} with padding {self.padding}, got {describe(x)}"
            )
        return (*x.shape[:2], p, q)

    def require_pooled(self, y: Any, x: Any) -> None:
        """Raise unless y has a place for each window of x."""
        if y.shape != self.pooled(x):
            raise ShapeError(
                f"{self.name}: y must have shape {self.pooled(x)}, got "
                f"{describe_inputs(self, (y, x))}"
            )


class MaxPool(Windows):
    """Y[n,c,p,q] = max X over the window;  gx = max_pool_route(gy, x): to the first of the largest.

    First means in row-major order, as in PyTorch. NaN wins, and its gradient is NaN.
    """

    effect = "upstream goes to where the maximum of its window was, 0 elsewhere"
    role = "router"
    chooses = True
    saves = ("x", "y")

    def forward(self, xp, x):
        return xp.max_pool(x, self.kernel, self.stride, self.padding, self.dilation)

    def backward(self, xp, grad_y, x, y):
        windows = (self.kernel, self.stride, self.padding, self.dilation)
        return xp.max_pool_route(xp.where(y == y, grad_y, y), x, *windows)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """(N, C, P, Q)."""
        return self.pooled(x), x.dtype


class MaxPoolRoute(Windows):
    """Each Y[n,c,p,q] added into zeros at the first largest element of x in its window.

    y: (N, C, P, Q), x: (N, C, H, W) -> (N, C, H, W);  gy = max_pool_pick(g, x), gx = 0
    """

    role = "router"
    saves = ("x",)

    def forward(self, xp, y, x):
        return xp.max_pool_route(y, x, self.kernel, self.stride, self.padding, self.dilation)

    def backward(self, xp, grad, x):
        windows = (self.kernel, self.stride, self.padding, self.dilation)
        return lambda: xp.max_pool_pick(grad, x, *windows), lambda: xp.zeros_like(x)

    def infer(self, y: Any, x: Any) -> tuple[Shape, DType]:
        """The shape of x."""
        self.require_pooled(y, x)
        return x.shape, y.dtype


class MaxPoolPick(Windows):
    """Y[n,c,p,q] = the element of `values` at the place where x is first largest in the window.

    values, x: (N, C, H, W) -> (N, C, P, Q);  gvalues = max_pool_route(gy, x), gx = 0
    """

    role = "router"
    chooses = True
    saves = ("x",)

    def forward(self, xp, values, x):
        return xp.max_pool_pick(values, x, self.kernel, self.stride, self.padding, self.dilation)

    def backward(self, xp, grad_y, x):
        windows = (self.kernel, self.stride, self.padding, self.dilation)
        return lambda: xp.max_pool_route(grad_y, x, *windows), lambda: xp.zeros_like(x)

    def infer(self, values: Any, x: Any) -> tuple[Shape, DType]:
        """(N, C, P, Q)."""
        if values.shape != x.shape:
            raise ShapeError(
                f"max_pool_pick: values and x must have one shape, got "
                f"{describe_inputs(self, (values, x))}"
            )
        return self.pooled(x), values.dtype


class WindowSum(Windows):
    """Y[n,c,p,q] = Σ X over the window;  gx = window_spread(gy)."""

    role = "distributor"
    adds = True
    saves = ("x.shape",)

    def forward(self, xp, x):
        return xp.window_sum(x, self.kernel, self.stride, self.padding, self.dilation)

    def backward(self, xp, grad_y, shape):
        windows = (self.kernel, self.stride, self.padding, self.dilation)
        return xp.window_spread(grad_y, *windows, shape[2:])

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """(N, C, P, Q)."""
        return self.pooled(x), x.dtype


class WindowSpread(Windows):
    """Each Y[n,c,p,q] added into zeros at every place of its window: the adjoint of WindowSum.

    y: (N, C, P, Q) -> (N, C, *size);  gy = window_sum(gx)
    """

    role = "distributor"
    adds = True
    attributes = (*Windows.attributes, "size")
    size: Pair

    def forward(self, xp, y):
        windows = (self.kernel, self.stride, self.padding, self.dilation)
        return xp.window_spread(y, *windows, self.size)

    def backward(self, xp, grad_x):
        return xp.window_sum(grad_x, self.kernel, self.stride, self.padding, self.dilation)

    def infer(self, y: Any) -> tuple[Shape, DType]:
        """(N, C, H, W) for size (H, W)."""
        if len(y.shape) != 4 or self.counts(self.size) != y.shape[2:]:
            raise ShapeError(
                f"window_spread: an image of size {self.size} gives {self.counts(self.size)} "
                f"windows, but y is {describe(y)}"
            )
        return (*y.shape[:2], *self.size), y.dtype
