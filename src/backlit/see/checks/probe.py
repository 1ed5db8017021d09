"""What does a function do that computes with NumPy? It is run on arrays that hand it to Backlit.

A `Probe` stands for an array: NumPy's functions, operators and methods find it and call the
function of the same meaning on its Tensor, so that whoever observes ops sees every step. The
function itself is called as it is; only the arrays that it makes anew (`np.zeros`) must be probes,
too, so it runs in a copy of its global names. What a probe cannot do raises `TypeError`: then
nothing is known of the function, which is no error of its own.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ... import array_api as F
from ...array_api.assignment import setitem
from ...array_api.indexing import getitem
from ...tensor import Tensor, wrap
from .numpy_functions import FOLDED, UFUNCS, array_of, function_named, tensor_of


class Probe(NDArrayOperatorsMixin):
    """An array whose use is seen. Its operators are NumPy's ufuncs, which come back to it."""

    __array_priority__ = 1000
    __hash__ = object.__hash__

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    # -- what NumPy asks for ----------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = ufunc.__name__
        out = kwargs.pop("out", (None,))[0]
        if method == "at" and name in ("add", "subtract"):
            x, key, value = inputs
            x.tensor = _added_at(x.tensor, key, tensor_of(value) * (1 if name == "add" else -1))
            return None
        if method == "outer" and name == "multiply":
            return Probe(F.outer(*map(tensor_of, inputs)))
        if method == "reduce" and name in FOLDED:
            return call(FOLDED[name], *inputs, **{"axis": 0, **kwargs})
        if method != "__call__" or kwargs:
            raise TypeError(f"{name}.{method}")
        result = self._computed(ufunc, inputs)
        if out is None:
            return result
        if not isinstance(out, Probe):
            raise TypeError(f"{name}: out")
        out.tensor = tensor_of(result)
        return out

    @staticmethod
    def _computed(ufunc: np.ufunc, inputs: Sequence[Any]) -> Any:
        if f"{'d' * ufunc.nin}->?" in ufunc.types:  # what is true or false has no slope
            return ufunc(*map(array_of, inputs))
        function = getattr(F, UFUNCS.get(ufunc.__name__, ufunc.__name__), None)
        if function is None:
            raise TypeError(ufunc.__name__)
        return Probe(function(*map(tensor_of, inputs)))

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
        self.tensor = setitem(self.tensor, _key(key), tensor_of(value))

    def __float__(self) -> float:
        raise TypeError("a probe is no number")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or function_named(name) is None:
            raise AttributeError(name)
        return lambda *args, **kwargs: call(name, self, *args, **kwargs)


def _key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple([_key(k) for k in key])
    return np.asarray(key) if isinstance(key, list) else array_of(key)


def _added_at(x: Tensor, key: Any, value: Tensor) -> Tensor:
    """x with a value added at a key, each time that an index comes: a sum over one-hot rows."""
    key = key if isinstance(key, tuple) else (key,)
    places = np.arange(x.size).reshape(x.shape)[tuple([array_of(k) for k in key])].reshape(-1)
    chosen = np.zeros((x.size, len(places)))
    chosen[places, np.arange(len(places))] = 1.0
    shape = np.arange(x.size).reshape(x.shape)[tuple([array_of(k) for k in key])].shape
    flat = F.reshape(F.broadcast_to(value, shape), (-1,))
    return x + F.reshape(F.matmul(wrap(chosen), flat), x.shape)


# -- NumPy's functions --------------------------------------------------------------------------


def call(name: str, *args: Any, **kwargs: Any) -> Any:
    """A function of NumPy's, or a method of an array, by its name."""
    function = function_named(name)
    if function is None:
        raise TypeError(name)
    result = function(*args, **kwargs)
    if isinstance(result, Tensor):
        return Probe(result)
    if isinstance(result, tuple | list) and any(isinstance(r, Tensor) for r in result):
        return [Probe(r) for r in result]
    return result


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
        return Probe(F.stack([tensor_of(v) for v in x]))
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
