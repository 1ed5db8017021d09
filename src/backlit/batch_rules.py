"""What does an op make of many slices at once? Its batching rule, or one application for each.

A slice is what the op sees; the Tensors here have all slices along a first axis of their own where
they are mapped, and are the same for all slices where not.

    rule(op, inputs, mapped, size) -> the result, with `size` slices along its first axis
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .array_api import arange, broadcast_to, moveaxis, reshape, stack, zeros
from .op import Elementwise, Op, Reduction, Shape
from .ops import (
    activation,
    contraction,
    convolution,
    decompositions,
    indexing,
    movement,
    normalization,
    pooling,
    ranking,
    reductions,
)
from .tensor import Tensor, apply

Flags = Sequence[bool]
Rule = Callable[[Any, Sequence[Any], Flags, int], Tensor | None]


def batched(op: Op, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor | None:
    """The results of all slices, one after the other; None if the op's body has to be read."""
    rule = RULES.get(type(op))
    if rule is None:
        if isinstance(op, Elementwise):
            rule = _broadcasting
        elif isinstance(op, Reduction) and len(inputs) == 1:
            rule = _along_axis
        elif op.primitive:
            rule = singly
        else:
            return None
    return rule(op, inputs, mapped, size)


def everywhere(x: Any, mapped: bool, size: int) -> Any:
    """All slices along the first axis, also where they are all the same."""
    return x if mapped or not isinstance(x, Tensor) else broadcast_to(x, (size, *x.shape))


def singly(op: Op, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    """The op applied to one slice after the other."""
    ys = [
        apply(op, *[x[i] if m else x for x, m in zip(inputs, mapped, strict=True)])
        for i in range(size)
    ]
    if ys:
        return stack(ys)
    shape, dtype = op.infer(
        *[np.empty(x.shape[1:], x.dtype) if m else x for x, m in zip(inputs, mapped, strict=True)]
    )
    return zeros((0, *shape), dtype=dtype)


def _with(op: Op, **changed: Any) -> Op:
    """The op with some attributes changed."""
    return type(op)(**{name: getattr(op, name) for name in op.attributes} | changed)


def _slice_shape(x: Any, mapped: bool) -> Shape:
    shape: Shape = getattr(x, "shape", ())
    return shape[1:] if mapped else shape


def _aligned(x: Any, mapped: bool, ndim: int) -> Any:
    """The slices with as many axes as others have, so that they broadcast from the last."""
    missing = ndim + 1 - len(x.shape) if mapped else 0
    return reshape(x, (x.shape[0], *[1] * missing, *x.shape[1:])) if missing > 0 else x


def _broadcasting(op: Op, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    pairs = list(zip(inputs, mapped, strict=True))
    ndim = max(len(_slice_shape(x, m)) for x, m in pairs)
    return apply(op, *[_aligned(x, m, ndim) for x, m in pairs])


def _along_axis(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    axis = tuple(a + 1 for a in op.axis) if isinstance(op.axis, tuple) else op.axis + 1
    xs = [everywhere(x, m, size) for x, m in zip(inputs, mapped, strict=True)]
    return apply(_with(op, axis=axis), *xs)


def _in_front(op: Op, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor | None:
    """More axes in front of the first input mean the same of each, if no other is mapped."""
    return None if any(mapped[1:]) else apply(op, *inputs)


# -- movement -------------------------------------------------------------------------------------


def _reshape(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    return reshape(inputs[0], (size, *op.shape))


def _permute(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    return apply(movement.PermuteDims(axes=(0, *[a + 1 for a in op.axes])), inputs[0])


def _broadcast(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    return broadcast_to(_aligned(inputs[0], True, len(op.shape)), (size, *op.shape))


def _sliced(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    return apply(movement.Slice(index=((0, size, 1), *op.index)), inputs[0])


def _placed(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    index, shape = ((0, size, 1), *op.index), (size, *op.shape)
    return apply(movement.Place(index=index, shape=shape), inputs[0])


def _set_slice(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    x = everywhere(inputs[0], mapped[0], size)
    value = _aligned(inputs[1], mapped[1], len(movement.sliced_shape(op.index)))
    return apply(movement.SetSlice(index=((0, size, 1), *op.index)), x, value)


# -- indexing -------------------------------------------------------------------------------------


def _whole(shape: Shape) -> tuple[Any, ...]:
    return tuple((0, n, 1) for n in shape)


def _indexed(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    """Ops with a pattern: slices are a further axis, or have an index array of their own."""
    count = op.pattern.count("array")
    indices, flags = inputs[-count:], mapped[-count:]
    block = np.broadcast_shapes(*map(_slice_shape, indices, flags))
    adjacent, place = indexing.block_place(op.pattern)
    selected = indexing.selected_shape(op.pattern, block)
    ndim = len(block)
    if any(flags):
        indices = [_aligned(i, m, ndim) for i, m in zip(indices, flags, strict=True)]
        if isinstance(op, indexing.Gather) and not mapped[0]:
            return moveaxis(apply(op, inputs[0], *indices), place, 0)
        pattern = ("array", *op.pattern)
        indices = [reshape(arange(size), (size, *[1] * ndim)), *indices]
        # The axes of the arrays come first, after the slices.
        there, here = tuple(range(1, 1 + ndim)), tuple(range(1 + place, 1 + place + ndim))
    else:
        pattern = ((0, size, 1), *op.pattern)
        # Unless the arrays are adjacent, their axes come first, even before the slices.
        there, here = ((), ()) if adjacent else ((ndim,), (0,))

    def chosen(x: Any, m: bool) -> Any:
        """What goes to the places that the pattern selects, its axes in the order there."""
        if not isinstance(x, Tensor):
            return x
        x = _aligned(everywhere(x, m, size), True, len(selected))
        return moveaxis(broadcast_to(x, (size, *selected)), here, there)

    if isinstance(op, indexing.ScatterAdd):
        new = _with(op, pattern=pattern, shape=(size, *op.shape))
        return apply(new, chosen(inputs[0], mapped[0]), *indices)
    x = everywhere(inputs[0], mapped[0], size)
    if isinstance(op, indexing.Gather):
        return moveaxis(apply(_with(op, pattern=pattern), x, *indices), there, here)
    return apply(_with(op, pattern=pattern), x, chosen(inputs[1], mapped[1]), *indices)


def _take(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    (x, indices), axis = inputs, op.axis
    if not mapped[1]:
        return apply(indexing.Take(axis=axis + 1), x, indices)
    if not mapped[0]:
        return moveaxis(apply(op, x, indices), axis, 0)
    pattern = (*_whole(x.shape[1 : axis + 1]), "array", *_whole(x.shape[axis + 2 :]))
    return _indexed(indexing.Gather(pattern=pattern), inputs, mapped, size)


def _take_add(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    (x, indices), axis = inputs, op.axis
    if not mapped[1]:
        return apply(indexing.TakeAdd(axis=axis + 1, size=op.size), x, indices)
    shape = _slice_shape(x, mapped[0])
    before, after = shape[:axis], shape[axis + len(indices.shape) - 1 :]
    pattern = (*_whole(before), "array", *_whole(after))
    scatter = indexing.ScatterAdd(pattern=pattern, shape=(*before, op.size, *after))
    return _indexed(scatter, inputs, mapped, size)


def _searchsorted(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    if mapped[0] or len(inputs[0].shape) != 1:
        return singly(op, inputs, mapped, size)
    return apply(op, *inputs)


# -- images: (N, C, H, W) -------------------------------------------------------------------------


def _more_images(op: Op, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    """The slices' images as one batch. Other inputs (a kernel) are the same for all slices."""
    count = (inputs[0].shape[1:] if mapped[0] else inputs[0].shape)[0]
    xs = [reshape(x, (size * count, *x.shape[2:])) if m else x
          for x, m in zip(inputs, mapped, strict=True)]  # fmt: skip
    y = apply(op, *xs)
    return reshape(y, (size, count, *y.shape[1:]))


def _windows(op: Op, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    xs = [everywhere(x, m, size) for x, m in zip(inputs, mapped, strict=True)]
    return _more_images(op, xs, [True] * len(xs), size)


def _as_groups(x: Tensor, kernel: bool) -> Tensor:
    """(B, N, C, …) as (N, B·C, …); kernels (B, O, …) as (B·O, …)."""
    if not kernel:
        x = moveaxis(x, 0, 1)
        return reshape(x, (x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]))
    return reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def _product(op: Any, inputs: Sequence[Any], mapped: Flags, size: int) -> Tensor:
    """With one kernel for all slices these are more images; else each slice has its own groups."""
    of_kernel = isinstance(op, convolution.ConvolutionWeight)
    if not (of_kernel or mapped[1]):
        return _more_images(op, inputs, mapped, size)
    first, second = (everywhere(x, m, size) for x, m in zip(inputs, mapped, strict=True))
    grouped = _with(op, groups=op.groups * size)
    y = apply(grouped, _as_groups(first, False), _as_groups(second, not of_kernel))
    if of_kernel:
        return reshape(y, (size, y.shape[0] // max(size, 1), *y.shape[1:]))
    y = reshape(y, (y.shape[0], size, y.shape[1] // max(size, 1), *y.shape[2:]))
    return moveaxis(y, 1, 0)


#: The rule of each op that has one of its own. Without are maps and folds, whose rules are
#: `_broadcasting` and `_along_axis`, and compound ops, whose bodies are read.
RULES: dict[type[Op], Rule] = {
    **dict.fromkeys((contraction.Matmul, decompositions.Solve), _broadcasting),
    **dict.fromkeys(
        (
            movement.Flip,
            movement.Concat,
            indexing.TakeAlongAxis,
            indexing.PutAlongAxisAdd,
            ranking.Argtop,
            ranking.Argkth,
            ranking.Argrunning,
            reductions.Argsort,
            reductions.CumulativeSum,
            reductions.CumulativeProd,
            activation.Softmax,
            activation.LogSoftmax,
        ),
        _along_axis,
    ),
    **dict.fromkeys(
        (
            contraction.Linear,
            normalization.LayerNorm,
            decompositions.Inv,
            decompositions.Det,
            decompositions.Cofactor,
            decompositions.Cholesky,
            decompositions.Slogdet,
            decompositions.Qr,
            decompositions.Svd,
            decompositions.Eigh,
            decompositions.Svdvals,
            decompositions.Eigvalsh,
            decompositions.Pinv,
        ),
        _in_front,
    ),
    movement.Reshape: _reshape,
    movement.PermuteDims: _permute,
    movement.BroadcastTo: _broadcast,
    movement.Slice: _sliced,
    movement.Place: _placed,
    movement.SetSlice: _set_slice,
    **dict.fromkeys(
        (
            indexing.Gather,
            indexing.ScatterAdd,
            indexing.SetItems,
            indexing.ScatterExtreme,
            indexing.ScatterProd,
        ),
        _indexed,
    ),
    indexing.Take: _take,
    indexing.TakeAdd: _take_add,
    ranking.Searchsorted: _searchsorted,
    **dict.fromkeys(
        (
            convolution.Convolution,
            convolution.ConvolutionInput,
            convolution.ConvolutionWeight,
        ),
        _product,
    ),
    **dict.fromkeys(
        (
            pooling.MaxPool,
            pooling.MaxPoolRoute,
            pooling.MaxPoolPick,
            pooling.WindowSum,
            pooling.WindowSpread,
        ),
        _windows,
    ),
}
