"""Texts with their classes: from a table, from lines of JSON, or from a folder for each class."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...array_api.arguments import whole
from ...errors import DataError
from ...spelling import near_name
from ...table import quantity
from ..dataset import Dataset, example_number
from ..tables.delimited import Records
from .jsonl import JsonLines
from .reading import PathLike, place, read_text
from .vocabulary import Vocabulary

_LARGEST = 1 << 27  # characters of one field of a table


@dataclass(frozen=True)
class LabelledText:
    """A text with its classes, and where it stands."""

    text: str
    labels: tuple[str, ...] = ()
    place: str = ""


def read_labelled_texts(
    path: PathLike,
    *,
    text: str = "text",
    label: str | None = "label",
    separator: str | None = None,
    encoding: str = "utf-8",
) -> list[LabelledText]:
    """The texts and classes in a table, in lines of JSON, or in a folder of text files.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "tweets.csv"
    >>> _ = path.write_text('text,label\\n"Good, really!",yes\\nBad.,no\\n')
    >>> [(t.text, t.labels) for t in read_labelled_texts(path)]
    [('Good, really!', ('yes',)), ('Bad.', ('no',))]

    - `.csv` and `.tsv`: the first row has the names of the columns; `text` and `label` are two of
      them. Fields in quotes may hold line ends. Commas may be semicolons.
    - `.jsonl` and `.ndjson`: `text` and `label` are fields; a label may be a text, an integer, or
      a list of them for several.
    - a folder: each folder in it is a class, and each file `*.txt` in that a text. Names that begin
      with a point are left out.

    A text has several labels where `separator` parts them, as in "sport;news". With `label=None`
    texts have none. Either may be compressed by gzip, as in `.csv.gz`.

    Raises DataError, with file and line, for columns that are not there, rows that are longer or
    shorter than the first, empty labels, and where there is no text at all.
    """
    if os.path.isdir(path):
        found: Iterator[LabelledText] = _of_folder(Path(path), encoding, label is not None)
    else:
        suffixes = [s.lower() for s in Path(path).suffixes if s.lower() != ".gz"]
        kind = suffixes[-1] if suffixes else ""
        if kind in (".csv", ".tsv"):
            delimiter = "\t" if kind == ".tsv" else None
            found = _of_table(path, text, label, separator, delimiter, encoding)
        elif kind in (".jsonl", ".ndjson"):
            found = _of_lines(path, text, label, separator, encoding)
        else:
            raise DataError(
                f"read_labelled_texts: {path} must be a folder, or a file .csv, .tsv, .jsonl or "
                ".ndjson, perhaps with .gz; rename it, or read it with read_text"
            )
    records = list(found)
    if not records:
        raise DataError(f"read_labelled_texts: {path} must have at least one text, but has none")
    return records


def _of_table(
    path: PathLike,
    text: str,
    label: str | None,
    separator: str | None,
    delimiter: str | None,
    encoding: str,
) -> Iterator[LabelledText]:
    records = Records(path, delimiter=delimiter, header=True, encoding=encoding)
    at = _column(path, records.names, text)
    beside = None if label is None else _column(path, records.names, label)
    with _large_fields():
        for line, fields in records:
            where = place(path, line)
            labels = () if beside is None else _labels(where, fields[beside], separator)
            yield LabelledText(fields[at].replace("\r\n", "\n"), labels, where)


@contextmanager
def _large_fields() -> Iterator[None]:
    """The module's limit for one field, 128 KiB, is less than a book."""
    before = csv.field_size_limit(_LARGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _column(path: PathLike, header: list[str], name: str) -> int:
    if name in header:
        return header.index(name)
    near = near_name(name, header)
    hint = f"did you mean {near!r}?" if near else "name the columns with text= and label="
    raise DataError(
        f"read_labelled_texts: {path} must have the column {name!r}, but has "
        f"{', '.join(map(repr, header))}; {hint}"
    )


def _labels(where: str, given: str, separator: str | None) -> tuple[str, ...]:
    """The labels in a field; with a separator there may be none."""
    if separator is None:
        if not given.strip():
            raise DataError(f"read_labelled_texts: {where} must have a label, but has none")
        return (given.strip(),)
    return tuple(part.strip() for part in given.split(separator) if part.strip())


def _of_lines(
    path: PathLike, text: str, label: str | None, separator: str | None, encoding: str
) -> Iterator[LabelledText]:
    for line, record in JsonLines(path, flatten=".", encoding=encoding).numbered():
        where = place(path, line)
        for name in (text, *([] if label is None else [label])):
            if record.get(name) is None:
                raise DataError(
                    f"read_labelled_texts: {where} must have the field {name!r}, but has "
                    f"{', '.join(map(repr, record))}; name the fields with text= and label="
                )
        if not isinstance(record[text], str):
            raise DataError(
                f"read_labelled_texts: {where}: the field {text!r} must be a text, got "
                f"{record[text]!r:.40}"
            )
        given = [] if label is None else record[label]
        if isinstance(given, str):
            labels = _labels(where, given, separator)
        else:
            parts = given if isinstance(given, list) else [given]
            if any(isinstance(part, float) or part is None or part == "" for part in parts):
                raise DataError(
                    f"read_labelled_texts: {where}: the field {label!r} must be a text, an integer "
                    f"or a list of them, got {given!r:.40}"
                )
            labels = tuple(str(part) for part in parts)
        yield LabelledText(record[text], labels, where)


def _of_folder(folder: Path, encoding: str, labelled: bool) -> Iterator[LabelledText]:
    try:
        classes = [e.name for e in sorted(os.scandir(folder), key=lambda e: e.name) if e.is_dir()]
        classes = [name for name in classes if not name.startswith(".")]
        files = {name: _texts(folder / name) for name in classes} if labelled else {}
        if not labelled:
            files = {"": _texts(folder), **{name: _texts(folder / name) for name in classes}}
    except OSError as error:
        raise DataError(
            f"read_labelled_texts: {folder} cannot be read: {error.strerror}; check the path"
        ) from None
    if labelled and not classes:
        raise DataError(
            f"read_labelled_texts: {folder} must have a folder for each class, but has none; "
            "with label=None the texts in it are read without classes"
        )
    for name, paths in files.items():
        if labelled and not paths:
            raise DataError(
                f"read_labelled_texts: {folder / name} must have at least one file *.txt, but has "
                "none; remove the folder, or name the files so"
            )
        for path in paths:
            yield LabelledText(
                read_text(path, encoding=encoding), (name,) if labelled else (), str(path)
            )


def _texts(folder: Path) -> list[Path]:
    """The text files in a folder, in the order of their names."""
    names = sorted(e.name for e in os.scandir(folder) if e.is_file())
    return [folder / name for name in names if name.endswith(".txt") and name[0] != "."]


class TextDataset(Dataset):
    """Texts as the numbers of their tokens, int64 (T,), with their class, or with several.

    >>> from backlit.data.text import WordTokenizer
    >>> texts = [LabelledText("good film", ("yes",)), LabelledText("bad film", ("no",))]
    >>> data = TextDataset(texts, WordTokenizer.train(t.text for t in texts))
    >>> data.classes, data[0]
    (['no', 'yes'], (array([4, 2]), 1))

    `classes` are those of the texts, if none are given; give those of the training part to others.
    With `multi_label` the target is float32 (C,), 1 for each label of the text. Texts without
    labels give their tokens alone. A text of more than `length` tokens is an error, unless
    `truncate`, which leaves out what is behind.

    Raises DataError, with the place of the text, if it has no token, no or several labels, or one
    that is not among the classes.
    """

    def __init__(
        self,
        texts: Iterable[LabelledText],
        tokenizer: Any,
        classes: Iterable[str] | None = None,
        *,
        multi_label: bool = False,
        length: int | None = None,
        truncate: bool = False,
    ):
        self.texts = list(texts)
        self.tokenizer = tokenizer
        self.multi_label = bool(multi_label)
        self.length = None if length is None else whole("TextDataset: length", length)
        if classes is None:
            classes = sorted({label for record in self.texts for label in record.labels})
        #: The names of the classes, in the order of their numbers.
        self.classes = list(classes)
        self._numbers = {name: number for number, name in enumerate(self.classes)}
        self.labelled = multi_label or any(record.labels for record in self.texts)
        for record in self.texts:
            self._require_labels(record)
        self._tokens = [self._encoded(record, truncate) for record in self.texts]

    def _require_labels(self, record: LabelledText) -> None:
        where = record.place or repr(record.text[:40])
        if self.labelled and not self.multi_label and len(record.labels) != 1:
            raise DataError(
                f"TextDataset: {where} must have one label, got {len(record.labels)}; "
                "multi_label=True allows for none and for several"
            )
        for label in record.labels:
            if label not in self._numbers:
                known = Vocabulary(self.classes, padding=None, unknown=None)
                raise DataError(f"TextDataset: the label of {where}: {known.missing(label)}")

    def _encoded(self, record: LabelledText, truncate: bool) -> np.ndarray:
        where = record.place or repr(record.text[:40])
        numbers = np.array(self.tokenizer.encode(record.text), np.int64)
        if not len(numbers):
            raise DataError(
                f"TextDataset: {where} must have at least one token, but has none in "
                f"{record.text[:40]!r}; leave it out"
            )
        if self.length is not None and len(numbers) > self.length and not truncate:
            raise DataError(
                f"TextDataset: {where} must have at most length={self.length} tokens, got "
                f"{len(numbers)}; truncate=True leaves out the rest"
            )
        return numbers[: self.length]

    @property
    def lengths(self) -> list[int]:
        """How many tokens each text has."""
        return [len(numbers) for numbers in self._tokens]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        i = example_number(index, len(self))
        numbers, labels = self._tokens[i], [self._numbers[n] for n in self.texts[i].labels]
        if not self.labelled:
            return (numbers,)
        if not self.multi_label:
            return numbers, labels[0]
        target = np.zeros(len(self.classes), np.float32)
        target[labels] = 1
        return numbers, target

    def __repr__(self) -> str:
        classes = quantity(len(self.classes), "class", "classes")
        return f"TextDataset({quantity(len(self), 'text')}, {classes})"


__all__ = ["LabelledText", "TextDataset", "read_labelled_texts"]
