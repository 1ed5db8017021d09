"""Datasets, loaders, and data sets to begin with.

`dataset` is where examples come from, `samplers` their order (and `splits` their parts), `loader`
the epochs. `making` makes a batch of examples, stacked by `batches`: here, in a thread ahead of the
loop (`prefetch`), or in processes (`workers` is the parent's side, `worker` the child's, `shared`
the memory between them). Data sets are in `digits` (scans) and `playground` (computed). Files are
read by `arrays` (NumPy's, HDF5), `idx`, `cifar` and `waves` (sounds); `folders` of them are data
sets, of pictures by `images`, which `pictures` reads; `tables` are read or made of other
libraries', and become numbers. `text` is all that is made of words, `transforms` change images.
`published` sets are fetched by `download`, when asked.
"""

import typing as _typing

from ..calls import explain as _explain
from . import text, transforms
from .arrays import ArrayDataset, ArrayFile, read_array
from .batches import collate, default_convert
from .batches import collate as default_collate
from .cifar import cifar_folder, read_cifar
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
from .download import download
from .folders import DatasetFolder
from .idx import idx_folder, read_idx
from .images import ImageFolder
from .loader import DataLoader
from .pictures import load_image, open_image
from .playground import playground
from .published import cifar10, cifar100, fashion_mnist, mnist, tiny_shakespeare, wnut17
from .samplers import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StratifiedSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .splits import k_fold, stratified_split
from .tables import Table, TableEncoding, TableStream
from .waves import read_wave
from .worker_info import WorkerInfo, get_worker_info

__all__ = [
    "ArrayDataset",
    "ArrayFile",
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DatasetFolder",
    "DistributedSampler",
    "ImageFolder",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "StratifiedSampler",
    "Subset",
    "SubsetRandomSampler",
    "Table",
    "TableEncoding",
    "TableStream",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "cifar10",
    "cifar100",
    "cifar_folder",
    "collate",
    "default_collate",
    "default_convert",
    "digits",
    "download",
    "fashion_mnist",
    "get_worker_info",
    "idx_folder",
    "k_fold",
    "load_image",
    "mnist",
    "open_image",
    "playground",
    "random_split",
    "read_array",
    "read_cifar",
    "read_idx",
    "read_wave",
    "stratified_split",
    "text",
    "tiny_shakespeare",
    "transforms",
    "wnut17",
]

_explain(__name__, __all__)

if not _typing.TYPE_CHECKING:
    from ..spelling import dataset as __getattr__
