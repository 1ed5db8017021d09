"""The parameter group: parameters with common settings, whose numbers are Tensors.

A captured step reads them as inputs, so a schedule that changes one is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..changes import CHANGES, Announcing, WatchedList, announce
from ..dtypes import float64
from ..tensor import Tensor, wrap


@announce
class Group(dict, Announcing):
    """`params` and the settings of one group.

    Numbers are kept as float64 Tensors: `group["lr"] = 0.1` changes the value of the same Tensor.
    An optional number that is 0 (no momentum, no weight decay) is off: it stays a plain 0 and the
    update leaves its term out.
    """

    def __init__(
        self,
        params: list[Tensor],
        settings: Mapping[str, Any],
        optional: Iterable[str],
        check: Callable[[dict[str, Any]], None],
    ):
        super().__init__(params=WatchedList(params))
        self._optional = frozenset(optional)
        self._names = tuple(settings)
        self._check = check
        self._sources: list[tuple[Tensor, Any]] = []
        self._floats: dict[str, Any] = {}
        for name, value in settings.items():
            super().__setitem__(name, self._kept(name, value))

    def _kept(self, name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(wrap(np.array(float(v), float64)) for v in value)
        if value is None or isinstance(value, bool | str):
            return value
        if name in self._optional and float(value) == 0:
            return 0.0
        return wrap(np.array(float(value), float64))

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self._names:
            super().__setitem__(name, value)
            CHANGES.mark = object()
            return
        value = tuple(value) if isinstance(value, list) else value
        if not isinstance(value, Tensor):
            self._check({name: value})
        old = self[name]
        if isinstance(old, Tensor):
            old.assign(value if isinstance(value, Tensor) else np.array(float(value), float64))
        elif isinstance(old, tuple):
            for tensor, v in zip(old, value, strict=True):
                tensor.assign(v if isinstance(v, Tensor) else np.array(float(v), float64))
        else:
            super().__setitem__(name, self._kept(name, value))
            CHANGES.mark = object()
        self._sources = []

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several settings, as `group[name] = value` would."""
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def plain(self) -> dict[str, Any]:
        """The settings as Python numbers, without the parameters."""
        return {n: _as_python(v) for n, v in self.items() if n != "params"}

    def floats(self) -> dict[str, Any]:
        """The settings as Python numbers, None for those that are off; read again on a change."""
        for tensor, array in self._sources:
            if tensor.array is not array:
                break
        else:
            if self._sources:
                return self._floats
        self._sources, self._floats = [], {}
        for name in self._names:
            value = self[name]
            self._sources.extend((t, t.array) for t in _tensors(value))
            self._floats[name] = None if self._is_off(name, value) else _as_python(value)
        return self._floats

    def tensors(self) -> dict[str, Any]:
        """The settings as Tensors, None for those that are off."""
        return {n: None if self._is_off(n, self[n]) else self[n] for n in self._names}

    def _is_off(self, name: str, value: Any) -> bool:
        return name in self._optional and not isinstance(value, Tensor)


def _tensors(value: Any) -> tuple[Tensor, ...]:
    if isinstance(value, Tensor):
        return (value,)
    return value if isinstance(value, tuple) else ()


def _as_python(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(v.array.item() for v in value)
    return value.array.item() if isinstance(value, Tensor) else value
