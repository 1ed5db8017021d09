"""Matrix products and convolutions of a graph as affine contractions."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...ops import contraction as ops
from ...ops import convolution as convolutions
from .. import contraction
from ..capture.graph import Equation, Variable
from ..contraction import PLAIN, Contraction, Epilogue, Machine, Operand, build
from ..contraction.conv import ConvolutionGeometry
from ..llvm import cache, machine
from .kinds import Kernel
from .lower import Lowering
from .views import View, row_major

Specification = tuple[Contraction, list[Variable]]


def specification(lowering: Lowering, e: Equation) -> Specification:
    """The contraction that makes an equation's output, and the buffers of its table."""
    if isinstance(e.op, ops.Matmul):
        return _matmul(lowering, e)
    bases = [lowering.view(x).base for x in e.inputs]  # type: ignore[union-attr]
    if isinstance(e.op, convolutions.ConvolutionWeight):
        bases.reverse()  # the image first
    spec = convolution(e)
    outputs = tuple(replace(out, dtype=e.output.dtype) for out in spec.outputs)
    return replace(spec, outputs=outputs), [*bases, e.output]


def convolution(e: Equation) -> Contraction:
    """The contraction of a convolution or of one of its two gradients."""
    sizes = geometry(e)
    if isinstance(e.op, convolutions.Convolution):
        return sizes.forward()
    if isinstance(e.op, convolutions.ConvolutionWeight):
        return sizes.weight_gradient()
    return sizes.input_gradient()


def geometry(e: Equation) -> ConvolutionGeometry:
    """The sizes of a convolution or of one of its two gradients."""
    op: Any = e.op
    first, second = (x.shape for x in e.inputs)
    if isinstance(op, convolutions.Convolution):
        image, weight = first, second
    elif isinstance(op, convolutions.ConvolutionInput):
        image, weight = e.output.shape, second
    else:
        image, weight = second, e.output.shape
    return ConvolutionGeometry(
        batch=image[0],
        inputs=image[1],
        outputs=weight[0],
        sizes=image[2:],
        kernel=weight[2:],
        stride=op.stride,
        padding=tuple(before for before, _ in op.padding),
        dilation=op.dilation,
        groups=op.groups,
        dtype=e.inputs[0].dtype,
    )


def _matmul(lowering: Lowering, e: Equation) -> Specification:
    a, b = (batched(lowering, x, e.output) for x in e.inputs)
    *batch, m, n = e.output.shape
    k = a.shape[-1]
    strides = row_major(e.output.shape)
    axes = [i for i, size in enumerate(batch) if size != 1]

    def outer(values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(values[i] for i in axes)

    spec = Contraction(
        batch=tuple(batch[i] for i in axes),
        m=(m,),
        n=(n,),
        k=(k,),
        a=Operand(
            a.base.dtype,
            a.base.size,
            batch=outer(a.strides),
            m=(a.strides[-2],),
            k=(a.strides[-1],),
            offset=a.offset,
        ),
        b=Operand(
            b.base.dtype,
            b.base.size,
            batch=outer(b.strides),
            k=(b.strides[-2],),
            n=(b.strides[-1],),
            offset=b.offset,
        ),
        outputs=(
            Operand(
                e.output.dtype,
                e.output.size,
                batch=outer(strides),
                m=(strides[-2],),
                n=(strides[-1],),
            ),
        ),
    )
    return spec, [a.base, b.base, e.output]


def batched(lowering: Lowering, x: Variable, out: Variable) -> View:
    """x's elements with the output's batch axes, of stride 0 where x is broadcast."""
    view = lowering.view(x)
    assert view is not None
    batch = out.shape[:-2]
    strides = [0] * (len(batch) - (len(x.shape) - 2))
    strides += [0 if n == 1 else s for n, s in zip(view.shape[:-2], view.strides[:-2], strict=True)]
    shape = (*batch, *view.shape[-2:])
    return View(view.base, shape, (*strides, *view.strides[-2:]), view.offset)


@dataclass(frozen=True)
class CompiledContraction:
    """A compiled contraction.

        void name(ptr buffers, i64 phase, i64 part, i64 parts, ptr scratch)

    Each phase is run by all threads, with a barrier before the next.
    """

    name: str
    phases: int
    scratch: int
    flops: int
    code: bytes


class ContractionKernels:
    """The contraction kernels of one plan; equal ones are shared."""

    def __init__(self, lowering: Lowering):
        self.lowering = lowering
        self.kernels: dict[tuple[Contraction, Hashable], CompiledContraction] = {}

    def of(self, kernel: Kernel) -> tuple[CompiledContraction, list[tuple[Variable, int]]]:
        """The compiled contraction of a kernel; its buffers, and where in each it begins."""
        if kernel.fused is not None:
            fused = kernel.fused
            return self._known(fused.spec, fused.epilogue, fused.code), fused.buffers
        spec, buffers = specification(self.lowering, kernel.roots[0])
        return self._known(spec), [(v, 0) for v in buffers]

    def _known(
        self, spec: Contraction, epilogue: Epilogue = PLAIN, code: str = ""
    ) -> CompiledContraction:
        key = (spec, epilogue.key)
        if key not in self.kernels:
            self.kernels[key] = _compiled(spec, epilogue, code)
        return self.kernels[key]

    @property
    def scratch(self) -> int:
        """The bytes of scratch that any one of them needs."""
        return max((k.scratch for k in self.kernels.values()), default=0)


def _compiled(spec: Contraction, epilogue: Epilogue, called: str) -> CompiledContraction:
    """The kernel of a specification, from the cache if it was compiled before."""
    key = cache.key("contraction", repr(spec), called, _generator(), *machine.engine().identity)
    name = f"contraction_{key[:24]}"
    content = cache.load(key)
    if content is None:
        kernel = build(name, spec, epilogue, target())
        facts = json.dumps({"phases": kernel.phases, "scratch": kernel.scratch}).encode()
        content = facts + b"\n" + machine.tidy_code(kernel.code, called)
        cache.store(key, content)
    facts, _, code = content.partition(b"\n")
    return CompiledContraction(name, flops=spec.flops, code=code, **json.loads(facts))


def target() -> Machine:
    """The processor that kernels are written for."""
    vector, registers = machine.engine().registers
    return Machine(vector=vector, registers=registers, pairs=machine.engine().pairs)


@functools.cache
def _generator() -> str:
    """A checksum of the code that writes the kernels: another version makes other entries."""
    h = hashlib.sha256()
    rooms = Path(contraction.__file__).parent.parent
    written = [*sorted(rooms.glob("contraction/*.py")), *sorted(rooms.glob("llvm/*.py"))]
    for path in [*written, rooms / "loops" / "epilogue.py"]:
        h.update(path.read_bytes())
    return h.hexdigest()
