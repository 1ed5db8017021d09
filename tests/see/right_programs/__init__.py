"""Right programs of all kinds, as data: no tool may say that one of them is wrong.

A program is a subject of `see.check` with its inputs: an op, a gate, a module or a function. With
`first.FIRST` the rules of judging were mended, `second.SECOND` was written afterwards and judged
them. `wrong.WRONG` has programs that look like these and are wrong: they must be found.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import backlit as bl
from backlit.data import digits


@dataclass
class Program:
    """What is checked: loss(subject(*inputs[:-1]), inputs[-1]), or subject(*inputs)."""

    subject: Any
    inputs: tuple[Any, ...]
    loss: Any = None
    #: Which inputs are floats without a derivative.
    labels: tuple[int, ...] = ()


def program(subject: Any, *inputs: Any, loss: Any = None, labels: tuple[int, ...] = ()) -> Program:
    """A program; lists of numbers are float64 arrays."""
    return Program(subject, tuple([_array(x) for x in inputs]), loss, labels)


def _array(x: Any) -> Any:
    if isinstance(x, list) and not any(isinstance(v, bl.Tensor) for v in x):
        return np.array(x, np.float64)
    return x


def make(table: dict[str, Callable[[np.random.Generator], Program]], name: str) -> Program:
    """The program of that name, always the same one."""
    seed = zlib.crc32(name.encode())
    bl.manual_seed(seed)
    return table[name](np.random.default_rng(seed))


def normal(r, *shape):
    return r.normal(size=shape)


def pictures(count=4):
    """Real digits in 0..1, with many pixels that are exactly 0."""
    x, y = digits()[0].tensors
    return x[:count].reshape(-1, 1, 8, 8), y[:count]


def rows(count=8):
    x, y = digits()[0].tensors
    return x[:count].reshape(count, -1), y[:count]
