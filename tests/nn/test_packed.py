"""Sequences of different lengths: padded, packed, and through recurrent layers."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, ShapeError, TraceError
from backlit.nn.utils import rnn

rng = np.random.default_rng(0)
LENGTHS = [2, 5, 1, 4]


def sequences(*width):
    return [bl.tensor(rng.normal(size=(n, *width)), "float64") for n in LENGTHS]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("width", [(), (3,), (2, 2)])
def test_padding_and_packing_are_undone(batch_first, width) -> None:
    given = sequences(*width)
    padded = rnn.pad_sequence(given, batch_first, padding_value=7.0)
    assert padded.shape == ((4, 5) if batch_first else (5, 4)) + width
    assert bool(bl.all(padded[(2, 4) if batch_first else (4, 2)] == 7.0))
    packed = rnn.pack_padded_sequence(padded, LENGTHS, batch_first, enforce_sorted=False)
    assert packed.batch_sizes.tolist() == [4, 3, 2, 2, 1]
    assert packed.sorted_indices.tolist() == [1, 3, 0, 2]
    again, lengths = rnn.pad_packed_sequence(packed, batch_first, 7.0)
    assert lengths.tolist() == LENGTHS
    assert again.tolist() == padded.tolist()
    longer, _ = rnn.pad_packed_sequence(packed, batch_first, 7.0, total_length=9)
    assert longer.shape[batch_first] == 9
    for parts in (rnn.unpad_sequence(padded, lengths, batch_first), rnn.unpack_sequence(packed)):
        assert [p.tolist() for p in parts] == [t.tolist() for t in given]
    left = rnn.pad_sequence(given, padding_side="left")
    assert left[-1].tolist() == [t[-1].tolist() for t in given]


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_each_sequence_runs_as_if_it_were_alone(kind) -> None:
    layer = kind(3, 4, num_layers=2, bidirectional=True, dtype="float64")
    given = sequences(3)
    start = [bl.tensor(rng.normal(size=(4, 4, 4))) for _ in range(layer.states)]

    def state(parts):
        return parts[0] if layer.states == 1 else tuple(parts)

    packed = rnn.pack_sequence(given, enforce_sorted=False)
    y, end = layer(packed, state(start))
    sum_of = rnn.pad_packed_sequence(y)[0].sum()
    sum_of.backward()
    grads = [p.grad.numpy() for p in layer.parameters()]
    layer.zero_grad()
    alone = [layer(x, state([s[:, i] for s in start])) for i, x in enumerate(given)]
    for i, (got, (want, last)) in enumerate(zip(rnn.unpack_sequence(y), alone, strict=True)):
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-12)
        ends, lasts = (end, last) if layer.states > 1 else ((end,), (last,))
        for a, b in zip(ends, lasts, strict=True):
            np.testing.assert_allclose(a.numpy()[:, i], b.numpy(), rtol=1e-12)
    sum(want.sum() for want, _ in alone).backward()
    for got, p in zip(grads, layer.parameters(), strict=True):
        np.testing.assert_allclose(got, p.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_lengths_that_are_python_numbers_are_captured() -> None:
    layer, x = nn.LSTM(3, 4, batch_first=True), bl.random.normal((4, 5, 3))

    def run(x, lengths):
        packed = rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False)
        y, (h, _) = layer(packed)
        return rnn.pad_packed_sequence(y, True)[0], h

    compiled = bl.compile(run)
    for lengths in (LENGTHS, [5, 5, 1, 1]):
        for got, want in zip(compiled(x, lengths), run(x, lengths), strict=True):
            np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(TraceError, match=r"lengths decide shapes, so in a captured function they"):
        compiled(x, bl.tensor(LENGTHS))
    packed = rnn.pack_padded_sequence(x, LENGTHS, True, enforce_sorted=False)
    with pytest.raises(
        TraceError, match=r"PackedSequence: batch sizes decide shapes, and as an arg"
    ):
        bl.compile(lambda p: layer(p)[0].data)(packed)


def test_a_projection_is_one_of_each_hidden_state() -> None:
    """Against the recurrence written out, one step at a time."""
    layer = nn.LSTM(3, 5, proj_size=2, dtype="float64")
    x = bl.tensor(rng.normal(size=(4, 2, 3)))
    h, c = (bl.tensor(rng.normal(size=(1, 2, n))) for n in (2, 5))
    y, (last, cell) = layer(x, (h, c))
    w_ih, w_hh, b_ih, b_hh, w_hr = (p.numpy() for p in layer.parameters())
    hidden, state = h.numpy()[0], c.numpy()[0]
    for t in range(4):
        a = x.numpy()[t] @ w_ih.T + b_ih + hidden @ w_hh.T + b_hh
        i, f, o = (1 / (1 + np.exp(-a[:, 5 * k : 5 * k + 5])) for k in (0, 1, 3))
        state = f * state + i * np.tanh(a[:, 10:15])
        hidden = (o * np.tanh(state)) @ w_hr.T
        np.testing.assert_allclose(y.numpy()[t], hidden, rtol=1e-12)
    np.testing.assert_allclose(last.numpy()[0], hidden, rtol=1e-12)
    np.testing.assert_allclose(cell.numpy()[0], state, rtol=1e-12)
    assert list(layer.state_dict())[-1] == "weight_hr_l0"


def test_sequences_that_do_not_fit_say_why() -> None:
    x = bl.zeros((5, 4, 3))
    for lengths, text in (
        ([5, 4, 3], r"lengths must be N = 4 integers, got int64\[3\]"),
        ([5.0, 4.0, 3.0, 2.0], r"lengths must be N = 4 integers, got float64\[4\]"),
        ([6, 4, 3, 2], r"lengths must lie in \[1, 5\], got \[6, 4, 3, 2\]; leave empty"),
        ([5, 4, 3, 0], r"lengths must lie in \[1, 5\]"),
        (LENGTHS, r"lengths must fall with enforce_sorted=True, got \[2, 5, 1, 4\]; give enforce"),
    ):
        with pytest.raises(ArgumentError, match=f"pack_padded_sequence: {text}"):
            rnn.pack_padded_sequence(x, lengths)
    with pytest.raises(ShapeError, match=r"input must have shape \(T, N, ...\) or \(N, T, ...\)"):
        rnn.pack_padded_sequence(bl.zeros(3), [1])
    with pytest.raises(ShapeError, match=r"pad_sequence: all Tensors must have shapes \(L, ...\)"):
        rnn.pad_sequence([bl.zeros((2, 3)), bl.zeros((2, 4))])
    with pytest.raises(ArgumentError, match="pad_sequence: at least one sequence is required"):
        rnn.pad_sequence([])
    with pytest.raises(ArgumentError, match="padding_side must be 'left' or 'right', got 'up'"):
        rnn.pad_sequence([bl.zeros(1)], padding_side="up")
    packed = rnn.pack_padded_sequence(x, [5, 4, 3, 2])
    with pytest.raises(ArgumentError, match="at least the longest length, 5, got 4"):
        rnn.pad_packed_sequence(packed, total_length=4)
    with pytest.raises(ShapeError, match=r"GRU: the data of x must have shape \(Σ Lₙ, I\) with I"):
        nn.GRU(2, 2)(packed)
    with pytest.raises(ArgumentError, match=r"batch_sizes must fall and stay above 0, got \[1, 2"):
        rnn.unpack_sequence(rnn.PackedSequence(bl.zeros(3), bl.tensor([1, 2])))
    with pytest.raises(ArgumentError, match="GRU: proj_size is for LSTM only, got 1"):
        nn.GRU(2, 2, proj_size=1)
    with pytest.raises(ArgumentError, match="LSTM: proj_size must be below hidden_size, 2, got 2"):
        nn.LSTM(2, 2, proj_size=2)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("batch_first", [False, True])
def test_padded_with_lengths_is_as_packed(kind, batch_first) -> None:
    layer = kind(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first, dtype="float64")
    given = sequences(3)
    want, want_end = layer(rnn.pack_sequence(given, enforce_sorted=False))
    want, _ = rnn.pad_packed_sequence(want, batch_first)
    x = rnn.pad_sequence(given, batch_first, padding_value=1e30).requires_grad_()
    got, got_end = layer(x, lengths=bl.tensor(LENGTHS))
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-12)
    got.sum().backward()
    assert np.isfinite(np.array([p.grad.numpy().sum() for p in layer.parameters()])).all()
    ends = [(got_end, want_end)] if layer.states == 1 else zip(got_end, want_end, strict=True)
    for a, b in ends:
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


def test_one_compiled_layer_takes_all_lengths() -> None:
    layer = nn.GRU(3, 4, bidirectional=True, dtype="float64")
    x = bl.tensor(rng.normal(size=(5, 4, 3)))
    compiled = bl.compile(lambda n: layer(x, lengths=n)[0])
    for lengths in (LENGTHS, [5, 1, 3, 3]):
        got = compiled(bl.tensor(lengths))
        np.testing.assert_allclose(
            got.numpy(), layer(x, lengths=bl.tensor(lengths))[0].numpy(), rtol=1e-12
        )
    assert len(compiled.graphs) == 1
    with pytest.raises(ArgumentError, match=r"GRU: lengths must lie in \[1, 5\], but compiled"):
        compiled(bl.tensor([5, 0, 3, 3]))


def test_lengths_that_do_not_fit() -> None:
    layer = nn.GRU(3, 4)
    x = bl.zeros((5, 2, 3))
    with pytest.raises(
        ArgumentError, match=r"GRU: lengths must lie in \[1, 5\], got 0; leave empt"
    ):
        layer(x, lengths=bl.tensor([5, 0]))
    with pytest.raises(ShapeError, match=r"GRU: lengths must be N = 2 integers, got int64\[3\]"):
        layer(x, lengths=bl.tensor([5, 1, 1]))
    with pytest.raises(ArgumentError, match=r"GRU: a PackedSequence has lengths of its own; leave"):
        layer(rnn.pack_sequence([bl.zeros((2, 3))]), lengths=bl.tensor([2]))
