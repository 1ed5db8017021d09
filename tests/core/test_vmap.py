"""Functions of slices: vmap against loops of single calls, over all ops and in all company."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import backlit as bl
from backlit import nn, see
from backlit.batch_rules import RULES
from backlit.errors import (
    ArgumentError,
    BacklitError,
    IndexRangeError,
    ShapeError,
    TraceError,
)
from backlit.op import Elementwise, Reduction
from op_table import BUILT_IN, RECORDS, Case, Record
from sampling import try_each

F = nn.functional
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))
W = RNG.normal(size=(5, 3))


def at(*arrays):
    found = [bl.asarray(a.copy()) for a in arrays]
    return found[0] if len(found) == 1 else found


def close(got, want, rtol=1e-12):
    np.testing.assert_allclose(got.numpy(), want, rtol=rtol, atol=1e-12)


# -- each op --------------------------------------------------------------------------------------


def another(record: Record, x):
    """Another slice of what an op accepts."""
    if not isinstance(x, np.ndarray):
        return x
    if record.op.__module__.endswith("decompositions"):  # what is definite or invertible stays so
        return x * 1.5
    return np.roll(x.ravel(), 1).reshape(x.shape)


def compare(record: Record, case: Case) -> None:
    """Values and gradients of two slices are those of two calls, whichever inputs are mapped."""
    arrays = [i for i, x in enumerate(case.inputs) if isinstance(x, np.ndarray)]
    for mapped in [arrays, *[[i] for i in arrays if len(arrays) > 1]]:
        rows = [list(case.inputs), list(case.inputs)]
        for i in mapped:
            rows[1][i] = another(record, case.inputs[i])
        compare_rows(functools.partial(record, case), rows, arrays, mapped)


def compare_rows(f, rows, arrays, mapped) -> None:
    floating = [i for i in arrays if rows[0][i].dtype.kind == "f"]
    axes = tuple(0 if i in mapped else None for i in range(len(rows[0])))

    def leaves(row):
        row = [bl.asarray(x) if i in arrays else x for i, x in enumerate(row)]
        for i in floating:
            row[i].requires_grad_()
        return row

    def slopes(u, *xs):
        y = f(*xs)
        if not y.requires_grad:
            return [bl.zeros_like(xs[i]) for i in floating]
        found = bl.grad(y, [xs[i] for i in floating], [u], allow_unused=True)
        pairs = zip(found, floating, strict=True)
        return [bl.zeros_like(xs[i]) if g is None else g for g, i in pairs]

    single = [f(*leaves(row)) for row in rows]
    stacked = leaves([np.stack([rows[0][i], rows[1][i]]) if i in mapped else x
                      for i, x in enumerate(rows[0])])  # fmt: skip
    y = bl.vmap(f, axes)(*stacked)
    close(y, np.stack([one.numpy() for one in single]), 1e-9)
    if not y.requires_grad:
        return
    u = bl.asarray(np.random.default_rng(0).normal(size=y.shape))
    each = [slopes(u[b], *leaves(row)) for b, row in enumerate(rows)]
    inside = bl.vmap(slopes, (0, *axes))(u, *stacked)
    outside = bl.grad(y, [stacked[i] for i in floating], [u], allow_unused=True)
    for k, i in enumerate(floating):
        want = np.stack([found[k].numpy() for found in each])
        close(inside[k], want, 1e-8)
        if outside[k] is not None:
            close(outside[k], want if i in mapped else want.sum(0), 1e-8)


def all_cases(step: int) -> None:
    tried = [
        (record, case)
        for record in RECORDS.values()
        for case in record.cases[:: 1 if record.name in ("gather", "scatter_add") else step]
        if any(isinstance(x, np.ndarray) for x in case.inputs)
        and not record.op.__module__.endswith("creation")
    ]
    assert len({record.name for record, _ in tried}) > 150
    with np.errstate(all="ignore"):
        try_each(lambda pair: compare(*pair), tried)


def test_every_op_of_slices_is_the_op_of_each():
    all_cases(8)


@pytest.mark.long
def test_every_op_of_slices_is_the_op_of_each_in_all_cases():
    all_cases(1)


def test_every_primitive_has_a_rule():
    """Maps and folds share one; compound ops need none; without inputs there are no slices."""
    common = {cls for cls in BUILT_IN.values() if issubclass(cls, Elementwise | Reduction)}
    missing = {
        cls.name
        for cls in BUILT_IN.values()
        if cls.primitive and cls not in common and cls not in RULES
    }
    assert missing == {"full", "arange", "random_bits", "random_poisson"}
    assert not common & RULES.keys()


def test_an_op_without_a_rule_is_applied_to_each_slice():
    class Total(bl.Op):
        """y = Σ x;  gx = gy."""

        primitive = True

        def forward(self, xp, x):
            return xp.sum(x, axis=(0,), keepdims=False)

        def backward(self, xp, grad_y):
            return grad_y

        def infer(self, x):
            """A number."""
            return (), x.dtype

    x = at(X).requires_grad_()
    y = bl.vmap(functools.partial(bl.apply, Total()))(x)
    close(y, X.sum(1))
    y.sum().backward()
    close(x.grad, np.ones_like(X))
    assert bl.vmap(functools.partial(bl.apply, Total()))(bl.zeros((0, 3))).shape == (0,)


# -- gradients ------------------------------------------------------------------------------------


class Reader(nn.Module):
    """Words, a recurrence and a class."""

    def __init__(self):
        super().__init__()
        self.words, self.state = nn.Embedding(7, 4), nn.LSTM(4, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.state(self.words(x))[0][:, -1])


NETS = {
    "dense": (
        lambda: nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.LayerNorm(6), nn.Linear(6, 3)),
        RNG.normal(size=(6, 5)).astype("float32"),
    ),
    "images": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 2, groups=2),
            nn.Flatten(), nn.Linear(4, 3),
        ),
        RNG.normal(size=(6, 2, 6, 6)).astype("float32"),
    ),
    "words": (Reader, RNG.integers(0, 7, (6, 4))),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_gradients_of_each_sample(name):
    make, inputs = NETS[name]
    bl.manual_seed(0)
    net, x, labels = make(), bl.asarray(inputs), bl.asarray([0, 1, 2, 2, 1, 0])
    want = see.sample_gradients(net, (x, labels), nn.CrossEntropyLoss())

    def slopes(x, label):
        y = F.cross_entropy(net(x[None]), label[None])
        return dict(zip(want, bl.grad(y, list(net.parameters())), strict=True))

    each = bl.vmap(slopes)
    for f in (each, bl.compile(each), bl.vmap(slopes, chunk_size=4)):
        found = f(x, labels)
        for key, array in want.items():
            np.testing.assert_allclose(found[key].numpy(), array, rtol=1e-3, atol=1e-5)


def test_the_tape_outside_goes_through_slices():
    x, w = at(X, W[0])

    def each(w):
        return bl.vmap(lambda x: F.cross_entropy(w * x, bl.tensor(1)))(x)

    def alone(w):
        return bl.stack([F.cross_entropy(w * row, bl.tensor(1)) for row in x])

    assert bl.gradcheck(each, w.detach().requires_grad_())
    close(bl.hessian(lambda w: each(w).sum(), w), bl.hessian(lambda w: alone(w).sum(), w).numpy())

    def penalty(per_sample):
        return lambda w: (per_sample(w) ** 2).sum()

    slope = bl.value_and_grad(lambda w, x: F.cross_entropy(w * x, bl.tensor(1)))
    mapped = penalty(lambda w: bl.vmap(slope, (None, 0))(w, x)[1])
    looped = penalty(lambda w: bl.stack([slope(w, row)[1] for row in x]))
    close(bl.value_and_grad(mapped)(w)[1], bl.value_and_grad(looped)(w)[1].numpy())
    cut = bl.vmap(lambda x: x.detach() * 2)(at(X).requires_grad_())
    assert not cut.requires_grad
    leaf = at(X).requires_grad_()
    own = bl.vmap(lambda x: bl.grad((d := x.detach().requires_grad_()) @ d, d) + d)(leaf)
    assert not own.requires_grad  # d is a leaf of its own
    close(own, 3 * X)
    with bl.no_grad():
        assert not bl.vmap(lambda x: x * 2)(at(X).requires_grad_()).requires_grad


# -- axes, containers, levels ---------------------------------------------------------------------

AXES = [
    (lambda a, b: a * b, 0, 0, X * X),
    (lambda a, b: a.sum() * b, (1, 1), 0, X.sum(0)[:, None] * X.T),
    (lambda a, b: a * b, (0, 0), 1, (X * X).T),
    (lambda a, b: a * b, (-2, -2), -1, (X * X).T),
]


def test_axes_in_and_out():
    for f, in_axes, out_axes, want in AXES:
        x = at(X)
        for chunk in (None, 1, 3):
            close(bl.vmap(f, in_axes, out_axes, chunk_size=chunk)(x, x), want)
        close(bl.compile(bl.vmap(f, in_axes, out_axes))(x, x), want)
    same, each = bl.vmap(lambda a, b: (b + 1, a), (0, None), (None, 0))(*at(X, W))
    close(same, W + 1)
    close(each, X)
    for axis in (0, 1, -1):
        close(bl.vmap(lambda a, b: b, (0, None), axis)(*at(X, W)), np.stack([W] * 4, axis))
    same, each = bl.vmap(lambda a, b: (b, a), (0, None), (None, 1), chunk_size=3)(*at(X, W))
    close(same, W)
    close(each, X.T)


def test_containers():
    tree = {"a": at(X), "rest": [at(W), (at(X),)]}
    f = bl.vmap(
        lambda p, scale, name: {name: p["a"] * p["rest"][1][0] + p["rest"][0].sum() * scale},
        ({"a": 0, "rest": [None, 0]}, None, None),
    )
    close(f(tree, 2.0, "y")["y"], X * X + W.sum() * 2)
    close(bl.vmap(lambda x, *, scale: x * scale)(at(X), scale=at(W[0])), X * W[0])
    close(bl.vmap(lambda x: x * 2)(X), X * 2)


def test_levels():
    x, w = at(X, W)
    table = bl.vmap(lambda a: bl.vmap(lambda b: F.cross_entropy(a * b, bl.tensor(1)))(w))
    want = np.array([[F.cross_entropy(a * b, bl.tensor(1)).item() for b in w] for a in x])
    close(table(x), want)
    close(bl.compile(table)(x), want)
    outer = bl.vmap(bl.vmap(lambda a, b: (a * b).sum(), (None, 0)), (0, None))
    close(outer(x, w), X @ W.T)
    close(bl.vmap(bl.compile(lambda a: a * 2))(x), X * 2)
    hessians = bl.vmap(lambda a: bl.hessian(lambda v: (bl.exp(v) * v).sum(), a))(x)
    close(hessians, np.stack([np.diag((2 + row) * np.exp(row)) for row in X]))


def test_16_bits_are_rounded_where_one_call_rounds():
    x = at(X.astype("float32")).astype("bfloat16")
    each = bl.vmap(lambda row: F.cross_entropy(row, bl.tensor(1)))(x)
    assert each.dtype == bl.bfloat16
    assert each.tolist() == [F.cross_entropy(row, bl.tensor(1)).item() for row in x]


# -- what functions do besides --------------------------------------------------------------------


def test_randomness():
    x = bl.ones((6, 50))

    def drawn(randomness, f=lambda x: F.dropout(x, 0.5), **options):
        bl.manual_seed(1)
        mapped = bl.vmap(f, randomness=randomness, **options)
        first, second = mapped(x), mapped(x)
        assert not (first == second).all()
        return first.numpy()

    different, same = drawn("different"), drawn("same")
    assert len(np.unique(different, axis=0)) == 6
    assert len(np.unique(same, axis=0)) == 1
    assert 0.4 < (different == 0).mean() < 0.6
    bl.manual_seed(1)
    np.testing.assert_array_equal(same[0], F.dropout(x[0], 0.5).numpy())
    assert len(np.unique(drawn("different", chunk_size=4), axis=0)) == 6
    assert len(np.unique(drawn("different", lambda x: bl.random.poisson(9 * x)), axis=0)) == 6
    assert len(np.unique(drawn("same", lambda x: bl.random.poisson(9 * x)), axis=0)) == 1
    draw = bl.vmap(lambda x: bl.random.uniform((8,)), randomness="different")
    assert len(np.unique(bl.concat((draw(x), draw(x))).numpy(), axis=0)) == 12
    bl.manual_seed(1)
    step = bl.compile(bl.vmap(lambda x: F.dropout(x, 0.5), randomness="different"))
    np.testing.assert_array_equal(step(x).numpy(), different)
    with pytest.raises(TraceError, match="draws random numbers; say with randomness='different'"):
        bl.vmap(lambda x: F.dropout(x, 0.5))(x)


def test_changes_in_place():
    def filled(x):
        y = bl.zeros(2, dtype="float64")
        y[0] = x.sum()
        y += 1
        return y

    close(bl.vmap(filled)(at(X)), np.stack([X.sum(1) + 1, np.ones(4)], 1))
    count = bl.tensor(0.0)

    def counted(x):
        count.assign(count + 1)
        return x

    bl.vmap(counted)(at(X))
    assert count.item() == 1  # the function is run once


def test_a_record_has_the_ops_of_all_slices():
    y = bl.vmap(lambda x: F.cross_entropy(x, bl.tensor(1)))(at(X).requires_grad_())
    assert "cross_entropy" in [node.op for node in see.record(y).nodes]


def left_behind(x):
    LEFT.append(x)
    return x


LEFT: list[bl.Tensor] = []

ERRORS = [
    (lambda x: x if x.sum() > 0 else -x, TraceError, r"bool\(\): a function under vmap cannot ask"),
    (lambda x: x * x.sum().item(), TraceError, r"slice to slice \(float64\[\]\); use"),
    (lambda x: x[x > 0], TraceError, "indexing by a mask: a function under vmap cannot ask"),
    (lambda x: x @ bl.ones((4, 2), dtype="float64"), ShapeError, r"matmul: .* got 3 and 4 \(a: fl"),
    (lambda x: x + bl.ones(2), ShapeError, r"add: shapes must broadcast .* got \(3,\) and \(2,\)"),
    (lambda x: x.sum(axis=1), ShapeError, r"sum: axis must lie in \[-1, 1\)"),
    (lambda x: F.cross_entropy(x, bl.tensor(9)), IndexRangeError, "labels must lie in .*, got 9"),
    (lambda x: 3, ArgumentError, "vmap: the function must return Tensors, got a number, 3"),
    (lambda x: x.__iadd__(1), TraceError, r"an argument \(float64\[3\]\) cannot change in place"),
    (lambda x: W_OUT.assign(x), TraceError, r"surroundings \(float64\[3\]\) cannot get a value"),
    (lambda x: W_OUT.__iadd__(at(W[0]).requires_grad_() * 2), TraceError, "put on the tape of sl"),
    (lambda x: (x * LEAF).sum().backward(), TraceError, r"backward\(\) cannot leave the gradients"),
    (lambda x: setattr(HOLDER, "kept", x), TraceError, "Identity.kept cannot keep a Tensor that"),
    (lambda x: bl.capture(lambda y: y)(x), TraceError, r"capture the outer one \(under vmap\)"),
    (lambda x: NORM(bl.stack((x, x))), TraceError, r"put a module that keeps running statistics"),
]  # fmt: skip
W_OUT, LEAF, HOLDER = at(W[0]), at(W[0]).requires_grad_(), nn.Identity()
NORM = nn.BatchNorm1d(3).to("float64")

CALLS = [
    (lambda: bl.vmap(3), ArgumentError, "vmap: f must be a function"),
    (lambda: bl.vmap(abs, randomness="some"), ArgumentError, "must be one of error, different, sa"),
    (lambda: bl.vmap(abs, chunk_size=0), ArgumentError, "vmap: chunk_size must be a positive int"),
    (lambda: bl.vmap(abs, None)(at(X)), ShapeError, "one size, got no axis to map"),
    (lambda: bl.vmap(bl.add)(*at(X, W)), ShapeError, "mapped axes must have one size, got 4, 5"),
    (lambda: bl.vmap(abs, 2)(at(X)), ShapeError, r"vmap: axis must lie in \[-2, 2\) for 2 axes"),
    (lambda: bl.vmap(abs)(bl.tensor(1.0)), ShapeError, "vmap: a Tensor of no axes has no"),
    (lambda: bl.vmap(abs, (0, 0))(at(X)), ArgumentError, "2 axes are given for 1 of the arguments"),
    (lambda: bl.vmap(abs, "a")(at(X)), ArgumentError, "axes for the arguments must be integers"),
    (lambda: bl.vmap(bl.add)(at(X), 2.0), ArgumentError, "must be Tensors, got a number, 2.0"),
    (lambda: bl.vmap(abs, 0, None)(at(X)), ArgumentError, "result 0 differs from slice to slice"),
    (lambda: bl.vmap(abs, 0, 2)(at(X)), ShapeError, r"vmap: axis must lie in \[-2, 2\)"),
    (lambda: (bl.vmap(left_behind)(at(X)), LEFT[0] + 1), TraceError, "was left behind, in a list"),
]  # fmt: skip


def test_what_is_wrong_is_said():
    calls = [(lambda f=f: bl.vmap(f)(at(X)), kind, text) for f, kind, text in ERRORS]

    def check(row):
        call, kind, text = row
        with pytest.raises(BacklitError, match=text) as caught:
            call()
        assert type(caught.value) is kind

    try_each(check, [*calls, *CALLS])
    assert bl.vmap(lambda x: x * 2)(at(X)).shape == (4, 3)  # what failed has left nothing behind
