"""The rows of the table of differences, asked of PyTorch or of the dialect."""

from __future__ import annotations

import importlib
import warnings

import numpy as np

from backlit.torch.differences import DIFFERENCES

SETUP = """
x = torch.tensor([[1., 2., 3.], [4., 5., 6.]])
v = torch.tensor([1., -2., 3.])
w = torch.tensor([1., 2., 3.], requires_grad=True)
"""


def answer(torch, code):
    """What the last expression of a row is, as text; of an error its class."""
    names = {"torch": torch, "np": np}
    exec(SETUP, names)
    before, _, last = code.rpartition("\n" if "\n" in code else "; ")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(before, names)
            return str(eval(last, names))
    except Exception as error:
        return type(error).__name__


def wrong(root, column):
    """The rows that are not what their column says."""
    torch = importlib.import_module(root)
    found = [(row, answer(torch, row.code)) for row in DIFFERENCES]
    return [f"{row.code}: {got}" for row, got in found if got != getattr(row, column)]
