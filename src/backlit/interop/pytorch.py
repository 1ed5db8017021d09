"""What a `.pt` or `.pth` file of PyTorch's holds: Tensors in plain data, read without unpickling.

A file is a zip archive: `data.pkl` says what there is, `data/0`, `data/1`, … are the elements, as
they lie in memory. Before version 1.6 it was five pickles and then the elements, one after another.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from ..dtypes import FLOATING
from ..errors import DataError
from ..nn.module import Parameter
from ..tensor import Tensor, wrap
from . import arrays
from .pickled import PLAIN, Name, RefusedError, Vocabulary, said
from .pickled import read as read_pickle

_ZIP = b"PK\x03\x04"
_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # its first number
_LEGACY_VERSION = 1001

_STORAGES: dict[str, Any] = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
    "UntypedStorage": np.uint8,
}
_DTYPES: dict[str, Any] = {
    f"torch.{np.dtype(kind).name}": np.dtype(kind)
    for kind in (*_STORAGES.values(), np.uint16, np.uint32, np.uint64)
}
#: Copies of the file's elements may take so much more memory than the file.
_GROWTH, _SPARE = 8, 1 << 20


def is_pytorch(data: bytes) -> bool:
    """Whether bytes begin as a file of PyTorch's does."""
    return data.startswith((_ZIP, _LEGACY))


def read(data: bytes, path: Any) -> Any:
    """What the bytes of a file of PyTorch's hold; `path` is for the messages.

    Dictionaries, lists, tuples, sets, numbers, texts, None, dtypes and Tensors come back. Raises
    DataError if the file is damaged, or holds what only running its code could make.
    """
    return _archive(data, path) if data.startswith(_ZIP) else _legacy(data, path)


# -- the two forms of the file ------------------------------------------------------------------


def _archive(data: bytes, path: Any) -> Any:
    """What a zip archive holds."""
    entries = _entries(data, path)
    pickles = [name for name in entries if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(pickles) != 1:
        raise DataError(
            f"load: {path} must be a file of torch.save, got a zip archive without one data.pkl"
        )
    root = pickles[0].removesuffix("data.pkl")
    swapped = entries.get(f"{root}byteorder", sys.byteorder.encode()) != sys.byteorder.encode()

    def elements(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        raw = entries.get(f"{root}data/{key}")
        if raw is None or len(raw) != count * dtype.itemsize:
            raise RefusedError(f"must have {count:,} elements of {dtype} under data/{key:.40}")
        return _native(np.frombuffer(raw, dtype), swapped)

    stream = io.BytesIO(entries[pickles[0]])
    return read_pickle(stream, _Builder(elements, len(data)).vocabulary(), path)


def _entries(data: bytes, path: Any) -> dict[str, bytes]:
    """The files in a zip archive, each of which has the size and the checksum that it should."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if any(info.filename.endswith("/constants.pkl") for info in infos):
                raise RefusedError(
                    "holds a TorchScript program, which is code; in PyTorch save its weights: "
                    "torch.save(torch.jit.load(path).state_dict(), new_path)"
                )
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise RefusedError(
                    "is compressed, which torch.save does not; unpack and zip it with -0"
                )
            if sum(info.file_size for info in infos) > len(data):
                raise RefusedError("has entries that are larger than the file")
            return {info.filename: archive.read(info) for info in infos}
    except RefusedError as refused:
        raise DataError(f"load: {path} {refused}") from None
    except Exception as error:  # of a damaged archive zipfile raises errors of many kinds
        reason = " ".join(str(error).split())
        raise DataError(
            f"load: {path} must be a whole zip archive of torch.save: {reason:.200}; "
            "it is truncated or damaged"
        ) from None


def _legacy(data: bytes, path: Any) -> Any:
    """What a file of versions before 1.6 holds: five pickles, then the elements."""
    stream = io.BytesIO(data)
    sizes: dict[str, tuple[np.dtype, int]] = {}

    def note(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        sizes[key] = dtype, count
        return np.empty(0, dtype)

    nothing = _Builder(note, len(data)).vocabulary()
    _, version, system = [read_pickle(stream, nothing, path) for _ in range(3)]
    if version != _LEGACY_VERSION or not isinstance(system, dict):
        raise DataError(f"load: {path} must have the format {_LEGACY_VERSION}, got another")
    start = stream.tell()
    read_pickle(stream, _Builder(note, 0, sized=False).vocabulary(), path)
    keys = read_pickle(stream, nothing, path)
    if not isinstance(keys, list) or {*map(str, keys)} != set(sizes):
        raise DataError(f"load: {path} does not list its elements; it is truncated or damaged")
    swapped = bool(system.get("little_endian", True)) != (sys.byteorder == "little")
    found: dict[str, np.ndarray] = {}
    for key in keys:
        dtype, count = sizes[str(key)]
        head = stream.read(8)
        raw = stream.read(min(count * dtype.itemsize, len(data)))
        if len(head) < 8 or len(raw) != count * dtype.itemsize:
            raise DataError(
                f"load: {path} must hold {count:,} elements of {dtype}; it is truncated"
            )
        found[str(key)] = _native(np.frombuffer(raw, dtype), swapped)
    stream.seek(start)
    builder = _Builder(lambda key, dtype, count: found[key], len(data))
    return read_pickle(stream, builder.vocabulary(), path)


def _native(array: np.ndarray, swapped: bool) -> np.ndarray:
    """Elements in the order of bytes that this machine has."""
    return array.byteswap() if swapped else array


# -- what its names mean ------------------------------------------------------------------------


class _Builder:
    """Makes Tensors of elements, and keeps account of the memory that they take."""

    def __init__(
        self,
        elements: Callable[[str, np.dtype, int], np.ndarray],
        size: int,
        *,
        sized: bool = True,
    ):
        self.elements = elements
        self.sized = sized  # else nothing is known yet but how many elements there are
        self.left = _GROWTH * size + _SPARE

    def vocabulary(self) -> Vocabulary:
        """The names of PyTorch's and NumPy's that stand for data."""
        makers: dict[str, Callable[..., Any]] = {
            **PLAIN,
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch._utils._rebuild_tensor_v3": self.tensor,
            "torch._utils._rebuild_parameter": self.parameter,
            "torch._utils._rebuild_parameter_with_state": self.parameter,
            "torch._tensor._rebuild_from_type_v2": self.typed,
            "torch.Size": lambda sizes=(): tuple(sizes),
            "torch.device": lambda kind, index=None: kind if index is None else f"{kind}:{index}",
            "torch.serialization._get_layout": _sparse,
            "argparse.Namespace": argparse.Namespace,
            **arrays.MAKERS,
        }
        for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            makers[f"{module}.scalar"] = self.scalar
        return Vocabulary(makers, _DTYPES, self.settle, self.storage)

    def storage(self, reference: Any) -> np.ndarray:
        """The elements that a reference out of the pickle names."""
        if type(reference) is not tuple or len(reference) < 5 or reference[0] != "storage":
            raise RefusedError("refers to something else than the elements of a Tensor")
        _, kind, key, _, count = reference[:5]
        if not isinstance(kind, Name) or kind.name not in _STORAGES:
            raise RefusedError(f"holds elements of {said(kind)!r}, of which Backlit has none")
        if not isinstance(key, str) or not _is_size(count):
            raise RefusedError("refers to elements without a key or a number")
        if len(reference) > 5 and reference[5] is not None:
            raise RefusedError(
                "holds a view of a storage, as PyTorch before 0.4 wrote; save it anew"
            )
        return self.elements(key, np.dtype(_STORAGES[kind.name]), count)

    def tensor(
        self,
        storage: Any,
        offset: Any,
        shape: Any,
        strides: Any,
        requires_grad: Any = False,
        hooks: Any = None,
        dtype: Any = None,
        metadata: Any = None,
    ) -> Tensor:
        """A Tensor with elements of its own: `strides` and `offset` say where they lie."""
        if not isinstance(storage, np.ndarray):
            raise RefusedError("has a Tensor without elements")
        if dtype is not None and not isinstance(dtype, np.dtype):
            raise RefusedError(f"holds elements of {said(dtype)!r}, of which Backlit has none")
        if dtype is not None:  # version 3 of the rule: the elements were mere bytes
            storage = storage[: len(storage) // dtype.itemsize * dtype.itemsize].view(dtype)
        shape, strides = _sizes(shape), _sizes(strides)
        if len(shape) != len(strides) or len(shape) > 64 or not _is_size(offset):
            raise RefusedError(f"has a Tensor of shape {shape!r:.60} with strides {strides!r:.60}")
        count = 1
        for n in shape:
            count *= n
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if not self.sized:
            return wrap(np.zeros(0, storage.dtype))
        if count and last >= len(storage):
            raise RefusedError(
                f"has a Tensor of shape {shape!r:.60}, which ends at element {last}, but only "
                f"{len(storage):,} elements"
            )
        self.left -= count * storage.dtype.itemsize
        if self.left < 0:
            raise RefusedError(
                f"would take more than {_GROWTH} times its size: its Tensors, such as one of "
                f"shape {shape!r:.60}, repeat their elements"
            )
        if not count:
            return self._leaf(np.zeros(shape, storage.dtype), requires_grad)
        steps = [s * storage.dtype.itemsize for s in strides]
        view: np.ndarray = np.ndarray(
            shape, storage.dtype, storage, offset * storage.dtype.itemsize, steps
        )
        return self._leaf(view.copy(order="C"), requires_grad)

    def _leaf(self, array: np.ndarray, requires_grad: Any) -> Tensor:
        made = wrap(array)
        return made.requires_grad_() if requires_grad and array.dtype in FLOATING else made

    def parameter(self, data: Any, requires_grad: Any = True, *_: Any) -> Tensor:
        """A Parameter of a module."""
        if not isinstance(data, Tensor):
            raise RefusedError("has a Parameter without a Tensor")
        return Parameter(data, requires_grad=bool(requires_grad) and data.dtype in FLOATING)

    def typed(self, rule: Any, kind: Any, arguments: Any, state: Any) -> Any:
        """A Tensor of a class: PyTorch's own only."""
        known = ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer")
        name = said(kind)
        if name not in known or not said(rule).startswith("torch._utils._rebuild_tensor"):
            raise RefusedError(f"holds a Tensor of the class {name!r}, which is code")
        made = self.tensor(*arguments)
        return self.parameter(made, made.requires_grad) if name.endswith("Parameter") else made

    def scalar(self, kind: Any, raw: Any) -> Any:
        """A number of NumPy's, as Python's."""
        if not isinstance(kind, arrays.NumpyType) or not isinstance(raw, bytes | str):
            raise RefusedError("holds a number of NumPy's without a type")
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        return np.frombuffer(raw, kind.dtype, count=1)[0].item()

    def settle(self, made: Any, state: Any) -> Any:
        """What was made, with its state."""
        if isinstance(made, OrderedDict):
            return made  # the versions of layers, which a state_dict carries along
        if isinstance(made, argparse.Namespace) and isinstance(state, dict):
            vars(made).update({str(name): value for name, value in state.items()})
            return made
        return arrays.settle(made, state)


def _sparse(layout: Any) -> Any:
    raise RefusedError(
        "holds a sparse Tensor, of which Backlit has none; save t.to_dense() instead"
    )


def _is_size(n: Any) -> bool:
    return type(n) is int and 0 <= n < 2**62


def _sizes(sizes: Any) -> tuple[int, ...]:
    """Sizes or strides, none of them negative."""
    if not isinstance(sizes, tuple | list) or not all(map(_is_size, sizes)):
        raise RefusedError("has sizes or strides that are no integers from 0")
    return tuple(sizes)
