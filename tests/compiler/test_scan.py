"""`scan` in compiled functions: one loop, with the results, gradients and effects of eager code."""

from __future__ import annotations

import re

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.compiler import interpreter, native
from backlit.compiler.capture.body import Scan
from backlit.errors import IndexRangeError, ShapeError, TraceError
from backlit.nn import functional as F
from backlit.tree import flatten, unflatten
from compiler.programs import looping_program
from sampling import one_in

EXECUTORS = pytest.mark.parametrize("executor", [interpreter, native])
RNG = np.random.default_rng(0)


def numbers(*shape: int) -> bl.Tensor:
    return bl.asarray(RNG.normal(size=shape) / 2)


W, B, TABLE = (numbers(*shape).requires_grad_() for shape in ((3, 3), (3,), (7, 3)))
X, H = numbers(4, 2, 3), numbers(2, 3)
IDS = bl.asarray(RNG.integers(0, 7, (4, 2)))


def rnn(h, x):
    h = bl.tanh(h @ W.mT + x + B)
    return h, h


def several(c, x):
    gate = F.sigmoid(x["a"] @ W)
    h = c["h"] * gate + x["a"]
    after = {"h": h, "n": c["n"] + 1, "pair": (c["pair"][1], c["pair"][0] * 2)}
    return after, (h.sum(axis=0), c["n"], gate > 0.5, None)


def in_place(h, x):
    h *= x @ W
    h += 1
    x -= h
    return h, x * 2


def nested(h, x):
    return bl.scan(lambda h, i: rnn(h, x * i), h, bl.asarray(np.array([1.0, -1.0])))


def learner(w, x):
    """One step of gradient descent."""
    w = w if w.requires_grad else w.detach().requires_grad_()
    value = ((w @ x.mT - 1) ** 2).sum()
    return w - 0.1 * bl.grad(value, w, create_graph=True), value


CASES = {
    # step, what it carries first, xs
    "rnn": (rnn, H, X),
    "several dtypes": (
        several, {"h": H, "n": bl.tensor(0), "pair": (numbers(2), numbers(2))}, {"a": X, "b": None},
    ),
    "swap": (lambda c, x: ((c[1], c[0]), c[0]), (numbers(3), numbers(3)), X),
    "three in a circle": (lambda c, x: ((c[1], c[2], c[0] + x), c), (H, H * 2, H * 3), X),
    "nothing changes": (lambda c, x: (c, x), H, X),
    "y is from around": (lambda c, x: (c + x.sum(), W), bl.asarray(0.0).astype("float64"), X),
    "rows of a table": (lambda h, i: (bl.tanh(h + bl.take(TABLE, i, axis=0) @ W), h), H, IDS),
    "one value many times": (lambda c, x: (c * x, (c * x, c * x, c)), H, X),
    "integers and floats": (
        lambda c, x: ((c[0] + 1, c[1] / 2 + (x * c[0]).sum()), c[0]),
        (bl.tensor(0), numbers()), X,
    ),
    "two widths": (
        lambda c, x: ((c[0] + x.astype("float32"), c[1] * x), (c[0].sum(), c[1].sum())),
        (H.astype("float32"), H), X,
    ),
    "written into": (lambda c, x: (c + x, bl.zeros_like(c).__iadd__(c)), H, X),
    "what it is given": (in_place, H, X),
    "on NumPy": (lambda h, x: (bl.linalg.inv(bl.eye(2, dtype="float64") + x @ x.mT) @ h, h), H, X),
    "a scan in a scan": (nested, H, X),
    "gradient descent": (learner, numbers(2, 3), X),
}  # fmt: skip


def floats(tree) -> list[bl.Tensor]:
    return [t for t in flatten(tree)[0] if t is not None and t.dtype.kind == "f"]


def sum_of_squares(found) -> bl.Tensor:
    return sum(((y.astype("float64") + 0.1 * i) ** 2).sum() for i, y in enumerate(found))


def program(step, reverse: bool):
    """The results of a scan, gradients of them, and gradients of these."""

    def everything(first, xs):
        leaves, structure = flatten((first, xs))
        leaves = [x if x is None or x.dtype.kind != "f" else 1 * x for x in leaves]
        for x in floats(leaves):
            x.detach_().requires_grad_()
        results = bl.scan(step, *unflatten(structure, leaves), reverse=reverse)
        sources = [*floats(leaves), W, B, TABLE]
        value = sum_of_squares(floats(results))
        found = bl.grad(value, sources, create_graph=True, allow_unused=True)
        again = sum_of_squares([g for g in found if g is not None])
        second = bl.grad(again, sources, allow_unused=True) if again.requires_grad else ()
        return results, found, second

    return everything


@EXECUTORS
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_to_second_order_are_those_of_eager_code(name, executor) -> None:
    step, *given = CASES[name]
    function = program(step, reverse=len(name) % 2 == 1)
    eager = flatten(function(*given))[0]
    compiled = flatten(bl.compile(function, executor=executor)(*given))[0]
    tolerance = 1e-5 if name == "two widths" else 1e-10
    assert len(eager) == len(compiled) > 3
    for a, b in zip(eager, compiled, strict=True):
        if a is None:
            assert b is None
        else:
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)


@EXECUTORS
@pytest.mark.parametrize("length", [1, 2, 3])
def test_where_no_gradient_gets_there_is_none(length, executor) -> None:
    def step(c, x):
        a, b, d = c
        return (b, a * x, d + W.sum()), a.sum() * B

    def reached(x, *first):
        leaves = [v.detach().requires_grad_() for v in (x, *first)]
        last, y = bl.scan(step, tuple(leaves[1:]), leaves[0])
        of = last[0], last[1], last[2], y[-1]
        sources = [*leaves, W, B]
        found = [bl.grad(v.sum(), sources, allow_unused=True, retain_graph=True) for v in of]
        return [[g is not None for g in several] for several in found], found

    given = numbers(length, 3), numbers(3), numbers(3), numbers(3)
    (there, eager), (same, compiled) = (
        f(*given) for f in (reached, bl.compile(reached, executor=executor))
    )
    assert there == same
    assert there[0][1:4] == [length % 2 == 0, length % 2 == 1, False]
    for a, b in zip(flatten(eager)[0], flatten(compiled)[0], strict=True):
        if a is not None:
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10)


#: Those of the first 40 with a recurrence among their steps.
LOOPING = [p for p in map(looping_program, range(40)) if "scan" in repr(p)]


@pytest.mark.parametrize("written", one_in(3, LOOPING), ids=lambda p: f"{p.kind}{p.seed}")
def test_random_programs_with_loops_do_what_eager_ones_do(written) -> None:
    inputs = [bl.asarray(a) for a in written.inputs]
    eager = written.run(*inputs)
    for executor in (interpreter, native):
        found = bl.compile(written.run, executor=executor)(*inputs)
        for e, f in zip(eager, found, strict=True):
            assert f.shape == e.shape
            bound = 1e-9 * (1 + np.abs(e.numpy()).max(initial=0))
            assert np.abs(f.numpy() - e.numpy()).max(initial=0) <= bound, written


def training(length: int):
    weight = numbers(3, 3).requires_grad_()

    def cell(h, x):
        h = bl.tanh(bl.flip(h) @ bl.sin(weight).mT + h * h + x)
        return h, h.sum()

    def step(x, h):
        h, y = bl.scan(cell, h, x)
        return bl.grad((h * h).sum() + (y * y).sum(), weight)

    return step, (numbers(length, 2, 3), numbers(2, 3))


def test_the_program_does_not_grow_with_the_length() -> None:
    sizes = []
    for length in (3, 10_000):
        step, given = training(length)
        graph = bl.capture(step)(*given)
        graph.check()
        bodies = {e.op.body for e in graph.equations if isinstance(e.op, Scan)}
        compiled = bl.compile(step)
        compiled(*given)
        sizes.append(
            (
                len(graph.equations),
                [len(b.equations) for b in sorted(bodies, key=lambda b: b.reverse)],
                [row[1] == "scan" for row in compiled.kernels.rows],
            )
        )
    assert sizes[0] == sizes[1]
    assert len(sizes[0][1]) == sizes[0][2].count(True) == 2, "one loop forwards and one back"


def test_ten_thousand_steps_are_right() -> None:
    decay = bl.asarray(np.full(10_000, 0.999))

    def f(x):
        x = x.detach().requires_grad_()
        last, y = bl.scan(lambda c, d: (c * d, c), 1.0 * bl.ones((), dtype="float64"), x)
        return last, y, bl.grad(last, x)

    last, y, g = bl.compile(f)(decay)
    np.testing.assert_allclose(y.numpy(), 0.999 ** np.arange(10_000), rtol=1e-10)
    np.testing.assert_allclose(last.item(), 0.999**10_000, rtol=1e-10)
    np.testing.assert_allclose(g.numpy(), np.full(10_000, 0.999**9_999), rtol=1e-10)


def test_backward_keeps_what_it_reads_of_each_step_and_no_parameter() -> None:
    step, given = training(50)
    graph = bl.compile(step)(*given) is not None and bl.capture(step)(*given)
    stacks = [
        e.output.shape
        for e in graph.equations
        if isinstance(e.op, Scan) and e.op.part.kind == "stack" and not e.op.body.reverse
    ]
    # y; the h that tanh made, and the h before; not the flipped one, nor what is made of weight
    assert sorted(stacks) == [(50,), (50, 2, 3), (50, 2, 3)]


def test_what_nobody_asks_for_is_neither_computed_nor_stacked() -> None:
    weight = numbers(3, 3).requires_grad_()

    def f(x, h):
        h = h.detach().requires_grad_()
        last, _ = bl.scan(lambda c, v: (c @ weight * v, (c.sum(), c)), h, x)
        return bl.grad(last.sum(), h)

    compiled = bl.compile(f)
    x, h = numbers(5, 2, 3), numbers(2, 3)
    np.testing.assert_allclose(compiled(x, h).numpy(), f(x, h).numpy(), rtol=1e-12)
    loops = [k for k in compiled.kernels.rows if k[1] == "scan"]
    assert len(loops) == 1, "the derivative of a linear step reads nothing of the forward steps"


@EXECUTORS
def test_every_step_draws_its_own_numbers_and_the_generator_goes_on(executor) -> None:
    def f(x):
        def cell(h, x):
            return h / 2 + F.dropout(x, 0.5), bl.random.uniform((2,))

        return bl.scan(cell, bl.zeros((2, 3), dtype="float64"), x)

    def drawn(function):
        bl.manual_seed(3)
        return [*function(X), *function(X), bl.random.uniform((2,))]

    eager, compiled = drawn(f), drawn(bl.compile(f, executor=executor))
    for a, b in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
    assert len(np.unique(eager[1].numpy())) == 8, "no number twice"


@EXECUTORS
def test_modules_in_a_step_train_and_keep_running_statistics(executor) -> None:
    def trained(wrap):
        bl.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.2))
        optimizer = bl.optim.SGD(net.parameters(), lr=0.1)

        def cell(h, x):
            h = net(h + x)
            return h, h

        def step(x):
            optimizer.zero_grad()
            h, y = bl.scan(cell, bl.zeros((2, 3)), x)
            loss = (h * h).mean() + (y * y).mean()
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(step)
        losses = [step(X.astype("float32")).item() for _ in range(3)]
        return losses, [p.numpy() for p in net.state_dict().values()]

    (a, net), (b, twin) = (
        trained(w) for w in (lambda f: f, lambda f: bl.compile(f, executor=executor))
    )
    np.testing.assert_allclose(a, b, rtol=1e-4)
    for one, other in zip(net, twin, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@EXECUTORS
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_floats_are_rounded_where_eager_code_rounds_them(dtype, executor) -> None:
    weight = W.detach().astype(dtype).requires_grad_()

    def f(h, x):
        h, y = bl.scan(lambda h, x: (bl.tanh(h @ weight + x),) * 2, h, x)
        return h, y, bl.grad((y.astype("float32") ** 2).sum(), weight)

    given = H.astype(dtype), X.astype(dtype)
    loops = [e.op.body for e in bl.capture(f)(*given).equations if isinstance(e.op, Scan)]
    assert {v.dtype.name for body in loops for v in (*body.carry, *body.xs)} == {dtype}
    for a, b in zip(f(*given), bl.compile(f, executor=executor)(*given), strict=True):
        assert a.dtype == b.dtype
        a, b = a.astype("float32").numpy(), b.astype("float32").numpy()
        np.testing.assert_allclose(a, b, rtol=2.0**-7, atol=1e-6)


@EXECUTORS
def test_what_a_step_checks_is_checked_at_every_step(executor) -> None:
    def f(ids):  # nobody reads what is looked up
        return bl.scan(lambda c, i: (c + 1, None), 0.0, F.embedding(ids, TABLE))[0]

    def g(ids):
        def cell(c, i):
            F.embedding(i, TABLE)
            return c + 1, None

        return bl.scan(cell, 0.0, ids)[0]

    bad = bl.tensor([0, 1, 2, 7])
    for function in (f, g):
        compiled = bl.compile(function, executor=executor)
        assert compiled(bl.tensor([0, 1, 2, 6])).item() == 4.0
        with pytest.raises(IndexRangeError, match=r"embedding: indices must lie in \[0, 7\)"):
            compiled(bad)
        assert compiled(bl.tensor([0, 1, 2, 6])).item() == 4.0


def test_nothing_around_has_changed_when_a_step_finds_a_bad_value() -> None:
    ticks = bl.zeros(3)

    @bl.compile
    def step(ids, x):
        def cell(c, i):  # what it looks up is read by nobody
            F.embedding(bl.where(c.sum() > 1e9, 0, i), TABLE)
            return c, None

        bl.scan(cell, bl.exp(x), ids)
        ticks.assign(ticks + 1)

    step(bl.tensor([0, 6]), bl.ones(3))
    with pytest.raises(IndexRangeError, match="embedding: indices"):
        step(bl.tensor([0, 7]), bl.ones(3))
    assert ticks.tolist() == [1, 1, 1]


@EXECUTORS
def test_transformed_functions_are_those_of_eager_code(executor) -> None:
    def product(row):
        return bl.scan(lambda c, v: (c * v, None), bl.ones((), dtype="float64"), row)[0]

    rows = numbers(2, 4)
    for f in (
        lambda: bl.vmap(product)(rows),
        lambda: bl.vmap(bl.value_and_grad(product))(rows),
        lambda: bl.jvp(product, rows[0], rows[1]),
        lambda: bl.hvp(product, rows[0], rows[1]),
        lambda: bl.hessian(product, rows[0]),
    ):
        for a, b in zip(
            flatten(f())[0], flatten(bl.compile(f, executor=executor)())[0], strict=True
        ):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10)


def test_a_step_may_make_leaves_and_differentiate_for_them() -> None:
    def f(x):
        def cell(c, x):
            v = bl.tensor(2.0, requires_grad=True)
            leaf = c.detach().requires_grad_()
            g, h = bl.grad(leaf * leaf * v * x, (leaf, v))
            return c + g, h * leaf * v

        last, y = bl.scan(cell, 1.0, x)
        y.sum().backward()
        return last

    x = bl.tensor([1.0, 2.0])
    assert f(x).item() == bl.compile(f)(x).item() == 45.0


def test_a_tensor_around_a_step_may_be_assigned_to() -> None:
    total = bl.zeros(())

    def f(x):
        def cell(c, x):
            total.assign(total + x)
            return c, total * 1

        return bl.scan(cell, 0.0, x)[1]

    for executor in (interpreter, native):
        total.assign(1.0)
        assert bl.compile(f, executor=executor)(bl.tensor([1.0, 2.0])).tolist() == [2.0, 4.0]
        assert total.item() == 4.0


class Counting(nn.Module):
    def forward(self, c, x):
        self.last = c
        return c + x, None


SEEN: list[int] = []


def _in_place(x):
    total = x.sum()

    def cell(c, x):
        nonlocal total
        total += x
        return c, None

    return bl.scan(cell, 0.0, x)


def _grad(x):
    w = bl.tensor(1.0, requires_grad=True)

    def cell(c, x):
        (w * x).backward()
        return c, None

    return bl.scan(cell, 0.0, x)


def _list(x):
    def cell(c, x):
        SEEN.append(1)
        return c, None

    return bl.scan(cell, 0.0, x)


def _hook(x):
    def cell(c, x):
        c = c * x
        c.register_hook(lambda g: SEEN.append(1))
        return c, None

    return bl.grad(bl.scan(cell, bl.ones((), dtype="float32"), 1 * x.requires_grad_())[0], x)


def _left_behind(x):
    kept = []

    def cell(c, x):
        kept.append(c)
        return c + x, None

    return bl.scan(cell, 0.0, x)[0] + kept[0]


def _branch(x):
    return bl.scan(lambda c, x: (c if x > 1 else c + x, None), 0.0, x)


def _slices_of_a_derivative(x):
    x = x.detach().requires_grad_()
    _, y = bl.scan(lambda c, x: (c * x, c), 1.0, x)
    return bl.vmap(lambda v: bl.grad(y, x, v, retain_graph=True))(bl.eye(2))


REFUSED = {
    _in_place: "scan: a step of a captured loop cannot change in place a Tensor that it was not "
    "given (float32[], test_scan.py:*); carry it: f(carry, x) returns its next value",
    _grad: "cannot set the grad of a Tensor that it was not given (float32[], test_scan.py:*); "
    "use backlit.grad, and carry or return it",
    _hook: "runs it once for all steps, but SEEN has changed; carry it",
    _list: "scan: a step must not change what Python holds, because a captured function runs it "
    "once for all steps, but SEEN has changed; carry it as a Tensor, or return it as y",
    _left_behind: "scan: a float32[] is read by add (test_scan.py:*) outside of the step that has "
    "made it, and a captured loop keeps none of its steps; return it as y, or carry it",
    _branch: "bool(): a captured function cannot ask for a value, which differs from call to call",
    _slices_of_a_derivative: "scan: a captured loop has no derivative under vmap; put the scan "
    "into the function that vmap is given, where it is done step by step",
    lambda x: bl.scan(Counting(), 0.0, x): "scan: a step must not set attributes, because a "
    "captured function runs it once for all steps, but it sets Counting.last; in Counting; carry "
    "the value, return it as y, or assign() to a Tensor that is there before",
}  # fmt: skip


@pytest.mark.parametrize("function", REFUSED)
def test_what_would_happen_once_is_refused(function) -> None:
    text = re.escape(REFUSED[function]).replace(r":\*", r":\d+")
    with pytest.raises(TraceError, match=text):
        bl.compile(function)(bl.tensor([1.0, 2.0]))
    SEEN.clear()


def test_a_loop_is_printed_with_the_graph_of_its_step() -> None:
    graph = bl.capture(lambda x: bl.scan(lambda c, v: (c * v, c + v), 1.0, x))(bl.ones(3))
    lines = [" ".join(line.split("#")[0].split()) for line in str(graph).splitlines()]
    assert lines == [
        "inputs a: float32[3], b: float32[]",
        "c: float32[] = scan(final a, length=3) b a",
        "inputs a: float32[], b: float32[]",
        "c: float32[] = multiply a b",
        "d: float32[] = add a b",
        "return c",
        "d: float32[3] = scan(stack d, length=3) b a",
        "return c, d",
    ]


def test_a_report_counts_what_all_steps_do() -> None:
    weight = numbers(4, 4)
    compiled = bl.compile(lambda h: bl.scan(lambda h, x: (h @ weight, None), h, length=10)[0])
    compiled(numbers(2, 4))
    (row,) = [row for row in compiled.kernels.rows if row[1] == "scan"]
    assert row[4] == 10 * 2 * (2 * 4 * 4)
    assert compiled.cache_info().code_bytes > 0


def test_the_graph_of_a_step_is_checked_with_the_one_around_it() -> None:
    graph = bl.capture(lambda x: bl.scan(lambda c, v: (c * v, None), 1.0, x)[0])(bl.ones(3))
    graph.check()
    (loop,) = graph.equations
    loop.op.body.equations[0].output.shape = (2,)
    with pytest.raises(ShapeError, match=r"equation 0 \(multiply\) is typed float32\[2\]"):
        graph.check()
