"""What the tape keeps for the backward pass: which arrays, how large, and who asked for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd import topological
from ...errors import ArgumentError
from ...table import Table, Tabular
from ...tape import Node
from ...tensor import Tensor


@dataclass
class SavedArray:
    """One array on the tape. `what` says what it is to the op that keeps it: an input or `y`."""

    op: str
    what: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    line: str
    module: str
    shared: int
    parameter: bool

    @property
    def owner(self) -> str:
        """Line and module."""
        return f"{self.line}, in {self.module}" if self.module else self.line


class Saved(Tabular):
    """The arrays that backward needs, the largest first; each counted once."""

    def __init__(self, arrays: list[SavedArray]):
        self.arrays = sorted(arrays, key=lambda a: -a.bytes)

    def __len__(self) -> int:
        return len(self.arrays)

    def __iter__(self) -> Any:
        return iter(self.arrays)

    @property
    def bytes(self) -> int:
        """All bytes that would be free without the tape: parameters and other leaves left out."""
        return sum(a.bytes for a in self.arrays if not a.parameter)

    def by(self, what: str) -> dict[str, int]:
        """Bytes by "line", "module" or "op", the largest first. Leaves are left out."""
        if what not in ("line", "module", "op"):
            raise ArgumentError(f'saved.by: what must be "line", "module" or "op", got {what!r}')
        sums: dict[str, int] = {}
        for a in self.arrays:
            if not a.parameter:
                key = getattr(a, what)
                sums[key] = sums.get(key, 0) + a.bytes
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    def table(self) -> Table:
        """A row for each array."""
        rows = [
            [
                a.bytes,
                f"{a.dtype}[{','.join(map(str, a.shape))}]",
                f"{a.op}: {a.what}" + (" (a leaf)" if a.parameter else ""),
                a.shared,
                a.owner,
            ]
            for a in self.arrays
        ]
        foot = f"{self.bytes:,} bytes are kept for backward, leaves not counted"
        return Table(["bytes", "array", "kept by", "ops", "from"], rows, foot)


def saved(output: Tensor) -> Saved:
    """What is kept until `output.backward()`, with bytes, op and the line that owns it.

    An array kept by several ops is listed once, under the first. Views of one memory count as the
    memory they keep alive.

    >>> from backlit import exp, see, tensor
    >>> x = tensor([1.0, 2.0], requires_grad=True)
    >>> kept = see.saved((exp(x) * x).sum())
    >>> kept.by("op")
    {'exp': 8}
    """
    if not isinstance(output, Tensor):
        raise ArgumentError(f"saved: needs a Tensor, got {type(output).__name__}")
    if output.node is None:
        raise ArgumentError(
            "saved: the Tensor must come from a computation that needs gradients; this one "
            + ("is a leaf" if output.requires_grad else "has no graph")
        )
    found: dict[int, SavedArray] = {}
    leaves = set()
    nodes = topological([output.node])
    for node in nodes:
        node.require_live()
        leaves |= {_memory(x.array)[0] for x in node.inputs if isinstance(x, Tensor)}
    for node in sorted(nodes, key=lambda n: n.order):
        for what, value in zip(node.op.saves, node.saved or (), strict=True):
            values = value if isinstance(value, tuple) else (value,)
            for array in values:
                if isinstance(array, np.ndarray) and array.nbytes:
                    _add(found, node, what, array, leaves)
    return Saved(list(found.values()))


def _add(
    found: dict[int, SavedArray], node: Node, what: str, array: np.ndarray, leaves: set[int]
) -> None:
    """Count an array that a node keeps, once, however many nodes keep it."""
    address, size = _memory(array)
    known = found.get(address)
    if known is not None:
        known.shared += 1
        return
    found[address] = SavedArray(
        op=node.op.name,
        what=what,
        shape=array.shape,
        dtype=array.dtype.name,
        bytes=size,
        line=node.location.partition(",")[0],
        module=node.scope.path if node.scope is not None else "",
        shared=1,
        parameter=address in leaves,
    )


def _memory(array: np.ndarray) -> tuple[int, int]:
    """The memory that an array keeps alive: where it begins, and its bytes."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.__array_interface__["data"][0], array.nbytes
