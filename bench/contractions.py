"""Speed of the contraction kernels beside the matrix products and convolutions of PyTorch.

    python bench/contractions.py [--filter text] [--seconds 0.3] [--dtype bfloat16]

Results are checked before anything is timed. Both sides run in turn, in short runs, many times; the
best run of each counts, and the ratio of medians is shown beside it. Ratio above 1: ours is faster.
One thread is timed by its own processor time, so that other work on the machine counts little.
Convolutions are compared with the better of PyTorch's two layouts, contiguous and channels last;
ours are always contiguous. With more threads than one, ours wait before their turn until the other
side's idle threads, which wait busily for more work, have gone to sleep.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from backlit.compiler.contraction import Contraction, ConvolutionGeometry, Machine, build, matmul
from backlit.compiler.contraction.native import Call
from backlit.compiler.llvm import machine
from backlit.dtypes import bfloat16

#: The dtypes to compare in, and the largest error that is let through.
DTYPES = {
    "float32": (torch.float32, np.dtype("float32"), 1e-4),
    "bfloat16": (torch.bfloat16, bfloat16, 1e-2),
}
#: Seconds before our turn, in which PyTorch's idle threads stop waiting busily on our processors.
ASLEEP = 0.02

#: Calls a kernel `repeats` times as one part of `parts`, meeting the others after each phase.
RUNNER = """
define void @run(ptr %kernel, ptr %buffers, i64 %phases, i64 %part, i64 %parts, ptr %scratch,
                 ptr %barrier, i64 %repeats) {
entry:
  %generation = getelementptr i64, ptr %barrier, i64 8
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i1, %repeated ]
  br label %phase
phase:
  %p = phi i64 [ 0, %next ], [ %p1, %met ]
  call void %kernel(ptr %buffers, i64 %p, i64 %part, i64 %parts, ptr %scratch)
  %now = load atomic i64, ptr %generation acquire, align 8
  %before = atomicrmw add ptr %barrier, i64 1 acq_rel
  %arrived = add i64 %before, 1
  %last = icmp eq i64 %arrived, %parts
  br i1 %last, label %open, label %wait
open:
  store atomic i64 0, ptr %barrier release, align 8
  %g1 = add i64 %now, 1
  store atomic i64 %g1, ptr %generation release, align 8
  br label %met
wait:
  %g = load atomic i64, ptr %generation acquire, align 8
  %same = icmp eq i64 %g, %now
  br i1 %same, label %wait, label %met
met:
  %p1 = add i64 %p, 1
  %more = icmp slt i64 %p1, %phases
  br i1 %more, label %phase, label %repeated
repeated:
  %i1 = add i64 %i, 1
  %again = icmp slt i64 %i1, %repeats
  br i1 %again, label %next, label %done
done:
  ret void
}
"""


#: This processor, as the compiler sees it.
TARGET = Machine(pairs=machine.engine().pairs)


def array_of(tensor: torch.Tensor) -> np.ndarray:
    """The memory of a tensor of PyTorch as an array; NumPy has no bfloat16 of its own."""
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(bfloat16)
    return tensor.numpy()


def clock(threads: int) -> Callable[[], float]:
    """Processor time of the calling thread if it works alone, else time on the wall."""
    return time.thread_time if threads == 1 else time.perf_counter


class Runner:
    """Runs calls natively with one or two threads."""

    def __init__(self) -> None:
        self.library = machine.build(machine.header() + RUNNER, ["run"])
        p, i = ctypes.c_void_p, ctypes.c_int64
        kind = ctypes.CFUNCTYPE(None, p, p, i, i, i, p, p, i)
        self.function = kind(self.library.addresses["run"])

    def time(self, call: Call, parts: int, repeats: int) -> float:
        barrier = (ctypes.c_int64 * 16)()
        kernel = ctypes.cast(call.function, ctypes.c_void_p)

        def work(part: int) -> None:
            self.function(
                kernel,
                call.buffers,
                call.kernel.phases,
                part,
                parts,
                call.scratch,
                barrier,
                repeats,
            )

        others = [threading.Thread(target=work, args=(p,)) for p in range(1, parts)]
        for t in others:
            t.start()
        if others:
            time.sleep(0.0002)
        now = clock(parts)
        start = now()
        work(0)
        taken = now() - start
        for t in others:
            t.join()
        return taken / repeats


def products() -> list[tuple[str, int, int, int, str, int]]:
    """(workload, M, N, K, transposition, batch) of the matrix products of the nine workloads."""
    found = [("playground", 10, 4, 2, "NN", 1)]

    def layer(name: str, rows: int, inputs: int, outputs: int, weights: str = "T") -> None:
        """A linear layer: y = x W (or x Wᵀ), its input gradient and its weight gradient."""
        if weights == "T":
            found.append((f"{name} y", rows, outputs, inputs, "NT", 1))
            found.append((f"{name} gx", rows, inputs, outputs, "NN", 1))
            found.append((f"{name} gw", outputs, inputs, rows, "TN", 1))
        else:
            found.append((f"{name} y", rows, outputs, inputs, "NN", 1))
            found.append((f"{name} gx", rows, inputs, outputs, "NT", 1))
            found.append((f"{name} gw", inputs, outputs, rows, "TN", 1))

    layer("two-layer 1", 64, 1000, 100, "N")
    layer("two-layer 2", 64, 100, 10, "N")
    layer("mlp 1", 128, 784, 512)
    layer("mlp 2", 128, 512, 512)
    layer("mlp 3", 128, 512, 10)
    layer("lenet 1", 64, 3136, 512)
    layer("alexnet 1", 16, 9216, 4096)
    layer("alexnet 2", 16, 4096, 4096)
    layer("alexnet 3", 16, 4096, 1000)
    layer("resnet", 32, 512, 10)
    layer("lstm x", 32, 64, 1024)
    layer("lstm h", 32, 256, 1024)
    layer("lstm all x", 2048, 64, 1024)
    layer("lstm out", 2048, 256, 65)
    layer("gru h", 32, 256, 768)
    layer("gpt qkv", 768, 128, 384)
    layer("gpt proj", 768, 128, 128)
    layer("gpt up", 768, 128, 512)
    layer("gpt down", 768, 512, 128)
    layer("gpt head", 768, 128, 65)
    found.append(("gpt scores", 64, 64, 32, "NT", 48))
    found.append(("gpt mix", 64, 32, 64, "NN", 48))
    found.append(("gpt mix gv", 64, 32, 64, "TN", 48))
    layer("ner 1", 64, 250, 100)
    layer("ner 2", 64, 100, 9)
    found.extend((f"cube {s}", s, s, s, "NN", 1) for s in (128, 256, 512, 768, 1024, 1536, 2048))
    found.extend((f"cube {s}", s, s, s, t, 1) for s in (512, 1024) for t in ("NT", "TN"))
    return found


class Product:
    """One matrix product, by us and by PyTorch, on the same arrays."""

    def __init__(self, m: int, n: int, k: int, kind: str, batch: int, dtype: str):
        torch_dtype, self.dtype, self.tolerance = DTYPES[dtype]
        torch.manual_seed(0)
        outer = (batch,) if batch > 1 else ()
        a = torch.randn(*outer, m, k).to(torch_dtype)
        b = torch.randn(*outer, k, n).to(torch_dtype)
        self.expected = (a.double() @ b.double()).numpy()
        # Transposed operands lie in memory the other way round.
        a = a.mT.contiguous() if kind[0] == "T" else a
        b = b.mT.contiguous() if kind[1] == "T" else b
        self.ta = a.mT if kind[0] == "T" else a
        self.tb = b.mT if kind[1] == "T" else b
        self.c = np.empty((*outer, m, n), self.dtype)
        self.tc = torch.empty((*outer, m, n), dtype=torch_dtype)
        turned = {"transpose_a": kind[0] == "T", "transpose_b": kind[1] == "T"}
        self.spec: Contraction = matmul(self.dtype, m, n, k, batch=outer, **turned)
        self.flops = self.spec.flops
        start = time.thread_time()
        self.kernel = build("kernel", self.spec, machine=TARGET)
        self.compile_seconds = time.thread_time() - start
        self.call = Call(self.kernel, [array_of(a), array_of(b), self.c])
        self.multiply = torch.bmm if batch > 1 else torch.mm

    def check(self) -> None:
        for parts in (1, 2):
            self.c.fill(np.nan)
            self.call.run(parts)
            error = np.abs(self.c - self.expected).max() / np.abs(self.expected).max()
            if not error < self.tolerance:
                raise SystemExit(f"wrong result: relative error {error}")

    def ours(self, runner: Runner, threads: int, repeats: int) -> float:
        return runner.time(self.call, threads, repeats)

    def others(self) -> list[Callable[[], object]]:
        return [lambda: self.multiply(self.ta, self.tb, out=self.tc)]


def convolutions() -> list[tuple[str, ConvolutionGeometry]]:
    """The convolutions of LeNet, AlexNet and ResNet-18 in the CIFAR shape."""

    def square(n: int, c: int, o: int, size: int, k: int, s: int, p: int) -> ConvolutionGeometry:
        return ConvolutionGeometry(n, c, o, (size, size), (k, k), (s, s), (p, p), (1, 1))

    return [
        ("lenet 1", square(64, 1, 32, 28, 5, 1, 2)),
        ("lenet 2", square(64, 32, 64, 14, 5, 1, 2)),
        ("alexnet 1", square(16, 3, 64, 224, 11, 4, 2)),
        ("alexnet 2", square(16, 64, 192, 27, 5, 1, 2)),
        ("alexnet 3", square(16, 192, 384, 13, 3, 1, 1)),
        ("alexnet 4", square(16, 384, 256, 13, 3, 1, 1)),
        ("alexnet 5", square(16, 256, 256, 13, 3, 1, 1)),
        ("resnet stem", square(32, 3, 64, 32, 3, 1, 1)),
        ("resnet 64", square(32, 64, 64, 32, 3, 1, 1)),
        ("resnet 64-128", square(32, 64, 128, 32, 3, 2, 1)),
        ("resnet 64-128 1", square(32, 64, 128, 32, 1, 2, 0)),
        ("resnet 128", square(32, 128, 128, 16, 3, 1, 1)),
        ("resnet 128-256", square(32, 128, 256, 16, 3, 2, 1)),
        ("resnet 128-256 1", square(32, 128, 256, 16, 1, 2, 0)),
        ("resnet 256", square(32, 256, 256, 8, 3, 1, 1)),
        ("resnet 256-512", square(32, 256, 512, 8, 3, 2, 1)),
        ("resnet 256-512 1", square(32, 256, 512, 8, 1, 2, 0)),
        ("resnet 512", square(32, 512, 512, 4, 3, 1, 1)),
    ]


class Convolved:
    """One convolution or one of its gradients, by us and by PyTorch in both layouts."""

    def __init__(self, conv: ConvolutionGeometry, kind: str, dtype: str):
        torch_dtype, numpy_dtype, self.tolerance = DTYPES[dtype]
        conv = replace(conv, dtype=numpy_dtype)
        torch.manual_seed(0)
        x = torch.randn(conv.batch, conv.inputs, *conv.sizes).to(torch_dtype)
        w = torch.randn(conv.outputs, conv.inputs, *conv.kernel).to(torch_dtype)
        gy = torch.randn(conv.batch, conv.outputs, *conv.out).to(torch_dtype)
        stride, padding = list(conv.stride), list(conv.padding)

        def call(x, w, gy):  # type: ignore[no-untyped-def]
            if kind == "y":
                return lambda: torch.conv2d(x, w, None, stride, padding)
            mask = [kind == "gx", kind == "gw", False]
            return lambda: torch.ops.aten.convolution_backward(
                gy, x, w, None, stride, padding, [1, 1], False, [0, 0], 1, mask
            )[mask.index(True)]

        last = [t.contiguous(memory_format=torch.channels_last) for t in (x, w, gy)]
        self.calls = [call(x, w, gy), call(*last)]
        self.expected = self.calls[0]().float().numpy()
        specs, left, right = {
            "y": ((conv.forward(),), x, w),
            "gx": ((conv.input_gradient(),), gy, w),
            "gw": ((conv.weight_gradient(),), x, gy),
        }[kind]
        self.flops = 2 * conv.batch * conv.outputs * conv.inputs
        self.flops *= int(np.prod(conv.out)) * int(np.prod(conv.kernel))
        self.result = np.empty(self.expected.shape, numpy_dtype)
        self.parts = []
        start = time.thread_time()
        for spec in specs:
            kernel = build("kernel", spec, machine=TARGET)
            arrays = [array_of(left), array_of(right), self.result]
            self.parts.append(Call(kernel, arrays))
        self.compile_seconds = time.thread_time() - start

    def check(self) -> None:
        for parts in (1, 2):
            self.result.fill(np.nan)
            for call in self.parts:
                call.run(parts)
            error = np.abs(self.result - self.expected).max() / np.abs(self.expected).max()
            if not error < self.tolerance:
                raise SystemExit(f"wrong result: relative error {error}")

    def ours(self, runner: Runner, threads: int, repeats: int) -> float:
        return sum(runner.time(call, threads, repeats) for call in self.parts)

    def others(self) -> list[Callable[[], object]]:
        return self.calls


def compare(
    work: Product | Convolved, runner: Runner, threads: int, seconds: float
) -> tuple[float, ...]:
    """Best and median seconds of both sides."""
    torch.set_num_threads(threads)
    now = clock(threads)
    others = work.others()
    ours: list[float] = []
    theirs: list[list[float]] = [[] for _ in others]
    once = max(work.ours(runner, threads, 2), 1e-7)
    repeats = max(1, int(seconds / 40 / once))
    for call in others:
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(ours) < 5:
        if threads > 1:
            time.sleep(ASLEEP)
        ours.append(work.ours(runner, threads, repeats))
        for call, times in zip(others, theirs, strict=True):
            start = now()
            for _ in range(repeats):
                call()
            times.append((now() - start) / repeats)
    best = min(map(min, theirs))
    median = min(map(statistics.median, theirs))
    return min(ours), statistics.median(ours), best, median


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--filter", default="")
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--dtype", default="float32", choices=DTYPES)
    options = parser.parse_args()
    threads = list(map(int, options.threads.split(",")))
    runner = Runner()
    header = f"{'kernel':<21} {'':<16} {'compile':>8}"
    for t in threads:
        header += f" | {t} thread: ours, theirs GFLOP/s, ratio best, median"
    print(header)

    def report(name: str, shape: str, make: Callable[[], Product | Convolved]) -> None:
        if options.filter not in f"{name} {shape}":
            return
        work = make()
        work.check()
        print(f"{name:<21} {shape:<16} {work.compile_seconds * 1e3:5.0f} ms", end="", flush=True)
        for t in threads:
            a, am, b, bm = compare(work, runner, t, options.seconds)
            rate = work.flops / 1e9
            print(f" | {rate / a:7.1f} {rate / b:7.1f} {b / a:6.2f} {bm / am:6.2f}", end="")
            print(end="", flush=True)
        print()

    for name, m, n, k, kind, batch in products():
        report(name, f"{m}x{n}x{k} {kind}", partial(Product, m, n, k, kind, batch, options.dtype))
    for name, conv in convolutions():
        for kind in ("y", "gx", "gw"):
            if kind == "gx" and conv.inputs <= 3:
                continue  # the data's gradient is never wanted
            report(f"conv {name}", kind, partial(Convolved, conv, kind, options.dtype))


if __name__ == "__main__":
    main()
