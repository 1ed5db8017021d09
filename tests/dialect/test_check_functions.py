"""`see.check` reads the text of a `torch.autograd.Function` and prints the change that mends it."""

from __future__ import annotations

import linecache
import types

import numpy as np
import pytest

import backlit.torch as torch
from backlit import see
from sampling import one_in

HEAD = "import backlit.torch as torch\n\n\n"

#: Functions by name, right ones, with their inputs.
RIGHT: dict[str, tuple[str, tuple[np.ndarray, ...]]] = {}


def function(name: str, *shapes: tuple[int, ...]):
    """Write down a Function with inputs of these shapes."""
    rng = np.random.default_rng(len(RIGHT))

    def put(body: str) -> None:
        RIGHT[name] = body.strip("\n"), tuple(rng.standard_normal(s) for s in shapes)

    return put


function("sigmoid", (3, 4))("""
class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        s = 1 / (1 + torch.exp(-x))
        ctx.save_for_backward(s)
        return s

    @staticmethod
    def backward(ctx, grad_output):
        s, = ctx.saved_tensors
        return grad_output * s * (1 - s)
""")

function("affine", (5, 3), (4, 3), (4,))("""
class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x @ w.t() + b

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w, g.t() @ x, g.sum(dim=0)
""")

function("mean squared error", (5, 3), (5, 3))("""
class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, p, y):
        ctx.save_for_backward(p, y)
        return ((p - y) ** 2).mean()

    @staticmethod
    def backward(ctx, g):
        p, y = ctx.saved_tensors
        d = 2 * (p - y) / p.numel() * g
        return d, -d
""")

function("leaky", (4, 5))("""
class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.slope = 0.2
        ctx.save_for_backward(x)
        return torch.where(x > 0, x, 0.2 * x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        d = g.clone()
        d[x < 0] *= ctx.slope
        return d
""")

function("softmax", (3, 4))("""
class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.softmax(x, dim=1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        y, = ctx.saved_tensors
        return y * (g - (g * y).sum(dim=1, keepdim=True))
""")

function("normalised", (4, 6))("""
class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        c = x - x.mean(dim=-1, keepdim=True)
        ctx.inv = 1 / torch.sqrt((c ** 2).mean(dim=-1, keepdim=True) + 1e-5)
        ctx.h = c * ctx.inv
        return ctx.h

    @staticmethod
    def backward(ctx, g):
        h = ctx.h
        centred = g - g.mean(dim=-1, keepdim=True)
        return ctx.inv * (centred - h * (g * h).mean(dim=-1, keepdim=True))
""")

#: Of which function what is written how by mistake, and how the fix that is printed ends.
FOLDED = "(g * y).sum(dim=1, keepdim=True)"
MEAN = "g.mean(dim=1, keepdim=True)"
WRONG = [
    ("sigmoid", "grad_output * s * (1 - s)", "grad_output * s", "s * (1 - s)"),
    ("sigmoid", "grad_output * s", "grad_output * (1 + s)", "s"),
    ("affine", "g @ w,", "g @ w.t(),", "w.t()  →  w"),
    ("affine", "g.sum(dim=0)", "g.mean(dim=0)", "g.sum(dim=0)"),
    ("affine", "g.t() @ x", "g.t() @ x / 2", "g.t() @ x"),
    ("mean squared error", "p.numel()", "p.shape[0]", "p.numel()"),
    ("mean squared error", "return d, -d", "return d, d", "-d"),
    ("leaky", "x < 0", "x > 0", "x < 0"),
    ("softmax", "dim=1, keepdim=True))", "dim=0, keepdim=True))", FOLDED),
    ("softmax", f"y * (g - {FOLDED})", "y * g", f"g  →  (g - {FOLDED})"),
    ("normalised", "g - g.mean(dim=-1, keepdim=True)", "g", f"g  →  g - {MEAN}"),
    ("normalised", "ctx.inv * (centred", "(centred", " * ctx.inv"),
]


def made(body: str) -> type:
    """The class of a text, which can be read as if it stood in a file."""
    name = f"/functions/{abs(hash(body))}.py"
    text = HEAD + body + "\n"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    place = types.ModuleType("functions").__dict__
    exec(compile(text, name, "exec"), place)
    return place["Own"]


def fixed(body: str, fix: str) -> str:
    """A text in which the one change that a fix names is made, as it is printed."""
    where, _, change = fix.partition(": ")
    old, _, new = change.partition("  →  ")
    lines = (HEAD + body).split("\n")
    row = int(where.removeprefix("line ")) - 1
    assert old in lines[row], (fix, lines[row])
    lines[row] = lines[row].replace(old, "" if new == "(nothing)" else new, 1)
    return "\n".join(lines).removeprefix(HEAD)


def checked(body: str, inputs: tuple[np.ndarray, ...]):
    return see.check(made(body).apply, *[torch.tensor(x, requires_grad=True) for x in inputs])


@pytest.mark.parametrize("name", one_in(3, RIGHT))
def test_a_right_function_is_right(name):
    assert checked(*RIGHT[name]).ok


@pytest.mark.parametrize(("name", "right", "wrong", "new"), WRONG, ids=lambda s: s)
def test_the_printed_change_of_a_function_mends_it(name, right, wrong, new):
    body, inputs = RIGHT[name]
    before, _, after = body.partition("def backward")
    assert right in after
    mistaken = f"{before}def backward{after.replace(right, wrong, 1)}"
    result = checked(mistaken, inputs)
    assert result.verdict == "wrong"
    fix = result.causes[0].fix
    assert fix.startswith("line "), result
    assert fix.endswith(new)
    assert checked(fixed(mistaken, fix), inputs).ok, fix
