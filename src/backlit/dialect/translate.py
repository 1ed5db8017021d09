"""From a line of the table to the function: PyTorch's arguments into ours."""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .. import dtypes
from ..array_api.dialects import UNSAID
from ..calls import marked
from ..dtypes import bool_, float64, int64
from ..errors import ArgumentError, CallError
from ..tensor import Tensor
from . import table

Function = Callable[..., Any]

#: What an argument of PyTorch's is called here, where it has another name. In a method that
#: is ours and PyTorch's at once `array_api.dialects.of_pytorch` does so for `dim` and `keepdim`.
OURS = {"dim": "axis", "keepdim": "keepdims", "dims": "axes"}

#: Other names under which PyTorch itself takes an argument.
_ALSO = {
    "axis": "dim",
    "keepdims": "keepdim",
    "self": "input",
    "x": "input",
    "tensor": "input",
    "x2": "other",
    "value": "src",
    "split_size": "split_size_or_sections",
    "indices": "indices_or_sections",
    "sections": "indices_or_sections",
}

#: What functions of ours call the Tensors that they are functions of.
_OPERANDS = ("x", "x1", "x2", "a", "b", "input")

#: What Python's types mean as a dtype in PyTorch.
_PYTHON: dict[Any, Any] = {float: float64, int: int64, bool: bool_}


#: What is handed on as it is.
_NUMBERS = frozenset({int, float, bool, type(None)})


class Argument(NamedTuple):
    """One argument as PyTorch has it: what it is called there and here, and what if left out."""

    name: str
    ours: str
    default: Any
    required: bool
    by_name: bool  # only
    several: bool  # also as arguments of their own: permute(1, 0) for permute((1, 0))
    elsewhere: bool = False  # an axis, but not of the first argument alone: see `table`


class Line(NamedTuple):
    """One function of the table."""

    name: str
    target: str
    arguments: tuple[Argument, ...]

    @property
    def is_method(self) -> bool:
        """Whether PyTorch's Tensors have it as a method."""
        first = self.arguments[0].name if self.arguments else ""
        return first == "input" and self.name not in table.FUNCTIONS_ALONE.split()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(a.name for a in self.arguments)})"


def lines() -> Iterator[Line]:
    """All lines of the table."""
    for text, arguments in ((table.ELEMENTWISE, ("input",)), (table.PAIRS, ("input", "other"))):
        plain = tuple(Argument(a, a, None, True, False, False) for a in arguments)
        for word in text.split():
            name, _, target = word.partition("=")
            yield Line(name, target or name, plain)
    yield from listed(table.FUNCTIONS)


def listed(text: str) -> Iterator[Line]:
    """The lines of a part of the table."""
    return (_line(row) for row in text.splitlines() if row)


def _line(row: str) -> Line:
    call, _, target = row.partition(" = ") if ") = " in row else (row, "", "")
    name, _, inside = call[:-1].partition("(")
    return Line(name, target or name, tuple(_arguments(inside)))


def _arguments(text: str) -> Iterator[Argument]:
    by_name = False
    for piece in _pieces(text):
        if piece == "*":
            by_name = True
            continue
        left, equals, default = piece.partition("=")
        several = left.startswith("*")
        name, _, ours = left.lstrip("*").rstrip("^").partition(">")
        value = _value(default) if equals else None
        ours = ours or OURS.get(name, name)
        elsewhere = left.endswith("^")
        yield Argument(name, ours, value, not equals, by_name, several, elsewhere)


_value = functools.cache(ast.literal_eval)


def _pieces(text: str) -> list[str]:
    """The arguments between commas, of which some stand inside parentheses."""
    pieces: list[str] = []
    for piece in text.split(", "):
        if pieces and pieces[-1].count("(") > pieces[-1].count(")"):
            pieces[-1] += f", {piece}"
        else:
            pieces.append(piece)
    return pieces


def translated(line: Line, target: Function) -> Function:
    """The function that takes PyTorch's arguments and calls ours with them."""
    arguments = line.arguments
    code = getattr(inspect.unwrap(target), "__code__", None)
    if code is not None and code.co_flags & inspect.CO_VARARGS:
        return target  # f(*tensors), here and there
    places = code.co_varnames[: code.co_argcount] if code is not None else ()
    required = code.co_posonlyargcount if code is not None else len(arguments)
    # Those that stand at the same place here are handed on by place.
    leading = 0
    for i, a in enumerate(arguments):
        same = i < len(places) and (i < max(required, 1) or places[i] in (a.ours, *_OPERANDS))
        if a.by_name or not (same or code is None):
            break
        leading = i + 1
    plain = leading and not any(a.name in _CONVERTED or a.several for a in arguments[:leading])

    # An axis may be named of a Tensor that has none, unless the table marks it.
    named = [a.default for a in arguments if a.name == "dim" and not a.elsewhere]
    alone = named[0] if named else UNSAID
    plain = plain and alone in (UNSAID, None)

    # The usual call, of a Tensor that has axes and of numbers, is handed on without a detour.
    simple = not any(a.several for a in arguments)
    by_place = [a.ours for a in arguments[leading:] if not a.by_name]
    renamed = {a.name: a.ours for a in arguments[leading:]}
    least = sum(a.required for a in arguments)

    def words(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """What is handed on by name in the usual call; None in any other."""
        rest = args[leading:]
        if len(args) < leading or len(rest) > len(by_place) or len(args) + len(kwargs) < least:
            return None
        if not isinstance(args[0], Tensor) or not args[0].array.shape:
            return None
        for x in args[1:]:
            if type(x) not in _NUMBERS:
                return None
        found = dict(zip(by_place, rest))  # noqa: B905  (some may be left out)
        for name, x in kwargs.items():
            if type(x) not in _NUMBERS or renamed.get(name, name) in found or name not in renamed:
                return None
            found[renamed[name]] = x
        return found

    def function(*args: Any, **kwargs: Any) -> Any:
        if plain and not kwargs and len(args) <= leading:
            return target(*args)
        usual = words(args, kwargs) if simple and args else None
        if usual is not None:
            return target(*args[:leading], **usual)
        out = kwargs.pop("out", None)
        given = bound(line, args, kwargs)
        single = alone is not UNSAID and _single(given, alone)
        first = []
        for a in arguments[:leading]:
            if a.name not in given and a.required:
                break
            first.append(given.pop(a.name, a.default))
        y = target(*first, **{a.ours: given[a.name] for a in arguments if a.name in given})
        if single:
            y = _without_axis(y)
        return y if out is None else into(line.name, out, y)

    function.__name__ = line.name
    function.__qualname__ = line.name
    function.__module__ = __package__ or ""  # where pickle looks for it
    function.__doc__ = f"PyTorch's `{line}`: {(target.__doc__ or '').strip()}"
    return marked(function)


def _single(given: dict[str, Any], default: Any) -> bool:
    """Whether an axis of a Tensor that has none is named, as PyTorch allows; give it one."""
    x = given.get("input")
    named = given.get("dim", default)
    if not isinstance(x, Tensor) or x.array.shape or not isinstance(named, int | tuple):
        return False
    if any(d not in (0, -1) for d in (named if isinstance(named, tuple) else (named,))):
        return False
    for name in ("input", "index", "src", "source"):
        if isinstance(given.get(name), Tensor) and not given[name].ndim:
            given[name] = given[name].reshape(1)
    return True


def _without_axis(y: Any) -> Any:
    """Results of one element as Tensors without an axis."""
    if isinstance(y, Tensor):
        return y.reshape(()) if y.shape == (1,) else y
    if isinstance(y, tuple):
        parts = [_without_axis(part) for part in y]
        return type(y)(*parts) if hasattr(y, "_fields") else type(y)(parts)
    return y


def bound(line: Line, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments that were given, by PyTorch's names."""
    names = [a.name for a in line.arguments if not a.by_name]
    if line.arguments and line.arguments[-1].several and len(args) >= len(names):
        *before, last = names
        rest = args[len(before) :]
        alone = len(rest) == 1 and isinstance(rest[0], tuple | list)
        given = dict(zip(before, args, strict=False))
        given[last] = tuple(rest[0]) if alone else rest
    else:
        if len(args) > len(names):
            by_name = " and ".join(f"{a.name}=" for a in line.arguments if a.by_name)
            cure = f"; give {by_name} by name, after them" if by_name else ""
            raise CallError(
                f"{line.name}: it takes {line}, got {len(args)} arguments by place{cure}"
            )
        given = dict(zip(names, args, strict=False))
    known = {a.name for a in line.arguments}
    for word, value in kwargs.items():
        name = word if word in known else _ALSO.get(word, word)
        if name not in known:
            raise unknown(line.name, word, [a.name for a in line.arguments])
        if name in given:
            raise CallError(f"{line.name}: {name} was given twice")
        given[name] = value
    missing = [a.name for a in line.arguments if a.required and a.name not in given]
    if missing and not (line.arguments[-1].several and missing == [line.arguments[-1].name]):
        raise CallError(f"{line.name}: it takes {line}, {', '.join(missing)} is missing")
    for name in given.keys() & _CONVERTED.keys():
        given[name] = _CONVERTED[name](given[name])
    dim = given.get("dim")
    if isinstance(dim, tuple) and not dim and "keepdim" in known:
        given["dim"] = None  # in PyTorch () is all axes
    return given


def unknown(name: str, word: str, known: list[str]) -> CallError:
    """The error for an argument that PyTorch's function does not have, or ours."""
    near = difflib.get_close_matches(word, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return CallError(f"{name}: it has no argument {word}; it takes {', '.join(known)}{hint}")


def into(name: str, out: Any, y: Any) -> Any:
    """`out=`: the result becomes the value of a Tensor that is there."""
    if not isinstance(out, Tensor) or not isinstance(y, Tensor):
        raise ArgumentError(f"{name}: out must be one Tensor for one result; write y = {name}(...)")
    return out.become(f"{name}: out", y, reshaped=0 in out.shape)  # an empty one takes any shape


def as_dim(dim: Any) -> Any:
    """An axis, several in a tuple, or None."""
    return tuple(dim) if isinstance(dim, list) else dim


def as_dtype(dtype: Any) -> Any:
    """A dtype as PyTorch understands it: Python's float has 64 bits, and classes of Tensors one."""
    if isinstance(dtype, type):
        found: Any = _PYTHON.get(dtype) or getattr(dtype, "element_type", dtype)
        return dtypes.DEFAULT_FLOAT if found is None else found  # torch.Tensor itself
    return dtype


_CONVERTED: dict[str, Function] = {"dim": as_dim, "dtype": as_dtype}

__all__ = [
    "Function",
    "Line",
    "as_dim",
    "as_dtype",
    "bound",
    "into",
    "lines",
    "listed",
    "translated",
    "unknown",
]
