"""GPT-2: its size, its names, and that it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn
from backlit.errors import ArgumentError, ShapeError
from backlit.nn import functional as f

rng = np.random.default_rng(0)
#: Of `GPT2LMHeadModel` in the package transformers, with one layer.
NAMES = """
wte.weight wpe.weight h.0.ln_1.weight h.0.ln_1.bias h.0.attn.c_attn.weight h.0.attn.c_attn.bias
h.0.attn.c_proj.weight h.0.attn.c_proj.bias h.0.ln_2.weight h.0.ln_2.bias h.0.mlp.c_fc.weight
h.0.mlp.c_fc.bias h.0.mlp.c_proj.weight h.0.mlp.c_proj.bias ln_f.weight ln_f.bias lm_head.weight
""".split()


def small(**options):
    return models.GPT2(vocabulary=11, context=8, layers=1, heads=2, width=8, **options)


def test_names_and_layouts() -> None:
    state = small().state_dict()
    assert list(state) == NAMES
    assert state["h.0.attn.c_attn.weight"].shape == (8, 24)
    assert state["h.0.mlp.c_fc.weight"].shape == (8, 32)


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (models.gpt2, 124_439_808),
        (models.gpt2_medium, 354_823_168),
        (models.gpt2_large, 774_030_080),
        (models.gpt2_xl, 1_557_611_200),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_published_sizes(make, parameters, monkeypatch) -> None:
    made = {}

    class Sized(models.GPT2):
        def __init__(self, layers=12, heads=12, width=768, dropout=0.1):
            made.update(layers=layers, width=width)
            assert width // heads == 64

    monkeypatch.setattr("backlit.models.sequences.gpt.GPT2", Sized)
    make()
    monkeypatch.undo()

    def count(layers, width, vocabulary, context):
        model = models.GPT2(vocabulary, context, layers, 1, width)
        return sum(p.size for p in model.parameters())

    # The number of parameters is a polynomial: of the sizes of tables, of layers and of width.
    layer = 12 * made["width"] ** 2 + 13 * made["width"]
    assert count(2, 6, 7, 5) == 2 * (12 * 36 + 13 * 6) + (7 + 5) * 6 + 2 * 6
    assert made["layers"] * layer + (50_257 + 1024 + 2) * made["width"] == parameters


def test_the_table_is_shared_both_ways_or_not_at_all() -> None:
    model = small()
    assert model.lm_head.weight is model.wte.weight
    for missing in ("lm_head.weight", "wte.weight"):
        state = {n: t + 1 for n, t in model.state_dict().items() if n != missing}
        other = small()
        other.load_state_dict(state)
        assert other.wte.weight.tolist() == (model.wte.weight + 1).tolist()
        assert other.lm_head.weight is other.wte.weight
    apart = small(tied=False)
    assert apart.lm_head.weight is not apart.wte.weight
    with pytest.raises(ArgumentError, match=r"missing: lm_head.weight"):
        apart.load_state_dict(
            {n: t for n, t in apart.state_dict().items() if n != "lm_head.weight"}
        )


def test_it_starts_near_the_uniform_distribution_and_learns() -> None:
    bl.manual_seed(0)
    model = small(dropout=0.0)
    x = bl.tensor(rng.integers(0, 11, (3, 8)))
    optimizer = bl.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(25):
        loss = f.cross_entropy(model(x[:, :-1]).reshape(-1, 11), x[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert abs(losses[0] - math.log(11)) < 0.05
    assert losses[-1] < 0.6 * losses[0]
    ends = [p for n, p in models.GPT2(11, 8, 8, 2, 64).named_parameters() if "c_proj.weight" in n]
    assert abs(np.std(ends[0].numpy()) - 0.02 / 4) < 3e-4


def test_later_tokens_have_no_influence() -> None:
    model = small().eval()
    x = rng.integers(0, 11, (1, 8))
    before = model(bl.tensor(x)).numpy()[0, :4]
    x[0, 4:] = 0
    np.testing.assert_array_equal(model(bl.tensor(x)).numpy()[0, :4], before)


def test_errors() -> None:
    with pytest.raises(
        ArgumentError, match=r"GPT2: width must be a multiple of heads, got 8 and 3"
    ):
        models.GPT2(11, 8, 1, 3, 8)
    for shape in ((1, 9), (1, 0), (4,)):
        with pytest.raises(
            ShapeError, match=r"GPT2: x must be tokens .* T from 1 to context=8, got"
        ):
            small()(bl.zeros(shape, dtype="int64"))
    assert isinstance(small().h, nn.ModuleList)
