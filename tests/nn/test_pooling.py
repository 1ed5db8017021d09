"""Poolings to a number of windows, of volumes, at random, and back; convolutions of volumes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from backlit.nn import functional as F

VOLUME = np.random.default_rng(0).normal(size=(2, 2, 4, 5, 6))
IMAGE = VOLUME[:, :, 0]

REFUSED = [
    (lambda: nn.AvgPool3d(2)(IMAGE[0]), ShapeError, r"avg_pool3d: x must have shape \(N, C, D, H,"),
    (lambda: F.avg_pool3d(VOLUME, 2, divisor_override=0), ArgumentError, r"avg_pool3d: divisor_ov"),
    (lambda: F.adaptive_max_pool1d(bl.ones((1, 1, 0)), 1), ShapeError, r"must have places, got"),
    (lambda: F.fractional_max_pool2d(IMAGE, 2), ArgumentError, r"give output_size or output_ratio"),
    (lambda: nn.FractionalMaxPool2d(2), ArgumentError, r"FractionalMaxPool2d: give output_size or"),
    (lambda: F.fractional_max_pool2d(IMAGE, 2, output_ratio=2), ArgumentError, r"between 0 and 1"),
    (lambda: F.fractional_max_pool2d(IMAGE, 2, 2, _random_samples=bl.zeros((1, 9, 2))), ShapeError,
     r"fractional_max_pool2d: _random_samples must have shape \(2, 2, 2\) for float64"),
    (lambda: F.fractional_max_pool2d(IMAGE, 3, 5), ShapeError, r"\(5, 5\) windows of \(3, 3\) mus"),
    (lambda: F.max_unpool2d(IMAGE, IMAGE, 2), DTypeError, r"max_unpool2d: indices must be integer"),
    (lambda: F.max_unpool2d(IMAGE, np.zeros((1, 2, 5, 6), int), 2), ShapeError, r"must have one s"),
    (lambda: F.max_unpool1d(np.ones((1, 2)), np.array([[0, 9]]), 2), IndexRangeError,
     r"max_unpool1d: indices must lie in \[0, 4\), the places of an output \(4,\), got 9; give"),
    (lambda: F.max_unpool1d(np.ones((1, 2)), np.zeros((1, 2), int), 2, output_size=(6,)),
     ShapeError, r"max_unpool1d: output_size must differ from \(4,\) by less than the stride"),
    (lambda: F.conv3d(VOLUME, bl.ones((1, 2, 5, 1, 1), dtype="float64")), ShapeError,
     r"convolution: the kernel \(5, 1, 1\) with dilation \(1, 1, 1\) must fit into the image"),
    (lambda: nn.ConvTranspose1d(1, 1, 2, stride=2)(bl.ones((1, 1, 3)), [9]), ShapeError,
     r"ConvTranspose1d: output_size must lie between \(6,\) and \(7,\), got \[9\]"),
]  # fmt: skip


def test_what_does_not_fit_is_refused() -> None:
    for call, error, text in REFUSED:
        with pytest.raises(error, match=text):
            call()


def windows(shape: tuple[int, ...], sizes: tuple[int, ...]):
    """The slices of an adaptive pooling, by their place in the result."""
    along = [
        [slice(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        for n, m in zip(shape, sizes, strict=True)
    ]
    for place in itertools.product(*map(range, sizes)):
        yield place, tuple(s[i] for s, i in zip(along, place, strict=True))


def test_adaptive_pooling_by_its_definition() -> None:
    for n, x in ((1, VOLUME[:, :, 0, 0]), (2, IMAGE), (3, VOLUME)):
        for sizes in ((3, 2, 4)[:n], (1,) * n, (5, 7, 3)[:n]):
            mean = getattr(F, f"adaptive_avg_pool{n}d")(x, sizes).numpy()
            top, indices = (t.numpy() for t in getattr(F, f"adaptive_max_pool{n}d")(x, sizes, True))
            for place, inside in windows(x.shape[2:], sizes):
                part = x[(slice(None), slice(None), *inside)].reshape(2, 2, -1)
                at = (slice(None), slice(None), *place)
                np.testing.assert_allclose(mean[at], part.mean(-1), rtol=1e-12)
                np.testing.assert_array_equal(top[at], part.max(-1))
            flat = x.reshape(2, 2, -1)
            found = np.take_along_axis(flat, indices.reshape(2, 2, -1), -1)
            np.testing.assert_array_equal(found, top.reshape(2, 2, -1))


def test_of_several_largest_elements_the_first_in_row_major_order_wins() -> None:
    x = bl.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]])
    assert F.adaptive_max_pool2d(x, 2, True)[1].tolist() == [[[1, 1], [3, 5]]]
    assert F.max_pool2d(x, 2, return_indices=True)[1].tolist() == [[[1]]]
    assert F.max_pool3d(x[None], (1, 2, 2), 1, return_indices=True)[1].tolist() == [
        [[[1, 1], [3, 5]]]
    ]


def test_what_is_not_finite_stays_in_its_windows() -> None:
    x = np.ones((1, 1, 3, 3))
    x[0, 0, 0, 0] = np.nan
    for f in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
        y = f(x, 2).numpy()[0, 0]
        assert np.isnan(y[0, 0])
        assert (y.ravel()[1:] == 1).all()


def test_a_pool_and_its_way_back_put_each_largest_element_where_it_was() -> None:
    for n, x in ((1, VOLUME[:, :, 0, 0]), (2, IMAGE[..., :4, :]), (3, VOLUME[..., :4, :])):
        step = bl.compile(
            lambda t, n=n: getattr(F, f"max_unpool{n}d")(
                *getattr(F, f"max_pool{n}d")(t, 2, return_indices=True), 2
            )
        )
        y = step(bl.tensor(x)).numpy()
        assert ((y == x) | (y == 0)).all()
        assert (y != 0).sum() == x.size / 2**n


def test_volumes_are_convolved_as_the_formula_says() -> None:
    w = np.random.default_rng(1).normal(size=(3, 2, 2, 3, 2))
    want = np.zeros((2, 3, 3, 3, 5))
    for o, p, q, r in np.ndindex(3, 3, 3, 5):
        part = VOLUME[:, :, p : p + 2, q : q + 3, r : r + 2]
        want[:, o, p, q, r] = (part * w[o]).sum((1, 2, 3, 4))
    x, weight = bl.tensor(VOLUME, requires_grad=True), bl.tensor(w, requires_grad=True)
    y = F.conv3d(x, weight)
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-12, atol=1e-12)
    g = bl.tensor(np.cos(np.arange(want.size)).reshape(want.shape))
    grad_x, _ = bl.grad(y, (x, weight), g)
    np.testing.assert_allclose(
        F.conv_transpose3d(g, weight).numpy(), grad_x.numpy(), rtol=1e-12, atol=1e-12
    )
    wide = np.zeros((3, 2, 3, 3, 4))
    wide[:, :, ::2, :, ::3] = w
    spread = F.conv3d(VOLUME, w, dilation=(2, 1, 3)).numpy()
    np.testing.assert_allclose(spread, F.conv3d(VOLUME, wide).numpy(), rtol=1e-10, atol=1e-12)
    out = F.conv_transpose3d(y.detach(), w, dilation=(2, 1, 3)).numpy()
    same = F.conv_transpose3d(y.detach(), wide).numpy()
    np.testing.assert_allclose(out, same, rtol=1e-10, atol=1e-12)
    assert bl.gradcheck(lambda a, b: F.conv3d(a, b, stride=2, padding=1), (x[:1], weight))
    assert bl.gradcheck(
        lambda a, b: F.conv_transpose3d(a, b, stride=2, padding=1), (y[:1, :, :2].detach(), weight)
    )


def test_random_windows_cover_the_image_and_follow_the_generator() -> None:
    x = bl.arange(81.0).reshape(1, 1, 9, 9)
    a, b = (F.fractional_max_pool2d(x, 2, 6, generator=bl.Generator(k)) for k in (1, 2))
    assert a[0, 0, -1, -1].item() == 80
    assert a.tolist() != b.tolist()
    rows = np.diff(a.numpy()[0, 0, :, 0]) / 9
    assert set(rows) <= {1, 2}


def test_layers_print_their_windows() -> None:
    assert repr(nn.LPPool2d(2, 3)) == (
        "LPPool2d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)"
    )
    assert repr(nn.MaxUnpool2d(2)) == "MaxUnpool2d(kernel_size=2, stride=2, padding=0)"
    assert repr(nn.FractionalMaxPool2d(2, output_ratio=0.5)) == (
        "FractionalMaxPool2d(kernel_size=2, output_ratio=0.5)"
    )
    assert repr(nn.AdaptiveMaxPool3d(2)) == "AdaptiveMaxPool3d(output_size=2)"
