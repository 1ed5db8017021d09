"""torch.func and torch.autograd.functional: derivatives of functions, in the form of the inputs."""

import numpy as np
import pytest

import backlit
from backlit import nn, see
from backlit.errors import ArgumentError, GradientError, ShapeError
from backlit.torch import func
from backlit.torch.autograd import functional

X, W = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 2.0])


def cubic(x, w):
    return (x**3 * w).sum()


def pair(x, w):
    return x * w**2, (x * x).sum()


def at():
    return backlit.asarray(X), backlit.asarray(W)


def close(ours, *expected):
    ours = ours if isinstance(ours, tuple) else (ours,)
    assert len(ours) == len(expected)
    for a, b in zip(ours, expected, strict=True):
        assert np.allclose(a.numpy(), b, rtol=1e-12)


def test_products_and_matrices_of_autograd():
    (rows, total), (jx, jw) = functional.vjp(
        lambda x, w: pair(x, w), at(), (*at()[:1], backlit.tensor(2.0))
    )
    assert rows.tolist() == (X * W**2).tolist()
    assert total.item() == 14
    close((jx, jw), X * W**2 + 4 * X, 2 * X * X * W)
    (_, _), pushed = functional.jvp(pair, at(), at())
    close(pushed, X * W**2 + 2 * X * W * W, 28)
    (first, second) = functional.jacobian(pair, at())
    close(first, np.diag(W**2), np.diag(2 * X * W))
    close(second, 2 * X, 0 * W)
    for product in (functional.hvp, functional.vhp):
        value, found = product(cubic, at(), at())
        assert value.item() == pytest.approx((X**3 * W).sum())
        close(found, 6 * X * W * X + 3 * X**2 * W, 3 * X**2 * X)
    ((xx, xw), (wx, ww)) = functional.hessian(cubic, at())
    close((xx, xw, wx, ww), np.diag(6 * X * W), *[np.diag(3 * X**2)] * 2, np.zeros((3, 3)))


def test_a_graph_goes_on_where_it_is_asked_for():
    x = backlit.asarray(X).requires_grad_()
    j = functional.jacobian(lambda x: x**3, x, create_graph=True)
    close(backlit.grad(j.sum(), x), 6 * X)
    assert not functional.jacobian(lambda x: x**3, x).requires_grad
    with pytest.raises(GradientError, match=r"with strict=True.*not on input 1"):
        functional.jacobian(lambda x, w: x * x, at(), strict=True)


def test_functions_of_functions():
    params = {"w": backlit.asarray(W), "rest": [backlit.tensor(2.0, dtype="float64")]}

    def loss(p, x):
        return (p["w"] * x).sum() * p["rest"][0]

    slopes, value = func.grad_and_value(loss)(params, at()[0])
    close(slopes["w"], 2 * X)
    close(slopes["rest"][0], (X * W).sum())
    assert value.item() == pytest.approx(2 * (X * W).sum())
    close(func.grad(cubic, argnums=(0, 1))(*at()), 3 * X**2 * W, X**3)
    close(
        func.grad(lambda x: (func.grad(lambda x: (x**3).sum())(x) ** 2).sum())(at()[0]), 36 * X**3
    )
    close(func.hessian(lambda x: (x**3).sum())(at()[0]), np.diag(6 * X))
    close(func.jacfwd(lambda x: x**2)(at()[0]), np.diag(2 * X))
    found, aux = func.grad(lambda x: ((x * x).sum(), x + 1), has_aux=True)(at()[0])
    close((found, aux), 2 * X, X + 1)
    close(func.jvp(pair, at(), at())[1], X * W**2 + 2 * X * W * W, 28)
    value, pull = func.vjp(cubic, *at())
    close(pull(backlit.tensor(1.0, dtype="float64")), 3 * X**2 * W, X**3)


def test_each_sample_of_a_batch():
    x = backlit.asarray(np.arange(6.0).reshape(3, 2))
    w = backlit.asarray([1.0, -2.0])

    def loss(w, x):
        return (w * x).sum() ** 2

    each = func.vmap(func.grad(loss), in_dims=(None, 0))(w, x)
    s = x.numpy() @ w.numpy()
    close(each, 2 * s[:, None] * x.numpy())
    close(func.vmap(lambda a: a * 2, in_dims=1, out_dims=1)(x), 2 * x.numpy())
    close(func.vmap(lambda d: d["a"] + d["b"], in_dims=({"a": 0, "b": None},))({"a": x, "b": w}),
          x.numpy() + w.numpy())  # fmt: skip
    close(backlit.compile(func.vmap(lambda a: (a * a).sum()))(x), (x.numpy() ** 2).sum(1))
    with pytest.raises(ShapeError, match="mapped axes must have one size, got 2, 3"):
        func.vmap(lambda a, b: a)(x, w)


def test_gradients_of_each_sample_and_an_ensemble():
    net = nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    x, labels = backlit.random.normal((5, 1, 3, 3)), backlit.asarray([0, 1, 1, 0, 1])
    params = {name: p.detach() for name, p in net.named_parameters()}

    def loss(params, x, label):
        return nn.functional.cross_entropy(
            func.functional_call(net, params, (x[None],)), label[None]
        )

    slopes = func.vmap(func.grad(loss), in_dims=(None, 0, 0), chunk_size=3)(params, x, labels)
    want = see.sample_gradients(net, (x, labels), nn.CrossEntropyLoss())
    for name, array in want.items():
        np.testing.assert_allclose(slopes[name].numpy(), array, rtol=1e-3, atol=1e-5)
    three = [nn.Linear(3, 2) for _ in range(3)]
    stacked = {n: backlit.stack([vars(m)[n].detach() for m in three]) for n in ("weight", "bias")}
    y = func.vmap(lambda p: func.functional_call(three[0], p, (x[:, 0],)))(stacked)
    np.testing.assert_allclose(y.numpy(), [m(x[:, 0]).numpy() for m in three], rtol=1e-5, atol=1e-6)


def test_a_module_with_other_parameters():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model[1].weight = nn.Parameter(backlit.ones((1, 2)))
    before = model[1].weight
    new = {name: p.detach() * 0 + 1 for name, p in model.named_parameters()}
    assert func.functional_call(model, new, backlit.ones((1, 2))).tolist() == [[7.0]]
    assert model[1].weight is before

    def loss(params):
        return func.functional_call(model, params, (backlit.ones((1, 2)),)).sum()

    assert func.grad(loss)(new)["1.weight"].tolist() == [[3, 3]]
    with pytest.raises(ArgumentError, match=r"functional_call: Sequential has no '2.weight'"):
        func.functional_call(model, {"2.weight": before}, backlit.ones((1, 2)))
    with pytest.raises(ArgumentError, match=r"lacks a value for '0\.weight'"):
        func.functional_call(model, {}, backlit.ones((1, 2)), strict=True)


def test_an_ensemble_of_models_that_are_alike():
    models = [nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1)).eval() for _ in range(3)]
    parameters, buffers = func.stack_module_state(models)
    x = backlit.ones((4, 2))
    one = func.vmap(lambda p, b: func.functional_call(models[0], (p, b), (x,)))
    expected = [m(x).tolist() for m in models]
    np.testing.assert_allclose(one(parameters, buffers).tolist(), expected, rtol=1e-6)
    assert all(p.requires_grad and p.is_leaf for p in parameters.values())
    for bad, got in (
        ([], "none"),
        ([models[0], nn.Tanh()], "Sequential in mode eval, Tanh in mode"),
    ):
        with pytest.raises(ArgumentError, match=f"models of one class, .* mode, got {got}"):
            func.stack_module_state(bad)


def test_what_is_wrong_is_said():
    x, w = at()
    with pytest.raises(GradientError, match=r"grad: func must return a single number, got \(3,\)"):
        func.grad(lambda x: x)(x)
    with pytest.raises(
        ArgumentError, match=r"argument 0 must be Tensors in dicts.*got a number, 3"
    ):
        func.grad(lambda x: x)(3)
    with pytest.raises(ArgumentError, match="argnums has 2, but 1 arguments were given by place"):
        func.grad(lambda x: x, argnums=2)(x)
    with pytest.raises(ArgumentError, match=r"with has_aux func must return \(output, aux\)"):
        func.grad(lambda x: x.sum(), has_aux=True)(x)
    with pytest.raises(ArgumentError, match="1 axes are given for 2 of the arguments"):
        func.vmap(lambda x, w: x, in_dims=(0,))(x, w)
    with pytest.raises(ShapeError, match="jvp: the tangents must have the shapes"):
        func.jvp(lambda x: x, (x,), (x[:1],))
    with pytest.raises(ArgumentError, match="hvp: v must be given unless the input is a single"):
        functional.hvp(lambda x: x.sum(), x)
    with pytest.raises(ShapeError, match=r"vjp: v must have the shapes of the output, \(3,\), got"):
        functional.vjp(lambda x: x, x, x[:1])
    with pytest.raises(GradientError, match="hessian: func must return a single number, got"):
        functional.hessian(lambda x: x, x)
    with pytest.raises(TypeError, match="jacobian: the outputs of func must be Tensors, got a num"):
        functional.jacobian(lambda x: [3], x)
