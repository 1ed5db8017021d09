"""Why a parameter's gradient is None, zero or stale, with the line that made it so.

frozen            requires_grad is False, or was when the loss was computed
overwritten       the name holds the result of an op now, or got a new value since
not used          no op of the forward pass read it
no graph          the loss was not computed by ops on the tape
detached          a value computed from it went on without its gradient (detach, assign, no_grad)
read as a number  a value computed from it went through item(), numpy() or the like
no derivative     it went through an op that has none (argmax, a comparison, an integer cast)
not reached       what was computed from it does not lead to this loss
masked            a mask, a factor or an input of zeros stopped the gradient
dead units        every unit behind it is off (ReLU below 0, clip outside its limits)
flat              an op whose derivative is 0 (floor, round, sign), or one that saturated
not chosen        an index, a maximum or a `where` never chose it
cancels           what is computed from it does not depend on it, by mathematics
no backward yet, accumulated, stale

A reason is given for what was seen. What may be is told as such.
"""

from __future__ import annotations

import linecache
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...dtypes import FLOATING
from ...errors import ArgumentError, GraphFreedError
from ...location import location
from ...nn.module import Parameter
from ...op import Op, describe
from ...ops.elementwise import Convert
from ...tensor import Tensor
from ..records.from_block import Recording
from ..records.from_tape import as_record
from ..records.model import Record
from ..records.naming import names_of, user_frames
from ..records.parts import NodeRecord, Read
from ..records.value import array_of
from ..told import Told
from .exits import Crossing, Ways, holding, loss_of
from .reason import Reason
from .zeros import cancels, dead_part, is_tiny, zeros, zeros_of


@dataclass(repr=False)
class Why(Told):
    """What is known of a parameter's gradient: its state ("none", "zero", "partly zero", "stale",
    "not finite" or "fine") and the reasons for it.
    """

    name: str
    state: str
    reasons: list[Reason] = field(default_factory=list)

    def _lines(self) -> list[tuple[str, str]]:
        heads = {
            "none": "has no gradient",
            "zero": "has a gradient of zeros",
            "partly zero": "has a gradient that is zero in part",
            "stale": "has a gradient that is not this loss's",
            "not finite": "has a gradient that is not finite",
            "fine": "has a gradient, and it is this loss's",
        }
        style = "green" if self.state == "fine" else "bold red"
        lines = [(style, f"{self.name} {heads[self.state]}")]
        for r in self.reasons:
            lines.append(("bold", f"  {r.kind}: {r.text}"))
            if r.line:
                lines.append(("cyan", f"    at {r.line}"))
            if r.fix:
                lines.append(("", f"    fix: {r.fix}"))
        return lines


def why(parameter: Tensor, source: Any = None) -> Why:
    """Say why the gradient of a parameter is None, zero or stale.

    `source` is the loss (before its graph is freed), or better a recording of the forward pass,
    which also knows what happened outside the tape: `with see.recording() as r: ...`.

    >>> import backlit as bl
    >>> w = bl.tensor([1.0, -2.0], requires_grad=True)
    >>> print(why(w, bl.round(w).sum()))  # doctest: +ELLIPSIS
    w has a gradient of zeros
      flat: round has the derivative 0 everywhere
        at ...
        fix: use a smooth function, or pass the gradient straight through in an op of your own
    """
    if not isinstance(parameter, Tensor):
        raise ArgumentError(f"why: needs a Tensor, got {type(parameter).__name__}")
    variables = names_of(user_frames(sys._getframe(1)))
    name = parameter.name or variables.get(id(parameter)) or "the tensor"
    if parameter.node is not None:
        node = parameter.node
        return Why(
            name,
            "none",
            [
                Reason(
                    "overwritten",
                    f"this is the result of {node.op.name}, no leaf: only leaves keep a gradient",
                    _source(*node.line, "" if node.scope is None else node.scope.path),
                    "ask for the leaf it was computed from; to update a parameter use "
                    "w -= lr * w.grad under no_grad, or assign(); to see this gradient call "
                    "retain_grad() before backward",
                )
            ],
        )
    if not parameter.requires_grad:
        return Why(name, "none", [_frozen(parameter, source)])
    if source is None:
        return _alone(parameter, name)
    number = isinstance(source, bool | int | float | np.generic | np.ndarray)
    if number or (isinstance(source, Tensor) and source is not parameter and source.node is None):
        return Why(name, "none", [_no_graph(source)])
    try:
        record = source.of_loss() if isinstance(source, Recording) else as_record(source)
    except GraphFreedError:
        return _freed(parameter, name)
    return _in_record(parameter, record, name, isinstance(source, Tensor))


_RECORD = (
    "ask a recording of the forward pass: with see.recording() as r: ...; see.why(parameter, r)"
)
_UPDATE = "update a parameter with w -= lr * w.grad under no_grad, which keeps it, or with assign()"


def _frozen(parameter: Tensor, source: Any) -> Reason:
    """Why a Tensor is asked for no gradient: it never was, or it is not the parameter any more."""
    if isinstance(source, Recording):
        record = source.record
        node = record.node_of(parameter)
        if node is not None and node.kind == "op":
            text = f"this is the result of {node.op}, computed under no_grad, and not the parameter"
            return Reason("overwritten", text, record.place(node), _UPDATE)
    fix = "requires_grad_() on the tensor or its module, before the forward pass"
    if parameter.dtype not in FLOATING:
        fix = f"only floating tensors have gradients, this one is {parameter.dtype}"
    elif not isinstance(parameter, Parameter):
        fix += f"; if this name was bound anew by w = w - ... under no_grad: {_UPDATE}"
    return Reason("frozen", "requires_grad is False", fix=fix)


def _no_graph(loss: Any) -> Reason:
    """What is known of a loss that no op on the tape computed."""
    if not isinstance(loss, Tensor) or loss.requires_grad:
        what = "is a leaf" if isinstance(loss, Tensor) else f"is a {type(loss).__name__}"
        text = f"the loss ({describe(loss)}) {what}: made from numbers, not computed by ops"
        fix = (
            "compute it of Tensors, without item(), float(), numpy() and tensor(); setting "
            "requires_grad does not connect it"
        )
        return Reason("no graph", text, fix=fix)
    text = (
        f"the loss ({describe(loss)}) does not require a gradient: nothing that it was computed "
        "from does, or the way ended before it: at item(), numpy(), detach() or assign(), under "
        "no_grad, or in an op without a derivative, such as argmax, a comparison or a cast"
    )
    return Reason("no graph", text, fix=_RECORD)


def _freed(parameter: Tensor, name: str) -> Why:
    """What is known once a backward pass has freed the loss's graph."""
    if parameter.grad is not None:
        return _alone(parameter, name)
    text = (
        "a backward pass has run and left no gradient here; it freed the graph that would say why"
    )
    fix = f"compute the loss again and ask before backward(), or {_RECORD}"
    return Why(name, "none", [Reason("not reached", text, fix=fix)])


def _alone(parameter: Tensor, name: str) -> Why:
    if parameter.grad is None:
        text = "no backward has reached it since its gradient was last cleared"
        fix = "call loss.backward(); give why(parameter, loss) to see the path"
        return Why(name, "none", [Reason("no backward yet", text, fix=fix)])
    if not parameter.grad.numpy().any():
        fix = "give why(parameter, loss), or a recording, to see where it became 0"
        return Why(name, "zero", [Reason("unknown", "the loss is needed to tell", fix=fix)])
    return Why(name, "fine")


def _in_record(parameter: Tensor, record: Record, name: str, live: bool = False) -> Why:
    node = record.node_of(parameter)
    if node is None:
        return Why(name, "none", [_absent(parameter, record, live)])
    name = node.name or name
    if not node.requires_grad and record.outgoing[node.id]:
        user = record.nodes[record.outgoing[node.id][0].target]
        text = f"requires_grad was not set yet when {user.op} used it"
        fix = "call requires_grad_() before the forward pass"
        return Why(name, "none", [Reason("frozen", text, record.place(user), fix)])
    loss = loss_of(record)
    if loss is None or (loss == record.output and record.seed is None):
        return Why(name, "none", [_no_start(record, loss)])
    gradient = array_of(node.upstream)
    if loss != record.output or gradient is None:
        return Why(name, "none", _cut(record, node, loss))
    if not gradient.any():
        return Why(name, "zero", zeros_of(record, node, loss))
    bad = gradient.size - int(np.isfinite(gradient.astype(np.float64)).sum())
    if bad:
        text = f"{bad} of {gradient.size} elements of it are nan or infinite"
        fix = "see.bad_numbers(recording) says where the first one was born"
        return Why(name, "not finite", [Reason("not finite", text, fix=fix)])
    if is_tiny(record, node, gradient):
        rest = cancels(record, node, loss, gradient)
        if rest is not None:
            return Why(name, "zero", [rest])
    stale = _stale(parameter, node, gradient)
    if stale is not None:
        return Why(name, "stale", [stale])
    dead = dead_part(gradient)
    if dead:
        found = zeros(record, node, True)
        kind = found[0].kind if found else "zero in part"
        return Why(name, "partly zero", [Reason(kind, dead), *found])
    if parameter.grad is None:
        text = (
            "this loss gives it a gradient; backward() has not been called, or the gradient was "
            "cleared since"
        )
        return Why(name, "none", [Reason("no backward yet", text, fix="call loss.backward()")])
    return Why(name, "fine")


def _no_start(record: Record, loss: int | None) -> Reason:
    """Why a record has nothing that a backward pass could start from."""
    if record.error is not None:
        text = f"the recorded code raised before there was a loss: {record.error}"
        return Reason("no backward yet", text)
    if loss is not None:
        text = f"the loss is no single number ({record.nodes[loss].type}), where backward() starts"
        return Reason("no backward yet", text, fix="take its mean() or sum(), or pass a gradient")
    text = "the record has no single number to start from"
    fix = "record the loss too, or name it: recording.of(loss)"
    return Reason("no backward yet", text, fix=fix)


def _absent(parameter: Tensor, record: Record, live: bool) -> Reason:
    """Why a parameter is not in a record at all."""
    for node in record.nodes:
        same = node.value is not None and node.value.array is parameter.array
        if node.kind == "constant" and same and record.outgoing[node.id]:
            return _detached(record, Crossing(node.id, node.id), "it")
    for read in record.live.reads:
        if read.array is parameter.array:
            holders = [Crossing(n.id, n.id, read) for n in holding(record, read)]
            return _detached(record, holders[0], "it") if holders else _may_be("it", read)
    if not record.nodes:
        text = "nothing was recorded: no op ran in the block, or only inside a compiled function"
        return Reason("not used", text, fix="call the function without compile while recording")
    if live and record.output is not None and record.nodes[record.output].op == "compiled":
        text = "the loss came out of a compiled function, through which no gradient goes"
        fix = "call backward() inside that function, or ask with the function itself, not compiled"
        return Reason("no graph", text, fix=fix)
    if live:
        loss = record.nodes[record.output] if record.output is not None else None
        text = (
            f"no way leads from it to {loss.label if loss is not None else 'the loss'}: it was not "
            "used, or what was computed from it lost its gradient on the way"
        )
        return Reason("not reached", text, fix=_RECORD)
    text = f"none of the {len(record.nodes)} recorded tensors is this one"
    twins = [
        n for n in record.nodes
        if n.kind in ("parameter", "leaf") and n.shape == parameter.shape
    ]  # fmt: skip
    if twins:
        twin = next((n for n in twins if _has_values_of(n, parameter)), twins[0])
        both = _has_values_of(twin, parameter)
        text += f"; {twin.label} has its shape{' and its values' if both else ''}: was it replaced "
        text += "by another tensor, as by a copy?" if both else "by another tensor?"
    fix = "use it in forward(), and make the optimizer after the last replacement"
    return Reason("not used", text, fix=fix)


def _has_values_of(node: NodeRecord, parameter: Tensor) -> bool:
    array = array_of(node.value)
    return array is not None and array.size > 0 and np.array_equal(array, parameter.array)


# -- None: the gradient never comes -------------------------------------------------------------


def _cut(record: Record, start: NodeRecord, loss: int) -> list[Reason]:
    """Follow the value forward to every place where the way to the loss ends."""
    ways = Ways(record, start.id, loss)
    if not ways.open:
        reads = list({(r.file, r.line): r for r in ways.possible}.values())[-2:]
        read = [_may_be(record.nodes[r.source].label, r) for r in reads]
        return [_no_way(record, start, loss, ways), *read]
    reasons: list[tuple[int, Reason]] = []
    between = {n.id for n in ways.between}
    for node in ways.between:
        carrying = [
            e for e in record.incoming[node.id]
            if e.source in between and record.nodes[e.source].requires_grad
        ]  # fmt: skip
        if node.kind == "op" and not node.requires_grad and carrying:
            reasons.append((node.id, _ended(record, node)))
    for c in ways.crossed:
        if record.nodes[c.source].requires_grad:
            label = "it" if c.source == start.id else f"the value of {record.nodes[c.source].label}"
            reasons.append((c.target, _detached(record, c, label)))
    if reasons:
        return [r for _, r in sorted(reasons, key=lambda pair: pair[0])][:3]
    text = "a way leads to the loss, but no gradient came back on it"
    failed = record.failed
    if failed is not None:
        text = f"the backward pass did not get through: {failed.error}"
    return [Reason("not reached", text)]


def _ended(record: Record, node: NodeRecord) -> Reason:
    """Why the result of an op requires no gradient though an input does."""
    at = record.place(node)
    known = node.op_class
    if known is not Op and not known.differentiable:
        if known is Convert:
            text = f"it is cast to {node.dtype}, and integers and truth values have no gradients"
            return Reason("no derivative", text, at, "stay with floating numbers")
        text = f"it goes through {node.op}, which has none"
        fix = "use a smooth relaxation (softmax for argmax), or a loss on what comes before"
        return Reason("no derivative", text, at, fix)
    if node.id in record.live.off:
        text = f"{node.op} was computed under no_grad"
        return Reason("detached", text, at, "compute it outside the no_grad block")
    return Reason("detached", f"{node.op} gave a result without a gradient", at)


def _detached(record: Record, c: Crossing, what: str) -> Reason:
    """A value that went on without its gradient."""
    target = record.nodes[c.target]
    uses = record.outgoing[target.id]
    user = target if target.kind == "op" or not uses else record.nodes[uses[0].target]
    if c.read is None:
        return Reason(
            "detached",
            f"{what} goes on into {user.op} without its gradient",
            record.place(user),
            "take out detach(), .data, numpy() or assign() on the way",
        )
    return Reason(
        "read as a number",
        f"{what} was read by {c.read.what} and goes on into {user.op} as a plain number",
        _read_at(c.read),
        _STAY,
    )


_STAY = "stay with Tensors: no item(), float() or NumPy on the way; backlit.stack joins several"


def _no_way(record: Record, start: NodeRecord, loss: int, ways: Ways) -> Reason:
    """That nothing computed from a tensor is known to be in the loss."""
    if len(ways.reached) == 1:
        text = "no op of the forward pass reads it"
        return Reason("not used", text, fix="use it in forward()")
    reached = [record.nodes[i] for i in sorted(ways.reached) if i != start.id]
    ends = [n for n in reached if not record.outgoing[n.id]]
    last = ends[0] if ends else reached[0]
    return Reason(
        "not reached",
        f"what is computed from it ends in {last.label}, which {record.nodes[loss].label} does not "
        "use",
        record.place(last),
        "add that part to the loss, or leave the parameter out of the optimizer",
    )


def _may_be(what: str, read: Read) -> Reason:
    """A read whose number the loss may have been computed from, out of sight."""
    text = (
        f"{what} was read by {read.what}: if the loss is computed from that, this is where the "
        "gradient ends"
    )
    return Reason("read as a number", text, _read_at(read), _STAY)


def _read_at(read: Read) -> str:
    return _source(read.file, read.line)


# -- stale: the gradient is of something else ---------------------------------------------------


def _stale(parameter: Tensor, node: NodeRecord, gradient: np.ndarray) -> Reason | None:
    kept = parameter.grad
    now = gradient.astype(np.float64)
    then = None if kept is None else kept.numpy().astype(np.float64)
    scale = max(float(np.max(np.abs(now))), 1e-30)
    if then is not None and np.allclose(now, then, rtol=1e-4, atol=1e-6 * scale):
        return None  # also if an optimizer has used it since
    value = array_of(node.value)
    if value is not None and value is not parameter.array:
        return Reason(
            "overwritten",
            "it got a new value after this forward pass: the gradient belongs to the old one",
            fix="run forward and backward again after every update",
        )
    if then is None:
        return None
    times = float(np.sum(now * then) / np.sum(now * now))
    if round(times) > 1 and np.allclose(then, round(times) * now, rtol=1e-3, atol=1e-5 * scale):
        text = f".grad is {round(times)} times this loss's gradient: it was added up"
        return Reason("accumulated", text, fix="call optimizer.zero_grad() before each backward")
    text = f".grad differs from this loss's gradient ({describe(parameter)}): from another backward"
    fix = "call optimizer.zero_grad() before backward, and backward() after this loss"
    return Reason("stale", text, fix=fix)


# -- words --------------------------------------------------------------------------------------


def _source(filename: str, line: int, scope: str = "") -> str:
    text = linecache.getline(filename, line).strip() if filename else ""
    return location(filename, line, scope, text)
