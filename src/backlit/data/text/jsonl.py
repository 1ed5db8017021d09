"""Records in lines of JSON: one object a line, with typed fields."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from ...errors import ArgumentError, DataError
from ..dataset import IterableDataset
from .reading import PathLike, numbered_lines, place

_SCALARS = (str, bool, int, float)
_NAMES = {
    str: "a text",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    list: "a list",
}
_DECODER = json.JSONDecoder()


class JsonLines(IterableDataset):
    """The records of a file with one JSON object on each line, as dicts, read anew in each epoch.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "reviews.jsonl"
    >>> _ = path.write_text('{"text": "Good!", "stars": 5, "by": {"name": "Ada"}}\\n')
    >>> list(JsonLines(path, {"text": str, "stars": int}))
    [{'text': 'Good!', 'stars': 5}]
    >>> list(JsonLines(path, flatten="."))
    [{'text': 'Good!', 'stars': 5, 'by.name': 'Ada'}]

    `fields` says which fields a record must have, and of which type: str, int, float, bool, or list
    for a list of such; `str | None` may be null or missing, which gives None. Other fields are left
    out. Without `fields` every record must have those of the first one, unless they are `sparse`:
    then each has what its line has. A field that holds an
    object is an error, unless `flatten` joins the names of the two. Empty lines are left out.

    Raises DataError, with file, line and column, for what is no JSON, a field that is missing, of
    another type, there twice, not finite or beyond 64 bits, and a file without a record.
    """

    def __init__(
        self,
        path: PathLike,
        fields: Mapping[str, Any] | None = None,
        *,
        flatten: str | None = None,
        sparse: bool = False,
        encoding: str = "utf-8",
    ):
        self.path = path
        self.fields = None if fields is None else {k: _allowed(k, t) for k, t in fields.items()}
        self.flatten = flatten
        self.sparse = sparse
        self.encoding = encoding

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (record for _, record in self.numbered())

    def numbered(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The records, each with the number of its line."""
        first: dict[str, Any] | None = None
        for number, line in numbered_lines(self.path, "JsonLines", self.encoding):
            if not line.strip():
                continue
            record = self._flat(_parsed(self.path, number, line), number, line)
            first = record if first is None else first
            if self.fields is not None:
                record = self._typed(record, number, line)
            elif not self.sparse and (
                odd := [*(first.keys() - record.keys()), *(record.keys() - first.keys())]
            ):
                names = ", ".join(first)
                self._fail(number, line, min(odd), f"differs: the first record has {names}")
            yield number, record
        if first is None:
            raise DataError(f"JsonLines: {self.path} must have at least one record, but has none")

    def _flat(self, given: dict[str, Any], number: int, line: str) -> dict[str, Any]:
        """A record without objects inside, and without what is not asked for."""
        record: dict[str, Any] = {}
        stack = [("", given)]
        while stack:
            prefix, inner = stack.pop()
            for key, value in inner.items():
                name = prefix + key
                if isinstance(value, dict) and self.flatten is not None:
                    stack.append((name + self.flatten, value))
                    continue
                if self.fields is not None and name not in self.fields:
                    continue
                if isinstance(value, dict):
                    joined = f"{name}.{next(iter(value), 'name')}"
                    what = f"holds an object; flatten='.' makes the field {joined!r} of it"
                    self._fail(number, line, name, what)
                if name in record:
                    self._fail(number, line, name, "is there twice")
                record[name] = self._plain(value, number, line, name)
        return record

    def _plain(self, value: Any, number: int, line: str, name: str) -> Any:
        """A value that is a text, a number, a truth value or null, or a list of such."""
        for part in value if isinstance(value, list) else [value]:
            if part is not None and not isinstance(part, _SCALARS):
                self._fail(
                    number, line, name, f"must be a list of texts or numbers, got {part!r:.40}"
                )
            if isinstance(part, int) and not -(2**63) <= part < 2**63:
                self._fail(number, line, name, "must be an integer of 64 bits, or a text")
            if isinstance(part, float) and not math.isfinite(part):
                self._fail(number, line, name, f"must be finite, got {part}")
        return value

    def _typed(self, record: dict[str, Any], number: int, line: str) -> dict[str, Any]:
        """The fields that are asked for, each of its type."""
        typed: dict[str, Any] = {}
        for name, (kind, optional) in (self.fields or {}).items():
            value = record.get(name)
            if value is None and optional:
                typed[name] = None
                continue
            if name not in record:
                self._fail(
                    number, line, name, f"is missing; there are {', '.join(record) or 'none'}"
                )
            if kind is float and type(value) is int:
                value = float(value)
            if type(value) is not kind:
                self._fail(number, line, name, f"must be {_NAMES[kind]}, got {value!r:.40}")
            typed[name] = value
        return typed

    def _fail(self, number: int, line: str, name: str, what: str) -> NoReturn:
        column = _columns(line, self.flatten or ".").get(name)
        raise DataError(f"JsonLines: {place(self.path, number, column)}: the field {name!r} {what}")

    def __repr__(self) -> str:
        return f"JsonLines({str(self.path)!r})"


def read_jsonl(
    path: PathLike,
    fields: Mapping[str, Any] | None = None,
    *,
    flatten: str | None = None,
    sparse: bool = False,
    encoding: str = "utf-8",
) -> list[dict[str, Any]]:
    """All records of a file with one JSON object on each line: a list of `JsonLines`."""
    return list(JsonLines(path, fields, flatten=flatten, sparse=sparse, encoding=encoding))


def _allowed(name: str, given: Any) -> tuple[type, bool]:
    """The type that a field must have, and whether it may be missing."""
    kinds = [given]
    if isinstance(given, types.UnionType) or typing.get_origin(given) is typing.Union:
        kinds = list(typing.get_args(given))
    wanted = [kind for kind in kinds if kind is not type(None)]
    if len(wanted) != 1 or wanted[0] not in _NAMES:
        raise ArgumentError(
            f"JsonLines: the type of {name!r} must be str, int, float, bool or list, perhaps with "
            f"| None, got {given!r}"
        )
    return wanted[0], len(wanted) < len(kinds)


def _parsed(path: PathLike, number: int, line: str) -> dict[str, Any]:
    """The object on a line."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(
                f"JsonLines: {place(path, number)}: the field {twice!r} must be there once, got two"
            )
        return record

    try:
        record = json.loads(line, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise DataError(
            f"JsonLines: {place(path, number, error.colno)} must be JSON, but is not: {error.msg}; "
            "each line holds one object"
        ) from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"JsonLines: {place(path, number)} cannot be read: {error}") from None
    if not isinstance(record, dict):
        raise DataError(
            f"JsonLines: {place(path, number)} must be an object, got {record!r:.40}; each line "
            "holds one object"
        )
    return record


def _columns(line: str, joint: str) -> dict[str, int]:
    """At which column the value of each field of a line that is an object begins."""
    found: dict[str, int] = {}
    ahead = [("", line.index("{") + 1)]
    while ahead:
        prefix, at = ahead.pop()
        while True:
            at = _skipped(line, at, " \t,")
            if line[at] == "}":
                break
            key, at = _DECODER.raw_decode(line, at)
            at = _skipped(line, at, " \t:")
            found.setdefault(prefix + key, at + 1)
            value, end = _DECODER.raw_decode(line, at)
            if isinstance(value, dict):
                ahead.append((prefix + key + joint, at + 1))
            at = end
    return found


def _skipped(line: str, at: int, characters: str) -> int:
    while line[at] in characters:
        at += 1
    return at


__all__ = ["JsonLines", "read_jsonl"]
