"""What a loader gives, as the arguments of the model and the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError
from ..foreign import words
from ..tensor import Tensor, as_tensor

#: Keys of a dict under which its target is found, unless a Trainer is told.
KEYS = ("labels", "label", "targets", "target")

#: Which entries of a batch are targets: how many of the last, or under which key or keys.
Targets = int | str | Sequence[str] | None
Batch = tuple[Any, ...]


class Parts(NamedTuple):
    """A batch taken apart: `model(*inputs, **options)` is compared with the target."""

    inputs: tuple[Any, ...]
    options: dict[str, Any]
    target: Any


def as_batch(batch: Any) -> Batch:
    """A batch as a tuple of its entries, arrays as Tensors; a dict is its only entry."""
    if isinstance(batch, Mapping) and batch:
        return (as_tensors(batch),)
    if isinstance(batch, tuple | list) and batch:
        return tuple(as_tensors(entry) for entry in batch)
    what, cure = type(batch).__name__, "put both in"
    if isinstance(batch, tuple | list | Mapping):
        what = f"an empty {what}"
    elif isinstance(batch, Tensor | np.ndarray):
        what, cure = "an array alone", "give the targets, too"
    raise ArgumentError(
        "fit: a batch must be a tuple of the model's inputs and the target, or a dict of them, got "
        f"{what}; {cure}: "
        "DataLoader(TensorDataset(inputs, targets), batch_size=32, shuffle=True)"
    )


def as_tensors(entry: Any) -> Any:
    """An entry of a batch with arrays as Tensors; nested tuples and dicts stay as they are."""
    if isinstance(entry, Tensor):
        return entry
    if isinstance(entry, Mapping):
        return {key: as_tensors(value) for key, value in entry.items()}
    if isinstance(entry, tuple) and any(map(_is_part, entry)):
        return tuple(map(as_tensors, entry))
    if isinstance(entry, list) and any(isinstance(e, Tensor) and e.shape for e in entry):
        return list(map(as_tensors, entry))
    return as_tensor(entry)


def _is_part(entry: Any) -> bool:
    return isinstance(entry, Mapping) or (isinstance(entry, Tensor | np.ndarray) and entry.ndim > 0)


def given(batch: Batch) -> Any:
    """A batch as its user knows it: a dict, or a tuple."""
    return batch[0] if len(batch) == 1 and isinstance(batch[0], dict) else batch


def split(batch: Batch, targets: Targets = None) -> Parts:
    """The model's arguments and the target of a batch.

    Of a tuple the last entry is the target, or with a number as `targets` so many; several are a
    tuple. One entry alone is its own target, as for an autoencoder. Of a dict the target is what
    stands under `targets`, for several keys a dict; the rest are the model's arguments by name.
    """
    entries = given(batch)
    if isinstance(entries, dict):
        return _of_dict(entries, targets)
    count = 1 if targets is None else targets
    if not isinstance(count, int):
        raise ArgumentError(
            f"fit: targets={targets!r} names entries of a dict, got a batch that is a tuple of "
            f"{len(batch)}; say how many of its last are targets"
        )
    if count == 0:
        return Parts(batch, {}, None)
    if len(batch) == count == 1:
        return Parts(batch, {}, batch[0])
    if len(batch) <= count:
        raise ArgumentError(
            f"fit: with targets={count} a batch must have more entries than that, got {len(batch)}"
        )
    return Parts(batch[:-count], {}, batch[-1] if count == 1 else batch[-count:])


def _of_dict(batch: dict[str, Any], targets: Targets) -> Parts:
    if targets == 0:
        return Parts((), batch, None)
    if targets is None:
        found = [key for key in KEYS if key in batch]
        if len(found) != 1:
            raise ArgumentError(
                "fit: a dict as a batch must have its target under one of "
                f"{', '.join(KEYS)}, got {', '.join(map(str, batch))}; name it: "
                "Trainer(..., targets='name')"
            )
        targets = found[0]
    if isinstance(targets, int):
        raise ArgumentError(
            f"fit: targets={targets} counts entries of a tuple, got a dict with "
            f"{', '.join(map(str, batch))}; name the key of the target"
        )
    keys = (targets,) if isinstance(targets, str) else tuple(targets)
    missing = [key for key in keys if key not in batch]
    if missing:
        raise ArgumentError(
            f"fit: the batch must have the target {missing[0]!r}, got {', '.join(map(str, batch))}"
        )
    options = {key: value for key, value in batch.items() if key not in keys}
    target = batch[targets] if isinstance(targets, str) else {key: batch[key] for key in keys}
    return Parts((), options, target)


def require_targets(targets: Any) -> Targets:
    """What a Trainer is told of targets; raises unless it is a number, a key or several."""
    if targets is None or isinstance(targets, str):
        return targets
    if isinstance(targets, int) and not isinstance(targets, bool) and targets >= 0:
        return targets
    if isinstance(targets, tuple | list) and targets and all(isinstance(k, str) for k in targets):
        return tuple(targets)
    raise ArgumentError(
        "Trainer: targets must be how many of a batch's last entries are targets, or their keys, "
        f"got {words(targets)[0]}"
    )
