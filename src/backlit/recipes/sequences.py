"""Sequences of bases or residues in FASTA and FASTQ files: by file, by folder, or by header.

genes/promoter.fasta  genes/other.fasta            the class is the file's name
genes/promoter/1.fasta  genes/other/1.fasta        or that of its folder
genes.fasta with >seq1 class=promoter              or stands in the headers
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..data import Table
from ..data.tables.delimited import is_number
from ..data.text import SequenceRecord, read_fasta
from ..data.text.fasta import is_fasta
from ..errors import ArgumentError, DataError
from .columns import (
    MOST_CLASSES,
    TARGETS,
    answers_of,
    choose_targets,
    groups_of,
    known_rows,
    options_named,
)
from .form import Source
from .split import FOLDERS
from .targets import Classes
from .texts import TextTask

#: What a header's first word is called, and its other parts, by their numbers.
_NAME, _PART = "name", "part {}"
_NAMED = re.compile(r"(\w+)[=:](.*)", re.DOTALL)
#: As GenBank writes what belongs to a sequence: [organism=Homo sapiens].
_BRACKETED = re.compile(r"\[(\w+)=([^\]]*)\]")


class SequenceTask(TextTask):
    """Sequences with headers, whose classes are files, folders, or parts of headers."""

    @classmethod
    def recognise(cls, source: Source) -> SequenceTask | None:
        """A FASTA or FASTQ file, or a folder of them."""
        path = source.path
        if is_fasta(path):
            return cls._of_file(source, path)
        if not path.is_dir():
            return None
        files = sorted(f for f in path.rglob("*") if is_fasta(f) and not f.name.startswith("."))
        return cls._of_files(source, path, files) if files else None

    @classmethod
    def _of_file(cls, source: Source, path: Path) -> SequenceTask:
        source.require_only(cls.kind, "target", "group", "encoding")
        records = _records(source, path)
        parts = parts_of(records)
        table = Table(parts, kinds={n: k for n in parts if (k := _kind(parts[n]))})
        said = source.target or _varied(parts)
        if not said:
            others = [n for n in parts if n != _NAME]
            what = ", ".join(others[:8]) + (", …" if others[8:] else "") or "nothing besides a name"
            raise ArgumentError(
                f"{path}: which part of the headers is the class? They have {what}, as "
                f"'>{_header(records[0]):.60}'; say --target NAME, or put each class into a file "
                "or a folder of its own"
            )
        targets = choose_targets(replace(source, target=said), table)
        there = ~np.any([table.columns[n].missing for n in targets], axis=0)
        table, notes = known_rows(table, targets)
        learned, answers, strata = answers_of(table, targets)
        texts = [r.sequence for r, known in zip(records, there.tolist(), strict=True) if known]
        made = cls._of(source, path.name, "sequence", texts, learned, answers, strata, notes,
                       groups_of(source, table), unit="signs")  # fmt: skip
        assert isinstance(made, SequenceTask)
        made.found.insert(0, ("learned", f"{', '.join(targets)} in the headers"))
        return made

    @classmethod
    def _of_files(cls, source: Source, path: Path, files: Sequence[Path]) -> SequenceTask:
        source.require_only(cls.kind, "encoding")
        inner = [f.relative_to(path) for f in files]
        parts = [FOLDERS.get(f.parts[0].lower()) if len(f.parts) > 1 else None for f in inner]
        fixed = any(p is not None for p in parts)
        if fixed and (None in parts or 0 not in parts):
            raise DataError(
                f"{path}: there must be folders of parts, with one called train, got "
                f"{', '.join(sorted({f.parts[0] for f in inner})[:6])}"
            )
        below = [Path(*f.parts[1:]) if fixed else f for f in inner]
        folders = any(len(f.parts) > 1 for f in below)
        texts, answers, numbers = [], [], []
        for file, name, part in zip(files, below, parts, strict=True):
            if folders and len(name.parts) < 2:
                raise DataError(
                    f"{path}: a class is a folder or a file, got the file {name} beside folders"
                )
            records = _records(source, file)
            texts += [r.sequence for r in records]
            answers += [name.parts[0] if folders else _stem(name)] * len(records)
            numbers += [part or 0] * len(records)
        made = cls._of(source, path.name, "sequence", texts, Classes.learn(answers), answers,
                       answers, [], unit="signs",
                       fixed=np.array(numbers) if fixed else None)  # fmt: skip
        assert isinstance(made, SequenceTask)
        return made


def _records(source: Source, path: Path) -> list[SequenceRecord]:
    with options_named():
        return read_fasta(path, encoding=source.encoding or "utf-8")


def _stem(path: Path) -> str:
    """A file's name without its endings."""
    name = path.name.removesuffix(".gz")
    return name[: name.rindex(".")]


def _header(record: SequenceRecord) -> str:
    return f"{record.name} {record.description}".strip()


def parts_of(records: Sequence[SequenceRecord]) -> dict[str, list[str | None]]:
    """What headers have, as columns: the name, parts by their names, and others by numbers.

    >>> parts_of([SequenceRecord("s1|E_coli", "class=gene len=9", "ACGT")])
    {'name': ['s1'], 'part 2': ['E_coli'], 'class': ['gene'], 'len': ['9']}
    """
    columns: dict[str, list[str | None]] = {}
    for row, record in enumerate(records):
        header = _header(record)
        first, *others = re.split(r"[|\s]+", _BRACKETED.sub("", header).strip("| "))
        found = {_NAME: first, **dict(_BRACKETED.findall(header))}
        for number, part in enumerate(others, 2):
            named = _NAMED.fullmatch(part)
            name, value = named.groups() if named else (_PART.format(number), part)
            found.setdefault(name, value.strip("();,"))
        for name, value in found.items():
            column = columns.setdefault(name, [None] * row)
            column.append(value or None)
        for column in columns.values():
            column += [None] * (row + 1 - len(column))
    return columns


def _kind(values: Sequence[str | None]) -> str | None:
    """What a part of the headers is, where a table would take texts for texts."""
    known = [v for v in values if v is not None]
    if len(set(known)) <= MOST_CLASSES and 2 * len(set(known)) <= len(known):
        return "category"
    return None


def _varied(parts: dict[str, list[str | None]]) -> tuple[str, ...]:
    """The part that is the class: by its name, or because it alone has values that come again."""
    named = [n for n in parts if n.lower() in TARGETS]
    if len(named) == 1:
        return (named[0],)
    again = [
        n for n, values in parts.items()
        if n != _NAME and None not in values and len(set(values)) > 1 and _kind(values)
    ]  # fmt: skip
    words = [n for n in again if not all(map(is_number, filter(None, parts[n])))]
    chosen = words or again
    return tuple(chosen) if len(chosen) == 1 else ()
