"""Functions of arrays that PyTorch has under the same names: values, places, and gradients."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
import torch

import backlit as bl
from sampling import every

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:The reduce argument of torch.scatter"),
]
torch.set_num_threads(1)

nan, inf = math.nan, math.inf


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(repr(shape).encode())).uniform(-2, 2, shape)


V, M, T = numbers(5), numbers(3, 4), numbers(2, 3, 4)
S = numbers(4, 4)
TIES = np.array([[1.0, 3.0, 3.0, 1.0, 2.0], [2.0, 2.0, 2.0, 5.0, 5.0]])
HOLES = np.array([[1.0, nan, 3.0, -2.0], [nan, nan, nan, nan], [4.0, 2.0, inf, 0.0]])
WHOLE = np.array([[3, -1, 3, 2], [2, 2, 0, -1]])
MASK = np.array([[True, False, True, True], [False, False, True, False], [True, True, False, True]])
AT = np.array([[2, 0, 0, 1], [0, 2, 2, 1]])
UNIT = np.array([-1.0, -0.999999, -0.7, -0.5, -1e-9, 0.0, 0.2, 0.5, 0.51, 0.99, 1.0, 1.5])
REAL = np.array([-2.7, -1.5, -0.3, 1e-6, 0.3, 0.5, 1.0, 1.3, 2.0, 2.5, 7.0, 40.0, 1e6])


def same(name, **more):
    """A function under one name with positional arguments and `axis` for `dim`."""
    theirs = {{"axis": "dim", "keepdims": "keepdim"}.get(k, k): v for k, v in more.items()}

    def both(*given):
        return (
            lambda *x: getattr(bl, name)(*x, *given, **more),
            lambda *x: getattr(torch, name)(*x, *given, **theirs),
        )

    return both


def listed(name, *given):
    """The same of a list of Tensors."""
    return lambda *x: getattr(bl, name)(x, *given), lambda *x: getattr(torch, name)(x, *given)


def placed(name, axis, *after, **more):
    """x, axis, index, source."""
    return (
        lambda x, i, *s: getattr(bl, name)(x, axis, i, *s, *after, **more),
        lambda x, i, *s: getattr(torch, name)(x, axis, i, *s, *after, **more),
    )


#: (ours, theirs), inputs. Floating inputs get gradients of whatever comes out as floats.
CASES = {
    # pieces
    "narrow": (same("narrow")(1, 1, 2), (M,)),
    "narrow from the end": (same("narrow")(1, -3, 2), (M,)),
    "split": (same("split")(2, 1), (numbers(3, 5),)),
    "split sizes": (same("split")([1, 0, 3], 1), (M,)),
    "split nothing": (same("split")(2), (np.zeros((0, 2)),)),
    "chunk": (same("chunk")(3, -1), (numbers(2, 7),)),
    "chunk few": (same("chunk")(4), (V,)),
    "chunk nothing": (same("chunk")(3), (np.zeros((0, 2)),)),
    "tensor_split": (same("tensor_split")(3, 1), (numbers(2, 7),)),
    "tensor_split at": (same("tensor_split")((1, 4, -1, 9), 1), (numbers(2, 7),)),
    "unbind": (same("unbind")(-1), (M,)),
    "hstack": (listed("hstack"), (M, M)),
    "hstack vectors": (listed("hstack"), (V, np.array(2.0))),
    "vstack": (listed("vstack"), (M, M[0])),
    "dstack": (listed("dstack"), (V, V)),
    "dstack matrices": (listed("dstack"), (M, M)),
    "movedim": (same("movedim")((0, 1), (-1, 0)), (T,)),
    "swapaxes": (same("swapaxes")(0, -1), (T,)),
    **{f"rot90 {k}": (same("rot90")(k, (0, 2)), (T,)) for k in (-1, 0, 1, 2, 3)},
    "repeat_interleave": (same("repeat_interleave")(2), (M,)),
    "repeat_interleave each": (
        (
            lambda x: bl.repeat_interleave(x, bl.tensor([1, 0, 2]), 0),
            lambda x: torch.repeat_interleave(x, torch.tensor([1, 0, 2]), 0),
        ),
        (M,),
    ),
    "repeat_interleave counts": (same("repeat_interleave")(), (np.array([2, 0, 1]),)),
    # matrices
    **{f"diag {k}": (same("diag")(k), (V,)) for k in (-2, 0, 1)},
    **{f"diag of {k}": (same("diag")(k), (M,)) for k in (-5, -2, 0, 1, 3, 4)},
    "diagonal": (
        (lambda x: bl.diagonal(x, 1, 2, 0), lambda x: torch.diagonal(x, 1, 2, 0)), (T,)
    ),
    "diag_embed": (same("diag_embed")(-1), (M,)),
    "diag_embed axes": (
        (lambda x: bl.diag_embed(x, 1, 0, 2), lambda x: torch.diag_embed(x, 1, 0, 2)), (M,)
    ),
    "diag_embed turned": (
        (lambda x: bl.diag_embed(x, 1, 2, 0), lambda x: torch.diag_embed(x, 1, 2, 0)), (M,)
    ),
    "diagflat": (same("diagflat")(1), (M,)),
    "trace": (same("trace")(), (M,)),
    "trace of integers": (same("trace")(), (WHOLE.astype(np.int8),)),
    "kron": (same("kron")(), (M, numbers(2, 2))),
    "kron axes": (same("kron")(), (V, numbers(2, 2, 3))),
    "cross": (same("cross", axis=1)(), (T, numbers(2, 3, 1))),
    "block_diag": (same("block_diag")(), (M, V, np.array(2.0))),
    "tril_indices": ((lambda: bl.tril_indices(3, 4, -1), lambda: torch.tril_indices(3, 4, -1)), ()),
    "triu_indices": ((lambda: bl.triu_indices(4, 3, 1), lambda: torch.triu_indices(4, 3, 1)), ()),
    "vander": (same("vander")(), (V,)),
    "vander up": (same("vander")(3, True), (np.array([2, 0, -1]),)),
    "cartesian_prod": (same("cartesian_prod")(), (V, V[:2], V[1:4])),
    "cartesian_prod of one": (same("cartesian_prod")(), (V,)),
    "combinations": (same("combinations")(3), (V,)),
    "combinations again": (same("combinations")(2, True), (V,)),
    "combinations of none": (same("combinations")(0), (V,)),
    # products
    "mm": (same("mm")(), (M, M.T.copy())),
    "bmm": (same("bmm")(), (T, numbers(2, 4, 2))),
    "mv": (same("mv")(), (M, numbers(4))),
    "dot": (same("dot")(), (V, V * V)),
    "addmm": (same("addmm", beta=0.5, alpha=-2)(), (numbers(3), M, numbers(4, 3))),
    "addmm without": (same("addmm", beta=0)(), (np.full((3, 3), nan), M, numbers(4, 3))),
    "addmv": (same("addmv", alpha=3)(), (numbers(3), M, numbers(4))),
    "addr": (same("addr", beta=2)(), (numbers(3, 5), numbers(3), V)),
    "baddbmm": (same("baddbmm", beta=3)(), (numbers(3, 2), T, numbers(2, 4, 2))),
    "addbmm": (same("addbmm")(), (numbers(3, 2), T, numbers(2, 4, 2))),
    "addcmul": (same("addcmul", value=2)(), (M, M[0], M[:, :1])),
    "addcdiv": (same("addcdiv", value=2)(), (M, M[0], M[:, :1])),
    **{
        f"cdist {p}": (same("cdist")(p), (M, numbers(2, 5, 4)))
        for p in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, inf)
    },
    "cdist of many": (same("cdist")(), (numbers(30, 4), numbers(2, 7, 4))),
    "cdist of the same": (same("cdist")(), (M[:, :2], M[:2, :2].copy())),
    "cov": (same("cov")(), (M,)),
    "cov weighted": (
        (
            lambda x: bl.cov(x, correction=0, fweights=bl.tensor([1, 2, 0, 1]),
                             aweights=bl.tensor([0.5, 1, 2, 1], dtype=x.dtype)),
            lambda x: torch.cov(x, correction=0, fweights=torch.tensor([1, 2, 0, 1]),
                                aweights=torch.tensor([0.5, 1, 2, 1], dtype=x.dtype)),
        ),
        (M,),
    ),
    "cov matters": (
        (
            lambda x: bl.cov(x, aweights=bl.tensor([0.5, 1, 2, 1], dtype=x.dtype)),
            lambda x: torch.cov(x, aweights=torch.tensor([0.5, 1, 2, 1], dtype=x.dtype)),
        ),
        (M,),
    ),
    "cov of one": (same("cov")(), (V,)),
    "cov of one row": (same("cov")(), (M[:1],)),
    "corrcoef": (same("corrcoef")(), (M,)),
    "corrcoef of one": (same("corrcoef")(), (V,)),
    "renorm": (same("renorm")(2, 1, 1.5), (T,)),
    "renorm 1": (same("renorm")(1.0, 0, 3.0), (M,)),
    # special
    "erfinv": (same("erfinv")(), (UNIT,)),
    "lgamma": (same("lgamma")(), (REAL,)),
    "lgamma at poles": (same("lgamma")(), (np.array([0.0, inf]),)),
    "digamma": (same("digamma")(), (REAL,)),
    **{f"polygamma {n}": (
        (lambda x, n=n: bl.polygamma(n, x), lambda x, n=n: torch.polygamma(n, x)),
        (REAL[3:] if n > 1 else REAL,)) for n in (0, 1, 2, 3)},
    "sinc": (same("sinc")(), (np.array([-2.5, -0.01, 0.0, 1e-4, 0.029, 0.031, 0.3, 7.7]),)),
    "xlogy": (
        same("xlogy")(), (np.array([0.0, 0.0, 2.0, 0.0, -1.0]), np.array([1.0, 2.0, 3.0, 0.5, 0.1]))
    ),
    "exp2": (same("exp2")(), (M * 5,)),
    "logaddexp2": (same("logaddexp2")(), (M, M[0])),
    "rsqrt": (same("rsqrt")(), (np.abs(M),)),
    "deg2rad": (same("deg2rad")(), (M,)),
    "rad2deg": (same("rad2deg")(), (M,)),
    "fmod": (
        same("fmod")(), (np.array([-5.5, 5.5, -0.0, 2.0, inf, 3.0, 1e-20, -1e-20]),
                         np.array([2.0, -2.0, 3.0, inf, 2.0, 0.0, 1.0, 1.0])),
    ),
    "fmod of integers": (same("fmod")(), (np.array([-7, 7, -128, 6], np.int8),
                                          np.array([3, -3, 3, 3], np.int8))),
    "fmod by a number": (same("fmod")(1.5), (M,)),
    "frac": (same("frac")(), (np.array([-2.75, 2.75, 0.0]),)),
    "gcd": (same("gcd")(), (np.array([12, -9, 0, 0]), np.array([8, 6, 5, 0]))),
    "lcm": (same("lcm")(), (np.array([12, -9, 0, 0]), np.array([8, 6, 5, 0]))),
    "lerp": (same("lerp")(0.25), (M, M[0])),
    "lerp far": (same("lerp")(0.75), (M, M[0])),
    "lerp by a tensor": (same("lerp")(), (M, M * M, np.abs(M[0]) / 2)),
    "nan_to_num": (same("nan_to_num")(), (HOLES,)),
    "nan_to_num to": (same("nan_to_num")(1.5, 7.0, -7.0), (-HOLES,)),
    "isclose": (
        same("isclose")(1e-3, 0.1),
        (np.array([1.0, inf, inf, nan, 1e4]), np.array([1.05, inf, -inf, nan, 1e4 + 9])),
    ),
    "isclose nan": (same("isclose", equal_nan=True)(), (HOLES, HOLES[:1])),
    "isclose of integers": (same("isclose")(), (WHOLE, WHOLE + 1)),
    # statistics
    "amax": (same("amax", axis=1)(), (TIES,)),
    "amin": (same("amin", axis=(0, 1), keepdims=True)(), (TIES,)),
    "aminmax": (same("aminmax", axis=1, keepdims=True)(), (TIES,)),
    "aminmax of all": (same("aminmax")(), (TIES,)),
    "nansum": (same("nansum", axis=1)(), (HOLES,)),
    "nanmean": (same("nanmean", axis=0, keepdims=True)(), (HOLES[:, [0, 3]],)),
    "logcumsumexp": (same("logcumsumexp", axis=1)(), (numbers(2, 7),)),
    "logcumsumexp of infinities": (
        same("logcumsumexp", axis=0)(), (np.array([1.0, 800.0, -inf, -800.0, 801.0]),)
    ),
    # order
    "topk": (same("topk")(2), (M,)),
    "topk smallest": (same("topk")(2, 0, False), (M,)),
    "topk of many": (same("topk")(3, 1), (numbers(2, 300),)),
    "topk of one": (same("topk")(1), (np.array(2.0),)),
    "kthvalue": (same("kthvalue")(2, 0, True), (M,)),
    "kthvalue of many": (same("kthvalue")(7), (numbers(2, 300),)),
    "median": (same("median")(1), (M,)),
    "median of all": (same("median")(), (TIES[0],)),
    "median of many": (same("median")(1, True), (numbers(2, 301),)),
    "median with nan": (same("median")(), (HOLES[0],)),
    "median with nan in rows": (same("median")(1), (HOLES[[0, 2]],)),
    "nanmedian": (same("nanmedian")(1), (HOLES[[0, 2]],)),
    "nanmedian of all": (same("nanmedian")(), (HOLES,)),
    "nanmedian of nothing": (same("nanmedian")(), (np.array([nan]),)),
    "median of integers": (same("median")(), (WHOLE,)),
    "mode": (same("mode")(1), (TIES,)),
    "mode keeps": (same("mode")(0, True), (TIES,)),
    "mode of integers": (same("mode")(), (WHOLE,)),
    **{
        f"quantile {how}": (same("quantile", axis=1, interpolation=how)(0.3), (M,))
        for how in ("linear", "lower", "higher", "midpoint", "nearest")
    },
    "quantiles": (same("quantile", axis=0, keepdims=True)(), (M, np.array([0.0, 0.2, 1.0]))),
    "quantile of all": (same("quantile")(0.5), (M,)),
    "quantile of all keeps": (same("quantile", keepdims=True)(0.5), (M,)),
    "quantile of a number": (same("quantile", axis=0, keepdims=True)(0.5), (np.array(2.0),)),
    "quantile with nan": (same("quantile", axis=1)(0.5), (HOLES[:2],)),
    "nanquantile": (same("nanquantile", axis=1)(), (HOLES[::2, :3], np.array([0.1, 0.5]))),
    "nanquantile of nothing": (same("nanquantile", axis=1)(0.5), (HOLES[:2],)),
    "cummax": (same("cummax")(1), (TIES,)),
    "cummin": (same("cummin")(0), (TIES,)),
    "cummax with nan": (same("cummax")(0), (np.array([1.0, nan, 3.0, nan]),)),
    # counting
    "unique": (same("unique")(), (WHOLE,)),
    "unique all": (same("unique")(True, True, True), (WHOLE,)),
    "unique rows": (
        same("unique", axis=0)(True, True, True), (np.array([[2, 1], [0, 5], [2, 1]]),)
    ),
    "unique with nan": (same("unique", return_counts=True)(), (np.array([nan, 1.0, nan]),)),
    "bincount": (same("bincount")(None, 5), (np.array([0, 2, 2]),)),
    "bincount weighted": (same("bincount")(), (np.array([0, 2, 2]), V[:3])),
    "bincount of nothing": (same("bincount")(), (np.zeros(0, np.int64),)),
    "histc": (same("histc")(5, -1.0, 1.5), (numbers(40),)),
    "histc of all": (same("histc")(4), (numbers(40),)),
    "histc of one value": (same("histc")(4), (np.ones(3),)),
    "histogram": (same("histogram")(5), (numbers(40),)),
    "histogram in a range": (
        same("histogram", range=(-1.0, 1.0), density=True)(4), (numbers(40),)
    ),
    "histogram between edges": (
        same("histogram")(), (numbers(40), np.array([-1.0, 0.0, 0.1, 2.0]))
    ),
    "histogram of nothing": (same("histogram")(2), (np.zeros(0),)),
    "histogram of one place": (same("histogram", range=(5.0, 5.0))(2), (np.array([5.0, 7.0]),)),
    "histc of nothing": (same("histc")(2), (np.zeros(0),)),
    "histogram of one value": (same("histogram")(2), (np.ones(3),)),
    "bucketize": (same("bucketize")(), (M, np.array([-1.0, 0.0, 1.0]))),
    "bucketize right": (same("bucketize", right=True)(), (WHOLE, np.array([-1, 2, 3]))),
    "searchsorted rows": (same("searchsorted", side="right")(), (np.sort(M), M)),
    "isin": (same("isin")(), (WHOLE, np.array([3, 0]))),
    "isin none": (same("isin", invert=True)(), (M, M[0])),
    "isin nothing": (same("isin")(), (M, np.zeros(0))),
    # scattering
    "one_hot": (
        (lambda x: bl.one_hot(x), lambda x: torch.nn.functional.one_hot(x)), (np.abs(WHOLE),)
    ),
    "one_hot of more": (
        (lambda x: bl.one_hot(x, 6), lambda x: torch.nn.functional.one_hot(x, 6)), (np.abs(WHOLE),)
    ),
    "scatter": (placed("scatter", 1), (numbers(3, 4), np.array([[3, 0], [1, 2]]), numbers(2, 2))),
    "scatter a number": (placed("scatter", 0, 2.5), (M, AT)),
    "scatter to add": (placed("scatter", 0, reduce="add"), (M, AT, numbers(2, 4))),
    "scatter_add": (placed("scatter_add", 0), (M, AT, numbers(2, 4))),
    "scatter_add integers": (placed("scatter_add", 0), (WHOLE, AT[:1] % 2, WHOLE)),
    **{
        f"scatter_reduce {how} {include}": (
            placed("scatter_reduce", 0, how, include_self=include), (M, AT, numbers(2, 4))
        )
        for how in ("sum", "prod", "mean", "amax", "amin")
        for include in (True, False)
    },
    "scatter_reduce ties": (
        placed("scatter_reduce", 0, "amax"), (TIES[0], np.array([0, 0, 1, 4, 4]), TIES[0])
    ),
    "scatter_reduce zeros": (
        placed("scatter_reduce", 0, "prod"),
        (np.array([0.0, 2.0, 3.0]), np.array([0, 1, 1, 2]), np.array([2.0, 0.0, 5.0, 4.0])),
    ),
    "scatter_reduce mean of integers": (
        placed("scatter_reduce", 0, "mean", include_self=False), (WHOLE, AT[:1] % 2, WHOLE)
    ),
    "index_select": (placed("index_select", 1), (M, np.array([3, 0, 3]))),
    "index_add": (placed("index_add", 1, alpha=2), (M, np.array([3, 0, 3]), numbers(3, 3))),
    "index_copy": (placed("index_copy", 0), (M, np.array([2, 0]), numbers(2, 4))),
    "index_fill": (placed("index_fill", 1, 1.5), (M, np.array([2, 0]))),
    "masked_fill": (
        (lambda x, m: bl.masked_fill(x, m, -inf), lambda x, m: torch.masked_fill(x, m, -inf)),
        (M, MASK),
    ),
    "masked_fill with a tensor": (same("masked_fill")(), (M, MASK, np.array(2.0))),
    "masked_select": (same("masked_select")(), (M, MASK[:, :1])),
    "masked_scatter": (same("masked_scatter")(), (M, MASK, numbers(9))),
}  # fmt: skip


#: Where PyTorch has none, or one that it says is wrong; or where the derivative is 0.
WITHOUT_GRADIENT = {
    "unique", "bincount", "histc", "histogram", "vander", "cdist 0.0", "scatter to add",
}  # fmt: skip
#: PyTorch's trigamma function is exact to ten digits only.
TRIGAMMA = {"digamma": 1e-8, "polygamma 0": 1e-8, "polygamma 1": 1e-8}


def results(y) -> list:
    if isinstance(y, tuple | list):
        return [r for part in y for r in results(part)]
    return [y]


@every("name", CASES)
def test_values_places_and_gradients_are_pytorchs(name: str) -> None:
    (ours, theirs), inputs = CASES[name]
    given = [bl.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    wanted = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    if name in WITHOUT_GRADIENT or name.split()[0] in WITHOUT_GRADIENT:
        given, wanted = [x.detach() for x in given], [x.detach() for x in wanted]
    got, want = results(ours(*given)), results(theirs(*wanted))
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert a.shape == tuple(b.shape)
        assert a.dtype.name == str(b.dtype).removeprefix("torch.")
        rtol = TRIGAMMA.get(name, 1e-12)
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol, 1e-13)
    pairs = [(a, b) for a, b in zip(got, want, strict=True) if b.requires_grad]
    leaves = [(x, t) for x, t in zip(given, wanted, strict=True) if t.requires_grad]
    if not pairs:
        return
    weights = [np.linspace(0.5, 1.5, a.size).reshape(a.shape) for a, _ in pairs]
    sum((a * w).sum() for (a, _), w in zip(pairs, weights, strict=True)).backward()
    torch.autograd.backward([b for _, b in pairs], [torch.tensor(w) for w in weights])
    for x, t in leaves:
        if x.grad is None:
            assert t.grad is None or not t.grad.any()
        else:
            np.testing.assert_allclose(
                x.grad.numpy(), t.grad.numpy(), TRIGAMMA.get(name, 1e-10), 1e-12
            )
