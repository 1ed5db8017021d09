"""Files of Tensors and checkpoints: whole or not at all, and nothing half-loaded."""

import errno
import json
import os
import pickle
import random
import signal
import stat
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import backlit
from backlit import nn, optim
from backlit.errors import ArgumentError, DataError
from backlit.files import write_whole
from backlit.train import load_checkpoint, save_checkpoint, save_tensors
from backlit.train.checkpoint import restore


def leftovers(folder):
    return [p.name for p in Path(folder).iterdir() if p.name.endswith(".partial")]


# -- Tensors ----------------------------------------------------------------------------------


def test_tensors_of_every_dtype_come_back(tmp_path):
    path = tmp_path / "t.safetensors"
    tensors = {
        d.name: backlit.tensor(np.arange(6).reshape(2, 3).astype(d))
        for d in backlit.dtypes.SUPPORTED
    }
    tensors["scalar"] = backlit.tensor(2.5)
    tensors["empty"] = backlit.zeros((0, 4))
    tensors["transposed"] = backlit.tensor(np.arange(6.0).reshape(2, 3)).T
    backlit.save_tensors(path, tensors)
    loaded = backlit.load_tensors(path)
    assert set(loaded) == set(tensors)
    for name, t in tensors.items():
        assert loaded[name].dtype == t.dtype
        assert loaded[name].shape == t.shape
        assert loaded[name].numpy().tobytes() == np.ascontiguousarray(t.numpy()).tobytes()


def test_special_floats_keep_their_bits(tmp_path):
    path = tmp_path / "t.safetensors"
    bits = np.array([0x7FC00001, 0xFF800000, 0x80000000, 1], np.uint32)
    backlit.save_tensors(path, {"x": bits.view(np.float32)})
    assert backlit.load_tensors(path)["x"].numpy().view(np.uint32).tolist() == bits.tolist()


def test_the_files_are_those_of_the_safetensors_library(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    backlit.save_tensors(ours, {"w": [1.0, 2.0]}, {"note": "hello"})
    assert safetensors.numpy.load_file(ours)["w"].tolist() == [1.0, 2.0]
    safetensors.numpy.save_file({"b": np.ones(2, ml_dtypes.bfloat16)}, theirs)
    assert backlit.load_tensors(theirs)["b"].dtype == backlit.bfloat16


def test_files_that_are_no_tensors(tmp_path):
    path = tmp_path / "x.safetensors"
    backlit.save_tensors(path, {"w": np.arange(100.0)})
    whole = path.read_bytes()
    for data in (b"", whole[:7], whole[:40], whole[:-1], whole + b"x", pickle.dumps([1]) * 50):
        path.write_bytes(data)
        with pytest.raises(DataError, match="must be a whole safetensors file, got") as caught:
            backlit.load_tensors(path)
        assert str(path) in str(caught.value)
        assert f"got {len(data):,} bytes" in str(caught.value)
    with pytest.raises(DataError, match="missing cannot be read: No such file"):
        backlit.load_tensors(tmp_path / "missing")
    header = json.dumps({"c": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(DataError, match=r"c must have one of the types F64, .* got C64"):
        backlit.load_tensors(path)


def test_names_must_be_strings(tmp_path):
    with pytest.raises(ArgumentError, match="save_tensors: names must be strings, got 3"):
        backlit.save_tensors(tmp_path / "x", {3: [1.0]})
    with pytest.raises(ArgumentError, match="no Tensor can be named __metadata__, which is where"):
        backlit.save_tensors(tmp_path / "x", {"__metadata__": [1.0]})
    with pytest.raises(ArgumentError, match="names must be whole Unicode text, got 'a"):
        backlit.save_tensors(tmp_path / "x", {"a\udcff": [1.0]})
    with pytest.raises(ArgumentError, match="the metadata's names must be strings, got 1"):
        backlit.save_tensors(tmp_path / "x", {"w": [1.0]}, {1: "x"})
    with pytest.raises(ArgumentError, match="the metadata 'epoch' must be strings, got 3"):
        backlit.save_tensors(tmp_path / "x", {"w": [1.0]}, {"epoch": 3})
    assert list(tmp_path.iterdir()) == []


def test_long_and_odd_names_come_back(tmp_path):
    names = ["w" * 5000, "", " ", "é✓", "a.b", 'quote"', "line\nbreak", "metadata"]
    path = tmp_path / ("é" * 127)  # 254 bytes, where a name may have 255
    backlit.save_tensors(path, {n: [float(i)] for i, n in enumerate(names)})
    assert {n: t.item() for n, t in backlit.load_tensors(path).items()} == {
        n: i for i, n in enumerate(names)
    }
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(DataError, match="could not be written: File name too long"):
        backlit.save_tensors(tmp_path / ("x" * 300), {"w": [1.0]})
    with pytest.raises(DataError, match=r"not be written: .*embedded null (byte|char)"):
        backlit.save_tensors(tmp_path / "x\0y", {"w": [1.0]})


def test_a_header_with_a_name_twice_is_refused(tmp_path):
    path = tmp_path / "x"
    entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    for header in (
        f'{{"w":{entry},"w":{entry}}}',
        f'{{"__metadata__":{{"a":"1","a":"2"}},"w":{entry}}}',
        f'{{"__metadata__":{{}},"__metadata__":{{}},"w":{entry}}}',
        '{"w":{"dtype":"I32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    ):
        path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(4))
        with pytest.raises(DataError, match="must be a whole safetensors file"):
            backlit.load_tensors(path)


def test_a_tensor_with_too_many_axes_is_refused(tmp_path):
    path = tmp_path / "x"
    shape = [1] * 70
    header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(DataError, match=r"w cannot have the shape \[1, 1, .*: maximum supported"):
        backlit.load_tensors(path)


# -- checkpoints ------------------------------------------------------------------------------


def test_a_nested_state_comes_back(tmp_path):
    state = {
        "model": {"0.weight": backlit.tensor([[1.0, 2.0]])},
        "history": [{"loss": 0.1 + 0.2}, {"loss": float("nan")}],
        "big": 2**64 - 1,
        "tensors": [backlit.tensor(1), None, True, "text"],
    }
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, state)
    loaded = load_checkpoint(path)
    assert loaded["model"]["0.weight"].tolist() == [[1.0, 2.0]]
    assert loaded["history"][0]["loss"] == 0.1 + 0.2
    assert np.isnan(loaded["history"][1]["loss"])
    assert loaded["big"] == 2**64 - 1
    assert loaded["tensors"][0].item() == 1
    assert loaded["tensors"][1:] == [None, True, "text"]


def test_a_dict_that_is_numbered_comes_back_so(tmp_path):
    state = {"a": {0: backlit.ones(2), 12: {"b": [1.5]}}}
    save_checkpoint(tmp_path / "x", state)
    kept = load_checkpoint(tmp_path / "x")
    assert list(kept["a"]) == [0, 12]
    assert kept["a"][0].tolist() == [1, 1]
    assert kept["a"][12] == {"b": [1.5]}


def test_what_is_no_state_is_refused(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(ArgumentError, match=r"a\.0 must be a Tensor, .* got set"):
        save_checkpoint(path, {"a": [{1, 2}]})
    with pytest.raises(ArgumentError, match="keys of a must be strings, got 1"):
        save_checkpoint(path, {"a": {1: 2, "b": 3}})
    with pytest.raises(ArgumentError, match="keys of the state must be strings, got 1"):
        save_checkpoint(path, {1: 2})
    with pytest.raises(ArgumentError, match="keys of the state must be strings"):
        save_checkpoint(path, {"$tensor": 1})
    assert list(tmp_path.iterdir()) == []


def test_damaged_and_foreign_checkpoints(tmp_path):
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, {"w": np.zeros(0).tolist(), "x": backlit.tensor([1.0, 2.0])})
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(DataError, match=r"is damaged: its checksum must be [0-9a-f]{8}, got"):
        load_checkpoint(path)
    path.write_bytes(whole.replace(b'\\"w\\"', b'\\"v\\"'))
    with pytest.raises(DataError, match="is damaged"):
        load_checkpoint(path)
    path.write_bytes(whole[:-3])
    with pytest.raises(DataError, match="truncated, damaged or of another format"):
        load_checkpoint(path)
    backlit.save_tensors(path, {"x": [1.0]})
    with pytest.raises(
        DataError, match=r"metadata backlit-checkpoint-2, got a safeten.* none; read mere"
    ):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"x": {"$tensor": "x"}}',
        '{"x": {"$tensor": ["x"]}}',
        '{"x": {"$tensor": null}}',
        "[1]",
        "3",
        "[" * 100_000,
        '{"a":' * 5000 + "1" + "}" * 5000,
        '{"n": ' + "9" * 5000 + "}",
    ],
    ids=lambda text: text[:24],
)
@pytest.mark.parametrize("format", ["backlit-checkpoint-1", "backlit-checkpoint-2"])
def test_states_that_cannot_be_read(tmp_path, text, format):
    path = tmp_path / "run"
    check = f"{zlib.crc32(text.encode()):08x}"
    backlit.save_tensors(path, {}, {format: f"{check} {text}"})
    with pytest.raises(DataError, match="run has a state that cannot be read: "):
        load_checkpoint(path)


def test_the_checksum_covers_types_shapes_and_names(tmp_path):
    path = tmp_path / "run"
    save_checkpoint(path, {"ab": backlit.tensor(np.arange(6, dtype="float32").reshape(2, 3))})
    whole = path.read_bytes()
    for old, new in (
        (b"F32", b"I32"),
        (b"[2,3]", b"[3,2]"),
        (b'"ab":', b'"ac":'),
        (b'\\"ab\\"}', b'\\"ac\\"}'),
    ):
        assert whole.count(old) == 1, old
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(DataError, match="is damaged: its checksum must be"):
            load_checkpoint(path)


def test_checkpoints_of_the_first_format_are_read(tmp_path):
    """Its checksum is over the names and bytes alone."""
    path = tmp_path / "run"
    w = np.array([1.0, 2.0], "float32")
    text = '{"w": {"$tensor": "w"}, "epoch": 3}'
    check = zlib.crc32(w.tobytes(), zlib.crc32(b"w", zlib.crc32(text.encode())))
    backlit.save_tensors(path, {"w": w}, {"backlit-checkpoint-1": f"{check:08x} {text}"})
    assert load_checkpoint(path)["w"].tolist() == [1, 2]


def test_every_place_of_a_state_keeps_its_own_tensor(tmp_path):
    """Also where their dotted paths are the same, or a word of the format."""
    path = tmp_path / "run"
    t = [backlit.tensor(float(i)) for i in range(11)]
    save_checkpoint(
        path,
        {
            "model": {"weight": t[0]},
            "model.weight": t[1],
            "list": [t[2]],
            "list.0": t[3],
            "": t[4],
            "__metadata__": t[5],
            "model.weight'": t[6],
            "a": {"": {"": t[7]}, ".": t[8]},
            "\ud800": t[9],
            "?": t[10],
        },
    )
    state = load_checkpoint(path)
    assert state["model"]["weight"].item() == 0
    assert state["model.weight"].item() == 1
    assert state["list"][0].item() == 2
    assert state["list.0"].item() == 3
    assert state[""].item() == 4
    assert state["__metadata__"].item() == 5
    assert state["model.weight'"].item() == 6
    assert state["a"][""][""].item() == 7
    assert state["a"]["."].item() == 8
    assert state["\ud800"].item() == 9
    assert state["?"].item() == 10


def test_states_that_cannot_be_written(tmp_path):
    path = tmp_path / "run"
    state = {}
    state["self"] = state
    with pytest.raises(ArgumentError, match="state is nested too deeply, or a part of it contains"):
        save_checkpoint(path, state)
    with pytest.raises(ArgumentError, match="save_checkpoint: the state has Exceeds the limit"):
        save_checkpoint(path, {"n": 10**5000})
    assert not path.exists()


def test_loading_never_runs_code_from_a_file(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "evil"
    path.write_bytes(pickle.dumps(Evil()))
    for load in (load_checkpoint, backlit.load_tensors):
        with pytest.raises(DataError):
            load(path)
    assert not (tmp_path / "ran").exists()


def test_restoring_is_all_or_nothing(tmp_path):
    backlit.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    before = {n: t.numpy().copy() for n, t in model.state_dict().items()}
    other = nn.Sequential(nn.Linear(2, 3))
    state = {"model": other.state_dict(), "optimizer": {"state": {}, "param_groups": []}}
    with pytest.raises(DataError, match=r"the optimizer in file does not fit Adam: .*nothing was"):
        restore({"model": model, "optimizer": optimizer}, state, "file")
    assert all(np.array_equal(before[n], t.numpy()) for n, t in model.state_dict().items())
    with pytest.raises(DataError, match="must hold model, optimizer, but has no optimizer"):
        restore({"model": model, "optimizer": optimizer}, {"model": {}}, "file")
    wrong = {"model": nn.Sequential(nn.Linear(2, 4)).state_dict()}
    with pytest.raises(
        DataError, match=r"model in file does not fit Sequential: .*0.weight must be"
    ):
        restore({"model": model}, wrong, "file")
    assert all(np.array_equal(before[n], t.numpy()) for n, t in model.state_dict().items())


# -- writing ----------------------------------------------------------------------------------


class FullDisk:
    """A file that can take only so many bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        self.file.write(data[: self.room])
        self.file.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, {"epoch": 1, "w": backlit.ones((100,))})

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if failing == "write":
            import builtins

            real = builtins.open
            patch.setattr(
                "builtins.open",
                lambda p, mode="r", *a, **k: (
                    FullDisk(real(p, mode), 64) if "w" in mode else real(p, mode, *a, **k)
                ),
            )
        else:
            patch.setattr(os, failing, full)
        with pytest.raises(
            DataError,
            match=r"run.safetensors \([\d,]+ bytes\) could not be written"
            ": No space left on device; what the file held before is untouched",
        ):
            save_checkpoint(path, {"epoch": 2, "w": backlit.zeros((100,))})
    assert load_checkpoint(path)["epoch"] == 1
    assert leftovers(tmp_path) == []
    save_checkpoint(path, {"epoch": 3})
    assert load_checkpoint(path)["epoch"] == 3


def test_a_real_device_without_room(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "x"
    save_checkpoint(path, {"epoch": 1})
    name = f".x.{os.getpid()}-{threading.get_ident()}.partial"
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(DataError, match="No space left on device"):
        save_checkpoint(path, {"epoch": 2})
    assert load_checkpoint(path)["epoch"] == 1


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"could not be written: (Not a directory|File exists)"):
        save_checkpoint(tmp_path / "file" / "run", {"epoch": 1})
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(DataError, match="could not be written: Is a directory"):
        save_checkpoint(tmp_path / "folder", {"epoch": 1})
    assert leftovers(tmp_path) == []


def test_an_interruption_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_whole(path, b"old")

    def interrupt(descriptor):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_what_killed_savers_leave_is_removed_by_the_next(tmp_path):
    path = tmp_path / "x"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".x.{dead.pid}-1.partial").write_bytes(b"half")
    mine = tmp_path / f".x.{os.getpid()}-1.partial"  # of another thread of a living process
    mine.write_bytes(b"half")
    write_whole(path, b"new")
    assert leftovers(tmp_path) == [mine.name]


def test_files_have_the_usual_permissions(tmp_path):
    write_whole(tmp_path / "x", b"")
    (tmp_path / "y").write_bytes(b"")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path):
    path = tmp_path / "x"
    for mode in (0o600, 0o664, 0o755):
        write_whole(path, b"old")
        path.chmod(mode)
        write_whole(path, b"new")
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"new"


def test_a_link_stays_a_link_and_its_file_is_written(tmp_path):
    far, near = tmp_path / "far", tmp_path / "near"
    far.mkdir()
    near.mkdir()
    (near / "x").symlink_to("../far/x")
    for data in (b"first", b"second"):  # the first time it points to nothing
        write_whole(near / "x", data)
        assert (near / "x").is_symlink()
        assert (far / "x").read_bytes() == data
    assert os.listdir(far) == os.listdir(near) == ["x"]


def test_a_write_protected_file_is_left_alone(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(0o444)
    access = os.access
    # As for everybody but root, who may write everywhere.
    monkeypatch.setattr(os, "access", lambda p, m: m != os.W_OK and access(p, m))
    with pytest.raises(DataError, match="could not be written: the file is write-protected"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_a_file_that_does_not_fit_into_memory(tmp_path, monkeypatch):
    def refuse(path):
        raise MemoryError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match="x cannot be read: there is not enough memory; check"):
        backlit.load_tensors(tmp_path / "x")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_what_is_no_file_is_written_to_and_stays(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    write_whole(path, b"data")
    reader.join()
    assert got == [b"data"]
    assert stat.S_ISFIFO(path.stat().st_mode)
    if os.path.exists("/dev/full"):
        with pytest.raises(DataError, match=r"/dev/full .* could not be written: No space left on"):
            write_whole("/dev/full", b"data")
        assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_many_threads_may_save_the_same_file(tmp_path):
    path = tmp_path / "x"
    states = [{"i": i, "w": backlit.full((2000,), float(i))} for i in range(8)]
    threads = [threading.Thread(target=save_checkpoint, args=(path, s)) for s in states]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    loaded = load_checkpoint(path)
    assert set(loaded["w"].tolist()) == {float(loaded["i"])}
    assert leftovers(tmp_path) == []


_SAVER = """
import sys
import backlit
from backlit.train import save_checkpoint
for i in range(1, 100000):
    save_checkpoint(sys.argv[1], {"i": i, "w": backlit.full((300000,), float(i))})
    sys.stdout.write(f"{i}\\n")
    sys.stdout.flush()
"""


@pytest.mark.long
def test_killing_a_saver_at_any_moment_loses_nothing_that_was_saved(tmp_path):
    path = tmp_path / "run.safetensors"
    rng = random.Random(7)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", _SAVER, str(path)], stdout=subprocess.PIPE, text=True
        )
        first = process.stdout.readline()  # running
        time.sleep(rng.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        reported = [first, *process.stdout.read().splitlines()]
        process.wait()
        process.stdout.close()
        last = int([line for line in reported if line.strip()][-1])
        state = load_checkpoint(path)
        assert state["i"] in (last, last + 1)
        assert set(state["w"].tolist()) == {float(state["i"])}
    save_checkpoint(path, {"i": 0})
    assert leftovers(tmp_path) == []


def test_a_module_is_saved_by_its_state(tmp_path):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(
        ArgumentError,
        match=r"save_tensors: the state must be a dict, got an object of class Linear, .* use its "
        r"state_dict\(\)",
    ):
        save_tensors(path, nn.Linear(2, 2))
    assert not path.exists()
