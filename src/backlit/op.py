"""What an op is: one function with its derivative, written once over an array namespace `xp`.

    class Tanh(Elementwise):
        "y = tanh x;  gx = gy (1 - y²)."
        saves = ("y",)
        def forward(self, xp, x):            return xp.tanh(x)
        def backward(self, xp, grad_y, y):   return grad_y * (1 - y * y)

`forward` takes the namespace and the inputs and returns one array. `backward` takes the namespace,
the upstream gradient and what `saves` names, in that order, and returns the downstream gradient, or
a tuple with one for each input. An entry may be a function of no arguments: the engine calls it
only if that input needs a gradient. None means that the input has no derivative. The engine fits
every gradient to its input: summed over broadcast axes, expanded over reduced ones, cast to its
dtype.

What is saved is named: an input, the output (`"y"`), or a property of one (`"x.shape"`).

What else is known of an op stands on its class, and whoever wants to know asks the class: what its
gate does to a gradient, how it is written, what it chooses, where it is flat, where it breaks, what
it costs. The defaults are true of every op of their base class, so an op of your own need state
nothing.

    class Semicircle(Elementwise):
        "y = √(1 - x²);  gx = -gy x / y."
        symbol = "◠"
        domain = (Border("semicircle needs x between −1 and 1", lambda x: abs(x) > 1),)
        ...
"""

from __future__ import annotations

import copy
import inspect
import math
import re
import types
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .dtypes import FLOATING, INTEGER, DType, bool_, promote
from .errors import ArgumentError, BacklitError, DTypeError, GradientError, ShapeError
from .facts import ROLES, Border, written

Shape = tuple[int, ...]
Saver = Callable[[tuple[Any, ...], Any], Any]

#: Every built-in op class by its name; the tests demand a record for each.
REGISTRY: dict[str, type[Op]] = {}


class Requirement(NamedTuple):
    """What must hold of an input's elements. `holds` has a truth value for each element of `of`.

    The message is "name: condition, got …; cure". A cure that is dear to write is a function.
    """

    holds: Any
    of: Any
    error: Callable[[str], BacklitError]
    condition: str
    cure: str | Callable[[], str]

    @property
    def advice(self) -> str:
        """The cure in words."""
        return self.cure() if callable(self.cure) else self.cure


def require(name: str, requirements: Iterable[Requirement], where: str = "") -> None:
    """Raise the error of the first requirement that NumPy arrays do not meet."""
    for r in requirements:
        if not r.holds.all():
            wrong = np.asarray(r.of)[~np.asarray(r.holds)]
            raise r.error(f"{name}: {r.condition}, got {wrong[0]}; {r.advice}{where}")


class Op:
    """One node's function and derivative. Instances hold attributes only: they are immutable,
    compare by class and attribute values, and one instance may serve any number of nodes.
    """

    #: Names of the keyword attributes; their values are hashable.
    attributes: ClassVar[tuple[str, ...]] = ()
    #: What `backward` receives after the upstream gradient.
    saves: ClassVar[tuple[str, ...]] = ()
    #: True if it only moves, chooses, compares or converts elements, so that it rounds nothing.
    exact: ClassVar[bool] = False
    #: True if executors know the op itself; False if they read its body instead.
    primitive: ClassVar[bool] = False
    #: True if `backward` itself sums over the axes along which an input was broadcast, so that
    #: each gradient has its input's shape; else the engine does.
    sums_itself: ClassVar[bool] = False
    #: True if eager execution may give a body away as a whole; then `work` says what it costs.
    whole: ClassVar[bool] = False
    #: Why its value cannot be computed of its inputs, for one that stands on the tape for more than
    #: itself: it has no `forward`, and its inputs are not what was written as arguments.
    closed: ClassVar[str] = ""
    #: False for ops whose backward body cannot itself be differentiated.
    twice_differentiable: ClassVar[bool] = True
    #: What its gate does to the gradient that arrives: one of `facts.ROLES`.
    role: ClassVar[str] = "mixer"
    #: That in words, where those of the role are not exact enough.
    effect: ClassVar[str] = ""
    #: What stands in its gate when it is drawn. Empty: its name.
    symbol: ClassVar[str] = ""
    #: How it is written, with `{}` for each input, as "{} × {:-}". Empty: `name(a, b)`. At `{:-}`
    #: an input that starts with a minus is put in brackets.
    notation: ClassVar[str] = ""
    #: True if elements of an input may be left out of the result, by value, index or condition.
    chooses: ClassVar[bool] = False
    #: True for the nonlinear functions that units of a network have.
    activation: ClassVar[bool] = False
    #: True if it hands on what lies on one side of a limit, and holds back what does not.
    rectifies: ClassVar[bool] = False
    #: What its result comes near as an input grows without bound, and where its slope dies out.
    saturates: ClassVar[tuple[float, ...]] = ()
    #: Between which numbers its result lies, whatever its inputs are. None: anywhere.
    bounds: ClassVar[tuple[float, float] | None] = None
    #: True if it grows so fast that ordinary inputs leave the range of their type.
    overflows: ClassVar[bool] = False
    #: True if an element of its result is a sum of many numbers.
    adds: ClassVar[bool] = False
    #: Where it has no finite value or slope.
    domain: ClassVar[tuple[Border, ...]] = ()
    #: How to write its input `{x}` so that it stays inside the domain; `{lib}` is the library.
    inside: ClassVar[str] = ""
    #: About how many multiplications an element of a primitive's result takes, its inputs given.
    cost: ClassVar[int] = 1
    #: The op that it applies to its first input, so that it need not be applied before.
    applies: ClassVar[str] = ""
    name: ClassVar[str] = "op"
    #: Names of the array inputs, from the signature of `forward`.
    parameters: ClassVar[tuple[str, ...]] = ()
    variadic: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False
    _savers: ClassVar[tuple[Saver, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        cls.differentiable = cls.backward is not Op.backward
        cls.checked = cls.check is not None or cls.requires is not None
        if "forward" in cls.__dict__:
            declared = list(inspect.signature(cls.forward).parameters.values())[2:]
            cls.parameters = tuple(p.name for p in declared)
            cls.variadic = any(p.kind is p.VAR_POSITIONAL for p in declared)
        _require_facts(cls)
        if cls.forward is Op.forward:
            return  # a base for other ops
        cls._savers = tuple(_saver(cls, what) for what in cls.saves)
        if cls.__module__.startswith("backlit."):
            known = REGISTRY.setdefault(cls.name, cls)
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise TypeError(f"{cls.__qualname__}: {known.__qualname__} has the name {cls.name}")
            REGISTRY[cls.name] = cls

    def __init__(self, **attributes: Any) -> None:
        if tuple(attributes) != self.attributes:
            attributes = self._in_order(attributes)
        self.__dict__.update(attributes)
        self._key: tuple[Any, ...] = (type(self), *attributes.values())
        for name, value in attributes.items():
            if type(value) is float:
                if value == 0 and math.copysign(1, value) < 0:
                    self._key += (f"{name}=-0.0",)  # equals 0.0, but not as a divisor
            elif getattr(value, "requires_grad", False):
                raise GradientError(
                    f"{self.name}: {name} is an attribute, to which no gradient goes, but got a "
                    "Tensor that requires one; make it an input, or pass item() or t.detach()"
                )

    def _in_order(self, given: dict[str, Any]) -> dict[str, Any]:
        if set(given) != set(self.attributes):
            raise ArgumentError(
                f"{self.name}: attributes must be ({', '.join(self.attributes)}), "
                f"got ({', '.join(given)})"
            )
        return {name: given[name] for name in self.attributes}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Op) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        values = [f"{a}={getattr(self, a)!r}" for a in self.attributes]
        return f"{self.name}({', '.join(values)})" if values else self.name

    def forward(self, xp: Any, *inputs: Any) -> Any:
        """The function's value, as one array."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, xp: Any, grad_y: Any, *saved: Any) -> Any:
        """The downstream gradients for an upstream gradient."""
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def with_backward(self, function: Callable[..., Any]) -> Op:
        """The op with another text of its backward, in the form in which its own is written; it is
        in no registry.
        """
        made = copy.copy(self)
        made.__dict__["backward"] = types.MethodType(function, made)
        return made

    #: check(*inputs) raises the error for bad inputs that only this op can see. None: no check.
    #: Shapes, dtypes and attributes only: captured code has no values yet, see `requires`.
    check: ClassVar[Callable[..., None] | None] = None
    #: requires(xp, *inputs) returns what must hold of the elements, a `Requirement` each. These
    #: are checked in eager code and, each time it runs, in compiled code. None: all are allowed.
    requires: ClassVar[Callable[..., Sequence[Requirement]] | None] = None
    checked: ClassVar[bool] = False

    def infer(self, *inputs: Any) -> tuple[Shape, DType]:
        """Shape and dtype of a primitive's output from its inputs' shapes and dtypes.

        Raises the error that names the op and the argument if they do not fit.
        """
        raise NotImplementedError(f"{type(self).__name__}.infer")

    def slope_text(self, position: int, count: int) -> str:
        """The derivative of a single number in one of `count` inputs as mathematics, then a comma
        and what its letters mean: `2(x − t)/N, t the target`. "" where none is as short.
        """
        return ""

    def save(self, inputs: tuple[Any, ...], y: Any) -> tuple[Any, ...]:
        """The values that `saves` names, for one application of the op."""
        return tuple([saver(inputs, y) for saver in self._savers])


def _require_facts(cls: type[Op]) -> None:
    """Raise unless what a class says of its op can be read."""
    if cls.role not in ROLES:
        raise ArgumentError(
            f"{cls.__name__}.role must be one of {', '.join(ROLES)}, got {cls.role!r}"
        )
    if cls.notation and cls.parameters:
        try:
            written(cls.notation, list(cls.parameters))
        except (LookupError, ValueError):
            raise ArgumentError(
                f"{cls.__name__}.notation must have a {{}} for each of "
                f"({', '.join(cls.parameters)}), got {cls.notation!r}"
            ) from None

    for border in cls.domain:
        if border.slope and border.slope not in cls.parameters:
            raise ArgumentError(
                f"{cls.__name__}.domain: slope must be one of the inputs "
                f"({', '.join(cls.parameters)}), got {border.slope!r}"
            )


def _saver(cls: type[Op], what: str) -> Saver:
    """Return the function from (inputs, output) to the value that `what` names."""
    name, _, attribute = what.partition(".")
    if name in cls.parameters:
        position = cls.parameters.index(name)
        if cls.variadic and position == len(cls.parameters) - 1:
            if attribute:
                get = attrgetter(attribute)
                return lambda inputs, y: tuple([get(x) for x in inputs[position:]])
            return lambda inputs, y: inputs[position:]
        if attribute:
            get = attrgetter(attribute)
            return lambda inputs, y: get(inputs[position])
        return lambda inputs, y: inputs[position]
    if name != "y":
        raise ArgumentError(
            f"{cls.__name__}.saves: {what!r} is neither an input {cls.parameters} nor 'y'"
        )
    if attribute:
        get = attrgetter(attribute)
        return lambda inputs, y: get(y)
    return lambda inputs, y: y


def describe(x: Any) -> str:
    """A value's type as in graphs and errors: `float32[3,4]`, or the Python number itself.

    >>> describe(np.zeros((3, 4), np.float32)), describe(2)
    ('float32[3,4]', '2')
    """
    if not hasattr(x, "shape"):
        return repr(x)
    return f"{x.dtype.name}[{','.join(map(str, x.shape))}]"


def describe_inputs(op: Op, inputs: tuple[Any, ...]) -> str:
    """`a: float32[3,4], b: 2` for the inputs of an op."""
    names = op.parameters
    if op.variadic and len(inputs) > len(names):
        fixed = len(names) - 1
        names = names[:fixed] + tuple(f"{names[-1]}[{i}]" for i in range(len(inputs) - fixed))
    return ", ".join(f"{n}: {describe(x)}" for n, x in zip(names, inputs, strict=False))


def broadcast_shapes(op: Op, inputs: tuple[Any, ...]) -> Shape:
    """The shape that the inputs broadcast to, or an error naming them."""
    shapes = [x.shape for x in inputs if hasattr(x, "shape")]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(
            f"{op.name}: shapes must broadcast (equal or 1 on each axis, from the last), "
            f"got {' and '.join(str(s) for s in shapes)} ({describe_inputs(op, inputs)})"
        ) from None


_WHOLE = (int, np.integer)


def holds(dtype: DType, number: Any) -> bool:
    """Whether a Python number can take on a dtype; integers do not wrap around.

    >>> holds(np.dtype("uint8"), 255), holds(np.dtype("uint8"), -1), holds(np.dtype("float32"), -1)
    (True, False, True)
    """
    if not isinstance(number, _WHOLE):
        return True
    whole = int(number)
    if dtype in INTEGER:
        info = np.iinfo(dtype)
        return int(info.min) <= whole <= int(info.max)
    return abs(whole) < 2**1024 or dtype not in FLOATING


def require_held(what: str, number: Any, dtype: DType) -> None:
    """Raise unless a number can take on a dtype. `what` names the op and the argument."""
    if holds(dtype, number):
        return
    if dtype in FLOATING:
        raise ArgumentError(
            f"{what} must be a number that {dtype} can round, got an integer of "
            f"{number.bit_length()} bits; use float('inf') for what is larger than any number"
        )
    info = np.iinfo(dtype)
    raise ArgumentError(
        f"{what} must lie in [{info.min}, {info.max}], because a number takes on the dtype of its "
        f"array, {dtype}, got {number}; choose a wider dtype, as x.astype('int64') has"
    )


_ACCEPTED: dict[str, tuple[frozenset[DType], str]] = {
    "numbers": (INTEGER | FLOATING, "numbers; use {}.astype('int64')"),
    "bits": (INTEGER | {bool_}, "integers or truth values; use {}.astype('int64')"),
    "integers": (INTEGER, "integers; use {}.astype('int64')"),
}


class Elementwise(Op):
    """An op that maps each element on its own, its inputs broadcast together."""

    role: ClassVar[str] = "scaler"
    #: "same": the promoted dtype of the inputs; "bool": a truth value for each element.
    result: ClassVar[str] = "same"
    #: What the inputs' elements may be: "all", "numbers", "bits" (integers and bool), "integers".
    accepts: ClassVar[str] = "all"

    def require_types(self, *inputs: Any) -> None:
        """Raise unless every array input has elements that the op is defined on."""
        if self.accepts == "all":
            return
        allowed, words = _ACCEPTED[self.accepts]
        for name, x in zip(self.parameters, inputs, strict=True):
            if hasattr(x, "dtype") and x.dtype not in allowed:
                must, cure = words.format(name).split("; ")
                raise DTypeError(f"{self.name}: {name} must be {must}, got {describe(x)}; {cure}")

    def infer(self, *inputs: Any) -> tuple[Shape, DType]:
        """Broadcast shape; promoted dtype, or bool for predicates."""
        self.require_types(*inputs)
        shape = broadcast_shapes(self, inputs)
        dtype = self.promoted(inputs)
        self.require_numbers(inputs, dtype)
        return shape, bool_ if self.result == "bool" else dtype

    def require_numbers(self, inputs: tuple[Any, ...], dtype: DType) -> None:
        """Raise unless all Python numbers among the inputs can take on the dtype of the arrays."""
        for name, x in zip(self.parameters, inputs, strict=True):
            if not hasattr(x, "dtype"):
                require_held(f"{self.name}: {name}", x, dtype)

    def promoted(self, inputs: tuple[Any, ...]) -> DType:
        """The common dtype of the array inputs."""
        dtypes = [x.dtype for x in inputs if hasattr(x, "dtype")]
        result = dtypes[0]
        for dtype in dtypes[1:]:
            result = promote(result, dtype)
        return result


class Reduction(Op):
    """An op that folds the axes in `axis` (a tuple, non-negative) into one value."""

    role: ClassVar[str] = "scaler"
    attributes: ClassVar[tuple[str, ...]] = ("axis", "keepdims")
    axis: tuple[int, ...]
    keepdims: bool
    #: "same": the dtype of the input; "bool", "int64".
    result: ClassVar[str] = "same"
    #: Whether the fold of no elements has a value (0 for a sum, none for a maximum).
    has_identity: ClassVar[bool] = True

    def infer(self, x: Any) -> tuple[Shape, DType]:
        """Shape without the folded axes, or with ones in their place."""
        if not self.has_identity and any(x.shape[a] == 0 for a in self.axis):
            raise ShapeError(
                f"{self.name}: the reduced axes must not be empty, got shape {x.shape} and "
                f"axis {self.axis}; {self.name} of no elements has no value"
            )
        if self.keepdims:
            shape = tuple(1 if a in self.axis else n for a, n in enumerate(x.shape))
        else:
            shape = tuple(n for a, n in enumerate(x.shape) if a not in self.axis)
        return shape, x.dtype if self.result == "same" else np.dtype(self.result)

    def spread(self, xp: Any, y: Any) -> Any:
        """`y` with the folded axes put back as ones, so that it broadcasts against the input."""
        return y if self.keepdims else xp.expand_dims(y, self.axis)
