"""Random programs over Tensors, the same for the same seed.

A program is a list of steps, each a function of Tensors made before. Its inputs are float64. What
jumps (comparisons, largest elements, kinks) is applied only to values that were moved but never
computed with, so that rounding cannot decide which way it goes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import backlit as bl
from backlit.nn import functional as F

SIDES = (1, 1, 2, 3, 4, 5, 8, 17, 40)
MOST = 3000  # elements of one value


@dataclass
class Value:
    """What is known of a value while the program is written."""

    shape: tuple[int, ...]
    exact: bool  # moved only: its elements are those of inputs


@dataclass
class Program:
    """Inputs and steps; `run` makes the outputs and their gradients."""

    seed: int
    kind: str = ""
    inputs: list[np.ndarray] = field(default_factory=list)
    steps: list[tuple[str, Callable[..., Any], tuple[int, ...]]] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def __repr__(self) -> str:
        lines = [f"v{i} = input{v.shape}" for i, v in enumerate(self.values[: len(self.inputs)])]
        for n, (name, _, used) in enumerate(self.steps, len(self.inputs)):
            args = ", ".join(f"v{i}" for i in used)
            lines.append(f"v{n} = {name}({args})  # {self.values[n].shape}")
        return f"{self.kind}program {self.seed}\n" + "\n".join(lines)

    def run(self, *inputs: bl.Tensor) -> list[bl.Tensor]:
        """The last values, and the gradients of a weighted sum of them to all inputs."""
        pool = [x.detach().requires_grad_() for x in inputs]
        leaves = list(pool)
        for _, function, used in self.steps:
            pool.append(function(*(pool[i] for i in used)))
        used_later = {i for _, _, used in self.steps for i in used}
        outputs = [v for i, v in enumerate(pool[len(leaves) :], len(leaves)) if i not in used_later]
        total = bl.asarray(0.0, dtype=bl.float64)
        for v in outputs:
            weights = bl.arange(v.size, dtype=bl.float64).reshape(v.shape) * 0.1 + 0.5
            total = total + (weights * v).sum()
        grads = bl.grad(total, leaves, allow_unused=True) if total.requires_grad else []
        return [*outputs, total, *(g for g in grads if g is not None)]


class Writer:
    """Writes a program step by step."""

    kind = ""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.program = Program(seed, self.kind)
        for _ in range(int(self.rng.integers(1, 4))):
            shape = self.shape(int(self.rng.integers(0, 5)))
            self.program.inputs.append(self.rng.standard_normal(shape))
            self.program.values.append(Value(shape, True))
        kinds = [name for name in dir(self) if name.startswith("do_")]
        wanted = int(self.rng.integers(4, 22))
        while len(self.program.steps) < wanted:
            getattr(self, kinds[int(self.rng.integers(len(kinds)))])()

    # -- choices ------------------------------------------------------------------------------

    def shape(self, ndim: int) -> tuple[int, ...]:
        while True:
            shape = tuple(int(self.rng.choice(SIDES)) for _ in range(ndim))
            if math.prod(shape) <= MOST:
                return shape

    def pick(self, least: int = 0, exact: bool = False) -> int | None:
        """The number of a value with at least so many axes, a late one rather than an early one."""
        fits = [
            i
            for i, v in enumerate(self.program.values)
            if len(v.shape) >= least and (v.exact or not exact)
        ]
        if not fits:
            return None
        return fits[-1 - min(int(self.rng.geometric(0.35)) - 1, len(fits) - 1)]

    def some(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def add(
        self, name: str, function: Callable[..., Any], used: tuple[int, ...], exact: bool = False
    ) -> None:
        """Append a step, if its result is not too large."""
        values = self.program.values
        tried = function(*(bl.zeros(values[i].shape, dtype=bl.float64) for i in used))
        if tried.size > MOST:
            return
        self.program.steps.append((name, function, used))
        values.append(Value(tried.shape, exact and all(values[i].exact for i in used)))

    # -- steps --------------------------------------------------------------------------------

    def do_unary(self) -> None:
        name, f = self.some(
            ("tanh", bl.tanh),
            ("sin", bl.sin),
            ("exp(-x²)", lambda x: bl.exp(-x * x)),
            ("1/(1+x²)", lambda x: 1.0 / (1.0 + x * x)),
            ("sqrt(1+x²)", lambda x: bl.sqrt(1.0 + x * x)),
            ("log1p(x²)", lambda x: bl.log1p(bl.square(x))),
            ("erf", bl.erf),
            ("3x-1", lambda x: 3.0 * x - 1.0),
            ("1.5 a long one", lambda x: bl.tanh(bl.sin(x) * bl.cos(x)) + bl.exp(-bl.square(x))),
        )
        used = self.pick()
        assert used is not None
        self.add(name, f, (used,))

    def do_jump(self) -> None:
        used = self.pick(exact=True)
        if used is None:
            return
        name, f = self.some(
            ("relu", F.relu),
            ("abs", bl.abs),
            ("clip", lambda x: bl.clip(x, -0.5, 0.7)),
            ("x > 0", lambda x: bl.astype(x > 0.0, bl.float64)),
            ("floor", bl.floor),
        )
        self.add(name, f, (used,))

    def do_binary(self) -> None:
        a = self.pick()
        assert a is not None
        shape = self.program.values[a].shape
        for _ in range(8):
            b = self.pick()
            assert b is not None
            try:
                np.broadcast_shapes(shape, self.program.values[b].shape)
            except ValueError:
                continue
            name, f = self.some(
                ("add", lambda x, y: x + y),
                ("multiply", lambda x, y: x * y),
                ("subtract", lambda x, y: x - y),
                ("x/(1+y²)", lambda x, y: x / (1.0 + y * y)),
                ("logaddexp", bl.logaddexp),
            )
            self.add(name, f, (a, b))
            return

    def do_where(self) -> None:
        mask, a = self.pick(exact=True), self.pick()
        if mask is None or a is None:
            return
        shapes = [self.program.values[i].shape for i in (mask, a)]
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            return
        self.add("where(m>0, x, 2)", lambda m, x: bl.where(m > 0.0, x, 2.0), (mask, a))

    def do_reduce(self) -> None:
        used = self.pick(1)
        if used is None:
            return
        n = len(self.program.values[used].shape)
        axes = tuple(a for a in range(n) if self.rng.random() < 0.5) or (n - 1,)
        keep = bool(self.rng.random() < 0.5)
        name, f = self.some(("sum", bl.sum), ("mean", bl.mean), ("var", bl.var))
        self.add(
            f"{name} {axes} keepdims={keep}", lambda x: f(x, axis=axes, keepdims=keep), (used,)
        )

    def do_largest(self) -> None:
        used = self.pick(1, exact=True)
        if used is None:
            return
        axis = int(self.rng.integers(len(self.program.values[used].shape)))
        name, f = self.some(
            ("max", lambda x: bl.max(x, axis=axis)),
            ("min", lambda x: bl.min(x, axis=axis, keepdims=True)),
            ("argmax", lambda x: bl.astype(bl.argmax(x, axis=axis), bl.float64)),
            ("any", lambda x: bl.astype(bl.any(x > 1.0, axis=axis), bl.float64)),
        )
        self.add(f"{name} {axis}", f, (used,))

    def do_normalise(self) -> None:
        used = self.pick(1)
        if used is None:
            return
        axis = int(self.rng.integers(len(self.program.values[used].shape)))
        name, f = self.some(("softmax", F.softmax), ("log_softmax", F.log_softmax))
        self.add(f"{name} {axis}", lambda x: f(x, axis), (used,))

    def do_running(self) -> None:
        used = self.pick(1)
        if used is None:
            return
        axis = int(self.rng.integers(len(self.program.values[used].shape)))
        self.add(f"cumulative_sum {axis}", lambda x: bl.cumulative_sum(x, axis=axis), (used,))

    def do_reshape(self) -> None:
        used = self.pick()
        assert used is not None
        shape = self.program.values[used].shape
        size = math.prod(shape)
        divisors = [d for d in range(1, size + 1) if size % d == 0]
        first = self.some(*divisors)
        new = self.some((size,), (first, size // first), (1, first, 1, size // first))
        self.add(f"reshape {new}", lambda x: x.reshape(new), (used,), exact=True)

    def do_permute(self) -> None:
        used = self.pick(2)
        if used is None:
            return
        axes = tuple(map(int, self.rng.permutation(len(self.program.values[used].shape))))
        self.add(f"permute {axes}", lambda x: bl.permute_dims(x, axes), (used,), exact=True)

    def do_broadcast(self) -> None:
        used = self.pick()
        assert used is not None
        shape = self.program.values[used].shape
        wide = tuple(self.some(2, 5) if n == 1 else n for n in shape)
        wide = self.some(wide, (self.some(1, 3), *wide))
        self.add(f"broadcast {wide}", lambda x: bl.broadcast_to(x, wide), (used,), exact=True)

    def key(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        """A slice or an integer for each axis."""
        index: list[Any] = []
        for n in shape:
            low = int(self.rng.integers(n))
            high = int(self.rng.integers(low, n)) + 1
            kinds = [slice(None), slice(low, high), slice(None, None, -1), slice(low, None, 2), low]
            index.append(kinds[int(self.rng.choice(5, p=[0.4, 0.2, 0.1, 0.15, 0.15]))])
        return tuple(index)

    def do_slice(self) -> None:
        used = self.pick(1)
        if used is None:
            return
        key = self.key(self.program.values[used].shape)
        self.add(f"x[{key}]", lambda x: x[key], (used,), exact=True)

    def do_concat(self) -> None:
        used = self.pick(1)
        if used is None:
            return
        axis = int(self.rng.integers(len(self.program.values[used].shape)))
        pieces = [used]
        rest = self.program.values[used].shape
        for i, v in enumerate(self.program.values):
            same = len(v.shape) == len(rest) and all(
                a == axis or m == n for a, (m, n) in enumerate(zip(v.shape, rest, strict=True))
            )
            if same and self.rng.random() < 0.6:
                pieces.append(i)
        self.add(
            f"concat {axis}", lambda *x: bl.concat(x, axis=axis), tuple(pieces[:7]), exact=True
        )

    def do_move(self) -> None:
        used = self.pick(1)
        if used is None:
            return
        n = len(self.program.values[used].shape)
        axis = int(self.rng.integers(n))
        name, f = self.some(
            ("flip", lambda x: bl.flip(x, axis=axis)),
            ("roll", lambda x: bl.roll(x, 1, axis=axis)),
            ("stack", lambda x: bl.stack([x, x], axis=axis)),
            ("expand", lambda x: bl.expand_dims(x, axis=axis)),
        )
        self.add(f"{name} {axis}", f, (used,), exact=True)

    def do_take(self) -> None:
        used = self.pick(1)
        if used is None:
            return
        shape = self.program.values[used].shape
        axis = int(self.rng.integers(len(shape)))
        rows = self.rng.integers(-shape[axis], shape[axis], int(self.some(1, 3, 9)))
        along = self.rng.integers(0, shape[axis], shape)
        name, f = self.some(
            ("take", lambda x: bl.take(x, bl.asarray(rows % shape[axis]), axis=axis)),
            ("take_along", lambda x: bl.take_along_axis(x, bl.asarray(along), axis=axis)),
            ("x[rows]", lambda x: bl.flip(x, axis=0)[bl.asarray(rows % shape[0])]),
        )
        self.add(f"{name} {axis}", f, (used,), exact=True)

    def do_matmul(self) -> None:
        used = self.pick(2)
        if used is None:
            return
        depth = self.program.values[used].shape[-1]
        for i, v in enumerate(self.program.values):
            if len(v.shape) == 2 and v.shape[0] == depth:
                self.add("matmul", lambda x, y: x @ y, (used, i))
                return
        self.add("x @ xᵀ", lambda x: x @ x.mT, (used,))

    def do_image(self) -> None:
        used = self.pick(2)
        if used is None:
            return
        *lead, h, w = self.program.values[used].shape
        n = math.prod(lead)
        k = self.some(1, 2, 3)
        if h < k or w < k:
            return
        stride = self.some(1, 2)
        name, f = self.some(
            ("avg_pool", lambda x: F.avg_pool2d(x.reshape((1, n, h, w)), k, stride)),
            (
                "conv",
                lambda x: F.conv2d(
                    x.reshape((1, n, h, w)),
                    bl.sin(bl.arange(2 * n * k * k, dtype=bl.float64)).reshape((2, n, k, k)),
                    stride=stride,
                    padding=k // 2,
                ),
            ),
        )
        self.add(f"{name} {k} {stride}", f, (used,))


class ChangeWriter(Writer):
    """Writes programs that also change Tensors in place."""

    kind = "changing "

    def do_write(self) -> None:
        """Item assignment to a value of its own: of a number, a part, or a row at a time."""
        used, other = self.pick(1), self.pick()
        assert other is not None
        if used is None:
            return
        shape = self.program.values[used].shape
        key = self.key(shape)
        rows = self.rng.integers(-shape[0], shape[0], int(self.some(1, 3, 9)))

        def slices(x: Any, v: Any) -> Any:
            x = x * 1.0
            x[key] = bl.tanh(v).mean()
            x[key] *= bl.sin(x[key]) + 0.5
            return x

        def at_rows(x: Any, v: Any) -> Any:
            x = bl.flip(x, axis=0)
            x[bl.asarray(rows)] = bl.tanh(x[bl.asarray(rows)]) * bl.tanh(v).mean()
            return x

        def by_rows(x: Any, v: Any) -> Any:
            y = bl.zeros(x.shape, dtype=bl.float64)
            for i in range(min(x.shape[0], 6)):
                y[-1 - i] = x[i] * bl.tanh(v).mean() + y[0]
            return y

        name, f = self.some((f"x[{key}] =", slices), (f"x[{rows}] =", at_rows), ("rows =", by_rows))
        self.add(name, f, (used, other))

    def do_change(self) -> None:
        """A value changes in place, for whatever comes later."""
        values, inputs = self.program.values, len(self.program.inputs)
        used, other = self.pick(), self.pick()
        assert used is not None
        assert other is not None
        if used < inputs or values[used].exact:
            return  # an input, or perhaps one under another name

        def added(x: Any, v: Any) -> Any:
            x += bl.tanh(v).mean()
            return x

        def scaled(x: Any, v: Any) -> Any:
            x /= 1.0 + v.mean() ** 2
            x -= 0.25
            return x

        name, f = self.some(("+=", added), ("/=, -=", scaled))
        self.add(name, f, (used, other))
        values[used].exact = False

    def do_mask(self) -> None:
        used = self.pick(1, exact=True)
        other = self.pick()
        assert other is not None
        if used is None:
            return

        def masked(x: Any, v: Any) -> Any:
            y = bl.tanh(x)
            y[x > 0.1] = bl.tanh(v).mean()
            return y

        self.add("y[x > 0] =", masked, (used, other))


class LoopWriter(ChangeWriter):
    """Writes a program with recurrences, whose steps read values around them."""

    kind = "looping "

    def do_scan(self) -> None:
        """A recurrence over the first axis."""
        used, other = self.pick(1), self.pick()
        assert other is not None
        if used is None:
            return
        reverse, last = bool(self.rng.integers(2)), bool(self.rng.integers(2))

        def decays(c: Any, x: Any, v: Any) -> Any:
            c = bl.tanh(0.7 * c + x * bl.tanh(v).mean())
            return c, c

        def swaps(c: Any, x: Any, v: Any) -> Any:
            a, b = c
            return (b + bl.sin(x), a * 0.5), (a - b) * bl.tanh(v).sum()

        def moves(c: Any, x: Any, v: Any) -> Any:
            row = bl.concat([x.reshape(-1), c[None]])
            row[0] = c
            row = bl.cumulative_sum(bl.flip(bl.tanh(row)))
            return row.mean(), bl.where(row > 0.5, row, bl.tanh(v).mean())

        def counts(c: Any, x: Any, v: Any) -> Any:
            n, total = c
            return (n + 1, total / 2 + x.mean()), (bl.exp(-x * x) / (1 + n) + total)

        def within(c: Any, x: Any, v: Any) -> Any:
            steps = bl.asarray(np.array([0.5, -1.0]))
            return bl.scan(lambda c, s: (bl.tanh(c * s + x), c * bl.tanh(v).mean()), c, steps)

        zero = bl.asarray(0.0, dtype=bl.float64)
        name, f, start = self.some(
            ("decays", decays, lambda x: x[0] * 1.0),
            ("swaps", swaps, lambda x: (x[-1] * 0.5, bl.zeros_like(x[0]))),
            ("moves", moves, lambda x: zero),
            ("counts", counts, lambda x: (bl.asarray(0), zero)),
            ("within", within, lambda x: x[0] * 1.0),
        )

        def scanned(x: Any, v: Any) -> Any:
            carry, y = bl.scan(lambda c, row: f(c, row, v), start(x), x, reverse=reverse)
            carry = carry if isinstance(carry, tuple) else (carry,)
            return carry[-1] if last else y + sum(c.sum() for c in carry[1:])

        self.add(f"scan {name} {reverse}", scanned, (used, other))


def program(seed: int) -> Program:
    """The program of that number."""
    return Writer(seed).program


def changing_program(seed: int) -> Program:
    """One with changes in place."""
    return ChangeWriter(seed).program


def looping_program(seed: int) -> Program:
    """One with recurrences, and changes in place."""
    return LoopWriter(seed).program
