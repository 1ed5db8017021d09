"""What a function holds, modules and Tensors, and how all of it computes in float64 for a while."""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ... import widened
from ...dtypes import FLOATING, float64
from ...nn.module import Module
from ...tensor import Tensor

#: How deep lists, dictionaries and functions are looked through.
_DEPTH = 4
#: Longer ones are not looked through.
_LENGTH = 1000


def global_random_states() -> tuple[Any, Any]:
    """The states of NumPy's and Python's global generators."""
    return np.random.get_state(), random.getstate()


def put_global_random_states(states: tuple[Any, Any]) -> None:
    """Put NumPy's and Python's global generators back to these states."""
    np.random.set_state(states[0])
    random.setstate(states[1])


def modules_of(*functions: Any) -> list[Module]:
    """The modules among the functions, in their closures, and by the global names they use."""
    found: list[Module] = []
    for x in _within(functions):
        if isinstance(x, Module) and not any(x is m for m in found):
            found.append(x)
    return found


def tensors_of(*functions: Any) -> list[Tensor]:
    """The Tensors that functions hold in closures, by global names, and in modules' attributes."""
    found: dict[int, Tensor] = {}
    for x in _within(functions):
        held: Iterable[Any] = (x,)
        if isinstance(x, Module):
            held = _within([v for m in x.modules() for v in vars(m).values()])
        found.update({id(t): t for t in held if isinstance(t, Tensor)})
    return list(found.values())


def _within(values: Iterable[Any], depth: int = _DEPTH) -> Iterator[Any]:
    """The values, what is in containers among them, and what functions among them refer to."""
    for x in values:
        yield x
        if depth and not isinstance(x, Module | Tensor):
            yield from _within(_parts(x), depth - 1)


def _parts(x: Any) -> list[Any]:
    if isinstance(x, list | tuple | dict):
        return list(x.values() if isinstance(x, dict) else x) if len(x) <= _LENGTH else []
    if isinstance(x, functools.partial):
        return [x.func, *x.args, *x.keywords.values()]
    parts = [getattr(x, name, None) for name in ("__self__", "__wrapped__", "function")]
    code = getattr(x, "__code__", None)
    if code is not None:
        variables = x.__globals__
        parts += [variables.get(n) for n in code.co_names if _counts(variables.get(n))]
        parts += [c.cell_contents for c in x.__closure__ or () if _filled(c)]
    return [p for p in parts if p is not None]


def _counts(x: Any) -> bool:
    """Whether a global is looked at: functions among them are not looked through."""
    return isinstance(x, Module | Tensor | list | tuple | dict)


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


@contextlib.contextmanager
def in_float64(modules: Sequence[Module], tensors: Sequence[Tensor] = ()) -> Iterator[None]:
    """Parameters, buffers, other Tensors and all that is computed of them in float64.

    Afterwards everything is as it was.
    """
    held: dict[int, tuple[Tensor, Any]] = {}
    for module in modules:
        for _, t in (*module.named_parameters(), *module.named_buffers()):
            held.setdefault(id(t), (t, t.array))
    for t in tensors:
        if t.node is None and t._part is None:
            held.setdefault(id(t), (t, t.array))
    try:
        for t, array in held.values():
            if t.dtype in FLOATING:
                t.array = array.astype(float64)
        with widened.in_float64():
            yield
    finally:
        for t, array in held.values():
            t.array = array
