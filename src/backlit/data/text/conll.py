"""Tagged sentences in columns, as the shared tasks of CoNLL have them: one word a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...array_api.arguments import whole
from ...errors import ArgumentError, DataError
from ...files import write_whole
from ...table import quantity
from ..dataset import Dataset, TensorDataset, example_number
from .reading import PathLike, numbered_lines, place
from .sequences import windows
from .tags import LETTERS, convert_tags, flaw, scheme_name, split_tag
from .vocabulary import Vocabulary

_DOCUMENT = "-DOCSTART-"


@dataclass(frozen=True)
class Sentence:
    """Words with their tags, and where they stand: the file and the line of each word."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...] = ()
    path: str = ""
    lines: tuple[int, ...] = ()

    def place(self, word: int = 0) -> str:
        """Where a word stands."""
        return place(self.path, self.lines[word]) if self.lines else f"word {word}"

    def __len__(self) -> int:
        return len(self.tokens)


def read_conll(
    path: PathLike,
    *,
    token: int = 0,
    tag: int | None = -1,
    scheme: str | None = None,
    convert: str | None = None,
    delimiter: str | None = None,
    comment: str | None = "# ",
    entities: bool = True,
    encoding: str = "utf-8",
) -> list[Sentence]:
    """The sentences of a file with a word and its columns on each line, and empty lines between.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "train.conll"
    >>> _ = path.write_text("Ada B-PER\\nlives O\\n\\nin O\\nKöln B-LOC\\n", "utf-8")
    >>> [s.tokens for s in read_conll(path)]
    [('Ada', 'lives'), ('in', 'Köln')]

    - `token` and `tag` are the columns, counted from 0, or from -1 at the end; with `tag=None` the
      sentences have no tags.
    - With a `scheme` (IOB1, IOB2, BIOES or IOBES, BILOU) all tags must obey it; `convert` is the
      scheme that they are given in. Without a `scheme` they are read as `entities` does.
    - With `entities=False` tags are any texts, as parts of speech are, of which none is checked.
    - Columns are parted by tabs where the first line has one, else by spaces; or by `delimiter`.
    - A line between sentences that begins with `comment`, and has not as many columns as the
      others, is left out, as is a line whose word is -DOCSTART-. Line ends may be of either kind.

    Raises DataError, with file and line, for lines with more or fewer columns than the first, tags
    that are none or that the scheme does not allow, and a file without a sentence.
    """
    layout = _Layout.of(path, delimiter, comment, encoding)
    layout.require(path, token, tag)
    sentences = list(_read(path, token, tag, layout, encoding))
    if not sentences:
        raise DataError(f"read_conll: {path} must have at least one sentence, but has none")
    if tag is None or not entities:
        return sentences
    require_tags(sentences, scheme)
    if convert is None:
        return sentences
    return [replace(s, tags=tuple(convert_tags(s.tags, convert))) for s in sentences]


@dataclass(frozen=True)
class _Layout:
    """How the lines of a file are parted, and how many columns they have: as its first one."""

    delimiter: str
    comment: str | None
    columns: int = 0
    line: int = 0

    @classmethod
    def of(
        cls, path: PathLike, delimiter: str | None, comment: str | None, encoding: str
    ) -> _Layout:
        """As the first line that is surely a word's has them."""
        number, first = 0, ""
        for n, line in numbered_lines(path, "read_conll", encoding):
            if _is_empty(line) or line.startswith(_DOCUMENT):
                continue
            if not first or not _is_comment(line, comment):
                number, first = n, line
            if not _is_comment(line, comment):
                break
        if delimiter is None:
            delimiter = "\t" if "\t" in first else " "
        return cls(delimiter, comment, len(cls(delimiter, comment).fields(first)), number)

    def fields(self, line: str) -> list[str]:
        """The columns of a line; several spaces are as one."""
        fields = [field.strip(" ") for field in line.split(self.delimiter)]
        return [field for field in fields if field] if self.delimiter == " " else fields

    def require(self, path: PathLike, token: int, tag: int | None) -> None:
        """Raise unless the columns that are asked for are there."""
        for name, column in (("token", token), ("tag", tag)):
            if column is not None and self.columns and not -self.columns <= column < self.columns:
                raise DataError(
                    f"read_conll: {place(path, self.line)} must have the column {name}={column}, "
                    f"but has {self.columns}; with tag=None the words are read without tags"
                )
        if tag is not None and self.columns and token % self.columns == tag % self.columns:
            raise DataError(
                f"read_conll: {place(path, self.line)} has {self.columns} columns, so that "
                f"token={token} and tag={tag} are the same; with tag=None the words are read "
                "without tags"
            )


def _is_empty(line: str) -> bool:
    return not line.strip(" \t")


def _is_comment(line: str, comment: str | None) -> bool:
    return comment is not None and f"{line} ".startswith(comment)


def _read(
    path: PathLike, token: int, tag: int | None, layout: _Layout, encoding: str
) -> Iterator[Sentence]:
    words: list[tuple[str, str, int]] = []

    def sentence() -> Sentence:
        tokens, tags, lines = zip(*words, strict=True)
        words.clear()
        return Sentence(tokens, tags if tag is not None else (), str(path), lines)

    for number, line in numbered_lines(path, "read_conll", encoding):
        if _is_empty(line) or line.startswith(_DOCUMENT):
            if words:
                yield sentence()
            continue
        fields = layout.fields(line)
        if len(fields) != layout.columns:
            if not words and _is_comment(line, layout.comment):
                continue
            raise DataError(
                f"read_conll: {place(path, number)} must have {layout.columns} columns, as line "
                f"{layout.line} has, got {len(fields)} in {line!r:.60}"
            )
        if not fields[token]:
            raise DataError(f"read_conll: {place(path, number)} must have a word, got {line!r:.60}")
        words.append((fields[token], "" if tag is None else fields[tag], number))
    if words:
        yield sentence()


def require_tags(sentences: Iterable[Sentence], scheme: str | None = None) -> None:
    """Raise DataError unless tags are of entities, and those of the scheme if one is given."""
    name = None if scheme is None else scheme_name(scheme)
    for sentence in sentences:
        _check(sentence, name)


def is_tag(tag: str) -> bool:
    """Whether a tag is O, or one of an entity."""
    return tag == "O" or tag.partition("-")[0] in LETTERS


def _check(sentence: Sentence, scheme: str | None) -> None:
    for i, tag in enumerate(sentence.tags):
        try:
            split_tag(tag)
        except ArgumentError as error:
            raise DataError(f"read_conll: {sentence.place(i)}: {error}") from None
    wrong = None if scheme is None else flaw(sentence.tags, scheme)
    if wrong is not None:
        i, wanted = wrong
        raise DataError(
            f"read_conll: {sentence.place(i)}: in {scheme} the tag of {sentence.tokens[i]!r} must "
            f"be {wanted}, got {sentence.tags[i]}; without scheme= tags are read as conlleval does"
        )


def write_conll(path: PathLike, sentences: Iterable[Sentence]) -> None:
    """Write words and tags to a file, parted by tabs, with an empty line behind each sentence."""
    lines = []
    for sentence in sentences:
        columns = [sentence.tokens, sentence.tags] if sentence.tags else [sentence.tokens]
        for fields in zip(*columns, strict=True):
            if any(set("\t\r\n") & {*field} for field in fields):
                raise ArgumentError(
                    f"write_conll: words and tags must have no tab or line end, got {fields}"
                )
            lines.append("\t".join(fields))
        lines.append("")
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


class ConllDataset(Dataset):
    """Sentences as the numbers of their words and of their tags, int64 arrays of shape (T,).

    >>> sentences = [Sentence(("Ada", "lives"), ("B-PER", "O"))]
    >>> data = ConllDataset(sentences)
    >>> data.words.tokens, data.tags.tokens
    (['<pad>', '<unk>', 'Ada', 'lives'], ['B-PER', 'O'])
    >>> data[0]
    (array([2, 3]), array([0, 1]))

    `words` and `tags` are vocabularies: of the sentences, if none are given; give those of the
    training part to the others. A sentence without tags gives its words alone. One that is longer
    than `length` is an error, unless `truncate`, which leaves out what is behind.
    """

    def __init__(
        self,
        sentences: Iterable[Sentence],
        words: Vocabulary | None = None,
        tags: Vocabulary | None = None,
        *,
        length: int | None = None,
        truncate: bool = False,
    ):
        self.sentences = list(sentences)
        if words is None:
            words = Vocabulary.build(s.tokens for s in self.sentences)
        if tags is None and any(s.tags for s in self.sentences):
            every = {tag for s in self.sentences for tag in s.tags}
            tags = Vocabulary(sorted(every), padding=None, unknown=None)
        self.words = words
        self.tags = tags
        if length is not None:
            whole("ConllDataset: length", length)
        self.length = length
        for sentence in self.sentences:
            self._require(sentence, truncate)

    def _require(self, sentence: Sentence, truncate: bool) -> None:
        if self.length is not None and len(sentence) > self.length and not truncate:
            raise DataError(
                f"ConllDataset: the sentence at {sentence.place()} must have at most "
                f"length={self.length} words, got {len(sentence)}; truncate=True leaves out the "
                "rest"
            )
        if self.tags is None:
            return
        for i, tag in enumerate(sentence.tags):
            if tag not in self.tags:
                raise DataError(
                    f"ConllDataset: the tag of {sentence.tokens[i]!r} at {sentence.place(i)}: "
                    f"{self.tags.missing(tag)}"
                )

    @property
    def lengths(self) -> list[int]:
        """How many words each sentence has."""
        most = self.length
        return [len(s) if most is None else min(len(s), most) for s in self.sentences]

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, index: Any) -> tuple[np.ndarray, ...]:
        sentence = self.sentences[example_number(index, len(self))]
        numbers = np.array(self.words.encode(sentence.tokens[: self.length]), np.int64)
        if self.tags is None or not sentence.tags:
            return (numbers,)
        return numbers, np.array(self.tags.encode(sentence.tags[: self.length]), np.int64)

    def windows(self, size: int) -> TensorDataset:
        """For each word its window of `size` words, and its tag: what a window tagger learns from.

        x: int64 (W, size), with padding at the ends of sentences;  y: int64 (W,)
        """
        padding = self.words.padding_number
        if padding is None:
            raise ArgumentError(
                "ConllDataset.windows: the vocabulary of words must have padding, for the ends of "
                "sentences"
            )
        columns = list(zip(*(self[i] for i in range(len(self))), strict=True))
        x = np.concatenate([windows(words, size, padding=padding) for words in columns[0]])
        return TensorDataset(x, *(np.concatenate(tags) for tags in columns[1:]))

    def __repr__(self) -> str:
        words = quantity(sum(map(len, self.sentences)), "word")
        return f"ConllDataset({quantity(len(self), 'sentence')}, {words})"


__all__ = ["ConllDataset", "Sentence", "read_conll", "write_conll"]
