"""Named entities in noisy English: WNUT-17 with GloVe's vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..recipe import Data, Recipe, State, logits, near, one_cycle

_WINDOW, _LENGTH, _HIDDEN = 5, 40, 64


def _sentences(root: Path | None) -> tuple[Any, ...]:
    """Words and tags to train on, to test on and to choose by; the vectors of words.

    The vectors are drawn if there are none.
    """
    from backlit.data import text, wnut17

    if root is None:
        train, test, dev = (_invented(count, i) for i, count in enumerate((320, 40, 40)))
    else:
        paths = wnut17(root / "wnut17")
        train, test, dev = (text.read_conll(paths[part]) for part in ("train", "test", "dev"))
    words = text.Vocabulary.build(
        (s.tokens for s in train), lower=True, min_frequency=1 if root is None else 2
    )
    if root is not None:  # the words that have vectors are known, too
        seen = {t.lower() for s in (*test, *dev) for t in s.tokens}
        glove = next((root / "glove-twitter-25d").glob("*.txt.gz"))
        words = text.Vocabulary(
            [*(w for w in words if w not in words.specials), *_with_vectors(glove, seen, words)],
            lower=True,
        )
        table = text.load_vectors(glove, words).array
    else:
        table = np.random.default_rng(2).normal(size=(len(words), 25)).astype(np.float32)
        table[words.padding_number] = 0
    tags = text.Vocabulary(sorted({t for s in train for t in s.tags}), padding=None, unknown=None)
    parts = [
        text.ConllDataset(part, words, tags, length=_LENGTH, truncate=True)
        for part in (train, test, dev)
    ]
    return (*parts, np.asarray(table, np.float32))


def _with_vectors(glove: Path, seen: set[str], known: Any) -> list[str]:
    from backlit.data import text

    new = sorted(word for word in seen if word not in known)
    found = text.load_vectors(glove, text.Vocabulary(new))
    return [word for word in new if word not in set(found.missing)]


def _invented(count: int, seed: int) -> Any:
    """Sentences in which every name follows a title."""
    from backlit.data import text

    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        tokens = [f"word{k}" for k in random.integers(0, 40, random.integers(3, 12))]
        tags = ["O"] * len(tokens)
        at = random.integers(1, len(tokens))
        tokens[at - 1 : at + 1] = ["mr", f"name{random.integers(0, 30)}"]
        tags[at] = "B-person"
        made.append(text.Sentence(tuple(tokens), tuple(tags)))
    return made


def _windows(root: Path | None) -> Data:
    """x: (W, 5) words, y: (W,) tag of the middle word."""
    *parts, table = _sentences(root)
    return _data(
        [tuple(np.asarray(t) for t in p.windows(_WINDOW).tensors) for p in parts], parts, table
    )


def _padded(root: Path | None) -> Data:
    """x: (N, 40) words, y: (N, 40) tags, lengths: (N,)."""
    *parts, table = _sentences(root)
    arrays = []
    for part in parts:
        x, y = np.zeros((2, len(part), _LENGTH), np.int64)
        for row in range(len(part)):
            words, tags = part[row]
            x[row, : len(words)], y[row, : len(tags)] = words, tags
        arrays.append((x, y, np.array(part.lengths)))
    return _data(arrays, parts, table)


def _data(arrays: list[Any], parts: list[Any], table: np.ndarray) -> Data:
    train, test, dev = parts
    facts = {"vectors": table, "classes": len(train.tags), "test": test}
    return Data(*arrays[:2], {**facts, "dev": (arrays[2], dev)})


def _development(data: Data, seed: int) -> Data:
    """The set's own part for this in the place of the test part."""
    arrays, dev = data.facts["dev"]
    return Data(data.train, arrays, {**data.facts, "test": dev})


def _f1(data: Data, rows: list[list[int]]) -> float:
    from backlit.data.text import entity_scores

    test = data.facts["test"]
    correct = [list(s.tags) for s in test.sentences]
    found = [test.tags.decode(row) for row in rows]
    # words behind the longest sentence that is read have no entity
    found = [row + ["O"] * (len(c) - len(row)) for row, c in zip(found, correct, strict=True)]
    return 100 * entity_scores(correct, found).f1


def _window_f1(side: Any, data: Data) -> float:
    best = side.over(logits, data.test[:1]).argmax(1)
    ends = np.cumsum(data.facts["test"].lengths)[:-1]
    return _f1(data, [row.tolist() for row in np.split(best, ends)])


def _sequence_f1(side: Any, data: Data) -> float:
    x, _, lengths = data.test
    rows: list[list[int]] = []
    for i in range(0, len(x), 100):
        rows += side.decode(x[i : i + 100], lengths[i : i + 100])
    return _f1(data, rows)


def _our_table(data: Data) -> Any:
    from backlit import asarray, nn

    return nn.Embedding.from_pretrained(asarray(data.facts["vectors"]), freeze=False)


def _our_window(data: Data, dropout: float) -> Any:
    from backlit import models

    return models.WindowTagger(
        window=_WINDOW, classes=data.facts["classes"], embedding=_our_table(data)
    )


def _their_window(data: Data, dropout: float, state: State) -> Any:
    from ...peers.pytorch_steps import WindowTagger
    from ..twins import loaded

    return loaded(WindowTagger(*data.facts["vectors"].shape, data.facts["classes"]), state)


def _our_crf(data: Data, dropout: float) -> Any:
    from backlit import models

    return models.BiLSTMCRF(
        hidden=_HIDDEN, classes=data.facts["classes"], dropout=dropout, embedding=_our_table(data)
    )


def _their_crf(data: Data, dropout: float, state: State) -> Any:
    from .. import twins

    sizes = data.facts["vectors"].shape
    return twins.loaded(twins.BiLSTMCRF(*sizes, _HIDDEN, data.facts["classes"], dropout), state)


def _chain(F: Any, model: Any, x: Any, tags: Any, lengths: Any) -> Any:
    return model.loss(x, tags, lengths)


_RULES: dict[str, Any] = {
    "optimizer": "adam",
    "rate": one_cycle,
    "unit": "F1",
    "met": near(1.0),
    "needs": ("wnut17", "glove-twitter-25d"),
    "validation": _development,
}
_SHARED_TASK = "F1 of the shared task's systems: 26.3 to 41.9 (Derczynski et al. 2017)"

RECIPES = (
    Recipe(
        "wnut-window",
        "window of 5 tagger, GloVe 25, 100 units, batch 64, Adam, 5 epochs, one cycle",
        _windows,
        _our_window,
        _their_window,
        epochs=5,
        batch=64,
        settings={"lr": 2e-3},
        figure=_window_f1,
        goal="≥ PyTorch's - 1",
        published=_SHARED_TASK,
        **_RULES,
    ),
    Recipe(
        "wnut-crf",
        "BiLSTM-CRF, GloVe 25, 64 units a direction, dropout 0.3, batch 32, Adam, 10 epochs, "
        "one cycle",
        _padded,
        _our_crf,
        _their_crf,
        epochs=10,
        batch=32,
        settings={"lr": 1e-2},
        loss=_chain,
        figure=_sequence_f1,
        dropout=0.3,
        goal="≥ PyTorch's - 1, above wnut-window",
        above="wnut-window",
        published=_SHARED_TASK,
        tolerance=1e-3,
        long=True,
        **_RULES,
    ),
)
