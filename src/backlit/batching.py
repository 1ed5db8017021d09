"""What a function does when it is run once for many slices: each op, for all slices at once.

Inside, a Tensor looks as it does in one slice. Its array is a `Mapped`, which holds a Tensor of the
surroundings with all slices along its first axis, or one that is the same for all. So an op inside
is an op of these outside, by its batching rule, on whatever execution and tape there is: NumPy, a
capture, or other slices.

Gradients inside are those of the tape inside. That outside is written by the ops outside, for
Tensors that require a gradient inside, too: whoever differentiates the slices finds it there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .array_api import sum
from .array_api.data import Data
from .array_api.namespace import TENSORS
from .autograd import fit, no_grad
from .batch_rules import batched, everywhere, singly
from .dtypes import DType
from .errors import TraceError
from .op import Op, Requirement, Shape, describe
from .ops import creation
from .state import STATE, Setting
from .tape import Node
from .tensor import Tensor, apply, as_tensor, wrap

#: What drawing random numbers does: nothing but raise, give each slice its own, or all the same.
RANDOMNESS = ("error", "different", "same")


class Mapped:
    """The abstract array of a Tensor inside: a shape and a dtype, those of one slice."""

    __slots__ = ("dtype", "held", "level", "mapped", "shape")

    def __init__(self, level: Batching, held: Tensor, mapped: bool):
        self.level = level
        #: The Tensor outside, and whether it has the slices along its first axis.
        self.held, self.mapped = held, mapped
        self.shape: Shape = held.shape[1:] if mapped else held.shape
        self.dtype: DType = held.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Asked for by eager execution, which takes arrays only: an error."""
        raise TraceError(
            f"vmap: a Tensor of slices ({describe(self)}) was left behind, in a list or an "
            "attribute, and has no value there; return it from the function"
        )


class Batching:
    """Execution of `size` slices at once. It has the methods of `execution.Eager`."""

    captures = True
    unfolds = False
    widens = False

    def __init__(self, size: int, randomness: str = "same"):
        self.size = size
        self.randomness = randomness
        self.outer: Any = STATE.execution
        self.inside = Setting(execution=self, observer=None)
        self.outside = Setting(execution=self.outer, observer=STATE.observer)
        self.arguments: set[Tensor] = set()
        self.made: set[Tensor] = set()  # Tensors with numbers that the function itself has made

    # -- in and out ---------------------------------------------------------------------------

    def enter(self, values: Iterable[Any], mapped: Iterable[bool]) -> list[Any]:
        """The Tensors inside that stand for those outside. All else stays."""
        inside = []
        for x, m in zip(values, mapped, strict=True):
            if isinstance(x, Tensor):
                twin = wrap(Mapped(self, x, m))
                twin._requires_grad = x.requires_grad
                self.arguments.add(twin)
                x = twin
            inside.append(x)
        return inside

    def leave(self, y: Tensor) -> tuple[Tensor, bool]:
        """The Tensor outside, and whether it has the slices along its first axis."""
        array = self._array(y)
        with self.outside:
            return self._linked(y, array), array.mapped

    def _linked(self, x: Tensor, array: Mapped) -> Tensor:
        """The Tensor outside: on the tape there only if that inside requires a gradient."""
        held = array.held
        return held.detach() if held.requires_grad and not x.requires_grad else held

    # -- ops ----------------------------------------------------------------------------------

    def read(self, tensor: Tensor) -> Mapped:
        """A Tensor's value by now, cut off from the tape outside as from that inside."""
        array = self._array(tensor)
        with self.outside:
            return Mapped(self, array.held.detach(), array.mapped)

    def _array(self, tensor: Tensor) -> Mapped:
        if type(tensor) is Data:
            return self._array(tensor.now())
        array = tensor.array
        if type(array) is Mapped and array.level is self:
            return array
        return Mapped(self, tensor, False)

    def run(self, op: Op, inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], Mapped]:
        """Apply an op to all slices; return the values it reads and the one it makes."""
        arrays = tuple([self._array(x) if isinstance(x, Tensor) else x for x in inputs])
        mapped = [type(x) is Mapped and x.mapped for x in arrays]
        draws = isinstance(op, creation.RandomBits | creation.RandomPoisson)
        if any(mapped):  # what is wrong is said of one slice
            if op.check is not None:
                op.check(*arrays)
            if op.primitive:
                op.infer(*arrays)
        with self.outside:
            given = [
                self._linked(x, a) if isinstance(x, Tensor) else x
                for x, a in zip(inputs, arrays, strict=True)
            ]
            if draws:
                return arrays, self._drawn(op, given, mapped)
            if not any(mapped):
                return arrays, Mapped(self, apply(op, *given), False)
            y = batched(op, given, mapped, self.size)
            if y is None:
                y = apply(Each(op=op, mapped=tuple(mapped), size=self.size), *given)
            return arrays, Mapped(self, y, True)

    def _drawn(self, op: Any, given: list[Any], mapped: list[bool]) -> Mapped:
        """Random numbers: bits for all slices, or those of one."""
        if self.randomness == "error":
            raise TraceError(
                "vmap: the function draws random numbers; say with randomness='different' that "
                "each slice has its own, or with 'same' that all have the same"
            )
        if self.randomness == "same":
            if any(mapped):
                return Mapped(self, singly(op, given, mapped, self.size), True)
            return Mapped(self, apply(op, *given), False)
        key, counter, *means = given
        if means:
            mean = everywhere(means[0], mapped[2], self.size)
            return Mapped(self, apply(op, key, counter, mean), True)
        shape = (self.size, *op.shape)
        bits = apply(creation.RandomBits(shape=shape), key, counter)
        # The function itself moves the counter on by what one slice takes.
        more = creation.blocks(shape) - creation.blocks(op.shape)
        self.outer.assign(counter, counter + more)
        return Mapped(self, bits, True)

    def require(self, name: str, rule: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
        """Raise unless the Tensors of all slices meet what `rule(xp, *inputs)` returns."""
        with no_grad():
            found = list(rule(TENSORS, *inputs))
            for r in found:
                holds, of = (self._everywhere(x) for x in (r.holds, r.of))

                def same(xp: Any, holds: Any, of: Any, r: Requirement = r) -> Any:
                    return (r._replace(holds=holds, of=of),)

                with self.outside:
                    self.outer.require(name, same, (holds, of))

    def _everywhere(self, x: Any) -> Tensor:
        held, mapped = self.leave(as_tensor(x))
        with self.outside:
            return everywhere(held, mapped, self.size)

    # -- what the function may change -------------------------------------------------------------

    def assign(self, tensor: Tensor, value: Tensor) -> None:
        """A Tensor's value is replaced: one that was made inside, or by one of all slices."""
        if type(tensor) is Data:
            tensor.store(value)
            return
        if tensor in self.arguments:
            raise TraceError(
                f"vmap: an argument ({describe(tensor)}) cannot change in place, because it is a "
                "slice of another Tensor; make a new one: x = x + 1"
            )
        array = self._array(value)
        if tensor in self.made or (type(tensor.array) is Mapped and tensor.array.level is self):
            tensor.array = array
        elif array.mapped:
            raise TraceError(
                f"vmap: a Tensor of the surroundings ({describe(tensor)}) cannot get a value that "
                "is another in each slice; return the value, or put a module that keeps running "
                "statistics into eval() mode"
            )
        else:
            with self.outside:
                self.outer.assign(tensor, self._linked(value, array))

    def claim(self, tensor: Tensor) -> None:
        """A Tensor was made of numbers inside."""
        self.made.add(tensor)
        self.outer.claim(tensor)

    def recur(self, step: Any, carry: Any, xs: Any, length: int, reverse: bool) -> None:
        """A recurrence of slices is done step by step."""

    def require_inside(self, tensor: Tensor) -> None:
        """Raise unless a Tensor that is put on the tape was made inside."""
        if tensor not in self.made and not (
            type(tensor.array) is Mapped and tensor.array.level is self
        ):
            raise TraceError(
                f"vmap: a Tensor of the surroundings ({describe(tensor)}) cannot be put on the "
                "tape of slices; write value.detach(), or into a Tensor that the function makes"
            )

    def get_grad(self, tensor: Tensor) -> Tensor | None:
        """A Tensor's gradient by now, or None."""
        return tensor._grad if type(tensor.array) is Mapped else self.outer.get_grad(tensor)

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """Give a Tensor that was made inside a gradient, or None."""
        own = type(tensor.array) is Mapped and tensor.array.level is self
        if gradient is not None and (not own or tensor in self.arguments):
            raise TraceError(
                f"vmap: backward() cannot leave the gradients of all slices in the grad of "
                f"{describe(tensor)}, which is not made in the function; use backlit.grad or "
                "value_and_grad, and return them"
            )
        if own:
            tensor._grad = gradient
        else:
            self.outer.set_grad(tensor, gradient)

    def wrote(self, module: Any, name: str, value: Any) -> None:
        """An attribute of a module is about to be set."""
        if isinstance(value, Tensor) and self._array(value).mapped:
            raise TraceError(
                f"vmap: {type(module).__name__}.{name} cannot keep a Tensor that is another in "
                "each slice; return it"
            )
        self.outer.wrote(module, name, value)

    # -- what it may not ask for, and what those outside want to know ----------------------------

    def no_value(self, array: Any, what: str, cure: str) -> TraceError:
        """The error for whoever asks for a value."""
        return TraceError(
            f"{what}: a function under vmap cannot ask for a value, which differs from slice to "
            f"slice ({describe(array)}); {cure}"
        )

    def forbid(self, message: str) -> None:
        """Raise, as the caller has no meaning under vmap."""
        raise TraceError(f"{message} (under vmap)")

    def stand_in(self, data: Any) -> Tensor | None:
        """The Tensor that stands for another Tensor's values; None: the data is it."""
        return data.detach() if isinstance(data, Tensor) else self.outer.stand_in(data)

    def called(self, used: Any) -> None:
        """A module was called, or an optimizer stepped."""
        self.outer.called(used)

    def default_generator(self, generator: Any) -> None:
        """A thread's default generator was asked for."""
        self.outer.default_generator(generator)

    def read_number(self, tensor: Tensor, what: str) -> None:
        """A Tensor was read as a Python number."""
        self.outer.read_number(tensor, what)

    def derives(self, node: Node | None) -> None:
        """What follows is the derivative of a node, until the next one or None."""
        self.outer.derives(node)


class Each(Op):
    """A compound op of each slice: its own body and its own derivative, read for all at once.

    An input that is the same for all slices gets the sum of their gradients.
    """

    attributes = ("op", "mapped", "size")
    saves = ("inputs", "y")
    op: Op
    mapped: tuple[bool, ...]
    size: int

    def __init__(self, **attributes: Any):
        super().__init__(**attributes)
        known = ("name", "exact", "role", "differentiable", "twice_differentiable")
        self.__dict__.update({fact: getattr(self.op, fact) for fact in known})

    def forward(self, xp: Any, *inputs: Any) -> Any:
        """The results of all slices."""
        level = Batching(self.size)
        slices = level.enter(_tensors(xp, inputs), self.mapped)
        with no_grad(), level.inside:
            if self.op.requires is not None:
                level.require(self.op.name, self.op.requires, tuple(slices))
            y = level._everywhere(as_tensor(self.op.forward(TENSORS, *slices)))
        return y if xp is TENSORS else y.array

    def backward(self, xp: Any, grad_y: Any, inputs: Any, y: Any) -> Any:
        """The gradients of all slices."""
        level = Batching(self.size)
        slices = level.enter(_tensors(xp, inputs), self.mapped)
        result, upstream = level.enter(_tensors(xp, (y, grad_y)), (True, True))
        with level.inside:
            given = self.op.backward(TENSORS, upstream, *self.op.save(tuple(slices), result))

        def finished(i: int, gradient: Any) -> Any:
            with level.inside:
                gradient = gradient() if callable(gradient) else gradient
                whole = level._everywhere(fit(TENSORS, gradient, slices[i]))
            if not self.mapped[i]:
                whole = sum(whole, axis=0)
            return whole if xp is TENSORS else whole.array

        def later(i: int, gradient: Any) -> Any:
            if gradient is None:
                return None
            return (lambda: finished(i, gradient)) if callable(gradient) else finished(i, gradient)

        several: Sequence[Any] = given if type(given) is tuple else (given,)
        return tuple([later(i, g) for i, g in enumerate(several)])


def _tensors(xp: Any, values: Sequence[Any]) -> list[Any]:
    """Arrays as Tensors. Numbers, and what are Tensors already, stay."""
    if xp is TENSORS:
        return list(values)
    return [wrap(x) if hasattr(x, "dtype") else x for x in values]
