"""Layers that learn the size of their input from the first batch, and are ordinary ones then."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from ..calls import fitted
from ..errors import ShapeError
from ..op import describe
from ..state import STATE, where_called
from ..tensor import Tensor, as_tensor
from .convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .module import Module
from .normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from .parameter import UninitializedBuffer, UninitializedParameter, is_known


class _Lazy(Module):
    """The base of lazy layers: the arguments of the ordinary one, without the first."""

    #: What it is after the first call, and the attribute that is 0 until then.
    becomes: ClassVar[Any] = Module
    size: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        lazily = cls.__init__ is not _Lazy.__init__
        own = inspect.signature(cls.__init__ if lazily else cls.becomes)
        rest = own.replace(parameters=[*own.parameters.values()][1:])
        type.__setattr__(cls, "__signature__", rest)

    def __init__(self, *args: Any, **options: Any):
        mine: Any = inspect.signature(type(self))
        args, options = fitted(mine, type(self).__name__, args, options) or (args, options)
        self._given = (args, options)
        given = inspect.signature(self.becomes).bind(1, *args, **options).arguments
        super().__init__(given.get("groups", 1), *args, **options)  # type: ignore[call-arg]
        setattr(self, self.size, 0)
        for name, p in self._parameters.items():
            if p is not None:
                setattr(self, name, UninitializedParameter(dtype=p.dtype))
        for name, b in self._buffers.items():
            if b is not None and b.ndim:
                setattr(self, name, UninitializedBuffer(dtype=b.dtype))

    def reset_parameters(self, generator: Any = None) -> None:
        """Nothing yet: the first call gives starting values."""

    def length(self, x: Tensor) -> int:
        """The size of the input that the layer has to know."""
        raise NotImplementedError(f"{type(self).__name__}.length")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The result of the layer, which from now on knows its size."""
        name = type(self).__name__
        STATE.execution.forbid(
            f"{name}: a captured function cannot give a layer its shape and starting values; call "
            "the model once with a batch outside"
        )
        given, settings = self._given
        n = self.length(as_tensor(inputs[0] if inputs else next(iter(options.values()))))
        model = self.becomes(n, *given, **settings)
        for kind in ("_parameters", "_buffers"):
            for key, value in getattr(model, kind).items():
                own = getattr(self, key)
                if value is not None and not is_known(own):
                    own.materialize(value.shape)
                    own.assign(value)
        del self._given
        size = self.size
        object.__setattr__(self, "__class__", self.becomes)
        setattr(self, size, n)
        return self(*inputs, **options)


class LazyLinear(_Lazy, Linear):
    """`Linear` whose in_features are those of the first input.

    >>> from backlit import zeros
    >>> layer = LazyLinear(2)
    >>> layer
    LazyLinear(in_features=0, out_features=2)  # weight: not known yet, bias: not known yet; 0 \
parameters
    >>> layer(zeros((1, 3))).shape
    (1, 2)
    >>> layer
    Linear(in_features=3, out_features=2)  # weight: float32[2,3], bias: float32[2]; 8 parameters
    """

    becomes = Linear
    size = "in_features"

    def length(self, x: Tensor) -> int:
        """The last axis."""
        if x.ndim == 0:
            raise ShapeError(
                f"{type(self).__name__}: x must have at least one axis, got "
                f"{describe(x)}{where_called()}"
            )
        return x.shape[-1]


class _LazyConvolution(_Lazy):
    """The base of lazy convolutions."""

    size = "in_channels"
    axes: ClassVar[int]

    def length(self, x: Tensor) -> int:
        """The axis before those of the kernel."""
        if x.ndim not in (self.axes + 1, self.axes + 2):
            raise ShapeError(
                f"{type(self).__name__}: x must have {self.axes + 2} axes, or {self.axes + 1} "
                f"without that of the batch, got {describe(x)}{where_called()}"
            )
        return x.shape[-self.axes - 1]


class LazyConv1d(_LazyConvolution, Conv1d):
    """`Conv1d` whose in_channels are those of the first input."""

    becomes = Conv1d


class LazyConv2d(_LazyConvolution, Conv2d):
    """`Conv2d` whose in_channels are those of the first input.

    >>> from backlit import zeros
    >>> layer = LazyConv2d(8, kernel_size=3)
    >>> layer(zeros((2, 3, 5, 5))).shape, layer.in_channels
    ((2, 8, 3, 3), 3)
    """

    becomes = Conv2d


class LazyConv3d(_LazyConvolution, Conv3d):
    """`Conv3d` whose in_channels are those of the first input."""

    becomes = Conv3d


class LazyConvTranspose1d(_LazyConvolution, ConvTranspose1d):
    """`ConvTranspose1d` whose in_channels are those of the first input."""

    becomes = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvolution, ConvTranspose2d):
    """`ConvTranspose2d` whose in_channels are those of the first input."""

    becomes = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvolution, ConvTranspose3d):
    """`ConvTranspose3d` whose in_channels are those of the first input."""

    becomes = ConvTranspose3d


class _LazyNormalization(_Lazy):
    """The base of lazy normalisations of channels."""

    size = "num_features"

    def length(self, x: Tensor) -> int:
        """The axis of channels."""
        accepted = self.becomes.accepted
        if x.ndim not in accepted:
            axes = " or ".join(map(str, accepted))
            raise ShapeError(
                f"{type(self).__name__}: x must have {axes} axes, got {describe(x)}{where_called()}"
            )
        return x.shape[1]


class LazyBatchNorm1d(_LazyNormalization, BatchNorm1d):
    """`BatchNorm1d` whose num_features are those of the first input."""

    becomes = BatchNorm1d


class LazyBatchNorm2d(_LazyNormalization, BatchNorm2d):
    """`BatchNorm2d` whose num_features are those of the first input."""

    becomes = BatchNorm2d


class LazyBatchNorm3d(_LazyNormalization, BatchNorm3d):
    """`BatchNorm3d` whose num_features are those of the first input."""

    becomes = BatchNorm3d


class _LazyInstanceNorm(_LazyNormalization):
    """The base of lazy instance norms, which learn a scale and keep statistics if not told."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def length(self, x: Tensor) -> int:
        """The axis of channels, the first one without a batch."""
        return x.shape[0] if x.ndim == self.becomes.accepted[0] else super().length(x)


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """`InstanceNorm1d(affine=True, track_running_stats=True)` with the first input's features."""

    becomes = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """`InstanceNorm2d(affine=True, track_running_stats=True)` with the first input's features."""

    becomes = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """`InstanceNorm3d(affine=True, track_running_stats=True)` with the first input's features."""

    becomes = InstanceNorm3d


__all__ = [
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "LazyLinear",
]
