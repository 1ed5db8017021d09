"""CIFAR-10 and CIFAR-100 in their binary records: one or two label bytes, then R, G and B planes.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and the page of
the data set, section "Binary version".
"""

from __future__ import annotations

import gzip
import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ArgumentError, DataError, MissingFileError
from .dataset import TensorDataset

_PIXELS = 3 * 32 * 32
_PICKLE = b"\x80"
_MOST = 1 << 30  # bytes of records: ten times what is published

_FOR_PYTHON = (
    "is the version for Python, a pickle, which can run any code; get the binary version, "
    "cifar-10-binary.tar.gz or cifar-100-binary.tar.gz, as with download=True"
)

#: The names of the classes of CIFAR-10, in their order.
CLASSES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())

#: The names of the fine classes of CIFAR-100, in their order.
FINE_CLASSES = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
    crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
    keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
    mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain
    plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
    skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
    television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split()
)

#: Names of files of records, by part: as published, and what is cut from these.
_NAMES = {
    "train": re.compile(r"(data_batch_\d|train(_\d+)?)\.bin(\.xz|\.gz)?"),
    "test": re.compile(r"test(_batch|_\d+)?\.bin(\.xz|\.gz)?"),
}


def read_cifar(
    path: str | os.PathLike[str], *, labels: int = 1, classes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of a file of records, plain or compressed by xz or gzip.

    images: uint8 (N, 3, 32, 32);  labels: int64 (N,), or (N, 2) with `labels=2`

    `labels` is the number of label bytes of a record: 1 in CIFAR-10, 2 in CIFAR-100 (coarse, fine).
    Raises DataError if the file is missing, damaged, no whole number of records, or has a label
    beyond `classes` (10, or 100 with two labels).
    """
    path = os.fspath(path)
    return _records(_unpacked(path), path, labels, classes)


def _unpacked(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            start = file.read(6)
            file.seek(0)
            opened: Any = file
            if start.startswith(b"\x1f\x8b"):
                opened = gzip.GzipFile(fileobj=file)
            elif start == b"\xfd7zXZ\0":
                opened = lzma.LZMAFile(file)  # noqa: SIM115
            data = opened.read(_MOST + 1)
    except FileNotFoundError:
        raise MissingFileError(f"read_cifar: {path} does not exist; check the path") from None
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"read_cifar: {path} cannot be read: {reason}; it is truncated or damaged: fetch it "
            "again"
        ) from None
    if len(data) > _MOST:
        raise DataError(f"read_cifar: {path} must have at most {_MOST:,} bytes, got more")
    return data


def _records(
    data: bytes, place: str, labels: int, classes: int | None
) -> tuple[np.ndarray, np.ndarray]:
    size = labels + _PIXELS
    if data.startswith(_PICKLE):
        raise DataError(f"read_cifar: {place} {_FOR_PYTHON}")
    if not data or len(data) % size:
        raise DataError(
            f"read_cifar: {place} must be records of {size:,} bytes, got {len(data):,} bytes, "
            f"which are {len(data) / size:.2f} records; it is truncated or of another format"
        )
    rows = np.frombuffer(data, np.uint8).reshape(-1, size)
    limits = [classes or (10 if labels == 1 else 100)]
    limits = [20, *limits] if labels == 2 else limits
    named = rows[:, :labels].astype(np.int64)
    for column, limit in enumerate(limits):
        wrong = np.flatnonzero(named[:, column] >= limit)
        if len(wrong):
            raise DataError(
                f"read_cifar: {place}: record {wrong[0]}: labels must lie in [0, {limit}), got "
                f"{named[wrong[0], column]}; it is damaged or of another format"
            )
    images = rows[:, labels:].reshape(-1, 3, 32, 32)
    return images, named[:, 0] if labels == 1 else named


def cifar_folder(
    folder: str | os.PathLike[str],
    part: str = "train",
    *,
    labels: int = 1,
    scale: bool = True,
) -> TensorDataset:
    """The images and labels of `part` ("train" or "test") in a folder, or in the tar as published.

    x: float32 in [0, 1], (N, 3, 32, 32), or uint8 without `scale`;  y: int64 (N,)

    Reads `data_batch_1.bin` … `data_batch_5.bin`, `test_batch.bin` (CIFAR-100: `train.bin`,
    `test.bin`, of which y has the fine labels), each plain or with `.xz` or `.gz`. `folder` may
    hold them in `cifar-10-batches-bin` (`cifar-100-binary`), or be a `.tar.gz`.
    """
    if part not in _NAMES:
        raise ArgumentError(f"cifar_folder: part must be 'train' or 'test', got {part!r}")
    (made,) = cifar_parts(Path(folder), (part,), labels, scale)
    return made


def cifar_parts(
    source: Path, parts: Sequence[str], labels: int, scale: bool
) -> tuple[TensorDataset, ...]:
    """Several parts of a folder or an archive, which is gone through once."""
    found = _in_tar(source, parts) if source.is_file() else _in_folder(source, parts, labels)
    return tuple(_joined(source, part, found[part], labels, scale) for part in parts)


def _joined(
    source: Path, part: str, files: dict[str, bytes], labels: int, scale: bool
) -> TensorDataset:
    if not files:
        raise MissingFileError(
            f"cifar_folder: {source} must hold files of records as data_batch_1.bin, "
            f"test_batch.bin, train.bin or test.bin for the part {part!r}, plain, .xz or .gz, but "
            f"has {_listed(source)}"
        )
    read = [_records(files[name], name, labels, None) for name in sorted(files)]
    images = np.concatenate([pixels for pixels, _ in read])
    named = np.concatenate([n for _, n in read])
    x: np.ndarray = images.astype(np.float32) if scale else images
    if scale:
        x *= np.float32(1 / 255)
    return TensorDataset(x, named if labels == 1 else named[:, 1].copy())


_FOLDERS = {
    1: ("cifar-10-batches-bin", "cifar-10-batches-py"),
    2: ("cifar-100-binary", "cifar-100-python"),
}


def _is_wanted(name: str, part: str) -> bool:
    return _NAMES[part].fullmatch(os.path.basename(name)) is not None


def _require_no_pickles(names: Iterable[str], place: Path) -> None:
    pickles = [name for name in names if os.path.basename(name) in ("data_batch_1", "train")]
    if pickles:
        raise DataError(f"cifar_folder: {place}: {pickles[0]} {_FOR_PYTHON}")


def records_in(folder: Path, part: str, labels: int) -> list[Path]:
    """The files of records of a part, in a folder or in the one inside that is published."""
    for place in (folder, *(folder / name for name in _FOLDERS[labels])):
        names = os.listdir(place) if place.is_dir() else []
        if found := sorted(name for name in names if _is_wanted(name, part)):
            return [place / name for name in found]
    return []


def _in_folder(folder: Path, parts: Sequence[str], labels: int) -> dict[str, dict[str, bytes]]:
    found = {part: records_in(folder, part, labels) for part in parts}
    if not any(found.values()):
        for place in (folder, *(folder / name for name in _FOLDERS[labels])):
            _require_no_pickles(os.listdir(place) if place.is_dir() else (), place)
    return {
        part: {str(path): _unpacked(str(path)) for path in paths} for part, paths in found.items()
    }


def _in_tar(path: Path, parts: Sequence[str]) -> dict[str, dict[str, bytes]]:
    """The records in an archive, by one pass; nothing of it is written anywhere."""
    found: dict[str, dict[str, bytes]] = {part: {} for part in parts}
    names = []
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                names.append(member.name)
                for part in parts:
                    if member.isfile() and _is_wanted(member.name, part):
                        file: Any = archive.extractfile(member)
                        found[part][f"{path}: {member.name}"] = file.read(_MOST)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"cifar_folder: {path} cannot be read as a tar file: {reason}; it is truncated or "
            "damaged: fetch it again"
        ) from None
    _require_no_pickles(names, path)
    return found


def _listed(folder: Path) -> str:
    if not folder.is_dir():
        return "no such file" if folder.is_file() else "not been found"
    return ", ".join(sorted(os.listdir(folder))[:8]) or "nothing"


__all__ = ["CLASSES", "FINE_CLASSES", "cifar_folder", "cifar_parts", "read_cifar", "records_in"]
