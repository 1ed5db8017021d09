"""Containers of parameters: a list and a dictionary, whose parameters a module finds."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..array_api.arguments import sequence
from ..errors import ArgumentError, IndexRangeError
from ..tensor import Tensor
from .module import Module
from .parameter import Parameter


def _as_parameter(value: Any) -> Any:
    """A Tensor as a Parameter; anything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and type(value) is Tensor else value


class ParameterList(Module):
    """A list of Parameters that a module finds; Tensors put into it become Parameters.

    Other values may stand in it, and are no parameters.

    >>> from backlit import nn, zeros
    >>> weights = nn.ParameterList([zeros(2), zeros(3)])
    >>> [name for name, _ in weights.named_parameters()]
    ['0', '1']
    >>> weights[-1].shape
    (3,)
    """

    def __init__(self, values: Iterable[Any] | None = None):
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def _name(self, i: Any) -> str:
        position = operator.index(i)
        if not -self._size <= position < self._size:
            raise IndexRangeError(
                f"ParameterList: the index must lie in [{-self._size}, {self._size}), got "
                f"{position}"
            )
        return str(position % self._size)

    def __getitem__(self, i: int | slice) -> Any:
        if isinstance(i, slice):
            return ParameterList([self[k] for k in range(self._size)[i]])
        return getattr(self, self._name(i))

    def __setitem__(self, i: int, value: Any) -> None:
        setattr(self, self._name(i), _as_parameter(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self._size))

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Add a value at the end; returns this list."""
        setattr(self, str(self._size), _as_parameter(value))
        self._size += 1
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add several values at the end; returns this list."""
        for value in sequence("ParameterList: values", values):
            self.append(value)
        return self

    def pop(self, index: int = -1) -> Any:
        """Take a value out; those behind it move up."""
        values = list(self)
        value = values.pop(int(self._name(index)))
        for i in range(self._size):
            delattr(self, str(i))
        self._size = 0
        self.extend(values)
        return value


class ParameterDict(Module):
    """A dictionary of Parameters that a module finds; Tensors put into it become Parameters.

    >>> from backlit import nn, zeros
    >>> weights = nn.ParameterDict({"left": zeros(2), "right": zeros(3)})
    >>> list(weights), weights["right"].shape
    (['left', 'right'], (3,))
    """

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None):
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, name: str) -> Any:
        if name not in self._keys:
            raise ArgumentError(
                f"ParameterDict: no parameter {name!r}; there are {', '.join(self._keys) or 'none'}"
            )
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str) or (name not in self._keys and hasattr(self, name)):
            raise ArgumentError(
                f"ParameterDict: a name must be a text that is no attribute of ParameterDict, got "
                f"{name!r}"
            )
        setattr(self, name, _as_parameter(value))
        self._keys[name] = None

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def __contains__(self, name: object) -> bool:
        return name in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __or__(self, other: Mapping[str, Any]) -> ParameterDict:
        return ParameterDict([*self.items(), *other.items()])

    def __ior__(self, other: Mapping[str, Any]) -> ParameterDict:
        self.update(other)
        return self

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._keys.keys()

    def values(self) -> Iterable[Any]:
        """The values."""
        return [self[name] for name in self._keys]

    def items(self) -> Iterable[tuple[str, Any]]:
        """Names and values."""
        return [(name, self[name]) for name in self._keys]

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add or replace several values."""
        given: Any = parameters.items() if hasattr(parameters, "items") else parameters
        for name, value in given:
            self[name] = value

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a name, or what is given for a name that is not there."""
        return self[key] if key in self._keys else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a name, which is added if it is not there."""
        if key not in self._keys:
            self[key] = default
        return self[key]

    def pop(self, key: str) -> Any:
        """Take a value out."""
        value = self[key]
        delattr(self, key)
        del self._keys[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Take out the last name and value."""
        name = next(reversed(self._keys), "")
        return name, self.pop(name)

    def clear(self) -> None:
        """Take everything out."""
        for name in list(self._keys):
            self.pop(name)

    def copy(self) -> ParameterDict:
        """A dictionary of the same Parameters."""
        return ParameterDict(self.items())

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A dictionary of these names with one value."""
        return ParameterDict((name, default) for name in keys)


__all__ = ["ParameterDict", "ParameterList"]
