"""The native code of a contraction: tiles in registers over direct or packed operands."""

from __future__ import annotations

from dataclasses import replace

from llvmlite import ir

from . import emit
from .compute import Computation
from .emit import Index, Value
from .frame import Frame, Share, step_of
from .interface import PLAIN, Epilogue, Kernel
from .layout import ALIGNMENT, Layout
from .schedule import Schedule, choose, prepared
from .spec import Contraction
from .stage import Stage
from .sums import Nest
from .target import Machine

SIGNATURE = ir.FunctionType(
    ir.VoidType(), [emit.POINTER, emit.I64, emit.I64, emit.I64, emit.POINTER]
)


def build(
    module: ir.Module,
    name: str,
    spec: Contraction,
    epilogue: Epilogue = PLAIN,
    machine: Machine | None = None,
    schedule: Schedule | None = None,
) -> Kernel:
    """Add the function of a contraction to a module."""
    machine = machine or Machine()
    chosen_spec, chosen = choose(spec, machine)
    if schedule is not None:
        spec = prepared(spec, machine)
        chosen_spec, chosen = (spec.swapped() if schedule.swapped else spec), schedule
    layout = Layout(chosen_spec, chosen, machine)
    function = ir.Function(module, SIGNATURE, name)
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    phases = scratch = 0
    if 0 not in layout.spec.sizes[:3]:
        phases, scratch = layout.phases, layout.scratch
        _write(b, layout, epilogue, function.args)
    b.ret_void()
    return Kernel(name, phases, scratch, layout.spec, layout.schedule)


def _write(b: ir.IRBuilder, layout: Layout, epilogue: Epilogue, arguments: list[Value]) -> None:
    """Which part does what in which phase."""
    nest = Nest(layout)
    buffers, phase, part, parts, scratch = arguments
    frame = _frame(b, layout, nest, epilogue, buffers, Share(part, parts), scratch)
    number: Index = 0 if layout.steps == 1 else emit.div(b, phase, 2 if layout.packs else 1)
    if layout.streams:
        _stream(b, layout, nest, epilogue, frame, phase)
        return
    step = step_of(b, layout, number)
    computation = Computation(layout, nest, epilogue, frame, step)
    if not layout.packs:
        computation.all(b)
        return
    computing = b.icmp_unsigned("!=", b.and_(phase, emit.const(1)), emit.const(0))
    with b.if_else(computing) as (then, otherwise):
        with then:
            computation.all(b)
        with otherwise:
            Stage(layout, frame).all(b, step)


def _frame(
    b: ir.IRBuilder,
    layout: Layout,
    nest: Nest,
    epilogue: Epilogue,
    buffers: Value,
    share: Share,
    scratch: Value,
) -> Frame:
    """Pointers to operands and into scratch, and what the epilogue prepares."""
    spec = layout.spec
    segments = _tile_memory(b, layout) if nest.segment else None
    pointers = [
        b.load(emit.pointer(b, buffers, i, emit.POINTER), align=8, typ=emit.POINTER)
        for i in range(2 + len(spec.outputs) + len(spec.extras))
    ]
    if layout.schedule.swapped:
        pointers[:2] = pointers[1::-1]
    operands = [spec.a, spec.b, *spec.outputs, *spec.extras]
    firsts = tuple(
        emit.pointer(b, p, x.offset, emit.storage(x.dtype))
        for p, x in zip(pointers, operands, strict=True)
    )
    return Frame(
        share,
        firsts,
        prepared=_prepared(b, layout, epilogue, firsts),
        packed_a=scratch,
        packed_b=emit.pointer(b, scratch, layout.b_scratch, emit.I8),
        kept=emit.pointer(b, scratch, layout.kept_scratch, emit.I8),
        segments=segments,
    )


def _tile_memory(b: ir.IRBuilder, layout: Layout) -> Value:
    """Memory for the sums of one tile, also when it is turned."""
    rows, lanes, wide = layout.schedule.rows, layout.lanes, layout.wide
    size = max(rows * wide, wide * -(-rows // lanes) * lanes)
    memory = b.alloca(ir.ArrayType(layout.scalar, size))
    memory.align = ALIGNMENT
    memory.type = emit.POINTER
    return memory


def _prepared(
    b: ir.IRBuilder, layout: Layout, epilogue: Epilogue, pointers: tuple[Value, ...]
) -> list[Value]:
    """What the epilogue makes of the extras that are one element each."""
    first = 2 + len(layout.outputs)
    constants = []
    for i, x in enumerate(layout.spec.extras):
        if i not in layout.varying:
            kind = emit.storage(x.dtype)
            constants.append(b.load(pointers[first + i], align=x.dtype.itemsize, typ=kind))
    return epilogue.prepare(b, constants)


def _stream(
    b: ir.IRBuilder, layout: Layout, nest: Nest, epilogue: Epilogue, frame: Frame, phase: Value
) -> None:
    """One phase that packs B for all; then each part copies and computes its own steps.

    The copies of a part lie where those of its first step would: no two parts meet there.
    """

    def steps() -> None:
        first, last = frame.share.of(b, layout.steps)
        own = emit.pointer(b, frame.packed_a, emit.mul(b, first, layout.slot), emit.I8)
        alone = replace(frame, share=Share(), packed_a=own)

        def one(number: Index, _: list[Value]) -> list[Value]:
            step = step_of(b, layout, number)
            Stage(layout, alone).pad(b, step)
            Computation(layout, nest, epilogue, alone, step).all(b)
            return []

        emit.loop(b, first, last, one)

    if not layout.schedule.pack_b:
        steps()
        return
    computing = b.icmp_unsigned("!=", phase, emit.const(0))
    with b.if_else(computing) as (then, otherwise):
        with then:
            steps()
        with otherwise:
            Stage(layout, frame).pack_b(b, step_of(b, layout, 0))
