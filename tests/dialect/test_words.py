"""Which dialect a method speaks: the word decides, and where none does the call raises."""

import re

import numpy as np
import pytest

import backlit as bl
from backlit.array_api.dialects import AMBIGUOUS, SPOKEN
from backlit.errors import ArgumentError, SpellingError

X = np.array([[1.0, 5.0], [7.0, 4.0]])

#: Each ambiguous call: the call, each dialect's way to write it, and what these give.
CALLS = {
    "x.std()": (lambda x: x.std(), X.std(), X.std(ddof=1)),
    "x.var()": (lambda x: x.var(), X.var(), X.var(ddof=1)),
    "x.max(1)": (lambda x: x.max(1), X.max(1), [X.max(1), X.argmax(1)]),
    "x.min(1)": (lambda x: x.min(1), X.min(1), [X.min(1), X.argmin(1)]),
    "x.sort()": (lambda x: x.sort(), np.sort(X), [np.sort(X), np.argsort(X)]),
    "x.nonzero()": (lambda x: x.nonzero(), np.nonzero(X), np.argwhere(X)),
    "x.repeat(2)": (lambda x: x[0].repeat(2), np.repeat(X[0], 2), np.tile(X[0], 2)),
    "x.transpose(0, 1)": (lambda x: x.transpose(0, 1), X.transpose(0, 1), X.T),
    "x.squeeze(0)": (lambda x: x.squeeze(0), None, X),
}


@pytest.fixture(params=[False, True], ids=["alone", "after backlit.torch"])
def spoken(request, monkeypatch):
    monkeypatch.setattr(SPOKEN, "pytorch", request.param)
    return request.param


def numbers(y):
    return np.array([t.numpy() for t in y] if isinstance(y, tuple) else y.numpy())


@pytest.mark.parametrize("spoken", [False], indirect=True)
def test_an_ambiguous_call_says_both_ways_and_both_ways_are_right(spoken):
    assert CALLS.keys() == AMBIGUOUS.keys()
    for typed, (call, numpy, pytorch) in CALLS.items():
        ways = AMBIGUOUS[typed]
        with pytest.raises(SpellingError, match=re.escape(f"{typed}: it means two things")) as e:
            call(bl.tensor(X))
        assert ways.numpy in str(e.value)
        assert ways.pytorch in str(e.value)
        for way, wanted in ((ways.numpy, numpy), (ways.pytorch, pytorch)):
            if wanted is None:
                continue
            names = {"backlit": bl, "x": bl.tensor(X[0] if "repeat" in typed else X)}
            if " = " in way:
                exec(way, names)
                y = names["x"]
            else:
                y = eval(way, names)
            np.testing.assert_allclose(numbers(y), wanted, err_msg=way)


@pytest.mark.parametrize("spoken", [True], indirect=True)
def test_after_the_import_of_the_room_it_is_pytorchs(spoken):
    for typed, (call, _, pytorch) in CALLS.items():
        np.testing.assert_allclose(numbers(call(bl.tensor(X))), pytorch, err_msg=typed)


def test_a_word_decides_whatever_has_been_imported(spoken):
    x = bl.tensor(X)
    for y, wanted in (
        (x.std(axis=0), X.std(0)),
        (x.std(dim=0), X.std(0, ddof=1)),
        (x.std(correction=1), X.std(ddof=1)),
        (x.std(0, unbiased=False), X.std(0)),
        (x.var(False), X.var()),
        (x.var(axis=None), X.var()),
        (x.var(axis=1, keepdims=True), X.var(1, keepdims=True)),
        (x.var(1, keepdim=True), X.var(1, ddof=1, keepdims=True)),
        (x.var(axis=1, correction=1), X.var(1, ddof=1)),
        (x.max(axis=(0, 1)), X.max()),
        (x.max((0, 1)), X.max()),
        (x.max(x.T), np.maximum(X, X.T)),
        (x.max(other=x.T), np.maximum(X, X.T)),
        (x.repeat(2, axis=0), np.repeat(X, 2, 0)),
        (x.repeat(1, 2, 1), np.tile(X, (1, 2, 1))),
        (x.transpose(), X.T),
        (x.transpose((0, 1)), X),
        (x.transpose(1, 0), X.T),
        (x[None].transpose(0, 1), X[:, None]),
        (x[None].transpose(2, 0, 1), X[None].transpose(2, 0, 1)),
        (x[None].squeeze(0), X),
        (x[None].squeeze(axis=0), X),
        (x.squeeze(dim=0), X),
        (x.sort(descending=True)[0], np.sort(X)[:, ::-1]),
    ):
        np.testing.assert_allclose(y.numpy(), wanted)


def test_words_of_both_in_one_call_are_refused(spoken):
    x = bl.tensor(X)
    with pytest.raises(ArgumentError, match=r"axis and dim are one argument: got axis=0 and dim=1"):
        x.std(axis=0, dim=1, correction=0)
    with pytest.raises(ArgumentError, match=r"sort: NumPy's x.sort\(axis=axis\) sorts x itself; w"):
        x.sort(axis=0)


def test_extremes_send_the_gradient_where_their_dialect_does():
    x = bl.tensor([3.0, 3.0, 1.0], requires_grad=True)
    assert bl.grad(x.max(axis=0), x).tolist() == [0.5, 0.5, 0.0]
    assert bl.grad(x.max(dim=0).values, x).tolist() == [1.0, 0.0, 0.0]


def test_a_mask_of_bytes_is_one_where_pytorch_is_spoken(spoken):
    x, mask = bl.tensor(X), (bl.tensor(X) > 2).astype("uint8")
    row = bl.asarray([0, 1], dtype="uint8")
    places = mask.numpy()
    assert np.array_equal(x[mask].numpy(), X[places > 0] if spoken else X[places])
    assert np.array_equal(x[row].numpy(), X[[1]] if spoken else X[[0, 1]])
    for key, mask_of_numpy in ((mask, places), (row, row.numpy()), ((row, 0), (row.numpy(), 0))):
        x, wanted = bl.tensor(X), X.copy()
        x[key] = 9.0
        parts = mask_of_numpy if isinstance(mask_of_numpy, tuple) else (mask_of_numpy,)
        by_truth = tuple(k > 0 if isinstance(k, np.ndarray) else k for k in parts)
        wanted[by_truth if spoken else parts] = 9.0
        assert np.array_equal(x.numpy(), wanted)


def test_a_copy_of_truth_values_is_their_own():
    numbers = np.array([True, False])
    x = bl.asarray(numbers, copy=False)
    copies = (x.clone(), x.to("cpu", copy=True))
    numbers[0] = False
    assert [y.tolist() for y in copies] == [[True, False]] * 2
