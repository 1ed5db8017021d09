"""NumPy's functions and arrays' methods, computed on Tensors: which of ours are they, by name?

The names are NumPy's, and so are the arguments. An argument may be a Tensor, an array, a number, or
whatever holds a Tensor as its `tensor`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import array_api as F
from ...array_api.indexing import getitem
from ...tensor import Tensor, wrap

#: NumPy's ufuncs that have another name here, and what folding with one is called.
UFUNCS = {"power": "pow", "true_divide": "divide", "absolute": "abs", "fabs": "abs",
          "float_power": "pow", "arctan": "atan", "arcsin": "asin", "arccos": "acos",
          "arcsinh": "asinh", "arctan2": "atan2"}  # fmt: skip
FOLDED = {"add": "sum", "maximum": "max", "minimum": "min", "multiply": "prod"}


def tensor_of(x: Any) -> Tensor:
    """Whatever a function computes with, as a Tensor of float64."""
    if isinstance(x, Tensor):
        return x
    held = getattr(x, "tensor", None)
    if isinstance(held, Tensor):
        return held
    array = np.asarray(x)
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise TypeError(f"{array.dtype}")
    return wrap(array)


def array_of(x: Any) -> Any:
    """The numbers of what holds a Tensor; anything else as it is."""
    held = x if isinstance(x, Tensor) else getattr(x, "tensor", None)
    return held.array if isinstance(held, Tensor) else x


def function_named(name: str) -> Callable[..., Any] | None:
    """A function of NumPy's, or a method of an array, by its name."""
    return _METHODS.get(name) or _FUNCTIONS.get(name)


def _folding(name: str) -> Callable[..., Tensor]:
    def fold(x: Any, axis: Any = None, *, keepdims: bool = False, ddof: int = 0) -> Tensor:
        more = {"correction": float(ddof)} if name in ("var", "std") else {}
        axis = tuple(axis) if isinstance(axis, list) else axis
        return getattr(F, name)(tensor_of(x), axis=axis, keepdims=keepdims, **more)

    return fold


def _each(arrays: Any) -> list[Tensor]:
    return [tensor_of(x) for x in arrays]


def _reshape(x: Any, *shape: Any, order: str = "C") -> Tensor:
    if order != "C":
        raise TypeError("order")
    flat = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    return F.reshape(tensor_of(x), tuple([int(n) for n in flat]))


def _transpose(x: Any, *axes: Any) -> Tensor:
    t = tensor_of(x)
    flat = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes
    return F.permute_dims(t, tuple(flat) or tuple(reversed(range(t.ndim))))


def _dot(a: Any, b: Any) -> Tensor:
    a, b = tensor_of(a), tensor_of(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return F.matmul(a, b) if b.ndim <= 2 else F.tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 2,)))


def _tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    if not isinstance(axes, int):
        axes = tuple([(n,) if isinstance(n, int) else tuple(n) for n in axes])
    return F.tensordot(tensor_of(a), tensor_of(b), axes=axes)


def _pad(x: Any, width: Any, mode: str = "constant", constant_values: Any = 0) -> Tensor:
    if mode != "constant" or np.ndim(constant_values):
        raise TypeError("pad")
    t = tensor_of(x)
    widths = np.broadcast_to(np.asarray(width), (t.ndim, 2))
    return F.pad(t, tuple([(int(a), int(b)) for a, b in widths]), value=float(constant_values))


def _where(condition: Any, a: Any, b: Any) -> Tensor:
    return F.where(wrap(np.asarray(array_of(condition), bool)), tensor_of(a), tensor_of(b))


def _split(x: Any, parts: Any, axis: int = 0) -> list[Tensor]:
    t = tensor_of(x)
    size = t.shape[axis]
    cuts = [size * i // parts for i in range(1, parts)] if isinstance(parts, int) else list(parts)
    ends = [0, *cuts, size]
    before = (slice(None),) * (axis % t.ndim)
    return [getitem(t, (*before, slice(a, b))) for a, b in itertools.pairwise(ends)]


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    if ord not in (None, 2, 1):
        raise TypeError("norm")
    return F.vector_norm(tensor_of(x), axis=axis, keepdims=keepdims, ord=float(ord or 2))


def _like(fill: float) -> Callable[..., Tensor]:
    return lambda x, *args, **kwargs: wrap(np.full(np.shape(array_of(x)), fill))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{n: _folding(n) for n in ("sum", "mean", "var", "std", "max", "min", "prod")},
    "amax": _folding("max"), "amin": _folding("min"), "reshape": _reshape, "transpose": _transpose,
    "dot": _dot, "inner": lambda a, b: _dot(a, _transpose(b)), "vdot": _dot,
    "outer": lambda a, b: F.outer(tensor_of(a), tensor_of(b)), "tensordot": _tensordot,
    "einsum": lambda how, *xs, **_: F.einsum(how, *map(tensor_of, xs)),
    "concatenate": lambda xs, axis=0: F.concat(_each(xs), axis=axis),
    "stack": lambda xs, axis=0: F.stack(_each(xs), axis=axis),
    "hstack": lambda xs: F.hstack(_each(xs)), "vstack": lambda xs: F.vstack(_each(xs)),
    "where": _where, "clip": lambda x, a=None, b=None: F.clip(tensor_of(x), a, b), "pad": _pad,
    "repeat": lambda x, n, axis=None: F.repeat(tensor_of(x), n, axis=axis),
    "tile": lambda x, n: F.tile(tensor_of(x), (n,) if isinstance(n, int) else tuple(n)),
    "expand_dims": lambda x, axis: F.expand_dims(tensor_of(x), axis),
    "squeeze": lambda x, axis=None: F.squeeze(tensor_of(x), _ones_of(x) if axis is None else axis),
    "swapaxes": lambda x, a, b: F.swapaxes(tensor_of(x), a, b),
    "moveaxis": lambda x, a, b: F.moveaxis(tensor_of(x), a, b),
    "flip": lambda x, axis=None: F.flip(tensor_of(x), axis=axis),
    "roll": lambda x, shift, axis=None: F.roll(tensor_of(x), shift, axis=axis),
    "broadcast_to": lambda x, shape: F.broadcast_to(tensor_of(x), shape),
    "take": lambda x, i, axis=None: F.take(tensor_of(x), np.asarray(array_of(i)), axis=axis),
    "split": _split, "array_split": _split,
    "hsplit": lambda x, parts: _split(x, parts, 1), "vsplit": lambda x, parts: _split(x, parts, 0),
    "tril": lambda x, k=0: F.tril(tensor_of(x), k=k),
    "triu": lambda x, k=0: F.triu(tensor_of(x), k=k),
    "cumsum": lambda x, axis=None: F.cumulative_sum(tensor_of(x), axis=axis),
    "diagonal": lambda x: F.diagonal(tensor_of(x)), "trace": lambda x: F.trace(tensor_of(x)),
    "norm": _norm, "zeros_like": _like(0.0), "ones_like": _like(1.0), "empty_like": _like(0.0),
    "copy": lambda x, *_: tensor_of(x) * 1.0, "array": lambda x, *a, **_: tensor_of(x) * 1.0,
    "asarray": lambda x, *a, **_: tensor_of(x), "shape": lambda x: x.shape,
    "ndim": lambda x: x.ndim,
    "size": lambda x, axis=None: x.size if axis is None else x.shape[axis],
    "argmax": lambda x, axis=None: np.argmax(array_of(x), axis),
    "argmin": lambda x, axis=None: np.argmin(array_of(x), axis),
    "argsort": lambda x, axis=-1: np.argsort(array_of(x), axis),
    "any": lambda x, axis=None: np.any(array_of(x), axis),
    "all": lambda x, axis=None: np.all(array_of(x), axis),
    "array_equal": lambda a, b: np.array_equal(array_of(a), array_of(b)),
}  # fmt: skip
#: What only methods are called, or what they do otherwise.
_METHODS: dict[str, Callable[..., Any]] = {
    "ravel": lambda x, *_: _reshape(x, -1), "flatten": lambda x, *_: _reshape(x, -1),
    "astype": lambda x, *_, **__: tensor_of(x), "view": lambda x, *_: tensor_of(x),
}  # fmt: skip


def _ones_of(x: Any) -> tuple[int, ...]:
    return tuple([a for a, n in enumerate(tensor_of(x).shape) if n == 1])
