"""Blocks of mixed precision beside PyTorch's: dtypes and values of functions, and a training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import backlit as bl
import backlit.torch as room

pytestmark = pytest.mark.parity
pytest.importorskip("torch")

CASES = """
x @ x|torch.mm(x, x)|torch.mv(x, x[0])|torch.dot(x[0], x[0])|torch.linalg.vecdot(x, x)
torch.einsum('ij,jk', x, x)|torch.outer(x[0], x[0])|torch.bmm(x[None], x[None])
torch.addmm(x, x, x)|torch.addmv(x[0], x, x[0])|torch.addr(x, x[0], x[0])|torch.kron(x, x)
torch.baddbmm(x[None], x[None], x[None])|torch.addbmm(x, x[None], x[None])
torch.matmul(x[0], x[0])|torch.inner(x, x)|torch.tensordot(x, x)|torch.tensordot(x, x, 1)
torch.linalg.multi_dot([x, x])|torch.linalg.matrix_power(x, 2)
F.linear(x, x, x[0])|F.bilinear(x, x, x[None])|F.conv1d(x[None], x[:, :, None], x[0])
F.conv2d(x[None, None], x[None, None, :2, :2])|F.conv_transpose1d(x[None], x[:, :, None])
F.conv_transpose2d(x[None, None], x[None, None])|F.conv3d(x[None, None, None], x[None, None, None])
F.scaled_dot_product_attention(x[None], x[None], x[None])|F.prelu(x, w)
F.softmax(x, 0)|F.log_softmax(x, 0)|F.layer_norm(x, (4,), w)|F.group_norm(x, 2, w)
F.batch_norm(x, None, None, w, training=True)|F.instance_norm(x[None], weight=w)
F.rms_norm(x, (4,), w)|F.gelu(x)|torch.exp(x)|torch.sum(x)|torch.mean(x)|torch.norm(x)
torch.prod(x)|torch.cumsum(x, 0)|torch.quantile(x, .5)|torch.nanquantile(x, .5)|torch.trace(x)
torch.cdist(x, x[:2])|F.cosine_similarity(x, x)|F.pairwise_distance(x, x.flip(0))
F.max_pool2d(x[None], 2)|F.avg_pool2d(x[None], 2)|F.max_pool3d(x[None, None], (1, 2, 2))
F.avg_pool3d(x[None, None], (1, 2, 2))|F.adaptive_avg_pool2d(x[None], 1)
F.adaptive_avg_pool3d(x[None, None], 1)|F.adaptive_max_pool3d(x[None, None], 1)
F.pad(x[None], (1, 1), mode='reflect')|F.pad(x[None], (1, 1), mode='replicate')
F.pad(x[None], (1, 1), mode='circular')|F.interpolate(x[None, None], 8)
F.grid_sample(x[None, None], x[None, :, :2, None].expand(1, 4, 2, 2), align_corners=False)
F.mse_loss(x, 2 * x)|F.l1_loss(x, 2 * x)|F.smooth_l1_loss(x, 2 * x)|F.huber_loss(x, 2 * x)
F.cross_entropy(x, i)|F.cross_entropy(x, x)|F.nll_loss(x, i)|F.binary_cross_entropy(x / 9, x / 9)
F.binary_cross_entropy_with_logits(x, x)|F.kl_div(x, x, reduction='sum')
F.hinge_embedding_loss(x, x)|F.cosine_embedding_loss(x, x, i * 0 + 1)
F.margin_ranking_loss(x, x, x)|F.soft_margin_loss(x, x)|F.triplet_margin_loss(x, x.flip(0), 2 * x)
F.multi_margin_loss(x, i)|F.multilabel_margin_loss(x, i[None].expand(4, 4))
F.multilabel_soft_margin_loss(x, x)|F.poisson_nll_loss(x, x)|F.gaussian_nll_loss(x, x, x)
F.ctc_loss(x[:, None], i[None, 1:2], i[3:] + 1, i[1:2])
torch.linalg.cholesky(m.to(x.dtype))|torch.linalg.inv(x)|torch.linalg.solve(x, x)
torch.linalg.svdvals(x)|torch.linalg.eigvalsh(x)
torch.linalg.matrix_norm(x)|torch.linalg.matrix_rank(x)|torch.cat([x, w[None]])|F.embedding(i, x)
torch.stack([x[0], w])|x + w
"""
EYE = np.eye(4, dtype=np.float32)
X = np.random.default_rng(0).uniform(0.1, 1, (4, 4)).astype(np.float32) + 3 * EYE


def value(t, code, kind):
    """What an expression gives in a block: its dtype, and its value where nothing is drawn."""
    wide = t.float64 if kind == "float64" else t.float32
    names = {
        "torch": t,
        "F": t.nn.functional,
        "x": t.tensor(X).to(getattr(t, kind)),
        "w": t.tensor(X[0]).to(wide),
        "m": t.tensor(4 * EYE),
        "i": t.tensor(np.arange(4)),
    }
    with t.autocast("cpu", dtype=t.bfloat16):
        y = eval(code, names)
    return str(y.dtype).removeprefix("torch."), np.array(y.detach().double().tolist())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float64"])
def test_functions_in_a_block_have_pytorchs_dtypes_and_values(kind):
    wrong = []
    codes = [code for line in CASES.split("\n") for code in line.split("|") if code]
    for code in codes:
        (dtype, y), (want, z) = value(room, code, kind), value(torch, code, kind)
        if dtype != want or not np.allclose(y, z, rtol=2e-2, atol=2e-2):
            wrong.append(f"{code}: {dtype} {y.ravel()[:4]}, PyTorch {want} {z.ravel()[:4]}")
    assert not wrong, "\n".join(wrong)


SHAPES = [(4, 1, 3, 3), (4,), (4,), (4,), (16, 36), (16,), (16,), (16,), (3, 16), (3,)]


def losses(t, wrap=lambda step: step, enabled=True):
    """The losses of a small training."""
    rng = np.random.default_rng(0)
    nn = t.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(36, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3)),
    )
    with t.no_grad():
        for p, shape in zip(model.parameters(), SHAPES, strict=True):
            p.copy_(t.tensor((rng.standard_normal(shape) * 0.3).astype(np.float32)))
    optimizer = t.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = t.tensor(rng.standard_normal((32, 1, 8, 8)).astype(np.float32))
    y = t.tensor(rng.integers(0, 3, 32))

    def step(x, y):
        optimizer.zero_grad()
        with t.autocast("cpu", dtype=t.bfloat16, enabled=enabled):
            loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    step = wrap(step)
    found = np.array([step(x, y).item() for _ in range(12)])
    assert all(p.grad.dtype == t.float32 for p in model.parameters())
    return found


def test_a_training_in_blocks_goes_as_pytorchs_eager_and_compiled():
    want, exact = losses(torch), losses(torch, enabled=False)
    for got in (losses(room), losses(room, bl.compile)):
        np.testing.assert_allclose(got, want, atol=2e-3)
        assert np.abs(got - exact).max() > 1e-5  # it did compute in 16 bits
    np.testing.assert_allclose(losses(room, enabled=False), exact, atol=1e-4)
