"""`torch.special`, against SciPy."""

import math

import numpy as np
import pytest
from scipy import special as theirs

import backlit as bl
import backlit.torch as torch
from backlit.errors import SpellingError

ANY = np.array([-45.0, -30.1, -29.9, -7.0, -2.0, -0.3, 0.0, 0.2, 0.7, 3.0])
INSIDE = np.array([0.1, 0.3, 0.5, 0.9])


@pytest.mark.parametrize(
    ("names", "x"),
    [
        ("expit entr ndtr log_ndtr erfc exp2 expm1 i0 i0e i1 i1e", ANY),
        ("gammaln psi digamma ndtri erfinv logit log1p", INSIDE),
    ],
)
def test_values_are_scipys(names, x):
    for name in names.split():
        got = getattr(torch.special, name)(bl.tensor(x)).numpy()
        np.testing.assert_allclose(got, getattr(theirs, name)(x), rtol=1e-9, err_msg=name)


def test_functions_of_several_arguments():
    x, y = np.array([0.0, 0.0, 2.0, -1.5]), np.array([-1.0, math.nan, 1.0, 0.25])
    got = torch.special.xlog1py(bl.tensor(x), bl.tensor(y)).numpy()
    np.testing.assert_allclose(got, theirs.xlog1py(x, y))
    got = torch.special.multigammaln(bl.tensor([3.0, 5.5]), 3).numpy()
    np.testing.assert_allclose(got, [theirs.multigammaln(a, 3) for a in (3.0, 5.5)], rtol=1e-6)
    assert torch.special.logsumexp(bl.zeros((2, 2)), dim=1).tolist() == pytest.approx(
        [math.log(2)] * 2
    )


def test_the_logarithm_of_a_tail_has_a_gradient_where_the_tail_has_none():
    for dtype, x in (("float32", [-40.0, -10.1, -9.9, 1.0]), ("float64", [-60.0, -30.1, -29.9])):
        t = bl.tensor(np.array(x, dtype), requires_grad=True)
        torch.special.log_ndtr(t).sum().backward()
        wide = np.array(x, dtype).astype(float)
        slope = np.exp(-0.5 * wide**2 - 0.5 * math.log(2 * math.pi) - theirs.log_ndtr(wide))
        np.testing.assert_allclose(t.grad.numpy(), slope, rtol=1e-5)


def test_what_it_has_not_says_where_it_is():
    with pytest.raises(SpellingError, match=r"torch.special.zeta: not in Backlit; scipy.special h"):
        _ = torch.special.zeta


@pytest.mark.parametrize(
    ("name", "edge"), [("xlogy", [0.0, -1.0, 3.0, 4.0]), ("xlog1py", [-1.0, -2.0, 2.0, 3.0])]
)
def test_zero_times_a_logarithm_has_no_nan_in_either_gradient_to_second_order(name, edge):
    x = bl.tensor([0.0, 0.0, 0.0, 2.0], requires_grad=True)
    y = bl.tensor(edge, requires_grad=True)
    gx, gy = bl.grad(getattr(torch.special, name)(x, y).sum(), [x, y], create_graph=True)
    np.testing.assert_allclose(gx.numpy(), [0, 0, np.log(3), np.log(4)], rtol=1e-6)
    np.testing.assert_allclose(gy.numpy(), [0, 0, 0, 0.5], rtol=1e-6)
    (mixed,) = bl.grad(gx.sum(), [y], retain_graph=True)
    np.testing.assert_allclose(mixed.numpy(), [0, 0, 1 / 3, 0.25], rtol=1e-6)
    xx, yy = bl.grad(gy.sum(), [x, y])
    np.testing.assert_allclose(xx.numpy(), [0, 0, 1 / 3, 0.25], rtol=1e-6)
    np.testing.assert_allclose(yy.numpy(), [0, 0, 0, -0.125], rtol=1e-6)
