"""How Tensors get into files and back: safetensors, written whole or not at all, read with care.

A file is written under a temporary name in the same directory, synced, renamed over the old one,
and the directory is synced. So at any moment the path holds the old file or the new one, and what
was saved stays saved. Nothing here ever loads a pickle: a file is numbers and JSON.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from ..errors import ArgumentError, DataError
from ..tensor import Tensor, as_tensor, wrap

_DTYPES: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_HEADER_LENGTH = 8  # bytes, little-endian, at the start of a safetensors file


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that its path holds the old bytes or the new ones, whole, at any moment.

    On return the new bytes are on the disk. Raises DataError if that fails; the old file is then
    untouched.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_directory(target.parent)
    except OSError as error:
        raise DataError(
            f"save: {target} ({len(data):,} bytes) could not be written: "
            f"{error.strerror or error}; what the file held before is untouched; "
            "free space or choose another place"
        ) from error


def _remove_abandoned(target: Path) -> None:
    """Remove what processes that were killed while they saved this file have left behind."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.(\d+)-\d+\.partial")
    for entry in os.listdir(target.parent):
        match = pattern.fullmatch(entry)
        if match is not None and not _is_running(int(match[1])):
            with suppress(OSError):
                (target.parent / entry).unlink()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync_directory(directory: Path) -> None:
    """Make a rename in the directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: str | os.PathLike[str], what: str) -> bytes:
    """The bytes of a file, or a DataError that names it."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"{what}: {path} cannot be read: {error.strerror or error}; check the path"
        ) from None


def encode(tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """Named Tensors (or arrays) and texts as the bytes of a safetensors file."""
    arrays = {}
    for name, value in tensors.items():
        if not isinstance(name, str):
            raise ArgumentError(f"save_tensors: names must be strings, got {name!r}")
        arrays[name] = np.asarray(as_tensor(value).numpy(), order="C")
    return safetensors.numpy.save(arrays, dict(metadata) if metadata else None)


def decode(data: bytes, path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The Tensors and the texts in the bytes of a safetensors file; `path` is for the messages."""
    try:
        entries = safetensors.deserialize(data)
        length = int.from_bytes(data[:_HEADER_LENGTH], "little")
        header = json.loads(data[_HEADER_LENGTH : _HEADER_LENGTH + length])
    except (safetensors.SafetensorError, ValueError) as error:
        raise DataError(
            f"load: {path} must be a whole safetensors file, got {len(data):,} bytes that are not "
            f"({error}); it is truncated, damaged or of another format"
        ) from None
    tensors = {}
    for name, entry in entries:
        if entry["dtype"] not in _DTYPES:
            raise DataError(
                f"load: {path}: {name} must have one of the types {', '.join(_DTYPES)}, "
                f"got {entry['dtype']}"
            )
        flat = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]])
        tensors[name] = wrap(flat.reshape(entry["shape"]).copy())
    order = [name for name in header if name in tensors]
    return {name: tensors[name] for name in order}, header.get("__metadata__", {})


def save_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Save named Tensors as a safetensors file, whole or not at all; readable by other tools too.

    >>> import os, tempfile
    >>> from backlit import tensor
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.safetensors")
    >>> save_tensors(path, {"w": tensor([1.0, 2.0])})
    >>> load_tensors(path)
    {'w': Tensor([1., 2.], shape=(2,), dtype=float32)}

    Raises DataError if the file cannot be written; an earlier file of that name is then untouched.
    """
    write_whole(path, encode(tensors, metadata))


def load_tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The named Tensors of a safetensors file. Nothing in the file is ever run as code.

    Raises DataError if the file is missing, truncated or of another format.
    """
    return decode(read_bytes(path, "load_tensors"), path)[0]
