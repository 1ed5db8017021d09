"""Weights divided by a norm: of each row, with a learned length, or the largest singular value."""

from __future__ import annotations

from typing import Any

from ...array_api import matmul, maximum, permute_dims, reshape, sqrt, vecdot
from ...array_api import sum as total
from ...array_api.arguments import whole
from ...autograd import no_grad
from ...errors import ArgumentError
from ...random import default_generator
from ...tensor import Tensor
from ..convolution import _Transposed
from ..module import Module
from ..parameter import Parameter
from .computed import Computed, compute, computed_of, restore


def norm_except(v: Tensor, dim: int | None) -> Tensor:
    """The norm over all axes but one, which stay with length 1; one number for None."""
    if dim is None or dim < 0:
        return sqrt(total(v * v))
    axes = tuple(i for i in range(v.ndim) if i != dim)
    return sqrt(total(v * v, axis=axes, keepdims=True))


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """A weight as a matrix whose rows are one axis."""
    if dim:
        weight = permute_dims(weight, (dim, *(i for i in range(weight.ndim) if i != dim)))
    return reshape(weight, (weight.shape[0], weight.size // weight.shape[0]))


def _normalized(x: Tensor, eps: float) -> Tensor:
    return x / maximum(sqrt(total(x * x)), eps)


@no_grad()
def power_iterations(
    matrix: Tensor, u: Tensor, v: Tensor, steps: int, eps: float, right_first: bool = False
) -> None:
    """Bring u and v nearer to the first singular vectors of a matrix.

    Each step makes u of v, then v of u, or the other way round with `right_first`.
    """
    left, right = u.detach(), v.detach()
    for _ in range(steps):
        if right_first:
            right = _normalized(matmul(matrix.mT, left), eps)
        left = _normalized(matmul(matrix, right), eps)
        if not right_first:
            right = _normalized(matmul(matrix.mT, left), eps)
    u.assign(left)
    v.assign(right)


def first_vectors(matrix: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Unit vectors to begin with, of random numbers."""
    draw = default_generator().normal
    rows, columns = matrix.shape
    return tuple(_normalized(draw((n,), dtype=matrix.dtype), eps) for n in (rows, columns))  # type: ignore[return-value]


def largest_singular_value(matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """uᵀ W v, whose derivative is that of the largest singular value."""
    return vecdot(u.detach(), matmul(matrix, v.detach()))


def rows_of(module: Module, dim: int | None) -> int:
    """The axis of a layer's outputs in its weight, if none was given."""
    if dim is not None:
        return dim
    return 1 if isinstance(module, _Transposed) else 0


def _weight(what: str, module: Module, name: str) -> Parameter:
    if name in computed_of(module):
        raise ArgumentError(f"{what}: {type(module).__name__}.{name} is computed already")
    weight = module._parameters.get(name)
    if weight is None:
        raise ArgumentError(
            f"{what}: {type(module).__name__} has no parameter {name!r}; it has "
            f"{', '.join(module._parameters) or 'none'}"
        )
    return weight


def weight_norm(module: Module, name: str = "weight", dim: int = 0) -> Module:
    """w = g v / |v|, with learned lengths g and directions v, one for each output.

    The parameters are `weight_g` and `weight_v`. With `dim=None` there is one length for all.
    PyTorch has this as an older way; `parametrizations.weight_norm` has other names.

    Source: Salimans & Kingma, "Weight normalization", NeurIPS 2016, eq. 2.

    >>> from backlit import nn
    >>> [n for n, _ in weight_norm(nn.Linear(3, 2)).named_parameters()]
    ['bias', 'weight_g', 'weight_v']
    """
    v = _weight("weight_norm", module, name)
    g = Parameter(norm_except(v.detach(), dim))
    compute(module, name, Computed(_WeightNorm(name, dim)))
    module.register_parameter(f"{name}_g", g)
    module.register_parameter(f"{name}_v", v)
    return module


class _WeightNorm:
    """g v / |v| of a module."""

    def __init__(self, name: str, dim: int | None):
        self.name, self.dim = name, dim

    def __call__(self, module: Any) -> Tensor:
        g, v = (getattr(module, f"{self.name}_{part}") for part in "gv")
        return v * (g / norm_except(v, self.dim))


class _SpectralNorm:
    """The weight of a module over its largest singular value."""

    def __init__(self, name: str, dim: int, steps: int, eps: float):
        self.name, self.dim, self.steps, self.eps = name, dim, steps, eps

    def __call__(self, module: Any) -> Tensor:
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = as_matrix(weight, self.dim)
        if module.training:
            power_iterations(matrix.detach(), u, v, self.steps, self.eps, right_first=True)
        return weight / largest_singular_value(matrix, u, v)


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """w / σ(w), with the largest singular value σ of the weight as a matrix.

    The parameter is `weight_orig`; buffers `weight_u` and `weight_v` follow the singular vectors,
    by `n_power_iterations` each time the weight is read in training mode. PyTorch has this as an
    older way; `parametrizations.spectral_norm` has other names.

    Source: Miyato et al., "Spectral normalization for GANs", ICLR 2018, algorithm 1.
    """
    whole("spectral_norm: n_power_iterations", n_power_iterations)
    weight = _weight("spectral_norm", module, name)
    axis = rows_of(module, dim)
    u, v = first_vectors(as_matrix(weight.detach(), axis), eps)
    compute(module, name, Computed(_SpectralNorm(name, axis, n_power_iterations, eps)))
    module.register_parameter(f"{name}_orig", weight)
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    return module


def _remove(what: str, kind: type, module: Module, name: str, parts: tuple[str, ...]) -> Module:
    computed = computed_of(module).get(name)
    if computed is None or not isinstance(computed.get, kind):
        raise ArgumentError(f"{what}: {type(module).__name__}.{name} has no such norm")
    training = module.training
    module.training = False
    with no_grad():
        value = getattr(module, name).detach()
    module.training = training
    kept = getattr(module, f"{name}_{parts[0]}")
    for part in parts:
        delattr(module, f"{name}_{part}")
    kept.assign(value)
    restore(module, name, kept)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again, with the value that it has."""
    return _remove("remove_weight_norm", _WeightNorm, module, name, ("v", "g"))


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again, with the value that it has."""
    return _remove("remove_spectral_norm", _SpectralNorm, module, name, ("orig", "u", "v"))


__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]
