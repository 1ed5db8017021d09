"""Types and constants as LLVM writes them."""

from __future__ import annotations

import functools
import struct

import numpy as np

FLOATS = {"float", "double"}


def vector_type(element: str, lanes: int) -> str:
    """The type of a vector."""
    return f"<{lanes} x {element}>"


@functools.cache
def lanes_of(type: str) -> int | None:
    """The lanes of a vector type; None of any other."""
    return int(type[1:-1].split(" x ")[0]) if type[0] == "<" else None


@functools.cache
def element_of(type: str) -> str:
    """The type of one lane of a vector type; any other type as it is."""
    return type[1:-1].split(" x ")[1] if type[0] == "<" else type


@functools.cache
def bytes_of(type: str) -> int:
    """The bytes of a number in memory; of a vector, those of one lane."""
    element = element_of(type)
    known = {"half": 2, "bfloat": 2, "float": 4, "double": 8, "ptr": 8}.get(element)
    return known or max(int(element[1:]) // 8, 1)


@functools.cache
def suffix_of(type: str) -> str:
    """The type in the names of intrinsics."""
    lanes, element = lanes_of(type), element_of(type)
    short = {"half": "f16", "float": "f32", "double": "f64", "ptr": "p0"}.get(element, element)
    return short if lanes is None else f"v{lanes}{short}"


def wrapped(number: int, type: str) -> int:
    """A number as an integer type of two's complement holds it; a truth value is 0 or 1."""
    if type == "i1":
        return number & 1
    half = 1 << (int(type[1:]) - 1)
    return (number + half) % (2 * half) - half


def constant(type: str, value: float) -> str:
    """A number as LLVM writes it; floating ones exactly, as bits."""
    lanes = lanes_of(type)
    if lanes is not None:
        one = constant(element_of(type), value)
        return "zeroinitializer" if one in _ZEROS else listed(element_of(type), (one,) * lanes)
    if type == "float":
        with np.errstate(over="ignore"):
            wide = float(np.float32(value))
        return f"0x{struct.unpack('>Q', struct.pack('>d', wide))[0]:016X}"
    if type == "double":
        return f"0x{struct.unpack('>Q', struct.pack('>d', float(value)))[0]:016X}"
    if type == "i1":
        return "true" if value else "false"
    return str(int(value))


_ZEROS = {"0", "false", "0x0000000000000000"}


@functools.lru_cache(1024)
def listed(element: str, values: tuple[object, ...]) -> str:
    """A vector of constants as LLVM writes it."""
    return f"<{', '.join(f'{element} {value}' for value in values)}>"
