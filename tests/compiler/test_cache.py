"""The cache of machine code: whatever happens to it, compiled functions give the same results."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.compiler import native
from backlit.compiler.llvm import cache


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
    from backlit.compiler.llvm.machine import engine

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
        assert cache.load(path.stem) is not None


def test_the_content_of_another_key_is_compiled_again(folder: Path) -> None:
    run(1.5)
    (wrong,) = (p.read_bytes() for p in folder.iterdir())
    run(1.625)
    for path in folder.iterdir():
        path.write_bytes(wrong)
    np.testing.assert_allclose(run(1.625), expected(1.625), rtol=1e-6)


def test_the_content_for_another_processor_is_compiled_again(folder: Path, monkeypatch) -> None:
    identity = native_engine().identity
    monkeypatch.setattr(native_engine(), "identity", (*identity[:2], "another", *identity[3:]))
    run(1.5)
    (other,) = folder.iterdir()
    data = other.read_bytes()
    other.unlink()
    monkeypatch.setattr(native_engine(), "identity", identity)
    run(1.5)
    (here,) = folder.iterdir()
    assert here.name != other.name
    here.write_bytes(data)
    assert cache.load(here.stem) is None
    np.testing.assert_allclose(run(1.5), expected(1.5), rtol=1e-6)


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
    monkeypatch.setattr(cache, "LIMIT", 350)
    for i, name in enumerate("abc"):
        cache.store(name, bytes(68))
        (entry,) = folder.glob(f"{name}.*")
        os.utime(entry, (i, i))
    cache.store("d", bytes(68))
    assert sorted(p.stem for p in folder.iterdir()) == ["c", "d"]


def test_other_files_in_the_folder_are_neither_counted_nor_removed(folder, monkeypatch) -> None:
    folder.mkdir(0o700)
    others = ["thesis.txt", "a" * 64, "new-xyz", "model.backlit", "x.backlit-code.bak"]
    for name in others:
        (folder / name).write_bytes(bytes(10_000))
        os.utime(folder / name, (0, 0))
    (folder / "deep.backlit-code").mkdir()
    (folder / "link.backlit-code").symlink_to(folder / "thesis.txt")
    monkeypatch.setattr(cache, "LIMIT", 350)
    for name in "xyz":
        cache.store(name, bytes(68))
    present = {p.name for p in folder.iterdir()}
    assert {*others, "deep.backlit-code", "link.backlit-code"} <= present
    assert len(list(folder.glob("?.backlit-code"))) == 2


def test_an_entry_abandoned_while_it_was_written_is_removed(folder: Path, monkeypatch) -> None:
    folder.mkdir(0o700)
    for name, age in [("old", 4000), ("young", 10)]:
        (folder / f"{name}.backlit-new").write_bytes(b"half")
        os.utime(folder / f"{name}.backlit-new", (time.time() - age,) * 2)
    monkeypatch.setattr(cache, "LIMIT", 350)
    cache.store("a", bytes(68))
    assert sorted(p.name for p in folder.iterdir()) == ["a.backlit-code", "young.backlit-new"]


def test_the_room_is_weighed_now_and_then_only(folder: Path, monkeypatch) -> None:
    weighed = []
    monkeypatch.setattr(cache, "_unweighed", None)
    monkeypatch.setattr(cache, "_trim", weighed.append)
    for i in range(10):
        cache.store(str(i), bytes(100))
    assert len(weighed) == 1


def test_an_interrupted_writing_leaves_nothing(folder: Path, monkeypatch) -> None:
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.store("a", b"content")
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("home", "xdg", "expected"),
    [
        ("/home/me", None, "/home/me/.cache/backlit"),
        ("/home/me", "/var/me", "/var/me/backlit"),
        ("/home/me", "~/elsewhere", "/home/me/elsewhere/backlit"),
        ("/home/me", "relative", "/home/me/.cache/backlit"),
        ("/home/me", "", "/home/me/.cache/backlit"),
        ("", None, None),
        ("", "~/elsewhere", None),
        ("relative", None, None),
        (None, None, None),
        (None, "/var/me", "/var/me/backlit"),
    ],
)
def test_the_users_cache_folder(monkeypatch, tmp_path, home, xdg, expected) -> None:
    import pwd

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKLIT_CACHE", raising=False)
    for name, value in [("HOME", home), ("XDG_CACHE_HOME", xdg)]:
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache.folder() == (None if expected is None else Path(expected))


@pytest.mark.parametrize("given", ["~/cache", "~nobody-of-this-name/cache"])
def test_no_folder_is_called_tilde(monkeypatch, tmp_path: Path, given: str) -> None:
    import pwd

    def unknown(user):
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("BACKLIT_CACHE", given)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_allclose(run(3.25), expected(3.25), rtol=1e-6)
    assert not list(tmp_path.iterdir())


def test_the_folder_is_made_for_its_user_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        cache.store("a", b"content")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "a.backlit-code").stat().st_mode & 0o777 == 0o600


REFUSED = "machine code is only loaded from where nobody else can write, but .*chmod go-w"


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_a_folder_that_others_can_write_to_is_not_used(folder: Path, mode: int) -> None:
    cache.store("a", b"content")
    folder.chmod(mode)
    with pytest.warns(UserWarning, match=REFUSED):
        assert cache.load("a") is None
    cache.store("b", b"content")
    assert [p.stem for p in folder.iterdir()] == ["a"]
    np.testing.assert_allclose(run(3.5), expected(3.5), rtol=1e-6)
    folder.chmod(0o700)
    assert cache.load("a") == b"content"


def test_an_entry_that_others_can_write_to_is_not_used(folder: Path) -> None:
    cache.store("a", b"content")
    (folder / "a.backlit-code").chmod(0o666)
    with pytest.warns(UserWarning, match=REFUSED):
        assert cache.load("a") is None


@pytest.mark.parametrize("what", ["folder", "entry"])
def test_what_belongs_to_another_user_is_not_used(folder: Path, monkeypatch, what: str) -> None:
    """The other user is told by a stranger's number in place of ours."""
    cache.store("a", b"content")
    real = os.stat if what == "folder" else os.fstat

    def strange(path, **kwargs):
        status = list(real(path, **kwargs))
        status[4] = os.geteuid() + 4711  # st_uid
        return os.stat_result(status)

    monkeypatch.setattr(cache.os, real.__name__, strange)
    with pytest.warns(UserWarning, match=REFUSED):
        assert cache.load("a") is None


def test_a_folder_that_can_only_be_read_serves(folder: Path, monkeypatch) -> None:
    cache.store("a", b"content")
    for name in ("utime", "replace", "unlink"):
        monkeypatch.setattr(cache.os, name, refuse)
    monkeypatch.setattr(cache.tempfile, "mkstemp", refuse)
    cache.store("b", b"content")
    assert cache.load("a") == b"content"
    assert cache.load("b") is None


def refuse(*args, **kwargs):
    raise PermissionError(13, "Permission denied")


@pytest.mark.slow
def test_processes_share_the_cache(folder: Path) -> None:
    code = (
        "import backlit as b; from backlit.compiler import native\n"
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
