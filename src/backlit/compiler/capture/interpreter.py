"""The executor that runs a captured graph with NumPy: the third opinion on what it means."""

from __future__ import annotations

from typing import Any

from ...errors import IndexRangeError
from ...tensor import Tensor, wrap
from .evaluate import interpret
from .results import MISS, OUTSIDE, fill_result
from .trace import Capture


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
