"""Arrays with a label for each: features, pictures, sequences, sounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..data import read_array
from ..errors import ArgumentError, DataError, MissingDependencyError
from ..table import quantity
from . import networks
from .form import Form, Source, is_file, require_finite
from .numbers import first, read_numbers
from .recipe import (
    Examples,
    batch_for,
    counted,
    epochs_for,
    mean_and_deviation,
    occurrences,
    some_of,
    take,
    unbalanced,
)
from .split import FOLDERS, copies
from .targets import Classes, Labels, Numbers, Target

#: What arrays are called that hold the answers.
ANSWERS = frozenset("y label labels target targets class classes".split())
#: The samples of a sound from which on its spectrum is read, and the frames that it is cut into.
_SOUND, _FRAME, _STEP = 1000, 256, 128
#: The most different whole numbers that are classes.
_CLASSES = 100


@dataclass(frozen=True)
class Arrays(Form):
    """Arrays of one shape, less the training part's mean, by its deviation.

    Of a sound (L,) with many samples the network reads the logarithm of the power spectrum of
    overlapping frames, as a sequence (frequencies, frames).
    """

    #: Of one example, as it is given.
    shape: tuple[int, ...]
    #: "features", "sound", "sequence" (C, L) or "picture" (C, H, W).
    reading: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    kind = "arrays"
    wanted = "an array, or an .npy file of some"

    @property
    def inputs(self) -> tuple[int, ...]:
        """The shape of what the network reads of an example."""
        if self.reading == "sound":
            return (_FRAME // 2 + 1, 1 + (self.shape[0] - _FRAME) // _STEP)
        return self.shape

    def networks(self, settings: Mapping[str, Any]) -> dict[str, Callable[[list[int]], nn.Module]]:
        """Perceptrons, and convolutions along sequences and pictures."""
        size, width = int(np.prod(self.inputs)), self.target.width

        def dense(hidden: Sequence[int]) -> nn.Module:
            flat: list[nn.Module] = [nn.Flatten()] if len(self.inputs) > 1 else []
            return nn.Sequential(*flat, *networks.perceptron(size, hidden, width, settings))

        made: dict[str, Callable[[list[int]], nn.Module]] = {"linear": dense, "mlp": dense}
        if len(self.inputs) > 1:
            made["cnn"] = lambda channels: nn.Sequential(
                *networks.convolutions(self.inputs, channels, width, settings)
            )
        return made

    def facts(self) -> dict[str, Any]:
        """Also the shape of what the network reads."""
        return {**super().facts(), "shape": self.inputs, "channels": self.inputs[0],
                "inputs": int(np.prod(self.inputs))}  # fmt: skip

    def encode(self, examples: Any) -> tuple[np.ndarray, ...]:
        """(N, *inputs), float32."""
        x = heard(np.asarray(examples), self.reading)
        axes = (-1,) if self.reading == "features" else (-1, *[1] * (x.ndim - 2))
        mean, deviation = (
            np.array(v, np.float32).reshape(axes) for v in (self.mean, self.deviation)
        )
        return (((x - mean) / deviation).astype(np.float32),)

    def read(self, given: Any) -> list[tuple[str, Any]]:
        """An array of one example or of several, or those in a file."""
        name, x = "array", given
        if isinstance(given, str | Path):
            name = str(given)
            if not is_file(given):
                raise DataError(f"predict: an input must be {self.wanted}, got {name:.60}")
            x = self._archived(name) if name.lower().endswith(".npz") else read_numbers(Path(given))
        x = np.asarray(x)
        if x.shape == self.shape:
            x = x[None]
        if x.shape[1:] != self.shape or not len(x) or x.dtype.kind not in "fiub":
            size = ", ".join(map(str, self.shape))
            raise DataError(
                f"predict: {name} must hold numbers of the shape ({size}), or (N, {size}), "
                f"got {x.dtype} {x.shape}"
            )
        require_finite(f"predict: {name}", x)
        return [(name if len(x) == 1 else f"{name}[{i}]", row) for i, row in enumerate(x)]

    def _archived(self, path: str) -> np.ndarray:
        """The one array of an archive that has the shape of examples."""
        found = {
            n: a for n, a in _archive(Path(path)).items() if self.shape in (a.shape, a.shape[1:])
        }
        if len(found) != 1:
            size = ", ".join(map(str, self.shape))
            raise DataError(
                f"predict: {path} must have one array of the shape ({size}), or (N, {size}), got "
                + (", ".join(found) or "none")
            )
        return next(iter(found.values()))


def heard(x: np.ndarray, reading: str) -> np.ndarray:
    """Examples (N, ...) as they are read: of sounds the logarithms of their spectra."""
    x = x.astype(np.float32)
    if reading != "sound":
        return x
    frames = np.lib.stride_tricks.sliding_window_view(x, _FRAME, axis=1)[:, ::_STEP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_FRAME).astype(np.float32), axis=2)) ** 2
    return np.log1p(power).transpose(0, 2, 1).astype(np.float32)


class ArrayTask(Examples):
    """Arrays in a NumPy file, and their answers."""

    kind = "arrays"

    @classmethod
    def recognise(cls, source: Source) -> ArrayTask | None:
        """An .npz or HDF5 file, or a folder with x.npy and y.npy."""
        path = source.path
        if path.is_dir():
            files = sorted(path.glob("*.npy"))
            if not files:
                return None
            found = {f.stem: _loaded(f) for f in files}
        elif path.suffix.lower() == ".npz":
            found = _archive(path)
        elif path.suffix.lower() in (".h5", ".hdf5"):
            found = _hdf5(path)
        elif path.suffix.lower() == ".npy":
            raise ArgumentError(
                f"{path}: answers are needed beside the examples; put both into one folder as "
                "x.npy and y.npy, or into one file: numpy.savez('data.npz', x=x, y=y)"
            )
        else:
            return None
        source.require_only(cls.kind, "target")
        x, y, fixed, name = _chosen(source, found)
        return cls._of(source, name, x, y, fixed)

    @classmethod
    def _of(
        cls, source: Source, name: str, x: np.ndarray, y: np.ndarray, fixed: np.ndarray | None
    ) -> ArrayTask:
        if x.dtype.kind not in "fiub":
            raise DataError(f"{source.path}: {name} must hold numbers, got {x.dtype}")
        if not x.size:
            raise DataError(
                f"{source.path}: {name} must have an example, and each of them a number, got shape "
                f"{x.shape}"
            )
        bad = [] if x.dtype.kind != "f" else np.flatnonzero(~_finite(x)).tolist()
        if bad:
            raise DataError(
                f"{source.path}: {name}[{bad[0]}] must hold finite numbers, got NaN or infinity "
                f"(so have {quantity(len(bad), 'example')})"
            )
        target, answers, strata = _target(source, y)
        reading = _reading(x.shape[1:])
        shape = "×".join(map(str, x.shape[1:]))
        what = f"{name}: {shape} numbers, {x.dtype}"
        if reading == "sound":
            what += "; sounds, of which the spectrum is read"
        found = [("arrays", what)]
        warnings = []
        if target.labels:
            counts = occurrences(target, answers)
            found.append((target.kind, f"{len(target.labels)}: {counted(counts)}"))
            warnings += unbalanced(target, answers)
        else:
            found.append(("target", quantity(target.width, "number")))
        equal, notes = copies([row.tobytes() for row in np.ascontiguousarray(x)], "array")
        if fixed is None:
            warnings += notes
        size = batch_for(len(x))
        settings = {
            "model": "mlp:128-64" if reading == "features" else "cnn:16-32-64",
            "dropout": 0.1,
            "batch_size": size,
            "epochs": epochs_for(len(x), size, 1500 if reading == "features" else 800),
        }
        return cls(
            source, source.path.name, found, warnings, settings,
            raw=x, answers=answers, labels=strata, fixed=fixed,
            groups=equal if fixed is None else None, target=target, reading=reading,
        )  # fmt: skip

    def __init__(self, *args: Any, reading: str, **more: Any):
        super().__init__(*args, **more)
        self.reading = reading

    def learn(self, training: np.ndarray, settings: Mapping[str, Any]) -> Arrays:
        """Mean and deviation of each feature, or of each channel, of at most 1,000 examples."""
        chosen = some_of(training)
        some = heard(self.raw[chosen], self.reading)
        axes = (0,) if self.reading == "features" else (0, *range(2, some.ndim))
        mean, deviation = mean_and_deviation(some, axes)
        target = self.target.scaled(take(self.answers, training))
        return Arrays(target, self.raw.shape[1:], self.reading, mean, deviation)


def _finite(x: np.ndarray) -> np.ndarray:
    return np.isfinite(x).reshape(len(x), -1).all(axis=1)


def _reading(shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return "sound" if shape[0] >= _SOUND else "features"
    return {2: "sequence", 3: "picture"}.get(len(shape), "features")


def _loaded(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False, mmap_mode="r")
    except Exception as error:  # NumPy lets everything through that a bad header makes happen
        raise DataError(f"{path} is not a whole NumPy file: {first(error)}") from None


def _archive(path: Path) -> dict[str, np.ndarray]:
    found = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            for name in archive.files:
                found[name] = archive[name]
    except Exception as error:
        raise DataError(f"{path} is not a whole NumPy archive: {first(error)}") from None
    return found


def _hdf5(path: Path) -> dict[str, np.ndarray]:
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError(
            f"{path}: h5py, which reads HDF5, is not installed; run: pip install 'backlit[hdf5]'"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            names = [name for name, thing in file.items() if hasattr(thing, "dtype")]
    except OSError as error:
        raise DataError(f"{path} is not a whole HDF5 file: {first(error)}") from None
    return {name: read_array(path, name) for name in names}


def _chosen(
    source: Source, found: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str]:
    """The examples, their answers, the parts that they come in, and the examples' name."""
    arrays = {n: a for n, a in found.items() if a.ndim}
    parts: dict[int, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        words = name.lower().split("_")
        part = next((FOLDERS[w] for w in words if w in FOLDERS), None)
        plain = "_".join(w for w in words if w not in FOLDERS)
        if part is not None:
            parts.setdefault(part, {})[plain] = array
    if 0 in parts and len(parts) > 1:
        pairs = [_pair(source, parts[p]) for p in sorted(parts)]
        fixed = np.repeat(sorted(parts), [len(x) for x, _, _ in pairs])
        x, y = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
        return x, y, fixed, pairs[0][2]
    x, y, name = _pair(source, arrays)
    return x, y, None, name


def _pair(source: Source, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, str]:
    listed = ", ".join(f"{n} {a.shape}" for n, a in arrays.items()) or "none"
    named = [n for n in arrays if n in source.target] or [
        n for n in arrays if n.lower() in ANSWERS and not source.target
    ]
    if len(named) != 1:
        raise ArgumentError(
            f"{source.path}: which array has the answers? Say --target NAME, one of {listed}"
        )
    y = arrays[named[0]]
    others = {n: a for n, a in arrays.items() if n != named[0] and len(a) == len(y)}
    if len(others) != 1:
        raise ArgumentError(
            f"{source.path}: one array beside {named[0]} must have {len(y):,} examples, as many as "
            f"it has answers, got {listed}"
        )
    name, x = next(iter(others.items()))
    return (x[:, None] if x.ndim == 1 else x), y, name


def _of_marks(marks: np.ndarray) -> tuple[Target, Any, Any]:
    """Classes of rows that have one 1 each, or labels of rows that have several, or none."""
    names = [str(i) for i in range(marks.shape[1])]
    if (marks.sum(axis=1) == 1).all():
        texts = [names[i] for i in marks.argmax(axis=1).tolist()]
        return Classes.learn(texts), texts, texts
    answers = [tuple(n for n, m in zip(names, row, strict=True) if m) for row in marks.tolist()]
    return Labels(tuple(names)), answers, None


def _target(source: Source, y: np.ndarray) -> tuple[Target, Any, Any]:
    if y.ndim > 2 or y.dtype.kind not in "fiubUS":
        raise DataError(
            f"{source.path}: answers must be labels (N,), or numbers (N,) or (N, numbers), got "
            f"{y.dtype} {y.shape}"
        )
    flat = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if flat.ndim == 2 and flat.dtype.kind in "fiub" and np.isin(flat, (0, 1)).all():
        return _of_marks(flat.astype(bool))
    if flat.dtype.kind in "US" or (
        flat.ndim == 1 and flat.dtype.kind in "iub" and len(np.unique(flat)) <= _CLASSES
    ):
        texts = [v.decode() if isinstance(v, bytes) else str(v) for v in flat.tolist()]
        return Classes.learn(texts), texts, texts
    values = flat.reshape(len(flat), -1).astype(np.float64)
    bad = np.flatnonzero(~_finite(values))
    if len(bad):
        raise DataError(f"{source.path}: answer {bad[0]} must be finite, got {flat[bad[0]]}")
    names = [f"answer {i}" for i in range(values.shape[1])] if values.shape[1] > 1 else ["answer"]
    return Numbers.learn(names, values), values, None
