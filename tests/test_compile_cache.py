"""The cache of machine code: whatever happens to it, compiled functions give the same results."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.compile import cache, native


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(factor: float) -> np.ndarray:
    x = bl.arange(6, dtype="float32")
    return bl.compile(lambda x: bl.tanh(x) * factor, executor=native)(x).numpy()


def expected(factor: float) -> np.ndarray:
    return np.tanh(np.arange(6, dtype=np.float32)) * np.float32(factor)


def test_an_entry_comes_back(folder: Path) -> None:
    cache.store("name", b"content")
    assert cache.load("name") == b"content"
    assert cache.load("other") is None


def test_compiled_code_is_kept_and_used_again(folder: Path, monkeypatch) -> None:
    np.testing.assert_allclose(run(1.25), expected(1.25), rtol=1e-6)
    entries = sorted(p.name for p in folder.iterdir())
    assert entries
    monkeypatch.setattr(
        type(native_engine()), "optimised", lambda self, text: pytest.fail("compiled again")
    )
    np.testing.assert_allclose(run(1.25), expected(1.25), rtol=1e-6)
    assert sorted(p.name for p in folder.iterdir()) == entries


def native_engine():
    from backlit.compile.machine import engine

    return engine()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:40],
        lambda data: data[:-1],
        lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
        lambda data: b"\0" * len(data),
    ],
    ids=["empty", "short", "cut", "flipped", "zeros"],
)
def test_a_damaged_entry_is_compiled_again(folder: Path, damage) -> None:
    run(1.5)
    for path in folder.iterdir():
        path.write_bytes(damage(path.read_bytes()))
    np.testing.assert_allclose(run(1.5), expected(1.5), rtol=1e-6)
    for path in folder.iterdir():
        assert cache.load(path.name) is not None


def test_an_empty_name_means_no_cache(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BACKLIT_CACHE", "")
    monkeypatch.chdir(tmp_path)
    assert cache.folder() is None
    np.testing.assert_allclose(run(1.75), expected(1.75), rtol=1e-6)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_harmless(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "file" / "cache"))
    np.testing.assert_allclose(run(2.25), expected(2.25), rtol=1e-6)


def test_a_full_disk_is_harmless(folder: Path, monkeypatch) -> None:
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "fdopen", full)
    np.testing.assert_allclose(run(2.5), expected(2.5), rtol=1e-6)
    assert not list(folder.iterdir())


def test_old_entries_make_room(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(cache, "LIMIT", 250)
    for i, name in enumerate("abc"):
        cache.store(name, bytes(68))
        os.utime(folder / name, (i, i))
    cache.store("d", bytes(68))
    assert sorted(p.name for p in folder.iterdir()) == ["c", "d"]


def test_processes_share_the_cache(folder: Path) -> None:
    code = (
        "import backlit as b; from backlit.compile import native\n"
        "f = b.compile(lambda x: b.exp(x) * 0.375, executor=native)\n"
        "print(f(b.arange(3, dtype='float32')).tolist())"
    )
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(
                subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True
            )
            for _ in range(4)
        ]
        outputs = {(r.result().returncode, r.result().stdout, r.result().stderr) for r in runs}
    assert len(outputs) == 1
    assert next(iter(outputs))[0] == 0
