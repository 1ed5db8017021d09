"""`torch.autograd.Function`: a function whose derivative is written by hand, on the one tape.

What `forward` computes is not recorded. In its place stands one node, whose op calls `backward`
when a walk comes by: with numbers, with Tensors where the gradient is differentiated again, with
abstract Tensors where the step is compiled. Several outputs are parts of one, laid end to end, so
that the node has one gradient: each part sends its own back to its place.
"""

from __future__ import annotations

import copy
import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..array_api import concat, reshape
from ..array_api.namespace import TENSORS
from ..dtypes import FLOATING, promote
from ..errors import ArgumentError, DTypeError, GradientError
from ..foreign import words
from ..op import Op
from ..state import STATE, Setting, observing
from ..tape import make_node
from ..tensor import Tensor, wrap


class FunctionCtx:
    """What `forward` leaves for `backward`: Tensors that it saves, and attributes of any kind."""

    def __init__(self, needs: Sequence[bool] = ()):
        #: Which arguments of `forward` need a gradient.
        self.needs_input_grad = tuple(needs)
        self._to_save: tuple[Any, ...] = ()
        self._loose: list[Tensor] = []
        self._dirty: list[Tensor] = []
        self._materialize = True
        self._saved: tuple[Any, ...] | None = None
        #: The outputs to which a gradient came, where that is asked for.
        self._reached: set[int] = set()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or other Tensors: `saved_tensors` has them in `backward`."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Tensor):
                raise DTypeError(
                    f"save_for_backward: argument {i} must be a Tensor or None, got {words(t)[0]}; "
                    "keep other things as attributes of ctx"
                )
        self._to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Accepted: derivatives forward are computed from `backward`."""

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept."""
        return self._to_save if self._saved is None else self._saved

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that outputs have no gradient."""
        self._loose += outputs

    def mark_dirty(self, *inputs: Tensor) -> None:
        """Say that `forward` has changed inputs in place, and returns them."""
        self._dirty += inputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether an output to which no gradient came has zeros for it (the default), or None."""
        self._materialize = value


class Part(NamedTuple):
    """Where an output lies in the flat one, and its shape and dtype."""

    start: int
    stop: int
    shape: tuple[int, ...]
    dtype: Any


class FunctionOp(Op):
    """The op of one application of a Function: `forward` and `backward` are the user's."""

    function: type[Function]

    def __init__(self, call: _Call):
        super().__init__()
        self._key = (type(self), object())  # each application is itself, and equals no other
        self.call = call

    def __repr__(self) -> str:
        return self.name

    def with_backward(self, function: Callable[..., Any]) -> FunctionOp:
        """The op of the same application, with another static `backward`."""
        made = copy.copy(self)
        made.call = copy.copy(self.call)
        made.call.slopes = function
        return made

    def backward(self, xp: Any, grad_y: Any, *saved: Any) -> Any:
        """The gradients for the Tensors among the arguments."""
        on_tensors = xp is TENSORS
        call = self.call if on_tensors else self.call.at(saved)
        kept = saved if on_tensors else [wrap(np.asarray(value)) for value in saved]
        gradient = grad_y if on_tensors else wrap(np.asarray(grad_y))
        found = call.backward(gradient, kept)
        if on_tensors:
            return found
        return tuple(None if g is None else g.array for g in found)

    def watched(self, inputs: Sequence[Any], observer: Any) -> Tensor:
        """What `forward` gives, where this observer sees each of its steps."""
        return self.call.value(inputs, observer)


class _Call:
    """One application: the arguments, what became of them, and how to go back."""

    def __init__(self, function: type[Function], arguments: tuple[Any, ...]):
        self.function, self.slopes = function, function.backward
        self.positions = [i for i, a in enumerate(arguments) if isinstance(a, Tensor)]
        #: The arguments that are no Tensors, in their places.
        self.fixed = [None if isinstance(a, Tensor) else a for a in arguments]
        self.tensors: list[Any] = [arguments[i] for i in self.positions]
        self.arrays = tuple([STATE.execution.read(t) for t in self.tensors])
        self.ctx = FunctionCtx([isinstance(a, Tensor) and a.requires_grad for a in arguments])
        self.outputs: list[Any] = []
        self.several = False
        self.parts: dict[int, Part] = {}
        #: For each saved Tensor: an input's position, the key of an output, or the Tensor itself.
        self.sources: list[Any] = []
        self.dtype: Any = None

    def run(self, observer: Any = None) -> None:
        """Call the user's `forward`, which only this observer sees; the tape keeps nothing."""
        arguments = list(self.fixed)
        for i, t in zip(self.positions, self.tensors, strict=True):
            arguments[i] = t
        with Setting(grad_enabled=False), observing(observer, alone=True):
            result = self.function._forwarded(self.ctx, arguments)
        self.several = isinstance(result, tuple | list)
        self.outputs = list(result) if self.several else [result]
        for i, y in enumerate(self.outputs):
            if y is not None and not isinstance(y, Tensor) and not self.several:
                raise DTypeError(
                    f"{self.function.__name__}.forward must return a Tensor or a tuple of them, "
                    f"got {words(self.outputs[i])[0]}"
                )
        self._lay_out()
        self._note_saved()

    def _lay_out(self) -> None:
        """Where each output that has a gradient lies in the flat one."""
        start = 0
        loose = self.ctx._loose
        for i, y in enumerate(self.outputs):
            if not isinstance(y, Tensor) or y.dtype not in FLOATING:
                continue
            if any(y is t for t in loose):
                continue
            stop = start + math.prod(y.shape)
            self.parts[i] = Part(start, stop, y.shape, y.dtype)
            self.dtype = y.dtype if self.dtype is None else promote(self.dtype, y.dtype)
            start = stop

    def _note_saved(self) -> None:
        """What each saved Tensor is: so that a second derivative knows where it came from."""
        for t in self.ctx._to_save:
            source: Any = t
            if t is not None:
                places = [("input", i) for i, x in enumerate(self.tensors) if x is t]
                places += [("output", i) for i in self.parts if self.outputs[i] is t]
                # One Tensor may be two arguments; they are saved in their order.
                new = [place for place in places if place not in self.sources]
                source = (new or places or [t])[0]
            self.sources.append(source)
        self.ctx._to_save = ()  # what is an input or an output is kept by the node

    @property
    def remembers(self) -> bool:
        """Whether the context has numbers that belong to these inputs alone."""
        own = {k: v for k, v in vars(self.ctx).items() if not k.startswith("_")}
        del own["needs_input_grad"]
        return any(
            isinstance(v, Tensor | np.ndarray | list | tuple | dict) and not _is_size(v)
            for v in (*own.values(), *[s for s in self.sources if isinstance(s, Tensor)])
        )

    @property
    def kept(self) -> list[int]:
        """Which Tensor arguments the node keeps: all of them if forward must be done again."""
        if self.remembers:
            return [*range(len(self.positions))]
        return sorted({s[1] for s in self.sources if isinstance(s, tuple) and s[0] == "input"})

    def op(self) -> FunctionOp:
        """The op of this application, whose class says which of its inputs are kept."""
        names = self._names()
        saves = [names[i] for i in self.kept]
        if any(isinstance(s, tuple) and s[0] == "output" for s in self.sources):
            saves.append("y")
        function: Any = self.function
        return _op_class(function, tuple(names), tuple(saves))(self)

    def _names(self) -> list[str]:
        """A name for each Tensor argument: that of the parameter of `forward`."""
        declared = list(inspect.signature(self.function.forward).parameters.values())
        if not self.function._is_split():
            declared = declared[1:]
        plain = [p.name for p in declared if p.kind is not p.VAR_POSITIONAL]
        names = []
        for i in self.positions:
            name = plain[i] if i < len(plain) else f"input_{i}"
            names.append("y_" if name == "y" else name)  # y is the output
        return names

    def at(self, saved: Sequence[Any]) -> _Call:
        """This call, or the same one made at other inputs, if it is those that were saved."""
        if not self.remembers or all(a is b for a, b in zip(saved, self.arrays, strict=False)):
            return self
        arguments = list(self.fixed)
        for i, array in zip(self.positions, saved, strict=False):
            arguments[i] = wrap(np.asarray(array))
        again = _Call(self.function, tuple(arguments))
        again.run()
        again.ctx.needs_input_grad = self.ctx.needs_input_grad
        again.slopes = self.slopes
        return again

    def value(self, inputs: Sequence[Any], observer: Any = None) -> Tensor:
        """What the same call gives at other inputs; several outputs as one flat Tensor. This
        observer sees its steps.
        """
        arguments = list(self.fixed)
        for i, x in zip(self.positions, inputs, strict=True):
            arguments[i] = x if isinstance(x, Tensor) else wrap(np.asarray(x))
        again = _Call(self.function, tuple(arguments))
        again.run(observer)
        if not again.several:
            return again.outputs[0]
        flat = [reshape(again.outputs[i], (-1,)).astype(again.dtype) for i in again.parts]
        with observing(observer, alone=True):
            return concat(flat)

    # -- backward -------------------------------------------------------------------------------

    def backward(self, gradient: Tensor, kept: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        """The gradients that the user's `backward` returns, one for each Tensor argument."""
        ctx = self.ctx
        ctx._saved = tuple([self._recalled(source, kept) for source in self.sources])
        try:
            result = self.slopes(ctx, *self._split(gradient))
        finally:
            ctx._saved = None
            ctx._reached.clear()
        given = list(result) if isinstance(result, tuple | list) else [result]
        count = len(self.fixed)
        name = self.function.__name__
        if len(given) < count or any(g is not None for g in given[count:]):
            raise GradientError(
                f"{name}.backward must return a gradient for each of the {count} arguments of "
                f"forward, got {len(given)}; return None for what has none"
            )
        for i, g in enumerate(given[:count]):
            if g is not None and not isinstance(g, Tensor):
                raise DTypeError(
                    f"{name}.backward: gradient {i} must be a Tensor or None, got {words(g)[0]}"
                )
        return tuple([given[i] for i in self.positions])

    def _recalled(self, source: Any, kept: Sequence[Tensor]) -> Any:
        """A saved Tensor, linked to where it came from."""
        if not isinstance(source, tuple):
            return source
        kind, i = source
        return kept[self.kept.index(i)] if kind == "input" else self._part(kept[-1], self.parts[i])

    def _part(self, flat: Tensor, part: Part) -> Tensor:
        """An output out of the flat one."""
        if not self.several:
            return flat
        y = reshape(flat[part.start : part.stop], part.shape)
        return y if y.dtype == part.dtype else y.astype(part.dtype)

    def _split(self, gradient: Tensor) -> list[Tensor | None]:
        """The gradient of each output."""
        ctx = self.ctx
        found: list[Tensor | None] = []
        for i, y in enumerate(self.outputs):
            part = self.parts.get(i)
            if part is not None and (ctx._materialize or not self.several or i in ctx._reached):
                found.append(self._part(gradient, part))
            elif ctx._materialize and y is not None:
                found.append(wrap(np.zeros(y.shape, y.dtype)))
            else:
                found.append(None)
        return found

    # -- the results ----------------------------------------------------------------------------

    def results(self) -> Any:
        """The outputs; those that have a gradient stand on the tape."""
        taped = STATE.grad_enabled and bool(self.parts) and any(self.ctx.needs_input_grad)
        made: list[Any] = [y.detach() if isinstance(y, Tensor) else y for y in self.outputs]
        if taped:
            self._record(made)
        for i, y in enumerate(self.outputs):
            if any(y is t for t in self.ctx._dirty):
                made[i] = y.become(self.function.__name__, made[i])
        #: Only shapes and dtypes are needed from here on.
        self.outputs = [_Kind(y.shape, y.dtype) if isinstance(y, Tensor) else None for y in made]
        self.tensors = [_Kind(t.shape, t.dtype) for t in self.tensors]
        self.arrays = self.arrays if self.remembers else ()
        return tuple(made) if self.several else made[0]

    def _record(self, made: list[Any]) -> None:
        """Put the one node on the tape, and make the outputs of it."""
        op = self.op()
        if not self.several:
            whole = made[0]
        else:
            flats = [reshape(made[i], (-1,)).astype(self.dtype) for i in self.parts]
            with observing(alone=True):
                whole = concat(flats) if len(flats) > 1 else flats[0]
        whole.node = make_node(op, tuple(self.tensors), self.arrays, whole.array)
        whole._requires_grad = True
        if STATE.observer is not None:
            STATE.observer(op, tuple(self.tensors), whole)
        if not self.several:
            return
        for i, part in self.parts.items():
            made[i] = self._part(whole, part)
            if not self.ctx._materialize:
                made[i].register_hook(functools.partial(_reach, self.ctx, i))


class _Kind(NamedTuple):
    """What is known of a Tensor that is not kept."""

    shape: tuple[int, ...]
    dtype: Any


def _is_size(value: Any) -> bool:
    """Whether something is a shape or another list of whole numbers."""
    return isinstance(value, list | tuple) and all(type(n) is int for n in value)


def _reach(ctx: FunctionCtx, i: int, gradient: Tensor) -> None:
    ctx._reached.add(i)


@functools.lru_cache(maxsize=1024)
def _op_class(function: Any, names: tuple[str, ...], saves: tuple[str, ...]) -> type[FunctionOp]:
    """The class of the ops of a Function of which these inputs are kept."""

    def forward(self: FunctionOp, xp: Any, *inputs: Any) -> Any:
        y = self.call.value(inputs)
        return y if xp is TENSORS else y.array

    def backward(self: FunctionOp, xp: Any, grad_y: Any, *saved: Any) -> Any:
        return FunctionOp.backward(self, xp, grad_y, *saved)

    forward.__wrapped__ = function.forward  # type: ignore[attr-defined]
    backward.__wrapped__ = function.backward  # type: ignore[attr-defined]
    kind = inspect.Parameter
    forward.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [kind(n, kind.POSITIONAL_ONLY) for n in ("self", "xp", *names)]
    )
    namespace = {
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "name": function.__name__,
        "saves": saves,
        "forward": forward,
        "backward": backward,
        "function": function,
        "twice_differentiable": not getattr(function.backward, "once_differentiable", False),
    }
    return type(function.__name__, (FunctionOp,), namespace)


class Function:
    """A function with a derivative of your own: subclass it, and call `apply`.

    `forward(ctx, *arguments)` computes with Tensors, and keeps in `ctx` what `backward(ctx,
    *grad_outputs)` needs, which returns a gradient (or None) for each argument. Or `forward` has no
    `ctx`, and `setup_context(ctx, inputs, output)` keeps it. `backward` is differentiated again
    where it is written with Tensors.

    >>> from backlit import tensor
    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, grad_y):
    ...         x, = ctx.saved_tensors
    ...         return grad_y * 3 * x * x
    >>> x = tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    Tensor(12., shape=(), dtype=float32)
    """

    def __init__(self, *args: Any, **options: Any):
        raise ArgumentError(
            f"{type(self).__name__}: a Function is not made but applied: "
            f"{type(self).__name__}.apply(...), with forward and backward as static methods"
        )

    @staticmethod
    def forward(*args: Any, **options: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("a Function needs a static method forward(ctx, ...)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keep what `backward` needs, where `forward` has no `ctx`."""
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Return a gradient for each argument of `forward`."""
        raise NotImplementedError("a Function needs a static method backward(ctx, ...)")

    @classmethod
    def apply(cls, *arguments: Any) -> Any:
        """The outputs for these arguments, with the Function's gradient on the tape."""
        call = _Call(cls, arguments)
        call.run()
        return call.results()

    @classmethod
    def _is_split(cls) -> bool:
        """Whether what `backward` needs is kept by `setup_context`."""
        return cls.setup_context is not Function.setup_context

    @classmethod
    def _forwarded(cls, ctx: FunctionCtx, arguments: list[Any]) -> Any:
        """What `forward` returns, with `ctx` filled."""
        if not cls._is_split():
            return cls.forward(ctx, *arguments)
        output = cls.forward(*arguments)
        cls.setup_context(ctx, tuple(arguments), output)
        return output


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a `backward` that cannot itself be differentiated, as it computes with arrays."""

    @functools.wraps(backward)
    def marked(ctx: Any, *gradients: Any) -> Any:
        return backward(ctx, *gradients)

    marked.once_differentiable = True  # type: ignore[attr-defined]
    return marked


__all__ = ["Function", "FunctionCtx", "once_differentiable"]
