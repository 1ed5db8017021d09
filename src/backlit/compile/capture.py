"""Capture: run a function once on abstract Tensors and write down what it did.

Modules, `backward()` and `optimizer.step()` are ordinary code here. Compound ops unfold into
primitives because their bodies are run with Tensors. A Tensor that the function finds in its
surroundings becomes an input; one whose value it replaces becomes an input and an output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..errors import TraceError
from ..functions.namespace import TENSORS
from ..op import Op, describe
from ..tensor import STATE, Node, Tensor, as_tensor, make_node, wrap
from .graph import Equation, Graph, Variable
from .tree import flatten, unflatten

#: Which index it was is known only to eager execution.
OUTSIDE = (
    "compiled function: an index lies outside its axis; call the function without "
    "backlit.compile to see which"
)
#: A module's attributes, and the name and the value of one of them.
Setting = tuple[dict[str, Any], str, Any]
#: Types of attributes that a capture freezes.
_FROZEN = (bool, int, float, str, type(None))


class GradientOf:
    """The gradient that a Tensor of the surroundings has when a captured function is called.

    It is read as a Tensor is.
    """

    __slots__ = ("tensor",)
    requires_grad = False

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    @property
    def array(self) -> Any:
        """The gradient's elements."""
        gradient = self.tensor._grad
        assert gradient is not None  # `Capture.same_gradients` was asked before
        return gradient.array

    @property
    def shape(self) -> Any:
        """The gradient's shape."""
        return self.tensor.shape

    @property
    def dtype(self) -> Any:
        """The gradient's dtype."""
        return self.tensor.dtype


class Trace:
    """What one capture has seen so far. `apply` hands it every op."""

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        # Tensors of the surroundings, and gradients that they brought along, as first read.
        self.found: dict[Tensor | GradientOf, Variable] = {}
        self.brought: dict[Tensor, Tensor] = {}  # those gradients as Tensors
        self.asked: dict[Tensor, bool] = {}  # Tensors that were asked for one, and had it or not
        self.current: dict[Tensor, Variable] = {}  # their values by now
        self.updated: dict[Tensor, Variable] = {}
        self.gradients: dict[Tensor, Tensor | None] = {}
        self.modules: dict[Any, list[Setting]] = {}  # each module called and its settings
        self.forward: Node | None = None  # the node whose derivative is being computed

    def read(self, tensor: Tensor) -> Variable:
        """The variable that holds a Tensor's value by now."""
        now = self.current.get(tensor)
        if now is not None:
            return now
        if type(tensor.array) is Variable:
            return tensor.array
        now = Variable(tensor.array.shape, tensor.array.dtype)
        self.found[tensor] = self.current[tensor] = now
        return now

    def run(self, op: Op, inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], Variable]:
        """Write down one op; return the variables it reads and the one it defines."""
        variables = tuple([self.read(x) if isinstance(x, Tensor) else x for x in inputs])
        if op.check is not None:
            op.check(*variables)
        if not op.primitive:
            with no_grad():
                tensors = [wrap(v) if isinstance(v, Variable) else v for v in variables]
                y = op.forward(TENSORS, *tensors)
            return variables, self.read(as_tensor(y))
        output = Variable(*op.infer(*variables))
        if self.forward is not None:
            equation = Equation(op, variables, output, self.forward, self.forward.op.name)
        else:
            site = make_node(op, (), variables, output)
            site.release()
            equation = Equation(op, variables, output, site)
        self.equations.append(equation)
        return variables, output

    def assign(self, tensor: Tensor, value: Tensor) -> None:
        """A Tensor's value was replaced."""
        if type(tensor.array) is not Variable:
            self.read(tensor)  # it is an input, even if its old value is never used
            self.updated[tensor] = self.read(value)
        self.current[tensor] = self.read(value)

    def get_grad(self, tensor: Tensor) -> Tensor | None:
        """A Tensor's gradient by now. One from before the call is an input: it will be another."""
        if tensor in self.gradients:
            return self.gradients[tensor]
        gradient = tensor._grad
        if type(tensor.array) is Variable:
            return gradient
        self.asked[tensor] = gradient is not None
        if gradient is None:
            return None
        if tensor not in self.brought:
            variable = Variable(gradient.shape, gradient.dtype)
            self.found[GradientOf(tensor)] = variable
            self.brought[tensor] = wrap(variable)
        return self.brought[tensor]

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """A Tensor's gradient was set or cleared."""
        self.gradients[tensor] = gradient

    def called(self, module: Any) -> None:
        """A module was called: its mode and its numbers are frozen into the graph."""
        if module not in self.modules:
            own = vars(module)
            self.modules[module] = [
                (own, name, value) for name, value in own.items() if type(value) in _FROZEN
            ]

    def settings(self) -> list[Setting]:
        """What the graph has frozen of modules, but for what the function itself replaces."""
        found = [setting for own in self.modules.values() for setting in own]
        return [(own, name, value) for own, name, value in found if own.get(name) is value]


@dataclass(eq=False)
class Capture:
    """A graph with the Tensors of the surroundings that its inputs and outputs stand for.

    Inputs are the arguments' Tensors, then `found`. Outputs are the results' Tensors, then the new
    values of `updated`, then those of `gradients` that are not None.
    """

    graph: Graph
    found: list[Any]  # of Tensor and GradientOf
    asked: list[tuple[Tensor, bool]]  # each Tensor asked for a gradient, and whether it had one
    updated: list[Tensor]
    gradients: list[tuple[Tensor, bool]]  # the Tensor, and whether it has a gradient at the end
    settings: list[Setting]
    result_tree: Any
    results: int

    @cached_property
    def accumulates(self) -> bool:
        """Whether a call finds gradients that a call before it has left."""
        left = {id(t) for t, present in self.gradients if present}
        return any(present or id(t) in left for t, present in self.asked)

    def same_gradients(self) -> bool:
        """Whether the Tensors asked for a gradient have one now if they had one then."""
        for t, present in self.asked:  # noqa: SIM110  (at every call: a loop is the fastest)
            if (t._grad is None) is present:
                return False
        return True

    def same_settings(self) -> bool:
        """Whether modules have the mode and the numbers that they were captured with."""
        for own, name, value in self.settings:
            now = own.get(name)
            if now is not value and (type(now) is not type(value) or now != value):
                return False
        return True

    def __str__(self) -> str:
        return str(self.graph)


def trace(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Capture:
    """Run a function on abstract twins of the Tensors in its arguments."""
    if STATE.trace is not None:
        raise TraceError(
            "capture: a captured function cannot itself capture; capture the outer one"
        )
    leaves, tree = flatten((args, kwargs))
    tracer = Trace()
    inputs: list[Variable] = []
    twins: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            variable = Variable(leaf.shape, leaf.dtype)
            inputs.append(variable)
            twin = wrap(variable)
            twin.requires_grad = leaf.requires_grad
            twins.append(twin)
        else:
            twins.append(leaf)
    abstract_args, abstract_kwargs = unflatten(tree, twins)
    STATE.trace = tracer
    try:
        result = function(*abstract_args, **abstract_kwargs)
        result_leaves, result_tree = flatten(result)
        outputs: list[Variable] = []
        kept: list[Any] = []
        for leaf in result_leaves:
            if isinstance(leaf, Tensor):
                outputs.append(tracer.read(leaf))
                kept.append(_OUTPUT)
            else:
                kept.append(leaf)
        count = len(outputs)
        outputs.extend(tracer.updated.values())
        gradients = []
        for tensor, gradient in tracer.gradients.items():
            if type(tensor.array) is Variable:
                if gradient is not None and any(tensor is twin for twin in twins):
                    raise TraceError(
                        "backward: a captured function leaves no gradient in the grad of its "
                        f"arguments, but {describe(tensor)} requires one; return backlit.grad(…), "
                        "detach the argument, or let the function find it in its surroundings"
                    )
                continue  # the gradient of a Tensor made inside
            gradients.append((tensor, gradient is not None))
            if gradient is not None:
                outputs.append(tracer.read(gradient))
    finally:
        STATE.trace = None
    graph = Graph([*inputs, *tracer.found.values()], tracer.equations, outputs)
    return Capture(
        graph,
        list(tracer.found),
        list(tracer.asked.items()),
        list(tracer.updated),
        gradients,
        tracer.settings(),
        (result_tree, kept),
        count,
    )


class _Miss:
    """Says that a runner does not fit its surroundings any more."""


MISS = _Miss()


class _Output:
    """Stands for a Tensor in the result of a captured function."""


_OUTPUT = _Output()


def fill_result(tree: Any, arrays: list[np.ndarray]) -> Any:
    """The function's result with arrays wrapped in Tensors where Tensors were."""
    structure, kept = tree
    if structure is None and kept[0] is _OUTPUT:
        return wrap(arrays[0])
    following = iter(arrays)
    leaves = [wrap(next(following)) if leaf is _OUTPUT else leaf for leaf in kept]
    return unflatten(structure, leaves)


def capture(function: Callable[..., Any]) -> Callable[..., Graph]:
    """The function that runs `function` on abstract Tensors and returns the graph of what it did.

    >>> from backlit import tensor
    >>> print(capture(lambda x: x * x + 1)(tensor([1.0, 2.0])))  # doctest: +ELLIPSIS
    inputs  a: float32[2]
    b: float32[2] = multiply a a ...
    c: float32[2] = add b 1 ...
    return  c
    """

    def captured(*args: Any, **kwargs: Any) -> Graph:
        return trace(function, args, kwargs).graph

    return captured
