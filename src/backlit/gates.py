"""Which op is a gate that somebody has written by hand, in the way of lectures, with NumPy?

    class MultiplyGate:
        def forward(self, x, y):
            self.x, self.y = x, y
            return x * y
        def backward(self, dz):
            return [self.y * dz, self.x * dz]

Or a pair of functions, `forward(*inputs)` and `backward(dz, *inputs)`. Where `forward` returns two
things, the second is the cache: `backward(dz, cache)`. Inputs of whole numbers need no gradient.
An object whose `forward` returns several outputs of one shape gets their gradients as arguments,
`backward(da, db)`, or in one list. Each gradient has its input's shape: what NumPy spreads in
`forward`, `backward` sums.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import tensor
from .dtypes import FLOATING
from .errors import ArgumentError
from .foreign import words
from .op import Op
from .tensor import Tensor

#: Of each gate, and of the first function of each pair: the inputs of its last call, and the cache
#: that it returned. What a gate itself remembers belongs to those inputs.
_LAST: weakref.WeakKeyDictionary[Any, tuple[tuple[Any, ...], Any]] = weakref.WeakKeyDictionary()
#: What stands for the cache of a gate that has none.
NO_CACHE = object()


class Gate(Op):
    """The op of a gate: `value` computes, and leaves where `slopes` finds it what that needs."""

    sums_itself = True

    owner: Any
    value: Callable[..., Any]
    slopes: Callable[..., Any]
    is_pair: bool
    several = False  # whether its last value was a list of outputs

    def forward(self, xp: Any, *inputs: Any) -> Any:
        """The gate's own value."""
        return self._run(inputs)[0]

    def backward(self, xp: Any, grad_y: Any, *saved: Any) -> Any:
        """The gate's own gradients, after its `forward` of these inputs."""
        inputs = _flat(saved)
        cache = self.remembered(inputs)
        own = grad_y.copy() if isinstance(grad_y, np.ndarray) else grad_y  # it may write there
        if not self.is_pair:
            given = self.slopes(*self.arrived(own))
        elif cache is NO_CACHE:
            given = self.slopes(own, *map(_protected, inputs))
        else:
            given = self.slopes(own, cache)
        return _gradients(self, given, inputs)

    def with_backward(self, function: Callable[..., Any]) -> Gate:
        """The gate with another function for its slopes."""
        made = copy.copy(self)
        bound = getattr(self.slopes, "__self__", None)
        made.__dict__["slopes"] = function if bound is None else types.MethodType(function, bound)
        return made

    def arrived(self, grad_y: Any) -> tuple[Any, ...]:
        """The upstream gradient as an object's `backward` takes it: that of each output on its own
        where it has an argument for each, else all in one.
        """
        plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        declared = inspect.signature(self.slopes).parameters.values()
        takes = sum(p.kind in plain and p.default is p.empty for p in declared)
        each = self.several and takes > 1 and grad_y.shape[0] == takes
        return tuple([grad_y[i] for i in range(takes)]) if each else (grad_y,)

    def remembered(self, inputs: tuple[Any, ...]) -> Any:
        """The cache after `forward` of these inputs; an object keeps its own."""
        cache = _remembered(self.owner, inputs)
        return self._run(inputs)[1] if cache is None else cache

    def _run(self, inputs: tuple[Any, ...]) -> tuple[Any, Any]:
        """The value and the cache."""
        y, cache = self.value(*map(_protected, inputs)), NO_CACHE
        if self.is_pair and isinstance(y, tuple) and len(y) == 2:
            y, cache = y
        self.__dict__["several"] = isinstance(y, tuple | list)
        with contextlib.suppress(TypeError):  # no weak reference to it: forward is done again
            _LAST[self.owner] = inputs, cache
        return _value(y, inputs), cache


def apply(op: Any, *inputs: Any) -> Tensor:
    """Apply an op to Tensors (and Python numbers): run it and put it on the tape.

    An op is an `Op`, or a gate as lectures write it: a class (or an object) with `forward(x, y)`
    and `backward(dz)`, or a pair of functions; both compute with NumPy arrays. Errors name the op,
    the arguments, the condition and the module.

    >>> class MultiplyGate:
    ...     def forward(self, x, y):
    ...         self.x, self.y = x, y
    ...         return x * y
    ...     def backward(self, dz):
    ...         return [self.y * dz, self.x * dz]
    >>> x, y = [tensor.tensor(v, requires_grad=True) for v in (2.0, -4.0)]
    >>> apply(MultiplyGate(), x, y).backward()
    >>> x.grad, y.grad
    (Tensor(-4., shape=(), dtype=float32), Tensor(2., shape=(), dtype=float32))
    """
    return tensor.apply(op if isinstance(op, Op) else as_op(op, "apply"), *inputs)


def is_gate(subject: Any) -> bool:
    """Whether something is a gate as lectures write it: an object, a class or a pair."""
    if isinstance(subject, tuple | list):
        return len(subject) == 2 and all(callable(f) and not isinstance(f, type) for f in subject)
    return callable(getattr(subject, "forward", None)) and callable(
        getattr(subject, "backward", None)
    )


def as_op(subject: Any, what: str) -> Op:
    """The op itself, one of a class of ops, or that of a gate. `what` begins the message."""
    if isinstance(subject, Op):
        return subject
    if isinstance(subject, type) and issubclass(subject, Op):
        return subject()
    if not is_gate(subject):
        kind, _ = words(subject)
        raise ArgumentError(
            f"{what}: the op must be a backlit.Op, an object with forward(x, …) and backward(dz), "
            f"or a pair of functions (forward, backward), got {kind}"
        )
    if isinstance(subject, tuple | list):
        value, slopes = subject
        name = getattr(value, "__name__", type(value).__name__)
        return _made(name, value, value, slopes, is_pair=True)
    gate = subject
    if isinstance(subject, type):
        try:
            gate = subject()
        except TypeError as error:
            raise ArgumentError(
                f"{what}: {subject.__name__} cannot be made without arguments: {error}; give an "
                f"instance, as {subject.__name__}(…)"
            ) from None
    return _made(type(gate).__name__, gate, gate.forward, gate.backward, is_pair=False)


def _made(name: str, owner: Any, value: Any, slopes: Any, *, is_pair: bool) -> Op:
    """An op of a class of its own, whose inputs have the names that `forward` gives them."""
    keywords = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    declared = inspect.signature(value).parameters.values()
    inputs = [p for p in declared if p.kind not in keywords and p.default is p.empty]
    holder = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)

    def forward(self: Gate, xp: Any, *arrays: Any) -> Any:
        return Gate.forward(self, xp, *arrays)

    def backward(self: Gate, xp: Any, grad_y: Any, *saved: Any) -> Any:
        return Gate.backward(self, xp, grad_y, *saved)

    forward.__wrapped__, backward.__wrapped__ = value, slopes  # type: ignore[attr-defined]
    signature = [holder, holder.replace(name="xp"), *inputs]
    forward.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p if p.kind is p.VAR_POSITIONAL else p.replace(kind=p.POSITIONAL_ONLY) for p in signature]
    )
    namespace: dict[str, Any] = {
        "__module__": getattr(value, "__module__", None) or "",
        "saves": tuple([p.name for p in inputs]),
        "forward": forward,
        "backward": backward,
        "name": name if name.isidentifier() else "gate",
    }
    op = type(namespace["name"], (Gate,), namespace)()
    op.__dict__.update(owner=owner, value=value, slopes=slopes, is_pair=is_pair)
    return op


# -- arrays in and out --------------------------------------------------------------------------


def _protected(x: Any) -> Any:
    """An input that the gate cannot write to: others need it, too."""
    if not isinstance(x, np.ndarray):
        return x
    view = x.view()
    view.flags.writeable = False
    return view


def _flat(saved: Sequence[Any]) -> tuple[Any, ...]:
    """The inputs, of which a variadic gate has a tuple."""
    found: list[Any] = []
    for value in saved:
        found += value if isinstance(value, tuple) else [value]
    return tuple(found)


def _value(y: Any, inputs: Sequence[Any]) -> Any:
    """What a gate returns, as an array; a Python number has the inputs' dtype."""
    if isinstance(y, bool | int | float):
        dtypes = [x.dtype for x in inputs if hasattr(x, "dtype") and x.dtype.kind == "f"]
        return np.asarray(y, dtypes[0] if dtypes else None)
    return y if isinstance(y, Tensor) else np.asarray(y)


def _gradients(op: Op, given: Any, inputs: Sequence[Any]) -> Any:
    """What a gate's backward returns, as a tuple with one for each input.

    Labels and indices, which are whole numbers, may be left out.
    """
    found = list(given) if isinstance(given, tuple | list) else [given]
    floating = [getattr(x, "dtype", None) in FLOATING for x in inputs]
    if len(found) == sum(floating) < len(inputs):
        rest = iter(found)
        found = [next(rest) if is_floating else None for is_floating in floating]
    if len(found) != len(inputs):
        raise ArgumentError(
            f"{op.name}.backward must return a gradient for each of {len(inputs)} inputs, "
            f"got {len(found)}"
        )
    return tuple([g if g is None or isinstance(g, Tensor) else np.asarray(g) for g in found])


def _remembered(owner: Any, inputs: tuple[Any, ...]) -> Any:
    """The cache of the last call, if that was of these inputs; else None."""
    try:
        last, cache = _LAST.get(owner, ((), None))
    except TypeError:
        return None
    same = len(last) == len(inputs) and all(a is b for a, b in zip(last, inputs, strict=True))
    return cache if same else None


__all__ = ["NO_CACHE", "Gate", "apply", "as_op", "is_gate"]
