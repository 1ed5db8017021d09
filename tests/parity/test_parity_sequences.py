"""Packed sequences and recurrent layers over them beside PyTorch's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import backlit as bl
from backlit import nn
from backlit.nn.utils import rnn

pytestmark = pytest.mark.parity

rng = np.random.default_rng(0)
OPTIONS = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "bidirectional": True}),
    ("GRU", {"num_layers": 2, "bidirectional": True, "bias": False}),
    ("LSTM", {"num_layers": 2}),
    ("LSTM", {"num_layers": 2, "bidirectional": True}),
    ("LSTM", {"proj_size": 2}),
    ("LSTM", {"num_layers": 2, "bidirectional": True, "proj_size": 3, "bias": False}),
]


def close(got, want):
    np.testing.assert_allclose(got.numpy(), want.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("kind", "options"), OPTIONS)
def test_recurrent_layers_over_packed_and_whole_sequences(kind, options) -> None:
    x = rng.normal(size=(6, 4, 3))
    for batch_first, given, lengths in itertools.product(
        (False, True), (False, True), (None, [6, 4, 4, 1], [2, 6, 1, 3])
    ):
        ours = getattr(nn, kind)(3, 5, batch_first=batch_first, dtype="float64", **options)
        theirs = getattr(torch.nn, kind)(3, 5, batch_first=batch_first, **options).double()
        assert list(ours.state_dict()) == list(theirs.state_dict())
        ours.load_state_dict({n: t.numpy() for n, t in theirs.state_dict().items()})
        count = theirs.num_layers * (2 if theirs.bidirectional else 1)
        widths = (theirs.proj_size or 5, 5)[: 2 if kind == "LSTM" else 1]
        start = [rng.normal(size=(count, 4, w)) for w in widths] if given else None
        results = []
        for lib, layer, tensor, utils in (
            (bl, ours, bl.tensor, rnn),
            (torch, theirs, torch.tensor, torch.nn.utils.rnn),
        ):
            inputs = tensor(
                x if not batch_first else np.swapaxes(x, 0, 1).copy(), dtype=lib.float64
            )
            inputs.requires_grad_(True)
            hx = None
            if start is not None:
                hx = [tensor(s) for s in start]
                hx = hx[0] if len(hx) == 1 else tuple(hx)
            passed = inputs
            if lengths is not None:
                ordered = lengths[0] == 6
                passed = utils.pack_padded_sequence(inputs, lengths, batch_first, ordered)
            y, end = layer(passed, hx=hx)
            if lengths is not None:
                y, _ = utils.pad_packed_sequence(y, batch_first, total_length=8)
            ends = end if isinstance(end, tuple) else (end,)
            ((y * y).sum() + sum((e**3).sum() for e in ends)).backward()
            results.append([y, *ends, inputs.grad, *[p.grad for p in layer.parameters()]])
        for a, b in zip(*results, strict=True):
            close(a.detach() if isinstance(a, bl.Tensor) else a, b)


def test_packing_gives_pytorchs_fields() -> None:
    for lengths, ordered in (([6, 4, 4, 1], True), ([2, 6, 2, 3], False)):
        x = rng.normal(size=(6, 4, 3))
        ours = rnn.pack_padded_sequence(bl.tensor(x), lengths, enforce_sorted=ordered)
        theirs = torch.nn.utils.rnn.pack_padded_sequence(
            torch.tensor(x), lengths, enforce_sorted=ordered
        )
        assert ours._fields == theirs._fields
        for a, b in zip(ours, theirs, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_array_equal(a.numpy(), b.numpy())
