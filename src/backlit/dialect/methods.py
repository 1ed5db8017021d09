"""PyTorch's methods that are no functions of the table: shapes, dtypes, what a Tensor is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import array_api as ours
from .. import dtypes, random
from ..array_api.arguments import along, integers, one_axis
from ..array_api.dialects import UNSAID, require_pytorch
from ..conversion import check_device, check_layout
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..spelling import SPARSE
from ..tensor import Tensor, _keeping, copied
from . import functions, pieces
from .translate import Function, as_dtype

# -- shapes ---------------------------------------------------------------------------------------


def _sizes(name: str, given: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes as arguments of their own, or as one tuple."""
    alone = len(given) == 1 and isinstance(given[0], tuple | list)
    return integers(name, given[0] if alone else given)


def view(self: Tensor, *shape: Any) -> Tensor:
    """The elements in row-major order in another shape; one size may be -1. As `reshape`."""
    if len(shape) == 1 and isinstance(shape[0], str | np.dtype):
        raise ArgumentError(
            f"view: the bits of a Tensor are not read as another dtype, got {shape[0]!r:.60}; use "
            "x.to(dtype) to convert, or x.numpy().view"
        )
    return ours.reshape(self, _sizes("view", shape))


def expand(self: Tensor, *size: Any) -> Tensor:
    """x repeated along new leading axes and axes of size 1; -1 keeps a size."""
    sizes = _sizes("expand", size)
    new = len(sizes) - self.ndim
    if new < 0 or -1 in sizes[:new]:
        raise ShapeError(f"expand: the sizes must fit {describe(self)} from the last, got {sizes}")
    kept = tuple(self.shape[a - new] if n == -1 else n for a, n in enumerate(sizes))
    return ours.broadcast_to(self, kept)


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """x repeated to the shape of another Tensor."""
    return ours.broadcast_to(self, other.shape)


def repeat(self: Tensor, *repeats: Any, axis: Any = UNSAID) -> Tensor:
    """x laid out so often along each axis, as PyTorch says; with `axis`, each element, as NumPy."""
    if axis is not UNSAID:
        return ours.repeat(self, *repeats, axis=axis)
    if len(repeats) < 3:
        require_pytorch("x.repeat(2)")
    times = _sizes("repeat", repeats)
    if len(times) < self.ndim:
        raise ShapeError(
            f"repeat: there must be a number for each axis of {describe(self)}, got {times}"
        )
    return ours.tile(self, times)


def transpose(self: Tensor, *axes: Any, dim0: Any = None, dim1: Any = None) -> Tensor:
    """Two axes exchanged, as PyTorch says; all axes in another order, as NumPy."""
    if dim0 is not None or dim1 is not None:
        places = (*axes, *(d for d in (dim0, dim1) if d is not None))
        return ours.swapaxes(self, *places)
    if len(axes) == 1 and isinstance(axes[0], tuple | list):
        return ours.permute_dims(self, axes[0])
    if not axes:
        return ours.permute_dims(self, tuple(reversed(range(self.ndim))))
    if len(axes) != 2:
        return ours.permute_dims(self, axes)
    if self.ndim == 2 and [one_axis("transpose", a, 2) for a in axes] == [0, 1]:
        require_pytorch("x.transpose(0, 1)")
    return ours.swapaxes(self, *axes)


def squeeze(self: Tensor, place: Any = None, /, *, axis: Any = None, dim: Any = None) -> Tensor:
    """Without the axes of size 1: all of them, or those that are named."""
    if axis is not None:
        return ours.squeeze(self, axis=axis)
    if place is not None:
        named = place if isinstance(place, tuple | list) else (place,)
        if any(self.shape[one_axis("squeeze", a, self.ndim)] != 1 for a in named if self.ndim):
            require_pytorch("x.squeeze(0)")
        dim = place
    return pieces.squeeze(self, dim)


def sort(
    self: Tensor,
    place: Any = UNSAID,
    /,
    descending: Any = None,
    *,
    dim: Any = UNSAID,
    stable: Any = None,
    axis: Any = UNSAID,
) -> Any:
    """The elements along an axis in order, and where they were: (values, indices)."""
    if axis is not UNSAID:
        raise ArgumentError(
            "sort: NumPy's x.sort(axis=axis) sorts x itself; write x[...] = backlit.sort(x, "
            "axis=axis), or x.sort(dim=axis) for (values, indices)"
        )
    if isinstance(place, bool):
        descending, place = place, UNSAID
    if dim is UNSAID:
        if descending is None:
            require_pytorch("x.sort()")
        dim = -1 if place is UNSAID else place
    return functions.sort(self, dim, bool(descending))


def nonzero(self: Tensor, *, as_tuple: Any = None) -> Any:
    """The indices of the elements that are not 0: a matrix, or a tuple with `as_tuple`."""
    if as_tuple is None:
        require_pytorch("x.nonzero()")
    return functions.nonzero(self, as_tuple=bool(as_tuple))


def where(self: Tensor, condition: Any, other: Any) -> Tensor:
    """x where the condition holds, else other."""
    return ours.where(condition, self, other)


def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of a size along an axis, at steps; their elements are a new last axis."""
    a, lone, x = along("unfold", dimension, self)
    if not 0 <= size <= x.shape[a] or step < 1:
        raise ShapeError(
            f"unfold: size must lie in [0, {x.shape[a]}] and step be positive, got {size} and "
            f"{step}"
        )
    starts = np.arange(0, x.shape[a] - size + 1, step)
    windows = ours.take(x, starts[:, None] + np.arange(size), axis=a)
    return windows[0] if lone else ours.moveaxis(windows, a + 1, -1)


# -- what it is -----------------------------------------------------------------------------------


def dim(self: Tensor) -> int:
    """The number of axes."""
    return self.ndim


def numel(self: Tensor) -> int:
    """The number of elements."""
    return math.prod(self.shape)


def element_size(self: Tensor) -> int:
    """Bytes of an element."""
    return self.dtype.itemsize


def nbytes(self: Tensor) -> int:
    """Bytes of all elements."""
    return numel(self) * self.dtype.itemsize


def stride(self: Tensor, dim: int | None = None) -> Any:
    """How many elements lie from one to the next along each axis, in row-major order."""
    steps = tuple(math.prod(self.shape[a + 1 :]) for a in range(self.ndim))
    return steps if dim is None else steps[dim]


def data_ptr(self: Tensor) -> int:
    """The address of the first element. In place, a Tensor gets another one."""
    return self._concrete("data_ptr()").ctypes.data


def is_contiguous(self: Tensor, memory_format: Any = None) -> bool:
    """True: the order in memory is never seen."""
    return True


def is_floating_point(self: Tensor) -> bool:
    """Whether its dtype is floating."""
    return self.dtype in dtypes.FLOATING


def is_signed(self: Tensor) -> bool:
    """Whether its dtype has negative numbers."""
    return self.dtype in dtypes.FLOATING | dtypes.SIGNED


def _no(self: Tensor) -> bool:
    """False: Backlit has no such Tensors."""
    return False


def _yes(self: Tensor) -> bool:
    """True, always."""
    return True


def retains_grad(self: Tensor) -> bool:
    """Whether it was computed and keeps its gradient: see `retain_grad`."""
    return bool(_keeping(self))


def output_nr(self: Tensor) -> int:
    """0: a node of the tape has one output."""
    return 0


def bernoulli(self: Tensor, p: Any = None, *, generator: Any = None) -> Tensor:
    """1 with the probability that each element is, or with p, else 0."""
    drawn = random.given_generator(generator).uniform(self.shape)
    return (drawn < (self.detach() if p is None else p)).astype(self.dtype)


def polygamma(self: Tensor, n: int) -> Tensor:
    """The n-th derivative of the digamma function."""
    return ours.polygamma(n, self)


def get_device(self: Tensor) -> int:
    """-1, which is the CPU."""
    return -1


def is_same_size(self: Tensor, other: Tensor) -> bool:
    """Whether both have one shape."""
    return self.shape == other.shape


def grad_fn(self: Tensor) -> Any:
    """The node of the tape that computed it, or None for a leaf."""
    return self.node


# -- the same elements, otherwise -----------------------------------------------------------------


def clone(self: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy on the tape: gradients go through it."""
    return copied(self)


def itself(self: Tensor, memory_format: Any = None) -> Tensor:
    """The Tensor itself, as the order in memory is never seen and there is one device."""
    return self


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """An error: Backlit computes on the CPU."""
    check_device("cuda" if device is None else device)
    return self


def _cast(dtype: Any) -> Function:
    def cast(self: Tensor, memory_format: Any = None) -> Tensor:
        return self.astype(dtype)

    cast.__doc__ = f"The elements as {dtype.name}."
    return cast


def type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The elements as another dtype; without one, the name of PyTorch's class of such Tensors."""
    if dtype is None:
        return f"torch.{CLASSES[self.dtype]}"
    if isinstance(dtype, str) and dtype.startswith("torch."):
        named = dtype.removeprefix("torch.")
        kinds = {name: kind for kind, name in CLASSES.items()}
        return self.astype(kinds.get(named, named))
    return self.astype(as_dtype(dtype))


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The elements in the dtype of another Tensor."""
    return self.astype(other.dtype)


def detach_(self: Tensor) -> Tensor:
    """Cut off from the tape: from now on it is a leaf that requires no gradient."""
    self.node = None
    self._requires_grad = False
    return self


def _like(make: Function, filled: bool = False) -> Function:
    """`x.new_zeros(2, 3)`: a new Tensor of x's dtype."""

    def method(
        self: Tensor,
        *sizes: Any,
        size: Any = None,
        fill_value: Any = None,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
    ) -> Tensor:
        check_layout(layout)
        dtype = self.dtype if dtype is None else as_dtype(dtype)
        shape = sizes if size is None else (size, *sizes)
        if filled:
            shape, value = shape[:1], shape[1] if len(shape) > 1 else fill_value
            y = make(_sizes("new_full", shape), value, dtype=dtype, device=device)
        else:
            y = make(_sizes("new", shape), dtype=dtype, device=device)
        return y.requires_grad_() if requires_grad else y

    method.__doc__ = f"`backlit.{make.__name__}` of x's dtype: the sizes one by one or in a tuple."
    return method


def multinomial(
    self: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None
) -> Tensor:
    """Classes, drawn with probabilities proportional to what x has for each of them."""
    source = random.given_generator(generator)
    return source.multinomial(self, num_samples, replacement)


def new_tensor(
    self: Tensor, data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A Tensor of data, in x's dtype."""
    check_device(device)
    return Tensor(data, self.dtype if dtype is None else as_dtype(dtype), requires_grad)


def new(self: Tensor, *given: Any) -> Tensor:
    """A Tensor of x's dtype: of data, or of sizes one by one, as `x.size()`, or as `x.shape`.

    Raises: of another tuple of whole numbers it is not known whether it is data or a shape, which
    PyTorch tells by `torch.Size`.
    """
    if len(given) == 1 and not isinstance(given[0], int):
        (one,) = given
        sizes = isinstance(one, tuple) and all(isinstance(n, int) for n in one)
        if not sizes:
            return Tensor(one, self.dtype)
        if one != self.shape and one.__class__ is tuple:
            raise ArgumentError(
                f"new: {one} may be data or a shape; use x.new_tensor({list(one)}) or "
                f"x.new_empty({one})"
            )
        return ours.zeros(one, dtype=self.dtype)
    return ours.zeros(given or (0,), dtype=self.dtype)


def _layout(self: Tensor) -> str:
    """That of every Tensor: there are no sparse ones."""
    return "torch.strided"


def share(self: Tensor) -> Tensor:
    """The Tensor itself: there is one process."""
    return self


def _refused(name: str, cure: str) -> Function:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        raise ArgumentError(f"{name}: {cure}")

    method.__doc__ = f"An error: {cure}."
    return method


#: Which class of Tensors PyTorch has for each dtype.
CLASSES = {
    dtypes.float32: "FloatTensor",
    dtypes.float64: "DoubleTensor",
    dtypes.float16: "HalfTensor",
    dtypes.bfloat16: "BFloat16Tensor",
    dtypes.uint8: "ByteTensor",
    dtypes.int8: "CharTensor",
    dtypes.int16: "ShortTensor",
    dtypes.int32: "IntTensor",
    dtypes.int64: "LongTensor",
    dtypes.bool_: "BoolTensor",
    dtypes.uint16: "UInt16Tensor",
    dtypes.uint32: "UInt32Tensor",
    dtypes.uint64: "UInt64Tensor",
}

#: Methods that stand here and not in the table.
WRITTEN_OUT: dict[str, Any] = {
    "view": view,
    "expand": expand,
    "expand_as": expand_as,
    "repeat": repeat,
    "transpose": transpose,
    "squeeze": squeeze,
    "sort": sort,
    "nonzero": nonzero,
    "where": where,
    "unfold": unfold,
    "dim": dim,
    "ndimension": dim,
    "numel": numel,
    "nelement": numel,
    "element_size": element_size,
    "itemsize": property(element_size),
    "nbytes": property(nbytes),
    "stride": stride,
    "data_ptr": data_ptr,
    "is_contiguous": is_contiguous,
    "is_floating_point": is_floating_point,
    "is_signed": is_signed,
    "is_complex": _no,
    "is_shared": _no,
    "is_pinned": _no,
    "is_cuda": property(_no),
    "is_mps": property(_no),
    "is_sparse": property(_no),
    "layout": property(_layout),
    "is_quantized": property(_no),
    "get_device": get_device,
    "is_same_size": is_same_size,
    "is_cpu": property(_yes),
    "is_meta": property(_no),
    "is_xpu": property(_no),
    "is_inference": _no,
    "is_nested": property(_no),
    "retains_grad": property(retains_grad),
    "output_nr": property(output_nr),
    "to_dense": share,
    "bernoulli": bernoulli,
    "polygamma": polygamma,
    "grad_fn": property(grad_fn),
    "H": property(pieces.t),
    "mH": property(ours.matrix_transpose),
    "clone": clone,
    "contiguous": itself,
    "cpu": itself,
    "pin_memory": itself,
    "share_memory_": share,
    "coalesce": share,
    "cuda": cuda,
    "float": _cast(dtypes.float32),
    "double": _cast(dtypes.float64),
    "half": _cast(dtypes.float16),
    "bfloat16": _cast(dtypes.bfloat16),
    "byte": _cast(dtypes.uint8),
    "char": _cast(dtypes.int8),
    "short": _cast(dtypes.int16),
    "int": _cast(dtypes.int32),
    "long": _cast(dtypes.int64),
    "bool": _cast(dtypes.bool_),
    "type": type,
    "type_as": type_as,
    "detach_": detach_,
    "new_zeros": _like(ours.zeros),
    "new_ones": _like(ours.ones),
    "new_empty": _like(ours.empty),
    "new_full": _like(ours.full, filled=True),
    "new_tensor": new_tensor,
    "multinomial": multinomial,
    "new": new,
    "to_sparse": _refused("to_sparse", SPARSE),
}

__all__ = ["CLASSES", "WRITTEN_OUT"]
