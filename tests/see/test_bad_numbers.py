"""The first bad number: element, rule, chain, the user's line, and what to write instead."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import backlit as bl
from backlit import see

A = [[1.0, 0.0], [2.0, 3.0]]


def leaf(data, dtype="float32"):
    return bl.tensor(np.array(data, dtype), requires_grad=True)


def log_of_zero():
    x = leaf(A)
    return bl.log(x).sum()


def log_of_a_negative():
    x = leaf([1.0, -2.0])
    return bl.log(x).sum()


def log1p_at_minus_one():
    x = leaf([1.0, -1.0])
    return bl.log1p(x).sum()


def root_of_a_negative():
    x = leaf([4.0, -1.0])
    return bl.sqrt(x).sum()


def division_by_zero():
    a, b = leaf([1.0, 2.0]), leaf([0.0, 4.0])
    return (a / b).sum()


def zero_by_zero():
    a, b = leaf([0.0, 2.0]), leaf([0.0, 4.0])
    return (a / b).sum()


def exp_overflow():
    x = leaf([1.0, 100.0])
    return bl.exp(x).sum()


def softmax_by_hand():
    x = leaf([[1.0, 1000.0]])
    return (bl.exp(x) / bl.sum(bl.exp(x), axis=1, keepdims=True)).sum()


def logsumexp_by_hand():
    x = leaf([[1.0, 1000.0]])
    return bl.log(bl.sum(bl.exp(x), axis=1)).sum()


def softplus_by_hand():
    x = leaf([1.0, 1000.0])
    return bl.log(1 + bl.exp(x)).sum()


def inf_minus_inf():
    x = leaf([2.0, 1.0])
    big = x * math.inf
    return (big - big).sum()


def zero_times_inf():
    x = leaf([0.0, 1.0])
    mask = bl.tensor([math.inf, 1.0])
    return (x * mask).sum()


def masked_everywhere():
    scores = leaf([[1.0, 2.0], [3.0, 4.0]])
    mask = bl.tensor([[-math.inf, -math.inf], [0.0, 0.0]])
    return bl.functional.softmax(scores + mask, 1).sum()


def masked_by_where():
    scores = leaf([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    allowed = bl.tensor([[True, False], [True, True], [False, False]])
    return bl.functional.softmax(bl.where(allowed, scores, -math.inf), 1).sum()


def float16_range():
    x = leaf([300.0, 2.0], "float16")
    return (x * x).sum()


def negative_to_a_broken_power():
    x = leaf([-1.0, 4.0])
    return (x**0.5).sum()


def zero_to_a_negative_power():
    x = leaf([0.0, 4.0])
    return (x**-1.5).sum()


def arccos_outside():
    x = leaf([1.5, 0.5])
    return bl.acos(x).sum()


def bad_from_the_start():
    x = leaf([math.nan, 0.5])
    return (x * 2).sum()


def variance_of_one():
    x = leaf([[1.0], [2.0]])
    return bl.var(x, axis=1, correction=1).sum()


def deviation_of_one():
    x = leaf([[1.0], [2.0]])
    return bl.std(x, axis=1, correction=1).sum()


def mean_of_nothing():
    x = leaf([1.0, 2.0])
    part = x[x > 5]
    return part.mean() + x.sum()


def logit_of_one():
    p = leaf([1.0, 0.5])
    return bl.log(p / (1 - p)).sum()


def reciprocal_of_zero():
    x = leaf([0.0, 2.0])
    return bl.reciprocal(x).sum()


FORWARD = {
    log_of_zero: ("log 0", (0, 1), "bl.log(x + 1e-12)"),
    log_of_a_negative: ("the logarithm of a negative number", (1,), ""),
    log1p_at_minus_one: ("log(1 + x) at −1", (1,), "bl.log1p(bl.maximum(x, -1 + 1e-6))"),
    root_of_a_negative: ("the root of a negative", (1,), "bl.sqrt(bl.maximum(x, 0.0) + 1e-12)"),
    division_by_zero: ("division by 0", (0,), "a / bl.where(b != 0, b, 1e-7)"),
    logit_of_one: ("division by 0", (0,), "p / bl.where(1 - p != 0, 1 - p, 1e-7)"),
    reciprocal_of_zero: ("division by 0", (0,), "bl.reciprocal(bl.where(x != 0, x, 1e-6))"),
    mean_of_nothing: ("mean of no elements is 0/0", (), ""),
    zero_by_zero: ("0/0", (0,), "a / bl.where(b != 0, b, 1.0)"),
    exp_overflow: ("exp overflow", (1,), "bl.exp(bl.minimum(x, 80.0))"),
    softmax_by_hand: ("exp overflow", (0, 1), "bl.nn.functional.softmax(x, dim=1)"),
    logsumexp_by_hand: ("exp overflow", (0, 1), "bl.logsumexp(x, axis=1)"),
    softplus_by_hand: ("exp overflow", (1,), "bl.logaddexp(x, 0.0)"),
    inf_minus_inf: ("overflow", (0,), ""),
    zero_times_inf: ("0 · ∞", (0,), "x * bl.where(x != 0, mask, 0.0)"),
    masked_everywhere: ("every element of this row is −∞", (0, 0), ""),
    masked_by_where: ("every element of this row is −∞", (2, 0), ""),
    float16_range: ("float16 range: float16 ends at 65504", (0,), ""),
    negative_to_a_broken_power: (
        "a negative number to a broken power",
        (0,),
        "bl.maximum(x, 1e-12) ** 0.5",
    ),
    zero_to_a_negative_power: ("0 to a negative power", (0,), "(x + 1e-12) ** -1.5"),
    arccos_outside: ("acos needs x between −1 and 1", (0,), "bl.acos(bl.clip(x, "),
    bad_from_the_start: ("it was not finite from the start", (0,), ""),
    variance_of_one: ("var divides by n − 1 = 0", (0,), "bl.var(x, axis=1, correction=0)"),
    deviation_of_one: ("std divides by n − 1 = 0", (0,), "bl.std(x, axis=1, correction=0)"),
}


@pytest.mark.parametrize("case", FORWARD, ids=lambda f: f.__name__)
def test_forward(case):
    rule, index, text = FORWARD[case]
    with see.recording() as r:
        case()
    found = see.bad_numbers(r).forward
    assert found is not None
    if case is inf_minus_inf:
        # an infinite factor is a number of the user's own: what is said depends on the form
        assert found.rule
    else:
        assert rule in found.rule
    assert found.index == index
    assert text in found.rewrite
    assert not math.isfinite(found.value)
    assert found.chain[0] == found.node.label
    if found.node.kind == "op":
        assert "test_bad_numbers.py" in found.line


def where_around_log():
    x = leaf(A)
    return bl.where(x > 0, bl.log(x), 0.0).sum()


def where_around_division():
    a, b = leaf([1.0, 2.0]), leaf([0.0, 4.0])
    return bl.where(b != 0, a / b, 0.0).sum()


def where_with_the_branch_elsewhere():
    x = leaf([0.0, 4.0])
    root = bl.sqrt(x)
    return bl.where(x > 0, root, 0.0).sum()


def mask_by_multiplication():
    x = leaf([0.0, 4.0])
    return (bl.sqrt(x) * bl.tensor([0.0, 1.0])).sum()


def root_at_zero():
    x = leaf([0.0, 4.0])
    return bl.sqrt(x).sum()


def norm_by_hand_at_zero():
    x = leaf([0.0, 0.0])
    return bl.sqrt((x * x).sum())


def small_power_at_zero():
    x = leaf([0.0, 4.0])
    return (x**0.5).sum()


def arccos_at_one():
    x = leaf([1.0, 0.5])
    return bl.acos(x).sum()


def exponent_of_a_negative():
    x, p = leaf([-2.0, 3.0]), leaf([2.0, 2.0])
    return (x**p).sum()


def float16_gradient():
    x = leaf([0.001, 2.0], "float16")
    return (bl.log(x) * 300.0).sum()


def bad_upstream():
    x = leaf([1.0, 2.0])
    return (x * 2).sum() * math.inf


BACKWARD = {
    where_around_log: ("0 · ∞ under the mask of where", (0, 1),
                       "bl.log(bl.where(x > 0, x, 1.0))"),
    where_around_division: ("0 · ∞ under the mask of where", (0,),
                            "a / bl.where(b != 0, b, 1.0)"),
    where_with_the_branch_elsewhere: ("0 · ∞ under the mask of where", (0,),
                                      "bl.sqrt(bl.where(x > 0, x, 1.0))"),
    mask_by_multiplication: ("0 · ∞ under the mask of multiply", (0,), "bl.sqrt(x + 1e-12)"),
    root_at_zero: ("the derivative of √x at 0", (0,), "bl.sqrt(x + 1e-12)"),
    norm_by_hand_at_zero: ("the derivative of √x at 0", (), "bl.linalg.vector_norm(x)"),
    small_power_at_zero: ("the derivative of x^0.5 at 0", (0,), "(x + 1e-12) ** 0.5"),
    arccos_at_one: ("the derivative of acos at ±1", (0,), "bl.acos(bl.clip(x, "),
    exponent_of_a_negative: ("needs log a, and a is negative", (0,), ""),
    float16_gradient: ("float16 range: the gradient leaves float16", (0,), ""),
    bad_upstream: ("uses a value that is not finite", (), ""),
}  # fmt: skip


@pytest.mark.parametrize("case", BACKWARD, ids=lambda f: f.__name__)
def test_backward(case):
    rule, index, text = BACKWARD[case]
    with see.recording() as r:
        case()
    both = see.bad_numbers(r)
    found = both.backward
    assert found is not None
    assert rule in found.rule
    assert found.index == index
    assert text in found.rewrite
    assert "test_bad_numbers.py" in found.line
    assert found.chain[-1] or found.chain == []
    if case is not bad_upstream:
        assert both.forward is None


def test_an_operand_that_is_broadcast_is_shown_where_it_was_used():
    v = leaf([1.0, 0.0])
    with see.recording() as r:
        (bl.tensor([[3.0, 5.0]]) / v).sum().backward()
    found = see.bad_numbers(r).backward
    assert found.index == (1,)
    assert "5" in found.values


def test_the_rewrite_of_a_mask_is_finite():
    x = leaf(A)
    bl.where(x > 0, bl.log(bl.where(x > 0, x, 1.0)), 0.0).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_infinities_that_go_nowhere_are_no_finding():
    scores = leaf([[1.0, 2.0, 3.0]])
    mask = bl.tensor([[0.0, 0.0, -math.inf]])
    with see.recording() as r:
        top = bl.max(scores + mask, axis=1, keepdims=True)
        e = bl.exp(scores + mask - top)
        (e / bl.sum(e, axis=1, keepdims=True))[:, 0].sum()
    found = see.bad_numbers(r)
    assert not found
    assert repr(found).startswith("no NaN and no infinity")
    assert found.__rich__() is not None


@pytest.mark.parametrize("layer", [False, True])
def test_a_row_that_sees_nothing_is_named_though_it_gives_no_nan(layer):
    allowed = np.tril(np.ones((2, 3, 3), bool))
    allowed[1, 2] = False
    x = leaf(np.random.default_rng(0).normal(size=(2, 3, 4)))
    with see.recording() as r:
        if layer:
            attention = bl.nn.MultiheadAttention(4, 1, batch_first=True)
            attention(x, x, x, attn_mask=bl.tensor(~allowed))[0].sum()
        else:
            bl.functional.scaled_dot_product_attention(x, x, x, bl.tensor(allowed)).sum()
    found = see.bad_numbers(r)
    assert not found
    row = r"\[1, 0, 2\]" if layer else r"\[1, 2\]"
    assert re.search(rf"the mask leaves nothing to masked_softmax\w*{row}, whose", repr(found))


@pytest.mark.parametrize("choose", [bl.max, bl.min])
def test_an_extreme_of_infinities_has_a_finite_gradient(choose):
    x = leaf([[1.0, -math.inf, 3.0, math.inf]], "float64")
    choose(x, axis=1).sum().backward()
    assert sorted(x.grad.numpy()[0]) == [0.0, 0.0, 0.0, 1.0]


def test_the_sample_and_the_chain_are_named():
    w = leaf([[1.0, 2.0]])
    x = bl.tensor([[1.0, 1.0], [0.0, 0.0], [2.0, 1.0]])
    with see.recording() as r:
        bl.log((x * w).sum(axis=1)).sum()
    found = see.bad_numbers(r).forward
    assert found.index == (1,)
    assert found.sample == 1
    assert "sample 1 of the batch" in repr(found)
    assert "carried by log" in repr(found)
    assert found.__rich__() is not None


def test_inside_a_compound_op_the_primitive_is_named():
    x = leaf([[1.0, 1.0], [1.0, 1.0]])
    with see.recording() as r:
        bl.var(x * math.inf, axis=1).sum()
    assert see.bad_numbers(r).forward is not None


def test_a_tensor_or_a_record_will_do():
    y = log_of_zero()
    assert see.bad_numbers(y).forward.rule == "log 0"
    assert see.bad_numbers(see.record(log_of_zero())).forward.rule == "log 0"
