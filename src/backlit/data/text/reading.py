"""How text files are read: whole or line by line, in a stated encoding, plain or from gzip.

An error says where: the file, the line and the column, both counted from 1 as editors do.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator

from ...errors import ArgumentError, DataError
from ...files import opened

PathLike = str | os.PathLike[str]

_OTHERS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def place(path: PathLike, line: int, column: int | None = None) -> str:
    """A place in a file, as editors and terminals understand it.

    >>> place("train.conll", 12, 5)
    'train.conll:12:5'
    """
    return f"{os.fspath(path)}:{line}" + ("" if column is None else f":{column}")


def read_text(path: PathLike, *, encoding: str = "utf-8") -> str:
    """The text in a file, plain or compressed by gzip; lines end with a line feed.

    A mark of UTF-8 at the beginning is left out. Raises DataError, with the offset of the byte, for
    a file that is not in the encoding, and for one that is empty or holds no text.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "verse.txt"
    >>> _ = path.write_bytes(b"O Romeo,\\r\\nRomeo!")
    >>> read_text(path)
    'O Romeo,\\nRomeo!'
    """
    with opened(path, "read_text") as file:
        data = file.read()
    _require_text(data[:4], path, "read_text", encoding)
    text = _decoded(data, path, "read_text", encoding, 0, 1).replace("\r\n", "\n")
    if not text:
        raise DataError(f"read_text: {os.fspath(path)} is empty; give a file with text")
    return text


def numbered_lines(
    path: PathLike, what: str, encoding: str = "utf-8", *, ends: bool = False
) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers from 1, one at a time.

    They come without their ends, or with `ends` each with a line feed.
    """
    with opened(path, what) as file:
        offset = 0
        for number, piece in enumerate(file, 1):
            if number == 1:
                _require_text(piece[:4], path, what, encoding)
            text = _decoded(piece, path, what, encoding, offset, number)
            offset += len(piece)
            line = text.rstrip("\r\n")
            yield number, f"{line}\n" if ends and text.endswith("\n") else line


def _require_text(start: bytes, path: PathLike, what: str, encoding: str) -> None:
    """Raise for an encoding whose lines do not end with one byte, and for files in such a one."""
    try:
        usable = "\n".encode(encoding) == b"\n"
    except LookupError:
        raise ArgumentError(
            f"{what}: encoding={encoding!r} is not known; use 'utf-8', 'latin-1' or 'cp1252'"
        ) from None
    found = _OTHERS.get(start[:2]) if usable else encoding
    if found:
        raise DataError(
            f"{what}: {os.fspath(path)} is in {found}, which is not read; convert the file to UTF-8"
        )


def _decoded(data: bytes, path: PathLike, what: str, encoding: str, offset: int, line: int) -> str:
    """Bytes as text; they begin at this offset in the file, and at this line."""
    null = data.find(b"\0")
    if null >= 0:
        raise DataError(
            f"{what}: {os.fspath(path)} must be text, but has a null byte at offset "
            f"{offset + null:,}; it is of another format"
        )
    name = codecs.lookup(encoding).name.upper()
    if not offset and name == "UTF-8":
        encoding = "utf-8-sig"  # without the mark at the beginning, if there is one
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        # A decoder that skips the mark counts from behind it.
        marked = encoding == "utf-8-sig" and data.startswith(codecs.BOM_UTF8)
        bad = error.start + (len(codecs.BOM_UTF8) if marked else 0)
        before = data[:bad].decode(encoding)
        lines = before.split("\n")
        where = place(path, line + len(lines) - 1, len(lines[-1]) + 1)
        character = data[bad : bad + 1].decode("latin-1")
        raise DataError(
            f"{what}: {where}: byte 0x{data[bad]:02x} at offset {offset + bad:,} is not {name}; "
            f"if the file is Latin-1, where that is {character!r}, give encoding='latin-1', "
            "or convert the file to UTF-8"
        ) from None


__all__ = ["read_text"]
