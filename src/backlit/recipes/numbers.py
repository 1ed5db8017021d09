"""Arrays of numbers in files: NumPy's, lines with commas, IDX."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ..data import read_idx
from ..errors import DataError


def read_numbers(path: Path) -> np.ndarray:
    """The numbers in a .npy, .csv, .txt or IDX file."""
    if path.suffix == ".npy":
        try:
            x = np.load(path, allow_pickle=False)
        except Exception as error:  # NumPy lets everything through that a bad header makes happen
            raise DataError(f"predict: {path} is not a whole NumPy file: {first(error)}") from None
    elif path.suffix in (".csv", ".txt"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it is empty is said below
                x = np.loadtxt(path, dtype=np.float64, delimiter=",", ndmin=2, comments=None)
        except (ValueError, OSError) as error:
            raise DataError(
                f"predict: {path} must have numbers with commas in each line: {first(error)}"
            ) from None
    else:
        x = read_idx(path)
    if x.dtype.kind not in "fiub":
        raise DataError(f"predict: {path} must hold numbers, got {x.dtype}")
    return x


def first(error: Exception) -> str:
    """The beginning of an error: a file's content may stand in it."""
    return f"{type(error).__name__} {error}".splitlines()[0][:120]
