"""What does a function do that computes with NumPy? It is run on arrays that hand it to Backlit.

A `Probe` stands for an array: NumPy's functions, operators and methods find it and call the
function of the same meaning on its Tensor, so that whoever observes ops sees every step. The
function itself is called as it is; only the arrays that it makes anew (`np.zeros`) must be probes,
too, so it runs in a copy of its global names. What a probe cannot do raises `TypeError`: then
nothing is known of the function, which is no error of its own.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import array_api as F
from ...array_api.assignment import setitem
from ...array_api.indexing import getitem
from ...tensor import Tensor, wrap


class Probe:
    """An array whose use is seen."""

    __array_priority__ = 1000

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    # -- what NumPy asks for ----------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = ufunc.__name__
        out = kwargs.pop("out", (None,))[0]
        if method == "at" and name in ("add", "subtract"):
            x, key, value = inputs
            x.tensor = _added_at(x.tensor, key, _tensor(value) * (1 if name == "add" else -1))
            return None
        if method == "outer" and name == "multiply":
            return Probe(F.outer(*map(_tensor, inputs)))
        if method == "reduce" and name in _REDUCED:
            return call(_REDUCED[name], *inputs, **kwargs)
        if method != "__call__" or kwargs:
            raise TypeError(f"{name}.{method}")
        result = self._computed(name, inputs)
        if out is None:
            return result
        if not isinstance(out, Probe):
            raise TypeError(f"{name}: out")
        out.tensor = _tensor(result)
        return out

    @staticmethod
    def _computed(name: str, inputs: Sequence[Any]) -> Any:
        if name in _PLAIN_UFUNCS:
            return getattr(np, name)(*map(_array, inputs))
        function = getattr(F, _UFUNCS.get(name, name), None)
        if function is None:
            raise TypeError(name)
        return Probe(function(*map(_tensor, inputs)))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return call(function.__name__, *args, **kwargs)

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("a probe's values are read without its knowing how")

    # -- what an array has ------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its axes."""
        return tuple(self.tensor.shape)

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements it has."""
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> Any:
        """The type of its elements."""
        return self.tensor.array.dtype

    @property
    def T(self) -> Probe:  # noqa: N802  (NumPy's name)
        """It with its axes in the opposite order."""
        return Probe(F.permute_dims(self.tensor, tuple(reversed(range(self.ndim)))))

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Probe:
        return Probe(getitem(self.tensor, _key(key)))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.tensor = setitem(self.tensor, _key(key), _tensor(value))

    def __neg__(self) -> Probe:
        return Probe(F.negative(self.tensor))

    def __float__(self) -> float:
        raise TypeError("a probe is no number")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or (name not in _FUNCTIONS and name not in _METHODS):
            raise AttributeError(name)
        return lambda *args, **kwargs: call(name, self, *args, **kwargs)


def _operator(name: str, reverse: bool = False) -> Callable[[Probe, Any], Any]:
    def operate(self: Probe, other: Any) -> Any:
        return Probe._computed(name, (other, self) if reverse else (self, other))

    return operate


def _in_place(name: str) -> Callable[[Probe, Any], Probe]:
    def operate(self: Probe, other: Any) -> Probe:
        self.tensor = _tensor(Probe._computed(name, (self, other)))
        return self

    return operate


for _symbol, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power",
    "matmul": "matmul",
}.items():  # fmt: skip
    setattr(Probe, f"__{_symbol}__", _operator(_name))
    setattr(Probe, f"__r{_symbol}__", _operator(_name, reverse=True))
    setattr(Probe, f"__i{_symbol}__", _in_place(_name))
for _symbol, _name in {
    "gt": "greater", "lt": "less", "ge": "greater_equal", "le": "less_equal", "eq": "equal",
    "ne": "not_equal",
}.items():  # fmt: skip
    setattr(Probe, f"__{_symbol}__", _operator(_name))
Probe.__hash__ = object.__hash__  # type: ignore[method-assign]

#: NumPy's ufuncs that have another name here, those whose value is no float, and those folded.
_UFUNCS = {"power": "pow", "true_divide": "divide", "absolute": "abs", "fabs": "abs",
           "float_power": "pow", "arctan": "atan", "arcsin": "asin", "arccos": "acos",
           "arcsinh": "asinh", "arctan2": "atan2"}  # fmt: skip
_PLAIN_UFUNCS = {
    "greater", "less", "greater_equal", "less_equal", "equal", "not_equal", "isnan", "isfinite",
    "logical_and", "logical_or", "logical_not",
}  # fmt: skip
_REDUCED = {"add": "sum", "maximum": "max", "minimum": "min", "multiply": "prod"}


def _tensor(x: Any) -> Tensor:
    """Whatever a function computes with, as a Tensor of float64."""
    if isinstance(x, Probe):
        return x.tensor
    array = np.asarray(x)
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise TypeError(f"{array.dtype}")
    return wrap(array)


def _array(x: Any) -> Any:
    return x.tensor.array if isinstance(x, Probe) else x


def _key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple([_key(k) for k in key])
    return np.asarray(key) if isinstance(key, list) else _array(key)


def _added_at(x: Tensor, key: Any, value: Tensor) -> Tensor:
    """x with a value added at a key, each time that an index comes: a sum over one-hot rows."""
    key = key if isinstance(key, tuple) else (key,)
    places = np.arange(x.size).reshape(x.shape)[tuple([_array(k) for k in key])].reshape(-1)
    chosen = np.zeros((x.size, len(places)))
    chosen[places, np.arange(len(places))] = 1.0
    shape = np.arange(x.size).reshape(x.shape)[tuple([_array(k) for k in key])].shape
    flat = F.reshape(F.broadcast_to(value, shape), (-1,))
    return x + F.reshape(F.matmul(wrap(chosen), flat), x.shape)


# -- NumPy's functions --------------------------------------------------------------------------


def call(name: str, *args: Any, **kwargs: Any) -> Any:
    """A function of NumPy's, or a method of an array, by its name."""
    function = _METHODS.get(name) or _FUNCTIONS.get(name)
    if function is None:
        raise TypeError(name)
    result = function(*args, **kwargs)
    if isinstance(result, Tensor):
        return Probe(result)
    if isinstance(result, tuple | list) and any(isinstance(r, Tensor) for r in result):
        return [Probe(r) for r in result]
    return result


def _folding(name: str) -> Callable[..., Tensor]:
    def fold(x: Any, axis: Any = None, *, keepdims: bool = False, ddof: int = 0) -> Tensor:
        more = {"correction": float(ddof)} if name in ("var", "std") else {}
        axis = tuple(axis) if isinstance(axis, list) else axis
        return getattr(F, name)(_tensor(x), axis=axis, keepdims=keepdims, **more)

    return fold


def _each(arrays: Any) -> list[Tensor]:
    return [_tensor(x) for x in arrays]


def _reshape(x: Any, *shape: Any, order: str = "C") -> Tensor:
    if order != "C":
        raise TypeError("order")
    flat = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    return F.reshape(_tensor(x), tuple([int(n) for n in flat]))


def _transpose(x: Any, *axes: Any) -> Tensor:
    t = _tensor(x)
    flat = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes
    return F.permute_dims(t, tuple(flat) or tuple(reversed(range(t.ndim))))


def _dot(a: Any, b: Any) -> Tensor:
    a, b = _tensor(a), _tensor(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return F.matmul(a, b) if b.ndim <= 2 else F.tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 2,)))


def _tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    if not isinstance(axes, int):
        axes = tuple([(n,) if isinstance(n, int) else tuple(n) for n in axes])
    return F.tensordot(_tensor(a), _tensor(b), axes=axes)


def _pad(x: Any, width: Any, mode: str = "constant", constant_values: Any = 0) -> Tensor:
    if mode != "constant" or np.ndim(constant_values):
        raise TypeError("pad")
    t = _tensor(x)
    widths = np.broadcast_to(np.asarray(width), (t.ndim, 2))
    return F.pad(t, tuple([(int(a), int(b)) for a, b in widths]), value=float(constant_values))


def _where(condition: Any, a: Any, b: Any) -> Tensor:
    return F.where(wrap(np.asarray(_array(condition), bool)), _tensor(a), _tensor(b))


def _split(x: Any, parts: Any, axis: int = 0) -> list[Tensor]:
    t = _tensor(x)
    size = t.shape[axis]
    cuts = [size * i // parts for i in range(1, parts)] if isinstance(parts, int) else list(parts)
    ends = [0, *cuts, size]
    before = (slice(None),) * (axis % t.ndim)
    return [getitem(t, (*before, slice(a, b))) for a, b in itertools.pairwise(ends)]


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    if ord not in (None, 2, 1):
        raise TypeError("norm")
    return F.vector_norm(_tensor(x), axis=axis, keepdims=keepdims, ord=float(ord or 2))


def _like(fill: float) -> Callable[..., Tensor]:
    return lambda x, *args, **kwargs: wrap(np.full(np.shape(_array(x)), fill))


def _of_ufunc(name: str) -> Callable[..., Any]:
    return lambda *inputs: _array_or_tensor(Probe._computed(name, inputs))


def _array_or_tensor(x: Any) -> Any:
    return x.tensor if isinstance(x, Probe) else x


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{n: _folding(n) for n in ("sum", "mean", "var", "std", "max", "min", "prod")},
    "amax": _folding("max"), "amin": _folding("min"), "reshape": _reshape, "transpose": _transpose,
    "dot": _dot, "inner": lambda a, b: _dot(a, _transpose(b)), "vdot": _dot,
    "outer": lambda a, b: F.outer(_tensor(a), _tensor(b)), "tensordot": _tensordot,
    "einsum": lambda how, *xs, **_: F.einsum(how, *map(_tensor, xs)),
    "concatenate": lambda xs, axis=0: F.concat(_each(xs), axis=axis),
    "stack": lambda xs, axis=0: F.stack(_each(xs), axis=axis),
    "hstack": lambda xs: F.hstack(_each(xs)), "vstack": lambda xs: F.vstack(_each(xs)),
    "where": _where, "clip": lambda x, a=None, b=None: F.clip(_tensor(x), a, b), "pad": _pad,
    "repeat": lambda x, n, axis=None: F.repeat(_tensor(x), n, axis=axis),
    "tile": lambda x, n: F.tile(_tensor(x), (n,) if isinstance(n, int) else tuple(n)),
    "expand_dims": lambda x, axis: F.expand_dims(_tensor(x), axis),
    "squeeze": lambda x, axis=None: F.squeeze(_tensor(x), _ones_of(x) if axis is None else axis),
    "swapaxes": lambda x, a, b: F.swapaxes(_tensor(x), a, b),
    "moveaxis": lambda x, a, b: F.moveaxis(_tensor(x), a, b),
    "flip": lambda x, axis=None: F.flip(_tensor(x), axis=axis),
    "roll": lambda x, shift, axis=None: F.roll(_tensor(x), shift, axis=axis),
    "broadcast_to": lambda x, shape: F.broadcast_to(_tensor(x), shape),
    "take": lambda x, i, axis=None: F.take(_tensor(x), np.asarray(_array(i)), axis=axis),
    "split": _split, "array_split": _split,
    "hsplit": lambda x, parts: _split(x, parts, 1), "vsplit": lambda x, parts: _split(x, parts, 0),
    "tril": lambda x, k=0: F.tril(_tensor(x), k=k), "triu": lambda x, k=0: F.triu(_tensor(x), k=k),
    "cumsum": lambda x, axis=None: F.cumulative_sum(_tensor(x), axis=axis),
    "diagonal": lambda x: F.diagonal(_tensor(x)), "trace": lambda x: F.trace(_tensor(x)),
    "norm": _norm, "zeros_like": _like(0.0), "ones_like": _like(1.0), "empty_like": _like(0.0),
    "copy": lambda x, *_: _tensor(x) * 1.0, "array": lambda x, *a, **_: _tensor(x) * 1.0,
    "asarray": lambda x, *a, **_: _tensor(x), "shape": lambda x: x.shape, "ndim": lambda x: x.ndim,
    "size": lambda x, axis=None: x.size if axis is None else x.shape[axis],
    "argmax": lambda x, axis=None: np.argmax(_array(x), axis),
    "argmin": lambda x, axis=None: np.argmin(_array(x), axis),
    "argsort": lambda x, axis=-1: np.argsort(_array(x), axis),
    "any": lambda x, axis=None: np.any(_array(x), axis),
    "all": lambda x, axis=None: np.all(_array(x), axis),
    "array_equal": lambda a, b: np.array_equal(_array(a), _array(b)),
}  # fmt: skip
#: What only methods are called, or what they do otherwise.
_METHODS: dict[str, Callable[..., Any]] = {
    "ravel": lambda x, *_: _reshape(x, -1), "flatten": lambda x, *_: _reshape(x, -1),
    "astype": lambda x, *_, **__: _tensor(x), "view": lambda x, *_: _tensor(x),
}  # fmt: skip


def _ones_of(x: Any) -> tuple[int, ...]:
    return tuple([a for a, n in enumerate(_tensor(x).shape) if n == 1])


# -- a function on probes -----------------------------------------------------------------------


class _Library(types.ModuleType):
    """NumPy, where new arrays are probes."""

    def __init__(self) -> None:
        super().__init__("numpy")

    def __getattr__(self, name: str) -> Any:
        if name in ("zeros", "ones", "empty", "full", "eye", "identity"):
            return lambda *args, **kwargs: _new(getattr(np, name)(*args, **kwargs))
        if name in ("array", "asarray"):
            return lambda x, *args, **kwargs: (
                call(name, x) if isinstance(x, Probe) else _listed(name, x, *args, **kwargs)
            )
        return getattr(np, name)


def _new(array: np.ndarray) -> Any:
    return Probe(wrap(array)) if array.dtype == np.float64 else array


def _listed(name: str, x: Any, *args: Any, **kwargs: Any) -> Any:
    """`np.array` of a list, some of whose entries may be probes."""
    if isinstance(x, list | tuple) and any(isinstance(v, Probe) for v in x):
        return Probe(F.stack(_each(x)))
    return getattr(np, name)(x, *args, **kwargs)


def rebound(function: Any, made: dict[int, Any] | None = None) -> Any:
    """A function of Python's with NumPy replaced by one whose new arrays are probes, and likewise
    the functions of the same file that it calls; anything else as it is.
    """
    made = {} if made is None else made
    if id(function) in made:
        return made[id(function)]
    if isinstance(function, types.MethodType):
        return types.MethodType(rebound(function.__func__, made), function.__self__)
    if not isinstance(function, types.FunctionType):
        return function
    names = dict(function.__globals__)
    closure = tuple([types.CellType() for _ in function.__closure__ or ()])
    new = types.FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, closure or None
    )
    new.__kwdefaults__ = function.__kwdefaults__
    made[id(function)] = new
    own = function.__code__.co_filename
    for name in _named(function.__code__):
        value = names.get(name)
        if value is np:
            names[name] = _Library()
        elif isinstance(value, types.FunctionType) and value.__code__.co_filename == own:
            names[name] = rebound(value, made)
    for cell, old in zip(closure, function.__closure__ or (), strict=True):
        try:
            value = old.cell_contents
        except ValueError:
            continue
        cell.cell_contents = (
            _Library() if value is np
            else rebound(value, made) if isinstance(value, types.FunctionType | types.MethodType)
            else value
        )  # fmt: skip
    return new


def _named(code: types.CodeType) -> set[str]:
    """The global names in a code and in those inside it."""
    names = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            names |= _named(inner)
    return names
