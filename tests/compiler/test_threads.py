"""When a compiled function leaves the other threads alone."""

import numpy as np

import backlit
from backlit.compiler import native
from backlit.compiler.plan.threads import Pace, get_threads, set_threads


class Machine:
    """Calls of one function on a machine whose other core is sometimes taken."""

    def __init__(self, together: float, alone: float):
        self.pace, self.now = Pace(), 0.0
        self.together, self.alone = together, alone

    def call(self, count: int = 1) -> list[bool]:
        """Make calls; for each, whether it was on all threads."""
        chosen = []
        for _ in range(count):
            together = self.pace.together(self.now)
            seconds = self.together if together else self.alone
            self.now += seconds
            self.pace.record(together, self.now, seconds)
            chosen.append(together)
        return chosen


def test_a_few_calls_alone_are_measured_early():
    machine = Machine(together=0.01, alone=0.018)
    assert machine.call(20) == [True] * 5 + [False] * 3 + [True] * 12
    machine = Machine(together=0.1, alone=0.18)
    assert machine.call(20) == [True] * 5 + [False] + [True] * 14


def test_short_calls_are_measured_when_they_have_added_up():
    machine = Machine(together=0.0001, alone=0.0002)
    chosen = machine.call(1000)
    assert all(chosen[:199])
    assert chosen.count(False) == 3


def test_calls_go_alone_while_a_core_is_taken():
    machine = Machine(together=0.01, alone=0.018)
    machine.call(20)
    machine.together = 0.09  # at every barrier it waits
    assert machine.call(10) == [True] * 3 + [False] * 6 + [True]
    chosen = machine.call(2000)
    assert chosen.count(True) < 60
    machine.together = 0.01
    machine.call(200)
    assert all(machine.call(100))


def test_one_slow_call_changes_nothing():
    machine = Machine(together=0.01, alone=0.018)
    machine.call(20)
    machine.together = 0.09
    machine.call(2)
    machine.together = 0.01
    assert all(machine.call(50))


def test_a_first_call_that_wakes_the_threads_is_not_the_last():
    """The first of the calls on all threads that are tried again may be slow."""
    machine = Machine(together=0.01, alone=0.018)
    machine.call(20)
    machine.together = 0.09
    machine.call(3)
    machine.now += 1
    assert machine.call() == [True]
    machine.together = 0.01
    assert all(machine.call(50))


def test_a_function_that_goes_alone_gives_the_same_bits():
    before = get_threads()
    set_threads(2)
    try:
        random = np.random.default_rng(0)
        x = backlit.asarray(random.standard_normal((300, 300)).astype("float32"))
        step = backlit.compile(lambda x: (x @ x).sum(axis=0), executor=native)
        first = step(x).array
        driver = next(iter(step._runners.values()))[0].calls[0].args[0]
        driver.pace.together = lambda now: False
        assert step(x).array.tobytes() == first.tobytes()
        assert driver.pace.measured == 1
    finally:
        set_threads(before)
