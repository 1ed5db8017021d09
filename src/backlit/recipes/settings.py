"""What can be set of a recipe: each setting once, with what it may be; the command line, files of
settings and saved runs all read this table.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.tables.dates import ORDERS
from ..errors import ArgumentError, DataError
from ..files import read_bytes
from ..spelling import near_name

OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adagrad", "adam", "adamw")
SCHEDULES = ("constant", "linear", "cosine", "one-cycle")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu", "silu")


@dataclass(frozen=True)
class Setting:
    """A setting: its type (str, int, float, bool or list, of texts), and which values it takes."""

    name: str
    type: type
    help: str
    low: float = -math.inf
    high: float = math.inf
    #: Whether the ends belong to the range.
    low_open: bool = False
    high_open: bool = False
    choices: tuple[str, ...] = ()

    @property
    def option(self) -> str:
        """As it is written on the command line."""
        return "--" + self.name.replace("_", "-")

    def checked(self, value: Any) -> Any:
        """The value, or an ArgumentError that says what it must be."""
        fits = type(value) is self.type or (self.type is float and type(value) is int)
        if fits and self.type is str:
            if not self.choices:
                return value
            value = value.lower()
            fits = value in self.choices
        elif fits and self.type is list:
            fits = all(isinstance(v, str) for v in value)
        elif fits and self.type in (int, float):
            above = value > self.low if self.low_open else value >= self.low
            below = value < self.high if self.high_open else value <= self.high
            fits = above and below
        if not fits:
            raise ArgumentError(
                f"{self.name} must be {self.words}, got {value!r:.60}"
                + did_you_mean(value, self.choices)
            )
        return self.type(value)

    @property
    def words(self) -> str:
        """What it may be."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.type is bool:
            return "true or false"
        if self.type is str:
            return "a text"
        if self.type is list:
            return "a list of texts"
        kind = "a whole number" if self.type is int else "a number"
        low, high = self.low, self.high
        if math.isinf(high):
            return f"{kind} {'above' if self.low_open else 'from'} {low:g}"
        return f"{kind} in {'(' if self.low_open else '['}{low:g}, {high:g}" + (
            ")" if self.high_open else "]"
        )


def _number(name: str, help: str, low: float, high: float = math.inf, **more: Any) -> Setting:
    return Setting(name, float, help, low, high, **more)


def _whole(name: str, help: str, low: int, high: float = math.inf) -> Setting:
    return Setting(name, int, help, low, high)


#: What is trained on: where the examples are, and what of them is what.
SOURCE = (
    Setting("dataset", str, "A built-in set, or the path of the data."),
    Setting("data", str, "The folder of a built-in set's files, or the data of a script's model."),
    Setting("kind", str, "What the data is, where a look at it leaves that open."),
    Setting("target", list, "The column (or columns, or array) to be learned."),
    Setting("drop", list, "Columns that are left out."),
    Setting("time", str, "The column that has the time."),
    Setting(
        "group",
        str,
        "The column whose equal values stay in one part; of tiles: none.",
    ),
    Setting("category", list, "Columns of categories, though they have numbers."),
    Setting("missing", list, "Texts in a table that stand for no value, besides NA and the like."),
    Setting("decimal", str, "The decimal sign of a table's numbers.", choices=(".", ",")),
    Setting("dates", str, "What comes first in dates as 3/12/2024.", choices=ORDERS),
    Setting("header", bool, "Whether the first line of a table has names."),
    Setting("encoding", str, "Of files of text that are not UTF-8, as latin-1."),
    Setting("skip_damaged", bool, "Leave out pictures and sounds that cannot be read."),
    Setting("fill", str, "What stands in gaps of a series.", choices=("previous", "linear")),
)

#: What is learned, and how.
RECIPE = (
    Setting("model", str, "linear, mlp:256-128, …, a name of `backlit models`, or net.py:Net."),
    Setting("activation", str, "After each hidden layer.", choices=ACTIVATIONS),
    Setting("batch_norm", bool, "Before each activation."),
    _number("dropout", "The share that is left out after activations.", 0, 1, high_open=True),
    _whole("epochs", "Passes over the training examples.", 1),
    Setting("optimizer", str, "The update rule.", choices=OPTIMIZERS),
    _number("lr", "The (highest) learning rate.", 0, low_open=True),
    _number("weight_decay", "Strength of weight decay.", 0),
    Setting("schedule", str, "How the learning rate changes.", choices=SCHEDULES),
    _number("warmup", "The share of steps in which the rate rises.", 0, 1, high_open=True),
    _whole("batch_size", "Examples in an update.", 1),
    _number("clip_norm", "Limit of the gradient's norm; 0 is none.", 0),
    _number("label_smoothing", "The share of a label that all classes get.", 0, 1, high_open=True),
    Setting("balance", bool, "Weigh rare classes more."),
    _whole("patience", "Epochs without improvement that end the run; 0 is never.", 0),
    Setting("augment", bool, "Flip and shift pictures at random."),
    _whole("size", "Pixels of a side that pictures are brought to.", 4, 1024),
    _number("seconds", "Of a sound that are read; longer ones are cut.", 0.032, 600),
    _whole("length", "Tokens of a text; longer ones are cut.", 1, 4096),
    _whole("words", "The most frequent words that have a vector.", 10),
    Setting("vectors", str, "A file of GloVe, word2vec or fastText, in which words have vectors."),
    _whole("context", "Characters that a language model sees.", 2, 4096),
    _whole("window", "Past steps that a forecast sees.", 1, 4096),
    _whole("horizon", "Steps ahead that are forecast.", 1, 4096),
    _number("validation", "The share that chooses the best epoch.", 0, 0.9, low_open=True),
    _number("test", "The share that is never trained on.", 0, 0.9, low_open=True),
    _number("noise", "Of the points of a playground set.", 0, 0.5),
    _whole("samples", "Points of a playground set.", 20),
    Setting("workers", int, "Processes that make batches of pictures.", 0, 64),
    Setting("compile", bool, "Compile the training step."),
    _whole("seed", "Of all random numbers.", 0, 2**32),
)

SETTINGS = {s.name: s for s in (*SOURCE, *RECIPE)}


def did_you_mean(value: Any, names: Iterable[str]) -> str:
    """The end of an error about a name: the one that is perhaps meant.

    >>> did_you_mean("epoch", ["epochs", "lr"]), did_you_mean(3, ["epochs"])
    ('; did you mean epochs?', '')
    """
    near = near_name(value, names, 0.6) if isinstance(value, str) else None
    return f"; did you mean {near}?" if near else ""


def checked(given: Mapping[str, Any], allowed: Iterable[str] | None = None) -> dict[str, Any]:
    """Settings by name, each with a value that it takes."""
    known = list(SETTINGS if allowed is None else allowed)
    for name in given:
        if name not in known:
            raise ArgumentError(
                f"{name} is no setting{did_you_mean(name, known)}"
                if name not in SETTINGS
                else f"{name} is no setting of this recipe, which has {', '.join(known)}"
            )
    return {name: SETTINGS[name].checked(value) for name, value in given.items()}


def read_file(path: str | Path) -> dict[str, Any]:
    """The settings in a TOML file. Raises DataError, which names the key, if one is not right."""
    try:
        content = tomllib.loads(read_bytes(path, "config").decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a TOML file: {error}") from None
    try:
        return checked(content)
    except ArgumentError as error:
        raise DataError(f"{path}: {error}") from None


def as_toml(settings: Mapping[str, Any]) -> str:
    """Settings as lines of TOML, in the order of the tables; what is None is left out.

    >>> print(as_toml({"lr": 0.01, "dataset": "xor"}), end="")
    dataset = "xor"
    lr = 0.01
    """
    lines = []
    for name in SETTINGS:
        value = settings.get(name)
        if value is not None:
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            lines.append(f"{name} = {text}\n")
    return "".join(lines)
