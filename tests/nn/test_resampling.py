"""Interpolation, sampling at points, and elements in other places, beside plain formulas."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.nn import functional as F

X = np.random.default_rng(0).normal(size=(1, 4, 4, 5))
GRID = np.random.default_rng(1).uniform(-0.9, 0.9, (1, 2, 3, 2))

REFUSED = [
    (lambda: F.interpolate(X[0, 0], 3), ShapeError, r"interpolate: x must have shape \(N, C, L\),"),
    (lambda: F.interpolate(X, 3, mode="cubic"), ArgumentError, r"interpolate: mode must be one of"),
    (lambda: F.interpolate(X, 3, mode="linear"), ShapeError, r"mode='linear' goes with 3 axes, go"),
    (lambda: F.interpolate(X), ArgumentError, r"interpolate: give size or scale_factor, and not "),
    (lambda: F.interpolate(X, 3, 2), ArgumentError, r"interpolate: give size or scale_factor, and"),
    (lambda: F.interpolate(X, (3, 2, 1)), ArgumentError, r"size must be one number or 2 of them"),
    (lambda: F.interpolate(X, 3, align_corners=True), ArgumentError, r"align_corners goes with"),
    (lambda: F.interpolate(X, 3, antialias=True), ArgumentError, r"antialias goes with bilinear"),
    (lambda: F.interpolate(X, 3, recompute_scale_factor=True), ArgumentError, r"goes with scale_f"),
    (lambda: F.interpolate(X, scale_factor=0.1), ShapeError, r"old and new sizes must be positive"),
    (lambda: F.affine_grid(bl.ones((1, 2, 2)), (1, 1, 2, 2)), ShapeError, r"affine_grid: theta mu"),
    (lambda: F.affine_grid(np.ones((1, 2, 3), int), (1, 1, 2, 2)), DTypeError, r"must be floating"),
    (lambda: F.grid_sample(X, GRID, "cubic"), ArgumentError, r"grid_sample: mode must be one of"),
    (lambda: F.grid_sample(X, GRID, padding_mode="same"), ArgumentError, r"padding_mode must be o"),
    (lambda: F.grid_sample(X, GRID[0]), ShapeError, r"grid_sample: x must have shape \(N, C, H, W"),
    (lambda: F.grid_sample(X, GRID.astype("float32")), DTypeError, r"must have one floating dtype"),
    (lambda: F.grid_sample(X[None], np.ones((1, 1, 1, 1, 3)), "bicubic"), ArgumentError,
     r"bicubic goes with images"),
    (lambda: F.pixel_shuffle(X, 3), ShapeError, r"pixel_shuffle: x must have shape .* of 3² = 9"),
    (lambda: F.pixel_unshuffle(X, 2), ShapeError, r"pixel_unshuffle: x must have shape .* of 2, g"),
    (lambda: F.channel_shuffle(X, 3), ShapeError, r"channel_shuffle: x must have .* of groups=3"),
    (lambda: F.unfold(X, 6), ShapeError, r"unfold: the window \(6, 6\) with dilation \(1, 1\) mus"),
    (lambda: F.fold(X[0], 5, 2), ShapeError, r"fold: x must have shape \(N, C·4, 16\) for the win"),
]  # fmt: skip


def test_what_does_not_fit_is_refused() -> None:
    for call, error, text in REFUSED:
        with pytest.raises(error, match=text):
            call()


def test_linear_functions_are_interpolated_exactly() -> None:
    ramp = np.arange(5.0)[:, None] * 2 + np.arange(4.0) * 3 + 1
    y = F.interpolate(ramp[None, None], (9, 13), mode="bilinear", align_corners=True).numpy()
    want = np.linspace(0, 4, 9)[:, None] * 2 + np.linspace(0, 3, 13) * 3 + 1
    np.testing.assert_allclose(y[0, 0], want, rtol=1e-12)
    y = F.interpolate(ramp[None, None], (9, 13), mode="bicubic", align_corners=True).numpy()
    np.testing.assert_allclose(y[0, 0, ::2, ::4], ramp, rtol=1e-12)
    at = F.affine_grid(bl.tensor([[[0.5, 0.1, 0.0], [0.0, 0.5, 0.1]]], dtype="float64"),
                       (1, 1, 3, 3), align_corners=True)  # fmt: skip
    y = F.grid_sample(bl.tensor(ramp[None, None]), at, align_corners=True).numpy()[0, 0]
    u, v = at.numpy()[0, ..., 0], at.numpy()[0, ..., 1]
    np.testing.assert_allclose(y, (v + 1) * 2 * 2 + (u + 1) * 1.5 * 3 + 1, rtol=1e-12)


@pytest.mark.slow
def test_derivatives_to_second_order_and_compiled_values() -> None:
    x = bl.tensor(X[:, :2], requires_grad=True)
    grid = bl.tensor(GRID, requires_grad=True)
    for f in (
        lambda t: F.interpolate(t, scale_factor=1.7, mode="bicubic"),
        lambda t: F.interpolate(t, (3, 8), mode="bilinear"),
        lambda t: F.interpolate(t, (8, 10)),
        lambda t: F.interpolate(t, (3, 4), mode="area"),
        lambda t: F.unfold(t, 2, dilation=2, padding=1),
        lambda t: F.fold(F.unfold(t * t, 3, padding=1), (4, 5), 3, padding=1),
        lambda t: F.pixel_unshuffle(t[..., :4], 2),
    ):
        assert bl.gradcheck(lambda t, f=f: (f(t) ** 2).sum(), (x,))
        y = bl.compile(f)(x.detach()).numpy()
        np.testing.assert_allclose(y, f(x).numpy(), rtol=1e-12)
    for mode, padding in (("bilinear", "zeros"), ("bicubic", "reflection")):
        assert bl.gradcheck(lambda t, g, m=mode, p=padding: F.grid_sample(t, g, m, p), (x, grid))


def test_what_is_not_finite_stays_among_its_neighbours() -> None:
    x = np.zeros((1, 1, 6, 6))
    x[0, 0, 0, 0] = np.inf
    y = F.interpolate(x, scale_factor=2, mode="bilinear").numpy()
    assert np.isfinite(y[..., 4:, :]).all()
    grid = np.full((1, 1, 1, 2), np.nan)
    assert F.grid_sample(X, grid).tolist() == [[[[0.0]]] * 4]


def test_a_convolution_is_a_product_with_the_patches() -> None:
    w = np.random.default_rng(2).normal(size=(3, 4, 2, 3))
    for options in (
        {"stride": (1, 2), "padding": (0, 1)},
        {"dilation": (3, 2), "padding": (1, 0)},
    ):
        patches = F.unfold(X, (2, 3), **options).numpy()
        y = F.conv2d(bl.tensor(X), bl.tensor(w), **options).numpy()
        np.testing.assert_allclose((w.reshape(3, -1) @ patches).reshape(y.shape), y, rtol=1e-10)
    ones = np.ones_like(X)
    count = F.fold(F.unfold(ones, 2), (4, 5), 2).numpy()
    np.testing.assert_allclose(F.fold(F.unfold(X, 2), (4, 5), 2).numpy(), X * count, rtol=1e-12)


def test_pixels_go_to_channels_and_back() -> None:
    y = F.pixel_shuffle(X, 2)
    assert (y.shape, F.pixel_unshuffle(y, 2).tolist()) == ((1, 1, 8, 10), X.tolist())
    h, i, w, j = 2, 1, 3, 0
    assert y.numpy()[0, 0, 2 * h + i, 2 * w + j] == X[0, 2 * i + j, h, w]
    shuffled = F.channel_shuffle(X, 2).numpy()
    np.testing.assert_array_equal(shuffled, X[:, [0, 2, 1, 3]])


def test_layers_print_their_settings() -> None:
    assert repr(nn.Upsample(scale_factor=2)) == "Upsample(scale_factor=2.0, mode='nearest')"
    assert repr(nn.UpsamplingBilinear2d(7)) == "UpsamplingBilinear2d(size=7, mode='bilinear')"
    assert repr(nn.Fold(4, 2)) == (
        "Fold(output_size=4, kernel_size=2, dilation=1, padding=0, stride=1)"
    )
    assert repr(nn.PixelShuffle(3)) == "PixelShuffle(upscale_factor=3)"
