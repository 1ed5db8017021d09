"""What something is that is no array of numbers, in words, and how to make numbers of it."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterator, KeysView, Mapping, ValuesView
from typing import Any

import numpy as np

from .errors import ArgumentError

#: Kinds of NumPy arrays whose elements are not numbers: what they are, and what to do.
_ELEMENTS = {
    "U": ("texts", "number the classes first: np.unique(labels, return_inverse=True)[1]"),
    "c": ("complex numbers", "use the real and imaginary parts, x.real and x.imag"),
    "M": ("dates", "make numbers of them: (x - x.min()) / np.timedelta64(1, 's')"),
    "m": ("time spans", "make numbers of them: x / np.timedelta64(1, 's')"),
    "V": (
        "records",
        "take a field, as x['name']",
    ),
}
_ELEMENTS |= {"S": _ELEMENTS["U"], "T": _ELEMENTS["U"]}

#: Python's own things: what they are, and what to do.
_THINGS: tuple[tuple[Any, str, str], ...] = (
    (type(None), "None", "give a value: does a function lack its return?"),
    (os.PathLike, "a path", "read the file first, as with np.load"),
    (str | bytes, "a text", _ELEMENTS["U"][1]),
    (complex, "a complex number", _ELEMENTS["c"][1]),
    (slice, "a slice", "use backlit.arange"),
    (Mapping, "a dict", "give one of its values, or a list of them"),
    (set | frozenset, "a set", "give it an order: sorted(x)"),
    (KeysView | ValuesView, "a view of a dict", "use list(x)"),
    (type, "a class", "make an instance of it"),
    (Iterator, "a generator or iterator", "use list(x)"),
    (int, "an integer beyond 64 bits", "write it as a float"),
    (numbers.Number, "a number of another kind", "use float(x)"),
)


def words(thing: Any) -> tuple[str, str]:
    """What a thing is that NumPy makes no numbers of, and the cure.

    >>> words(["cat", "dog"])
    ("texts, ['cat', 'dog']", 'number the classes first: np.unique(labels, return_inverse=True)[1]')
    >>> words(None)
    ('None', 'give a value: does a function lack its return?')
    """
    if isinstance(thing, np.ndarray | np.generic):
        return _of_array(np.asarray(thing))
    if isinstance(thing, list | tuple):
        return _of_sequence(thing)
    if _is_number(thing):
        return f"a number, {thing!r}", "give what is asked for"
    for kind, name, cure in _THINGS:
        if isinstance(thing, kind):
            return (name if thing is None else f"{name}, {_short(thing)}"), cure
    cure = "call it and give what it returns" if callable(thing) else "give numbers or an array"
    return f"an object of class {type(thing).__name__}, {_short(thing)}", cure


def require_dict(what: str, state: Any) -> None:
    """Raise unless a state to be loaded is a dict, as `state_dict()` gives."""
    if isinstance(state, Mapping):
        return
    kind, cure = words(state)
    if isinstance(state, str | bytes | os.PathLike):
        cure = "read the file first: backlit.load_tensors(path), or train.load_checkpoint(path)"
    elif hasattr(state, "state_dict"):
        cure = "use its state_dict()"
    else:
        cure = "give what state_dict() gave"
    raise ArgumentError(f"{what}: the state must be a dict, got {kind}; {cure}")


def require_function(what: str, function: Any) -> None:
    """Raise unless something can be called; `what` begins the message: "jvp: f"."""
    if not callable(function):
        raise ArgumentError(f"{what} must be a function, got {words(function)[0]}")


def _short(thing: Any) -> str:
    text = " ".join(repr(thing).split())
    return text if len(text) <= 50 else f"{text[:47]}..."


def _of_array(array: np.ndarray) -> tuple[str, str]:
    kind = array.dtype.kind
    if kind == "O":
        strange = [x for x in array.flat if not _is_number(x)]
        if strange:
            what, cure = words(strange[0])
            return f"an array of objects, among them {what}", cure
        return "an array of Python objects", "cast it first: x.astype('float32')"
    if kind in _ELEMENTS and (kind != "V" or array.dtype.names):
        name, cure = _ELEMENTS[kind]
        return f"an array of {name} ({array.dtype})", cure
    return f"an array of {array.dtype}", "cast it first: x.astype('float32')"


def _of_sequence(sequence: Any) -> tuple[str, str]:
    """The first thing in nested lists that is no number; else the nesting itself is irregular."""
    stack = [sequence]
    while stack:
        thing = stack.pop()
        if isinstance(thing, list | tuple):
            stack.extend(reversed(thing))
        elif isinstance(thing, str | bytes):
            return f"texts, {_short(sequence)}", _ELEMENTS["U"][1]
        elif not _is_number(thing) and not hasattr(thing, "__array__"):
            what, cure = words(thing)
            return f"a sequence that holds {what}", cure
    if _is_regular(sequence):
        return f"a {type(sequence).__name__}, {_short(sequence)}", "give numbers or an array"
    return (
        f"lists of different lengths or depths, {_short(sequence)}",
        "give all of them one length, as by padding",
    )


def _is_regular(sequence: Any) -> bool:
    """Whether nested lists have one length at each depth."""
    sizes = {len(x) if isinstance(x, list | tuple) else getattr(x, "shape", ()) for x in sequence}
    return len(sizes) < 2 and all(_is_regular(x) for x in sequence if isinstance(x, list | tuple))


def _is_number(x: Any) -> bool:
    return isinstance(x, bool | int | float) and not (isinstance(x, int) and x.bit_length() > 64)
