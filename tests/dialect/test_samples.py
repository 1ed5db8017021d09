"""PyTorch's functions of samples, of writing and of attention: errors, and what they come to."""

import numpy as np
import pytest

import backlit.torch as torch
from backlit.errors import ArgumentError, ShapeError

X, V = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), torch.tensor([1.0, 2.0, 3.0])
attend = torch.nn.functional.multi_head_attention_forward


def linear_cross_entropy(*given, **more):
    return torch.nn.functional.linear_cross_entropy(*given, **more)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: torch.gradient(V, edge_order=3), ArgumentError,
         r"gradient: edge_order must be 1 or 2, got 3"),
        (lambda: torch.gradient(X, spacing=[1.0]), ArgumentError,
         r"gradient: there must be a spacing for each axis, got 1 for 2"),
        (lambda: torch.gradient(X[:1]), ShapeError,
         r"gradient: axis 0 must have at least 2 points, got float32\[1,3\]"),
        (lambda: torch.gradient(V, spacing=[torch.ones(2)]), ShapeError,
         r"gradient: axis 0 of float32\[3\] must have a place for each point, got float32\[2\]"),
        (lambda: torch.histogramdd(V, 2), ShapeError,
         r"histogramdd: x must have shape \(..., D\), got float32\[3\]"),
        (lambda: torch.histogramdd(X, [2]), ArgumentError,
         r"histogramdd: there must be bins, .* for each of 3 axes, got 1 and range=None"),
        (lambda: torch.diagonal_scatter(X, V), ShapeError,
         r"diagonal_scatter: src must have the diagonal's shape \(2,\), got float32\[3\]"),
        (lambda: V.index_reduce(0, torch.tensor([0]), V[:1], "sum"), ArgumentError,
         r"reduce must be prod, mean, amax or amin, got 'sum'; to add, use index_add"),
        (lambda: V.index_reduce(0, torch.tensor([0]), V, "prod"), ShapeError,
         r"index_reduce: source must have a slice for each of a vector of indices, \(1,\), got"),
        (lambda: linear_cross_entropy(X, X[:, :2], torch.tensor([0, 1])), ShapeError,
         r"linear_cross_entropy: x must have shape \(N, I\) or \(I\), linear_weight"),
        (lambda: linear_cross_entropy(X, X, X[:, :2], ignore_index=1), ArgumentError,
         r"linear_cross_entropy: ignore_index must be None where target is probabilities, got 1"),
        (lambda: attend(X, X, X, 3, 1, None, *[None] * 3, False, 0.0, X, None, static_k=X),
         ArgumentError, r"multi_head_attention_forward: static_k and static_v must be None"),
    ],
)  # fmt: skip
def test_errors_of_samples_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_attention_with_weights_of_its_own_is_the_mean_where_all_scores_are_0():
    unit, shift = torch.eye(3), torch.tensor([1.0, 0.0, -1.0])
    packed = torch.cat([0 * unit, unit, unit])
    y, weights = attend(X, X, X, 3, 1, packed, *[None] * 3, False, 0.0, unit, shift)
    np.testing.assert_allclose(y, [X.numpy().mean(0) + shift.numpy()] * 2, rtol=1e-6)
    assert weights.tolist() == [[0.5, 0.5]] * 2
    separate = {"q_proj_weight": 0 * unit, "k_proj_weight": unit, "v_proj_weight": unit}
    y, _ = attend(
        X, X, X, 3, 3, *[None] * 4, True, 0.0, unit, None, use_separate_proj_weight=True, **separate
    )  # fmt: skip
    np.testing.assert_allclose(y, [X.numpy().sum(0) / 3] * 2, rtol=1e-6)
