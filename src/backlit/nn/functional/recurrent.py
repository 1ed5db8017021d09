"""Recurrent layers over a whole sequence."""

from __future__ import annotations

from ...array_api import concat, matmul, zeros_like
from ...array_api.arguments import cached
from ...errors import ArgumentError
from ...ops import recurrence
from ...precision import in_float32
from ...tensor import Tensor, apply
from .linear import linear


@in_float32
def rnn(
    x: Tensor,
    h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    nonlinearity: str = "tanh",
) -> Tensor:
    """All states of one layer: hₜ = tanh(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh), or ReLU.

    x: (T, N, I), h: (N, H), weight_ih: (H, I), weight_hh: (H, H) -> (T, N, H)
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ArgumentError(f"rnn: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
    a = linear(x, weight_ih, _both(bias_ih, bias_hh))
    return apply(cached(recurrence.RnnScan, nonlinearity), a, h, weight_hh)


@in_float32
def lstm(
    x: Tensor,
    state: tuple[Tensor, Tensor],
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_hr: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """All hidden states of one layer, and all cells.

    x: (T, N, I), state: two (N, H), weight_ih: (4H, I), weight_hh: (4H, H)
    -> (T, N, H), (T, N, H);  gates in the order i, f, g, o

    With weight_hr: (P, H) hidden states are hₜ = W_hr mₜ, of P columns, and weight_hh is (4H, P).
    Then W_hh hₜ₋₁ = (W_hh W_hr) mₜ₋₁, so the same loop runs on m.
    """
    a = linear(x, weight_ih, _both(bias_ih, bias_hh))
    h, c = state
    if weight_hr is not None:
        first = a[:1] + linear(h, weight_hh)
        a = first if a.shape[0] == 1 else concat((first, a[1:]))
        h, weight_hh = zeros_like(c), matmul(weight_hh, weight_hr)
    blocks = apply(cached(recurrence.LstmScan), a, h, c, weight_hh)
    steps = x.shape[0]
    y, cells = blocks[:steps], blocks[steps : 2 * steps]
    return y if weight_hr is None else linear(y, weight_hr), cells


@in_float32
def gru(
    x: Tensor,
    h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
) -> Tensor:
    """All states of one layer.

    x: (T, N, I), h: (N, H), weight_ih: (3H, I), weight_hh: (3H, H) -> (T, N, H)
    gates in the order r, z, n
    """
    a = linear(x, weight_ih, bias_ih)
    inputs = (a, h, weight_hh) if bias_hh is None else (a, h, weight_hh, bias_hh)
    return apply(cached(recurrence.GruScan), *inputs)[: x.shape[0]]


def _both(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
