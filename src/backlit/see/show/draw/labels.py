"""What stands at every node and wire: symbols, names, numbers, and the room they take."""

from __future__ import annotations

import math
from collections import Counter

from ....op import Op
from ....ops.contraction import Linear, Matmul
from ....ops.convolution import Convolution
from ...records.model import Record
from ...records.parts import Edge, NodeRecord
from ...records.value import Value, number, operand
from ..words import role_of, symbol_of
from .bodies import Opened


def value_text(v: Value | None) -> str:
    """An array in few characters: a number, a short list, or its shape and norm; of whole numbers,
    which may be names, the least and the largest."""
    if v is None:
        return ""
    if v.shape == () or v.size == 1:
        return number(v.head[0]) if v.shape == () else f"[{number(v.head[0])}]"
    if len(v.shape) == 1 and v.size <= 3:
        return v.text(3)
    shape = "×".join(map(str, v.shape))
    if v.dtype.kind in "iu" and v.size:
        low, high = v.statistics["min"], v.statistics["max"]
        return f"{shape} {number(low)} … {number(high)}"
    return f"{shape} ‖{_norm(v)}‖"


def gradient_text(v: Value | None) -> str:
    """A gradient in few characters: a number, a short list, or its norm."""
    if v is None:
        return ""
    if v.size == 1 or (len(v.shape) == 1 and v.size <= 3):
        return value_text(v)
    return f"‖{_norm(v)}‖"


def _norm(v: Value) -> str:
    s = v.statistics
    if s["nan"]:
        return "nan"
    return "∞" if s["inf"] else number(s["norm"], 3)


def bare(n: NodeRecord) -> str:
    """A node's name as it is drawn: without the number that tells it from others of this name."""
    return (n.name or "").removesuffix(f"_{n.id}")


#: What the signs of local gradients say happens to the gradient that comes from above.
SIGNS = {
    "×1": "goes on unchanged",
    "×f′": "each element is multiplied by the slope of f at its value",
    "·∇": "the number that arrives is multiplied by the slope for each element",
    "moved": "its elements go back to where the values came from, none is changed",
    "·bᵀ": "matrix product with the other factor b, transposed",
    "aᵀ·": "matrix product with the other factor a, transposed",
    "·W": "matrix product with the weight W",
    "ᵀ·x": "transposed, then matrix product with the input x",
    "∗flip w": "convolved with the kernel w, which is turned by 180°",
    "∗x": "correlated with the input x",
    "·J": "multiplied by the Jacobian J, which mixes elements",
}
#: The same for a sign with a number.
TIMES_NUMBER = "multiplied by this number"

_FACTORS: dict[type[Op], tuple[str, str]] = {Matmul: ("·bᵀ", "aᵀ·"), Linear: ("·W", "ᵀ·x")}


def local_text(e: Edge, op: type[Op]) -> str:
    """A local gradient in few characters; empty where none was computed."""
    local = e.local
    if local is None:
        return ""
    one = None if local.value is None else local.value.item()
    if one is not None and local.kind in ("identity", "scale", "diagonal", "row"):
        return f"×{operand(one)}"
    if local.kind == "matrix" and op in _FACTORS and e.position < 2:
        return _FACTORS[op][e.position]
    if local.kind == "copy":
        return "×" + local.text.split(",")[0]
    if local.kind == "row" and not local.text.startswith("∂"):
        return local.text.partition(",")[0]
    if op is Convolution and local.kind == "map":
        return "∗flip w" if e.position == 0 else "∗x"
    return {"diagonal": "×f′", "move": "moved", "row": "·∇", "identity": "×1"}.get(local.kind, "·J")


class Labels:
    """The texts of a record and their sizes."""

    def __init__(self, record: Record, metrics: dict[str, float]):
        self.metrics = metrics
        self.record = record
        self.is_gate = [n.kind == "op" for n in record.nodes]
        self.symbol = [self._symbol(n) for n in record.nodes]
        self.role = [role_of(n) for n in record.nodes]
        #: The node where the data come in: the first array that is no parameter.
        self.input = next(
            (n.id for n in record.nodes if n.kind in ("constant", "leaf") and n.shape), None
        )
        #: What stands below leaves: what they are.
        self.below = [self._below(n) for n in record.nodes]
        self.value = [value_text(n.value) for n in record.nodes]
        self.upstream = [gradient_text(n.upstream) for n in record.nodes]
        #: None for what gets no gradient: a constant.
        self.local = [
            local_text(e, record.nodes[e.target].op_class)
            if record.nodes[e.source].requires_grad
            else ""
            for e in record.edges
        ]
        self._places = {
            e.id: (i, len(edges)) for edges in record.incoming for i, e in enumerate(edges)
        }
        self._crowd = metrics["crowd"]
        owner = record.owner if isinstance(record, Opened) else [-1] * len(record.nodes)
        uses = Counter((e.source, owner[e.target]) for e in record.edges)
        #: The gradient of one use is written at its end if the value has several there.
        self.downstream = [
            gradient_text(e.gradient) if uses[e.source, owner[e.target]] > 1 else ""
            for e in record.edges
        ]

    def _symbol(self, n: NodeRecord) -> str:
        if n.kind == "op":
            return symbol_of(n)
        if n.name:
            return bare(n).rpartition(".")[2]
        one = n.value.item() if n.kind == "constant" and n.value is not None else None
        return n.kind if one is None else number(one)

    def _below(self, n: NodeRecord) -> str:
        if n.kind in ("op", "leaf"):
            return ""
        if n.kind == "constant" and n.id == self.input:
            return "input"
        target = any(e.argument == "target" for e in self.record.onward(n, 2))
        return "target" if target and n.kind == "constant" else n.kind

    def inputs(self, node: int) -> int:
        """How many wires come into a node."""
        return len(self.record.incoming[node])

    def size(self, node: int) -> tuple[float, float]:
        """Width and height of the drawn gate or leaf."""
        m = self.metrics
        text = len(self.symbol[node])
        if not self.is_gate[node]:
            return max(40.0, text * m["char"] + 22), 34.0
        width = m["gate"] if text <= 4 else text * 8 + 22
        inputs = min(self.inputs(node), self._crowd)
        return float(width), max(float(m["gate"]), m["pitch"] * inputs - 12.0)

    def input_offset(self, edge: int) -> float:
        """How far below the middle of its gate an edge comes in."""
        place, count = self._places[edge]
        pitch = self.metrics["pitch"] * min(1.0, self._crowd / count)
        return (place - (count - 1) / 2) * pitch

    def is_crowded(self, edge: int) -> bool:
        """Whether so many wires come in at a gate that none of them has labels."""
        return self._places[edge][1] > self._crowd

    def start_width(self, node: int) -> float:
        """Room for the value and the gradient behind a node."""
        longest = max(len(self.value[node]), len(self.upstream[node]))
        return longest * self.metrics["char"] + 10 if longest else 0.0

    def end_width(self, edge: int) -> float:
        """Room for the local gradient and that of the one use before a gate."""
        if self.is_crowded(edge):
            return 0.0
        longest = max(len(self.local[edge]), len(self.downstream[edge]))
        return longest * self.metrics["char"] + 10 if longest else 0.0


def touching(width: float, height: float, offset: float) -> float:
    """How far from its middle a round gate is met by a wire at this height; 0 if it is not round.

    >>> round(touching(52, 52, 18), 2)
    18.76
    """
    if width != height:
        return width / 2
    return math.sqrt(max(width * width / 4 - offset * offset, 0.0))
