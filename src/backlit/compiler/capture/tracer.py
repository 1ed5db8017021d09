"""The execution of a capture: every op, replaced value and gradient is written down, not computed.

What no captured function can do is refused here, where the function does it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ...array_api.data import Data
from ...array_api.namespace import TENSORS
from ...autograd import no_grad
from ...backend import halves
from ...conversion import as_array
from ...errors import DTypeError, TraceError
from ...op import Op, Requirement, describe
from ...state import STATE, where_called
from ...tape import Node, line_of, make_node, user_site
from ...tensor import KEEP, Tensor, as_tensor, constant, wrap
from . import loops
from .checks import Require
from .graph import Equation, Variable
from .guards import MISSING, Change
from .places import ArgumentOf, AttributeOf, GradientOf

#: rule(xp, *inputs) says what must hold of the inputs' elements.
Rule = Callable[..., Sequence[Requirement]]


class Tracer:
    """What one capture has seen so far. `apply` hands it every op; see also `execution.Eager`."""

    captures = True
    unfolds = False
    widens = False

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self.forward: Node | None = None  # the node whose derivative is being computed
        self.refused: TraceError | None = None  # the first thing that no captured function can do

        # Tensors that were there before the call.
        #: Those read, gradients that they brought along, and attributes: the values at first.
        self.found: dict[Tensor | GradientOf | AttributeOf, Variable] = {}
        self.current: dict[Tensor, Variable] = {}  # their values by now
        self.updated: dict[Tensor, Variable] = {}  # of those that the function has assigned to
        self.twins: dict[Tensor, Tensor] = {}  # the arguments of the call by their abstract twins
        self.numbers: dict[Tensor, str] = {}  # Tensors read as Python numbers, and what they are
        self.arrays: dict[int, tuple[Tensor, np.ndarray]] = {}  # NumPy arrays read as Tensors
        #: Whether an array was there before the call.
        self.knows: Callable[[np.ndarray], bool] = lambda array: False
        self.inside: loops.Inside | None = None  # of a loop whose step is being run, what it owns
        #: What of Python's state differs from what it was before the call.
        self.changes: Callable[[], Sequence[Change]] = lambda: ()

        # Tensors that the function makes.
        self.made: set[Tensor] = set()  # with numbers of its own
        self.numbers_of: dict[Tensor, Any] = {}  # what those that it changes were made with

        # Gradients.
        self.asked: dict[Tensor, bool] = {}  # Tensors that were asked for one, and had it or not
        self.brought: dict[Tensor, tuple[GradientOf, Tensor]] = {}  # those they had, as Tensors
        self.gradients: dict[Tensor, Tensor | None] = {}  # those set or cleared

        # Modules, optimizers and the thread.
        self.used: dict[int, Any] = {}  # each module called and each optimizer stepped
        #: Attributes of modules that were set: the module, the value, and what was there before.
        self.written: dict[tuple[int, str], tuple[Any, Any, Any]] = {}
        #: What they held, if that was read: the attributes of each such Tensor.
        self.replaced: dict[Tensor, list[AttributeOf]] = {}
        self.generators: dict[int, Any] = {}  # default generators that were asked for

    def refuse(self, message: str) -> TraceError:
        """The error to raise where the function does what it cannot do while it is captured.

        It ends the capture even if the function catches it, because eager execution would go on
        where there is no error.
        """
        error = TraceError(message)
        self.refused = self.refused or error
        return error

    def forbid(self, message: str) -> None:
        """Raise, as the caller has no meaning in a captured function."""
        raise self.refuse(message)

    def no_value(self, array: Any, what: str, cure: str) -> TraceError:
        """The error for whoever asks for a value, which names the user's line."""
        code, instruction = user_site()
        return self.refuse(
            f"{what}: a captured function cannot ask for a value, which differs from call to "
            f"call ({os.path.basename(code.co_filename)}:{line_of(code, instruction)}, "
            f"{describe(array)}); {cure}"
        )

    def read(self, tensor: Tensor) -> Variable:
        """The variable that holds a Tensor's value by now."""
        if type(tensor) is Data:
            return self.read(tensor.now())
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
        if op.requires is not None:
            self.require(op.name, op.requires, variables)
        if not op.primitive:
            with no_grad():
                tensors = tuple([wrap(v) if isinstance(v, Variable) else v for v in variables])
                y = halves.forward(op, partial(op.forward, TENSORS), tensors)
            return variables, self.read(as_tensor(y))
        return variables, self.write(op, variables)

    def write(self, op: Op, variables: tuple[Any, ...]) -> Variable:
        """One equation; the variable that it defines."""
        output = Variable(*op.infer(*variables))
        if self.forward is not None:
            equation = Equation(op, variables, output, self.forward, self.forward.op.name)
        else:
            site = make_node(op, (), variables, output)
            site.release()
            equation = Equation(op, variables, output, site)
        self.equations.append(equation)
        if self.inside is not None:
            self.inside.variables.add(output)
        return output

    def recur(
        self, step: Any, carry: list[Tensor], xs: list[Tensor], length: int, reverse: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        """A loop: the carried Tensors after the last step, and the stacked results of all."""
        return loops.recur(self, step, carry, xs, length, reverse)

    def state(self) -> list[tuple[str, Any]]:
        """What of Python's state differs by now from what it was before the call."""
        return [
            (c.path, tuple(map(id, c.after)) if c.container is not None else id(c.after))
            for c in self.changes()
        ]

    def _require_own(self, tensor: Tensor, what: str, cure: str) -> None:
        """Raise if a step of a loop changes a Tensor of the function around it."""
        if self.inside is not None and not self.inside.owns(tensor, self.made):
            code, instruction = user_site()
            raise self.refuse(
                f"scan: a step of a captured loop cannot {what} a Tensor that it was not given "
                f"({describe(tensor)}, {os.path.basename(code.co_filename)}:"
                f"{line_of(code, instruction)}); {cure}"
            )

    def require(self, name: str, rule: Rule, inputs: tuple[Any, ...]) -> None:
        """Write down what must hold of values: a `Requirement` for each that `rule` returns."""
        with no_grad():
            tensors = [wrap(x) if isinstance(x, Variable) else x for x in inputs]
            for r in rule(TENSORS, *tensors):
                where = f" (in {STATE.scope.path})" if STATE.scope is not None else ""
                op = Require(
                    error=r.error, condition=f"{name}: {r.condition}", cure=r.advice + where
                )
                self.write(op, (self.read(as_tensor(r.holds)),))

    def assign(self, tensor: Tensor, value: Tensor) -> None:
        """A Tensor's value was replaced."""
        if type(tensor) is Data:
            tensor.store(value)
            return
        if self._is_inside(tensor):
            self._require_own(
                tensor, "change in place", "carry it: f(carry, x) returns its next value"
            )
        self._require_not_both(tensor, tensor in self.numbers)
        if self._is_inside(tensor):
            now = self.read(value)
            if type(tensor.array) is not Variable:
                self.numbers_of[tensor] = tensor.array
            if tensor in self.found:  # what was read are its numbers
                self.found[wrap(tensor.array)] = self.found.pop(tensor)
                del self.current[tensor]
            tensor.array = now
        else:
            self.read(tensor)  # it is an input, even if its old value is never used
            self.updated[tensor] = self.current[tensor] = self.read(value)

    def _is_inside(self, tensor: Tensor) -> bool:
        """Whether a Tensor is an argument or was made by the function."""
        return type(tensor.array) is Variable or tensor in self.made

    def keep(self, tensor: Tensor) -> None:
        """A Tensor that the function has made and changed stays after the call."""
        if tensor in self.numbers_of and tensor.node is None:
            self.updated[tensor] = self.current[tensor] = tensor.array
            self.found[tensor] = Variable(tensor.shape, tensor.dtype)
            tensor.array = self.numbers_of.pop(tensor)

    def require_inside(self, tensor: Tensor) -> None:
        """Raise unless a Tensor that is put on the tape was made by the captured function."""
        if not self._is_inside(tensor) or tensor in self.twins:
            raise self.refuse(
                "compile: the tape of a captured function ends with the call, so it cannot put "
                f"{describe(tensor)} on it, which was there before; write value.detach(), or "
                "write into a Tensor that the function makes"
            )

    def whose(self, gradient: Tensor) -> Any:
        """Where a Tensor that is set as a gradient comes from; None if the function computes it."""
        if type(gradient.array) is not Variable and gradient not in self.made:
            return gradient
        for place, brought in self.brought.values():
            if brought is gradient:
                return place
        for position, twin in enumerate(self.twins):
            if twin is gradient:
                return ArgumentOf(position)
        return None

    def read_number(self, tensor: Tensor, what: str) -> None:
        """A Tensor was read as a Python number: the graph is that of this number."""
        self.numbers[tensor] = what
        self._require_not_both(tensor, tensor in self.updated)

    def _require_not_both(self, tensor: Tensor, both: bool) -> None:
        if both:
            raise self.refuse(
                f"compile: a captured function cannot both read and change {self.numbers[tensor]}, "
                "because what it reads is the Python number of the capture; change it outside, "
                "between the calls, or pass it as a Tensor argument and set that"
            )

    def get_grad(self, tensor: Tensor) -> Tensor | None:
        """A Tensor's gradient by now. One from before the call is an input: it will be another."""
        if tensor in self.gradients:
            return self.gradients[tensor]
        gradient = tensor._grad
        if type(tensor.array) is Variable:
            self._require_no_gradient(tensor)
            return gradient
        self.asked[tensor] = gradient is not None
        if gradient is None:
            return None
        if tensor not in self.brought:
            place, variable = GradientOf(tensor), Variable(gradient.shape, gradient.dtype)
            self.found[place] = variable
            self.brought[tensor] = place, wrap(variable)
        return self.brought[tensor][1]

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """A Tensor's gradient was set or cleared."""
        if gradient is None:
            self._require_no_gradient(tensor)
        self._require_own(tensor, "set the grad of", "use backlit.grad, and carry or return it")
        self.gradients[tensor] = gradient

    def _require_no_gradient(self, tensor: Tensor) -> None:
        """Raise if an argument has brought along a gradient, which is no part of it here."""
        argument = self.twins.get(tensor)
        if argument is not None and argument._grad is not None:
            raise self.refuse(
                f"grad: a captured function does not see the grad of its arguments, but "
                f"{describe(tensor)} has one; pass x.grad as an argument of its own, or let the "
                "function find x in its surroundings"
            )

    def called(self, used: Any) -> None:
        """A module was called, or an optimizer stepped: the graph depends on its attributes."""
        self.used.setdefault(id(used), used)

    def wrote(self, module: Any, name: str, value: Any) -> None:
        """An attribute of a module is about to be set: it is set at every call."""
        if self.inside is not None and vars(module).get(name, MISSING) is not value:
            raise self.refuse(
                f"scan: a step must not set attributes, because a captured function runs it once "
                f"for all steps, but it sets {type(module).__name__}.{name}{where_called()}; carry "
                "the value, return it as y, or assign() to a Tensor that is there before"
            )
        key = id(module), name
        before = self.written[key][2] if key in self.written else vars(module).get(name, MISSING)
        self.written[key] = module, value, before

    def default_generator(self, generator: Any) -> None:
        """A thread's default generator was asked for: another thread has another one."""
        self.generators[id(generator)] = generator

    def derives(self, node: Node | None) -> None:
        """What follows is the derivative of a node, until the next one or None."""
        self.forward = node

    def claim(self, tensor: Tensor) -> None:
        """A Tensor was made of numbers: if the function changes it, it changes its own."""
        self.made.add(tensor)

    def stand_in(self, data: Any) -> Tensor | None:
        """The Tensor that stands for an array, or for another Tensor's values; else None."""
        if isinstance(data, Tensor):
            data._require_cut("tensor", KEEP)
            return data.detach()
        return self._array(data) if type(data) is np.ndarray else None

    def _array(self, data: np.ndarray) -> Tensor:
        """A Tensor of a NumPy array; one that was there before the call is read at each call."""
        if not data.dtype.isnative:
            raise DTypeError(
                f"compile: a captured function reads arrays as they lie in memory, got "
                f"{data.dtype}; convert it outside: x.astype(x.dtype.newbyteorder('='))"
            )
        array = as_array(data)
        if not self.knows(array):
            return constant(array.copy())
        if id(array) not in self.arrays:
            self.arrays[id(array)] = wrap(array), array
        return wrap(self.read(self.arrays[id(array)][0]))  # changing it does not change the array
