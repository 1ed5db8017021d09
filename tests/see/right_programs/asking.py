"""What each tool says of a program: nothing, or what it holds against it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import backlit as bl
from backlit import nn, see, tree
from backlit.dtypes import FLOATING
from backlit.gates import is_gate
from backlit.op import Op
from backlit.see.checks.held import in_float64, modules_of
from backlit.see.checks.whole import Run

from . import Program


def function_of(p: Program) -> Callable[..., Any]:
    """The program as a function of its inputs."""
    subject = p.subject
    if not isinstance(subject, nn.Module) and (is_gate(subject) or isinstance(subject, Op | type)):
        return lambda *inputs: bl.apply(subject, *inputs)
    if p.loss is None:
        return subject
    return lambda *inputs: p.loss(subject(*inputs[:-1]), inputs[-1])


def leaves(p: Program, dtype: str) -> tuple[list[Any], list[bl.Tensor]]:
    """The inputs with floats as leaves of a dtype, and these alone."""
    found = []

    def leaf(x: Any, labels: bool) -> Any:
        if not isinstance(x, np.ndarray | bl.Tensor):
            return x
        t = bl.asarray(x)
        if t.dtype not in FLOATING:
            return t
        t = t.detach().astype(dtype if t.dtype == bl.float64 or dtype == "float64" else t.dtype)
        if not labels:
            found.append(t.detach().requires_grad_())
        return t.detach() if labels else found[-1]

    inputs = []
    for k, x in enumerate(p.inputs):
        parts, structure = tree.flatten(x)
        inputs.append(tree.unflatten(structure, [leaf(v, k in p.labels) for v in parts]))
    return inputs, found


def as_number(y: Any) -> bl.Tensor:
    """All outputs as one number."""
    parts = [v for v in tree.flatten(y)[0] if isinstance(v, bl.Tensor) and v.dtype in FLOATING]
    return sum((v.sum() for v in parts[1:]), parts[0] if parts[0].size == 1 else parts[0].sum())


def of_check(p: Program) -> tuple[str, str]:
    """The verdict, and the whole text where it is not "correct"."""
    result = see.check(p.subject, *p.inputs, loss=p.loss)
    return result.verdict, "" if result.ok else repr(result)


def of_record(p: Program) -> list[str]:
    """What is missing or wrong in the record of the graph, beside what was seen as it ran."""
    if isinstance(p.subject, bl.compiler.api.CompiledFunction):
        return []  # its ops are in native code
    inputs, _ = leaves(p, "float32")
    with see.recording() as watched:
        loss = as_number(function_of(p)(*inputs))
    if not loss.requires_grad:
        return []
    seen, made = watched.of(loss), see.record(loss)
    computed: dict[Any, list[np.ndarray]] = {}
    for n in seen.nodes:
        computed.setdefault((n.value.array.shape, n.value.array.dtype), []).append(n.value.array)
    faults = []
    for n in made.nodes:
        if n.value is None:
            faults.append(f"{n!r}: {n.note}")
        elif not any(_close(n.value.array, a) for a in computed.get((n.shape, n.dtype), [])):
            faults.append(f"{n!r}: no such value was computed")
    bad = see.bad_numbers(loss)
    finite = all(np.isfinite(a.astype(float)).all() for each in computed.values() for a in each)
    if bad and finite:
        faults.append(f"bad_numbers: {bad!r}")
    list(see.steps(made))
    for n in made.leaves:
        if n.requires_grad and n.upstream is not None:
            str(see.explain(n, made))
    return faults


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    narrow = a.dtype.itemsize == 2
    a, b = a.astype(float), b.astype(float)
    size = np.max(np.abs(b[np.isfinite(b)]), initial=0)
    return bool(np.allclose(a, b, 1e-2 if narrow else 1e-4, 1e-5 * size, equal_nan=True))


def of_gradcheck(p: Program) -> str:
    """What gradcheck says that is wrong, or nothing."""
    modules = modules_of(p.subject)
    with in_float64(modules):
        inputs, points = leaves(p, "float64")
        if not points:
            return ""
        numbers = {id(t): i for i, t in enumerate(points)}
        f = function_of(p)
        run = Run(f, inputs, modules)

        def same(*moved: Any) -> Any:
            run.restore()
            given = []
            for x in inputs:
                parts, structure = tree.flatten(x)
                parts = [moved[numbers[id(v)]] if id(v) in numbers else v for v in parts]
                given.append(tree.unflatten(structure, parts))
            return f(*given)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                bl.gradcheck(same, points)
            except bl.errors.GradcheckError as error:
                return str(error)
            finally:
                run.restore()
    return ""
