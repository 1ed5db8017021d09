"""`see.check` on homework: pairs of NumPy functions, right ones and such with one mistake."""

from __future__ import annotations

import numpy as np
import pytest

from backlit import see
from sampling import one_in
from see import more_homework
from see.homework import MISTAKES, PAIRS, Mistake, fixed, functions, made, source

FRESH = more_homework.MISTAKES


def few(first):
    """Every mistake; but for a few, whose forward is quick, they take long."""
    slow = ("convolution", "lstm", "gru", "rnn", "causal", "max pool", "CRF", "spatial")
    mistakes = [*MISTAKES, *FRESH]
    kept = [m for m in mistakes if not any(name in m.pair for name in slow)][first::20]
    return [pytest.param(m, marks=() if m in kept else pytest.mark.long) for m in mistakes]


def explained(mistake: Mistake, readable: bool) -> bool:
    """Whether the first cause names the mistake; if it names a line, that where it was made."""
    result = see.check(functions(mistake.pair, mistake, readable), *PAIRS[mistake.pair][1])
    assert result.verdict == "wrong", mistake
    if not result.causes:
        return False
    first = result.causes[0]
    if readable and first.fix.startswith("line "):
        text = fixed(source(mistake.pair, mistake), first.fix)
        assert see.check(made(text), *PAIRS[mistake.pair][1]).ok, first.fix
    said = f"{first.kind} {first.title}".lower()
    return any(word in said for word in mistake.kinds) and (
        abs(first.detail.get("line", mistake.line) - mistake.line) <= 1
    )


@pytest.mark.parametrize("name", one_in(12, PAIRS))
def test_right_homework_is_not_accused(name):
    assert see.check(functions(name), *PAIRS[name][1]).ok


def test_the_line_and_the_change_that_mends_it_are_named():
    mistake = next(m for m in MISTAKES if m.truth == "gamma missing")
    result = see.check(functions(mistake.pair, mistake), *PAIRS[mistake.pair][1])
    (cause,) = result.causes[:1]
    assert cause.kind == "factor missing"
    assert "of backward: the factor `gamma` is missing at `dout`" in cause.title
    assert cause.fix == f"line {mistake.line}: dout  →  dout * gamma"
    assert "the gradient of x agrees with the measured one in every element" in cause.evidence


@pytest.mark.parametrize("mistake", few(0), ids=str)
def test_a_mistake_whose_text_can_be_read_is_named(mistake):
    assert explained(mistake, readable=True) == (str(mistake) not in NOT_NAMED_BY_TEXT)


@pytest.mark.parametrize("mistake", few(3), ids=str)
def test_a_mistake_that_only_its_numbers_tell_is_named(mistake):
    assert explained(mistake, readable=False) == (str(mistake) not in NOT_NAMED_BY_NUMBERS)


#: What is found and not named, or named by a word that was not expected: pair and mistake.
NOT_NAMED_BY_NUMBERS = {
    "affine of pictures: db summed over the wrong axis",
    "attention: dq for q",
    "average pool: tile for repeat",
    "bag of words: repeated words once",
    "batch norm: std cubed missing",
    "depthwise convolution: w0 for w1",
    "dilated convolution: kernel turned",
    "forward algorithm of a CRF: normalised over the wrong axis",
    "forward algorithm of a CRF: p transposed",
    "leaky relu: the slope on the wrong side",
    "max pool: the window's values as mask",
    "prelu: mask of da missing",
    "prelu: sides exchanged",
    "running sum: not turned round",
    "smoothed cross entropy: parentheses",
    "spatial batch norm: inv too many",
    "strided convolution: stride forgotten",
    "strided convolution: stride forgotten in dw",
    "svm loss: counted once",
    "tied autoencoder: parentheses",
    "weighted cross entropy: weights of p missing",
    "weighted least squares: r for dr",
}

#: What is mended at another place than where the mistake was made.
NOT_NAMED_BY_TEXT = {
    "attention: scaling forgotten",
    "heads of attention: scale forgotten",
    "spatial batch norm: inv missing",
}


def test_what_is_not_named_are_mistakes_that_there_are():
    known = {str(m) for m in (*MISTAKES, *FRESH)}
    assert not (NOT_NAMED_BY_TEXT | NOT_NAMED_BY_NUMBERS) - known


def test_a_mistake_in_a_function_that_backward_calls_is_found_there():
    def halved(g):
        return g / 2

    def forward(x):
        return np.sin(x), x

    def backward(dout, cache):
        return halved(dout * np.cos(cache))

    cause = see.check((forward, backward), np.array([0.3, 1.0, 2.0])).causes[0]
    assert cause.kind == "constant"
    assert cause.fix.endswith("g / 2  →  g")


def test_a_gate_with_a_state_of_its_own_is_mended_too():
    class Multiply:
        def forward(self, x, y):
            self.x, self.y = x, y
            return x * y

        def backward(self, dz):
            return [self.y * dz, self.y * dz]

    cause = see.check(Multiply, np.array([3.0, 0.5]), np.array([-4.0, 1.0])).causes[0]
    assert cause.fix.endswith("[self.y * dz, self.y * dz]  →  [self.y * dz, self.x * dz]"), cause


@pytest.mark.parametrize(
    ("wrong", "kind", "fix"),
    [
        ("dout @ w", "raises", "w  →  w.T"),
        ("(dout @ w.T).T", "transposed", "(dout @ w.T).T  →  dout @ w.T"),
    ],
)
def test_what_raises_or_does_not_fit_is_mended_too(wrong, kind, fix):
    mistake = Mistake("affine", "dout.dot(w.T)", wrong, "", ())
    cause = see.check(functions("affine", mistake), *PAIRS["affine"][1]).causes[0]
    assert cause.kind == kind
    assert cause.fix == f"line {mistake.line}: {fix}"
    assert "with that one change the gradient of x and w and b agrees" in cause.evidence


def test_a_flip_is_called_flipped_and_a_term_keeps_its_parentheses():
    def flipped(dz, x):
        return (2 * x * dz)[::-1]

    def scores(x):
        return x - x.mean(axis=0, keepdims=True)

    def scores_backward(dout, x):
        return 0.5 * dout + 0.5 * dout

    first = see.check((lambda x: x * x, flipped), np.array([0.3, 1.0, 2.0])).causes[0]
    assert (first.kind, first.title[-17:]) == ("flipped", ": `::-1` flips it")
    x = np.array([[0.3, 1.0], [2.0, -1.0], [0.5, 0.1]])
    missing = see.check((scores, scores_backward), x).causes[0]
    assert (
        "the term `− (0.5 * dout + 0.5 * dout).mean(axis=0, keepdims=True)` is missing"
        in missing.title
    )


ROWS = """
import numpy as np


def forward(x):
    {}
    return np.square(x).sum() / x.shape[{}], x


def backward(dout, cache):
    x = cache
    return dout * 2 * x
"""
SQUARE = np.array([[0.3, 1.0, -0.4], [2.0, -1.0, 0.2], [0.5, 0.1, 0.7]])


@pytest.mark.parametrize("axis", [0, 1])
def test_of_sizes_that_are_equal_that_is_named_with_which_the_function_is_right_at_others(axis):
    text = ROWS.format("pass", axis)
    cause = see.check(made(text), SQUARE).causes[0]
    assert cause.fix == f"line 12: dout * 2 * x  →  dout * 2 * x / x.shape[{axis}]"
    assert "no other sizes" not in cause.evidence


def test_of_sizes_that_nothing_tells_apart_both_are_named():
    cause = see.check(made(ROWS.format("assert x.shape == (3, 3)", 0)), SQUARE).causes[0]
    assert cause.fix.endswith(" / x.shape[0]")
    assert "with `x.shape[1]` or `3`, which is as large here, and no other sizes can be tried" in (
        cause.evidence
    )


def test_a_constant_is_not_taken_for_a_size_that_is_as_large():
    def backward(dout, x):
        return dout * x**2

    cause = see.check((lambda x: x**3, backward), SQUARE).causes[0]
    assert cause.fix.endswith("dout * x**2  →  3 * dout * x**2")


def test_a_word_that_stands_in_a_line_more_than_once_is_shown_with_what_is_around_it():
    def backward(dout, cache):
        x, y = cache
        dx, dy = dout * x + 0 * y, dout * x
        return dx, dy

    pair = (lambda x, y: (x * y, (x, y))), backward
    text = see.check(pair, np.array([0.3, 1.0]), np.array([2.0, -0.5])).causes[0].fix
    assert text.endswith("dout * x + 0 * y  →  dout * y + 0 * y"), text
