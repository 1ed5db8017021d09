"""Numerical gradients, and the check of analytic gradients against them.

The central difference (f(x+h) - f(x-h)) / 2h has the error h² f'''/6 plus rounding ε f / h. In
float64 with h = 1e-6 both are near 1e-10 of the values, so one strict tolerance serves every op.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .autograd import enable_grad, grad
from .dtypes import float64
from .errors import ArgumentError, DTypeError, GradcheckError
from .op import describe
from .tensor import Tensor, as_tensor, wrap


def numerical_gradient(
    f: Callable[..., Tensor], inputs: Sequence[Tensor], upstream: np.ndarray, step: float = 1e-6
) -> list[np.ndarray]:
    """uᵀ J by central differences, one pair of calls for each element of each floating input."""
    arrays = [np.array(x.numpy()) for x in inputs]
    gradients = []
    for k, array in enumerate(arrays):
        gradient = np.zeros(array.shape)
        if inputs[k].requires_grad:
            for index in np.ndindex(array.shape):
                values = []
                for h in (step, -step):
                    moved = array.copy()
                    moved[index] += h
                    point = [wrap(moved if j == k else a) for j, a in enumerate(arrays)]
                    values.append(f(*point).numpy())
                gradient[index] = np.sum(upstream * (values[0] - values[1])) / (2 * step)
        gradients.append(gradient)
    return gradients


def gradcheck(
    f: Callable[..., Tensor],
    inputs: Tensor | Sequence[Tensor],
    *,
    order: int = 1,
    step: float = 1e-6,
    rtol: float = 1e-6,
    atol: float = 1e-7,
    seed: int = 0,
) -> bool:
    """Compare the gradients of f with central differences; return True or raise GradcheckError.

    Inputs that require a gradient must be float64 and away from kinks. The output is weighted with
    random upstream gradients. `order=2` also checks the gradients of the gradients.

    >>> gradcheck(lambda x: x * x, Tensor([1.0, 2.0], dtype="float64", requires_grad=True), order=2)
    True
    """
    points = [inputs] if isinstance(inputs, Tensor) else [as_tensor(x) for x in inputs]
    points = [x.detach().requires_grad_(x.requires_grad) for x in points]
    checked = [i for i, x in enumerate(points) if x.requires_grad]
    if not checked:
        raise ArgumentError("gradcheck: at least one input must require a gradient")
    for i in checked:
        if points[i].dtype != float64:
            raise DTypeError(
                f"gradcheck: inputs[{i}] must be float64, got {describe(points[i])}; differences "
                "in lower precision cannot tell a wrong gradient from rounding"
            )
    if order not in (1, 2):
        raise ArgumentError(f"gradcheck: order must be 1 or 2, got {order}")
    rng = np.random.default_rng(seed)
    with enable_grad():
        y = f(*points)
        upstream = rng.uniform(0.5, 1.5, y.shape)
        _compare("gradient", f, points, checked, y, upstream, step, rtol, atol)
        if order == 2:
            weight = wrap(upstream).requires_grad_()

            def first(*args: Tensor) -> Tensor:
                """The gradients of f as one vector, a function of inputs and upstream."""
                *xs, u = args
                live = [x if x.requires_grad else x.detach() for x in xs]
                for i in checked:
                    if not live[i].requires_grad:
                        live[i].requires_grad_()
                gs = grad(
                    f(*live), [live[i] for i in checked], [u], create_graph=True, allow_unused=True
                )
                from .functions import concat, zeros_like

                full = [
                    zeros_like(live[i]) if g is None else g
                    for i, g in zip(checked, gs, strict=True)
                ]
                return concat([g.flatten() for g in full])

            second_points = [*points, weight]
            z = first(*second_points)
            if z.requires_grad:
                again = rng.uniform(0.5, 1.5, z.shape)
                _compare(
                    "second-order gradient",
                    first,
                    second_points,
                    [*checked, len(points)],
                    z,
                    again,
                    step,
                    rtol,
                    atol,
                )
    return True


def _compare(
    what: str,
    f: Callable[..., Tensor],
    points: list[Tensor],
    checked: list[int],
    y: Tensor,
    upstream: np.ndarray,
    step: float,
    rtol: float,
    atol: float,
) -> None:
    analytic: Any = grad(y, [points[i] for i in checked], [wrap(upstream)], allow_unused=True)
    numerical = numerical_gradient(f, points, upstream, step)
    for i, g in zip(checked, analytic, strict=True):
        got = np.zeros(points[i].shape) if g is None else g.numpy()
        want = numerical[i]
        error = np.abs(got - want)
        bad = ~(error <= atol + rtol * np.maximum(np.abs(want), np.max(np.abs(want), initial=0)))
        if bad.any():
            worst = np.unravel_index(np.argmax(np.where(bad, error, -1)), error.shape)
            where = [int(w) for w in worst]
            raise GradcheckError(
                f"gradcheck: the {what} for inputs[{i}] ({describe(points[i])}) differs from "
                f"central differences in {int(bad.sum())} of {bad.size} elements, most at "
                f"{where}: analytic {got[worst]:.9g}, numerical {want[worst]:.9g}, "
                f"error {error[worst]:.2g}"
            )
