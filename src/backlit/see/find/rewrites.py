"""How the user's own expression could be written so that no bad number is born: what to try.

A rewrite is a text, and the same text as a function of recorded values, so that what is run is what
is offered. The first ones are ops that compute the same without the numbers that broke (`stable`);
then come operands that are kept inside the domain of their op.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...dtypes import FLOATING, LOW_PRECISION
from ...ops.elementwise import Astype, Divide, Log, Log2, Log10, Multiply, Pow, Sqrt, Where
from ...ops.reductions import Std, Var
from ...tensor import Tensor, apply
from ..records import expressions
from ..records.model import Record
from ..records.parts import NodeRecord
from ..records.revive import op_of
from ..records.value import array_of

Get = Callable[[int], Tensor]
Make = Callable[[NodeRecord, Get], "Tensor | None"]


@dataclass(frozen=True)
class Rewrite:
    """What may be written in place of the expression that made a node.

    `make` computes it, given one of the nodes that the expression made and the values of others.
    """

    node: NodeRecord
    replaces: str
    text: str
    advice: str
    make: Make


@dataclass(frozen=True)
class Written:
    """An expression of the user's that is one op, and the texts of its operands."""

    expression: ast.expr
    operands: list[ast.expr]
    library: str
    module: str

    def evaluate(self, text: str, **values: Any) -> Any:
        """A text of ours, with the user's library and the values of names of ours."""
        names = {self.library: importlib.import_module(self.module), **values}
        return eval(compile(text, "<rewrite>", "eval"), {"__builtins__": {}}, names)


def written(record: Record, node: NodeRecord) -> Written | None:
    """The expression that made a node, if that is the whole of what it did."""
    e = expressions.expression_of(node.site)
    if e is None:
        return None
    same = {id(n): n for n in record.nodes if n.site == node.site and n.op_class is not Astype}
    if len({n.op for n in same.values()} | {node.op}) > 1:
        return None  # a function that applied several ops
    library, module = expressions.library_at(node.file, e)
    given = expressions.operands(e, node.file)
    if not _fit(record, node, given):
        given = given[1:]  # of apply(op, x)
        if not _fit(record, node, given):
            given = []
    return Written(e, given, library, module)


def _fit(record: Record, node: NodeRecord, given: list[ast.expr]) -> bool:
    """Whether expressions can be those of an op's inputs, as far as it is known of these."""
    names = [e.id if isinstance(e, ast.Name) else None for e in given]
    for i, (a, e) in enumerate(zip(node.arguments, given, strict=False)):
        if "number" in a:
            continue
        source = record.nodes[record.edges[a["edge"]].source]
        if isinstance(e, ast.Name | ast.Attribute | ast.Subscript):
            if source.name and source.name in names and names[i] != source.name:
                return False
            continue
        if source.kind != "op" or source.site is None or node.site is None:
            return False
        if source.site[0] is node.site[0] and expressions.expression_of(source.site) is not e:
            return False
    return True


def rewrites(record: Record, node: NodeRecord) -> Iterator[Rewrite]:
    """Operands kept inside the domain of their op, at a node or at what its operands come from."""
    yield from _inside(record, node)
    # The same number may be kept away further up, where the operand was made.
    seen, front = {node.id}, [node.id]
    for _ in range(4):
        front = [e.source for i in front for e in record.incoming[i] if e.source not in seen]
        seen.update(front)
        for i in dict.fromkeys(front):
            above = record.nodes[i]
            if above.kind == "op" and above.op_class.domain:
                yield from _inside(record, above)


def _inside(record: Record, node: NodeRecord) -> Iterator[Rewrite]:
    """The op itself, with one operand kept inside its domain, or with another attribute."""
    found = written(record, node)
    if found is None or node.applied is None:
        return
    if issubclass(node.op_class, Var | Std):
        yield from _population(record, node, found)
    for i in range(len(node.arguments)):
        if i >= len(found.operands) or "edge" not in node.arguments[i]:
            continue
        source = record.nodes[record.edges[node.arguments[i]["edge"]].source]
        if source.dtype not in FLOATING:
            continue
        yield from _under_where(record, node, found, i)
        others = [expressions.plainly(o) for k, o in enumerate(found.operands) if k != i]
        array = array_of(source.value)
        for template, advice in _wraps(node, i, source, array):
            yield _wrapped(record, node, found, i, template, advice, others)
    if issubclass(node.op_class, Astype) and found.operands:
        text = expressions.plainly(found.operands[0])

        def left_out(at: NodeRecord, get: Get) -> Tensor:
            return get(record.incoming[at.id][0].source) + 0.0

        replaces = expressions.plainly(found.expression)
        yield Rewrite(node, replaces, text, f"{node.dtype.name} is too narrow for it", left_out)


#: By how much a number is kept away from 0; the next, where the type is too coarse for the first.
_EPSILONS = ("1e-12", "1e-7", "1e-4")
#: Up to where the exponential of every type stays in its range.
_EXPONENTS = {"float16": "10.0", "float64": "700.0"}


def _wraps(
    node: NodeRecord, i: int, source: NodeRecord, array: np.ndarray | None
) -> Iterator[tuple[str, str]]:
    """What may stand in place of an operand `{x}`, and what to know about it."""
    op = node.op_class
    wide = None if array is None else array.astype(np.float64)
    low = 0.0 if wide is None or not wide.size else float(np.nanmin(wide, initial=np.inf))
    not_negative = low >= 0
    if issubclass(op, Divide) and i == 1:
        if not_negative and source.kind == "op" and _is_size(source):
            yield from (("{x} + " + e, "the divisor may be 0") for e in _EPSILONS)
        quotient = array_of(node.value)
        if quotient is None or not np.isinf(quotient).any():  # 0/0: any number will do
            yield "{lib}where({x} != 0, {x}, 1.0)", "where it is 0 the quotient is the dividend"
        for e in ("1e-7", "1e-4", "1e-12"):
            yield "{lib}where({x} != 0, {x}, " + e + ")", f"where it is 0 it counts as {e}"
        for e in _EPSILONS if not_negative else ():
            yield "{x} + " + e, "the divisor may be 0"
    if issubclass(op, Multiply):
        yield "{lib}where({other} != 0, {x}, 0.0)", "a mask by multiplication keeps ∞ and NaN alive"
    if issubclass(op, Log | Log2 | Log10) and not_negative:
        yield from (("{x} + " + e, "") for e in _EPSILONS)
    if issubclass(op, Sqrt):
        if not_negative:
            yield from (("{x} + " + e, "the epsilon belongs inside the root") for e in _EPSILONS)
        else:
            for e in _EPSILONS:
                yield "{lib}maximum({x}, 0.0) + " + e, "numbers below 0 count as 0"
    if issubclass(op, Pow) and i == 0:
        if not_negative:
            yield from (("{x} + " + e, "") for e in _EPSILONS)
        else:
            advice = "numbers below 0 count as 0: a power of one is no real number"
            yield from (("{lib}maximum({x}, " + e + ")", advice) for e in _EPSILONS)
    if op.inside and not issubclass(op, Log | Log2 | Log10 | Sqrt):
        for near in ("1e-6", "1e-3"):
            beyond = "what lies beyond counts as the border"
            told = f"where it is 0 it counts as {near}" if " != 0" in op.inside else beyond
            yield op.inside.replace("1e-6", near), told
    if source.dtype in LOW_PRECISION or node.dtype in LOW_PRECISION:
        yield "{atom}.astype('float32')", f"{node.dtype.name} is too narrow for it"
    if op.overflows:
        top = _EXPONENTS.get(node.dtype.name, "80.0")
        cut = "what lies beyond {top} is cut off and gets no gradient: look at why it is so large"
        if low > -float(top):
            yield "{lib}minimum({x}, " + top + ")", cut.format(top=top)
        yield "{lib}clip({x}, -" + top + ", " + top + ")", cut.format(top=f"±{top}")
    elif source.dtype.name == "float32":
        yield "{atom}.astype('float64')", "float32 is too narrow for it: why is it so large?"


def _is_size(source: NodeRecord) -> bool:
    """Whether a divisor is a deviation or a norm, to which an epsilon is added."""
    return issubclass(source.op_class, Std | Sqrt) or "norm" in source.op


def _wrapped(
    record: Record,
    node: NodeRecord,
    found: Written,
    i: int,
    template: str,
    advice: str,
    others: Sequence[str],
) -> Rewrite:
    """The op with its operand number i put into a template."""
    e, lib = found.expression, f"{found.library}."
    x, other = expressions.plainly(found.operands[i]), others[0] if others else ""
    text = template.format(x=x, atom=expressions.atom(x), lib=lib, other=other)
    ours = template.format(x="x__", atom="x__", lib=lib, other="other__")

    def make(at: NodeRecord, get: Get) -> Tensor | None:
        inputs = _values(record, at, get)
        rest = [x for k, x in enumerate(inputs) if k != i]
        other = rest[0] if rest else None
        inputs[i] = found.evaluate(ours, x__=inputs[i], other__=other)
        return apply(op_of(at, "rerun"), *inputs)

    new = expressions.exchanged(e, found.operands[i], text)
    return Rewrite(node, expressions.plainly(e), new, advice, make)


def _values(record: Record, node: NodeRecord, get: Get) -> list[Any]:
    return [
        get(record.edges[a["edge"]].source) if "edge" in a else a["number"] for a in node.arguments
    ]


def _population(record: Record, node: NodeRecord, found: Written) -> Iterator[Rewrite]:
    """A variance over all n numbers, where one of a sample divides by n − 1 = 0."""
    e, op = found.expression, op_of(node, "rerun")
    if not isinstance(e, ast.Call) or not getattr(op, "correction", 0):
        return
    kept = [k for k in e.keywords if k.arg not in ("correction", "unbiased", "ddof")]
    zero = ast.keyword("correction", ast.Constant(0))
    text = expressions.plainly(ast.Call(e.func, e.args, [*kept, zero]))
    attributes = {a: getattr(op, a) for a in op.attributes} | {"correction": 0}
    biased = type(op)(**attributes)

    def make(at: NodeRecord, get: Get) -> Tensor:
        return apply(biased, *_values(record, at, get))

    yield Rewrite(
        node, expressions.plainly(e), text, "one number alone has no spread to estimate", make
    )


def _under_where(record: Record, node: NodeRecord, found: Written, i: int) -> Iterator[Rewrite]:
    """The operand with harmless numbers where the `where` around it does not choose."""
    advice = "the branch that is not chosen must be finite, too: its gradient is multiplied by 0"
    e, x, lib = found.expression, found.operands[i], f"{found.library}."
    where, chosen = _where_after(record, node)
    if where is None:
        return
    around = written(record, where)
    text = expressions.plainly(x)
    if around is not None and len(around.operands) == 3 and where.site and node.site:
        condition = around.operands[0]
        names = expressions.names_in(condition) - expressions.names_in(x)
        same = where.site[0] is node.site[0]
        if same and not expressions.is_set_between(names, node.file, node.line, where.line):
            c = expressions.plainly(condition)
            safe = _chosen(lib, c, text, chosen)

            def make(at: NodeRecord, get: Get) -> Tensor | None:
                there, side = _where_after(record, at)
                if there is None:
                    return None
                inputs = _values(record, at, get)
                c = get(record.incoming[there.id][0].source)
                inputs[i] = found.evaluate(_chosen(lib, "c__", "x__", side), c__=c, x__=inputs[i])
                return apply(op_of(at, "rerun"), *inputs)

            inner = expressions.exchanged(e, x, safe)
            yield Rewrite(node, expressions.plainly(e), inner, advice, make)
    sign = ">" if issubclass(node.op_class, Log | Log2 | Log10 | Sqrt | Pow) else "!="
    template = "{lib}where({x} " + sign + " 0, {x}, 1.0)"
    yield _wrapped(record, node, found, i, template, advice, ())


def _chosen(lib: str, condition: str, x: str, position: int) -> str:
    pair = f"{x}, 1.0" if position == 1 else f"1.0, {x}"
    return f"{lib}where({condition}, {pair})"


def _where_after(record: Record, node: NodeRecord) -> tuple[NodeRecord | None, int]:
    """The `where` that a value goes on into, and on which side it stands there."""
    for e in record.onward(node, 4):
        target = record.nodes[e.target]
        if target.op_class is Where and e.position > 0 and "edge" in target.arguments[0]:
            return target, e.position
    return None, 0
