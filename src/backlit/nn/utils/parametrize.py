"""Parametrizations: a parameter of a module as a function of others, which are learned instead."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ...array_api import asarray
from ...autograd import no_grad
from ...calls import explain
from ...errors import ArgumentError, ShapeError
from ...foreign import words
from ...op import describe
from ...tensor import Tensor
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter
from .computed import Computed, compute, computed_of, restore


class _Cache(threading.local):
    """Values of parametrized parameters, inside `cached()`."""

    def __init__(self) -> None:
        self.depth = 0
        self.values: dict[tuple[int, str], Any] = {}


_CACHE = _Cache()


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Inside, each parametrized parameter is computed once, also where it is used several times."""
    _CACHE.depth += 1
    try:
        yield
    finally:
        _CACHE.depth -= 1
        if not _CACHE.depth:
            _CACHE.values.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one parameter, and the `original` (or several) they start from."""

    original: Tensor

    def __init__(self, modules: Iterable[Module], original: Tensor, unsafe: bool = False):
        super().__init__(modules)
        if not len(self):
            raise ArgumentError("ParametrizationList: at least one parametrization is required")
        self.unsafe = unsafe
        start: Any = original
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    start = module.right_inverse(start)
        self.is_tensor = not isinstance(start, tuple | list)
        self.ntensors = 1 if self.is_tensor else len(start)
        if self.is_tensor:
            if original.shape == start.shape and original.dtype == start.dtype:
                original.assign(start)
            else:
                original = _alike(original, start)
            _put(self, "original", original)
        for i, part in enumerate(() if self.is_tensor else start):
            _put(self, f"original{i}", _alike(original, part))

    def _originals(self) -> list[Tensor]:
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self) -> Tensor:
        """The value of the parameter."""
        x = self[0](*self._originals())
        for module in list(self)[1:]:
            x = module(x)
        return x

    @no_grad()
    def right_inverse(self, value: Any) -> None:
        """Give the originals values with which the parameter has a value."""
        for module in reversed(list(self)):
            if not hasattr(module, "right_inverse"):
                raise ArgumentError(
                    f"parametrize: {type(module).__name__} must have right_inverse to set the "
                    "parameter; without it, set the original"
                )
            value = module.right_inverse(value)
        for own, part in zip(self._originals(), [value] if self.is_tensor else value, strict=True):
            own.assign(part)


def _all(module: Module) -> ModuleDict:
    """All parametrizations of a module."""
    inside = module._modules["parametrizations"]
    assert isinstance(inside, ModuleDict)
    return inside


def _alike(old: Tensor, value: Tensor) -> Tensor:
    """A value as a Parameter, if the old one was."""
    return Parameter(value, old.requires_grad) if isinstance(old, Parameter) else value.detach()


def _put(module: Module, name: str, value: Tensor) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def _reader(name: str) -> Computed:
    def get(module: Any) -> Tensor:
        if not _CACHE.depth:
            return module.parametrizations[name]()
        key = (id(module), name)
        if key not in _CACHE.values:
            _CACHE.values[key] = module.parametrizations[name]()
        return _CACHE.values[key]

    def change(module: Any, value: Any) -> None:
        module.parametrizations[name].right_inverse(asarray(value))

    return Computed(get, change)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Make a parameter of a module the result of a module with the original as its input.

    A second one takes the result of the first. With a method `right_inverse` the original starts so
    that the parameter keeps its value, and the parameter can be set. The names of the state are
    `parametrizations.weight.original`, or original0 and so on where `right_inverse` gives several.
    The result must have the parameter's shape and dtype, unless `unsafe`.

    >>> from backlit import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return (x + x.mT) / 2
    >>> layer = register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> layer.weight.tolist() == layer.weight.mT.tolist()
    True
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'parametrizations.weight.original']
    """
    if not isinstance(parametrization, Module):
        raise ArgumentError(
            f"register_parametrization: a parametrization must be a Module, got "
            f"{words(parametrization)[0]}"
        )
    before = module._parameters.get(tensor_name)
    before = module._buffers.get(tensor_name) if before is None else before
    if is_parametrized(module, tensor_name):
        value = getattr(module, tensor_name)
        if not unsafe:
            _require_same(tensor_name, value, parametrization(value))
        _all(module)[tensor_name].append(parametrization)  # type: ignore[attr-defined]
        return module
    if before is None:
        raise ArgumentError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer "
            f"{tensor_name!r}; it has "
            f"{', '.join([*module._parameters, *module._buffers]) or 'none'}"
        )
    shape, dtype = before.shape, before.dtype
    parametrization.train(module.training)
    kept = before.detach()
    inside = ParametrizationList([parametrization], before, unsafe)
    try:
        result = inside()
        if not unsafe:
            _require_same(tensor_name, kept, result)
    except BaseException:
        if inside.is_tensor and before.shape == shape and before.dtype == dtype:
            before.assign(kept)
        raise
    if "parametrizations" not in module._modules:
        module.add_module("parametrizations", ModuleDict())
    compute(module, tensor_name, _reader(tensor_name), "Parametrized")
    _all(module)[tensor_name] = inside
    return module


def _require_same(name: str, before: Tensor, after: Any) -> None:
    if not isinstance(after, Tensor) or (after.shape, after.dtype) != (before.shape, before.dtype):
        got = describe(after) if isinstance(after, Tensor) else words(after)[0]
        raise ShapeError(
            f"register_parametrization: the result for {name} must be {describe(before)}, got "
            f"{got}; unsafe=True allows another one"
        )


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make a parametrized parameter an ordinary one again, with the value that it has.

    With `leave_parametrized=False` it gets the value of the original instead.
    """
    if not is_parametrized(module, tensor_name):
        raise ArgumentError(
            f"remove_parametrizations: {type(module).__name__}.{tensor_name} is not parametrized"
        )
    inside: Any = _all(module)[tensor_name]
    if not leave_parametrized and not inside.is_tensor:
        raise ArgumentError(
            "remove_parametrizations: leave_parametrized=False needs one original, but "
            f"{tensor_name} is made of {inside.ntensors}"
        )
    with no_grad():
        value = inside() if leave_parametrized else inside.original
    original = inside._originals()[0]
    if inside.is_tensor and (original.shape, original.dtype) == (value.shape, value.dtype):
        original.assign(value.detach())
    else:
        original = _alike(original, value)
    del _all(module)[tensor_name]
    if not len(_all(module)):
        delattr(module, "parametrizations")
    restore(module, tensor_name, original)
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module has parametrized parameters, or this one is."""
    inside = module._modules.get("parametrizations")
    if not isinstance(inside, ModuleDict) or not computed_of(module):
        return False
    return bool(len(inside)) if tensor_name is None else tensor_name in inside


__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
]

explain(__name__, __all__)
