"""Datasets, loaders, and data sets to begin with.

`dataset` is where examples come from, `samplers` their order, `loader` the epochs, with `batches`
(examples stacked to one) and `prefetch` (batches made ahead). Data sets are in `digits` (scans) and
`playground` (computed). Files are read by `idx`; by `images` (folders of pictures, each by
`pictures`); by `tables` (whole or in pieces, from `table_sources`; CSV is split by `delimited`, its
`columns` are typed), of which `encoding` makes numbers. `text` is all that is made of words.
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
from .encoding import TableEncoding
from .idx import idx_folder, read_idx
from .images import ImageFolder
from .loader import DataLoader
from .pictures import image_tensor, load_image, open_image
from .playground import playground
from .samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .tables import Table, TableStream

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "ImageFolder",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "Table",
    "TableEncoding",
    "TableStream",
    "TensorDataset",
    "WeightedRandomSampler",
    "collate",
    "default_collate",
    "default_convert",
    "digits",
    "idx_folder",
    "image_tensor",
    "load_image",
    "open_image",
    "playground",
    "random_split",
    "read_idx",
    "text",
]

if not _typing.TYPE_CHECKING:
    from ..spelling import dataset as __getattr__
