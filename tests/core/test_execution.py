"""What ops and values become: at once, in a capture or in slices. All answer the same questions."""

import inspect

import numpy as np
import pytest

import backlit as bl
from backlit.batching import Batching
from backlit.compiler.capture.tracer import Tracer
from backlit.execution import AT_ONCE, Eager
from backlit.state import STATE

QUESTIONS = [name for name in vars(Eager) if not name.startswith("_")]


@pytest.mark.parametrize("other", [Tracer, Batching])
@pytest.mark.parametrize("name", QUESTIONS)
def test_every_execution_answers_what_eager_execution_does(other, name):
    ours, theirs = getattr(Eager, name), getattr(other, name)
    if callable(ours):
        assert [*inspect.signature(ours).parameters] == [*inspect.signature(theirs).parameters]


def test_a_thread_executes_at_once_unless_it_captures():
    def step(x):
        return x + (2 if STATE.execution.captures else 1)

    assert bl.compile(step)(bl.zeros(1)).item() == 2
    assert step(bl.zeros(1)).item() == 1
    assert STATE.execution is AT_ONCE
    assert not AT_ONCE.captures


@pytest.mark.parametrize("make", [bl.asarray, bl.tensor])
def test_a_copy_of_an_argument_is_captured(make):
    options = {"copy": True} if make is bl.asarray else {}
    step = bl.compile(lambda x: make(x, **options) + 1)
    for value in (1.0, 2.0):
        np.testing.assert_array_equal(step(bl.tensor([value])).numpy(), [value + 1])
