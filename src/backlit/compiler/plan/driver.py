"""Drivers: the function that runs kernels in order, on one thread or on all of them in step."""

from __future__ import annotations

from ..capture.graph import Variable
from ..loops.alike import Called
from ..loops.writer import KernelWriter
from ..lower.products import CompiledContraction
from .memory import Buffers

#: A kernel with this much work (about a multiplication each) is divided among the threads.
_WORTH_SHARING = 200_000
#: A product with fewer operations is left to one thread.
_LARGE_PRODUCT = 1_000_000
#: A driver with more addresses than this is not optimised: that would take longer than it saves.
_LONG_DRIVER = 300
#: Each thread has a flag of its own, which kernels may set without regard to others.
_TELL = "  call void @tell(ptr %flag, ptr %own)"


class DriverWriter:
    """Writes one driver.

    A kernel whose work is worth it is divided among the threads; the first thread runs the others
    alone. A barrier stands wherever a kernel that all threads run meets its neighbours.
    """

    def __init__(self, buffers: Buffers, name: str):
        self.buffers = buffers
        self.name = name
        self.parallel = False
        self._body: list[str] = []
        self._serial: list[str] = []
        self._head: list[str] = []
        self._count = 0
        self._pending = False  # whether all threads have worked since the last barrier
        self._unchecked = False  # whether an index out of range may have been met

    def add(self, writer: KernelWriter, called: Called) -> None:
        """The next kernel."""
        self._unchecked |= writer.checks
        lines, arguments = [], []
        for storage in writer.buffers:
            self._count += 1
            arguments.append(f"ptr %p{self._count}")
            first = writer.starts.get(storage, 0)
            lines.extend(self._pointer(storage, f"%p{self._count}", first))
        listed = ", ".join([*arguments, "ptr %own"])  # a check of constants has no buffers
        numbers = "".join(f", i64 {n}" for n in called.numbers)
        if writer.units > 1 and writer.work >= _WORTH_SHARING:
            self._flush()
            self.parallel = True
            self._barrier()
            tag = self._count
            lines += [
                f"  %s{tag} = mul i64 %thread, {writer.units}",
                f"  %begin{tag} = udiv i64 %s{tag}, %threads",
                f"  %t{tag} = add i64 %s{tag}, {writer.units}",
                f"  %end{tag} = udiv i64 %t{tag}, %threads",
                f"  call void @{called.name}({listed}, i64 %begin{tag}, i64 %end{tag}{numbers})",
            ]
            self._body += lines
            self._pending = True
        else:
            if self._pending:
                self._barrier()
            units = f"i64 0, i64 {writer.units}"
            lines.append(f"  call void @{called.name}({listed}, {units}{numbers})")
            self._serial += lines

    def add_contraction(
        self, product: CompiledContraction, buffers: list[tuple[Variable, int]]
    ) -> None:
        """The next kernel, a contraction: if it is large, every phase on all threads."""
        self._count += 1
        tag = self._count
        self._head.append(f"  %t{tag} = alloca [{len(buffers)} x ptr]")
        lines = []
        for i, (v, first) in enumerate(buffers):
            lines.extend(self._pointer(self.buffers.storage(v), f"%q{tag}.{i}", first))
            lines.append(f"  %r{tag}.{i} = getelementptr ptr, ptr %t{tag}, i64 {i}")
            lines.append(f"  store ptr %q{tag}.{i}, ptr %r{tag}.{i}")
        offset = self.buffers.scratch_offset
        lines.append(f"  %s{tag} = getelementptr i8, ptr %arena, i64 {offset}")
        call = f"  call void @{product.name}(ptr %t{tag}, i64 %d, %s, ptr %s{tag})"
        if product.flops < _LARGE_PRODUCT:
            if self._pending:
                self._barrier()
            self._serial += lines
            for phase in range(product.phases):
                self._serial.append(call.replace("%d", str(phase)).replace("%s,", "i64 0, i64 1,"))
            return
        self._flush()
        self.parallel = True
        self._body += lines
        for phase in range(product.phases):
            self._barrier()
            self._body.append(
                call.replace("%d", str(phase)).replace("%s,", "i64 %thread, i64 %threads,")
            )
        self._pending = True

    def copy(self, source: Variable, target: Variable) -> None:
        """Between two turns: one buffer into another, when all threads are done."""
        if self._pending:
            self._barrier()
        self._count += 1
        names = [f"%c{self._count}.{i}" for i in (0, 1)]
        for name, v in zip(names, (target, source), strict=True):
            self._serial += self._pointer(self.buffers.storage(v), name)
        self._serial.append(
            f"  call void @llvm.memcpy.p0.p0.i64(ptr {names[0]}, ptr {names[1]}, "
            f"i64 {source.nbytes}, i1 false)"
        )

    def _pointer(self, storage: Variable, name: str, first: int = 0) -> list[str]:
        """The instructions that put the address of a buffer's element under a name."""
        buffers = self.buffers
        slot, start = buffers.entry(storage)
        start += first * storage.dtype.itemsize
        if slot is None:
            return [f"  {name} = getelementptr i8, ptr %arena, i64 {start}"]
        lines = [
            f"  {name}.a = getelementptr ptr, ptr %table, i64 {slot}",
            f"  {name}.b = load ptr, ptr {name}.a",
        ]
        whole, _ = buffers.place(storage)
        if whole in buffers.stacked:
            lines.append(f"  {name}.t = mul i64 %turn, {buffers.stacked[whole]}")
            lines.append(f"  {name}.c = getelementptr i8, ptr {name}.b, i64 {name}.t")
            lines.append(f"  {name} = getelementptr i8, ptr {name}.c, i64 {start}")
        else:
            lines.append(f"  {name} = getelementptr i8, ptr {name}.b, i64 {start}")
        return lines

    def stop_if_flagged(self) -> None:
        """Go no further if an index was out of range: the next kernel overwrites a parameter."""
        if not self._unchecked:
            return
        self._unchecked = False
        self._flush()
        self._body.append(_TELL)
        self._barrier()
        self._count += 1
        tag = self._count
        # All threads read the flag before any can go on to where it is told of more.
        self._body.append(f"  %f{tag} = load i32, ptr %flag")
        self._barrier()
        self._body += [
            f"  %bad{tag} = icmp ne i32 %f{tag}, 0",
            f"  br i1 %bad{tag}, label %done, label %good{tag}",
            f"good{tag}:",
        ]

    def _barrier(self) -> None:
        self._body.append("  call void @barrier(ptr %counter, i64 %threads)")
        self._pending = False

    def _flush(self) -> None:
        """Write the kernels that the first thread runs alone."""
        if not self._serial:
            return
        self._count += 1
        tag = self._count
        self._body += [
            f"  br i1 %first, label %alone{tag}, label %all{tag}",
            f"alone{tag}:",
            *self._serial,
            f"  br label %all{tag}",
            f"all{tag}:",
        ]
        self._serial = []

    def text(self) -> str:
        """The function."""
        self._flush()
        body = "\n".join(self._body)
        note = "noinline optnone " if self._count > _LONG_DRIVER else ""
        return (
            f"define void @{self.name}(ptr %table, ptr %arena, ptr %flag, i64 %thread, "
            f"i64 %threads, ptr %counter, i64 %times) {note}#0 {{\n"
            "entry:\n  %first = icmp eq i64 %thread, 0\n"
            "  %own = alloca i32\n  store i32 0, ptr %own\n"
            + "".join(line + "\n" for line in self._head)
            + "  br label %again\n"
            "again:\n  %turn = phi i64 [ 0, %entry ], [ %next, %last ]\n"
            f"{body}\n"
            "  br label %last\nlast:\n"
            f"{_TELL}\n"
            "  call void @barrier(ptr %counter, i64 %threads)\n"
            "  %next = add i64 %turn, 1\n"
            "  %more = icmp slt i64 %next, %times\n"
            "  br i1 %more, label %again, label %done\ndone:\n  ret void\n}\n"
        )
