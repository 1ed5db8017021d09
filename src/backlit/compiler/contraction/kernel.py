"""The function of a contraction: which phase packs and which computes, and for which step."""

from __future__ import annotations

from dataclasses import replace

from ..llvm.builder import Function, Index, Value
from ..llvm.scalar import memory_type
from .frame import Frame, Share
from .interface import PLAIN, Epilogue, Kernel
from .layout import ALIGNMENT, Layout
from .macrokernel import Macrokernel
from .microkernel import Nest
from .packing import Packing
from .schedule import Schedule, choose, prepared
from .spec import Contraction
from .target import Machine

PARAMETERS = (
    ("ptr", "buffers"), ("i64", "phase"), ("i64", "part"), ("i64", "parts"), ("ptr", "scratch"),
)  # fmt: skip


def build(
    name: str,
    spec: Contraction,
    epilogue: Epilogue = PLAIN,
    machine: Machine | None = None,
    schedule: Schedule | None = None,
) -> Kernel:
    """Write the function of a contraction."""
    machine = machine or Machine()
    chosen_spec, chosen = choose(spec, machine)
    if schedule is not None:
        spec = prepared(spec, machine)
        chosen_spec, chosen = (spec.swapped() if schedule.swapped else spec), schedule
    layout = Layout(chosen_spec, chosen, machine)
    f = Function(name, PARAMETERS, "nounwind")
    phases = scratch = 0
    if 0 not in layout.spec.sizes[:3]:
        phases, scratch = layout.phases, layout.scratch
        _write(f, layout, epilogue)
    f.finish()
    return Kernel(name, phases, scratch, layout.spec, layout.schedule, f.module())


def _write(f: Function, layout: Layout, epilogue: Epilogue) -> None:
    """Which part does what in which phase."""
    frame = _frame(f, layout, epilogue)
    phase = f.argument("phase")
    if layout.streams:
        _stream(frame, phase)
        return
    number: Index = 0 if layout.steps == 1 else phase // (2 if layout.packs else 1)
    step = frame.step(number)
    if not layout.packs:
        Macrokernel(frame, step).all()
        return
    with f.either((phase & 1).compare("ne", 0)) as (then, otherwise):
        with then:
            Macrokernel(frame, step).all()
        with otherwise:
            Packing(frame).all(step)


def _frame(f: Function, layout: Layout, epilogue: Epilogue) -> Frame:
    """Pointers to operands and into scratch, and what the epilogue prepares."""
    spec, buffers, scratch = layout.spec, f.argument("buffers"), f.argument("scratch")
    nest = Nest(layout)
    segments = _tile_memory(f, layout) if nest.segment else None
    operands = [spec.a, spec.b, *spec.outputs, *spec.extras]
    pointers = [f.load("ptr", buffers.at(i, "ptr")) for i in range(len(operands))]
    if layout.schedule.swapped:
        pointers[:2] = pointers[1::-1]
    firsts = tuple(
        p.at(x.offset, memory_type(x.dtype)) for p, x in zip(pointers, operands, strict=True)
    )
    return Frame(
        f,
        layout,
        nest,
        epilogue,
        Share(f.argument("part"), f.argument("parts")),
        firsts,
        prepared=_prepared(f, layout, epilogue, firsts),
        packed_a=scratch,
        packed_b=scratch.at(layout.b_scratch, "i8"),
        kept=scratch.at(layout.kept_scratch, "i8"),
        segments=segments,
    )


def _tile_memory(f: Function, layout: Layout) -> Value:
    """Memory for the sums of one tile, also when it is turned."""
    rows, lanes, wide = layout.schedule.rows, layout.lanes, layout.wide
    size = max(rows * wide, wide * -(-rows // lanes) * lanes)
    return f.alloca(layout.scalar, size, ALIGNMENT)


def _prepared(
    f: Function, layout: Layout, epilogue: Epilogue, pointers: tuple[Value, ...]
) -> list[Value]:
    """What the epilogue makes of the extras that are one element each."""
    first = 2 + len(layout.outputs)
    constants = [
        f.load(memory_type(x.dtype), pointers[first + i])
        for i, x in enumerate(layout.spec.extras)
        if i not in layout.varying
    ]
    return epilogue.prepare(f, constants)


def _stream(frame: Frame, phase: Value) -> None:
    """One phase that packs B for all; then each part copies and computes its own steps.

    The copies of a part lie where those of its first step would: no two parts meet there.
    """
    f, layout = frame.f, frame.layout

    def steps() -> None:
        first, last = frame.share.of(layout.steps)
        own = frame.packed_a.at(first * layout.slot, "i8")
        alone = replace(frame, share=Share(), packed_a=own)

        def one(number: Index) -> None:
            step = alone.step(number)
            Packing(alone).pad(step)
            Macrokernel(alone, step).all()

        f.repeat(first, last, one)

    if not layout.schedule.pack_b:
        steps()
        return
    with f.either(phase.compare("ne", 0)) as (then, otherwise):
        with then:
            steps()
        with otherwise:
            Packing(frame).pack_b(frame.step(0))
