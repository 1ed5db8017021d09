"""`torch.func`: derivatives as functions of functions, over nested dicts, lists and tuples."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .. import transforms
from ..array_api import stack, zeros_like
from ..autograd import enable_grad
from ..errors import ArgumentError, GradientError, ShapeError
from ..foreign import require_function, words
from ..nn.module import Module
from ..tensor import Tensor
from ..transforms import Point, dense, pulled, tensors_of
from ..tree import flatten, unflatten
from .mirror import mirrored as _mirrored

Argnums = int | tuple[int, ...]


def _at(
    name: str,
    func: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    argnums: Argnums,
    has_aux: bool,
) -> Point:
    """A function at a point of Tensors: unlike Backlit's own, it takes no arrays and numbers."""
    for i in [argnums] if isinstance(argnums, int) else argnums:
        for x in flatten(args[i])[0] if -len(args) <= i < len(args) else ():
            if not isinstance(x, Tensor):
                raise ArgumentError(
                    f"{name}: argument {i} must be Tensors in dicts, lists or tuples, got "
                    f"{words(x)[0]}"
                )
    return Point(name, func, args, kwargs, argnums, has_aux)


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
        at = _at("grad", func, args, kwargs, argnums, has_aux)
        (y,), _ = _single(at.value)
        slopes = at.shaped(at.pull([y], None))
        return slopes, (at.output(), at.aux) if has_aux else at.output()

    return both


def _single(value: Any) -> tuple[list[Tensor], Any]:
    found, structure = tensors_of("grad", value)
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
    at = _at("vjp", func, primals, {}, tuple(range(len(primals))), has_aux)
    outputs, _ = tensors_of("vjp", at.value)

    def pull(*cotangents: Any) -> Any:
        vectors, _ = tensors_of("vjp", cotangents[0] if len(cotangents) == 1 else cotangents)
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
    at = _at("jvp", func, primals, {}, tuple(range(len(primals))), has_aux)
    along, _ = flatten(tuple(tangents))
    if [v.shape for v in along] != [x.shape for x in at.leaves]:
        raise ShapeError("jvp: the tangents must have the shapes of the primals")
    outputs, structure = tensors_of("jvp", at.value)
    pushed = at._out(unflatten(structure, _push(at, outputs, along)))
    return (at.output(), pushed, at.aux) if has_aux else (at.output(), pushed)


def _push(at: Point, outputs: Sequence[Tensor], along: Sequence[Tensor]) -> list[Tensor]:
    """J v: u ↦ uᵀ J is linear in u, and its own product with v is J v."""
    with enable_grad():
        free = [zeros_like(y).requires_grad_() for y in outputs]
        back = at.pull(outputs, free, again=True)
        return dense(pulled(back, free, along, at.linked), outputs)


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
        at = _at("jacrev", func, args, kwargs, argnums, has_aux)
        outputs, structure = tensors_of("jacrev", at.value)
        with enable_grad():
            found = [at.shaped(at.matrices(y)) for y in outputs]
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


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of models that are alike, stacked along a new first axis.

    With `functional_call` under `vmap` they are an ensemble, computed at once.

    >>> from backlit import nn
    >>> parameters, _ = stack_module_state([nn.Linear(2, 1) for _ in range(3)])
    >>> parameters["weight"].shape
    (3, 1, 2)
    """
    models = list(models)
    kinds = {(type(m).__name__, m.training) for m in models}
    if len(kinds) != 1:
        got = ", ".join(f"{name} in mode {'train' if t else 'eval'}" for name, t in sorted(kinds))
        raise ArgumentError(
            "stack_module_state: there must be models of one class, all in train or all in eval "
            f"mode, got {got or 'none'}"
        )
    leaves, rest = ([dict(named(m)) for m in models] for named in _NAMED)
    parameters = {
        name: stack([own[name].detach() for own in leaves]).requires_grad_(first.requires_grad)
        for name, first in leaves[0].items()
    }
    return parameters, {name: stack([own[name] for own in rest]) for name in rest[0]}


_NAMED = (Module.named_parameters, Module.named_buffers)

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


__getattr__ = _mirrored("torch.func")

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "stack_module_state",
    "vjp",
    "vmap",
]
