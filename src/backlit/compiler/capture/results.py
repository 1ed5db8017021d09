"""What a compiled function hands out: arrays wrapped in Tensors, in the form of its result."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...errors import GradientError
from ...op import Op
from ...tape import make_node
from ...tensor import Tensor, wrap
from ...tree import unflatten

#: Which index it was is known only to eager execution.
OUTSIDE = (
    "compiled function: an index lies outside its axis; call the function without "
    "backlit.compile to see which"
)


class _Miss:
    """Says that a runner does not fit its environment any more."""


MISS = _Miss()


class Output:
    """Stands for a Tensor in the result of a captured function."""


#: A Tensor that eager execution could not differentiate further.
OUTPUT = Output()
#: One that it could.
LINKED = Output()


class Compiled(Op):
    """Stands on the tape for a compiled function, through which no gradient goes.

    Its node leads on to the Tensors that the function took, so that a walk knows what lies behind
    it; where these are not known it leads nowhere, and what lies behind it may be anything.
    """

    attributes = ("sources",)
    closed = (
        "it was computed inside a compiled function, which keeps no tape; ask with the function "
        "itself, not compiled"
    )
    sources: int  # how many Tensors that require a gradient the function took

    def backward(self, xp: Any, grad_y: Any) -> Any:
        """Raise where a gradient goes on: weights that silently got none would stay untrained."""
        return (_refuse,) * self.sources if self.sources else _refuse()


def _refuse() -> Any:
    raise GradientError(
        "compiled: no gradient goes through a compiled function from outside; call backward() "
        "or backlit.grad inside it, or call it under backlit.no_grad() if none is wanted"
    )


@functools.cache
def _compiled(sources: int) -> Compiled:
    return Compiled(sources=sources)


def is_linked(result: Tensor) -> bool:
    """Whether eager execution could differentiate what a function returns any further."""
    return result.requires_grad and (result.node is None or result.node.saved is not None)


def wrapped(array: np.ndarray, kind: Output, sources: tuple[Tensor, ...] = ()) -> Tensor:
    """A Tensor of a result; a LINKED one has a node through which no gradient goes."""
    if kind is OUTPUT:
        return wrap(array)
    return wrap(array, make_node(_compiled(len(sources)), sources, (), array))


def fill_result(tree: Any, arrays: list[np.ndarray], sources: tuple[Tensor, ...]) -> Any:
    """The function's result with arrays wrapped in Tensors where Tensors were."""
    structure, kept = tree
    if structure is None and kept[0] is OUTPUT:
        return wrap(arrays[0])
    following = iter(arrays)
    leaves = [
        wrapped(next(following), leaf, sources) if type(leaf) is Output else leaf for leaf in kept
    ]
    return unflatten(structure, leaves)
