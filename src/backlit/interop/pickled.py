"""What a pickle says, without unpickling: its opcodes build plain data, import and call nothing.

A pickle is a program for a machine with a stack and a memo. Python's own machine looks names up in
modules and calls what it finds, so that reading a file runs whatever its author wanted. This one
keeps each name as the words that it is. Where the program asks for a call, the words are looked up
in a table of the few constructors of data that the caller knows; anything else is refused by name.

The instructions: the documentation of Python's `pickletools`, which also splits them.
"""

from __future__ import annotations

import argparse
import io
import pickletools
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DataError

#: How deep lists, tuples and dictionaries may lie inside each other.
DEPTH = 200
#: A part that is referred to twice counts twice: so many parts may there be in all.
PARTS = 10_000_000

_SCALARS = (str, bytes, int, float, bool, type(None))


@dataclass(frozen=True)
class Name:
    """A name in a module, as the file writes it. Nothing is ever looked up under it."""

    module: str
    name: str


def said(thing: Any) -> str:
    """A name of the file's, or the kind of something else, short enough for a message."""
    if isinstance(thing, Name):
        return f"{thing.module}.{thing.name}"[:80]
    return thing[:80] if isinstance(thing, str) else type(thing).__name__


class _Mark:
    """Where on the stack a list of items begins."""


_MARK = _Mark()


class RefusedError(Exception):
    """What a pickle asks for and does not get: the rest of a sentence that begins with its file."""


@dataclass(frozen=True)
class Vocabulary:
    """What the names in a pickle mean: the reader's words, never the file's.

    `makers` are called with the arguments that the file gives; `values` stand for themselves.
    `settle(made, state)` completes what a maker made; `refer(key)` is what lies outside the pickle.
    """

    makers: Mapping[str, Callable[..., Any]]
    values: Mapping[str, Any]
    settle: Callable[[Any, Any], Any]
    refer: Callable[[Any], Any]


def _encoded(text: Any, encoding: Any) -> bytes:
    """Bytes, as old pickles write them: each as the character of that number."""
    if not isinstance(text, str) or encoding != "latin1":
        raise RefusedError("holds bytes in an unknown encoding")
    return text.encode("latin1")


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    made: OrderedDict[Any, Any] = OrderedDict()
    for pair in pairs:
        key, value = pair
        made[_key(key)] = value
    return made


def _counter(counts: Any) -> Counter[Any]:
    if type(counts) is not dict:  # of which the keys are known to be plain
        raise ValueError("a Counter must be made of a dict")
    return Counter(counts)


def _set(items: Any = ()) -> set[Any]:
    return {_key(item) for item in items}


#: The constructors of Python's own data.
PLAIN: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "collections.Counter": _counter,
    "_codecs.encode": _encoded,
    **{f"{module}.set": _set for module in ("builtins", "__builtin__")},
    **{f"{module}.frozenset": lambda items=(): frozenset(_set(items))
       for module in ("builtins", "__builtin__")},
}  # fmt: skip


def read(stream: io.BytesIO, vocabulary: Vocabulary, path: Any) -> Any:
    """The data that the pickle at the stream's position says; the stream is then behind it.

    Raises DataError, which begins with the path, if it is damaged or asks for more than data.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange escapes in texts
            result = _Machine(vocabulary).run(stream)
        _require_bounded(result)
    except RefusedError as refused:
        raise DataError(f"load: {path} {refused}") from None
    except (ValueError, TypeError, LookupError, OverflowError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        reason = " ".join(str(error).split())
        raise DataError(
            f"load: {path} must be whole, but its pickle cannot be read: {reason:.200}; "
            "it is truncated or damaged"
        ) from None
    return result


class _Machine:
    """The stack, the memo, and what each instruction does to them."""

    def __init__(self, vocabulary: Vocabulary):
        self.vocabulary = vocabulary
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, stream: io.BytesIO) -> Any:
        """What the program leaves on the stack."""
        for opcode, argument, _ in pickletools.genops(stream):
            word = opcode.name
            if word in _PUSHES:
                self.stack.append(argument)
            elif word in _CONSTANTS:
                self.stack.append(_CONSTANTS[word]())
            elif word in _ACTIONS:
                _ACTIONS[word](self, argument)
            elif word not in _SILENT:
                raise RefusedError(
                    f"holds the instruction {word}, which makes no data; save it again in "
                    "PyTorch: torch.save(model.state_dict(), path)"
                )
        (result,) = self.stack
        return result

    def pop(self) -> Any:
        """The uppermost thing of the stack."""
        top = self.stack.pop()
        if top is _MARK:
            raise ValueError("an item is missing")
        return top

    def items(self) -> list[Any]:
        """All above the last mark."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("a mark is missing")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def extend(self, items: list[Any]) -> None:
        """Add items to the list or set at the top."""
        target = self.stack[-1]
        if type(target) is set:
            target.update(_key(item) for item in items)
        elif type(target) is list:
            target += items
        else:
            raise ValueError(f"items for a {type(target).__name__}")

    def put(self, items: list[Any]) -> None:
        """Add keys and values to the dictionary at the top."""
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict, Counter) or len(items) % 2:
            raise ValueError(f"keys and values for a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    def name(self, module: Any, name: Any) -> None:
        """A name: what the vocabulary has for it, else the words themselves."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name must be text")
        words = Name(module, name)
        self.stack.append(self.vocabulary.values.get(f"{module}.{name}", words))

    def call(self, _: Any) -> None:
        """What a constructor makes of arguments, if the vocabulary has it."""
        arguments, what = self.pop(), self.pop()
        if not isinstance(what, Name) or type(arguments) is not tuple:
            raise ValueError("a call of what is no name")
        maker = self.vocabulary.makers.get(f"{what.module}.{what.name}")
        if maker is None:
            raise RefusedError(
                f"holds an object of {said(what)!r}, which only code could make, and no code of a "
                "file is run; in PyTorch save the state instead of the object: "
                "torch.save(model.state_dict(), path)"
            )
        self.stack.append(maker(*arguments))

    def build(self, _: Any) -> None:
        """Complete what was made with a state."""
        state, made = self.pop(), self.pop()
        self.stack.append(self.vocabulary.settle(made, state))

    def memoize(self, index: Any) -> None:
        """Remember the top under a number."""
        top = self.stack[-1]
        if top is _MARK:
            raise ValueError("an item is missing")
        self.memo[len(self.memo) if index is None else index] = top

    def tuple_of(self, count: int) -> None:
        """The uppermost things as a tuple."""
        self.stack.append(tuple([self.pop() for _ in range(count)][::-1]))


def _key(key: Any) -> Any:
    """A key, if it is a number, a text or a tuple of these; others could be costly to compare."""
    parts = key if type(key) is tuple else (key,)
    if not all(type(part) in _SCALARS for part in parts):
        raise RefusedError(f"has a {type(key).__name__} as a key; keys must be numbers or texts")
    return key


_PUSHES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES "
    "SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT "
    "BINFLOAT".split()
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "MARK": lambda: _MARK,
}
_SILENT = frozenset(("PROTO", "FRAME", "STOP"))


def _dict(machine: _Machine, _: Any) -> None:
    items = machine.items()
    machine.stack.append({})
    machine.put(items)


def _setitem(machine: _Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    machine.put([key, value])


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "POP": lambda m, _: m.stack.__delitem__(-1),
    "POP_MARK": lambda m, _: m.items().clear(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    "LIST": lambda m, _: m.stack.append(m.items()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.items())),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "FROZENSET": lambda m, _: m.stack.append(frozenset(_set(m.items()))),
    "APPEND": lambda m, _: m.extend([m.pop()]),
    "APPENDS": lambda m, _: m.extend(m.items()),
    "ADDITEMS": lambda m, _: m.extend(m.items()),
    "DICT": _dict,
    "SETITEM": _setitem,
    "SETITEMS": lambda m, _: m.put(m.items()),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, i: m.stack.append(m.memo[i])),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), lambda m, i: m.memoize(i)),
    "GLOBAL": lambda m, words: m.name(*words.split(" ", 1)),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": lambda m, _: m.stack.append(m.vocabulary.refer(m.pop())),
}


def _inner(thing: Any) -> list[Any]:
    """The parts of a container."""
    if isinstance(thing, argparse.Namespace):
        return [*vars(thing).values()]
    if isinstance(thing, dict):
        return [*thing, *thing.values()]
    return list(thing) if isinstance(thing, list | tuple | set | frozenset) else []


def _require_bounded(root: Any) -> None:
    """Raise if the data is nested too deeply, contains itself, or is huge when written out."""
    known: dict[int, tuple[int, int]] = {}  # depth and number of parts, of what is done
    opened: set[int] = set()
    stack = [root]
    while stack:
        thing = stack[-1]
        if id(thing) in known:
            stack.pop()
            continue
        if isinstance(thing, Name):
            raise RefusedError(f"holds {said(thing)!r} itself, which is code and no data")
        inner = _inner(thing)
        if id(thing) not in opened:
            opened.add(id(thing))
            for part in inner:
                if id(part) in opened and id(part) not in known:
                    raise RefusedError("holds a part that contains itself")
            stack += [part for part in inner if id(part) not in known]
            continue
        stack.pop()
        depth = 1 + max((known[id(part)][0] for part in inner), default=0)
        parts = 1 + sum(known[id(part)][1] for part in inner)
        if depth > DEPTH or parts > PARTS:
            raise RefusedError(
                f"must be nested at most {DEPTH} deep and have at most {PARTS:,} parts, "
                f"got {depth} and {parts:,}"
            )
        known[id(thing)] = depth, parts
