"""The plan: one captured function, compiled, and how a call's arrays get into it and out of it.

Native code writes to an array only where nobody else sees it.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import sysconfig
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...errors import TraceError
from ...tensor import Tensor, wrap
from .. import forks
from ..capture.results import MISS, fill_result
from ..capture.trace import Capture
from ..loops.fusion import fuse
from ..lower.kinds import Kernel
from ..lower.legalize import legalize
from ..lower.lower import Lowering
from ..lower.passes import optimise
from . import threads
from .host import failure
from .loop import LoopOp, StepProgram, on_host, portions
from .memory import Buffers, replacements
from .program import ProgramWriter


class _Outputs(NamedTuple):
    """Where what leaves a plan lies: each time the slot of its buffer, and whether to copy it.

    Of all but the results also what takes it, in front: (taker, slot, copy).
    """

    results: list[tuple[int, bool]]
    updates: list[tuple[Tensor, int, bool]]  # Tensors that are not updated in place
    placed: list[tuple[Any, int, bool]]  # places, as in `capture.places`
    gradients: list[tuple[Tensor, int, bool]]  # Tensors, in whose grad it is put


def _beside(takers: list[Any], places: list[tuple[int, bool]]) -> list[Any]:
    """(taker, slot, copy) for each."""
    return [(taker, *place) for taker, place in zip(takers, places, strict=True)]


class Plan:
    """One captured function, compiled.

    With `split` it has a driver for each kernel, so that each can be timed. With `rows` the first
    argument and the results are one of many, for `epoch`.
    """

    _lock: Any

    def __init__(self, captured: Capture, split: bool = False, rows: bool = False):
        self.captured = captured
        legal = legalize(captured.graph)
        #: The passes keep the order of outputs; each distinct variable gets one buffer.
        self.graph = graph = optimise(legal, replacements(captured, legal))
        # What `epoch` picks has memory of its own, as a call's arguments have: the same loops, and
        # bits, follow.
        picked = [e.output for e in graph.equations if rows and graph.inputs[0] in e.inputs]
        pairs = replacements(captured, graph)
        self.lowering = Lowering(graph, picked, pairs)
        fuse(self.lowering)
        self.kernels = self.lowering.kernels
        self.buffers = Buffers(self.lowering, pairs, captured.results if rows else None)
        program = ProgramWriter(self.buffers, split).program()
        self.library, self.text, self.arena = program.library, program.text, program.arena
        only = program.steps[0] if len(program.steps) == 1 else None
        #: The driver, if there is nothing else.
        self.driver = only if isinstance(only, threads.Driver) else None
        self.table = (ctypes.c_void_p * max(len(self.buffers.slots), 1))()
        self.flag = ctypes.c_int32(0)
        self.arrays: list[Any] = [None] * len(self.buffers.slots)
        self.calls = [self._call(step) for step in program.steps]
        inputs = [self.buffers.slots[v] for v in graph.inputs]
        self.argument_slots = inputs[: self.arguments]
        self.environment = self._environment(inputs[self.arguments :])
        outputs = self._outputs()
        self.results = outputs.results
        self.updates = outputs.updates
        self.placed = outputs.placed
        self.gradients = outputs.gradients
        self.cleared = [t for t, has in captured.gradients if not has]
        self.fresh = self._fresh()
        #: Tensors that get gradients, and those that the last call gave them.
        self.receivers = [wrap(np.empty(())), *[t for t, _, _ in self.gradients]]
        self.receivers[0]._grad = wrap(np.empty(()))
        self.given: list[Tensor | None] = [self.receivers[0]._grad, *[None] * len(self.gradients)]
        self._put_probes()
        forks.give_lock(self)

    @property
    def arguments(self) -> int:
        """How many inputs are the call's own Tensors."""
        return len(self.graph.inputs) - len(self.captured.found)

    def _call(self, step: Kernel | threads.Driver) -> Callable[[int], None]:
        """What runs a step so many times."""
        if not isinstance(step, threads.Driver):
            return on_host(step, self.buffers, self.arrays, self.arena)
        table, flag = ctypes.addressof(self.table), ctypes.addressof(self.flag)
        return functools.partial(threads.run, step, table, self.arena.ctypes.data, flag)

    def _environment(self, slots: list[int]) -> list[Any]:
        """The Tensors found: their slots, whether they are overwritten, and their kinds."""
        owned = set(self.buffers.in_place.values())
        inputs = self.graph.inputs[self.arguments :]
        return [
            (t, slot, v in owned, v.shape, v.dtype, t._requires_grad)
            for t, slot, v in zip(self.captured.found, slots, inputs, strict=True)
        ]

    def _outputs(self) -> _Outputs:
        """Where each output lies, and whether what leaves the plan is a copy.

        What a kernel makes for the outside gets an array that nobody else holds; an output that is
        an input, or an output twice, is a copy.
        """
        buffers, captured = self.buffers, self.captured
        places: list[tuple[int, bool]] = []
        seen: set[int] = set()
        for v in self.graph.outputs:
            slot = buffers.slots[buffers.storage(v)]
            shared = v not in buffers.made or slot in seen
            places.append((slot, v not in buffers.in_place and shared))
            seen.add(slot)
        first = captured.results
        second = first + len(captured.updated)
        third = second + len(captured.placed)
        new = self.graph.outputs[first:second]
        updated = zip(captured.updated, places[first:second], new, strict=True)
        present = [t for t, has in captured.gradients if has]
        return _Outputs(
            places[:first],
            [(t, *place) for t, place, v in updated if v not in buffers.in_place],
            _beside(captured.placed, places[second:third]),
            _beside(present, places[third:]),
        )

    def _fresh(self) -> list[Any]:
        """The slots that get new arrays where somebody still has those of the last call."""
        buffers = self.buffers
        return [
            (buffers.slots[v], v.shape, v.dtype)
            for v in dict.fromkeys(self.graph.outputs)
            if v in buffers.made and v not in buffers.in_place
        ]

    def _put_probes(self) -> None:
        """Begin what `_bind` goes through with probes, which no one else refers to."""
        probe = wrap(np.empty(()))
        kind = ((), probe.array.dtype, False)
        slot = len(self.arrays)
        self.arrays += [probe.array, np.empty(())]
        self.environment.insert(0, (probe, slot, _PROBE, *kind))
        self.fresh.insert(0, (slot + 1, _PROBE, None))

    @property
    def code_bytes(self) -> int:
        """The size of the machine code, as object files."""
        own = self.library.nbytes if self.library is not None else 0
        return own + sum(loop.code_bytes for loop in self._loops)

    @property
    def _loops(self) -> list[StepProgram]:
        """The programs of its loops."""
        return [call.program for call in self.calls if isinstance(call, LoopOp)]

    @property
    def buffer_bytes(self) -> int:
        """The size of the arena, and of the results of the last call that may be written again."""
        results = [self.arrays[slot] for slot, _, _ in self.fresh[1:]]
        own = self.arena.nbytes + sum(loop.buffer_bytes for loop in self._loops)
        return own + sum(a.nbytes for a in results if a is not None)

    @property
    def repeatable(self) -> bool:
        """Whether native code can run the plan many times without returning."""
        return self.driver is not None and not self.updates

    # -- running ------------------------------------------------------------------------------

    def _in_mode(self) -> bool:
        """Whether modules are set, and gradients there or not, as when it was captured."""
        return self.captured.guards.hold() and self.captured.same_gradients()

    def valid(self) -> bool:
        """Whether the environment is still of the kind that was captured."""
        if not self._in_mode():
            return False
        arrays = self.arrays
        for t, slot, _, shape, dtype, requires_grad in self.environment:
            array = t.array
            if t._requires_grad is not requires_grad:
                return False
            if array is not arrays[slot] and (array.shape != shape or array.dtype != dtype):
                return False
        return True

    def attempt(self, leaves: Any, fresh: bool = False) -> Any:
        """Run the plan once on the call's arguments; update the environment; return the result.

        MISS if the environment is not of the kind that was captured; if that is fresh it is.
        """
        with self._lock:
            if not (fresh or self._in_mode()) or not self._bind(leaves):
                return MISS
            results = self._run(1, leaves)
            return self._handed_out(results, leaves)

    def repeat(self, leaves: Any, times: int) -> Any:
        """Run the plan `times` times on the same arguments; return the last result."""
        with self._lock:
            for _, turns in portions(times, self.repeatable):
                self._rebind(leaves)
                results = self._run(turns)
            return self._handed_out(results, leaves)

    def epoch(self, order: np.ndarray, arrays: Any) -> Any:
        """Run the plan once for each row of `order`; return the results, stacked.

        The plan is one with `rows`: its first argument is the row.
        """
        kinds = self.graph.outputs[: self.captured.results]
        stacks = [np.empty((len(order), *v.shape), v.dtype) for v in kinds]
        native = self.repeatable and len(self.buffers.stacked) == 1 + len(stacks)
        slots = [slot for slot, _ in self.results]
        with self._lock:
            for done, turns in portions(len(order), native):
                if native:
                    for slot, stack in zip(slots, stacks, strict=True):
                        self._put(slot, stack[done:])
                    self._rebind((wrap(order[done:]), *arrays))
                    self._run(turns)
                else:
                    self._rebind((wrap(order[done]), *arrays))
                    results = self._run(turns)
                    for stack, result in zip(stacks, results, strict=True):
                        stack[done] = result
            for slot in [*self.argument_slots, *slots]:
                self.arrays[slot] = None  # of a whole data set: it is not kept alive from here
        return self._handed_out(stacks, arrays)

    def _handed_out(self, results: list[np.ndarray], leaves: Any) -> Any:
        """The results of a call as the function returns them."""
        captured = self.captured
        return fill_result(captured.result_tree, results, captured.sources(leaves))

    def _run(self, turns: int, leaves: Any = ()) -> list[np.ndarray]:
        """Run `turns` turns; update the environment and arguments; return the last results."""
        for call in self.calls:
            call(turns)
            if self.flag.value:
                break
        return self._finish(leaves)

    def _bind(self, leaves: Any) -> bool:
        """Put the addresses of this call's arrays into the table.

        False if an array of the environment is not of the kind that was captured.

        Native code writes to an array only where nobody else sees it. How many references that
        makes depends on the version of Python, whose variables and stack hold some or borrow them.
        So each loop begins with a probe that is known to be nobody else's, and compares.
        """
        arrays, references = self.arrays, sys.getrefcount
        slots = iter(self.argument_slots)
        for x in leaves:
            if isinstance(x, Tensor):
                self._put(next(slots), x.array)
        limit = -1
        for t, slot, own, shape, dtype, requires_grad in self.environment:
            array = t.array
            if t._requires_grad is not requires_grad:
                return False
            if array is not arrays[slot]:
                if array.shape != shape or array.dtype != dtype:
                    return False
                if own:
                    array = t.array = _writeable(array)
                self._put(slot, array)
            if own and (count := references(array)) > limit:
                if own is _PROBE:
                    limit = count if COUNTED else -1
                else:  # somebody other than the Tensor sees it, too
                    array = t.array = array.copy()
                    self._put(slot, array)
        limit, given = -1, self.given
        for i, t in enumerate(self.receivers):
            gradient = given[i]
            count = references(gradient)
            if i == 0:
                limit = count if COUNTED else -1
            elif t._grad is gradient and count <= limit:
                t._grad = given[i] = None  # nobody else has it: its array is free again
        gradient = None
        limit = -1
        for slot, shape, dtype in self.fresh:
            array = arrays[slot]
            if (count := references(array)) > limit:  # None has very many
                if shape is _PROBE:
                    limit = count if COUNTED else -1
                else:
                    self._put(slot, np.empty(shape, dtype))
        return True

    def _rebind(self, leaves: Any) -> None:
        if not self._bind(leaves):
            raise TraceError(
                "compiled function: what it found around it must not change between its steps, but "
                "the shape, dtype or requires_grad of a Tensor did"
            )

    def _finish(self, leaves: Any) -> list[np.ndarray]:
        if self.flag.value:
            error, self.flag.value = failure(self.lowering.checks, self.flag.value), 0
            raise error
        arrays = self.arrays
        for t, slot, copy in self.updates:
            t.array = arrays[slot].copy() if copy else arrays[slot]
        for target, slot, copy in self.placed:
            target.put(leaves, arrays[slot].copy() if copy else arrays[slot])
        captured = self.captured
        handed = captured.gradients_handed(leaves) if captured.handed else ()
        for i, (t, slot, copy) in enumerate(self.gradients, 1):
            gradient = wrap(arrays[slot].copy() if copy else arrays[slot])
            t._grad = gradient
            if not copy:
                self.given[i] = gradient
        for t in self.cleared:
            t._grad = None
        for t, gradient in handed:
            t._grad = gradient
        for own, name, value in captured.writes:
            own[name] = value
        return [arrays[slot].copy() if copy else arrays[slot] for slot, copy in self.results]

    def _put(self, slot: int, array: np.ndarray) -> None:
        if array is not self.arrays[slot]:
            if not array.flags.c_contiguous or not array.flags.aligned:
                array = np.array(array, order="C")
            self.arrays[slot] = array
            self.table[slot] = array.__array_interface__["data"][0]


def _writeable(array: np.ndarray) -> np.ndarray:
    """The array itself if native code may write to its memory, were it nobody else's; or a copy."""
    if array.base is None and array.flags.carray:
        return array
    return array.copy()


_PROBE: Any = object()


def _counted() -> bool:
    """Whether one more reference counts as one more, and no other thread takes one meanwhile.

    Without, native code never writes to an array that existed before.
    """
    array = np.empty(())
    before = sys.getrefcount(array)
    others = [array, array]
    after = sys.getrefcount(array)
    return after == before + len(others) and not sysconfig.get_config_var("Py_GIL_DISABLED")


COUNTED = _counted()
