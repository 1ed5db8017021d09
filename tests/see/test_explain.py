"""Explaining: the paths are all there, and they add up to the gradient."""

# ruff: noqa: F841  # variables name the tensors

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit import see
from backlit.errors import ArgumentError, GradientError
from backlit.see.show.explain import explain
from graphs import deep, lecture


def relative(found):
    whole = found.gradient.array
    return np.abs(found.total.array - whole).max() / np.abs(whole).max()


def all_paths(record, start):
    """Every path and its product of local numbers, by plain enumeration."""
    result = []

    def follow(node, product):
        if node == record.output:
            result.append(product)
        for e in record.outgoing[node]:
            if e.gradient is not None:
                follow(e.target, product * e.local.value.item())

    follow(start, 1.0)
    return result


def test_the_lecture_graph_in_words_and_formulas():
    found = explain("y", lecture())
    assert str(found) == (
        "2 paths lead from y to f. Gradient of y: 8.\n"
        "  ∂f/∂y = ∂f/∂q·∂q/∂y + ∂f/∂m·∂m/∂y = 5·1 + 3·1 = 8\n"
        "  1. y → q → f: 5 · 1 = 5  (62.5 %)\n"
        "  2. y → m → f: 3 · 1 = 3  (37.5 %)\n"
        "  They add up to the gradient (relative difference 0.0e+00)."
    )
    assert found.latex() == (
        r"\frac{\partial f}{\partial y} = \frac{\partial f}{\partial q}\,"
        r"\frac{\partial q}{\partial y} + \frac{\partial f}{\partial m}\,"
        r"\frac{\partial m}{\partial y} = 5 \cdot 1 + 3 \cdot 1 = 8"
    )
    tree = ElementTree.fromstring(found.mathml())
    fractions = list(tree.iter("{http://www.w3.org/1998/Math/MathML}mfrac"))
    assert len(fractions) == 5
    numbers = [n.text for n in tree.iter("{http://www.w3.org/1998/Math/MathML}mn")]
    assert numbers == ["5", "1", "3", "1", "8"]
    assert found._repr_latex_().startswith("$")
    assert "<math" in found._repr_html_()
    assert repr(found) == "Explanation(2 paths from y to f)"
    assert repr(found.paths[0]) == "Path(y → q → f: 5)"


def test_a_gradient_of_zero_and_a_negative_factor():
    found = explain("z", lecture())
    assert found.unicode() == "∂f/∂z = ∂f/∂m·∂m/∂z = 3·0 = 0"
    x = bl.tensor(2.0, requires_grad=True)
    y = -x
    assert explain(x, y).unicode() == "∂y/∂x = −1"
    assert explain("f", lecture()).lines() == [
        "f is the output itself: its gradient is where the backward pass starts."
    ]
    assert explain("f", lecture()).unicode() == "∂f/∂f = 1"


def test_what_the_output_does_not_depend_on():
    with see.recording() as r:
        x = bl.tensor(2.0, requires_grad=True)
        y = bl.tensor(3.0, requires_grad=True)
        used = y * 2
        f = x * 4
    found = explain("y", r)
    assert found.lines() == ["f does not depend on y: no path leads from one to the other."]
    assert found.unicode() == "∂f/∂y = 0"
    assert found.total is None
    assert found.gradient is None
    assert found.error == 0
    with see.recording() as r:
        x = bl.tensor(2.0, requires_grad=True)
        f = bl.where(x > 1, x, 2 * x)
    assert explain("greater_1", r).count == 0


@pytest.mark.parametrize("name", ["embed.weight", "embed.bias", "block1.down.weight", "head.bias"])
def test_paths_of_a_network_add_up_to_twelve_digits(name):
    record = deep(4)
    found = explain(name, record)
    assert found.rest is None or found.count > len(found.paths)
    assert relative(found) < 1e-12
    assert found.error < 1e-12
    everything = explain(name, record, top=1000)
    assert everything.rest is None
    assert len(everything.paths) == everything.count
    assert relative(everything) < 1e-12
    assert sum(p.share for p in everything.paths) == pytest.approx(1, rel=1e-12)


def test_paths_of_residual_blocks_are_counted():
    record = deep(12)
    assert explain("embed.weight", record).count == 2**13  # the output is squared: two more ways
    assert explain("embed.weight", record, top=3).text().count("skip") >= 3
    assert "block" in explain("embed.weight", record).text()


def test_exponentially_many_paths():
    a = bl.tensor(1.1, dtype=bl.float64, requires_grad=True)
    h = a
    for _ in range(200):
        h = h * 0.5 + bl.sin(h) * 0.5
    found = explain(a, h)
    assert found.count == 2**200
    assert len(found.paths) == 8
    assert found.error < 1e-12
    assert "about 1.61e+60 paths lead from a to h" in str(found)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10)), min_size=1, max_size=7), st.data()
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_listed_paths_of_scalar_graphs_are_the_largest(steps, data):
    x = bl.tensor(0.7, dtype=bl.float64, requires_grad=True)
    pool = [x]
    for kind, other in steps:
        a, b = pool[-1], pool[other % len(pool)]
        pool.append([a + b, a * b, bl.sin(a) - b, bl.exp(-a) * b][kind])
    record = see.record(pool[-1])
    top = data.draw(st.integers(1, 6))
    found = explain(0, record, top=top)
    products = sorted(all_paths(record, 0), key=abs, reverse=True)
    assert found.count == len(products)
    got = [p.contribution.item() for p in found.paths]
    np.testing.assert_allclose(np.abs(got), np.abs(products[:top]), rtol=1e-9, atol=1e-300)
    assert found.error < 1e-12


def test_skip_and_main_branch():
    x = bl.tensor([1.0, 2.0], dtype=bl.float64, requires_grad=True)
    w = bl.tensor([3.0, 3.0], dtype=bl.float64, requires_grad=True)
    main = bl.tanh(x * w)
    y = x + main
    found = explain(x, y.sum())
    kinds = {b.kind: b for b in found.branches}
    assert set(kinds) == {"skip", "main"}
    assert kinds["skip"].norm == pytest.approx(2**0.5)
    assert kinds["skip"].share + kinds["main"].share == pytest.approx(1)
    assert re.search(r"By the skip \(to y\): norm 1.414, 9\d.* %", str(found))
    assert "By the main branch (to multiply_2)" in str(found)
    plain = explain("y", lecture())
    assert [b.kind for b in plain.branches] == ["use", "use"]


def test_shape_algebra():
    X = bl.tensor(np.ones((4, 3)), requires_grad=True)
    W = bl.tensor(np.ones((3, 2)), requires_grad=True)
    b = bl.tensor(np.ones(2), requires_grad=True)
    y = X @ W
    z = y + b
    rows = z.sum(axis=1)
    loss = rows.mean()
    record = see.record(loss)
    assert (
        "dW = Xᵀ·dy: (4×3)ᵀ·(4×2) gives 3×2, because y_ij = Σ_k X_ik·W_kj, "
        "so W_kj meets dy_ij with the factor X_ik."
    ) in explain("W", record).shapes
    assert (
        "dX = dy·Wᵀ: (4×2)·(3×2)ᵀ gives 4×3, because y_ij = Σ_k X_ik·W_kj, "
        "so X_ik meets dy_ij with the factor W_kj."
    ) in explain("X", record).shapes
    assert (
        "db: b (2) was repeated 4 times along axis 0 to 4×2; this sum over axis 0 undoes that "
        "broadcast."
    ) in explain("b", record).shapes
    assert (
        "dz: rows added the 4×2 elements of z into 4; this copy undoes that sum: each gets the "
        "gradient of its total."
    ) in explain("b", record).shapes
    assert any("divided by their number" in s for s in explain("b", record).shapes)


def test_shape_algebra_of_movement():
    x = bl.tensor(np.ones((2, 3)), requires_grad=True)
    y = bl.concat((x.mT.reshape(6)[1:4], bl.tensor([1.0], dtype=bl.float64)))
    told = " ".join(explain(x, (y * y).sum()).shapes)
    assert "the axes of dpermute_dims_1 (3×2) are put back in order, which gives 2×3" in told
    assert "is read as 3×2 again" in told
    assert "zeros of shape 6" in told
    assert "the piece of dy (4)" in told


def test_bad_input():
    record = lecture()
    for top in (0, -1, 2.0, True):
        with pytest.raises(ArgumentError, match="explain: top must be a positive integer, got"):
            explain("y", record, top=top)
    with pytest.raises(ArgumentError, match="no node is named 'w'"):
        explain("w", record)
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError, match="explain: the record has no backward pass"):
        explain(x, x * 2)


def test_long_names_in_latex():
    record = deep(1)
    latex = explain("embed.weight", record).latex()
    assert r"\mathrm{embed.weight}" in latex
    assert r"\mathrm{pow\_" in latex or r"\mathrm{multiply\_" in latex
    assert latex.count("{") == latex.count("}")
    assert r"\cdots" in latex
    pairs = itertools.pairwise(explain("embed.weight", record).paths)
    sizes = [
        (a.contribution.statistics["norm"], b.contribution.statistics["norm"]) for a, b in pairs
    ]
    assert all(a >= b for a, b in sizes)
