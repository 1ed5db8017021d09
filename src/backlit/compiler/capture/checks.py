"""What a captured function checks of values, each time it runs."""

from __future__ import annotations

from typing import Any

from ...dtypes import DType, bool_
from ...errors import BacklitError
from ...op import Op, Shape


class Require(Op):
    """An error unless all elements of x are true. Nothing reads y; it is kept for its effect."""

    attributes = ("error", "condition", "cure")
    primitive = True
    error: type[BacklitError]
    condition: str
    cure: str

    def __repr__(self) -> str:
        return f"require({self.condition!r})"

    def failure(self) -> BacklitError:
        """The error. Which element it was is known only to eager execution."""
        return self.error(
            f"{self.condition}, but compiled code met others; {self.cure}; call the "
            "function without backlit.compile to see which"
        )

    def forward(self, xp: Any, x: Any) -> Any:
        """Definition."""
        if not x.all():
            raise self.failure()
        return x

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """The type of x."""
        return x.shape, bool_
