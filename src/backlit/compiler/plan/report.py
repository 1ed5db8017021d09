"""What was compiled, to read: kernels with their sources, buffers with their places, times."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...files import write_whole
from ...op import Elementwise, describe
from ...ops import contraction, convolution, reductions
from ...state import Setting, observing
from ...table import Table
from ...tensor import wrap
from ..capture.graph import Equation, Variable
from ..capture.trace import trace
from ..lower.kinds import LOOP, Kernel
from .plan import Plan
from .threads import get_threads

#: Reductions with an operation for each element that they read.
COUNTED = (reductions.Sum, reductions.Prod, reductions.Extreme)


@dataclass
class KernelRow:
    """One kernel: what it makes, from which ops and lines, its bytes and operations."""

    number: int
    kind: str
    makes: str
    ops: str
    bytes: int
    operations: int
    where: str


def fused(plan: Plan, kernel: Kernel) -> list[Equation]:
    """All equations that a kernel computes, the inlined ones included, in order."""
    lowering = plan.lowering
    roots = {r.output for r in kernel.roots}
    found: dict[Variable, Equation] = {}
    stack = list(kernel.roots)
    while stack:
        e = stack.pop()
        if e.output in found:
            continue
        found[e.output] = e
        for x in e.inputs:
            if isinstance(x, Variable) and (x not in lowering.in_memory or x in roots):
                inner = lowering.made.get(x)
                if inner is not None:
                    stack.append(inner)
    order = {e.output: i for i, e in enumerate(plan.graph.equations)}
    return sorted(found.values(), key=lambda e: order[e.output])


def operations(e: Equation) -> int:
    """Arithmetic operations of one equation: a multiplication and an addition are two."""
    if isinstance(e.op, contraction.Matmul):
        return 2 * e.output.size * e.inputs[0].shape[-1]
    if isinstance(e.op, convolution.Product):
        return _convolution_operations(e)
    sizes = [x.size for x in e.inputs if isinstance(x, Variable)]
    if isinstance(e.op, Elementwise):
        return e.output.size
    return max([e.output.size, *sizes]) if isinstance(e.op, COUNTED) else 0


def _operations_of_loop(kernel: Kernel) -> int:
    """Those of all its steps, as far as its results need them."""
    ops: list[Any] = [r.op for r in kernel.roots]
    body = ops[0].body
    needed = body.needed([op.part for op in ops])
    return body.length * sum(operations(e) for e in needed.equations)


def _convolution_operations(e: Equation) -> int:
    """Twice the products: every place of the convolution's result with every weight of its window.

    The result is what `convolution` makes, and what comes first into its two gradients.
    """
    result = e.output if isinstance(e.op, convolution.Convolution) else e.inputs[0]
    weight = e.output if isinstance(e.op, convolution.ConvolutionWeight) else e.inputs[1]
    return 2 * int(np.prod(result.shape)) * int(np.prod(weight.shape[1:]))


def rows(plan: Plan) -> list[KernelRow]:
    """A row for each kernel of a plan."""
    result = []
    for number, kernel in enumerate(plan.kernels):
        equations = fused(plan, kernel)
        places = list(dict.fromkeys(e.location for e in equations))
        result.append(
            KernelRow(
                number,
                kernel.kind.name,
                ", ".join(dict.fromkeys(describe(v) for v in kernel.makes)),
                " ".join(e.op.name for e in equations),
                kernel.kind.moved(kernel, plan.lowering.accesses),
                _operations_of_loop(kernel)
                if kernel.kind is LOOP
                else sum(operations(e) for e in equations),
                places[0] + (f" and {len(places) - 1} more" if len(places) > 1 else ""),
            )
        )
    return result


def kernel_table(plan: Plan) -> Table:
    """The kernels of a plan, readable."""
    listed = rows(plan)
    foot = (
        f"{len(listed)} kernels from {len(plan.graph.equations)} equations; "
        f"{sum(r.operations for r in listed):,} operations, {sum(r.bytes for r in listed):,} bytes"
    )
    return Table(
        ["kernel", "kind", "makes", "ops", "operations", "bytes", "from"],
        [
            [r.number, r.kind, r.makes, _short(r.ops), r.operations, r.bytes, r.where]
            for r in listed
        ],
        foot,
    )


def _short(text: str, limit: int = 48) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def plan_table(plan: Plan) -> Table:
    """The buffers of a plan: where each lies and which kernels it lives through."""
    born = {v: i for i, k in enumerate(plan.kernels) for v in k.makes}
    last: dict[Variable, int] = dict(born)
    for i, k in enumerate(plan.kernels):
        for v in k.reads:
            last[v] = i
    names = plan.graph.names()
    listed = []
    for v in dict.fromkeys([*plan.graph.inputs, *born]):
        whole, start = plan.buffers.place(v)
        if whole in plan.buffers.offsets:
            place = f"arena + {plan.buffers.offsets[whole] + start:,}"
        elif v in plan.lowering.inside:
            place = f"in {names[whole]} + {start:,}"
        elif whole is not v:
            place = f"in place of {names[whole]}"
        else:
            place = "input" if v in plan.graph.inputs else "output"
        first = f"{born[v]}" if v in born else "-"
        listed.append([names[v], describe(v), v.nbytes, place, first, f"{last.get(v, '-')}"])
    total = sum(v.nbytes for v in plan.buffers.offsets)
    foot = f"arena: {plan.buffers.scratch_offset:,} bytes for {total:,} bytes of temporary values"
    return Table(["buffer", "type", "bytes", "place", "made in", "last read in"], listed, foot)


# -- times --------------------------------------------------------------------------------------


class Profile:
    """Times of the kernels of a compiled function."""

    def __init__(self, rows: list[KernelRow], seconds: list[list[float]], limits: Limits):
        self.rows = rows
        self.seconds = seconds
        self.limits = limits

    @property
    def total(self) -> float:
        """The seconds of a step: the sum of the kernels' medians."""
        return sum(float(np.median(s)) for s in self.seconds)

    def table(self) -> Table:
        """A row a kernel, slowest first, with its share of this machine's limits."""
        listed: list[list[Any]] = []
        for r, times in zip(self.rows, self.seconds, strict=True):
            t = float(np.median(times))
            flops, bandwidth = r.operations / t / 1e9, r.bytes / t / 1e9
            share = max(flops / self.limits.gflops, bandwidth / self.limits.gigabytes)
            listed.append(
                [r.number, t * 1e6, 100 * t / self.total, flops, bandwidth, f"{100 * share:.0f} %",
                 r.kind, _short(r.ops, 40), r.where]
            )  # fmt: skip
        listed.sort(key=lambda row: -row[1])
        foot = (
            f"{self.total * 1e6:,.1f} µs a step; this machine: {self.limits.gflops:,.0f} GFLOP/s, "
            f"{self.limits.gigabytes:,.1f} GB/s"
        )
        headings = ["kernel", "µs", "%", "GFLOP/s", "GB/s", "of limit", "kind", "ops", "from"]
        return Table(headings, listed, foot)

    def save_trace(self, path: str | Path) -> None:
        """Write a trace that chrome://tracing and Perfetto open: one step, kernel after kernel."""
        events, start = [], 0.0
        for r, times in zip(self.rows, self.seconds, strict=True):
            duration = float(np.median(times)) * 1e6
            events.append(
                {
                    "name": f"{r.number} {r.kind}: {_short(r.ops)}",
                    "cat": r.kind,
                    "ph": "X",
                    "ts": start,
                    "dur": duration,
                    "pid": 0,
                    "tid": 0,
                    "args": {"makes": r.makes, "from": r.where, "operations": r.operations},
                }
            )
            start += duration
        text = json.dumps({"traceEvents": events, "displayTimeUnit": "ns"})
        write_whole(path, text.encode())

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__


@dataclass(frozen=True)
class Limits:
    """What this machine does at most on the threads in use: arithmetic and memory traffic."""

    gflops: float
    gigabytes: float


@functools.cache
def limits(threads: int) -> Limits:
    """Measure the limits: a float32 product of 1024² matrices, and a copy of 64 MiB."""
    a = np.ones((1024, 1024), np.float32)
    big = np.ones(16 * 2**20, np.float32)
    product, copy = _best(lambda x, y: x @ y, a, a), _best(lambda x: x + 1.0, big)
    return Limits(2 * 1024**3 / product / 1e9, 2 * big.nbytes / copy / 1e9)


def _best(function: Callable[..., Any], *arrays: np.ndarray) -> float:
    """The seconds of the fastest of some calls of a function, compiled."""
    leaves = tuple(map(wrap, arrays))
    with observing(alone=True), Setting(grad_enabled=False):
        plan = Plan(trace(function, leaves, {}, guarded=False))
    times = []
    for _ in range(15):
        start = time.perf_counter()
        plan.attempt(leaves)
        times.append(time.perf_counter() - start)
    return min(times)


def profile(plan: Plan, leaves: Any, times: int) -> Profile:
    """Run a plan, kernel by kernel, and time each; what the plan updates is put back afterwards."""
    split = Plan(plan.captured, split=True)
    before = [(t, t.array) for t in plan.captured.updated]
    gradients = [(t, t._grad) for t, _ in [*plan.captured.gradients, *plan.captured.handed]]
    placed = [target.keep(leaves) for target in plan.captured.placed]
    seconds: list[list[float]] = [[] for _ in split.kernels]
    try:
        for turn in range(times + 1):
            with split._lock:
                split._bind(leaves)
                for number, call in enumerate(split.calls):
                    start = time.perf_counter()
                    call(1)
                    if turn:  # the first turn warms the caches
                        seconds[number].append(time.perf_counter() - start)
                split._finish(leaves)
    finally:
        for t, array in before:
            t.array = array
        for put_back in placed:
            put_back()
        for t, gradient in gradients:
            t._grad = gradient
    return Profile(rows(split), seconds, limits(get_threads()))
