"""Hooks: functions that are called before a module, after it, and with its gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple

from ..array_api import concat, positive, reshape
from ..errors import ArgumentError
from ..foreign import words
from ..op import describe
from ..state import STATE
from ..tensor import Tensor

BEFORE, AFTER, GRADIENT_BEFORE, GRADIENT = "before", "after", "gradient before", "gradient"


class Hook(NamedTuple):
    """A function, and when and how it is called."""

    kind: str
    function: Callable[..., Any]
    with_kwargs: bool
    always_call: bool


class RemovableHandle:
    """What takes a hook away again: `remove()`, or the end of a `with` block.

    >>> from backlit import nn, zeros
    >>> layer = nn.Tanh()
    >>> with layer.register_forward_hook(lambda module, args, y: print(y.shape)):
    ...     _ = layer(zeros(3))
    (3,)
    >>> _ = layer(zeros(3))
    """

    _numbers = itertools.count()

    def __init__(self, hooks: MutableMapping[int, Any]):
        # A module that was unpickled may have hooks whose numbers are of another process.
        self.id = next(number for number in self._numbers if number not in hooks)
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook away; a second time is no error."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def call(module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A module's result, with its hooks as they are now."""
    hooks = list(module._hooks.values())
    after = [h for h in hooks if h.kind == AFTER]
    y: Any = None
    done = 0
    try:
        for hook in hooks:
            if hook.kind == BEFORE:
                inputs, options = _prepared(hook, module, inputs, options)
        gate = _Gate(module, hooks) if STATE.grad_enabled else None
        if gate is not None:
            inputs = gate.entering(inputs)
        y = module.forward(*inputs, **options)
        for hook in after:
            done += 1
            y = _finished(hook, module, inputs, options, y)
        return y if gate is None else gate.leaving(y)
    except Exception:
        for hook in after[done:]:
            if hook.always_call:
                _finished(hook, module, inputs, options, y)
        raise


def _prepared(
    hook: Hook, module: Any, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments after a hook that may replace them."""
    if not hook.with_kwargs:
        new = hook.function(module, inputs)
        if new is None:
            return inputs, options
        return new if isinstance(new, tuple) else (new,), options
    new = hook.function(module, inputs, options)
    if new is None:
        return inputs, options
    if not isinstance(new, tuple) or len(new) != 2:
        raise ArgumentError(
            f"{type(module).__name__}: a forward-pre hook with kwargs returns None or (args, "
            f"kwargs), got {words(new)[0]}"
        )
    return new


def _finished(
    hook: Hook, module: Any, inputs: tuple[Any, ...], options: dict[str, Any], y: Any
) -> Any:
    """The result after a hook that may replace it."""
    keywords = (options,) if hook.with_kwargs else ()
    new = hook.function(module, inputs, *keywords, y)
    return y if new is None else new


class _Gate:
    """Where the gradients of one call pass: those that arrive at its results, those it sends on.

    All Tensors of one side go through one node, so their gradients are known at one moment.
    """

    def __init__(self, module: Any, hooks: list[Hook]):
        self.module = module
        self.before = [h.function for h in hooks if h.kind == GRADIENT_BEFORE]
        self.hooks = [h.function for h in hooks if h.kind == GRADIENT]
        self.number = 0  # of inputs
        self.passes = False  # whether a gradient leaves through them
        self.arrived: tuple[Any, ...] | None = None

    def entering(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs, led through the gate."""
        self.number = len(inputs)
        if not self.hooks:
            return inputs
        self.passes = any(isinstance(x, Tensor) and x.requires_grad for x in inputs)
        return _led(inputs, self.sent)

    def leaving(self, y: Any) -> Any:
        """The result, led through the gate."""
        if not self.hooks and not self.before:
            return y
        values = y if isinstance(y, tuple) else (y,)
        if not any(isinstance(v, Tensor) for v in values):
            raise ArgumentError(
                f"{type(self.module).__name__}: with a backward hook the result must be a Tensor "
                f"or a tuple with Tensors, got {words(y)[0]}; put the hook on a module inside, or "
                "use register_hook of the Tensors"
            )
        led = _led(values, self.came)
        return led if isinstance(y, tuple) else led[0]

    def came(self, gradients: tuple[Any, ...]) -> Any:
        """The gradients of the results are known."""
        for function in self.before:
            new = function(self.module, gradients)
            gradients = gradients if new is None else self._replaced(new, gradients, "output")
        self.arrived = gradients
        if self.hooks and not self.passes:
            self.sent((None,) * self.number)
        return gradients

    def sent(self, gradients: tuple[Any, ...]) -> Any:
        """The gradients of the inputs are known."""
        for function in self.hooks:
            new = function(self.module, gradients, self.arrived)
            gradients = gradients if new is None else self._replaced(new, gradients, "input")
        return gradients

    def _replaced(self, new: Any, old: tuple[Any, ...], which: str) -> tuple[Any, ...]:
        new = new if isinstance(new, tuple) else (new,)
        fits = len(new) == len(old) and all(
            (a is None) == (b is None)
            and (a is None or (isinstance(a, Tensor) and a.shape == b.shape))
            for a, b in zip(new, old, strict=True)
        )
        if not fits:
            raise ArgumentError(
                f"{type(self.module).__name__}: a backward hook returns None, or gradients like "
                f"grad_{which} = {_named(old)}, got {_named(new)}"
            )
        return new


def _named(values: tuple[Any, ...]) -> str:
    inside = ", ".join(describe(v) if isinstance(v, Tensor) else repr(v) for v in values)
    return f"({inside})"


def _led(
    values: tuple[Any, ...], known: Callable[[tuple[Any, ...]], tuple[Any, ...]]
) -> tuple[Any, ...]:
    """Values, those of them that need a gradient behind one node; `known` gets their gradients."""
    places = [
        i for i, v in enumerate(values) if isinstance(v, Tensor) and (v.requires_grad and v.size)
    ]
    if not places:
        return values
    tensors = [values[i] for i in places]
    if len(tensors) == 1:
        gate = positive(tensors[0])
        through = [gate]
    else:
        gate = concat([reshape(t, (t.size,)) for t in tensors])
        through = [
            part.astype(t.dtype) for part, t in zip(_parts(gate, tensors), tensors, strict=True)
        ]

    def hook(gradient: Tensor) -> Tensor:
        parts = [gradient] if len(tensors) == 1 else _parts(gradient, tensors)
        given: list[Any] = [None] * len(values)
        for i, part in zip(places, parts, strict=True):
            given[i] = part
        new = known(tuple(given))
        if all(a is b for a, b in zip(new, given, strict=True)):
            return gradient
        pieces = [new[i] for i in places]
        if len(pieces) == 1:
            return pieces[0]
        return concat([reshape(p, (p.size,)) for p in pieces]).astype(gradient.dtype)

    gate.register_hook(hook)
    result = list(values)
    for i, t in zip(places, through, strict=True):
        result[i] = t
    return tuple(result)


def _parts(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    """A flat Tensor cut into the shapes of others."""
    parts, start = [], 0
    for t in like:
        parts.append(reshape(flat[start : start + t.size], t.shape))
        start += t.size
    return parts


__all__ = ["RemovableHandle"]
