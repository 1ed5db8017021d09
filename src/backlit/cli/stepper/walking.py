"""Where a walk through a record stands: its stops, the present one, the breakpoints."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cached_property

from ...see.records.model import Record
from ...see.show.steps import Stop, steps


class Walk:
    """A place among the stops of a record, forward gate by gate, then backward gate by gate."""

    def __init__(self, record: Record, related: bool = False, also: Collection[int] = ()):
        self.record = record
        self.related = related
        #: With `related` only the output and what it is computed from, and what is `also` wanted.
        every = set(range(len(record.nodes)))
        self.nodes_shown = leading_to_output(record) | set(also) if related else every
        #: The record before values or gradients of it were set: see `changing`.
        self.before: Record | None = None
        stops = list(steps(record))
        if related:
            stops = [s for s in stops if s.node.id in self.nodes_shown]
            stops = [replace(s, number=i) for i, s in enumerate(stops)]
        self.stops: list[Stop] = stops
        self.place = 0
        #: Breakpoints: nodes by id, a norm, any gradient that is not finite.
        self.nodes: set[int] = set()
        self.norm: float | None = None
        self.nonfinite = False

    @property
    def stop(self) -> Stop:
        """The present stop."""
        return self.stops[self.place]

    @property
    def last(self) -> int:
        """The last stop's number."""
        return len(self.stops) - 1

    @property
    def turn(self) -> int:
        """The first stop of the backward pass; the last stop where there is none."""
        return next((s.number for s in self.stops if s.phase == "backward"), self.last)

    def go(self, place: int) -> None:
        """Stand at a stop; before the first is the first, after the last is the last."""
        self.place = min(max(place, 0), self.last)

    def run(self) -> bool:
        """Go on to the next breakpoint, else to the end; whether there was one."""
        rest = self.stops[self.place + 1 :]
        stop = next((s for s in rest if s.holds(self.nodes, self.norm, self.nonfinite)), None)
        self.go(self.last if stop is None else stop.number)
        return stop is not None

    def clear(self) -> None:
        """Forget all breakpoints."""
        self.nodes, self.norm, self.nonfinite = set(), None, False

    def again(self, record: Record | None = None, related: bool | None = None) -> Walk:
        """A walk through another record of the same nodes, or through more or fewer of its stops.

        It has the same breakpoints and stands at the same stop, or at the next that there is.
        """
        related = self.related if related is None else related
        also = self.nodes_shown if record is not None else ()
        new = Walk(self.record if record is None else record, related, also)
        new.nodes, new.norm, new.nonfinite = self.nodes, self.norm, self.nonfinite
        new.before = self.before
        here = self.stop
        same = [s for s in new.stops if s.phase == here.phase]
        place = next((s.number for s in same if s.node.id == here.node.id), None)
        if place is None:
            forward = here.phase == "forward"
            ahead = (s.number for s in same if (s.node.id > here.node.id) == forward)
            place = next(ahead, new.last if same else 0)
        new.go(place)
        return new

    # -- what is known by now -----------------------------------------------------------------

    @cached_property
    def made(self) -> list[int]:
        """For each node the stop that computes its value; -1 for what was there before."""
        result = [-1] * len(self.record.nodes)
        for s in self.stops:
            if s.phase == "forward":
                result[s.node.id] = s.number
        return result

    @cached_property
    def reached(self) -> list[int | None]:
        """For each node the stop after which its gradient is complete; None: it never is."""
        result: list[int | None] = [None] * len(self.record.nodes)
        for s in self.stops:
            if s.phase == "backward":
                if s.node.id == self.record.output:
                    result[s.node.id] = s.number
                for e in s.downstream:
                    result[e.source] = s.number
        return result

    def has_value(self, node: int) -> bool:
        """Whether the node's value is computed by now."""
        return self.made[node] <= self.place

    def has_gradient(self, node: int) -> bool:
        """Whether the node's gradient is complete by now."""
        reached = self.reached[node]
        return reached is not None and reached <= self.place

    def sends(self, node: int) -> bool:
        """Whether the node has sent its gradient on to its inputs by now."""
        at = self.sent.get(node)
        return at is not None and at <= self.place

    @cached_property
    def sent(self) -> dict[int, int]:
        """For each gate the stop of the backward pass that visits it."""
        return {s.node.id: s.number for s in self.stops if s.phase == "backward"}


def leading_to_output(record: Record) -> set[int]:
    """The output and all that it is computed from; every node where there is no output."""
    if record.output is None or record.error is not None:
        return set(range(len(record.nodes)))
    found = {record.output}
    for n in range(record.output, -1, -1):
        if n in found:
            found.update(e.source for e in record.incoming[n])
    return found
