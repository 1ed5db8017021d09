"""Layers that keep activations in range, by statistics of a batch, a layer, groups, channels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..array_api import ones, zeros
from ..array_api.arguments import number, whole
from ..autograd import no_grad
from ..dtypes import int64
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..state import where_called
from ..tensor import Tensor, as_tensor
from . import functional
from .init import ones_, zeros_
from .linear import positive
from .module import Module, Parameter


def _sizes(name: str, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """The sizes of the last axes, given as one integer or several."""
    several = isinstance(normalized_shape, list | tuple)
    sizes: Any = normalized_shape if several else (normalized_shape,)
    return tuple([whole(f"{name}: normalized_shape", n) for n in sizes])


class _Normalization(Module):
    """Base of all: the learned scale and shift, which start at 1 and 0."""

    weight: Parameter | None
    bias: Parameter | None

    def _learn(
        self, shape: tuple[int, ...], affine: bool, bias: bool, device: Any, dtype: Any
    ) -> None:
        """Register both, each as a Parameter or as None."""
        for name, wanted, start in (("weight", affine, ones), ("bias", affine and bias, zeros)):
            value = Parameter(start(shape, dtype=dtype, device=device)) if wanted else None
            self.register_parameter(name, value)

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)


class _BatchNorm(_Normalization):
    """Base of the batch normalisations, which differ in the number of axes they accept."""

    may_be_missing = ("num_batches_tracked",)
    _mixes = True
    accepted: ClassVar[tuple[int, ...]] = ()
    shapes: ClassVar[str] = ""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
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
        self._learn((num_features,), affine, bias, device, dtype)
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        for name, start in (
            ("running_mean", zeros((num_features,), dtype=dtype)),
            ("running_var", ones((num_features,), dtype=dtype)),
            ("num_batches_tracked", zeros((), dtype=int64)),
        ):
            self.register_buffer(name, start if track_running_stats else None)

    def reset_running_stats(self) -> None:
        """Forget the statistics: mean 0, variance 1, no batches."""
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.assign(np.zeros(self.num_features))
            self.running_var.assign(np.ones(self.num_features))
            self._count(0)

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, no statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def _count(self, value: Any) -> None:
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.assign(value)

    def forward(self, x: Tensor) -> Tensor:
        """x normalised over all axes but the second."""
        x = as_tensor(x)
        if x.ndim not in self.accepted or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: x must have shape {self.shapes} with "
                f"C = num_features = {self.num_features}, got {describe(x)}{where_called()}"
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


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes, x: (N, C, D, H, W).

    >>> BatchNorm3d(3)(ones((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    accepted = (5,)
    shapes = "(N, C, D, H, W)"


class _InstanceNorm(_BatchNorm):
    """Base of the instance normalisations, which also take one (C, ...) alone."""

    _mixes = False

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """x normalised over the places of each channel."""
        x = as_tensor(x)
        lone = x.ndim == self.accepted[0]
        channels = x.shape[0 if lone else 1] if x.ndim in self.accepted else None
        if channels is None or (channels != self.num_features and self.affine):
            raise ShapeError(
                f"{type(self).__name__}: x must have shape {self.shapes} with "
                f"C = num_features = {self.num_features}, got {describe(x)}{where_called()}"
            )
        if channels != self.num_features:
            warnings.warn(
                f"{type(self).__name__}: num_features is {self.num_features}, but {describe(x)} "
                f"has {channels} channels{where_called()}; nothing is learned, so it has no effect",
                stacklevel=2,
            )
        y = functional.instance_norm(
            x[None] if lone else x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y[0] if lone else y


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each row with mean 0 and variance 1: see `functional.instance_norm`.

        x: (N, C, L) or (C, L)

    With `affine` a scale and shift are learned. With `track_running_stats` running statistics are
    kept in training and used in evaluation. Source: Ulyanov, Vedaldi & Lempitsky, arXiv:1607.08022.

    >>> InstanceNorm1d(3)(ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    accepted = (2, 3)
    shapes = "(N, C, L) or (C, L)"


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images, x: (N, C, H, W) or (C, H, W).

    >>> InstanceNorm2d(3)(ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    accepted = (3, 4)
    shapes = "(N, C, H, W) or (C, H, W)"


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for volumes, x: (N, C, D, H, W) or (C, D, H, W).

    >>> InstanceNorm3d(3)(ones((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    accepted = (4, 5)
    shapes = "(N, C, D, H, W) or (C, D, H, W)"


class LayerNorm(_Normalization):
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
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        shape = self.normalized_shape = _sizes("LayerNorm", normalized_shape)
        self.eps = number(f"{type(self).__name__}: eps", eps)
        self.elementwise_affine = elementwise_affine
        self._learn(shape, elementwise_affine, bias, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """x normalised over its last axes."""
        return functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Shape and ε."""
        affine = "" if self.elementwise_affine else ", elementwise_affine=False"
        return f"{self.normalized_shape}, eps={self.eps}{affine}"


class GroupNorm(_Normalization):
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
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
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
        self.affine = affine
        self._learn((num_channels,), affine, bias, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """x normalised over each group."""
        return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Sizes and ε."""
        affine = "" if self.affine else ", affine=False"
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}{affine}"


class RMSNorm(Module):
    """The last axes divided by the root of their mean square: see `functional.rms_norm`.

    Source: Zhang & Sennrich, NeurIPS 2019, eq. 4.

    >>> RMSNorm(2)(as_tensor([[3.0, -3.0]])).tolist()
    [[1.0, -1.0]]
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.normalized_shape = _sizes("RMSNorm", normalized_shape)
        self.eps = None if eps is None else number("RMSNorm: eps", eps)
        self.elementwise_affine = elementwise_affine
        start = ones(self.normalized_shape, dtype=dtype, device=device)
        self.register_parameter("weight", Parameter(start) if elementwise_affine else None)

    def reset_parameters(self) -> None:
        """Scale 1."""
        if self.weight is not None:
            ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """x normalised over its last axes."""
        return functional.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Shape and ε."""
        affine = "" if self.elementwise_affine else ", elementwise_affine=False"
        return f"{self.normalized_shape}, eps={self.eps}{affine}"


class LocalResponseNorm(Module):
    """Each element divided by the energy of the channels around it.

    See `functional.local_response_norm`. Source: Krizhevsky et al., NIPS 2012, sec. 3.3.

    >>> LocalResponseNorm(2)(ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        positive(self, size=size)
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) normalised over neighbouring channels."""
        return functional.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(LocalResponseNorm):
    """`LocalResponseNorm` under Caffe's name for it.

    PyTorch's counts channels outside the window from the third on, and its gradient is another's.
    """
