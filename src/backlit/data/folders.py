"""Folders of files as datasets: the class of a file is its folder, or stands in a table."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, DataError, MissingFileError
from ..table import quantity
from ..tensor import wrap
from .dataset import Dataset, example_number
from .tables.columns import in_order
from .tables.delimited import Records

#: What the column of a table is called that has labels, if it has others besides.
_LABELS = ("label", "labels", "class", "target", "tags")


class DatasetFolder(Dataset):
    """Files in a folder, with their classes.

        root/cat/1.npy  root/cat/more/2.npy  root/dog/3.npy        the class is the folder's name
        root/1.npy  root/2.npy  and labels="labels.csv"            the class stands in a table

    An example is `(transform(loader(path)), target)`. The target is an int; if files have several
    labels it is float32 (classes,), 1 for each label.

    - `extensions` are the ends of the names of files that are examples; or `is_valid_file(path)`
      says whether one is. Hidden files and folders are left out.
    - `labels` is a CSV file in `root` or elsewhere, a dict from file to label, or pairs of them. A
      table's first column has files, relative to `root`, the second labels. A file with several
      labels has several rows, or a list; with `separator` they stand in one text, as "cat|dog".
      More than two columns, all of 0 and 1, say which labels a file has.

    `classes` are the names, in their order; `class_to_idx`, `samples` (path, target) and `targets`
    are torchvision's, as are the other arguments. `unlabelled` are files that the table leaves out.

    Override `find_classes` to leave out folders, or to give several one number.

    When the folder is opened it is gone through once: empty files, broken links, pipes and devices,
    links that lead in a circle, names that lead out of the folder, files of the table that are not
    there raise DataError. Unlike in torchvision, hidden files are no examples.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        loader: Callable[[str], Any],
        extensions: Sequence[str] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
        *,
        labels: str | os.PathLike[str] | Mapping[str, Any] | Iterable[Any] | None = None,
        separator: str | None = None,
    ):
        if (extensions is None) is (is_valid_file is None):
            raise ArgumentError(
                f"{type(self).__name__}: either extensions or is_valid_file must say which files "
                f"are examples, got {extensions} and {is_valid_file}"
            )
        for name, function in (
            ("transform", transform),
            ("target_transform", target_transform),
            ("loader", loader),
            ("is_valid_file", is_valid_file),
        ):
            if not (callable(function) or (function is None and name != "loader")):
                raise ArgumentError(
                    f"{type(self).__name__}: {name} must be a function, got {function!r:.60}"
                )
        self.root = os.fspath(root)
        self.loader, self.transform, self.target_transform = loader, transform, target_transform
        self.extensions = tuple(extension.lower() for extension in extensions or ())
        if not os.path.isdir(self.root):
            raise MissingFileError(
                f"{type(self).__name__}: {self.root} must be a folder, but is none"
            )
        kept = is_valid_file or (lambda path: path.lower().endswith(self.extensions))
        self.unlabelled: list[str] = []
        self.samples: list[tuple[str, Any]]
        if labels is None:
            self.classes, self.class_to_idx = self.find_classes(self.root)
            self.samples = self._of_folders(kept, allow_empty)
        else:
            self.classes, self.samples = self._of_labels(labels, separator, kept)
            self.class_to_idx = {name: number for number, name in enumerate(self.classes)}

    @property
    def targets(self) -> list[Any]:
        """The targets of all examples; of several labels the list of their numbers."""
        return [target for _, target in self.samples]

    @property
    def multi_label(self) -> bool:
        """Whether a file may have several labels, or none."""
        return bool(self.samples) and isinstance(self.samples[0][1], tuple)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[example_number(index, len(self.samples))]
        example = self._loaded(path)
        if self.transform is not None:
            example = self.transform(example)
        if isinstance(target, tuple):
            several = np.zeros(len(self.classes), np.float32)
            several[list(target)] = 1
            target = wrap(several)
        return example, target if self.target_transform is None else self.target_transform(target)

    def __repr__(self) -> str:
        kind = type(self).__name__
        files = quantity(len(self), "file")
        return f"{kind}({self.root!r}, {files}, {quantity(len(self.classes), 'class', 'classes')})"

    def _loaded(self, path: str) -> Any:
        """What a file holds."""
        return self.loader(path)

    def _wanted(self) -> str:
        return ", ".join(self.extensions) or "as is_valid_file says"

    # -- what is there ------------------------------------------------------------------------

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        """The names of the classes, which are folders, and the number of each."""
        classes = sorted(entry.name for entry in _entries(directory) if _is_folder(entry))
        if not classes:
            raise DataError(
                f"DatasetFolder: {directory} must have a folder for each class, but has "
                f"{_some(os.listdir(directory))}; or pass labels="
            )
        return classes, {name: number for number, name in enumerate(classes)}

    def _of_folders(self, kept: Callable[[str], bool], allow_empty: bool) -> list[tuple[str, Any]]:
        samples: list[tuple[str, Any]] = []
        for name, number in sorted(self.class_to_idx.items()):
            found = _files(self.root, os.path.join(self.root, name))
            chosen = [path for path in found if kept(path)]
            if not chosen and not allow_empty:
                raise DataError(
                    f"DatasetFolder: the class {name!r} must have at least one file "
                    f"({self._wanted()}), but {os.path.join(self.root, name)} has "
                    f"{_some(map(os.path.basename, found))}; remove it, or pass allow_empty=True"
                )
            samples += [(path, number) for path in chosen]
        _require_files([path for path, _ in samples])
        return samples

    def _of_labels(
        self, labels: Any, separator: str | None, kept: Callable[[str], bool]
    ) -> tuple[list[str], list[tuple[str, Any]]]:
        known = [path for path in _files(self.root, self.root) if kept(path)]
        stems: dict[str, list[str]] = {}
        for path in known:
            stems.setdefault(os.path.splitext(path)[0], []).append(path)
        there = set(known)
        of_file: dict[str, list[str]] = {}
        rows, several = _labelled(self.root, labels)
        for place, name, found in rows:
            path = _inside(self.root, name, place)
            if path not in there:
                same = stems.get(path, [])  # the table may leave out extensions
                if len(same) != 1 and not os.path.lexists(path):
                    raise DataError(
                        f"DatasetFolder: {place}: the file {name!r} is not in {self.root}; remove "
                        "the row, or check root"
                    )
                path = same[0] if len(same) == 1 else path
            names = of_file.setdefault(path, [])
            parts = found if separator is None else [p for f in found for p in f.split(separator)]
            names += [label for p in parts if (label := p.strip()) and label not in names]
        if not of_file:
            raise DataError("DatasetFolder: labels must name at least one file, got none")
        _require_files(list(of_file))
        self.unlabelled = [path for path in known if path not in of_file]
        classes = list(in_order(label for names in of_file.values() for label in names))
        numbers = {label: number for number, label in enumerate(classes)}
        several = several or separator is not None
        bare = next((path for path, names in of_file.items() if not names), None)
        if bare is not None and not several:
            raise DataError(
                f"DatasetFolder: the file {bare} must have a label, got none; remove its row"
            )
        if not several and all(len(names) == 1 for names in of_file.values()):
            return classes, [(path, numbers[names[0]]) for path, names in of_file.items()]
        return classes, [
            (path, tuple(sorted(numbers[label] for label in names)))
            for path, names in of_file.items()
        ]


def _some(names: Iterable[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - 6} more" if len(shown) > 6 else ""
    return ", ".join(shown[:6]) + more or "nothing"


# -- files ----------------------------------------------------------------------------------------


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What is in a folder, but for hidden files."""
    try:
        return [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"DatasetFolder: {folder} cannot be read: {error.strerror or error}; check its "
            "permissions"
        ) from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _files(root: str, folder: str) -> list[str]:
    """The files in a folder and in those inside, ordered by name; links are followed."""
    found: list[str] = []
    waiting = [(folder, (os.path.realpath(root),) if folder != root else ())]
    while waiting:
        inner, above = waiting.pop()
        real = os.path.realpath(inner)
        if any(_holds(real, other) for other in above):
            raise DataError(
                f"DatasetFolder: {inner} is a link to {real}, a folder in which it lies itself; "
                "remove the link"
            )
        for entry in _entries(inner):
            if _is_folder(entry):
                waiting.append((entry.path, (*above, real)))
            else:
                found.append(entry.path)
    return sorted(found, key=os.path.split)


def _holds(folder: str, other: str) -> bool:
    """Whether a folder is another or holds it."""
    return other == folder or other.startswith(folder.rstrip(os.sep) + os.sep)


def require_file(what: str, path: str | os.PathLike[str]) -> None:
    """Raise unless a path leads to a regular file with something in it."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a device or a socket"
        raise DataError(f"{what}: {path} must be a file, but is {kind}; leave it out")
    if status.st_size == 0:
        raise DataError(f"{what}: {path} is empty (0 bytes); remove it or fetch it again")


def _require_files(paths: Sequence[str]) -> None:
    """Raise unless all are regular files with something in them."""
    wrong: list[str] = []
    for path in paths:
        try:
            require_file("DatasetFolder", path)
        except DataError as error:
            wrong.append(str(error))
        except OSError as error:
            reason = "is a broken link" if os.path.islink(path) else str(error.strerror)
            wrong.append(f"DatasetFolder: {path} {reason}; remove it")
    if wrong:
        more = f" ({len(wrong) - 1} more files are like that)" if len(wrong) > 1 else ""
        raise DataError(wrong[0] + more)


# -- tables of labels -----------------------------------------------------------------------------


def _labelled(root: str, labels: Any) -> tuple[list[tuple[str, str, list[str]]], bool]:
    """Where it is said, of which file, and its labels; and whether files may have several."""
    if isinstance(labels, str | os.PathLike):
        path = os.path.join(root, labels)
        return _in_table(root, Records(path if os.path.exists(path) else labels))
    pairs = list(labels.items() if isinstance(labels, Mapping) else labels)
    rows, several = [], False
    for number, pair in enumerate(pairs):
        place = f"labels, entry {number}"
        if isinstance(pair, str) or len(pair) != 2 or not isinstance(pair[0], str | os.PathLike):
            raise ArgumentError(
                f"DatasetFolder: {place}: labels must be a file of a table, a dict, or pairs of a "
                f"file and its label, got {pair!r:.60}"
            )
        file, named = pair
        of_many = isinstance(named, list | tuple | set | frozenset)
        several |= of_many
        rows.append((place, os.fspath(file), [str(n) for n in (named if of_many else [named])]))
    return rows, several


def _in_table(root: str, records: Records) -> tuple[list[tuple[str, str, list[str]]], bool]:
    names = records.names
    if os.path.isfile(os.path.join(root, names[0])):
        raise DataError(
            f"DatasetFolder: {records.path}:1: the first line must have the names of the columns, "
            f"as file,label, got the file {names[0]!r}; add such a line"
        )
    read = list(records)
    if len(names) < 2:
        raise DataError(
            f"DatasetFolder: {records.path} must have a column of files and one of labels, got "
            f"{', '.join(names)}"
        )
    indicators = len(names) > 2 and all(f in ("0", "1") for _, fields in read for f in fields[1:])
    at = 1 if indicators or len(names) == 2 else _label_column(records)
    rows = []
    for line, fields in read:
        found = [fields[at]]
        if indicators:
            found = [name for name, f in zip(names[1:], fields[1:], strict=True) if f == "1"]
        rows.append((f"{records.path}:{line}", fields[0], found))
    return rows, indicators


def _label_column(records: Records) -> int:
    """Which of many columns has the labels."""
    named = [i for i, name in enumerate(records.names) if name.lower() in _LABELS]
    if len(named) != 1:
        raise DataError(
            f"DatasetFolder: {records.path} must have two columns, of files and of labels, or one "
            f"called {' or '.join(_LABELS)}, or columns of 0 and 1, got {', '.join(records.names)}"
        )
    return named[0]


def _inside(root: str, name: str, place: str) -> str:
    """The path of a file of the folder, by the name that a table gives it."""
    path = os.path.normpath(os.path.join(root, name))
    folder, whole = os.path.abspath(root), os.path.abspath(path)
    if "\0" in name or whole == folder or not _holds(folder, whole):
        raise DataError(
            f"DatasetFolder: {place}: files must lie inside of {root}, got {name!r}; name them "
            "relative to it"
        )
    return os.path.join(root, os.path.relpath(path, root))


__all__ = ["DatasetFolder", "require_file"]
