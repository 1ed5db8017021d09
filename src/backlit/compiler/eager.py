"""Eager heavy ops: products, convolutions, pooling, scattering and recurrences in native code.

Each is compiled by the same lowering as a captured function, once for each op and each shape and
dtype of its inputs (for matrix products, also for each way in which they lie in memory). What is
given to native code depends on nothing else, neither on values nor on timing or the number of
threads, so results are reproducible. Small work and integers stay with NumPy.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..array_api.arguments import cached
from ..array_api.namespace import TENSORS
from ..autograd import step_back
from ..backend import eager
from ..backend import numpy_backend as NUMPY
from ..dtypes import bool_, float32, float64, int32, int64
from ..errors import ArgumentError
from ..op import Elementwise, Op
from ..ops import convolution, elementwise, indexing, pooling, recurrence
from ..state import Setting, observing
from ..tensor import Tensor, wrap
from ..tree import flatten, unflatten
from .capture.graph import Variable
from .capture.trace import Capture, trace
from .plan import threads

if TYPE_CHECKING:
    from .plan.plan import Plan

#: Multiplications from which a convolution or a recurrence is given to native code.
PRODUCT = 1 << 20
#: Multiplications from which a matrix product is: from here on OpenBLAS would use threads of its
#: own, which go on spinning while ours work.
MATRIX = 1 << 18
#: Elements read from which pooling is.
WINDOW = 1 << 18
#: Elements from which scattering is.
SCATTER = 1 << 13
#: How many elements an element-wise op computes at a time, so that few programs do for all sizes.
#: Fewer are left to NumPy.
BLOCKS = (1 << 18, 1 << 16, 1 << 14, 1 << 12)
#: Elements from which simple element-wise ops are native.
SIMPLE = 1 << 14
#: Elements from which other ops are run as a whole.
WHOLE = 1 << 16
#: Steps up to which a recurrence is: code for longer ones takes too long to make.
STEPS = 256
#: Rows and columns that a product must have at least: others read memory more than they multiply.
_BLOCK = 8
#: How many kinds of work are kept; then the ones not met for longest are forgotten.
KINDS = 256
#: Arenas kept for the next call: how many, and up to how many bytes each.
_ARENAS, _ARENA_BYTES = 4, 64 << 20

_FLOATS = (float32, float64)
_INDICES = (int32, int64)
_LABELS = (int64, bool_)


class NativeOpsCacheInfo(NamedTuple):
    """What is kept of heavy eager ops: kinds at most, kinds now, bytes of machine code."""

    maxsize: int
    currsize: int
    code_bytes: int


class NativeOp:
    """One op for one kind of inputs, as native code.

    It holds no arrays and has no state, so any number of threads may run it at once.
    """

    def __init__(self, plan: Plan):
        assert plan.driver is not None
        self.driver = plan.driver
        self.used = 0  # when it was last run
        self.arena_size = plan.arena.size
        self.slots = len(plan.table)
        graph = plan.graph
        self.inputs = [plan.buffers.slots[v] for v in graph.inputs]
        self.constants = [
            (plan.buffers.slots[v], np.asarray(array, order="C"))
            for v, array in graph.constants.items()
        ]
        slots, made = plan.buffers.slots, plan.buffers.made
        self.outputs = [(slots[plan.buffers.storage(v)], v, v in made) for v in graph.outputs]

    def __call__(self, arrays: tuple[np.ndarray, ...]) -> list[np.ndarray] | None:
        """The results, or None if an index was out of range."""
        table = (ctypes.c_void_p * self.slots)()
        held: dict[int, np.ndarray] = {}
        for slot, array in self.constants:
            held[slot] = array
        for slot, array in zip(self.inputs, arrays, strict=True):
            flags = array.flags
            if not flags.c_contiguous or not flags.aligned:
                array = np.array(array, order="C")
            held[slot] = array
        for slot, v, made in self.outputs:
            if made and slot not in held:
                held[slot] = np.empty(v.shape, v.dtype)
        for slot, array in held.items():
            table[slot] = array.__array_interface__["data"][0]
        flag = ctypes.c_int32(0)
        arena = _borrow(self.arena_size)
        threads.run(
            self.driver,
            ctypes.addressof(table),
            arena.__array_interface__["data"][0],
            ctypes.addressof(flag),
        )
        _give_back(arena)
        if flag.value:
            return None
        results: list[np.ndarray] = []
        for slot, _, made in self.outputs:
            array = held[slot]
            fresh = made and not any(array is r for r in results)
            results.append(array if fresh else array.copy())
        return results

    def sweep(self, arrays: tuple[np.ndarray, ...], y: np.ndarray, starts: Sequence[int]) -> None:
        """Run on as many elements as it is made for, from each of the starts."""
        table = (ctypes.c_void_p * self.slots)()
        for slot, array in self.constants:
            table[slot] = array.__array_interface__["data"][0]
        held = [*zip(self.inputs, arrays, strict=True), (self.outputs[0][0], y)]
        places = [(s, a.__array_interface__["data"][0], a.itemsize) for s, a in held]
        flag = ctypes.c_int32(0)
        at, met = ctypes.addressof(table), ctypes.addressof(flag)
        arena = _borrow(self.arena_size)
        scratch = arena.__array_interface__["data"][0]
        for start in starts:
            for slot, place, size in places:
                table[slot] = place + start * size
            threads.run(self.driver, at, scratch, met)
        _give_back(arena)


_arenas: list[np.ndarray] = []


def _borrow(size: int) -> np.ndarray:
    """An arena that nobody else uses; lists hand out their elements one at a time."""
    from .plan.memory import aligned

    try:
        arena = _arenas.pop()
    except IndexError:
        return aligned(size)
    return arena if arena.size >= size else aligned(size)


def _give_back(arena: np.ndarray) -> None:
    if arena.size <= _ARENA_BYTES and len(_arenas) < _ARENAS:
        _arenas.append(arena)


class Numpys:
    """Work that has a part which only NumPy can do."""

    used = 0

    def __call__(self, arrays: tuple[np.ndarray, ...]) -> None:
        """NumPy is to do all of it."""


_programs: dict[Any, NativeOp | Numpys] = {}
_uses = itertools.count(1)
_lock = threading.RLock()


def _after_fork() -> None:
    """The thread that held the lock may not exist in the child."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _run(key: Any, function: Callable[..., Any], arrays: tuple[Any, ...]) -> Any:
    """The results of a function of Tensors by the program for a key, made on first use.

    None if NumPy is to compute them: there is no program, or it met an index out of range.
    """
    try:
        program = _programs[key]
    except KeyError:
        program = _made(key, function, arrays)
    program.used = next(_uses)
    return program(arrays)


def _made(key: Any, function: Callable[..., Any], arrays: tuple[Any, ...]) -> NativeOp | Numpys:
    with _lock:
        program = _programs.get(key)
        if program is None:
            from .plan.plan import Plan  # with LLVM, loaded when it is needed

            plan = Plan(_traced(function, arrays))
            program = NativeOp(plan) if plan.driver else Numpys()
            while len(_programs) >= KINDS:
                del _programs[min(_programs, key=lambda k: _programs[k].used)]
            _programs[key] = program
        return program


def _traced(function: Callable[..., Any], arrays: tuple[Any, ...]) -> Capture:
    """The captured function; whoever watches ops does not see it."""
    with observing(alone=True), Setting(grad_enabled=False):
        abstract = tuple(wrap(Variable(a.shape, a.dtype)) for a in arrays)
        return trace(function, abstract, {}, guarded=False)


def _kind(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([(a.shape, a.dtype.char) for a in arrays])


def _one(cls: Any, values: tuple[Any, ...], arrays: tuple[Any, ...]) -> np.ndarray | None:
    """The value of a primitive."""
    op = cached(cls, *values)
    results = _run((op, *_kind(arrays)), lambda *xs: op.forward(TENSORS, *xs), arrays)
    return None if results is None else results[0]


def _floats(*arrays: Any) -> bool:
    """Whether all are float32 or all float64, in this machine's byte order."""
    dtype = arrays[0].dtype
    return dtype in _FLOATS and all(a.dtype == dtype for a in arrays)


def _pointwise(
    key: Any, function: Callable[..., Any], arrays: tuple[Any, ...], least: int = SIMPLE
) -> Any:
    """A function of the elements at each place, in blocks; None if NumPy is to compute it."""
    shape, dtype, n = arrays[0].shape, arrays[0].dtype, arrays[0].size
    if n < least or not _floats(*arrays) or any(a.shape != shape for a in arrays):
        return None
    flat = tuple([np.ascontiguousarray(a) for a in arrays])
    y: Any = None
    for block, starts in _blocks(n):
        kind = (key, block, dtype.char)
        try:
            program = _programs[kind]
        except KeyError:
            program = _made(kind, function, (np.empty(block, dtype),) * len(arrays))
        program.used = next(_uses)
        if isinstance(program, Numpys):
            return None
        if y is None:
            y = np.empty(shape, program.outputs[0][1].dtype)
        program.sweep(flat, y, starts)
    return y


def _blocks(n: int) -> Iterator[tuple[int, list[int]]]:
    """Sizes of blocks, and where those begin that cover n elements; the last may overlap."""
    begin = 0
    for block in BLOCKS:
        starts = [*range(begin, n - block + 1, block)]
        begin += len(starts) * block
        if block == BLOCKS[-1] and begin < n:
            starts.append(n - block)
        if starts:
            yield block, starts


# -- the heavy functions of the namespace -------------------------------------------------------


def _matmul(a: Any, b: Any) -> Any:
    if (
        a.ndim > 1
        and b.ndim > 1
        and a.size * b.shape[-1] >= MATRIX
        and a.shape[-1] == b.shape[-2]
        and a.shape[-2] >= _BLOCK <= b.shape[-1]
        and (b.ndim == 2 or a.shape[:-2] == b.shape[:-2])
        and _floats(a, b)
    ):
        turned = _lies_turned(a), _lies_turned(b)
        arrays = (a.mT if turned[0] else a, b.mT if turned[1] else b)
        results = _run(("matmul", turned, *_kind(arrays)), _PRODUCTS[turned], arrays)
        if results is not None:
            return results[0]
    return NUMPY.matmul(a, b)


def _lies_turned(x: np.ndarray) -> bool:
    return not x.flags.c_contiguous and bool(x.mT.flags.c_contiguous)


_PRODUCTS: dict[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): lambda a, b: TENSORS.matmul(a, b),
    (False, True): lambda a, b: TENSORS.matmul(a, b.mT),
    (True, False): lambda a, b: TENSORS.matmul(a.mT, b),
    (True, True): lambda a, b: TENSORS.matmul(a.mT, b.mT),
}


def _if_large(
    cls: type[Op], is_large: Callable[..., bool], *, indices: bool = False
) -> Callable[..., Any]:
    """A primitive's function of floats: native where `is_large` of arrays and attributes.

    Arrays stand first, all but the first of them `indices`, then the attributes, some by name.
    """
    plain = getattr(NUMPY, cls.name)

    def function(*args: Any, **named: Any) -> Any:
        count = len(args) + len(named) - len(cls.attributes)
        last = cls.attributes[len(cls.attributes) - len(named) :]
        arrays, values = args[:count], (*args[count:], *[named[a] for a in last])
        floats = arrays[:1] if indices else arrays
        known = _floats(*floats) and all(a.dtype in _INDICES for a in arrays[len(floats) :])
        if known and is_large(*arrays, *values):
            result = _one(cls, values, arrays)
            if result is not None:
                return result
        return plain(*args, **named)

    return function


def _multiplies(x: Any, weight: Any, stride: tuple[int, ...], *_: Any) -> bool:
    return x.size * weight.size // max(1, x.shape[1] * math.prod(stride)) >= PRODUCT


def _multiplies_back(y: Any, weight: Any, *_: Any) -> bool:
    return y.size * weight.size // max(1, y.shape[1]) >= PRODUCT


def _multiplies_to_weight(y: Any, x: Any, *attributes: Any) -> bool:
    *_, groups, kernel = attributes
    return y.size * x.shape[1] // groups * math.prod(kernel) >= PRODUCT


def _pools(*args: Any) -> bool:
    return max(getattr(x, "size", 0) for x in args) >= WINDOW


def _scatters(x: Any, *_: Any) -> bool:
    return x.size >= SCATTER


def _by_places(cls: type[Op], *dtypes: np.dtype) -> Callable[..., Any]:
    """A function of numbers, for the types of which native code computes several at once."""
    op = cls()
    plain = getattr(NUMPY, op.name)

    def function(*xs: Any) -> Any:
        if all(type(x) is np.ndarray and x.dtype in dtypes for x in xs):
            y = _pointwise(op, lambda *ts: op.forward(TENSORS, *ts), xs, BLOCKS[-1])
            if y is not None:
                return y
        return plain(*xs)

    return function


def _tan(x: Any) -> Any:
    """NumPy's sine and cosine of float32 compute several at once, its tangent does not."""
    many = x.dtype == float32 and x.size >= BLOCKS[-1]
    return NUMPY.sin(x) / NUMPY.cos(x) if many else NUMPY.tan(x)


def _pow(a: Any, b: Any) -> Any:
    """Small whole powers are products; NumPy takes logarithms."""
    if type(b) in (int, float) and b in _POWERS and type(a) is np.ndarray:
        y = _pointwise(("pow", b), lambda x: TENSORS.pow(x, b), (a,))
        if y is not None:
            return y
    return NUMPY.pow(a, b)


_POWERS = (2, 3, 4, -1, -2)


def _divided(name: str) -> Callable[..., Any]:
    """The floor of a quotient of float32, or what it leaves, in float64.

    That has the bits of NumPy's result as long as the quotient is a whole number of float32.
    """
    plain = getattr(NUMPY, name)

    def near(a: Tensor, b: Tensor) -> Tensor:
        x, y = a.astype(float64), b.astype(float64)
        whole = TENSORS.floor(x / y)
        rest = x - whole * y
        off = TENSORS.logical_and(rest != 0, (rest < 0) != (y < 0))  # the quotient was rounded up
        if name == "floor_divide":
            whole = TENSORS.where(off, whole - 1, whole)
            return TENSORS.where(whole == 0, TENSORS.copysign(0 * whole, x / y), whole).astype(
                float32
            )
        rest = TENSORS.where(off, rest + y, rest)
        return TENSORS.where(rest == 0, TENSORS.copysign(0 * rest, y), rest).astype(float32)

    def function(a: Any, b: Any) -> Any:
        both = type(a) is type(b) is np.ndarray and a.dtype == b.dtype == float32
        both = both and a.shape == b.shape and a.size >= SIMPLE
        if both and NUMPY.max(np.abs(a), None) < _QUOTIENT * NUMPY.min(np.abs(b), None):
            y = _pointwise(("near", name), near, (a, b))
            if y is not None:
                return y
        return plain(a, b)

    return function


#: Quotients below this are found in float64 without an error.
_QUOTIENT = 1 << 22

_HEAVY: dict[str, Callable[..., Any]] = {
    **{
        cls.name: _by_places(cls, float32, float64)
        for cls in (
            elementwise.Expm1,
            elementwise.Log1p,
            elementwise.Erf,
            elementwise.Erfc,
            elementwise.Logaddexp,
            elementwise.Nextafter,
            elementwise.Sign,
        )
    },
    **{
        cls.name: _by_places(cls, float32)
        for cls in (
            elementwise.Atan,
            elementwise.Atan2,
            elementwise.Asin,
            elementwise.Acos,
            elementwise.Atanh,
            elementwise.Sinh,
            elementwise.Cosh,
            elementwise.Log2,
            elementwise.Log10,
            elementwise.Hypot,
        )
    },
    "tan": _tan,
    "pow": _pow,
    "remainder": _divided("remainder"),
    "floor_divide": _divided("floor_divide"),
    "matmul": _matmul,
    "convolution": _if_large(convolution.Convolution, _multiplies),
    "convolution_input": _if_large(convolution.ConvolutionInput, _multiplies_back),
    "convolution_weight": _if_large(convolution.ConvolutionWeight, _multiplies_to_weight),
    **{
        cls.name: _if_large(cls, _pools)
        for cls in (
            pooling.MaxPool,
            pooling.MaxPoolRoute,
            pooling.MaxPoolPick,
            pooling.WindowSum,
            pooling.WindowSpread,
        )
    },
    **{
        cls.name: _if_large(cls, _scatters, indices=True)
        for cls in (indexing.ScatterAdd, indexing.TakeAdd, indexing.PutAlongAxisAdd)
    },
}

# -- ops that are run as a whole ----------------------------------------------------------------


def _worth(op: Any, arrays: tuple[Any, ...], blocks: int = 1) -> bool:
    floats = [a for a in arrays if getattr(a, "dtype", None) not in _LABELS]
    if not floats or not all(type(a) is np.ndarray for a in arrays) or not _floats(*floats):
        return False
    if isinstance(op, recurrence.Recurrence):
        return op.work(*arrays) >= PRODUCT and arrays[0].shape[0] <= STEPS * blocks
    return max(a.size for a in arrays) >= WHOLE


def _gradient(op: Any, upstream: Any, saved: tuple[Any, ...]) -> Any:
    """The gradient of an element-wise op of one input."""
    if type(upstream) is not np.ndarray:
        return None
    return _pointwise(("backward", op), lambda *ts: op.backward(TENSORS, *ts), (upstream, *saved))


def _forward(op: Any, arrays: tuple[Any, ...]) -> Any:
    """The value of a whole op, or None if that is NumPy's to compute."""
    if isinstance(op, Elementwise):
        return _pointwise(op, lambda *xs: op.forward(TENSORS, *xs), arrays)
    if not _worth(op, arrays):
        return None
    results = _run((op, *_kind(arrays)), lambda *xs: op.forward(TENSORS, *xs), arrays)
    return None if results is None else results[0]


#: Which inputs have no gradient, for each kind of op whose backward was compiled.
_absent: dict[type[Op], tuple[int, ...]] = {}


def _backward(op: Any, upstream: Any, saved: tuple[Any, ...]) -> Any:
    """All gradients of a whole op: the same program, and bits, whichever of them are wanted."""
    if isinstance(op, Elementwise):
        return _gradient(op, upstream, saved)
    leaves, tree = flatten(saved)
    arrays = (upstream, *[x for x in leaves if type(x) is np.ndarray])
    if not _worth(op, arrays, getattr(op, "blocks", 1)):
        return None
    others = tuple([None if type(x) is np.ndarray else x for x in leaves])

    def gradients(grad_y: Tensor, *rest: Tensor) -> Any:
        following = iter(rest)
        filled = [next(following) if x is None else x for x in others]
        given = step_back(op, grad_y, unflatten(tree, filled), None, xp=TENSORS)
        _absent[type(op)] = tuple([i for i, g in enumerate(given) if g is None])
        return [g for g in given if g is not None]

    key = ("backward", op, tree, others, *_kind(arrays))
    results = _run(key, gradients, arrays)
    if results is None:
        return None
    for place in _absent[type(op)]:
        results.insert(place, None)
    return tuple(results)


# -- the switch ---------------------------------------------------------------------------------


def set_native_ops(enabled: bool) -> None:
    """Say whether heavy eager ops run in native code (they do) or in NumPy.

    The environment variable `BACKLIT_NATIVE_OPS=0` switches them off from the start. Results differ
    in the last digits, because sums are taken in another order.

    >>> set_native_ops(False); get_native_ops()
    False
    >>> set_native_ops(True)
    """
    if not isinstance(enabled, bool):
        raise ArgumentError(f"set_native_ops: enabled must be True or False, got {enabled!r}")
    for name, function in _HEAVY.items():
        setattr(eager.EAGER, name, function if enabled else getattr(NUMPY, name))
    eager.Given.forward = _forward if enabled else None
    eager.Given.backward = _backward if enabled else None


def get_native_ops() -> bool:
    """Whether heavy eager ops run in native code."""
    return eager.Given.forward is not None


def native_ops_cache_info() -> NativeOpsCacheInfo:
    """How many kinds of heavy eager work have native code, and how large that is.

    >>> native_ops_cache_info().maxsize
    256
    """
    with _lock:
        code = sum(p.driver.library.nbytes for p in _programs.values() if isinstance(p, NativeOp))
        return NativeOpsCacheInfo(KINDS, len(_programs), code)


def native_ops_cache_clear() -> None:
    """Forget the native code of heavy eager ops; it is made again where it is needed.

    >>> native_ops_cache_clear(); native_ops_cache_info().currsize
    0
    """
    with _lock:
        _programs.clear()
        _arenas.clear()


if os.environ.get("BACKLIT_NATIVE_OPS", "1") != "0":
    set_native_ops(True)
