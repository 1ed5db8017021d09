"""Matrix products and convolutions of a graph as affine contractions."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ..ops import contraction as ops
from .contraction import Contraction, Kernel, Operand, build
from .graph import Equation, Variable
from .lower import Lowering, View, row_major


def specification(lowering: Lowering, e: Equation) -> tuple[Contraction, list[Variable]]:
    """What an equation contracts, and the buffers in the order of the kernel's table."""
    assert isinstance(e.op, ops.Matmul)
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
    strides += [
        0 if n == 1 else s for n, s in zip(view.shape[:-2], view.strides[:-2], strict=True)
    ]
    shape = (*batch, *view.shape[-2:])
    return View(view.base, shape, (*strides, *view.strides[-2:]), view.offset)


class Products:
    """The contraction kernels of one plan, equal ones shared, in a module of their own."""

    def __init__(self, lowering: Lowering):
        self.lowering = lowering
        self.module = ir.Module()
        self.kernels: dict[Any, Kernel] = {}

    def kernel(self, e: Equation) -> tuple[Kernel, list[Variable]]:
        """The kernel of an equation and its buffers."""
        spec, buffers = specification(self.lowering, e)
        known = self.kernels.get(spec)
        if known is None:
            known = build(self.module, f"contraction{len(self.kernels)}", spec)
            self.kernels[spec] = known
        return known, buffers

    @property
    def scratch(self) -> int:
        """The bytes of scratch that any one of them needs."""
        return max((k.scratch for k in self.kernels.values()), default=0)
