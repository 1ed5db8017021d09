"""Every layer and function of `nn` with its options beside PyTorch's.

One row is one call. Of each it is checked, in float64: the value, the gradients of the inputs and
parameters, the gradients of those gradients, and that a compiled call gives the same; and in
float32 the value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import backlit as bl
from backlit import nn
from backlit.nn import functional as F

pytestmark = pytest.mark.parity
rng = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    """Numbers in ±2.5 that lie 0.01 apart, so that no two tie and none is on a kink."""
    size = int(np.prod(shape))
    return (5 * (rng.permutation(size) + 0.37) / max(size, 1) - 2.5).reshape(shape)


def both(x: Any, dtype: str = "float64") -> tuple[Any, Any]:
    """An argument for Backlit and the same for PyTorch."""
    if isinstance(x, np.ndarray):
        array = x.astype(dtype) if x.dtype.kind == "f" else x
        needs = array.dtype.kind == "f"
        return bl.tensor(array, requires_grad=needs), torch.tensor(array, requires_grad=needs)
    if isinstance(x, dict):
        pairs = {k: both(v, dtype) for k, v in x.items()}
        return {k: a for k, (a, _) in pairs.items()}, {k: b for k, (_, b) in pairs.items()}
    return x, x


def listed(y: Any) -> list[Any]:
    return list(y) if isinstance(y, tuple | list) else [y]


def number(library: Any, outputs: list[Any]) -> Any:
    """One number of all floating outputs, in which no two elements have the same weight."""
    total = None
    for y in outputs:
        if isinstance(y, library.Tensor) and y.requires_grad:
            size = int(np.prod(tuple(y.shape)))
            weights = (0.4 + np.cos(np.arange(size) * 0.7)).reshape(tuple(y.shape))
            make = bl.tensor if library is bl else torch.tensor
            part = (y * make(weights)).sum() + 0.5 * (y * y).sum()
            total = part if total is None else total + part
    return total


def close(a: Any, b: Any, what: str, tolerance: float) -> None:
    a = a.detach().numpy() if isinstance(a, bl.Tensor) else a
    b = b.detach().numpy() if isinstance(b, torch.Tensor) else b
    assert np.shape(a) == np.shape(b), f"{what}: {np.shape(a)} {np.shape(b)}"
    scale = max(1.0, float(np.abs(b).max(initial=0))) if np.size(b) else 1.0
    np.testing.assert_allclose(a, b, tolerance, tolerance * scale, err_msg=what)


def gradients(library: Any, outputs: list[Any], leaves: list[Any], twice: bool) -> list[Any]:
    """The gradients of the outputs' number for the leaves, and those of the gradients' number."""
    total = number(library, outputs)
    if total is None or not leaves:
        return []
    if library is bl:
        first = bl.grad(total, leaves, create_graph=twice, allow_unused=True)
    else:
        first = torch.autograd.grad(total, leaves, create_graph=twice, allow_unused=True)
    result = list(first)
    again = number(library, [g for g in first if g is not None]) if twice else None
    if again is not None:
        if library is bl:
            result += list(bl.grad(again, leaves, allow_unused=True))
        else:
            result += list(torch.autograd.grad(again, leaves, allow_unused=True))
    return result


def check(what: str, ours: Any, theirs: Any, inputs: tuple, twice: bool, compiled: bool) -> None:
    """Compare two callables of the same arguments; modules bring their parameters along."""
    modules = isinstance(ours, nn.Module)
    if modules:
        ours.to("float64")
        theirs.to(torch.float64)
        state = {n: np.array(t.numpy()) for n, t in ours.state_dict().items()}
        assert list(state) == list(theirs.state_dict()), f"{what}: names of the state"
        for n, v in state.items():
            assert v.shape == tuple(theirs.state_dict()[n].shape), f"{what}: shape of {n}"
        state = {n: floats(*v.shape) * 0.4 + 0.1 if v.dtype.kind == "f" else v
                 for n, v in state.items()}  # fmt: skip
        state = {n: np.abs(v) if "running_var" in n else v for n, v in state.items()}
        ours.load_state_dict(state)
        theirs.load_state_dict({n: torch.tensor(v) for n, v in state.items()})
    pairs = [both(x) for x in inputs]
    mine, other = [a for a, _ in pairs], [b for _, b in pairs]
    y, z = listed(ours(*mine)), listed(theirs(*other))
    assert len(y) == len(z), what
    for a, b in zip(y, z, strict=True):
        close(a, b, f"{what}: value", 1e-9)
    own = list(ours.parameters()) if modules else []
    leaves = [[t for t in side if getattr(t, "requires_grad", False)] for side in (mine, other)]
    leaves[0] += own
    leaves[1] += list(theirs.parameters()) if modules else []
    got, want = (
        gradients(library, outputs, list(each), twice)
        for library, outputs, each in ((bl, y, leaves[0]), (torch, z, leaves[1]))
    )
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        if b is None or a is None:
            zero = a if b is None else b
            assert zero is None or not zero.detach().numpy().any(), f"{what}: gradient {k}"
        else:
            close(a, b, f"{what}: gradient {k}", 1e-8)
    if compiled:
        again = listed(bl.compile(lambda *t: ours(*t))(*[m.detach() if isinstance(m, bl.Tensor)
                                                         else m for m in mine]))  # fmt: skip
        if not (modules and any(True for _ in ours.buffers())):
            for a, b in zip(again, z, strict=True):
                close(a, b, f"{what}: compiled", 1e-9)


def rows(table: list[tuple]) -> Any:
    return pytest.mark.parametrize("row", table, ids=[f"{r[0]}-{i}" for i, r in enumerate(table)])


def layer(name: str, *inputs: np.ndarray, args: tuple = (), **options: Any) -> tuple:
    return name, inputs, args, options


ROW, SIGNAL, IMAGE, VOLUME = (
    floats(3, 4),
    floats(2, 4, 5),
    floats(2, 4, 6, 5),
    floats(2, 4, 4, 5, 6),
)
LONE, LONE_VOLUME = floats(4, 6, 5), floats(4, 4, 5, 6)

ACTIVATIONS = [
    layer("PReLU", ROW),
    layer("PReLU", IMAGE, num_parameters=4, init=0.1),
    layer("SELU", ROW),
    layer("CELU", ROW, alpha=0.6),
    layer("GLU", ROW),
    layer("GLU", SIGNAL, dim=1),
    layer("Mish", ROW),
    layer("Hardswish", ROW * 2),
    layer("Hardsigmoid", ROW * 2),
    layer("ReLU6", ROW * 4),
    layer("Hardtanh", ROW),
    layer("Hardtanh", ROW, args=(-0.3, 1.2)),
    layer("LogSigmoid", ROW),
    layer("Softsign", ROW),
    layer("Softplus", ROW),
    layer("Softplus", ROW, beta=2.0, threshold=3.0),
    layer("Softplus", ROW, beta=-1.5, threshold=30.0),
    layer("Threshold", ROW, args=(0.2, 5.0)),
    layer("Softshrink", ROW),
    layer("Softshrink", ROW, lambd=1.1),
    layer("Hardshrink", ROW),
    layer("Hardshrink", ROW, lambd=0.0),
    layer("Tanhshrink", ROW),
    layer("Softmin", SIGNAL, dim=1),
    layer("Softmax2d", IMAGE),
    layer("Softmax2d", LONE),
    layer("Softmax", SIGNAL),
    layer("Softmax", IMAGE),
    layer("LogSoftmax", floats(4)),
    layer("Softmin", SIGNAL),
]
#: PyTorch refuses the second derivative.
ONCE = {"Hardsigmoid"}


def same_layer(row: tuple, **how: Any) -> None:
    name, inputs, args, options = row
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    check(f"{name}{args}{options}", ours, theirs, inputs, name not in ONCE, True)


@pytest.mark.filterwarnings("ignore:Implicit dimension choice", "ignore:.*dim is not given")
@rows(ACTIVATIONS)
def test_activations(row: tuple) -> None:
    same_layer(row)


def test_activations_at_their_kinks() -> None:
    x = np.array([-6.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0])
    for name in ("relu6", "hardtanh", "hardsigmoid", "hardswish", "softshrink", "hardshrink",
                 "selu", "celu", "elu", "leaky_relu", "logsigmoid", "tanhshrink"):  # fmt: skip
        check(name, getattr(F, name), getattr(torch.nn.functional, name), (x,), False, True)


def test_random_activations() -> None:
    x = bl.tensor(np.linspace(-1, 1, 4000))
    y = F.rrelu(x, 0.25, 0.5, training=True).numpy() / x.numpy()
    assert 0.25 <= y[:2000].min() < 0.26
    assert 0.49 < y[:2000].max() <= 0.5
    assert (y[2000:] == 1).all()
    check("rrelu", F.rrelu, torch.nn.functional.rrelu, (ROW,), True, True)
    logits = np.log(np.array([0.2, 0.5, 0.3]))
    for library, make in ((F, bl.tensor), (torch.nn.functional, torch.tensor)):
        many = make(np.tile(logits, (20000, 1)))
        sample = library.gumbel_softmax(many, 0.5, hard=True).numpy()
        np.testing.assert_allclose(sample.mean(0), [0.2, 0.5, 0.3], atol=0.015)
        soft = library.gumbel_softmax(many, 2.0).numpy()
        np.testing.assert_allclose(soft.mean(0), [0.283, 0.393, 0.324], atol=0.02)
