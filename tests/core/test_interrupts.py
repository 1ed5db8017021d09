"""Ctrl-C at any moment leaves this thread's state (gradients, watchers, module paths) as it was."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import backlit
from backlit import nn, see
from backlit.nn import functional
from backlit.state import STATE, Setting

pytestmark = pytest.mark.long

HOME = os.path.dirname(backlit.__file__) + os.sep
FIELDS = ("grad_enabled", "execution", "scope", "observer", "backward_observer", "reader")


def state() -> dict[str, Any]:
    return {name: getattr(STATE, name) for name in FIELDS}


QUIET = state()


@backlit.no_grad()
def decorated() -> None:
    backlit.is_grad_enabled()


def modes() -> None:
    with backlit.no_grad():
        with backlit.enable_grad():
            backlit.is_grad_enabled()
        decorated()


def walk() -> None:
    w = backlit.ones(2).requires_grad_()
    (w * w).sum().backward()


def walk_twice() -> None:
    w = backlit.ones(2).requires_grad_()
    backlit.grad((w * w).sum(), w, create_graph=True)


def watched() -> None:
    with see.recording():
        backlit.ones(2)


def stopped() -> None:
    with see.breakpoints(nonfinite=True):
        backlit.is_grad_enabled()


class Interrupter:
    """Raises KeyboardInterrupt at the n-th line, or instruction, inside Backlit.

    Not in `_restorer`, whose end no signal reaches: there the interpreter looks for none.
    """

    def __init__(self, at: int, opcodes: bool):
        self.left, self.opcodes = at, opcodes

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        inside = code.co_filename.startswith(HOME) or code.co_filename == contextlib.__file__
        if not inside or code.co_name == "_restorer":
            return None
        frame.f_trace_opcodes = self.opcodes
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self


def interrupted(work: Callable[[], None], at: int, opcodes: bool) -> KeyboardInterrupt | None:
    """The interrupt, with all that its traceback keeps alive, as a prompt would keep it."""
    sys.settrace(Interrupter(at, opcodes))
    try:
        work()
    except KeyboardInterrupt as error:
        return error
    finally:
        sys.settrace(None)
    return None


# An interrupt that is raised at the end of a generator is only printed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("work", "opcodes"),
    [(modes, False), (modes, True), (walk, False), (walk_twice, False), (watched, False),
     (stopped, False)],
    ids=["modes", "modes, instructions", "walk", "walk twice", "recording", "breakpoints"],
)  # fmt: skip
def test_an_interrupt_at_any_line_leaves_nothing_switched(work, opcodes: bool) -> None:
    work()
    kept = []
    at, count = 1, 0
    while (error := interrupted(work, at, opcodes)) is not None:
        assert state() == QUIET, f"{at}: {error.__traceback__}"
        kept.append(error)  # whatever goes later must change nothing
        del kept[:-3]
        at, count = at + 1, count + 1
    assert count > 10
    kept.clear()
    assert state() == QUIET


def test_what_an_interrupt_leaves_behind_changes_nothing_when_it_goes() -> None:
    """A traceback that is dropped inside another block, where the state is meant to be another."""
    for at in range(1, 60):
        error = interrupted(modes, at, False)
        with backlit.no_grad():
            del error
            assert not backlit.is_grad_enabled()
        with backlit.enable_grad():
            assert backlit.is_grad_enabled()
    assert state() == QUIET


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no such timer")
def test_signals_at_random_moments_leave_nothing_switched() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 1))
    optimizer = backlit.optim.SGD(model.parameters(), lr=0.1)
    x = backlit.ones((2, 3))

    def step() -> None:
        optimizer.zero_grad()
        functional.mse_loss(model(x), backlit.zeros((2, 1))).backward()
        optimizer.step()
        for _ in range(20):
            modes()

    class SignalError(Exception):
        pass

    def raise_now(*_: object) -> None:
        raise SignalError

    step()
    before = signal.signal(signal.SIGALRM, raise_now)
    choose = random.Random(0)
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, choose.uniform(1e-5, 2e-3))
                while True:
                    step()
            except SignalError as error:
                kept = error
                assert state() == QUIET, kept
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_block_can_be_entered_by_hand_and_by_a_stack() -> None:
    block = backlit.no_grad()
    block.__enter__()
    assert not backlit.is_grad_enabled()
    block.__exit__(None, None, None)
    assert backlit.is_grad_enabled()
    with contextlib.ExitStack() as stack:
        stack.enter_context(block)
        assert not backlit.is_grad_enabled()
        stack.enter_context(backlit.enable_grad())
        assert backlit.is_grad_enabled()
    assert state() == QUIET
    with block, block:
        assert not backlit.is_grad_enabled()
    assert state() == QUIET


def test_an_error_in_a_differentiable_walk_leaves_the_module_path() -> None:
    layer = nn.Linear(2, 2)
    y = layer(backlit.ones((1, 2))).sum()
    y.register_hook(lambda g: 1)
    with pytest.raises(backlit.errors.DTypeError):
        backlit.grad(y, layer.weight, create_graph=True)
    assert state() == QUIET


def test_a_setting_is_of_its_thread_and_nests() -> None:
    with Setting(grad_enabled=False, scope="here"):
        with Setting(scope="there"):
            assert (STATE.grad_enabled, STATE.scope) == (False, "there")
        assert STATE.scope == "here"
    assert state() == QUIET
