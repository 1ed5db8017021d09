"""Each pass on a small graph: what it leaves, written out, and what it must not touch."""

from __future__ import annotations

import numpy as np

import backlit as bl
from backlit.array_api.namespace import TENSORS
from backlit.compiler import interpret
from backlit.compiler.capture.graph import Graph
from backlit.compiler.capture.trace import trace
from backlit.compiler.lower import passes


def graph_of(function, *args) -> Graph:
    return trace(function, args, {}).graph


def ops(graph: Graph) -> list[str]:
    return [e.op.name for e in graph.equations]


X, Y = bl.tensor([1.0, -2.0]), bl.tensor([0.5, 3.0])


def test_equations_that_nothing_needs_go() -> None:
    def f(x):
        bl.exp(bl.sin(x))
        return bl.cos(x)

    graph = passes.remove_dead(graph_of(f, X))
    assert ops(graph) == ["cos"]


def test_checks_are_needed_and_go_first() -> None:
    def f(x, n):
        y = bl.exp(x)
        bl.linalg.cholesky(x * n)  # what it returns is not used
        return y

    x = bl.tensor([[2.0, 0.0], [0.0, 2.0]])
    graph = passes.remove_dead(graph_of(f, x, bl.tensor(1.0)))
    assert "require" in ops(graph)
    first = passes.checks_first(graph)
    assert sorted(ops(first)) == sorted(ops(graph))
    assert ops(first)[-1] == "exp"
    first.check()


def test_what_was_put_together_and_is_taken_apart_again_is_not_put_together() -> None:
    """As the upstream gradients of a loop's results are."""

    def f(x, y):
        both = bl.zeros(7)
        pieces = TENSORS.place(x, index=((0, 2, 1),), shape=(7,))
        pieces = pieces + TENSORS.place(y, index=((4, 2, 1),), shape=(7,))
        return pieces[:2], pieces[4:6], pieces[2:4], pieces[1:3], pieces[0], (pieces + both)[:2]

    graph = graph_of(f, X, Y)
    shorter = passes.take_apart(graph)
    shorter.check()
    a, b = shorter.inputs
    assert shorter.outputs[:2] == [a, b]
    assert ops(shorter).count("slice") == 3  # over an edge, of one element, and of other things
    for one, other in zip(
        *(interpret(g, [X.numpy(), Y.numpy()]) for g in (graph, shorter)), strict=True
    ):
        assert one.tolist() == other.tolist()


def test_products_that_a_loop_adds_up_are_one_product_of_all_steps() -> None:
    rng = np.random.default_rng(0)
    weight, first, x = (bl.asarray(rng.normal(size=s)) for s in ((3, 3), (2, 3), (4, 2, 3)))
    weight.requires_grad_()

    def f(first, x):
        last, _ = bl.scan(lambda h, v: (bl.tanh(h @ weight.mT + v), None), first, x)
        return bl.grad(last.sum(), weight)

    graph = graph_of(f, first, x)
    joined = passes.narrow_loops(passes.join_products(graph))
    joined.check()

    def products(graph: Graph) -> list[int]:
        """Those outside of loops, and those in the body of the one that goes back."""
        backward = next(e.op for e in graph.equations if "reverse" in repr(e.op))
        return [[e.op.name for e in g.equations].count("matmul") for g in (graph, backward.body)]

    assert (products(graph), products(joined)) == ([0, 2], [1, 1])
    given = [first.numpy(), x.numpy(), weight.numpy()]
    for one, other in zip(interpret(graph, given), interpret(joined, given), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_loop_keeps_products_whose_sums_are_read_or_rounded_at_each_step() -> None:
    def read_before(w, v):
        return w + v.mT @ (v * w.sum()), None

    def read_after(w, v):
        w = w + v.mT @ v
        return w, w.sum()

    def stacked(w, v):
        w = w + v.mT @ v
        return w, w

    def alone(w, v):
        return w + v.mT @ v, None

    kept = [(f, "float32") for f in (read_before, read_after, stacked)] + [(alone, "bfloat16")]
    for step, dtype in [*kept, (alone, "float32")]:
        given = bl.ones((3, 3), dtype=dtype), bl.ones((4, 2, 3), dtype=dtype)
        graph = graph_of(lambda w, x, step=step: bl.scan(step, w, x), *given)
        same = len(passes.join_products(graph).equations) == len(graph.equations)
        assert same == ((step, dtype) in kept), step


def test_equal_equations_are_one() -> None:
    def f(x, y):
        return bl.sin(x) * y + bl.sin(x) * y + bl.sin(y)

    assert ops(graph_of(f, X, Y)).count("sin") == 3
    assert sorted(ops(passes.share_common(graph_of(f, X, Y)))) == sorted(
        ["sin", "sin", "multiply", "add", "add"]
    )


def test_zeros_of_other_signs_are_other_numbers() -> None:
    graph = passes.share_common(graph_of(lambda x: (x / 0.0, x / -0.0), X))
    assert ops(graph) == ["divide", "divide"]
    one, other = interpret(graph, [X.numpy()])
    assert one.tolist() == [-v for v in other.tolist()]


def test_numbers_of_other_types_are_other_numbers() -> None:
    graph = passes.share_common(graph_of(lambda x: (x * 2, x * 2.0), bl.tensor([1, 2])))
    assert len({v.dtype for v in graph.outputs}) == 2


def test_algebra_that_does_nothing_goes() -> None:
    nothing = {
        "x · 1": lambda x: x * 1.0,
        "1 · x": lambda x: 1.0 * x,
        "x · ones": lambda x: x * bl.ones((2,)),
        "x / 1": lambda x: x / 1.0,
        "x¹": lambda x: x**1.0,
        "− − x": lambda x: bl.negative(bl.negative(x)),
        "its own shape": lambda x: bl.reshape(x, (2,)),
        "its own order": lambda x: bl.permute_dims(x, (0,)),
    }
    for what, f in nothing.items():
        graph = passes.remove_dead(passes.simplify(graph_of(f, X)))
        assert graph.outputs == graph.inputs, what
        assert not graph.equations, what


def test_algebra_that_does_something_stays() -> None:
    something = {
        "x · 2": lambda x: x * 2.0,
        "1 / x": lambda x: 1.0 / x,
        "x + 0": lambda x: x + 0.0,  # -0.0 + 0.0 is 0.0
        "x · 0": lambda x: x * 0.0,  # NaN for infinities
        "another shape": lambda x: bl.reshape(x, (2, 1)),
        "more elements": lambda x: bl.broadcast_to(x, (3, 2)),
        "another dtype": lambda x: bl.astype(x, bl.float64),
    }
    for what, f in something.items():
        before = graph_of(f, X)
        assert ops(passes.simplify(before)) == ops(before), what


def gradient(w, x, places):
    """The gradient of a table of which rows were taken: the rows of x, added into zeros."""
    with bl.enable_grad():
        leaf = w.detach().requires_grad_()
        (found,) = bl.grad(bl.take(leaf, places, axis=0), [leaf], [x])
    return found


def updated(update) -> tuple[Graph, Graph]:
    """A graph whose first output replaces a table, before and after the pass."""
    graph = graph_of(update, bl.zeros((9, 2)), bl.ones((3, 2)), bl.tensor([1, 1, 4]))
    after = passes.update_rows(graph, {graph.outputs[0]: graph.inputs[0]})
    after.check()
    return graph, passes.remove_dead(after)


def test_an_update_of_few_rows_adds_into_the_old_table() -> None:
    updates = {
        "w - g": (lambda w, x, i: w - gradient(w, x, i), ["negative"]),
        "w - 0.5 g": (lambda w, x, i: w - 0.5 * gradient(w, x, i), ["multiply", "negative"]),
        "w + g": (lambda w, x, i: w + gradient(w, x, i), []),
        "g + w": (lambda w, x, i: gradient(w, x, i) + w, []),
    }
    for what, (update, factors) in updates.items():
        before, after = updated(update)
        assert "take_add" in ops(before), what
        assert isinstance(after.equations[-1].op, passes.TakeAddTo), what
        assert ops(after)[-1 - len(factors) : -1] == factors, what
        assert "take_add" not in ops(after), what


def test_other_differences_stay() -> None:
    def wanted_too(w, x, i):
        g = gradient(w, x, i)
        return w - g, g

    others = {
        "its gradient is wanted, too": wanted_too,
        "g - w": lambda w, x, i: gradient(w, x, i) - w,
        "2 w - g": lambda w, x, i: 2.0 * w - gradient(w, x, i),
    }
    for what, update in others.items():
        before, after = updated(update)
        assert ops(after) == ops(passes.remove_dead(before)), what
        assert "take_add" in ops(after), what


def test_a_difference_that_replaces_nothing_stays() -> None:
    before, _ = updated(lambda w, x, i: w - gradient(w, x, i))
    assert ops(passes.update_rows(before, {})) == ops(before)


def test_all_passes_leave_a_graph_alone_that_is_as_small_as_it_gets() -> None:
    graph = graph_of(lambda x, y: bl.sin(x) * y, X, Y)
    assert str(passes.optimise(graph)) == str(graph)
