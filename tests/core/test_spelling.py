"""Names of NumPy and PyTorch that are spelled otherwise: the error says how."""

from __future__ import annotations

import re

import numpy as np
import pytest

import backlit as bl
from backlit import nn, spelling
from backlit.errors import SpellingError

X = bl.ones((2, 3))


@pytest.mark.parametrize(
    ("look_up", "text"),
    [
        (lambda: X.fill, "Tensor.fill: no such name; use x.fill_(value)"),
        (lambda: X.matrix_norm, "no such name; use backlit.matrix_norm(x, ...)"),
        (lambda: X.set_, "Tensor.set_: no such name; use x += y and the other operators, x[key]"),
        (lambda: bl.cat, "backlit.cat: no such name; use backlit.concat(tensors, axis=0)"),
        (lambda: bl.fft, "backlit.fft: no such name; there are no complex numbers; compute w"),
        (lambda: bl.complex64, "complex64: no such name; there are no complex numbers; compute w"),
        (lambda: X.angle(), "Tensor.angle: no such name; there are no complex numbers; compute w"),
        (lambda: X.to_sparse_csr(), "no such name; there are no sparse Tensors; a dense one has"),
        (lambda: X._version, "Tensor._version: no such name; use x.clone() to compare with"),
        (lambda: bl.inverse, "backlit.inverse: no such name; use backlit.linalg.inv(x)"),
        (lambda: bl.linalg.eig, "use linalg.eigh of a symmetric matrix, because others"),
        (lambda: bl.randn, "backlit.randn: no such name; use backlit.random.normal(shape)"),
        (lambda: bl.softmax, "use backlit.nn.functional.softmax(x, dim=axis)"),
        (lambda: bl.optim.SparseAdam, "optim.SparseAdam: no such name; use optim.Adam, because"),
        (lambda: nn.SyncBatchNorm, "nn.SyncBatchNorm: no such name; use nn.BatchNorm1d"),
    ],
)  # fmt: skip
def test_a_name_of_elsewhere_says_what_to_use(look_up, text) -> None:
    with pytest.raises(SpellingError, match=re.escape(text)):
        look_up()


@pytest.mark.parametrize("owner", [X, bl, nn], ids=["Tensor", "backlit", "nn"])
def test_any_other_name_is_pythons_own_error(owner) -> None:
    assert not hasattr(owner, "view_of_nothing")
    assert getattr(owner, "views", None) is None
    with pytest.raises(AttributeError, match="has no attribute 'view_of_nothing'") as raised:
        _ = owner.view_of_nothing
    assert raised.type is AttributeError


@pytest.mark.parametrize(
    ("look_up", "text"),
    [
        (lambda: nn.Conv2D, "has no attribute 'Conv2D'; did you mean Conv2d?"),
        (lambda: nn.Liner, "has no attribute 'Liner'; did you mean Linear?"),
        (lambda: nn.functional.reluu, "'backlit.nn.functional' has no attribute 'reluu'; did you"),
        (lambda: bl.optim.Adamw, "'backlit.optim' has no attribute 'Adamw'; did you mean AdamW?"),
        (lambda: bl.data.Dataloader, "has no attribute 'Dataloader'; did you mean DataLoader?"),
        (lambda: bl.zeroes, "module 'backlit' has no attribute 'zeroes'; did you mean zeros?"),
        (lambda: nn.Dense, "backlit.nn.Dense: no such name; use nn.Linear(inputs, outputs)"),
        (lambda: bl.reduce_mean, "backlit.reduce_mean: no such name; use backlit.mean(x, axis=a"),
        (lambda: bl.GradientTape, "no such name; use loss.backward(), or backlit.grad(loss, x)"),
    ],
)  # fmt: skip
def test_a_misspelled_name_and_one_of_tensorflow_say_what_is_meant(look_up, text) -> None:
    with pytest.raises(AttributeError, match=re.escape(text)):
        look_up()


def test_numpys_functions_do_not_stumble_over_the_names() -> None:
    assert np.cumsum(bl.ones(3)).tolist() == [1, 2, 3]
    assert np.clip(bl.asarray([1.0, 5.0]), 0, 2).tolist() == [1, 2]


def test_what_the_cures_name_is_there_and_no_name_is_taken() -> None:
    cures = {**spelling._FUNCTIONS, **spelling._METHODS, **spelling._LAYERS}
    for path in set(re.findall(r"backlit\.([a-z_0-9.]+)", " ".join(cures.values()))):
        owner = bl
        for name in path.split("."):
            owner = getattr(owner, name)
    for name in spelling._METHODS:
        assert not hasattr(X, name), name
    for name in spelling._FUNCTIONS:
        assert not hasattr(bl, name), name
