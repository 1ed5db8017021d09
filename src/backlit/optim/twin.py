"""An optimizer beside another: with copies of some parameters and of their state.

What it does leaves the other one, and the parameters, as they are: so a step can be tried.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..changes import WatchedDict, WatchedList
from ..dtypes import DType
from ..tensor import Tensor, wrap
from .eager_step import STEP
from .optimizer import Optimizer


def twin_of(
    optimizer: Optimizer, gradients: Mapping[Tensor, np.ndarray], dtype: DType | None = None
) -> tuple[Optimizer, dict[Tensor, Tensor]]:
    """The twin of an optimizer, for the parameters that are given gradients; and their copies.

    With `dtype`, parameters and state are of that type: in float64 a step loses no digits.

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> w = tensor([1.0], requires_grad=True)
    >>> twin, copies = twin_of(SGD([w], lr=0.5), {w: np.array([1.0])})
    >>> twin.step()
    >>> copies[w].item(), w.item()
    (0.5, 1.0)
    """
    twin = copy.copy(optimizer)
    twin.param_groups = WatchedList()
    twin.state = type(optimizer.state)()
    copies: dict[Tensor, Tensor] = {}
    counters: dict[Tensor, Tensor] = {}
    for group in optimizer.param_groups:
        chosen = [p for p in group["params"] if p in gradients]
        for p in chosen:
            kind = p.dtype if dtype is None else dtype
            q = copies[p] = Tensor(np.array(p.array, kind), requires_grad=True)
            q.grad = wrap(np.asarray(gradients[p], kind))
            state = optimizer.state.get(p)
            if state:
                twin.state[q] = WatchedDict(
                    {name: _copied(name, value, dtype, counters) for name, value in state.items()}
                )
        if chosen:
            settings = {n: v for n, v in group.plain().items() if n in optimizer.defaults}
            twin.param_groups.append(twin._group([copies[p] for p in chosen], settings))
    twin._group_steps = [None] * len(twin.param_groups)
    return twin, copies


def _copied(name: str, value: Any, dtype: DType | None, counters: dict[Tensor, Tensor]) -> Any:
    """A copy of a part of the state; parameters that share a step counter go on to share one."""
    if not isinstance(value, Tensor):
        return copy.deepcopy(value)
    if name == STEP:
        return counters.setdefault(value, wrap(value.array.copy()))
    return wrap(np.array(value.array, value.dtype if dtype is None else dtype))


__all__ = ["twin_of"]
