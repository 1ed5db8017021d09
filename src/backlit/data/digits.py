"""Scikit-learn's handwritten digits: 1,797 real images of 8 by 8 pixels, on every machine."""

from __future__ import annotations

import numpy as np

from ..errors import MissingDependencyError
from ..random import Generator
from .dataset import TensorDataset


def digits(
    *, test_fraction: float = 0.2, seed: int = 0, images: bool = False
) -> tuple[TensorDataset, TensorDataset]:
    """The handwritten digits, split into training and test examples with a seed.

    x: float32 in [0, 1], (N, 64), or with `images` (N, 1, 8, 8);  y: int64 in 0 … 9, (N,)

    Every digit has the same share in both parts. Without scikit-learn: MissingDependencyError.

    >>> train, test = digits()
    >>> len(train), len(test), train.tensors[0].shape
    (1438, 359, (1438, 64))

    Source: Alpaydin & Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingDependencyError(
            "digits: scikit-learn, which brings the images, is not installed; "
            "run: pip install 'backlit[data]'"
        ) from None
    bunch = load_digits()
    x = (bunch.data / 16.0).astype(np.float32)
    if images:
        x = x.reshape(-1, 1, 8, 8)
    return stratified(x, bunch.target.astype(np.int64), test_fraction, seed)


def stratified(
    x: np.ndarray, y: np.ndarray, test_fraction: float, seed: int
) -> tuple[TensorDataset, TensorDataset]:
    """Training and test rows such that every class has the same share in both."""
    order = Generator(seed).permutation(len(y)).numpy()
    in_test = np.zeros(len(y), bool)
    for label in np.unique(y):
        rows = order[y[order] == label]
        in_test[rows[: round(len(rows) * test_fraction)]] = True
    train, test = order[~in_test[order]], order[in_test[order]]
    return TensorDataset(x[train], y[train]), TensorDataset(x[test], y[test])
