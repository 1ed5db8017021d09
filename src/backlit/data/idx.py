"""IDX files, the format of MNIST and Fashion-MNIST, read with every number checked.

An IDX file is a magic number (two zero bytes, the element type, the number of axes), the sizes of
the axes as big-endian 32-bit integers, and the elements, big-endian, in row-major order.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", section "File formats".
"""

from __future__ import annotations

import gzip
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..files import opened
from .dataset import TensorDataset

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_DEFLATE = 1032  # bytes that one compressed byte can stand for: RFC 1951, matches of 258 in 2 bits
_PIECE = 1 << 20  # bytes that are read at a time

#: What the classes of the data sets in IDX files are called.
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an IDX file, plain or compressed by gzip.

    Raises DataError, with what was expected and found, if the file is missing, truncated, longer
    than it says, or of another format.
    """
    with opened(path, "read_idx") as stream:
        most = os.fstat(stream.fileno()).st_size
        return _read(stream, path, most * (_DEFLATE if isinstance(stream, gzip.GzipFile) else 1))


def _read(stream: Any, path: str | os.PathLike[str], most: int) -> np.ndarray:
    """The array in a stream that has at most so many bytes."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise DataError(
            f"read_idx: {path} must begin with the magic number of an IDX file (00 00, a type of "
            f"{', '.join(f'{t:02x}' for t in _TYPES)}, the number of axes), "
            f"got {magic.hex(' ') or 'an empty file'}; it is of another format"
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(
            f"read_idx: {path} must have a size for each of {magic[3]} axes, "
            f"but ends after {4 + len(sizes)} bytes; it is truncated"
        )
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    dtype = np.dtype(_TYPES[magic[2]])
    expected = math.prod(shape) * dtype.itemsize
    must = f"read_idx: {path} must hold {expected:,} bytes of elements for the shape {shape}"
    most -= len(magic) + len(sizes)
    if expected > most:  # a size in a header is not trusted with memory
        raise DataError(f"{must}, got at most {most:,}; it is truncated")
    try:
        array = np.empty(shape, dtype.newbyteorder("="))
    except (MemoryError, ValueError) as error:
        raise DataError(f"{must}, for which no array can be made: {error}") from None
    found = _fill(stream, array)
    if found < expected:
        raise DataError(f"{must}, got {found:,}; it is truncated")
    if stream.read(1):
        raise DataError(f"{must}, got more; it is damaged or of another format")
    return array if dtype.isnative else array.byteswap(inplace=True)


def _fill(stream: Any, array: np.ndarray) -> int:
    """Read the bytes of an array; how many there were."""
    room = array.reshape(-1).view(np.uint8)
    found = 0
    while count := stream.readinto(room[found : found + _PIECE]):
        found += count
    return found


def idx_folder(
    folder: str | os.PathLike[str], part: str = "train", *, classes: int = 10, scale: bool = True
) -> TensorDataset:
    """The images and labels of `part` ("train" or "t10k") in a folder laid out like MNIST.

    x: float32 in [0, 1], (N, 1, H, W), or uint8 without `scale`;  y: int64 in [0, classes), (N,)

    Reads `{part}-images-idx3-ubyte` and `{part}-labels-idx1-ubyte`, each plain or with `.gz`.
    """
    images_path = _find(folder, f"{part}-images-idx3-ubyte")
    labels_path = _find(folder, f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(
            f"idx_folder: {images_path} must hold images, uint8 of shape (N, H, W), "
            f"got {images.dtype} of shape {images.shape}"
        )
    if labels.ndim != 1 or labels.dtype != np.uint8:
        raise DataError(
            f"idx_folder: {labels_path} must hold labels, uint8 of shape (N,), "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    if len(images) != len(labels):
        raise DataError(
            f"idx_folder: there must be a label for each image, got {len(images):,} images in "
            f"{images_path} and {len(labels):,} labels in {labels_path}"
        )
    if len(images) == 0:
        raise DataError(f"idx_folder: {images_path} must hold at least one image, got 0")
    if labels.max() >= classes:
        raise DataError(
            f"idx_folder: labels in {labels_path} must lie in [0, {classes}), got {labels.max()}"
        )
    x: np.ndarray = images[:, None]
    if scale:
        x = x.astype(np.float32)
        x *= np.float32(1 / 255)
    return TensorDataset(x, labels.astype(np.int64))


def _find(folder: str | os.PathLike[str], name: str) -> Path:
    for path in (Path(folder) / name, Path(folder) / f"{name}.gz"):
        if path.is_file():
            return path
    if not Path(folder).is_dir():
        raise DataError(f"idx_folder: {folder} must be a folder with {name}, but is none")
    raise DataError(
        f"idx_folder: {folder} must contain {name} or {name}.gz, but has "
        f"{', '.join(sorted(os.listdir(folder))[:8]) or 'nothing'}"
    )
