"""Layers of two inputs: distances, angles, and a bilinear map."""

from __future__ import annotations

import math
from typing import Any

from ..array_api import zeros
from ..random import Generator
from ..tensor import Tensor
from . import functional, init
from .linear import positive
from .module import Module
from .parameter import Parameter


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along an axis: see `functional.cosine_similarity`.

    >>> from backlit import tensor
    >>> CosineSimilarity()(tensor([[1.0, 0.0]]), tensor([[0.0, 2.0]])).tolist()
    [0.0]
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N)."""
        return functional.cosine_similarity(x1, x2, self.dim, self.eps)

    def extra_repr(self) -> str:
        """The axis and ε."""
        return f"dim={self.dim}, eps={self.eps}"


class PairwiseDistance(Module):
    """The p-norm of the difference of two vectors: see `functional.pairwise_distance`.

    >>> from backlit import tensor
    >>> PairwiseDistance(eps=0.0)(tensor([[0.0, 0.0]]), tensor([[3.0, 4.0]])).tolist()
    [5.0]
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N)."""
        return functional.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)

    def extra_repr(self) -> str:
        """The norm and ε."""
        return f"p={self.norm}, eps={self.eps}"


class Bilinear(Module):
    """y_o = x₁ᵀ W_o x₂ + b_o with learned W: (O, I, J) and b: (O).

        x1: (..., I), x2: (..., J) -> (..., O)

    W and b start uniform in ±1/√I.

    >>> Bilinear(3, 4, 2)(zeros((5, 3)), zeros((5, 4))).shape
    (5, 2)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        positive(
            self, in1_features=in1_features, in2_features=in2_features, out_features=out_features
        )
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(zeros(shape, dtype=dtype, device=device))
        self.bias: Parameter | None
        if bias:
            self.bias = Parameter(zeros((out_features,), dtype=dtype, device=device))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """New starting values."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound, generator)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """(..., I), (..., J) -> (..., O)."""
        return functional.bilinear(x1, x2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
