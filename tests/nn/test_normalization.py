"""Instance, root-mean-square and local response normalisation; dropout of channels."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, ShapeError
from backlit.nn import functional as F

IMAGE = np.random.default_rng(0).normal(2, 3, (3, 4, 5, 6))

REFUSED = [
    (lambda: nn.InstanceNorm2d(3, affine=True)(IMAGE), ShapeError, r"InstanceNorm2d: x must have "
     r"shape \(N, C, H, W\) or \(C, H, W\) with C = num_features = 3, got float64\[3,4,5,6\]"),
    (lambda: nn.InstanceNorm1d(4)(IMAGE), ShapeError, r"InstanceNorm1d: x must have shape"),
    (lambda: F.instance_norm(bl.ones((2, 3, 1))), ShapeError, r"instance_norm: the statistics need "
     r"more than one place in each channel, got float32\[2,3,1\]"),
    (lambda: F.rms_norm(IMAGE, 5), ShapeError, r"rms_norm: the last axes of x must be "
     r"normalized_shape \(5,\), got float64\[3,4,5,6\]"),
    (lambda: F.rms_norm(IMAGE, 6, bl.ones(5)), ShapeError, r"rms_norm: weight must have the shape"),
    (lambda: F.local_response_norm(bl.ones((2, 3)), 2), ShapeError, r"local_response_norm: x must"),
    (lambda: nn.LocalResponseNorm(0), ArgumentError, r"LocalResponseNorm: size must be a positive"),
    (lambda: nn.Dropout2d(2), ArgumentError, r"Dropout2d: p must lie in \[0, 1\], got 2"),
    (lambda: F.dropout1d(IMAGE), ShapeError, r"dropout1d: x must have shape \(N, C, L\) or"),
    (lambda: F.feature_alpha_dropout(bl.ones(3), training=True), ShapeError, "feature_alpha_dr"),
    (lambda: F.alpha_dropout(IMAGE, -1), ArgumentError, r"alpha_dropout: p must lie in \[0, 1\]"),
]  # fmt: skip


def test_what_does_not_fit_is_refused() -> None:
    for call, error, text in REFUSED:
        with pytest.raises(error, match=text):
            call()


def test_instance_norm_normalises_each_channel_of_each_row_and_keeps_statistics() -> None:
    layer = nn.InstanceNorm2d(4, momentum=0.5, track_running_stats=True, dtype="float64")
    y = layer(IMAGE).numpy()
    np.testing.assert_allclose(y.mean((2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(y.std((2, 3)), 1, rtol=1e-4)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.5 * IMAGE.mean((0, 2, 3)), rtol=1e-12)
    want = 0.5 + 0.5 * IMAGE.var((2, 3), ddof=1).mean(0)
    np.testing.assert_allclose(layer.running_var.numpy(), want, rtol=1e-12)
    column = (4, 1, 1)
    expected = (IMAGE - layer.running_mean.numpy().reshape(column)) / np.sqrt(
        layer.running_var.numpy().reshape(column) + 1e-5
    )
    np.testing.assert_allclose(layer.eval()(IMAGE).numpy(), expected, rtol=1e-12)


def test_instance_norm_without_parameters_takes_any_channels_but_says_so() -> None:
    with pytest.warns(UserWarning, match=r"num_features is 7, but float64\[3,4,5,6\] has 4 chan"):
        nn.InstanceNorm2d(7)(IMAGE)


def test_rms_norm_has_mean_square_1() -> None:
    y = nn.RMSNorm((5, 6), dtype="float64")(IMAGE).numpy()
    np.testing.assert_allclose((y * y).mean((2, 3)), 1, rtol=1e-12)
    layer = nn.RMSNorm(6)
    layer.weight.assign(np.full(6, 2.0))
    layer.reset_parameters()
    assert layer.weight.tolist() == [1.0] * 6
    assert repr(nn.RMSNorm(6, elementwise_affine=False)) == (
        "RMSNorm((6,), eps=None, elementwise_affine=False)"
    )


def test_norms_without_a_shift_have_a_scale_alone() -> None:
    for layer in (nn.BatchNorm2d(4, bias=False), nn.GroupNorm(2, 4, bias=False),
                  nn.InstanceNorm2d(4, affine=True, bias=False)):  # fmt: skip
        layer.weight.assign(np.full(4, 3.0))
        assert layer.bias is None
        y = layer(IMAGE.astype(np.float32)).numpy()
        np.testing.assert_allclose(y.std(), 3, rtol=1e-3)
        layer.reset_parameters()
        assert layer.weight.tolist() == [1.0] * 4


def test_local_response_norm_by_its_formula() -> None:
    square = np.pad(IMAGE**2, ((0, 0), (1, 1), (0, 0), (0, 0)))
    total = square[:, :4] + square[:, 1:5] + square[:, 2:]
    want = IMAGE / (0.5 + 0.3 / 3 * total) ** 0.75
    y = nn.LocalResponseNorm(3, alpha=0.3, k=0.5)(IMAGE)
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-12)


def test_channels_are_dropped_as_a_whole() -> None:
    x = bl.ones((50, 40, 3, 2))
    with pytest.warns(UserWarning, match=r"dropout2d: x should have shape \(N, C, H, W\)"):
        F.dropout2d(bl.ones((2, 3, 4)))
    with pytest.warns(UserWarning, match=r"dropout3d: x should have shape \(N, C, D, H, W\)"):
        F.dropout3d(bl.ones((2, 3)))
    for f, shape in ((F.dropout1d, (50, 40, 6)), (F.dropout2d, x.shape),
                     (F.dropout3d, (50, 40, 1, 3, 2)), (F.dropout3d, (2000, 1, 3, 2)),
                     (F.dropout1d, (2000, 6))):  # fmt: skip
        y = f(bl.ones(shape), 0.25, generator=bl.Generator(2)).numpy()
        rows = y.reshape(2000, 6)
        assert (rows == rows[:, :1]).all()
        assert set(np.unique(rows)) == {0, np.float32(1 / 0.75)}
        assert abs((rows == 0).mean() - 0.25) < 0.03
        z = bl.ones(shape)
        assert f(z, inplace=True) is z


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = bl.random.normal((200, 300))
    for layer in (nn.AlphaDropout(0.3), nn.FeatureAlphaDropout(0.3)):
        y = layer(x).numpy()
        assert abs(y.mean()) < 0.02
        assert abs(y.std() - 1) < 0.02
        assert layer.eval()(x) is x
    assert not F.alpha_dropout(x, 1, training=True).numpy().any()


def test_a_shift_needs_no_scale() -> None:
    shift = bl.tensor(np.arange(4.0), requires_grad=True)
    for f in (lambda b: F.batch_norm(IMAGE, bias=b, training=True),
              lambda b: F.group_norm(IMAGE, 2, bias=b),
              lambda b: F.layer_norm(IMAGE[..., :4], 4, bias=b)):  # fmt: skip
        moved = f(shift) - f(None)
        assert bl.grad(moved.sum(), shift).tolist() == [moved.size / 4] * 4
        assert np.unique(moved.numpy().round(6)).tolist() == [0, 1, 2, 3]
