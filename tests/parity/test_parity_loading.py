"""Loaders and samplers give what PyTorch's give, where nothing is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils import data as theirs

from backlit import data as ours

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]


def divided(library):
    """A stream of which each worker has a part; the parts are not equally long."""

    class Stream(library.IterableDataset):
        def __iter__(self):
            info = library.get_worker_info()
            first, step = (0, 1) if info is None else (info.id, info.num_workers)
            yield from range(first, 13, step)

    return Stream()


@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_streams_that_divide_themselves_come_in_the_same_order(workers, drop_last):
    options = {"num_workers": workers, "drop_last": drop_last}
    if workers:
        options["multiprocessing_context"] = "fork"
    found = [
        [batch.tolist() for batch in library.DataLoader(divided(library), 2, **options)]
        for library in (ours, theirs)
    ]
    assert found[0] == found[1]


def test_replicas_get_the_same_numbers():
    for n in (3, 8, 9):
        for replicas in (1, 2, 4, 7):
            for drop_last in (False, True):
                for rank in range(replicas):
                    options = {"shuffle": False, "drop_last": drop_last}
                    a, b = (
                        library.DistributedSampler(range(n), replicas, rank, **options)
                        for library in (ours, theirs)
                    )
                    if drop_last and n < replicas:  # where PyTorch asks for more than there are
                        assert list(a) == []
                        continue
                    assert (list(a), len(a), a.total_size) == (list(b), len(b), b.total_size)


def test_batches_hold_the_same():
    rng = np.random.default_rng(0)
    rows = [(rng.normal(size=(2, 3)).astype("f"), i, {"w": float(i)}, "t") for i in range(5)]
    for workers in (0, 2):
        a, b = (
            list(library.DataLoader(rows, 2, num_workers=workers)) for library in (ours, theirs)
        )
        for (x, i, w, text), (u, j, v, other) in zip(a, b, strict=True):
            assert np.array_equal(x.numpy(), u.numpy())
            assert (i.tolist(), w["w"].tolist(), tuple(text)) == (
                j.tolist(),
                v["w"].tolist(),
                other,
            )
    assert torch.utils.data.get_worker_info() is None
