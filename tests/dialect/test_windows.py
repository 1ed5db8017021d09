"""Windows of signals, beside their formulas; the block that chooses among ways of attention."""

from __future__ import annotations

import math

import pytest

import backlit.torch as torch
from backlit.errors import ArgumentError, DTypeError

FORMULAS = {
    "hann_window": lambda t: (1 - math.cos(2 * math.pi * t)) / 2,
    "hamming_window": lambda t: 0.54 - 0.46 * math.cos(2 * math.pi * t),
    "bartlett_window": lambda t: 1 - abs(2 * t - 1),
    "blackman_window": lambda t: (
        0.42 - 0.5 * math.cos(2 * math.pi * t) + 0.08 * math.cos(4 * math.pi * t)
    ),
    "kaiser_window": lambda t: _i0(12 * math.sqrt(1 - (2 * t - 1) ** 2)) / _i0(12),
}


def _i0(x):
    return math.fsum((x / 2) ** (2 * k) / math.factorial(k) ** 2 for k in range(60))


@pytest.mark.parametrize("name", FORMULAS)
def test_windows(name):
    window, formula = getattr(torch, name), FORMULAS[name]
    for periodic in (True, False):
        period = 5 if periodic else 4
        want = [formula(n / period) for n in range(5)]
        y = window(5, periodic=periodic, dtype=torch.float64)
        assert y.tolist() == pytest.approx(want, abs=1e-15 if "kaiser" not in name else 1e-8)
    y = window(3, requires_grad=True)
    assert (y.dtype, y.requires_grad) == (torch.float32, True)
    assert (window(1).tolist(), window(0).tolist()) == ([1.0], [])
    with pytest.raises(ArgumentError, match=f"{name}: window_length"):
        window(-1)
    with pytest.raises(DTypeError, match=f"{name}: dtype must be floating, got int64"):
        window(3, dtype=torch.int64)


def test_windows_have_settings():
    assert torch.hamming_window(4, True, 0.5, 0.5).tolist() == torch.hann_window(4).tolist()
    assert torch.kaiser_window(3, False, beta=0.0).tolist() == [1.0, 1.0, 1.0]


def test_attention_has_one_way():
    from backlit.torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
        y = torch.nn.functional.scaled_dot_product_attention(*[torch.ones(1, 1, 2)] * 3)
    assert y.tolist() == [[[1.0, 1.0]]]
