"""Arrays in files (NumPy's and HDF5), of which rows are read when they are asked for."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ..errors import (
    ArgumentError,
    BacklitError,
    DataError,
    IndexRangeError,
    MissingDependencyError,
    MissingFileError,
    ShapeError,
)
from ..foreign import words
from ..tensor import Tensor, as_tensor
from .dataset import Dataset, example_number

_NPY, _ZIP, _HDF5 = b"\x93NUMPY", b"PK", b"\x89HDF\r\n\x1a\n"
_LOCAL_HEADER = 30  # bytes before a name in a zip archive, of which the last four say two lengths


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """What goes wrong with a file as one error, which names it."""
    try:
        yield
    except BacklitError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"ArrayFile: {path} does not exist; check the path") from None
    except Exception as error:  # NumPy, zipfile and h5py raise what they like
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(
            f"ArrayFile: {path} cannot be read: {reason or type(error).__name__:.200}; it is "
            "truncated, damaged or of another format"
        ) from None


class ArrayFile:
    """An array in a `.npy`, `.npz` or HDF5 file; what is indexed is read, and no more.

        .npy             mapped into memory: the operating system reads pages when they are used
        .npz             the same, if NumPy's `savez` has not compressed it; else read whole, once
        HDF5             read by h5py: install 'backlit[hdf5]'

    `key` names one of several arrays. The format is known by the contents, not by the name.
    It can be sent to other processes: each opens the file for itself.

    Raises DataError, with the file's name, if the file is missing, truncated, of another format or
    holds no numbers. Pickled objects are never loaded; parts of an HDF5 file that lie in other
    files are refused.
    """

    def __init__(self, path: str | os.PathLike[str], key: str | None = None):
        self.path, self.key = os.fspath(path), key
        self._array: Any = None
        self._process = 0
        array = self._opened()
        if array.dtype.kind not in "biuf":
            raise DataError(
                f"ArrayFile: {self.path} must hold numbers, got "
                f"{words(np.empty(0, array.dtype))[0]}"
            )
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype = array.dtype.newbyteorder("=")

    def _opened(self) -> Any:
        """The array of the library that reads it, opened by this process."""
        if self._array is None or self._process != os.getpid():
            with _reading(self.path):
                self._array = _open(self.path, self.key)
                self._process = os.getpid()
        return self._array

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        array = self._opened()
        with _reading(self.path):
            try:
                return np.array(_indexed(array, index), self.dtype)
            except IndexError as error:
                raise IndexRangeError(f"ArrayFile: {self.path}: {error}") from None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[()], dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}

    def __repr__(self) -> str:
        key = f", key={self.key!r}" if self.key else ""
        return f"ArrayFile({self.path!r}{key}, {self.dtype}, shape={self.shape})"


def read_array(path: str | os.PathLike[str], key: str | None = None) -> np.ndarray:
    """All of an array in a file: see `ArrayFile`."""
    return ArrayFile(path, key)[()]


def _indexed(array: Any, index: Any) -> Any:
    """What stands there; h5py wants numbers of rows in order and each once."""
    several = isinstance(index, np.ndarray) and index.dtype != bool
    if not several or isinstance(array, np.ndarray):
        return array[index]
    places, back = np.unique(index, return_inverse=True)
    return array[places][back]


def _refuse_databases(path: str) -> None:
    """LMDB's folder or its file, and LevelDB's folder: databases of records, not arrays."""
    folder = os.path.dirname(path) if os.path.basename(path) == "data.mdb" else path
    for mark, name, package in (("data.mdb", "LMDB", "lmdb"), ("CURRENT", "LevelDB", "plyvel")):
        if os.path.isfile(os.path.join(folder, mark)):
            raise DataError(
                f"ArrayFile: {path} is a database of {name}, which is not read; take its records "
                f"out with the package {package} and write them as arrays, with numpy.save or h5py"
            )


def _open(path: str, key: str | None) -> Any:
    _refuse_databases(path)
    with open(path, "rb") as file:
        start = file.read(8)
    if start.startswith(_NPY):
        if key is not None:
            raise ArgumentError(f"ArrayFile: {path} holds one array without a name, got {key=}")
        with open(path, "rb") as file:
            return _mapped(path, file, os.fstat(file.fileno()).st_size)
    if start.startswith(_ZIP):
        return _in_archive(path, key)
    if start == _HDF5:
        return _in_hdf5(path, key)
    raise DataError(
        f"ArrayFile: {path} must be a .npy, .npz or HDF5 file, but begins with "
        f"{start.hex(' ') or 'nothing'}; it is of another format"
    )


def _named(path: str, key: str | None, names: list[str]) -> str:
    """Which of the arrays in a file is meant."""
    if key is None and len(names) == 1:
        return names[0]
    if key in names:
        return str(key)
    got = "no key" if key is None else repr(key)
    shown = ", ".join(names[:10]) or "none"
    raise ArgumentError(f"ArrayFile: key must name one of the arrays in {path}, {shown}, got {got}")


# -- NumPy's formats ------------------------------------------------------------------------------


def _header(path: str, file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """The shape, whether columns come first, and the dtype."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"ArrayFile: {path} must be of NumPy's format 1.0 or 2.0, got {version}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, columns_first, dtype = read(file)
    if dtype.hasobject:
        raise DataError(
            f"ArrayFile: {path} holds Python objects, which only unpickling could read, and that "
            "can run any code; save numbers: np.save(path, x.astype('float32'))"
        )
    return shape, columns_first, dtype


def _require_size(path: str, shape: tuple[int, ...], dtype: np.dtype, found: int) -> None:
    expected = math.prod(shape) * dtype.itemsize
    if expected > found or any(n < 0 for n in shape):
        raise DataError(
            f"ArrayFile: {path} must hold {expected:,} bytes of elements for the shape {shape}, "
            f"got {found:,}; it is truncated"
        )


def _mapped(path: str, file: Any, end: int) -> Any:
    """The array whose header stands at a file's position, mapped into memory."""
    shape, columns_first, dtype = _header(path, file)
    start = file.tell()
    _require_size(path, shape, dtype, end - start)
    if not math.prod(shape):
        return np.empty(shape, dtype)  # of which nothing can be mapped
    order: Any = "F" if columns_first else "C"
    return np.memmap(path, dtype, "r", start, shape, order)


def _in_archive(path: str, key: str | None) -> Any:
    with zipfile.ZipFile(path) as archive:
        files = {i.filename.removesuffix(".npy"): i for i in archive.infolist()}
        entry = files[_named(path, key, list(files))]
        with archive.open(entry) as file:
            shape, columns_first, dtype = _header(path, file)
            _require_size(path, shape, dtype, entry.file_size - file.tell())
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                elements = np.frombuffer(file.read(), dtype)[: math.prod(shape)]
                return elements.reshape(shape, order="F" if columns_first else "C")
    with open(path, "rb") as plain:
        plain.seek(entry.header_offset)
        lengths = plain.read(_LOCAL_HEADER)[-4:]
        skipped = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        plain.seek(skipped, os.SEEK_CUR)
        return _mapped(path, plain, plain.tell() + entry.file_size)


# -- HDF5 -----------------------------------------------------------------------------------------


def _in_hdf5(path: str, key: str | None) -> Any:
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError(
            f"ArrayFile: {path} is an HDF5 file, and h5py, which reads these, is not installed; "
            "run: pip install 'backlit[hdf5]'"
        ) from None
    file = h5py.File(path, "r")
    names: list[str] = []
    file.visititems(lambda name, thing: names.append(name) if hasattr(thing, "dtype") else None)
    found = file[_named(path, key, names)]
    if found.external or found.is_virtual:
        raise DataError(
            f"ArrayFile: {path}: {found.name} must lie in the file, but lies in others; copy it"
        )
    return found


# -- a dataset ------------------------------------------------------------------------------------


class ArrayDataset(Dataset):
    """Examples that are the rows of arrays which stay where they are, of equal length.

    Each source is the path of a file with one array, an ArrayFile, or what has a shape and rows: an
    array (also mapped), a Tensor, a dataset of h5py's. Rows are copied when an example is asked
    for, those of a batch all at once. What fits into memory is faster as a TensorDataset.

    >>> data = ArrayDataset(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]))
    >>> len(data), data[1]
    (3, (Tensor([2., 3.], shape=(2,), dtype=float64), Tensor(1, shape=(), dtype=int64)))
    """

    def __init__(self, *sources: Any):
        if not sources:
            raise ArgumentError("ArrayDataset: at least one array is required")
        self.arrays = tuple(
            ArrayFile(source) if isinstance(source, str | os.PathLike) else source
            for source in sources
        )
        for array in self.arrays:
            if not hasattr(array, "shape") or not hasattr(array, "__getitem__"):
                what, cure = words(array)
                raise ArgumentError(
                    f"ArrayDataset: a source must be a file or an array, got {what}; {cure}"
                )
        lengths = [array.shape[0] if array.shape else None for array in self.arrays]
        if None in lengths or len(set(lengths)) != 1:
            raise ShapeError(
                "ArrayDataset: all arrays must have equally many rows, got "
                + " and ".join(str(tuple(array.shape)) for array in self.arrays)
            )

    def __len__(self) -> int:
        return int(self.arrays[0].shape[0])

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        row = example_number(index, len(self))
        return tuple(as_tensor(np.array(array[row])) for array in self.arrays)

    def __getitems__(self, indices: list[int]) -> list[tuple[np.ndarray, ...]]:
        """Several examples, whose rows are read at once."""
        rows = np.array([example_number(i, len(self)) for i in indices], np.int64)
        columns = [np.asarray(array[rows]) for array in self.arrays]
        return list(zip(*columns, strict=True))

    def __repr__(self) -> str:
        return f"ArrayDataset({', '.join(str(tuple(array.shape)) for array in self.arrays)})"


__all__ = ["ArrayDataset", "ArrayFile", "read_array"]
