"""Lowering: which values live in memory, which loops make them, and in what order.

A value that many consumers need, or whose making is expensive, gets memory; every other one is
inlined where it is used, its movement (transposes, slices, broadcasts, padding) folded into
indices. A loop makes all values of one shape that can be made together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from ...op import Reduction
from ...ops import convolution, indexing, movement
from ..capture.checks import Require
from ..capture.graph import Equation, Graph, Variable
from .kinds import CHECK, HOST, LOOP, Kernel, Kind, kind_of
from .passes import SetItemsTo, TakeAddTo
from .reading import Access, Reading
from .views import Views, same_but_ones

#: A cost of more than this is too much for what several consumers, or turns, would make anew; ...
CHEAP = 3
#: ... and this for any value.
LONG = 120

#: More pieces than this are not chosen among by comparing indices.
FEW_PIECES = 4


class Lowering(Views):
    """One graph's decisions; all of them are final when it has been made.

    On the way `_choose` settles `uses`, `costs` and `in_memory`, to which `_join` may still add
    pieces of concatenations as it settles `inside` and `joined`; `_group` then settles `kernels`
    and changes nothing else. `replaces`, `numbers`, `wanted` and `checks` are of the graph alone.
    """

    def __init__(
        self,
        graph: Graph,
        kept: Iterable[Variable] = (),
        replaces: Mapping[Variable, Variable] | None = None,
    ):
        super().__init__(graph)
        #: New values for which the memory of old ones is to be used: new -> old.
        self.replaces = replaces or {}
        #: Each variable's place in the graph: an order that is the same in every process.
        self.numbers = {v: i for i, v in enumerate([*graph.inputs, *graph.constants, *self.made])}
        #: What is in memory when all kernels are done.
        self.wanted: set[Variable] = {*graph.outputs, *kept}
        self.in_memory |= self.wanted
        #: What its checks may find wrong, each once: the bits of a plan's flag, in order.
        self.checks = list(
            dict.fromkeys(e.op for e in graph.equations if isinstance(e.op, Require))
        )
        self.uses: dict[Variable, int] = {}
        self.costs: dict[Variable, int] = {}
        self.kernels: list[Kernel] = []
        self._kinds: dict[Variable, Kind] = {}
        self._readings: dict[Variable, Reading] = {}
        #: Values made right where a concatenation wants them: the whole, and the first element.
        self.inside: dict[Variable, tuple[Variable, int]] = {}
        self.joined: set[Variable] = set()
        self._choose()
        self._join()
        self._group()

    def kind(self, e: Equation) -> Kind:
        """The kind of kernel that makes e's output, if that lives in memory."""
        known = self._kinds.get(e.output)
        if known is None:
            known = self._kinds[e.output] = kind_of(e)
        return known

    # -- what lives in memory -----------------------------------------------------------------

    def _choose(self) -> None:
        for e in self.graph.equations:
            for x in e.inputs:
                if isinstance(x, Variable):
                    self.uses[x] = self.uses.get(x, 0) + 1
        for e in self.graph.equations:
            kind = self.kind(e)
            if not kind.inlined:
                self.in_memory.add(e.output)
            self.costs[e.output] = self._whole_cost(e)
            inputs = [x for x in e.inputs if isinstance(x, Variable)]
            if kind is LOOP:
                for x in inputs:
                    self._want_contiguous(x)
                continue
            if kind.strided:
                for x in inputs:
                    self.want_view(x)
                    if isinstance(e.op, convolution.Product) and not self.is_plain(x):
                        self.put_into_memory(x)
                continue
            if isinstance(e.op, SetItemsTo):
                self.want_view(e.inputs[-1])
            if isinstance(e.op, movement.Reshape) and not same_but_ones(e):
                self._want_contiguous(e.inputs[0])
            for x in inputs:
                if self._is_expensive(x, e):
                    self.put_into_memory(x)
            if isinstance(e.op, movement.Concat) and len(e.inputs) > FEW_PIECES:
                self.put_into_memory(e.output)
            self.costs[e.output] = self._whole_cost(e)

    def _want_contiguous(self, x: Variable) -> None:
        """Make sure that x's elements lie in memory in row-major order."""
        self.want_view(x)
        view = self.view(x)
        if view is None or not view.contiguous:
            self.put_into_memory(x)

    def _whole_cost(self, e: Equation) -> int:
        """The cost of one element, with all that is made for it."""
        if e.output in self.in_memory:
            return 0
        return e.op.cost + sum(self._cost(x) for x in e.inputs if isinstance(x, Variable))

    def _cost(self, x: Variable) -> int:
        """The cost of one element of x where it is read."""
        return 0 if x in self.in_memory else self.costs.get(x, 0)

    def work(self, kernel: Kernel) -> int:
        """About how many multiplications the kernel does."""
        work = 0
        for r in kernel.roots:
            read = sum(self._cost(x) for x in r.inputs if isinstance(x, Variable))
            work += kernel.kind.turns(r) * (1 + read + r.op.cost)
        return work

    def _is_expensive(self, x: Variable, consumer: Equation) -> bool:
        """Whether x should be made once and kept rather than made again by this consumer."""
        if x in self.in_memory:
            return False
        cost = self.costs[x]
        if cost > LONG:
            return True
        if self.uses[x] > 1 and cost > CHEAP:
            return True
        repeats = consumer.output.size > x.size or isinstance(
            consumer.op, indexing.Take | indexing.TakeAlongAxis | indexing.Gather
        )
        return repeats and cost > CHEAP and not isinstance(consumer.op, Reduction)

    def _join(self) -> None:
        """Let the pieces of a concatenation be made in their places, so that nothing is copied."""
        for e in self.graph.equations:
            if not isinstance(e.op, movement.Concat) or e.output not in self.in_memory:
                continue
            if self.kind(e) is HOST or math.prod(e.output.shape[: e.op.axis]) != 1:
                continue  # the pieces would not be contiguous
            owners = [self._movable(x) for x in e.inputs if x.size]
            if owners and all(owners) and len(set(owners)) == len(owners):
                start = 0
                for owner in owners:
                    assert owner is not None
                    self.inside[owner] = (e.output, start)
                    start += owner.size
                self.joined.add(e.output)

    def _wholes(self, v: Variable) -> Iterator[Variable]:
        """The concatenations in whose memory a value is made."""
        while v in self.inside:
            v, _ = self.inside[v]
            yield v

    def _movable(self, x: Variable) -> Variable | None:
        """The value whose memory holds exactly x and may lie elsewhere; None if there is none."""
        view = self.view(x)
        if view is None or not view.contiguous or view.base.size != x.size:
            self.put_into_memory(x)
            return x
        base = view.base
        fixed = {*self.graph.inputs, *self.graph.constants, *self.graph.outputs}
        return None if base in fixed or base in self.inside else base

    # -- which loops --------------------------------------------------------------------------

    def _group(self) -> None:
        """Put every value that lives in memory into a kernel, as early as its needs allow."""
        where: dict[Variable, int] = {}
        last: dict[Variable, int] = {}  # the last kernel that reads it
        checked = -1  # the last kernel that checks values
        for e in self.graph.equations:
            v = e.output
            if v not in self.in_memory:
                continue
            if v in self.joined:
                pieces = [x for x, (whole, _) in self.inside.items() if whole is v]
                where[v] = max(where[x] for x in pieces)
                continue
            kind = self.kind(e)
            accesses = self.accesses(e)
            reads = {access.view.base for access in accesses}
            if isinstance(e.op, TakeAddTo):
                reads.add(e.inputs[2])  # each element once, where it is written
            earliest = max((where[b] for b in reads if b in where), default=-1)
            if v in self.replaces:
                # Nothing is overwritten before what stands before it has been checked.
                earliest = max(earliest, checked, self._free_from(self.replaces[v], last))
            placed = self._fitting(e, kind, accesses, earliest)
            if placed is None:
                self.kernels.append(Kernel(kind, [e], reads))
                placed = len(self.kernels) - 1
                checked = placed if kind in (CHECK, LOOP) else checked
            else:
                self.kernels[placed].roots.append(e)
                self.kernels[placed].reads |= reads
            where[v] = placed
            last.update((x, max(placed, last.get(x, placed))) for x in reads)

    def _free_from(self, old: Variable, last: Mapping[Variable, int]) -> int:
        """The first kernel in which an old value may be overwritten, element by element."""
        number = last.get(old, -1)
        if number < 0:
            return -1
        kernel = self.kernels[number]
        found = [x for r in kernel.roots for x in self.accesses(r) if x.view.base is old]
        return number if all(x.is_at(kernel.domain) for x in found) else number + 1

    def _fitting(
        self, e: Equation, kind: Kind, accesses: list[Access], earliest: int
    ) -> int | None:
        """A kernel that can make this value too: the same loop, all it needs made before."""
        first = max(earliest, 0) if kind.reads_own else earliest + 1
        for number in range(first, len(self.kernels)):
            kernel = self.kernels[number]
            if kernel.kind is not kind or not kind.joins(kernel, e, accesses):
                continue
            wholes = {whole for r in kernel.roots for whole in self._wholes(r.output)}
            if any(x.view.base in wholes for x in accesses):
                continue  # it would read what this loop is still writing
            return number
        return None

    def accesses(self, e: Equation) -> list[Access]:
        """What making e's output reads from memory."""
        return self.reading(e).found

    def reading(self, e: Equation) -> Reading:
        """How making e's output reads memory.

        Loops run over the output's axes, in reductions and scatters over those of the first input.
        Asked only when it is settled what lives in memory.
        """
        known = self._readings.get(e.output)
        if known is None:
            known = self._readings[e.output] = Reading(self)
            self.kind(e).read(known, e)
        return known
