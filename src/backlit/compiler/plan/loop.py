"""Loops: the steps of a `scan` as a program of its own, which native code repeats.

The carried values have buffers that a step overwrites, in place where it can; what the steps take
slices of, and what is stacked, lies one step behind the other.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...ops import movement
from ...tape import Node
from ..capture.body import Body, Needed, Scan
from ..capture.graph import Equation, Graph, Variable
from ..loops.fusion import fuse
from ..lower.kinds import HOST, LOOP, Kernel
from ..lower.legalize import legalize
from ..lower.lower import Lowering
from ..lower.passes import optimise
from . import threads
from .host import HostOp, OnHost, failure
from .memory import Buffers
from .program import ProgramWriter

#: Seconds that native code may run before Python can react to Ctrl-C.
_PATIENCE = 0.1


def on_host(
    kernel: Kernel, buffers: Buffers, arrays: list[Any], arena: np.ndarray
) -> Callable[[int], None]:
    """What runs a kernel that is called from Python."""
    kind = LoopOp if kernel.kind is LOOP else HostOp
    return kind(kernel, buffers, arrays, arena)


class LoopOp(OnHost):
    """One loop: all the results of it that a plan wants."""

    def __init__(self, kernel: Kernel, buffers: Buffers, arrays: list[Any], arena: np.ndarray):
        super().__init__(kernel, buffers, arrays, arena)
        ops = [r.op for r in kernel.roots]
        self.results = [(op.part, r.output) for op, r in zip(ops, kernel.roots, strict=True)]  # type: ignore[attr-defined]
        first: Any = ops[0]
        assert isinstance(first, Scan)
        self.body = first.body
        self.needed = self.body.needed([part for part, _ in self.results])
        self.program = StepProgram(self.body, self.needed, kernel.roots[0].site)

    def __call__(self, times: int) -> None:
        """Run all steps once."""
        needed = self.needed
        inputs = [x if x.flags.aligned else x.copy() for x in self.inputs()]
        constants, starts, xs = self.body.chosen(needed, inputs)
        finals: dict[int, np.ndarray] = {}
        stacks: dict[Variable, np.ndarray] = {}
        for (kind, number), output in self.results:
            if kind == "checks":
                self.buffer(output)[...] = True
            elif kind == "final":
                finals[number] = self.buffer(output)
            else:
                stacks[self.body.variables[number]] = self.buffer(output)
        carried = [
            finals[i] if i in finals else np.empty(x.shape, x.dtype)
            for i, x in zip(needed.carry, starts, strict=True)
        ]
        for buffer, x in zip(carried, starts, strict=True):
            np.copyto(buffer, x)
        self.program.run(constants, carried, xs, [stacks[v] for v in needed.stacked])


class StepProgram:
    """One step of a loop, compiled, with the memory to repeat it."""

    def __init__(self, body: Body, needed: Needed, site: Node):
        self.length, self.reverse = body.length, body.reverse
        own = [[body.constants[i] for i in needed.constants], [body.carry[i] for i in needed.carry]]
        carried = len(needed.carry)
        graph = Graph(
            [*own[0], *own[1], *(body.xs[i] for i in needed.xs)],
            needed.equations,
            [*(body.following[i] for i in needed.carry), *needed.stacked],
        )
        legal = legalize(graph)
        pairs = _pairs(legal, len(own[0]), carried)
        self.graph = graph = _apart(optimise(legal, pairs), site)
        pairs = _pairs(graph, len(own[0]), carried)
        self.lowering = lowering = Lowering(graph, (), pairs)
        fuse(lowering)
        way = -1 if self.reverse else 1
        slices = [*graph.inputs[len(own[0]) + carried :], *graph.outputs[carried:]]
        buffers = Buffers(lowering, pairs, stacked={v: way * v.nbytes for v in slices})
        #: What is left in a buffer of its own: into which it is to be copied after each step.
        moves = [(new, old) for new, old in pairs.items() if new not in buffers.in_place]
        #: Whether native code can go on to the next step by itself.
        self.native = all(kernel.kind not in (HOST, LOOP) for kernel in lowering.kernels)
        program = ProgramWriter(buffers, False, moves if self.native else ()).program()
        self.library, self.arena = program.library, program.arena
        slots = buffers.slots
        self.arrays: list[Any] = [None] * len(slots)
        self.table = (ctypes.c_void_p * max(len(slots), 1))()
        self.flag = ctypes.c_int32(0)
        self.moves = [] if self.native else [(slots[a], slots[b]) for a, b in moves]
        self.inputs = [slots[v] for v in graph.inputs]
        self.stacks = [slots[v] for v in graph.outputs[carried:]]
        for new, _ in moves:
            array = self.arrays[slots[new]] = np.empty(new.shape, new.dtype)
            self.table[slots[new]] = address(array)
        self.calls = [self._call(step, buffers) for step in program.steps]
        self.turns = 1  # how many steps native code has done in one go

    @property
    def _loops(self) -> list[StepProgram]:
        """The programs of the loops in a step."""
        return [call.program for call in self.calls if isinstance(call, LoopOp)]

    @property
    def code_bytes(self) -> int:
        """The size of the machine code, as object files."""
        own = self.library.nbytes if self.library is not None else 0
        return own + sum(loop.code_bytes for loop in self._loops)

    @property
    def buffer_bytes(self) -> int:
        """The size of the arena."""
        return self.arena.nbytes + sum(loop.buffer_bytes for loop in self._loops)

    def _call(self, step: Kernel | threads.Driver, buffers: Buffers) -> Callable[[int], None]:
        if not isinstance(step, threads.Driver):
            return on_host(step, buffers, self.arrays, self.arena)
        table, flag = ctypes.addressof(self.table), ctypes.addressof(self.flag)
        return functools.partial(threads.run, step, table, self.arena.ctypes.data, flag)

    def run(
        self,
        constants: list[np.ndarray],
        carried: list[np.ndarray],
        xs: list[np.ndarray],
        stacks: list[np.ndarray],
    ) -> None:
        """All steps. The carried arrays hold the first values, and then the last."""
        whole = len(constants) + len(carried)
        for slot, array in zip(self.inputs[:whole], [*constants, *carried], strict=True):
            self.arrays[slot] = array
            self.table[slot] = address(array)
        moving = [
            (slot, array, address(array), array.strides[0])
            for slot, array in zip(
                [*self.inputs[whole:], *self.stacks], [*xs, *stacks], strict=True
            )
        ]
        for done, turns in portions(self.length, self.native, self.turns):
            place = self.length - 1 - done if self.reverse else done
            for slot, array, start, step in moving:
                self.table[slot] = start + place * step
                if not self.native:
                    self.arrays[slot] = array[place, ...]
            self.turns = max(self.turns, turns)
            for call in self.calls:
                call(turns)
                if self.flag.value:
                    error, self.flag.value = failure(self.lowering.checks, self.flag.value), 0
                    raise error
            for source, target in self.moves:
                np.copyto(self.arrays[target], self.arrays[source])
        for slot in (*self.inputs, *self.stacks):
            self.arrays[slot] = None  # they are not kept alive from here


def address(array: np.ndarray) -> int:
    """Where an array's first element lies."""
    return array.__array_interface__["data"][0]  # array.ctypes.data takes twice as long


def _pairs(graph: Graph, first: int, carried: int) -> dict[Variable, Variable]:
    """What a step leaves of each carried value, and what that was before: new -> old.

    A value that is none of the step's own is not among them: it is copied first, see `_apart`.
    """
    outputs, inputs = Counter(graph.outputs), set(graph.inputs)
    old = graph.inputs[first : first + carried]
    return {
        new: before
        for new, before in zip(graph.outputs[:carried], old, strict=True)
        if outputs[new] == 1 and new not in inputs
    }


def _apart(graph: Graph, site: Node) -> Graph:
    """Every output in a buffer of its own: a copy, where it is an input or an output before."""
    early: list[Equation] = []
    late: list[Equation] = []
    seen = set(graph.inputs)
    outputs = []
    for v in graph.outputs:
        if v in seen:
            copy = Variable(v.shape, v.dtype)
            before = early if v in graph.inputs else late
            before.append(Equation(movement.Reshape(shape=v.shape), (v,), copy, site))
            v = copy
        seen.add(v)
        outputs.append(v)
    return Graph(graph.inputs, [*early, *graph.equations, *late], outputs, graph.constants)


def portions(times: int, native: bool, each: int = 1) -> Iterator[tuple[int, int]]:
    """How many turns are done, and how many are next: in native code as many as Ctrl-C can wait.

    `each` is how many were not too many before.
    """
    done = 0
    while done < times:
        turns = min(times - done, each) if native else 1
        start = time.perf_counter()
        yield done, turns
        done += turns
        if time.perf_counter() - start < _PATIENCE / 2:
            each *= 2
