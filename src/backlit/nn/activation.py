"""Activation functions as modules: what goes between the layers of a Sequential."""

from __future__ import annotations

from ..array_api import sigmoid, tanh
from ..errors import ArgumentError
from ..tensor import Tensor
from . import functional
from .module import Module


class Sigmoid(Module):
    """y = 1 / (1 + e^-x)."""

    def forward(self, x: Tensor) -> Tensor:
        """σ(x), element by element."""
        return sigmoid(x)


class Tanh(Module):
    """y = tanh x."""

    def forward(self, x: Tensor) -> Tensor:
        """tanh x, element by element."""
        return tanh(x)


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
    """y = log(1 + eˣ)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.softplus(x)


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


class Softmax(Module):
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ along the axis `dim`."""

    def __init__(self, dim: int = -1):
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
