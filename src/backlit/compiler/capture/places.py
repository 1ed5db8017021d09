"""Places: where a captured function finds or leaves a Tensor that is another one at each call.

A place is read as a Tensor is, by its `array`, `shape` and `dtype`. `put` leaves a value there,
with the leaves of the call's arguments at hand; `keep` returns what puts back the value of now.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...tensor import Tensor
from .results import LINKED, OUTPUT, is_linked, wrapped


class GradientOf:
    """The gradient that a Tensor of the environment has when a captured function is called.

    It is read as a Tensor is.
    """

    __slots__ = ("tensor",)
    _requires_grad = False

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    @property
    def array(self) -> Any:
        """The gradient's elements."""
        return self.held().array

    @property
    def shape(self) -> Any:
        """The gradient's shape."""
        return self.tensor.shape

    @property
    def dtype(self) -> Any:
        """The gradient's dtype."""
        return self.tensor.dtype

    def held(self, leaves: Any = ()) -> Tensor:
        """The gradient of this call."""
        gradient = self.tensor._grad
        assert gradient is not None  # `Capture.same_gradients` was asked before
        return gradient

    def put(self, leaves: Any, array: np.ndarray) -> None:
        """Replace its value: whoever else holds the gradient sees it."""
        self.held(leaves).array = array

    def keep(self, leaves: Any) -> Callable[[], None]:
        """What puts back the value of now."""
        return partial(setattr, self.held(leaves), "array", self.array)


class AttributeOf:
    """The Tensor that an attribute of a module holds when a captured function is called.

    The function puts another in its place at every call. It is read as a Tensor is.
    """

    __slots__ = ("model", "module", "name", "registry")

    def __init__(self, module: Any, name: str, model: Tensor):
        self.module, self.name = module, name
        self.model = model  # the abstract Tensor that was put there
        self.registry = module._registry(name)

    @property
    def is_leaf(self) -> bool:
        """Whether what is put there is a leaf that asks for gradients, as a Parameter is."""
        return self.model.requires_grad and self.model.node is None

    @property
    def _tensor(self) -> Any:
        return vars(self.module).get(self.name)

    @property
    def array(self) -> Any:
        """The Tensor's elements; None if there is no Tensor."""
        return getattr(self._tensor, "array", None)

    @property
    def shape(self) -> Any:
        """The Tensor's shape."""
        return getattr(self._tensor, "shape", None)

    @property
    def dtype(self) -> Any:
        """The Tensor's dtype."""
        return getattr(self._tensor, "dtype", None)

    @property
    def _requires_grad(self) -> Any:
        """Whether the Tensor requires a gradient."""
        return getattr(self._tensor, "_requires_grad", None)

    def put(self, leaves: Any, array: np.ndarray) -> None:
        """Set the attribute to a new Tensor, as the function does."""
        if self.is_leaf:
            new = self.model._twin(array)
        else:
            new = wrapped(array, LINKED if is_linked(self.model) else OUTPUT)
        if self.registry is None:
            setattr(self.module, self.name, new)
        else:  # also where it was registered by the function itself
            self.module._set(self.name, new, self.registry)

    def keep(self, leaves: Any) -> Callable[[], None]:
        """What puts back the Tensor of now."""
        return partial(setattr, self.module, self.name, self._tensor)


class HeldBy(AttributeOf):
    """The Tensor that an attribute holds at a call, which gets a new value before it leaves."""

    __slots__ = ()

    def put(self, leaves: Any, array: np.ndarray) -> None:
        """Replace the value of the Tensor of this call."""
        self._tensor.array = array

    def keep(self, leaves: Any) -> Callable[[], None]:
        """What puts back the value of now."""
        return partial(setattr, self._tensor, "array", self._tensor.array)


class ArgumentOf:
    """The Tensor at a place among those in the arguments of a call, which gets a new value."""

    __slots__ = ("position",)

    def __init__(self, position: int):
        self.position = position

    def put(self, leaves: Any, array: np.ndarray) -> None:
        """Replace the value of the argument of this call."""
        self.held(leaves).array = array

    def keep(self, leaves: Any) -> Callable[[], None]:
        """What puts back the value of now."""
        tensor = self.held(leaves)
        return partial(setattr, tensor, "array", tensor.array)

    def held(self, leaves: Any) -> Tensor:
        """The argument of this call."""
        return [x for x in leaves if isinstance(x, Tensor)][self.position]
