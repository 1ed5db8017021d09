"""Compiled code against eager execution: every op of the table, with gradients."""

from __future__ import annotations

import numpy as np

import backlit as bl
from backlit.compile import native
from test_ops import as_tensors, each_case, has_floats, upstream, with_gradients

TOLERANCE = {"float32": 2e-5, "float64": 1e-12, "float16": 2e-2}


def assert_close(got: bl.Tensor, want: bl.Tensor, dtype: str, what: str) -> None:
    assert (got.shape, got.dtype) == (want.shape, want.dtype), what
    a, b = got.numpy(), want.numpy()
    if a.dtype.kind in "biu":
        np.testing.assert_array_equal(a, b, err_msg=what)
        return
    wide = b.astype(np.float64)
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(
        a.astype(np.float64), wide, rtol=tolerance, atol=tolerance * 0.1, err_msg=what
    )


@each_case()
def test_compiled_equals_eager(record, case) -> None:
    for dtype in TOLERANCE if has_floats(record, case) else ("float32",):
        step = with_gradients(record, case)
        tensors = as_tensors(case, dtype, True)
        tensors.append(upstream(record(case, *tensors)))
        eager = step(*tensors)
        function = bl.compile(step, executor=native)
        for call in ("first", "second"):
            compiled = function(*tensors)
            assert len(compiled) == len(eager)
            for i, (got, want) in enumerate(zip(compiled, eager, strict=True)):
                what = f"{dtype}, {call} call, output {i} of\n{function.graph}"
                assert_close(got, want, dtype, what)
