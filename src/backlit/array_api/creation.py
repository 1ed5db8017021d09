"""New Tensors: from data, constants, sequences, grids."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..conversion import check_device
from ..dtypes import as_dtype
from ..errors import ArgumentError, ShapeError
from ..foreign import words
from ..op import describe
from ..ops import creation as ops
from ..state import STATE
from ..tensor import Tensor, _as_array, apply, as_tensor, constant, wrap
from .arguments import shape_tuple, whole
from .elementwise import positive, where
from .manipulation import broadcast_to, expand_dims, permute_dims, reshape

__all__ = [
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "tril",
    "triu",
    "zeros",
    "zeros_like",
]


def asarray(
    obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None
) -> Tensor:
    """A Tensor that shares the memory of an array where it can; `tensor` always copies.

    >>> asarray(np.array([1.0, 2.0]))
    Tensor([1., 2.], shape=(2,), dtype=float64)
    """
    check_device(device)
    if isinstance(obj, Tensor):
        cast = obj if dtype is None else obj.astype(dtype)
        if copy is False and cast is not obj:
            raise ArgumentError(
                f"asarray: copy=False, but {describe(obj)} as {cast.dtype.name} is a copy; "
                "leave copy out"
            )
        if not copy or cast is not obj:
            return cast
        if obj.requires_grad:
            return positive(obj)
    if copy is False and not hasattr(obj, "__array__"):
        raise ArgumentError(
            f"asarray: copy=False needs an array to share memory with, got {type(obj).__name__}; "
            "leave copy out"
        )
    known = STATE.execution.stand_in(obj)
    if known is not None:
        return known if dtype is None else known.astype(dtype)
    try:
        return constant(_as_array(obj, dtype, copy))
    except ValueError as error:
        if copy is False:
            raise ArgumentError(f"asarray: copy=False, but a copy is needed: {error}") from None
        raise


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor from any array with DLPack (NumPy, PyTorch, JAX), without copying if possible."""
    check_device(device)
    if not hasattr(x, "__dlpack__"):
        raise ArgumentError(
            f"from_dlpack: x must be an array with __dlpack__, got {words(x)[0]}; "
            "use backlit.asarray"
        )
    shared = np.from_dlpack(x, copy=False) if copy is False else np.from_dlpack(x)
    return constant(_as_array(shared, copy=copy))


def _or(dtype: Any, default: dtypes.DType) -> Any:
    return default if dtype is None else dtype


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """A Tensor with one value everywhere.

    >>> full((2,), 7.0)
    Tensor([7., 7.], shape=(2,), dtype=float32)
    """
    check_device(device)
    if isinstance(fill_value, np.ndarray):  # which may hold another number at the next call
        known = STATE.execution.stand_in(fill_value)
        fill_value = fill_value if known is None else known
    if isinstance(fill_value, Tensor):
        value = fill_value if dtype is None else fill_value.astype(dtype)
        return broadcast_to(value, shape_tuple("full", shape))
    if isinstance(fill_value, np.generic | np.ndarray) and not np.ndim(fill_value):
        held = as_tensor(fill_value)  # refuses what is no number
        fill_value = held.array[()] if held.dtype in dtypes.FLOATING else held.array.item()
    elif not isinstance(fill_value, bool | int | float):
        raise ArgumentError(f"full: fill_value must be a number, got {fill_value!r:.60}")
    if dtype is None:
        kinds = {bool: dtypes.bool_, int: dtypes.DEFAULT_INT}
        dtype = kinds.get(type(fill_value), dtypes.DEFAULT_FLOAT)
    op = ops.Full(shape=shape_tuple("full", shape), value=fill_value, dtype=as_dtype(dtype))
    return apply(op)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """A Tensor of zeros, float32 unless said otherwise."""
    size = shape_tuple("zeros", shape)
    return full(size, 0, dtype=_or(dtype, dtypes.DEFAULT_FLOAT), device=device)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """A Tensor of ones, float32 unless said otherwise."""
    size = shape_tuple("ones", shape)
    return full(size, 1, dtype=_or(dtype, dtypes.DEFAULT_FLOAT), device=device)


def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """A Tensor whose values do not matter: zeros, so that no result depends on old memory."""
    return zeros(shape, dtype=dtype, device=device)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """One value everywhere, in the shape (and dtype) of x."""
    x = as_tensor(x)
    return full(x.shape, fill_value, dtype=_or(dtype, x.dtype), device=device)


def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros in the shape (and dtype) of x."""
    x = as_tensor(x)
    return full(x.shape, 0, dtype=_or(dtype, x.dtype), device=device)


def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones in the shape (and dtype) of x."""
    x = as_tensor(x)
    return full(x.shape, 1, dtype=_or(dtype, x.dtype), device=device)


def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros in the shape (and dtype) of x; see `empty`."""
    return zeros_like(x, dtype=dtype, device=device)


def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """start, start + step, … before stop; `arange(n)` counts 0 … n - 1.

    >>> arange(3)
    Tensor([0, 1, 2], shape=(3,), dtype=int64)
    """
    check_device(device)
    if stop is None:
        start, stop = 0, start
    start, stop, step = (_end_point(_plain(x)) for x in (start, stop, step))
    if step == 0:
        raise ArgumentError("arange: step must not be 0")
    if dtype is None:
        whole = all(isinstance(v, int) for v in (start, stop, step))
        dtype = dtypes.DEFAULT_INT if whole else dtypes.DEFAULT_FLOAT
    count = max(0, math.ceil((stop - start) / step))
    dtype = as_dtype(dtype)
    if count:
        _require_room("arange", dtype, start, start + (count - 1) * step)
    return apply(ops.Arange(start=start, count=count, step=step, dtype=dtype))


def _plain(x: Any) -> Any:
    """An end point of a range: a number, or a Tensor or array of one."""
    if isinstance(x, int | float | Tensor):
        return x
    value = as_tensor(x)
    if value.shape:
        raise ShapeError(f"arange: start, stop and step are single numbers, got {describe(value)}")
    return value.item()


def _numbers(x: Any) -> Any:
    """Numbers and Tensors as they are, everything else as an array of numbers."""
    return x if isinstance(x, int | float | Tensor) else as_tensor(x).numpy()


def _require_room(name: str, dtype: dtypes.DType, *ends: float) -> None:
    """Raise if an integer type is too small for a sequence: its elements would start again."""
    if dtype in dtypes.INTEGER:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        for end in ends:
            if not low <= end < high + 1:
                raise ArgumentError(
                    f"{name}: the elements must lie in [{low}, {high}] for dtype {dtype}, "
                    f"got {end}; use a larger type, such as dtype='int64'"
                )


def _end_point(x: Any) -> Any:
    """A number of a Tensor's kind: how many elements there are depends on its value."""
    if not isinstance(x, Tensor):
        return x
    x._require_cut("arange", "write start + step * backlit.arange(n), which has one")
    return x.item()


def linspace(
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Tensor:
    """`num` evenly spaced numbers from start to stop.

    Where start or stop is a Tensor, the gradient goes to it, and other axes follow the first:

        y_i = (1 - s_i) start + s_i stop,   s from 0 to 1

    >>> linspace(0, 1, 3)
    Tensor([0. , 0.5, 1. ], shape=(3,), dtype=float32)
    """
    check_device(device)
    num = whole("linspace: num", num, 0)
    start, stop = _numbers(start), _numbers(stop)
    dtype = as_dtype(_or(dtype, dtypes.DEFAULT_FLOAT))
    if dtype in dtypes.FLOATING and (isinstance(start, Tensor) or isinstance(stop, Tensor)):
        start, stop = as_tensor(start).astype(dtype), as_tensor(stop).astype(dtype)
        share = wrap(np.linspace(0, 1, num, endpoint=endpoint).astype(dtype))
        for _ in range(max(start.ndim, stop.ndim)):
            share = expand_dims(share, axis=-1)
        return (1 - share) * start + share * stop
    first, last = (x.detach() if isinstance(x, Tensor) else x for x in (start, stop))
    values = np.linspace(first, last, num, endpoint=endpoint)
    if num:
        _require_room("linspace", dtype, values.min(), values.max())
    return constant(values.astype(dtype))


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None
) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere.

    >>> eye(2)
    Tensor([[1., 0.],
            [0., 1.]], shape=(2, 2), dtype=float32)
    """
    check_device(device)
    shape_tuple("eye", (n_rows, n_rows if n_cols is None else n_cols))
    return constant(np.eye(n_rows, n_cols, k, dtype=as_dtype(_or(dtype, dtypes.DEFAULT_FLOAT))))


def _triangle(name: str, x: Any, mask: Any, k: int) -> Tensor:
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"{name}: x must have at least 2 axes, got shape {x.shape}")
    return where(wrap(mask(np.ones(x.shape[-2:], bool), k)), x, zeros((), dtype=x.dtype))


def tril(x: Any, /, *, k: int = 0) -> Tensor:
    """The elements on and below the k-th diagonal of each matrix, zeros above.

    >>> tril(ones((2, 2)))
    Tensor([[1., 0.],
            [1., 1.]], shape=(2, 2), dtype=float32)
    """
    return _triangle("tril", x, np.tril, k)


def triu(x: Any, /, *, k: int = 0) -> Tensor:
    """The elements on and above the k-th diagonal of each matrix, zeros below."""
    return _triangle("triu", x, np.triu, k)


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Tensor]:
    """Coordinate grids from coordinate vectors, Cartesian ("xy") or by matrix index ("ij")."""
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    vectors = [as_tensor(x) for x in arrays]
    if any(v.ndim != 1 for v in vectors):
        raise ShapeError(f"meshgrid: vectors are required, got {[v.shape for v in vectors]}")
    shape = tuple(v.size for v in vectors)
    grids = []
    for a, v in enumerate(vectors):
        own = tuple(v.size if b == a else 1 for b in range(len(vectors)))
        grid = broadcast_to(reshape(v, own), shape)
        if indexing == "xy" and len(vectors) > 1:
            grid = permute_dims(grid, (1, 0, *range(2, len(vectors))))
        grids.append(grid)
    return grids
