"""Parametrizations known by name: lengths apart from directions, bounded singular values."""

from __future__ import annotations

from ...array_api import maximum
from ...array_api.arguments import whole
from ...autograd import no_grad
from ...calls import explain
from ...errors import ArgumentError
from ...op import describe
from ...tensor import Tensor
from ..module import Module
from .norms import (
    as_matrix,
    first_vectors,
    largest_singular_value,
    norm_except,
    power_iterations,
    rows_of,
)
from .orthogonal import MAPS, Orthogonal
from .parametrize import register_parametrization


class _WeightNorm(Module):
    """g v / |v|, of originals g and v."""

    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        """The weight."""
        return weight_v * (weight_g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The lengths, and the weight for the directions."""
        return norm_except(weight, self.dim), weight


class _SpectralNorm(Module):
    """A weight over its largest singular value."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, steps: int, dim: int, eps: float):
        super().__init__()
        self.dim, self.n_power_iterations, self.eps = dim, steps, eps
        if weight.ndim > 1:
            matrix = as_matrix(weight, dim)
            u, v = first_vectors(matrix, eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)
            power_iterations(matrix, u, v, 15, eps)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight, with the singular vectors followed in training mode."""
        if weight.ndim == 1:
            length = norm_except(weight, None)
            return weight / maximum(length, self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            power_iterations(matrix.detach(), self._u, self._v, self.n_power_iterations, self.eps)
        return weight / largest_singular_value(matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        """The value itself."""
        return value


def weight_norm(module: Module, name: str = "weight", dim: int = 0) -> Module:
    """w = g v / |v|, with learned lengths g and directions v, one for each output.

    The parameters are `parametrizations.weight.original0`, g, and original1, v.

    Source: Salimans & Kingma, "Weight normalization", NeurIPS 2016, eq. 2.
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


@no_grad()
def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """w / σ(w), with the largest singular value σ of the weight as a matrix.

    The parameter is `parametrizations.weight.original`; two buffers follow the singular vectors,
    by `n_power_iterations` each time the weight is read in training mode, and 15 at the beginning.

    Source: Miyato et al., "Spectral normalization for GANs", ICLR 2018, algorithm 1.
    """
    whole("spectral_norm: n_power_iterations", n_power_iterations)
    weight: Tensor = getattr(module, name).detach()
    layer = _SpectralNorm(weight, n_power_iterations, rows_of(module, dim), eps)
    return register_parametrization(module, name, layer)


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """A weight whose columns (rows, if those are fewer) stay orthonormal, also while it is learned.

    The map from a free matrix is "matrix_exp" (the exponential of X - Xᵀ, for square weights if
    none is named), "cayley" or "householder" (reflections, for the others). With
    `use_trivialization` the result is a `base`, the weight made orthonormal, times the map, which
    begins at the identity. The parameter is `parametrizations.weight.original`.

    Source: Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds", NeurIPS
    2019; Cayley: Lezcano-Casado & Martínez-Rubio, ICML 2019.

    >>> import backlit
    >>> from backlit import nn
    >>> w = orthogonal(nn.Linear(3, 3)).weight.detach()
    >>> bool((abs(w @ w.mT - backlit.eye(3)) < 1e-5).all())
    True
    """
    weight = module._parameters.get(name)
    if weight is None or weight.ndim < 2:
        got = "none" if weight is None else describe(weight)
        raise ArgumentError(
            f"orthogonal: {type(module).__name__}.{name} must be a parameter of at least 2 axes, "
            f"got {got}"
        )
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square else "householder"
    if orthogonal_map not in MAPS:
        raise ArgumentError(
            f"orthogonal: orthogonal_map must be one of {', '.join(MAPS)}, got {orthogonal_map!r}"
        )
    layer = Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return register_parametrization(module, name, layer, unsafe=True)


__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

explain(__name__, __all__)
