"""What a thread is doing, and who looks on while it does it."""

import gc
import weakref

import pytest

import backlit as bl
from backlit import see
from backlit.compiler.eager import _traced
from backlit.compiler.plan.report import _best
from backlit.state import STATE, observing

LOOKING = ("observer", "backward_observer", "reader")


def work():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = (x * 3).sum()
    y.backward()
    return y.item()


EVENTS = ["multiply", "sum", "full", "sum back", "multiply back", "item()"]


class Watcher:
    """Takes down what it is told; after `until` events it raises."""

    def __init__(self, until=None, **options):
        self.seen = []
        self.until = until
        self.block = observing(
            lambda op, inputs, y: self.take(op.name),
            lambda node, upstream, sent: self.take(f"{node.op.name} back"),
            lambda t, what: self.take(what),
            **options,
        )

    def take(self, event):
        self.seen.append(event)
        if len(self.seen) == self.until:
            raise InterruptedError(event)


def nobody_looks():
    return all(getattr(STATE, name) is None for name in LOOKING)


def test_two_watchers_see_everything():
    outer, inner = Watcher(), Watcher()
    with outer.block:
        with inner.block:
            work()
        bl.ones(2) + 1
    assert inner.seen == EVENTS
    assert outer.seen == [*EVENTS, "full", "add"]
    assert nobody_looks()


@pytest.mark.parametrize("raises", ["outer", "inner"])
@pytest.mark.parametrize("at", range(1, len(EVENTS) + 1))
def test_both_are_told_of_what_makes_one_of_them_raise(raises, at):
    outer = Watcher(at if raises == "outer" else None)
    inner = Watcher(at if raises == "inner" else None)
    with outer.block:
        with pytest.raises(InterruptedError, match=EVENTS[at - 1].replace("()", "")), inner.block:
            work()
        assert outer.seen == inner.seen == EVENTS[:at]
        outer.until = None
        work()
    assert outer.seen == [*EVENTS[:at], *EVENTS]
    assert inner.seen == EVENTS[:at]
    assert nobody_looks()


def test_who_looks_on_alone_is_the_only_one_who_sees():
    outer, inner = Watcher(), Watcher(alone=True)
    with outer.block:
        with inner.block:
            work()
        assert outer.seen == []
        with observing(alone=True):
            work()
            assert nobody_looks()
        assert outer.seen == []
        work()
    assert inner.seen == outer.seen == EVENTS


def test_a_block_may_be_entered_in_itself_and_again():
    watcher = Watcher()
    with watcher.block, watcher.block:
        bl.abs(bl.tensor(1.0))
    with watcher.block:
        bl.abs(bl.tensor(1.0))
    assert watcher.seen == ["abs"] * 3
    assert nobody_looks()


def test_every_watcher_of_see_leaves_the_others_their_view():
    net = bl.nn.Linear(2, 1)
    watcher = Watcher()
    with watcher.block, see.recording() as outer, see.watch(net) as watch:
        stops = see.breakpoints("linear", action=lambda stop: None)
        with see.recording() as inner, stops:
            net(bl.ones((3, 2))).sum().backward()
    assert watcher.seen[-4:] == ["sum", "full", "sum back", "linear back"]
    assert [n.op for n in outer.record] == [n.op for n in inner.record]
    assert len(stops.stops) == 1
    assert watch.rows[0]["Linear"]["mean"] is not None
    assert nobody_looks()


def looked(make):
    """A block that has looked on, while nothing else refers to it."""
    with make() as block:
        bl.tensor(1.0, requires_grad=True).sum().backward()
    return weakref.ref(block)


@pytest.mark.parametrize(
    "make",
    [
        see.recording,
        lambda: see.watch(bl.nn.Linear(1, 1)),
        lambda: see.breakpoints("sum", action=id),
    ],
)
def test_a_block_that_looked_on_dies_with_its_last_reference(make):
    gc.disable()
    try:
        assert looked(make)() is None
    finally:
        gc.enable()


def test_nobody_sees_a_capture_for_native_code():
    watcher = Watcher()
    with watcher.block:
        _traced(lambda x: x * x, (bl.ones(3).numpy(),))
        _best(lambda x: x * x, bl.ones(3).numpy())
    assert "multiply" not in watcher.seen
