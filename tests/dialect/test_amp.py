"""Blocks of mixed precision: which functions compute in which dtype, eager and compiled."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import backlit as bl
import backlit.torch as torch
from backlit.errors import ArgumentError, DTypeError, TraceError

BF = torch.bfloat16
x = torch.tensor(np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32))


def test_a_product_is_that_of_rounded_operands_rounded_once():
    w = torch.nn.Parameter(x)
    with torch.autocast("cpu"):
        y = x @ w
    want = x.bfloat16().numpy().astype(np.float32) @ x.bfloat16().numpy().astype(np.float32)
    assert (y.numpy() == torch.tensor(want).bfloat16().numpy()).all()
    y.sum().backward()
    rounded = x.bfloat16().numpy().astype(np.float32)
    assert w.grad.dtype == torch.float32
    want = torch.tensor(rounded.sum(0)[:, None] * np.ones((1, 4), np.float32)).bfloat16()
    np.testing.assert_allclose(w.grad.numpy(), want.float().numpy(), rtol=1e-2)


def test_blocks_nest_end_and_belong_to_their_thread():
    found = []
    outer = torch.autocast("cpu", dtype=torch.float16)

    def dtype():
        return (x @ x).dtype

    with pytest.raises(ZeroDivisionError), outer as block:  # noqa: PT012
        assert block is outer
        assert (dtype(), torch.is_autocast_enabled("cpu")) == (torch.float16, True)
        with torch.autocast("cpu", enabled=False):
            assert (dtype(), torch.is_autocast_enabled()) == (torch.float32, False)
        with torch.autocast("cpu"), outer:
            assert dtype() == torch.get_autocast_dtype("cpu") == torch.float16
        thread = threading.Thread(target=lambda: found.append(dtype()))
        thread.start()
        thread.join()
        raise ZeroDivisionError
    assert found == [dtype()] == [torch.float32]
    assert torch.autocast("cpu")(dtype)() == BF
    with torch.cuda.amp.autocast():  # there is no CUDA, so PyTorch does nothing either
        assert dtype() == torch.float32
    with pytest.warns(UserWarning, match="must be bfloat16 or float16, got float64; the block is"):
        torch.autocast("cpu", dtype=torch.float64)


def test_compiled_code_knows_the_block_around_it_and_inside_it():
    def inside(w):
        with torch.autocast("cpu"):
            return torch.nn.functional.mse_loss(x @ w, x), x @ w

    step = bl.compile(lambda w: w @ w)
    assert step(x).dtype == torch.float32
    with torch.autocast("cpu"):
        assert step(x).dtype == BF
    assert step(x).dtype == torch.float32
    loss, y = bl.compile(inside)(x)
    assert (loss.dtype, y.dtype) == (torch.float32, BF)
    np.testing.assert_allclose(loss.item(), inside(x)[0].item(), rtol=1e-2)


def test_a_derivative_is_not_touched_by_the_block_that_it_is_asked_in():
    def gradient(w, inside):
        y = (w @ x).sum()
        with torch.autocast("cpu", enabled=inside):
            return torch.autograd.grad(y, w, create_graph=True)[0].detach()

    for f in (gradient, bl.compile(gradient)):
        w = x.clone().requires_grad_()
        assert (f(w, True) == f(w, False)).all()


def test_a_part_that_is_computed_again_is_computed_in_the_same_block():
    w = torch.nn.Parameter(x)
    dtypes = []

    def part(w):
        y = x @ w
        dtypes.append(y.dtype)
        return y.float() ** 2

    with torch.autocast("cpu"):
        y = torch.utils.checkpoint.checkpoint(part, w, use_reentrant=False).sum()
    y.backward()
    assert dtypes == [BF, BF]


def test_norms_take_16_bits_beside_parameters_of_float32():
    layer = torch.nn.BatchNorm1d(4)
    y = layer(x.bfloat16())
    assert (y.dtype, layer.running_mean.dtype) == (BF, torch.float32)
    want = torch.nn.BatchNorm1d(4)(x.bfloat16().float()).bfloat16()
    assert (y == want).all()
    y.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_functions_of_a_users_keep_the_block_or_leave_it():
    class Twice(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu")
        def forward(ctx, x):
            ctx.save_for_backward(x)
            seen.append((x @ x).dtype)
            return x * 2

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            seen.append((g @ g).dtype)
            return g * 2

    class Exact(Twice):
        forward = staticmethod(
            torch.amp.custom_fwd(
                lambda ctx, x: seen.append(x.dtype) or x * 2, cast_inputs=bl.float32
            )
        )

    seen: list = []
    w = x.clone().requires_grad_()
    with torch.autocast("cpu"):
        y = Twice.apply(w).sum()
        z = Exact.apply(w.bfloat16()).sum()
    y.backward()
    z.backward()
    assert seen == [BF, torch.float32, BF, torch.float32]


def test_the_scaler_skips_steps_and_changes_its_factor():
    w = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([w], lr=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)

    def step(factor):
        optimizer.zero_grad()
        scaler.scale((w * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        return w.tolist(), scaler.get_scale()

    assert scaler.scale([torch.ones(1)])[0].item() == 8
    assert step(0.5) == ([0.5, 0.5], 8.0)
    assert step(float("inf")) == ([0.5, 0.5], 4.0)  # and it counts from 0 again
    assert step(0.25) == ([0.25, 0.25], 4.0)
    assert step(0.25) == ([0.0, 0.0], 8.0)
    other = torch.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == {
        "scale": 8.0,
        "growth_factor": 2.0,
        "backoff_factor": 0.5,
        "growth_interval": 2,
        "_growth_tracker": 0,
    }
    off = torch.cuda.amp.GradScaler()
    assert (off.is_enabled(), off.get_scale(), off.state_dict()) == (False, 1.0, {})
    optimizer.zero_grad()
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    assert w.grad.tolist() == [1, 1]
    with pytest.raises(ArgumentError, match=r"unscale_: it must be called once, before step"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(ArgumentError, match=r"step: update\(\) must come between two steps"):
        scaler.step(optimizer)
    scaler.update(2.0)
    assert scaler.get_scale() == 2


def test_what_a_scaler_does_not_take_is_refused():
    scaler = torch.amp.GradScaler("cpu")
    w = torch.nn.Parameter(torch.ones(1).half())
    w.grad = torch.ones(1).half()
    optimizer = torch.optim.SGD([w], lr=1.0)
    for error, text, act in (
        (
            ArgumentError,
            r"update: step\(\) or unscale_\(\) must come before",
            lambda _: scaler.update(),
        ),
        (DTypeError, r"must have more than 16 bits, got float16; keep", scaler.unscale_),
        (ArgumentError, "step: a closure must not be given", lambda o: scaler.step(o, lambda: 1)),
        (DTypeError, "scale: a loss must be a Tensor, got int; ", lambda o: scaler.scale(3)),
        (ArgumentError, "the state must have scale, .*but has no _growth_tracker, b", _load_part),
        (ArgumentError, "growth_factor must be above 1, got 1", _scaler(growth_factor=1)),
        (ArgumentError, r"backoff_factor must lie in \(0, 1\), got 2", _scaler(backoff_factor=2)),
    ):
        with pytest.raises(error, match=text):
            act(optimizer)
    v = torch.nn.Parameter(torch.ones(1))
    v.grad = torch.ones(1)
    with pytest.raises(TraceError, match="bool"):
        bl.compile(lambda: scaler.unscale_(torch.optim.SGD([v], lr=1.0)))()


def _load_part(_):
    torch.amp.GradScaler("cpu").load_state_dict({"scale": 1.0})


def _scaler(**options):
    return lambda _: torch.amp.GradScaler("cpu", **options)
