"""A folder has one writer at a time; the hold of a process that ended is over."""

import gzip
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from backlit import nn, optim
from backlit.errors import DataError, MissingFileError
from backlit.files import LOCK, hold, opened, writing
from backlit.train import Trainer

_HOLDER = """
import sys, time
from backlit.files import hold
with hold(sys.argv[1], "first"):
    print("held", flush=True)
    sys.stdin.read()
print("let go", flush=True)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_that_another_process_holds_is_refused_until_it_lets_go(tmp_path, holder):
    folder = tmp_path / "run"
    says = rf"second: .*run is in use by process {holder.pid} on "
    with pytest.raises(DataError, match=says), hold(folder, "second"):
        pass
    holder.communicate()
    with hold(folder, "second"):
        pass


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_the_hold_of_a_killed_process_is_over(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with hold(tmp_path / "run", "second"):
        assert f"process {os.getpid()} on" in (tmp_path / "run" / LOCK).read_text()


@pytest.mark.slow
def test_a_folder_is_the_same_under_all_its_names(tmp_path, holder):
    (tmp_path / "link").symlink_to("run")
    with pytest.raises(DataError, match="link is in use by process"), hold(tmp_path / "link", "x"):
        pass


def test_a_thread_may_hold_again_and_another_may_not(tmp_path):
    said = []

    def other():
        try:
            with hold(tmp_path, "other"):
                said.append("held")
        except DataError as error:
            said.append(str(error))

    def run_other():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    with hold(tmp_path, "outer"):
        with hold(tmp_path, "inner"):
            run_other()
        run_other()
    run_other()
    assert f"in use by process {os.getpid()} on" in said[0]
    assert said[1] == said[0]
    assert said[2] == "held"


_FORKED = """
import os, sys, time
from backlit.files import hold
with hold(sys.argv[1], "first"):
    ready, done = os.pipe()
    if os.fork() == 0:
        os.write(done, b"x")
        sys.stdin.read()
        os._exit(0)
    os.read(ready, 1)
    print("held", flush=True)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), 9)
print("let go", flush=True)
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("how", ["released", "killed"])
def test_a_forked_child_does_not_keep_the_hold(tmp_path, how):
    process = subprocess.Popen(
        [sys.executable, "-c", _FORKED, str(tmp_path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    process.wait()
    with hold(tmp_path, "second"):
        pass
    process.communicate()  # the child ends with its input


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be removed there")
def test_nothing_is_left_behind_and_many_take_turns(tmp_path):
    """Each adds a line to a file by reading and writing it: none is lost."""
    code = """
import pathlib, sys, time
from backlit.errors import DataError
from backlit.files import hold
text = pathlib.Path(sys.argv[1]) / "text"
for i in range(20):
    while True:
        try:
            with hold(sys.argv[1], "x"):
                lines = text.read_text() if text.exists() else ""
                text.write_text(lines + "x")
            break
        except DataError:
            time.sleep(0.001)
"""
    run = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [process.wait() for process in run] == [0, 0]
    assert (tmp_path / "text").read_text() == "x" * 40
    assert os.listdir(tmp_path) == ["text"]


def test_a_place_where_no_folder_can_be(tmp_path):
    (tmp_path / "file").touch()
    says = r"x: .*inner cannot be written to: Not a directory"
    with pytest.raises(DataError, match=says), hold(tmp_path / "file" / "inner", "x"):
        pass


def _trainer(folder):
    model = nn.Linear(2, 1)
    return Trainer(
        model,
        nn.MSELoss(),
        optim.SGD(model.parameters(), lr=0.1),
        checkpoints=folder,
        progress="quiet",
        compile=False,
    )


@pytest.mark.slow
def test_training_and_saving_where_another_process_trains_is_refused(tmp_path, holder):
    folder = tmp_path / "run"
    trainer = _trainer(folder)
    batch = (np.ones((4, 2), "float32"), np.ones((4, 1), "float32"))
    for resume in (False, True):
        with pytest.raises(DataError, match=rf"fit: .* in use by process {holder.pid}"):
            trainer.fit([batch], resume=resume)
    with pytest.raises(DataError, match=r"save: .* in use by process"):
        trainer.save()
    assert os.listdir(folder) == [LOCK]
    holder.communicate()
    trainer.fit([batch])
    trainer.save()
    assert sorted(os.listdir(folder)) == ["best.safetensors", "latest.safetensors"]


def test_a_file_is_written_piece_by_piece_and_stands_there_at_the_end(tmp_path):
    path = tmp_path / "pieces"
    path.write_bytes(b"old")
    with writing(path) as file:
        file.write(b"new ")
        assert path.read_bytes() == b"old"
        file.write(b"one")
    assert path.read_bytes() == b"new one"
    for raised, says in (
        (KeyError("as it was"), "as it was"),
        (DataError("as it was raised"), "^as it was raised"),
        (OSError("no room"), r"save: .*pieces could not be written: no room; what the file held"),
    ):
        kind = DataError if isinstance(raised, OSError) else type(raised)
        with pytest.raises(kind, match=says), writing(path) as file:
            _write_and_raise(file, raised)
    assert path.read_bytes() == b"new one"
    assert [p.name for p in tmp_path.iterdir()] == ["pieces"]


def _write_and_raise(file, error):
    file.write(b"half")
    raise error


def test_a_file_that_cannot_be_opened_or_unpacked_is_named(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"text"))
    with opened(path, "look") as file:
        assert file.read() == b"text"
    path.write_bytes(path.read_bytes()[:-3])
    for bad, kind, says in (
        (path, DataError, r"look: .*a\.gz is a truncated or damaged gzip file"),
        (tmp_path, DataError, "look: .* cannot be read: Is a directory; check the path"),
        (tmp_path / "none", MissingFileError, "look: .*none cannot be read: No such file"),
        ("a\0b", DataError, "look: a\0b cannot be read: embedded null byte"),
    ):
        with pytest.raises(kind, match=says), opened(bad, "look") as file:
            file.read()
    with pytest.raises(ValueError, match=r"^the block's own$"), opened(path, "look"):
        raise ValueError("the block's own")
