"""Code for a processor that we do not run on, made by the same writers."""

import re
import struct
from typing import Any

import pytest

import backlit
from backlit import nn, optim
from backlit.compiler.capture.trace import trace
from backlit.compiler.llvm import machine
from backlit.compiler.plan import threads
from backlit.compiler.plan.plan import Plan

_AARCH64 = 183  # e_machine in an ELF header


@pytest.fixture
def aarch64(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[bytes]]]:
    """Everything is compiled for an Arm server; nothing is linked. What would be, is listed."""
    built: list[tuple[str, list[bytes]]] = []

    def build(text: str, names: list[str], objects: Any = (), *_: Any) -> machine.Library:
        built.append((text, list(objects)))
        return machine.Library((), dict.fromkeys(names, 0))

    monkeypatch.setenv("BACKLIT_CACHE", "")
    engine = machine.Engine("aarch64-unknown-linux-gnu", "neoverse-v1")
    monkeypatch.setattr(machine, "_ENGINE", engine)
    monkeypatch.setattr(machine, "build", build)
    return built


def network() -> Any:
    return nn.Sequential(
        nn.Conv2d(2, 20, 3, padding=1),
        nn.BatchNorm2d(20),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(20 * 8 * 8, 300),
        nn.GELU(),
        nn.Linear(300, 10),
    )


@pytest.mark.slow
def test_a_training_step_compiles_for_aarch64(aarch64: list[tuple[str, list[bytes]]]) -> None:
    """Loops, folds, windows, random bits, contractions, and the driver with its barrier."""
    model, loss_fn = network(), nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters())

    def step(x: Any, y: Any) -> Any:
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x, y = backlit.zeros((64, 2, 16, 16)), backlit.zeros((64,), dtype=backlit.int64)
    plan = Plan(trace(step, (x, y), {}))
    kinds = {kernel.kind.name for kernel in plan.kernels}
    assert kinds >= {"map", "reduce", "window", "random", "contraction"}
    ((text, objects),) = aarch64
    assembly = machine.assembly(text)
    assert re.search(r"\bfmla\s+v\d+\.4s", assembly)  # four numbers at a time
    assert re.search(r"\b(ldadd|ldaxr)", assembly)  # the barrier draws a ticket
    assert re.search(r"\byield\b", assembly)  # and waits politely
    assert not re.search(r"[xyz]mm\d", assembly)
    assert objects
    for code in [machine.engine().code(text), *objects]:
        assert code[:4] == b"\x7fELF"
        assert struct.unpack_from("<H", code, 18) == (_AARCH64,)


def test_the_thread_pool_compiles_for_aarch64(aarch64: list[tuple[str, list[bytes]]]) -> None:
    text = machine.header() + threads.helpers(threads._HELPERS) + machine.attributes()
    assembly = machine.assembly(text)
    assert "backlit_work" in assembly
    assert re.search(r"\byield\b", assembly)


@pytest.mark.parametrize(
    ("triple", "features", "registers"),
    [
        ("aarch64-unknown-linux-gnu", "", (16, 32)),
        ("arm64-apple-darwin", "", (16, 32)),
        ("riscv64-unknown-linux-gnu", "", (16, 16)),
        ("x86_64-unknown-linux-gnu", "+sse4.2,-avx,-avx512f", (16, 16)),
        ("x86_64-unknown-linux-gnu", "+avx,+avx2,-avx512f", (32, 16)),
        ("x86_64-unknown-linux-gnu", "+avx,+avx512f", (64, 32)),
    ],
)
def test_vector_registers(triple: str, features: str, registers: tuple[int, int]) -> None:
    """The blocks of contractions are chosen for what the processor has."""
    engine = machine.Engine("x86_64-unknown-linux-gnu")
    engine.triple, engine.features = triple, features
    assert engine.registers == registers
