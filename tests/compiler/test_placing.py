"""Where temporary buffers lie: what lives at the same time does not overlap, and room is shared."""

from __future__ import annotations

import random

import backlit
from backlit import nn, optim
from backlit.compiler.capture.trace import trace
from backlit.compiler.loops.fusion import fuse
from backlit.compiler.lower.legalize import legalize
from backlit.compiler.lower.lower import Lowering
from backlit.compiler.lower.passes import optimise
from backlit.compiler.plan.memory import Buffers, replacements
from compiler.programs import changing_program, program

LINE = 64  # bytes of a cache line


def lifetimes(buffers: Buffers) -> dict:
    """For each temporary buffer the first kernel that touches it, and the last.

    A value made inside another has the memory of that one.
    """
    inside = buffers.lowering.inside
    found: dict = {}
    for number, kernel in enumerate(buffers.kernels):
        for v in {*kernel.makes, *kernel.reads}:
            whole = v
            while whole in inside:
                whole = inside[whole][0]
            if whole in buffers.offsets:
                first, _ = found.get(whole, (number, number))
                found[whole] = first, number
    return found


def check(buffers: Buffers) -> None:
    """The properties of any good placing, whichever way it was found."""
    lives = lifetimes(buffers)
    assert set(lives) == set(buffers.offsets)
    places = {v: (start, start + v.nbytes) for v, start in buffers.offsets.items()}
    for v, (start, end) in places.items():
        assert start % LINE == 0, v
        assert end <= buffers.scratch_offset, v
    order = list(lives)
    for i, v in enumerate(order):
        for w in order[:i]:
            together = lives[v][0] <= lives[w][1] and lives[w][0] <= lives[v][1]
            apart = places[v][1] <= places[w][0] or places[w][1] <= places[v][0]
            assert apart or not together, (v, w)
    largest = max(
        (
            sum(v.nbytes for v, (first, last) in lives.items() if first <= number <= last)
            for number in range(len(buffers.kernels))
        ),
        default=0,
    )
    assert buffers.scratch_offset >= largest


def training_step(width: int):
    model = nn.Sequential(nn.Linear(width, 30), nn.Tanh(), nn.LayerNorm(30), nn.Linear(30, 5))
    optimizer = optim.Adam(model.parameters())

    def step(x):
        optimizer.zero_grad()
        loss = backlit.logsumexp(model(x), axis=1).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


def planned(function, *args) -> Buffers:
    """As a plan has them, without machine code."""
    captured = trace(function, args, {})
    legal = legalize(captured.graph)
    graph = optimise(legal, replacements(captured, legal))
    lowering = Lowering(graph, (), replacements(captured, graph))
    fuse(lowering)
    return Buffers(lowering, replacements(captured, graph))


def test_temporaries_that_live_together_lie_apart_in_whole_lines() -> None:
    several = 0
    for written in [*map(program, range(12)), *map(changing_program, range(12))]:
        buffers = planned(written.run, *map(backlit.asarray, written.inputs))
        check(buffers)
        several += len(buffers.offsets) > 1
    assert several > 5
    buffers = planned(training_step(17), backlit.ones((9, 17)))
    check(buffers)
    assert buffers.scratch_offset < sum(v.nbytes for v in buffers.offsets), "nothing is shared"


def test_equal_programs_have_equal_places() -> None:
    places = []
    for _ in range(2):
        buffers = planned(training_step(17), backlit.ones((9, 17)))
        places.append(list(buffers.offsets.values()))
    assert places[0] == places[1]


class Value:
    """A buffer of so many bytes."""

    def __init__(self, nbytes: int):
        self.nbytes = nbytes


class Loop:
    """A kernel that makes and reads these."""

    def __init__(self, makes: list[Value], reads: set[Value]):
        self.makes, self.reads = makes, reads


class Program:
    """So much of a lowering as a placing asks for."""

    def __init__(self, kernels: list[Loop]):
        self.kernels = kernels
        self.inside: dict = {}


def placed(kernels: list[Loop]) -> Buffers:
    """The placing alone: all values are temporary, none is overwritten in place."""
    buffers = object.__new__(Buffers)
    buffers.lowering, buffers.kernels = Program(kernels), kernels
    buffers.in_place, buffers.slots = {}, {}
    buffers.offsets, buffers.scratch_offset = buffers._place_temporaries()
    return buffers


def test_any_lifetimes_and_sizes_are_placed() -> None:
    for seed in range(200):
        draw = random.Random(seed)
        made: list[Value] = []
        kernels = []
        for _ in range(draw.randint(1, 25)):
            reads = set(draw.sample(made, min(len(made), draw.randint(0, 3))))
            new = [Value(draw.choice([0, 1, 63, 64, 65, 1000, draw.randint(1, 5000)]))]
            new += [Value(draw.randint(1, 300)) for _ in range(draw.randint(0, 2))]
            kernels.append(Loop(new, reads))
            made += new
        check(placed(kernels))


def test_a_chain_of_equal_buffers_needs_two_of_them() -> None:
    values = [Value(640) for _ in range(9)]
    chain = [Loop([v], set(values[max(i - 1, 0) : i])) for i, v in enumerate(values)]
    assert placed(chain).scratch_offset == 2 * 640


def test_gaps_that_touch_are_one() -> None:
    a, b, c = Value(64), Value(64), Value(128)
    buffers = placed([Loop([a, b], set()), Loop([Value(64)], {a, b}), Loop([c], set())])
    assert buffers.offsets[c] == 0
