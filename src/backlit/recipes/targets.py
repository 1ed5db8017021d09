"""What is learned of an example: one of some classes, several labels, or numbers.

A target makes arrays of the answers in the data, says which loss and metrics belong to it, and
turns the outputs of a network into predictions and into the numbers that say how good they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np

from .. import nn
from ..errors import DataError
from ..tensor import as_tensor
from ..train import Accuracy, ConfusionMatrix, Metric
from .typed import made

#: What lies between the labels of one example in a column of several.
SEPARATORS = (";", "|", ",")


@dataclass(frozen=True)
class Prediction:
    """What a network says of one example.

    `value` is a label, a list of labels, a number, a dict of numbers, or a text; `shares` has the
    probability of each label, where there are labels.
    """

    value: Any
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """The probability of the label that is said; None where it is not one label."""
        return self.shares.get(self.value) if isinstance(self.value, str) else None

    def __str__(self) -> str:
        if self.share is not None:
            return f"{self.value}  {100 * self.share:.1f} %"
        if isinstance(self.value, list) and self.shares:
            said = [f"{v} {100 * self.shares[v]:.0f} %" for v in self.value]
            return ", ".join(said) or "none"
        if isinstance(self.value, dict):
            return ", ".join(f"{k} {number_text(v)}" for k, v in self.value.items())
        return number_text(self.value) if isinstance(self.value, float) else str(self.value)


@dataclass(frozen=True)
class Target:
    """The base of all targets; each is made of the answers of all examples, see `learn`."""

    kind: ClassVar[str]
    #: The names under which a run finds its target.
    kinds: ClassVar[dict[str, type[Target]]] = {}
    #: The score by which a run is known.
    headline: ClassVar[str]
    #: By which number the best epoch is chosen; None is the loss.
    monitor: ClassVar[str | None] = None
    #: Settings that have no meaning for its loss.
    unused: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        if "kind" in vars(cls):
            Target.kinds[cls.kind] = cls

    @property
    def width(self) -> int:
        """Outputs of the network."""
        raise NotImplementedError

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels, where there are some."""
        return ()

    @property
    def classes(self) -> tuple[str, ...]:
        """What a report calls the outputs of the network, where they are classes: the labels."""
        return self.labels

    def encode(self, answers: Any) -> np.ndarray:
        """The answers of some examples as an array."""
        raise NotImplementedError

    def scaled(self, trained: Any) -> Target:
        """The target by the answers of the training part, where it depends on them."""
        return self

    def loss(self, settings: Mapping[str, Any], trained: np.ndarray) -> nn.Module:
        """What is minimised; `trained` are the encoded answers of the training part."""
        raise NotImplementedError

    def metrics(self) -> list[Metric]:
        """What is shown beside the loss."""
        return []

    def scores(self, outputs: np.ndarray, answers: np.ndarray) -> dict[str, float]:
        """How good the outputs are, the headline first."""
        raise NotImplementedError

    def predictions(self, outputs: np.ndarray) -> list[Prediction]:
        """What the outputs say, for each example."""
        raise NotImplementedError

    def truths(self, answers: np.ndarray) -> list[Prediction]:
        """The encoded answers of some examples, in words."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What makes an equal target again."""
        return {"kind": self.kind, **asdict(self)}

    @staticmethod
    def of(state: dict[str, Any]) -> Target:
        """The target with a state."""
        rest = {k: v for k, v in state.items() if k != "kind"}
        return made(Target.kinds[state["kind"]], rest)


@dataclass(frozen=True)
class Named(Target):
    """The base of targets with names, and an output of the network for each."""

    names: tuple[str, ...]

    @property
    def width(self) -> int:
        """A score for each name."""
        return len(self.names)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names."""
        return self.names


@dataclass(frozen=True)
class Classes(Named):
    """One of at least two classes: softmax and cross-entropy."""

    kind = "classes"
    headline = "accuracy"

    @classmethod
    def learn(cls, answers: Sequence[str]) -> Classes:
        """The classes that occur, in their order."""
        names = tuple(sorted(set(answers), key=natural))
        if len(names) < 2:
            raise DataError(
                "at least two classes are needed to tell them apart, got "
                + (f"only {names[0]!r}" if names else "none")
            )
        return cls(names)

    def encode(self, answers: Sequence[str]) -> np.ndarray:
        """(N,) numbers of classes, int64."""
        number = {name: i for i, name in enumerate(self.names)}
        unknown = sorted({a for a in answers if a not in number})
        if unknown:
            raise DataError(
                f"the class {unknown[0]!r} is none of the {len(number)} that the run has learned: "
                f"{', '.join(self.names[:8])}"
            )
        return np.array([number[a] for a in answers], np.int64)

    def loss(self, settings: Mapping[str, Any], trained: np.ndarray) -> nn.Module:
        """Cross-entropy, with `balance` weighted by n / (C n_c), so that classes count equally."""
        weight = None
        if settings.get("balance"):
            counts = np.maximum(np.bincount(trained, minlength=self.width), 1)
            weight = as_tensor((len(trained) / (self.width * counts)).astype(np.float32))
        return nn.CrossEntropyLoss(weight, label_smoothing=settings.get("label_smoothing", 0.0))

    def metrics(self) -> list[Metric]:
        """Accuracy."""
        return [Accuracy()]

    def scores(self, outputs: np.ndarray, answers: np.ndarray) -> dict[str, float]:
        """Accuracy, cross-entropy, and the mean F1 of the classes that occur."""
        matrix = ConfusionMatrix(self.width)
        matrix.update(outputs, answers)
        logs = log_softmax(outputs)
        return {
            "accuracy": matrix.compute(),
            "loss": float(-logs[np.arange(len(answers)), answers].mean()),
            "macro F1": float(np.nanmean(matrix.f1())),
        }

    def predictions(self, outputs: np.ndarray) -> list[Prediction]:
        """The likeliest class."""
        shares = np.exp(log_softmax(outputs))
        return [
            Prediction(
                self.names[int(row.argmax())],
                dict(zip(self.names, map(float, row), strict=True)),
            )
            for row in shares
        ]

    def truths(self, answers: np.ndarray) -> list[Prediction]:
        """The classes."""
        return [Prediction(self.names[i]) for i in answers.tolist()]


@dataclass(frozen=True)
class Labels(Named):
    """Any number of labels: a logit and binary cross-entropy for each."""

    separator: str = ";"

    kind = "labels"
    unused = ("label_smoothing",)
    headline = "F1"

    @classmethod
    def learn(cls, answers: Sequence[str], separator: str) -> Labels:
        """The labels that occur."""
        names = sorted({n for a in answers for n in _several(a, separator)}, key=natural)
        if not names:
            raise DataError("at least one label is needed, got none")
        return cls(tuple(names), separator)

    def several(self, answer: str | Sequence[str]) -> Sequence[str]:
        """The labels of an answer: of a text by the separator; or they are several already."""
        return _several(answer, self.separator) if isinstance(answer, str) else answer

    def encode(self, answers: Sequence[str | Sequence[str]]) -> np.ndarray:
        """(N, labels) of 0 and 1, float32."""
        number = {name: i for i, name in enumerate(self.names)}
        encoded = np.zeros((len(answers), len(number)), np.float32)
        for i, answer in enumerate(answers):
            for name in self.several(answer):
                if name not in number:
                    raise DataError(f"the label {name!r} is none of {', '.join(self.names[:8])}")
                encoded[i, number[name]] = 1
        return encoded

    def loss(self, settings: Mapping[str, Any], trained: np.ndarray) -> nn.Module:
        """Binary cross-entropy; with `balance` a label that occurs weighs (n - n_c) / n_c."""
        weight = None
        if settings.get("balance"):
            counts = np.maximum(trained.sum(axis=0), 1)
            weight = as_tensor(((len(trained) - counts) / counts).astype(np.float32))
        return nn.BCEWithLogitsLoss(pos_weight=weight)

    def metrics(self) -> list[Metric]:
        """The share of labels that are right."""
        return [Accuracy()]

    def scores(self, outputs: np.ndarray, answers: np.ndarray) -> dict[str, float]:
        """F1 over all labels of all examples (micro), its two parts, and whole examples right."""
        said, is_there = outputs > 0, answers > 0.5
        hits, of_said, of_there = (said & is_there).sum(), said.sum(), is_there.sum()
        loss = np.logaddexp(0, outputs) - answers * outputs
        return {
            "F1": float(2 * hits / max(of_said + of_there, 1)),
            "precision": float(hits / of_said) if of_said else float("nan"),
            "recall": float(hits / of_there) if of_there else float("nan"),
            "all labels right": float((said == is_there).all(axis=1).mean()),
            "loss": float(loss.mean()),
        }

    def predictions(self, outputs: np.ndarray) -> list[Prediction]:
        """The labels that are likelier than not."""
        shares = 1 / (1 + np.exp(-outputs.astype(np.float64)))
        return [
            Prediction(
                [n for n, s in zip(self.names, row, strict=True) if s > 0.5],
                dict(zip(self.names, map(float, row), strict=True)),
            )
            for row in shares
        ]

    def truths(self, answers: np.ndarray) -> list[Prediction]:
        """The labels."""
        return [
            Prediction(", ".join(n for n, a in zip(self.names, row, strict=True) if a) or "none")
            for row in answers > 0.5
        ]


@dataclass(frozen=True)
class Numbers(Target):
    """Numbers, of which each is learned with the training part's mean 0 and deviation 1."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    kind = "numbers"
    unused = ("label_smoothing", "balance")
    headline = "mean absolute error"

    @classmethod
    def learn(cls, names: Sequence[str], answers: np.ndarray) -> Numbers:
        """Mean and deviation of the training part's answers (N, numbers)."""
        for name, column in zip(names, answers.T, strict=True):
            if column.max() == column.min():
                raise DataError(
                    f"{name}: the numbers to be learned must differ, got {column[0]:g} everywhere"
                )
        mean, deviation = answers.mean(axis=0), answers.std(axis=0)
        return cls(tuple(names), tuple(map(float, mean)), tuple(map(float, deviation)))

    @property
    def width(self) -> int:
        """An output for each number."""
        return len(self.names)

    @property
    def scale(self) -> str:
        """In which units the network has the numbers."""
        parts = zip(self.names, self.mean, self.deviation, strict=True)
        listed = [f"({name} - {mean:.6g}) / {deviation:.6g}" for name, mean, deviation in parts]
        return ", ".join(listed[:3]) + (", …" if len(listed) > 3 else "")

    def scaled(self, trained: np.ndarray) -> Numbers:
        """With the training part's mean and deviation."""
        return Numbers.learn(self.names, trained)

    def encode(self, answers: np.ndarray) -> np.ndarray:
        """(N, numbers), float32."""
        scaled = (np.asarray(answers, np.float64) - self.mean) / self.deviation
        return scaled.astype(np.float32)

    def loss(self, settings: Mapping[str, Any], trained: np.ndarray) -> nn.Module:
        """The mean square."""
        return nn.MSELoss()

    def scores(self, outputs: np.ndarray, answers: np.ndarray) -> dict[str, float]:
        """In the units of the data; R² is the share of the variance that is explained."""
        said, true = self.in_units(outputs), self.in_units(answers)
        error = said - true
        spread = ((true - true.mean(axis=0)) ** 2).sum()
        return {
            "mean absolute error": float(np.abs(error).mean()),
            "root mean square error": float(np.sqrt((error**2).mean())),
            "R²": float(1 - (error**2).sum() / spread) if spread else float("nan"),
            "loss": float(((outputs - answers) ** 2).mean()),
        }

    def predictions(self, outputs: np.ndarray) -> list[Prediction]:
        """The numbers in the units of the data."""
        rows = self.in_units(outputs)
        if len(self.names) == 1:
            return [Prediction(float(row[0])) for row in rows]
        return [Prediction(dict(zip(self.names, map(float, row), strict=True))) for row in rows]

    def truths(self, answers: np.ndarray) -> list[Prediction]:
        """The numbers in the units of the data."""
        return self.predictions(answers)

    def in_units(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs of the network, or encoded answers, in the units of the data."""
        return np.asarray(outputs, np.float64) * self.deviation + self.mean


def _several(answer: str, separator: str) -> list[str]:
    return [part.strip() for part in answer.split(separator) if part.strip()]


def separator_of(answers: Sequence[str], *, spaces: bool = False) -> str | None:
    """What separates the labels of answers that hold several, of a few labels in all; or None.

    Some label stands alone and among others: else "Rome, Italy" would be two. Only where it is said
    so, `spaces` may separate them.

    >>> separator_of(["sea;sun", "sun", "sea;city", "city"]), separator_of(["Rome, Italy"] * 9)
    (';', None)
    """
    for separator in (*SEPARATORS, *[" "] * spaces):
        several = [_several(a, separator) for a in answers]
        names = {n for parts in several for n in parts}
        alone = {parts[0] for parts in several if len(parts) == 1}
        together = {n for parts in several if len(parts) > 1 for n in parts}
        if alone & together and 2 * len(names) <= sum(map(len, several)):
            return separator
    return None


def natural(text: str) -> Any:
    """A key that sorts 2 before 10, and numbers before words."""
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)


def log_softmax(outputs: np.ndarray) -> np.ndarray:
    """The logarithms of the softmax over the last axis, in float64."""
    z = outputs.astype(np.float64)
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def number_text(value: float, digits: int = 6) -> str:
    """A number with so many digits, and with all of those before its point.

    >>> number_text(1234567.8), number_text(0.0012345678), number_text(51550.2, 4)
    ('1,234,568', '0.00123457', '51,550')
    """
    if 10 ** (digits - 1) <= abs(value) < 1e12:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def score_text(name: str, value: float) -> str:
    """A score as people read it: shares in percent."""
    if name in ("loss", "perplexity", "R²") or "error" in name:
        return number_text(value, 4) if name != "loss" else f"{value:.4f}"
    return f"{100 * value:.2f} %"
