"""Pictures: in a folder for each class, or named by a table of labels."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import models, nn
from ..data import Dataset, ImageFolder, Table, TensorDataset, transforms
from ..data.folders import require_file
from ..data.images import ImageReport
from ..data.pictures import EXTENSIONS, open_image, pillow
from ..errors import ArgumentError, DataError
from ..table import are, quantity
from ..tensor import wrap
from . import networks
from .columns import (
    TABLES,
    answers_of,
    choose_targets,
    groups_of,
    indicators,
    left_out,
    open_table,
    read_table,
)
from .form import OF_TABLES, Form, Parts, Source, is_file
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
from .targets import Classes, Labels

#: The sides that pictures of different or large sizes are brought to, and of small ones at most.
_SIDES, _KEPT = (32, 64), 64
#: Bytes of decoded pictures beyond which they are decoded anew in each epoch.
IN_MEMORY = 2**30
#: How far a picture is shifted at most, as a share of its side.
_SHIFT = 0.1
#: Networks of the catalogue that say something of each place of a picture.
_OF_PLACES = ("unet", "tiny_yolo")
#: Scenes that each class must have, for those to stay in one part.
_FEWEST = 3
#: The group of tiles that are split whatever their scene is.
_FREELY = "none"
#: The end of a tile's name: its place in the scene.
_TILE = re.compile(r"[_-][a-z]{0,4}\d+[_-][a-z]{0,4}\d+$", re.IGNORECASE)


@dataclass(frozen=True)
class Pictures(Form):
    """Pictures of one size and mode, less the training part's mean, by its deviation."""

    #: Channels (1 is grey, 3 coloured), height, width.
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    kind = "images"
    wanted = "a picture, or a folder of them"

    def networks(self, settings: Mapping[str, Any]) -> dict[str, Callable[[list[int]], nn.Module]]:
        """Perceptrons, convolutions, and those of `backlit models` for pictures."""
        width = self.target.width
        size = int(np.prod(self.shape))
        dense = lambda hidden: nn.Sequential(  # noqa: E731
            nn.Flatten(), *networks.perceptron(size, hidden, width, settings)
        )
        return {
            "linear": dense,
            "mlp": dense,
            "cnn": lambda channels: nn.Sequential(
                *networks.convolutions(self.shape, channels, width, settings)
            ),
            **(_known(width) if self.shape[0] == 3 else {}),
        }

    def facts(self) -> dict[str, Any]:
        """Also the shape of a picture."""
        return {**super().facts(), "shape": self.shape, "channels": self.shape[0],
                "inputs": int(np.prod(self.shape))}  # fmt: skip

    def read(self, given: Any) -> list[tuple[str, Any]]:
        """A picture's path, those in a folder, or what Pillow or an array has."""
        if not isinstance(given, str | os.PathLike):
            return [("picture", given)]
        path = Path(given)
        if not is_file(path) and os.path.isdir(path):
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS)
            if not found:
                raise DataError(f"predict: {path} has no picture ({', '.join(EXTENSIONS)})")
            return [(str(p), p) for p in found]
        if not is_file(path):
            raise DataError(
                f"predict: an input must be {self.wanted}, got {given}, which does not exist"
            )
        return [(str(given), path)]

    def encode(self, examples: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """(N, C, H, W), float32."""
        made = np.empty((len(examples), *self.shape), np.float32)
        mean, deviation = (
            np.array(v, np.float32)[:, None, None] for v in (self.mean, self.deviation)
        )
        for row, example in zip(made, examples, strict=True):
            row[:] = (pixels(example, self.shape) - mean) / deviation
        return (made,)


def _known(classes: int) -> dict[str, Callable[[list[int]], nn.Module]]:
    """What makes each network of the catalogue that says the class of a coloured picture."""
    made: dict[str, Callable[[list[int]], nn.Module]] = {}
    for name in models.names():
        known = models.about(name)
        takes = inspect.signature(known.make).parameters
        if known.input[0] == 3 and "num_classes" in takes and name not in _OF_PLACES:
            options: dict[str, Any] = {"num_classes": classes}
            if "aux_logits" in takes:
                options["aux_logits"] = False  # one output, as the loss has it
            made[name] = lambda _, name=name, options=options: models.create(name, **options)  # type: ignore[misc]
    return made


def pixels(example: Any, shape: Sequence[int]) -> np.ndarray:
    """A picture of this shape in [0, 1]: its middle, scaled to the size."""
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    if isinstance(example, np.ndarray):
        example = _as_picture(example)
    image = example.convert(mode) if hasattr(example, "convert") else open_image(example, mode)
    if image.size != (width, height):
        from PIL import ImageOps

        image = ImageOps.fit(image, (width, height), pillow().Resampling.BILINEAR)
    found = np.asarray(image, np.float32) / np.float32(255)
    return found[None] if channels == 1 else found.transpose(2, 0, 1)


def _as_picture(array: np.ndarray) -> Any:
    """Pillow's picture of (H, W) or (H, W, C), uint8."""
    if array.dtype != np.uint8:
        raise DataError(
            f"predict: a picture as an array must be uint8 from 0 to 255, got {array.dtype}; "
            "multiply pixels from 0 to 1 by 255 first"
        )
    return pillow().fromarray(array)


class Decoded(Dataset):
    """Pictures that are decoded when they are asked for, because all of them fill the memory."""

    def __init__(self, form: Form, paths: Sequence[Any], answers: np.ndarray):
        self.form, self.paths, self.answers = form, paths, answers

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        return wrap(self.form.encode([self.paths[index]])[0][0]), wrap(self.answers[index])


class Varied(Dataset):
    """Pictures that are shifted a little and flipped, anew each time, by the default generator."""

    def __init__(self, dataset: Dataset, shape: Sequence[int]):
        self.dataset = dataset
        _, height, width = shape
        margin = max(1, round(_SHIFT * min(height, width)))
        self.change = transforms.Compose(
            [
                transforms.RandomCrop((height, width), padding=margin, padding_mode="edge"),
                transforms.RandomHorizontalFlip(),
            ]
        )

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        x, y = self.dataset[index]
        return self.change(x), y


class Images(Examples):
    """Pictures with classes, labels or numbers."""

    kind = "images"

    @classmethod
    def recognise(cls, source: Source) -> Images | None:
        """A folder of pictures, or a table that names some."""
        path = source.path
        if path.is_file():
            return _of_table(source, path, path.parent) if _names_pictures(source) else None
        if not path.is_dir() or not _has_pictures(path):
            return None
        path = _inside_of(path)
        top = [e for e in sorted(path.iterdir()) if not e.name.startswith(".")]
        tables = [e for e in top if e.name.lower().endswith(TABLES)]
        beside = [e for e in top if e.is_dir() and _has_pictures(e)]
        one = len(beside) == 1 and beside[0].name.lower() not in FOLDERS  # images/, and a table
        if any(e.suffix.lower() in EXTENSIONS for e in top) or (tables and (source.target or one)):
            if len(tables) != 1:
                found = ", ".join(e.name for e in tables) or "none"
                raise ArgumentError(
                    f"{path}: pictures that are in no folder of a class need one table of labels "
                    f"beside them, got {found}; name it: backlit train {path}/labels.csv"
                )
            return _of_table(replace(source, dataset=str(tables[0])), tables[0], path)
        source.require_only(cls.kind, "skip_damaged", "group")
        if source.group not in (None, _FREELY):
            raise ArgumentError(
                f"group must be {_FREELY} for pictures in folders (tiles of a scene are then split "
                f"as if they had none), got {source.group!r}"
            )
        return _of_folders(source, path, [e for e in top if e.is_dir()])

    def learn(self, training: np.ndarray, settings: Mapping[str, Any]) -> Pictures:
        """Mean and deviation of the training part's pixels, of at most 1,000 pictures."""
        channels, height, width = self.settings_shape
        side = settings["size"]
        shape = (channels, height, width) if side == max(height, width) else (channels, side, side)
        chosen = some_of(training)
        some = np.stack([pixels(p, shape) for p in take(self.raw, chosen)])
        mean, deviation = mean_and_deviation(some, (0, 2, 3))
        target = self.target.scaled(take(self.answers, training))
        return Pictures(target, shape, mean, deviation)

    def parts(self, settings: Mapping[str, Any], form: Form | None = None) -> Parts:
        """The pictures of each part; a damaged one is found when it is decoded."""
        try:
            return super().parts(settings, form)
        except DataError as error:
            raise _damaged([str(error)]) if " is damaged " in str(error) else error from None

    def __init__(self, *args: Any, shape: tuple[int, int, int], **more: Any):
        super().__init__(*args, **more)
        self.settings_shape = shape

    def dataset(self, form: Form, numbers: np.ndarray) -> Dataset:
        """Decoded at once where they fit into memory."""
        assert isinstance(form, Pictures)
        paths = take(self.raw, numbers)
        answers = self.encoded(form, numbers)
        if 4 * len(paths) * int(np.prod(form.shape)) > IN_MEMORY:
            return Decoded(form, paths, answers)
        return TensorDataset(*form.encode(paths), answers)

    def trained(self, form: Form, dataset: Dataset, settings: Mapping[str, Any]) -> Dataset:
        """Flipped and shifted, if the settings say so."""
        assert isinstance(form, Pictures)
        return Varied(dataset, form.shape) if settings["augment"] else dataset


def _has_pictures(path: Path) -> bool:
    """Whether there is a picture in a folder, or in one of its folders."""
    for _, folders, files in os.walk(path):
        if any(os.path.splitext(f)[1].lower() in EXTENSIONS for f in files):
            return True
        folders[:] = [f for f in folders if not f.startswith(".")]
    return False


def _inside_of(path: Path) -> Path:
    """The folder itself, or the only one in it, in which those of the classes are."""
    while True:
        visible = [e for e in path.iterdir() if not e.name.startswith((".", "__"))]
        folders = [e for e in visible if e.is_dir() and _has_pictures(e)]
        files = [e for e in visible if e.name.lower().endswith((*EXTENSIONS, *TABLES))]
        if len(folders) != 1 or files:
            return path
        if not any(e.is_dir() and _has_pictures(e) for e in folders[0].iterdir()):
            return path
        path = folders[0]


def _names_pictures(source: Source) -> bool:
    """Whether a table has a column of pictures."""
    if not source.dataset.lower().endswith(TABLES):
        return False
    table, root = open_table(source), source.path.parent
    if _picture_column(table) is not None:
        return True
    held = any(
        f.suffix.lower() in EXTENSIONS for d in _folders_of_pictures(root) for f in d.iterdir()
    )
    return held and _named_by(source, table, root) is not None


def _folders_of_pictures(root: Path) -> list[Path]:
    """Where the pictures of a table may be: beside it, or in the only folder beside it."""
    inner = [d for d in root.iterdir() if d.is_dir() and not d.name.startswith(".")]
    return [root, *(inner if len(inner) == 1 else [])]


def _picture_column(table: Table) -> str | None:
    """The column that names files of pictures by their endings."""
    for name, column in table.columns.items():
        first = column.value(0)
        if isinstance(first, str) and os.path.splitext(first)[1].lower() in EXTENSIONS:
            return name
    return None


def _named_by(source: Source, table: Table, root: Path) -> tuple[str, np.ndarray, Path] | None:
    """The column that names pictures, what it says, and the folder in which these are.

    The names in a first column may lack endings.
    """
    column = _picture_column(table)
    name = column or next(iter(table.columns))
    texts = read_table(source.dataset, source.drop, None, {name: "text"}, **source.dialect)
    said = texts.columns[name].values  # as it stands in the file: 007 is no number here
    first = str(said[0])
    for folder in _folders_of_pictures(root):
        if any((folder / f"{first}{ending}").is_file() for ending in _endings(bool(column))):
            return name, said, folder
    return None if column is None else (column, said, root)


def _endings(whole: bool) -> list[str]:
    return [""] if whole else [e for x in EXTENSIONS for e in (x, x.upper())]


def _of_folders(source: Source, path: Path, folders: list[Path]) -> Images:
    """A folder for each class; or for each part, and in those for each class."""
    parts = {f: FOLDERS[f.name.lower()] for f in folders if f.name.lower() in FOLDERS}
    if parts and len(parts) < len(folders):
        other = next(f for f in folders if f not in parts)
        raise DataError(
            f"{path}: there must be folders of classes or of parts (train, val, test), got "
            f"{other.name} beside {next(iter(parts)).name}"
        )
    if parts and 0 not in parts.values():
        raise DataError(f"{path}: there must be a folder train, got {', '.join(map(str, parts))}")
    lost: list[str] = []
    passed: list[str] = []

    def kept(file: str) -> bool:
        if not file.lower().endswith(EXTENSIONS):
            passed.append(file)
            return False
        why = _damage(file, whole=bool(source.skip_damaged))
        lost.extend([] if why is None else [why])
        return why is None

    opened = [ImageFolder(f, is_valid_file=kept, allow_empty=True) for f in parts or [path]]
    if lost and not source.skip_damaged:
        raise _damaged(lost)
    files, answers, fixed = [], [], []
    for folder, part in zip(opened, parts.values() if parts else [0], strict=True):
        for file, number in folder.samples:
            files.append(file)
            answers.append(folder.classes[number])
            fixed.append(part)
    with_some = [{f.classes[number] for _, number in f.samples} for f in opened]
    known = with_some[0]
    for folder, classes in zip(opened[1:], with_some[1:], strict=True):
        extra = sorted(classes - known)
        if extra:
            raise DataError(
                f"{folder.root}: every class must be trained on, got {extra[0]!r}, which is not in "
                f"{opened[0].root}"
            )
    scenes = _scenes(path, files, answers, deep=3 if parts else 2)
    notes = []
    if scenes is not None and (source.group == _FREELY or not scenes):
        notes = ["tiles of a scene are in several parts: the test's neighbours were trained on"]
        if not scenes:
            notes = [
                f"folders inside of the classes are fewer than {_FEWEST} in some, so that the "
                "pictures of one are in several parts"
            ]
        scenes = None
    learned = Classes.learn(answers)
    made = _images(source, source.path.name, files, answers, scenes, learned, answers,
                   np.array(fixed) if parts else None, opened)  # fmt: skip
    empty = sorted(c for c in {*opened[0].classes} - known if not c.startswith("__"))
    if empty:
        made.warnings.append(f"no picture is in {', '.join(empty)}, which is no class therefore")
    made.warnings += _left_out(lost) + _passed_over(passed) + notes
    return made


def _passed_over(files: Sequence[str]) -> list[str]:
    """What to say of files in the folders of classes that are no pictures by their names."""
    if not files:
        return []
    endings = sorted({os.path.splitext(f)[1].lower() or "without ending" for f in files})
    said = f"{', '.join(endings[:4])}{', …' if len(endings) > 4 else ''}, as {files[0]}"
    return [
        are(len(files), "file", "of a class is", "of classes are")
        + f" passed over, being no picture by name ({said})"
    ]


def _of_table(source: Source, path: Path, root: Path) -> Images:
    """Pictures that a table names, with what its target says of them."""
    source.require_only(Images.kind, "group", "skip_damaged", *OF_TABLES)
    table = open_table(source)
    named = _named_by(source, table, root)
    if named is None:
        raise DataError(
            f"{path}: a column must name pictures (as a.png), got {', '.join(table.columns)}"
        )
    column, said, root = named
    notes: list[str] = []
    targets = _labels(source, table, column) or choose_targets(source, table, besides=[column])
    rows = _answered(table, targets, notes)
    lost: list[str] = []
    if source.skip_damaged:
        lost = [why for i in rows if (why := _damage(root / str(said[i]))) is not None]
        rows = np.array([i for i in rows if _damage(root / str(said[i])) is None], np.int64)
    table, names = table.rows(rows), [str(name) for name in said[rows]]
    _require_there(table, column, names, root)
    opened = ImageFolder(root, labels=[(n, str(i)) for i, n in enumerate(names)])
    of_row: dict[int, str] = {}
    for file, given in opened.samples:
        several = given if isinstance(given, tuple) else (given,)
        if len(several) > 1:
            raise DataError(
                f"{path}: a picture must have one row, got {len(several)} for {file}; "
                "put its labels into one field, with ; between"
            )
        of_row[int(opened.classes[several[0]])] = file
    files = [of_row[i] for i in range(len(names))]
    learned, answers, strata = _answers(table, targets)
    tiles = answers if learned.kind == "classes" else [""] * len(files)
    groups = _groups(source, table, root, files, tiles)
    made = _images(
        source, path.parent.name, files, answers, groups, learned, strata, None, [opened]
    )
    made.warnings += notes + _left_out(lost)
    if opened.unlabelled:
        count = len(opened.unlabelled)
        made.warnings.append(are(count, "picture", "is", "are") + f" not in {path.name}")
    return made


def _require_there(table: Table, column: str, names: Sequence[str], root: Path) -> None:
    """Raise for the first row whose picture is not there; what leads out is told by the folder."""
    if any(".." in Path(name).parts for name in names):
        return
    endings = ["", *_endings(False)]
    for row, name in enumerate(names):
        if any((root / f"{name}{e}").is_file() for e in endings):
            continue
        raise DataError(
            f"{table.place(row)}: {column} must name a picture, but there is no {name} in {root}; "
            "remove the row, or name the table's own folder"
        )


def _groups(
    source: Source, table: Table, root: Path, files: list[str], classes: list[str]
) -> list[Any] | None:
    """What stays together: rows of one value of a column, or the tiles of a scene."""
    if source.group == _FREELY and _FREELY not in table.columns:
        return None
    if source.group is not None:
        return groups_of(source, table)
    return _scenes(root, files, classes, deep=len(Path(files[0]).parts)) or None


def _labels(source: Source, table: Table, column: str) -> list[str]:
    """The columns beside the pictures, if nobody says which and all say of a label who has it."""
    others = [n for n in table.columns if n not in (column, source.group)]
    return others if not source.target and indicators(table, others) else []


def _answered(table: Table, targets: Sequence[str], notes: list[str]) -> np.ndarray:
    """The rows that have an answer; where there are several labels, none is one."""
    missing = _unanswered(table, targets)
    if not missing.any():
        return np.arange(len(table))
    if isinstance(answers_of(table.known(*targets), targets)[0], Labels) and len(targets) == 1:
        notes.append(f"{quantity(int(missing.sum()), 'picture')} without {targets[0]}")
        return np.arange(len(table))
    notes += left_out(int(missing.sum()), " or no ".join(targets))
    return np.flatnonzero(~missing)


def _unanswered(table: Table, targets: Sequence[str]) -> np.ndarray:
    return np.any([table.columns[n].missing for n in targets], axis=0)


def _answers(table: Table, targets: Sequence[str]) -> tuple[Any, Any, Any]:
    """As `answers_of`; a missing one has no label."""
    if not _unanswered(table, targets).any():
        return answers_of(table, targets)
    (target,) = targets
    learned = answers_of(table.known(target), targets)[0]
    values = [table.columns[target].value(i) or "" for i in range(len(table))]
    return learned, values, None


def _damage(path: str | Path, *, whole: bool = True) -> str | None:
    """Why a picture cannot be read, or, if not the `whole` of it is tried, is none at all."""
    try:
        require_file("ImageFolder", path)
        if whole:
            open_image(str(path), "RGB")
    except DataError as error:
        return str(error)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None


def _left_out(lost: Sequence[str]) -> list[str]:
    """What to say of pictures that cannot be read and are left out."""
    if not lost:
        return []
    more = f" (and {len(lost) - 1:,} more)" if len(lost) > 1 else ""
    return [f"left out: {lost[0]}{more}"]


def _scenes(root: Path, files: list[str], answers: list[str], deep: int) -> list[str] | None:
    """What tiles are of, by folders inside of those of the classes, or by the ends of names.

    An empty list says that there are such folders, too few of them in some class.
    """
    inner = [Path(f).relative_to(root).parts for f in files]
    if any(len(p) > deep for p in inner):
        found = ["/".join(p[:-1]) for p in inner]
        of_class = Counter(answer for answer, _ in {*zip(answers, found, strict=True)})
        return found if min(of_class.values()) >= _FEWEST else []
    stems = [os.path.splitext(f)[0] for f in files]
    named = [_TILE.sub("", s) for s in stems]
    several = Counter(answer for answer, _ in {*zip(answers, named, strict=True)})
    enough = all(n >= _FEWEST for n in several.values())
    if all(map(_TILE.search, stems)) and enough and 2 * len(set(named)) <= len(files):
        return named
    return None


def _images(
    source: Source, name: str, files: list[str], answers: Any, scenes: list[Any] | None,
    target: Any, strata: Any, fixed: np.ndarray | None, opened: Sequence[ImageFolder],
) -> Images:  # fmt: skip
    inside = _inside(opened)
    shape = _shape(inside.sizes, inside.modes)
    found = [("pictures", _sizes_text(inside.sizes, shape))]
    warnings = []
    if target.labels:
        said = counted(occurrences(target, answers))
        found.append((target.kind, f"{len(target.labels)}: {said}"))
        warnings += unbalanced(target, answers)
    else:
        found.append(("target", ", ".join(target.names)))
    if scenes is not None:
        count = len(set(scenes))
        found.append(("scenes", f"{count:,}; the pictures of one stay in one part"))
    inner = contents(files)
    equal, notes = copies(inner, "picture")
    if fixed is None:
        warnings += notes
    elif _across(inner, fixed):
        warnings.append(
            are(
                _across(inner, fixed),
                "picture",
                "of the test is a copy of a trained one",
                "of the test are copies of trained ones",
            )
        )
    if inside.misnamed:
        first, kind = inside.misnamed[0]
        warnings.append(
            are(len(inside.misnamed), "file", "has", "have")
            + f" the ending of another format: {first} is a {kind}"
        )
    side = max(shape[1:])
    trained = len(files) if fixed is None else int((fixed == 0).sum())
    size = batch_for(trained)
    settings = {
        "model": "mlp:256" if side <= 12 else "cnn:16-32-64" if side <= 32 else "cnn:16-32-64-64",
        "dropout": 0.1,
        "size": side,
        "workers": 0,
        "augment": shape[0] == 3,
        "batch_size": size,
        "epochs": epochs_for(trained, size, 800),
    }
    return Images(
        source, name, found, warnings, settings,
        target=target, shape=shape, raw=files, answers=answers, labels=strata, fixed=fixed,
        groups=merged(equal, scenes) if fixed is None else None,
    )  # fmt: skip


def _inside(opened: Sequence[ImageFolder]) -> ImageReport:
    """What is inside of the pictures of folders; an error for damaged ones."""
    reports = [folder.check() for folder in opened]
    damaged = [why for r in reports for _, why in r.damaged]
    if damaged:
        raise _damaged(damaged)
    whole = ImageReport()
    for r in reports:
        whole.sizes += r.sizes
        whole.modes += r.modes
        whole.misnamed += r.misnamed
    return whole


def _damaged(why: Sequence[str]) -> DataError:
    more = f" ({len(why) - 1:,} more are like that)" if len(why) > 1 else ""
    return DataError(f"{why[0]}{more}; --skip-damaged leaves such pictures out")


def _shape(sizes: Counter[Any], modes: Counter[str]) -> tuple[int, int, int]:
    """Channels and size to which pictures are brought."""
    channels = 1 if set(modes) <= {"1", "L", "I;16", "LA"} else 3
    if len(sizes) == 1:
        width, height = next(iter(sizes))
        if max(width, height) <= _KEPT:
            return channels, height, width
    smaller = float(np.median([min(s) for s in sizes.elements()]))
    side = next((s for s in _SIDES if smaller <= 1.5 * s), _SIDES[-1])
    return channels, side, side


def _sizes_text(sizes: Counter[Any], shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    low, high = min(sizes, key=lambda s: s[0] * s[1]), max(sizes, key=lambda s: s[0] * s[1])
    colour = "grey" if channels == 1 else "coloured"
    if len(sizes) == 1 and low == (width, height):
        return f"{width}×{height}, {colour}"
    found = f"{low[0]}×{low[1]}" + (f" to {high[0]}×{high[1]}" if len(sizes) > 1 else "")
    return f"{found}, {colour}; brought to {width}×{height} (--size)"


def contents(files: Sequence[str]) -> list[str]:
    """Equal texts for files with equal bytes; only files of equal size are read."""
    sizes = [os.path.getsize(f) for f in files]
    several = Counter(sizes)
    return [
        hashlib.sha256(Path(f).read_bytes()).hexdigest() if several[n] > 1 else f
        for f, n in zip(files, sizes, strict=True)
    ]


def _across(contents: Sequence[str], fixed: np.ndarray) -> int:
    """How many examples of the test are among those that train."""
    trained = {c for c, part in zip(contents, fixed.tolist(), strict=True) if part == 0}
    return sum(c in trained for c, part in zip(contents, fixed.tolist(), strict=True) if part == 2)
