"""Memory: where each value of a plan lies.

Buffers are of three kinds: those of the arguments, of the environment (parameters, state) and of
the results, whose addresses are put into a table at each call; and temporary ones, which share one
arena by liveness. A parameter is updated in place where no later kernel wants its old value.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping

import numpy as np

from ..capture.graph import Graph, Variable
from ..capture.trace import Capture
from ..lower.lower import Lowering
from ..lower.passes import TakeAddTo

#: Bytes of a cache line, at which buffers begin.
_ALIGN = 64


def replacements(captured: Capture, graph: Graph) -> dict[Variable, Variable]:
    """For each new value of a Tensor that the function replaces: new -> old."""
    own = len(graph.inputs) - len(captured.found)
    old_of = dict(zip(captured.found, graph.inputs[own:], strict=True))
    outputs = Counter(graph.outputs)
    pairs = {
        new: old_of[tensor]
        for tensor, new in zip(captured.updated, graph.outputs[captured.results :], strict=False)
    }
    return {
        new: old
        for new, old in pairs.items()
        if outputs[new] == 1
        and not outputs[old]
        and new.shape == old.shape
        and new.dtype == old.dtype
    }


class Buffers:
    """The buffers of one plan, or of one step of a loop.

    With `results` the first input and so many outputs are one of many, for `Plan.epoch`. `stacked`
    says which ones are in the steps of a loop, and how many bytes on the next one lies.
    """

    def __init__(
        self,
        lowering: Lowering,
        pairs: Mapping[Variable, Variable],
        results: int | None = None,
        stacked: Mapping[Variable, int] | None = None,
    ):
        self.lowering = lowering
        self.graph = lowering.graph
        self.kernels = lowering.kernels
        #: For each new value of a Tensor that overwrites the old one: new -> old.
        self.in_place = self._choose_in_place(pairs)
        #: A table entry for every buffer that is not temporary.
        self.slots = self._number_slots()
        #: The buffers that are other ones at each turn, and how many bytes on the next one lies.
        self.stacked = dict(stacked or {}) if results is None else self._choose_stacked(results)
        #: Where each temporary one begins in the arena, and where what kernels need for themselves.
        self.offsets, self.scratch_offset = self._place_temporaries()

    def _choose_in_place(self, pairs: Mapping[Variable, Variable]) -> dict[Variable, Variable]:
        """For each new value of a Tensor that may overwrite the old one: new -> old."""
        made_in = {r.output: i for i, k in enumerate(self.kernels) for r in k.roots}
        last_read = {v: i for i, k in enumerate(self.kernels) for v in k.reads}
        chosen: dict[Variable, Variable] = {}
        for new, old in pairs.items():
            number = made_in.get(new)
            if number is None:
                continue
            kernel = self.kernels[number]
            if not kernel.is_map_of(new) and not isinstance(self.lowering.made[new].op, TakeAddTo):
                continue
            if last_read.get(old, -1) > number:
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
        slots: dict[Variable, int] = {}
        for v in [
            *self.graph.inputs,
            *self.graph.constants,
            *map(self.storage, self.graph.outputs),
        ]:
            slots.setdefault(v, len(slots))
        return slots

    def _choose_stacked(self, results: int) -> dict[Variable, int]:
        outputs = list(map(self.storage, self.graph.outputs))
        own = [v for v in outputs[:results] if outputs.count(v) == 1 and v in self.made]
        return {v: v.nbytes for v in [self.graph.inputs[0], *own]}

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

    def entry(self, v: Variable) -> tuple[int | None, int]:
        """The slot of a value's buffer and its first byte in it; without a slot, in the arena."""
        whole, start = self.place(v)
        slot = self.slots.get(whole)
        return slot, start if slot is not None else start + self.offsets[whole]


def _merged(free: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbouring gaps as one."""
    result: list[tuple[int, int]] = []
    for offset, size in sorted(free):
        if result and sum(result[-1]) == offset:
            result[-1] = (result[-1][0], result[-1][1] + size)
        else:
            result.append((offset, size))
    return result


def aligned(size: int) -> np.ndarray:
    """Uninitialised bytes that start at a multiple of the cache line."""
    raw = np.empty(size + _ALIGN, np.uint8)
    start = -raw.ctypes.data % _ALIGN
    return raw[start : start + size]
