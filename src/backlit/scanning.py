"""Recurrences: a function done step after step, on what the step before has left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .array_api import stack
from .dtypes import same_kind
from .errors import ArgumentError, ShapeError
from .foreign import require_function, words
from .op import describe
from .ops import elementwise
from .state import STATE
from .tensor import Tensor, apply, as_tensor
from .tree import flatten, paths, unflatten

#: Of more steps the slices are taken from parts: the gradient of a slice is as large as its whole.
_FEW = 64


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    xs: Any = None,
    length: int | None = None,
    *,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """A recurrence: `f(carry, x) -> (carry, y)` for each x in turn; the last carry, and all y.

        c₀ = carry;   cₜ₊₁, yₜ = f(cₜ, xₜ);   scan(f, c₀, x) = c_T, (y₀, …, y_T₋₁)

    The carry, xs and y are Tensors in nested tuples, lists, dicts and dataclasses. xs is taken
    apart along the first axis, of T elements; the y are stacked along a new one. y, xs or parts of
    them may be None; without xs, `length` is T, which is at least 1. The carry keeps its structure,
    shapes and dtypes. With `reverse` the last x is the first; yₜ still belongs to xₜ.

    In eager execution it is a Python loop. In a compiled function it is a loop there, too: f is run
    once, its code does not grow with T, and gradients go back through a loop. Tensors around f that
    it reads (parameters) get gradients; those that it assigns to (running statistics, the counter
    of random numbers) change at every step. A step that there changes something else raises a
    TraceError. Under `vmap` it is done step by step, also in a compiled function.

    Errors: ArgumentError, if f returns no pair or another structure, or if length is missing;
    ShapeError, if lengths, or shapes or dtypes of the carry, differ. As `jax.lax.scan`, which also
    takes T = 0.

    >>> def book(balance, x):
    ...     return balance + x, balance + x
    >>> scan(book, 100.0, as_tensor([5.0, -20.0]))[1]
    Tensor([105.,  85.], shape=(2,), dtype=float32)
    """
    require_function("scan: f", f)
    loop = _Loop(f, carry)
    slices, count = loop.taken(xs, length)
    results = STATE.execution.recur(loop.step, loop.first, slices, count, reverse)
    if results is None:
        results = _step_by_step(loop.step, loop.first, slices, count, reverse)
    return loop.handed_out(*results)


class _Loop:
    """The structures of what goes into a step and comes out of it."""

    def __init__(self, f: Callable[[Any, Any], tuple[Any, Any]], carry: Any):
        self.f = f
        leaves, self.carried = flatten(carry)
        self.first = [_own(as_tensor(x)) for x in leaves]
        self.kinds = [describe(x) for x in self.first]
        self.slices: Any = None
        self.present: list[bool] = []  # of the leaves of xs, whether they are not None
        self.stacked: Any = None
        self.stacks: list[bool] = []  # of the leaves of y
        self.shapes: list[str] | None = None

    def taken(self, xs: Any, length: Any) -> tuple[list[Tensor], int]:
        """The Tensors that steps take slices of, and how many steps there are."""
        leaves, self.slices = flatten(xs)
        self.present = [x is not None for x in leaves]
        named = zip(paths(self.slices, "xs"), leaves, strict=True)
        found = [(name, as_tensor(x)) for name, x in named if x is not None]
        for name, x in found:
            if not x.shape:
                raise ShapeError(
                    f"scan: xs must have an axis to be taken apart along, got {name}: "
                    f"{describe(x)}; let f find what is the same at every step around it"
                )
            if x.shape[0] != found[0][1].shape[0]:
                raise ShapeError(
                    "scan: xs must have one length along the first axis, got "
                    f"{found[0][0]}: {describe(found[0][1])} and {name}: {describe(x)}"
                )
        if length is None and not found:
            raise ArgumentError(
                "scan: without xs the number of steps must be given; scan(f, carry, length=n)"
            )
        if length is not None and (not isinstance(length, int) or isinstance(length, bool)):
            raise ArgumentError(f"scan: length must be an integer, got {words(length)[0]}")
        count = found[0][1].shape[0] if found else int(length or 0)
        if length is not None and length != count:
            raise ShapeError(
                f"scan: length must be that of xs along the first axis, {count}, got {length}"
            )
        if count < 1:
            raise ArgumentError(
                f"scan: there must be at least one step, got {count}; of none it is not known "
                "what y is"
            )
        return [x for _, x in found], count

    def step(self, carry: list[Tensor], xs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """One step on flat lists of Tensors."""
        given = iter(xs)
        slices = [next(given) if present else None for present in self.present]
        result = self.f(unflatten(self.carried, carry), unflatten(self.slices, slices))
        if not isinstance(result, tuple) or len(result) != 2:
            raise ArgumentError(
                f"scan: f must return a pair (carry, y), got {_kind(result)}; return "
                "(carry, None) if nothing is to be stacked"
            )
        after, structure = flatten(result[0])
        if structure != self.carried:
            raise ArgumentError(
                "scan: f must return a carry of the structure that it was given, "
                f"{_shown(self.carried, self.kinds)}, got "
                f"{_shown(structure, [_kind(x) for x in after])}"
            )
        following = [as_tensor(x) for x in after]
        for i, (x, kind) in enumerate(zip(following, self.kinds, strict=True)):
            if describe(x) != kind:
                name = paths(self.carried, "carry")[i]
                raise ShapeError(
                    f"scan: f must keep the shapes and dtypes of the carry, got {describe(x)} for "
                    f"{name}: {kind}; {_cure(x, self.first[i])}"
                )
        return following, self._ys(result[1])

    def _ys(self, y: Any) -> list[Tensor]:
        """The Tensors in a y, which is of one kind at every step."""
        leaves, structure = flatten(y)
        present = [x is not None for x in leaves]
        found = [as_tensor(x) for x in leaves if x is not None]
        kinds = [describe(x) for x in found]
        if self.shapes is None:
            self.stacked, self.stacks, self.shapes = structure, present, kinds
        elif (structure, present, kinds) != (self.stacked, self.stacks, self.shapes):
            before = _shown(self.stacked, _placed(self.stacks, self.shapes))
            raise ShapeError(
                f"scan: f must return a y of one kind at every step, got {before} and then "
                f"{_shown(structure, _placed(present, kinds))}"
            )
        return found

    def handed_out(self, carry: list[Tensor], stacks: list[Tensor]) -> tuple[Any, Any]:
        """The results as f returns them."""
        return unflatten(self.carried, carry), unflatten(self.stacked, _placed(self.stacks, stacks))


def _own(x: Tensor) -> Tensor:
    """A Tensor of the loop's own: a step that changes it in place does not change the caller's."""
    linked = x.requires_grad and STATE.grad_enabled
    return apply(elementwise.Positive(), x) if linked else x.detach()


def _placed(present: list[bool], values: list[Any]) -> list[Any]:
    """The values where something is, None elsewhere."""
    following: Iterator[Any] = iter(values)
    return [next(following) if p else None for p in present]


class _Plain(str):
    """A text that stands in a structure without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _shown(structure: Any, kinds: list[Any]) -> str:
    return repr(unflatten(structure, [k if k is None else _Plain(k) for k in kinds]))


def _kind(x: Any) -> str:
    return describe(x) if isinstance(x, Tensor) else words(x)[0]


def _cure(x: Tensor, first: Tensor) -> str:
    """How a step or its beginning could be written that fit together."""
    if x.shape != first.shape:
        return f"begin with a carry of shape {x.shape}, or return one of shape {first.shape}"
    if same_kind(x.dtype, first.dtype):
        return f"return it with astype({first.dtype.name!r})"
    return f"begin with a carry of {x.dtype.name}"


def _step_by_step(
    step: Callable[..., Any], carry: list[Tensor], xs: list[Tensor], length: int, reverse: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """The definition."""
    rows = [_rows(x, length) for x in xs]
    found: list[list[Tensor]] = []
    for i in reversed(range(length)) if reverse else range(length):
        carry, y = step(carry, [row(i) for row in rows])
        found.append(y)
    if reverse:
        found.reverse()
    return carry, [stack(several) for several in zip(*found, strict=True)]


def _rows(x: Tensor, length: int) -> Callable[[int], Tensor]:
    """The function from a number to that slice."""
    if length <= _FEW:
        return lambda i: x[i]
    width = round(length**0.5)
    parts = [x[start : start + width] for start in range(0, length, width)]
    return lambda i: parts[i // width][i % width]
