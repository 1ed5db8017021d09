"""The array namespaces that op bodies are read with, and the closed list of what they may use.

An op body is mathematics over a namespace `xp`. The body may use the operators of arrays, the
attributes `shape`, `dtype`, `ndim`, `size` and `mT`, and the functions named in `NAMESPACE`, all of
which every namespace provides with the meaning of the Array API standard. The rest are these:

    slice(x, index)                    basic indexing: one entry an axis, see `ops.indexing`
    place(x, index, shape)             its adjoint: x written into zeros of `shape`
    set_slice(x, value, index)         a copy of x with the value at the index
    gather(x, *indices, pattern)       indexing by integer arrays
    scatter_add(x, *indices, pattern, shape)    its adjoint: x added into zeros of `shape`
    set_items(x, value, *indices, pattern)      a copy of x with the value there, the last one wins
    scatter_extreme(x, source, *indices, pattern, largest)    a copy of x, at least (at most) source
    scatter_prod(x, source, *indices, pattern)  a copy of x, multiplied by source there
    put_along_axis_add(x, indices, axis, size)  adjoint of take_along_axis
    take_add(x, indices, axis, size)   adjoint of take
    arange(start, count, step, dtype)  start + i step for i < count
    random_bits(key, counter, shape)   uint32 bits of the Philox 4x64-10 generator
    random_poisson(key, counter, mean) Poisson distributed numbers
    inv, solve, det, cofactor, slogdet, cholesky, qr, svd, svdvals, eigh, eigvalsh, pinv
                                       see `ops.decompositions`; several results are in one array
    argtop, argkth, argrunning, searchsorted    see `ops.ranking`
    erf(x), erfc(x)                    error function, and one minus it
    polygamma(x, n)                    the derivatives of log Γ, from the first
    convolution, convolution_input, convolution_weight          see `ops.convolution`
    max_pool, max_pool_route, max_pool_pick, window_sum, window_spread    see `ops.pooling`

`eager` is the namespace in use, of NumPy's functions at first, and `halves` its rule for 16-bit
floats. NumPy's functions are those of `numpy_backend`, with `numpy_windows` (convolution, pooling),
`numpy_linalg`, `numpy_ranking` and `numpy_special`. These have no tests of their own: the records
of the ops (`tests/op_table`) check each through the ops that call it.

NumPy warns where a result is not finite. In Backlit NaN and infinity are results like any others
(`see` finds where they first appear), so these warnings are silenced for Backlit's own modules,
at the end of this file: importing it changes the process's list of warning filters.
"""

from __future__ import annotations

import warnings

NAMESPACE = frozenset(
    """
    abs acos acosh add all any arange argkth argmax argmin argrunning argsort argtop asin asinh
    astype atan atan2 atanh bitwise_and bitwise_invert bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor broadcast_to ceil cholesky cofactor concat convolution
    convolution_input convolution_weight copysign cos cosh cumulative_prod cumulative_sum det divide
    eigh eigvalsh equal erf erfc exp expand_dims expm1 flip floor floor_divide full gather gcd
    greater greater_equal hypot inv isfinite isinf isnan less less_equal log log10 log1p log2
    logaddexp logical_and logical_not logical_or logical_xor matmul max max_pool max_pool_pick
    max_pool_route maximum min minimum multiply negative nextafter not_equal ones_like permute_dims
    pinv place polygamma pow prod put_along_axis_add qr random_bits random_poisson reciprocal
    remainder reshape round scatter_add scatter_extreme scatter_prod searchsorted set_items
    set_slice sign signbit sin sinh slice slogdet solve sqrt square subtract sum svd svdvals take
    take_add take_along_axis tan tanh trunc where window_spread window_sum zeros zeros_like
    """.split()
)

warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"backlit\.")
