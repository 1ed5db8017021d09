"""`torch.func`: derivatives as functions of functions, over nested dicts, lists and tuples."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .. import transforms
from ..array_api import reshape, stack, zeros, zeros_like
from ..autograd import enable_grad
from ..autograd import grad as gradients_of
from ..errors import ArgumentError, GradientError, ShapeError
from ..foreign import require_function, words
from ..nn.module import Module
from ..state import STATE
from ..tensor import Tensor
from ..transforms import leaves_at
from ..tree import flatten, unflatten

Argnums = int | tuple[int, ...]


class _At:
    """A function at a point: the Tensors in some of its arguments as leaves, and its value."""

    def __init__(
        self,
        name: str,
        func: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        argnums: Argnums,
        has_aux: bool,
    ):
        self.one = isinstance(argnums, int)
        self.places = [argnums] if isinstance(argnums, int) else list(argnums)
        full = list(args)
        self.leaves: list[Tensor] = []
        self.structures: list[Any] = []
        self.linked = False
        for i in self.places:
            if not -len(full) <= i < len(full):
                raise ArgumentError(f"{name}: argnums has {i}, but got {len(full)} arguments")
            found, structure = flatten(full[i])
            for x in found:
                if not isinstance(x, Tensor):
                    raise ArgumentError(
                        f"{name}: argument {i} must be Tensors in dicts, lists or tuples, got "
                        f"{words(x)[0]}"
                    )
            self.linked = self.linked or any(x.requires_grad for x in found)
            leaves = leaves_at(found)
            self.structures.append((structure, len(leaves)))
            self.leaves += leaves
            full[i] = unflatten(structure, leaves)
        #: Whether somebody outside asks for the derivative of the result.
        self.linked = self.linked and STATE.grad_enabled
        with enable_grad():
            result = func(*full, **kwargs)
        self.aux: Any = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise ArgumentError(f"{name}: with has_aux func must return (output, aux)")
            result, self.aux = result
            self.aux = self._out(self.aux)
        self.value = result

    def _out(self, tree: Any) -> Any:
        """A result as it is handed out: on the tape only if somebody asks for its derivative."""
        found, structure = flatten(tree)
        out = [x.detach() if isinstance(x, Tensor) and not self.linked else x for x in found]
        return unflatten(structure, out)

    def output(self) -> Any:
        """The value of the function."""
        return self._out(self.value)

    def pull(self, outputs: Sequence[Tensor], vectors: Any, again: bool = False) -> list[Tensor]:
        """vᵀ J for each leaf."""
        on = [i for i, y in enumerate(outputs) if y.requires_grad]
        if not on:
            return [zeros_like(x) for x in self.leaves]
        found = gradients_of(
            [outputs[i] for i in on],
            self.leaves,
            None if vectors is None else [vectors[i] for i in on],
            retain_graph=True,
            create_graph=again or self.linked,
            allow_unused=True,
        )
        return [zeros_like(x) if g is None else g for g, x in zip(found, self.leaves, strict=True)]

    def shaped(self, values: Sequence[Any]) -> Any:
        """One value for each leaf, in the arguments' own form."""
        parts, start = [], 0
        for structure, count in self.structures:
            parts.append(self._out(unflatten(structure, values[start : start + count])))
            start += count
        return parts[0] if self.one else tuple(parts)


def _tensors(name: str, tree: Any) -> tuple[list[Tensor], Any]:
    """The Tensors of a function's value, and its form."""
    found, structure = flatten(tree)
    for y in found:
        if not isinstance(y, Tensor):
            raise ArgumentError(f"{name}: func must return Tensors, got {words(y)[0]}")
    return found, structure


def grad_and_value(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that returns (gradients, value), or (gradients, (value, aux)).

    >>> from backlit import tensor
    >>> grad_and_value(lambda p: (p["w"] ** 2).sum())({"w": tensor([1.0, 2.0])})[0]
    {'w': Tensor([2., 4.], shape=(2,), dtype=float32)}
    """
    require_function("grad: func", func)

    @functools.wraps(func)
    def both(*args: Any, **kwargs: Any) -> Any:
        at = _At("grad", func, args, kwargs, argnums, has_aux)
        (y,), _ = _single(at.value)
        slopes = at.shaped(at.pull([y], None))
        return slopes, (at.output(), at.aux) if has_aux else at.output()

    return both


def _single(value: Any) -> tuple[list[Tensor], Any]:
    found, structure = _tensors("grad", value)
    if len(found) != 1 or found[0].size != 1:
        shapes = ", ".join(str(y.shape) for y in found) or "nothing"
        raise GradientError(f"grad: func must return a single number, got {shapes}")
    return found, structure


def grad(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that returns the gradients of `func`, or (gradients, aux).

    >>> from backlit import tensor
    >>> grad(grad(lambda x: x**3))(tensor(2.0))
    Tensor(12., shape=(), dtype=float32)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def slopes(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return slopes


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """func's value and the function v ↦ vᵀ J, which gives one result for each argument."""
    require_function("vjp: func", func)
    at = _At("vjp", func, primals, {}, tuple(range(len(primals))), has_aux)
    outputs, _ = _tensors("vjp", at.value)

    def pull(*cotangents: Any) -> Any:
        vectors, _ = _tensors("vjp", cotangents[0] if len(cotangents) == 1 else cotangents)
        return at.shaped(at.pull(outputs, vectors))

    return (at.output(), pull, at.aux) if has_aux else (at.output(), pull)


def jvp(
    func: Callable[..., Any],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """func's value and J v, the derivative along the tangents."""
    require_function("jvp: func", func)
    at = _At("jvp", func, primals, {}, tuple(range(len(primals))), has_aux)
    along, _ = flatten(tuple(tangents))
    if [v.shape for v in along] != [x.shape for x in at.leaves]:
        raise ShapeError("jvp: the tangents must have the shapes of the primals")
    outputs, structure = _tensors("jvp", at.value)
    pushed = at._out(unflatten(structure, _push(at, outputs, along)))
    return (at.output(), pushed, at.aux) if has_aux else (at.output(), pushed)


def _push(at: _At, outputs: Sequence[Tensor], along: Sequence[Tensor]) -> list[Tensor]:
    """J v: u ↦ uᵀ J is linear in u, and its own product with v is J v."""
    with enable_grad():
        free = [zeros_like(y).requires_grad_() for y in outputs]
        pulled = at.pull(outputs, free, again=True)
        on = [i for i, g in enumerate(pulled) if g.requires_grad]
        if not on:
            return [zeros_like(y) for y in outputs]
        found = gradients_of(
            [pulled[i] for i in on],
            free,
            [along[i] for i in on],
            retain_graph=True,
            create_graph=at.linked,
            allow_unused=True,
        )
    return [zeros_like(y) if g is None else g for g, y in zip(found, outputs, strict=True)]


def jacrev(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that returns J, one row for each walk backwards.

    >>> from backlit import tensor
    >>> jacrev(lambda x: x * x)(tensor([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]], shape=(2, 2), dtype=float32)
    """
    require_function("jacrev: func", func)

    @functools.wraps(func)
    def matrix(*args: Any, **kwargs: Any) -> Any:
        at = _At("jacrev", func, args, kwargs, argnums, has_aux)
        outputs, structure = _tensors("jacrev", at.value)
        found = []
        for y in outputs:
            with enable_grad():
                flat = reshape(y, (-1,))
                rows = [at.pull([flat[i]], None) for i in range(y.size)]
                full = [
                    reshape(stack([row[k] for row in rows]), (*y.shape, *x.shape))
                    if rows
                    else zeros((*y.shape, *x.shape), dtype=x.dtype)
                    for k, x in enumerate(at.leaves)
                ]
            found.append(at.shaped(full))
        result = unflatten(structure, found)
        return (result, at.aux) if has_aux else result

    return matrix


def jacfwd(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that returns J. Backlit has one derivative, backwards: this is `jacrev`."""
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that returns H of a single number.

    >>> from backlit import tensor
    >>> hessian(lambda x: (x**3).sum())(tensor([1.0, 2.0]))
    Tensor([[ 6.,  0.],
            [ 0., 12.]], shape=(2, 2), dtype=float32)
    """
    return jacrev(jacrev(func, argnums), argnums)


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """What a module computes with other parameters and buffers, given by their names.

    >>> from backlit import nn, tensor
    >>> layer = nn.Linear(1, 1, bias=False)
    >>> functional_call(layer, {"weight": tensor([[3.0]])}, tensor([2.0])).tolist()
    [6.0]
    """
    given: dict[str, Any] = {}
    dicts = parameter_and_buffer_dicts
    for one in [dicts] if isinstance(dicts, dict) else list(dicts):
        given.update(one)
    held = {**_places(module, "_parameters"), **_places(module, "_buffers")}
    unknown = [name for name in given if name not in held]
    missing = [name for name in held if name not in given] if strict else []
    if unknown or missing:
        what, name = ("has no", unknown[0]) if unknown else ("lacks a value for", missing[0])
        raise ArgumentError(f"functional_call: {type(module).__name__} {what} {name!r}")
    new = dict(given)
    if tie_weights:
        for name, value in given.items():
            own = _held(held[name])
            new.update({n: value for n, p in held.items() if _held(p) is own and n not in given})
    before = {name: _held(held[name]) for name in new}
    try:
        for name, value in new.items():
            _hold(held[name], value)
        arguments = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*arguments, **(kwargs or {}))
    finally:
        for name, value in before.items():
            _hold(held[name], value)


#: Where a parameter or buffer is held: its module, the dict there, and its name.
_Place = tuple[Module, dict[str, Any], str]


def _held(place: _Place) -> Any:
    _, held, name = place
    return held[name]


def _hold(place: _Place, value: Any) -> None:
    module, held, name = place
    module._set(name, value, held)


def _places(module: Module, kind: str) -> dict[str, _Place]:
    """Where each parameter or buffer is held, by its full name."""
    found = {}
    for prefix, inner in module.named_modules():
        held = getattr(inner, kind)
        for name, value in held.items():
            if value is not None:
                found[f"{prefix}.{name}" if prefix else name] = (inner, held, name)
    return found


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that applies `func` to each slice along an axis, all at once.

    It is `backlit.vmap`, whose words are `in_axes` and `out_axes`.

    >>> from backlit import tensor
    >>> vmap(grad(lambda w, x: w * x * x), in_dims=(None, 0))(tensor(1.0), tensor([2.0, 3.0]))
    Tensor([4., 9.], shape=(2,), dtype=float32)
    """
    require_function("vmap: func", func)
    return transforms.vmap(func, in_dims, out_dims, randomness, chunk_size=chunk_size)


__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "vjp",
    "vmap",
]
