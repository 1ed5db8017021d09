"""Functions of functions: derivatives, products with them, and a function of each slice."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .array_api import concat, moveaxis, ones_like, reshape, stack, sum, zeros, zeros_like
from .array_api.arguments import one_axis, whole
from .autograd import enable_grad, grad
from .batch_rules import everywhere
from .batching import RANDOMNESS, Batching
from .errors import ArgumentError, GradientError, ShapeError
from .foreign import require_function, words
from .op import describe
from .ops import elementwise
from .state import STATE
from .tensor import Tensor, apply, as_tensor, wrap
from .tree import flatten, unflatten


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
    points = _several(inputs)
    along = _along("jvp", "tangent", points, tangents)
    with enable_grad():
        leaves = leaves_at(points)
        y = _one("jvp", f(*leaves))
        if not y.requires_grad:
            return y.detach(), zeros_like(y)
        u = ones_like(y).detach().requires_grad_()
        inner = _inner(_dense_grad(y, leaves, u, True), along)
        (pushed,) = _dense_grad(inner, [u], None, False)
    return y.detach(), pushed


def hvp(f: Callable[..., Tensor], inputs: Any, vectors: Any) -> Any:
    """H v, the Hessian of a scalar function times a vector, without building the Hessian.

    The gradient of ⟨∇f, v⟩: Pearlmutter, Neural Computation 6 (1994). One input gives one Tensor.

    >>> hvp(lambda x: (x**3).sum(), as_tensor([1.0, 2.0]), as_tensor([1.0, 1.0]))
    Tensor([ 6., 12.], shape=(2,), dtype=float32)
    """
    require_function("hvp: f", f)
    many = isinstance(inputs, list | tuple)
    points = _several(inputs)
    along = _along("hvp", "vector", points, vectors)
    with enable_grad():
        leaves = leaves_at(points)
        gradients = _dense_grad(_scalar("hvp", f(*leaves)), leaves, None, True)
        products = _dense_grad(_inner(gradients, along), leaves, None, False)
    return products if many else products[0]


def _along(name: str, what: str, points: Sequence[Any], given: Any) -> list[Tensor]:
    """One Tensor for each input, of its shape: the direction of a derivative."""
    along = [as_tensor(v) for v in _several(given)]
    if len(along) != len(points):
        raise ArgumentError(
            f"{name}: one {what} for each input is required, got {len(along)} and {len(points)}"
        )
    for i, (x, v) in enumerate(zip(points, along, strict=True)):
        if as_tensor(x).shape != v.shape:
            shape = as_tensor(x).shape
            raise ShapeError(f"{name}: {what}s[{i}] must have shape {shape}, got {v.shape}")
    return along


def _inner(gradients: Sequence[Tensor], along: Sequence[Tensor]) -> Tensor:
    """The sum of all g v."""
    first, *others = [sum(g * v) for g, v in zip(gradients, along, strict=True)]
    return functools.reduce(Tensor.__add__, others, first)


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
        for i in positions:
            if not -len(args) <= i < len(args):
                raise ArgumentError(
                    f"value_and_grad: argnums has {i}, but {len(args)} arguments were given by "
                    "place; give them so"
                )
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


def vmap(
    f: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that applies f to each slice along an axis, all at once, and stacks the results.

        y[i] = f(x[i], …)

    The function is run once, with Tensors that look like one slice: each op is that of all slices.
    So it may call `grad`, and what comes out can be differentiated, compiled and mapped again.

    `in_axes` has an axis for each argument: an int; None where all slices get the same; or a list
    or dict like an argument that is one. One int is for all. `out_axes` says the same of the
    result, where None is for what is the same in all slices. Keyword arguments are not mapped.
    Random numbers are an error, unless `randomness` says whether slices draw "different" ones or
    the "same". With `chunk_size` no more slices than that are computed at once.

    A value cannot be asked for (`if x > 0`, `item()`), as in a captured function.

    >>> slope = value_and_grad(lambda w, x: (w * x).sum() ** 2)
    >>> vmap(slope, (None, 0))(as_tensor([1.0, -1.0]), as_tensor([[1.0, 0.0], [2.0, 1.0]]))[1]
    Tensor([[2., 0.],
            [4., 2.]], shape=(2, 2), dtype=float32)
    """
    require_function("vmap: f", f)
    if randomness not in RANDOMNESS:
        raise ArgumentError(
            f"vmap: randomness must be one of {', '.join(RANDOMNESS)}, got {randomness!r}"
        )
    most = None if chunk_size is None else whole("vmap: chunk_size", chunk_size)

    @functools.wraps(f)
    def each(*args: Any, **kwargs: Any) -> Any:
        values, structure = flatten(args)
        mapped = _axes("the arguments", in_axes, args)
        values, size = _in_front(values, mapped)

        def some(start: int, stop: int) -> Any:
            parts = values
            if stop - start < size:
                parts = [
                    x if a is None else x[start:stop]
                    for x, a in zip(values, mapped, strict=True)
                ]  # fmt: skip
            level = Batching(stop - start, randomness)
            slices = level.enter(parts, [a is not None for a in mapped])
            with level.inside:
                result = f(*unflatten(structure, slices), **kwargs)
            return _outside(level, result, out_axes)

        if most is None or size <= most:
            return some(0, size)[0]
        parts = [some(start, min(start + most, size)) for start in range(0, size, most)]
        axes = parts[0][1]
        columns = zip(*[flatten(result)[0] for result, _ in parts], strict=True)
        joined = [
            c[0] if a is None else concat(c, axis=a) for c, a in zip(columns, axes, strict=True)
        ]
        return unflatten(flatten(parts[0][0])[1], joined)

    return each


def _axes(what: str, axes: Any, tree: Any) -> list[int | None]:
    """The axis of each leaf of a tree; an axis for a container is that of all in it."""
    if axes is None or type(axes) is int:
        return [axes] * len(flatten(tree)[0])
    if isinstance(axes, list | tuple) and isinstance(tree, list | tuple):
        if len(axes) != len(tree):
            raise ArgumentError(f"vmap: {len(axes)} axes are given for {len(tree)} of {what}")
        pairs = list(zip(axes, tree, strict=True))
    elif isinstance(axes, dict) and isinstance(tree, dict) and axes.keys() == tree.keys():
        pairs = [(axes[key], value) for key, value in tree.items()]
    else:
        raise ArgumentError(
            f"vmap: the axes for {what} must be integers, None, or lists and dicts like these, "
            f"got {axes!r}"
        )
    return [axis for a, value in pairs for axis in _axes(what, a, value)]


def _in_front(values: list[Any], axes: list[int | None]) -> tuple[list[Any], int]:
    """The values with the mapped axes in front, and their size."""
    found = list(values)
    for i, (x, axis) in enumerate(zip(values, axes, strict=True)):
        if axis is None:
            continue
        if not isinstance(x, Tensor | np.ndarray):
            raise ArgumentError(
                f"vmap: what is mapped must be Tensors, got {words(x)[0]}; give it None as its "
                "axis, so that all slices get the same"
            )
        x = as_tensor(x)
        found[i] = moveaxis(x, one_axis("vmap", axis, x.ndim), 0)
    sizes = {x.shape[0] for x, axis in zip(found, axes, strict=True) if axis is not None}
    if len(sizes) != 1:
        raise ShapeError(
            "vmap: the mapped axes must have one size, got "
            f"{', '.join(map(str, sorted(sizes))) or 'no axis to map'}"
        )
    return found, sizes.pop()


def _outside(level: Batching, result: Any, out_axes: Any) -> tuple[Any, list[int | None]]:
    """A function's result with the slices along axes of the Tensors in it, and these axes."""
    values, structure = flatten(result)
    axes = _axes("the result", out_axes, result)
    found = []
    for i, (y, axis) in enumerate(zip(values, axes, strict=True)):
        if not isinstance(y, Tensor):
            raise ArgumentError(f"vmap: the function must return Tensors, got {words(y)[0]}")
        held, mapped = level.leave(y)
        if axis is None:
            if mapped:
                raise ArgumentError(
                    f"vmap: result {i} differs from slice to slice, so its axis cannot be None"
                )
            found.append(held)
            continue
        held = everywhere(held, mapped, level.size)
        axes[i] = one_axis("vmap", axis, held.ndim)
        found.append(moveaxis(held, 0, axes[i]))
    return unflatten(structure, found), axes
