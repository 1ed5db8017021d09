"""Models of text, letter by letter: first names, Tiny Shakespeare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..recipe import Data, Recipe, State, loss_within, mean_loss, one_cycle

_LENGTH, _CONTEXT = 16, 64


def _names(root: Path | None) -> Data:
    """Names with an end before and behind; 9 of 10 to train on. Padding does not count.

    x, y: (N, 16), in y the letters of x one place on
    """
    if root is None:
        random = np.random.default_rng(0)
        names = ["".join(random.choice(list("abeln"), random.integers(2, 9))) for _ in range(900)]
    else:
        from backlit.data import text

        names = text.read_text(root / "names" / "names.txt").split()
    letters = {letter: number for number, letter in enumerate(sorted(set("".join(names))), 1)}
    x = np.zeros((len(names), _LENGTH), np.int64)
    y = np.full_like(x, -100)
    for row, name in enumerate(names):
        tokens = [0, *(letters[c] for c in name), 0][: _LENGTH + 1]
        x[row, : len(tokens) - 1] = tokens[:-1]
        y[row, : len(tokens) - 1] = tokens[1:]
    order = np.random.default_rng(0).permutation(len(names))
    x, y, train = x[order], y[order], len(names) * 9 // 10
    return Data((x[:train], y[:train]), (x[train:], y[train:]), {"vocabulary": len(letters) + 1})


def _plays(root: Path | None) -> Data:
    """Blocks of 64 letters, from the first 9 tenths of the text to train on."""
    if root is None:
        whole = "the cat sat on the mat, and the dog saw it. " * 900
    else:
        from backlit import data
        from backlit.data import text

        whole = text.read_text(data.tiny_shakespeare(root / "tinyshakespeare"))
    letters = {letter: number for number, letter in enumerate(sorted(set(whole)))}
    tokens = np.array([letters[c] for c in whole], np.int64)
    cut = len(tokens) * 9 // 10

    def blocks(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = (len(part) - 1) // _CONTEXT
        x, y = (part[i : i + count * _CONTEXT].reshape(count, _CONTEXT) for i in (0, 1))
        return x, y

    return Data(blocks(tokens[:cut]), blocks(tokens[cut:]), {"vocabulary": len(letters)})


def _our_lstm(data: Data, dropout: float) -> Any:
    from backlit import models

    return models.CharRNN(data.facts["vocabulary"])


def _their_lstm(data: Data, dropout: float, state: State) -> Any:
    from ...peers.pytorch_steps import CharRNN
    from ..twins import loaded

    return loaded(CharRNN(data.facts["vocabulary"]), state)


_SIZES = {"layers": 4, "width": 128}


def _our_gpt(data: Data, dropout: float) -> Any:
    from backlit import models

    return models.GPT2(
        data.facts["vocabulary"], _CONTEXT, heads=4, dropout=0.0, approximate="none", **_SIZES
    )


def _their_gpt(data: Data, dropout: float, state: State) -> Any:
    from ...peers.pytorch_steps import GPT2
    from ..twins import loaded

    return loaded(GPT2(data.facts["vocabulary"], _CONTEXT, **_SIZES), state)


_LSTM: dict[str, Any] = {"ours": _our_lstm, "theirs": _their_lstm, "optimizer": "adam"}
_GPT: dict[str, Any] = {"ours": _our_gpt, "theirs": _their_gpt, "optimizer": "adamw"}
_RULES: dict[str, Any] = {
    "rate": one_cycle,
    "figure": mean_loss,
    "unit": "nats",
    "goal": "≤ PyTorch's + 1 %, 0.6 × its time",
    "share": 0.6,
    "met": loss_within(0.01),
}
_MAKEMORE = "about 1.92 (makemore's Transformer, other split)"

RECIPES = (
    Recipe(
        "names-lstm",
        "LSTM 64-256, batch 64, Adam, 3 epochs, one cycle; loss a letter",
        _names,
        epochs=3,
        batch=64,
        settings={"lr": 3e-3},
        needs=("names",),
        published=_MAKEMORE,
        **_LSTM,
        **_RULES,
    ),
    Recipe(
        "names-gpt",
        "GPT of 4 layers, width 128, batch 64, AdamW, 2 epochs, one cycle; loss a letter",
        _names,
        epochs=2,
        batch=64,
        settings={"lr": 1e-3},
        tolerance=1e-3,
        needs=("names",),
        published=_MAKEMORE,
        **_GPT,
        **_RULES,
    ),
    Recipe(
        "shakespeare-lstm",
        "LSTM 64-256, T 64, batch 32, Adam, 3 epochs, one cycle; loss a letter",
        _plays,
        epochs=3,
        batch=32,
        settings={"lr": 3e-3},
        needs=("tinyshakespeare",),
        **_LSTM,
        **_RULES,
    ),
    Recipe(
        "shakespeare-gpt",
        "GPT of 4 layers, width 128, T 64, batch 12, AdamW, 2 epochs (2,614 steps), one cycle; "
        "loss a letter",
        _plays,
        epochs=2,
        batch=12,
        settings={"lr": 1e-3},
        tolerance=1e-3,
        needs=("tinyshakespeare",),
        published="1.88 (nanoGPT, this size, 2,000 steps)",
        **_GPT,
        **_RULES,
    ),
)
