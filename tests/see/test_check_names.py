"""`see.check`: changes of several words of a text at once, and causes that leave inputs wrong."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from backlit import see
from backlit.see.checks.case import Cause
from backlit.see.checks.edits_of_places import permuted
from backlit.see.checks.report import merge
from see.homework import made

RNG = np.random.default_rng(7)
A, X, Y = RNG.normal(size=(3, 3)), RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
HEAD = "import numpy as np\n\nscale = 2\n\n\n"

#: What forward and backward return, the inputs, and the change that is told.
CHANGES = [
    ("(x @ A @ x)", "g * 2 * A @ x, g * np.outer(x, x)", "x, A", (X[0], A),
     "g * 2 * A @ x  →  g * (A + A.T) @ x"),
    ("p**2 / (q**2 + 1)", "g * 2 * q / (p * p + 1), -g * 2 * q * p**2 / (q**2 + 1) ** 2", "p, q",
     (X, Y), "g * 2 * q / (p * p + 1)  →  g * 2 * p / (q * q + 1)"),
    ("np.maximum(x, 0)", "g * (g > 0)", "x", (X,), "g > 0  →  x > 0"),
    ("((x - 1) ** 2).sum() / x.size", "2 * g * (x - 1) / len(x)", "x", (X,), "len(x)  →  x.size"),
]  # fmt: skip


@pytest.mark.parametrize(("forward", "backward", "names", "inputs", "fix"), CHANGES)
def test_several_words_are_changed_at_once(forward, backward, names, inputs, fix):
    text = (
        f"{HEAD}def forward({names}):\n    return {forward}\n\n\n"
        f"def backward(g, {names}):\n    return {backward}\n"
    )
    cause = see.check(made(text), *inputs).causes[0]
    assert cause.fix.split(": ", 1)[1] == fix


def test_a_reshape_may_stand_for_one_with_axes_exchanged():
    call = ast.parse("g.reshape(n, -1, f)", mode="eval").body
    made = [ast.unparse(ast.fix_missing_locations(c.new)) for c in permuted(call, True)]
    assert "g.reshape(n, f, -1).transpose(0, 2, 1)" in made


def test_a_stride_and_an_index_of_another_loop_are_put_in():
    text = """import numpy as np

stride = 2


def forward(x, w):
    return np.array([[(x[i * stride:i * stride + 2] * w[f]).sum() for f in range(2)]
                     for i in range(3)]), (x, w)


def backward(g, cache):
    x, w = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(3):
        for f in range(2):
            at = i * stride
            dw[f] += x[at:at + 2] * g[i, f]
            dx[at:at + 2] += w[f] * g[i, f]
    return dx, dw
"""
    inputs = X.reshape(-1)[:6], A[:2, :2]
    assert see.check(made(text), *inputs).ok
    for right, wrong in (("= w[f] *", "= w[0] *"), ("= w[f] * g[i, f]", "= w[f]")):
        cause = see.check(made(text.replace(right, wrong)), *inputs).causes[0]
        assert cause.fix.startswith("line 18: "), cause.fix


def test_what_declares_no_derivative_keeps_no_change_from_being_found():
    def forward(x, t):
        return (np.maximum(0, 1 - x * t)).mean(), (x, t)

    def backward(g, cache):
        x, t = cache
        return -g * t * (x * t > 1) / x.size, None

    cause = see.check((forward, backward), X, np.sign(Y)).causes[0]
    assert cause.fix.endswith("x * t > 1  →  x * t < 1")


def test_several_outputs_are_unfolded_and_one_cause_explains_every_input():
    class Cell:
        def forward(self, x, c):
            self.x, self.c = x, c
            new = np.sin(x) * c
            return [np.tanh(new), new]

        def backward(self, dh, dc):
            return dc * np.cos(self.x) * self.c, dc * np.sin(self.x)

    cause = see.check(Cell, X, Y).causes[0]
    assert cause.input in ("x, c", "c, x", "x and c")


def test_the_same_mistake_in_three_inputs_is_told_once_with_all_their_names():
    title = "the path from (c × x) through tanh(c) is not counted (gradient of {})"
    found = [[Cause("path missing", title.format(n), n, rank=7.5)] for n in ("x", "c", "Wx")]
    (cause,) = merge(found)
    assert cause.title == title.format("x") + " (and c, Wx)"
    assert cause.input == "x, c, Wx"


def test_what_no_cause_explains_is_noted():
    def backward(g, cache):
        x, y = cache
        return -g * y, g * np.cos(y * 31) * np.arctan(x * 7) + 0.3

    result = see.check((lambda x, y: (x * y, (x, y)), backward), X, Y)
    assert any("the gradient of y" in note for note in result.notes), result


def test_a_quantity_that_is_not_defined_everywhere_is_no_factor():
    def forward(x):
        return np.where(x > 0, x, 0.5 * x), x

    def backward(g, x):
        return np.where(np.abs(x) < 0.2, g, g * 0.1)

    result = see.check((forward, backward), 3 * X)
    assert not any("√(1 −" in c.title for c in result.causes), result
