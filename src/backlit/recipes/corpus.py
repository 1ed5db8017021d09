"""A text that is continued: a language model of its characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import nn
from ..autograd import no_grad
from ..data import TensorDataset
from ..data.text import CharTokenizer, Vocabulary, read_text
from ..errors import DataError
from ..models import GPT2, CharRNN
from ..random import Generator
from ..table import are, quantity
from ..tensor import as_tensor
from ..train import Metric, Perplexity
from . import networks
from .columns import is_table, options_named
from .form import Form, Parts, Source
from .recipe import Recipe, epochs_for
from .split import by_time
from .targets import Prediction, Target, log_softmax

#: The endings of plain text.
ENDINGS = (".txt", ".md", ".text")
#: Characters that a prediction adds; how sharp its probabilities are; the seed that draws them.
_LENGTH, _TEMPERATURE, _SEED = 200, 0.8, 0
#: In a report it writes so many characters behind the first so many of an example.
_WRITTEN, _BEGUN = 80, 12
#: What stands for white space where one character is shown.
_SIGNS = {" ": "␣", "\n": "⏎", "\t": "⇥"}
#: A list of names has at least so many lines, and this share of them has at most so many words.
_LINES, _SHARE, _WORDS = 50, 0.9, 3


@dataclass(frozen=True)
class Characters(Target):
    """The next character at each place: cross-entropy."""

    names: tuple[str, ...]

    kind = "characters"
    headline = "perplexity"

    @property
    def width(self) -> int:
        """A score for each character."""
        return len(self.names)

    @property
    def classes(self) -> tuple[str, ...]:
        """The characters, with signs for those that nobody sees."""
        return tuple(_SIGNS.get(c, c) for c in self.names)

    def encode(self, answers: Any) -> np.ndarray:
        """(N, T), int64."""
        return np.asarray(answers, np.int64)

    def loss(self, settings: Mapping[str, Any], trained: np.ndarray) -> nn.Module:
        """The mean cross-entropy of the characters, in nats."""
        return nn.CrossEntropyLoss(label_smoothing=settings["label_smoothing"])

    def metrics(self) -> list[Metric]:
        """The exponential of the cross-entropy: as many characters seem equally likely."""
        return [Perplexity()]

    def scores(self, outputs: np.ndarray, answers: np.ndarray) -> dict[str, float]:
        """Of each next character."""
        logs = log_softmax(outputs.transpose(0, 2, 1))
        loss = -float(np.take_along_axis(logs, answers[..., None], -1).mean())
        hits = float((outputs.argmax(axis=1) == answers).mean())
        return {"perplexity": float(np.exp(loss)), "loss": loss, "accuracy": hits}

    def predictions(self, outputs: np.ndarray) -> list[Prediction]:
        """The likeliest next character at each place."""
        return self.truths(outputs.argmax(axis=1))

    def truths(self, answers: np.ndarray) -> list[Prediction]:
        """The characters."""
        return [Prediction("".join(self.names[i] for i in row)) for row in answers.tolist()]


@dataclass(frozen=True)
class Continuation(Form):
    """A text as the numbers of its characters."""

    context: int

    kind = "corpus"
    wanted = "the beginning of a text"

    @cached_property
    def _tokenizer(self) -> CharTokenizer:
        return CharTokenizer(Vocabulary(self._characters, padding=None, unknown=None))

    @property
    def _characters(self) -> tuple[str, ...]:
        assert isinstance(self.target, Characters)
        return self.target.names

    def networks(self, settings: Mapping[str, Any]) -> dict[str, Callable[[list[int]], nn.Module]]:
        """Recurrent layers, and a transformer; each width after the first is a layer more."""
        size, dropout = len(self._characters), settings["dropout"]

        def recurrent(cell: str) -> Callable[[list[int]], nn.Module]:
            def make(given: list[int]) -> nn.Module:
                width = given[0] if given else 128
                return networks.EachPlace(CharRNN(size, width, width, max(len(given), 1), cell))

            return make

        def gpt(given: list[int]) -> nn.Module:
            width, layers = given[0] if given else 128, max(len(given), 2)
            heads = next(h for h in (4, 2, 1) if width % h == 0)
            return networks.EachPlace(GPT2(size, self.context, layers, heads, width, dropout))

        return {"lstm": recurrent("lstm"), "gru": recurrent("gru"), "gpt": gpt}

    def facts(self) -> dict[str, Any]:
        """Also how many characters there are, and how many the network sees."""
        return {**super().facts(), "vocabulary": len(self._characters), "context": self.context}

    def encode(self, examples: Sequence[str]) -> tuple[np.ndarray, ...]:
        """(N, T), int64."""
        return (np.array([self._tokenizer.encode(text) for text in examples], np.int64),)

    def read(self, given: Any) -> list[tuple[str, Any]]:
        """A text that is to be continued."""
        if not isinstance(given, str) or not given:
            raise DataError(f"predict: an input must be {self.wanted}, got {given!r:.40}")
        strange = next((c for c in given if c not in self._characters), None)
        if strange is not None:
            raise DataError(
                f"predict: the characters must be those of the training text, got {strange!r} in "
                f"{given!r:.40}; there are {''.join(self._characters)!r:.120}"
            )
        return [(given, given)]

    def predict(self, model: nn.Module, given: Any) -> list[tuple[str, Prediction]]:
        """What the network writes behind the text."""
        return [(name, Prediction(self._continued(model, text))) for name, text in self.read(given)]

    def _continued(self, model: nn.Module, text: str, length: int = _LENGTH) -> str:
        numbers = self._tokenizer.encode(text)
        draws = Generator(_SEED).uniform((length,)).numpy()
        with no_grad():
            for draw in draws.tolist():
                seen = np.array([numbers[-self.context :]], np.int64)
                scores = model(as_tensor(seen)).numpy()[0, :, -1]
                shares = np.exp(log_softmax(scores / _TEMPERATURE)).cumsum()
                numbers.append(int(min(np.searchsorted(shares, draw), len(shares) - 1)))
        return self._tokenizer.decode(numbers)

    @property
    def describe(self) -> Callable[..., str]:
        """The text."""
        return lambda x: self._tokenizer.decode(x)

    @property
    def in_tokens(self) -> Callable[..., list[str]]:
        """The characters."""
        return lambda x: [self._tokenizer.decode([i]) for i in x.tolist()]

    def samples(self, inputs: Sequence[np.ndarray]) -> Callable[[nn.Module], str]:
        """A continuation of the first characters."""
        begun = self._tokenizer.decode(inputs[0][:_BEGUN])
        return lambda model: self._continued(model, begun, _WRITTEN)


class Corpus(Recipe):
    """A file of plain text: prose, verse, or names one a line."""

    kind = "corpus"

    @classmethod
    def recognise(cls, source: Source) -> Corpus | None:
        """A file of plain text."""
        path = source.path
        if not path.is_file() or path.suffix.lower() not in ENDINGS:
            return None
        if source.kind is None and is_table(path):
            return None
        source.require_only(cls.kind, "encoding")
        with options_named():
            text = read_text(path, encoding=source.encoding or "utf-8")
        lines = text.splitlines()
        if len(text) < 200:
            raise DataError(f"{path}: a text must have at least 200 characters, got {len(text)}")
        if len(set(text)) < 2:
            raise DataError(f"{path}: a text must have different characters, got {text[0]!r} alone")
        short = [len(line.split()) <= _WORDS for line in lines]
        listed = len(lines) >= _LINES and np.mean(short) >= _SHARE
        found = [
            ("text", f"{len(text):,} characters, {len(set(text))} different, "
             f"{quantity(len(lines), 'line')}"),
            ("learned", "the next character; " + (
                "the lines are shuffled" if listed else "the last parts of the text are the test"
            )),
        ]  # fmt: skip
        twice = Counter(lines)
        repeated = sum(n - 1 for line, n in twice.items() if line.strip()) if listed else 0
        warnings = (
            [are(repeated, "line", "occurs more than once", "occur more than once")]
            if repeated
            else []
        )
        context = 32 if listed else 64
        blocks = len(text) // context
        settings = {
            "model": "lstm:128",
            "dropout": 0.1,
            "lr": 5e-3,
            "weight_decay": 0.0,
            "clip_norm": 1.0,
            "batch_size": 32,
            "context": context,
            "epochs": epochs_for(blocks, 32, 1500),
        }
        settings |= dict.fromkeys(("activation", "batch_norm", "balance"))
        return cls(source, path.name, found, warnings, settings, text=text, listed=bool(listed))

    def __init__(self, *args: Any, text: str, listed: bool):
        super().__init__(*args)
        self.text = text
        #: Whether each line is an example of its own.
        self.listed = listed

    def parts(self, settings: Mapping[str, Any], form: Form | None = None) -> Parts:
        """Blocks of the text; the first ones train, the last ones are the test."""
        text = self.text
        if self.listed:
            lines = text.splitlines()
            order = Generator(settings["seed"]).permutation(len(lines)).tolist()
            text = "\n".join(lines[i] for i in order)
        form = form or Continuation(
            Characters(tuple(CharTokenizer.train(text).tokens)), settings["context"]
        )
        assert isinstance(form, Continuation)
        numbers = form.encode([text])[0][0]
        found = by_time(
            self.name, len(numbers), validation=settings["validation"], test=settings["test"]
        )
        made = (
            self._blocks(form, numbers[p]) for p in (found.training, found.validation, found.test)
        )
        return Parts(form, *made)

    def _blocks(self, form: Continuation, numbers: np.ndarray) -> TensorDataset:
        context = form.context
        count = (len(numbers) - 1) // context
        if count < 1:
            raise DataError(
                f"{self.name}: every part must have more than context={context} characters, got "
                f"{len(numbers)}; take a shorter --context"
            )
        x, y = (numbers[i : i + count * context].reshape(count, context) for i in (0, 1))
        return TensorDataset(x, y)
