"""Modules beside PyTorch's: hooks, names, states, lazy layers, containers."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

import backlit as bl
from backlit import nn

pytestmark = pytest.mark.parity


def make(lib):
    """A model with a shared weight, a module at two places, a buffer that is not saved."""
    model = lib.Sequential(lib.Linear(3, 3), lib.BatchNorm1d(3), lib.Tanh(), lib.Linear(3, 3))
    model[3].weight = model[0].weight
    model.append(model[1])
    model[2].register_buffer("scratch", None)
    return model


def both():
    ours, theirs = make(nn), make(torch.nn)
    ours.load_state_dict({n: t.numpy() for n, t in theirs.state_dict().items()})
    return ours, theirs


def test_names_and_states_are_pytorchs() -> None:
    ours, theirs = both()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(ours.state_dict(prefix="a.")) == list(theirs.state_dict(prefix="a."))
    for kind in ("named_parameters", "named_buffers"):
        for recurse in (True, False):
            for once in (True, False):
                options = {"prefix": "p", "recurse": recurse, "remove_duplicate": once}
                got, want = (getattr(m, kind)(**options) for m in (ours, theirs))
                assert [n for n, _ in got] == [n for n, _ in want], (kind, options)
    for once in (True, False):
        got, want = (m.named_modules(remove_duplicate=once) for m in (ours, theirs))
        assert [n for n, _ in got] == [n for n, _ in want]
    partial = {"0.bias": [0.0] * 3, "x": [1.0]}
    got = ours.load_state_dict(partial, strict=False)
    want = theirs.load_state_dict({n: torch.tensor(v) for n, v in partial.items()}, strict=False)
    assert got == want
    assert repr(ours.load_state_dict(ours.state_dict())) == "<All keys matched successfully>"


def calls(model, x, tensor):
    """Everything that hooks of a model are called with, as arrays."""
    seen = []

    def plain(v):
        return None if v is None else np.asarray(v.detach().tolist())

    def note(label, *tuples):
        seen.append(
            (label, *[plain(v) for t in tuples for v in (t if isinstance(t, tuple) else (t,))])
        )

    model[0].register_forward_pre_hook(lambda m, a: note("pre", a))
    model[0].register_forward_hook(lambda m, a, y: note("after", a, y))
    model[2].register_forward_hook(lambda m, a, y: y * 2)
    model[2].register_forward_hook(lambda m, a, k, y: note("first", a, y), prepend=True,
                                   with_kwargs=True)  # fmt: skip
    for i in (0, 2, 3):
        model[i].register_full_backward_hook(lambda m, g, h: note("grad", g, h))
        model[i].register_full_backward_pre_hook(lambda m, h: note("grad pre", h))
    model[2].register_full_backward_hook(lambda m, g, h: (g[0] * 3,))
    model[2].register_full_backward_pre_hook(lambda m, h: (h[0] * 5,), prepend=True)
    x = tensor(x)
    (model(x) ** 2).sum().backward()
    grads = [plain(p.grad) for p in model.parameters()]
    return seen, grads


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_hooks_are_called_with_what_pytorchs_are() -> None:
    x = np.random.default_rng(0).normal(size=(5, 3))
    ours, theirs = (m.double() for m in both())
    got, mine = calls(ours, x, bl.tensor)
    want, other = calls(theirs, x, torch.tensor)
    assert [g[0] for g in got] == [w[0] for w in want]
    for g, w in zip([*got, ("grads", *mine)], [*want, ("grads", *other)], strict=True):
        for a, b in zip(g[1:], w[1:], strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


LAZY = [n for n in nn.__all__ if n.startswith("Lazy")]
SHAPES = {"1d": (2, 4, 7), "2d": (2, 4, 7, 7), "3d": (2, 4, 7, 7, 7), "ar": (2, 4)}


@pytest.mark.parametrize("name", LAZY)
def test_lazy_layers_are_pytorchs(name) -> None:
    args = (6,) if "Linear" in name else (6, 3) if "Conv" in name else ()
    ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
    x = np.random.default_rng(0).normal(size=SHAPES[name[-2:]]).astype("float32")
    before = [type(p).__name__ for p in ours.parameters()]
    assert before == [type(p).__name__ for p in theirs.parameters()]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    ours(bl.tensor(x)), theirs(torch.tensor(x))
    assert type(ours).__name__ == type(theirs).__name__
    ours.load_state_dict({n: t.numpy() for n, t in theirs.state_dict().items()})
    y, z = ours(bl.tensor(x)), theirs(torch.tensor(x))
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-5, atol=1e-5)


#: What PyTorch has for devices and formats, and what is Backlit's own.
HARMLESS = {"device", "dtype", "generator", "self"}


@pytest.mark.parametrize("name", [*LAZY, "ParameterList", "ParameterDict", "ModuleList",
                                  "ModuleDict", "DataParallel"])  # fmt: skip
def test_arguments_have_pytorchs_names_and_order(name) -> None:
    got, want = (inspect.signature(getattr(lib, name)) for lib in (nn, torch.nn))
    if "ParameterList" in name or "*args" in str(want):
        return
    mine = [p for p in got.parameters if p not in HARMLESS]
    other = [p for p in want.parameters if p not in HARMLESS]
    assert mine == other[: len(mine)], (got, want)
    assert set(other) - set(mine) <= {"padding_mode", "bias"}


#: Arguments that have other names than PyTorch's, which are called in order.
RENAMED = {"forward", "__call__", "to", "state_dict", "reset_parameters", "extend"}
CLASSES = ["Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict",
           "LSTM", "MultiheadAttention", "TransformerEncoder", "Transformer"]  # fmt: skip


def test_methods_have_pytorchs_arguments() -> None:
    pairs = [(getattr(nn, n), getattr(torch.nn, n)) for n in CLASSES]
    pairs += [
        (bl.optim.Optimizer, torch.optim.Optimizer),
        (bl.optim.lr_scheduler.LRScheduler, torch.optim.lr_scheduler.LRScheduler),
        (bl.optim.swa_utils.AveragedModel, torch.optim.swa_utils.AveragedModel),
    ]
    compared, wrong = 0, []
    for ours, theirs in pairs:
        for name, method in inspect.getmembers(theirs, inspect.isfunction):
            if name.startswith("_") or name in RENAMED or not hasattr(ours, name):
                continue
            compared += 1
            got, want = (
                list(inspect.signature(f).parameters) for f in (getattr(ours, name), method)
            )
            if got != want:
                wrong.append((ours.__name__, name, got, want))
    assert not wrong
    assert compared > 200
