"""`torch.save` and `torch.load`: files of safetensors, and PyTorch's own, which are read as data.

A dict of Tensors becomes a plain safetensors file. Anything else that is data (nested lists, tuples
and dicts with numbers, texts and Tensors in them) becomes a checkpoint, whose JSON says under keys
that begin with `$` what JSON has no form for. A whole model, or another object that only its own
code could make, becomes a pickle, and is loaded by who says `weights_only=False`, as in PyTorch.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..conversion import check_device
from ..dtypes import as_dtype
from ..errors import ArgumentError, DataError
from ..files import read_bytes, write_whole
from ..foreign import words
from ..interop import pytorch
from ..interop.storage import decode, encode
from ..nn.module import Module, Parameter
from ..tensor import Tensor, tensor
from ..train.checkpoint import FORMAT, encode_state, state_of

_OBJECT = "$torch"  # the name of what was saved, in the state of a checkpoint
_PICKLED = b"backlit-pickle-1\n"  # how a file begins that only running it could read
_ORDER = "order"  # the text in a safetensors file that lists its Tensors as the dict had them


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Save data with Tensors in it, or a whole model, to a path or an open file.

    The file of data is safetensors, which many tools read; for PyTorch, `load_tensors` of a dict of
    Tensors is `safetensors.torch.load_file`. With a model (or any other object) in it the file is a
    pickle: prefer `model.state_dict()`. Written to a path it is whole or not there at all.

    >>> import io
    >>> file = io.BytesIO()
    >>> save({"w": tensor([1.0, 2.0]), "epoch": 3, "shape": (2,)}, file)
    >>> _ = file.seek(0)
    >>> load(file)
    {'w': Tensor([1., 2.], shape=(2,), dtype=float32), 'epoch': 3, 'shape': (2,)}
    """
    try:
        data = _bytes_of(obj)
    except RecursionError:
        raise ArgumentError(
            "torch.save: the data is nested too deeply, or a part of it contains itself"
        ) from None
    if hasattr(f, "write"):
        f.write(data)
    else:
        write_whole(_path("save", f), data)


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """What a file of `torch.save` holds, PyTorch's or ours, from a path or an open file.

    No code of the file is run, and what only code could make is refused. There is one exception: a
    file of ours with a whole model in it is unpickled if `weights_only=False` says that whoever
    wrote it is trusted. Raises DataError if the file is damaged.
    """
    if isinstance(map_location, str):
        check_device(map_location)
    if hasattr(f, "read"):
        data, path = f.read(), getattr(f, "name", "the file")
    else:
        path = _path("load", f)
        data = read_bytes(path, "torch.load")
    if not isinstance(data, bytes):
        raise DataError(f"torch.load: {path} must be opened for reading bytes: open(path, 'rb')")
    if data.startswith(_PICKLED):
        return _unpickled(data, path, weights_only)
    if pytorch.is_pytorch(data):
        return pytorch.read(data, path)
    return _read(data, path)


def _read(data: bytes, path: Any) -> Any:
    """What the bytes of a safetensors file hold, if it is a checkpoint or not."""
    tensors, metadata = decode(data, path)
    try:
        if FORMAT not in metadata:
            names = json.loads(metadata.get(_ORDER, "[]"))
            return {name: tensors[name] for name in (*names, *tensors)}
        state = state_of(tensors, metadata, path)
        return _decoded(state[_OBJECT]) if set(state) == {_OBJECT} else state
    except (LookupError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"load: {path} has a state that cannot be read: {error!s:.200}") from None


def _unpickled(data: bytes, path: Any, weights_only: bool | None) -> Any:
    """The objects of a file that is run to read it, which is asked for or refused."""
    if weights_only is not False:
        raise DataError(
            f"torch.load: {path} holds a whole model or another object, and to read it is to run "
            "its code; if you trust who wrote it, say weights_only=False; else ask for its "
            "state_dict()"
        )
    try:
        return pickle.loads(data[len(_PICKLED) :])
    except (AttributeError, ImportError) as error:
        raise DataError(
            f"torch.load: {path} needs a class that is not there: {error}; define or import it "
            "under this name before"
        ) from None
    except Exception as error:  # whatever damaged instructions do
        raise DataError(f"torch.load: {path} is damaged: {error!s:.200}") from None


def _path(name: str, f: Any) -> str | os.PathLike[str]:
    if not isinstance(f, str | os.PathLike):
        kind, _ = words(f)
        raise ArgumentError(f"torch.{name}: f must be a path or an open file, got {kind}")
    return f


def _bytes_of(obj: Any) -> bytes:
    """The bytes of the file."""
    try:
        return _bytes_of_data(obj)
    except _NoDataError as error:
        try:
            return _PICKLED + pickle.dumps(obj)
        except Exception as reason:  # what an object's own methods raise, too
            raise ArgumentError(f"{error} (it cannot be pickled: {reason!s:.200})") from None


class _NoDataError(ArgumentError):
    """Something is no data: only its own code could make it again."""


def _bytes_of_data(obj: Any) -> bytes:
    """The bytes of the file of data."""
    if type(obj) in (dict, OrderedDict) and obj and "__metadata__" not in obj:
        plain = [isinstance(k, str) and type(v) is Tensor for k, v in obj.items()]
        if all(plain) and not any(v.requires_grad for v in obj.values()):
            return encode(obj, {_ORDER: json.dumps(list(obj))})
    return encode_state({_OBJECT: _encoded(obj, "")})


def _encoded(value: Any, place: str) -> Any:
    """Data as what a checkpoint can hold; `place` is where it is, for the message."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        kept: Any = value.detach()
        kind = "$parameter" if isinstance(value, Parameter) else "$leaf"
        return (
            {kind: [kept, value.requires_grad]} if kind != "$leaf" or value.requires_grad else kept
        )
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"$array": tensor(value)}
    if isinstance(value, np.dtype):
        return {"$dtype": value.name}
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, argparse.Namespace):
        return {"$namespace": _encoded(vars(value), place)}
    if isinstance(value, list | tuple | set | frozenset):
        items = [_encoded(item, f"{place}[{i}]") for i, item in enumerate(value)]
        for form in (tuple, set, frozenset):
            if isinstance(value, form):
                return {f"${form.__name__}": items}
        return items
    if isinstance(value, dict):
        return _encoded_dict(value, place)
    kind, _ = words(value)
    where = f"{place} is " if place else ""
    cure = "a dict of it, or of numbers, texts and Tensors"
    if isinstance(value, Module) or hasattr(value, "state_dict"):
        cure = "its state_dict(), and load it into a new one with load_state_dict"
    raise _NoDataError(
        f"torch.save: {where}{kind}, which only its own code could make again; save {cure}"
    )


def _encoded_dict(value: dict[Any, Any], place: str) -> Any:
    """A dict of texts as itself; others as pairs."""
    if type(value) is dict and all(isinstance(k, str) and not k.startswith("$") for k in value):
        return {k: _encoded(v, f"{place}[{k!r}]") for k, v in value.items()}
    pairs = [
        [_encoded(k, f"a key of {place or 'the dict'}"), _encoded(v, f"{place}[{k!r}]")]
        for k, v in value.items()
    ]
    return {"$ordered" if isinstance(value, OrderedDict) else "$dict": pairs}


def _parameter(kept: list[Any]) -> Tensor:
    return Parameter(kept[0], requires_grad=kept[1])


def _leaf(kept: list[Any]) -> Tensor:
    return kept[0].requires_grad_()


#: What stands under the keys that begin with `$`.
_FORMS: dict[str, Callable[[Any], Any]] = {
    "$parameter": _parameter,
    "$leaf": _leaf,
    "$array": lambda kept: kept.numpy().copy(),
    "$dtype": as_dtype,
    "$bytes": bytes.fromhex,
    "$namespace": lambda kept: argparse.Namespace(**kept),
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
    "$ordered": OrderedDict,
    "$dict": dict,
}


def _decoded(value: Any) -> Any:
    """The data that was saved."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {key: _decoded(item) for key, item in value.items()}
    form = next(iter(value), "")
    return _FORMS[form](inner[form]) if form in _FORMS else inner
