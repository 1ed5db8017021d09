"""What becomes of an op and of a Tensor's value: here, NumPy computes at once.

Two others have the same methods: a capture writes down what it is asked for
(`compiler.capture.tracer`), `batching.Batching` does it for many slices at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .backend.eager import EAGER
from .errors import ArgumentError, BacklitError, DTypeError, TraceError
from .op import Op, describe, describe_inputs, require
from .state import State, where_called
from .tape import Node


class Eager:
    """Execution at once. It keeps nothing, so that all threads share one.

    `apply`, which runs an op, has this written out, because a call would cost too much there.
    """

    #: Whether ops are written down, for values that are not known yet.
    captures = False
    #: Whether a compiled function runs as it is written, because each of its ops counts.
    unfolds = False
    #: Whether floats of every width are computed in one, so that any may meet.
    widens = False

    def read(self, tensor: Any) -> Any:
        """A Tensor's value by now."""
        return tensor.array

    def assign(self, tensor: Any, value: Any) -> None:
        """Give a Tensor the value of another."""
        tensor.array = value.array

    def get_grad(self, tensor: Any) -> Any:
        """A Tensor's gradient by now, or None."""
        return tensor._grad

    def set_grad(self, tensor: Any, gradient: Any) -> None:
        """Give a Tensor a gradient, or None."""
        tensor._grad = gradient

    def stand_in(self, data: Any) -> Any:
        """The Tensor that stands for data which may differ at each call. None: the data is it."""
        return None

    def claim(self, tensor: Any) -> None:
        """A Tensor was made of numbers, which later changes replace."""

    def recur(self, step: Any, carry: Any, xs: Any, length: int, reverse: bool) -> Any:
        """The results of a recurrence, if it is known as a whole. None: it is done step by step."""
        return None

    def require_inside(self, tensor: Any) -> None:
        """Raise unless a Tensor may be put on the tape."""

    def require(self, name: str, rule: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
        """Raise unless Tensors meet what `rule(xp, *inputs)` returns; compiled code does, too.

        See `Op.requires`, which says the same of an op's inputs.
        """
        require(name, rule(EAGER, *[x.array for x in inputs]), where_called())

    def no_value(self, array: Any, what: str, cure: str) -> TraceError:
        """The error for whoever asks for the value of a Tensor that has none."""
        return TraceError(
            f"{what}: this {describe(array)} has no value, because it was made while a "
            "function was captured and left behind, in a list or an attribute; return it from "
            "the function"
        )

    def forbid(self, message: str) -> None:
        """Raise if this is a capture, in which the caller has no meaning."""

    def called(self, used: Any) -> None:
        """A module was called, or an optimizer stepped."""

    def wrote(self, module: Any, name: str, value: Any) -> None:
        """An attribute of a module is about to be set."""

    def default_generator(self, generator: Any) -> None:
        """A thread's default generator was asked for."""

    def read_number(self, tensor: Any, what: str) -> None:
        """A Tensor was read as a Python number."""

    def derives(self, node: Node | None) -> None:
        """What follows is the derivative of a node, until the next one or None."""


AT_ONCE = Eager()

State.execution = AT_ONCE  # what a thread does unless it captures


def check(op: Op, arrays: tuple[Any, ...]) -> None:
    """Raise the error for inputs that the op says are bad."""
    if op.check is not None:
        op.check(*arrays)
    if op.requires is not None:
        require(op.name, op.requires(EAGER, *arrays))


def explained(op: Op, arrays: tuple[Any, ...], error: Exception) -> Exception:
    """The error for an op that failed, from its own rule if that finds the condition."""
    where = where_called()
    if not isinstance(error, BacklitError):
        try:
            if op.primitive:
                op.infer(*arrays)
        except BacklitError as explained:
            error = explained
        else:
            kind = DTypeError if isinstance(error, TypeError) else ArgumentError
            return kind(f"{op.name}: {error} ({describe_inputs(op, arrays)}){where}")
    if where and where not in str(error):
        error.args = (f"{error}{where}",)
    return error
