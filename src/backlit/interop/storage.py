"""How Tensors get into files and back: safetensors, written whole or not at all, read with care.

Nothing here ever loads a pickle: a file is numbers and JSON. PyTorch's files are read, too, by
`interop.pytorch`, which unpickles nothing either.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from ..errors import ArgumentError, DataError
from ..files import read_bytes, write_whole
from ..foreign import require_dict
from ..tensor import Tensor, as_tensor, wrap
from . import pytorch

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
_METADATA = "__metadata__"  # the key of the texts in a safetensors file
_HEADER_LENGTH = 8  # bytes, little-endian, at the start of a safetensors file


def encode(tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """Named Tensors (or arrays) and texts as the bytes of a safetensors file."""
    arrays = {}
    for name, value in tensors.items():
        _check_text("names", name)
        if name == _METADATA:
            raise ArgumentError(
                f"save_tensors: no Tensor can be named {_METADATA}, which is where a safetensors "
                "file has its texts; choose another name"
            )
        arrays[name] = np.asarray(as_tensor(value).numpy(), order="C")
    for name, text in (metadata or {}).items():
        _check_text("the metadata's names", name)
        _check_text(f"the metadata {name!r}", text)
    return safetensors.numpy.save(arrays, dict(metadata) if metadata else None)


def _check_text(what: str, text: Any) -> None:
    if not isinstance(text, str):
        raise ArgumentError(f"save_tensors: {what} must be strings, got {text!r}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentError(
            f"save_tensors: {what} must be whole Unicode text, got {text!r} with half a character"
        ) from None


def decode(data: bytes, path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The Tensors and the texts in the bytes of a safetensors file; `path` is for the messages."""
    try:
        entries = safetensors.deserialize(data)
        length = int.from_bytes(data[:_HEADER_LENGTH], "little")
        header = json.loads(
            data[_HEADER_LENGTH : _HEADER_LENGTH + length], object_pairs_hook=_without_repeats
        )
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
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
        try:
            tensors[name] = wrap(flat.reshape(entry["shape"]).copy())
        except (ValueError, OverflowError) as error:  # more axes than an array can have
            raise DataError(
                f"load: {path}: {name} cannot have the shape {entry['shape']!r:.80}: {error}"
            ) from None
    order = [name for name in header if name in tensors]
    return {name: tensors[name] for name in order}, header.get(_METADATA) or {}


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, if each of its keys stands there once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has {twice!r:.80} twice")
    return found


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
    require_dict("save_tensors", tensors)
    write_whole(path, encode(tensors, metadata))


def load_tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The named Tensors of a safetensors file, or of a `.pt` file that PyTorch's torch.save wrote.

    Nothing in the file is ever run as code. Raises DataError if the file is missing, truncated or
    of another format, or holds something else than named Tensors.
    """
    data = read_bytes(path, "load_tensors")
    return (
        _named(pytorch.read(data, path), path)
        if pytorch.is_pytorch(data)
        else decode(data, path)[0]
    )


def _named(found: Any, path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """What a file of PyTorch's holds, if it is Tensors under names."""
    cure = "read it with backlit.torch.load(path)"
    if not isinstance(found, dict):
        raise DataError(
            f"load_tensors: {path} must hold a dict of Tensors, got a {type(found).__name__}; "
            f"{cure}"
        )
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise DataError(
                f"load_tensors: {path} must hold Tensors under names, but under {name!r:.80} is a "
                f"{type(value).__name__}; {cure}, and take what it has of these"
            )
    return dict(found)
