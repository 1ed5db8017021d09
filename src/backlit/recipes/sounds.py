"""Sounds: WAV files in a folder for each class, or named by a table."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..data import Dataset, DatasetFolder, TensorDataset
from ..data.waves import OTHERS, WAVES, read_wave, wave_length
from ..errors import ArgumentError, DataError
from ..table import are
from . import networks
from .columns import TABLES, answers_of, choose_targets, groups_of, known_rows, open_table
from .form import OF_TABLES, Form, Source, is_file, require_finite
from .images import IN_MEMORY, Decoded, contents
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
from .split import FOLDERS, copies, merged
from .targets import Classes

#: Seconds of a frame, from one to the next, and of a sound at most by itself.
_FRAME, _STEP, _LONGEST = 0.032, 0.016, 10.0
#: Bands of frequencies; the share of sounds that are not cut.
_BANDS, _WHOLE = 40, 0.95
#: The least power with a logarithm, and as a share of the loudest, 80 dB above it: what is below
#: is silence, as of a recording that has been padded.
_LEAST, _QUIET = 1e-10, 1e-8
#: In the names of Google's spoken commands: what is before it is a speaker's.
_SPEAKER = "_nohash_"


@dataclass(frozen=True)
class Waves(Form):
    """Sounds as the logarithms of their power, in bands of frequencies and frames of time.

    The bands are equally wide on the mel scale, from 0 to `top`. Frames are counted in seconds, so
    that sounds of several rates of samples are read alike.
    """

    #: Hertz, up to which frequencies are read.
    top: float
    seconds: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    kind = "sounds"
    wanted = "a WAV file, a folder of them, or an array and its rate"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of what the network reads: one channel, the bands, the frames."""
        return 1, _BANDS, frames_in(self.seconds)

    def networks(self, settings: Mapping[str, Any]) -> dict[str, Callable[[list[int]], nn.Module]]:
        """Convolutions along the time, which know the bands apart, and perceptrons.

        Source: Choi et al., "Temporal convolution for real-time keyword spotting", Interspeech
        2019, sec. 2.
        """
        size, width = int(np.prod(self.shape)), self.target.width
        dense = lambda hidden: nn.Sequential(  # noqa: E731
            nn.Flatten(), *networks.perceptron(size, hidden, width, settings)
        )
        return {
            "linear": dense,
            "mlp": dense,
            "cnn": lambda channels: nn.Sequential(
                nn.Flatten(1, 2), *networks.convolutions(self.shape[1:], channels, width, settings)
            ),
        }

    def facts(self) -> dict[str, Any]:
        """Also the shape of what the network reads."""
        return {**super().facts(), "shape": self.shape, "channels": 1,
                "inputs": int(np.prod(self.shape))}  # fmt: skip

    def encode(self, examples: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """(N, 1, bands, frames), float32, of paths, or of pairs of samples and their rate."""
        made = np.empty((len(examples), *self.shape), np.float32)
        mean, deviation = (np.array(v, np.float32)[:, None] for v in (self.mean, self.deviation))
        for row, example in zip(made, examples, strict=True):
            samples, rate = example if isinstance(example, tuple) else read_wave(example)
            row[0] = (heard(samples, rate, self.seconds, self.top) - mean) / deviation
        return (made,)

    def read(self, given: Any) -> list[tuple[str, Any]]:
        """A file's path, those in a folder, or samples with their rate."""
        if isinstance(given, tuple) and len(given) == 2:
            samples = np.atleast_2d(np.asarray(given[0]))
            if samples.dtype.kind not in "fiu" or samples.ndim != 2 or not samples.size:
                raise DataError(
                    "predict: samples must be numbers of the shape (length,) or (channels, "
                    f"length), got {samples.dtype} {samples.shape}"
                )
            require_finite("predict: samples", samples)
            return [("sound", (samples.astype(np.float32), given[1]))]
        if not isinstance(given, str | os.PathLike):
            raise DataError(f"predict: an input must be {self.wanted}, got {given!r:.60}")
        path = Path(given)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in WAVES)
            if not found:
                raise DataError(f"predict: {path} has no sound ({', '.join(WAVES)})")
            return [(str(p), p) for p in found]
        if not is_file(path):
            raise DataError(
                f"predict: an input must be {self.wanted}, got {given}, which does not exist"
            )
        wave_length(path)
        return [(str(given), path)]


def frames_in(seconds: float) -> int:
    """How many frames there are in so many seconds."""
    return max(1, 1 + math.floor((seconds - _FRAME) / _STEP + 1e-9))


def heard(samples: np.ndarray, rate: float, seconds: float, top: float) -> np.ndarray:
    """(bands, frames): the logarithm of the power in each, the highest band first.

    Of sounds that are longer the middle is taken, shorter ones end with silence.
    There are `rate` of the `samples` (channels, length) in a second.
    """
    length = max(round(seconds * rate), 1)
    sound = samples.mean(axis=0, dtype=np.float32)
    begin = max(0, (len(sound) - length) // 2)
    size = max(round(_FRAME * rate), 2)
    starts = np.round(np.arange(frames_in(seconds)) * _STEP * rate).astype(np.int64)
    padded = np.zeros(max(length, int(starts[-1]) + size), np.float32)
    padded[: min(length, len(sound))] = sound[begin : begin + length]
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[starts] * window
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 / window.sum() ** 2
    bands = power @ _filters(size, rate, top)
    least = max(float(bands.max()) * _QUIET, _LEAST)
    return np.log(np.maximum(bands, least)).T[::-1].astype(np.float32)


@lru_cache(maxsize=8)
def _filters(size: int, rate: float, top: float) -> np.ndarray:
    """(frequencies, bands): how much of each frequency a band has, highest in its middle.

    Source: Stevens, Volkmann & Newman, J. Acoust. Soc. Am. 8 (1937); O'Shaughnessy, "Speech
    communication" (1987), p. 150, for the formula.
    """
    highest = 2595 * math.log10(1 + top / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, _BANDS + 2) / 2595) - 1)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    step = rate / size  # of two frequencies that a frame tells apart
    frequencies = (np.arange(size // 2 + 1) * step)[:, None]
    rising = 1 - (middle - frequencies) / np.maximum(middle - low, step)
    falling = 1 - (frequencies - middle) / np.maximum(high - middle, step)
    return np.maximum(0, np.minimum(rising, falling))


class Sounds(Examples):
    """WAV files with classes, labels or numbers."""

    kind = "sounds"

    @classmethod
    def recognise(cls, source: Source) -> Sounds | None:
        """A folder of sounds, or a table that names some."""
        path = source.path
        if path.is_file():
            return _of_table(source, path) if _names_sounds(source) else None
        if not path.is_dir():
            return None
        files = [f for f in path.rglob("*") if f.suffix.lower() in (*WAVES, *OTHERS)]
        if not any(f.suffix.lower() in WAVES for f in files):
            if files and source.kind in (None, cls.kind):
                raise DataError(
                    f"{files[0]}: sounds are read of WAV files; convert each: ffmpeg -i "
                    f"{files[0].name} {files[0].stem}.wav"
                )
            return None
        tables = [f for f in sorted(path.iterdir()) if f.name.lower().endswith(TABLES)]
        if len(tables) == 1 and (source.target or any(f.parent == path for f in files)):
            return _of_table(replace(source, dataset=str(tables[0])), tables[0])
        source.require_only(cls.kind, "skip_damaged")
        others = sum(f.suffix.lower() in OTHERS for f in files)
        made = _of_folders(source, path)
        if others:
            made.warnings.append(f"{are(others, 'file', 'is', 'are')} no WAV and left out")
        return made

    def __init__(self, *args: Any, top: float, **more: Any):
        super().__init__(*args, **more)
        self.top = top

    def learn(self, training: np.ndarray, settings: Mapping[str, Any]) -> Waves:
        """Mean and deviation of each band of the training part, of at most 1,000 sounds."""
        chosen = some_of(training)
        seconds = settings["seconds"]
        some = np.stack([heard(*read_wave(p), seconds, self.top) for p in take(self.raw, chosen)])
        mean, deviation = mean_and_deviation(some, (0, 2))
        target = self.target.scaled(take(self.answers, training))
        return Waves(target, self.top, seconds, mean, deviation)

    def dataset(self, form: Form, numbers: np.ndarray) -> Dataset:
        """Read at once where their spectra fit into memory."""
        assert isinstance(form, Waves)
        paths, answers = take(self.raw, numbers), self.encoded(form, numbers)
        if 4 * len(paths) * int(np.prod(form.shape)) > IN_MEMORY:
            return Decoded(form, paths, answers)
        return TensorDataset(*form.encode(paths), answers)


def _names_sounds(source: Source) -> bool:
    if not source.dataset.lower().endswith(TABLES):
        return False
    return _column(source) is not None


def _column(source: Source) -> str | None:
    """The column that names WAV files."""
    for name, column in open_table(source).columns.items():
        first = column.value(0)
        if isinstance(first, str) and os.path.splitext(first)[1].lower() in WAVES:
            return name
    return None


def _of_table(source: Source, path: Path) -> Sounds:
    """Sounds that a table names, with what its target says of them."""
    source.require_only(Sounds.kind, "group", "skip_damaged", *OF_TABLES)
    table, column = open_table(source), _column(source)
    if column is None:
        raise DataError(f"{path}: a column must name WAV files, got {', '.join(table.columns)}")
    targets = choose_targets(source, table, besides=[column])
    table, notes = known_rows(table.known(column), targets)
    files = []
    for row in range(len(table)):
        file = path.parent / str(table.columns[column].value(row))
        if not file.is_file():
            raise DataError(f"{table.place(row)}: {column} must name a file, got {file}")
        files.append(str(file))
    kept, lost = _whole(files, source)
    table = table.rows(kept)
    learned, answers, strata = answers_of(table, targets)
    made = _sounds(source, path.parent.name, take(files, kept), answers, learned, strata,
                   groups_of(source, table), None)  # fmt: skip
    made.warnings += notes + lost
    return made


def _of_folders(source: Source, path: Path) -> Sounds:
    """A folder for each class; or for each part, and in those for each class."""
    folders = sorted(d for d in path.iterdir() if d.is_dir() and not d.name.startswith("."))
    parts = {d: FOLDERS[d.name.lower()] for d in folders if d.name.lower() in FOLDERS}
    if any(f.suffix.lower() in WAVES for f in path.iterdir()):
        raise ArgumentError(
            f"{path}: sounds that are in no folder of a class need one table beside them, with a "
            "column of files and one of what is learned"
        )
    if parts and (len(parts) < len(folders) or 0 not in parts.values()):
        raise DataError(
            f"{path}: there must be folders of classes or of parts (train, val, test), got "
            f"{', '.join(d.name for d in folders[:6])}"
        )
    files, answers, fixed = [], [], []
    for folder, part in (parts or {path: 0}).items():
        opened = DatasetFolder(folder, read_wave, WAVES, allow_empty=True)
        files += [file for file, _ in opened.samples]
        answers += [opened.classes[number] for _, number in opened.samples]
        fixed += [part] * len(opened)
    kept, lost = _whole(files, source)
    files, answers = take(files, kept), take(answers, kept)
    of_part = np.array(fixed)[kept] if parts else None
    speakers = None
    if not parts and all(_SPEAKER in os.path.basename(f) for f in files):
        speakers = [os.path.basename(f).partition(_SPEAKER)[0] for f in files]
    learned = Classes.learn(answers)
    made = _sounds(source, path.name, files, answers, learned, answers, speakers, of_part)
    if speakers is not None:
        made.found.append(("speakers", f"{len({*speakers}):,}; the sounds of one stay in one part"))
    made.warnings += lost
    return made


def _whole(files: Sequence[str], source: Source) -> tuple[np.ndarray, list[str]]:
    """The numbers of the files that can be read, and what to say of others, which are left out."""
    why: dict[int, str] = {}
    for number, file in enumerate(files):
        try:
            wave_length(file)
        except DataError as error:
            why[number] = str(error)
    if not why:
        return np.arange(len(files)), []
    more = f" ({len(why) - 1:,} more are like that)" if len(why) > 1 else ""
    first = next(iter(why.values()))
    if not source.skip_damaged:
        raise DataError(f"{first}{more}; --skip-damaged leaves such files out")
    return np.array([i for i in range(len(files)) if i not in why], np.int64), [
        f"left out: {first}{more}"
    ]


def _sounds(
    source: Source, name: str, files: list[str], answers: Any, target: Any, strata: Any,
    groups: Any, fixed: np.ndarray | None,
) -> Sounds:  # fmt: skip
    lengths, rates = zip(*map(wave_length, files), strict=True)
    seconds = np.array(lengths) / np.array(rates)
    read = min(_LONGEST, float(np.quantile(seconds, _WHOLE, method="higher")))
    read = max(round(read, 3), _FRAME)
    often = Counter(rates).most_common()
    said = " or ".join(f"{rate:,}" for rate, _ in sorted(often)[:4])
    low, high = float(seconds.min()), float(seconds.max())
    length = f"{low:.3g} s" if low == high else f"{low:.3g} to {high:.3g} s"
    cut = f"; {read:.3g} s are read (--seconds)" if high > read + 1e-3 else ""
    found = [
        ("sounds", f"{length}, {said} samples a second{cut}"),
        ("read as", f"the power in {_BANDS} bands up to {min(rates) / 2:,.0f} Hz, {frames_in(read)}"
                    " frames"),
    ]  # fmt: skip
    warnings = []
    if target.labels:
        found.append(
            (target.kind, f"{len(target.labels)}: {counted(occurrences(target, answers))}")
        )
        warnings += unbalanced(target, answers)
    else:
        found.append(("target", ", ".join(target.names)))
    equal, notes = copies(contents(files), "sound")
    if fixed is None:
        warnings += notes
    size = batch_for(len(files))
    settings = {
        "model": "cnn:32-64-64",
        "dropout": 0.1,
        "seconds": read,
        "workers": 0,
        "batch_size": size,
        "epochs": epochs_for(len(files), size, 600),
    }
    return Sounds(
        source, name, found, warnings, settings,
        target=target, top=min(rates) / 2, raw=files, answers=answers, labels=strata, fixed=fixed,
        groups=merged(equal, groups) if fixed is None else None,
    )  # fmt: skip
