"""What a check cannot compare it names, and it judges all the rest: ±∞ and NaN in values, infinite
slopes, steps lost in rounding, random numbers that are not Backlit's.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit import see
from backlit.ops.decompositions import Eigvalsh
from backlit.ops.elementwise import Exp
from backlit.see.checks import source

MASK = bl.tensor([0.0, 0.0, -np.inf, 0.0])
X = [1.0, -2.0, 3.0, 0.5]


class TwiceLog(bl.Elementwise):
    saves = ("x",)

    def forward(self, xp, x):
        return xp.log(x)

    def backward(self, xp, grad_y, x):
        return 2 * grad_y / x


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x + MASK,
        lambda x: F.log_softmax(x * 2 + MASK, -1),
        lambda x: bl.log(F.relu(x)),
        lambda x: bl.concat([x * x, bl.full((2,), np.inf)]),
        lambda x: bl.concat([x * x, bl.full((1,), np.nan)]),
    ],
)
def test_the_finite_elements_of_an_output_are_judged_beside_infinite_ones(function):
    result = see.check(function, X)
    assert result.verdict == "correct", str(result)
    assert any("elements of the output are ±∞ or NaN" in n for n in result.notes)
    assert "kink" not in str(result)


def test_an_op_is_found_wrong_beside_an_infinite_element_of_its_value():
    with np.errstate(divide="ignore"):
        result = see.check(lambda x: bl.apply(TwiceLog(), x), [0.0, 1.0, 2.0])
    assert result.verdict == "wrong"
    assert "2 * grad_y" in result.causes[0].fix
    assert "1 of 1 nodes are wrong" in str(result)


def test_a_cut_path_is_found_beside_an_infinite_element():
    result = see.check(lambda x: bl.exp(x).detach() * x + MASK, X)
    assert result.verdict == "wrong"
    assert result.causes[0].kind == "cut"


def test_a_node_that_was_not_compared_is_not_called_right():
    result = see.check(lambda x: bl.acos(x) + x * x, [1.0])
    headline = str(result).splitlines()[0]
    assert result.verdict == "correct"
    assert "2 of 3 nodes are right; acos at" in headline
    assert headline.endswith("could not be compared: nothing to compare: no element has a "
                             "derivative here")  # fmt: skip
    assert [n.verdict for n in result.unjudged] == ["undecided"]


def test_a_whole_is_not_wrong_with_all_nodes_right_where_one_was_not_compared():
    result = see.check(lambda x: bl.acos(x) + (x * x * x).detach(), [1.0])
    headline = str(result).splitlines()[0]
    assert result.verdict == "wrong"
    assert "nodes are right, yet the whole is wrong; acos at" in headline
    assert not headline.startswith("all")


def test_nothing_finite_is_nothing_to_compare():
    result = see.check(lambda x: bl.log(x), [0.0])
    assert result.verdict == "undecided"
    assert "nothing to compare: every element of the output is ±∞ or NaN" in result.notes


def test_steps_lost_in_rounding_are_called_so():
    result = see.check(lambda x: bl.sin(x - 1.7e9), [1.7e9 + 1, 1.7e9 + 2])
    assert result.verdict == "undecided"
    assert any("undecided, because the steps are lost in rounding" in n for n in result.notes)


def test_an_infinite_slope_is_not_called_a_kink():
    result = see.check(bl.acos, [1.0])
    assert result.verdict == "correct"
    assert any("the slope is infinite, or the function ends there" in n for n in result.notes)
    assert "kink" not in str(result)


@pytest.mark.parametrize("draw", [lambda: np.random.normal(size=4), random.random])
def test_numpys_and_pythons_random_numbers_are_repeated_and_put_back(draw):
    np.random.seed(3)
    random.seed(3)
    expected = draw()
    np.random.seed(3)
    random.seed(3)
    assert see.check(lambda x: x * x * draw(), X).verdict == "correct"
    assert np.array_equal(draw(), expected)


def test_no_edit_of_backlits_own_text_is_offered(monkeypatch):
    assert source.read(Exp()) is None
    right = Exp.backward
    monkeypatch.setattr(source, "is_of_backlit", lambda function: False)
    assert source.read(Exp()) is not None
    assert source.is_of_backlit(right) is False


class TwiceEigenvalues(Eigvalsh):
    def backward(self, xp, grad_y, *saved):
        return 2 * super().backward(xp, grad_y, *saved)


class ReluOfTwoAtZero(bl.Elementwise):
    saves = ("x",)

    def forward(self, xp, x):
        return xp.maximum(x, 0.0)

    def backward(self, xp, grad_y, x):
        return grad_y * xp.where(x == 0, 2.0, xp.where(x > 0, 1.0, 0.0))


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (bl.linalg.eigvalsh, np.eye(3)),
        (bl.linalg.eigvalsh, np.diag([1.0, 1.0, 1.0, 5.0])),
        (lambda a: bl.linalg.eigvalsh(a).sum(), np.eye(4)),
        (bl.linalg.svdvals, np.eye(3, 4)),
        (bl.linalg.svdvals, np.zeros((3, 3))),
        (lambda a: bl.linalg.matrix_norm(a, ord="nuc"), np.eye(3)),
        (lambda a: bl.linalg.matrix_norm(a, ord=2), np.eye(4)),
        (lambda a: bl.linalg.svdvals(a)[0] / bl.linalg.svdvals(a)[-1], np.eye(3)),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_choice_among_three_and_more_equal_eigenvalues_is_not_blamed(function, x, seed):
    result = see.check(function, x, seed=seed)
    assert result.verdict == "correct", str(result)


def test_what_is_wrong_at_a_tie_is_still_found():
    assert see.check(TwiceEigenvalues(), np.eye(3)).verdict == "wrong"
    assert see.check(ReluOfTwoAtZero(), np.array([0.0, 0.0, 0.0, 1.0, -1.0])).verdict == "wrong"


@pytest.mark.parametrize("offset", [1e6, 1e9, 1e12, 1e14])
@pytest.mark.parametrize("seed", range(5))
def test_values_that_cancel_inside_are_judged_by_steps_wide_beside_their_rounding(offset, seed):
    x = np.array([0.3, -1.2, 0.8])
    right = see.check(lambda x: (x + offset) - offset + x * x, x, seed=seed)
    assert right.verdict != "wrong", str(right)
    if offset <= 1e12:
        assert right.verdict == "correct", str(right)
        cut = see.check(lambda x: (x + offset) - offset + (x * x).detach(), x, seed=seed)
        assert cut.verdict == "wrong", str(cut)


def test_a_swing_between_the_steps_is_no_rounding_and_not_blamed():
    result = see.check(lambda x: x + 1e-3 * bl.sin(x * 1e9), np.array([0.3, -1.2, 0.8]))
    assert result.verdict == "undecided"
