"""Modules that hold modules: in a row, in a list, in a dictionary."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..array_api.arguments import sequence
from ..errors import ArgumentError, IndexRangeError
from ..foreign import words
from .module import Module


class _Numbered(Module):
    """Base of the containers whose modules have numbers for names."""

    def _renumber(self, modules: Iterable[Any]) -> None:
        new = list(modules)
        for i, m in enumerate(new):
            self._require_module(str(i), m)
        for name in list(self._modules):
            delattr(self, name)
        for i, m in enumerate(new):
            self.add_module(str(i), m)

    def _require_module(self, name: str, m: Any) -> None:
        if not isinstance(m, Module):
            what, cure = words(m)
            if isinstance(m, list | tuple):
                what = f"a {type(m).__name__}"
                cure = f"unpack it, {type(self).__name__}(*modules)"
            elif not callable(m):
                cure = "give layers, as nn.Linear(2, 3)"
            elif not isinstance(m, type):
                cure = "use its Module, as nn.Tanh() for tanh, or write one whose forward calls it"
            raise ArgumentError(
                f"{type(self).__name__}: element {name} must be a Module, got {what}; {cure}"
            )

    def _position(self, i: Any) -> int:
        n, position = len(self._modules), operator.index(i)
        if not -n <= position < n:
            raise IndexRangeError(
                f"{type(self).__name__}: the index must lie in [-{n}, {n}), got {position}"
            )
        return position

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, i: int | slice) -> Any:
        modules = list(self._modules.values())
        if isinstance(i, slice):
            part = type(self)()
            for name, m in list(self._modules.items())[i]:
                part.add_module(name if isinstance(self, Sequential) else str(len(part)), m)
            return part
        return modules[self._position(i)]

    def __setitem__(self, i: int, module: Module) -> None:
        name = list(self._modules)[self._position(i)]
        self._require_module(name, module)
        self.add_module(name, module)

    def __delitem__(self, i: int | slice) -> None:
        names = list(self._modules)
        gone = names[i] if isinstance(i, slice) else [names[self._position(i)]]
        if all(name.isdigit() for name in names):
            self._renumber([m for name, m in self._modules.items() if name not in gone])
        else:
            for name in gone:
                delattr(self, name)

    def __iadd__(self, modules: Iterable[Module]) -> Any:
        return self.extend(modules)

    def __add__(self, modules: Iterable[Module]) -> Any:
        return type(self)().extend([*self, *modules])

    def pop(self, key: int | slice = -1) -> Any:
        """Take a module (or several) out; the ones behind get new numbers."""
        module = self[key]
        del self[key]
        return module

    def append(self, module: Module) -> Any:
        """Add a module at the end; returns this container."""
        name = str(len(self._modules))
        self._require_module(name, module)
        self.add_module(name, module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Add a module in front of a position; the ones behind get new numbers."""
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add several modules at the end."""
        for m in modules:
            self.append(m)
        return self


class Sequential(_Numbered):
    """Modules called one after the other, each with the result of the one before.

    >>> from backlit import nn
    >>> nn.Sequential(nn.Linear(2, 3, bias=False), nn.Tanh())
    Sequential(  # 6 parameters
      (0): Linear(in_features=2, out_features=3, bias=False)  # weight: float32[3,2]; 6 parameters
      (1): Tanh()
    )
    """

    def __init__(self, *modules: Any):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, m in modules[0].items():
                self._require_module(name, m)
                self.add_module(name, m)
        else:
            for m in modules:
                self.append(m)

    def forward(self, x: Any) -> Any:
        """The last module's result."""
        for module in self._modules.values():
            x = module(x)
        return x


class ModuleList(_Numbered):
    """A list of modules whose parameters are found; it is indexed and looped over, not called.

    >>> from backlit import nn
    >>> len(nn.ModuleList([nn.Tanh(), nn.ReLU()])[1:])
    1
    """

    def __init__(self, modules: Iterable[Module] = ()):
        super().__init__()
        self.extend(sequence("ModuleList: modules", modules))


class ModuleDict(Module):
    """A dictionary of modules whose parameters are found.

    >>> from backlit import nn
    >>> list(nn.ModuleDict({"a": nn.Tanh(), "b": nn.ReLU()}))
    ['a', 'b']
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()):
        super().__init__()
        self.update(modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add or replace several modules."""
        given: Any = modules
        if not isinstance(modules, Mapping):
            given = sequence("ModuleDict: modules", modules)
            if any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in given):
                raise ArgumentError(
                    "ModuleDict: modules must be a dict, or pairs of a name and a Module, got "
                    f"{modules!r:.60}"
                )
        for name, m in OrderedDict(given).items():
            self[name] = m

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(name, str) or not isinstance(module, Module):
            raise ArgumentError(
                f"ModuleDict: names are str and values Modules, got {name!r}: {module!r:.80}"
            )
        if name not in self._modules and (not name or "." in name or hasattr(self, name)):
            raise ArgumentError(
                f"ModuleDict: {name!r} cannot name a module: it is empty, has a dot, or is an "
                "attribute of ModuleDict"
            )
        self.add_module(name, module)

    def __getitem__(self, name: str) -> Module:
        if name not in self._modules:
            raise ArgumentError(
                f"ModuleDict: no module {name!r}; there are {', '.join(self._modules) or 'none'}"
            )
        return self._modules[name]

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return self._modules.items()

    def pop(self, key: str) -> Module:
        """Take a module out."""
        module = self[key]
        delattr(self, key)
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for name in list(self._modules):
            self.pop(name)
