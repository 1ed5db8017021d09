"""What a network needs to know of its examples: where they are, their form, and their parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .. import nn
from ..autograd import no_grad
from ..data import Dataset
from ..errors import ArgumentError, DataError
from ..tensor import as_tensor
from . import networks
from .settings import SOURCE
from .targets import Prediction, Target
from .typed import made

#: What of a source says how a table is read, and what of it is for tables alone.
READING = ("missing", "decimal", "dates", "header", "encoding")
OF_TABLES = ("target", "drop", "category", *READING)


@dataclass(frozen=True)
class Source:
    """Where examples are, and what of them is what; see `settings.SOURCE`."""

    dataset: str
    data: str | None = None
    kind: str | None = None
    target: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    time: str | None = None
    group: str | None = None
    category: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    decimal: str | None = None
    dates: str | None = None
    header: bool | None = None
    encoding: str | None = None
    skip_damaged: bool | None = None
    fill: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Source:
        """The source among settings; its paths become absolute."""
        values: dict[str, Any] = {s.name: given.get(s.name) for s in SOURCE}
        for name in (s.name for s in SOURCE if s.type is list):
            values[name] = tuple(values[name] or ())
        if values["data"] is not None:
            values["data"] = str(Path(values["data"]).expanduser().resolve())
        return cls(**values)

    @property
    def path(self) -> Path:
        """The file or folder."""
        return Path(self.dataset)

    def settings(self) -> dict[str, Any]:
        """As settings; what was not given is left out."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in values.items() if v or v is False}

    @property
    def dialect(self) -> dict[str, Any]:
        """How a table, or a text, is read; new examples are read in the same way."""
        return {n: v for n in READING if (v := getattr(self, n)) or v is False}

    def require_only(self, kind: str, *names: str) -> None:
        """Raise if something else than these is given, which has no meaning for a kind of data."""
        for name in (s.name for s in SOURCE if s.name not in ("dataset", "kind", *names)):
            if getattr(self, name):
                raise ArgumentError(
                    f"{name} has no meaning for {kind}, "
                    + (f"which takes {', '.join(names)}" if names else "leave it out")
                )


@dataclass(frozen=True)
class Form:
    """What a network needs to know of its examples, learned on the training part.

    It makes arrays of examples of the same kind, builds the network, and says what its outputs
    mean. A run saves it, so that a prediction needs no data but its own.
    """

    kind: ClassVar[str]
    #: The names under which a run finds its form.
    kinds: ClassVar[dict[str, type[Form]]] = {}
    #: What is given to `predict`, in words.
    wanted: ClassVar[str]

    target: Target
    #: How files are read, see `Source.dialect`.
    dialect: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __init_subclass__(cls) -> None:
        if "kind" in vars(cls):
            Form.kinds[cls.kind] = cls

    def networks(self, settings: Mapping[str, Any]) -> dict[str, Callable[[list[int]], nn.Module]]:
        """What makes a network of each sort, of the widths in its name."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """What a network of one's own may ask for."""
        return {"classes": self.target.width, "num_classes": self.target.width,
                "outputs": self.target.width}  # fmt: skip

    def loss(self, model: nn.Module, settings: Mapping[str, Any], trained: np.ndarray) -> nn.Module:
        """What is minimised; `trained` are the encoded answers of the training part."""
        return self.target.loss(settings, trained)

    def network(self, settings: Mapping[str, Any]) -> nn.Module:
        """The network of some settings, with weights drawn from their seed."""
        return networks.build(self.networks(settings), self.kind, settings, self.facts())

    def begin(self, model: nn.Module, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Give a network that is not yet trained what is known before, and say what that is."""
        return []

    def read(self, given: Any) -> list[tuple[str, Any]]:
        """The examples that something given to `predict` stands for, each with a name."""
        raise NotImplementedError

    def encode(self, examples: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """Examples as the inputs of the network."""
        raise NotImplementedError

    @property
    def describe(self) -> Callable[..., str] | None:
        """What makes text of an encoded example, where that is no picture."""
        return None

    @property
    def in_tokens(self) -> Callable[..., list[str]] | None:
        """What makes the tokens of an encoded example, where it is made of them."""
        return None

    def samples(self, inputs: Sequence[np.ndarray]) -> Callable[[nn.Module], str] | None:
        """What lets a network write something, if it can, from how an encoded example begins."""
        return None

    def predictions(self, outputs: np.ndarray, arrays: Sequence[np.ndarray]) -> list[Prediction]:
        """What outputs for these inputs say."""
        return self.target.predictions(outputs)

    def predict(self, model: nn.Module, given: Any) -> list[tuple[str, Prediction]]:
        """What a network says of what is given, each with its name."""
        found = self.read(given)
        arrays = self.encode([example for _, example in found])
        said = self.predictions(apply(model, arrays), arrays)
        return [(name, p) for (name, _), p in zip(found, said, strict=True)]

    def state(self) -> dict[str, Any]:
        """What makes an equal form again."""
        own = {k: v for k, v in asdict(self).items() if k != "target"}
        return {"kind": self.kind, "target": self.target.state(), **own}

    @staticmethod
    def of(state: Mapping[str, Any]) -> Form:
        """The form with a state."""
        own = {"dialect": {}, **{k: v for k, v in state.items() if k not in ("kind", "target")}}
        return made(Form.kinds[state["kind"]], own, target=Target.of(state["target"]))


@dataclass(frozen=True)
class Parts:
    """The examples of a run as its network reads them, and the form that made them."""

    form: Form
    training: Dataset
    validation: Dataset
    test: Dataset

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many examples each part has."""
        return len(self.training), len(self.validation), len(self.test)


def apply(model: nn.Module, arrays: Sequence[np.ndarray], batch: int = 256) -> np.ndarray:
    """The outputs of a network for all rows of its inputs, in batches of bounded memory."""
    with no_grad():
        made = [
            model(*(as_tensor(a[i : i + batch]) for a in arrays)).numpy()
            for i in range(0, len(arrays[0]), batch)
        ]
    return np.concatenate(made)


def is_file(given: Any) -> bool:
    """Whether something given names a file; a long text, or one with odd signs, names none."""
    try:
        return isinstance(given, str | Path) and Path(given).is_file()
    except (OSError, ValueError):
        return False


def require_finite(what: str, array: np.ndarray) -> None:
    """Raise unless all numbers of examples are finite."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{what} must hold finite numbers, got NaN or infinity")
