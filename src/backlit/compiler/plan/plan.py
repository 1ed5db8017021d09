"""The plan: kernels in order, where each buffer lies, and the code that runs them.

Buffers are of three kinds: those of the arguments, of the environment (parameters, state) and of
the results, whose addresses are put into a table at each call; and temporary ones, which share one
arena by liveness. A parameter is updated in place where no later kernel wants its old value.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import ArgumentError, IndexRangeError, TraceError
from ...tensor import Tensor, wrap
from .. import forks
from ..capture.graph import Graph, Variable
from ..capture.interpreter import evaluated
from ..capture.trace import MISS, OUTSIDE, Capture, fill_result
from ..llvm import machine
from ..loops.elements import OUTSIDE_BIT
from ..loops.epilogue import fuse
from ..loops.kernels import write
from ..loops.nonfinite import may_spoil
from ..loops.writer import KernelWriter
from ..lower.kinds import CONTRACTION, HOST, NONFINITE, Kernel
from ..lower.legalize import legalise
from ..lower.lower import Lowering
from ..lower.passes import TakeAddTo, optimise
from ..lower.products import CompiledContraction, ContractionKernels
from ..lower.views import View
from . import threads

_ALIGN = 64
#: A kernel with this much work (about a multiplication each) is divided among the threads.
_WORTH_SHARING = 200_000
#: A product with fewer operations is left to one thread.
_LARGE_PRODUCT = 1_000_000
#: A driver with more addresses than this is not optimised: that would take longer than it saves.
_LONG_DRIVER = 300
#: Seconds that native code may run before Python can react to Ctrl-C.
_PATIENCE = 0.1


class Plan:
    """One captured function, compiled."""

    _lock: Any

    def __init__(self, captured: Capture, split: bool = False, rows: bool = False):
        self.captured = captured
        self.split = split  # a driver for each kernel, so that each can be timed
        self.rows = rows  # the first argument and the results are one of many, for `epoch`
        legal = legalise(captured.graph)
        graph = optimise(legal, self._replacements(legal))
        # The passes keep the order of outputs; each distinct variable gets one buffer.
        self.graph = graph
        # What `epoch` picks has memory of its own, as a call's arguments have: the same loops, and
        # bits, follow.
        picked = [e.output for e in graph.equations if rows and graph.inputs[0] in e.inputs]
        self.lowering = Lowering(graph, picked, self._replacements(graph))
        fuse(self.lowering)
        self.kernels = self.lowering.kernels
        self.in_place = self._choose_in_place()
        self.slots = self._number_slots()
        self.stacked = self._choose_stacked()
        self.offsets, self.scratch_offset = self._place_temporaries()
        forks.give_lock(self)
        self._prepare(self._compile())

    # -- buffers ------------------------------------------------------------------------------

    @property
    def arguments(self) -> int:
        """How many inputs are the call's own Tensors."""
        return len(self.graph.inputs) - len(self.captured.found)

    def _replacements(self, graph: Graph) -> dict[Variable, Variable]:
        """For each new value of a Tensor that the function replaces: new -> old."""
        captured = self.captured
        own = len(graph.inputs) - len(captured.found)
        old_of = dict(zip(captured.found, graph.inputs[own:], strict=True))
        outputs = Counter(graph.outputs)
        pairs = {
            new: old_of[tensor]
            for tensor, new in zip(
                captured.updated, graph.outputs[captured.results :], strict=False
            )
        }
        return {
            new: old
            for new, old in pairs.items()
            if outputs[new] == 1
            and not outputs[old]
            and new.shape == old.shape
            and new.dtype == old.dtype
        }

    def _choose_in_place(self) -> dict[Variable, Variable]:
        """For each new value of a Tensor that may overwrite the old one: new -> old."""
        made_in = {r.output: i for i, k in enumerate(self.kernels) for r in k.roots}
        chosen: dict[Variable, Variable] = {}
        for new, old in self._replacements(self.graph).items():
            number = made_in.get(new)
            if number is None:
                continue
            kernel = self.kernels[number]
            if not kernel.is_map_of(new) and not isinstance(self.made_by(new), TakeAddTo):
                continue
            if any(old in k.reads for k in self.kernels[number + 1 :]):
                continue
            readings = [self.lowering.reading(r) for r in kernel.roots]
            if kernel.is_map_of(new) and any(r.may_fail for r in readings):
                continue  # it would be half overwritten when the error is met
            if all(
                access.is_at(kernel.domain)
                for r in readings
                for access in r.found
                if access.view.base is old
            ):
                chosen[new] = old
        return chosen

    def made_by(self, v: Variable) -> Any:
        """The op that makes a value."""
        return self.lowering.made[v].op

    def storage(self, v: Variable) -> Variable:
        """The variable whose memory holds v."""
        return self.in_place.get(v, v)

    def place(self, v: Variable) -> tuple[Variable, int]:
        """The buffer that holds a value's memory, and the byte at which it begins."""
        start = 0
        while v in self.lowering.inside:
            v, elements = self.lowering.inside[v]
            start += elements * v.dtype.itemsize
        return self.storage(v), start

    def _number_slots(self) -> dict[Variable, int]:
        """A table entry for every buffer that is not temporary."""
        slots: dict[Variable, int] = {}
        for v in [
            *self.graph.inputs,
            *self.graph.constants,
            *map(self.storage, self.graph.outputs),
        ]:
            slots.setdefault(v, len(slots))
        return slots

    def _choose_stacked(self) -> set[Variable]:
        """The buffers that are other ones at each turn of `epoch`, one behind the other."""
        if not self.rows:
            return set()
        outputs = list(map(self.storage, self.graph.outputs))
        results = outputs[: self.captured.results]
        own = [v for v in results if outputs.count(v) == 1 and v in self.made]
        return {self.graph.inputs[0], *own}

    @functools.cached_property
    def made(self) -> set[Variable]:
        """What a kernel writes."""
        return {v for k in self.kernels for v in k.makes} | self.lowering.joined

    def _place_temporaries(self) -> tuple[dict[Variable, int], int]:
        """Offsets in the arena such that buffers that live at the same time do not overlap."""
        born: dict[Variable, int] = {}
        dies: dict[Variable, int] = {}
        for number, kernel in enumerate(self.kernels):
            for v in kernel.makes:
                whole, _ = self.place(v)
                if whole not in self.slots:
                    born.setdefault(whole, number)
                    dies[whole] = number
            for v in kernel.reads:
                whole, _ = self.place(v)
                if whole in born:
                    dies[whole] = number
        offsets: dict[Variable, int] = {}
        free: list[tuple[int, int]] = []  # (offset, size), by offset
        top = 0
        ends: dict[int, list[Variable]] = {}
        for v, number in dies.items():
            ends.setdefault(number, []).append(v)
        starts: dict[int, list[Variable]] = {}
        for v, number in born.items():
            starts.setdefault(number, []).append(v)
        for number in range(len(self.kernels)):
            for v in starts.get(number, []):
                size = -(-max(v.nbytes, 1) // _ALIGN) * _ALIGN
                for i, (offset, gap) in enumerate(free):
                    if gap >= size:
                        offsets[v] = offset
                        rest = (offset + size, gap - size)
                        free[i : i + 1] = [rest] if rest[1] else []
                        break
                else:
                    offsets[v] = top
                    top += size
            for v in ends.get(number, []):
                size = -(-max(v.nbytes, 1) // _ALIGN) * _ALIGN
                free.append((offsets[v], size))
            free = _merged(free)
        return offsets, top

    # -- code ---------------------------------------------------------------------------------

    def _compile(self) -> list[Kernel | threads.Driver]:
        """Write and compile all loops, and a driver for each run of kernels between host calls.

        The drivers and host calls are returned in order.
        """
        definitions: dict[str, str] = {}  # body -> name: equal kernels are compiled once
        declarations: dict[str, None] = {}
        drivers: list[_DriverWriter] = []
        steps: list[Kernel | _DriverWriter] = []
        open_driver: _DriverWriter | None = None
        products = ContractionKernels(self.lowering)
        for kernel in self.kernels:
            if kernel.kind is HOST:
                open_driver = None
                steps.append(kernel)
                continue
            if open_driver is None or self.split:
                open_driver = _DriverWriter(self, f"driver{len(drivers)}")
                drivers.append(open_driver)
                steps.append(open_driver)
            if kernel.kind is CONTRACTION:
                if any(v in self.in_place for v in kernel.makes):
                    open_driver.stop_if_flagged()
                for product, buffers in products.of(kernel):
                    open_driver.add_product(product, buffers)
                if not may_spoil(kernel.roots[0]):
                    continue
                kernel = Kernel(NONFINITE, kernel.roots, kernel.reads)
            writer = write(self.lowering, kernel, self.storage)
            declarations.update(writer.f.declarations)
            body = writer.f.text()
            name = definitions.setdefault(body, f"kernel{len(definitions)}")
            if any(r.output in self.in_place for r in kernel.roots):
                open_driver.stop_if_flagged()
            open_driver.add(writer, name)
        compiled: dict[_DriverWriter, threads.Driver] = {}
        self.library = None
        if drivers:
            kernels = [
                body.replace("define void @KERNEL", f"define internal void @{name}", 1)
                for body, name in definitions.items()
            ]
            parts = [machine.header(), *declarations, threads.helpers(threads.BARRIER)]
            parts += [*kernels, *(d.text() for d in drivers), machine.attributes()]
            for product in products.kernels.values():
                parts.append(f"declare void @{product.name}(ptr, i64, i64, i64, ptr)")
            self.text = "\n".join(parts)
            codes = [product.code for product in products.kernels.values()]
            self.library = machine.build(
                self.text, [d.name for d in drivers], codes, threads.departure
            )
            compiled = {d: threads.Driver(self.library, d.name, d.parallel) for d in drivers}
        self.arena = _aligned(self.scratch_offset + products.scratch)
        return [compiled[s] if isinstance(s, _DriverWriter) else s for s in steps]

    def _pointer(self, storage: Variable, name: str, first: int = 0) -> list[str]:
        """The instructions that put the address of a buffer's element under a name."""
        whole, start = self.place(storage)
        start += first * storage.dtype.itemsize
        slot = self.slots.get(whole)
        if slot is None:
            offset = self.offsets[whole] + start
            return [f"  {name} = getelementptr i8, ptr %arena, i64 {offset}"]
        lines = [
            f"  {name}.a = getelementptr ptr, ptr %table, i64 {slot}",
            f"  {name}.b = load ptr, ptr {name}.a",
        ]
        if whole in self.stacked:
            lines.append(f"  {name}.t = mul i64 %turn, {whole.nbytes}")
            lines.append(f"  {name}.c = getelementptr i8, ptr {name}.b, i64 {name}.t")
            lines.append(f"  {name} = getelementptr i8, ptr {name}.c, i64 {start}")
        else:
            lines.append(f"  {name} = getelementptr i8, ptr {name}.b, i64 {start}")
        return lines

    # -- running ------------------------------------------------------------------------------

    def _prepare(self, steps: list[Kernel | threads.Driver]) -> None:
        self.table = (ctypes.c_void_p * max(len(self.slots), 1))()
        self.flag = ctypes.c_int32(0)
        self.arrays: list[Any] = [None] * len(self.slots)
        self.calls: list[Callable[[int], None]] = []
        table, flag = ctypes.addressof(self.table), ctypes.addressof(self.flag)
        arena = self.arena.ctypes.data
        for step in steps:
            if isinstance(step, threads.Driver):
                self.calls.append(functools.partial(threads.run, step, table, arena, flag))
            else:
                self.calls.append(_Host(self, step))
        only = steps[0] if len(steps) == 1 else None
        #: The driver, if there is nothing else.
        self.driver = only if isinstance(only, threads.Driver) else None
        graph, captured = self.graph, self.captured
        first = captured.results
        second = first + len(captured.updated)
        third = second + len(captured.placed)
        input_slots = [self.slots[v] for v in graph.inputs]
        self.argument_slots = input_slots[: self.arguments]
        owned = set(self.in_place.values())
        self.environment = [
            (t, slot, v in owned, v.shape, v.dtype, t._requires_grad)
            for t, slot, v in zip(
                captured.found,
                input_slots[self.arguments :],
                graph.inputs[self.arguments :],
                strict=True,
            )
        ]
        # What a kernel makes for the outside gets an array that nobody else holds; an output that
        # is an input, or an output twice, is a copy.
        made = self.made
        output_slots = [self.slots[self.storage(v)] for v in graph.outputs]
        seen: set[int] = set()
        copied = []
        for v, slot in zip(graph.outputs, output_slots, strict=True):
            copied.append(v not in self.in_place and (v not in made or slot in seen))
            seen.add(slot)
        outputs = list(zip(output_slots, copied, strict=True))
        self.results = outputs[:first]
        self.updates = [
            (t, slot, copy)
            for t, (slot, copy), v in zip(
                captured.updated, outputs[first:second], graph.outputs[first:second], strict=True
            )
            if v not in self.in_place
        ]
        self.placed = [
            (target, slot, copy)
            for target, (slot, copy) in zip(captured.placed, outputs[second:third], strict=True)
        ]
        present = [t for t, has in captured.gradients if has]
        self.gradients = [
            (t, slot, copy) for t, (slot, copy) in zip(present, outputs[third:], strict=True)
        ]
        self.cleared = [t for t, has in captured.gradients if not has]
        self.fresh: list[Any] = [
            (self.slots[v], v.shape, v.dtype)
            for v in dict.fromkeys(graph.outputs)
            if v in made and v not in self.in_place
        ]
        self._put_probes()

    def _put_probes(self) -> None:
        """Begin what `_bind` goes through with probes, which no one else refers to."""
        probe = wrap(np.empty(()))
        kind = ((), probe.array.dtype, False)
        slot = len(self.arrays)
        self.arrays += [probe.array, np.empty(())]
        self.environment.insert(0, (probe, slot, _PROBE, *kind))
        self.fresh.insert(0, (slot + 1, _PROBE, None))
        #: Tensors that get gradients, and those that the last call gave them.
        self.receivers = [wrap(np.empty(())), *[t for t, _, _ in self.gradients]]
        self.receivers[0]._grad = wrap(np.empty(()))
        self.given: list[Tensor | None] = [self.receivers[0]._grad, *[None] * len(self.gradients)]

    @property
    def code_bytes(self) -> int:
        """The size of the machine code, as object files."""
        return self.library.nbytes if self.library is not None else 0

    @property
    def buffer_bytes(self) -> int:
        """The size of the arena, and of the results of the last call that may be written again."""
        results = [self.arrays[slot] for slot, _, _ in self.fresh[1:]]
        return self.arena.nbytes + sum(a.nbytes for a in results if a is not None)

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
            return fill_result(self.captured.result_tree, self._run(1, leaves))

    def repeat(self, leaves: Any, times: int) -> Any:
        """Run the plan `times` times on the same arguments; return the last result."""
        with self._lock:
            for _, turns in _portions(times, self.repeatable):
                self._rebind(leaves)
                results = self._run(turns)
            return fill_result(self.captured.result_tree, results)

    def epoch(self, order: np.ndarray, arrays: Any) -> Any:
        """Run the plan once for each row of `order`; return the results, stacked.

        The plan is one with `rows`: its first argument is the row.
        """
        kinds = self.graph.outputs[: self.captured.results]
        stacks = [np.empty((len(order), *v.shape), v.dtype) for v in kinds]
        native = self.repeatable and len(self.stacked) == 1 + len(stacks)
        slots = [slot for slot, _ in self.results]
        with self._lock:
            for done, turns in _portions(len(order), native):
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
                self.arrays[slot] = (
                    None  # a whole data set, which is not to be kept alive from here
                )
        return fill_result(self.captured.result_tree, stacks)

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
            error, self.flag.value = self._error(self.flag.value), 0
            raise error
        arrays = self.arrays
        for t, slot, copy in self.updates:
            t.array = arrays[slot].copy() if copy else arrays[slot]
        for target, slot, copy in self.placed:
            target.put(leaves, arrays[slot].copy() if copy else arrays[slot])
        handed = self.captured.gradients_handed(leaves)
        for i, (t, slot, copy) in enumerate(self.gradients, 1):
            gradient = wrap(arrays[slot].copy() if copy else arrays[slot])
            t._grad = gradient
            if not copy:
                self.given[i] = gradient
        for t in self.cleared:
            t._grad = None
        for t, gradient in handed:
            t._grad = gradient
        for own, name, value in self.captured.writes:
            own[name] = value
        return [arrays[slot].copy() if copy else arrays[slot] for slot, copy in self.results]

    def _error(self, flag: int) -> Exception:
        """What the lowest bit of the flag stands for."""
        number = (flag & -flag).bit_length() - 1
        if number == OUTSIDE_BIT:
            return IndexRangeError(OUTSIDE)
        found = self.lowering.checks[number:]
        if number == OUTSIDE_BIT - 1 and len(found) > 1:  # those that have no bit of their own
            return ArgumentError("one of these: " + " | ".join(str(c.failure()) for c in found))
        return found[0].failure()

    def _put(self, slot: int, array: np.ndarray) -> None:
        if array is not self.arrays[slot]:
            if not array.flags.c_contiguous or not array.flags.aligned:
                array = np.array(array, order="C")
            self.arrays[slot] = array
            self.table[slot] = array.__array_interface__["data"][0]


def _portions(times: int, native: bool) -> Iterator[tuple[int, int]]:
    """How many turns are done, and how many are next: in native code as many as Ctrl-C can wait."""
    done, each = 0, 1
    while done < times:
        turns = min(times - done, each) if native else 1
        start = time.perf_counter()
        yield done, turns
        done += turns
        if time.perf_counter() - start < _PATIENCE / 2:
            each *= 2


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


#: Each thread has a flag of its own, which kernels may set without regard to others.
_TELL = "  call void @tell(ptr %flag, ptr %own)"


class _DriverWriter:
    """Writes the function that runs kernels in order, on one thread or on all of them in step.

    A kernel whose work is worth it is divided among the threads; the first thread runs the others
    alone. A barrier stands wherever a kernel that all threads run meets its neighbours.
    """

    def __init__(self, plan: Plan, name: str):
        self.plan = plan
        self.name = name
        self.parallel = False
        self._body: list[str] = []
        self._serial: list[str] = []
        self._head: list[str] = []
        self._count = 0
        self._pending = False  # whether all threads have worked since the last barrier
        self._unchecked = False  # whether an index out of range may have been met

    def add(self, writer: KernelWriter, name: str) -> None:
        """The next kernel."""
        self._unchecked |= writer.checks
        lines, arguments = [], []
        for storage in writer.buffers:
            self._count += 1
            arguments.append(f"ptr %p{self._count}")
            first = writer.starts.get(storage, 0)
            lines.extend(self.plan._pointer(storage, f"%p{self._count}", first))
        listed = ", ".join([*arguments, "ptr %own"])  # a check of constants has no buffers
        if writer.units > 1 and writer.work >= _WORTH_SHARING:
            self._flush()
            self.parallel = True
            self._barrier()
            tag = self._count
            lines += [
                f"  %s{tag} = mul i64 %thread, {writer.units}",
                f"  %begin{tag} = udiv i64 %s{tag}, %threads",
                f"  %t{tag} = add i64 %s{tag}, {writer.units}",
                f"  %end{tag} = udiv i64 %t{tag}, %threads",
                f"  call void @{name}({listed}, i64 %begin{tag}, i64 %end{tag})",
            ]
            self._body += lines
            self._pending = True
        else:
            if self._pending:
                self._barrier()
            lines.append(f"  call void @{name}({listed}, i64 0, i64 {writer.units})")
            self._serial += lines

    def add_product(
        self, product: CompiledContraction, buffers: list[tuple[Variable, int]]
    ) -> None:
        """The next kernel, a contraction: if it is large, every phase on all threads."""
        self._count += 1
        tag = self._count
        self._head.append(f"  %t{tag} = alloca [{len(buffers)} x ptr]")
        lines = []
        for i, (v, first) in enumerate(buffers):
            lines.extend(self.plan._pointer(self.plan.storage(v), f"%q{tag}.{i}", first))
            lines.append(f"  %r{tag}.{i} = getelementptr ptr, ptr %t{tag}, i64 {i}")
            lines.append(f"  store ptr %q{tag}.{i}, ptr %r{tag}.{i}")
        offset = self.plan.scratch_offset
        lines.append(f"  %s{tag} = getelementptr i8, ptr %arena, i64 {offset}")
        call = f"  call void @{product.name}(ptr %t{tag}, i64 %d, %s, ptr %s{tag})"
        if product.flops < _LARGE_PRODUCT:
            if self._pending:
                self._barrier()
            self._serial += lines
            for phase in range(product.phases):
                self._serial.append(call.replace("%d", str(phase)).replace("%s,", "i64 0, i64 1,"))
            return
        self._flush()
        self.parallel = True
        self._body += lines
        for phase in range(product.phases):
            self._barrier()
            self._body.append(
                call.replace("%d", str(phase)).replace("%s,", "i64 %thread, i64 %threads,")
            )
        self._pending = True

    def stop_if_flagged(self) -> None:
        """Go no further if an index was out of range: the next kernel overwrites a parameter."""
        if not self._unchecked:
            return
        self._unchecked = False
        self._flush()
        self._body.append(_TELL)
        self._barrier()
        self._count += 1
        tag = self._count
        # All threads read the flag before any can go on to where it is told of more.
        self._body.append(f"  %f{tag} = load i32, ptr %flag")
        self._barrier()
        self._body += [
            f"  %bad{tag} = icmp ne i32 %f{tag}, 0",
            f"  br i1 %bad{tag}, label %done, label %good{tag}",
            f"good{tag}:",
        ]

    def _barrier(self) -> None:
        self._body.append("  call void @barrier(ptr %counter, i64 %threads)")
        self._pending = False

    def _flush(self) -> None:
        """Write the kernels that the first thread runs alone."""
        if not self._serial:
            return
        self._count += 1
        tag = self._count
        self._body += [
            f"  br i1 %first, label %alone{tag}, label %all{tag}",
            f"alone{tag}:",
            *self._serial,
            f"  br label %all{tag}",
            f"all{tag}:",
        ]
        self._serial = []

    def text(self) -> str:
        """The function."""
        self._flush()
        body = "\n".join(self._body)
        note = "noinline optnone " if self._count > _LONG_DRIVER else ""
        return (
            f"define void @{self.name}(ptr %table, ptr %arena, ptr %flag, i64 %thread, "
            f"i64 %threads, ptr %counter, i64 %times) {note}#0 {{\n"
            "entry:\n  %first = icmp eq i64 %thread, 0\n"
            "  %own = alloca i32\n  store i32 0, ptr %own\n"
            + "".join(line + "\n" for line in self._head)
            + "  br label %again\n"
            "again:\n  %turn = phi i64 [ 0, %entry ], [ %next, %last ]\n"
            f"{body}\n"
            "  br label %last\nlast:\n"
            f"{_TELL}\n"
            "  call void @barrier(ptr %counter, i64 %threads)\n"
            "  %next = add i64 %turn, 1\n"
            "  %more = icmp slt i64 %next, %times\n"
            "  br i1 %more, label %again, label %done\ndone:\n  ret void\n}\n"
        )


class _Host:
    """An op that NumPy runs, between native calls.

    It does not refer to the plan, which refers to it: a plan is freed without a garbage collector.
    """

    def __init__(self, plan: Plan, kernel: Kernel):
        self.equation = kernel.roots[0]
        self.views = [
            plan.lowering.view(x) if isinstance(x, Variable) else x for x in self.equation.inputs
        ]
        self.arrays, self.arena = plan.arrays, plan.arena
        bases = [v.base for v in self.views if isinstance(v, View)]
        self.places = {v: _place_of(plan, v) for v in [*bases, self.equation.output]}

    def __call__(self, times: int) -> None:
        args = [self._array(v) if isinstance(v, View) else v for v in self.views]
        try:
            result = evaluated(self.equation.op, tuple(args))
        except IndexError:
            raise IndexRangeError(OUTSIDE) from None
        target = self._buffer(self.equation.output)
        np.copyto(target, result)

    def _buffer(self, v: Variable) -> np.ndarray:
        slot, start = self.places[v]
        if slot is None:
            return self.arena[start : start + v.nbytes].view(v.dtype).reshape(v.shape)
        array = self.arrays[slot]
        if array.dtype == v.dtype and array.shape == v.shape:
            return array
        first = start // v.dtype.itemsize
        return array.reshape(-1)[first : first + v.size].reshape(v.shape)

    def _array(self, view: View) -> np.ndarray:
        base = self._buffer(view.base)
        if view.base.shape == view.shape and view.contiguous and view.offset == 0:
            return base
        size = base.dtype.itemsize
        flat = base.reshape(-1)[view.offset :] if view.offset else base
        return np.lib.stride_tricks.as_strided(
            flat, view.shape, tuple(s * size for s in view.strides), writeable=False
        )


def _place_of(plan: Plan, v: Variable) -> tuple[int | None, int]:
    """The slot of a value's buffer and its first byte in it; without a slot, that in the arena."""
    whole, start = plan.place(v)
    slot = plan.slots.get(whole)
    return slot, start if slot is not None else start + plan.offsets[whole]


def _merged(free: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbouring gaps as one."""
    result: list[tuple[int, int]] = []
    for offset, size in sorted(free):
        if result and sum(result[-1]) == offset:
            result[-1] = (result[-1][0], result[-1][1] + size)
        else:
            result.append((offset, size))
    return result


def _aligned(size: int) -> np.ndarray:
    """Uninitialised bytes that start at a multiple of the cache line."""
    raw = np.empty(size + _ALIGN, np.uint8)
    start = -raw.ctypes.data % _ALIGN
    return raw[start : start + size]
