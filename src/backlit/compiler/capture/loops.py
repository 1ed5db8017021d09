"""How a captured function's `scan` becomes a loop: one run of its step, and its derivative.

The step is run on abstract Tensors, on the tape of the function around it, and what it writes down
becomes the body of a loop. On the outer tape stands one node (`Steps`) that leads to all that the
steps were computed from. Its derivative is the walk back over the tape of one step, from abstract
upstream gradients: what that writes down is the body of a loop in the other direction. It carries
the gradients of what was carried, adds up those of what the steps found around them, and takes what
it reads of the forward steps as stacks of values (residuals), which the forward loop is asked for.
That loop can be put on the tape as the first one was, and so on to any order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...array_api import reshape, zeros
from ...autograd import topological, walk_part
from ...dtypes import FLOATING
from ...errors import TraceError
from ...op import Op
from ...ops import elementwise, movement
from ...state import STATE
from ...tape import Node, is_open, make_node
from ...tensor import Tensor, wrap
from .body import CHECKS, Body, Part, Scan
from .graph import Equation, Variable

#: Ops that are done again in the backward steps, because their result is no smaller than what it
#: is made of.
_MOVES = (movement.PermuteDims, movement.BroadcastTo, movement.Reshape, movement.Flip)

#: step(carry, x) -> (carry, y): lists of Tensors.
Step = Callable[[list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]]


@dataclass(eq=False)
class Run:
    """A loop in the graph: its body, and the variables outside that it is given.

    `forward` is the loop whose derivative it is.
    """

    body: Body
    inputs: tuple[Variable, ...]
    forward: Run | None = None

    def part(self, tracer: Any, kind: str, number: int = 0) -> Variable:
        """One of its results, by an equation."""
        part = CHECKS if kind == "checks" else Part(kind, number)
        return tracer.write(Scan(body=self.body, part=part), self.inputs)

    def stacked(self, tracer: Any, v: Variable) -> Variable:
        """What a variable of its body is in all steps: it was given, or it is one of its results"""
        body = self.body
        if v in body.xs:
            return self.inputs[body.numbers[v]]
        return self.part(tracer, "stack", body.numbers[v])

    def home(self, v: Variable) -> Run | None:
        """The loop in whose steps a variable is made or taken; None if it is the same in all."""
        run: Run | None = self
        while run is not None:
            if v in run.body.numbers and v not in run.body.constants:
                return run
            run = run.forward
        return None


class Port(NamedTuple):
    """A way on which a gradient leaves the steps: its edge on the outer tape, its key on theirs."""

    edge: Any
    key: Any


class Result(NamedTuple):
    """A result of a loop: which, its Tensor in one step, and the variable that holds it."""

    part: Part
    inside: Tensor
    variable: Variable


@dataclass(eq=False)
class Record:
    """A loop with the tape of one step."""

    run: Run
    since: int  # the number of the first node on the tape of the step
    local: set[Any]  # what the step makes: variables, and Tensors with numbers
    #: For each carried value what the step is given, with the leaf below it, if it is on the tape.
    carried: list[tuple[Tensor, Tensor | None]]
    following: list[Tensor]
    around: list[Port]  # what the steps find around them
    first: list[Port]  # what the carried values on the tape begin with, in their order
    slices: list[Port]  # what the steps take slices of

    @property
    def edges(self) -> tuple[Any, ...]:
        """What the node of the loop was computed from."""
        return tuple([port.edge for port in (*self.around, *self.first, *self.slices)])


# -- forward ----------------------------------------------------------------------------------


class Inside(NamedTuple):
    """What belongs to the step that is being run."""

    variables: set[Variable]
    made_before: set[Tensor]

    def owns(self, tensor: Tensor, made: set[Tensor]) -> bool:
        """Whether the step has made a Tensor, or was given it."""
        if type(tensor.array) is Variable:
            return tensor.array in self.variables
        return tensor in made and tensor not in self.made_before


@contextlib.contextmanager
def _one_step(tracer: Any) -> Iterator[tuple[list[Equation], Inside]]:
    """A block whose equations are those of one step."""
    before = tracer.equations, tracer.inside, tracer.forward
    tracer.equations, tracer.inside = [], Inside(set(), set(tracer.made))
    try:
        yield tracer.equations, tracer.inside
    finally:
        tracer.equations, tracer.inside, tracer.forward = before


class _Attempt(NamedTuple):
    """One run of a step."""

    equations: list[Equation]
    local: set[Any]
    since: int
    carried: list[tuple[Tensor, Tensor | None]]
    taken: list[tuple[Tensor, Tensor | None]]
    following: list[Tensor]
    ys: list[Tensor]
    #: Of Tensors that the step replaces: the values before and after it.
    replaced: dict[Tensor, tuple[Variable, Variable]]


def recur(
    tracer: Any, step: Step, carry: list[Tensor], xs: list[Tensor], length: int, reverse: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """The carried values after all steps, and the stacked results: as one loop.

    A Tensor of the surroundings that the step replaces (running statistics, the counter of random
    numbers) is carried, too. Which ones are, and which carried values come on the tape, is known
    when the step has been run; then it is run again.
    """
    on = STATE.grad_enabled
    linked = [on and x.requires_grad and x.dtype in FLOATING for x in carry]
    hidden: dict[Tensor, Variable] = {}
    while True:
        attempt, values = _attempt(tracer, step, carry, linked, xs, hidden)
        more = [a or t.requires_grad for a, t in zip(linked, attempt.following, strict=True)]
        if more == linked and attempt.replaced.keys() <= hidden.keys():
            break
        linked = more
        hidden.update({t: values.get(t) or tracer.found[t] for t in attempt.replaced})
    own = [tracer.read(x) for x in carry]
    taken = [tracer.read(x) for x in xs]
    following = [tracer.read(t) for t in attempt.following]
    ys = [tracer.read(t) for t in attempt.ys]
    first = [x.array for x, _ in attempt.carried] + [attempt.replaced[t][0] for t in hidden]
    body = _body(
        attempt.equations,
        first,
        [x.array for x, _ in attempt.taken],
        [*following, *(attempt.replaced[t][1] for t in hidden)],
        ys,
        length,
        reverse,
    )
    run = Run(body, (*body.constants, *own, *hidden.values(), *taken))
    record = Record(
        run,
        attempt.since,
        attempt.local,
        attempt.carried,
        attempt.following,
        [],
        [
            Port(_edge(x), k)
            for x, (_, k) in zip(carry, attempt.carried, strict=True)
            if k is not None
        ],
        [Port(_edge(x), k) for x, (_, k) in zip(xs, attempt.taken, strict=True) if k is not None],
    )
    record.around += _around(record, [*attempt.following, *attempt.ys])
    if body.checks:
        run.part(tracer, "checks")
    for number, t in enumerate(hidden, len(carry)):
        tracer.updated[t] = tracer.current[t] = run.part(tracer, "final", number)
    finals = [
        Result(Part("final", i), t, run.part(tracer, "final", i))
        for i, t in enumerate(attempt.following)
    ]
    stacks = [
        Result(Part("stack", body.numbers[v]), t, run.part(tracer, "stack", body.numbers[v]))
        for v, t in zip(ys, attempt.ys, strict=True)
    ]
    results = _linked(record, [*finals, *stacks])
    return results[: len(carry)], results[len(carry) :]


def _attempt(
    tracer: Any,
    step: Step,
    carry: list[Tensor],
    linked: list[bool],
    xs: list[Tensor],
    hidden: dict[Tensor, Variable],
) -> tuple[_Attempt, dict[Tensor, Variable]]:
    """Run the step once; also the values of the surroundings as they were, which they are again."""
    updated, current = dict(tracer.updated), dict(tracer.current)
    state = tracer.state()
    since = next(Node._counter)
    with _one_step(tracer) as (equations, inside):
        carried = [
            _given(inside, Variable(x.shape, x.dtype), a)
            for x, a in zip(carry, linked, strict=True)
        ]
        on = STATE.grad_enabled
        taken = [_given(inside, Variable(x.shape[1:], x.dtype), on and x.requires_grad) for x in xs]
        starts = {t: Variable(v.shape, v.dtype) for t, v in hidden.items()}
        tracer.current.update(starts)
        following, ys = step(
            [wrap(x.array, x.node) for x, _ in carried], [wrap(x.array, x.node) for x, _ in taken]
        )
        for t in (*following, *ys):
            tracer.read(t)
        now = {t: v for t, v in tracer.updated.items() if v is not updated.get(t)}
        replaced = {t: (v, now.get(t, v)) for t, v in starts.items()}
        replaced.update({t: (v, v) for t, v in now.items() if t not in starts})
        made = {t for t in tracer.made if t not in inside.made_before}
    tracer.current.update({t: current.get(t) or tracer.found[t] for t in replaced})
    _require_unchanged(tracer, state)
    local = {*inside.variables, *made}
    return _Attempt(equations, local, since, carried, taken, following, ys, replaced), current


def _require_unchanged(tracer: Any, before: list[tuple[str, Any]]) -> None:
    """Raise if a step, or a hook in it, has changed something that is no Tensor."""
    changed = next((entry for entry in tracer.state() if entry not in before), None)
    if changed is not None:
        raise tracer.refuse(
            f"scan: a step must not change what Python holds, because a captured function runs it "
            f"once for all steps, but {changed[0]} has changed; carry it as a Tensor, or return it "
            "as y"
        )


def _given(inside: Inside, variable: Variable, linked: bool) -> tuple[Tensor, Tensor | None]:
    """A Tensor that the step is given a twin of, and the leaf from which it comes on the tape."""
    inside.variables.add(variable)
    if not linked:
        return wrap(variable), None
    leaf = wrap(variable)
    leaf._requires_grad = True
    return wrap(variable, make_node(elementwise.Positive(), (leaf,), (variable,), variable)), leaf


def _edge(x: Tensor) -> Any:
    return x.node or x


def _body(
    equations: list[Equation],
    carry: list[Variable],
    xs: list[Variable],
    following: list[Variable],
    others: Sequence[Variable],
    length: int,
    reverse: bool,
) -> Body:
    """The body of these equations, whose other variables are constants."""
    known = {*carry, *xs, *(e.output for e in equations)}
    read = [x for e in equations for x in e.inputs if isinstance(x, Variable)]
    constants = [v for v in dict.fromkeys([*read, *following, *others]) if v not in known]
    return Body(constants, carry, xs, equations, following, length, reverse)


def _around(record: Record, results: list[Tensor]) -> list[Port]:
    """The edges that lead from the tape of a step out of it."""
    keys = [_edge(t) for t in results if t.requires_grad]
    nodes = topological(keys, record.since)
    inside = set(nodes)
    own = {port.key for port in (*record.first, *record.slices)}
    found = [edge for node in nodes for edge in node.inputs if is_open(edge)]
    outside = [
        edge
        for edge in dict.fromkeys([*keys, *found])
        if edge not in inside and edge not in own and not _is_local(record, edge)
    ]
    return [Port(edge, edge) for edge in outside]


def _is_local(record: Record, edge: Any) -> bool:
    """Whether an edge is a leaf that the step itself makes."""
    return isinstance(edge, Tensor) and (
        edge in record.local or (type(edge.array) is Variable and edge.array in record.local)
    )


# -- on the tape --------------------------------------------------------------------------------


class Steps(Op):
    """Stands on the tape for a loop: some of its results of one dtype, end to end if several.

    Its upstream gradient is theirs; its inputs are all that the steps were computed from.
    """

    attributes = ("record", "results")
    record: Record
    results: tuple[Result, ...]

    def __init__(self, **attributes: Any):
        super().__init__(**attributes)
        self.__dict__["name"] = "scan"

    def backward(self, xp: Any, grad_y: Any) -> Any:
        """The loop in the other direction."""
        upstream, start = [], 0
        for result in self.results:
            v, piece = result.variable, grad_y
            if len(self.results) > 1:
                piece = reshape(xp.slice(grad_y, index=((start, v.size, 1),)), v.shape)
                start += v.size
            upstream.append(piece.astype(v.dtype))
        return _pulled(self.record, self.results, upstream)


def _linked(record: Record, results: list[Result]) -> list[Tensor]:
    """The results as Tensors, on the tape if their Tensors in a step are.

    Those of one dtype have one node, so that one walk goes back over the steps for all of them; a
    loop's derivative is linear in the upstream gradients, so those of several dtypes add up.
    """
    tensors = {r: wrap(r.variable) for r in results}
    on = [r for r in results if r.inside.requires_grad]
    for dtype in dict.fromkeys(r.variable.dtype for r in on):
        group = tuple([r for r in on if r.variable.dtype == dtype])
        op = Steps(record=record, results=group)
        whole = group[0].variable
        if len(group) > 1:
            whole = Variable((sum(r.variable.size for r in group),), dtype)
        node = make_node(op, (), (), whole)
        node.inputs = record.edges
        if len(group) == 1:
            tensors[group[0]] = wrap(group[0].variable, node)
            continue
        start = 0
        for r in group:
            v = r.variable
            row = Variable((v.size,), dtype)
            cut = movement.Slice(index=((start, v.size, 1),))
            piece = wrap(row, make_node(cut, (wrap(whole, node),), (whole,), row))
            shaped = movement.Reshape(shape=v.shape)
            tensors[r] = wrap(v, make_node(shaped, (piece,), (row,), v))
            start += v.size
    return [tensors[r] for r in results]


# -- backward -----------------------------------------------------------------------------------


def _leaf(inside: Inside, shape: Any, dtype: Any, requires_grad: bool) -> Tensor:
    """An abstract Tensor that backward steps are given."""
    leaf = wrap(Variable(shape, dtype))
    leaf._requires_grad = requires_grad
    inside.variables.add(leaf.array)
    return leaf


def _pulled(record: Record, results: tuple[Result, ...], upstream: list[Tensor]) -> tuple[Any, ...]:
    """The gradient for each edge of a loop, from those of its results."""
    tracer: Any = STATE.execution
    if not hasattr(tracer, "write"):
        raise TraceError(
            "scan: a captured loop has no derivative under vmap; put the scan into the function "
            "that vmap is given, where it is done step by step, or differentiate without vmap"
        )
    again = STATE.grad_enabled  # whether the gradients are to be differentiated, too
    linked = [(i, leaf) for i, (_, leaf) in enumerate(record.carried) if leaf is not None]
    given = {
        r.part.number: g for r, g in zip(results, upstream, strict=True) if r.part[0] == "final"
    }
    begins = [given[i] if i in given else zeros(leaf.shape, dtype=leaf.dtype) for i, leaf in linked]
    stacked = [(r, g) for r, g in zip(results, upstream, strict=True) if r.part.kind == "stack"]
    site, state = tracer.forward, tracer.state()
    with _one_step(tracer) as (equations, inside):
        seeds = [_leaf(inside, leaf.shape, leaf.dtype, again) for _, leaf in linked]
        rows = [_leaf(inside, g.shape[1:], g.dtype, again) for _, g in stacked]
        arrived = walk_part(
            [
                *(
                    (_edge(record.following[i]), seed)
                    for (i, _), seed in zip(linked, seeds, strict=True)
                    if record.following[i].requires_grad
                ),
                *((_edge(r.inside), row) for (r, _), row in zip(stacked, rows, strict=True)),
            ],
            record.since,
            keep=True,
            differentiable=again,
        )
        _require_unchanged(tracer, state)
        tracer.forward = site
        back = [
            arrived[leaf] if leaf in arrived else zeros(leaf.shape, dtype=leaf.dtype)
            for _, leaf in linked
        ]
        around = [port for port in record.around if port.key in arrived]
        sums = [_leaf(inside, port.key.shape, port.key.dtype, again) for port in around]
        added = [s + arrived[port.key] for s, port in zip(sums, around, strict=True)]
        slices = [port for port in record.slices if port.key in arrived]
        sent = [arrived[port.key] for port in slices]
        following = [*back, *added]
        variables = [tracer.read(t) for t in (*following, *sent)]
    run, read = _backward_run(
        record.run, equations, [t.array for t in (*seeds, *sums)], rows, variables, len(following)
    )
    begins += [zeros(s.shape, dtype=s.dtype) for s in sums]
    outside = [tracer.read(t) for t in begins]
    residuals = [run.forward.home(v).stacked(tracer, v) for v in read]  # type: ignore[union-attr]
    run.inputs = (
        *run.body.constants,
        *outside,
        *(tracer.read(g) for _, g in stacked),
        *residuals,
    )
    wanted: list[tuple[Port, Part, Tensor]] = [
        (port, Part("final", n), t)
        for n, (port, t) in enumerate(zip((*record.first, *around), following, strict=True))
    ]
    numbers = run.body.numbers
    wanted += [
        (port, Part("stack", numbers[v]), t)
        for port, v, t in zip(slices, variables[len(following) :], sent, strict=True)
    ]
    if not again:
        gradients: dict[Any, Any] = {
            port: (lambda part=part: wrap(run.part(tracer, *part))) for port, part, _ in wanted
        }
    else:
        found = [Result(part, t, run.part(tracer, *part)) for _, part, t in wanted]
        backward = _recorded(
            record, run, inside, seeds, sums, rows, begins, following, stacked, found
        )
        gradients = dict(
            zip([port for port, _, _ in wanted], _linked(backward, found), strict=True)
        )
    return tuple([gradients.get(port) for port in (*record.around, *record.first, *record.slices)])


def _backward_run(
    forward: Run,
    equations: list[Equation],
    carry: list[Variable],
    rows: list[Tensor],
    wanted: list[Variable],
    carried: int,
) -> tuple[Run, list[Variable]]:
    """The loop of backward steps, still without inputs; what it reads of the forward steps.

    What is the same in all steps, or was only moved, is made again from what it was made of.
    """
    known = {*carry, *(t.array for t in rows), *(e.output for e in equations)}
    pending = [x for e in equations for x in e.inputs if isinstance(x, Variable)] + wanted
    again: dict[Variable, tuple[int, int, Equation]] = {}
    read: list[Variable] = []
    for v in pending:  # which grows meanwhile
        if v in known:
            continue
        home = forward.home(v)
        if home is None:
            continue
        known.add(v)
        e = home.body.made.get(v)
        if e is not None and (v in home.body.fixed or isinstance(e.op, _MOVES)):
            again[v] = -_depth(forward, home), home.body.numbers[v], e
            pending += [x for x in e.inputs if isinstance(x, Variable)]
        else:
            read.append(v)
    ordered = sorted(again.values(), key=lambda entry: entry[:2])
    body = _body(
        [*(e for _, _, e in ordered), *equations],
        carry,
        [*(t.array for t in rows), *read],
        wanted[:carried],
        wanted[carried:],
        forward.body.length,
        not forward.body.reverse,
    )
    return Run(body, (), forward), read


def _depth(run: Run, home: Run) -> int:
    """How many loops lie between a loop and the one whose derivative it is."""
    depth, at = 0, run
    while at is not home:
        assert at.forward is not None
        depth, at = depth + 1, at.forward
    return depth


def _recorded(
    record: Record,
    run: Run,
    inside: Inside,
    seeds: list[Tensor],
    sums: list[Tensor],
    rows: list[Tensor],
    begins: list[Tensor],
    following: list[Tensor],
    stacked: list[tuple[Result, Tensor]],
    found: list[Result],
) -> Record:
    """A loop of backward steps with its tape, which goes on over that of the forward steps.

    Of the forward steps it takes what they have carried: the stacks of that are results of the
    forward loop, and their gradients go back through it.
    """
    tracer: Any = STATE.execution
    forward = record.run
    carried = [
        Result(Part("stack", forward.body.numbers[v.array]), v, forward.stacked(tracer, v.array))
        for v, leaf in record.carried
        if leaf is not None
    ]
    keys = [leaf for _, leaf in record.carried if leaf is not None]
    states = _linked(record, carried)
    backward = Record(
        run,
        record.since,
        record.local | inside.variables,
        [(leaf, leaf) for leaf in (*seeds, *sums)],
        following,
        [],
        [Port(_edge(t), leaf) for t, leaf in zip(begins, (*seeds, *sums), strict=True)],
        [
            *(Port(_edge(t), leaf) for t, leaf in zip(states, keys, strict=True)),
            *record.slices,
            *(Port(_edge(g), row) for (_, g), row in zip(stacked, rows, strict=True)),
        ],
    )
    backward.around += _around(backward, [*following, *(r.inside for r in found)])
    return backward
