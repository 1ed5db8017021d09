"""Derivatives of functions: products with Jacobians and Hessians, and the matrices themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .array_api import ones_like, reshape, stack, sum, zeros, zeros_like
from .autograd import enable_grad, grad
from .errors import ArgumentError, GradientError, ShapeError
from .foreign import require_function, words
from .op import describe
from .ops import elementwise
from .state import STATE
from .tensor import Tensor, apply, as_tensor, wrap


def _several(inputs: Any) -> list[Any]:
    """Inputs in a list or tuple, or one that is a Tensor, an array or a number."""
    return list(inputs) if isinstance(inputs, list | tuple) else [as_tensor(inputs)]


def leaves_at(inputs: Sequence[Any]) -> list[Tensor]:
    """Inputs to differentiate at: linked to the caller's graph if they are on one, else leaves."""
    result = []
    for x in inputs:
        x = as_tensor(x)
        if x.requires_grad:
            result.append(apply(elementwise.Positive(), x))
        else:
            result.append(x.detach().requires_grad_())
    return result


def _freed(gradients: Any, create_graph: bool) -> Any:
    return gradients if create_graph else tuple(g.detach() for g in gradients)


def vjp(f: Callable[..., Tensor], *inputs: Any) -> tuple[Tensor, Callable[[Any], Any]]:
    """f's value and the function u ↦ uᵀ J, J the Jacobian at the inputs.

    >>> y, pull = vjp(lambda x: x * x, as_tensor([1.0, 2.0]))
    >>> pull(as_tensor([1.0, 10.0]))
    (Tensor([ 2., 40.], shape=(2,), dtype=float32),)
    """
    require_function("vjp: f", f)
    with enable_grad():
        leaves = leaves_at(inputs)
        y = _one("vjp", f(*leaves))

    def pull(upstream: Any, create_graph: bool = False) -> tuple[Tensor, ...]:
        return _dense_grad(y, leaves, as_tensor(upstream), create_graph)

    return y.detach(), pull


def _dense_grad(
    y: Tensor, leaves: Sequence[Tensor], upstream: Tensor | None, create_graph: bool
) -> tuple[Tensor, ...]:
    """Gradients with zeros where y does not depend on a leaf: derivatives, not bookkeeping."""
    if not y.requires_grad:
        return tuple(zeros_like(x) for x in leaves)
    found = grad(
        y,
        leaves,
        None if upstream is None else [upstream],
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )
    return tuple(zeros_like(x) if g is None else g for g, x in zip(found, leaves, strict=True))


def jvp(f: Callable[..., Tensor], inputs: Any, tangents: Any) -> tuple[Tensor, Tensor]:
    """f's value and J v, the derivative along the tangents.

    From the one derivative: u ↦ uᵀ J is linear in u, and its own vjp with v is J v.

    >>> jvp(lambda x: x * x, as_tensor([1.0, 2.0]), as_tensor([1.0, 10.0]))[1]
    Tensor([ 2., 40.], shape=(2,), dtype=float32)
    """
    require_function("jvp: f", f)
    points, along = _several(inputs), _several(tangents)
    if len(points) != len(along):
        raise ArgumentError(
            f"jvp: one tangent for each input is required, got {len(along)} and {len(points)}"
        )
    along = [as_tensor(v) for v in along]
    for i, (x, v) in enumerate(zip(points, along, strict=True)):
        if as_tensor(x).shape != v.shape:
            raise ShapeError(f"jvp: tangents[{i}] must have shape {x.shape}, got {v.shape}")
    with enable_grad():
        leaves = leaves_at(points)
        y = _one("jvp", f(*leaves))
        if not y.requires_grad:
            return y.detach(), zeros_like(y)
        u = ones_like(y).detach().requires_grad_()
        pulled = _dense_grad(y, leaves, u, True)
        total = None
        for g, v in zip(pulled, along, strict=True):
            term = sum(g * v)
            total = term if total is None else total + term
        (pushed,) = _dense_grad(total, [u], None, False)  # type: ignore[arg-type]
    return y.detach(), pushed


def hvp(f: Callable[..., Tensor], inputs: Any, vectors: Any) -> Any:
    """H v, the Hessian of a scalar function times a vector, without building the Hessian.

    The gradient of ⟨∇f, v⟩: Pearlmutter, Neural Computation 6 (1994). One input gives one Tensor.

    >>> hvp(lambda x: (x**3).sum(), as_tensor([1.0, 2.0]), as_tensor([1.0, 1.0]))
    Tensor([ 6., 12.], shape=(2,), dtype=float32)
    """
    require_function("hvp: f", f)
    many = isinstance(inputs, list | tuple)
    points, along = _several(inputs), _several(vectors)
    with enable_grad():
        leaves = leaves_at(points)
        if len(along) != len(points):
            raise ArgumentError(
                f"hvp: one vector for each input is required, got {len(along)} and {len(points)}"
            )
        gradients = _dense_grad(_scalar("hvp", f(*leaves)), leaves, None, True)
        total = None
        for g, v in zip(gradients, along, strict=True):
            term = sum(g * as_tensor(v))
            total = term if total is None else total + term
        products = _dense_grad(total, leaves, None, False)  # type: ignore[arg-type]
    return products if many else products[0]


def _one(name: str, y: Any) -> Tensor:
    if not isinstance(y, Tensor):
        raise ArgumentError(f"{name}: the function must return a Tensor, got {words(y)[0]}")
    return y


def _scalar(name: str, y: Any) -> Tensor:
    if _one(name, y).size != 1:
        raise GradientError(f"{name}: the function must return a single number, got {describe(y)}")
    return y


def value_and_grad(
    f: Callable[..., Tensor], argnums: int | Sequence[int] = 0
) -> Callable[..., tuple[Tensor, Any]]:
    """The function that returns f's scalar value and its gradients for the arguments `argnums`.

    >>> value_and_grad(lambda x: (x * x).sum())(as_tensor([1.0, 2.0]))[1]
    Tensor([2., 4.], shape=(2,), dtype=float32)
    """
    require_function("value_and_grad: f", f)
    many = not isinstance(argnums, int)
    positions: list[int] = [argnums] if isinstance(argnums, int) else list(argnums)

    def both(*args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        with enable_grad():
            leaves = leaves_at([args[i] for i in positions])
            full = list(args)
            for i, leaf in zip(positions, leaves, strict=True):
                full[i] = leaf
            y = _scalar("value_and_grad", f(*full, **kwargs))
        linked = any(isinstance(args[i], Tensor) and args[i].requires_grad for i in positions)
        linked = linked and STATE.grad_enabled
        gradients = _dense_grad(y, leaves, None, linked)
        return (y if linked else y.detach()), gradients if many else gradients[0]

    return both


def jacobian(f: Callable[..., Tensor], inputs: Any, *, create_graph: bool = False) -> Any:
    """J[i, j] = ∂yᵢ/∂xⱼ, of shape (*y.shape, *x.shape), one row a backward walk.

    >>> jacobian(lambda x: x * x, as_tensor([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]], shape=(2, 2), dtype=float32)
    """
    require_function("jacobian: f", f)
    many = isinstance(inputs, list | tuple)
    with enable_grad():
        leaves = leaves_at(_several(inputs))
        y = _one("jacobian", f(*leaves))
        rows: list[tuple[Tensor, ...]] = []
        for i in range(y.size):
            unit = np.zeros(y.size, y.dtype)
            unit[i] = 1
            upstream = wrap(unit.reshape(y.shape))
            rows.append(_freed(_dense_grad(y, leaves, upstream, create_graph), create_graph))
        full = []
        for k, x in enumerate(leaves):
            shape = (*y.shape, *x.shape)
            if rows:
                full.append(reshape(stack([row[k] for row in rows]), shape))
            else:
                full.append(zeros(shape, dtype=x.dtype))
    return tuple(full) if many else full[0]


def hessian(f: Callable[[Tensor], Tensor], x: Any) -> Tensor:
    """H[i, j] = ∂²f/∂xᵢ∂xⱼ of a scalar function of one Tensor, of shape (*x.shape, *x.shape).

    >>> hessian(lambda x: (x**3).sum(), as_tensor([1.0, 2.0]))
    Tensor([[ 6.,  0.],
            [ 0., 12.]], shape=(2, 2), dtype=float32)
    """
    require_function("hessian: f", f)

    def gradient(point: Tensor) -> Tensor:
        return _dense_grad(_scalar("hessian", f(point)), [point], None, True)[0]

    return jacobian(gradient, as_tensor(x))
