"""Embeddings, recurrent layers, attention: what parity with PyTorch does not show, errors."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.compiler import interpreter, native
from backlit.dtypes import INTEGER
from backlit.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from backlit.nn import functional as f
from sampling import every

rng = np.random.default_rng(0)


def test_embedding_adds_up_the_gradients_of_repeated_rows() -> None:
    table = nn.Embedding(4, 2, padding_idx=0)
    table(bl.tensor([[1, 2], [1, 0]])).sum().backward()
    assert table.weight.grad.tolist() == [[0, 0], [2, 2], [1, 1], [0, 0]]
    assert table.weight.numpy()[0].tolist() == [0, 0]
    assert table.weight.numpy()[1].any()


@pytest.mark.parametrize("executor", [None, interpreter, native])
@pytest.mark.parametrize("dtype", sorted(d.name for d in INTEGER))
def test_embedding_by_indices_of_types_that_do_not_count_all_rows(dtype, executor) -> None:
    """283 is 27 in 8 bits, and no row 27 is the padding."""
    weight = bl.asarray(rng.normal(size=(300, 2))).requires_grad_()
    chosen = np.array([3, 27, 100, 27])

    def rows(indices):
        y = f.embedding(indices, weight, padding_idx=283)
        return y, bl.grad((y * y).sum(), weight)

    run = rows if executor is None else bl.compile(rows, executor=executor)
    y, grad = run(bl.asarray(chosen.astype(dtype)))
    wanted = np.zeros((300, 2))
    for i in chosen:
        wanted[i] += 2 * weight.numpy()[i]
    np.testing.assert_array_equal(y.numpy(), weight.numpy()[chosen])
    np.testing.assert_allclose(grad.numpy(), wanted, rtol=1e-14)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_going_on_from_a_state_equals_going_through_at_once(kind) -> None:
    layer = kind(3, 4, num_layers=2)
    x = bl.tensor(rng.normal(size=(6, 2, 3)).astype(np.float32))
    whole, end = layer(x)
    first, state = layer(x[:2])
    second, last = layer(x[2:], state)
    np.testing.assert_allclose(whole[:2].numpy(), first.numpy(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(whole[2:].numpy(), second.numpy(), rtol=1e-5, atol=1e-6)
    for a, b in zip(end, last, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "layer"), [(nn.RNNCell, nn.RNN), (nn.LSTMCell, nn.LSTM), (nn.GRUCell, nn.GRU)]
)
def test_a_cell_is_one_step_of_its_layer(cell, layer) -> None:
    one, many = cell(3, 4), layer(3, 4)
    many.load_state_dict({f"{name}_l0": value for name, value in one.state_dict().items()})
    x = bl.tensor(rng.normal(size=(5, 2, 3)).astype(np.float32))
    state = None
    for t in range(5):
        state = one(x[t], state)
    y, _ = many(x)
    h = state[0] if cell is nn.LSTMCell else state
    np.testing.assert_allclose(h.numpy(), y[-1].numpy(), rtol=1e-5, atol=1e-6)
    assert (one(x[0, 0])[0] if cell is nn.LSTMCell else one(x[0, 0])).shape == (4,)


def test_a_recurrent_layer_is_few_nodes_for_any_length() -> None:
    def nodes(steps) -> int:
        y, _ = nn.LSTM(3, 4)(bl.zeros((steps, 2, 3)))
        seen, stack = set(), [y.node]
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                stack += [e for e in node.inputs if not isinstance(e, bl.Tensor | float | int)]
        return len(seen)

    assert nodes(2) == nodes(50) <= 4


def test_attention_to_one_key_returns_its_value() -> None:
    y = f.scaled_dot_product_attention(
        bl.ones((1, 2)), bl.tensor([[9.0, 9.0], [-9.0, -9.0]]), bl.tensor([[3.0], [5.0]]), scale=50
    )
    assert y.tolist() == [[3.0]]


def test_causal_attention_never_sees_the_future() -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    x = rng.normal(size=(1, 5, 4)).astype(np.float32)
    changed = x.copy()
    changed[0, 3:] += 1
    a, b = (layer(t, t, t, is_causal=True)[0].numpy() for t in map(bl.tensor, (x, changed)))
    np.testing.assert_array_equal(a[0, :3], b[0, :3])
    assert (a[0, 3:] != b[0, 3:]).any()


def test_attention_drops_weights_in_training_only() -> None:
    layer = nn.MultiheadAttention(4, 2, dropout=0.5, generator=bl.Generator(1))
    x = bl.tensor(rng.normal(size=(5, 2, 4)).astype(np.float32))
    a, b = (layer(x, x, x)[0].numpy() for _ in range(2))
    assert (a != b).any()
    layer.eval()
    a, b = (layer(x, x, x, need_weights=False)[0].numpy() for _ in range(2))
    assert (a == b).all()


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_sequence_without_a_batch_axis_is_a_batch_of_one(kind) -> None:
    layer = kind(3, 4, bidirectional=True)
    x = bl.tensor(rng.normal(size=(5, 3)).astype(np.float32))
    one, end = layer(x)
    many, ends = layer(x.reshape(5, 1, 3))
    np.testing.assert_array_equal(one.numpy(), many.numpy()[:, 0])
    for a, b in zip(end, ends, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy().reshape(a.shape))
    again, _ = layer(x, end)
    assert again.shape == (5, 8)


def test_a_masked_key_might_as_well_not_be_there() -> None:
    layer = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, batch_first=True)
    sizes = ((1, 2, 4), (1, 3, 3), (1, 3, 5))
    q, k, v = (bl.tensor(rng.normal(size=size).astype(np.float32)) for size in sizes)
    without, weights = layer(q, k[:, :2], v[:, :2])
    padded, padded_weights = layer(q, k, v, bl.tensor([[False, False, True]]))
    added = np.array([[0, 0, -np.inf]] * 2, np.float32)
    summed, _ = layer(q, k, v, attn_mask=bl.tensor(added))
    np.testing.assert_allclose(padded.numpy(), without.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(summed.numpy(), without.numpy(), rtol=1e-5, atol=1e-6)
    assert padded_weights.numpy()[0, :, 2].tolist() == [0, 0]
    np.testing.assert_allclose(padded_weights.numpy()[..., :2], weights.numpy(), rtol=1e-5)
    per_head, each = layer(
        q, k, v, bl.tensor([[False, False, True]]), attn_mask=bl.zeros((2, 2, 3)),
        average_attn_weights=False,
    )  # fmt: skip
    assert each.shape == (1, 2, 2, 3)
    np.testing.assert_array_equal(per_head.numpy(), padded.numpy())


def test_attention_without_a_batch_axis_is_a_batch_of_one() -> None:
    layer = nn.MultiheadAttention(4, 2, bias=False)
    x = bl.tensor(rng.normal(size=(5, 4)).astype(np.float32))
    rows = x.reshape(5, 1, 4)
    one, weights = layer(x, x, x)
    many, all_weights = layer(rows, rows, rows)
    np.testing.assert_array_equal(one.numpy(), many.numpy()[:, 0])
    np.testing.assert_array_equal(weights.numpy(), all_weights.numpy()[0])


def test_an_encoder_layer_that_normalises_first_passes_its_input_on() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, norm_first=True, activation="gelu")
    for name in ("linear2", "self_attn.out_proj"):
        inner = layer.get_submodule(name)
        nn.init.zeros_(inner.weight)
        nn.init.zeros_(inner.bias)
    x = bl.tensor(rng.normal(size=(3, 2, 4)).astype(np.float32))
    np.testing.assert_array_equal(layer(x).numpy(), x.numpy())


def test_one_bias_is_enough_for_the_functions() -> None:
    x, h, w = bl.ones((2, 1, 3)), bl.zeros((1, 2)), bl.ones((2, 3))
    one = f.rnn(x, h, w, bl.ones((2, 2)), bias_hh=bl.ones(2))
    two = f.rnn(x, h, w, bl.ones((2, 2)), bl.zeros(2), bl.ones(2))
    np.testing.assert_array_equal(one.numpy(), two.numpy())


def test_printing() -> None:
    assert repr(nn.LSTM(3, 4, 2, bias=False, bidirectional=True)).startswith(
        "LSTM(3, 4, num_layers=2, bidirectional=True, bias=False)"
    )
    assert repr(nn.GRUCell(3, 4, bias=False)).startswith("GRUCell(3, 4, bias=False)")
    assert repr(nn.Embedding(5, 2, -1)).startswith("Embedding(5, 2, padding_idx=4)")


X = bl.ones((5, 2, 3))


@every(
    "call, error, text",
    [
        (lambda: f.embedding(bl.tensor([0.5]), bl.ones((3, 2))), DTypeError,
         r"embedding: indices must be integers, got float32\[1\]; use indices.astype\('int64'\)"),
        (lambda: f.embedding(bl.tensor([0]), bl.ones(3)), ShapeError,
         r"embedding: weight must have shape \(V, D\), got float32\[3\]"),
        (lambda: f.embedding(bl.tensor([3]), bl.ones((3, 2))), IndexRangeError,
         r"embedding: indices must lie in \[0, 3\), got 3; the table has 3 rows"),
        (lambda: nn.Embedding(3, 2)(bl.tensor([0, -1])), IndexRangeError,
         r"embedding: indices must lie in \[0, 3\), got -1; .*; in Embedding$"),
        (lambda: f.embedding(bl.tensor([0]), bl.ones((3, 2)), 3), ArgumentError,
         r"embedding: padding_idx must lie in \[-3, 3\), got 3"),
        (lambda: nn.Embedding(3, 2, 3), ArgumentError,
         r"Embedding: padding_idx must lie in \[-3, 3\), got 3"),
        (lambda: nn.LSTM(4, 2)(X), ShapeError,
         r"LSTM: x must have shape \(T, N, I\) or \(T, I\) with I = input_size = 4, got "
         r"float32\[5,2,3\]; in LSTM"),
        (lambda: nn.GRU(3, 2)(bl.ones((0, 2, 3))), ShapeError,
         r"GRU: x must have shape \(T, N, I\) with T > 0, got float32\[0,2,3\]"),
        (lambda: nn.RNN(3, 2)(X, bl.ones((1, 3, 2))), ShapeError,
         r"RNN: a state must have shape \(1, 2, 2\), got float32\[1,3,2\]"),
        (lambda: nn.RNN(3, 2, nonlinearity="sin"), ArgumentError,
         r"RNN: nonlinearity must be 'tanh' or 'relu', got 'sin'"),
        (lambda: nn.LSTM(3, 2, dropout=2), ArgumentError,
         r"LSTM: dropout must lie in \[0, 1\], got 2"),
        (lambda: nn.LSTM(3, 0), ArgumentError,
         r"LSTM: hidden_size must be a positive integer, got 0"),
        (lambda: nn.recurrent._Recurrent(3, 2)(X), NotImplementedError, r"^_Recurrent.run$"),
        (lambda: nn.LSTMCell(3, 2)(X), ShapeError,
         r"LSTMCell: x must have shape \(N, I\) or \(I\) with I = input_size = 3, got float32"),
        (lambda: nn.GRUCell(3, 2)(X[0], bl.ones((2, 3))), ShapeError,
         r"GRUCell: a state must have shape \(2, 2\), got float32\[2,3\]"),
        (lambda: nn.RNNCell(3, 2, nonlinearity="sin"), ArgumentError,
         r"RNNCell: nonlinearity must be 'tanh' or 'relu', got 'sin'"),
        (lambda: f.scaled_dot_product_attention(X, bl.ones((5, 2, 4)), X), ShapeError,
         r"attention: query and key must have the same last axis"),
        (lambda: f.scaled_dot_product_attention(X, X, bl.ones((5, 3, 3))), ShapeError,
         r"attention: key and value must have as many rows"),
        (lambda: nn.MultiheadAttention(4, 3), ArgumentError,
         r"MultiheadAttention: embed_dim must be a multiple of num_heads, got 4 and 3"),
        (lambda: nn.MultiheadAttention(4, 2, dropout=-1), ArgumentError,
         r"MultiheadAttention: dropout must lie in \[0, 1\], got -1"),
        (lambda: nn.MultiheadAttention(4, 2)(X, X, X), ShapeError,
         r"the last \(4, 4, 4\), got query: float32\[5,2,3\]; in MultiheadAttention"),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="sin"), ArgumentError,
         r"TransformerEncoderLayer: activation must be 'relu', 'gelu' or a function, got 'sin'"),
    ],
)  # fmt: skip
def test_errors(call, error, text) -> None:
    with pytest.raises(error, match=text):
        call()
