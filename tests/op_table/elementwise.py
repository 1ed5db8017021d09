"""Records of the element-wise primitives. References use Python's `math`, one number at a time."""

from __future__ import annotations

import math
import operator

import numpy as np

import backlit as bl
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.ops import elementwise as ops

from .record import (
    Bad,
    Case,
    Record,
    Special,
    either,
    functions_of,
    grid,
    integers,
    lattice,
    pointwise,
    truth,
    uniform,
)

inf, nan = math.inf, math.nan
INT_MIN = -(2**63)


def ints(*rows):
    return tuple(np.array(r, np.int64) for r in rows)


def unary(op, reference, *makers, **more):
    cases = [case for i, make in enumerate(makers) for case in grid(f"{op.name}{i}", make)]
    return Record(
        op=op,
        reference=pointwise(reference),
        cases=cases,
        function=functions_of(op),
        **more,
    )


def binary(op, reference, *pairs, extra=(), bad=(), **more):
    cases = [case for i, pair in enumerate(pairs) for case in grid(f"{op.name}{i}", *pair)]
    function = functions_of(op)
    mismatch = Bad(
        lambda: function(bl.ones((2, 3)), bl.ones(4)),
        ShapeError,
        rf"{op.name}: shapes must broadcast \(equal or 1 on each axis, from the last\), "
        r"got \(2, 3\) and \(4,\) \(a: float32\[2,3\], b: float32\[4\]\)",
    )
    return Record(
        op=op,
        reference=pointwise(reference),
        cases=[*cases, *extra],
        function=function,
        bad=[*bad, *([] if op in _OF_INTEGERS else [mismatch])],
        **more,
    )


_OF_INTEGERS = {
    ops.BitwiseAnd,
    ops.BitwiseOr,
    ops.BitwiseXor,
    ops.BitwiseLeftShift,
    ops.BitwiseRightShift,
}

X = np.array([-1.5, 0.25, 2.0])
#: Off the kinks of ⌊z / 2⌋ and ⌊7.3 / z⌋.
Z = np.array([-1.5, 0.25, 2.5])

ARITHMETIC = [
    unary(ops.Positive, operator.pos, uniform(-2, 2)),
    unary(
        ops.Negative,
        operator.neg,
        uniform(-2, 2),
        integers(-5, 5),
        specials=[Special(([0.0, -0.0, inf, nan],), [-0.0, 0.0, -inf, nan])],
        bad=[
            Bad(
                lambda: -bl.tensor([True]),
                DTypeError,
                r"negative: x must be numbers, got bool\[1\]",
            )
        ],
    ),
    binary(
        ops.Add,
        operator.add,
        (uniform(-2, 2), uniform(-2, 2)),
        (integers(-5, 5), integers(-5, 5)),
        extra=[Case((X, 2.0)), Case((3, X)), Case((X, 2))],
        specials=[
            Special(([inf, inf, 1e308], [-inf, 1.0, 1e308]), [nan, inf, inf]),
            Special((X, 0.5), X + 0.5, ([1.0] * 3,)),
        ],
    ),
    binary(
        ops.Subtract,
        operator.sub,
        (uniform(-2, 2), uniform(-2, 2)),
        (integers(-5, 5), integers(-5, 5)),
        extra=[Case((X, 2.0)), Case((3, X))],
        specials=[Special(([inf, 1.0], [inf, inf]), [nan, -inf], ([1.0, 1.0], [-1.0, -1.0]))],
    ),
    binary(
        ops.Multiply,
        operator.mul,
        (uniform(-2, 2), uniform(-2, 2)),
        (integers(-5, 5), integers(-5, 5)),
        (truth, truth),
        extra=[Case((X, 2.0)), Case((3, X))],
        specials=[Special(([0.0, 1e200], [inf, 1e200]), [nan, inf])],
    ),
    binary(
        ops.Divide,
        operator.truediv,
        (uniform(-2, 2), either(0.5, 2)),
        extra=[Case((X, 2.0)), Case((3, X))],
        specials=[Special(([1.0, -1.0, 0.0, inf], [0.0, 0.0, 0.0, inf]), [inf, -inf, nan, nan])],
    ),
    binary(
        ops.FloorDivide,
        lambda a, b: math.floor(a / b) if isinstance(a, float) else a // b,
        (lattice(0.3), lattice(4.5, 0.125, 2)),
        (integers(-9, 9), integers(1, 5)),
        extra=[Case((Z, 2.0)), Case((7.3, Z)), Case(ints([7, -7, 7, -7], [2, 2, -2, -2]))],
        specials=[
            Special(([1.0, -1.0], [0.0, 0.0]), [inf, -inf]),
            Special(([1.5], [2.0]), [0.0], ([0.0], [0.0])),
        ],
    ),
    binary(
        ops.Remainder,
        lambda a, b: a - b * math.floor(a / b),
        (lattice(0.3), lattice(4.5, 0.125, 2)),
        (integers(-9, 9), integers(1, 5)),
        extra=[Case((Z, 2.0)), Case((7.3, Z)), Case(ints([7, -7, 7, -7], [2, 2, -2, -2]))],
        specials=[Special(([5.0, -5.0, 5.0], [3.0, 3.0, -3.0]), [2.0, 1.0, -1.0])],
    ),
    binary(
        ops.Pow,
        lambda a, b: math.pow(a, b) if isinstance(a, float) else a**b,
        (uniform(0.5, 2), uniform(-2, 2)),
        (integers(-3, 4), integers(0, 4)),
        extra=[Case((X, 3)), Case((X, 2.0)), Case((2.0, X)), Case((X, -1.0)), Case((X, 1.0))],
        specials=[
            Special(
                ([0.0, 0.0, 2.0], [0.0, 2.0, 0.0]),
                [1.0, 0.0, 1.0],
                ([0.0] * 3, [0.0, 0.0, math.log(2.0)]),
            ),
            Special(([-2.0, 4.0, nan], [0.5, 0.5, 0.0]), [nan, 2.0, 1.0]),
            Special(([0.0, -1.0], 2.0), [0.0, 1.0], ([0.0, -2.0],)),
        ],
        bad=[
            Bad(
                lambda: bl.tensor([2]) ** -1,
                ArgumentError,
                r"pow: .*negative integer powers.*a: int64\[1\], b: -1",
            )
        ],
    ),
    binary(
        ops.Atan2,
        math.atan2,
        (either(0.5, 2), either(0.5, 2)),
        specials=[
            Special(([0.0, -0.0, 1.0], [-1.0, -1.0, 0.0]), [math.pi, -math.pi, math.pi / 2]),
            Special(([0.0, -0.0], [0.0, 0.0]), [0.0, -0.0], ([0.0, 0.0], [0.0, 0.0])),
            Special(([0.0, nan], [-0.0, 1.0]), [math.pi, nan], ([0.0, nan], [0.0, nan])),
            Special(
                ([3e-200, 3e200], [4e-200, 4e200]),
                [math.atan(0.75)] * 2,
                ([1.6e199, 1.6e-201], [-1.2e199, -1.2e-201]),
                rtol=1e-14,
            ),
        ],
    ),
    binary(
        ops.Hypot,
        math.hypot,
        (either(0.5, 2), either(0.5, 2)),
        specials=[
            Special(([3e200, 3e-200], [4e200, 4e-200]), [5e200, 5e-200], rtol=1e-15),
            Special(([0.0, 3.0], [0.0, 0.0]), [0.0, 3.0], ([0.0, 1.0], [0.0, 0.0])),
        ],
    ),
    binary(
        ops.Logaddexp,
        lambda a, b: math.log(math.exp(a) + math.exp(b)),
        (uniform(-2, 2), uniform(-2, 2)),
        specials=[
            Special(
                ([1e4, -1e4], [1e4, -1e4]),
                [1e4 + math.log(2), -1e4 + math.log(2)],
                ([0.5, 0.5], [0.5, 0.5]),
                rtol=1e-12,
            ),
            Special(([1e4, 0.0], [-1e4, -inf]), [1e4, 0.0], ([1.0, 1.0], [0.0, 0.0])),
            Special(([-inf], [-inf]), [-inf], ([0.0], [0.0])),
            Special(
                ([inf, inf, -inf, inf], [0.0, -inf, inf, inf]),
                [inf] * 4,
                ([1.0, 1.0, 0.0, 0.5], [0.0, 0.0, 1.0, 0.5]),
                rtol=1e-15,
            ),
            Special(([inf, nan], [nan, -inf]), [nan] * 2, ([nan] * 2, [nan] * 2)),
        ],
    ),
]

CHOICE = [
    binary(
        ops.Maximum,
        max,
        (lattice(0.1, 0.4), lattice(0.3, 0.4)),
        (integers(-5, 5), integers(-5, 5)),
        extra=[Case((X, 0.0))],
        specials=[
            Special(
                ([1.0, 2.0, 1.0], [1.0, 1.0, 2.0]),
                [1.0, 2.0, 2.0],
                ([0.5, 1.0, 0.0], [0.5, 0.0, 1.0]),
            ),
            Special(([nan, 1.0, nan], [1.0, nan, nan]), [nan] * 3, ([nan] * 3, [nan] * 3)),
            Special(([inf, -inf], [inf, 0.0]), [inf, 0.0], ([0.5, 0.0], [0.5, 1.0])),
            Special(([0.0, -0.0], [-0.0, 0.0]), [-0.0, 0.0], ([0.5, 0.5], [0.5, 0.5])),
            Special(([0.0, -0.0], [-0.0, 0.0]), [-0.0, 0.0], dtype="float32"),
            Special(([-0.0, nan], 0.0), [0.0, nan], ([0.5, nan],)),
        ],
    ),
    binary(
        ops.Minimum,
        min,
        (lattice(0.1, 0.4), lattice(0.3, 0.4)),
        (integers(-5, 5), integers(-5, 5)),
        extra=[Case((X, 0.0))],
        specials=[
            Special(
                ([1.0, 2.0, 1.0], [1.0, 1.0, 2.0]),
                [1.0, 1.0, 1.0],
                ([0.5, 0.0, 1.0], [0.5, 1.0, 0.0]),
            ),
            Special(([nan, 1.0, nan], [1.0, nan, nan]), [nan] * 3, ([nan] * 3, [nan] * 3)),
            Special(([inf, -inf], [inf, 0.0]), [inf, -inf], ([0.5, 1.0], [0.5, 0.0])),
            Special(([0.0, -0.0], [-0.0, 0.0]), [-0.0, 0.0], ([0.5, 0.5], [0.5, 0.5])),
            Special(([0.0, -0.0], [-0.0, 0.0]), [-0.0, 0.0], dtype="float32"),
            Special(([-0.0, nan], 0.0), [0.0, nan], ([0.5, nan],)),
        ],
    ),
    Record(
        op=ops.Clip,
        reference=lambda x, low, high: pointwise(
            lambda v: sorted((v, -inf if low is None else low, inf if high is None else high))[1]
        )(x),
        cases=grid(
            "clip",
            lattice(0.1, 0.5),
            attributes=[
                {"low": -1.0, "high": 1.0},
                {"low": None, "high": 0.5},
                {"low": 0.0, "high": None},
            ],
        ),
        function=lambda x, low, high: bl.clip(x, low, high),
        specials=[
            Special(
                ([-2.0, -1.0, 0.0, 1.0, 2.0, nan],),
                [-1.0, -1.0, 0.0, 1.0, 1.0, nan],
                ([0.0, 1.0, 1.0, 1.0, 0.0, nan],),
                {"low": -1.0, "high": 1.0},
            ),
            Special(([inf, -inf],), [1.0, -inf], ([0.0, 1.0],), {"low": None, "high": 1.0}),
        ],
    ),
    Record(
        op=ops.Where,
        reference=pointwise(lambda c, a, b: a if c else b),
        cases=[
            *grid(
                "where",
                truth,
                uniform(-2, 2),
                uniform(-2, 2),
                shapes=[
                    ((3,), (3,), (3,)),
                    ((2, 1), (3,), (2, 3)),
                    ((), (2,), (1,)),
                    ((0, 2), (2,), (2,)),
                ],
            ),
            Case((np.array([True, False, True]), X, 0.0)),
            Case((np.array([True, False, True]), 1.0, X)),
        ],
        function=bl.where,
        specials=[
            Special(
                (np.array([True, False]), [1.0, nan], [nan, 2.0]),
                [1.0, 2.0],
                ([1.0, 0.0], [0.0, 1.0]),
            ),
        ],
        bad=[
            Bad(
                lambda: bl.where(bl.tensor([True, False]), bl.ones(3), bl.ones(3)),
                ShapeError,
                r"where: shapes must broadcast .*\(2,\) and \(3,\) and \(3,\) \(condition: bool",
            )
        ],
    ),
    binary(
        ops.Copysign,
        math.copysign,
        (either(0.5, 2), either(0.5, 2)),
        specials=[
            Special(([0.0, 2.0], [-1.0, -0.0]), [-0.0, -2.0], ([0.0, -1.0], [0.0, 0.0])),
        ],
    ),
    binary(
        ops.Nextafter,
        math.nextafter,
        (uniform(-2, 2), uniform(-2, 2)),
        specials=[
            Special(
                ([0.0, 1.0, inf], [1.0, 1.0, 0.0]),
                [5e-324, 1.0, 1.7976931348623157e308],
                ([1.0, 0.0, 1.0], [0.0, 0.0, 0.0]),
            )
        ],
    ),
]

ELEMENTARY = [
    unary(
        ops.Abs,
        lambda v: max(v, -v),
        either(0.2, 2),
        integers(-5, 5),
        specials=[
            Special(([0.0, -0.0, -inf, nan],), [0.0, 0.0, inf, nan], ([0.0, 0.0, -1.0, nan],))
        ],
    ),
    unary(
        ops.Square,
        lambda v: v * v,
        uniform(-2, 2),
        integers(-5, 5),
        specials=[Special(([0.0, 1e200, -inf],), [0.0, inf, inf], ([0.0, 2e200, -inf],))],
    ),
    unary(
        ops.Sqrt,
        math.sqrt,
        uniform(0.2, 4),
        specials=[
            Special(
                ([0.0, -0.0, 4.0, inf, -1.0],),
                [0.0, -0.0, 2.0, inf, nan],
                ([inf, -inf, 0.25, 0.0, nan],),
            )
        ],
    ),
    unary(
        ops.Reciprocal,
        lambda v: 1 / v,
        either(0.5, 2),
        specials=[Special(([0.0, -0.0, inf],), [inf, -inf, 0.0])],
    ),
    unary(
        ops.Exp,
        math.exp,
        uniform(-2, 2),
        specials=[
            Special(
                ([0.0, -inf, inf, 1e4, -1e4],),
                [1.0, 0.0, inf, inf, 0.0],
                ([1.0, 0.0, inf, inf, 0.0],),
            )
        ],
    ),
    unary(
        ops.Expm1,
        math.expm1,
        uniform(-2, 2),
        specials=[Special(([1e-20, -inf, inf],), [1e-20, -1.0, inf], ([1.0, 0.0, inf],))],
    ),
    unary(
        ops.Log,
        math.log,
        uniform(0.2, 4),
        specials=[
            Special(([1.0, 0.0, inf, -1.0],), [0.0, -inf, inf, nan], ([1.0, inf, 0.0, -1.0],))
        ],
    ),
    unary(
        ops.Log1p,
        math.log1p,
        uniform(-0.7, 4),
        specials=[Special(([1e-20, -1.0, inf],), [1e-20, -inf, inf], ([1.0, inf, 0.0],))],
    ),
    unary(
        ops.Log2,
        math.log2,
        uniform(0.2, 4),
        specials=[Special(([8.0, 0.0, 0.125],), [3.0, -inf, -3.0])],
    ),
    unary(
        ops.Log10, math.log10, uniform(0.2, 4), specials=[Special(([1000.0, 0.0],), [3.0, -inf])]
    ),
    unary(ops.Sin, math.sin, uniform(-3, 3), specials=[Special(([0.0, inf],), [0.0, nan])]),
    unary(ops.Cos, math.cos, uniform(-3, 3), specials=[Special(([0.0, inf],), [1.0, nan])]),
    unary(ops.Tan, math.tan, uniform(-1.2, 1.2), specials=[Special(([0.0, inf],), [0.0, nan])]),
    unary(
        ops.Asin,
        math.asin,
        uniform(-0.9, 0.9),
        specials=[
            Special(([1.0, -1.0, 1.5],), [math.pi / 2, -math.pi / 2, nan], ([inf, inf, nan],))
        ],
    ),
    unary(
        ops.Acos,
        math.acos,
        uniform(-0.9, 0.9),
        specials=[Special(([1.0, -1.0, 1.5],), [0.0, math.pi, nan], ([-inf, -inf, nan],))],
    ),
    unary(
        ops.Atan,
        math.atan,
        uniform(-3, 3),
        specials=[Special(([inf, -inf],), [math.pi / 2, -math.pi / 2], ([0.0, 0.0],))],
    ),
    unary(ops.Sinh, math.sinh, uniform(-3, 3), specials=[Special(([-inf],), [-inf])]),
    unary(ops.Cosh, math.cosh, uniform(-3, 3), specials=[Special(([-inf, 0.0],), [inf, 1.0])]),
    unary(
        ops.Tanh,
        math.tanh,
        uniform(-3, 3),
        specials=[Special(([1e4, -1e4, inf],), [1.0, -1.0, 1.0], ([0.0, 0.0, 0.0],))],
    ),
    unary(ops.Asinh, math.asinh, uniform(-3, 3), specials=[Special(([0.0, inf],), [0.0, inf])]),
    unary(
        ops.Acosh,
        math.acosh,
        uniform(1.3, 4),
        specials=[Special(([1.0, 0.5],), [0.0, nan], ([inf, nan],))],
    ),
    unary(
        ops.Atanh,
        math.atanh,
        uniform(-0.8, 0.8),
        specials=[Special(([1.0, -1.0],), [inf, -inf], ([inf, inf],))],
    ),
    unary(
        ops.Erfc,
        math.erfc,
        uniform(-3, 3),
        specials=[
            Special(([0.0, inf, -inf, nan, 27.5, -6.5],), [1.0, 0.0, 2.0, nan, 0.0, 2.0]),
            Special(
                ([6.0, 20.0],),
                [2.1519736712498913e-17, 5.395865611607901e-176],  # mpmath
                (
                    [
                        -2 / math.sqrt(math.pi) * math.exp(-36),
                        -2 / math.sqrt(math.pi) * math.exp(-400),
                    ],
                ),
                rtol=1e-12,
            ),
        ],
    ),
    unary(
        ops.Erf,
        math.erf,
        uniform(-3, 3),
        specials=[
            Special(([0.0, -0.0, inf, -inf, nan, 30.0],), [0.0, -0.0, 1.0, -1.0, nan, 1.0]),
            Special(
                ([0.0, 6.0],),
                None,
                ([2 / math.sqrt(math.pi), 2 / math.sqrt(math.pi) * math.exp(-36)],),
                rtol=1e-12,
            ),
        ],
    ),
]

STEPS = [
    unary(op, reference, lattice(0.3, 0.5), specials=specials)
    for op, reference, specials in [
        (
            ops.Floor,
            lambda v: float(math.floor(v)),
            [Special(([-0.5, 2.0, inf],), [-1.0, 2.0, inf], ([0.0, 0.0, 0.0],))],
        ),
        (
            ops.Ceil,
            lambda v: float(math.ceil(v)),
            [Special(([-0.5, 2.0],), [-0.0, 2.0], ([0.0, 0.0],))],
        ),
        (ops.Trunc, lambda v: float(int(v)), [Special(([-1.5, 1.5],), [-1.0, 1.0], ([0.0, 0.0],))]),
        (
            ops.Round,
            lambda v: float(round(v)),
            [Special(([0.5, 1.5, 2.5, -0.5],), [0.0, 2.0, 2.0, -0.0], ([0.0] * 4,))],
        ),
        (
            ops.Sign,
            lambda v: float((v > 0) - (v < 0)),
            [Special(([0.0, -3.0, nan],), [0.0, -1.0, nan], ([0.0] * 3,))],
        ),
    ]
]

_TIES = (lattice(0.5, 0.5, 2), lattice(0.5, 0.5, 2))
_NANS = ([nan, 1.0, 0.0], [nan, nan, -0.0])

PREDICATES = [
    binary(op, reference, _TIES, (integers(-2, 3), integers(-2, 3)),
           extra=[Case((X, 0.25)), Case((2.0, X))],
           specials=[Special(_NANS, [False, False, reference(0.0, 0.0)] if op is not ops.NotEqual
                             else [True, True, False])])
    for op, reference in [
        (ops.Equal, operator.eq),
        (ops.NotEqual, operator.ne),
        (ops.Less, operator.lt),
        (ops.LessEqual, operator.le),
        (ops.Greater, operator.gt),
        (ops.GreaterEqual, operator.ge),
    ]
] + [
    unary(op, reference, uniform(-2, 2),
          specials=[Special(([nan, inf, -inf, 1.0, -0.0],), expected)])
    for op, reference, expected in [
        (ops.Isnan, math.isnan, [True, False, False, False, False]),
        (ops.Isinf, math.isinf, [False, True, True, False, False]),
        (ops.Isfinite, math.isfinite, [False, False, False, True, True]),
        (ops.Signbit, lambda v: math.copysign(1, v) < 0, [False, False, True, False, True]),
    ]
] + [
    unary(ops.LogicalNot, operator.not_, truth, lattice(0.0, 1.0, 1),
          specials=[Special(([0.0, nan, 2.0],), [True, False, False])]),
    binary(ops.LogicalAnd, lambda a, b: bool(a) and bool(b), (truth, truth), _TIES),
    binary(ops.LogicalOr, lambda a, b: bool(a) or bool(b), (truth, truth), _TIES),
    binary(ops.LogicalXor, lambda a, b: bool(a) != bool(b), (truth, truth), _TIES),
]  # fmt: skip


def of_integers(name):
    return Bad(
        lambda: getattr(bl, name)(bl.ones(2), bl.ones(2)),
        DTypeError,
        rf"{name}: a must be integers or truth values, got float32\[2\]",
    )


BITS = [
    unary(ops.BitwiseInvert, lambda v: not v if isinstance(v, bool) else ~v,
          integers(-9, 9), truth,
          bad=[Bad(lambda: ~bl.tensor([1.0]), DTypeError,
                   r"bitwise_invert: x must be integers or truth values, got float32\[1\]")]),
    *(
        binary(op, reference, (integers(-9, 9), integers(-9, 9)), (truth, truth),
               extra=[Case((np.arange(3), 5))], bad=[of_integers(op.name)])
        for op, reference in [
            (ops.BitwiseAnd, operator.and_),
            (ops.BitwiseOr, operator.or_),
            (ops.BitwiseXor, operator.xor),
        ]
    ),
    *(
        binary(op, reference, (integers(-9, 9), integers(0, 5)),
               extra=[Case((np.arange(3), 2))], bad=[of_integers(op.name)])
        for op, reference in [
            (ops.BitwiseLeftShift, operator.lshift),
            (ops.BitwiseRightShift, operator.rshift),
        ]
    ),
]  # fmt: skip

FLOATS = grid("astype", uniform(-2, 2))

CASTS = [
    Record(
        op=ops.Astype,
        reference=lambda x, dtype: np.array([float(v) for v in x.flat], dtype).reshape(x.shape),
        cases=[
            Case(case.inputs, {"dtype": np.dtype(name)})
            for case in FLOATS
            for name in ("float64", "float32")
        ],
        function=lambda x, dtype: bl.astype(x, dtype, copy=False),
        specials=[
            Special(([1.0, 1e300, nan],), np.array([1.0, inf, nan], np.float32), ([1.0, 1.0, 1.0],),
                    {"dtype": np.dtype("float32")}),
        ],
    ),
    Record(
        op=ops.Convert,
        reference=lambda x, dtype: np.reshape(
            np.array([dtype.type(int(v)) for v in x.flat], dtype), x.shape
        ),
        cases=[
            Case((np.array([-1.7, 0.0, 2.9]),), {"dtype": np.dtype("int32")}),
            Case((np.array([[3, -4]]),), {"dtype": np.dtype("float32")}),
            Case((np.array([True, False]),), {"dtype": np.dtype("float64")}),
            Case((np.array([2, 0]),), {"dtype": np.dtype("bool")}),
            Case((np.zeros((0, 2)),), {"dtype": np.dtype("int64")}),
        ],
        function=lambda x, dtype: bl.astype(x, dtype, copy=False),
        bad=[
            Bad(lambda: bl.tensor([1]).astype("complex64"), DTypeError,
                r"dtype: 'complex64' is not supported; there are no complex numbers; compute with")
        ],
    ),
]  # fmt: skip

TABLE = [*ARITHMETIC, *CHOICE, *ELEMENTARY, *STEPS, *PREDICATES, *BITS, *CASTS]
