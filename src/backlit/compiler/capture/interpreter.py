"""The plain interpreter of a graph with NumPy: the third opinion on what a graph means.

`interpret` runs a graph on arrays; `interpreter` is the executor that does so for `compile`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ...backend import halves
from ...backend import numpy_backend as NUMPY
from ...errors import IndexRangeError
from ...op import Op
from ...tensor import Tensor, wrap
from .graph import Graph, Variable
from .results import MISS, OUTSIDE, fill_result
from .trace import Capture


def evaluated(op: Op, inputs: tuple[Any, ...]) -> np.ndarray:
    """What an op makes of arrays and numbers."""
    return np.asarray(halves.forward(op, partial(op.forward, NUMPY), inputs))


def interpret(graph: Graph, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs for the inputs, equation by equation; a value lives until its last use."""
    values: dict[Variable, Any] = dict(zip(graph.inputs, arrays, strict=True))
    values.update(graph.constants)
    last = graph.last_uses()
    kept = set(graph.outputs)
    for number, e in enumerate(graph.equations):
        args = tuple([values[x] if isinstance(x, Variable) else x for x in e.inputs])
        values[e.output] = evaluated(e.op, args)
        for x in e.inputs:
            if isinstance(x, Variable) and last[x] == number and x not in kept:
                values.pop(x, None)
    return [values[v] for v in graph.outputs]


class interpreter:  # noqa: N801  (an executor is called like a function)
    """The executor that interprets the graph with NumPy."""

    def __init__(self, captured: Capture):
        self.captured = captured
        self._kinds = [(t, t.shape, t.dtype, t._requires_grad) for t in captured.found]

    def valid(self) -> bool:
        """Whether the environment is still of the kind that was captured."""
        captured = self.captured
        return (
            captured.guards.hold()
            and captured.same_gradients()
            and all(
                t.shape == shape and t.dtype == dtype and t._requires_grad == requires_grad
                for t, shape, dtype, requires_grad in self._kinds
            )
        )

    def attempt(self, leaves: Any, fresh: bool = False) -> Any:
        """Interpret the graph once, or MISS."""
        return self._run(leaves) if fresh or self.valid() else MISS

    def _run(self, leaves: Any) -> Any:
        captured = self.captured
        arrays = [x.array for x in leaves if isinstance(x, Tensor)]
        arrays.extend(t.array for t in captured.found)
        try:
            outputs = interpret(captured.graph, arrays)
        except IndexRangeError:
            raise
        except IndexError:
            raise IndexRangeError(OUTSIDE) from None
        following = iter(outputs[captured.results :])
        for t in captured.updated:
            t.array = next(following)
        for target in captured.placed:
            target.put(leaves, next(following))
        handed = captured.gradients_handed(leaves)
        for t, present in captured.gradients:
            t._grad = wrap(next(following)) if present else None
        for t, gradient in handed:
            t._grad = gradient
        for own, name, value in captured.writes:
            own[name] = value
        results = outputs[: captured.results]
        return fill_result(captured.result_tree, results, captured.sources(leaves))

    def repeat(self, leaves: Any, times: int) -> Any:
        """Interpret the graph `times` times."""
        for _ in range(times - 1):
            self._run(leaves)
        return self._run(leaves)
