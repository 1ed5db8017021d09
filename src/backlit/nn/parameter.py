"""The Tensors of a module: learned ones, buffers, and those whose shape is not known yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..array_api.arguments import integers
from ..conversion import check_device
from ..dtypes import as_dtype, float32
from ..errors import ArgumentError
from ..state import where_called
from ..tensor import Tensor


class Parameter(Tensor):
    """A Tensor that a module learns: it requires a gradient and is listed by `parameters()`.

    It is a leaf with a copy of the values of `data`, also where that was itself computed.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True):
        super().__init__(data.detach() if isinstance(data, Tensor) else data)
        self.requires_grad_(requires_grad)


class Buffer(Tensor):
    """A Tensor that is state but not learned: as an attribute of a module it is registered as such.

    >>> from backlit import nn, zeros
    >>> module = nn.Module()
    >>> module.count = nn.Buffer(zeros(3))
    >>> list(module.state_dict())
    ['count']
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any, *, persistent: bool = True):
        super().__init__(data.detach() if isinstance(data, Tensor) else data)
        self.persistent = persistent

    def _twin(self, array: Any) -> Tensor:
        twin: Any = super()._twin(array)
        twin.persistent = self.persistent
        return twin


class _Unknown(Tensor):
    """The base of Tensors whose shape, and so whose values, are not known yet."""

    __slots__ = ()

    #: What it is once the shape is known.
    _known_as: type[Tensor]

    @property
    def shape(self) -> Any:
        """Not known yet: raises."""
        raise ArgumentError(
            f"{type(self).__name__}: its shape is not known before the first call of its "
            f"module{where_called()}; call the model once with a batch of the shape it is for, and "
            "initialise, count or load afterwards"
        )

    @property
    def size(self) -> Any:
        """Not known yet: raises."""
        return self.shape

    @property
    def ndim(self) -> Any:
        """Not known yet: raises."""
        return self.shape

    def materialize(self, shape: int | Sequence[int], dtype: Any = None) -> None:
        """Become an ordinary one, of zeros in this shape, and stay the same object."""
        sizes = integers(f"{type(self).__name__}.materialize", shape)
        kind = self.array.dtype if dtype is None else as_dtype(dtype)
        self.array = np.zeros(sizes, kind)
        object.__setattr__(self, "__class__", self._known_as)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Unknown, Parameter):
    """A Parameter that gets its shape at the first call of its module, as in a `LazyLinear`.

    >>> from backlit import nn, zeros
    >>> layer = nn.LazyLinear(2)
    >>> layer.weight
    <UninitializedParameter>
    >>> layer(zeros((1, 3))).shape, layer.weight.shape
    ((1, 2), (2, 3))
    """

    __slots__ = ()
    _known_as = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = float32):
        check_device(device)
        super().__init__(np.zeros((0,), as_dtype(dtype)), requires_grad)


class UninitializedBuffer(_Unknown, Buffer):
    """A buffer that gets its shape at the first call of its module, as in a `LazyBatchNorm1d`."""

    __slots__ = ()
    _known_as = Buffer

    def __init__(
        self,
        requires_grad: bool = False,
        device: Any = None,
        dtype: Any = float32,
        persistent: bool = True,
    ):
        check_device(device)
        super().__init__(np.zeros((0,), as_dtype(dtype)), persistent=persistent)
        self.requires_grad_(requires_grad)


def is_known(t: Tensor) -> bool:
    """Whether a Tensor has its shape already."""
    return not isinstance(t, _Unknown)


__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]
