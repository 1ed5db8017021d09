"""How the state of a run gets into one file, and back into objects, all of it or nothing.

A checkpoint is a safetensors file. Its Tensors are those found in a nested state, under their
dotted paths; the rest of the state is JSON in the file's metadata. A checksum covers that JSON and
every Tensor's name, type, shape and bytes.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from typing import Any

from ..errors import ArgumentError, DataError
from ..files import read_bytes, write_whole
from ..interop.storage import _METADATA, decode, encode
from ..tensor import Tensor

FORMAT = "backlit-checkpoint-2"
_EARLIER = "backlit-checkpoint-1"  # its checksum left out types and shapes
LATEST, BEST = "latest.safetensors", "best.safetensors"  # the files of a run
_REFERENCE = "$tensor"  # the key that stands for a Tensor in the JSON
_NUMBERED = "$numbered"  # and the one for a dict whose keys are whole numbers


def save_checkpoint(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Save a nested state of dicts, lists, numbers, texts and Tensors as one file, whole.

    >>> import os, tempfile
    >>> from backlit import nn
    >>> path = os.path.join(tempfile.mkdtemp(), "run.safetensors")
    >>> save_checkpoint(path, {"model": nn.Linear(2, 1).state_dict(), "epoch": 3})
    >>> sorted(load_checkpoint(path)["model"])
    ['bias', 'weight']

    When it returns the file is on the disk; until then the old file is. Tuples come back as lists.
    Raises DataError if the file cannot be written.
    """
    write_whole(path, encode_state(state))


def encode_state(state: Mapping[str, Any]) -> bytes:
    """The bytes of a checkpoint of a state."""
    tensors: dict[str, Tensor] = {}
    try:
        text = json.dumps(_without_tensors(state, "", tensors))
    except RecursionError:
        raise ArgumentError(
            "save_checkpoint: the state is nested too deeply, or a part of it contains itself"
        ) from None
    except ValueError as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"save_checkpoint: the state has {error}") from None
    # One entry only: the library writes several in any order, and equal states make equal files.
    return encode(tensors, {FORMAT: f"{_checksum(text, tensors, FORMAT):08x} {text}"})


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The state that `save_checkpoint` saved. Nothing in the file is ever run as code.

    Raises DataError if the file is missing, truncated, damaged or not a checkpoint.
    """
    return state_of(*decode(read_bytes(path, "load_checkpoint"), path), path)


def state_of(
    tensors: dict[str, Tensor], metadata: dict[str, str], path: str | os.PathLike[str]
) -> dict[str, Any]:
    """The state that a checkpoint's Tensors and texts hold; `path` is for the messages."""
    kind = next((name for name in (FORMAT, _EARLIER) if name in metadata), None)
    if kind is None:
        raise DataError(
            f"load_checkpoint: {path} must be a checkpoint with the metadata {FORMAT}, got a "
            f"safetensors file with {', '.join(metadata) or 'none'}; "
            "read mere Tensors with load_tensors"
        )
    check, _, text = metadata[kind].partition(" ")
    found = f"{_checksum(text, tensors, kind):08x}"
    if found != check:
        raise DataError(
            f"load_checkpoint: {path} is damaged: its checksum must be {check:.8}, got {found}; "
            "use an earlier checkpoint"
        )
    try:
        state = _with_tensors(json.loads(text), tensors)
        if not isinstance(state, dict):
            raise ValueError(f"it must have names, got a {type(state).__name__}")
    except (LookupError, ValueError, TypeError, RecursionError) as error:
        what = f"there is no Tensor {error}" if isinstance(error, KeyError) else error
        raise DataError(
            f"load_checkpoint: {path} has a state that cannot be read: {what}"
        ) from None
    return state


def restore(
    objects: Mapping[str, Any], state: Mapping[str, Any], path: Any, what: str = "resume"
) -> None:
    """Load parts of a state into the objects of the same names, all of them or none.

    The objects have `state_dict` and `load_state_dict`. Raises DataError, with every object as it
    was, if a part is missing or does not fit.
    """
    missing = [name for name in objects if name not in state]
    if missing:
        raise DataError(
            f"{what}: {path} must hold {', '.join(objects)}, but has no {', '.join(missing)}; "
            "the run that saved it was set up otherwise"
        )
    before: dict[str, Any] = {}
    for name, thing in objects.items():
        before[name] = thing.state_dict()
        try:
            thing.load_state_dict(state[name])
        except Exception as error:
            for done, earlier in before.items():
                objects[done].load_state_dict(earlier)
            raise DataError(
                f"{what}: the {name} in {path} does not fit {type(thing).__name__}: {error}; "
                f"nothing was loaded; {what} with the model and settings that were saved"
            ) from error


def _checksum(text: str, tensors: Mapping[str, Tensor], kind: str) -> int:
    check = zlib.crc32(text.encode())
    for name in sorted(tensors):
        array = tensors[name].array
        head = name if kind == _EARLIER else f"{name} {array.dtype.name} {array.shape}"
        check = zlib.crc32(array.tobytes(), zlib.crc32(head.encode(), check))
    return check


def _without_tensors(value: Any, path: str, found: dict[str, Tensor]) -> Any:
    """The value as JSON, with a reference in the place of each Tensor; those go into `found`."""
    if isinstance(value, Tensor):
        name = path.encode(errors="replace").decode()  # half a character stays in the JSON only
        # {"a": {"b": t}, "a.b": u} has the path a.b twice.
        while name in found or name == _METADATA:
            name += "'"
        found[name] = value
        return {_REFERENCE: name}
    if isinstance(value, Mapping):
        if path and value and all(type(key) is int for key in value):
            texts = {str(key): v for key, v in value.items()}
            return {_NUMBERED: _without_tensors(texts, path, found)}
        for key in value:
            if not isinstance(key, str) or key in (_REFERENCE, _NUMBERED):
                raise ArgumentError(
                    f"save_checkpoint: the keys of {path or 'the state'} must be strings, "
                    f"got {key!r}"
                )
        inner = f"{path}." if path else ""
        return {k: _without_tensors(v, f"{inner}{k}", found) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(v, f"{path}.{i}", found) for i, v in enumerate(value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ArgumentError(
        f"save_checkpoint: {path} must be a Tensor, a number, a text, None, or a dict or list of "
        f"these, got {type(value).__name__}"
    )


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_REFERENCE}:
            return tensors[value[_REFERENCE]]
        if set(value) == {_NUMBERED}:
            return {int(k): _with_tensors(v, tensors) for k, v in value[_NUMBERED].items()}
        return {k: _with_tensors(v, tensors) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_tensors(v, tensors) for v in value]
    return value
