"""Texts with classes, labels or numbers: sentences by their words, sequences by their signs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..data import Table
from ..data.tables.columns import Column
from ..data.text import Vocabulary, read_fasta, read_text, word_tokenize
from ..data.text.fasta import is_fasta
from ..errors import ArgumentError, DataError
from ..models import FastText, TextCNN
from . import networks
from .columns import (
    answers_of,
    choose_targets,
    groups_of,
    is_table,
    known_rows,
    left_out,
    open_table,
    read_table,
)
from .form import OF_TABLES, Form, Source, is_file
from .recipe import Examples, batch_for, counted, epochs_for, occurrences, take, unbalanced
from .split import FOLDERS, copies, merged
from .tables import useless_columns
from .targets import Classes, Target
from .words import given_vectors, require_none, width_of

#: The letters of sequences of which each sign counts: DNA, RNA and their unknown places.
_BASES = frozenset("ACGTUNacgtun-")
#: The letters of proteins, with gaps and stops, and from which length on they are no words.
_RESIDUES, _LONG = frozenset("ABCDEFGHIKLMNPQRSTUVWXYZabcdefghiklmnpqrstuvwxyz-*"), 20
#: What a column is called that has the text, if there are several.
_NAMES = frozenset("text tweet sentence message review comment body sequence title".split())
#: Words from which on texts are more than names of what a row is about.
_BODY = 8
#: The share of a sequence's signs that may be others than those of training.
_FOREIGN = 0.1
#: Vectors for pairs of words.
_BUCKETS = 20_000
#: The share of texts that is not cut, and the most tokens of one.
_WHOLE, _LONGEST = 0.98, 512


@dataclass(frozen=True)
class Texts(Form):
    """Texts as the numbers of their words or signs; 0 is padding, 1 what training did not have."""

    tokens: tuple[str, ...]
    #: "words", in small letters, or "signs".
    unit: str
    length: int
    #: The column that has the text, in a table.
    column: str
    #: Numbers of a vector that was learned elsewhere; 0 where there are none.
    vectors: int = field(default=0, kw_only=True)

    kind = "text"
    wanted = "a text, or a file: .txt with one on each line, a table, FASTA"

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.tokens)

    def networks(self, settings: Mapping[str, Any]) -> dict[str, Callable[[list[int]], nn.Module]]:
        """The mean of the tokens' vectors, or convolutions over them."""
        size, outputs = len(self._vocabulary), self.target.width
        windows = (3, 4, 5) if self.unit == "words" else (3, 5, 8)

        def mean(ngrams: int) -> Callable[[list[int]], nn.Module]:
            return lambda given: networks.OfText(
                FastText(size, self.vectors or (given or [64])[0], outputs, ngrams, _BUCKETS)
            )

        def convolution(given: list[int]) -> nn.Module:
            width = given[0] if given else 64
            inner = self.vectors or min(width, 32)
            network = TextCNN(size, inner, outputs, windows, width, settings["dropout"])
            return networks.OfText(network)

        return {"bag": mean(1), "fasttext": mean(2), "cnn": convolution}

    def begin(self, model: nn.Module, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The vectors of a file, where the settings name one."""
        if not isinstance(model, networks.OfText):
            return require_none(settings)
        layer = model.network.get_submodule("embedding")
        assert isinstance(layer, nn.Embedding)
        return given_vectors(layer, settings, self._vocabulary)

    def facts(self) -> dict[str, Any]:
        """Also how many tokens there are, and how long a text is."""
        return {**super().facts(), "vocabulary": len(self._vocabulary), "length": self.length}

    def encode(self, examples: Sequence[str]) -> tuple[np.ndarray, ...]:
        """(N, length), int64."""
        made = np.zeros((len(examples), self.length), np.int64)
        for row, text in zip(made, examples, strict=True):
            numbers = self._vocabulary.encode(cut(text, self.unit)[: self.length])
            row[: len(numbers)] = numbers
        return (made,)

    def read(self, given: Any) -> list[tuple[str, Any]]:
        """A text, or those of a file."""
        if is_file(given):
            path = Path(given)
            if is_fasta(path):
                records = read_fasta(path, encoding=self.dialect.get("encoding", "utf-8"))
                found = [(r.name or r.place, r.sequence) for r in records]
            elif is_table(path):
                table = read_table(path, kinds={self.column: "text"}, **self.dialect)
                found = [(table.place(i), table[i][self.column]) for i in range(len(table))]
            else:
                text = read_text(path, encoding=self.dialect.get("encoding", "utf-8"))
                lines = text.splitlines()
                found = [(line, line) for line in lines if line.strip()]
        elif isinstance(given, str):
            found = [(given, given)]
        else:
            raise DataError(f"predict: an input must be {self.wanted}, got {given!r:.60}")
        for name, text in found:
            if not text or not cut(text, self.unit):
                place = f" ({name:.60})" if name.strip() and name != text else ""
                raise DataError(f"predict: a text must have a word, got {text!r:.40}{place}")
            self._require_signs(text)
        if not found:
            raise DataError(f"predict: {given} must have a text, but has none")
        return found

    def _require_signs(self, text: str) -> None:
        """Raise for a text that is no sequence, where those were learned from."""
        if self.unit != "signs":
            return
        signs = cut(text, self.unit)
        odd = [s for s in signs if s not in self._vocabulary]
        if len(odd) > _FOREIGN * len(signs):
            raise DataError(
                f"predict: a sequence must be of the signs {' '.join(self.tokens)}, as in "
                f"training, but {len(odd):,} of {len(signs):,} are others, as {odd[0]!r}, in "
                f"{text!r:.40}"
            )

    @property
    def describe(self) -> Callable[..., str]:
        """The text, of the tokens that are known."""
        space = " " if self.unit == "words" else ""
        return lambda x: space.join(self.in_tokens(x))

    @property
    def in_tokens(self) -> Callable[..., list[str]]:
        """The tokens that are known."""
        return lambda x: [self._vocabulary.token(i) for i in x.tolist() if i]


def cut(text: str, unit: str) -> list[str]:
    """The tokens of a text."""
    return word_tokenize(text, lower=True) if unit == "words" else list(text.strip().upper())


class TextTask(Examples):
    """Texts, in a column of a table or in a folder for each class."""

    kind = "text"

    @classmethod
    def recognise(cls, source: Source) -> TextTask | None:
        """A table with a column of texts, or a folder with folders of .txt files."""
        path = source.path
        if path.is_dir():
            return _of_folders(source, path)
        if not is_table(path):
            return None
        table = open_table(source)
        targets = choose_targets(source, table)
        column = text_column(source, table, targets)
        if column is None:
            return None
        source.require_only(cls.kind, "group", *OF_TABLES)
        there = table.known(column)
        empty = len(table) - len(there)
        table, notes = known_rows(there, targets)
        notes += left_out(empty, column)
        learned, answers, strata = answers_of(table, targets)
        texts = [str(table.columns[column].value(i)) for i in range(len(table))]
        others = [n for n in table.columns if n not in (*targets, column, source.group)]
        if others:
            notes.append(f"{', '.join(others)}: left out beside the text; --kind table uses them")
        groups = groups_of(source, table)
        return cls._of(source, path.name, column, texts, learned, answers, strata, notes, groups)

    @classmethod
    def _of(
        cls, source: Source, name: str, column: str, texts: list[str], target: Target,
        answers: Any, strata: Any, notes: list[str], groups: Any = None,
        fixed: np.ndarray | None = None, unit: str | None = None,
    ) -> TextTask:  # fmt: skip
        unit = unit or unit_of(texts)
        lengths = [len(cut(t, unit)) for t in texts]
        empty = lengths.count(0)
        if empty:
            raise DataError(
                f"{source.path}: every text must have a word, but {empty:,} have none, the first "
                f"is text {lengths.index(0) + 1}"
            )
        length = length_of(lengths)
        listed = counted(occurrences(target, answers)) if target.labels else ""
        found = found_of(target, column, unit, (min(lengths), max(lengths), length), listed)
        notes += unbalanced(target, answers)
        equal, said = copies(texts, "text")
        notes += said
        settings = recipe_of(unit, length, len(texts))
        return cls(
            source, name, found, notes, settings,
            raw=texts, answers=answers, labels=strata, fixed=fixed,
            groups=merged(equal, groups) if fixed is None else None,
            column=column, unit=unit, target=target,
        )  # fmt: skip

    def __init__(self, *args: Any, column: str, unit: str, **more: Any):
        super().__init__(*args, **more)
        self.column = column
        self.unit = unit

    def learn(self, training: np.ndarray, settings: Mapping[str, Any]) -> Texts:
        """The words of the training part that occur twice, the most frequent ones."""
        rows = (cut(t, self.unit) for t in take(self.raw, training))
        tokens, width = vocabulary_of(rows, self.unit, settings)
        target = self.target.scaled(take(self.answers, training))
        return Texts(target, tokens, self.unit, settings["length"], self.column, vectors=width)


def text_column(source: Source, table: Table, targets: Sequence[str]) -> str | None:
    """The column that has the texts; None if there is none."""
    columns = [n for n in table.columns if n not in targets and _is_text(table, n)]
    if source.kind is None and _stands_without(table, columns, targets, source.group):
        columns = [n for n in columns if _is_body(table, n)]
    if not columns:
        return None
    named = [n for n in columns if n.lower() in _NAMES]
    if len(columns) > 1 and len(named) != 1:
        raise ArgumentError(
            f"{source.path}: texts of one column are learned from, but {', '.join(columns)} have "
            f"some; leave out all but one: --drop {','.join(columns[1:])}"
        )
    return (named or columns)[0]


def _stands_without(
    table: Table, columns: Sequence[str], targets: Sequence[str], group: str | None
) -> bool:
    """Whether a table has columns that say something besides those of texts."""
    others = table.select([n for n in table.columns if n not in columns])
    useless, _ = useless_columns(others, targets, group)
    return any(n not in (*targets, group, *useless) for n in others.columns)


def _is_body(table: Table, name: str) -> bool:
    """Whether texts are what a table is about, and not names beside its other columns."""
    if name.lower() in _NAMES:
        return True
    known = _first_texts(table.columns[name])
    return _are_signs(known) or float(np.mean([len(t.split()) for t in known])) >= _BODY


def unit_of(texts: Sequence[str]) -> str:
    """What texts are cut into."""
    return "signs" if _are_signs(texts) else "words"


def length_of(lengths: Sequence[int], times: Sequence[int] | None = None) -> int:
    """To which length texts are read, of all lengths, or of the different ones with their times.

    >>> length_of([3] * 98 + [9, 900]), length_of([3, 9, 900], [98, 1, 1])
    (9, 9)
    """
    order = np.argsort(lengths)
    seen = np.cumsum(np.ones(len(lengths), np.int64) if times is None else np.take(times, order))
    # As numpy.quantile with method="higher".
    at = int(np.searchsorted(seen, np.ceil(_WHOLE * (seen[-1] - 1)), side="right"))
    return min(_LONGEST, int(np.asarray(lengths)[order][at]))


def found_of(
    target: Target, column: str, unit: str, lengths: tuple[int, int, int], counts: str
) -> list[tuple[str, str]]:
    """What was understood: the lengths of the shortest and longest text, and what is read."""
    least, most, read = lengths
    answers = (target.kind, f"{len(target.labels)}: {counts}")
    if not target.labels:
        answers = ("target", ", ".join(target.names))  # type: ignore[attr-defined]
    return [("texts", f"{column}: {least} to {most} {unit}, {read} are read"), answers]


def recipe_of(unit: str, length: int, count: int) -> dict[str, Any]:
    """The recipe for so many texts."""
    size = batch_for(count)
    return {
        "model": "bag:64" if unit == "words" else "cnn:32",
        "dropout": 0.3,
        "lr": 5e-3,
        "length": length,
        "words": 20_000,
        "vectors": "" if unit == "words" else None,
        "batch_norm": None,
        "activation": None,
        "batch_size": size,
        "epochs": epochs_for(count, size, 1000),
    }


def vocabulary_of(
    rows: Iterable[list[str]], unit: str, settings: Mapping[str, Any]
) -> tuple[tuple[str, ...], int]:
    """The words of the training part that occur twice, the most frequent ones; and of how many
    numbers their vectors are, where these are given.
    """
    # A word that has a vector already need not occur twice for one to be learned.
    least = 2 if unit == "words" and not settings.get("vectors") else 1
    words = Vocabulary.build(rows, min_frequency=least, max_size=settings["words"] + 2)
    tokens = tuple(words.tokens[2:])
    return tokens, width_of(settings, Vocabulary(tokens))


def _are_signs(texts: Sequence[str]) -> bool:
    """Whether texts are sequences of which each sign counts: of bases, or long ones of letters."""
    stripped = [t.strip() for t in texts]
    if all(set(t) <= _BASES for t in stripped):
        return True
    alike = all(t == t.upper() or t == t.lower() for t in stripped)
    return alike and min(map(len, stripped)) >= _LONG and set("".join(stripped)) <= _RESIDUES


def _first_texts(column: Column) -> list[str]:
    """Some of what stands in a column."""
    return [column.value(i) for i in np.flatnonzero(~column.missing)[:200].tolist()]


def _is_text(table: Table, name: str) -> bool:
    """Whether a column has texts: of several words, or long sequences of signs."""
    column = table.columns[name]
    if column.kind not in ("text", "category"):
        return False
    known = _first_texts(column)
    if not known:
        return False
    words = float(np.mean([len(t.split()) for t in known]))
    if all(len(t) >= 8 for t in known) and _are_signs(known):
        return True
    return words >= 3 and (column.kind == "text" or name.lower() in _NAMES)


def _of_folders(source: Source, path: Path) -> TextTask | None:
    """A folder of texts for each class; or for each part, and in those for each class."""
    tops = sorted(d for d in path.iterdir() if d.is_dir() and not d.name.startswith("."))
    parts = [d for d in tops if d.name.lower() in FOLDERS]
    texts, answers, fixed = [], [], []
    for top in parts or [path]:
        for folder in sorted(d for d in top.iterdir() if d.is_dir()):
            for file in sorted(folder.glob("*.txt")):
                texts.append(read_text(file))
                answers.append(folder.name)
                fixed.append(FOLDERS.get(top.name.lower(), 0))
    if not texts:
        return None
    source.require_only(TextTask.kind)
    return TextTask._of(
        source, path.name, path.name, texts, Classes.learn(answers), answers, answers, [],
        fixed=np.array(fixed) if parts else None,
    )  # fmt: skip
