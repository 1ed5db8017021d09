"""Words with tags, as CoNLL files have them: names of people and places, and the like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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
    read_text,
    scheme_of,
    tag_constraints,
    word_tokenize,
)
from ..errors import ArgumentError, DataError
from ..table import quantity
from ..train import EntityF1, Metric
from . import networks
from .columns import options_named
from .form import Form, Source, is_file
from .recipe import Examples, batch_for, epochs_for, take
from .split import FOLDERS, copies
from .targets import Named, Prediction, log_softmax
from .words import given_vectors, require_none, width_of

#: The endings of files of tagged words.
ENDINGS = frozenset(".conll .conll02 .conll03 .iob .iob2 .bio .bioes .ner .annotated".split())
_NONE = -100  # the label of what is no word, which the loss leaves out
#: Letters of a word's ending; the share of sentences that are not cut, and words of the longest.
_ENDING, _WHOLE, _LONGEST = 3, 0.99, 256
#: The endings of CoNLL's own files.
_PARTED = (".train", ".dev", ".valid", ".test", ".testa", ".testb")
#: Words of a sentence that is never cut.
_SHORT = 64


@dataclass(frozen=True)
class Tags(Named):
    """A tag for each word, in the scheme IOB2: cross-entropy, and F1 of whole entities."""

    kind = "tags"
    headline = "entity F1"

    def encode(self, answers: Any) -> np.ndarray:
        """(N, T) numbers of tags, -100 behind each sentence; tags are padded by the form."""
        return np.asarray(answers, np.int64)

    def loss(self, settings: Mapping[str, Any], trained: np.ndarray) -> nn.Module:
        """The mean cross-entropy of the words."""
        smoothing = settings["label_smoothing"]
        return nn.CrossEntropyLoss(ignore_index=_NONE, label_smoothing=smoothing)

    def metrics(self) -> list[Metric]:
        """F1 of entities, by which the best epoch is chosen."""
        return [EntityF1(self.names, _NONE)]

    monitor = "validation_entity F1"

    def scores(self, outputs: np.ndarray, answers: np.ndarray) -> dict[str, float]:
        """As `conlleval` counts: an entity is right if its type and both of its ends are."""
        counted = EntityF1(self.names, _NONE)
        counted.update(outputs, answers)
        found = counted.scores
        there = answers != _NONE
        logs = log_softmax(outputs.transpose(0, 2, 1))[there]
        loss = -logs[np.arange(len(logs)), answers[there]].mean()
        return {
            "entity F1": found.f1,
            "precision": found.precision,
            "recall": found.recall,
            "accuracy": found.accuracy,
            "loss": float(loss),
        }

    def _tags(self, numbers: np.ndarray) -> list[str]:
        return [self.names[i] for i in numbers.tolist()]

    def truths(self, answers: np.ndarray) -> list[Prediction]:
        """The tags of the words."""
        return [Prediction(" ".join(self._tags(row[row != _NONE]))) for row in answers]


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
            return networks.SequenceTagger(*args, constraints=tag_constraints(self.target.labels))

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
        return networks.SequenceLoss(model.crf, _NONE)

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
            if path.suffix.lower() in ENDINGS:
                found = [s.tokens for s in read_conll(path, tag=None, encoding=self._encoding)]
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
        return [(name, Prediction(_entities(name.split(" "), said.value))) for name, said in found]

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

        def words(x: np.ndarray) -> str:
            known = self._vocabularies[0]
            return " ".join(known.token(i) for i in x[:, 0].tolist() if i)

        return words


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


def _entities(tokens: Sequence[str], tags: str) -> str:
    """The entities that tags mark among words, as a person reads them."""
    found = entities(tags.split(" "))
    said = [f"{' '.join(tokens[e.start : e.stop])} [{e.type}]" for e in found]
    return ", ".join(said) or "nothing"


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
        source.require_only(cls.kind, "encoding")
        parts = _parts(files) if len(files) > 1 else [0]
        if len(files) > 1 and 0 not in parts:
            raise DataError(
                f"{path}: one of the files must have train in its name, got "
                f"{', '.join(f.name for f in files)}"
            )
        with options_named():
            sentences = [read_conll(f, encoding=source.encoding or "utf-8") for f in files]
        every = [s for of_file in sentences for s in of_file]
        fixed = np.repeat(parts, list(map(len, sentences))) if len(files) > 1 else None
        return cls._of(source, path.name, every, fixed)

    @classmethod
    def _of(
        cls, source: Source, name: str, sentences: list[Sentence], fixed: np.ndarray | None
    ) -> Tagging:
        scheme = scheme_of([s.tags for s in sentences])
        tags = [convert_tags(s.tags, "IOB2") for s in sentences]
        types = Counter(e.type for row in tags for e in entities(row))
        if not types:
            raise DataError(f"{source.path}: at least one word must have another tag than O")
        words = sum(map(len, sentences))
        listed = ", ".join(f"{n:,} {kind}" for kind, n in types.most_common(8))
        found = [
            ("words", f"{words:,} in {quantity(len(sentences), 'sentence')}"),
            ("entities", f"{sum(types.values()):,}: {listed}"),
        ]
        warnings = []
        cut = sum(len(s) > _length(sentences) for s in sentences)
        if cut:
            warnings.append(f"sentences are cut after {_length(sentences)} words: {cut:,}")
        if scheme is None:
            warnings.append("tags obey none of the schemes; they are read as conlleval does")
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
            labels=[len({e.type for e in entities(row)}) > 0 for row in tags],
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
        names = sorted({tag for row in self.answers for tag in row} | {"O"}, key=_tag_order)
        length = _length(self.raw)
        target = Tags(tuple(names))
        return TaggedWords(target, words, endings, shapes, length, vectors=width)

    def encoded(self, form: Form, numbers: np.ndarray) -> np.ndarray:
        """The tags of these sentences, padded."""
        assert isinstance(form, TaggedWords)
        number = {name: i for i, name in enumerate(form.target.labels)}
        made = np.full((len(numbers), form.length), _NONE, np.int64)
        for row, tags in zip(made, take(self.answers, numbers), strict=True):
            unknown = [t for t in tags if t not in number]
            if unknown:
                raise DataError(f"the tag {unknown[0]} is none of {', '.join(number)}")
            cut = tags[: form.length]
            row[: len(cut)] = [number[t] for t in cut]
        return made


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
    with path.open("rb") as file:
        start = file.read(8192).decode("utf-8", "replace").splitlines()[:-1]
    rows = [line.split() for line in start if line.strip()]
    tags = [row[-1] for row in rows]
    return (
        len(rows) > 1
        and all(len(row) > 1 for row in rows)
        and all(tag == "O" or tag[:2] in ("B-", "I-", "E-", "S-", "L-", "U-") for tag in tags)
    )
