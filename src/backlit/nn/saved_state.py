"""The saved state of a module: its Tensors under the names that a file has for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..foreign import require_dict
from ..op import describe
from ..tensor import Tensor, as_tensor
from .parameter import Parameter, is_known


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` has not found in a state, and what it has not used of it."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self[0]}, unexpected_keys={self[1]})"


def saved(module: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Everything that is saved, module by module, a shared Tensor under each of its names."""
    stack: list[tuple[str, Any, tuple[int, ...]]] = [(prefix, module, ())]
    while stack:
        path, inner, outer = stack.pop()
        for name, value in (*inner._parameters.items(), *inner._buffers.items()):
            if value is not None and name not in inner._not_saved:
                yield path + name, value
        outer = (*outer, id(inner))
        for name, child in reversed(inner._modules.items()):
            if child is not None and id(child) not in outer:
                stack.append((f"{path}{name}.", child, outer))


def load(module: Any, state: Any, strict: bool, assign: bool) -> IncompatibleKeys:
    """See `Module.load_state_dict`."""
    kind = type(module).__name__
    require_dict(f"{kind}.load_state_dict", state)
    own = dict(saved(module))
    shared: dict[int, list[str]] = {}
    for name, t in own.items():
        shared.setdefault(id(t), []).append(name)
    given = {names[0]: [n for n in names if n in state] for names in shared.values()}
    missing = [n for n, t in own.items() if not given[shared[id(t)][0]] and needed(module, n)]
    unexpected = [n for n in state if n not in own]
    if strict and (missing or unexpected):
        raise ArgumentError(
            f"load_state_dict: names must agree with {kind}; "
            f"missing: {', '.join(missing) or 'none'}; "
            f"unexpected: {', '.join(unexpected) or 'none'}; strict=False passes over them"
        )
    fitting = {name: _fitting(kind, own[name], names, state) for name, names in given.items()}
    for names in shared.values():
        value = fitting[names[0]]
        if value is None:
            continue
        if assign:
            _put(module, names, own[names[0]], value)
        else:
            if not is_known(own[names[0]]):
                own[names[0]].materialize(value.shape)  # type: ignore[attr-defined]
            own[names[0]].assign(value.numpy())
    return IncompatibleKeys(missing, unexpected)


def needed(module: Any, name: str) -> bool:
    """Whether a state must have a name; files of old may lack some buffers."""
    path, _, last = name.rpartition(".")
    return last not in module.get_submodule(path).may_be_missing


def _fitting(kind: str, own: Tensor, names: list[str], state: Any) -> Tensor | None:
    """The value that a state gives a Tensor under its names, if it gives one."""
    found: Tensor | None = None
    for name in names:
        value = as_tensor(state[name])
        if not is_known(value):
            if is_known(own):
                raise ShapeError(
                    f"load_state_dict: {name} must be {describe(own)}, got {value!r}; save the "
                    "state after the first call of the lazy model"
                )
            continue
        if is_known(own) and value.shape != own.shape:
            raise ShapeError(
                f"load_state_dict: {name} must be {describe(own)}, got {describe(value)}"
            )
        if found is not None and _bytes(value, own) != _bytes(found, own):
            raise ArgumentError(
                f"load_state_dict: {names[0]} and {name} are one shared Tensor in this {kind}, but "
                "the state has different values for them; "
                "give one of them, or load into a model that does not share it"
            )
        found = value if found is None else found
    return found


def _bytes(value: Tensor, own: Tensor) -> bytes:
    return np.array(value.numpy(), own.dtype).tobytes()


def _put(module: Any, names: list[str], old: Tensor, value: Tensor) -> None:
    """Put the state's own Tensor in the place of one, under all its names."""
    if isinstance(old, Parameter):
        if not isinstance(value, Parameter):
            value = Parameter(value)
        value.requires_grad_(old.requires_grad)
    for name in names:
        path, _, last = name.rpartition(".")
        setattr(module.get_submodule(path), last, value)


__all__ = ["IncompatibleKeys"]
