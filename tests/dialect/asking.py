"""How the expressions of a table are asked of PyTorch, or of the dialect, and compared."""

from __future__ import annotations

import importlib
import warnings

import numpy as np

from dialect.expressions import EXPRESSIONS, SETUP


def plain(x):
    """A result as NumPy's, if it is a Tensor."""
    return x.detach().numpy() if hasattr(x, "detach") else x


def is_as_said(got, said):
    """Whether a result is what the table says, with the shape that it says."""
    if isinstance(said, str) or isinstance(got, str):
        return got == said
    if type(said).__module__ not in ("builtins", "numpy") or "dtype" in type(said).__name__.lower():
        return got == said
    got, said = np.asarray(got), np.asarray(said)
    return got.shape == said.shape and np.allclose(got.astype(float), said.astype(float), 1e-5)


def wrong(root):
    """The expressions that are not what the table says, in PyTorch (`torch`) or here."""
    torch = importlib.import_module(root)
    functional = importlib.import_module(f"{root}.nn.functional")
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for line in EXPRESSIONS.strip().splitlines():
            names = {"torch": torch, "F": functional, "np": np}
            exec(SETUP, names)
            for name in "xvibnc":
                names[name.upper()] = names[name].numpy().copy()
            expression, _, said = line.partition(" -> ")
            try:
                got = plain(eval(expression, names))
                if not is_as_said(got, eval(said, names)):
                    found.append(f"{line}: got {got!r}")
            except Exception as error:
                found.append(f"{line}: {type(error).__name__}: {error}")
    return found
