"""The sets that need no data of one's own: digits, the playground, and the files of MNIST."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..data import TensorDataset, cifar_folder, digits, idx_folder, playground, random_split
from ..data.cifar import CLASSES as CIFAR
from ..data.idx import CLASSES
from ..data.pictures import EXTENSIONS
from ..data.published import published_folder
from ..errors import ArgumentError, DataError
from . import networks
from .form import Form, Parts, Source, is_file, require_finite
from .images import Varied, pixels
from .numbers import read_numbers
from .recipe import Recipe
from .targets import Classes

_IMAGES = {
    "model": "mlp:256",
    "dropout": 0.3,
    "lr": 5e-3,
    "epochs": 20,
    "batch_size": 64,
}
_POINTS = {
    "model": "mlp:8-8",
    "activation": "tanh",
    "batch_norm": False,
    "optimizer": "adam",
    "lr": 0.03,
    "weight_decay": 0.0,
    "epochs": 100,
    "batch_size": 10,
    "validation": 0.2,
    "noise": 0.1,
    "samples": 500,
}
_FILES = {**_IMAGES, "model": "mlp:512-256", "lr": 2e-3, "epochs": 12, "batch_size": 128}
_SIDES = ("orange", "blue")
#: The settings of each set in which it differs from others of its kind.
SETS: dict[str, dict[str, Any]] = {
    "digits": _IMAGES,
    "spiral": {**_POINTS, "model": "mlp:16-16", "epochs": 300, "noise": 0.0},
    "circle": _POINTS,
    "xor": _POINTS,
    "gauss": {**_POINTS, "model": "linear", "epochs": 30},
    "mnist": _FILES,
    "fashion-mnist": _FILES,
    "cifar10": {**_IMAGES, "model": "cnn:32-64-128", "dropout": 0.1, "lr": 2e-3, "augment": True},
}
#: Largest value of a pixel in scikit-learn's scans, by which `digits` divides them.
_SCAN = 16.0


@dataclass(frozen=True)
class _Rows(Form):
    """Examples that are rows of a given shape of numbers."""

    shape: tuple[int, ...]

    def networks(self, settings: Mapping[str, Any]) -> dict[str, Callable[[list[int]], nn.Module]]:
        """Perceptrons, and for pictures convolutions."""

        def dense(hidden: Sequence[int]) -> nn.Module:
            flat: list[nn.Module] = [nn.Flatten()] if len(self.shape) > 1 else []
            size = math.prod(self.shape)
            return nn.Sequential(
                *flat, *networks.perceptron(size, hidden, self.target.width, settings)
            )

        made: dict[str, Callable[[list[int]], nn.Module]] = {"linear": dense, "mlp": dense}
        if len(self.shape) == 3:
            made["cnn"] = lambda channels: nn.Sequential(
                *networks.convolutions(self.shape, channels, self.target.width, settings)
            )
        return made

    def facts(self) -> dict[str, Any]:
        """Also the shape of an example."""
        return {**super().facts(), "shape": self.shape, "inputs": math.prod(self.shape),
                "channels": self.shape[0]}  # fmt: skip

    def encode(self, examples: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """(N, *shape), float32."""
        return (np.stack(examples).astype(np.float32),)

    def read(self, given: Any) -> list[tuple[str, Any]]:
        """The examples in a file or an array."""
        if isinstance(given, str | Path):
            name, x = str(given), self._read(Path(given))
        else:
            name, x = "example", np.asarray(given)
        size = math.prod(self.shape)
        if x.size == 0 or x.size % size or (x.ndim > 1 and x[0].size % size and x.size != size):
            raise DataError(
                f"predict: {name} must have rows of {size} numbers "
                f"({'×'.join(map(str, self.shape))}), got the shape {x.shape}"
            )
        if x.dtype.kind not in "fiub":
            raise DataError(f"predict: {name} must hold numbers, got {x.dtype}")
        require_finite(f"predict: {name}", x)
        rows = self._scaled(name, x).reshape(-1, *self.shape)
        return [(name if len(rows) == 1 else f"{name}[{i}]", row) for i, row in enumerate(rows)]

    def _read(self, path: Path) -> np.ndarray:
        if not is_file(path):
            raise DataError(
                f"predict: an input must be {self.wanted}, got {path}, which does not exist"
            )
        return read_numbers(path)

    def _scaled(self, name: str, x: np.ndarray) -> np.ndarray:
        return x.astype(np.float32)


@dataclass(frozen=True)
class Points(_Rows):
    """Points of the plane."""

    kind = "points"
    wanted = "a file or a point such as 1.5,-2"

    def _read(self, path: Path) -> np.ndarray:
        if not is_file(path):
            try:
                numbers = [float(part) for part in str(path).split(",")]
            except ValueError:
                numbers = []
            if len(numbers) == 2 and all(map(math.isfinite, numbers)):
                return np.array([numbers], np.float32)
        return super()._read(path)


@dataclass(frozen=True)
class Pixels(_Rows):
    """Grey pictures of one size, in [0, 1] as the network was trained."""

    #: The largest value of a pixel in the files of the set.
    white: float

    kind = "pixels"
    wanted = "a file"

    def _read(self, path: Path) -> np.ndarray:
        if path.suffix.lower() in EXTENSIONS and is_file(path):
            return pixels(path, self.shape)
        return super()._read(path)

    def _scaled(self, name: str, x: np.ndarray) -> np.ndarray:
        """To [0, 1], by the type or the range of the numbers, or an error if that does not fit."""
        low, high = float(x.min()), float(x.max())
        whole = x.dtype.kind in "iu"
        for white in (self.white, 255.0) if whole else (1.0, self.white, 255.0):
            if low >= 0 and high <= white:
                if not whole and white > 1:
                    warnings.warn(
                        f"{name}: pixels from {low:g} to {high:g} are divided by {white:g}, "
                        "because the network was trained on pixels from 0 to 1",
                        stacklevel=2,
                    )
                return x.astype(np.float32) * np.float32(1 / white)
        raise DataError(
            f"predict: {name} must have pixels from 0 to 1, {self.white:g} or 255, as the pictures "
            f"that the network was trained on, got {low:g} to {high:g}"
        )


class Builtin(Recipe):
    """A set that is known by its name."""

    @classmethod
    def recognise(cls, source: Source) -> Builtin | None:
        """The set of this name."""
        name = source.dataset
        if name not in cls.names:
            return None
        source.require_only(name, *(["data"] if issubclass(cls, Files) else []))
        return cls(
            source, name, [], [], {**SETS[name], "test": None, "patience": 0}
        )  # the set has its own


class Playground(Builtin):
    """Points of the plane that are computed."""

    kind = "points"
    names = ("spiral", "circle", "xor", "gauss")

    def parts(self, settings: Mapping[str, Any], form: Form | None = None) -> Parts:
        """Half of the points are the test."""
        whole, test = playground(
            self.name, settings["samples"], noise=settings["noise"], seed=settings["seed"]
        )
        return _parts(Points(Classes(_SIDES), (2,)), settings, whole, test)


class Digits(Builtin):
    """Scikit-learn's scans."""

    kind = "pixels"
    names = ("digits",)

    def parts(self, settings: Mapping[str, Any], form: Form | None = None) -> Parts:
        """A fifth of the scans are the test."""
        whole, test = digits(seed=settings["seed"], images=True)
        made = Pixels(Classes(tuple("0123456789")), (1, 8, 8), _SCAN)
        return _parts(made, settings, whole, test)


class Files(Builtin):
    """A folder of IDX files, as MNIST and Fashion-MNIST come."""

    kind = "pixels"
    names = tuple(CLASSES)

    def parts(self, settings: Mapping[str, Any], form: Form | None = None) -> Parts:
        """The test is the set's own."""
        made = Pixels(Classes(tuple(CLASSES[self.name])), (1, 28, 28), 255.0)
        return _parts(made, settings, self._read("train"), self._read("t10k"))

    def test(self, settings: Mapping[str, Any], form: Form) -> TensorDataset:
        """The set's own test."""
        return self._read("t10k")

    def _read(self, part: str) -> TensorDataset:
        folder = self.source.data
        if folder is None:
            raise ArgumentError(
                f"{self.name} needs --data DIR, a folder with train-images-idx3-ubyte, "
                "train-labels-idx1-ubyte and their t10k counterparts, plain or .gz; or --download"
            )
        data = idx_folder(folder, part, classes=len(CLASSES[self.name]))
        shape = data.tensors[0].shape[1:]
        if shape != (1, 28, 28):
            raise ArgumentError(
                f"{self.name}: images must be 28 by 28 pixels, "
                f"got {shape[1]} by {shape[2]} in {folder}"
            )
        return data


def fetched(name: str, folder: str | None) -> str:
    """Where the files of a set that is published are, after those that lack have been fetched.

    They are looked for, and put, in the folder; by default that is data/NAME.
    """
    if name not in (*Files.names, *Cifar.names):
        raise ArgumentError(
            f"download is for {', '.join((*Files.names, *Cifar.names))}, got {name!r}"
        )
    found = published_folder(name.replace("-", "_"), folder or Path("data") / name, True)
    archive = found / "cifar-10-binary.tar.gz"
    return str(archive if name in Cifar.names and archive.is_file() else found)


class Cifar(Files):
    """The binary files of CIFAR-10, or the archive in which they come."""

    names = ("cifar10",)

    def parts(self, settings: Mapping[str, Any], form: Form | None = None) -> Parts:
        """The test is the set's own."""
        made = Pixels(Classes(CIFAR), (3, 32, 32), 255.0)
        found = _parts(made, settings, self._read("train"), self._read("test"))
        if not settings["augment"]:
            return found
        return replace(found, training=Varied(found.training, made.shape))

    def test(self, settings: Mapping[str, Any], form: Form) -> TensorDataset:
        """The set's own test."""
        return self._read("test")

    def _read(self, part: str) -> TensorDataset:
        if self.source.data is None:
            raise ArgumentError(
                "cifar10 needs --data DIR, a folder with data_batch_1.bin … and test_batch.bin, or "
                "cifar-10-binary.tar.gz; or --download"
            )
        return cifar_folder(self.source.data, part)


def _parts(form: Form, settings: Mapping[str, Any], whole: Any, test: TensorDataset) -> Parts:
    share = settings["validation"]
    training, validation = random_split(whole, [1 - share, share], seed=settings["seed"])
    return Parts(form, training, validation, test)
