"""Which sequences come together in a batch: those of about one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...array_api.arguments import sequence, whole
from ...errors import ArgumentError
from ...random import Generator
from ...tensor import as_tensor
from ..samplers import _Drawn


class BucketBatchSampler(_Drawn):
    """The numbers of examples in batches of about one length each: a `batch_sampler`.

    Examples in random order are taken `window` batches at a time, each such bucket is sorted by
    length and cut into batches, and the batches come in random order: so little is padded, and
    every epoch has other batches. They follow from the seed and the epoch alone, for any number of
    workers; `state_dict` is saved with the loader's, which then continues in the middle of an
    epoch.

    Without `shuffle` there is one bucket, sorted: the order for an evaluation.

    >>> list(BucketBatchSampler([3, 9, 2, 8], 2, shuffle=False))
    [[2, 0], [3, 1]]
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        *,
        shuffle: bool = True,
        drop_last: bool = False,
        window: int = 50,
        seed: int = 0,
    ):
        super().__init__(Generator(seed))
        known = as_tensor(sequence("BucketBatchSampler: lengths", lengths)).numpy()
        if known.ndim != 1 or not len(known) or known.dtype.kind not in "iu" or known.min() < 0:
            raise ArgumentError(
                "BucketBatchSampler: lengths must be an integer from 0 for each example, got "
                f"{lengths!r:.60}"
            )
        self.lengths = known.astype(np.int64)
        self.batch_size = whole("BucketBatchSampler: batch_size", batch_size)
        self.window = whole("BucketBatchSampler: window", window)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        n, size = len(self.lengths), self.batch_size
        order = self.generator.permutation(n).numpy() if self.shuffle else np.arange(n)
        step = size * self.window if self.shuffle else n
        batches: list[list[int]] = []
        for start in range(0, n, step):
            bucket = order[start : start + step]
            bucket = bucket[np.argsort(self.lengths[bucket], kind="stable")]
            batches += [bucket[i : i + size].tolist() for i in range(0, len(bucket), size)]
        if self.drop_last and len(batches[-1]) < size:
            batches.pop()
        if self.shuffle:
            batches = [batches[i] for i in self.generator.permutation(len(batches)).tolist()]
        return iter(batches)

    def __len__(self) -> int:
        n, size = len(self.lengths), self.batch_size
        return n // size if self.drop_last else -(-n // size)


__all__ = ["BucketBatchSampler"]
