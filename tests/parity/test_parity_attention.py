"""Attention with every option, and the Transformer's parts, beside PyTorch's."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

import backlit as bl
from backlit import nn
from backlit.nn import functional as f

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore:enable_nested_tensor")]

rng = np.random.default_rng(0)
N, L, S, E = 2, 4, 3, 8


def close(got, want, what=""):
    got, want = got.detach().numpy(), want.detach().numpy()
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11, err_msg=what)


def copied(ours, theirs):
    theirs = theirs.double()
    ours = ours.to("float64")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for p in theirs.parameters():  # also what begins at 0
        p.data += torch.tensor(rng.normal(size=p.shape) * 0.1)
    ours.load_state_dict({n: t.numpy() for n, t in theirs.state_dict().items()})
    return ours, theirs


def compare(ours, theirs, arrays, call, what=""):
    """Results and all gradients."""
    results = []
    for lib, model in ((bl, ours), (torch, theirs)):
        inputs = [lib.tensor(a) for a in arrays]
        for x in inputs:
            x.requires_grad_(True)
        found = call(lib, model, inputs)
        found = found if isinstance(found, tuple) else (found,)
        sum((y**2).sum() for y in found if y is not None).backward()
        grads = [x.grad for x in inputs] + [p.grad for p in model.parameters()]
        results.append([y for y in found if y is not None] + grads)
        for p in model.parameters():
            p.grad = None
    assert len(results[0]) == len(results[1])
    for a, b in zip(*results, strict=True):
        close(a, b, what)


HEADS = [
    {},
    {"bias": False, "add_zero_attn": True},
    {"add_bias_kv": True},
    {"add_bias_kv": True, "add_zero_attn": True, "kdim": 5, "vdim": 7},
    {"batch_first": True, "kdim": 5},
]
CAUSAL = np.triu(np.ones((L, S)), 1) > 0
PADDING = np.array([[False, False, True], [False, False, False]])
MASKS = [
    {},
    {"need_weights": False},
    {"attn_mask": CAUSAL},
    {"attn_mask": np.where(CAUSAL, -math.inf, 0.3)},
    {"attn_mask": rng.normal(size=(N * 2, L, S)), "average_attn_weights": False},
    {"key_padding_mask": PADDING},
    {"key_padding_mask": np.where(PADDING, -math.inf, 0.2), "attn_mask": np.zeros((L, S))},
    {"key_padding_mask": PADDING, "attn_mask": CAUSAL},
]


@pytest.mark.parametrize("options", HEADS)
@pytest.mark.filterwarnings("ignore:Support for mismatched")
def test_attention_with_several_heads(options):
    ours, theirs = copied(
        nn.MultiheadAttention(E, 2, **options), torch.nn.MultiheadAttention(E, 2, **options)
    )
    shapes = [(L, N, E), (S, N, options.get("kdim", E)), (S, N, options.get("vdim", E))]
    arrays = [rng.normal(size=s) for s in shapes]
    if options.get("batch_first"):
        arrays = [a.swapaxes(0, 1).copy() for a in arrays]
    for masks in MASKS:

        def call(lib, model, inputs, masks=masks):
            given = {k: lib.tensor(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()}
            return model(*inputs, **given)

        compare(ours, theirs, arrays, call, str(masks))


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_stacks_and_the_whole(norm_first, batch_first, activation):
    options = {"norm_first": norm_first, "batch_first": batch_first, "dropout": 0.0}
    kinds = [lib.Transformer(E, 2, 2, 1, 16, activation=activation, **options)
             for lib in (nn, torch.nn)]  # fmt: skip
    ours, theirs = copied(*kinds)
    src, tgt = rng.normal(size=(S, N, E)), rng.normal(size=(L, N, E))
    if batch_first:
        src, tgt = (a.swapaxes(0, 1).copy() for a in (src, tgt))
    pad = np.array([[False, False, True], [False, False, False]])

    def whole(lib, model, inputs):
        mask = model.generate_square_subsequent_mask(L, dtype=lib.float64)
        padding = lib.tensor(pad)
        return model(*inputs, tgt_mask=mask, src_key_padding_mask=padding,
                     memory_key_padding_mask=padding)  # fmt: skip

    compare(ours, theirs, [src, tgt], whole)
    compare(ours, theirs, [src], lambda lib, model, x: model.encoder(x[0]) + 0.0 * sum(
        p.sum() for p in model.parameters()))  # fmt: skip
    square = nn.Transformer.generate_square_subsequent_mask(5)
    np.testing.assert_array_equal(
        square.numpy(), torch.nn.Transformer.generate_square_subsequent_mask(5).numpy()
    )


def test_a_new_transformer_starts_as_pytorchs():
    bl.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = nn.Transformer(64, 4, 1, 1, 128), torch.nn.Transformer(64, 4, 1, 1, 128)
    for (name, p), (other, q) in zip(
        ours.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert name == other
        assert p.numpy().std() == pytest.approx(q.detach().numpy().std(), rel=0.25, abs=1e-6)
    copies = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2)
    assert copies.layers[0].linear1.weight.tolist() == copies.layers[1].linear1.weight.tolist()


def test_grouped_queries_and_all_masks():
    q, k, v = (rng.normal(size=s) for s in ((2, 6, 4, 5), (2, 3, 3, 5), (2, 3, 3, 2)))
    for grouped, causal, mask in itertools.product(
        (True, False), (True, False), (None, CAUSAL < 1, rng.normal(size=(L, S)))
    ):
        if causal and mask is not None:
            continue
        key, value = (k, v) if grouped else (np.repeat(k, 2, 1), np.repeat(v, 2, 1))
        options = {"is_causal": causal, "scale": 0.3, "enable_gqa": grouped}
        given = [None if mask is None else lib.tensor(mask) for lib in (bl, torch)]
        got = f.scaled_dot_product_attention(
            *(bl.tensor(a) for a in (q, key, value)), attn_mask=given[0], **options
        )
        want = torch.nn.functional.scaled_dot_product_attention(
            *(torch.tensor(a) for a in (q, key, value)), attn_mask=given[1], **options
        )
        close(got, want)
