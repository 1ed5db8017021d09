"""The plan: kernels in order, where each buffer lies, and the code that runs them.

Buffers are of three kinds: those of the arguments, of the surroundings (parameters, state) and of
the results, whose addresses are put into a table at each call; and temporary ones, which share one
arena by liveness. A parameter is updated in place where no later kernel wants its old value.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import numpy_backend as NUMPY
from ..errors import IndexRangeError
from ..tensor import Tensor, wrap
from . import native
from .capture import Capture, fill_result
from .graph import Graph, Variable
from .loops import KernelWriter
from .lower import Kernel, Lowering, View
from .passes import optimise

_ALIGN = 64


class Plan:
    """One captured function, compiled."""

    def __init__(self, captured: Capture):
        self.captured = captured
        graph = optimise(captured.graph)
        # The passes keep the order of outputs; each distinct variable gets one buffer.
        self.graph = graph
        self.lowering = Lowering(graph)
        self.kernels = self.lowering.kernels
        self.in_place = self._choose_in_place()
        self.slots = self._number_slots()
        self.offsets, arena_size = self._place_temporaries()
        self.arena = _aligned(arena_size)
        self._lock = threading.Lock()
        self._compile()
        self._prepare()

    # -- buffers ------------------------------------------------------------------------------

    @property
    def arguments(self) -> int:
        """How many inputs are the call's own Tensors."""
        return len(self.graph.inputs) - len(self.captured.found)

    def _choose_in_place(self) -> dict[Variable, Variable]:
        """For each new value of a Tensor that may overwrite the old one: new -> old."""
        captured, graph = self.captured, self.graph
        old_of = dict(zip(captured.found, graph.inputs[self.arguments :], strict=True))
        first = captured.results
        made_in = {r.output: i for i, k in enumerate(self.kernels) for r in k.roots}
        chosen: dict[Variable, Variable] = {}
        results = {*graph.outputs[:first], *graph.outputs[first + len(captured.updated) :]}
        for tensor, new in zip(captured.updated, graph.outputs[first:], strict=False):
            old = old_of[tensor]
            if new not in made_in or new in results or old in graph.outputs or new in chosen:
                continue
            if graph.outputs.count(new) > 1:
                continue
            kernel = made_in[new]
            if self.kernels[kernel].kind != "map":
                continue
            if any(old in k.reads for k in self.kernels[kernel + 1 :]):
                continue
            if all(
                same
                for r in self.kernels[kernel].roots
                for base, same in self.lowering.loads(r, "map")
                if base is old
            ):
                chosen[new] = old
        return chosen

    def storage(self, v: Variable) -> Variable:
        """The variable whose memory holds v."""
        return self.in_place.get(v, v)

    def _number_slots(self) -> dict[Variable, int]:
        """A table entry for every buffer that is not temporary."""
        slots: dict[Variable, int] = {}
        for v in [*self.graph.inputs, *self.graph.constants, *map(self.storage, self.graph.outputs)]:
            slots.setdefault(v, len(slots))
        return slots

    def _place_temporaries(self) -> tuple[dict[Variable, int], int]:
        """Offsets in the arena such that buffers that live at the same time do not overlap."""
        born: dict[Variable, int] = {}
        dies: dict[Variable, int] = {}
        for number, kernel in enumerate(self.kernels):
            for r in kernel.roots:
                if self.storage(r.output) not in self.slots:
                    born[r.output] = number
                    dies[r.output] = number
            for v in kernel.reads:
                if v in born:
                    dies[v] = number
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
                for i, (offset, room) in enumerate(free):
                    if room >= size:
                        offsets[v] = offset
                        rest = (offset + size, room - size)
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

    def _compile(self) -> None:
        """Write and compile all loops, and one driver for each run of kernels between host calls."""
        definitions: dict[str, str] = {}  # body -> name: equal kernels are compiled once
        declarations: dict[str, None] = {}
        drivers: list[str] = []
        self.steps: list[Any] = []
        current: list[str] = []

        def flush() -> None:
            if current:
                name = f"driver{len(drivers)}"
                body = "\n".join(current)
                drivers.append(
                    f"define void @{name}(ptr %table, ptr %arena, ptr %flag) #0 {{\n{body}\n"
                    "  ret void\n}\n"
                )
                self.steps.append(name)
                current.clear()

        count = 0
        for kernel in self.kernels:
            if kernel.kind == "host":
                flush()
                self.steps.append(kernel)
                continue
            writer = KernelWriter(self.lowering, kernel, self.storage)
            declarations.update(writer.f.declarations)
            body = writer.f.text()
            name = definitions.setdefault(body, f"kernel{len(definitions)}")
            arguments = []
            for storage in writer.buffers:
                count += 1
                arguments.append(f"ptr %p{count}")
                current.extend(self._pointer(storage, f"%p{count}"))
            listed = ", ".join([*arguments, "ptr %flag", "i64 0", f"i64 {writer.units}"])
            current.append(f"  call void @{name}({listed})")
        flush()
        names = [f"driver{i}" for i in range(len(drivers))]
        if not names:
            self.library = None
            return
        kernels = [
            body.replace("define void @KERNEL", f"define internal void @{name}", 1)
            for body, name in definitions.items()
        ]
        self.text = "\n".join(
            [native.header(), *declarations, *kernels, *drivers, native.attributes()]
        )
        self.library = native.build(self.text, names)

    def _pointer(self, storage: Variable, name: str) -> list[str]:
        """The instructions that put a buffer's address under a name."""
        slot = self.slots.get(storage)
        if slot is None:
            return [f"  {name} = getelementptr i8, ptr %arena, i64 {self.offsets[storage]}"]
        return [
            f"  {name}.a = getelementptr ptr, ptr %table, i64 {slot}",
            f"  {name} = load ptr, ptr {name}.a",
        ]

    # -- running ------------------------------------------------------------------------------

    def _prepare(self) -> None:
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        self.table = (ctypes.c_void_p * max(len(self.slots), 1))()
        self.flag = ctypes.c_int32(0)
        self.arrays: list[Any] = [None] * len(self.slots)
        self.calls: list[Callable[[], None]] = []
        table, flag = ctypes.addressof(self.table), ctypes.addressof(self.flag)
        arena = self.arena.ctypes.data
        for step in self.steps:
            if isinstance(step, str):
                assert self.library is not None
                function = signature(self.library.addresses[step])
                self.calls.append(_Driver(function, table, arena, flag))
            else:
                self.calls.append(_Host(self, step))
        graph, captured = self.graph, self.captured
        first = captured.results
        self.input_slots = [self.slots[v] for v in graph.inputs]
        owned = set(self.in_place.values())
        self.owned = [
            self.slots[v] if v in owned else None for v in graph.inputs[self.arguments :]
        ]
        # Outputs that a kernel makes need a new array at each call; the others are copies.
        made = {r.output for k in self.kernels for r in k.roots}
        self.fresh = [
            (self.slots[v], v.shape, v.dtype)
            for v in dict.fromkeys(graph.outputs)
            if v in made and v not in self.in_place
        ]
        self.output_slots = [self.slots[self.storage(v)] for v in graph.outputs]
        seen: set[int] = set()
        self.copied = []
        for v, slot in zip(graph.outputs, self.output_slots, strict=True):
            self.copied.append(v not in self.in_place and (v not in made or slot in seen))
            seen.add(slot)
        self.updates = [
            (t, slot, v in self.in_place, copy)
            for t, slot, v, copy in zip(
                captured.updated,
                self.output_slots[first:],
                graph.outputs[first:],
                self.copied[first:],
                strict=False,
            )
        ]

    def __call__(self, leaves: list[Any]) -> Any:
        """Run the plan once on the call's arguments; update the surroundings; return the result."""
        with self._lock:
            return self._run(leaves)

    def _run(self, leaves: list[Any]) -> Any:
        captured = self.captured
        position = 0
        for x in leaves:
            if isinstance(x, Tensor):
                self._put(self.input_slots[position], x.array)
                position += 1
        for t, slot, own in zip(
            captured.found, self.input_slots[position:], self.owned, strict=True
        ):
            if own is not None:
                self._own(t, slot)
            else:
                self._put(slot, t.array)
        for slot, shape, dtype in self.fresh:
            array = np.empty(shape, dtype)
            self.arrays[slot] = array
            self.table[slot] = array.__array_interface__["data"][0]
        for call in self.calls:
            call()
        if self.flag.value:
            self.flag.value = 0
            raise IndexRangeError(
                "compiled function: an index lies outside its axis; run the function without "
                "backlit.compile to see which"
            )
        arrays, first = self.arrays, captured.results
        results = [
            arrays[slot].copy() if copy else arrays[slot]
            for slot, copy in zip(self.output_slots[:first], self.copied, strict=False)
        ]
        for t, slot, in_place, copy in self.updates:
            if not in_place:
                t.array = arrays[slot].copy() if copy else arrays[slot]
        position = first + len(captured.updated)
        for t, present in captured.gradients:
            if present:
                slot = self.output_slots[position]
                array = arrays[slot].copy() if self.copied[position] else arrays[slot]
                t._grad = wrap(array)
                position += 1
            else:
                t._grad = None
        return fill_result(captured.result_tree, results)

    def _put(self, slot: int, array: np.ndarray) -> None:
        if array is not self.arrays[slot]:
            if not array.flags.c_contiguous or not array.flags.aligned:
                array = np.ascontiguousarray(array)
            self.arrays[slot] = array
            self.table[slot] = array.__array_interface__["data"][0]

    def _own(self, t: Tensor, slot: int) -> None:
        """Make sure that overwriting a Tensor's array is seen by nobody else."""
        array = t.array
        known = array is self.arrays[slot]
        # The Tensor, our table if it knows the array, this name and getrefcount's argument.
        if (
            sys.getrefcount(array) > (4 if known else 3)
            or array.base is not None
            or not array.flags.writeable
            or not array.flags.c_contiguous
        ):
            array = array.copy()
            t.array = array
            known = False
        if not known:
            self.arrays[slot] = array
            self.table[slot] = array.__array_interface__["data"][0]


class _Driver:
    """A native call."""

    def __init__(self, function: Any, table: int, arena: int, flag: int):
        self.function, self.table, self.arena, self.flag = function, table, arena, flag

    def __call__(self) -> None:
        self.function(self.table, self.arena, self.flag)


class _Host:
    """An op that NumPy runs, between native calls."""

    def __init__(self, plan: Plan, kernel: Kernel):
        self.plan = plan
        self.equation = kernel.roots[0]
        lowering = plan.lowering
        self.views = [
            lowering.view(x) if isinstance(x, Variable) else x for x in self.equation.inputs
        ]
        self.out = View(self.equation.output, self.equation.output.shape, ())

    def __call__(self) -> None:
        args = [self._array(v) if isinstance(v, View) else v for v in self.views]
        result = np.asarray(self.equation.op.forward(NUMPY, *args))
        target = self._buffer(self.equation.output)
        np.copyto(target, result)

    def _buffer(self, v: Variable) -> np.ndarray:
        plan = self.plan
        storage = plan.storage(v)
        slot = plan.slots.get(storage)
        if slot is not None:
            return plan.arrays[slot]
        start = plan.offsets[storage]
        return plan.arena[start : start + v.nbytes].view(v.dtype).reshape(v.shape)

    def _array(self, view: View) -> np.ndarray:
        base = self._buffer(view.base)
        if view.base.shape == view.shape and view.contiguous and view.offset == 0:
            return base
        size = base.dtype.itemsize
        flat = base.reshape(-1)[view.offset :] if view.offset else base
        return np.lib.stride_tricks.as_strided(
            flat, view.shape, tuple(s * size for s in view.strides), writeable=False
        )


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


