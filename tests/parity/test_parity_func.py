"""torch.func, torch.autograd.functional and Function against PyTorch's own."""

import numpy as np
import pytest
import torch
import torch.autograd.functional as their_functional
import torch.func as their_func

import backlit
from backlit.torch import func
from backlit.torch.autograd import functional
from backlit.torch.function import Function

pytestmark = pytest.mark.parity

X, W = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 2.0])


def ours():
    return backlit.asarray(X), backlit.asarray(W)


def theirs():
    return torch.asarray(X), torch.asarray(W)


def plain(tree):
    if isinstance(tree, tuple | list):
        return [plain(t) for t in tree]
    if isinstance(tree, dict):
        return {key: plain(t) for key, t in tree.items()}
    return tree.detach().numpy()


def same(a, b):
    if isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    else:
        assert a.shape == b.shape
        assert np.allclose(a, b, rtol=1e-12)


def pair(x, w):
    return x * w**2, (x * x).sum()


def cubic(x, w):
    return (x**3 * w).sum()


@pytest.mark.parametrize(
    ("name", "function", "vector"),
    [
        ("jacobian", pair, None),
        ("hessian", cubic, None),
        ("vjp", cubic, ()),
        ("jvp", pair, "inputs"),
        ("hvp", cubic, "inputs"),
        ("vhp", cubic, "inputs"),
    ],
)
def test_autograd_functional(name, function, vector):
    found = []
    for library, inputs in ((functional, ours()), (their_functional, theirs())):
        more = (inputs,) if vector == "inputs" else ()
        found.append(plain(getattr(library, name)(function, inputs, *more)))
    same(*found)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_func():
    found = []
    for f, (x, w) in ((func, ours()), (their_func, theirs())):

        def loss(params, x):
            return (params["a"] * params["b"][0] * x).sum() ** 2

        results = [
            f.grad(loss)({"a": x, "b": [w]}, w),
            f.grad_and_value(cubic, argnums=(0, 1))(x, w),
            f.jacrev(pair)(x, w),
            f.jacfwd(pair, argnums=(0, 1))(x, w),
            f.hessian(lambda x: (x**3).sum())(x),
            f.jvp(pair, (x, w), (x, w)),
            f.vjp(pair, x, w)[1]((x, x.sum())),
            f.vmap(f.grad(lambda w, x: (w * x**2).sum()), in_dims=(None, 0))(
                x, f.vmap(lambda a, x=x: a * x)(w)
            ),
            f.grad(lambda x, f=f: (f.grad(lambda x: (x**3).sum())(x) ** 2).sum())(x),
            f.grad(lambda w, f=f, x=x: f.grad(lambda x: (w * x * x).sum())(x).sum())(w),
        ]
        found.append(plain(results))
    same(*found)


def test_vmap():
    """Axes, containers, chunks and levels; errors are tested with `backlit.vmap`."""
    found = []
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 3, 2))
    for f, library in ((func, backlit.torch), (their_func, torch)):
        x, y = library.asarray(a), library.asarray(b)
        softmax = library.nn.functional.softmax

        def both(p, y, softmax=softmax):
            return {"one": softmax(p["x"][0] * y[:, 0], 0), "two": (y.sum(), p["x"][0] @ y)}

        results = [
            f.vmap(both, in_dims=({"x": [None]}, 2))({"x": [x[:, 0]]}, y.permute(1, 2, 0)),
            f.vmap(both, in_dims=({"x": [0]}, 1), out_dims={"one": 1, "two": (0, -1)})(
                {"x": [x]}, y
            ),
            f.vmap(lambda x: x.sum() * x, in_dims=-1, out_dims=1, chunk_size=3)(x),
            f.vmap(f.vmap(lambda x, y: x * y, in_dims=(None, 0)), in_dims=(0, None))(x, x),
            f.vmap(f.jacrev(lambda x, softmax=softmax: softmax(x, 0)))(x),
            f.vmap(f.hessian(lambda x: (x**3).sum()))(x),
            f.vmap(lambda x, y=y: y[0] + 1)(x),
            f.jacrev(lambda x, f=f: f.vmap(lambda row: row[row.argsort()].cumsum(0))(x))(x),
        ]
        found.append(plain(results))
    same(*found)


def test_function():
    def make(base, tanh):
        class Both(base):
            @staticmethod
            def forward(ctx, x, w, power):
                y, z = tanh(x), x * w
                ctx.save_for_backward(x, w, y)
                ctx.power = power
                return y**power, z

            @staticmethod
            def backward(ctx, grad_y, grad_z):
                x, w, y = ctx.saved_tensors
                slope = ctx.power * y ** (ctx.power - 1) * (1 - y * y)
                return grad_y * slope + grad_z * w, grad_z * x, None

        return Both.apply

    found = []
    for base, tanh, inputs, grad in (
        (Function, backlit.tanh, ours(), backlit.grad),
        (torch.autograd.Function, torch.tanh, theirs(), torch.autograd.grad),
    ):
        x, w = [t.requires_grad_() for t in inputs]
        y, z = make(base, tanh)(x, w, 3)
        first = grad((y * z).sum(), [x, w], create_graph=True)
        second = grad((first[1] * w).sum(), [x, w])
        found.append(plain([y, z, list(first), list(second)]))
    same(*found)
