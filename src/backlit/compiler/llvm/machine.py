"""LLVM: text in, machine code for this processor out, kept while something can reach it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite.binding import ffi

from ...errors import CompileError
from . import cache
from .abort import AVAILABLE, CODE, NAMES, Guard, PassesError

#: Held by whoever uses LLVM, which one thread may do at a time.
_LOCK = threading.RLock()

if hasattr(os, "register_at_fork"):
    # A fork waits until no thread is inside LLVM: a child would find its tables half written.
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )


class Engine:
    """A target machine: the one we run on, or one that is only written for."""

    def __init__(self, triple: str | None = None, cpu: str = "") -> None:
        if triple is None:
            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
            self.triple = llvm.get_process_triple()
            self.cpu = llvm.get_host_cpu_name()
            # LLVM would use half of a 512-bit register by default; full width is faster for us.
            self.features = llvm.get_host_cpu_features().flatten() + ",-prefer-256-bit"
        else:
            llvm.initialize_all_targets()
            llvm.initialize_all_asmprinters()
            self.triple, self.cpu, self.features = triple, cpu, ""
        self.machine = self._described()
        self.guard: Guard | None = None
        self.guardable = AVAILABLE and triple is None
        self.layout = str(self.machine.target_data)
        version = ".".join(map(str, llvm.llvm_version_info))
        self.identity = (version, llvmlite.__version__, self.cpu, self.features, self.layout)

    def _described(self) -> Any:
        """LLVM's description of the processor."""
        return llvm.Target.from_triple(self.triple).create_target_machine(
            cpu=self.cpu, features=self.features, opt=3, reloc="pic", codemodel="default", jit=True
        )

    def _builder(self, level: int, vectorise: bool = True) -> Any:
        """A pass builder for an effort, and for one run of passes.

        A run of llvmlite's (0.50) leaves callbacks in its builder that refer to the run's stack, so
        a second run would call into whatever is there by then, or into the stack of a thread that
        has ended. What a builder does not free is 1.5 KiB.
        """
        tuning = llvm.create_pipeline_tuning_options(speed_level=level)
        if level > 1:
            tuning.loop_vectorization = tuning.slp_vectorization = vectorise
            tuning.loop_interleaving = True
            tuning.loop_unrolling = True
        return llvm.create_pass_builder(self.machine, tuning)

    @property
    def registers(self) -> tuple[int, int]:
        """The bytes of a vector register, and how many there are."""
        if self.triple.startswith(("aarch64", "arm64")):
            return 16, 32
        if "+avx512f" in self.features.split(","):
            return 64, 32
        return (32 if "+avx" in self.features.split(",") else 16), 16

    @property
    def pairs(self) -> bool:
        """Whether it multiplies and adds pairs of bfloat16, as processors with AMX do, too."""
        return "+avx512bf16" in self.features.split(",")

    def code(self, text: str) -> bytes:
        """The object file of a module, from the cache if it was compiled before."""
        name = cache.key(text, *self.identity)
        content = cache.load(name)
        if content is None:
            module = self.optimised(text)  # which may renew the machine
            content = bytes(self.machine.emit_object(module))
            cache.store(name, content)
        return content

    def optimised(self, text: str) -> llvm.ModuleRef:
        """The module with all of LLVM's passes applied, or with fewer where these fail."""
        for variant, vectorise in ((text, True), (with_fixed_width(text), True), (text, False)):
            try:
                return without_single_lanes(self._passed(variant, vectorise))
            except PassesError:  # nothing that the passes were given is touched again
                self.machine.detach()
                self.machine = self._described()
        raise CompileError("compile: LLVM fails at this code, also without vectors")

    def _passed(self, text: str, vectorise: bool) -> llvm.ModuleRef:
        module = parsed(text)
        module.verify()
        if self.guardable:
            self.guardable = False  # while the guard itself is compiled
            with contextlib.suppress(
                OSError, AttributeError, RuntimeError
            ):  # none without `__sigsetjmp`
                self.guard = Guard(build(header() + CODE, NAMES))
        builder = self._builder(3, vectorise)
        passes = builder.getModulePassManager()
        if self.guard is None:
            passes.run(module, builder)
            _dispose(passes)
            return module
        context = module._context
        try:
            self.guard.run(passes, module, builder)
        except PassesError:
            context.detach()
            raise
        _dispose(passes)
        return module

    def tidied(self, text: str, called: str = "") -> llvm.ModuleRef:
        """The module with what is marked for it inlined, and little else changed.

        `called` are functions that it calls, which are optimised first.
        """
        module = parsed(text)
        module.verify()
        passes = llvm.create_new_module_pass_manager()
        if called:
            functions = parsed(str(self.optimised(called)), module._context)
            names = [f.name for f in functions.functions if not f.is_declaration]
            module.link_in(functions)
            for name in names:
                module.get_function(name).linkage = "internal"
        passes.add_always_inliner_pass()
        passes.add_simplify_cfg_pass()
        if called:
            passes.add_sroa_pass()
        passes.run(module, self._builder(1))
        _dispose(passes)
        return module


def parsed(text: str, context: llvm.ContextRef | None = None) -> llvm.ModuleRef:
    """A module of a text, in a context of its own unless one is given.

    A context frees its modules when it is freed itself, so it is the only one that does: where both
    are found in a reference cycle (of an exception's traceback, say) either may be freed first.
    """
    module = llvm.parse_assembly(text, context or llvm.create_context())
    module._owned = True  # by its context
    return module


def _dispose(passes: Any) -> None:
    """Free a pipeline of passes (50 to 100 KiB), which llvmlite (0.50) does not.

    Its class inherits the method that does after an empty one of the same name.
    """
    for kind in type(passes).__mro__:
        if kind is not ffi.ObjectRef and "_dispose" in vars(kind):
            vars(kind)["_dispose"](passes)
            break
    passes.detach()


_SINGLE_LANE = re.compile(
    r"^ *(?:tail )?call void @llvm\.masked\.store\.v\d+i\d+\.p0\(<(\d+) x (i\d+)> ([^ ,]+), "
    r"ptr align (\d+) ([^ ,]+), <\d+ x i1> <([^>]*)>\).*$",
    re.MULTILINE,
)


def without_single_lanes(module: llvm.ModuleRef) -> llvm.ModuleRef:
    """The module with plain stores where vectors of integers are stored but for one lane.

    LLVM (22.1) stores too many bytes for one lane of a vector that was truncated.
    """
    stores = [f for f in module.functions if f.name.startswith("llvm.masked.store.v")]
    if not any(re.match(r"llvm\.masked\.store\.v\d+i", f.name) for f in stores):
        return module
    count = 0

    def plain(found: re.Match[str]) -> str:
        nonlocal count
        lanes, type, value, align, pointer, mask = found.groups()
        kept = [lane for lane, bit in enumerate(mask.split(", ")) if bit == "i1 true"]
        if len(kept) != 1:
            return found[0]
        count += 1
        name, place = f"%lane{count}", f"%lane{count}.at"
        return (
            f"  {name} = extractelement <{lanes} x {type}> {value}, i64 {kept[0]}\n"
            f"  {place} = getelementptr {type}, ptr {pointer}, i64 {kept[0]}\n"
            f"  store {type} {name}, ptr {place}, align {min(int(align), int(type[1:]) // 8)}"
        )

    text = _SINGLE_LANE.sub(plain, str(module))
    return parsed(text) if count else module


_ENGINE: Engine | None = None


def engine() -> Engine:
    """The process's engine, made on first use."""
    global _ENGINE
    with _LOCK:
        if _ENGINE is None:
            _ENGINE = Engine()
        return _ENGINE


#: Whether nobody is in some code any more.
Left = Callable[[], bool]


def _at_once() -> Left:
    """For code that only those run who hold its library: with the last of them it is left."""
    return lambda: True


class Library:
    """Compiled functions by address. Their code is unloaded after the last that refers to this.

    Whoever calls one of them must hold the library meanwhile, or be one of those of whom
    `departure`, asked when nothing refers to the library any more, knows whether they have left.
    `code` are the objects of LLVM's that hold the code, in the order of closing them: a JIT for
    each library, because what one JIT knows of a library it never forgets.
    """

    def __init__(
        self,
        code: Iterable[Any],
        addresses: dict[str, int],
        nbytes: int = 0,
        departure: Callable[[], Left] = _at_once,
    ):
        _LOADED[id(self)] = tuple(code)
        self.addresses = addresses
        self.nbytes = nbytes
        self.departure = departure

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not finalizing():  # then the system frees everything, and threads may still run
            _UNREACHABLE.append((self.departure(), _LOADED.pop(id(self))))
            _unload()


#: The code of each library by its identity. Held here, so that where a library is collected with a
#: cycle LLVM's objects are not: they would close themselves, without the lock and in any order.
_LOADED: dict[int, tuple[Any, ...]] = {}
#: Code that nothing refers to any more, with the question whether the last worker has left it.
_UNREACHABLE: deque[tuple[Left, tuple[Any, ...]]] = deque()


def _unload() -> None:
    """Unload what is unreachable. Nobody waits here, because this may be in a garbage collection.

    What a worker has not left, or the holder of the lock keeps us from, is unloaded the next time.
    """
    if _LOCK.acquire(blocking=False):
        try:
            for _ in range(len(_UNREACHABLE)):
                left, code = _UNREACHABLE.popleft()
                if left():
                    for part in code:
                        part.close()
                else:
                    _UNREACHABLE.append((left, code))
        finally:
            _LOCK.release()


_METADATA = '!0 = distinct !{!0, !1}\n!1 = !{!"llvm.loop.vectorize.width", i32 8}\n'
_LOOP_END = re.compile(r"(= add nsw i64 %i(\d+), 1\n  br label %loop\2)\n")


def with_fixed_width(text: str) -> str:
    """A module whose loops get vectors of eight elements: LLVM does not weigh what is best.

    It would write remarks about the loops that cannot have vectors to the terminal.
    """
    return _LOOP_END.sub(r"\1, !llvm.loop !0\n", text) + _METADATA


def header() -> str:
    """The lines that every module starts with."""
    e = engine()
    return f'target triple = "{e.triple}"\ntarget datalayout = "{e.layout}"\n'


def attributes() -> str:
    """The attribute group #0 of our functions: this processor, full vector width."""
    e = engine()
    return (
        f'attributes #0 = {{ nounwind "target-cpu"="{e.cpu}" "target-features"="{e.features}" '
        '"prefer-vector-width"="512" "no-trapping-math"="true" }\n'
    )


def tidy_code(text: str, called: str = "") -> bytes:
    """The object file of a module (without target lines) whose loops are in their final form.

    `called` are functions that it calls, whose loops are not.
    """
    with _LOCK:
        e = engine()
        called = header() + called if called else ""
        return bytes(e.machine.emit_object(e.tidied(header() + text, called)))


def build(
    text: str,
    names: list[str],
    objects: Iterable[bytes] = (),
    departure: Callable[[], Left] = _at_once,
) -> Library:
    """Compile a module, link it with object files and return the addresses of its functions."""
    with _LOCK:
        _unload()
        e = engine()
        code = e.code(text)
        library = llvm.JITLibraryBuilder()
        codes = [code, *objects]
        for code in codes:
            library.add_object_img(code)
        library.add_current_process()
        for name in names:
            library.export_symbol(name)
        jit = llvm.create_lljit_compiler(e.machine, use_jit_link=False)
        tracker = library.link(jit, "backlit")
        addresses = {name: tracker[name] for name in names}
        return Library((tracker, jit), addresses, sum(map(len, codes)), departure)


def assembly(text: str) -> str:
    """The machine code of a module as text, for reading."""
    with _LOCK:
        return engine().machine.emit_assembly(engine().optimised(text))
