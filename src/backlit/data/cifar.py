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
from collections.abc import Iterable
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
    source = Path(folder)
    found = _in_tar(source, part, labels) if source.is_file() else _in_folder(source, part, labels)
    if not found:
        raise MissingFileError(
            f"cifar_folder: {source} must hold files of records as data_batch_1.bin, "
            f"test_batch.bin, train.bin or test.bin for the part {part!r}, plain, .xz or .gz, but "
            f"has {_listed(source)}"
        )
    images = np.concatenate([pixels for pixels, _ in found])
    named = np.concatenate([n for _, n in found])
    x: np.ndarray = images.astype(np.float32) if scale else images
    if scale:
        x *= np.float32(1 / 255)
    return TensorDataset(x, named if labels == 1 else named[:, 1].copy())


_FOLDERS = {
    1: ("cifar-10-batches-bin", "cifar-10-batches-py"),
    2: ("cifar-100-binary", "cifar-100-python"),
}


def _wanted(names: Iterable[str], part: str) -> list[str]:
    names = list(names)
    pickles = [name for name in names if os.path.basename(name) in ("data_batch_1", "train")]
    if pickles:
        raise DataError(f"cifar_folder: {pickles[0]} {_FOR_PYTHON}")
    return sorted(name for name in names if _NAMES[part].fullmatch(os.path.basename(name)))


def _in_folder(folder: Path, part: str, labels: int) -> list[tuple[np.ndarray, np.ndarray]]:
    for place in (folder, *(folder / name for name in _FOLDERS[labels])):
        names = _wanted(os.listdir(place), part) if place.is_dir() else []
        if names:
            return [read_cifar(place / name, labels=labels) for name in names]
    return []


def _in_tar(path: Path, part: str, labels: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The records in an archive; nothing of it is written anywhere."""
    try:
        with tarfile.open(path) as archive:
            found = []
            members = {m.name: m for m in archive if m.isfile() and m.size <= _MOST}
            for name in _wanted(members, part):
                file = archive.extractfile(members[name])
                data = b"" if file is None else file.read()
                found.append(_records(data, f"{path}: {name}", labels, None))
            return found
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"cifar_folder: {path} cannot be read as a tar file: {reason}; it is truncated or "
            "damaged: fetch it again"
        ) from None


def _listed(folder: Path) -> str:
    if not folder.is_dir():
        return "no such file" if folder.is_file() else "not been found"
    return ", ".join(sorted(os.listdir(folder))[:8]) or "nothing"


__all__ = ["CLASSES", "cifar_folder", "read_cifar"]
