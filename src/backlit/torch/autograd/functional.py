"""`torch.autograd.functional`: products with Jacobians and Hessians, and the matrices themselves.

Functions have one Tensor or a tuple of them as inputs and as outputs, and so have the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...array_api import ones_like, reshape, stack, zeros, zeros_like
from ...autograd import enable_grad
from ...errors import ArgumentError, DTypeError, GradientError, ShapeError
from ...foreign import require_function, words
from ...tensor import Tensor
from ...transforms import dense, leaves_at, pulled
from ..mirror import mirrored as _mirrored


class _At:
    """A function at a point: its inputs as leaves, its outputs, and how both were given."""

    def __init__(self, name: str, func: Callable[..., Any], inputs: Any, create_graph: bool):
        require_function(f"{name}: func", func)
        self.name = name
        self.create_graph = create_graph
        self.one_input = isinstance(inputs, Tensor)
        given = [inputs] if self.one_input else list(inputs)
        self._require_tensors("inputs", given)
        self.inputs = leaves_at(given if create_graph else [x.detach() for x in given])
        outputs = func(*self.inputs)
        self.one_output = isinstance(outputs, Tensor)
        self.outputs: list[Tensor] = [outputs] if self.one_output else list(outputs)
        self._require_tensors("outputs of func", self.outputs)

    def _require_tensors(self, what: str, values: Sequence[Any]) -> None:
        for i, x in enumerate(values):
            if not isinstance(x, Tensor):
                raise DTypeError(
                    f"{self.name}: the {what} must be Tensors, got {words(x)[0]} at {i}"
                )

    def single(self) -> Tensor:
        """The output, which must be one number."""
        if not self.one_output or self.outputs[0].size != 1:
            shapes = ", ".join(str(y.shape) for y in self.outputs)
            raise GradientError(f"{self.name}: func must return a single number, got {shapes}")
        return self.outputs[0]

    def vectors(self, v: Any, like: Sequence[Tensor], what: str) -> list[Tensor]:
        """The vector that is multiplied, one part for each Tensor; ones for a single number."""
        if v is None:
            if len(like) != 1 or like[0].size != 1:
                raise ArgumentError(
                    f"{self.name}: v must be given unless the {what} is a single number"
                )
            return [ones_like(like[0])]
        given = [v] if isinstance(v, Tensor) else list(v)
        if [x.shape for x in given] != [x.shape for x in like]:
            raise ShapeError(
                f"{self.name}: v must have the shapes of the {what}, "
                f"{', '.join(str(x.shape) for x in like)}, "
                f"got {', '.join(str(x.shape) for x in given)}"
            )
        return given

    def gradients(
        self,
        outputs: Sequence[Tensor],
        inputs: Sequence[Tensor],
        v: Sequence[Tensor] | None,
        *,
        strict: bool = False,
        again: bool = False,
    ) -> list[Tensor]:
        """vᵀ J for each input: zeros where nothing depends on it, which `strict` does not allow.

        `again` keeps the way for another derivative.
        """
        found = pulled(outputs, inputs, v, again or self.create_graph)
        if strict:
            for i, g in enumerate(found):
                if g is None:
                    raise GradientError(
                        f"{self.name}: with strict=True the outputs must depend on every input, "
                        f"but not on input {i}"
                    )
        return dense(found, inputs)

    def results(self, values: Sequence[Tensor], one: bool) -> Any:
        """The values as they are handed out."""
        given = [x if self.create_graph else x.detach() for x in values]
        return given[0] if one else tuple(given)


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs, and vᵀ J."""
    with enable_grad():
        at = _At("vjp", func, inputs, create_graph)
        along = at.vectors(v, at.outputs, "output")
        products = at.gradients(at.outputs, at.inputs, along, strict=strict)
    return at.results(at.outputs, at.one_output), at.results(products, at.one_input)


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs, and J v: the derivative of u ↦ uᵀ J along v, which is linear in u."""
    with enable_grad():
        at = _At("jvp", func, inputs, create_graph)
        along = at.vectors(v, at.inputs, "input")
        free = [zeros_like(y).requires_grad_() for y in at.outputs]
        pulled = at.gradients(at.outputs, at.inputs, free, strict=strict, again=True)
        products = at.gradients(pulled, free, along)
    return at.results(at.outputs, at.one_output), at.results(products, at.one_output)


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The output, a single number, and vᵀ H, which is H v."""
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The output, a single number, and H v."""
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(
    name: str, func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    with enable_grad():
        at = _At(name, func, inputs, create_graph)
        along = at.vectors(v, at.inputs, "input")
        slopes = at.gradients([at.single()], at.inputs, None, strict=strict, again=True)
        products = at.gradients(slopes, at.inputs, along, strict=strict)
    return at.results(at.outputs, True), at.results(products, at.one_input)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """J of each output for each input, of shape (*output.shape, *input.shape)."""
    with enable_grad():
        at = _At("jacobian", func, inputs, create_graph)
        rows = [at.results(_rows(at, y, strict), at.one_input) for y in at.outputs]
    return rows[0] if at.one_output else tuple(rows)


def _rows(at: _At, y: Tensor, strict: bool) -> list[Tensor]:
    """The Jacobian of one output for each input: one walk for each of its elements."""
    flat = reshape(y, (-1,))
    found = [at.gradients([flat[i]], at.inputs, None, strict=strict) for i in range(y.size)]
    return [
        reshape(stack([row[k] for row in found]), (*y.shape, *x.shape))
        if found
        else zeros((*y.shape, *x.shape), dtype=x.dtype)
        for k, x in enumerate(at.inputs)
    ]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """H of a single number, of shape (*input.shape, *other.shape) for each two inputs."""

    def slopes(*point: Tensor) -> Any:
        at = _At("hessian", func, point, True)
        return tuple(at.gradients([at.single()], at.inputs, None, strict=strict, again=True))

    one = isinstance(inputs, Tensor)
    found = jacobian(slopes, (inputs,) if one else inputs, create_graph, strict)
    return found[0][0] if one else found


__getattr__ = _mirrored("torch.autograd.functional")

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
