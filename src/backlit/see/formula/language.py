"""From the text of a formula to the steps that compute it, without ever running the text.

    q = x + y; q * max(y, z)

Python's parser makes a syntax tree of the text; only the kinds of nodes named here are read, and
anything else is an error that points at its place. Text, nesting and sizes are limited, so no
expression can take more than a moment or a few megabytes.
"""

from __future__ import annotations

import ast
import difflib
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ... import array_api as f
from ...array_api.arguments import cached
from ...errors import ArgumentError
from ...foreign import words
from ...op import Op
from ...ops import activation, contraction, elementwise
from ...tensor import Tensor, apply

MAX_CHARACTERS = 2000
MAX_STEPS = 200
MAX_NESTING = 100
MAX_ELEMENTS = 1000

CONSTANTS = {"pi": math.pi, "e": math.e}


class ExpressionError(ArgumentError):
    """An expression or a value for one of its names is wrong. Knows the text and the column."""

    def __init__(self, message: str, text: str, column: int, length: int = 1):
        super().__init__(message)
        self.text = text
        self.column = column
        self.length = length

    @property
    def pointer(self) -> str:
        """The text with a mark under the place of the error, on two lines."""
        return f"{self.text}\n{' ' * self.column}{'^' * max(1, self.length)}"


@dataclass(frozen=True)
class Function:
    """What a name or an operator of the language means."""

    name: str
    call: Callable[..., Tensor]
    fewest: int = 1
    most: int | None = 1
    reduces: bool = False  # takes axis=
    op: type[Op] | None = None  # whose sign its gate has


@dataclass(frozen=True)
class Step:
    """One value on the way: a variable, a constant, or a function of earlier steps."""

    kind: str  # "variable", "constant" or "gate"
    label: str
    column: int
    length: int
    inputs: tuple[int, ...] = ()
    function: Function | None = None
    options: dict[str, Any] = field(default_factory=dict)
    value: Any = None  # of a constant


@dataclass(frozen=True)
class Expression:
    """The steps of a formula, each after those it uses; the last one is the result."""

    text: str
    steps: tuple[Step, ...]
    result: int
    names: dict[str, int]  # `q = ...` in the text

    @property
    def variables(self) -> list[str]:
        """The names that need a value, in the order of their first use."""
        return [s.label for s in self.steps if s.kind == "variable"]

    def error(self, message: str, step: Step | None = None) -> ExpressionError:
        """What is wrong with a step, or with the whole formula."""
        if step is None:
            return ExpressionError(message, self.text, 0, len(self.text))
        return ExpressionError(message, self.text, step.column, step.length)


# -- the language -------------------------------------------------------------------------------


def _fold(function: Callable[[Any, Any], Tensor]) -> Callable[..., Tensor]:
    def call(first: Any, *others: Any) -> Tensor:
        for x in others:
            first = function(first, x)
        return first

    return call


def _extreme(reduce: Callable[..., Tensor], pick: Callable[[Any, Any], Tensor]) -> Any:
    """`max(x)` of the elements of one array, or `max(a, b)` of several."""
    fold = _fold(pick)

    def call(*inputs: Any, axis: Any = None) -> Tensor:
        return fold(*inputs) if len(inputs) > 1 else reduce(inputs[0], axis=axis)

    return call


def _along_axis(cls: Any) -> Callable[..., Tensor]:
    def call(x: Any, axis: int = -1) -> Tensor:
        return apply(cached(cls, axis % x.ndim if x.ndim else 0), x)

    return call


def _transpose(x: Any) -> Tensor:
    return f.permute_dims(x, tuple(reversed(range(x.ndim))))


def _apply(cls: Any, *attributes: float) -> Callable[[Any], Tensor]:
    return lambda x: apply(cached(cls, *attributes), x)


_OF_ONE = (
    "exp expm1 log log1p log2 log10 sqrt square abs sin cos tan asin acos atan sinh cosh tanh "
    "asinh acosh atanh sigmoid erf erfc sign floor ceil round"
)
FUNCTIONS: dict[str, Function] = {
    g.name: g
    for g in (
        *(Function(name, getattr(f, name)) for name in _OF_ONE.split()),
        *(
            Function(cls.name, _apply(cls))
            for cls in (activation.Softplus, activation.Gelu, activation.Silu, activation.Relu)
        ),
        Function("leaky_relu", _apply(activation.LeakyRelu, 0.01)),
        Function("elu", _apply(activation.Elu, 1.0)),
        Function("max", _extreme(f.max, f.maximum), 1, None, reduces=True),
        Function("min", _extreme(f.min, f.minimum), 1, None, reduces=True),
        Function("maximum", f.maximum, 2, 2),
        Function("minimum", f.minimum, 2, 2),
        Function("sum", f.sum, reduces=True),
        Function("mean", f.mean, reduces=True),
        Function("prod", f.prod, reduces=True),
        Function("var", f.var, reduces=True),
        Function("std", f.std, reduces=True),
        Function("norm", f.vector_norm, reduces=True),
        Function("logsumexp", f.logsumexp, reduces=True),
        Function("softmax", _along_axis(activation.Softmax), reduces=True),
        Function("log_softmax", _along_axis(activation.LogSoftmax), reduces=True),
        Function("dot", f.vecdot, 2, 2),
        Function("outer", f.outer, 2, 2),
        Function("matmul", f.matmul, 2, 2, op=contraction.Matmul),
        Function("pow", f.pow, 2, 2, op=elementwise.Pow),
        Function("transpose", _transpose),
    )
}

OPERATORS: dict[type, Function] = {
    ast.Add: Function("add", f.add, 2, 2, op=elementwise.Add),
    ast.Sub: Function("sub", f.subtract, 2, 2, op=elementwise.Subtract),
    ast.Mult: Function("mul", f.multiply, 2, 2, op=elementwise.Multiply),
    ast.Div: Function("div", f.divide, 2, 2, op=elementwise.Divide),
    ast.Pow: FUNCTIONS["pow"],
    ast.MatMult: FUNCTIONS["matmul"],
}
_NEGATE = Function("negate", f.negative, op=elementwise.Negative)
_SYMBOLS = "+ - * / ** @"


# -- reading ------------------------------------------------------------------------------------


def parse(text: str) -> Expression:
    """The steps of the formula in `text`; an ExpressionError if it is not one.

    >>> parse("(x + y) * z").variables
    ['x', 'y', 'z']
    """
    if not isinstance(text, str):
        raise ArgumentError(f"formula: a text is required, got {words(text)[0]}; as 'x * y + 1'")
    return _Reader(" ".join(text.replace("\0", " ").split())).read()


class _Reader:
    """A formula being read: the steps so far, and the names that have a meaning.

    Each `read_` method takes one kind of syntax node and returns the number of its step.
    """

    def __init__(self, text: str):
        self.text = text
        self.steps: list[Step] = []
        self.names: dict[str, int] = {}
        self.variables: dict[str, int] = {}
        self.nesting = 0

    def error(self, message: str, node: ast.AST | None = None) -> ExpressionError:
        """What is wrong with a node of the syntax tree, or with the whole text."""
        column, length = self.place(node) if node is not None else (0, len(self.text.rstrip()))
        return ExpressionError(message, self.text, column, length)

    def place(self, node: Any) -> tuple[int, int]:
        """Column and length of a node in characters; Python's parser counts bytes."""
        encoded = self.text.encode()
        start = len(encoded[: node.col_offset].decode())
        return start, len(encoded[: node.end_col_offset].decode()) - start

    def read(self) -> Expression:
        """The definitions, then the formula."""
        tree = _syntax_tree(self.text)
        *definitions, last = tree.body
        for statement in definitions:
            self.define(statement)
        if not isinstance(last, ast.Expr):
            raise self.error(
                "the last part must be the formula to differentiate, as in 'q = x + y; q * z'", last
            )
        result = self.visit(last.value)
        if self.steps[result].kind == "constant":
            raise self.error("there is nothing to differentiate: use at least one name", last)
        return Expression(self.text, tuple(self.steps), result, self.names)

    def define(self, statement: ast.stmt) -> None:
        """Read `q = x + y` and keep the name."""
        good = isinstance(statement, ast.Assign) and len(statement.targets) == 1
        target = statement.targets[0] if good else None  # type: ignore[attr-defined]
        if not isinstance(target, ast.Name):
            raise self.error(
                "only definitions may stand before the formula, as in 'q = x + y; q * z'", statement
            )
        if target.id in FUNCTIONS or target.id in self.names or target.id in self.variables:
            raise self.error(f"{target.id} already has a meaning; choose another name", target)
        self.names[target.id] = self.visit(statement.value)  # type: ignore[attr-defined]

    def add(self, kind: str, node: ast.AST, **about: Any) -> int:
        """One more step, labelled with its text; its number."""
        if len(self.steps) >= MAX_STEPS:
            raise self.error(f"the expression must have at most {MAX_STEPS} steps", node)
        column, length = self.place(node)
        label = self.text[column : column + length]
        self.steps.append(Step(kind, label, column, length, **about))
        return len(self.steps) - 1

    def visit(self, node: ast.expr) -> int:
        """Read any expression; the number of its step."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise self.error(
                f"the expression must not be nested more than {MAX_NESTING} levels deep; "
                "name a part, as in 'q = x + y; q * z'",
                node,
            )
        read = _READERS.get(type(node))
        if read is None:
            raise self.error(
                f"this is not part of the language, which has {_SYMBOLS}, functions, indexing "
                "and .T",
                node,
            )
        step = read(self, node)
        self.nesting -= 1
        return step

    def read_literal(self, node: ast.Constant | ast.List) -> int:
        """A number, or lists of numbers."""
        return self.add("constant", node, value=_literal(node, self.error))

    def read_name(self, node: ast.Name) -> int:
        """A defined name, or a variable."""
        name = node.id
        if name in self.names:
            return self.names[name]
        if name in FUNCTIONS:
            raise self.error(f"{name} is a function; write {name}(…)", node)
        if name not in self.variables:
            self.variables[name] = self.add("variable", node)
        return self.variables[name]

    def read_unaryop(self, node: ast.UnaryOp) -> int:
        """A sign. That of a number belongs to the number."""
        if isinstance(node.op, ast.UAdd):
            return self.visit(node.operand)
        if not isinstance(node.op, ast.USub):
            raise self.error(f"the operator must be one of {_SYMBOLS}", node)
        if isinstance(node.operand, ast.Constant):
            return self.add("constant", node, value=_literal(node, self.error))
        return self.add("gate", node, inputs=(self.visit(node.operand),), function=_NEGATE)

    def read_binop(self, node: ast.BinOp) -> int:
        """Two operands and the operator between them."""
        function = OPERATORS.get(type(node.op))
        if function is None:
            raise self.error(f"the operator must be one of {_SYMBOLS}", node)
        inputs = (self.visit(node.left), self.visit(node.right))
        return self.add("gate", node, inputs=inputs, function=function)

    def read_attribute(self, node: ast.Attribute) -> int:
        """`x.T`."""
        if node.attr != "T":
            raise self.error(f"the only attribute is .T, got .{node.attr:.30}", node)
        inputs = (self.visit(node.value),)
        return self.add("gate", node, inputs=inputs, function=FUNCTIONS["transpose"])

    def read_subscript(self, node: ast.Subscript) -> int:
        """`x[0]`, `x[1:, 2]`."""
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        index = tuple(self.index(entry) for entry in inside)
        function = Function("index", lambda x: x[index])
        return self.add("gate", node, inputs=(self.visit(node.value),), function=function)

    def index(self, node: ast.expr) -> int | slice:
        """One entry between the brackets."""
        if isinstance(node, ast.Slice):
            parts = (node.lower, node.upper, node.step)
            bounds = [None if p is None else self.integer("an index", p) for p in parts]
            if bounds[2] == 0:
                raise self.error("the step of a slice must not be 0", node)
            return slice(*bounds)
        return self.integer("an index", node)

    def integer(self, what: str, node: ast.expr) -> int:
        """An integer that is spelled out."""
        negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        number = node.operand if negative else node  # type: ignore[attr-defined]
        value = number.value if isinstance(number, ast.Constant) else None
        if type(value) is not int or value > 2**31:
            raise self.error(f"{what} must be an integer, as in x[0] or sum(x, axis=1)", node)
        return -value if negative else value

    def read_call(self, node: ast.Call) -> int:
        """A function applied to its arguments."""
        function = self.function(node.func)
        options = {}
        for option in node.keywords:
            if option.arg != "axis" or not function.reduces:
                allowed = "axis is the only option" if function.reduces else "it has no options"
                raise self.error(f"{function.name}: {allowed}, got {option.arg or '**'}", node)
            options["axis"] = self.integer("axis", option.value)
        count, most = len(node.args), function.most
        if count < function.fewest or (most is not None and count > most):
            plural = "argument" if function.fewest == 1 else "arguments"
            more = " or more" if most is None else ""
            raise self.error(
                f"{function.name} takes {function.fewest}{more} {plural}, got {count}", node
            )
        if options and count > 1:
            raise self.error(f"{function.name}: axis goes with a single argument", node)
        inputs = tuple(self.visit(x) for x in node.args)
        return self.add("gate", node, inputs=inputs, function=function, options=options)

    def function(self, node: ast.expr) -> Function:
        """The function of a name."""
        if not isinstance(node, ast.Name):
            raise self.error("only functions can be called, by their names, as in exp(x)", node)
        if node.id not in FUNCTIONS:
            close = difflib.get_close_matches(node.id, FUNCTIONS, 1, 0.6)
            cure = f"did you mean {close[0]}?" if close else f"there are {', '.join(FUNCTIONS)}"
            raise self.error(f"unknown function {node.id}; {cure}", node)
        return FUNCTIONS[node.id]


_READERS: dict[type[ast.expr], Callable[[_Reader, Any], int]] = {
    ast.Constant: _Reader.read_literal,
    ast.List: _Reader.read_literal,
    ast.Name: _Reader.read_name,
    ast.UnaryOp: _Reader.read_unaryop,
    ast.BinOp: _Reader.read_binop,
    ast.Attribute: _Reader.read_attribute,
    ast.Subscript: _Reader.read_subscript,
    ast.Call: _Reader.read_call,
}


def _python(text: str, mode: str) -> Any:
    """Python's syntax tree of a text, which is not compiled, let alone run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text, mode=mode)


def _syntax_tree(text: str) -> ast.Module:
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            f"the expression must have at most {MAX_CHARACTERS} characters, got {len(text)}",
            f"{text[:60]}…",
            60,
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ExpressionError("this does not read as text", text, error.start) from None
    try:
        tree = _python(text, "exec")
    except SyntaxError as error:
        what = (error.msg or "").rstrip(".") or "invalid syntax"
        column = min(max(0, (error.offset or 1) - 1), len(text))
        raise ExpressionError(f"this does not read as a formula: {what}", text, column) from None
    except (MemoryError, RecursionError):
        raise ExpressionError(
            "this does not read as a formula: it is nested too deeply", text, 0, len(text)
        ) from None
    if not tree.body:
        raise ExpressionError("the expression is empty; try 'x * y' x=2 y=3", text, 0)
    return tree


Fail = Callable[[str, ast.AST], ExpressionError]
_A_VALUE = "this must be a number or a list of numbers, as 2, [1, 2] or [[1], [2]]"


def _literal(node: Any, fail: Fail) -> Any:
    """The number or the nested lists of numbers that a node spells out."""
    if not isinstance(node, ast.List):
        return _number(node, fail)
    rows: list[Any] = node.elts
    if not any(isinstance(row, ast.List) for row in rows):
        rows = [node]
    elif any(not isinstance(row, ast.List) or len(row.elts) != len(rows[0].elts) for row in rows):
        raise fail("the rows of a matrix must be lists of equal length", node)
    size = sum(len(row.elts) for row in rows)
    if not 0 < size <= MAX_ELEMENTS:
        raise fail(f"an array must have 1 to {MAX_ELEMENTS} numbers, got {size}", node)
    values = [[_number(x, fail) for x in row.elts] for row in rows]
    return values[0] if rows[0] is node else values


def _number(node: Any, fail: Fail) -> float:
    signed = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd)
    constant = node.operand if signed else node
    if not isinstance(constant, ast.Constant) or type(constant.value) not in (int, float):
        raise fail(_A_VALUE, node)
    try:
        value = float(constant.value)  # type: ignore[arg-type]
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise fail("this number is too large for float64", node)
    return -value if signed and isinstance(node.op, ast.USub) else value


def parse_value(text: str, column: int = 0) -> Any:
    """The number, vector or matrix in `text`, of which the first `column` characters are a name.

    >>> parse_value("W=[[1, 2], [3, 4]]", 2)
    [[1.0, 2.0], [3.0, 4.0]]
    """
    content = text[column:].strip()
    start = text.index(content, column)

    def fail(message: str, node: Any) -> ExpressionError:
        length = node.end_col_offset - node.col_offset
        return ExpressionError(message, text, start + node.col_offset, length)

    if len(content) > 40 * MAX_ELEMENTS:
        message = f"an array must have 1 to {MAX_ELEMENTS} numbers"
        raise ExpressionError(message, f"{text[:60]}…", column)
    try:
        tree = _python(content, "eval")
    except (SyntaxError, MemoryError, RecursionError, ValueError):
        raise ExpressionError(_A_VALUE, text, start, len(content)) from None
    return _literal(tree.body, fail)
