"""Random programs of more kinds: four floating dtypes, integers, truth values, images, state.

What `programs` writes, and besides: steps in every direction, pooling, convolutions with all that
they have, sorts, scattered sums, random numbers, sides that are primes or larger than any vector,
numbers that integer types do not hold, ops that check values. Each is run once more with a step
that has to be refused.

    python -m compiler.wide_programs compare 0 1000     natively, by the interpreter and eagerly
    python -m compiler.wide_programs compile 0 1000     LLVM's passes only
"""

from __future__ import annotations

import contextlib
import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

import backlit as bl
from backlit.compiler import interpreter, native
from backlit.compiler.llvm import machine
from backlit.errors import BacklitError
from backlit.nn import functional as F
from compiler.programs import Program, Value, Writer

SMALL = (*range(1, 18), 1, 1, 2, 3)
LARGE = (1, 2, 3, 19, 31, 37, 64, 67, 101, 128, 257, 1031)
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
#: How far compiled code may be from the interpreter, as a share of the largest element.
TOLERANCE = {"float64": 1e-9, "float32": 5e-4, "float16": 0.05, "bfloat16": 0.4}


@dataclass(repr=False)
class WideProgram(Program):
    """A program in one dtype that may keep state."""

    dtype: Any = bl.float64
    calls: int = 1
    kept: tuple[tuple[int, int], ...] = ()  # (input, value): a Tensor and what replaces it

    def run(self, *inputs: bl.Tensor) -> list[bl.Tensor]:
        """The values that no step uses, and the gradients of a weighted sum of them."""
        leaves = [x.detach().requires_grad_() for x in inputs]
        pool = list(leaves)
        for _, function, used in self.steps:
            pool.append(function(*(pool[i] for i in used)))
        wanted = {i for _, _, used in self.steps for i in used}
        outputs = [v for i, v in enumerate(pool[len(leaves) :], len(leaves)) if i not in wanted]
        total = bl.asarray(0.0, dtype=bl.float64)
        for v in outputs:
            weights = bl.cos(bl.arange(v.size, dtype=bl.float64)).reshape(v.shape)
            total = total + (weights * v.astype("float64")).sum()
        grads = bl.grad(total, leaves, allow_unused=True) if total.requires_grad else []
        for place, value in self.kept:
            inputs[place].assign(bl.tanh(pool[value].detach()))
        return [*outputs, *(g for g in grads if g is not None)]

    def results(self, executor: Any = None, repeat: bool = False) -> list[np.ndarray]:
        """What the last call gives, and the state after it; eager without an executor."""
        bl.manual_seed(self.seed)
        state = {place for place, _ in self.kept}
        tensors = [bl.asarray(a, dtype=self.dtype) for a in self.inputs]

        def step(*arguments: bl.Tensor) -> list[bl.Tensor]:
            given = iter(arguments)
            return self.run(*(t if i in state else next(given) for i, t in enumerate(tensors)))

        arguments = [t for i, t in enumerate(tensors) if i not in state]
        call = step if executor is None else bl.compile(step, executor=executor)
        if repeat:
            found = call.repeat(self.calls, *arguments)
        else:
            for _ in range(self.calls):
                found = call(*arguments)
        return [t.numpy() for t in (*found, *(tensors[i] for i in sorted(state)))]

    def difference(self, got: list[np.ndarray], want: list[np.ndarray]) -> str | None:
        """In words what the results differ in, if they do."""
        for n, (a, b) in enumerate(zip(got, want, strict=True)):
            if a.shape != b.shape or a.dtype != b.dtype:
                return f"output {n}: {a.dtype}{a.shape} and {b.dtype}{b.shape}"
            x, y = a.astype(np.float64), b.astype(np.float64)
            finite = np.isfinite(y)
            if not np.array_equal(x[~finite], y[~finite], equal_nan=True):
                return f"output {n}: other numbers are not finite"
            bound = TOLERANCE[self.dtype.name] * max(1.0, np.abs(y[finite]).max(initial=0))
            far = np.abs(x[finite] - y[finite]).max(initial=0)
            if not far <= bound:
                return f"output {n}: {far} apart, more than {bound}"
        return None


class WideWriter(Writer):
    """Writes a program step by step."""

    program: WideProgram

    def __init__(self, seed: int):
        self.rng = np.random.default_rng((seed, 1))
        names = ("float32", "float64", "float16", "bfloat16")
        dtype = getattr(bl, str(self.rng.choice(names, p=(0.45, 0.25, 0.15, 0.15))))
        self.program = WideProgram(seed, dtype=dtype)
        self.sides = self.some(SMALL, SMALL, LARGE, (*SMALL, *LARGE))
        self.most = self.some(3000, 3000, 40_000)
        stateful = bool(self.rng.random() < 0.25)  # then no input is known exactly for long
        for _ in range(int(self.rng.integers(1, 4))):
            shape = self.shape(int(self.rng.integers(0, 5)))
            self.program.inputs.append(self.rng.standard_normal(shape))
            self.program.values.append(Value(shape, not stateful))
        kinds = [name for name in dir(self) if name.startswith("do_")]
        wanted = int(self.rng.integers(1, 14))
        for _ in range(100):
            if len(self.program.steps) >= wanted:
                break
            with contextlib.suppress(ValueError, IndexError):  # an axis without elements
                getattr(self, kinds[int(self.rng.integers(len(kinds)))])()
        if stateful:
            self.keep()

    def shape(self, ndim: int) -> tuple[int, ...]:
        while True:
            shape = tuple(int(self.rng.choice(self.sides)) for _ in range(ndim))
            if math.prod(shape) <= self.most:
                return shape
            ndim = max(1, ndim - 1)

    def add(self, name, function, used, exact=False) -> None:
        """Append a step whose result is of this dtype, if it can be made and is not too large."""
        program = self.program

        def step(*x):
            y = function(*x)
            return y if y.dtype == program.dtype else y.astype(program.dtype)

        try:
            tried = step(*(bl.zeros(program.values[i].shape, dtype=program.dtype) for i in used))
        except (ValueError, TypeError):
            return
        if tried.size > self.most:
            return
        program.steps.append((name, step, used))
        program.values.append(
            Value(tried.shape, exact and all(program.values[i].exact for i in used))
        )

    def keep(self) -> None:
        """Make state of inputs for which there is a value of their shape."""
        program = self.program
        program.calls = self.some(2, 3, 5)
        kept = []
        for place in range(len(program.inputs)):
            shape = program.values[place].shape
            fits = [i for i, v in enumerate(program.values) if v.shape == shape and i != place]
            if fits and self.rng.random() < 0.7:
                kept.append((place, self.some(*fits)))
        program.kept = tuple(kept)

    def axis(self, used: int) -> int:
        return int(self.rng.integers(len(self.program.values[used].shape)))

    # -- element-wise -------------------------------------------------------------------------

    def do_library(self) -> None:
        used = self.pick()
        name, f = self.some(
            ("sinh", lambda x: bl.sinh(bl.tanh(x))),
            ("atan", bl.atan),
            ("asinh", bl.asinh),
            ("expm1", lambda x: bl.expm1(bl.tanh(x))),
            ("log2", lambda x: bl.log2(2.0 + bl.square(bl.tanh(x)))),
            ("pow", lambda x: bl.pow(1.5 + bl.tanh(x), 2.5)),
            ("cube", lambda x: bl.tanh(x) ** 3),
            ("gelu", F.gelu),
            ("sigmoid", bl.sigmoid),
            ("softplus", F.softplus),
            ("hypot", lambda x: bl.hypot(x, bl.cos(x))),
            ("atan2", lambda x: bl.atan2(x, 1.0 + bl.square(x))),
            ("reciprocal", lambda x: bl.reciprocal(2.0 + bl.tanh(x))),
        )
        self.add(name, f, (used,))

    def do_whole(self) -> None:
        used = self.pick(exact=True)
        if used is None:
            return
        dtype = getattr(bl, self.some("int8", "int16", "int32", "int64"))
        name, f = self.some(
            ("bits", lambda x: (bl.round(x).astype(dtype) & 3) ^ 5),
            ("shift", lambda x: bl.bitwise_left_shift(bl.abs(bl.trunc(x)).astype(dtype), 2)),
            ("remainder", lambda x: bl.remainder(bl.floor(x * 8.0).astype(dtype), 3)),
            ("floor_divide", lambda x: bl.floor_divide(bl.floor(x * 8.0).astype(dtype), -3)),
            ("whole sum", lambda x: bl.sum(bl.round(x).astype(dtype), axis=-1)),
            ("count", lambda x: bl.count_nonzero(x > 0.0, axis=0)),
            ("sign", lambda x: bl.sign(x) + bl.signbit(x).astype(x.dtype)),
            ("logic", lambda x: bl.logical_xor(x > 0.5, bl.logical_not(x < -0.5))),
            ("whole max", lambda x: bl.max(bl.round(x * 4.0).astype(dtype), axis=0)),
            ("whole running", lambda x: bl.cumulative_sum(bl.round(x).astype(bl.int32), axis=-1)),
        )
        self.add(f"{name} {dtype.name}", f, (used,))

    def do_odd(self) -> None:
        """Numbers at the ends of an integer type and outside it."""
        used = self.pick(exact=True)
        if used is None:
            return
        info = bl.iinfo(self.some(*INTEGERS))
        dtype, end, scale = (
            info.dtype,
            self.some(info.min, info.max),
            self.some(90, 1e5, 1e10, 1e20),
        )
        outside = self.some(-1, info.max + 1, info.min - 1, 300, 2**40, 2**63, -(2**70))
        nothing = self.some(math.nan, math.inf, -math.inf)
        name, f = self.some(
            ("cast", lambda x: (x * scale).astype(dtype)),
            ("cast of no number", lambda x: bl.where(x > 0.3, x, nothing).astype(dtype)),
            ("beyond the end", lambda x: bl.floor(x * 8.0).astype(dtype) + end),
            ("end", lambda x: bl.minimum(bl.floor(x * 8.0).astype(dtype), end)),
            ("shift", lambda x: bl.floor(x * 8.0).astype(dtype) << 70 % (info.bits + 2)),
            ("full", lambda x: bl.full(x.shape, scale, dtype=dtype) + x.astype(dtype)),
        )
        compare = self.some(bl.less, bl.greater_equal, bl.equal, bl.not_equal)
        kinds = [
            (name, lambda x: bl.remainder(f(x), 97)),
            ("compare", lambda x: compare(f(x), outside)),
        ]
        name, g = self.some(*kinds)
        self.add(f"{name} {dtype.name} {end} {scale} {outside} {nothing}", g, (used,))

    def do_checked(self) -> None:
        """Ops that look at values, which are all right."""
        used = self.pick(1)
        if used is None:
            return
        n = self.program.values[used].shape[0]
        dtype = self.some(*INTEGERS)
        rows = bl.asarray(self.rng.integers(0, min(n, 100), 5).astype(dtype))
        half = bl.asarray(0.5, dtype=self.program.dtype)
        name, f = self.some(
            (
                "binary_cross_entropy",
                lambda x: F.binary_cross_entropy(
                    0.1 + 0.8 * bl.sigmoid(x), bl.broadcast_to(half, x.shape), reduction="none"
                ),
            ),
            ("embedding", lambda x: F.embedding(rows, x.reshape((n, -1)))),
            ("nll_loss", lambda x: F.nll_loss(bl.tanh(x).reshape((1, n, -1))[..., 0], rows[:1])),
            ("margin", lambda x: F.multi_margin_loss(x.reshape((1, n, -1))[..., 0], rows[:1], p=2)),
            ("whole power", lambda x: bl.pow(bl.ones(5, dtype=dtype) + 1, rows % 3) + 0 * x.sum()),
        )
        self.add(f"{name} {dtype}", f, (used,))

    def do_compare(self) -> None:
        a, b = self.pick(exact=True), self.pick(exact=True)
        if a is None or b is None:
            return
        name, f = self.some(
            ("larger", bl.maximum),
            ("where", lambda x, y: bl.where(x > y, x, y * 2.0)),
            ("where of both", lambda x, y: bl.where((x > 0.0) & (y < 0.5), x - y, y + x)),
            ("copysign", bl.copysign),
        )
        self.add(name, f, (a, b))

    def do_random(self) -> None:
        used = self.pick()
        shape = self.program.values[used].shape
        name, f = self.some(
            ("mask", lambda x: bl.where(bl.random.uniform(shape) < 0.7, x, 0.0)),
            ("noise", lambda x: x + bl.random.uniform(shape).astype(x.dtype)),
        )
        self.add(name, f, (used,))

    # -- movement -----------------------------------------------------------------------------

    def do_steps(self) -> None:
        """A slice with steps forwards and backwards, along several axes."""
        used = self.pick(1)
        if used is None:
            return
        key = []
        for n in self.program.values[used].shape:
            step = self.some(1, 1, -1, -1, 2, -2, 3, -3)
            low, high = sorted(map(int, self.rng.integers(0, n + 1, 2)))
            low, high = self.some((low, max(high, low + 1)), (0, n), (0, n))
            forward = slice(low, high, step)
            key.append(forward if step > 0 else slice(high - 1, low - 1 if low else None, step))
        index = tuple(key)
        self.add(f"x[{index}]", lambda x: x[index], (used,), exact=True)

    def do_mirror(self) -> None:
        """Reading forwards and backwards in one loop."""
        used = self.pick(1)
        if used is None:
            return
        n = len(self.program.values[used].shape)
        axes = tuple(a for a in range(n) if self.rng.random() < 0.6) or (0,)
        other = (self.axis(used),)
        name, f = self.some(
            ("x + flip", lambda x: bl.flip(x, axis=axes) * 0.5 + x),
            ("flip · flip", lambda x: bl.flip(x, axis=axes) * bl.flip(x, axis=other)),
            ("Σ x + flip", lambda x: bl.sum(bl.flip(x, axis=axes) * 0.5 + x, axis=other)),
            ("Σ flip", lambda x: bl.sum(bl.flip(x, axis=axes) + x)),
            ("x ± roll", lambda x: bl.roll(bl.flip(x, axis=axes), 2, axis=other[0]) - x),
        )
        self.add(f"{name} {axes} {other}", f, (used,))

    def do_shape(self) -> None:
        used = self.pick(1)
        if used is None:
            return
        axis, n = self.axis(used), len(self.program.values[used].shape)
        width = [(self.some(0, 1, 2), self.some(0, 1, 3)) for _ in range(n)]
        k = int(self.rng.integers(-2, 3))
        name, f = self.some(
            (f"pad {width}", lambda x: bl.pad(x, width, value=0.25)),
            ("repeat", lambda x: bl.repeat(x, 3, axis=axis)),
            ("tile", lambda x: bl.tile(x, (2,) * n)),
            ("tril", lambda x: bl.tril(x, k=k)),
            ("triu", lambda x: bl.triu(x, k=k)),
            ("diff", lambda x: bl.diff(x, axis=axis)),
            ("turned", lambda x: bl.permute_dims(x, tuple(range(n))[::-1])),
        )
        self.add(f"{name} {axis} {k}", f, (used,), exact=name not in ("diff",))

    def do_sort(self) -> None:
        used = self.pick(1, exact=True)
        if used is None:
            return
        axis, down = self.axis(used), bool(self.rng.random() < 0.5)
        name, f = self.some(
            ("sort", lambda x: bl.sort(x, axis=axis, descending=down)),
            ("argsort", lambda x: bl.argsort(x, axis=axis, descending=down)),
            ("argmin", lambda x: bl.argmin(x, axis=axis, keepdims=True)),
        )
        self.add(f"{name} {axis} {down}", f, (used,), exact=name == "sort")

    def do_gather(self) -> None:
        used = self.pick(2)
        if used is None:
            return
        shape = self.program.values[used].shape
        count = self.some((1,), (5,), (33,), (2, 3))
        i, j = (bl.asarray(self.rng.integers(-n, n, count)) for n in shape[:2])
        name, f = self.some(
            ("x[i, j]", lambda x: x[i, j]),
            ("x[i]", lambda x: x[i]),
            ("x[:, j]", lambda x: x[:, j]),
            ("x[i] of a flip", lambda x: bl.flip(x, axis=1)[i] * 2.0),
        )
        self.add(f"{name} {count}", f, (used,), exact=True)

    # -- folds --------------------------------------------------------------------------------

    def do_fold(self) -> None:
        used = self.pick(1)
        if used is None:
            return
        n = len(self.program.values[used].shape)
        axes = tuple(a for a in range(n) if self.rng.random() < 0.5) or None
        keep = bool(self.rng.random() < 0.4)
        name, f = self.some(
            ("sum²", lambda x: bl.sum(bl.square(bl.tanh(x)), axis=axes, keepdims=keep)),
            ("var", lambda x: bl.var(bl.cos(x), axis=axes, keepdims=keep)),
            ("logsumexp", lambda x: bl.logsumexp(bl.tanh(x), axis=axes, keepdims=keep)),
            ("prod", lambda x: bl.prod(1.0 + 0.01 * bl.tanh(x), axis=axes, keepdims=keep)),
            ("norm", lambda x: bl.vector_norm(1.5 + bl.tanh(x), axis=axes, keepdims=keep)),
        )
        self.add(f"{name} {axes} {keep}", f, (used,))

    def do_extreme(self) -> None:
        used = self.pick(1, exact=True)
        if used is None:
            return
        n = len(self.program.values[used].shape)
        axes = tuple(a for a in range(n) if self.rng.random() < 0.5) or None
        name, f = self.some(("max", bl.max), ("min", bl.min))
        self.add(f"{name} {axes}", lambda x: f(x, axis=axes), (used,), exact=True)

    def do_running_product(self) -> None:
        used = self.pick(1)
        if used is None:
            return
        axis = self.axis(used)
        name, f = self.some(
            ("product", lambda x: bl.cumulative_prod(1.0 + 0.01 * bl.tanh(x), axis=axis)),
            ("backwards", lambda x: bl.cumulative_sum(bl.flip(bl.cos(x), axis=axis), axis=axis)),
        )
        self.add(f"running {name} {axis}", f, (used,))

    def do_norm(self) -> None:
        used = self.pick(2)
        if used is None:
            return
        shape = self.program.values[used].shape
        labels = bl.asarray(self.rng.integers(0, shape[1], shape[0]))
        name, f = self.some(
            ("layer_norm", lambda x: F.layer_norm(x, (shape[-1],), eps=0.1)),
            ("group_norm", lambda x: F.group_norm(x, 1, eps=0.1)),
            (
                "cross_entropy",
                lambda x: F.cross_entropy(x.reshape((*shape[:2], -1))[..., 0], labels),
            ),
            ("attention", lambda x: F.scaled_dot_product_attention(*(3 * [bl.tanh(x)]))),
        )
        self.add(name, f, (used,))

    # -- products and images ------------------------------------------------------------------

    def do_product(self) -> None:
        used = self.pick(2)
        if used is None:
            return
        *_, m, n = self.program.values[used].shape
        width = self.some(1, 2, 3, 7, 16, 17, 33, 65)
        kernel = np.cos(np.arange(float(n * width))).reshape(n, width) / n
        weight = bl.asarray(kernel, dtype=self.program.dtype)
        name, f = self.some(
            ("x @ w", lambda x: x @ weight),
            ("wᵀ @ xᵀ", lambda x: weight.mT @ x.mT),
            ("flip(x) @ w", lambda x: bl.flip(x, axis=-1) @ weight),
            ("einsum", lambda x: bl.einsum("...ij,jk->...k", x, weight) / m),
            ("xᵀ x", lambda x: bl.tanh(x).mT @ bl.tanh(x) / m),
        )
        self.add(f"{name} {width}", f, (used,))

    def do_images(self) -> None:
        used = self.pick(2)
        if used is None:
            return
        *lead, h, w = self.program.values[used].shape
        n = math.prod(lead)
        groups = self.some(1, 1, *(g for g in (2, 3) if n % g == 0))
        kernel = (self.some(1, 2, 3, 5), self.some(1, 2, 3, 4))
        stride = (self.some(1, 2, 3), self.some(1, 1, 2))
        padding = (self.some(0, 1, 2), self.some(0, 0, 1, 3))
        dilation = (self.some(1, 1, 2), self.some(1, 1, 3))
        outputs = groups * self.some(1, 2, 5)
        share = n // groups
        size = outputs * share * math.prod(kernel)
        numbers = np.cos(np.arange(float(size))) / (share * math.prod(kernel))
        forward = numbers.reshape(outputs, share, *kernel)
        weight = bl.asarray(forward, dtype=self.program.dtype)
        back = bl.asarray(numbers.reshape(n, outputs // groups, *kernel), dtype=self.program.dtype)
        half = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))

        def image(x):
            return x.reshape((1, n, h, w))

        def convolved(x):
            return F.conv2d(image(x), weight, None, stride, padding, dilation, groups)

        def transposed(x):
            return F.conv_transpose2d(image(x), back, None, stride, padding, 0, groups, dilation)

        def of_weights(x):
            """The image as the kernel: its gradient is that of the weights."""
            small = bl.cos(bl.arange(n * 49, dtype=bl.float64)).reshape((1, n, 7, 7))
            return F.conv2d(small.astype(x.dtype), image(x)[:, :, :3, :3], padding=1)

        name, f = self.some(
            ("conv", convolved),
            ("conv", convolved),
            ("transposed", transposed),
            ("weights", of_weights),
            ("avg_pool", lambda x: F.avg_pool2d(image(x), kernel, stride, half)),
            ("max_pool", lambda x: F.max_pool2d(image(x), kernel, stride, half)),
        )
        if name == "max_pool" and not self.program.values[used].exact:
            return
        what = f"{name} {kernel} stride {stride} padding {padding} dilation {dilation} / {groups}"
        self.add(what, f, (used,))


def wide_program(seed: int) -> WideProgram:
    """The program of that number."""
    return WideWriter(seed).program


#: Steps that eager execution refuses because of a value.
SPOILERS = (
    lambda x: F.binary_cross_entropy(1.5 + bl.square(x), bl.ones_like(x)),
    lambda x: F.cross_entropy(x.reshape((1, -1)), bl.asarray([x.size])),
    lambda x: F.nll_loss(x.reshape((1, -1)), bl.asarray([-1]), ignore_index=-2),
    lambda x: F.embedding(bl.asarray([0, -1]), x.reshape((-1, 1))),
    lambda x: bl.take(x.reshape((-1,)), bl.asarray([x.size]), axis=0),
    lambda x: bl.pow(bl.isnan(x).astype("int64"), bl.asarray([-1])).astype(x.dtype),
)


def refusal(seed: int, executor: Any) -> str | None:
    """The kind of error that a program ends with if one of its values goes into a bad step."""
    program = wide_program(seed)
    used = seed % len(program.values)
    program.steps.append(("bad", SPOILERS[seed % len(SPOILERS)], (used,)))
    try:
        program.results(executor)
    except BacklitError as error:
        return type(error).__name__
    return None


def compare(seeds: range) -> None:
    """Run programs natively and by the interpreter; print the number of each before it runs."""
    for seed in seeds:
        print(seed, flush=True)
        program = wide_program(seed)
        with np.errstate(all="ignore"):
            want = program.results(interpreter)
        found = program.difference(program.results(native), want)
        if found is None and program.kept:
            found = program.difference(program.results(native, repeat=True), want)
        with np.errstate(all="ignore"):
            found = found or program.difference(program.results(), want)
        assert found is None, f"{found}: {program.dtype.name} {program}, kept {program.kept}"
        kinds = {refusal(seed, executor) for executor in (None, interpreter, native)}
        assert len(kinds) == 1, f"a bad step ends with {kinds}: {program}"
        assert kinds != {None}, f"a bad step is not refused: {program}"


class CompiledError(Exception):
    """The code is made, and not to be run."""


def compile_only(seeds: range) -> None:
    """Make the machine code of programs; print the number of each before."""

    def build(text: str, *_: Any) -> Any:
        machine.engine().optimised(text)
        raise CompiledError

    machine.engine().optimised("")
    machine.build = build
    bl.set_native_ops(False)
    for seed in seeds:
        print(seed, flush=True)
        with contextlib.suppress(CompiledError):
            wide_program(seed).results(native)


if __name__ == "__main__":
    {"compare": compare, "compile": compile_only}[sys.argv[1]](range(*map(int, sys.argv[2:])))
