"""What can a text name at one of its places, and by which name is it known best?"""

from __future__ import annotations

import ast
from collections import Counter
from typing import Any

import numpy as np

from ...tensor import Tensor
from .edits_of_terms import Atom
from .source import Source

NAMES_OF_MODULES = ("xp", "np", "numpy", "math", "torch", "self")
#: Of sizes that are equal at the point that is looked at so many are kept.
ALIKE = 3


def atoms_of(names: dict[str, Any], upstream: np.ndarray, last: set[str]) -> list[Atom]:
    """What can be named at a place, each value once; by these names only if it has no other."""
    listed: list[tuple[str, Any]] = []
    for name, value in names.items():
        if name == "self" or hasattr(value, "saved_tensors"):
            for a, v in vars(value).items():
                if not a.startswith("_"):
                    listed.append((f"{name}.{a}", array_of(v)))
        elif isinstance(value, dict):
            listed += [(f"{name}[{k!r}]", v) for k, v in value.items() if isinstance(k, str)]
        elif name not in NAMES_OF_MODULES and not name.startswith("_"):
            listed.append((name, value))
    listed.sort(key=lambda named: (named[0] in last, "[" in named[0]))
    atoms: list[Atom] = []
    sizes: Counter[int] = Counter()
    for name, value in listed:
        number = isinstance(value, int | float | np.generic) and not isinstance(value, bool)
        if not number and not (isinstance(value, np.ndarray) and value.dtype.kind in "fiub"):
            continue
        whole = isinstance(value, int) and value > 1
        if any(_equal(a.value, value) for a in atoms) and not (whole and sizes[value] < ALIKE):
            continue
        sizes.update([value] if whole else ())
        sent = isinstance(value, np.ndarray) and value.size > 0 and _equal(value, upstream)
        atoms.append(Atom(name, value, size=whole, upstream=sent))
    named = set(sizes)
    counted: list[np.ndarray] = []
    for name, value in sorted(listed, key=lambda named: isinstance(named[1], tuple)):
        if isinstance(value, np.ndarray):
            if any(_equal(value, other) for other in counted):
                continue
            counted.append(value)
        counts = _counts(name, value)
        twice = {n for n, times in Counter(n for _, n in counts).items() if times > 1}
        for label, n in counts:
            if n > 1 and (not sizes[n] or (n in twice and n not in named and sizes[n] < ALIKE)):
                sizes[n] += 1
                atoms.append(Atom(label, n, size=True))
    return atoms


def _counts(name: str, value: Any) -> list[tuple[str, int]]:
    """The numbers of elements that an array, or a shape, tells."""
    counts: list[tuple[str, int]] = []
    if isinstance(value, np.ndarray):
        counts = [(f"{name}.shape[{a}]", n) for a, n in enumerate(value.shape)]
        counts.append((f"{name}.size", value.size))
        for a, n in enumerate(value.shape if value.ndim > 2 else ()):
            counts.append((f"({name}.size // {name}.shape[{a}])", value.size // max(n, 1)))
    elif isinstance(value, tuple):  # a shape
        counts = [(f"{name}[{a}]", n) for a, n in enumerate(value) if type(n) is int]
    return counts


def unpacked(source: Source) -> set[str]:
    """The names that only give their values to other names: `cache` in `x, w = cache`."""
    given: set[str] = set()
    used: set[str] = set()
    for unit in source.units:
        for node in ast.walk(unit.tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
                given.add(node.value.id)
        direct = {id(n.value) for n in ast.walk(unit.tree) if isinstance(n, ast.Assign)}
        used |= {
            n.id
            for n in ast.walk(unit.tree)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and id(n) not in direct
        }
    return given - used


def array_of(value: Any) -> Any:
    """The array of a Tensor; everything else as it is."""
    return value.array if isinstance(value, Tensor) else value


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and np.shape(a) == np.shape(b) and bool(np.array_equal(a, b))
