"""Kernels that differ only in numbers are one function."""

from __future__ import annotations

import re

import numpy as np
import pytest

import backlit
from backlit.compiler.loops.alike import Alike

X = np.linspace(-2, 2, 40 * 300, dtype=np.float32)


def functions(compiled):
    """The kernels that are defined, and those that are called, one for each call."""
    ((runner,),) = compiled._runners.values()
    text = runner.text
    defined = re.findall(r"define internal void @(kernel\d+)\(", text)
    return defined, re.findall(r"call void @(kernel\d+)\(", text)


def less_sum(x):
    """Each row less its sum, without what is negative."""
    return backlit.maximum(x - x.sum(axis=1, keepdims=True), 0.0)


@pytest.mark.parametrize(
    ("shapes", "count"),
    [
        ([(20, 300), (31, 300), (40, 300)], 4),  # rows: three sums, and one map for all
        ([(20, 300), (20, 301)], 4),  # columns: what it does
        ([(16, 300), (15, 300)], 3),  # few rows: LLVM may write the loop over them out
    ],
)
def test_loops_over_other_rows_are_one_function(shapes, count):
    def step(*xs):
        return [less_sum(x) for x in xs]

    compiled = backlit.compile(step)
    xs = [backlit.asarray(X[: n * m].reshape(n, m)) for n, m in shapes]
    found = compiled(*xs)
    defined, called = functions(compiled)
    assert len(defined) == count
    assert len(called) == 2 * len(shapes)
    for x, y in zip(xs, found, strict=True):
        alone = backlit.compile(less_sum)  # in which nothing is an argument
        np.testing.assert_array_equal(y.numpy(), alone(x).numpy())
        np.testing.assert_allclose(y.numpy(), less_sum(x).numpy(), rtol=1e-5)


def test_maps_over_vectors_of_other_lengths_are_one_function():
    def step(*xs):
        return [backlit.tanh(x) * 2 for x in xs]

    compiled = backlit.compile(step)
    xs = [backlit.asarray(X[:n]) for n in (17, 18, 100, 1000, 4097, 9000)]
    found = compiled(*xs)
    defined, called = functions(compiled)
    # Those of more than a unit have a loop over units around theirs.
    assert (len(defined), len(called)) == (2, 6)
    for x, y in zip(xs, found, strict=True):
        np.testing.assert_allclose(y.numpy(), (backlit.tanh(x) * 2).numpy(), rtol=1e-6)


def test_sums_of_other_lengths_are_functions_of_their_own():
    """How long the innermost loop is decides in which order it adds."""
    compiled = backlit.compile(lambda *xs: [x.sum() for x in xs])
    compiled(*[backlit.asarray(X[:n]) for n in (100, 200)])
    defined, _ = functions(compiled)
    assert len(defined) == 2


def test_repairs_of_convolutions_are_one_function():
    convolution = backlit.nn.functional.conv2d

    def step(x, w, v):
        return convolution(convolution(x, w, padding=1), v, padding=1)

    shapes = [(1, 2, 9, 9), (3, 2, 3, 3), (4, 3, 3, 3)]
    x, w, v = (backlit.asarray(X[: np.prod(shape)].reshape(shape)) for shape in shapes)
    w = w * backlit.where(backlit.arange(w.size).reshape(w.shape) == 0, np.inf, 1.0)
    compiled = backlit.compile(step)
    found = compiled(x, w, v)
    defined, called = functions(compiled)
    assert (len(defined), len(called)) == (1, 2)
    np.testing.assert_allclose(found.numpy(), step(x, w, v).numpy(), atol=1e-5)


LOOP = """define void @KERNEL(ptr noalias %b0, i64 %begin, i64 %end) noinline #0 {{
entry:
  br label %loop1
loop1:
  %i1 = phi i64 [ 0, %entry ], [ %v9, %loop2.end ]
  %v2 = icmp slt i64 %i1, {rows}
  br i1 %v2, label %loop1.body, label %loop1.end
loop1.body:
  br label %loop2
loop2:
  %i2 = phi i64 [ 0, %loop1.body ], [ %v8, %loop2 ]
  %v3 = mul i64 %i1, {apart}
  %v4 = mul i64 %i2, {step}
  %v5 = add i64 %v3, %v4
  %v6 = getelementptr inbounds float, ptr %b0, i64 %v5
  store float 0x3FF0000000000000, ptr %v6, align {align}
  %v8 = add nsw i64 %i2, 1
  %v7 = icmp slt i64 %v8, {turns}
  br i1 %v7, label %loop2, label %loop2.end
loop2.end:
  %v9 = add nsw i64 %i1, 1
  br label %loop1
loop1.end:
  ret void
}}
"""
SAME = {"rows": 20, "apart": 300, "step": 40, "turns": 100, "align": 4}


@pytest.mark.parametrize(
    ("changed", "numbers"),
    [
        ({"rows": 21}, [("20",), ("21",)]),
        ({"apart": 299}, [("300",), ("299",)]),
        ({"rows": 21, "apart": 299}, [("20", "300"), ("21", "299")]),
        ({"rows": 21, "apart": 21}, [("20", "300"), ("21", "21")]),
        ({"rows": 16}, None),
        ({"step": 41}, None),
        ({"turns": 101}, None),
        ({"align": 32}, None),
        ({}, [()]),
    ],
)
def test_numbers_of_outer_loops_are_arguments(changed, numbers):
    texts = [LOOP.format(**SAME), LOOP.format(**SAME | changed)]
    alike = Alike(texts)
    called = list(dict.fromkeys(alike.called[text] for text in texts))
    if numbers is None:
        assert [c.numbers for c in called] == [(), ()]
        assert len({c.name for c in called}) == len(alike.definitions) == 2
    else:
        assert [c.numbers for c in called] == numbers
        assert {c.name for c in called} == {"kernel0"}
        (definition,) = alike.definitions
        head = "".join(f", i64 %n{k}" for k in range(len(numbers[0])))
        assert definition.startswith(
            f"define internal void @kernel0(ptr noalias %b0, i64 %begin, i64 %end{head}) noinline"
        )
        assert definition.count("%n0") == (2 if numbers[0] else 0)
