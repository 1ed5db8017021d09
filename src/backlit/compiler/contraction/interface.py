"""What goes into a kernel beside its specification, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from ..llvm.builder import Function, Value
from .schedule import Schedule
from .spec import Contraction


@dataclass(frozen=True)
class Epilogue:
    """What becomes of a sum before it is stored.

    `prepare(function, constants)` gets the extra operands that are one element each, once, and
    returns what `emit` wants of them. `emit(function, sums, extras, prepared)` gets a vector of
    sums and one vector for each other extra operand at the same indices, and returns one vector for
    each output. Elements are as they lie in memory: truth values bytes, bfloat16 16 bits. Equal
    keys must mean equal code.
    """

    key: Hashable
    emit: Callable[[Function, Value, list[Value], list[Value]], list[Value]]
    prepare: Callable[[Function, list[Value]], list[Value]] = lambda f, values: values


PLAIN = Epilogue("store", lambda f, value, extras, prepared: [value])


@dataclass(frozen=True)
class Kernel:
    """A function `void name(ptr buffers, i64 phase, i64 part, i64 parts, ptr scratch)`.

    Run every phase from 0 to phases - 1 with every part from 0 to parts - 1, parts in any order or
    at once, with a barrier between phases. The result does not depend on `parts`. `scratch` points
    to that many bytes, aligned to 64, shared by all parts; its contents need not be kept.
    """

    name: str
    phases: int
    scratch: int
    spec: Contraction
    schedule: Schedule
    #: The function and what it needs, as LLVM reads it.
    code: str
