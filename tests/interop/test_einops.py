"""einops on Tensors: what it does to NumPy's arrays, with gradients, compiled, in both dialects."""

import einops
import numpy as np
import pytest

import backlit as bl
from tests.apart import printed

X = np.arange(24.0).reshape(2, 3, 4)
CALLS = {
    "rearrange": lambda x: einops.rearrange(x, "b c (h w) -> b h (w c)", h=2),
    "sum": lambda x: einops.reduce(x, "b c d -> b", "sum"),
    "mean": lambda x: einops.reduce(x, "b c (d two) -> b d", "mean", two=2),
    "max": lambda x: einops.reduce(x, "b c d -> ", "max"),
    "prod": lambda x: einops.reduce(x + 1, "b c d -> d", "prod"),
    "repeat": lambda x: einops.repeat(x, "b c d -> (b two) c d", two=2),
    "einsum": lambda x: einops.einsum(x, x, "b c d, b e d -> b c e"),
    "pack": lambda x: einops.pack([x, x], "b * d")[0],
    "list": lambda x: einops.rearrange([x, x], "n b c d -> b n c d"),
}


def test_what_it_does_to_arrays():
    for name, call in CALLS.items():
        np.testing.assert_allclose(call(bl.tensor(X)).numpy(), call(X), err_msg=name)


def test_gradients_go_through_it_compiled_too():
    def loss(x):
        rows = einops.rearrange(x * x, "b c d -> b (c d)")
        return einops.reduce(rows, "b n -> b", "mean").sum()

    x = bl.tensor(X, requires_grad=True)
    loss(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * X / 12)
    assert bl.compile(loss)(bl.tensor(X)).item() == pytest.approx(loss(x).item())


def test_whoever_is_imported_first():
    code = "x = {}.ones((2, 3)); print(einops.rearrange(x, 'a b -> b a').shape)"
    for first in ("import einops, backlit, gc; gc.collect()", "import backlit, einops"):
        assert printed(f"{first}\n{code.format('backlit')}").split() == ["(3,", "2)"]
    layers = (
        "import backlit.torch as torch\nwith torch.instead_of_torch():\n"
        "    from einops.layers.torch import Rearrange\n"
        "print(Rearrange('a b -> b a')(torch.ones(2, 3)).shape)"
    )
    assert printed(layers).split() == ["(3,", "2)"]
