"""Element-wise primitives: arithmetic, elementary functions, comparisons, logic, choice, casts."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import INTEGER, SIGNED, DType, bool_, int64
from ..errors import ArgumentError
from ..facts import Border
from ..op import Elementwise, Requirement, Shape, describe, require_held

#: Where a quotient of a and b has no value.
_DIVISION = (
    Border("0/0", lambda a, b: a == b == 0, shown="{0} / {1}"),
    Border("division by 0", lambda a, b: b == 0, shown="{0} / {1}"),
)
#: Where a logarithm has no value or no slope.
_LOGARITHM = (
    Border("log 0", lambda x: x == 0),
    Border("the logarithm of a negative number", lambda x: x < 0),
    Border("the derivative of log x at 0 is infinite", lambda x: x == 0, "x"),
)


class Positive(Elementwise):
    """y = x;  gx = gy."""

    role = "distributor"
    symbol = "+x"
    accepts = "numbers"
    check = Elementwise.require_types

    def forward(self, xp, x):
        return xp.multiply(x, 1)

    def backward(self, xp, grad_y):
        return grad_y


class Negative(Elementwise):
    """y = -x;  gx = -gy."""

    role = "distributor"
    effect = "the input gets minus the upstream gradient"
    symbol = "−x"
    notation = "−{:-}"
    primitive = True
    accepts = "numbers"

    def forward(self, xp, x):
        return xp.negative(x)

    def backward(self, xp, grad_y):
        return -grad_y


class Add(Elementwise):
    """y = a + b;  ga = gy, gb = gy: the gate that distributes."""

    role = "distributor"
    symbol = "+"
    notation = "{} + {:-}"
    domain = (Border("∞ − ∞", lambda a, b: math.isinf(a) and a == -b),)
    primitive = True

    def forward(self, xp, a, b):
        return xp.add(a, b)

    def backward(self, xp, grad_y):
        return grad_y, grad_y


class Subtract(Elementwise):
    """y = a - b;  ga = gy, gb = -gy."""

    role = "distributor"
    effect = "the first input gets the upstream gradient, the second minus it"
    symbol = "−"
    notation = "{} − {:-}"
    domain = (Border("∞ − ∞", lambda a, b: math.isinf(a) and a == b),)
    primitive = True
    accepts = "numbers"

    def forward(self, xp, a, b):
        return xp.subtract(a, b)

    def backward(self, xp, grad_y):
        return grad_y, lambda: -grad_y


class Multiply(Elementwise):
    """y = a b;  ga = gy b, gb = gy a: the gate that switches."""

    role = "switcher"
    symbol = "×"
    notation = "{} × {:-}"
    domain = (Border("0 · ∞", lambda a, b: 0 in (a, b) and (math.isinf(a) or math.isinf(b))),)
    primitive = True
    saves = ("a", "b")

    def forward(self, xp, a, b):
        return xp.multiply(a, b)

    def backward(self, xp, grad_y, a, b):
        return lambda: grad_y * b, lambda: grad_y * a


class Divide(Elementwise):
    """y = a / b;  ga = gy / b, gb = -gy y / b."""

    symbol = "÷"
    notation = "{} ÷ {:-}"
    domain = (
        *_DIVISION,
        Border("∞/∞", lambda a, b: math.isinf(a) and math.isinf(b), shown="{0} / {1}"),
        *[
            Border("the derivative of a / b at b = 0 is infinite", lambda a, b: b == 0, name)
            for name in "ab"
        ],
    )
    cost = 4
    primitive = True
    saves = ("b", "y")

    def forward(self, xp, a, b):
        return xp.divide(a, b)

    def backward(self, xp, grad_y, b, y):
        return lambda: grad_y / b, lambda: -grad_y * y / b


class FloorDivide(Elementwise):
    """y = ⌊a / b⌋;  the gradient is 0 wherever it exists."""

    role = "blocker"
    domain = _DIVISION
    cost = 10
    primitive = True
    accepts = "numbers"
    check = Elementwise.require_types

    def forward(self, xp, a, b):
        return xp.floor_divide(a, b)

    def backward(self, xp, grad_y):
        return lambda: xp.zeros_like(grad_y), lambda: xp.zeros_like(grad_y)


class Remainder(Elementwise):
    """y = a - b ⌊a / b⌋, with the sign of b;  ga = gy, gb = -gy ⌊a / b⌋."""

    domain = (Border("the remainder of a division by 0", lambda a, b: b == 0),)
    cost = 10
    primitive = True
    accepts = "numbers"
    check = Elementwise.require_types
    saves = ("a", "b")

    def forward(self, xp, a, b):
        return xp.remainder(a, b)

    def backward(self, xp, grad_y, a, b):
        return grad_y, lambda: -grad_y * xp.floor_divide(a, b)


class Pow(Elementwise):
    """y = aᵇ;  ga = gy b aᵇ⁻¹, gb = gy y log a.

    Where b = 0 the first is 0, and where a = 0 and b ≥ 0 the second is 0, as in PyTorch: the
    products would be 0 · ∞.
    """

    symbol = "xⁿ"
    notation = "{:-}^{}"
    domain = (
        Border("0 to a negative power", lambda a, b: a == 0 and b < 0, shown="{0}^{1}"),
        Border("a negative number to a broken power", lambda a, b: a < 0 < b % 1, shown="{0}^{1}"),
        Border("the derivative of x^{1} at 0 is infinite", lambda a, b: a == 0 != b < 1, "a"),
        Border(
            "the derivative of a^b by b needs log a, and a is negative", lambda a, b: a < 0, "b"
        ),
        Border("the derivative of a^b by b needs log a, and a is 0", lambda a, b: a == 0 > b, "b"),
    )
    cost = 40
    primitive = True
    accepts = "numbers"
    check = Elementwise.require_types
    saves = ("a", "b", "y")

    def forward(self, xp, a, b):
        return xp.pow(a, b)

    def requires(self, xp, a, b):
        """Integers have no negative integer powers."""
        if getattr(b, "dtype", None) not in SIGNED or isinstance(a, float):
            return ()
        cure = "use a.astype('float32')"
        return (Requirement(b >= 0, b, ArgumentError, "b must not be negative, because integers "
                            "have no negative integer powers", cure),)  # fmt: skip

    def infer(self, a: Any, b: Any) -> tuple[Shape, DType]:
        """Broadcast shape, promoted dtype; integers have no negative integer powers."""
        shape, dtype = super().infer(a, b)
        if dtype in INTEGER and isinstance(b, int) and b < 0:
            raise ArgumentError(
                f"pow: integers have no negative integer powers, got a: {describe(a)}, b: {b}; "
                "use a.astype('float32')"
            )
        return shape, dtype

    def backward(self, xp, grad_y, a, b, y):
        def grad_a():
            return xp.where(b == 0, 0.0, grad_y * b * xp.pow(xp.where(b == 0, 1.0, a), b - 1))

        def grad_b():
            flat = xp.logical_and(a == 0, xp.isfinite(y))
            safe = xp.where(flat, xp.ones_like(y), a)  # of y's type, also where a is a number
            return xp.where(flat, 0.0, grad_y * y * xp.log(safe))

        return grad_a, grad_b


class Abs(Elementwise):
    """y = |x|;  gx = gy sign x, so 0 at 0."""

    symbol = "|x|"
    primitive = True
    saves = ("x",)
    bounds = (0.0, math.inf)

    def forward(self, xp, x):
        return xp.abs(x)

    def backward(self, xp, grad_y, x):
        return grad_y * xp.sign(x)


class Square(Elementwise):
    """y = x²;  gx = 2 gy x."""

    symbol = "x²"
    notation = "{:-}²"
    primitive = True
    accepts = "numbers"
    check = Elementwise.require_types
    saves = ("x",)
    bounds = (0.0, math.inf)

    def forward(self, xp, x):
        return xp.square(x)

    def backward(self, xp, grad_y, x):
        return grad_y * (2 * x)


class Sqrt(Elementwise):
    """y = √x;  gx = gy / 2y, infinite at 0."""

    symbol = "√x"
    domain = (
        Border("the root of a negative number", lambda x: x < 0),
        Border("the derivative of √x at 0 is infinite", lambda x: x == 0, "x"),
    )
    inside = "{x} + 1e-12"
    cost = 4
    primitive = True
    saves = ("y",)
    bounds = (0.0, math.inf)

    def forward(self, xp, x):
        return xp.sqrt(x)

    def backward(self, xp, grad_y, y):
        return grad_y / (2 * y)


class Reciprocal(Elementwise):
    """y = 1 / x;  gx = -gy y²."""

    symbol = "1/x"
    saturates = (0.0,)
    domain = (
        Border("division by 0", lambda x: x == 0, shown="1 / {0}"),
        Border("the derivative of 1/x at 0 is infinite", lambda x: x == 0, "x"),
    )
    inside = "{lib}where({x} != 0, {x}, 1e-6)"
    cost = 4
    primitive = True
    saves = ("y",)

    def forward(self, xp, x):
        return xp.reciprocal(x)

    def backward(self, xp, grad_y, y):
        return -grad_y * y * y


class Exp(Elementwise):
    """y = eˣ;  gx = gy y."""

    symbol = "eˣ"
    saturates = (0.0,)
    bounds = (0.0, math.inf)
    overflows = True
    cost = 10
    primitive = True
    saves = ("y",)

    def forward(self, xp, x):
        return xp.exp(x)

    def backward(self, xp, grad_y, y):
        return grad_y * y


class Expm1(Elementwise):
    """y = eˣ - 1, exact near 0;  gx = gy (y + 1)."""

    saturates = (-1.0,)
    overflows = True
    cost = 12
    primitive = True
    saves = ("y",)

    def forward(self, xp, x):
        return xp.expm1(x)

    def backward(self, xp, grad_y, y):
        return grad_y * (y + 1)


class Log(Elementwise):
    """y = log x, natural;  gx = gy / x."""

    domain = _LOGARITHM
    inside = "{x} + 1e-12"
    cost = 12
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.log(x)

    def backward(self, xp, grad_y, x):
        return grad_y / x


class Log1p(Elementwise):
    """y = log(1 + x), exact near 0;  gx = gy / (1 + x)."""

    domain = (
        Border("log(1 + x) at −1", lambda x: x == -1),
        Border("the logarithm of a negative number", lambda x: x < -1),
        Border("the derivative of log(1 + x) at −1 is infinite", lambda x: x == -1, "x"),
    )
    inside = "{lib}maximum({x}, -1 + 1e-6)"
    cost = 16
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.log1p(x)

    def backward(self, xp, grad_y, x):
        return grad_y / (1 + x)


class Log2(Elementwise):
    """y = log₂ x;  gx = gy / (x log 2)."""

    domain = _LOGARITHM
    inside = "{x} + 1e-12"
    cost = 12
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.log2(x)

    def backward(self, xp, grad_y, x):
        return grad_y / (x * math.log(2))


class Log10(Elementwise):
    """y = log₁₀ x;  gx = gy / (x log 10)."""

    domain = _LOGARITHM
    inside = "{x} + 1e-12"
    cost = 12
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.log10(x)

    def backward(self, xp, grad_y, x):
        return grad_y / (x * math.log(10))


class Logaddexp(Elementwise):
    """y = log(eᵃ + eᵇ) without overflow;  ga = gy / (1 + eᵇ⁻ᵃ), gb = gy / (1 + eᵃ⁻ᵇ).

    Where y = -∞ (both inputs are) the gradients are 0; where y = ∞ the larger input gets all of
    gy, and each gets half of it if both are ∞.
    """

    cost = 30
    primitive = True
    saves = ("a", "b", "y")

    def forward(self, xp, a, b):
        return xp.logaddexp(a, b)

    def backward(self, xp, grad_y, a, b, y):
        def share(x, other):
            alike = xp.logical_and(x == other, y == math.inf)
            ahead = xp.where(alike, 0.0, xp.where(y == -math.inf, -math.inf, x - other))
            e = xp.exp(xp.where(ahead < 0, ahead, -ahead))  # finite, also when differentiated
            return grad_y * (xp.where(ahead < 0, e, 1.0) / (1 + e))

        return lambda: share(a, b), lambda: share(b, a)


class Sin(Elementwise):
    """y = sin x;  gx = gy cos x."""

    cost = 20
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.sin(x)

    def backward(self, xp, grad_y, x):
        return grad_y * xp.cos(x)


class Cos(Elementwise):
    """y = cos x;  gx = -gy sin x."""

    cost = 20
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.cos(x)

    def backward(self, xp, grad_y, x):
        return -grad_y * xp.sin(x)


class Tan(Elementwise):
    """y = tan x;  gx = gy (1 + y²)."""

    cost = 30
    primitive = True
    saves = ("y",)

    def forward(self, xp, x):
        return xp.tan(x)

    def backward(self, xp, grad_y, y):
        return grad_y * (1 + y * y)


class Asin(Elementwise):
    """y = arcsin x;  gx = gy / √(1 - x²)."""

    domain = (
        Border("asin needs x between −1 and 1", lambda x: abs(x) > 1),
        Border("the derivative of asin at ±1 is infinite", lambda x: abs(x) == 1, "x"),
    )
    inside = "{lib}clip({x}, -1 + 1e-6, 1 - 1e-6)"
    cost = 20
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.asin(x)

    def backward(self, xp, grad_y, x):
        return grad_y / xp.sqrt(1 - x * x)


class Acos(Elementwise):
    """y = arccos x;  gx = -gy / √(1 - x²)."""

    domain = (
        Border("acos needs x between −1 and 1", lambda x: abs(x) > 1),
        Border("the derivative of acos at ±1 is infinite", lambda x: abs(x) == 1, "x"),
    )
    inside = "{lib}clip({x}, -1 + 1e-6, 1 - 1e-6)"
    cost = 20
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.acos(x)

    def backward(self, xp, grad_y, x):
        return -grad_y / xp.sqrt(1 - x * x)


class Atan(Elementwise):
    """y = arctan x;  gx = gy / (1 + x²)."""

    saturates = (-math.pi / 2, math.pi / 2)
    cost = 20
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.atan(x)

    def backward(self, xp, grad_y, x):
        return grad_y / (1 + x * x)


class Atan2(Elementwise):
    """y = angle of the point (b, a);  ga = gy b / r², gb = -gy a / r², r² = a² + b².

    Both are 0 at the origin, as in PyTorch. Dividing by r twice, nothing over- or underflows.
    """

    cost = 30
    primitive = True
    saves = ("a", "b")

    def forward(self, xp, a, b):
        return xp.atan2(a, b)

    def backward(self, xp, grad_y, a, b):
        r = xp.hypot(a, b)
        safe = xp.where(r == 0, 1.0, r)
        inverse = xp.where(r == 0, 0.0, 1 / safe)
        return lambda: grad_y * (b / safe * inverse), lambda: -grad_y * (a / safe * inverse)


class Sinh(Elementwise):
    """y = sinh x;  gx = gy cosh x."""

    overflows = True
    cost = 20
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.sinh(x)

    def backward(self, xp, grad_y, x):
        return grad_y * xp.cosh(x)


class Cosh(Elementwise):
    """y = cosh x;  gx = gy sinh x."""

    overflows = True
    cost = 20
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.cosh(x)

    def backward(self, xp, grad_y, x):
        return grad_y * xp.sinh(x)


class Tanh(Elementwise):
    """y = tanh x;  gx = gy (1 - y²)."""

    activation = True
    saturates = (-1.0, 1.0)
    bounds = (-1.0, 1.0)
    cost = 16
    primitive = True
    saves = ("y",)

    def forward(self, xp, x):
        return xp.tanh(x)

    def backward(self, xp, grad_y, y):
        return grad_y * (1 - y * y)


class Asinh(Elementwise):
    """y = arsinh x;  gx = gy / √(x² + 1)."""

    cost = 40
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.asinh(x)

    def backward(self, xp, grad_y, x):
        return grad_y / xp.sqrt(x * x + 1)


class Acosh(Elementwise):
    """y = arcosh x;  gx = gy / √(x² - 1)."""

    domain = (
        Border("acosh needs x at least 1", lambda x: x < 1),
        Border("the derivative of acosh at 1 is infinite", lambda x: x == 1, "x"),
    )
    inside = "{lib}maximum({x}, 1 + 1e-6)"
    cost = 40
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.acosh(x)

    def backward(self, xp, grad_y, x):
        return grad_y / xp.sqrt(x * x - 1)


class Atanh(Elementwise):
    """y = artanh x;  gx = gy / (1 - x²)."""

    domain = (
        Border("atanh needs x between −1 and 1", lambda x: abs(x) >= 1),
        Border("the derivative of atanh at ±1 is infinite", lambda x: abs(x) == 1, "x"),
    )
    inside = "{lib}clip({x}, -1 + 1e-6, 1 - 1e-6)"
    cost = 20
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.atanh(x)

    def backward(self, xp, grad_y, x):
        return grad_y / (1 - x * x)


class Erf(Elementwise):
    """y = 2/√π ∫₀ˣ e^(-t²) dt;  gx = gy 2/√π e^(-x²)."""

    saturates = (-1.0, 1.0)
    bounds = (-1.0, 1.0)
    cost = 30
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.erf(x)

    def backward(self, xp, grad_y, x):
        return grad_y * (2 / math.sqrt(math.pi) * xp.exp(-x * x))


class Erfc(Elementwise):
    """y = 1 - erf x, exact where it is small;  gx = -gy 2/√π e^(-x²)."""

    saturates = (0.0, 2.0)
    cost = 30
    primitive = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.erfc(x)

    def backward(self, xp, grad_y, x):
        return -grad_y * (2 / math.sqrt(math.pi) * xp.exp(-x * x))


class Hypot(Elementwise):
    """y = √(a² + b²) without overflow;  ga = gy a / y, gb = gy b / y, both 0 where y = 0."""

    cost = 10
    primitive = True
    saves = ("a", "b", "y")

    def forward(self, xp, a, b):
        return xp.hypot(a, b)

    def backward(self, xp, grad_y, a, b, y):
        safe = xp.where(y == 0, 1.0, y)
        return lambda: grad_y * a / safe, lambda: grad_y * b / safe


class Maximum(Elementwise):
    """y = the larger of a and b: the gate that routes.

    The gradient goes to the input that won; a tie is shared in halves, as in PyTorch. Where one
    input is NaN nobody won, and both gradients are NaN.
    """

    role = "router"
    symbol = "max"
    notation = "max({}, {})"
    chooses = True
    primitive = True
    saves = ("a", "b")

    def forward(self, xp, a, b):
        return xp.maximum(a, b)

    def backward(self, xp, grad_y, a, b):
        tied = xp.where(a == b, grad_y * 0.5, math.nan)
        return (
            lambda: xp.where(a > b, grad_y, xp.where(a < b, 0.0, tied)),
            lambda: xp.where(b > a, grad_y, xp.where(b < a, 0.0, tied)),
        )


class Minimum(Elementwise):
    """y = the smaller of a and b. The gradient is that of `Maximum`."""

    role = "router"
    symbol = "min"
    notation = "min({}, {})"
    chooses = True
    primitive = True
    saves = ("a", "b")

    def forward(self, xp, a, b):
        return xp.minimum(a, b)

    def backward(self, xp, grad_y, a, b):
        tied = xp.where(a == b, grad_y * 0.5, math.nan)
        return (
            lambda: xp.where(a < b, grad_y, xp.where(a > b, 0.0, tied)),
            lambda: xp.where(b < a, grad_y, xp.where(b > a, 0.0, tied)),
        )


class Clip(Elementwise):
    """y = x limited to [low, high], numbers;  gx = gy where low ≤ x ≤ high, else 0.

    A limit of None does not limit. Where x is NaN, so is gx.
    """

    rectifies = True
    whole = True
    attributes = ("low", "high")
    saves = ("x",)
    low: float | None
    high: float | None

    def check(self, x):
        """Both limits are numbers of the type of x."""
        for name, limit in (("min", self.low), ("max", self.high)):
            if limit is not None:
                require_held(f"clip: {name}", limit, int64 if x.dtype == bool_ else x.dtype)

    def forward(self, xp, x):
        y = x if self.low is None else xp.maximum(x, self.low)
        return y if self.high is None else xp.minimum(y, self.high)

    def backward(self, xp, grad_y, x):
        inside = x == x if self.low is None else x >= self.low
        if self.high is not None:
            inside = xp.logical_and(inside, x <= self.high)
        return xp.where(inside, grad_y, xp.where(x == x, 0.0, x))


class Where(Elementwise):
    """y = a where the condition holds, else b;  the gradient goes to the one chosen."""

    role = "router"
    chooses = True
    primitive = True
    exact = True
    saves = ("condition",)

    def check(self, condition, a, b):
        """Numbers take on the dtype of the other choice: NumPy would let them wrap around."""
        if type(a) is int or type(b) is int:
            self.require_numbers((condition, a, b), self.promoted((condition, a, b)))

    def forward(self, xp, condition, a, b):
        return xp.where(condition, a, b)

    def backward(self, xp, grad_y, condition):
        return (
            None,
            lambda: xp.where(condition, grad_y, 0.0),
            lambda: xp.where(condition, 0.0, grad_y),
        )

    def promoted(self, inputs: tuple[Any, ...]) -> DType:
        """The common dtype of the two choices."""
        return super().promoted(inputs[1:])


class Copysign(Elementwise):
    """y = |a| with the sign of b;  ga = gy where the sign stayed, -gy where it changed."""

    primitive = True
    saves = ("a", "b")

    def forward(self, xp, a, b):
        return xp.copysign(a, b)

    def backward(self, xp, grad_y, a, b):
        return (
            lambda: grad_y * xp.sign(a) * xp.copysign(xp.ones_like(grad_y), b),
            lambda: xp.zeros_like(grad_y),
        )


class Astype(Elementwise):
    """y = x in another floating type;  gx = gy in the type of x."""

    role = "distributor"
    primitive = True
    exact = True
    attributes = ("dtype",)
    dtype: DType

    def forward(self, xp, x):
        return xp.astype(x, self.dtype)

    def backward(self, xp, grad_y):
        return grad_y

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """Shape of x, the given dtype."""
        return x.shape, self.dtype


class Convert(Elementwise):
    """y = x in another type, where one of the two types is not floating: no derivative."""

    primitive = True
    exact = True
    attributes = ("dtype",)
    dtype: DType

    def forward(self, xp, x):
        return xp.astype(x, self.dtype)

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """Shape of x, the given dtype."""
        return x.shape, self.dtype


class StepFunction(Elementwise):
    """Base of the piecewise constant functions: the gradient is 0 wherever it exists."""

    role = "blocker"
    primitive = True

    def backward(self, xp, grad_y):
        return xp.zeros_like(grad_y)


class Floor(StepFunction):
    """y = ⌊x⌋."""

    def forward(self, xp, x):
        return xp.floor(x)


class Ceil(StepFunction):
    """y = ⌈x⌉."""

    def forward(self, xp, x):
        return xp.ceil(x)


class Trunc(StepFunction):
    """y = x without its fraction."""

    def forward(self, xp, x):
        return xp.trunc(x)


class Round(StepFunction):
    """y = the nearest integer, halves to even."""

    def forward(self, xp, x):
        return xp.round(x)


class Sign(StepFunction):
    """y = -1, 0 or 1."""

    accepts = "numbers"

    def forward(self, xp, x):
        return xp.sign(x)


class Nextafter(Elementwise):
    """y = the next number after a towards b;  ga = gy, but 0 where a = b;  gb = 0."""

    primitive = True
    exact = True
    role = "router"
    saves = ("a", "b")

    def forward(self, xp, a, b):
        return xp.nextafter(a, b)

    def backward(self, xp, grad_y, a, b):
        return lambda: xp.where(a == b, 0.0, grad_y), lambda: xp.zeros_like(grad_y)


class Predicate(Elementwise):
    """Base of the truth values: no derivative."""

    primitive = True
    exact = True
    result = "bool"


class Comparison(Predicate):
    """Base of the comparisons: a number may lie outside the dtype that it is compared with."""

    def require_numbers(self, inputs: tuple[Any, ...], dtype: DType) -> None:
        """As other ops, but integers are compared exactly."""
        if dtype not in INTEGER:
            super().require_numbers(inputs, dtype)


class Equal(Comparison):
    """y = (a = b)."""

    symbol = "="
    notation = "{} = {:-}"

    def forward(self, xp, a, b):
        return xp.equal(a, b)


class NotEqual(Comparison):
    """y = (a ≠ b)."""

    symbol = "≠"
    notation = "{} ≠ {:-}"

    def forward(self, xp, a, b):
        return xp.not_equal(a, b)


class Less(Comparison):
    """y = (a < b)."""

    symbol = "<"
    notation = "{} < {:-}"

    def forward(self, xp, a, b):
        return xp.less(a, b)


class LessEqual(Comparison):
    """y = (a ≤ b)."""

    symbol = "≤"
    notation = "{} ≤ {:-}"

    def forward(self, xp, a, b):
        return xp.less_equal(a, b)


class Greater(Comparison):
    """y = (a > b)."""

    symbol = ">"
    notation = "{} > {:-}"

    def forward(self, xp, a, b):
        return xp.greater(a, b)


class GreaterEqual(Comparison):
    """y = (a ≥ b)."""

    symbol = "≥"
    notation = "{} ≥ {:-}"

    def forward(self, xp, a, b):
        return xp.greater_equal(a, b)


class Isnan(Predicate):
    """y = (x is not a number)."""

    def forward(self, xp, x):
        return xp.isnan(x)


class Isinf(Predicate):
    """y = (x is infinite)."""

    def forward(self, xp, x):
        return xp.isinf(x)


class Isfinite(Predicate):
    """y = (x is neither infinite nor NaN)."""

    def forward(self, xp, x):
        return xp.isfinite(x)


class Signbit(Predicate):
    """y = (the sign bit of x is set), also for -0."""

    def forward(self, xp, x):
        return xp.signbit(x)


class LogicalNot(Predicate):
    """y = ¬x."""

    def forward(self, xp, x):
        return xp.logical_not(x)


class LogicalAnd(Predicate):
    """y = a ∧ b."""

    def forward(self, xp, a, b):
        return xp.logical_and(a, b)


class LogicalOr(Predicate):
    """y = a ∨ b."""

    def forward(self, xp, a, b):
        return xp.logical_or(a, b)


class LogicalXor(Predicate):
    """y = a ⊕ b."""

    def forward(self, xp, a, b):
        return xp.logical_xor(a, b)


class Bitwise(Elementwise):
    """Base of the operations on the bits of integers and truth values: no derivative."""

    primitive = True
    accepts = "bits"


class BitwiseInvert(Bitwise):
    """y = x with every bit changed."""

    def forward(self, xp, x):
        return xp.bitwise_invert(x)


class BitwiseAnd(Bitwise):
    """y = a & b."""

    def forward(self, xp, a, b):
        return xp.bitwise_and(a, b)


class BitwiseOr(Bitwise):
    """y = a | b."""

    def forward(self, xp, a, b):
        return xp.bitwise_or(a, b)


class BitwiseXor(Bitwise):
    """y = a ^ b."""

    def forward(self, xp, a, b):
        return xp.bitwise_xor(a, b)


class BitwiseLeftShift(Bitwise):
    """y = a 2ᵇ."""

    accepts = "integers"
    check = Elementwise.require_types

    def forward(self, xp, a, b):
        return xp.bitwise_left_shift(a, b)


class BitwiseRightShift(Bitwise):
    """y = ⌊a / 2ᵇ⌋."""

    accepts = "integers"
    check = Elementwise.require_types

    def forward(self, xp, a, b):
        return xp.bitwise_right_shift(a, b)
