"""PyTorch's functions of matrices: errors, and what is left where there is no result."""

import pytest

import backlit as bl
import backlit.torch as torch
from backlit.errors import ArgumentError

INDEFINITE = bl.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: torch.linalg.cholesky_ex(INDEFINITE, check_errors=True),
            r"cholesky_ex: x must be positive definite at \[1\]; see info",
        ),
        (
            lambda: torch.linalg.inv_ex(torch.ones(2, 2), check_errors=True),
            r"inv_ex: x must not be singular; see info",
        ),
        (
            lambda: torch.svd_lowrank(torch.eye(2), 3),
            r"svd_lowrank: q must be at most the smaller side of float32\[2,2\], got 3",
        ),
        (
            lambda: torch.linalg.lstsq(torch.eye(2), torch.ones(2), driver="qr"),
            r"lstsq: driver must be one of gels, gelsy, gelsd, gelss, got 'qr'",
        ),
    ],
)
def test_errors_of_matrices_say_which(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_where_there_is_no_factor_it_is_nan_and_the_others_have_a_gradient():
    x = INDEFINITE.clone().requires_grad_()
    factor, info = torch.linalg.cholesky_ex(x)
    assert info.tolist() == [0, 2]
    assert torch.isnan(factor).all(dim=(-2, -1)).tolist() == [False, True]
    factor[0].sum().backward()
    assert x.grad.tolist()[0] == [[0.5, 0.5], [0.5, 0.5]]
