"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ...array_api import concat, reshape
from ...array_api.arguments import listed
from ...errors import ShapeError
from ...op import describe
from ...tensor import Tensor, as_tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of all parameters, one after the other; gradients go back through it.

    >>> from backlit import ones, zeros
    >>> parameters_to_vector([ones((1, 2)), zeros(1)]).tolist()
    [1.0, 1.0, 0.0]
    """
    return concat([reshape(p, (p.size,)) for p in listed("parameters_to_vector", parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give parameters the values of a vector that has all of their elements."""
    vec = as_tensor(vec).detach()
    given = listed("vector_to_parameters", parameters)
    total = sum(p.size for p in given)
    if vec.shape != (total,):
        raise ShapeError(
            f"vector_to_parameters: the vector must have the ({total},) elements of the "
            f"parameters, got {describe(vec)}"
        )
    start = 0
    for p in given:
        p.assign(reshape(vec[start : start + p.size], p.shape))
        start += p.size


__all__ = ["parameters_to_vector", "vector_to_parameters"]
