"""Datasets and the loader: what comes in which order, by whom, and continued from where."""

import gc
import threading
import time
import tracemalloc
from collections import namedtuple

import numpy as np
import pytest

import backlit
from backlit.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    collate,
    random_split,
)
from backlit.errors import ArgumentError, DataError, DTypeError, IndexRangeError, ShapeError


def rows(n=10):
    return TensorDataset(np.arange(n, dtype=np.float32)[:, None], np.arange(n))


def order(loader):
    return [y.tolist() for _, y in loader]


class Noisy(Dataset):
    """Examples that draw random numbers while they are made."""

    def __len__(self):
        return 7

    def __getitem__(self, i):
        return backlit.random.uniform((2,)), i


class Counting(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


def prefetchers():
    return [t for t in threading.enumerate() if t.name == "backlit-prefetch"]


# -- datasets ---------------------------------------------------------------------------------


def test_tensor_dataset_gives_rows_and_batches():
    data = TensorDataset([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [7, 8, 9])
    x, y = data[-1]
    assert x.tolist() == [5.0, 6.0]
    assert y.item() == 9
    x, y = data.rows(np.array([2, 0]))
    assert x.tolist() == [[5.0, 6.0], [1.0, 2.0]]
    assert y.tolist() == [9, 7]
    assert data.rows(np.array([1, 2]))[1].tolist() == [8, 9]


def test_of_a_view_with_overlaps_a_batch_copies_its_own_rows_only():
    series = np.arange(100_000.0)
    data = TensorDataset(np.lib.stride_tricks.sliding_window_view(series, 50))
    tracemalloc.start()
    (x,) = data.rows(np.array([5, 99_000]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert x[:, 0].tolist() == [5, 99_000]
    assert peak < 100_000  # of 40 MB


def test_consecutive_rows_are_not_copied():
    data = rows()
    assert np.shares_memory(data.rows(np.arange(2, 5))[0].numpy(), data.tensors[0].numpy())


def test_numbers_from_the_end_are_rows():
    data = TensorDataset([10.0, 20.0, 30.0])
    assert data.rows(np.array([-2, -1]))[0].tolist() == [20.0, 30.0]
    assert data.rows(np.array([-1, 0]))[0].tolist() == [30.0, 10.0]


def test_what_a_dataset_makes_of_its_examples_is_what_batches_hold():
    class Doubled(TensorDataset):
        batch = 32  # a name that may be anybody's

        def __getitem__(self, index):
            return tuple(2 * t for t in super().__getitem__(index))

    class Many:
        batch = "a text"

        def __len__(self):
            return 4

        def __getitem__(self, index):
            raise AssertionError("not one by one")

        def __getitems__(self, numbers):
            return [(float(i), i) for i in numbers]

    for source in (Doubled([1.0, 2.0, 3.0]), Subset(Doubled([3.0, 1.0, 2.0]), [1, 2, 0])):
        assert [b[0].tolist() for b in DataLoader(source, batch_size=2)] == [[2.0, 4.0], [6.0]]
    assert [b[1].tolist() for b in DataLoader(Many(), batch_size=3)] == [[0, 1, 2], [3]]


def test_dataset_errors():
    with pytest.raises(ArgumentError, match="at least one Tensor is required"):
        TensorDataset()
    with pytest.raises(ShapeError, match=r"equally many rows, got int64\[2\] and int64\[3\]"):
        TensorDataset([1, 2], [1, 2, 3])
    with pytest.raises(ShapeError, match=r"equally many rows, got float32\[\]"):
        TensorDataset(1.0)
    with pytest.raises(IndexRangeError, match=r"must lie in \[-10, 10\), got 10"):
        rows()[10]
    for outside in ([3, 12], [10, 11], [9, 10], [-11, -10]):
        with pytest.raises(IndexRangeError, match=r"must lie in \[-10, 10\), got (12|10|-11)"):
            rows().rows(np.array(outside))
    with pytest.raises(IndexRangeError, match=r"Subset: indices must lie in \[0, 10\), got 11"):
        Subset(rows(), [1, 11])
    with pytest.raises(NotImplementedError, match=r"Dataset must define __len__"):
        len(Dataset())
    with pytest.raises(NotImplementedError, match=r"Dataset must define __getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match=r"IterableDataset must define __iter__"):
        iter(IterableDataset())


def test_random_split_is_disjoint_complete_and_seeded():
    parts = random_split(rows(), [0.5, 0.25, 0.25], seed=3)
    assert [len(p) for p in parts] == [6, 2, 2]
    assert sorted(i for p in parts for i in p.indices) == list(range(10))
    again = random_split(rows(), [6, 2, 2], seed=3)
    assert [p.indices for p in parts] == [p.indices for p in again]
    other = random_split(rows(), [6, 2, 2], seed=4)
    assert [p.indices for p in parts] != [p.indices for p in other]
    assert order(DataLoader(parts[1], 2)) == [parts[1].indices]
    assert sorted(parts[0].indices + parts[1].indices + parts[2].indices) == list(range(10))


def test_random_split_errors():
    with pytest.raises(ArgumentError, match=r"add up to the 10 examples .* got \[3, 3\]"):
        random_split(rows(), [3, 3])
    with pytest.raises(ArgumentError, match=r"must not be negative, got \[1.5, -0.5\]"):
        random_split(rows(), [1.5, -0.5])


# -- the loader -------------------------------------------------------------------------------


def test_batches_in_order_with_and_without_the_last():
    assert order(DataLoader(rows(), 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert order(DataLoader(rows(), 4, drop_last=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(DataLoader(rows(), 4)) == 3
    assert len(DataLoader(rows(), 4, drop_last=True)) == 2


def test_shuffling_follows_its_own_seed_only():
    backlit.manual_seed(1)
    first = DataLoader(rows(), 3, shuffle=True, seed=5)
    a, b = order(first), order(first)
    backlit.manual_seed(2)
    second = DataLoader(rows(), 3, shuffle=True, seed=5)
    assert (order(second), order(second)) == (a, b)
    assert a != b
    assert sorted(i for batch in a for i in batch) == list(range(10))
    assert order(DataLoader(rows(), 3, shuffle=True, seed=6)) != a


def test_a_sampler_gives_the_order():
    loader = DataLoader(rows(), 2, sampler=[3, 3, 1])
    assert order(loader) == [[3, 3], [1]]
    assert len(loader) == 2


@pytest.mark.parametrize("prefetch", [0, 2])
def test_streams(prefetch):
    loader = DataLoader(Counting(5), 2, prefetch=prefetch)
    assert [b.tolist() for b in loader] == [[0, 1], [2, 3], [4]]
    loader = DataLoader(Counting(5), 2, drop_last=True, prefetch=prefetch)
    assert [b.tolist() for b in loader] == [[0, 1], [2, 3]]


def test_collate_stacks_every_kind():
    point = namedtuple("point", "x y")
    batch = collate([{"p": point(1.0, 2), "t": "a"}, {"p": point(3.0, 4), "t": "b"}])
    assert batch["p"].x.tolist() == [1.0, 3.0]
    assert batch["p"].y.dtype == backlit.int64
    assert batch["t"] == ["a", "b"]
    listed = [(np.ones(2), i) for i in range(3)]
    assert [x.shape for x, _ in DataLoader(listed, 2)] == [(2, 2), (1, 2)]
    with pytest.raises(ShapeError, match=r"same shape, got \(2,\) and \(3,\); pass a collate_fn"):
        collate([np.ones(2), np.ones(3)])
    with pytest.raises(ShapeError, match=r"equally many entries, got \[1, 2\]"):
        collate([(1,), (1, 2)])


@pytest.mark.parametrize(
    ("examples", "dtype"),
    [
        ([1, 2.5], "float32"),
        ([True, 2], "int64"),
        ([True, 2.5], "float32"),
        ([np.int8(1), 2.5], "float32"),
        ([np.float64(1), 2], "float64"),
        ([backlit.tensor(1), backlit.tensor(2.5, "bfloat16")], "bfloat16"),
        ([np.uint8(1), np.int8(-1)], "int16"),
    ],
)
def test_collate_mixes_types_as_arithmetic_does(examples, dtype):
    for batch in (collate(examples), collate(examples[::-1])[::-1]):
        assert batch.dtype == dtype
        assert batch.astype("float64").tolist() == [float(e) for e in examples]


def test_a_collate_function_gets_the_examples():
    loader = DataLoader(rows(5), 2, collate_fn=lambda examples: [int(y) for _, y in examples])
    assert list(loader) == [[0, 1], [2, 3], [4]]


def test_loader_errors():
    for bad in (0, -1, 2.0, True):
        with pytest.raises(
            ArgumentError, match=f"batch_size must be a positive integer, got {bad}"
        ):
            DataLoader(rows(), bad)
    with pytest.raises(
        ArgumentError, match="prefetch must be an integer that is not negative, got -1"
    ):
        DataLoader(rows(), prefetch=-1)
    with pytest.raises(ArgumentError, match="shuffle cannot be combined with a sampler"):
        DataLoader(rows(), shuffle=True, sampler=[1])
    with pytest.raises(ArgumentError, match="shuffle cannot be combined with a stream"):
        DataLoader(Counting(3), shuffle=True)
    with pytest.raises(ArgumentError, match="at least one example, got 0"):
        DataLoader(TensorDataset(np.zeros((0, 2))))
    with pytest.raises(DTypeError, match=r"a stream has no length \(Counting has no __len__\)"):
        len(DataLoader(Counting(3)))
    with pytest.raises(DTypeError, match=r"a stream has no length \(list_iterator has no"):
        len(DataLoader(rows(), sampler=iter([1, 2])))


# -- prefetching ------------------------------------------------------------------------------


def test_prefetching_changes_no_bit():
    for data in (rows(), Noisy()):
        plain = DataLoader(data, 3, shuffle=True, seed=1)
        ahead = DataLoader(data, 3, shuffle=True, seed=1, prefetch=2)
        for _ in range(2):
            for (x, y), (u, v) in zip(plain, ahead, strict=True):
                assert x.numpy().tobytes() == u.numpy().tobytes()
                assert y.tolist() == v.tolist()


def test_examples_drawn_at_random_differ_and_leave_the_default_generator_alone():
    backlit.manual_seed(3)
    before = backlit.random.default_generator().state_dict()
    loader = DataLoader(Noisy(), 3)
    first = [x.tolist() for x, _ in loader]
    second = [x.tolist() for x, _ in loader]
    assert first != second
    assert len({tuple(r) for batch in first for r in batch}) == 7
    after = backlit.random.default_generator().state_dict()
    assert {k: int(v) for k, v in before.items()} == {k: int(v) for k, v in after.items()}


def test_the_prefetch_thread_ends_with_the_loop():
    loader = DataLoader(rows(1000), 2, prefetch=3)
    assert len(list(loader)) == 500
    assert prefetchers() == []
    for _ in loader:
        assert len(prefetchers()) == 1
        break
    assert prefetchers() == []
    with pytest.raises(ZeroDivisionError):
        [1 / 0 for _ in loader]
    gc.collect()
    assert prefetchers() == []
    unused = iter(loader)
    del unused
    assert prefetchers() == []


def test_no_more_batches_are_made_ahead_than_asked_for():
    made = []

    class Counted(Noisy):
        def __getitem__(self, i):
            made.append(i)
            return i

        def __len__(self):
            return 50

    loop = iter(DataLoader(Counted(), 1, prefetch=3))
    for received in (1, 2):
        next(loop)
        deadline = time.monotonic() + 10
        while len(made) < received + 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)  # in which another one would be made
        assert len(made) == received + 3


def test_an_error_in_the_prefetch_thread_is_raised_in_the_loop_in_its_turn():
    class Broken(Noisy):
        def __getitem__(self, i):
            if i == 4:
                raise KeyError("example 4")
            return i

    received = []
    with pytest.raises(KeyError, match="example 4"):
        received.extend(batch.tolist() for batch in DataLoader(Broken(), 2, prefetch=4))
    assert received == [[0, 1], [2, 3]]
    gc.collect()
    assert prefetchers() == []


def test_prefetching_overlaps_with_the_loop():
    made = []

    class Slow(Noisy):
        def __getitem__(self, i):
            made.append(i)
            return i

    iterator = iter(DataLoader(Slow(), 1, prefetch=3))
    next(iterator)
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(made) == 4  # the one delivered and three ahead
    iterator.close()


# -- resuming ---------------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("stop", [0, 1, 2, 3])
def test_a_loader_resumes_in_the_middle_of_an_epoch(stop, prefetch):
    def batches(loader):
        return [(x.numpy().tobytes(), y.tolist()) for x, y in loader]

    options = {"shuffle": True, "seed": 9, "prefetch": prefetch}
    for data in (rows(7), Noisy()):
        whole = DataLoader(data, 3, **options)
        first, second, third = (batches(whole) for _ in range(3))
        broken = DataLoader(data, 3, **options)
        assert batches(broken) == first
        iterator = iter(broken)
        head = [(x.numpy().tobytes(), y.tolist()) for x, y in (next(iterator) for _ in range(stop))]
        state = broken.state_dict()
        assert state["position"] == stop
        resumed = DataLoader(data, 3, **{**options, "seed": 0})
        resumed.load_state_dict(state)
        assert resumed.state_dict() == state
        assert head + batches(resumed) == second
        assert batches(resumed) == third


def test_an_epoch_after_a_broken_off_one_resumes():
    loader = DataLoader(rows(), 3, shuffle=True, seed=2)
    next(iter(loader))
    iterator = iter(loader)
    head = [next(iterator)[1].tolist()]
    state = loader.state_dict()
    rest = [y.tolist() for _, y in iterator]
    resumed = DataLoader(rows(), 3, shuffle=True)
    resumed.load_state_dict(state)
    assert order(resumed) == rest
    assert sorted(i for batch in head + rest for i in batch) == list(range(10))


class Once(IterableDataset):
    """A stream that hands out the same iterator at each epoch."""

    def __init__(self):
        self.rest = iter(range(5))

    def __iter__(self):
        return self.rest


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: {"dataset": (np.float32(i) for i in range(5))}, "dataset .* from a generator"),
        (lambda: {"dataset": map(float, range(5))}, "dataset .* from a map"),
        (lambda: {"dataset": Once()}, "dataset .* from a Once"),
        (lambda: {"dataset": np.arange(5.0), "sampler": iter([1, 2])}, "sampler .* list_iterator"),
        (
            lambda: {"dataset": np.arange(5.0), "batch_sampler": iter([[1], [2]])},
            "batch_sampler .* list_iterator",
        ),
    ],
)
def test_a_second_epoch_of_what_is_used_up_is_an_error(make, text, prefetch):
    loader = DataLoader(**make(), prefetch=prefetch)
    assert list(loader)
    with pytest.raises(ArgumentError, match=f"the {text}.*: use a list of it, or a class whose"):
        list(loader)


def test_streams_and_samplers_resume():
    class Sampler:
        def __init__(self):
            self.start = 0

        def __iter__(self):
            start, self.start = self.start, self.start + 1
            return iter([start, start + 1, start + 2])

        def state_dict(self):
            return {"start": self.start}

        def load_state_dict(self, state):
            self.start = state["start"]

    loader = DataLoader(rows(), 1, sampler=Sampler())
    assert order(loader) == [[0], [1], [2]]
    next(iter(loader))
    state = loader.state_dict()
    resumed = DataLoader(rows(), 1, sampler=Sampler())
    resumed.load_state_dict(state)
    assert order(resumed) == [[2], [3]]
    assert order(resumed) == [[2], [3], [4]]

    stream = DataLoader(Counting(5), 2)
    stream.load_state_dict({**stream.state_dict(), "position": 1})
    assert [b.tolist() for b in stream] == [[2, 3], [4]]


def test_a_state_that_does_not_fit_is_refused():
    loader = DataLoader(rows(), 4)
    with pytest.raises(
        DataError, match=r"a state has position, key and counter, got {'position': 1}"
    ):
        loader.load_state_dict({"position": 1})
    with pytest.raises(DataError, match="batch_size must be as in the saved run, 5, got 4"):
        loader.load_state_dict(DataLoader(rows(), 5).state_dict())
    with pytest.raises(DataError, match="examples must be as in the saved run, 9, got 10"):
        loader.load_state_dict(DataLoader(rows(9), 4).state_dict())
    assert order(loader)[0] == [0, 1, 2, 3]


def test_a_slice_of_a_tensor_dataset_is_rows_of_each_tensor():
    data = TensorDataset([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [7, 8, 9])
    x, y = data[1:]
    assert (x.tolist(), y.tolist()) == ([[3, 4], [5, 6]], [8, 9])
    assert data[::-1][1].tolist() == [9, 8, 7]
    for index, kind in ((1.5, "a number, 1.5"), ([0, 1], r"a list, \[0, 1\]")):
        with pytest.raises(
            DTypeError,
            match=f"dataset: the index must be an integer, got {kind}; for several examples use",
        ):
            data[index]


def test_examples_come_one_by_one_without_a_batch_size():
    loader = DataLoader(rows(), batch_size=None)
    first = next(iter(loader))
    assert [t.shape for t in first] == [t.shape for t in rows()[0]]
    assert len(loader) == len(rows())
    named = [{"x": np.arange(2.0), "name": "a"}, {"x": np.ones(1, np.float32), "name": "b"}]
    got = list(DataLoader(named, batch_size=None))
    assert [(e["x"].tolist(), e["name"]) for e in got] == [([0.0, 1.0], "a"), ([1.0], "b")]
    stream = DataLoader(iter([1, 2]), batch_size=None, collate_fn=lambda n: n + 1)
    assert list(stream) == [2, 3]
    resumed, epoch = DataLoader(rows(), batch_size=None), iter(loader)
    next(epoch)
    resumed.load_state_dict(loader.state_dict())
    assert [e[0].tolist() for e in resumed] == [e[0].tolist() for e in epoch]
    with pytest.raises(ArgumentError, match="drop_last is about batches, and with batch_size=None"):
        DataLoader(rows(), batch_size=None, drop_last=True)
