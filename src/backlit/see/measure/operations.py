"""How much a computation has to do: multiply-adds and other operations, by op, module and line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...compiler.capture import capture
from ...errors import ArgumentError
from ...op import describe
from ...table import Table, Tabular


@dataclass(frozen=True)
class Operation:
    """What one op of a computation has to do.

    `operations` counts a multiplication and an addition as two; `multiply_adds` are those of
    products (matrix products, convolutions), and 0 for all else.
    """

    op: str
    result: str
    module: str
    line: str
    operations: int
    multiply_adds: int


class Operations(Tabular):
    """What the ops of a computation have to do, in their order."""

    def __init__(self, rows: list[Operation]):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Any:
        return iter(self.rows)

    @property
    def multiply_adds(self) -> int:
        """Those of all products: what tables of networks state (some of them as "FLOPs")."""
        return sum(r.multiply_adds for r in self.rows)

    @property
    def operations(self) -> int:
        """All arithmetic operations, those of products counted twice."""
        return sum(r.operations for r in self.rows)

    def by(self, what: str) -> dict[str, int]:
        """Multiply-adds by "module", "line" or "op", in the order in which they are met."""
        if what not in ("line", "module", "op"):
            raise ArgumentError(f'operations.by: what must be "line", "module" or "op", got {what}')
        sums: dict[str, int] = {}
        for r in self.rows:
            if r.multiply_adds:
                key = getattr(r, what)
                sums[key] = sums.get(key, 0) + r.multiply_adds
        return sums

    def table(self) -> Table:
        """A row for each product."""
        rows = [[r.multiply_adds, r.op, r.result, r.module] for r in self.rows if r.multiply_adds]
        foot = (
            f"{self.multiply_adds:,} multiply-adds in products; {self.operations:,} operations in "
            f"all, a multiply-add being two"
        )
        return Table(["multiply-adds", "op", "result", "module"], rows, foot)


def operations(function: Callable[..., Any], *args: Any) -> Operations:
    """What a function (a network, a loss with its backward pass) has to do with these arguments.

    It is captured, not computed: only the arguments' shapes matter. Products count each element of
    a result with each weight of its window, those at padded places, too, as tables of networks do.

    >>> from backlit import nn, see, zeros
    >>> model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    >>> see.operations(model, zeros((5, 3))).by("module")
    {'Sequential.0': 120, 'Sequential.2': 80}
    """
    from ...compiler.plan.report import operations as of_equation
    from ...ops.contraction import Matmul
    from ...ops.convolution import Product

    if not callable(function):
        raise ArgumentError(
            f"operations: function must be a network or a function, got {type(function).__name__}"
        )
    graph = capture(lambda *given: function(*given))(*args)
    rows = []
    for e in graph.equations:
        count = of_equation(e)
        rows.append(
            Operation(
                op=e.op.name,
                result=describe(e.output),
                module=e.site.scope.path if e.site.scope is not None else "",
                line=e.site.location.partition(",")[0],
                operations=count,
                multiply_adds=count // 2 if isinstance(e.op, Matmul | Product) else 0,
            )
        )
    return Operations(rows)
