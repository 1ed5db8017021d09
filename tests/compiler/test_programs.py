"""Random programs: eager, the interpreter and native code agree, values and gradients."""

import numpy as np
import pytest

import backlit
from backlit.compiler import interpreter, native
from backlit.compiler.capture.trace import trace
from backlit.compiler.lower import passes
from compiler.programs import Program, changing_program, program
from sampling import one_in

#: Programs that native code once got wrong, and some more.
WRONG_ONCE = [81, 186, 274, 297, 413, 10036, 10057, 10090, 10184, 10204, 10311, 10563, 10595]
SEEDS = [*WRONG_ONCE, *range(24)]
PROGRAMS = [*map(program, SEEDS), *map(changing_program, range(24))]


@pytest.mark.parametrize("written", one_in(3, PROGRAMS), ids=lambda p: f"{p.kind}{p.seed}")
def test_compiled_programs_do_what_eager_ones_do(written: Program) -> None:
    inputs = [backlit.asarray(a) for a in written.inputs]
    eager = written.run(*inputs)
    interpreted = backlit.compile(written.run, executor=interpreter)(*inputs)
    compiled = backlit.compile(written.run, executor=native)(*inputs)
    for e, i, n in zip(eager, interpreted, compiled, strict=True):
        assert e.numpy().tobytes() == i.numpy().tobytes(), written
        assert n.shape == e.shape
        bound = 1e-9 * (1 + np.abs(e.numpy()).max(initial=0))
        assert np.abs(n.numpy() - e.numpy()).max(initial=0) <= bound, written


@pytest.mark.parametrize("written", PROGRAMS, ids=lambda p: f"{p.kind}{p.seed}")
def test_graphs_are_legal_after_every_pass_and_do_not_grow(written: Program) -> None:
    graph = trace(written.run, tuple(map(backlit.asarray, written.inputs)), {}).graph
    graph.check()
    for step in passes.PASSES:
        before, graph = graph, step(graph)
        graph.check()
        assert (graph.inputs, len(graph.outputs)) == (before.inputs, len(before.outputs))
        assert len(graph.equations) <= len(before.equations)
