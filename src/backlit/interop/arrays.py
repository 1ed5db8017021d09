"""NumPy's arrays and element types in a pickle, read without unpickling."""

from __future__ import annotations

import io
import math
import re
from typing import Any

import numpy as np

from ..errors import DataError
from .pickled import PLAIN, RefusedError, Vocabulary, read, said


class NumpyType:
    """An element type of NumPy's in the making: its order of bytes comes later."""

    def __init__(self, code: Any, *_: Any):
        if not isinstance(code, str) or not re.fullmatch(r"[fiu][1248]|b1", code):
            raise RefusedError(f"holds NumPy's type {said(code)!r}, of which Backlit has none")
        self.dtype = np.dtype(code)


class NumpyArray:
    """An array of NumPy's in the making."""

    def __init__(self, *_: Any):
        pass


#: What the names of NumPy's stand for.
MAKERS: dict[str, Any] = {
    "numpy.dtype": NumpyType,
    "numpy.core.multiarray._reconstruct": NumpyArray,
    "numpy._core.multiarray._reconstruct": NumpyArray,
}


def settle(made: Any, state: Any) -> Any:
    """What was made, with its state."""
    if isinstance(made, NumpyType) and isinstance(state, tuple) and len(state) > 1:
        if state[1] in ("<", ">", "|", "="):
            made.dtype = made.dtype.newbyteorder(state[1])
        return made
    if isinstance(made, NumpyArray) and isinstance(state, tuple) and len(state) == 5:
        _, shape, kind, by_columns, raw = state
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        if isinstance(kind, NumpyType) and isinstance(raw, bytes):
            _require_shape(shape, len(raw), kind.dtype.itemsize)
            flat = np.frombuffer(raw, kind.dtype)
            order: Any = "F" if by_columns else "C"
            return flat.reshape(shape, order=order).astype(kind.dtype.newbyteorder("="))
    raise RefusedError(f"gives a state to a {type(made).__name__}, which has none")


def _require_shape(shape: Any, size: int, itemsize: int) -> None:
    if not isinstance(shape, tuple | list) or not all(type(n) is int and n >= 0 for n in shape):
        raise RefusedError("has sizes or strides that are no integers from 0")
    if math.prod(shape) * itemsize != size:
        raise RefusedError(f"has an array of shape {shape!r:.60} in {size:,} bytes")


def _outside(_: Any) -> Any:
    raise RefusedError("refers to something outside the file")


def read_arrays(data: bytes, path: Any) -> dict[str, Any]:
    """The dictionary that a pickle is: texts, numbers, lists, and arrays of NumPy's.

    Raises DataError, which begins with the path, if it is damaged or asks for more than data.
    """
    vocabulary = Vocabulary({**PLAIN, **MAKERS}, {}, settle, _outside)
    found = read(io.BytesIO(data), vocabulary, path)
    if not isinstance(found, dict):
        raise DataError(f"load: {path} must hold a dictionary, got a {type(found).__name__}")
    return found
