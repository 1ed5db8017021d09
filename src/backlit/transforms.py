"""Functions of functions: derivatives, products with them, and a function of each slice."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .array_api import concat, moveaxis, ones_like, reshape, stack, sum, zeros, zeros_like
from .array_api.arguments import one_axis, whole
from .autograd import enable_grad, grad, topological
from .batch_rules import everywhere
from .batching import RANDOMNESS, Batching
from .errors import ArgumentError, GradientError, ShapeError
from .foreign import require_function, words
from .op import describe
from .ops import elementwise
from .state import STATE
from .tape import is_open
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


def pulled(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    vectors: Sequence[Tensor] | None,
    create_graph: bool,
) -> list[Tensor | None]:
    """vᵀ J for each input, None where no output depends on it. The graph is kept."""
    on = [i for i, y in enumerate(outputs) if y.requires_grad]
    if not on:
        return [None] * len(inputs)
    found = grad(
        [outputs[i] for i in on],
        inputs,
        None if vectors is None else [vectors[i] for i in on],
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )
    return list(found)


def dense(gradients: Sequence[Tensor | None], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Gradients with zeros for None."""
    return [zeros_like(x) if g is None else g for g, x in zip(gradients, inputs, strict=True)]


def parts_of(x: Any) -> tuple[list[Tensor], Any]:
    """The Tensors in nested dicts, lists and tuples, and their form. A list of numbers is one."""
    found, structure = flatten(x)
    if isinstance(x, list | tuple) and not any(isinstance(v, Tensor | np.ndarray) for v in found):
        return [as_tensor(x)], None
    return [as_tensor(v) for v in found], structure


def tensors_of(name: str, result: Any) -> tuple[list[Tensor], Any]:
    """The Tensors of a function's result, and their form."""
    found, structure = flatten(result)
    for y in found:
        if not isinstance(y, Tensor):
            raise ArgumentError(f"{name}: the function must return Tensors, got {words(y)[0]}")
    return found, structure


class Point:
    """A function at a point: the Tensors in some of its arguments as leaves, and its value.

    What is computed from it is on the tape if somebody asks for its derivative: by an argument, or
    by a Tensor that the function finds around it.
    """

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        argnums: int | Sequence[int],
        has_aux: bool = False,
    ):
        self.one = isinstance(argnums, int)
        full = list(args)
        self.leaves: list[Tensor] = []
        self.structures: list[Any] = []
        asked = False
        for i in [argnums] if isinstance(argnums, int) else argnums:
            if not -len(full) <= i < len(full):
                raise ArgumentError(
                    f"{name}: argnums has {i}, but {len(full)} arguments were given by place; give "
                    "them so"
                )
            found, structure = parts_of(full[i])
            asked = asked or any(x.requires_grad for x in found)
            leaves = leaves_at(found)
            self.structures.append((structure, len(leaves)))
            self.leaves += leaves
            full[i] = unflatten(structure, leaves)
        with enable_grad():
            result = f(*full, **kwargs)
        self.aux: Any = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise ArgumentError(f"{name}: with has_aux func must return (output, aux)")
            result, self.aux = result
        self.value = result
        self.linked = STATE.grad_enabled and (asked or self._reaches_out())
        self.aux = self._out(self.aux)

    def _reaches_out(self) -> bool:
        """Whether the value depends on a leaf that asks for gradients and is none of its own."""
        roots = [y.node for y in flatten(self.value)[0] if isinstance(y, Tensor) and y.node]
        own = set(self.leaves)
        return any(
            isinstance(edge, Tensor) and edge not in own and is_open(edge)
            for node in topological(roots)
            for edge in node.inputs
        )

    def _out(self, tree: Any) -> Any:
        """A result as it is handed out: on the tape only if somebody asks for its derivative."""
        found, structure = flatten(tree)
        out = [x.detach() if isinstance(x, Tensor) and not self.linked else x for x in found]
        return unflatten(structure, out)

    def output(self) -> Any:
        """The value of the function."""
        return self._out(self.value)

    def pull(self, outputs: Sequence[Tensor], vectors: Any, again: bool = False) -> list[Tensor]:
        """vᵀ J for each leaf, zeros where the value does not depend on it."""
        found = pulled(outputs, self.leaves, vectors, again or self.linked)
        return dense(found, self.leaves)

    def matrices(self, y: Tensor, again: bool = False) -> list[Tensor]:
        """∂yᵢ/∂xⱼ for each leaf, of shape (*y.shape, *x.shape), one row a backward walk."""
        rows = []
        for i in range(y.size):
            unit = np.zeros(y.size, y.dtype)
            unit[i] = 1
            rows.append(self.pull([y], [wrap(unit.reshape(y.shape))], again))
        return [
            reshape(stack([row[k] for row in rows]), (*y.shape, *x.shape))
            if rows
            else zeros((*y.shape, *x.shape), dtype=x.dtype)
            for k, x in enumerate(self.leaves)
        ]

    def shaped(self, values: Sequence[Any]) -> Any:
        """One value for each leaf, in the arguments' own form."""
        parts, start = [], 0
        for structure, count in self.structures:
            parts.append(unflatten(structure, values[start : start + count]))
            start += count
        return self._out(parts[0] if self.one else tuple(parts))


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
    vectors = None if upstream is None else [upstream]
    return tuple(dense(pulled([y], leaves, vectors, create_graph), leaves))


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

    An argument may be Tensors in nested dicts, lists and tuples; its gradients have the same form.

    >>> value_and_grad(lambda x: (x * x).sum())(as_tensor([1.0, 2.0]))[1]
    Tensor([2., 4.], shape=(2,), dtype=float32)
    >>> point = {"w": as_tensor(2.0), "b": [as_tensor(3.0)]}
    >>> value_and_grad(lambda p: p["w"] * p["b"][0])(point)[1]
    {'w': Tensor(3., shape=(), dtype=float32), 'b': [Tensor(2., shape=(), dtype=float32)]}
    """
    require_function("value_and_grad: f", f)

    def both(*args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        at = Point("value_and_grad", f, args, kwargs, argnums)
        y = _scalar("value_and_grad", at.value)
        return at.output(), at.shaped(at.pull([y], None))

    return both


def jacobian(f: Callable[..., Any], inputs: Any, *, create_graph: bool = False) -> Any:
    """J[i, j] = ∂yᵢ/∂xⱼ, of shape (*y.shape, *x.shape), one row a backward walk.

    A list or tuple has an input for each argument of f. The value and each input may be Tensors in
    nested dicts, lists and tuples: where the value has a Tensor, there is J in the inputs' form.

    >>> jacobian(lambda x: x * x, as_tensor([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]], shape=(2, 2), dtype=float32)
    >>> jacobian(lambda p: p["a"] * p["b"], {"a": as_tensor(2.0), "b": as_tensor([3.0])})["b"]
    Tensor([[2.]], shape=(1, 1), dtype=float32)
    """
    require_function("jacobian: f", f)
    if isinstance(inputs, list | tuple):
        return _jacobian("jacobian", f, inputs, range(len(inputs)), create_graph)
    return _jacobian("jacobian", f, [inputs], 0, create_graph)


def _jacobian(
    name: str, f: Callable[..., Any], args: Any, argnums: Any, create_graph: bool | None
) -> Any:
    """J. Where `create_graph` is None it is on the tape if somebody asks for its derivative."""
    at = Point(name, f, args, {}, argnums)
    if create_graph is not None:
        at.linked = create_graph
    outputs, structure = tensors_of(name, at.value)
    with enable_grad():
        return unflatten(structure, [at.shaped(at.matrices(y)) for y in outputs])


def hessian(f: Callable[..., Tensor], x: Any) -> Any:
    """H[i, j] = ∂²f/∂xᵢ∂xⱼ of a scalar function of x, of shape (*x.shape, *x.shape).

    Of Tensors in nested dicts, lists and tuples, `hessian(f, x)["a"]["b"]` is ∂²f/∂a∂b.

    >>> hessian(lambda x: (x**3).sum(), as_tensor([1.0, 2.0]))
    Tensor([[ 6.,  0.],
            [ 0., 12.]], shape=(2, 2), dtype=float32)
    >>> hessian(lambda p: p["a"] ** 2 * p["b"], {"a": as_tensor(2.0), "b": as_tensor(3.0)})["a"]
    {'a': Tensor(6., shape=(), dtype=float32), 'b': Tensor(4., shape=(), dtype=float32)}
    """
    require_function("hessian: f", f)

    def slopes(point: Any) -> Any:
        leaves, structure = parts_of(point)
        return unflatten(structure, _dense_grad(_scalar("hessian", f(point)), leaves, None, True))

    return _jacobian("hessian", slopes, [x], 0, None)


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
