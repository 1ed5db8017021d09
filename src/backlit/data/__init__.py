"""Datasets, loaders, and data sets to begin with."""

from .dataset import Dataset, IterableDataset, Subset, TensorDataset, random_split
from .digits import digits
from .idx import idx_folder, read_idx
from .loader import DataLoader, collate
from .playground import playground

__all__ = [
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "Subset",
    "TensorDataset",
    "collate",
    "digits",
    "idx_folder",
    "playground",
    "random_split",
    "read_idx",
]
