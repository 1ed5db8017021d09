"""Linear algebra against PyTorch's: values, shapes and gradients of functions made of the ops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import backlit as bl
from sampling import every

pytestmark = pytest.mark.parity
torch.set_num_threads(1)

RNG = np.random.default_rng(3)
A = RNG.uniform(-1, 1, (2, 3, 3)) + 3 * np.eye(3)
B, V = RNG.uniform(-1, 1, (3, 2)), RNG.uniform(-1, 1, 3)
TALL, WIDE = RNG.uniform(-1, 1, (4, 3)), RNG.uniform(-1, 1, (2, 4))


def linalg(name, *given, **more):
    """A function of one name, in both."""
    theirs = {{"axis": "dim", "keepdims": "keepdim"}.get(k, k): v for k, v in more.items()}
    return (
        lambda *x: getattr(bl.linalg, name)(*x, *given, **more),
        lambda *x: getattr(torch.linalg, name)(*x, *given, **theirs),
    )


#: (ours, theirs), inputs.
CASES = {
    "solve": (linalg("solve"), (A, B)),
    "solve a vector": (linalg("solve"), (A[0], V)),
    "inv": (linalg("inv"), (A,)),
    "det": (linalg("det"), (A,)),
    "slogdet": (linalg("slogdet"), (-A,)),
    "cholesky": (
        (
            lambda x: bl.linalg.cholesky(x @ x.mT, upper=True),
            lambda x: torch.linalg.cholesky(x @ x.mT, upper=True),
        ),
        (A,),
    ),
    "qr": (linalg("qr"), (TALL,)),
    "qr of few": (linalg("qr"), (WIDE,)),
    "qr complete": (linalg("qr", mode="complete"), (WIDE,)),
    "svd": (linalg("svd", full_matrices=False), (TALL,)),
    "svd of few": (linalg("svd", full_matrices=False), (WIDE,)),
    "svd of a square": (linalg("svd"), (A,)),
    "svdvals": (linalg("svdvals"), (TALL,)),
    "eigh": (
        (lambda x: bl.linalg.eigh(x + x.mT), lambda x: torch.linalg.eigh(x + x.mT)), (A,)
    ),
    "eigvalsh": (linalg("eigvalsh"), (np.eye(3),)),
    "pinv": (linalg("pinv"), (TALL,)),
    "pinv of a unit matrix": (linalg("pinv"), (np.eye(3),)),
    "matrix_power": (linalg("matrix_power", 5), (A / 3,)),
    "matrix_exp": (linalg("matrix_exp"), (A,)),
    "matrix_power down": (linalg("matrix_power", -2), (A,)),
    "matrix_rank": (linalg("matrix_rank"), (np.stack([np.eye(3), np.ones((3, 3))]),)),
    "pinv atol": (linalg("pinv", atol=1.0), (TALL,)),
    "matrix_rank atol": (linalg("matrix_rank", atol=1.0), (TALL,)),
    "norm": (linalg("norm"), (A,)),
    "norm of a vector": (linalg("norm", 3), (V,)),
    **{f"norm {p}": (linalg("norm", p), (TALL,)) for p in ("nuc", "fro", 1, -1, 2, -2)},
    "norm keeps": (linalg("norm", 2, (0, 2), True), (A,)),
    "matrix_norm": (linalg("matrix_norm"), (A,)),
    "vector_norm": (linalg("vector_norm", ord=1, axis=1), (A,)),
    "multi_dot": (
        (lambda *x: bl.linalg.multi_dot(x), lambda *x: torch.linalg.multi_dot(x)), (V, B, WIDE)
    ),
    "lstsq": (
        (
            lambda a, b: bl.linalg.lstsq(a, b).solution,
            lambda a, b: torch.linalg.lstsq(a, b).solution,
        ),
        (TALL, WIDE.T.copy()),
    ),
    "solve_triangular": (linalg("solve_triangular", upper=True), (np.triu(A), B)),
    "solve_triangular unit": (
        linalg("solve_triangular", upper=False, left=False, unitriangular=True),
        (np.tril(A), B.T.copy()),
    ),
    "cholesky_solve": (
        (
            lambda b, a: bl.linalg.cholesky_solve(b, bl.tril(a)),
            lambda b, a: torch.cholesky_solve(b, torch.tril(a)),
        ),
        (B, A[0]),
    ),
    "diagonal": (linalg("diagonal", offset=1), (A,)),
    "cross": (linalg("cross"), (A, V[None, None])),
    "vecdot": (linalg("vecdot"), (A, V)),
}  # fmt: skip


@every("name", CASES)
def test_values_and_gradients_are_pytorchs(name: str) -> None:
    (ours, theirs), inputs = CASES[name]
    given = [bl.tensor(x, requires_grad=True) for x in inputs]
    wanted = [torch.tensor(x, requires_grad=True) for x in inputs]
    got, want = ours(*given), theirs(*wanted)
    got, want = (y if isinstance(y, tuple) else (y,) for y in (got, want))
    if name.startswith(("svd", "eigh")):  # the signs of the vectors are free: their squares are not
        got, want = [y * y for y in got], [y * y for y in want]
    for a, b in zip(got, want, strict=True):
        assert a.shape == tuple(b.shape)
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), 1e-10, 1e-11)
    pairs = [(a, b) for a, b in zip(got, want, strict=True) if b.requires_grad]
    if not pairs:
        return
    weights = [np.linspace(0.5, 1.5, a.size).reshape(a.shape) for a, _ in pairs]
    sum((a * w).sum() for (a, _), w in zip(pairs, weights, strict=True)).backward()
    torch.autograd.backward([b for _, b in pairs], [torch.tensor(w) for w in weights])
    for x, t in zip(given, wanted, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), 1e-9, 1e-10)
