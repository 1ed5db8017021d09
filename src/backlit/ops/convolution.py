"""Convolutions: three products of image, kernel and output that are each other's derivatives.

All three are the affine contraction over the index relation

    h = p·sh + i·dh - top,   w = q·sw + j·dw - left,   c' = g·(C/G) + c,   g = ⌊o / (O/G)⌋

between the places (h, w) of the image X: (N, C, H, W), (p, q) of the output Y: (N, O, P, Q)
and (i, j) of the kernel K: (O, C/G, I, J), with stride (sh, sw), dilation (dh, dw), G groups and
padding ((top, bottom), (left, right)); terms with (h, w) outside the image are 0. So

    P = ⌊(H + top + bottom - dh·(I-1) - 1) / sh⌋ + 1,   Q likewise from W.

Two axes of places stand for any number of them: volumes have three, (N, C, D, H, W), and as many
strides, dilations and paddings.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..dtypes import DType
from ..errors import DTypeError, ShapeError
from ..op import Op, Shape, describe, describe_inputs

Pair = tuple[int, int]
#: One number for each axis of places, or one at either end.
Sizes = tuple[int, ...]
Padding = tuple[Pair, ...]


def window_count(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """How many windows fit along an axis; 0 or less if not even one does."""
    return (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


class Product(Op):
    """Base of the three: the attributes, and what must hold between the shapes."""

    role = "switcher"
    adds = True
    attributes: ClassVar[tuple[str, ...]] = ("stride", "padding", "dilation", "groups")
    primitive = True
    stride: Sizes
    padding: Padding
    dilation: Sizes
    groups: int

    def check(self, *inputs):
        """The conditions that `infer` states: NumPy would compute something else."""
        self.infer(*inputs)

    def counts(self, x: Shape, kernel: Shape) -> Sizes:
        """(P, Q) for the places (H, W) of an image and (I, J) of a kernel."""
        return tuple(
            window_count(*each)
            for each in zip(x, kernel, self.stride, self.padding, self.dilation, strict=True)
        )

    def require(self, holds: bool, condition: str, inputs: tuple[Any, ...]) -> None:
        """Raise with the condition and the inputs unless it holds."""
        if not holds:
            raise ShapeError(f"{self.name}: {condition} ({describe_inputs(self, inputs)})")

    def require_alike(self, inputs: tuple[Any, Any]) -> None:
        """Two axes and those of the places each, one dtype."""
        a, b = inputs
        names = " and ".join(self.parameters)
        axes = len(self.stride) + 2
        fits = len(a.shape) == axes and len(b.shape) == axes
        self.require(fits, f"{names} must have {axes} axes", inputs)
        if a.dtype != b.dtype:
            raise DTypeError(
                f"{self.name}: {names} must have one dtype, got {describe_inputs(self, inputs)}; "
                f"use {self.parameters[0]}.astype('{b.dtype.name}')"
            )


class Convolution(Product):
    """Y[n,o,p,q] = Σ_{c,i,j} X[n, c', p·sh + i·dh - top, q·sw + j·dw - left] · K[o,c,i,j].

        x: (N, C, H, W), weight: (O, C/G, I, J) -> (N, O, P, Q);  c' = (o // (O/G))·(C/G) + c
        gx = convolution_input(gy, weight),  gweight = convolution_weight(gy, x)

    (A cross-correlation, as everywhere in this field.)
    """

    saves = ("x", "weight")

    def forward(self, xp, x, weight):
        return xp.convolution(x, weight, self.stride, self.padding, self.dilation, self.groups)

    def backward(self, xp, grad_y, x, weight):
        geometry = (self.stride, self.padding, self.dilation, self.groups)
        return (
            lambda: xp.convolution_input(grad_y, weight, *geometry, x.shape[2:]),
            lambda: xp.convolution_weight(grad_y, x, *geometry, weight.shape[2:]),
        )

    def infer(self, x: Any, weight: Any) -> tuple[Shape, DType]:
        """(N, O, P, Q)."""
        self.require_alike((x, weight))
        channels, outputs, groups = x.shape[1], weight.shape[0], self.groups
        self.require(
            channels == weight.shape[1] * groups,
            f"x.shape[1] must be weight.shape[1] times groups={groups}, got {channels} and "
            f"{weight.shape[1]}",
            (x, weight),
        )
        self.require(
            outputs % groups == 0,
            f"weight.shape[0] must be a multiple of groups={groups}, got {outputs}",
            (x, weight),
        )
        places = self.counts(x.shape[2:], weight.shape[2:])
        self.require(
            min(places) > 0,
            f"the kernel {weight.shape[2:]} with dilation {self.dilation} must fit into the image "
            f"{x.shape[2:]} with padding {self.padding}",
            (x, weight),
        )
        return (x.shape[0], outputs, *places), x.dtype


class ConvolutionInput(Product):
    """X[n,c',h,w] = Σ Y[n,o,p,q] · K[o,c,i,j] over all o, i, j, p, q of the index relation.

        y: (N, O, P, Q), weight: (O, C/G, I, J) -> (N, C, *size)
        gy = convolution(gx, weight),  gweight = convolution_weight(y, gx)

    That is h = p·sh + i·dh - top and w = q·sw + j·dw - left: the gradient of a convolution for its
    image, and the transposed convolution.
    """

    attributes = (*Product.attributes, "size")
    saves = ("y", "weight")
    size: Sizes

    def forward(self, xp, y, weight):
        geometry = (self.stride, self.padding, self.dilation, self.groups)
        return xp.convolution_input(y, weight, *geometry, self.size)

    def backward(self, xp, grad_x, y, weight):
        geometry = (self.stride, self.padding, self.dilation, self.groups)
        return (
            lambda: xp.convolution(grad_x, weight, *geometry),
            lambda: xp.convolution_weight(y, grad_x, *geometry, weight.shape[2:]),
        )

    def infer(self, y: Any, weight: Any) -> tuple[Shape, DType]:
        """(N, C, H, W) for size (H, W)."""
        self.require_alike((y, weight))
        self.require(
            y.shape[1] == weight.shape[0],
            f"y.shape[1] must be weight.shape[0], got {y.shape[1]} and {weight.shape[0]}",
            (y, weight),
        )
        self.require(
            y.shape[1] % self.groups == 0,
            f"y.shape[1] must be a multiple of groups={self.groups}, got {y.shape[1]}",
            (y, weight),
        )
        counts = self.counts(self.size, weight.shape[2:])
        self.require(
            counts == y.shape[2:],
            f"an image of size {self.size} gives {counts} places, but y has {y.shape[2:]}",
            (y, weight),
        )
        return (y.shape[0], weight.shape[1] * self.groups, *self.size), y.dtype


class ConvolutionWeight(Product):
    """K[o,c,i,j] = Σ_{n,p,q} Y[n,o,p,q] · X[n, c', p·sh + i·dh - top, q·sw + j·dw - left].

    y: (N, O, P, Q), x: (N, C, H, W) -> (O, C/G, *kernel);  c' = (o // (O/G))·(C/G) + c
    gy = convolution(x, gweight),  gx = convolution_input(y, gweight)
    """

    attributes = (*Product.attributes, "kernel")
    saves = ("y", "x")
    kernel: Sizes

    def forward(self, xp, y, x):
        geometry = (self.stride, self.padding, self.dilation, self.groups)
        return xp.convolution_weight(y, x, *geometry, self.kernel)

    def backward(self, xp, grad_weight, y, x):
        geometry = (self.stride, self.padding, self.dilation, self.groups)
        return (
            lambda: xp.convolution(x, grad_weight, *geometry),
            lambda: xp.convolution_input(y, grad_weight, *geometry, x.shape[2:]),
        )

    def infer(self, y: Any, x: Any) -> tuple[Shape, DType]:
        """(O, C/G, I, J) for kernel (I, J)."""
        self.require_alike((y, x))
        counts = self.counts(x.shape[2:], self.kernel)
        letters = ", ".join("PQR"[: len(counts)])
        self.require(
            y.shape[0] == x.shape[0] and counts == y.shape[2:],
            f"y must have shape (N, O, {letters}) = ({x.shape[0]}, O, {', '.join(map(str, counts))}"
            f") for the kernel {self.kernel}, got {describe(y)}",
            (y, x),
        )
        self.require(
            y.shape[1] % self.groups == 0 and x.shape[1] % self.groups == 0,
            f"the channels must be multiples of groups={self.groups}, got {y.shape[1]} and "
            f"{x.shape[1]}",
            (y, x),
        )
        return (y.shape[1], x.shape[1] // self.groups, *self.kernel), y.dtype
