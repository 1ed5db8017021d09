"""What all metrics have in common: numbers gathered batch by batch; and functions as metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...array_api.arguments import number
from ...errors import ArgumentError, ShapeError
from ...foreign import require_function
from ...tensor import Tensor, as_tensor
from ...tree import flatten


class Metric:
    """The base of all metrics: `update` with each batch, then `compute`.

    The counts are plain numbers, so that a run that is resumed in the middle of an epoch continues
    them (`state_dict`).
    """

    name = "metric"
    #: Whether more is better.
    larger_is_better = True

    #: What has been gathered: the sum, and of how many. Here, too, for metrics without __init__.
    total: float = 0.0
    count: int = 0

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self.total = 0.0
        self.count = 0

    def update(self, prediction: Any, target: Any) -> None:
        """Take in one batch."""
        raise NotImplementedError(f"{type(self).__name__} must define update()")

    def compute(self) -> float:
        """The value over all batches; NaN before the first."""
        return self.total / self.count if self.count else float("nan")

    def format(self, value: float) -> str:
        """A value as people read it."""
        return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.2e}"

    def state_dict(self) -> dict[str, Any]:
        """The counts so far."""
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved counts."""
        self.total, self.count = state["total"], state["count"]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.format(self.compute())})"


class Mean(Metric):
    """The mean of a number that each batch has, weighted by the number of examples.

    >>> loss = Mean("loss")
    >>> loss.add(1.0, 3)
    >>> loss.add(2.0, 1)
    >>> loss.compute()
    1.25
    """

    larger_is_better = False

    def __init__(self, name: str = "loss"):
        super().__init__()
        self.name = name

    def add(self, value: float, examples: int = 1) -> None:
        """Take in the value of a batch of so many examples."""
        self.total += float(value) * examples
        self.count += examples


class Function(Metric):
    """A function of prediction and target as a metric: its mean over the batches.

    The function returns one number for a batch, which counts as often as the batch has examples. A
    Trainer makes this of a function among its metrics. By default more of it is better.

    >>> from backlit import tensor
    >>> far = Function(lambda p, t: abs(p - t).max(), "far", larger_is_better=False)
    >>> far.update(tensor([1.0, 2.0]), tensor([1.5, 2.0]))
    >>> far
    Function(0.5000)
    """

    def __init__(
        self,
        function: Callable[[Any, Any], Any],
        name: str | None = None,
        *,
        larger_is_better: bool = True,
    ):
        require_function("Function: function", function)
        super().__init__()
        self.function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        if not self.name.isidentifier():
            raise ArgumentError(
                f"Function: a metric needs a name, got one called {self.name}; give one: "
                "metrics={'name': function}"
            )
        self.larger_is_better = larger_is_better

    def update(self, prediction: Any, target: Any) -> None:
        """Take in what the function says of one batch."""
        n = examples_in(target if target is not None else prediction)
        self.total += number(f"{self.name}: what it returns", self.function(prediction, target)) * n
        self.count += n


def examples_in(tree: Any) -> int:
    """How many examples there are in a batch: the length of its first Tensor that has an axis."""
    if isinstance(tree, Tensor) and tree.shape:
        return tree.shape[0]
    for leaf in flatten(tree)[0]:
        if isinstance(leaf, Tensor | np.ndarray) and leaf.shape:
            return leaf.shape[0]
    return 1


def arrays(name: str, prediction: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a target as arrays; raises if one of them is several Tensors."""
    for what, value in (("prediction", prediction), ("target", target)):
        many = isinstance(value, tuple | list) and any(isinstance(v, Tensor) for v in value)
        if many or value is None or isinstance(value, dict):
            kind = "None" if value is None else f"a {type(value).__name__} of {len(value)}"
            raise ShapeError(
                f"{name}: the {what} must be one Tensor, got {kind}; choose in a function: "
                f"metrics={{{name!r}: lambda prediction, target: ...}}"
            )
    return as_tensor(prediction).numpy(), as_tensor(target).numpy()
