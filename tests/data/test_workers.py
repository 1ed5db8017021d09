"""Worker processes: the same batches as without, and an end to all of them, however it comes."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
import traceback

import numpy as np
import pytest

import backlit as bl
from apart import printed
from backlit.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info
from backlit.data.workers import Workers, chosen_context
from backlit.errors import ArgumentError, DataError, WorkerError
from sampling import every

pytestmark = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork"
)


@pytest.fixture(autouse=True)
def forked(monkeypatch):
    """Whatever Python starts processes by: data sets of tests are not sent."""
    monkeypatch.setattr(
        "backlit.data.workers.chosen_context", lambda given: chosen_context(given or "fork")
    )


class Noisy(Dataset):
    """Examples of all kinds that draw from all generators."""

    def __init__(self, n=11, size=3):
        self.n = n
        self.size = size

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        drawn = bl.random.uniform((self.size,)), np.random.normal(size=3), random.random()
        return {"drawn": drawn, "i": i, "text": f"number {i}"}


class Numbers(Dataset):
    """The numbers below n, and for some of them something else happens."""

    def __init__(self, n, **special):
        self.n = n
        self.special = {int(k[1:]): v for k, v in special.items()}

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.special[i]() if i in self.special else i


class Stream(IterableDataset):
    """Numbers below n with noise, all of them for each worker."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        for i in range(self.n):
            yield i, bl.random.uniform(())


class Divided(Stream):
    """Numbers below n, of which each worker has a part."""

    def __iter__(self):
        info = get_worker_info()
        step = (0, 1) if info is None else (info.id, info.num_workers)
        for i in range(step[0], self.n, step[1]):
            yield i, bl.random.uniform(())


def raw(batch):
    """A batch as plain values, to the bit."""
    if isinstance(batch, dict):
        return {k: raw(v) for k, v in batch.items()}
    if isinstance(batch, tuple | list):
        return [raw(v) for v in batch]
    return (batch.numpy().tobytes(), batch.dtype) if isinstance(batch, bl.Tensor) else batch


def children():
    return multiprocessing.active_children()


def alive(pid):
    """Whether a process is there, and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill_me():
    os.kill(os.getpid(), signal.SIGKILL)


# -- the same batches -------------------------------------------------------------------------


def test_workers_change_no_bit():
    """Small batches go through pipes, large ones through shared memory."""
    for data in (Noisy(), Noisy(5, 20_000)):
        found = []
        for options in (
            {"num_workers": 0},
            {"num_workers": 1},
            {"num_workers": 4, "persistent_workers": True, "prefetch_factor": 1},
            {"num_workers": 2, "prefetch": 5},
        ):
            random.seed(5)
            np.random.seed(5)
            loader = DataLoader(data, 2, shuffle=True, seed=3, **options)
            epochs = [[raw(batch) for batch in loader] for _ in range(2)]
            found.append((epochs, random.random(), np.random.rand()))
        assert all(other == found[0] for other in found[1:])
        assert epochs[0] != epochs[1]
    assert children() == []


def test_numpys_and_pythons_numbers_follow_their_seeds_and_are_left_alone():
    def drawn(seed):
        random.seed(seed)
        np.random.seed(seed)
        np.random.normal()  # which keeps a second number for the next call
        batches = [raw(b["drawn"][1:]) for b in DataLoader(Noisy(), 4, num_workers=0)]
        return batches, (random.random(), np.random.normal())

    assert drawn(1) == drawn(1)
    assert drawn(1)[0] != drawn(2)[0]
    left = drawn(1)[1]
    random.seed(1)
    np.random.seed(1)
    np.random.normal()
    assert left == (random.random(), np.random.normal())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_processes_that_are_not_forked_get_the_dataset_sent(method):
    data = TensorDataset(np.arange(50_000.0).reshape(5, -1), np.arange(5))
    loader = DataLoader(data, 2, num_workers=1, multiprocessing_context=method)
    assert [raw(b) for b in loader] == [raw(b) for b in DataLoader(data, 2)]


def test_batches_outlive_the_loader_and_memory_is_used_again():
    data = Noisy(150, 20_000)
    kept = list(DataLoader(data, 1, num_workers=2))
    assert [raw(b)["i"] for b in kept] == [raw(b)["i"] for b in DataLoader(data, 1)]
    assert kept[0]["drawn"][0].array.flags.writeable  # it is the loop's own
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    assert before < 120  # not one file for each batch
    del kept
    loader = iter(DataLoader(data, 1, num_workers=1, prefetch_factor=1))
    places = [next(loader)["drawn"][0].numpy().ctypes.data for _ in range(20)]
    assert len(set(places)) <= 4


def test_a_worker_says_who_it_is():
    def who(examples):
        info = get_worker_info()
        return info.id, info.num_workers, info.seed, len(info.dataset), repr(info)

    loader = DataLoader(Numbers(4), collate_fn=who, num_workers=2)
    found = sorted(loader)
    (a, *_), (b, *_) = found[0], found[-1]
    assert (a, b) == (0, 1)
    assert {f[1] for f in found} == {2}
    assert found[-1][2] - found[0][2] == 1
    assert found[0][3:] == (4, f"WorkerInfo(id=0, num_workers=2, seed={found[0][2]})")
    assert get_worker_info() is None


def test_each_worker_begins_with_worker_init_fn():
    begun = multiprocessing.get_context("fork").Array("i", 2)

    def begin(number):
        begun[number] += 1

    loader = DataLoader(Numbers(4), num_workers=2, worker_init_fn=begin, persistent_workers=True)
    assert [int(b) for _ in range(2) for b in loader] == [0, 1, 2, 3] * 2
    assert list(begun) == [1, 1]

    def refuse(number):
        raise OSError(f"no {number}")

    with pytest.raises(OSError, match="no 0"):
        list(DataLoader(Numbers(4), num_workers=2, worker_init_fn=refuse))


def test_persistent_workers_stay_until_the_loader_goes():
    def pids(loader):
        return {p for b in loader for p in b.tolist()}

    loader = DataLoader(
        Numbers(8, **{f"_{i}": os.getpid for i in range(8)}), num_workers=2, persistent_workers=True
    )
    first = pids(loader)
    next(iter(loader))
    assert pids(loader) <= {p.pid for p in children()} >= first
    one, other = iter(loader), iter(loader)
    next(one), next(other)
    assert len(children()) == 4  # a loop beside another has workers of its own
    one.close(), other.close()
    assert len(children()) == 2
    kill_pid = next(iter(first))
    os.kill(kill_pid, signal.SIGKILL)
    until(lambda: kill_pid not in {p.pid for p in children()})  # its last thread has ended, too
    assert len(pids(loader)) >= 1
    del loader, one, other
    assert children() == []


def test_an_epoch_that_is_left_leaves_neither_work_nor_memory():
    made = multiprocessing.get_context("fork").Value("i", 0)

    class Counted(Noisy):
        def __getitem__(self, i):
            with made:
                made.value += 1
            return super().__getitem__(i)

    loader = DataLoader(
        Counted(400, 20_000), 1, num_workers=1, prefetch_factor=40, persistent_workers=True
    )
    for _ in range(10):
        next(iter(loader))
    (member,) = loader._workers._members
    assert len(member.receiver._blocks) <= 45
    assert made.value < 10 * 40

    class Late(Noisy):
        def __getitem__(self, i):
            time.sleep(0.05 if i == 0 else 0)
            return super().__getitem__(i)

    loader = DataLoader(
        Late(400, 20_000), 1, num_workers=2, prefetch_factor=4, persistent_workers=True
    )
    for _ in range(10):
        next(iter(loader))  # while it waits, batches come that nobody will want
    assert all(len(m.receiver._blocks) <= 12 for m in loader._workers._members)


def test_a_start_that_fails_leaves_no_process(monkeypatch):
    start = Workers._start

    def failing(self, context, place, *rest):
        if place[0] == 1:
            raise OSError("no more processes")
        start(self, context, place, *rest)

    monkeypatch.setattr(Workers, "_start", failing)
    with pytest.raises(OSError, match="no more processes") as caught:
        list(DataLoader(Numbers(4), num_workers=2))
    assert caught.value
    assert children() == []


def test_workers_use_workers():
    class Nested(Numbers):
        def __getitem__(self, i):
            return sum(int(b) for b in DataLoader(Numbers(i + 1), num_workers=1))

    assert [b.tolist() for b in DataLoader(Nested(3), num_workers=2)] == [[0], [1], [3]]
    outer, inner = DataLoader(Numbers(2), num_workers=1), DataLoader(Numbers(3), num_workers=1)
    pairs = [(int(a), int(b)) for a in outer for b in inner]
    assert pairs == [(a, b) for a in range(2) for b in range(3)]


def test_batches_come_as_they_are_ready_if_order_does_not_matter():
    data = Numbers(4, _0=lambda: time.sleep(0.3) or 0)
    loader = DataLoader(data, num_workers=2, in_order=False)
    epoch = iter(loader)
    assert int(next(epoch)) == 1
    assert loader.state_dict()["position"] == 0
    assert loader.state_dict()["beyond"] == [1]
    resumed = DataLoader(data, num_workers=0)
    resumed.load_state_dict(loader.state_dict())
    assert [int(b) for b in resumed] == [0, 2, 3]
    assert sorted(int(b) for b in epoch) == [0, 2, 3]


def test_an_epoch_goes_on_with_another_number_of_workers():
    def loader(workers):
        return DataLoader(Noisy(), 2, shuffle=True, seed=4, num_workers=workers)

    for first, second in ((2, 0), (0, 3)):
        broken = loader(first)
        epoch = iter(broken)
        head = [raw(next(epoch)) for _ in range(2)]
        state = broken.state_dict()
        epoch.close()
        resumed = loader(second)
        resumed.load_state_dict(state)
        random.seed(99)  # the state knows where this stood
        assert head + [raw(b) for b in resumed] == [raw(b) for b in _begun_at(loader(0), state)]


def _begun_at(loader, state):
    loader.load_state_dict({**state, "position": 0})
    return loader


# -- streams ----------------------------------------------------------------------------------


def test_a_stream_that_does_not_divide_itself_comes_once():
    for n in (0, 1, 7):
        for options in ({}, {"drop_last": True}):
            if n == 0:
                with pytest.raises(ArgumentError, match="at least one example in each epoch"):
                    list(DataLoader(Stream(n), 2, num_workers=3, **options))
                continue
            plain, found = (
                [[raw(b) for b in loader] for _ in range(2)]
                for workers in (0, 3)
                for loader in [DataLoader(Stream(n), 2, num_workers=workers, **options)]
            )
            assert plain == found


def test_a_stream_that_divides_itself_comes_from_each_worker_in_turn():
    loader = DataLoader(Divided(10), 2, num_workers=2, persistent_workers=True)
    for _ in range(2):
        assert [b.tolist() for b, _ in loader] == [[0, 2], [1, 3], [4, 6], [5, 7], [8], [9]]
    epoch = iter(loader)
    head = [raw(next(epoch)) for _ in range(3)]
    state = loader.state_dict()
    rest = [raw(b) for b in epoch]
    resumed = DataLoader(Divided(10), 2, num_workers=2)
    resumed.load_state_dict(state)
    assert [raw(b) for b in resumed] == rest
    assert len({noise for _, (noise, _) in head + rest}) == 6  # each worker draws its own
    with pytest.raises(DataError, match=r"num_workers must be as in the saved run, 2, got 3"):
        DataLoader(Divided(10), 2, num_workers=3).load_state_dict(state)
    fresh = [raw(noise) for _, noise in DataLoader(Divided(10), 2, num_workers=2)]
    assert len({values for values, _ in fresh}) == 6


def test_a_worker_whose_part_is_at_its_end_is_left_out():
    class Uneven(Stream):
        def __iter__(self):
            return iter(range(1 if get_worker_info().id == 0 else self.n))

    loader = DataLoader(Uneven(3), 1, num_workers=2)
    assert [b.tolist() for b in loader] == [[0], [0], [1], [2]]
    epoch = iter(loader)
    for _ in range(3):
        next(epoch)
    assert loader.state_dict()["position"] == 4
    assert "beyond" not in loader.state_dict()
    resumed = DataLoader(Uneven(3), 1, num_workers=2)
    resumed.load_state_dict(loader.state_dict())
    assert [b.tolist() for b in resumed] == [[2]]


def test_a_worker_init_fn_divides_a_stream():
    def take_a_part(number):
        info = get_worker_info()
        info.dataset.parts = (number, 2)

    class Parts(Stream):
        parts = (0, 1)

        def __iter__(self):
            return iter(range(self.parts[0], self.n, self.parts[1]))

    loader = DataLoader(Parts(5), 2, num_workers=2, worker_init_fn=take_a_part)
    assert [b.tolist() for b in loader] == [[0, 2], [1, 3], [4]]


def test_who_divides_a_stream_too_late_is_told():
    class Late(Stream):
        def __iter__(self):
            yield 0
            yield get_worker_info().id

    with pytest.raises(ArgumentError, match="asks before its first example, got the question aft"):
        list(DataLoader(Late(3), 1, num_workers=1))
    with pytest.raises(ArgumentError, match=r"a list_iterator can be read only once, and not by s"):
        DataLoader(iter([1, 2]), num_workers=1)


# -- what goes wrong --------------------------------------------------------------------------


def divide():
    return 1 // 0


class Unpicklable(Exception):  # noqa: N818
    def __init__(self, a, b):
        super().__init__("of two")


def strange():
    raise Unpicklable(1, 2)


def test_an_error_in_a_worker_is_raised_in_its_turn_with_its_traceback():
    received = []
    with pytest.raises(ZeroDivisionError) as caught:
        received.extend(b.tolist() for b in DataLoader(Numbers(9, _5=divide), 2, num_workers=2))
    assert received == [[0, 1], [2, 3]]
    text = "".join(traceback.format_exception(caught.value))
    assert "return 1 // 0" in text
    assert "DataLoader: in worker 0 of 2, making batch 2" in text
    with pytest.raises(
        WorkerError, match=r"DataLoader: .*Unpicklable: of two \(in worker 0 of 1, m"
    ):
        list(DataLoader(Numbers(3, _1=strange), 2, num_workers=1))
    with pytest.raises(Exception, match=r"(?i)pickle"):
        list(DataLoader([1], collate_fn=lambda _: (i for i in ()), num_workers=1))
    with pytest.raises(ArgumentError, match="sampler gives the numbers of examples"):
        list(DataLoader(Numbers(9), batch_sampler=[[1], [0.5]], num_workers=1))
    assert children() == []


@every(
    "end, text",
    [
        (kill_me, r"was killed by SIGKILL while it had batch 1 to make; the system kills what ta"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "was killed by SIGTERM .* num_workers=0"),
        (lambda: os._exit(3), "ended with exit code 3 while .*; what it printed says why"),
    ],
)  # fmt: skip
def test_a_worker_that_dies_is_an_error_at_once(end, text):
    began = time.monotonic()
    with pytest.raises(WorkerError, match=rf"DataLoader: worker \d of 2 \(process \d+\) {text}"):
        list(DataLoader(Numbers(9, _3=end), 2, num_workers=2))
    assert time.monotonic() - began < 4.5
    assert children() == []


@pytest.mark.slow
def test_a_batch_that_does_not_come_is_an_error():
    slow = Numbers(4, _1=lambda: time.sleep(60))
    with pytest.raises(
        WorkerError, match=r"no batch within timeout=0.2 s from worker . of 2 while"
    ):
        list(DataLoader(slow, num_workers=2, timeout=0.2))
    assert children() == []


def test_a_loop_that_is_left_ends_its_workers():
    for _ in DataLoader(Numbers(100), num_workers=2):
        assert len(children()) == 2
        break
    assert children() == []
    with pytest.raises(ZeroDivisionError):
        [1 / 0 for _ in DataLoader(Numbers(100), num_workers=2)]
    epoch = iter(DataLoader(Numbers(100), num_workers=2))
    next(epoch)
    del epoch
    assert children() == []


PROGRAM = """
import os, signal, sys, time
from backlit.data import DataLoader
class Slow:
    def __len__(self): return 50
    def __getitem__(self, i):
        time.sleep({delay})
        return os.getpid()
loader = DataLoader(
    Slow(), num_workers=2, persistent_workers={persistent}, multiprocessing_context="fork"
)
epoch = iter(loader)
print(*(int(next(epoch)) for _ in range(2)), flush=True)
{then}
"""


def program(then, delay=0.01, persistent=False):
    text = PROGRAM.format(then=then, delay=delay, persistent=persistent)
    return subprocess.Popen(
        [sys.executable, "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="/proc says who is alive")
def test_workers_end_with_their_parent():
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    running = {
        "killed": program(kill),
        "killed while workers work": program(kill, 0.5),
        "ended with a loop open": program("", persistent=True),
        "left by an error": program("1 / 0"),
    }
    shared = set(os.listdir("/dev/shm"))
    for how, process in running.items():
        out, error = process.communicate(timeout=60)
        pids = out.split()
        assert len(pids) == 2, error
        until(lambda pids=pids: not any(map(alive, pids)))
        assert ("ZeroDivisionError" in error) is (how == "left by an error")
        assert "worker" not in error
    assert set(os.listdir("/dev/shm")) <= shared


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="/proc says who is alive")
def test_ctrl_c_ends_the_loop_and_its_workers_with_one_traceback():
    process = program("for _ in epoch: pass", 0.05)
    pids = process.stdout.readline().split()
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=30)
    until(lambda: not any(map(alive, pids)))
    assert error.count("Traceback") == 1, error
    assert error.strip().endswith("KeyboardInterrupt")


def test_a_worker_that_ctrl_c_keeps_from_being_stopped_ends_with_the_interpreter():
    text = printed(
        PROGRAM.format(delay=0.01, persistent=False, then="").replace(
            "epoch = iter(loader)",
            "import backlit.data.workers as w\n"
            "w._end = lambda members: (_ for _ in ()).throw(KeyboardInterrupt)\n"
            "epoch = iter(loader)",
        )
        + "try:\n    epoch.close()\nexcept KeyboardInterrupt:\n    print('interrupted')\n",
        timeout=30,
    )
    pids, said = text.split()[:2], text.split()[2:]
    assert said == ["interrupted"]
    assert not any(map(alive, pids))


def test_what_cannot_be_sent_is_named():
    class Local(Numbers):
        pass

    def here(examples):
        return examples

    for what, options in (
        ("dataset, a Local, cannot be sent to a worker process started by spawn", {}),
        ("collate_fn, a function, cannot be sent", {"dataset": Numbers(3), "collate_fn": here}),
        ("worker_init_fn, a function, cannot", {"dataset": Numbers(3), "worker_init_fn": here}),
    ):
        loader = DataLoader(
            **{"dataset": Local(3), "num_workers": 1, "multiprocessing_context": "spawn"} | options
        )
        with pytest.raises(ArgumentError, match=f"the {what}.*at the top of a module, or use"):
            list(loader)
    weight = bl.tensor([1.0], requires_grad=True)
    with pytest.raises(bl.errors.GradientError, match=r"pickle: only leaf Tensors are pickled"):
        list(DataLoader([1], collate_fn=lambda _: weight * 1, num_workers=1))


@every(
    "options, text",
    [
        ({"multiprocessing_context": "thread"}, "must be one of .*fork.*, or wh"),
        ({"num_workers": 1, "timeout": -1}, "timeout must be seconds from 0, got -1"),
        ({"prefetch_factor": 4}, "prefetch_factor is about worker processes, and num_workers=0 h"),
        ({"persistent_workers": True}, "persistent_workers is about worker processes"),
        ({"timeout": 3}, "timeout is about worker processes"),
    ],
)
def test_what_makes_no_sense_for_workers_is_refused(options, text):
    with pytest.raises(ArgumentError, match=f"DataLoader: .*{text}"):
        DataLoader([1, 2], **options)


def _inside_a_daemon(results):
    try:
        list(DataLoader([1], num_workers=1))
    except ArgumentError as error:
        results.put(str(error))


def test_a_daemonic_process_cannot_have_workers():
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=_inside_a_daemon, args=(results,), daemon=True)
    process.start()
    assert "a daemonic process cannot start workers; use num_workers=0" in results.get(timeout=20)
    process.join()


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_told():
    text = printed("""
import pathlib, subprocess, sys, tempfile
script = pathlib.Path(tempfile.mkdtemp()) / "script.py"
script.write_text('''
from backlit.data import DataLoader
list(DataLoader([1, 2], num_workers=1, multiprocessing_context="spawn"))
''')
print(subprocess.run([sys.executable, script], capture_output=True, text=True).stderr)
""")
    assert 'must do its work under if __name__ == "__main__"' in text
