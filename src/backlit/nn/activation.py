"""Activation functions as modules: what goes between the layers of a Sequential."""

from __future__ import annotations

import warnings
from typing import Any

from ..array_api import zeros
from ..array_api.arguments import number, whole
from ..conversion import check_device
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..random import Generator
from ..state import where_called
from ..tensor import Tensor, as_tensor
from . import functional
from .init import constant_
from .module import Module, Parameter


class Sigmoid(Module):
    """y = 1 / (1 + e^-x)."""

    def forward(self, x: Tensor) -> Tensor:
        """σ(x), element by element."""
        return functional.sigmoid(x)


class Tanh(Module):
    """y = tanh x."""

    def forward(self, x: Tensor) -> Tensor:
        """tanh x, element by element."""
        return functional.tanh(x)


class _Replacing(Module):
    """Base of those that can put the result in the place of x."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Whether x takes the result's value."""
        return "inplace=True" if self.inplace else ""


class ReLU(_Replacing):
    """y = max(x, 0), with derivative 0 at 0. With `inplace` x takes this value, too."""

    def forward(self, x: Tensor) -> Tensor:
        """max(x, 0), element by element."""
        return functional.relu(x, self.inplace)


class LeakyReLU(_Replacing):
    """y = x where x > 0, else slope · x. With `inplace` x takes this value, too."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.leaky_relu(x, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}{', inplace=True' * self.inplace}"


class ELU(_Replacing):
    """y = x where x > 0, else α (eˣ - 1). With `inplace` x takes this value, too."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.elu(x, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """α."""
        return f"alpha={self.alpha}{', inplace=True' * self.inplace}"


class Softplus(Module):
    """y = log(1 + e^(βx)) / β, and x where βx > threshold: see `functional.softplus`."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.softplus(x, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """β and the threshold."""
        return f"beta={self.beta}, threshold={self.threshold}"


class SiLU(_Replacing):
    """y = x σ(x), also called swish. With `inplace` x takes this value, too."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.silu(x, self.inplace)


class GELU(Module):
    """y = x Φ(x), exactly or (`approximate="tanh"`) in the form of GPT-2."""

    def __init__(self, approximate: str = "none"):
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ArgumentError(f"GELU: approximate must be 'none' or 'tanh', got {approximate!r}")
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        """The form."""
        return "" if self.approximate == "none" else f"approximate={self.approximate!r}"


class SELU(_Replacing):
    """y = λ x where x > 0, else λ α (eˣ - 1): see `functional.selu`."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.selu(x, self.inplace)


class CELU(_Replacing):
    """y = x where x > 0, else α (e^(x/α) - 1): see `functional.celu`."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.celu(x, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """α."""
        return f"alpha={self.alpha}{', inplace=True' * self.inplace}"


class Hardtanh(_Replacing):
    """y = x limited to [min_val, max_val]: see `functional.hardtanh`."""

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ):
        super().__init__(inplace)
        if min_value is not None or max_value is not None:
            warnings.warn(
                "Hardtanh: min_value and max_value are PyTorch's old words for min_val and max_val",
                stacklevel=2,
            )
            min_val = min_val if min_value is None else min_value
            max_val = max_val if max_value is None else max_value
        if not number("Hardtanh: min_val", min_val) < number("Hardtanh: max_val", max_val):
            raise ArgumentError(
                f"Hardtanh: min_val must lie below max_val, got {min_val} and {max_val}"
            )
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.hardtanh(x, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        """The limits."""
        limits = f"min_val={self.min_val}, max_val={self.max_val}"
        return f"{limits}{', inplace=True' * self.inplace}"


class ReLU6(Hardtanh):
    """y = x limited to [0, 6]: see `functional.relu6`."""

    def __init__(self, inplace: bool = False):
        super().__init__(0.0, 6.0, inplace)

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.relu6(x, self.inplace)

    def extra_repr(self) -> str:
        """Whether x takes the result's value."""
        return "inplace=True" * self.inplace


class Hardsigmoid(_Replacing):
    """y = (x + 3) / 6 limited to [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.hardsigmoid(x, self.inplace)


class Hardswish(_Replacing):
    """y = x · hardsigmoid(x): see `functional.hardswish`."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.hardswish(x, self.inplace)


class Mish(_Replacing):
    """y = x tanh(log(1 + eˣ)): see `functional.mish`."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.mish(x, self.inplace)


class LogSigmoid(Module):
    """y = log σ(x), without overflow."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.logsigmoid(x)


class Softsign(Module):
    """y = x / (1 + |x|)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.softsign(x)


class Tanhshrink(Module):
    """y = x - tanh x."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.tanhshrink(x)


class Softshrink(Module):
    """y = x moved towards 0 by λ, but not beyond: see `functional.softshrink`."""

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.softshrink(x, self.lambd)

    def extra_repr(self) -> str:
        """λ."""
        return str(self.lambd)


class Hardshrink(Softshrink):
    """y = x where |x| > λ, else 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.hardshrink(x, self.lambd)


class Threshold(_Replacing):
    """y = x where x > threshold, else value."""

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.threshold(x, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        """The threshold and the value below it."""
        settings = f"threshold={self.threshold}, value={self.value}"
        return f"{settings}{', inplace=True' * self.inplace}"


class PReLU(Module):
    """y = x where x > 0, else w x, with a learned slope w: see `functional.prelu`.

        x: (N, C, ...), or with one slope of any shape; weight: (num_parameters)

    `num_parameters` is 1 or C; the slopes start at `init`. Let no weight decay pull at them.

    >>> PReLU()(as_tensor([-2.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        check_device(device)
        self.num_parameters = whole("PReLU: num_parameters", num_parameters)
        self.init = number("PReLU: init", init)
        self.weight = Parameter(zeros((num_parameters,), dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All slopes as at the start."""
        constant_(self.weight, self.init)

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.prelu(x, self.weight)

    def extra_repr(self) -> str:
        """How many slopes."""
        return f"num_parameters={self.num_parameters}"


class RReLU(_Replacing):
    """y = x where x > 0, else a x; a uniform in [lower, upper] in training, else their mean.

    Source: Xu et al., arXiv:1505.00853, sec. 2.4.
    """

    _draws = True

    def __init__(
        self,
        lower: float = 1.0 / 8,
        upper: float = 1.0 / 3,
        inplace: bool = False,
        *,
        generator: Generator | None = None,
    ):
        super().__init__(inplace)
        self.lower = lower
        self.upper = upper
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.rrelu(
            x, self.lower, self.upper, self.training, self.inplace, generator=self.generator
        )

    def extra_repr(self) -> str:
        """The range of slopes."""
        return f"lower={self.lower}, upper={self.upper}{', inplace=True' * self.inplace}"


class GLU(Module):
    """y = a σ(b), a and b the two halves of x along the axis `dim`: see `functional.glu`."""

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """(..., 2K, ...) -> (..., K, ...)."""
        return functional.glu(x, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class Softmax(Module):
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ along the axis `dim`: see `functional.softmax`."""

    def __init__(self, dim: int | None = None):
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities along the axis."""
        return functional.softmax(x, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """yᵢ = xᵢ - log Σⱼ e^xⱼ along the axis `dim`."""

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities along the axis."""
        return functional.log_softmax(x, self.dim)


class Softmin(Softmax):
    """yᵢ = e^-xᵢ / Σⱼ e^-xⱼ along the axis `dim`."""

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities along the axis."""
        return functional.softmin(x, self.dim)


class Softmax2d(Module):
    """The softmax over the channels, at each place of an image: (N, C, H, W) or (C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities of the channels."""
        x = as_tensor(x)
        if x.ndim not in (3, 4):
            raise ShapeError(
                f"Softmax2d: x must have shape (N, C, H, W) or (C, H, W), got {describe(x)}"
                f"{where_called()}"
            )
        return functional.softmax(x, -3)
