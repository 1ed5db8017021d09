"""Sentences of the CoNLL-U format, in which treebanks of Universal Dependencies are written.

Each word has a line of ten columns, parted by tabs. Lines of several words together (3-4) and of
words that are not said (5.1) are left out, and so are comments, which begin with #. In CoNLL-U Plus
a first comment names the columns.

Source: universaldependencies.org/format.html, which extends that of Buchholz & Marsi, CoNLL 2006.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ...errors import ArgumentError, DataError
from ...spelling import near_name
from .conll import Sentence
from .reading import PathLike, numbered_lines, place

#: The columns of CoNLL-U, in their order.
COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
_PLUS = "# global.columns ="
_WORD, _NO_WORD = re.compile(r"\d+", re.ASCII), re.compile(r"\d+[-.]\d+", re.ASCII)


def read_conllu(
    path: PathLike, tag: str | None = "UPOS", *, encoding: str = "utf-8"
) -> list[Sentence]:
    """The sentences of a CoNLL-U file, with the column `tag` as the tags of their words.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "de.conllu"
    >>> _ = path.write_text(
    ...     "# text = Im Haus\\n1-2\\tIm" + 8 * "\\t_" + "\\n"
    ...     "1\\tIn\\tin\\tADP\\tAPPR\\t_\\t3\\tcase\\t_\\t_\\n"
    ...     "2\\tdem\\tder\\tDET\\tART\\t_\\t3\\tdet\\t_\\t_\\n"
    ...     "3\\tHaus\\tHaus\\tNOUN\\tNN\\t_\\t0\\troot\\t_\\t_\\n\\n")
    >>> [(s.tokens, s.tags) for s in read_conllu(path)]
    [(('In', 'dem', 'Haus'), ('ADP', 'DET', 'NOUN'))]
    >>> read_conllu(path, "DEPREL")[0].tags
    ('case', 'det', 'root')

    With `tag=None` the sentences have no tags. Raises DataError, with file and line, for lines with
    more or fewer columns, words that are not numbered from 1, and a column that says nothing.
    """
    sentences = list(_sentences(path, tag, encoding))
    if not sentences:
        raise DataError(f"read_conllu: {os.fspath(path)} must have a sentence, but has none")
    if tag is not None and all(t == "_" for s in sentences for t in s.tags):
        raise DataError(
            f"read_conllu: {os.fspath(path)}: the column {tag} must have values, but each is _; "
            "take another"
        )
    return sentences


def is_conllu(path: PathLike) -> bool:
    """Whether a file is in the format: by its ending, or by its first word's line."""
    if os.fspath(path).lower().endswith((".conllu", ".conllup", ".conllx")):
        return True
    with open(path, "rb") as file:
        start = file.read(8192).decode("utf-8", "replace").splitlines()
    lines = [line for line in start if line.strip() and not line.startswith("#")]
    fields = lines[0].split("\t") if lines else []
    return len(fields) == len(COLUMNS) and fields[0] in ("1", "1-2")


def _sentences(path: PathLike, tag: str | None, encoding: str) -> Iterator[Sentence]:
    columns: tuple[str, ...] = COLUMNS
    words: list[tuple[str, str, int]] = []
    wanted: tuple[int | None, ...] = ()

    def sentence() -> Sentence:
        tokens, tags, lines = zip(*words, strict=True)
        words.clear()
        return Sentence(tokens, tags if tag is not None else (), os.fspath(path), lines)

    for number, line in numbered_lines(path, "read_conllu", encoding):
        if line.startswith(_PLUS) and not words:
            columns, wanted = tuple(line[len(_PLUS) :].split()), ()
        if not line.strip():
            if words:
                yield sentence()
            continue
        if line.startswith("#") and not words:
            continue
        fields = line.split("\t")
        if len(fields) != len(columns):
            raise DataError(
                f"read_conllu: {place(path, number)} must have {len(columns)} columns, parted by "
                f"tabs, got {len(fields)} in {line!r:.60}"
            )
        wanted = wanted or _places(path, columns, tag)
        form, chosen, name = (fields[i] if i is not None else "" for i in wanted)
        if name and _NO_WORD.fullmatch(name):
            continue
        if name and not (_WORD.fullmatch(name) and int(name) == len(words) + 1):
            raise DataError(
                f"read_conllu: {place(path, number)}: the words of a sentence must be numbered, "
                f"with an empty line between sentences, got {name!r} for {len(words) + 1}"
            )
        if not form or not (chosen or tag is None):
            raise DataError(f"read_conllu: {place(path, number)} must have no empty column")
        words.append((form, chosen, number))
    if words:
        yield sentence()


def _places(
    path: PathLike, columns: tuple[str, ...], tag: str | None
) -> tuple[int | None, int | None, int | None]:
    """Where a line has the word, its tag and its number."""
    if "FORM" not in columns:
        raise DataError(
            f"read_conllu: {os.fspath(path)} must have a column FORM, got {', '.join(columns)}"
        )
    names = {c.lower(): i for i, c in enumerate(columns)}
    if tag is not None and tag.lower() not in names:
        near = near_name(tag, list(columns), 0.6)
        hint = f"; did you mean {near}?" if near else ""
        raise ArgumentError(
            f"read_conllu: tag must be one of the columns {', '.join(columns)}, got {tag!r}{hint}"
        )
    at = None if tag is None else names[tag.lower()]
    return columns.index("FORM"), at, names.get("id")


__all__ = ["COLUMNS", "is_conllu", "read_conllu"]
