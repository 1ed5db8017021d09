"""Convolution of signals (N, C, L), images (N, C, H, W) and volumes (N, C, D, H, W)."""

from __future__ import annotations

from typing import Any

from ...array_api import pad, reshape
from ...array_api.arguments import cached
from ...backend.halves import as_one_op
from ...errors import ArgumentError, DTypeError, ShapeError
from ...op import Op, describe
from ...ops import convolution as products
from ...precision import in_16_bits
from ...promotion import differ
from ...state import where_called
from ...tensor import Tensor, apply
from .common import given
from .places import Sizes, batched, several


def _biased(name: str, y: Tensor, bias: Tensor | None, axes: int) -> Tensor:
    if bias is None:
        return y
    bias = given(bias)
    channels = y.shape[y.ndim - axes - 1]
    if bias.shape != (channels,):
        raise ShapeError(
            f"{name}: bias must have one element for each of {channels} output channels, got "
            f"{describe(bias)}{where_called()}"
        )
    return y + reshape(bias, (channels, *(1,) * axes))


@as_one_op
def _applied(
    op: Op, x: Tensor, weight: Tensor, bias: Tensor | None, name: str, axes: int, lone: bool
) -> Tensor:
    y = apply(op, x, weight)
    return _biased(name, reshape(y, y.shape[1:]) if lone else y, bias, axes)


def _kernel(name: str, x: Tensor, weight: Tensor, axes: int) -> None:
    if weight.ndim != axes + 2:
        raise ShapeError(
            f"{name}: weight must have {axes + 2} axes, got {describe(weight)}{where_called()}"
        )
    if differ(x, weight):
        raise DTypeError(
            f"{name}: x and weight must have one dtype, got x: {describe(x)} and "
            f"weight: {describe(weight)}; use x.astype('{weight.dtype.name}'){where_called()}"
        )


def _convolution(
    name: str,
    x: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
    axes: int,
) -> Tensor:
    x, lone = batched(name, x, axes)
    weight = given(weight)
    _kernel(name, x, weight, axes)
    steps = several(name, "stride", stride, axes, 1)
    spread = several(name, "dilation", dilation, axes, 1)
    several(name, "groups", groups, 1, 1)
    channels = weight.shape[1] * groups
    if x.shape[1] != channels:
        order = (0, x.ndim - 1, *range(1, x.ndim - 1))
        last = x.shape[-1] == channels
        cure = f"; channels come before places: permute_dims(x, {order})" if last else ""
        raise ShapeError(
            f"{name}: x must have {channels} channels (weight: {describe(weight)}, "
            f"groups: {groups}), got {describe(x)}{cure}{where_called()}"
        )
    if padding == "same":
        if any(s != 1 for s in steps):
            raise ArgumentError(
                f"{name}: padding='same' needs stride 1, got {stride}{where_called()}"
            )
        reach = [d * (k - 1) for d, k in zip(spread, weight.shape[2:], strict=True)]
        border = tuple((r // 2, r - r // 2) for r in reach)
    elif padding == "valid":
        border = ((0, 0),) * axes
    elif isinstance(padding, str):
        raise ArgumentError(f"{name}: padding must be 'same', 'valid' or integers, got {padding!r}")
    else:
        border = tuple((p, p) for p in several(name, "padding", padding, axes, 0))
    op = cached(products.Convolution, steps, border, spread, groups)
    return _applied(op, x, weight, bias, name, axes, lone)


@in_16_bits
def conv1d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """y[n,o,p] = b[o] + Σ_{c,i} x[n, c, p·stride + i·dilation - padding] · w[o,c,i].

        x: (N, C, L) or (C, L), weight: (O, C/groups, I), bias: (O) -> (N, O, P)

    `padding="same"` keeps the length (with stride 1), `"valid"` is 0.

    >>> from backlit import tensor
    >>> conv1d(tensor([[1.0, 2.0, 4.0]]), tensor([[[-1.0, 1.0]]]))
    Tensor([[1., 2.]], shape=(1, 2), dtype=float32)
    """
    return _convolution("conv1d", input, weight, bias, stride, padding, dilation, groups, 1)


@in_16_bits
def conv2d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """y[n,o,p,q] = b[o] + Σ_{c,i,j} x[n, c, p·s + i·d - padding, q·s + j·d - padding] · w[o,c,i,j].

        x: (N, C, H, W) or (C, H, W), weight: (O, C/groups, I, J), bias: (O) -> (N, O, P, Q)

    `padding="same"` keeps height and width (with stride 1), `"valid"` is 0.

    >>> from backlit import tensor
    >>> conv2d(tensor([[[1.0, 2.0], [3.0, 4.0]]]), tensor([[[[1.0, 1.0]]]]))
    Tensor([[[3.],
             [7.]]], shape=(1, 2, 1), dtype=float32)
    """
    return _convolution("conv2d", input, weight, bias, stride, padding, dilation, groups, 2)


@in_16_bits
def conv3d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """y[n,o,p,q,r] = b[o] + Σ_{c,i,j,k} x[n, c, p·s + i·d - padding, …] · w[o,c,i,j,k].

        x: (N, C, D, H, W) or (C, D, H, W), weight: (O, C/groups, I, J, K), bias: (O)
        -> (N, O, P, Q, R)

    `padding="same"` keeps the sizes (with stride 1), `"valid"` is 0.

    >>> from backlit import ones
    >>> conv3d(ones((1, 1, 2, 2, 2)), ones((1, 1, 2, 2, 2))).tolist()
    [[[[[8.0]]]]]
    """
    return _convolution("conv3d", input, weight, bias, stride, padding, dilation, groups, 3)


def _transposed(
    name: str,
    x: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
    axes: int,
) -> Tensor:
    x, lone = batched(name, x, axes)
    weight = given(weight)
    _kernel(name, x, weight, axes)
    steps = several(name, "stride", stride, axes, 1)
    cut = several(name, "padding", padding, axes, 0)
    extra = several(name, "output_padding", output_padding, axes, 0)
    spread = several(name, "dilation", dilation, axes, 1)
    several(name, "groups", groups, 1, 1)
    if x.shape[1] != weight.shape[0] or x.shape[1] % groups:
        raise ShapeError(
            f"{name}: x must have {weight.shape[0]} channels, a multiple of groups={groups} "
            f"(weight: {describe(weight)}), got {describe(x)}{where_called()}"
        )
    if any(e >= s and e >= d for e, s, d in zip(extra, steps, spread, strict=True)):
        raise ArgumentError(
            f"{name}: output_padding must be smaller than stride or dilation, got "
            f"{output_padding}, {stride} and {dilation}{where_called()}"
        )
    whole = tuple(
        (n - 1) * s + d * (k - 1) + 1
        for n, s, d, k in zip(x.shape[2:], steps, spread, weight.shape[2:], strict=True)
    )
    size = tuple(n - 2 * p + e for n, p, e in zip(whole, cut, extra, strict=True))
    if any(n < 1 for n in size):
        raise ShapeError(
            f"{name}: padding {padding} leaves nothing of the output, whose size would be {size} "
            f"(x: {describe(x)}, weight: {describe(weight)}){where_called()}"
        )

    @as_one_op
    def applied(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y = _to_images(x, weight, steps, cut, spread, groups, size)
        return _biased(name, reshape(y, y.shape[1:]) if lone else y, bias, axes)

    return applied(x, weight, bias)


def _to_images(
    x: Tensor,
    weight: Tensor,
    steps: tuple[int, ...],
    cut: tuple[int, ...],
    spread: tuple[int, ...],
    groups: int,
    size: tuple[int, ...],
) -> Tensor:
    """The transposed convolution of signals, images or volumes."""
    whole = tuple(
        (n - 1) * s + d * (k - 1) + 1
        for n, s, d, k in zip(x.shape[2:], steps, spread, weight.shape[2:], strict=True)
    )
    # An image with a stride more behind its last window would have more windows than x has places:
    # then the whole image is made, cut, and filled up with zeros.
    far = any(m - n + 2 * p >= s for m, n, p, s in zip(size, whole, cut, steps, strict=True))
    border = tuple((0, 0) if far else (p, p) for p in cut)
    made = whole if far else size
    op = cached(products.ConvolutionInput, steps, border, spread, groups, made)
    y = apply(op, x, weight)
    if not far:
        return y
    ends = [(-p, m - n + p) for m, n, p in zip(size, whole, cut, strict=True)]
    return pad(y, ((0, 0), (0, 0), *ends))


@in_16_bits
def conv_transpose1d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Each input element times the kernel, added into the output `stride` apart.

        x: (N, I, L), weight: (I, O/groups, K) -> (N, O, (L-1)·stride - 2·padding
                                                        + dilation·(K-1) + output_padding + 1)

    The gradient of `conv1d` for its input, as a layer. `output_padding` must be smaller than the
    stride or the dilation; what no input reaches is 0.

    >>> from backlit import tensor
    >>> conv_transpose1d(tensor([[1.0, 2.0]]), tensor([[[1.0, 10.0]]]), stride=2)
    Tensor([[ 1., 10.,  2., 20.]], shape=(1, 4), dtype=float32)
    """
    return _transposed(
        "conv_transpose1d",
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        1,
    )


@in_16_bits
def conv_transpose2d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Each input element times the kernel, added into the output `stride` apart.

        x: (N, I, H, W), weight: (I, O/groups, K, L) -> (N, O, (H-1)·stride - 2·padding
                                                    + dilation·(K-1) + output_padding + 1, ...)

    The gradient of `conv2d` for its input, as a layer. `output_padding` must be smaller than the
    stride or the dilation; what no input reaches is 0.

    >>> from backlit import tensor
    >>> conv_transpose2d(tensor([[[1.0]]]), tensor([[[[1.0, 2.0]]]])).shape
    (1, 1, 2)
    """
    return _transposed(
        "conv_transpose2d",
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        2,
    )


@in_16_bits
def conv_transpose3d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Each input element times the kernel, added into the output `stride` apart.

        x: (N, I, D, H, W), weight: (I, O/groups, K, L, M) -> (N, O, (D-1)·stride - 2·padding
                                                    + dilation·(K-1) + output_padding + 1, ...)

    The gradient of `conv3d` for its input, as a layer; see `conv_transpose2d`.

    >>> from backlit import tensor
    >>> conv_transpose3d(tensor([[[[1.0]]]]), tensor([[[[[1.0, 2.0]]]]])).shape
    (1, 1, 1, 2)
    """
    return _transposed(
        "conv_transpose3d",
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        3,
    )
