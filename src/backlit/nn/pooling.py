"""Pooling layers for signals (N, C, L), images (N, C, H, W) and volumes (N, C, D, H, W)."""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import ArgumentError
from ..random import Generator
from ..tensor import Tensor
from . import functional
from .functional.places import Sizes
from .module import Module


class _Pooling(Module):
    """Base of the poolings: kernel, stride (the kernel if None) and padding."""

    function: ClassVar[str]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        *,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        """The windows."""
        text = f"kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != 0:
            text += f", padding={self.padding}"
        return text + (", ceil_mode=True" if self.ceil_mode else "")


class MaxPool1d(_Pooling):
    """The largest element of each window of a signal: see `functional.max_pool1d`.

    With `return_indices` there are two results: also where each stands, for `MaxUnpool1d`.
    """

    function = "max_pool1d"

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode=ceil_mode)
        self.dilation = dilation
        self.return_indices = return_indices

    def forward(self, x: Tensor) -> Any:
        """(N, C, *places) -> (N, C, *windows)."""
        pool = getattr(functional, self.function)
        return pool(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )


class MaxPool2d(MaxPool1d):
    """The largest element of each window of an image: see `functional.max_pool2d`.

    >>> from backlit import zeros
    >>> MaxPool2d(2)(zeros((1, 3, 8, 8))).shape
    (1, 3, 4, 4)
    """

    function = "max_pool2d"


class MaxPool3d(MaxPool1d):
    """The largest element of each window of a volume: see `functional.max_pool3d`.

    >>> from backlit import zeros
    >>> MaxPool3d(2)(zeros((1, 3, 8, 8, 8))).shape
    (1, 3, 4, 4, 4)
    """

    function = "max_pool3d"


class AvgPool1d(_Pooling):
    """The mean of each window of a signal: see `functional.avg_pool1d`."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode=ceil_mode)
        self.count_include_pad = count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, L) -> (N, C, P)."""
        return functional.avg_pool1d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )


class AvgPool2d(AvgPool1d):
    """The mean of each window of an image: see `functional.avg_pool2d`."""

    function = "avg_pool2d"

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *places) -> (N, C, *windows)."""
        pool = getattr(functional, self.function)
        return pool(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool3d(AvgPool2d):
    """The mean of each window of a volume: see `functional.avg_pool3d`.

    >>> from backlit import zeros
    >>> AvgPool3d(2)(zeros((1, 3, 8, 8, 8))).shape
    (1, 3, 4, 4, 4)
    """

    function = "avg_pool3d"


class LPPool1d(Module):
    """(Σ xᵖ)^(1/p) over each window of a signal: see `functional.lp_pool1d`.

    >>> from backlit import tensor
    >>> LPPool1d(2, 2)(tensor([[3.0, 4.0]])).tolist()
    [[5.0]]
    """

    function: ClassVar[str] = "lp_pool1d"

    def __init__(
        self,
        norm_type: float,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *places) -> (N, C, *windows)."""
        pool = getattr(functional, self.function)
        return pool(x, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        """The norm and the windows."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool2d(LPPool1d):
    """(Σ xᵖ)^(1/p) over each window of an image: see `functional.lp_pool1d`."""

    function = "lp_pool2d"


class LPPool3d(LPPool1d):
    """(Σ xᵖ)^(1/p) over each window of a volume: see `functional.lp_pool1d`."""

    function = "lp_pool3d"


# -- a given number of windows ------------------------------------------------------------------


class AdaptiveAvgPool1d(Module):
    """The means of a fixed number of windows: see `functional.adaptive_avg_pool1d`.

    >>> from backlit import zeros
    >>> AdaptiveAvgPool1d(6)(zeros((1, 3, 13))).shape
    (1, 3, 6)
    """

    function: ClassVar[str] = "adaptive_avg_pool1d"

    def __init__(self, output_size: Any):
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Tensor) -> Any:
        """(N, C, *places) -> (N, C, *output_size)."""
        return getattr(functional, self.function)(x, self.output_size)

    def extra_repr(self) -> str:
        """The size."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(AdaptiveAvgPool1d):
    """The means of a fixed number of windows: see `functional.adaptive_avg_pool2d`.

    >>> from backlit import zeros
    >>> AdaptiveAvgPool2d((6, 6))(zeros((1, 3, 13, 9))).shape
    (1, 3, 6, 6)
    """

    function = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(AdaptiveAvgPool1d):
    """The means of a fixed number of windows: see `functional.adaptive_avg_pool3d`.

    >>> from backlit import zeros
    >>> AdaptiveAvgPool3d((6, None, 3))(zeros((1, 3, 13, 9, 4))).shape
    (1, 3, 6, 9, 3)
    """

    function = "adaptive_avg_pool3d"


class AdaptiveMaxPool1d(AdaptiveAvgPool1d):
    """The largest of a fixed number of windows: see `functional.adaptive_max_pool1d`.

    >>> from backlit import zeros
    >>> AdaptiveMaxPool1d(6)(zeros((1, 3, 13))).shape
    (1, 3, 6)
    """

    function = "adaptive_max_pool1d"

    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, x: Tensor) -> Any:
        """(N, C, *places) -> (N, C, *output_size)."""
        return getattr(functional, self.function)(x, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(AdaptiveMaxPool1d):
    """The largest of a fixed number of windows: see `functional.adaptive_max_pool2d`.

    >>> from backlit import zeros
    >>> AdaptiveMaxPool2d((6, None))(zeros((1, 3, 13, 9))).shape
    (1, 3, 6, 9)
    """

    function = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(AdaptiveMaxPool1d):
    """The largest of a fixed number of windows: see `functional.adaptive_max_pool3d`.

    >>> from backlit import zeros
    >>> AdaptiveMaxPool3d(2)(zeros((1, 3, 5, 4, 3))).shape
    (1, 3, 2, 2, 2)
    """

    function = "adaptive_max_pool3d"


class FractionalMaxPool2d(Module):
    """The largest of windows at random distances: see `functional.fractional_max_pool2d`.

    Source: Graham, "Fractional max-pooling", arXiv:1412.6071, sec. 2.

    >>> from backlit import zeros
    >>> FractionalMaxPool2d(2, output_ratio=0.7)(zeros((1, 3, 10, 10))).shape
    (1, 3, 7, 7)
    """

    function: ClassVar[str] = "fractional_max_pool2d"

    _draws = True

    def __init__(
        self,
        kernel_size: Sizes,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        if (output_size is None) == (output_ratio is None):
            raise ArgumentError(
                f"{type(self).__name__}: give output_size or output_ratio, and not both, got "
                f"{output_size} and {output_ratio}"
            )
        self.kernel_size = kernel_size
        self.output_size = output_size
        self.output_ratio = output_ratio
        self.return_indices = return_indices
        self._random_samples: Any
        self.register_buffer("_random_samples", _random_samples)
        self.generator = generator

    def forward(self, x: Tensor) -> Any:
        """(N, C, *places) -> (N, C, *output_size)."""
        return getattr(functional, self.function)(
            x,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            self._random_samples,
            generator=self.generator,
        )

    def extra_repr(self) -> str:
        """The windows."""
        what = "output_size" if self.output_ratio is None else "output_ratio"
        return f"kernel_size={self.kernel_size}, {what}={getattr(self, what)}"


class FractionalMaxPool3d(FractionalMaxPool2d):
    """The largest of windows at random distances: see `functional.fractional_max_pool3d`."""

    function = "fractional_max_pool3d"


# -- the way back -------------------------------------------------------------------------------


class MaxUnpool1d(Module):
    """Zeros with each element where the pooling found it: see `functional.max_unpool1d`.

    >>> from backlit import tensor
    >>> pool, unpool = MaxPool1d(2, return_indices=True), MaxUnpool1d(2)
    >>> unpool(*pool(tensor([[1.0, 3.0, 2.0, 0.0]]))).tolist()
    [[0.0, 3.0, 2.0, 0.0]]
    """

    function: ClassVar[str] = "max_unpool1d"

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def forward(self, x: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """(N, C, *windows) -> (N, C, *places)."""
        return getattr(functional, self.function)(
            x, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        """The windows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool2d(MaxUnpool1d):
    """Zeros with each element where the pooling found it: see `functional.max_unpool2d`."""

    function = "max_unpool2d"


class MaxUnpool3d(MaxUnpool1d):
    """Zeros with each element where the pooling found it: see `functional.max_unpool3d`."""

    function = "max_unpool3d"
