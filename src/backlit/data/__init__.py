"""Datasets, loaders, and data sets to begin with.

`dataset` is where examples come from, `samplers` their order, `loader` the epochs, with `batches`
(examples stacked to one) and `prefetch` (batches made ahead). Data sets are in `digits` (scans),
`playground` (computed) and `idx` (read from files). `text` is all that is made of words.
"""

import typing as _typing

from . import text
from .batches import collate, default_convert
from .batches import collate as default_collate
from .dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from .digits import digits
from .idx import idx_folder, read_idx
from .loader import DataLoader
from .playground import playground
from .samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "collate",
    "default_collate",
    "default_convert",
    "digits",
    "idx_folder",
    "playground",
    "random_split",
    "read_idx",
    "text",
]

if not _typing.TYPE_CHECKING:
    from ..spelling import dataset as __getattr__
