"""Eager ops, forward and backward, beside PyTorch's: one thread, 400,000 numbers of float32.

    python -m bench.eager_ops [--filter text] [--seconds 0.2] [--size 400000]

Values and gradients are compared before anything is timed. Both sides run in turn; the best run of
each counts, by the thread's own processor time, so that other work on the machine counts little.
An op above 3 times PyTorch's time fails the run.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as T

import backlit as bl
from backlit.nn import functional as F

#: How many times PyTorch's time an eager op may take.
LIMIT = 3.0


@dataclass(frozen=True)
class Op:
    """One op in both dialects, and what makes its inputs from a random generator and a size."""

    name: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    inputs: Callable[[np.random.Generator, int], list[np.ndarray]]
    differentiable: bool = True
    tolerance: float = 2e-5


def usual(count: int) -> Callable[[np.random.Generator, int], list[np.ndarray]]:
    """Normally distributed numbers."""
    return lambda rng, n: [rng.normal(size=n).astype("f") for _ in range(count)]


def between(*bounds: tuple[float, float]) -> Callable[[np.random.Generator, int], list[np.ndarray]]:
    """Evenly distributed numbers, one pair of bounds for each input."""
    return lambda rng, n: [rng.uniform(a, b, n).astype("f") for a, b in bounds]


def matrix(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """A matrix of rows of 500."""
    return [rng.normal(size=(n // 500, 500)).astype("f")]


def image(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Images of 50 by 50, 4 channels."""
    return [rng.normal(size=(n // 10_000, 4, 50, 50)).astype("f")]


def labels(n: int) -> np.ndarray:
    """Classes of the rows of a matrix."""
    return np.arange(n) * 7 % 500


def _same(names: str, inputs: Any, **options: Any) -> Iterator[Op]:
    for name in names.split():
        yield Op(name, getattr(bl, name), getattr(torch, name), inputs, **options)


def ops() -> list[Op]:
    """The table."""
    positive, unit, two = between((0.1, 4)), between((-0.9, 0.9)), usual(2)
    found = [
        *_same("exp expm1 sin cos tan atan sinh cosh tanh asinh erf erfc sigmoid square", usual(1)),
        *_same("abs negative", usual(1)),
        *_same("sqrt log log2 log10 log1p reciprocal", positive),
        *_same("asin acos atanh", unit),
        *_same("acosh", between((1.1, 4))),
        *_same("floor ceil trunc round sign", usual(1)),
        *_same("isnan isinf isfinite signbit logical_not", usual(1), differentiable=False),
        *_same("add subtract multiply divide maximum minimum copysign hypot atan2 logaddexp", two),
        *_same("pow", between((0.1, 4), (-2, 2))),
        *_same("rsqrt", positive),
        *_same("xlogy fmod", between((0.1, 4), (0.5, 2))),
        *_same("floor_divide", between((-4, 4), (0.5, 2)), differentiable=False),
        *_same("remainder", between((-4, 4), (0.5, 2))),
        Op("equal", bl.equal, torch.eq, two, False),
        *_same("less less_equal greater greater_equal nextafter logical_and logical_or",
               two, differentiable=False),
        Op("not_equal", bl.not_equal, torch.ne, two, False),
        Op("x**2.5", lambda x: x**2.5, lambda x: x**2.5, positive),
        Op("x**3", lambda x: x**3, lambda x: x**3, usual(1)),
        Op("x*0.5", lambda x: x * 0.5, lambda x: x * 0.5, usual(1)),
        Op("where", lambda x, y: bl.where(x > 0, x, y), lambda x, y: torch.where(x > 0, x, y), two),
        Op("clip", lambda x: bl.clip(x, -0.5, 0.5), lambda x: torch.clip(x, -0.5, 0.5), usual(1)),
        Op("astype", lambda x: x.astype("float64"), lambda x: x.double(), usual(1)),
        Op("relu", F.relu, T.relu, usual(1)),
        Op("leaky_relu", F.leaky_relu, T.leaky_relu, usual(1)),
        Op("elu", F.elu, T.elu, usual(1)),
        Op("softplus", F.softplus, T.softplus, usual(1)),
        Op("silu", F.silu, T.silu, usual(1)),
        Op("gelu", F.gelu, T.gelu, usual(1)),
        Op("gelu tanh", lambda x: F.gelu(x, approximate="tanh"),
           lambda x: T.gelu(x, approximate="tanh"), usual(1)),
        Op("sum", bl.sum, torch.sum, usual(1), tolerance=1e-4),
        Op("sum of rows", lambda x: bl.sum(x, axis=1), lambda x: x.sum(1), matrix),
        Op("sum of columns", lambda x: bl.sum(x, axis=0), lambda x: x.sum(0), matrix),
        Op("mean", bl.mean, torch.mean, usual(1), tolerance=1e-4),
        Op("var", lambda x: bl.var(x, axis=1), lambda x: x.var(1, correction=0), matrix),
        Op("std", lambda x: bl.std(x, axis=1), lambda x: x.std(1, correction=0), matrix),
        Op("max", lambda x: bl.max(x, axis=1), lambda x: torch.amax(x, 1), matrix),
        Op("min", lambda x: bl.min(x, axis=0), lambda x: torch.amin(x, 0), matrix),
        Op("prod", lambda x: bl.prod(x, axis=1), lambda x: x.prod(1),
           lambda rng, n: [rng.uniform(0.9, 1.1, (n // 500, 500)).astype("f")], tolerance=1e-3),
        Op("argmax", lambda x: bl.argmax(x, axis=1), lambda x: x.argmax(1), matrix, False),
        Op("argmin", lambda x: bl.argmin(x, axis=1), lambda x: x.argmin(1), matrix, False),
        Op("all", lambda x: bl.all(x, axis=1), lambda x: x.all(1), matrix, False),
        Op("any", lambda x: bl.any(x, axis=1), lambda x: x.any(1), matrix, False),
        Op("vector_norm", lambda x: bl.vector_norm(x, axis=1),
           lambda x: torch.linalg.vector_norm(x, dim=1), matrix),
        Op("logsumexp", lambda x: bl.logsumexp(x, axis=1), lambda x: x.logsumexp(1), matrix),
        Op("cumulative_sum", lambda x: bl.cumulative_sum(x, axis=1), lambda x: x.cumsum(1), matrix,
           tolerance=1e-3),
        Op("cumulative_prod", lambda x: bl.cumulative_prod(x, axis=1), lambda x: x.cumprod(1),
           lambda rng, n: [rng.uniform(0.9, 1.1, (n // 500, 500)).astype("f")], tolerance=1e-2),
        Op("sort", lambda x: bl.sort(x, axis=1), lambda x: x.sort(dim=1, stable=True).values,
           matrix),
        Op("argsort", lambda x: bl.argsort(x, axis=1), lambda x: x.argsort(dim=1, stable=True),
           matrix, False),
        Op("topk", lambda x: bl.topk(x, 10).values, lambda x: x.topk(10).values, matrix),
        Op("median", lambda x: bl.median(x, 1).values, lambda x: x.median(1).values, matrix),
        Op("quantile", lambda x: bl.quantile(x, 0.3, 1), lambda x: x.quantile(0.3, 1), matrix),
        Op("softmax", lambda x: F.softmax(x, -1), lambda x: x.softmax(-1), matrix),
        Op("log_softmax", lambda x: F.log_softmax(x, -1), lambda x: x.log_softmax(-1), matrix),
        Op("layer_norm", lambda x: F.layer_norm(x, 500), lambda x: T.layer_norm(x, (500,)), matrix,
           tolerance=1e-4),
        Op("group_norm", lambda x: F.group_norm(x, 2), lambda x: T.group_norm(x, 2), image,
           tolerance=1e-4),
        Op("batch_norm", lambda x: F.batch_norm(x, training=True),
           lambda x: T.batch_norm(x, None, None, training=True), image, tolerance=1e-4),
        Op("mse_loss", F.mse_loss, T.mse_loss, two, tolerance=1e-4),
        Op("l1_loss", F.l1_loss, T.l1_loss, two, tolerance=1e-4),
        Op("huber_loss", F.huber_loss, T.huber_loss, two, tolerance=1e-4),
        Op("kl_div", F.kl_div, T.kl_div, between((-4, 0), (0.1, 1)), tolerance=1e-4),
        Op("binary_cross_entropy", F.binary_cross_entropy, T.binary_cross_entropy,
           between((0.05, 0.95), (0.05, 0.95)), tolerance=1e-4),
        Op("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits,
           T.binary_cross_entropy_with_logits, between((-3, 3), (0, 1)), tolerance=1e-4),
        Op("hinge_embedding_loss", lambda x: F.hinge_embedding_loss(x, bl.sign(x.detach())),
           lambda x: T.hinge_embedding_loss(x, x.detach().sign()), usual(1), tolerance=1e-4),
        Op("cross_entropy", lambda x: F.cross_entropy(x, bl.asarray(labels(x.shape[0]))),
           lambda x: T.cross_entropy(x, torch.from_numpy(labels(x.shape[0]))), matrix),
        Op("nll_loss", lambda x: F.nll_loss(x, bl.asarray(labels(x.shape[0]))),
           lambda x: T.nll_loss(x, torch.from_numpy(labels(x.shape[0]))), matrix),
        Op("multi_margin_loss", lambda x: F.multi_margin_loss(x, bl.asarray(labels(x.shape[0]))),
           lambda x: T.multi_margin_loss(x, torch.from_numpy(labels(x.shape[0]))), matrix),
        Op("matmul", bl.matmul, torch.matmul,
           lambda rng, n: [rng.normal(size=(n // 500, 500)).astype("f"),
                           rng.normal(size=(500, 100)).astype("f")], tolerance=1e-3),
        Op("linear", F.linear, T.linear,
           lambda rng, n: [rng.normal(size=(n // 500, 500)).astype("f"),
                           rng.normal(size=(100, 500)).astype("f"),
                           rng.normal(size=100).astype("f")], tolerance=1e-3),
        Op("conv2d", lambda x, w: F.conv2d(x, w, padding=1), lambda x, w: T.conv2d(x, w, padding=1),
           lambda rng, n: [*image(rng, n), rng.normal(size=(8, 4, 3, 3)).astype("f")],
           tolerance=1e-3),
        Op("max_pool2d", lambda x: F.max_pool2d(x, 2), lambda x: T.max_pool2d(x, 2), image),
        Op("avg_pool2d", lambda x: F.avg_pool2d(x, 2), lambda x: T.avg_pool2d(x, 2), image),
        Op("transposed copy", lambda x: x.mT + 0.0, lambda x: x.mT + 0.0, matrix),
        Op("flip", lambda x: bl.flip(x, axis=1), lambda x: x.flip(1), matrix),
        Op("concat", lambda x, y: bl.concat((x, y)), lambda x, y: torch.cat((x, y)), two),
        Op("strided", lambda x: x[:, ::2] * 1.0, lambda x: x[:, ::2] * 1.0, matrix),
        Op("take", lambda x: bl.take(x, bl.asarray(labels(800) % x.shape[0]), axis=0),
           lambda x: x[torch.from_numpy(labels(800) % x.shape[0])], matrix),
        Op("take_along_axis",
           lambda x: bl.take_along_axis(x, bl.asarray(labels(x.shape[0])[:, None]), axis=1),
           lambda x: x.gather(1, torch.from_numpy(labels(x.shape[0])[:, None])), matrix),
        Op("broadcast", lambda x: x + x[:1], lambda x: x + x[:1], matrix),
        Op("pad", lambda x: bl.pad(x, ((1, 1), (2, 2))), lambda x: T.pad(x, (2, 2, 1, 1)), matrix),
    ]  # fmt: skip
    return found


@dataclass(frozen=True)
class Row:
    """The times of one op, in seconds: ours and PyTorch's, forward and backward."""

    name: str
    forward: tuple[float, float]
    backward: tuple[float, float] | None

    @property
    def ratios(self) -> list[float]:
        """Our time by theirs."""
        return [a / b for a, b in (self.forward, self.backward or self.forward)]


def compare(op: Op, size: int, seconds: float) -> Row:
    """Times of an op whose values and gradients agree."""
    arrays = op.inputs(np.random.default_rng(0), size)
    ours = [bl.asarray(x).requires_grad_(op.differentiable) for x in arrays]
    theirs = [torch.from_numpy(x.copy()).requires_grad_(op.differentiable) for x in arrays]
    y, z = op.ours(*ours), op.theirs(*theirs)
    _agree(op, y.numpy(), z.detach().numpy())

    def forward() -> tuple[float, float]:
        return _seconds(lambda: op.ours(*ours)), _seconds(lambda: op.theirs(*theirs))

    best = _best(forward, seconds)
    if not op.differentiable:
        return Row(op.name, best, None)
    upstream = np.random.default_rng(1).normal(size=y.shape).astype(y.numpy().dtype)
    mine, other = bl.asarray(upstream), torch.from_numpy(np.asarray(upstream))
    found = bl.grad(y, ours, mine, retain_graph=True)
    for a, b in zip(found, torch.autograd.grad(z, theirs, other, retain_graph=True), strict=True):
        _agree(op, a.numpy(), b.numpy())

    def backward() -> tuple[float, float]:
        return (
            _seconds(lambda: bl.grad(y, ours, mine, retain_graph=True)),
            _seconds(lambda: torch.autograd.grad(z, theirs, other, retain_graph=True)),
        )

    return Row(op.name, best, _best(backward, seconds))


def _agree(op: Op, a: np.ndarray, b: np.ndarray) -> None:
    scale = float(np.abs(np.where(np.isfinite(b), b, 0)).max(initial=1))
    np.testing.assert_allclose(
        a, b, rtol=op.tolerance * 10, atol=op.tolerance * scale, err_msg=op.name
    )


def _seconds(run: Callable[[], Any]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _best(run: Callable[[], tuple[float, float]], seconds: float) -> tuple[float, float]:
    run()
    best, began, turns = (math.inf, math.inf), time.perf_counter(), 0
    while time.perf_counter() - began < seconds or turns < 5:
        best = tuple(map(min, best, run()))  # type: ignore[assignment]
        turns += 1
    return best


def table(size: int, seconds: float, text: str = "") -> list[Row]:
    """All ops whose names have the text in them, printed as they are measured."""
    threads = bl.get_threads(), torch.get_num_threads()
    bl.set_threads(1)
    torch.set_num_threads(1)
    print(f"Eager ops of {size:,} numbers, one thread: milliseconds, and ours by PyTorch's")
    forward, backward = (f"{d:>10}{'PyTorch':>9}{'ratio':>7}" for d in ("forward", "backward"))
    print(f"{'op':33}{forward}{backward}")
    rows = []
    for op in ops():
        if text not in op.name:
            continue
        rows.append(row := compare(op, size, seconds))
        cells = "".join(
            f"{a * 1e3:10.3f}{b * 1e3:9.3f}{a / b:7.2f}"
            for a, b in filter(None, (row.forward, row.backward))
        )
        mark = "  *" if max(row.ratios) > LIMIT else ""
        print(f"{row.name:33}{cells}{mark}", flush=True)
    bl.set_threads(threads[0])
    torch.set_num_threads(threads[1])
    slow = [row.name for row in rows if max(row.ratios) > LIMIT]
    print(f"More than {LIMIT:g} times PyTorch's time: {', '.join(slow) or 'none'}")
    return rows


def main() -> int:
    """Print the table; 1 if an op is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--filter", default="", help="only ops with this in their names")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each op and direction")
    parser.add_argument("--size", type=int, default=400_000)
    options = parser.parse_args()
    rows = table(options.size, options.seconds, options.filter)
    return int(any(max(row.ratios) > LIMIT for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
