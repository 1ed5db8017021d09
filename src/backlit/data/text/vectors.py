"""Vectors of words that were learned elsewhere: GloVe, word2vec and fastText files.

    GloVe              a line for each word: the word and its numbers, parted by spaces
    word2vec, fastText the same behind a first line with the count of words and of numbers
    word2vec, binary   that first line; for each word the word, a space, and float32 numbers

Sources: Pennington, Socher & Manning, "GloVe: Global vectors for word representation", EMNLP 2014;
Mikolov et al., "Distributed representations of words and phrases and their compositionality", 2013;
Bojanowski et al., "Enriching word vectors with subword information", TACL 5 (2017).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np

from ...array_api.arguments import whole
from ...errors import ArgumentError, DataError
from ...files import opened
from ...nn.embedding import Embedding
from ...random import Generator
from .reading import PathLike, place
from .vocabulary import Vocabulary

_FORMATS = ("glove", "word2vec", "binary")
_FASTTEXT_MODEL = (793712314).to_bytes(4, "little")
_LONGEST = 1 << 16  # bytes of a word in a binary file
_PIECE = 1 << 16


class WordVectors:
    """The vectors (V, D) of a vocabulary's words, and how many of them were known.

    Made by `load_vectors`. `array` is float32; `exact`, `lowered` and `missing` are the words that
    were found as they are, in small letters, and not at all.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        array: np.ndarray,
        exact: list[str],
        lowered: list[str],
        missing: list[str],
        path: str,
    ):
        self.vocabulary = vocabulary
        self.array = array
        self.exact = exact
        self.lowered = lowered
        self.missing = missing
        self.path = path

    @property
    def coverage(self) -> float:
        """The share of the words, special tokens left out, for which there is a vector."""
        found = len(self.exact) + len(self.lowered)
        return found / max(found + len(self.missing), 1)

    def embedding(self, *, freeze: bool = False) -> Embedding:
        """A layer with these vectors, which learn on unless `freeze`; padding stays zero."""
        return Embedding.from_pretrained(
            self.array, freeze=freeze, padding_idx=self.vocabulary.padding_number
        )

    def __str__(self) -> str:
        known = len(self.exact) + len(self.lowered)
        few = ", ".join(map(repr, self.missing[:5])) + (", …" if len(self.missing) > 5 else "")
        return (
            f"{os.path.basename(self.path)}: vectors of {self.array.shape[1]} numbers for {known} "
            f"of {known + len(self.missing)} words ({100 * self.coverage:.1f} %), "
            f"{len(self.lowered)} of them in small letters" + f"; none for {few}" * bool(few)
        )

    def __repr__(self) -> str:
        v, d = self.array.shape
        return f"WordVectors({v} x {d}, coverage {100 * self.coverage:.1f} %)"


def load_vectors(
    path: PathLike,
    vocabulary: Vocabulary,
    *,
    format: str | None = None,
    dimension: int | None = None,
    lowercase: bool = True,
    duplicates: str = "error",
    seed: int = 0,
) -> WordVectors:
    """The vectors of a vocabulary's words in a file of GloVe, word2vec or fastText (`.vec`).

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "glove.txt"
    >>> _ = path.write_text("the 0.5 1.0\\ncat -1.0 2.0\\n")
    >>> vectors = load_vectors(path, Vocabulary(["The", "cat", "axolotl"]))
    >>> print(vectors)
    glove.txt: vectors of 2 numbers for 2 of 3 words (66.7 %), 1 of them in small letters; none \
for 'axolotl'
    >>> vectors.array[:4].tolist()[2:]
    [[0.5, 1.0], [-1.0, 2.0]]

    - The file, plain or gzip, is read once; only the rows of the vocabulary are kept.
    - A word that is not there has the vector of its small letters, unless `lowercase` is False.
    - The other rows, also that of the unknown token, are drawn: normal, with the mean and deviation
      of the rows that were found, in each column, from a generator with this `seed`. The row of
      padding is zero.
    - Numbers of words that are not asked for are counted, but not read.
    - `format` is "glove", "word2vec" (also fastText's) or "binary"; by default the file's beginning
      says.
    - A word may hold spaces. With a `dimension`, all before so many numbers is the word; without, a
      word that ends with a number behind a space is taken for a row with one too many.
    - Twice the same word with different vectors is an error, or with
      `duplicates="first"` the first one counts.

    Raises DataError, with file and line or record, for rows that are longer or shorter than the
    first, numbers that are none or not finite, files that end early, and where no word is known.
    """
    if duplicates not in ("error", "first"):
        raise ArgumentError(
            f"load_vectors: duplicates must be 'error' or 'first', got {duplicates!r}"
        )
    if format is not None and format not in _FORMATS:
        raise ArgumentError(
            f"load_vectors: format must be one of {', '.join(_FORMATS)}, got {format!r}"
        )
    if dimension is not None:
        whole("load_vectors: dimension", dimension)
    names = [token for token in vocabulary if token not in vocabulary.specials]
    wanted = {name.encode(): None for name in vocabulary}
    if lowercase:
        wanted |= {name.lower().encode(): None for name in names}
    found: dict[bytes, tuple[np.ndarray, str]] = {}
    with opened(path, "load_vectors") as file:
        rows, width = _rows(file, path, wanted, format, dimension)
        for word, vector, where in rows:
            _keep(found, word, vector, where, duplicates)
    if not found:
        raise DataError(
            f"load_vectors: {os.fspath(path)} must have a vector for one of the {len(names)} words "
            f"of the vocabulary ({', '.join(map(repr, names[:5]))}, …), but has none; is it of "
            "another language, or are capitals written otherwise?"
        )
    return _chosen(vocabulary, names, found, width, lowercase, seed, str(path))


def _keep(
    found: dict[bytes, tuple[np.ndarray, str]],
    word: bytes,
    vector: np.ndarray,
    where: str,
    duplicates: str,
) -> None:
    if not np.isfinite(vector).all():
        column = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise DataError(
            f"load_vectors: {where}: the vector of {word.decode(errors='replace')!r} must be "
            f"finite, got {vector[column]} as number {column}"
        )
    before = found.setdefault(word, (vector, where))
    if before[0] is not vector and duplicates == "error" and (before[0] != vector).any():
        raise DataError(
            f"load_vectors: {where}: {word.decode(errors='replace')!r} must have one vector, got "
            f"another at {before[1]}; duplicates='first' takes the first"
        )


def _chosen(
    vocabulary: Vocabulary,
    names: list[str],
    found: Mapping[bytes, tuple[np.ndarray, str]],
    width: int,
    lowercase: bool,
    seed: int,
    path: str,
) -> WordVectors:
    """A row for each word: its own, that of its small letters, or a drawn one."""
    known = np.stack([vector for vector, _ in found.values()]).astype(np.float64)
    drawn = Generator(seed).normal((len(vocabulary), width), dtype="float64").numpy()
    array = (known.mean(axis=0) + drawn * known.std(axis=0)).astype(np.float32)
    special = set(vocabulary.specials)
    exact: list[str] = []
    lowered: list[str] = []
    missing: list[str] = []
    for number, name in enumerate(vocabulary):
        row, kind = found.get(name.encode()), exact
        if row is None and lowercase and name not in special:
            row, kind = found.get(name.lower().encode()), lowered
        if row is not None:
            array[number] = row[0]
        if name not in special:
            (missing if row is None else kind).append(name)
    if vocabulary.padding_number is not None:
        array[vocabulary.padding_number] = 0
    return WordVectors(vocabulary, array, exact, lowered, missing, path)


_Row = tuple[bytes, np.ndarray, str]


def _rows(
    file: BinaryIO,
    path: PathLike,
    wanted: Mapping[bytes, None],
    format: str | None,
    dimension: int | None,
) -> tuple[Iterator[_Row], int]:
    """The word, vector and place of each row that is wanted, and how many numbers a vector has."""
    start = file.read(_PIECE)
    first, _, rest = start.partition(b"\n")
    if start.startswith(_FASTTEXT_MODEL):
        raise DataError(
            f"load_vectors: {os.fspath(path)} is a whole model of fastText; take the file .vec, or "
            "write one with its print-word-vectors"
        )
    if not start.strip():
        raise DataError(f"load_vectors: {os.fspath(path)} must have vectors, but is empty")
    count, width = _header(first)
    if format is None:
        second = rest.partition(b"\n")[0]
        if not width:
            format = "glove"
        elif not rest.strip() or _numbers_at_end(second) >= min(width, 2):
            format = "word2vec"
        else:
            format = "binary"
    if format == "glove":
        count, width = None, dimension or _numbers_at_end(first)
        if not width:
            raise DataError(
                f"load_vectors: {place(path, 1)} must have a word and its numbers, got "
                f"{first[:40].decode(errors='replace')!r}"
            )
    elif not width or (dimension is not None and dimension != width):
        raise DataError(
            f"load_vectors: {place(path, 1)} must have the count of words and of numbers"
            + (f", {dimension}" if dimension else "")
            + f", got {first[:40].decode(errors='replace')!r}"
        )
    file.seek(0 if format == "glove" else len(first) + 1)
    if format == "binary":
        return _binary_rows(file, path, wanted, count or 0, width), width
    return _text_rows(file, path, wanted, count, width, dimension is not None), width


def _header(line: bytes) -> tuple[int | None, int]:
    """The count of words and of numbers in a first line; 0 numbers, if it is none."""
    fields = line.split()
    if len(fields) == 2 and all(field.isdigit() and len(field) < 12 for field in fields):
        return int(fields[0]), int(fields[1])
    return None, 0


def _numbers_at_end(line: bytes) -> int:
    """How many numbers a row has behind its word."""
    fields = line.rstrip(b" \r\n").split(b" ")
    count = 0
    while count < len(fields) - 1 and _is_number(fields[-count - 1]):
        count += 1
    return count


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _text_rows(
    file: BinaryIO,
    path: PathLike,
    wanted: Mapping[bytes, None],
    count: int | None,
    width: int,
    numeric: bool,
) -> Iterator[_Row]:
    """With `numeric` a word may end with a number; else that is a number too many."""
    number = first = 0 if count is None else 1
    for number, line in enumerate(file, first + 1):
        line = line.rstrip(b" \r\n")
        word, _, rest = line.partition(b" ")
        if line.count(b" ") != width:
            word, *numbers = line.rsplit(b" ", width)
            more = not numeric and _is_number(word.rpartition(b" ")[2])
            if len(numbers) < width or more:
                raise DataError(
                    f"load_vectors: {place(path, number)} must have a word and {width} numbers, as "
                    f"the first row has, got {_numbers_at_end(line)} in "
                    f"{line[:40].decode(errors='replace')!r}"
                )
            rest = b" ".join(numbers)
        if not word:
            raise DataError(f"load_vectors: {place(path, number)} must have a word, but has none")
        if word in wanted:
            yield word, _vector(path, number, word, rest.split(b" ")), place(path, number)
    if count is not None and number - first != count:
        raise DataError(
            f"load_vectors: {os.fspath(path)} must have {count:,} words, as its first line says, "
            f"got {number - first:,}; it is truncated or damaged"
        )


def _vector(path: PathLike, number: int, word: bytes, fields: list[bytes]) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            return np.array([float(field) for field in fields]).astype(np.float32)
    except ValueError:
        bad = next(field for field in fields if not _is_number(field))
        raise DataError(
            f"load_vectors: {place(path, number)}: the vector of "
            f"{word.decode(errors='replace')!r} must be numbers, got "
            f"{bad[:20].decode(errors='replace')!r}"
        ) from None


def _binary_rows(
    file: BinaryIO, path: PathLike, wanted: Mapping[bytes, None], count: int, width: int
) -> Iterator[_Row]:
    size = 4 * width
    buffer, at = b"", 0
    for record in range(1, count + 1):
        end = buffer.find(b" ", at)
        while end < 0 or len(buffer) < end + 1 + size:
            more = file.read(max(_PIECE, size)) if end >= 0 or len(buffer) - at < _LONGEST else b""
            if not more:
                raise DataError(
                    f"load_vectors: {os.fspath(path)} must have {count:,} records of a word and "
                    f"{width} numbers, but ends or is of another format at record {record:,}"
                )
            buffer, at = buffer[at:] + more, 0
            end = buffer.find(b" ")
        word = buffer[at:end].lstrip(b"\n")
        if word in wanted:
            vector = np.frombuffer(buffer, "<f4", width, end + 1).astype(np.float32)
            yield word, vector, f"{os.fspath(path)}: record {record}"
        at = end + 1 + size
    if (buffer[at:] + file.read(2)).strip(b"\n"):
        raise DataError(
            f"load_vectors: {os.fspath(path)} must have {count:,} records, as its first line says, "
            "but has more; it is damaged or of another format"
        )


__all__ = ["WordVectors", "load_vectors"]
