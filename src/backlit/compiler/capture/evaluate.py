"""What a graph means: each op with NumPy, in the order written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ...backend import halves
from ...backend import numpy_backend as NUMPY
from ...op import Op
from .graph import Graph, Variable


def evaluated(op: Op, inputs: tuple[Any, ...]) -> np.ndarray:
    """What an op makes of arrays and numbers."""
    return np.asarray(halves.forward(op, partial(op.forward, NUMPY), inputs))


def interpret(graph: Graph, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs for the inputs, equation by equation; a value lives until its last use."""
    values: dict[Variable, Any] = dict(zip(graph.inputs, arrays, strict=True))
    values.update(graph.constants)
    last = graph.last_uses()
    kept = set(graph.outputs)
    for number, e in enumerate(graph.equations):
        args = tuple([values[x] if isinstance(x, Variable) else x for x in e.inputs])
        values[e.output] = evaluated(e.op, args)
        for x in e.inputs:
            if isinstance(x, Variable) and last[x] == number and x not in kept:
                values.pop(x, None)
    return [values[v] for v in graph.outputs]
