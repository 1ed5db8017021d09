"""Weights from elsewhere: which file holds them, under which names, and do they fit the network."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, DataError, ShapeError
from ..files import read_bytes
from ..foreign import require_dict
from ..interop import pytorch, storage
from ..nn.module import Module
from ..nn.parameter import is_known
from ..nn.saved_state import needed
from ..op import describe
from ..tensor import Tensor

#: What wrappers put before each name: DataParallel, `torch.compile`, and both in one another.
PREFIXES = ("module.", "_orig_mod.")
#: Under which names training scripts put the state of the network beside epochs and optimizers.
NESTED = ("state_dict", "model_state_dict", "model", "weights", "net")
#: What a folder of weights has: the list of its files, or the one file, in order of preference.
_IN_FOLDERS = (
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
    "model.safetensors",
    "pytorch_model.bin",
)
_SHOWN = 8

Rename = Callable[[str], str | None] | Mapping[str, str | None]


@dataclass
class Loaded:
    """What `load_weights` has done: names of the network, or of the file where it says so.

    `renamed` has the file's names and the network's; `dropped` are names of the file that are known
    to hold no weights, or that `rename` gave None for; `misshapen` has both shapes in words.
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    misshapen: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{len(self.loaded):,} Tensors loaded, {len(self.renamed):,} under another name"]
        for what in ("missing", "unexpected", "misshapen", "dropped"):
            found = getattr(self, what)
            if found:
                lines.append(f"{what}: {_listed(found)}")
        return "\n".join(lines)

    __repr__ = __str__


def load_weights(
    model: Module,
    weights: str | os.PathLike[str] | Mapping[str, Any],
    *,
    strict: bool = True,
    rename: Rename | None = None,
) -> Loaded:
    """Take over weights by name from a file, a folder or a dict; all of them or none.

    A file is safetensors, or what `torch.save` wrote (`.pt`, `.pth`, `.bin`), from which nothing is
    run as code; an `…index.json`, or a folder with one, names several. What lies in a checkpoint
    under "state_dict" or "model" is found there.

    A name that the network has is taken as it is. Others lose what wrappers put in front
    (`module.` of DataParallel, `_orig_mod.` of `torch.compile`), or become what the network's
    `known_names` makes of them, such as DenseNet's `norm.1`. `rename` comes first: a function from
    the file's name to the network's, or a dict from beginnings of names to other beginnings; None
    leaves the Tensor out.

    With `strict=False` missing, unexpected and misshapen Tensors are passed over, and returned.

    >>> from backlit import models, nn
    >>> there = {f"module.{n}": t for n, t in nn.Linear(2, 1).state_dict().items()}
    >>> models.load_weights(nn.Linear(2, 1), there)
    2 Tensors loaded, 2 under another name

    Raises DataError if a file is missing or damaged, ArgumentError if names do not agree and
    ShapeError if shapes do not.
    """
    if isinstance(weights, str | os.PathLike):
        where = str(weights)
        state = read_weights(weights)
    else:
        require_dict("load_weights", weights)
        where, state = "the dict", _network_of(weights, "the dict")
    result, fitting = _matched(model, state, rename, where)
    if strict:
        _require_all(model, result, where)
    model.load_state_dict(fitting, strict=False)
    return result


# -- files --------------------------------------------------------------------------------------


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The named Tensors of a file of weights, of all files that an index names, or of a folder.

    >>> import os, tempfile
    >>> from backlit import save_tensors, zeros
    >>> folder = tempfile.mkdtemp()
    >>> save_tensors(os.path.join(folder, "model.safetensors"), {"w": zeros(2)})
    >>> list(read_weights(folder))
    ['w']
    """
    place = Path(path)
    if place.is_dir():
        found = [place / name for name in _IN_FOLDERS if (place / name).is_file()]
        if not found:
            files = sorted(p.name for p in place.iterdir() if p.suffix in _SUFFIXES)
            raise DataError(
                f"load_weights: the folder {path} must have one of {', '.join(_IN_FOLDERS)}; "
                f"it has {_listed(files)}; give the path of one file"
            )
        place = found[0]
    return _of_index(place) if place.name.endswith(".index.json") else _of_file(place)


def _of_file(place: Path) -> dict[str, Tensor]:
    data = read_bytes(place, "load_weights")
    if pytorch.is_pytorch(data):
        return _network_of(pytorch.read(data, place), str(place))
    return storage.decode(data, place)[0]


_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".json")


def _of_index(path: Path) -> dict[str, Tensor]:
    """The Tensors of the files that an index names, which lie beside it."""
    try:
        index = json.loads(read_bytes(path, "load_weights"))
        places = index["weight_map"]
        if not isinstance(places, dict) or not all(isinstance(f, str) for f in places.values()):
            raise TypeError("its weight_map must have a file's name for each Tensor")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"load_weights: {path} must be an index of weights, JSON with a weight_map: {error!s}"
        ) from None
    state: dict[str, Tensor] = {}
    for file in dict.fromkeys(places.values()):
        if Path(file).name != file or file in ("", ".", ".."):
            raise DataError(
                f"load_weights: {path} names the file {file!r:.80}, which must lie beside it; "
                "nothing outside its folder is read"
            )
        held = _of_file(path.parent / file)
        asked = [name for name, place in places.items() if place == file]
        absent = [name for name in asked if name not in held]
        if absent:
            raise DataError(
                f"load_weights: {path.parent / file} must hold {_listed(absent)}, as {path.name} "
                "says, but does not; fetch it again"
            )
        state.update((name, held[name]) for name in asked)
    return state


def _network_of(found: Any, where: str) -> dict[str, Tensor]:
    """The named Tensors in what a file holds: at its top, or under a name that says so."""
    if isinstance(found, Mapping):
        if any(isinstance(v, Tensor) for v in found.values()) or not found:
            held = found
        else:
            inner = [n for n in NESTED if isinstance(found.get(n), Mapping)]
            held = found[inner[0]] if len(inner) == 1 else found
        others = [n for n, v in held.items() if not (isinstance(n, str) and _is_array(v))]
        if not others:
            return dict(held)
        raise DataError(
            f"load_weights: {where} must hold Tensors under names, but has {_listed(others)}; read "
            "it with backlit.torch.load(path), and give the part with the network's weights"
        )
    raise DataError(
        f"load_weights: {where} must hold a dict of Tensors, got a {type(found).__name__}"
    )


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor) or hasattr(value, "__array__")


# -- names and shapes ---------------------------------------------------------------------------


def _matched(
    model: Module, state: Mapping[str, Any], rename: Rename | None, where: str
) -> tuple[Loaded, dict[str, Any]]:
    """What goes where, and the state under the network's names with all that fits."""
    own = model.state_dict(keep_vars=True)
    result = Loaded()
    fitting: dict[str, Any] = {}
    source: dict[str, str] = {}
    for name, value in state.items():
        target = _target(model, name, own, rename)
        if target is None:
            result.dropped.append(name)
            continue
        if target not in own:
            result.unexpected.append(name)
            continue
        if target in source:
            raise ArgumentError(
                f"load_weights: {source[target]} and {name} of {where} would both become {target}; "
                "give a rename= that tells them apart, or returns None for one of them"
            )
        source[target] = name
        if target != name:
            result.renamed[name] = target
        if is_known(own[target]) and tuple(value.shape) != own[target].shape:
            got = describe(value) if isinstance(value, Tensor) else f"shape {tuple(value.shape)}"
            result.misshapen[target] = f"must be {describe(own[target])}, got {got}"
        else:
            fitting[target] = value
    shared: dict[int, bool] = {}
    for name, t in own.items():
        shared[id(t)] = shared.get(id(t), False) or name in source
    result.missing = [n for n, t in own.items() if not shared[id(t)] and needed(model, n)]
    result.loaded = [n for n in own if n in fitting]  # in the network's order, not the file's
    result.misshapen = {n: result.misshapen[n] for n in own if n in result.misshapen}
    return result, fitting


def _target(model: Module, name: str, own: Mapping[str, Any], rename: Rename | None) -> str | None:
    """The network's name for a name of the file's; None if it is to be left out."""
    if rename is not None:
        given = _by_rule(rename, name)
        if given is None:
            return None
        if not isinstance(given, str):
            raise ArgumentError(
                f"load_weights: rename must give a name or None, got {given!r:.60} for {name!r}"
            )
        name = given
    for candidate in _candidates(name):
        if candidate in own:
            return candidate
        for pattern, replacement in getattr(model, "known_names", ()):
            changed, count = re.subn(pattern, replacement or "", candidate)
            if count and replacement is None:
                return None
            if count and changed in own:
                return changed
    return name


def _candidates(name: str) -> Iterator[str]:
    """The name, and what is left of it without the prefixes of wrappers."""
    yield name
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
        yield name


def _by_rule(rename: Rename, name: str) -> str | None:
    if callable(rename):
        return rename(name)
    fitting = [old for old in rename if name.startswith(old)]
    if not fitting:
        return name
    longest = max(fitting, key=len)
    new = rename[longest]
    return None if new is None else new + name[len(longest) :]


def _require_all(model: Module, result: Loaded, where: str) -> None:
    """Raise if anything does not fit, with how to go on."""
    kind = type(model).__name__
    if result.missing or result.unexpected:
        raise ArgumentError(
            f"load_weights: the names in {where} must agree with {kind}; "
            f"missing: {_listed(result.missing)}; unexpected: {_listed(result.unexpected)}; "
            "nothing was loaded; rename= translates names, strict=False passes over these"
        )
    if result.misshapen:
        shapes = [f"{n} {text}" for n, text in result.misshapen.items()]
        raise ShapeError(
            f"load_weights: the shapes in {where} must agree with {kind}: {_listed(shapes, '; ')}; "
            f"nothing was loaded; {_shape_cure(model, result.misshapen)}"
        )


def _shape_cure(model: Module, misshapen: Mapping[str, str]) -> str:
    heads = tuple(f"{h}." for h in getattr(model, "last_layers", ()))
    if heads and all(n.startswith(heads) for n in misshapen):
        return (
            "make the network with as many classes as the file has, load, and then give it a new "
            "head: models.replace_head(model, num_classes); strict=False leaves the head as it is"
        )
    return "make the network in the size that was saved; strict=False passes over these"


def _listed(found: Any, between: str = ", ") -> str:
    names = list(found)
    more = f"{between}and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (between.join(map(str, names[:_SHOWN])) + more) or "none"
