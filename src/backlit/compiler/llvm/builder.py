"""The writer of LLVM IR: typed values with operators, blocks and loops, functions.

    f = Function("scale", [("ptr noalias", "x"), ("i64", "n")])
    with f.loop(f.const("i64", 0), f.argument("n")) as loop:
        p = f.address(f.argument("x"), "float", loop.index)
        f.store(f.load("float", p) * 2.0, p)
    f.finish()

Values may be vectors, `<16 x float>`: the operators and casts then work lane by lane. Text, because
LLVM parses it in a millisecond and a person can read it.
"""

from __future__ import annotations

import contextlib
import operator
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from .types import (
    FLOATS,
    bytes_of,
    constant,
    element_of,
    lanes_of,
    listed,
    suffix_of,
    vector_type,
    wrapped,
)


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
        """Whether it is a floating number, or a vector of such."""
        return element_of(self.type) in FLOATS

    @property
    def lanes(self) -> int:
        """Lanes of a vector."""
        lanes = lanes_of(self.type)
        assert lanes is not None
        return lanes

    def like(self, number: Value | float) -> Value:
        """A number as a constant of this value's type."""
        return number if isinstance(number, Value) else self.function.const(self.type, number)

    def op(self, op: str, other: Value | float) -> Value:
        """An LLVM instruction on two values of one type."""
        b = self.like(other)
        known = _fold(op, self, b)
        if known is not None:
            return known if isinstance(known, Value) else self.function.const(self.type, known)
        text = f"{op} {self.type} {self.text}, {b.text}"
        return self.function.emit(text, self.type, (self, b))

    def freeze(self) -> Value:
        """The same value, as LLVM sees it not the result of what made it."""
        return self.function.emit(f"freeze {self!r}", self.type, (self,))

    def __add__(self, other: Value | float) -> Value:
        return self.op("fadd contract" if self.is_float else "add", other)

    def __radd__(self, other: float) -> Value:
        return self.like(other) + self

    def __sub__(self, other: Value | float) -> Value:
        return self.op("fsub contract" if self.is_float else "sub", other)

    def __rsub__(self, other: float) -> Value:
        return self.like(other) - self

    def __mul__(self, other: Value | float) -> Value:
        return self.op("fmul contract" if self.is_float else "mul", other)

    def __rmul__(self, other: float) -> Value:
        return self.like(other) * self

    def __truediv__(self, other: Value | float) -> Value:
        return self.op("fdiv contract" if self.is_float else "sdiv", other)

    def __rtruediv__(self, other: float) -> Value:
        return self.like(other) / self

    def __floordiv__(self, other: Value | int) -> Value:
        """⌊a / b⌋ of integers that are not negative."""
        return self.op("udiv", other)

    def __rfloordiv__(self, other: int) -> Value:
        return self.like(other) // self

    def __mod__(self, other: Value | int) -> Value:
        """a - b ⌊a / b⌋ of integers that are not negative."""
        return self.op("urem", other)

    def __rmod__(self, other: int) -> Value:
        return self.like(other) % self

    def __neg__(self) -> Value:
        if self.is_float:
            return self.function.emit(f"fneg {self!r}", self.type, (self,))
        return self.like(0) - self

    def __and__(self, other: Value | int) -> Value:
        return self.op("and", other)

    def __or__(self, other: Value | int) -> Value:
        return self.op("or", other)

    def __xor__(self, other: Value | int) -> Value:
        return self.op("xor", other)

    def __lshift__(self, other: Value | int) -> Value:
        return self.op("shl", other)

    def compare(self, how: str, other: Value | float, signed: bool = True) -> Value:
        """`how` is eq, ne, lt, le, gt or ge; comparisons with NaN are false, but ne is true."""
        b = self.like(other)
        if self.is_float:
            code = {"ne": "une"}.get(how, "o" + how)
            op = f"fcmp {code}"
        elif signed and self.number is not None and b.number is not None:
            return self.function.const("i1", getattr(operator, how)(self.number, b.number))
        else:
            prefix = "" if how in ("eq", "ne") else "s" if signed else "u"
            op = f"icmp {prefix}{how}"
        text = f"{op} {self.type} {self.text}, {b.text}"
        return self.function.emit(text, self._shaped("i1"), (self, b))

    def select(self, a: Value | float, b: Value | float) -> Value:
        """a where this truth value holds, else b; at least one of them is a Value."""
        first = a if isinstance(a, Value) else b.like(a)  # type: ignore[union-attr]
        second = first.like(b)
        if self.number is not None:
            return first if self.number else second
        text = f"select {self!r}, {first!r}, {second!r}"
        return self.function.emit(text, first.type, (self, first, second))

    def cast(self, how: str, type: str) -> Value:
        """An LLVM cast instruction; of a vector to a number's type, lane by lane."""
        type = self._shaped(type)
        return self.function.emit(f"{how} {self!r} to {type}", type, (self,))

    def _shaped(self, type: str) -> str:
        """The type of as many lanes as this value has."""
        lanes = lanes_of(self.type)
        return type if lanes is None or type[0] == "<" else vector_type(type, lanes)

    def call(self, name: str, *args: Value | float, flags: str = "") -> Value:
        """An LLVM intrinsic (`llvm.sqrt`) or external function of this value's type."""
        full = f"{name}.{suffix_of(self.type)}" if name.startswith("llvm.") else name
        values = [self, *(self.like(a) for a in args)]
        return self.function.call(full, self.type, values, flags)

    def at(self, offset: Index, type: str) -> Value:
        """The address `offset` elements of a type after this one, perhaps outside of its array."""
        if isinstance(offset, int):
            offset = self.function.const("i64", offset)
        if offset.number == 0:
            return self
        text = f"getelementptr {type}, ptr {self.text}, {offset!r}"
        lanes = lanes_of(offset.type)
        kind = "ptr" if lanes is None else vector_type("ptr", lanes)
        return self.function.emit(text, kind, (self, offset))

    def splat(self, lanes: int) -> Value:
        """A vector with this value in every lane."""
        f, type = self.function, vector_type(self.type, lanes)
        first = f.emit(f"insertelement {type} undef, {self!r}, i32 0", type, (self,))
        return first.shuffle(None, [0] * lanes)

    def shuffle(self, other: Value | None, lanes: Sequence[int]) -> Value:
        """The lanes that are listed of this vector and another, numbered in one row."""
        second = f"{self.type} undef" if other is None else repr(other)
        chosen = self.function.vector("i32", lanes)
        type = vector_type(element_of(self.type), len(lanes))
        operands = (self,) if other is None else (self, other)
        return self.function.emit(f"shufflevector {self!r}, {second}, {chosen!r}", type, operands)

    def extract(self, lane: int) -> Value:
        """One lane of a vector."""
        text = f"extractelement {self!r}, i32 {lane}"
        return self.function.emit(text, element_of(self.type), (self,))


#: An integer that is known now, or a Value of type i64. Both have the same operators.
Index = int | Value
#: The lanes of a vector that memory is read or written for, known now; None: all of them.
KnownMask = tuple[bool, ...] | None
#: The same, known now or when the code runs.
Mask = KnownMask | Value


@dataclass
class Loop:
    """A loop being written: its index, and values carried from one turn to the next."""

    index: Value
    carried: list[Value] = field(default_factory=list)
    following: list[Value] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)


@dataclass
class Block:
    """A basic block: a label, and instructions."""

    label: str
    lines: list[str] = field(default_factory=list)


class Function:
    """An LLVM function being written."""

    def __init__(
        self,
        name: str,
        parameters: Sequence[tuple[str, str]],
        attributes: str = "noinline #0",
        linkage: str = "",
    ):
        self.name = name
        self.parameters = list(parameters)
        self.attributes = attributes
        self.linkage = linkage
        self.blocks: list[Block] = []
        #: What is written before anything else.
        self.head: list[str] = []
        self.declarations: dict[str, None] = {}
        self._count = 0
        self._constants: dict[tuple[str, object], Value] = {}
        #: The block that is being written, and its instructions.
        self.here = self.block("entry")
        self.lines = self.here.lines

    def text(self) -> str:
        """The definition."""
        listed = ", ".join(f"{t} %{n}" for t, n in self.parameters)
        start = " ".join(filter(None, ("define", self.linkage, "void")))
        lines = [f"{start} @{self.name}({listed}) {self.attributes} {{"]
        for block in self.blocks:
            lines.append(f"{block.label}:")
            lines += self.head if block is self.blocks[0] else ()
            lines += block.lines
        return "\n".join([*lines, "}\n"])

    def module(self) -> str:
        """The definition and all that it needs."""
        return "\n".join([*self.declarations, self.text()])

    @property
    def length(self) -> int:
        """How many instructions there are so far."""
        return sum(len(block.lines) for block in self.blocks)

    def argument(self, name: str) -> Value:
        """The parameter of that name."""
        type = next(t for t, n in self.parameters if n == name)
        return Value(self, f"%{name}", type.split()[0])

    def declare(self, declaration: str) -> None:
        """Remember a declaration that the module needs."""
        self.declarations[declaration] = None

    # -- instructions -------------------------------------------------------------------------

    def fresh(self, stem: str = "v") -> str:
        """A name that is not taken."""
        self._count += 1
        return f"%{stem}{self._count}"

    def emit(self, instruction: str, type: str, operands: Sequence[Value]) -> Value:
        """Write an instruction that has a result. `operands` are the values in its text."""
        name = self.fresh()
        self.lines.append(f"  {name} = {instruction}")
        return Value(self, name, type)

    def do(self, instruction: str, operands: Sequence[Value] = ()) -> None:
        """Write an instruction without a result."""
        self.lines.append(f"  {instruction}")

    def const(self, type: str, value: float) -> Value:
        """A constant; the same one for the same number. Of a vector, every lane is the number."""
        of_floats = element_of(type) in FLOATS
        key = (type, struct.pack("d", value) if of_floats else int(value))
        known = self._constants.get(key)
        if known is None:
            number = None if of_floats or type[0] == "<" else wrapped(int(value), type)
            known = self._constants[key] = Value(self, constant(type, value), type, number)
        return known

    def index(self, x: Index) -> Value:
        """An index as a value."""
        return x if isinstance(x, Value) else self.const("i64", x)

    def vector(self, element: str, values: Sequence[int]) -> Value:
        """A vector of integers that are known."""
        return Value(self, listed(element, tuple(values)), vector_type(element, len(values)))

    def minimum(self, x: Index, y: Index) -> Index:
        """The smaller index."""
        first, second = self.index(x), self.index(y)
        return first.compare("lt", second).select(first, second)

    def call(self, name: str, result: str, args: Sequence[Value], flags: str = "") -> Value:
        """A call of a function that is declared elsewhere; of one without a result, nothing."""
        self.declare(f"declare {result} @{name}({', '.join(v.type for v in args)})")
        text = f"call {flags}{result} @{name}({', '.join(map(repr, args))})"
        if result == "void":
            self.do(text, args)
            return Value(self, "", result)
        return self.emit(text, result, args)

    def run(self, helper: Function, args: Sequence[Value]) -> None:
        """A call of a function that the module then has with this one."""
        self.declarations |= helper.declarations
        self.declare(helper.text())
        self.do(f"call void @{helper.name}({', '.join(map(repr, args))})", args)

    # -- memory -------------------------------------------------------------------------------

    def address(self, base: Value, type: str, offset: Value) -> Value:
        """The address of element `offset` of an array of `type`."""
        text = f"getelementptr inbounds {type}, ptr {base.text}, i64 {offset.text}"
        return self.emit(text, "ptr", (base, offset))

    def alloca(self, type: str, count: int | None = None, align: int | None = None) -> Value:
        """The address of a value, or of `count` elements, that the function has on the stack."""
        name = self.fresh("alloca")
        kind = type if count is None else f"[{count} x {type}]"
        self.head.append(f"  {name} = alloca {kind}{f', align {align}' if align else ''}")
        return Value(self, name, "ptr")

    def load(self, type: str, address: Value, mask: Mask = None, align: int | None = None) -> Value:
        """The value in memory; of a vector, lanes outside the mask are zero and not touched."""
        if mask is None:
            text = f"load {type}, ptr {address.text}{_aligned(type, align)}"
            return self.emit(text, type, (address,))
        name = f"llvm.masked.load.{suffix_of(type)}.p0"
        return self.call(name, type, [address, *self._masked(type, mask), self.const(type, 0)])

    def store(
        self, value: Value, address: Value, mask: Mask = None, align: int | None = None
    ) -> None:
        """Write a value to memory; of a vector, the lanes inside the mask."""
        type = value.type
        if mask is None:
            text = f"store {value!r}, ptr {address.text}{_aligned(type, align)}"
            self.do(text, (value, address))
            return
        if isinstance(mask, tuple) and sum(mask) == 1:
            # LLVM 22 joins a truncation with a masked store of one lane and stores too many bytes.
            lane = mask.index(True)
            self.store(value.extract(lane), address.at(lane, element_of(type)))
            return
        name = f"llvm.masked.store.{suffix_of(type)}.p0"
        self.call(name, "void", [value, address, *self._masked(type, mask)])

    def gather(self, type: str, addresses: Value, mask: Mask) -> Value:
        """One element from each address; lanes outside the mask are zero."""
        name = f"llvm.masked.gather.{suffix_of(type)}.{suffix_of(addresses.type)}"
        return self.call(name, type, [addresses, *self._masked(type, mask), self.const(type, 0)])

    def scatter(self, value: Value, addresses: Value, mask: Mask) -> None:
        """One element to each address of a lane inside the mask."""
        type = value.type
        name = f"llvm.masked.scatter.{suffix_of(type)}.{suffix_of(addresses.type)}"
        self.call(name, "void", [value, addresses, *self._masked(type, mask)])

    def _masked(self, type: str, mask: Mask) -> tuple[Value, Value]:
        """Alignment and mask, as arguments of a masked access to memory."""
        lanes = lanes_of(type)
        assert lanes is not None
        if not isinstance(mask, Value):
            mask = self.vector("i1", [int(lane) for lane in mask or (True,) * lanes])
        return self.const("i32", bytes_of(type)), mask

    # -- blocks -------------------------------------------------------------------------------

    def block(self, label: str) -> Block:
        """A new block, the last one so far."""
        self.blocks.append(Block(label))
        return self.blocks[-1]

    def enter(self, block: Block) -> None:
        """Write to a block from here on."""
        self.here = block
        self.lines = block.lines

    def _labels(self, *stems: str) -> list[Block]:
        self._count += 1
        return [self.block(f"{stem}{self._count}") for stem in stems]

    def branch(self, holds: Value, then: Block, otherwise: Block) -> None:
        """Go on in one of two blocks."""
        self.do(f"br {holds!r}, label %{then.label}, label %{otherwise.label}", (holds,))

    def jump(self, to: Block, note: str = "") -> None:
        """Go on in a block."""
        self.do(f"br label %{to.label}{note}")

    def phi(self, *sources: tuple[Value, Block]) -> Value:
        """The value that belongs to the block that was left for this one."""
        type = sources[0][0].type
        return self.emit(_phi(type, *sources), type, [value for value, _ in sources])

    @contextlib.contextmanager
    def when(self, holds: Value) -> Iterator[None]:
        """What is only done where a truth value holds."""
        inside, after = self._labels("if", "endif")
        self.branch(holds, inside, after)
        self.enter(inside)
        yield
        self.jump(after)
        self.enter(after)

    @contextlib.contextmanager
    def either(self, holds: Value) -> Iterator[tuple[AbstractContextManager[None], ...]]:
        """What is done where a truth value holds, and what where it does not."""
        then, otherwise, after = self._labels("then", "else", "endif")
        self.branch(holds, then, otherwise)

        @contextlib.contextmanager
        def arm(block: Block) -> Iterator[None]:
            self.enter(block)
            yield
            self.jump(after)

        yield arm(then), arm(otherwise)
        self.enter(after)

    @contextlib.contextmanager
    def loop(
        self,
        low: Value,
        high: Value,
        start: Sequence[Value] = (),
        note: str = "",
        go_on: Callable[[list[Value]], Value] | None = None,
    ) -> Iterator[Loop]:
        """The body for each index in [low, high), for LLVM to unroll and to make vectors of.

        `start` are the first carried values. The body fills `following`; `results` are the carried
        values after the loop, which ends early where `go_on` of the carried values does not hold.
        """
        self._count += 1
        tag = self._count
        before, head = self.here, self.block(f"loop{tag}")
        self.jump(head)
        self.enter(head)
        index = Value(self, f"%i{tag}", "i64")
        carried = [Value(self, f"%c{tag}.{k}", v.type) for k, v in enumerate(start)]
        inside = index.compare("lt", high)
        if go_on is not None:
            inside = inside & go_on(carried)
        loop = Loop(index, carried)
        body = Block(f"loop{tag}.body")
        done = Block(f"loop{tag}.end")
        self.branch(inside, body, done)
        self.blocks.append(body)
        self.enter(body)
        yield loop
        step = self.emit(f"add nsw i64 {index.text}, 1", "i64", (index,))
        self.jump(head, note)
        last = self.here
        pairs = [(index, low, step), *zip(carried, start, loop.following, strict=True)]
        self.use([x for _, first, after in pairs for x in (first, after)])
        head.lines[:0] = [
            f"  {value.text} = {_phi(value.type, (first, before), (after, last))}"
            for value, first, after in pairs
        ]
        self.blocks.append(done)
        self.enter(done)
        loop.results = carried

    def repeat(
        self, start: Index, stop: Index, body: Callable[[Index], None], step: int = 1
    ) -> None:
        """`for i in range(start, stop, step)`, in its final form: see `fold`."""

        def turn(i: Index, _: list[Value]) -> list[Value]:
            body(i)
            return []

        self.fold(start, stop, turn, [], step)

    def fold(
        self,
        start: Index,
        stop: Index,
        body: Callable[[Index, list[Value]], list[Value]],
        carried: list[Value],
        step: int = 1,
    ) -> list[Value]:
        """`for i in range(start, stop, step)`; the body maps carried values to their next ones.

        In its final form: LLVM is not to change it. A single turn, or none, is written as such.
        """
        first, last = known(start), known(stop)
        certain = first is not None and last is not None
        if first is not None and last is not None:
            if first >= last:
                return carried
            if first + step >= last:
                return body(first, carried)
        before = self.here
        inside, after = self._labels("turn", "done")
        start, stop = self.index(start), self.index(stop)
        if certain:
            self.jump(inside)
        else:
            self.branch(start.compare("lt", stop), inside, after)
        self.enter(inside)
        i = Value(self, self.fresh("i"), "i64")
        phis = [Value(self, self.fresh("c"), value.type) for value in carried]
        results = body(i, list(phis))
        following = i + step
        self.branch(following.compare("lt", stop), inside, after)
        end = self.here
        pairs = [(i, start, following), *zip(phis, carried, results, strict=True)]
        inside.lines[:0] = [
            f"  {phi.text} = {_phi(phi.type, (value, before), (result, end))}"
            for phi, value, result in pairs
        ]
        self.enter(after)
        if certain:
            return results
        both = zip(carried, results, strict=True)
        return [self.phi((value, before), (result, end)) for value, result in both]

    def use(self, operands: Sequence[Value]) -> None:
        """Told of values that an instruction uses which is written in another way."""

    def finish(self) -> None:
        """Return."""
        self.do("ret void")


def known(x: Index) -> int | None:
    """The number of an index, if it is known."""
    return x if isinstance(x, int) else x.number


def _phi(type: str, *sources: tuple[Value, Block]) -> str:
    listed = ", ".join(f"[ {value.text}, %{block.label} ]" for value, block in sources)
    return f"phi {type} {listed}"


def _aligned(type: str, align: int | None) -> str:
    """Vectors are anywhere in memory where one of their lanes may be."""
    if align is None and type[0] == "<":
        align = bytes_of(type)
    return f", align {align}" if align else ""


def _fold(op: str, a: Value, b: Value) -> Value | int | None:
    """The result of an integer instruction, where it is known before the code runs."""
    x, y = a.number, b.number
    if x is None and y is None:
        return None
    if x is not None and y is not None:
        if op in _ARITHMETIC:
            return wrapped(_ARITHMETIC[op](x, y), a.type)
        if op in _DIVISIONS and x >= 0 < y:
            return _DIVISIONS[op](x, y)
        return None
    if op in ("add", "or", "xor", "sub", "shl") and y == 0:
        return a
    if op in ("add", "or", "xor") and x == 0:
        return b
    if op in _DIVISIONS and y == 1:
        return a if op == "udiv" else 0
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
_DIVISIONS: dict[str, Callable[[int, int], int]] = {"udiv": operator.floordiv, "urem": operator.mod}
