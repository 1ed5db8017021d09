"""Attention under masks: what may be seen, for every way to say it, eager and compiled."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.compiler import interpreter
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.nn import functional as F
from sampling import every, one_in

inf = np.inf
rng = np.random.default_rng(0)
N, HEADS, L, S, E = 2, 2, 3, 4, 4

# Query 1 may see nothing, by the mask alone; sample 1 loses more keys by its padding.
ALLOWED = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 1, 1]], bool)
PER_HEAD = rng.random((N * HEADS, L, S)) < 0.6
KEPT = np.array([[1, 1, 1, 1], [0, 1, 1, 0]], bool)


def minus_infinity(allowed):
    return np.where(allowed, rng.normal(size=allowed.shape), -inf)


#: A mask as it is given to the layer, which keys it allows and what it adds.
ATTENTION_MASKS = {
    "none": (None, np.ones((L, S), bool), 0.0),
    "truth": (~ALLOWED, ALLOWED, 0.0),
    "numbers": (numbers := minus_infinity(ALLOWED), ALLOWED, numbers),
    "truth per head": (~PER_HEAD, PER_HEAD.reshape(N, HEADS, L, S), 0.0),
    "numbers per head": (
        numbers := minus_infinity(PER_HEAD),
        PER_HEAD.reshape(N, HEADS, L, S),
        numbers.reshape(N, HEADS, L, S),
    ),
}
PADDING_MASKS = {
    "none": (None, np.ones((N, S), bool), np.zeros((N, S))),
    "truth": (~KEPT, KEPT, np.zeros((N, S))),
    "numbers": (numbers := minus_infinity(KEPT), KEPT, numbers),
}


def attended(q, k, v, allowed, added):
    """Σ over the allowed keys of softmax(q k / √E) v, one query after another; 0 without any."""
    y = np.zeros((*q.shape[:-1], v.shape[-1]))
    weights = np.zeros((*q.shape[:-1], k.shape[-2]))
    for at in np.ndindex(*q.shape[:-1]):
        seen = np.flatnonzero(allowed[at])
        scores = np.array(
            [q[at] @ k[at[:-1]][s] / np.sqrt(len(q[at])) + added[at][s] for s in seen]
        )
        shares = np.exp(scores - max(scores, default=0.0))
        for share, s in zip(shares / shares.sum(), seen, strict=True):
            weights[at][s] = share
            y[at] += share * v[at[:-1]][s]
    return y, weights


def by_hand(layer, q, k, v, allowed, added):
    """What the layer gives, from its parameters."""
    w, b = layer.in_proj_weight.numpy(), layer.in_proj_bias.numpy()
    split = []
    for i, x in enumerate((q, k, v)):
        y = x @ w[i * E : (i + 1) * E].T + b[i * E : (i + 1) * E]
        split.append(y.reshape(*x.shape[:2], HEADS, -1).swapaxes(1, 2))
    y, weights = attended(*split, allowed, added)
    y = y.swapaxes(1, 2).reshape(N, L, E)
    return y @ layer.out_proj.weight.numpy().T + layer.out_proj.bias.numpy(), weights


@pytest.fixture(scope="module")
def layer():
    layer = nn.MultiheadAttention(E, HEADS, batch_first=True, dtype="float64")
    nn.init.normal_(layer.in_proj_bias)
    nn.init.normal_(layer.out_proj.bias)
    return layer


Q, K, V = (rng.normal(size=(N, length, E)) for length in (L, S, S))


def masked(layer, attention, padding, causal):
    """The layer under three masks as a function with gradients, and what it must give."""
    attn_mask, allowed, added = ATTENTION_MASKS[attention]
    key_padding_mask, kept, offset = PADDING_MASKS[padding]
    allowed = np.broadcast_to(allowed, (N, HEADS, L, S)) & kept[:, None, None]
    if causal:
        allowed = allowed & np.tril(np.ones((L, S), bool))
    added = np.broadcast_to(added, (N, HEADS, L, S)) + offset[:, None, None]

    def step(q, k, v):
        y, weights = layer(
            q, k, v, key_padding_mask, attn_mask=attn_mask, is_causal=causal,
            average_attn_weights=False,
        )  # fmt: skip
        return y, weights, *bl.grad((y * y).sum(), [q, k, v])

    return step, allowed, by_hand(layer, Q, K, V, allowed, added)


def inputs():
    return [bl.tensor(x, requires_grad=True) for x in (Q, K, V)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padding", PADDING_MASKS)
@pytest.mark.parametrize("attention", ATTENTION_MASKS)
def test_what_any_mask_forbids_is_forbidden(layer, attention, padding, causal) -> None:
    step, allowed, (want, shares) = masked(layer, attention, padding, causal)
    y, weights, *gradients = step(*inputs())
    np.testing.assert_allclose(y.numpy(), want, 1e-12, 1e-12)
    np.testing.assert_allclose(weights.numpy(), shares, 1e-12, 1e-12)
    assert all(np.isfinite(g.numpy()).all() for g in gradients)
    unseen = ~allowed.any(axis=(1, 2))
    assert not gradients[1].numpy()[unseen].any()


@pytest.mark.parametrize(
    "masks", [("truth", "numbers", True), ("numbers per head", "truth", False)]
)
def test_masks_mean_the_same_compiled(layer, masks) -> None:
    step, _, _ = masked(layer, *masks)
    for got, want in zip(bl.compile(step)(*inputs()), step(*inputs()), strict=True):
        np.testing.assert_allclose(got.numpy(), want.numpy(), 1e-12, 1e-12)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_an_encoder_layer_that_is_causal_never_sees_the_future(first, padded, masked) -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True, norm_first=first)
    padding = bl.tensor([[False] * 4, [False, False, True, True]]) if padded else None
    mask = bl.tensor(np.eye(4, k=-1, dtype=bool)) if masked else None
    x = rng.normal(size=(2, 4, 4)).astype(np.float32)
    later = x.copy()
    later[:, 2:] += 5
    a, b = (layer(bl.tensor(v), mask, padding, is_causal=True).numpy() for v in (x, later))
    np.testing.assert_array_equal(a[:, :2], b[:, :2])
    assert (a[:, 2:] != b[:, 2:]).any()


@pytest.mark.parametrize("mask", [ALLOWED, np.where(ALLOWED, 0.5, -inf)], ids=["truth", "numbers"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", one_in(3, ["float64", "float32", "float16", "bfloat16"]))
def test_a_query_that_may_see_nothing_gets_0_and_no_gradient(mask, causal, dtype) -> None:
    mask = bl.tensor(mask)

    def step(q, k, v):
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal)
        return y, *bl.grad((y * y).sum(), [q, k, v])

    given = [bl.tensor(x[0]).astype(dtype).detach().requires_grad_() for x in (Q, K, V)]
    for run in (step, bl.compile(step)):
        y, *gradients = run(*given)
        assert y.dtype == dtype
        assert y.numpy()[1].tolist() == [0] * E
        assert y.numpy()[0].any()
        assert all(np.isfinite(g.numpy().astype(float)).all() for g in gradients)
        assert not gradients[0].numpy()[1].any()


@pytest.mark.parametrize("mask", [ALLOWED, np.where(ALLOWED, 0.5, -inf)], ids=["truth", "numbers"])
def test_gradients_of_masked_attention_to_second_order(mask) -> None:
    few = [bl.tensor(x[0, :, :2], requires_grad=True) for x in (Q, K, V)]
    bl.gradcheck(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, bl.tensor(mask)), few, order=2
    )


def test_biases_start_at_0_and_weights_within_xaviers_bounds() -> None:
    layer = nn.MultiheadAttention(4, 2)
    assert layer.in_proj_bias.tolist() == [0.0] * 12
    assert layer.out_proj.bias.tolist() == [0.0] * 4
    assert 0 < np.abs(layer.in_proj_weight.numpy()).max() <= (6 / (4 + 12)) ** 0.5


def test_no_key_at_all_gives_0() -> None:
    q, k = bl.ones((2, 3)), bl.ones((0, 3))
    assert F.scaled_dot_product_attention(q, k, k).tolist() == [[0.0] * 3] * 2
    none = bl.zeros((2, 0)).astype("bool")
    assert F.scaled_dot_product_attention(q, k, k, none).tolist() == [[0.0] * 3] * 2


def test_a_mask_of_another_floating_type_does_not_change_the_result() -> None:
    q, mask = bl.ones((3, 2)), np.zeros((3, 3))
    assert F.scaled_dot_product_attention(q, q, q, mask).dtype == "float32"
    layer = nn.MultiheadAttention(2, 1)
    assert layer(q, q, q, np.zeros(3), attn_mask=mask)[0].dtype == "float32"


def of_layer(*, lone=False, **masks):
    x = bl.ones((5, 3) if lone else (5, 2, 3))
    return nn.MultiheadAttention(3, 1)(x, x, x, **masks)


def of_function(mask):
    q = bl.ones((2, 5, 3))
    return F.scaled_dot_product_attention(q, q, q, mask)


def truth(*shape):
    return np.zeros(shape, bool)


@every(
    "call, error, text",
    [
        (lambda: of_layer(attn_mask=truth(2, 2)), ShapeError,
         r"MultiheadAttention: attn_mask must have shape \(L, S\) = \(5, 5\) or "
         r"\(N·heads, L, S\) = \(2, 5, 5\), got bool\[2,2\]; in MultiheadAttention"),
        (lambda: of_layer(attn_mask=truth(1, 5, 5)), ShapeError, r"got bool\[1,5,5\]"),
        (lambda: of_layer(key_padding_mask=truth(5, 2)), ShapeError,
         r"key_padding_mask must have shape \(N, S\) = \(2, 5\), got bool\[5,2\]; in Multi"),
        (lambda: of_layer(key_padding_mask=truth(10)), ShapeError, r"got bool\[10\]"),
        (lambda: of_layer(key_padding_mask=truth(2, 5, 1)), ShapeError, r"got bool\[2,5,1\]"),
        (lambda: of_layer(lone=True, key_padding_mask=truth(1, 5)), ShapeError,
         r"key_padding_mask must have shape \(S,\) = \(5,\), got bool\[1,5\]"),
        (lambda: of_layer(key_padding_mask=np.ones((2, 5), "int64")), DTypeError,
         r"MultiheadAttention: key_padding_mask must be truth values or floating numbers to add to "
         r"the scores, got int64\[2,5\]; in Multi.*; for 0 and 1 use mask.astype\(bool\)"),
        (lambda: of_layer(attn_mask=np.ones((5, 5), "uint8")), DTypeError,
         r"MultiheadAttention: attn_mask must be truth values .* got uint8\[5,5\]"),
        (lambda: of_function(np.ones((5, 5), "int64")), DTypeError,
         r"attention: attn_mask must be truth values .* got int64\[5,5\]"),
        (lambda: of_function(truth(3, 2, 5, 5)), ShapeError,
         r"attention: attn_mask must broadcast to the scores \(..., L, S\), got bool\[3,2,5,5\] "
         r"for float32\[2,5,5\]"),
        (lambda: of_function(truth(2, 5)), ShapeError, r"got bool\[2,5\] for float32\[2,5,5\]"),
        (lambda: nn.MultiheadAttention(3, 1)(bl.ones((5, 2, 3)), *2 * [bl.ones((5, 1, 3))]),
         ShapeError, r"MultiheadAttention: key and value must have query's N = 2 and one S, got "
         r"\(N, S\) = \(1, 5\) and \(1, 5\); in MultiheadAttention"),
        (lambda: nn.MultiheadAttention(3, 1)(*2 * [bl.ones((5, 2, 3))], bl.ones((4, 2, 3))),
         ShapeError, r"got \(N, S\) = \(2, 5\) and \(2, 4\)"),
    ],
)  # fmt: skip
def test_masks_that_do_not_fit_are_refused(call, error, text) -> None:
    with pytest.raises(error, match=text):
        call()


# -- more keys, fewer heads, and the whole --------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
def test_extra_keys_are_seen_by_every_query(causal) -> None:
    """Against the same attention over keys and values that have the extra rows."""
    x = bl.tensor(rng.normal(size=(2, 3, 4)))
    layer = nn.MultiheadAttention(
        4, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True, bias=False, dtype="float64"
    )
    y, weights = layer(x, x, x, is_causal=causal)
    q, k, v = (
        x.numpy() @ w.T for w in np.split(layer.in_proj_weight.numpy(), 3)
    )  # fmt: skip
    extra = [np.broadcast_to(t.numpy(), (2, 1, 4)) for t in (layer.bias_k, layer.bias_v)]
    zero = np.zeros((2, 1, 4))
    k, v = (np.concatenate([t, e, zero], 1) for t, e in zip((k, v), extra, strict=True))
    q, k, v = (t.reshape(2, -1, 2, 2).swapaxes(1, 2) for t in (q, k, v))
    scores = q @ k.swapaxes(2, 3) / np.sqrt(2)
    if causal:
        scores[..., :3][..., np.triu(np.ones((3, 3)), 1) > 0] = -np.inf
    e = np.exp(scores)
    p = e / e.sum(-1, keepdims=True)
    want = (p @ v).swapaxes(1, 2).reshape(2, 3, 4) @ layer.out_proj.weight.numpy().T
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-12)
    np.testing.assert_allclose(weights.numpy(), p.mean(1), rtol=1e-12)


def test_groups_of_queries_share_keys() -> None:
    q, k = bl.zeros((1, 6, 2, 4)), bl.zeros((1, 4, 2, 4))
    with pytest.raises(ShapeError, match=r"with enable_gqa the heads \(axis -3\) of the queries"):
        F.scaled_dot_product_attention(q, k, k, enable_gqa=True)


def test_a_captured_transformer_is_the_eager_one() -> None:
    bl.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.0, batch_first=True)
    src, tgt = (bl.random.normal((2, n, 8)) for n in (3, 4))
    mask = model.generate_square_subsequent_mask(4)

    def step(src, tgt):
        model.zero_grad()
        loss = (model(src, tgt, tgt_mask=mask) ** 2).sum()
        loss.backward()
        return loss, *[p.grad for p in model.parameters()]

    compiled = bl.compile(step, executor=interpreter)
    for got, want in zip(compiled(src, tgt), step(src, tgt), strict=True):
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-4, atol=1e-4)
    for kind in (nn.TransformerDecoderLayer, nn.TransformerEncoderLayer):
        with pytest.raises(ArgumentError, match=f"{kind.__name__}: activation must be 'relu', 'ge"):
            kind(8, 2, activation="tanh")
