"""Special functions: of the error and gamma functions, remainders, common divisors."""

from __future__ import annotations

import math

from ..dtypes import INTEGER
from ..facts import Border
from ..op import Elementwise


def _polynomial(coefficients, x):
    """Σ cₖ xᵏ, the highest power first."""
    result = coefficients[0]
    for c in coefficients[1:]:
        result = result * x + c
    return result


def _is_pole(x: float) -> bool:
    """Whether the gamma function is infinite: at 0, -1, -2, …"""
    return x <= 0 and x % 1 == 0


class Erfinv(Elementwise):
    """y with erf y = x;  gx = gy √π/2 e^(y²).

    A polynomial in -log(1 - x²) or its root, to 3e-7 (Giles, "Approximating the erfinv function",
    GPU Computing Gems, Jade Edition (2012), table 5), or far out erfc y ≈ e^(-y²) / (y √π); and
    then two steps of Halley's method, in which erf y - x is formed of 1 - |x| where x is near ±1.
    """

    domain = (
        Border("erfinv needs x between −1 and 1", lambda x: abs(x) >= 1),
        Border("the derivative of erfinv at ±1 is infinite", lambda x: abs(x) == 1, "x"),
    )
    inside = "{lib}clip({x}, -1 + 1e-6, 1 - 1e-6)"
    whole = True
    cost = 100
    saves = ("y",)

    _NEAR = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 2.1858087e-4,
             -1.25372503e-3, -4.17768164e-3, 0.246640727, 1.50140941)  # fmt: skip
    _FAR = (-2.00214257e-4, 1.00950558e-4, 1.34934322e-3, -3.67342844e-3, 5.73950773e-3,
            -7.6224613e-3, 9.43887047e-3, 1.00167406, 2.83297682)  # fmt: skip

    def forward(self, xp, x):
        size = xp.abs(x)
        inside = xp.where(size == 1, 0.0, x)  # at ±1 there is nothing to improve
        y = self._guess(xp, inside)
        for _ in range(2):
            miss = xp.where(
                size > 0.5,
                xp.sign(x) * (1 - size - xp.erfc(xp.abs(y))),
                xp.erf(y) - x,
            )
            step = miss * (math.sqrt(math.pi) / 2) * xp.exp(y * y)
            y = y - step / (1 + y * step)
        return xp.where(size == 1, xp.copysign(math.inf * xp.ones_like(x), x), y)

    def _guess(self, xp, x):
        """y to some digits, from w = -log(1 - x²)."""
        w = -xp.log((1 - x) * (1 + x))
        middle, far = w >= 5, w >= 16
        root = xp.sqrt(xp.where(middle, w, 9.0)) - 3
        near = x * xp.where(middle, _polynomial(self._FAR, root), _polynomial(self._NEAR, w - 2.5))
        tail = xp.where(far, w + math.log(2), 16.0)
        return xp.where(far, xp.sign(x) * xp.sqrt(tail - 0.5 * xp.log(math.pi * tail)), near)

    def backward(self, xp, grad_y, y):
        return grad_y * (math.sqrt(math.pi) / 2) * xp.exp(y * y)


def _zeta_less_one(s: int) -> float:
    """Σ n⁻ˢ from n = 2 on: some terms, and Euler and Maclaurin's sum of the rest (DLMF 25.2.9)."""
    n = 30.0
    rest = n / (s - 1) + 1 / 2 + s / (12 * n) - math.perm(s + 2, 3) / (720 * n**3)
    rest += math.perm(s + 4, 5) / (30240 * n**5)
    return math.fsum([*[k**-s for k in range(2, 30)], rest * n**-s])


class Lgamma(Elementwise):
    """y = log |Γ(x)|;  gx = gy ψ(x), see `Polygamma`.

    Below 8½ the argument is brought to 2 + t, |t| ≤ ½, by factors whose logarithm is taken, and
    log Γ(2 + t) = (1 - γ) t + Σ (ζ(k) - 1) (-t)ᵏ / k (DLMF 5.7.3); above that it is Stirling's
    series (5.11.1), and below ½ it is reflected (5.5.3).
    """

    domain = (
        Border("log Γ at 0, −1, −2, …", _is_pole),
        Border("the derivative of log Γ at 0, −1, −2, …", _is_pole, "x"),
    )
    inside = "{lib}maximum({x}, 1e-6)"
    whole = True
    cost = 60
    saves = ("x",)

    #: Of t, t², …, the highest power first.
    _NEAR_TWO = (*[(-1) ** k * _zeta_less_one(k) / k for k in range(27, 1, -1)],
                 1 - 0.57721566490153286061, 0.0)  # fmt: skip
    #: Of 1/x, 1/x³, …, the highest power first.
    _STIRLING = (-691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12)

    def forward(self, xp, x):
        low = x < 0.5
        y = self._right(xp, xp.where(low, 1 - x, x))
        sine = xp.abs(xp.sin(math.pi * (x - xp.round(x))))
        y = xp.where(low, math.log(math.pi) - xp.log(sine) - y, y)
        return xp.where(xp.isinf(x), math.inf, y)

    def _right(self, xp, x):
        """The same from ½ on."""
        near = x < 8.5
        z = xp.where(near, x, 2.0)
        steps = xp.floor(z - 1.5)
        factors = xp.ones_like(x)
        for k in range(1, 7):
            factors = factors * xp.where(steps >= k, z - k, 1.0)
        by_factors = xp.where(steps < 0, -xp.log1p(z - 1), xp.log(factors))
        t = xp.where(steps < 0, z - 1, z - 2 - steps)  # without rounding
        small = _polynomial(self._NEAR_TWO, t) + by_factors
        z = xp.where(near, 10.0, x)
        series = _polynomial(self._STIRLING, 1 / (z * z)) / z
        large = (z - 0.5) * (xp.log(z) - 1) + (0.5 * math.log(2 * math.pi) - 0.5) + series
        return xp.where(near, small, large)

    def backward(self, xp, grad_y, x):
        return grad_y * xp.polygamma(x, n=0)


class Polygamma(Elementwise):
    """y = ψ⁽ⁿ⁾(x), the n-th derivative of ψ = (log Γ)′;  gx = gy ψ⁽ⁿ⁺¹⁾(x)."""

    attributes = ("n",)
    domain = (
        Border("ψ at 0, −1, −2, …", _is_pole),
        Border("the derivative of ψ at 0, −1, −2, …", _is_pole, "x"),
    )
    inside = "{lib}maximum({x}, 1e-6)"
    cost = 100
    primitive = True
    saves = ("x",)
    n: int

    def forward(self, xp, x):
        return xp.polygamma(x, n=self.n)

    def backward(self, xp, grad_y, x):
        return grad_y * xp.polygamma(x, n=self.n + 1)


def _bessel_series(n: int) -> tuple[float, ...]:
    """Of I_n(x) / xⁿ by powers of (x / 20)², the highest first (DLMF 10.25.2)."""
    fact = math.factorial
    return tuple(100**k / (fact(k) * fact(k + n) * 2**n) for k in range(40, -1, -1))


def _bessel_far(n: int) -> tuple[float, ...]:
    """Of e⁻ˣ I_n(x) √(2πx) by powers of 20 / x, the highest first (DLMF 10.40.1)."""
    found = [1.0]
    for k in range(1, 25):
        found.append(found[-1] * ((2 * k - 1) ** 2 - 4 * n * n) / (160 * k))
    return tuple(reversed(found))


class Bessel(Elementwise):
    """y = I_n(x), the modified Bessel function of order n, 0 or 1; `scaled` e^(-|x|) I_n(x).

        I₀' = I₁        I₁' = I₀ - I₁/x, ½ at 0

    `scaled` has the slope of the product, with that of |x| at 0 as 0. Below |x| = 20 it is the
    power series, all of whose terms are positive, above that 25 terms of the asymptotic one.
    """

    attributes = ("n", "scaled")
    overflows = True  # unless it is scaled
    whole = True
    cost = 150
    saves = ("x",)
    n: int
    scaled: bool

    _NEAR = (_bessel_series(0), _bessel_series(1))
    _FAR = (_bessel_far(0), _bessel_far(1))

    def forward(self, xp, x):
        x = self._bounded(xp, x)
        y, first, _ = self._orders(xp, x)
        return self._grown(xp, x, (y, first)[self.n])

    def backward(self, xp, grad_y, x):
        x = self._bounded(xp, x)
        y, first, ratio = self._orders(xp, x)
        slope = self._grown(xp, x, (first, y - ratio)[self.n])
        if self.scaled:
            slope = slope - xp.sign(x) * (y, first)[self.n]
        return grad_y * slope

    def _bounded(self, xp, x):
        """x that can be multiplied by 0 without being NaN, where what comes of it is infinite."""
        return x if self.scaled else xp.maximum(xp.minimum(x, 1e30), -1e30)

    def _grown(self, xp, x, scaled):
        """I_n of e^(-|x|) I_n, by two steps: e^|x| is infinite where I_n is not yet."""
        if self.scaled:
            return scaled
        half = xp.exp(0.5 * xp.abs(x))
        return half * (half * scaled)

    def _orders(self, xp, x):
        """e^(-|x|) times I₀, I₁ and I₁/x."""
        size = xp.abs(x)
        low = size < 20
        z, s = xp.where(low, x, 0.0), xp.where(low, 20.0, size)
        square, down = (z / 20) * (z / 20), xp.exp(-xp.abs(z))
        near = [down * _polynomial(c, square) for c in self._NEAR]
        root = xp.sqrt(2 * math.pi * s)
        far = [_polynomial(c, 20 / s) / root for c in self._FAR]
        return (
            xp.where(low, near[0], far[0]),
            xp.where(low, z * near[1], xp.sign(x) * far[1]),
            xp.where(low, near[1], far[1] / s),
        )


class Sinc(Elementwise):
    """y = sin(πx) / (πx), 1 at 0;  gx = gy (cos(πx) - y) / x, 0 at 0.

    Near 0 the derivative is the series of that quotient, so that the second one is right there,
    too: -π²/3 at 0.
    """

    cost = 40
    saves = ("x",)

    def forward(self, xp, x):
        z = math.pi * xp.where(x == 0, 1.0, x)
        return xp.where(x == 0, 1.0, xp.sin(z) / z)

    def backward(self, xp, grad_y, x):
        near = xp.abs(x) < 0.03
        z = math.pi * xp.where(near, 1.0, x)
        far = (xp.cos(z) - xp.sin(z) / z) * (math.pi / z)
        t = math.pi * xp.where(near, x, 0.0)
        square = t * t
        series = t * _polynomial((-1 / 840, 1 / 30, -1 / 3), square) * math.pi
        return grad_y * xp.where(near, series, far)


class Xlogy(Elementwise):
    """y = a log b, 0 where a = 0 unless b is NaN;  ga = gy log b, gb = gy a / b.

    Where a = 0 and b ≤ 0, ga is 0, as in PyTorch, and so is gb, which is the slope in b there.
    """

    domain = (
        Border("a log b with b = 0", lambda a, b: b == 0 != a),
        Border("the logarithm of a negative number", lambda a, b: b < 0 != a),
        Border(
            "the derivative of a log b by a is infinite at b = 0", lambda a, b: b == 0 != a, "a"
        ),
        Border(
            "the derivative of a log b by b is a / b, and b is 0", lambda a, b: b == 0 != a, "b"
        ),
    )
    cost = 14
    saves = ("a", "b")

    def forward(self, xp, a, b):
        return a * xp.log(xp.where(xp.logical_and(a == 0, b == b), 1.0, b))

    def backward(self, xp, grad_y, a, b):
        flat = xp.logical_and(a == 0, b <= 0)
        safe = xp.where(flat, 1.0, b)
        return (
            lambda: grad_y * xp.log(safe),
            lambda: grad_y * xp.where(flat, 0.0, a / safe),
        )


class Fmod(Elementwise):
    """y = a - b trunc(a / b), with the sign of a;  ga = gy, gb = -gy trunc(a / b)."""

    domain = (Border("the remainder of a division by 0", lambda a, b: b == 0),)
    cost = 10
    accepts = "numbers"
    check = Elementwise.require_types
    saves = ("a", "b")

    def forward(self, xp, a, b):
        if a.dtype in INTEGER:
            rest = xp.remainder(a, b)
            other = xp.logical_and(rest != 0, (rest < 0) != (a < 0))
            return xp.where(other, rest - b, rest)
        return xp.copysign(xp.remainder(xp.abs(a), xp.abs(b)), a)

    def backward(self, xp, grad_y, a, b):
        return grad_y, lambda: -grad_y * xp.trunc(a / b)


class Gcd(Elementwise):
    """y = the greatest number that divides a and b, which are integers: no derivative."""

    primitive = True
    accepts = "integers"
    check = Elementwise.require_types
    cost = 50

    def forward(self, xp, a, b):
        return xp.gcd(a, b)
