"""Words with tags, as CoNLL files have them: names of people and places, or parts of speech."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..data.text import (
    Sentence,
    Vocabulary,
    convert_tags,
    entities,
    read_conll,
    read_conllu,
    read_text,
    scheme_of,
    tag_constraints,
    word_tokenize,
)
from ..data.text.conll import is_tag, require_tags
from ..data.text.conllu import is_conllu
from ..errors import ArgumentError, DataError
from ..files import opened
from ..table import quantity
from . import networks
from .columns import MOST_CLASSES, options_named
from .form import Form, Source, is_file
from .recipe import Examples, batch_for, counted, epochs_for, take
from .split import FOLDERS, copies
from .tags import NO_WORD, Tags, WordClasses
from .targets import Prediction
from .words import given_vectors, require_none, width_of

#: The endings of files of tagged words.
ENDINGS = frozenset(
    ".conll .conll02 .conll03 .iob .iob2 .bio .bioes .ner .annotated .pos".split()
    + ".conllu .conllup .conllx".split()
)
#: Letters of a word's ending; the share of sentences that are not cut, and words of the longest.
_ENDING, _WHOLE, _LONGEST = 3, 0.99, 256
#: The endings of CoNLL's own files.
_PARTED = (".train", ".dev", ".valid", ".test", ".testa", ".testb")
#: The share of tags that are of entities, where the others are mistakes.
_MOSTLY = 0.9
#: Columns of CoNLL-U that are no classes.
_NO_CLASSES = frozenset("ID FORM LEMMA HEAD DEPS MISC".split())
#: Words of a sentence that is never cut.
_SHORT = 64


@dataclass(frozen=True)
class TaggedWords(Form):
    """Sentences as the features of their words: the word, its ending, its shape."""

    words: tuple[str, ...]
    endings: tuple[str, ...]
    shapes: tuple[str, ...]
    length: int
    #: Numbers of a vector that was learned elsewhere; 0 where there are none.
    vectors: int = field(default=0, kw_only=True)

    kind = "tagging"
    wanted = "a sentence, or a .txt or .conll file of them"

    @property
    def _encoding(self) -> str:
        return str(self.dialect.get("encoding", "utf-8"))

    @cached_property
    def _vocabularies(self) -> tuple[Vocabulary, ...]:
        return tuple(Vocabulary(v) for v in (self.words, self.endings, self.shapes))

    def networks(self, settings: Mapping[str, Any]) -> dict[str, Callable[[list[int]], nn.Module]]:
        """A bidirectional LSTM, or a window of words."""
        sizes = [len(v) for v in self._vocabularies]

        def tagger(
            middle: Callable[[int, int], nn.Module],
            times: int,
            made: Callable[..., nn.Module] = networks.Tagger,
        ) -> Any:
            def make(given: list[int]) -> nn.Module:
                width = given[0] if given else 64
                widths = (self.vectors or width, width // 2 or 1, 8)
                return made(
                    sizes, widths, middle(sum(widths), width), times * width, self.target.width,
                    settings["dropout"],
                )  # fmt: skip

            return make

        def both(inputs: int, width: int) -> nn.Module:
            return nn.LSTM(inputs, width, batch_first=True, bidirectional=True)

        def judged(*args: Any) -> nn.Module:
            classes = isinstance(self.target, WordClasses)
            constraints = None if classes else tag_constraints(self.target.labels)
            return networks.SequenceTagger(*args, constraints=constraints)

        return {
            "bilstm": tagger(both, times=2),
            "bilstm-crf": tagger(both, times=2, made=judged),
            "window": tagger(
                lambda d, w: nn.Sequential(nn.Conv1d(d, w, 5, padding="same"), nn.ReLU()), times=1
            ),
        }

    def loss(self, model: nn.Module, settings: Mapping[str, Any], trained: np.ndarray) -> nn.Module:
        """That of the words, or of whole sentences, where the network judges tags together."""
        if not isinstance(model, networks.SequenceTagger):
            return super().loss(model, settings, trained)
        if settings["label_smoothing"]:
            raise ArgumentError(
                "label_smoothing has no meaning for bilstm-crf, whose loss is that of whole "
                f"sentences, got {settings['label_smoothing']:g}; leave it out"
            )
        return networks.SequenceLoss(model.crf, NO_WORD)

    def begin(self, model: nn.Module, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The vectors of a file, where the settings name one."""
        if not isinstance(model, networks.Tagger):
            return require_none(settings)
        layer = model.embeddings[0]
        assert isinstance(layer, nn.Embedding)
        return given_vectors(layer, settings, self._vocabularies[0])

    def facts(self) -> dict[str, Any]:
        """Also the sizes of the features and the length."""
        return {**super().facts(), "vocabulary": len(self._vocabularies[0]), "length": self.length}

    def encode(self, examples: Sequence[Sequence[str]]) -> tuple[np.ndarray, ...]:
        """(N, T, 3) numbers of the features; 0 behind each sentence."""
        made = np.zeros((len(examples), self.length, 3), np.int64)
        for row, tokens in zip(made, examples, strict=True):
            for i, token in enumerate(tokens[: self.length]):
                row[i] = [v[f] for v, f in zip(self._vocabularies, features(token), strict=True)]
        return (made,)

    def read(self, given: Any) -> list[tuple[str, Any]]:
        """A sentence, or those of a file."""
        if is_file(given):
            path = Path(given)
            if path.suffix.lower() in ENDINGS or _has_columns(path):
                read = partial(read_conllu if is_conllu(path) else read_conll, tag=None)
                found = [s.tokens for s in read(path, encoding=self._encoding)]
            else:
                text = read_text(path, encoding=self._encoding)
                found = [tuple(word_tokenize(line)) for line in text.splitlines()]
        elif isinstance(given, str):
            found = [tuple(word_tokenize(given))]
        else:
            found = [tuple(given)]
        found = [tokens for tokens in found if tokens]
        if not found:
            raise DataError(f"predict: an input must be {self.wanted}, got {given!r:.60}")
        for tokens in found:
            if len(tokens) > _LONGEST:
                raise DataError(
                    f"predict: a sentence must have at most {_LONGEST} words, got {len(tokens)}: "
                    f"{' '.join(tokens)!r:.60}; split it"
                )
        return [(" ".join(tokens), tokens) for tokens in found]

    def predict(self, model: nn.Module, given: Any) -> list[tuple[str, Prediction]]:
        """The entities of each sentence, which may be longer than those that trained."""
        longest = max(len(tokens) for _, tokens in self.read(given))
        found = super(TaggedWords, replace(self, length=max(self.length, longest))).predict(
            model, given
        )
        assert isinstance(self.target, Tags)
        said = self.target.said
        return [(n, Prediction(said(n.split(" "), p.value.split(" ")))) for n, p in found]

    def predictions(self, outputs: np.ndarray, arrays: Sequence[np.ndarray]) -> list[Prediction]:
        """The tags of each sentence's words."""
        lengths = (arrays[0][:, :, 0] > 0).sum(axis=1)
        tags = self.target.labels
        return [
            Prediction(" ".join(tags[i] for i in row[:, :n].argmax(axis=0).tolist()))
            for row, n in zip(outputs, lengths.tolist(), strict=True)
        ]

    @property
    def describe(self) -> Callable[..., str]:
        """The words."""

        return lambda x: " ".join(self.in_tokens(x))

    @property
    def in_tokens(self) -> Callable[..., list[str]]:
        """The words."""
        return lambda x: [self._vocabularies[0].token(i) for i in x[:, 0].tolist() if i]


def features(token: str) -> tuple[str, str, str]:
    """A word in small letters, its ending, and its shape.

    >>> features("McDonald's"), features("2024")
    (("mcdonald's", "d's", 'XxXx-x'), ('2024', '024', '0'))
    """
    shape = ""
    for c in token:
        kind = "X" if c.isupper() else "x" if c.isalpha() else "0" if c.isdigit() else "-"
        if not shape.endswith(kind):
            shape += kind
    lowered = token.lower()
    return lowered, lowered[-_ENDING:], shape[:8]


class Tagging(Examples):
    """Sentences whose words have tags."""

    kind = "tagging"

    @classmethod
    def recognise(cls, source: Source) -> Tagging | None:
        """A file of tagged words, or a folder of such files for the parts."""
        path = source.path
        if path.is_dir():
            files = _tagged(path, source)
        else:
            files = [path] if path.is_file() and _is_tagged(path, source) else []
        if not files:
            return None
        source.require_only(cls.kind, "target", "encoding")
        parts = _parts(files) if len(files) > 1 else [0]
        if len(files) > 1 and 0 not in parts:
            raise DataError(
                f"{path}: one of the files must have train in its name, got "
                f"{', '.join(f.name for f in files)}"
            )
        with options_named():
            sentences = [_sentences(f, source) for f in files]
        every = [s for of_file in sentences for s in of_file]
        fixed = np.repeat(parts, list(map(len, sentences))) if len(files) > 1 else None
        return cls._of(source, path.name, every, fixed)

    @classmethod
    def _of(
        cls, source: Source, name: str, sentences: list[Sentence], fixed: np.ndarray | None
    ) -> Tagging:
        words = sum(map(len, sentences))
        found = [("words", f"{words:,} in {quantity(len(sentences), 'sentence')}")]
        tags, told, warnings, strata = _understood(source, sentences)
        found.append(told)
        cut = sum(len(s) > _length(sentences) for s in sentences)
        if cut:
            warnings.append(f"sentences are cut after {_length(sentences)} words: {cut:,}")
        size = batch_for(len(sentences))
        settings = {
            "model": "bilstm:64",
            "vectors": "",
            "dropout": 0.3,
            "lr": 5e-3,
            "batch_size": size,
            "epochs": epochs_for(len(sentences), size),
        }
        for name_of in ("balance", "activation", "batch_norm"):
            settings[name_of] = None
        words_of = [s.tokens for s in sentences]
        equal, notes = copies(words_of, "sentence")
        if fixed is None:
            warnings += notes
        return cls(
            source, name, found, warnings, settings,
            raw=words_of,
            answers=tags,
            labels=strata,
            groups=equal if fixed is None else None,
            fixed=fixed,
        )  # fmt: skip

    def learn(self, training: np.ndarray, settings: Mapping[str, Any]) -> TaggedWords:
        """The words, endings and shapes of the training part; all but the first at least twice."""
        rows = [[features(t) for t in tokens] for tokens in take(self.raw, training)]
        every = [[[f[i] for f in row] for row in rows] for i in range(3)]
        words, endings, shapes = (
            tuple(Vocabulary.build(v, min_frequency=least).tokens[2:])
            for v, least in zip(every, (1 if settings["vectors"] else 2, 2, 1), strict=True)
        )
        width = width_of(settings, Vocabulary(words))
        names = {tag for row in self.answers for tag in row}
        target: Tags = WordClasses(tuple(sorted(names)))
        if self.labels is not None:
            target = Tags(tuple(sorted(names | {"O"}, key=_tag_order)))
        length = _length(self.raw)
        return TaggedWords(target, words, endings, shapes, length, vectors=width)

    def encoded(self, form: Form, numbers: np.ndarray) -> np.ndarray:
        """The tags of these sentences, padded."""
        assert isinstance(form, TaggedWords)
        number = {name: i for i, name in enumerate(form.target.labels)}
        made = np.full((len(numbers), form.length), NO_WORD, np.int64)
        for row, tags in zip(made, take(self.answers, numbers), strict=True):
            unknown = [t for t in tags if t not in number]
            if unknown:
                raise DataError(f"the tag {unknown[0]} is none of {', '.join(number)}")
            cut = tags[: form.length]
            row[: len(cut)] = [number[t] for t in cut]
        return made


def _sentences(path: Path, source: Source) -> list[Sentence]:
    """The sentences of a file, with the tags of the column that is to be learned."""
    encoding = source.encoding or "utf-8"
    if len(source.target) > 1:
        raise ArgumentError(
            f"{path}: of words one column is learned, got {', '.join(source.target)}"
        )
    given = source.target[0] if source.target else None
    if is_conllu(path):
        if (given or "").upper() in _NO_CLASSES:
            raise ArgumentError(
                f"{path}: target must be a column of classes, as UPOS, XPOS, FEATS or DEPREL, got "
                f"{given!r}"
            )
        return read_conllu(path, given or "UPOS", encoding=encoding)
    if given is not None and not re.fullmatch(r"-?\d+", given):
        raise ArgumentError(
            f"{path}: target must be the number of a column of this file, from 0, or from -1 at "
            f"the end, got {given!r}; columns have names in CoNLL-U only"
        )
    column = -1 if given is None else int(given)
    found = read_conll(path, tag=column, entities=False, encoding=encoding)
    if _are_entities(found):
        require_tags(found)
    return found


def _are_entities(sentences: Sequence[Sentence]) -> bool:
    """Whether tags are of entities, but for mistakes; else each word has a class."""
    every = [tag for s in sentences for tag in s.tags]
    return "O" in every or sum(map(is_tag, every)) >= _MOSTLY * len(every)


def _understood(
    source: Source, sentences: Sequence[Sentence]
) -> tuple[list[Any], tuple[str, str], list[str], list[bool] | None]:
    """The tags to be learned, what to say of them and to warn of, and the strata of entities."""
    if not _are_entities(sentences):
        counts = Counter(tag for s in sentences for tag in s.tags)
        if not 1 < len(counts) <= MOST_CLASSES:
            raise DataError(
                f"{source.path}: words must have 2 to {MOST_CLASSES:,} classes, got "
                f"{len(counts):,}, as {next(iter(counts))!r:.40}; choose another column: --target"
            )
        return (
            [s.tags for s in sentences],
            ("classes", f"{len(counts):,}: {counted(counts)}"),
            [],
            None,
        )
    tags = [convert_tags(s.tags, "IOB2") for s in sentences]
    types = Counter(e.type for row in tags for e in entities(row))
    if not types:
        raise DataError(f"{source.path}: at least one word must have another tag than O")
    listed = ", ".join(f"{n:,} {kind}" for kind, n in types.most_common(8))
    warnings = []
    if scheme_of([s.tags for s in sentences]) is None:
        warnings.append("tags obey none of the schemes; they are read as conlleval does")
    told = ("entities", f"{sum(types.values()):,}: {listed}")
    return tags, told, warnings, [any(t != "O" for t in row) for row in tags]


def _length(sentences: Sequence[Any]) -> int:
    """Words beyond which a sentence is cut: the longest ones would cost all others."""
    lengths = [len(s) for s in sentences]
    if max(lengths) <= _SHORT:
        return max(lengths)
    most = int(np.quantile(lengths, _WHOLE, method="higher"))
    return min(_LONGEST, max(most, _SHORT))


def _tag_order(tag: str) -> tuple[bool, str, str]:
    return tag != "O", tag[2:], tag[:1]


def _tagged(folder: Path, source: Source) -> list[Path]:
    """The files of tagged words in a folder: by their endings, or all if one is to be trained on.

    CoNLL's own are called `eng.train`, `eng.testa` and `eng.testb`, or `train.txt` and the like.
    """
    files = sorted(f for f in folder.iterdir() if f.is_file() and not f.name.startswith("."))
    named = [f for f in files if f.suffix.lower() in ENDINGS]
    if named:
        return named
    found = [f for f in files if _part(f.name) is not None and _is_tagged(f, source)]
    return found if 0 in map(_part, (f.name for f in found)) else []


def _part(name: str) -> int | None:
    """The part that a file's name speaks of."""
    lowered = name.lower()
    return next((p for word, p in FOLDERS.items() if word in lowered), None)


def _parts(files: Sequence[Path]) -> list[int]:
    """The part of each file; of CoNLL's two tests the first validates."""
    names = [f.name.lower() for f in files]
    pair = any("testb" in n for n in names)
    return [1 if pair and "testa" in n else _part(n) or 0 for n in names]


def _is_tagged(path: Path, source: Source) -> bool:
    """Whether a file has tagged words: by its ending, or by its first lines."""
    if path.suffix.lower() in ENDINGS or source.kind == Tagging.kind:
        return True
    if path.suffix.lower() not in (".txt", ".tsv", "", *_PARTED):
        return False
    rows = [line.split() for line in _start(path) if line.strip()]
    tags = [row[-1] for row in rows]
    return (
        len(rows) > 1
        and all(len(row) > 1 for row in rows)
        and all(tag == "O" or tag[:2] in ("B-", "I-", "E-", "S-", "L-", "U-") for tag in tags)
    )


def _has_columns(path: Path) -> bool:
    """Whether a file that is given to a run has a word a line, and blank lines between sentences.

    Plain sentences that are by chance equally long have no such paragraphs.
    """
    if is_conllu(path) or _is_tagged(path, Source(str(path))):
        return True
    lines = _start(path)
    fields = [len(line.split()) for line in lines]
    blank = sum(n == 0 for n in fields[1:-1])
    adjacent = sum(n == m > 0 for n, m in pairwise(fields))
    return len({*fields} - {0}) == 1 and 0 < blank <= adjacent


def _start(path: Path) -> list[str]:
    """The first lines of a file, without the last of them, which may be cut."""
    with opened(path, "read_conll") as file:
        lines = file.read(8192).decode("utf-8", "replace").splitlines()
    return lines[:-1]
