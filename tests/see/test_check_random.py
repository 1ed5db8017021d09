"""`see.check` of pairs that draw random numbers: the same ones in every call."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.random import default_rng

from backlit import see

X = np.random.default_rng(0).normal(size=(3, 4))
GENERATOR = np.random.default_rng(3)
OLD = np.random.RandomState(5)


def of_numpy(x):
    mask = (np.random.rand(*x.shape) < 0.6) / 0.6
    return x * mask, mask


def of_a_generator_outside(x):
    mask = (GENERATOR.random(x.shape) < 0.6) / 0.6
    return x * mask, mask


def of_an_old_generator(x):
    mask = (OLD.rand(*x.shape) < 0.6) / 0.6
    return x * mask, mask


def of_a_generator_made_inside(x):
    mask = (np.random.default_rng().random(x.shape) < 0.6) / 0.6
    return x * mask, mask


def of_one_by_its_bare_name(x):
    mask = (default_rng().random(x.shape) < 0.6) / 0.6
    return x * mask, mask


def of_python(x):
    mask = np.array([[random.random() < 0.5 for _ in row] for row in x]) * 2.0
    return x * mask, mask


def times_what_was_drawn(dout, mask):
    return dout * mask


def times_it_and_a_half(dout, mask):
    return dout * mask * 0.5


def drawn_again(dout, mask):
    return dout * (np.random.rand(*dout.shape) < 0.6) / 0.6


class Noise:
    def __init__(self):
        self.generator = np.random.default_rng()

    def forward(self, x):
        self.noise = self.generator.normal(size=x.shape)
        return x * self.noise

    def backward(self, dout):
        return dout * self.noise


FORWARDS = [
    of_numpy,
    of_a_generator_outside,
    of_an_old_generator,
    of_a_generator_made_inside,
    of_one_by_its_bare_name,
    of_python,
]


@pytest.mark.parametrize("forward", FORWARDS)
def test_a_pair_that_draws_is_judged_with_the_same_random_numbers(forward):
    result = see.check((forward, times_what_was_drawn), X)
    assert result.ok
    assert any("the same ones were drawn in every call" in note for note in result.notes)
    assert see.check((forward, times_it_and_a_half), X).verdict == "wrong"


def test_an_object_that_draws_from_its_own_generator_is_judged():
    assert see.check(Noise, X).ok


def test_what_a_generator_gives_afterwards_is_as_random_as_before():
    function = np.random.default_rng
    see.check((of_a_generator_made_inside, times_what_was_drawn), X)
    see.check((of_a_generator_outside, times_what_was_drawn), X)
    assert np.random.default_rng is function
    assert default_rng is function
    assert not np.array_equal(GENERATOR.random(3), GENERATOR.random(3))


def test_a_backward_that_draws_again_is_told_so():
    result = see.check((of_numpy, drawn_again), X)
    assert result.verdict == "wrong"
    assert "backward draws random numbers of its own" in result.causes[0].title
    assert result.causes[0].fix == "remember what the forward drew, and use it in backward"
