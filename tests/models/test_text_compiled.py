"""Networks for text compiled: losses of three training steps are those of eager ones."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models
from backlit.nn import functional as f

rng = np.random.default_rng(0)
TOKENS = rng.integers(1, 11, (3, 6))
MASK = np.arange(6) < np.array([[6], [2], [4]])
LENGTHS = np.array([6, 2, 4])


def bert():
    return models.Bert(11, 8, 1, 2, 8, dropout=0.0)


NETWORKS = {
    "masked": (lambda: models.BertForMaskedLM(bert()), (TOKENS, MASK)),
    "classes": (lambda: models.BertForSequenceClassification(5, bert(), 0.0), (TOKENS, MASK)),
    "cnn": (lambda: models.TextCNN(11, 6, 5, (2, 3), 4, 0.0), (TOKENS, LENGTHS)),
    "fasttext": (lambda: models.FastText(11, 6, 5, 3, 50), (TOKENS, LENGTHS)),
    "gru": (lambda: models.CharRNN(11, 6, 8, 2, "gru"), (TOKENS,)),
    "rnn": (lambda: models.CharRNN(11, 6, 8, 2, "rnn"), (TOKENS,)),
    "bahdanau": (lambda: models.Seq2Seq(11, 5, 6, 8), (TOKENS, TOKENS[:, :4] % 5, LENGTHS)),
    "transformer": (
        lambda: models.TransformerSeq2Seq(11, 5, 8, 2, 1, 12, 0.0),
        (TOKENS, TOKENS[:, :4] % 5, LENGTHS),
    ),
}
QUICK = ("cnn", "fasttext", "rnn")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.long) for n in NETWORKS]
)
def test_three_compiled_steps_are_the_eager_ones(name) -> None:
    make, inputs = NETWORKS[name]
    inputs = [bl.tensor(x) for x in inputs]
    losses = []
    for compiled in (False, True):
        bl.manual_seed(0)
        model = make().to("float64")
        optimizer = bl.optim.SGD(model.parameters(), lr=0.5)

        def step(*inputs, model=model, optimizer=optimizer):
            y = model(*inputs)
            y = y[0] if isinstance(y, tuple) else y
            y = y.reshape(-1, y.shape[-1])
            loss = f.cross_entropy(y, bl.arange(y.shape[0]) % 5)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        run = bl.compile(step) if compiled else step
        losses.append([run(*inputs).item() for _ in range(3)])
    assert losses[0][2] < losses[0][0]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)
