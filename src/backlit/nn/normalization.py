"""Layers that keep activations in range: batch and layer normalisation, dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..array_api import ones, zeros
from ..array_api.arguments import number, whole
from ..autograd import no_grad
from ..dtypes import as_dtype, float32, int64
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..random import Generator
from ..state import STATE
from ..tensor import Tensor, as_tensor, wrap
from . import functional
from .linear import positive
from .module import Module, Parameter


class Dropout(Module):
    """In training each element 0 with probability p, else divided by 1 - p; in evaluation x itself.

    Random numbers come from `generator`, or from this thread's default one. With `inplace` x takes
    the result's value, too.

    >>> Dropout(0.5).eval()(ones((2,)))
    Tensor([1., 1.], shape=(2,), dtype=float32)
    """

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None
    ):
        super().__init__()
        if not 0 <= number("Dropout: p", p) <= 1:
            raise ArgumentError(f"Dropout: p must lie in [0, 1], got {p}")
        self.p = p
        self.inplace = inplace
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """x with elements dropped, in training."""
        return functional.dropout(x, self.p, self.training, self.inplace, generator=self.generator)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}{', inplace=True' * self.inplace}"


class _BatchNorm(Module):
    """Base of the batch normalisations, which differ in the number of axes they accept."""

    accepted: ClassVar[tuple[int, ...]] = ()
    shapes: ClassVar[str] = ""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: Any = float32,
    ):
        super().__init__()
        positive(self, num_features=num_features)
        what = f"{type(self).__name__}: momentum"
        if momentum is not None and not 0 <= number(what, momentum) <= 1:
            raise ArgumentError(
                f"{type(self).__name__}: momentum must lie in [0, 1] or be None, got {momentum}"
            )
        self.num_features = num_features
        self.eps = number(f"{type(self).__name__}: eps", eps)
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        dtype = as_dtype(dtype)
        self.weight: Parameter | None
        self.bias: Parameter | None
        if affine:
            self.weight = Parameter(ones((num_features,), dtype=dtype))
            self.bias = Parameter(zeros((num_features,), dtype=dtype))
        else:
            self.register_parameter("weight", None)
            self.register_parameter("bias", None)
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        for name, start in (
            ("running_mean", np.zeros(num_features, dtype)),
            ("running_var", np.ones(num_features, dtype)),
            ("num_batches_tracked", np.zeros((), int64)),
        ):
            self.register_buffer(name, wrap(start) if track_running_stats else None)

    def reset_running_stats(self) -> None:
        """Forget the statistics: mean 0, variance 1, no batches."""
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.assign(np.zeros(self.num_features))
            self.running_var.assign(np.ones(self.num_features))
            self._count(0)

    def _count(self, value: Any) -> None:
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.assign(value)

    def forward(self, x: Tensor) -> Tensor:
        """x normalised over all axes but the second."""
        x = as_tensor(x)
        if x.ndim not in self.accepted or x.shape[1] != self.num_features:
            where = f"; in {STATE.scope.path}" if STATE.scope is not None else ""
            raise ShapeError(
                f"{type(self).__name__}: x must have shape {self.shapes} with "
                f"C = num_features = {self.num_features}, got {describe(x)}{where}"
            )
        learning = self.training and self.num_batches_tracked is not None
        momentum: float | Tensor = self.momentum if self.momentum is not None else 0.0
        if learning and self.num_batches_tracked is not None:
            with no_grad():
                count = self.num_batches_tracked + 1
                self.num_batches_tracked.assign(count)
                if self.momentum is None:
                    momentum = 1 / count.astype(x.dtype)
        use_batch = self.training or self.running_mean is None
        return functional.batch_norm(
            x,
            self.running_mean if learning or not use_batch else None,
            self.running_var if learning or not use_batch else None,
            self.weight,
            self.bias,
            use_batch,
            momentum,
            self.eps,
        )

    def extra_repr(self) -> str:
        """Sizes and settings."""
        settings = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"
        affine = "" if self.affine else ", affine=False"
        return (
            settings + affine + ("" if self.track_running_stats else ", track_running_stats=False")
        )


class BatchNorm1d(_BatchNorm):
    """Each channel of a batch with mean 0 and variance 1, then a learned scale and shift.

        x: (N, C) or (N, C, L)

    In training the statistics are the batch's, and running statistics move towards them by the
    factor `momentum` (None: they are the average of all batches). In evaluation the running ones
    are used. Without `track_running_stats` the batch's are always used.
    Source: Ioffe & Szegedy, ICML 2015, alg. 1 and 2.

    >>> BatchNorm1d(3)(ones((2, 3))).shape
    (2, 3)
    """

    accepted = (2, 3)
    shapes = "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images, x: (N, C, H, W).

    >>> BatchNorm2d(3)(ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    accepted = (4,)
    shapes = "(N, C, H, W)"


class LayerNorm(Module):
    """The last axes with mean 0 and variance 1, then a learned scale and shift.

    Source: Ba, Kiros & Hinton, arXiv:1607.06450.

    >>> LayerNorm(2)(as_tensor([[1.0, 3.0]]))
    Tensor([[-1.,  1.]], shape=(1, 2), dtype=float32, op=layer_norm)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = float32,
    ):
        super().__init__()
        several = isinstance(normalized_shape, list | tuple)
        sizes: Any = normalized_shape if several else (normalized_shape,)
        shape = tuple([whole(f"{type(self).__name__}: normalized_shape", n) for n in sizes])
        self.normalized_shape = shape
        self.eps = number(f"{type(self).__name__}: eps", eps)
        self.elementwise_affine = elementwise_affine
        self.weight: Parameter | None
        self.bias: Parameter | None
        if elementwise_affine:
            self.weight = Parameter(ones(shape, dtype=dtype))
        else:
            self.register_parameter("weight", None)
        if elementwise_affine and bias:
            self.bias = Parameter(zeros(shape, dtype=dtype))
        else:
            self.register_parameter("bias", None)

    def forward(self, x: Tensor) -> Tensor:
        """x normalised over its last axes."""
        return functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Shape and ε."""
        affine = "" if self.elementwise_affine else ", elementwise_affine=False"
        return f"{self.normalized_shape}, eps={self.eps}{affine}"


class GroupNorm(Module):
    """Each group of channels of each row with mean 0 and variance 1, then scaled and shifted.

        x: (N, C, ...), scale and shift: (C);  C/num_groups neighbouring channels are a group

    Source: Wu & He, ECCV 2018, eq. 7.

    >>> GroupNorm(2, 4)(ones((3, 4, 5))).shape
    (3, 4, 5)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: Any = float32,
    ):
        super().__init__()
        positive(self, num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ArgumentError(
                f"GroupNorm: num_channels must be a multiple of num_groups, got {num_channels} "
                f"and {num_groups}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = number(f"{type(self).__name__}: eps", eps)
        self.weight: Parameter | None
        self.bias: Parameter | None
        if affine:
            self.weight = Parameter(ones((num_channels,), dtype=dtype))
            self.bias = Parameter(zeros((num_channels,), dtype=dtype))
        else:
            self.register_parameter("weight", None)
            self.register_parameter("bias", None)

    def forward(self, x: Tensor) -> Tensor:
        """x normalised over each group."""
        return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Sizes and ε."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"
