"""Sequences of different lengths in one batch, windows, and batches by length."""

from functools import partial

import numpy as np
import pytest

from backlit import tensor
from backlit.data import ArrayFile, DataLoader
from backlit.data.text import (
    BucketBatchSampler,
    ConllDataset,
    KmerTokenizer,
    Sentence,
    Vocabulary,
    WindowDataset,
    kmers,
    load_tokenizer,
    pad,
    pad_collate,
    windows,
)
from backlit.errors import ArgumentError, ShapeError
from sampling import every

THREE = [[1, 2, 3], [4], [5, 6]]


@every(
    "options rows",
    [
        ({}, [[1, 2, 3], [4, 0, 0], [5, 6, 0]]),
        ({"value": -100, "left": True}, [[1, 2, 3], [-100, -100, 4], [-100, 5, 6]]),
        ({"multiple_of": 4}, [[1, 2, 3, 0], [4, 0, 0, 0], [5, 6, 0, 0]]),
        ({"length": 4, "left": True}, [[0, 1, 2, 3], [0, 0, 0, 4], [0, 0, 5, 6]]),
        ({"length": 2, "truncate": True}, [[1, 2], [4, 0], [5, 6]]),
        ({"length": 2, "truncate": True, "left": True}, [[2, 3], [0, 4], [5, 6]]),
    ],
)
def test_padding(options, rows):
    assert pad(THREE, **options).tolist() == rows
    assert pad([np.array(s) for s in THREE], **options).tolist() == rows


def test_padding_keeps_types_and_features():
    assert pad([np.ones((2, 3), np.float32), np.ones((1, 3), np.float32)]).shape == (2, 2, 3)
    assert pad([np.array([1], np.int32), []]).dtype == "int32"
    assert pad([[], []]).shape == (2, 1)
    assert np.isnan(pad([[1.0, 2.0], [3.0]], value=float("nan")).numpy()[1, 1])


def test_errors_of_padding():
    with pytest.raises(
        ShapeError, match=r"at most length=2 entries, got 3 in number 0 of the batch; truncate=True"
    ):
        pad(THREE, length=2)
    with pytest.raises(
        ShapeError, match=r"differ in L only, got int64\[1\] and, as number 1, int6"
    ):
        pad([[1], [[2]]])
    with pytest.raises(ArgumentError, match="the value must be a number of uint8, got -100"):
        pad([np.array([1], np.uint8)], value=-100)
    with pytest.raises(ArgumentError, match=r"the value must be a number of int64, got 0\.5"):
        pad([[1]], value=0.5)
    with pytest.raises(ArgumentError, match="at least one sequence"):
        pad([])


def test_batches_of_tagged_sentences():
    examples = [(np.array([1, 2, 3]), np.array([0, 1, 0])), (np.array([4]), np.array([1]))]
    x, y = pad_collate(examples)
    assert x.tolist() == [[1, 2, 3], [4, 0, 0]]
    assert y.tolist() == [[0, 1, 0], [1, -100, -100]]
    x, lengths, mask, y = pad_collate(examples, lengths=True, mask=True, multiple_of=4)
    assert lengths.tolist() == [3, 1]
    assert mask.tolist() == [[True, True, True, False], [True, False, False, False]]
    assert y.tolist()[1] == [1, -100, -100, -100]
    _, mask, _ = pad_collate(examples, mask=True, left=True)
    assert mask.tolist() == [[True, True, True], [False, False, True]]
    x, lengths, y = pad_collate(examples, lengths=True, length=2, truncate=True)
    assert (x.shape, lengths.tolist(), y.tolist()) == ((2, 2), [2, 1], [[0, 1], [1, -100]])


def test_what_is_no_sequence_is_put_together_as_ever():
    x, y, name = pad_collate([([1, 2], 1, "a"), ([3], 0, "b")], values=[9, None, None])
    assert (x.tolist(), y.tolist(), name) == ([[1, 2], [3, 9]], [1, 0], ["a", "b"])
    many_hot = [(np.array([1, 2]), np.float32([1, 0])), (np.array([3, 4]), np.float32([0, 1]))]
    x, y = pad_collate(many_hot, length=4)
    assert (x.shape, y.tolist()) == ((2, 4), [[1, 0], [0, 1]])
    several = [(np.array([1]), np.array([1, 2])), (np.array([3, 4]), np.array([5, 6]))]
    assert pad_collate(several)[1].tolist() == [[1, 2], [5, 6]]
    translated = [([1], [7, 8]), ([2], [9])]
    assert pad_collate(translated)[1].tolist() == [[7, 8], [9, -100]]


def test_dicts_and_lone_sequences():
    batch = pad_collate([{"x": [1, 2], "y": 1}, {"x": [3], "y": 0}], lengths=True, mask=True)
    assert {k: v.tolist() for k, v in batch.items()} == {
        "x": [[1, 2], [3, 0]],
        "y": [1, 0],
        "lengths": [2, 1],
        "mask": [[True, True], [True, False]],
    }
    filled = pad_collate([{"x": [1], "y": [1, 2]}, {"x": [1, 2], "y": [3]}], values={"y": 5})
    assert filled["y"].tolist() == [[1, 2], [3, 5]]
    assert pad_collate([[1], [2, 3]]).tolist() == [[1, 0], [2, 3]]
    assert pad_collate([tensor([1]), tensor([2, 3])], lengths=True)[1].tolist() == [1, 2]


def test_errors_of_batches():
    with pytest.raises(ArgumentError, match="at least one example"):
        pad_collate([])
    with pytest.raises(ShapeError, match="tuples of 2 entries, as the first"):
        pad_collate([([1], 1), ([1],)])
    with pytest.raises(ShapeError, match="must have the keys x"):
        pad_collate([{"x": [1]}, {"y": [1]}])
    with pytest.raises(ArgumentError, match="values has 'z', but the fields are x"):
        pad_collate([{"x": [1]}], values={"z": 0})
    with pytest.raises(ArgumentError, match="a value for each of 2 fields, got 3"):
        pad_collate([([1], 1)], values=(0, 0, 0))
    with pytest.raises(ArgumentError, match="lengths and mask are of the first field"):
        pad_collate([(1, 2)], lengths=True)


# -- windows ------------------------------------------------------------------------------------


def test_windows_around_each_word():
    assert windows([4, 5], 5, padding=9).tolist() == [[9, 9, 4, 5, 9], [9, 4, 5, 9, 9]]
    assert windows([7], 1).tolist() == [[7]]
    assert windows([], 3).shape == (0, 3)
    with pytest.raises(ArgumentError, match="the size must be odd, to have a middle, got 4"):
        windows([1], 4)
    with pytest.raises(ShapeError, match=r"must have shape \(T,\), got int64\[1,1\]"):
        windows([[1]], 3)


def test_a_window_tagger_learns_from_windows_and_tags():
    data = ConllDataset([Sentence(("a", "b"), ("O", "B-P")), Sentence(("c",), ("O",))])
    x, y = data.windows(3).tensors
    assert x.tolist() == [[0, 2, 3], [2, 3, 0], [0, 4, 0]]
    assert y.tolist() == [1, 0, 1]
    assert len(ConllDataset([Sentence(("a", "b"))]).windows(3).tensors) == 1
    bare = Vocabulary("a b c".split(), padding=None, unknown=None)
    with pytest.raises(ArgumentError, match="the vocabulary of words must have padding"):
        ConllDataset(data.sentences, bare).windows(3)


def test_pieces_of_dna(tmp_path):
    assert kmers("ACG", 4) == []
    assert kmers("ACGTAC", 3, stride=3) == ["ACG", "TAC"]
    pieces = KmerTokenizer(2, stride=2)
    assert len(pieces) == 18
    assert pieces.decode(pieces.encode("acgtNN")) == "AC GT <unk>"
    pieces.save(tmp_path / "k.json")
    again = load_tokenizer(tmp_path / "k.json")
    assert again.encode("ACGTTT") == pieces.encode("ACGTTT")
    with pytest.raises(ArgumentError, match=r"at most 16,777,216 pieces, got 4\^13; choose"):
        KmerTokenizer(13)
    with pytest.raises(ArgumentError, match="k must be a positive integer, got 0"):
        kmers("ACGT", 0)


def test_windows_of_a_series(tmp_path):
    series = np.arange(20, dtype=np.float32).reshape(10, 2)
    data = WindowDataset(series, 3, horizon=2, stride=2, columns=[1])
    assert len(data) == 3  # from 0, 2 and 4
    x, y = data[-1]
    assert x.tolist() == [[8, 9], [10, 11], [12, 13]]
    assert y.tolist() == [[15], [17]]
    assert np.shares_memory(x, series)
    assert repr(data) == "WindowDataset(3 windows of 3, horizon 2)"
    np.save(tmp_path / "s.npy", series)
    in_file = WindowDataset(ArrayFile(tmp_path / "s.npy"), 3, horizon=2, stride=2, columns=[1])
    assert [part.tolist() for part in in_file[-1]] == [x.tolist(), y.tolist()]
    shapes = [(x.shape, y.shape) for x, y in DataLoader(data, 2)]
    assert shapes == [((2, 3, 2), (2, 2, 1)), ((1, 3, 2), (1, 2, 1))]
    with pytest.raises(ArgumentError, match=r"at least length \+ horizon = 11 steps, got 10"):
        WindowDataset(series, 10)
    with pytest.raises(ArgumentError, match=r"columns must lie in \[0, 2\) .* got \[2\]"):
        WindowDataset(series, 2, columns=[2])
    assert WindowDataset(series, 2, columns=[-2])[0][1].tolist() == [[4]]
    with pytest.raises(ShapeError, match=r"must have shape \(T, \.\.\.\), got a number"):
        WindowDataset(3.0, 1)


# -- batches by length --------------------------------------------------------------------------

LENGTHS = [int(n) for n in np.random.default_rng(0).integers(1, 40, 203)]


def test_every_example_is_in_one_batch_with_others_of_its_length():
    sampler = BucketBatchSampler(LENGTHS, 8, window=5, seed=3)
    batches = list(sampler)
    assert sorted(i for batch in batches for i in batch) == list(range(203))
    assert [len(b) for b in batches].count(8) == 25
    assert len(sampler) == len(batches) == 26
    filled = sum(max(LENGTHS[i] for i in b) * len(b) for b in batches)
    plain = [range(i, min(i + 8, 203)) for i in range(0, 203, 8)]
    unsorted = sum(max(LENGTHS[i] for i in b) * len(b) for b in plain)
    assert filled - sum(LENGTHS) < 0.25 * (unsorted - sum(LENGTHS))
    assert [LENGTHS[b[0]] for b in batches] != sorted(LENGTHS[b[0]] for b in batches)


def test_batches_follow_from_seed_and_epoch():
    first, second = BucketBatchSampler(LENGTHS, 8, seed=3), BucketBatchSampler(LENGTHS, 8, seed=3)
    one, two = list(first), list(first)
    assert one != two
    assert [list(second), list(second)] == [one, two]
    assert list(BucketBatchSampler(LENGTHS, 8, seed=4)) != one
    dropped = BucketBatchSampler(LENGTHS, 8, drop_last=True)
    assert {len(b) for b in dropped} == {8}
    assert len(dropped) == len(list(dropped)) == 25
    assert len(list(BucketBatchSampler(LENGTHS[:200], 8, drop_last=True))) == 25
    calm = BucketBatchSampler(LENGTHS, 8, shuffle=False)
    assert list(calm) == list(calm)
    assert [LENGTHS[i] for b in calm for i in b] == sorted(LENGTHS)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_loader_with_buckets_goes_on_in_the_middle_of_an_epoch(workers):
    examples = [([i] * n, i % 2) for i, n in enumerate(LENGTHS)]

    def loader():
        sampler = BucketBatchSampler(LENGTHS, 8, seed=3)
        collate = partial(pad_collate, lengths=True)
        return DataLoader(examples, batch_sampler=sampler, collate_fn=collate, num_workers=workers)

    def seen(batches):
        return [(x.tolist(), n.tolist(), y.tolist()) for x, n, y in batches]

    whole, broken = loader(), loader()
    seen(whole), seen(broken)
    second, third = seen(whole), seen(whole)
    iterator = iter(broken)
    head = seen(next(iterator) for _ in range(7))
    resumed = loader()
    resumed.load_state_dict(broken.state_dict())
    assert head + seen(resumed) == second
    assert seen(resumed) == third


def test_errors_of_buckets():
    for lengths in ([], [1, -1], [1.5], [[1]]):
        with pytest.raises(ArgumentError, match="lengths must be an integer from 0 for each exam"):
            BucketBatchSampler(lengths, 2)
    with pytest.raises(ArgumentError, match="batch_size must be a positive integer, got 0"):
        BucketBatchSampler([1], 0)
