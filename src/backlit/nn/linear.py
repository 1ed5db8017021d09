"""Fully connected layers, and layers that only change shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..array_api import reshape, zeros
from ..array_api.arguments import integers, one_axis, whole
from ..dtypes import float32
from ..errors import ShapeError
from ..op import describe
from ..random import Generator
from ..tensor import Tensor, as_tensor
from . import functional, init
from .module import Module, Parameter


def positive(layer: Module, **sizes: Any) -> None:
    """Raise unless every size is a positive integer."""
    for name, n in sizes.items():
        whole(f"{type(layer).__name__}: {name}", n)


class Identity(Module):
    """y = x."""

    def forward(self, x: Any) -> Any:
        """x itself."""
        return x


class Linear(Module):
    """y = x Wᵀ + b with learned W: (O, I) and b: (O).

        x: (..., I) -> (..., O)

    W and b start uniform in ±1/√I.

    >>> Linear(3, 2)
    Linear(in_features=3, out_features=2)  # weight: float32[2,3], bias: float32[2]; 8 parameters
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        positive(self, in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(zeros((out_features, in_features), dtype=dtype, device=device))
        self.bias: Parameter | None
        if bias:
            self.bias = Parameter(zeros((out_features,), dtype=dtype, device=device))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """New starting values."""
        bound = 1 / math.sqrt(self.in_features)
        init.uniform_(self.weight, -bound, bound, generator)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        return functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes."""
        bias = "" if self.bias is not None else ", bias=False"
        return f"in_features={self.in_features}, out_features={self.out_features}{bias}"


class Maxout(Module):
    """The largest of `pieces` linear maps, for each output.

        y_o = max_k (x W_okᵀ + b_ok)              x: (..., I) -> (..., O)

    Source: Goodfellow et al., "Maxout networks", ICML 2013.

    >>> Maxout(3, 2, pieces=4)(zeros((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        pieces: int = 2,
        bias: bool = True,
        *,
        dtype: Any = float32,
        generator: Generator | None = None,
    ):
        super().__init__()
        positive(self, in_features=in_features, out_features=out_features, pieces=pieces)
        self.pieces = pieces
        self.linear = Linear(
            in_features, out_features * pieces, bias, dtype=dtype, generator=generator
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        return functional.maxout(self.linear(x), self.pieces)

    def extra_repr(self) -> str:
        """The number of pieces."""
        return f"pieces={self.pieces}"


class Flatten(Module):
    """The axes from `start_dim` to `end_dim` as one: (N, C, H, W) -> (N, C·H·W).

    >>> Flatten()(zeros((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        """x with several axes as one."""
        x = as_tensor(x)
        start = one_axis("Flatten: start_dim", self.start_dim, x.ndim)
        end = one_axis("Flatten: end_dim", self.end_dim, x.ndim)
        if start > end:
            raise ShapeError(
                f"Flatten: start_dim must not lie behind end_dim, got {self.start_dim} and "
                f"{self.end_dim} for {describe(x)}"
            )
        shape = x.shape
        together = math.prod(shape[start : end + 1])
        return reshape(x, (*shape[:start], together, *shape[end + 1 :]))

    def extra_repr(self) -> str:
        """The axes, if they are not the usual ones."""
        usual = (self.start_dim, self.end_dim) == (1, -1)
        return "" if usual else f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One axis as several: (N, C·H·W) -> (N, C, H, W). One size may be -1.

    >>> Unflatten(1, (3, -1))(zeros((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]):
        super().__init__()
        self.dim = dim
        self.unflattened_size = integers("Unflatten", unflattened_size)

    def forward(self, x: Tensor) -> Tensor:
        """x with one axis as several."""
        x = as_tensor(x)
        axis = one_axis("Unflatten: dim", self.dim, x.ndim)
        sizes = self.unflattened_size
        known = math.prod(n for n in sizes if n != -1)
        n = x.shape[axis]
        if sizes.count(-1) > 1 or (n % known if -1 in sizes and known else n != known):
            raise ShapeError(
                f"Unflatten: the sizes {sizes} must multiply to x.shape[{axis}], got {n} "
                f"({describe(x)})"
            )
        sizes = tuple(n // known if size == -1 else size for size in sizes)
        return reshape(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        """The axis and its sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
