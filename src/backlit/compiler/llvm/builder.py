"""A small writer of LLVM IR: typed values with operators, structured loops, functions.

    f = Function("scale", [("ptr noalias", "x"), ("i64", "n")])
    with f.loop(f.const("i64", 0), f.argument("n")) as loop:
        p = f.address(f.argument("x"), "float", loop.index)
        f.store(f.load("float", p) * 2.0, p)

Text, because LLVM parses it in a millisecond and a person can read it.
"""

from __future__ import annotations

import contextlib
import operator
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

FLOATS = {"float", "double"}


class Value:
    """One SSA value: its name or constant text, its LLVM type, and the function it belongs to.

    Arithmetic of integer constants is done at once (`number` is their value), so that kernels that
    compute the same have the same text.
    """

    __slots__ = ("function", "number", "text", "type")

    def __init__(self, function: Function, text: str, type: str, number: int | None = None):
        self.function = function
        self.text = text
        self.type = type
        self.number = number

    def __repr__(self) -> str:
        return f"{self.type} {self.text}"

    @property
    def is_float(self) -> bool:
        """Whether it is a floating number."""
        return self.type in FLOATS

    def _other(self, other: Value | float) -> Value:
        return other if isinstance(other, Value) else self.function.const(self.type, other)

    def _binary(self, float_op: str, int_op: str, other: Value | float) -> Value:
        b = self._other(other)
        if not self.is_float:
            return self.bits(int_op, b)
        return self.function.emit(
            f"{float_op} contract {self.type} {self.text}, {b.text}", self.type
        )

    def bits(self, op: str, b: Value) -> Value:
        """An LLVM instruction on two integers or truth values."""
        known = _fold(op, self, b)
        if known is not None:
            return known if isinstance(known, Value) else self.function.const(self.type, known)
        return self.function.emit(f"{op} {self.type} {self.text}, {b.text}", self.type)

    def __add__(self, other: Value | float) -> Value:
        return self._binary("fadd", "add", other)

    def __radd__(self, other: float) -> Value:
        return self._other(other) + self

    def __sub__(self, other: Value | float) -> Value:
        return self._binary("fsub", "sub", other)

    def __rsub__(self, other: float) -> Value:
        return self._other(other) - self

    def __mul__(self, other: Value | float) -> Value:
        return self._binary("fmul", "mul", other)

    def __rmul__(self, other: float) -> Value:
        return self._other(other) * self

    def __truediv__(self, other: Value | float) -> Value:
        return self._binary("fdiv", "sdiv", other)

    def __rtruediv__(self, other: float) -> Value:
        return self._other(other) / self

    def __neg__(self) -> Value:
        if self.is_float:
            return self.function.emit(f"fneg {self.type} {self.text}", self.type)
        return self.function.const(self.type, 0) - self

    def __and__(self, other: Value | int) -> Value:
        return self.bits("and", self._other(other))

    def __or__(self, other: Value | int) -> Value:
        return self.bits("or", self._other(other))

    def __xor__(self, other: Value | int) -> Value:
        return self.bits("xor", self._other(other))

    def __lshift__(self, other: Value | int) -> Value:
        return self.bits("shl", self._other(other))

    def compare(self, how: str, other: Value | float, signed: bool = True) -> Value:
        """`how` is eq, ne, lt, le, gt or ge; comparisons with NaN are false, but ne is true."""
        b = self._other(other)
        if self.is_float:
            code = {"ne": "une"}.get(how, "o" + how)
            op = f"fcmp {code}"
        elif signed and self.number is not None and b.number is not None:
            return self.function.const("i1", getattr(operator, how)(self.number, b.number))
        else:
            prefix = "" if how in ("eq", "ne") else "s" if signed else "u"
            op = f"icmp {prefix}{how}"
        return self.function.emit(f"{op} {self.type} {self.text}, {b.text}", "i1")

    def select(self, a: Value | float, b: Value | float) -> Value:
        """a where this truth value holds, else b; at least one of them is a Value."""
        first = a if isinstance(a, Value) else b._other(a)  # type: ignore[union-attr]
        second = b if isinstance(b, Value) else first._other(b)
        if self.number is not None:
            return first if self.number else second
        text = f"select i1 {self.text}, {first!r}, {second!r}"
        return self.function.emit(text, first.type)

    def cast(self, how: str, type: str) -> Value:
        """An LLVM cast instruction."""
        return self.function.emit(f"{how} {self!r} to {type}", type)

    def call(self, name: str, *args: Value | float, flags: str = "") -> Value:
        """An LLVM intrinsic (`llvm.sqrt`) or external function of this value's type."""
        values = [self, *(self._other(a) for a in args)]
        suffix = {"float": ".f32", "double": ".f64"}.get(self.type, f".{self.type}")
        full = name + suffix if name.startswith("llvm.") else name
        types = ", ".join(v.type for v in values)
        self.function.declare(f"declare {self.type} @{full}({types})")
        listed = ", ".join(map(repr, values))
        return self.function.emit(f"call {flags}{self.type} @{full}({listed})", self.type)


@dataclass
class Loop:
    """A loop being written: its index, and values carried from one turn to the next."""

    index: Value
    carried: list[Value] = field(default_factory=list)
    following: list[Value] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)


class Function:
    """An LLVM function being written."""

    def __init__(self, name: str, parameters: Sequence[tuple[str, str]], result: str = "void"):
        self.name = name
        self.parameters = list(parameters)
        self.result = result
        self.lines: list[str] = ["entry:"]
        self._rooms: list[str] = []
        #: Further attributes, as LLVM writes them.
        self.attributes: list[str] = []
        self.declarations: dict[str, None] = {}
        self.block = "entry"
        self._count = 0
        self._constants: dict[tuple[str, object], Value] = {}

    def text(self) -> str:
        """The definition."""
        listed = ", ".join(f"{t} %{n}" for t, n in self.parameters)
        body = "\n".join([self.lines[0], *self._rooms, *self.lines[1:]])
        attributes = " ".join(["noinline", *self.attributes, "#0"])
        return f"define {self.result} @{self.name}({listed}) {attributes} {{\n{body}\n}}\n"

    def argument(self, name: str) -> Value:
        """The parameter of that name."""
        type = next(t for t, n in self.parameters if n == name)
        return Value(self, f"%{name}", type.split()[0])

    def declare(self, declaration: str) -> None:
        """Remember a declaration that the module needs."""
        self.declarations[declaration] = None

    def name_value(self, stem: str = "v") -> str:
        """A fresh name."""
        self._count += 1
        return f"%{stem}{self._count}"

    def emit(self, instruction: str, type: str) -> Value:
        """Write an instruction that has a result."""
        name = self.name_value()
        self.lines.append(f"  {name} = {instruction}")
        return Value(self, name, type)

    def do(self, instruction: str) -> None:
        """Write an instruction without a result."""
        self.lines.append(f"  {instruction}")

    def const(self, type: str, value: float) -> Value:
        """A constant; the same one for the same number."""
        key = (type, struct.pack("d", value) if type in FLOATS else int(value))
        known = self._constants.get(key)
        if known is None:
            number = None if type in FLOATS else _wrapped(int(value), type)
            known = self._constants[key] = Value(self, constant(type, value), type, number)
        return known

    def address(self, base: Value, type: str, offset: Value) -> Value:
        """The address of element `offset` of an array of `type`."""
        text = f"getelementptr inbounds {type}, ptr {base.text}, i64 {offset.text}"
        return self.emit(text, "ptr")

    def alloca(self, type: str, count: int) -> Value:
        """The address of elements on the stack, which the function has for itself."""
        name = self.name_value("alloca")
        self._rooms.append(f"  {name} = alloca [{count} x {type}]")
        return Value(self, name, "ptr")

    def load(self, type: str, address: Value, note: str = "") -> Value:
        """The value in memory."""
        return self.emit(f"load {type}, ptr {address.text}{note}", type)

    def store(self, value: Value, address: Value, note: str = "") -> None:
        """Write a value to memory."""
        self.do(f"store {value!r}, ptr {address.text}{note}")

    def start_block(self, label: str) -> None:
        """Begin a basic block."""
        self.lines.append(f"{label}:")
        self.block = label

    @contextlib.contextmanager
    def loop(
        self,
        low: Value,
        high: Value,
        start: Sequence[Value] = (),
        note: str = "",
        go_on: Callable[[list[Value]], Value] | None = None,
    ) -> Iterator[Loop]:
        """The body for each index in [low, high). `start` are the first carried values.

        The body fills `following`; `results` are the carried values after the loop. The loop is
        entered at least once if both bounds are constants with low < high; otherwise it is guarded.
        It ends early where `go_on` of the carried values does not hold.
        """
        self._count += 1
        tag = self._count
        head, body, done = f"loop{tag}", f"loop{tag}.body", f"loop{tag}.end"
        before = self.block
        self.do(f"br label %{head}")
        self.start_block(head)
        index = Value(self, f"%i{tag}", "i64")
        phi_at = len(self.lines)
        self.lines.append("")
        carried = [Value(self, f"%c{tag}.{k}", v.type) for k, v in enumerate(start)]
        for _ in carried:
            self.lines.append("")
        inside = self.emit(f"icmp slt i64 {index.text}, {high.text}", "i1")
        if go_on is not None:
            inside = inside & go_on(carried)
        self.do(f"br i1 {inside.text}, label %{body}, label %{done}")
        self.start_block(body)
        loop = Loop(index, carried)
        yield loop
        step = self.emit(f"add nsw i64 {index.text}, 1", "i64")
        self.do(f"br label %{head}{note}")
        last = self.block
        self.lines[phi_at] = (
            f"  {index.text} = phi i64 [ {low.text}, %{before} ], [ {step.text}, %{last} ]"
        )
        for k, (value, first, after) in enumerate(zip(carried, start, loop.following, strict=True)):
            self.lines[phi_at + 1 + k] = (
                f"  {value.text} = phi {value.type} [ {first.text}, %{before} ], "
                f"[ {after.text}, %{last} ]"
            )
        self.start_block(done)
        loop.results = carried

    def finish(self, value: Value | None = None) -> None:
        """Return."""
        self.do("ret void" if value is None else f"ret {value!r}")


def _wrapped(number: int, type: str) -> int:
    """A number as an integer type of two's complement holds it; a truth value is 0 or 1."""
    if type == "i1":
        return number & 1
    half = 1 << (int(type[1:]) - 1)
    return (number + half) % (2 * half) - half


def _fold(op: str, a: Value, b: Value) -> Value | int | None:
    """The result of an integer instruction, where it is known before the code runs."""
    x, y = a.number, b.number
    if x is not None and y is not None:
        if op in _ARITHMETIC:
            return _wrapped(_ARITHMETIC[op](x, y), a.type)
        return None
    if op in ("add", "or", "xor", "sub", "shl") and y == 0:
        return a
    if op in ("add", "or", "xor") and x == 0:
        return b
    one = -1 if op == "and" and a.type != "i1" else 1
    if op in ("mul", "and"):
        if x == one or y == one:
            return b if x == one else a
        return 0 if x == 0 or y == 0 else None
    return None


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul,
    "and": operator.and_, "or": operator.or_, "xor": operator.xor,
}  # fmt: skip


def constant(type: str, value: float) -> str:
    """A number as LLVM writes it; floating ones exactly, as bits."""
    if type == "float":
        with np.errstate(over="ignore"):
            wide = float(np.float32(value))
        return f"0x{struct.unpack('>Q', struct.pack('>d', wide))[0]:016X}"
    if type == "double":
        return f"0x{struct.unpack('>Q', struct.pack('>d', float(value)))[0]:016X}"
    if type == "i1":
        return "true" if value else "false"
    return str(int(value))
