"""The tape and its walk: backward, grad, hooks, transformations, user-defined ops, gradcheck."""

import gc
import weakref
from typing import ClassVar

import numpy as np
import pytest

import backlit as bl
from backlit.autograd import parameters_of, step_back, walk_back
from backlit.errors import (
    ArgumentError,
    DTypeError,
    GradcheckError,
    GradientError,
    GraphFreedError,
    ShapeError,
)
from backlit.ops import elementwise


def leaf(data, dtype="float64"):
    return bl.tensor(data, dtype=dtype, requires_grad=True)


# -- backward ---------------------------------------------------------------------------------


def test_backward_fills_leaves_only():
    x, c = leaf([1.0, 2.0]), bl.tensor([3.0, 4.0], dtype="float64")
    y = x * c
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]
    assert c.grad is None
    assert y.grad is None


def test_gradients_add_up_over_calls():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    first = x.grad
    (3 * x).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]
    assert first.tolist() == [2.0, 4.0]


def test_upstream_gradient_weights_the_outputs():
    x = leaf([1.0, 2.0, 3.0])
    (x * x).backward(bl.tensor([1.0, 10.0, 100.0], dtype="float64"))
    assert x.grad.tolist() == [2.0, 40.0, 600.0]


def test_upstream_gradient_takes_the_outputs_dtype():
    x = leaf([1.0, 2.0], "float32")
    (x * x).backward([1.0, 2.0])
    assert x.grad.dtype == bl.float32
    assert x.grad.tolist() == [2.0, 8.0]


def test_hooks_see_the_upstream_gradient_in_the_outputs_dtype():
    y = leaf([1.0], "float32") * 2
    seen = []
    y.register_hook(lambda g: seen.append(g.dtype))
    y.backward(bl.tensor([1.0], dtype="float64"))
    assert seen == [bl.float32]


def test_a_single_element_of_any_shape_starts_with_one():
    x = leaf([[3.0]])
    (x * x).backward()
    assert x.grad.tolist() == [[6.0]]


def test_a_leaf_is_its_own_gradient():
    x = leaf(2.0)
    x.backward()
    assert x.grad.item() == 1.0


def test_the_same_tensor_twice_in_one_op():
    x = leaf([3.0])
    for y, want in ((x + x, 2.0), (x - x, 0.0), (x * x, 6.0), (x / x, 0.0)):
        assert bl.grad(y, x).item() == want
    a = leaf([[1.0, 2.0], [3.0, 4.0]])
    g = bl.grad((a @ a).sum(), a)
    ones = np.ones((2, 2))
    np.testing.assert_array_equal(g.numpy(), ones @ a.numpy().T + a.numpy().T @ ones)


def test_branches_add():
    x = leaf(2.0)
    a, b = x * 3, x * x
    (a * b + a).backward()
    assert x.grad.item() == 9 * 4 + 3  # (3x³ + 3x)'


def test_a_diamond_of_many_levels_is_walked_once():
    x = leaf(1.0)
    y = x
    for _ in range(200):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**200


def test_broadcast_gradients_are_summed():
    row, column, scalar = leaf([[1.0, 2.0, 3.0]]), leaf([[1.0], [2.0]]), leaf(2.0)
    (row * column * scalar).sum().backward()
    assert row.grad.tolist() == [[6.0, 6.0, 6.0]]
    assert column.grad.tolist() == [[12.0], [12.0]]
    assert scalar.grad.item() == 18.0


def test_gradients_have_the_dtype_of_their_tensor():
    a, b = leaf([1.0], "float32"), leaf([2.0], "float64")
    (a * b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (bl.float32, bl.float64)


def test_the_tape_keeps_the_value_a_leaf_had():
    x = leaf(3.0)
    y = x * x
    x.assign(100.0)
    y.backward()
    assert x.grad.item() == 6.0


def test_the_tape_keeps_the_value_also_for_second_derivatives():
    x = leaf(3.0)
    y = x**3
    x.assign(100.0)
    (g,) = bl.grad(y, [x], create_graph=True)
    (h,) = bl.grad(g, [x])
    assert (g.item(), h.item()) == (27.0, 18.0)


def test_integer_inputs_get_no_gradient():
    x, i = leaf([1.0, 2.0]), bl.tensor([3, 4])
    (x * i).sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]
    assert i.grad is None


def test_a_frozen_leaf_gets_no_gradient():
    x, w = leaf(2.0), leaf(3.0)
    w.requires_grad_(False)
    (x * w).backward()
    assert x.grad.item() == 3.0
    assert w.grad is None


# -- lifetime of the graph ----------------------------------------------------------------------


def test_a_second_backward_says_what_to_do():
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(GraphFreedError, match=r"multiply \(test_autograd.py:\d+\) was freed by an"):
        y.backward()
    with pytest.raises(GraphFreedError, match="pass retain_graph=True to the first one"):
        y.backward()
    assert x.grad.item() == 4.0


def test_a_graph_that_shares_a_freed_part_says_so():
    x = leaf(2.0)
    shared = x * x
    (shared * 2).backward()
    with pytest.raises(GraphFreedError, match="the node multiply"):
        (shared * 3).backward()
    assert x.grad.item() == 8.0


def test_grad_of_a_freed_graph_is_an_error_not_an_unused_input():
    x = leaf(2.0)
    y = x * x
    bl.grad(y, x)
    with pytest.raises(GraphFreedError, match="the node multiply"):
        bl.grad(y, x)
    with pytest.raises(GraphFreedError, match="the node multiply"):
        bl.grad(y, x, allow_unused=True)
    with pytest.raises(GraphFreedError, match="the node multiply"):
        bl.grad(y * 2, x)  # the way to x was in the part that was freed
    w = leaf(3.0)
    assert bl.grad(y * w, w).item() == 4.0  # another way is still there


def test_retain_graph_allows_another_walk():
    x = leaf(2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0


def test_backward_frees_what_was_saved():
    x = leaf(np.ones(10))
    y = bl.exp(x)
    z = bl.sin(y)
    alive = weakref.ref(y.array)
    total = z.sum()
    del y, z
    assert alive() is not None
    total.backward()
    assert alive() is None


def test_a_failed_backward_changes_no_gradient():
    class Broken(bl.Op):
        """y = x, with a derivative that fails."""

        def forward(self, xp, x):
            return xp.multiply(x, 1)

        def backward(self, xp, grad_y):
            raise ValueError("no such thing")

    a, b = leaf(1.0), leaf(1.0)
    y = bl.apply(Broken(), a) + b
    with pytest.raises(
        ValueError, match=r"no such thing; in the backward of broken, applied at test_"
    ):
        y.backward()
    assert a.grad is None
    assert b.grad is None


def test_a_failed_walk_leaves_the_grad_mode():
    x = leaf([1.0, 2.0])
    with pytest.raises(GradientError):
        (x * x).backward()
    assert bl.is_grad_enabled()


# -- grad ---------------------------------------------------------------------------------------


def test_grad_leaves_grad_alone_and_mirrors_its_inputs():
    x, y = leaf(2.0), leaf(3.0)
    z = x * y
    assert bl.grad(z, x, retain_graph=True).item() == 3.0
    assert [g.item() for g in bl.grad(z, (x, y), retain_graph=True)] == [3.0, 2.0]
    assert isinstance(bl.grad(z, [x]), tuple)
    assert x.grad is None


def test_grad_reads_a_generator_once_and_of_nothing_is_an_error():
    w, v = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    given = (t for t in (w, v))
    assert [g.tolist() for g in bl.grad((w * v).sum(), given)] == [[3.0, 4.0], [1.0, 2.0]]
    text = "grad: there must be at least one input, got none; a generator, such as model.parameters"
    for inputs in (given, []):
        with pytest.raises(ArgumentError, match=text):
            bl.grad((w * v).sum(), inputs)


def test_grad_of_computed_tensors():
    x = leaf(2.0)
    y = x * x
    z = y * y
    gy, gx = bl.grad(z, [y, x])
    assert (gy.item(), gx.item()) == (8.0, 32.0)


def test_grad_of_several_outputs_adds():
    x = leaf(2.0)
    a, b = x * x, 3 * x
    g = bl.grad([a, b], x, [None, bl.tensor(10.0, dtype="float64")])
    assert g.item() == 34.0


def test_grad_of_the_same_output_twice_adds():
    x = leaf(2.0)
    y = x * x
    assert bl.grad([y, y], x).item() == 8.0
    assert bl.grad([x, x], x).item() == 2.0


def test_grad_prunes_what_leads_elsewhere():
    calls = []

    class Seen(bl.Op):
        """y = x, counted."""

        def forward(self, xp, x):
            return xp.multiply(x, 1)

        def backward(self, xp, grad_y):
            calls.append(1)
            return grad_y

    x, w = leaf(2.0), leaf(3.0)
    bl.grad(x * bl.apply(Seen(), w), x)
    assert calls == []


def test_unused_inputs():
    x, y = leaf(2.0), leaf(3.0)
    z = x * x
    with pytest.raises(
        GradientError,
        match=r"grad: the outputs do not depend on inputs\[1\] \(float64\[\]\); allow_unused",
    ):
        bl.grad(z, [x, y], retain_graph=True)
    gx, gy = bl.grad(z, [x, y], allow_unused=True)
    assert gx.item() == 4.0
    assert gy is None


def test_second_and_third_derivatives():
    x = leaf(2.0)
    y = x**4
    d1 = bl.grad(y, x, create_graph=True)
    d2 = bl.grad(d1, x, create_graph=True)
    d3 = bl.grad(d2, x)
    assert [d.item() for d in (d1, d2, d3)] == pytest.approx([32.0, 48.0, 48.0])


def test_backward_with_create_graph():
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    g = x.grad
    x.grad = None
    g.backward()
    assert x.grad.item() == pytest.approx(18.0)


def test_accumulation_with_create_graph_stays_on_the_tape():
    x = leaf(3.0)
    (x**2).backward(create_graph=True)
    (x**3).backward(create_graph=True)
    assert bl.grad(x.grad, x).item() == pytest.approx(2 + 18)


def test_a_gradient_penalty_trains():
    w, x = leaf([2.0, -1.0]), leaf([0.5, 1.5])
    y = bl.tanh((w * x).sum())
    gx = bl.grad(y, x, create_graph=True)
    penalty = (gx * gx).sum()
    penalty.backward()
    h = 1e-6

    def value(v):
        s = float((v * x.numpy()).sum())
        return ((1 - np.tanh(s) ** 2) * v) @ ((1 - np.tanh(s) ** 2) * v)

    base = w.numpy()
    want = [(value(base + h * e) - value(base - h * e)) / (2 * h) for e in np.eye(2)]
    assert w.grad.tolist() == pytest.approx(want, rel=1e-8)


# -- modes --------------------------------------------------------------------------------------


def test_no_grad_and_enable_grad_nest():
    x = leaf(1.0)
    with bl.no_grad():
        assert not (x * 2).requires_grad
        with bl.enable_grad():
            assert (x * 2).requires_grad
        assert not bl.is_grad_enabled()
    assert bl.is_grad_enabled()


def test_no_grad_decorates_and_is_reentrant():
    x = leaf(1.0)

    @bl.no_grad()
    def f(depth):
        return f(depth - 1) if depth else x * 2

    assert not f(3).requires_grad
    assert bl.is_grad_enabled()


def test_modes_end_with_an_exception():
    with pytest.raises(RuntimeError, match="out"), bl.no_grad():
        raise RuntimeError("out")
    assert bl.is_grad_enabled()


def test_detach_cuts_the_tape():
    x = leaf(3.0)
    y = x * x
    z = y.detach() * x
    z.backward()
    assert x.grad.item() == 9.0
    assert not y.detach().requires_grad


# -- hooks --------------------------------------------------------------------------------------


def test_hooks_see_and_replace_the_gradient():
    x = leaf([1.0, 2.0])
    y = x * x
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.sum().backward()
    assert seen == [[1.0, 1.0], [10.0, 10.0]]
    assert x.grad.tolist() == [20.0, 40.0]


def test_a_hook_of_a_leaf_sees_the_whole_gradient_once():
    x = leaf(2.0)
    seen = []
    x.register_hook(lambda g: seen.append(g.item()))
    x.register_hook(lambda g: -g)
    (x * x + x).backward()
    assert seen == [5.0]
    assert x.grad.item() == -5.0


def test_a_removed_hook_is_not_called():
    x = leaf(2.0)
    remove = x.register_hook(lambda g: g * 0)
    remove()
    remove()
    (x * x).backward()
    assert x.grad.item() == 4.0


def test_hooks_with_create_graph_stay_on_the_tape():
    x = leaf(2.0)
    x.register_hook(lambda g: g * g)
    (x * x).backward(create_graph=True)
    assert x.grad.item() == 16.0
    x._hooks.clear()
    assert bl.grad(x.grad, x).item() == pytest.approx(16.0)  # (4x²)' = 8x


def test_a_hook_must_keep_the_shape():
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: g.sum())
    with pytest.raises(
        ShapeError, match=r"hook: the gradient must keep its shape \(2,\), got \(\)"
    ):
        (x * x).sum().backward()
    assert x.grad is None


@pytest.mark.parametrize(
    ("hook", "text"),
    [
        (
            lambda g: g.astype("float32"),
            "hook: the gradient must keep its dtype float64, got float32",
        ),
        (lambda g: g.numpy(), "hook: a hook must return a Tensor or None, got ndarray"),
        (lambda g: 0.5, "hook: a hook must return a Tensor or None, got float"),
    ],
)
def test_a_hook_must_keep_the_type_and_changes_no_gradient_if_not(hook, text):
    a, b = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    b.register_hook(hook)
    with pytest.raises(DTypeError, match=text):
        (a * b).sum().backward()
    assert a.grad is None
    assert b.grad is None


def test_a_hook_needs_a_gradient():
    with pytest.raises(
        GradientError, match="register_hook: this Tensor does not require a gradient"
    ):
        bl.tensor([1.0]).register_hook(lambda g: None)


def test_retain_grad_keeps_the_gradient_of_a_computed_tensor():
    x = leaf(3.0)
    y = x * x
    y.retain_grad()
    (2 * y).backward(retain_graph=True)
    (2 * y).backward()
    assert y.grad.item() == 4.0
    x.retain_grad()  # a leaf has it anyway
    assert x.grad.item() == 24.0


def test_retain_grad_does_not_keep_the_tensor_alive():
    x = leaf(3.0)
    y = x * x
    y.retain_grad()
    alive = weakref.ref(y)
    z = 2 * y
    del y
    assert alive() is None
    z.backward()


# -- errors of backward ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "error", "text"),
    [
        (
            lambda x: (x * x).backward(),
            GradientError,
            r"backward: without a gradient the output must be a single number, got float64\[2\]; ",
        ),
        (
            lambda x: bl.ones((20, 30)).backward(),
            GradientError,
            "backward: the output must have been computed from a Tensor that requires a gradient, "
            r"got float32\[20,30\]; set requires_grad",
        ),
        (
            lambda x: x.sum().detach().backward(),
            GradientError,
            "set requires_grad=True on a leaf, and do not detach",
        ),
        (
            lambda x: (x * x).backward(bl.zeros((3,))),
            ShapeError,
            r"backward: the gradient must have the output's shape, got float32\[3\] for float64",
        ),
        (
            lambda x: bl.grad(x.sum(), bl.tensor([1.0])),
            GradientError,
            r"grad: inputs\[0\] \(float32\[1\]\) does not require a gradient",
        ),
        (
            lambda x: bl.grad([x.sum(), x.sum()], x, [None]),
            ArgumentError,
            "grad: as many gradients as outputs are required, got 1 and 2",
        ),
        (
            lambda x: bl.grad(x * x, x),
            GradientError,
            "grad: without a gradient the output must be a single number",
        ),
        (lambda x: bl.grad(3.0, x), (GradientError, TypeError), "."),
    ],
)
def test_bad_starts(run, error, text):
    x = leaf([1.0, 2.0])
    with pytest.raises(error, match=text):
        run(x)
    assert x.grad is None


def test_grad_has_the_type_of_its_tensor():
    x = leaf([1.0, 2.0])
    with pytest.raises(
        ShapeError,
        match=r"grad: a gradient has the type of its Tensor, float64\[2\], got float32\[2\]",
    ):
        x.grad = bl.tensor([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"got float64\[1\]"):
        x.grad = bl.tensor([1.0], dtype="float64")


# -- transformations of functions -----------------------------------------------------------------


def cubes(x):
    return x**3


def test_vjp():
    y, pull = bl.vjp(lambda a, b: a * b, leaf([1.0, 2.0]), bl.tensor([3.0, 4.0], dtype="float64"))
    assert y.tolist() == [3.0, 8.0]
    assert not y.requires_grad
    for _ in range(2):  # may be pulled again
        ga, gb = pull([1.0, 10.0])
        assert (ga.tolist(), gb.tolist()) == ([3.0, 40.0], [1.0, 20.0])


def test_jvp_agrees_with_vjp():
    rng = np.random.default_rng(0)
    x, v, u = (bl.tensor(rng.normal(size=4)) for _ in range(3))
    w = bl.tensor(rng.normal(size=(4, 4)))

    def f(x):
        return bl.tanh(w @ x) * x

    y, jv = bl.jvp(f, x, v)
    _, pull = bl.vjp(f, x)
    assert (u * jv).sum().item() == pytest.approx((pull(u)[0] * v).sum().item(), rel=1e-13)
    assert y.tolist() == f(x).tolist()


def test_jvp_of_several_inputs():
    a, b = bl.tensor(2.0), bl.tensor(3.0)
    _, moved = bl.jvp(lambda a, b: a * b, (a, b), (bl.tensor(1.0), bl.tensor(10.0)))
    assert moved.item() == 23.0


def test_transformations_of_constants_are_zero():
    x = bl.tensor([1.0, 2.0])
    one = bl.tensor(1.0)
    assert bl.jvp(lambda x: one, x, x)[1].item() == 0.0
    assert bl.vjp(lambda x: one, x)[1](1.0)[0].tolist() == [0.0, 0.0]
    assert bl.jacobian(lambda x: bl.stack((one, one)), x).tolist() == [[0.0, 0.0]] * 2
    assert bl.value_and_grad(lambda x: one)(x)[1].tolist() == [0.0, 0.0]


def test_hvp_is_the_hessian_times_a_vector():
    rng = np.random.default_rng(0)
    x, v = bl.tensor(rng.normal(size=3)), bl.tensor(rng.normal(size=3))

    def f(x):
        return (bl.sin(x) * x[0]).sum() ** 2

    h = bl.hessian(f, x).numpy()
    np.testing.assert_allclose(h, h.T, rtol=1e-12)
    np.testing.assert_allclose(bl.hvp(f, x, v).numpy(), h @ v.numpy(), rtol=1e-12)


def test_hvp_of_several_inputs():
    a, b = bl.tensor(2.0), bl.tensor(3.0)
    ha, hb = bl.hvp(lambda a, b: a**2 * b, [a, b], [bl.tensor(1.0), bl.tensor(1.0)])
    assert (ha.item(), hb.item()) == (2 * 3 + 2 * 2, 2 * 2)


def test_jacobian_has_the_shape_of_output_and_input():
    x = bl.tensor(np.arange(6.0).reshape(2, 3))
    j = bl.jacobian(lambda x: bl.sum(x * x, axis=1), x)
    assert j.shape == (2, 2, 3)
    want = np.zeros((2, 2, 3))
    for i in range(2):
        want[i, i] = 2 * x.numpy()[i]
    np.testing.assert_array_equal(j.numpy(), want)


def test_jacobian_of_several_inputs_and_of_nothing():
    a, b = bl.tensor([1.0, 2.0]), bl.tensor(3.0)
    ja, jb = bl.jacobian(lambda a, b: a * b, [a, b])
    assert ja.tolist() == [[3.0, 0.0], [0.0, 3.0]]
    assert jb.tolist() == [1.0, 2.0]
    assert bl.jacobian(lambda a: a[:0], a).shape == (0, 2)


def test_hessian_of_a_matrix():
    x = bl.tensor(np.arange(4.0).reshape(2, 2))
    h = bl.hessian(lambda x: (x**3).sum(), x)
    np.testing.assert_array_equal(h.numpy().reshape(4, 4), np.diag(6 * x.numpy().ravel()))


def test_derivatives_have_the_form_of_the_inputs():
    """Of s · wᵀ A w with symmetric A: 2 s A w and wᵀ A w, and once more."""
    a = np.array([[2.0, 1.0], [1.0, 3.0]])
    w, s = np.array([1.0, -2.0]), 0.5
    point = {"w": bl.tensor(w), "rest": [(bl.tensor(s, dtype="float64"),)]}

    def f(p):
        return p["rest"][0][0] * (p["w"] @ (bl.tensor(a) @ p["w"]))

    value, slopes = bl.value_and_grad(f)(point)
    assert value.item() == s * (w @ a @ w)
    np.testing.assert_array_equal(slopes["w"].numpy(), 2 * s * a @ w)
    assert slopes["rest"][0][0].item() == w @ a @ w
    h = bl.hessian(f, point)
    np.testing.assert_array_equal(h["w"]["w"].numpy(), 2 * s * a)
    np.testing.assert_array_equal(h["w"]["rest"][0][0].numpy(), 2 * a @ w)
    np.testing.assert_array_equal(h["rest"][0][0]["w"].numpy(), 2 * a @ w)
    assert h["rest"][0][0]["rest"][0][0].item() == 0
    j = bl.jacobian(lambda p: {"twice": 2 * p["w"], "f": [f(p)]}, point)
    np.testing.assert_array_equal(j["twice"]["w"].numpy(), 2 * np.eye(2))
    assert j["twice"]["rest"][0][0].tolist() == [0, 0]
    np.testing.assert_array_equal(j["f"][0]["w"].numpy(), 2 * s * a @ w)
    first, second = bl.jacobian(lambda p, q: p["w"] * q, [point, bl.tensor(w)])
    np.testing.assert_array_equal(first["w"].numpy(), np.diag(w))
    np.testing.assert_array_equal(second.numpy(), np.diag(w))
    assert bl.value_and_grad(lambda x: (x * x).sum())([1.0, 2.0])[1].tolist() == [2, 4]
    compiled = bl.compile(bl.value_and_grad(f))(point)[1]
    np.testing.assert_array_equal(compiled["w"].numpy(), slopes["w"].numpy())


def test_derivatives_go_on_to_what_the_function_finds_around_it():
    """d/dw Σ ∂(w x²)/∂x = Σ 2x, where w is no argument of the inner function."""
    x, w = bl.tensor([1.0, 2.0]), bl.tensor([3.0, 4.0])
    inner = {
        "value_and_grad": lambda w: bl.value_and_grad(lambda x: (w * x * x).sum())(x)[1],
        "vmap": lambda w: bl.vmap(bl.value_and_grad(lambda x: (w * x * x).sum()))(x[None])[1],
        "hessian": lambda w: bl.hessian(lambda x: (w * x * x * x).sum() / 3, x),
    }
    for f in inner.values():
        assert bl.value_and_grad(lambda w, f=f: f(w).sum())(w)[1].tolist() == [2.0, 4.0]
    leaf = w.detach().requires_grad_()
    assert inner["value_and_grad"](leaf).requires_grad
    with bl.no_grad():
        assert not inner["value_and_grad"](leaf).requires_grad


def test_value_and_grad_of_chosen_arguments():
    f = bl.value_and_grad(lambda a, b, scale: (a * b).sum() * scale, argnums=(1, 0))
    value, (gb, ga) = f(bl.tensor([1.0, 2.0]), bl.tensor([3.0, 4.0]), scale=2.0)
    assert value.item() == 22.0
    assert (ga.tolist(), gb.tolist()) == ([6.0, 8.0], [2.0, 4.0])


def test_value_and_grad_nests_to_third_derivatives():
    def derivative(f):
        return lambda x: bl.value_and_grad(f)(x)[1]

    x = bl.tensor(2.0, dtype="float64")
    assert derivative(lambda x: x**4)(x).item() == pytest.approx(32.0)

    def nested(f, order):
        for _ in range(order):
            f = derivative(f)
        return f

    assert nested(lambda x: x**4, 2)(x.requires_grad_()).item() == pytest.approx(48.0)
    assert nested(lambda x: x**4, 3)(x).item() == pytest.approx(48.0)


def test_transformations_nest_with_the_caller_s_graph():
    w = leaf(3.0)
    _, g = bl.value_and_grad(lambda w: w**3)(w)
    g.backward()
    assert w.grad.item() == pytest.approx(18.0)


def test_transformations_leave_no_gradient_behind():
    x = leaf([1.0, 2.0])
    bl.vjp(cubes, x)[1]([1.0, 1.0])
    bl.jvp(cubes, x, bl.tensor([1.0, 1.0], dtype="float64"))
    bl.hvp(lambda x: cubes(x).sum(), x, bl.tensor([1.0, 1.0], dtype="float64"))
    bl.jacobian(cubes, x)
    bl.value_and_grad(lambda x: cubes(x).sum())(x)
    assert x.grad is None
    assert x.requires_grad


def test_transformations_work_without_grad_mode():
    x = bl.tensor([1.0, 2.0])
    with bl.no_grad():
        value, g = bl.value_and_grad(lambda x: cubes(x).sum())(x)
        assert g.tolist() == [3.0, 12.0]
        assert not value.requires_grad
        assert not bl.value_and_grad(lambda x: cubes(x).sum())(leaf([1.0]))[0].requires_grad
        assert bl.jacobian(cubes, x).tolist() == [[3.0, 0.0], [0.0, 12.0]]


def test_bad_transformations():
    x = bl.tensor([1.0, 2.0])
    with pytest.raises(
        GradientError, match=r"value_and_grad: the function must return a single num"
    ):
        bl.value_and_grad(cubes)(x)
    with pytest.raises(ArgumentError, match="jacobian: the function must return Tensors, got"):
        bl.jacobian(lambda x: [3], x)
    with pytest.raises(GradientError, match=r"hessian: the function must return a single number"):
        bl.hessian(cubes, x)
    with pytest.raises(GradientError, match=r"hvp: the function must return a single number"):
        bl.hvp(cubes, x, x)
    with pytest.raises(
        ArgumentError, match="jvp: one tangent for each input is required, got 1 and 2"
    ):
        bl.jvp(lambda a, b: a * b, [x, x], [x])
    with pytest.raises(ShapeError, match=r"jvp: tangents\[0\] must have shape \(2,\), got \(1,\)"):
        bl.jvp(cubes, x, bl.tensor([1.0]))


def test_parameters_of_lists_each_leaf_once():
    a, b, c = leaf(1.0), leaf(2.0), bl.tensor(3.0, dtype="float64")
    y, z = a * b * c, b + 1
    assert {id(t) for t in parameters_of([y, z])} == {id(a), id(b)}
    assert len(list(parameters_of([y, z]))) == 2


# -- user-defined ops -----------------------------------------------------------------------------


class SoftClip(bl.Op):
    """y = limit · tanh(x / limit)."""

    attributes = ("limit",)
    saves = ("y",)

    def forward(self, xp, x):
        return self.limit * xp.tanh(x / self.limit)

    def backward(self, xp, grad_y, y):
        return grad_y * (1 - (y / self.limit) ** 2)


class Weighted(bl.Op):
    """y = Σ wᵢ xᵢ of any number of inputs with one weight Tensor."""

    saves = ("w", "xs")

    def forward(self, xp, w, *xs):
        total = w[0] * xs[0]
        for i in range(1, len(xs)):
            total = total + w[i] * xs[i]
        return total

    def backward(self, xp, grad_y, w, xs):
        def grad_w():
            parts = [xp.reshape(xp.sum(grad_y * x), (1,)) for x in xs]
            return xp.concat(tuple(parts), axis=0)

        return grad_w, *[lambda i=i: grad_y * w[i] for i in range(len(xs))]


def test_a_user_s_op_passes_the_checks_of_first_and_second_order():
    x = leaf([-3.0, 0.2, 1.5])
    assert bl.gradcheck(lambda x: bl.apply(SoftClip(limit=2.0), x), x, order=2)


def test_a_variadic_op():
    rng = np.random.default_rng(0)
    w, *xs = (leaf(rng.normal(size=s)) for s in ((3,), (2, 2), (2, 2), (2, 2)))
    assert bl.gradcheck(lambda w, *xs: bl.apply(Weighted(), w, *xs), [w, *xs], order=2)


def test_a_user_s_op_runs_compiled():
    x = leaf([-3.0, 0.2, 1.5])
    f = bl.compile(lambda x: bl.apply(SoftClip(limit=2.0), x))
    assert f(x).tolist() == pytest.approx(bl.apply(SoftClip(limit=2.0), x).tolist(), rel=1e-6)
    assert "tanh" in str(f.graphs[0])


def test_a_user_s_op_takes_a_number_first_and_may_take_nothing():
    class Scaled(bl.Op):
        """y = a x."""

        saves = ("a",)

        def forward(self, xp, a, x):
            return a * x

        def backward(self, xp, grad_y, a):
            return None, grad_y * a

    class Ones(bl.Op):
        """y = (1, 1)."""

        def forward(self, xp):
            return xp.full((2,), 1.0, dtype=bl.float32)

    x = leaf([1.0, 2.0])
    y = bl.apply(Scaled(), 3.0, x)
    y.sum().backward()
    assert (y.tolist(), x.grad.tolist()) == ([3.0, 6.0], [3.0, 3.0])
    assert bl.apply(Ones()).tolist() == [1.0, 1.0]


def test_attributes_are_checked_and_make_ops_equal():
    assert SoftClip(limit=2.0) == SoftClip(limit=2.0) != SoftClip(limit=3.0)
    assert hash(SoftClip(limit=2.0)) == hash(SoftClip(limit=2.0))
    assert repr(SoftClip(limit=2.0)) == "soft_clip(limit=2.0)"
    with pytest.raises(
        ArgumentError, match=r"soft_clip: attributes must be \(limit\), got \(top\)"
    ):
        SoftClip(top=2.0)


def test_saves_must_name_an_input_or_the_output():
    with pytest.raises(
        ArgumentError, match=r"Wrong.saves: 'z' is neither an input \('x',\) nor 'y'"
    ):

        class Wrong(bl.Op):
            saves = ("z",)

            def forward(self, xp, x):
                return x


def one_op(result, saves=(), inputs=2, twice=True):
    """An op of two inputs whose backward returns `result`."""

    class Odd(bl.Op):
        twice_differentiable = twice

        def forward(self, xp, a, b):
            return a * b

        def backward(self, xp, grad_y):
            return result(xp, grad_y)

    return Odd()


def test_too_few_and_too_many_gradients():
    for result, count in ((lambda xp, g: g, 1), (lambda xp, g: (g, g, g), 3)):
        y = bl.apply(one_op(result), leaf(1.0), leaf(1.0))
        with pytest.raises(
            GradientError,
            match=rf"odd.backward must return a gradient for each of 2 inputs, got {count}",
        ):
            y.backward()


def test_a_gradient_may_be_left_out_for_an_input_that_needs_none():
    x = leaf(2.0)
    y = bl.apply(one_op(lambda xp, g: g * 3), x, bl.tensor(1.0, dtype="float64"))
    y.backward()
    assert x.grad.item() == 3.0


def test_none_means_no_derivative():
    a, b = leaf(1.0), leaf(1.0)
    bl.apply(one_op(lambda xp, g: (None, g)), a, b).backward()
    assert a.grad is None
    assert b.grad.item() == 1.0


def test_a_gradient_of_a_wrong_shape():
    a, b = leaf([1.0, 2.0, 3.0]), leaf([1.0, 2.0, 3.0])
    y = bl.apply(one_op(lambda xp, g: (xp.concat((g, g), axis=0), g)), a, b)
    with pytest.raises(
        ShapeError,
        match=r"a gradient must broadcast to its input, got float64\[6\] for float64\[3\]; in the "
        r"backward of odd, applied at test_autograd.py:\d+",
    ):
        y.sum().backward()


def test_a_lazy_gradient_is_worked_out_only_if_needed():
    calls = []

    def result(xp, g):
        return lambda: calls.append("a") or g, lambda: calls.append("b") or g

    a, b = leaf(1.0), bl.tensor(1.0, dtype="float64")
    bl.apply(one_op(result), a, b).backward()
    assert calls == ["a"]


def test_an_op_that_is_not_twice_differentiable_says_so():
    a, b = leaf(1.0), leaf(1.0)
    y = bl.apply(one_op(lambda xp, g: (g, g), twice=False), a, b)
    with pytest.raises(
        GradientError,
        match=r"odd: its derivative cannot itself be differentiated \(test_autograd.py:\d+\); call "
        "backward or grad without create_graph",
    ):
        bl.grad(y, a, create_graph=True)
    assert bl.grad(y, a).item() == 1.0


def test_an_op_without_backward_gives_results_without_gradient():
    class Count(bl.Op):
        def forward(self, xp, x):
            return xp.sum(xp.sign(xp.abs(x)))

    assert not bl.apply(Count(), leaf([1.0, 0.0])).requires_grad


def test_an_op_without_forward():
    with pytest.raises(NotImplementedError, match=r"Op\.forward"):
        bl.Op().forward(None)
    with pytest.raises(NotImplementedError, match=r"Op\.backward"):
        bl.Op().backward(None, None)
    with pytest.raises(NotImplementedError, match=r"Op\.infer"):
        bl.Op().infer()


def test_errors_of_forward_name_op_inputs_and_module():
    class Net(bl.nn.Module):
        def forward(self, x):
            return x @ x

    with pytest.raises(ShapeError, match=r"matmul: a.shape\[-1\] must equal.*; in Net$"):
        Net()(bl.zeros((2, 3)))


def test_errors_of_a_user_s_forward_are_explained():
    class Bad(bl.Op):
        def forward(self, xp, x):
            return xp.reshape(x, (7,))

    with pytest.raises(ArgumentError, match=r"bad: cannot reshape .* \(x: float32\[2\]\)"):
        bl.apply(Bad(), bl.zeros((2,)))


# -- gradcheck ------------------------------------------------------------------------------------


def mutant(backward):
    class Mutant(bl.Op):
        saves = ("x", "y")

        def forward(self, xp, x):
            return xp.exp(x) * x

        def backward(self, xp, grad_y, x, y):
            return backward(xp, grad_y, x, y)

    return lambda x: bl.apply(Mutant(), x)


MUTATIONS = {
    "a forgotten term": lambda xp, g, x, y: g * xp.exp(x),
    "a sign": lambda xp, g, x, y: -g * (y + xp.exp(x)),
    "a factor": lambda xp, g, x, y: g * (y + 1.001 * xp.exp(x)),
    "the upstream gradient": lambda xp, g, x, y: y + xp.exp(x),
    "one element": lambda xp, g, x, y: g * (y + xp.exp(x)) * xp.where(x > 1, 0.999, 1.0),
    "a constant": lambda xp, g, x, y: g * (y + xp.exp(x)) + 1e-4,
    "zero": lambda xp, g, x, y: g * 0,
    "none": lambda xp, g, x, y: None,
    "nan": lambda xp, g, x, y: g * math_nan,
}
math_nan = float("nan")


@pytest.mark.parametrize("name", MUTATIONS)
def test_gradcheck_catches(name):
    x = leaf([-1.0, 0.3, 1.7])
    with pytest.raises(
        GradcheckError, match=r"gradcheck: the gradient for inputs\[0\] \(float64\[3\]\)"
    ):
        bl.gradcheck(mutant(MUTATIONS[name]), x)


def test_gradcheck_passes_the_right_one():
    x = leaf([-1.0, 0.3, 1.7])
    assert bl.gradcheck(mutant(lambda xp, g, x, y: g * (y + xp.exp(x))), x, order=2)


def test_gradcheck_catches_wrong_second_derivatives():
    class Frozen(bl.Op):
        """y = x³ whose derivative hides its dependence on x."""

        saves = ("x",)

        def forward(self, xp, x):
            return x * x * x

        def backward(self, xp, grad_y, x):
            hidden = x.detach() if isinstance(x, bl.Tensor) else x
            return grad_y * 3 * hidden * hidden

    x = leaf([1.0, 2.0])
    f = lambda x: bl.apply(Frozen(), x)  # noqa: E731
    assert bl.gradcheck(f, x)
    with pytest.raises(GradcheckError, match="the second-order gradient for inputs"):
        bl.gradcheck(f, x, order=2)


def test_gradcheck_says_where():
    wrong = mutant(lambda xp, g, x, y: g * (y + xp.exp(x)) * xp.where(x > 1, 2.0, 1.0))
    with pytest.raises(
        GradcheckError,
        match=r"in 1 of 3 elements, most at \[2\], where it is 1\.7: analytic \d+\.\d+, num",
    ):
        bl.gradcheck(wrong, leaf([-1.0, 0.3, 1.7]))


def test_gradcheck_of_a_function_with_constants():
    x, c = leaf([1.0, 2.0]), bl.tensor([1, 2])
    assert bl.gradcheck(lambda x, c: x * c, [x, c])
    assert bl.gradcheck(lambda a, b: a * 2, [x, leaf([1.0])])


def test_gradcheck_refuses_what_it_cannot_check():
    with pytest.raises(
        ArgumentError, match="gradcheck: at least one input must require a gradient"
    ):
        bl.gradcheck(cubes, bl.tensor([1.0]))
    with pytest.raises(
        DTypeError, match=r"gradcheck: inputs\[0\] must be float64, got float32\[1\]"
    ):
        bl.gradcheck(cubes, leaf([1.0], "float32"))
    with pytest.raises(ArgumentError, match="gradcheck: order must be 1 or 2, got 3"):
        bl.gradcheck(cubes, leaf([1.0]), order=3)


# -- nodes ----------------------------------------------------------------------------------------


def test_nodes_know_the_user_s_line_and_module():
    class Net(bl.nn.Module):
        def forward(self, x):
            return bl.tanh(x)  # the line

    y = Net()(leaf(1.0))
    filename, line = y.node.line
    assert filename == __file__
    with open(__file__) as source:
        assert "# the line" in source.read().splitlines()[line - 1]
    assert y.node.location == f"test_autograd.py:{line}, in Net"


def test_a_graph_has_no_reference_cycles():
    gc.collect()
    gc.disable()
    try:
        x = leaf(np.ones(4))
        y = bl.tanh(x * x).sum()
        z = bl.grad(y, x, create_graph=True)
        y.register_hook(lambda g: None)
        arrays = [weakref.ref(t.array) for t in (y, z)]
        z.sum().backward()
        del y, z
        assert all(a() is None for a in arrays)
        x = None
        assert gc.collect() == 0
    finally:
        gc.enable()


# -- one gate, and the walk, by themselves ------------------------------------------------------


class Recorded(bl.Op):
    """Three inputs; notes which gradients were computed."""

    computed: ClassVar[list] = []

    def forward(self, xp, a, b, c):
        return a + b + c

    def backward(self, xp, grad_y):
        def late(name):
            self.computed.append(name)
            return grad_y * 2

        return lambda: late("a"), lambda: late("b"), None


def test_one_gate_backwards_computes_what_has_a_target():
    upstream = np.ones((2, 3), np.float32)
    wide, narrow = np.empty((2, 3), np.float32), np.empty((1, 3), np.float64)
    Recorded.computed.clear()
    assert step_back(Recorded(), upstream, (), [None, None, wide]) == [None, None, None]
    assert Recorded.computed == []
    a, b, c = step_back(Recorded(), upstream, (), [None, narrow, wide])
    assert (a, c, Recorded.computed) == (None, None, ["b"])
    assert b.tolist() == [[4.0, 4.0, 4.0]]
    assert b.dtype == np.float64
    a, b, c = step_back(Recorded(), upstream, (), [wide, wide, wide], useful=())
    assert (a, b, c) == (None, None, None)


def test_one_gate_backwards_without_targets_gives_what_the_op_gives():
    upstream = np.ones((2, 3), np.float32)
    a, b, c = step_back(Recorded(), upstream, (), None)
    assert a.shape == b.shape == (2, 3)
    assert c is None
    (only,) = step_back(elementwise.Negative(), upstream, (), None)
    assert only.tolist() == (-upstream).tolist()


def test_one_gate_backwards_in_16_bits_rounds_once():
    x = bl.tensor([1.1, 2.3], dtype="float16").array
    upstream = bl.tensor([0.7, 0.3], dtype="float16").array
    square = elementwise.Square()
    (got,) = step_back(square, upstream, (x,), [x])
    want = (upstream.astype(np.float32) * (2 * x.astype(np.float32))).astype(np.float16)
    assert got.tolist() == want.tolist()
    assert got.dtype == np.float16


def test_gradients_left_out_at_the_end_are_needed_only_by_an_open_leaf():
    x = leaf([1.0, 2.0, 3.0])
    y = bl.take(x, bl.tensor([0, 2])).sum()
    x.requires_grad_(False)
    y.backward()
    assert x.grad is None


def test_the_walk_adds_what_the_uses_send_and_passes_over_what_nothing_reaches():
    visited = []

    def send(gate, upstream):
        visited.append((gate, upstream))
        return {"f": [("a", upstream), ("b", 10), ("x", None)], "b": [("a", 5)]}.get(gate, [])

    arrived = {"f": 1}
    walk_back(["f", "unused", "b", "a"], arrived, send)
    assert visited == [("f", 1), ("b", 10), ("a", 6)]
    assert arrived == {}


def test_an_array_is_one_gradient_not_one_for_each_of_its_rows() -> None:
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).reshape(1, 2)
    assert bl.grad(y, x, np.ones((1, 2), "float32")).tolist() == [2.0, 4.0]
    with pytest.raises(
        ArgumentError, match="as many gradients as outputs are required, got 1 and 2"
    ):
        bl.grad([y, y], x, np.ones((2, 1, 2), "float32"))


def test_a_node_says_which_op_it_is() -> None:
    x = bl.tensor(2.0, requires_grad=True)
    assert repr((x * x).node) == "Node(multiply)"


def test_directions_have_the_shapes_of_the_inputs() -> None:
    x = bl.tensor([1.0, 2.0])
    for transform, what in ((bl.hvp, "vectors"), (bl.jvp, "tangents")):
        for misfit in (1.0, [1.0], [1.0, 2.0, 3.0]):
            with pytest.raises(ShapeError, match=rf"{what}\[0\] must have shape \(2,\), got \("):
                transform(lambda x: (x**3).sum(), x, bl.tensor(misfit))
    with pytest.raises(ArgumentError, match="argnums has 1, but 1 arguments were given by place"):
        bl.value_and_grad(lambda x: x.sum(), 1)(x)
