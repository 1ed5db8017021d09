"""The parameter group: parameters with common settings.

Its numbers are Tensors, so that a captured step follows a schedule that changes one. Who reads one
gets the number that it is at that moment.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..changes import CHANGES, Announcing, WatchedList
from ..dtypes import float64
from ..errors import ArgumentError
from ..state import STATE
from ..tensor import Tensor, wrap

if TYPE_CHECKING:
    _Dict = dict[str, Any]
else:

    class _Dict(MutableMapping, dict):
        """A dict whose methods all go through `d[key]`, `d[key] = x` and `del d[key]`."""

        __len__, __contains__ = dict.__len__, dict.__contains__

        def __iter__(self) -> Iterator[str]:
            return dict.__iter__(self)  # written in Python, so that dict(self) asks `self[key]`

        def __or__(self, other: Any) -> dict[str, Any]:
            return dict(self) | other

        def __ior__(self, other: Any) -> Any:
            self.update(other)
            return self

        def __ror__(self, other: Any) -> dict[str, Any]:
            return other | dict(self)

        def __repr__(self) -> str:
            return repr(dict(self))

        def copy(self) -> dict[str, Any]:
            """An ordinary dict of what is in it now."""
            return dict(self)

        __copy__ = copy


class Group(_Dict, Announcing):
    """`params` and the settings of one group: a dict whose numbers a compiled step follows.

    `group["lr"]` is a Python number, that of the moment. `group["lr"] = 0.1` and `group["lr"] *= 2`
    change the value of the Tensor behind it. An optional number that is 0 (no momentum, no weight
    decay) is off: there is no Tensor, and the update leaves its term out. Inside a captured
    function a number that is read is guarded: another value means another capture. A Tensor may
    be set there, `group["lr"] = rate`; a number that was read there may not be changed there.

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> optimizer = SGD([tensor([1.0], requires_grad=True)], lr=0.5)
    >>> for group in optimizer.param_groups:
    ...     group["lr"] *= 0.5
    >>> optimizer.param_groups[0]["lr"]
    0.25
    """

    def __init__(
        self,
        params: list[Tensor],
        settings: Mapping[str, Any],
        optional: Iterable[str],
        check: Callable[[dict[str, Any]], None],
        fixed: Mapping[str, Any] = MappingProxyType({}),
    ):
        dict.__setitem__(self, "params", WatchedList(params))
        self._optional = frozenset(optional)
        self._names = tuple(settings)
        self._fixed = frozenset(fixed)
        self._check = check
        self._sources: list[tuple[Tensor, Any]] = []
        self._floats: dict[str, Any] = {}
        for name, value in settings.items():
            dict.__setitem__(self, name, self._kept(name, value))

    def _kept(self, name: str, value: Any) -> Any:
        if name in self._fixed:
            return value
        if isinstance(value, tuple):
            return tuple(v if v is None else wrap(np.array(float(v), float64)) for v in value)
        if value is None or isinstance(value, bool | str):
            return value
        if name in self._optional and float(value) == 0:
            return 0.0
        return wrap(np.array(float(value), float64))

    # -- a dict of numbers --------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        value = dict.__getitem__(self, name)
        if name not in self._names:
            return value
        for tensor in _tensors(value):
            STATE.execution.read_number(tensor, f"the optimizer's {name}")
        return _as_python(value)

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self._names:
            dict.__setitem__(self, name, value)
            CHANGES.mark = object()
            return
        value = tuple(value) if isinstance(value, list) else value
        if not (isinstance(value, Tensor) and STATE.execution.captures):
            self._check({name: value})
        old = None if name in self._fixed else dict.__getitem__(self, name)
        if isinstance(old, Tensor):
            old.assign(value if isinstance(value, Tensor) else np.array(float(value), float64))
        elif isinstance(old, tuple) and [v is None for v in old] == [v is None for v in value]:
            for tensor, v in zip(_tensors(old), [v for v in value if v is not None], strict=True):
                tensor.assign(v if isinstance(v, Tensor) else np.array(float(v), float64))
        else:
            dict.__setitem__(self, name, self._kept(name, value))
            CHANGES.mark = object()
        self._sources = []

    def __delitem__(self, name: str) -> None:
        if name in self._names or name == "params":
            raise ArgumentError(
                f"parameter group: {name} belongs to the optimizer and must stay, but it was "
                "removed; set another value instead"
            )
        dict.__delitem__(self, name)
        CHANGES.mark = object()

    def __reduce__(self) -> Any:
        inside = {n: dict.__getitem__(self, n) for n in self}
        return copyreg.__newobj__, (Group,), (inside, vars(self))  # type: ignore[attr-defined]

    def __setstate__(self, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
        inside, attributes = state
        for name, value in inside.items():
            dict.__setitem__(self, name, value)
        vars(self).update(attributes, _sources=[], _floats={})

    # -- for the optimizer --------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """The settings as Python numbers, without the parameters."""
        return {n: v for n, v in self.items() if n != "params"}

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
            value = dict.__getitem__(self, name)
            self._sources.extend((t, t.array) for t in _tensors(value))
            self._floats[name] = None if self._is_off(name, value) else _as_python(value)
        return self._floats

    def tensors(self) -> dict[str, Any]:
        """The settings as Tensors, None for those that are off."""
        kept = {n: dict.__getitem__(self, n) for n in self._names}
        return {n: None if self._is_off(n, v) else v for n, v in kept.items()}

    def _is_off(self, name: str, value: Any) -> bool:
        return name in self._optional and not isinstance(value, Tensor)


def _tensors(value: Any) -> tuple[Tensor, ...]:
    if isinstance(value, Tensor):
        return (value,)
    return tuple(v for v in value if isinstance(v, Tensor)) if isinstance(value, tuple) else ()


def _as_python(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(v.array.item() if isinstance(v, Tensor) else v for v in value)
    return value.array.item() if isinstance(value, Tensor) else value
