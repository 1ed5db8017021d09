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
    tracer.current.update({t: current.get(t) or tracer.found[t] for t in replaced})
    _require_unchanged(tracer, state)
    return _Attempt(equations, since, carried, taken, following, ys, replaced), current


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
        edge for edge in dict.fromkeys([*keys, *found]) if edge not in inside and edge not in own
    ]
    return [Port(edge, edge) for edge in outside]


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
        results, upstream, start = [], [], 0
        for result, arrived in zip(self.results, _arrived(grad_y, self.results), strict=True):
            v, piece = result.variable, grad_y
            if len(self.results) > 1:
                piece = reshape(xp.slice(grad_y, index=((start, v.size, 1),)), v.shape)
                start += v.size
            if arrived:
                results.append(result)
                upstream.append(piece.astype(v.dtype))
        return _pulled(self.record, results, upstream)


def _arrived(gradient: Tensor, results: tuple[Result, ...]) -> list[bool]:
    """For each of a loop's results, end to end, whether somebody sent a gradient to it.

    The others have zeros there, which would go on to what only they were computed from.
    """
    if len(results) == 1:
        return [True]
    tracer: Any = STATE.execution
    made = {e.output: e for e in getattr(tracer, "equations", ())}
    pending, places = [gradient.array], []
    while pending:
        e = made.get(pending.pop())
        if e is not None and isinstance(e.op, elementwise.Add | elementwise.Astype):
            pending += e.inputs
        elif e is not None and isinstance(e.op, movement.Place):
            ((start, _, _),) = e.op.index  # type: ignore[misc]
            places.append(start)
        else:
            return [True] * len(results)  # a hook has made it
    starts = [0]
    for r in results:
        starts.append(starts[-1] + r.variable.size)
    return [any(start == place for place in places) for start in starts[:-1]]


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


class _Reach(NamedTuple):
    """How far gradients get in all steps."""

    #: Which carried values have one after some step, which before the first, and which at all.
    after: set[int]
    first: set[int]
    carried: set[int]


def _reach(record: Record, results: list[Result]) -> _Reach:
    """To which carried values the gradients of some results get, step by step."""
    leaves = {id(leaf): i for i, (_, leaf) in enumerate(record.carried) if leaf is not None}

    def sources(t: Tensor) -> set[int]:
        """The carried values that a Tensor of a step was computed from."""
        if not t.requires_grad:
            return set()
        nodes = topological([_edge(t)], record.since)
        ids = {id(edge) for node in nodes for edge in node.inputs} | {id(_edge(t))}
        return {i for leaf, i in leaves.items() if leaf in ids}

    always: set[int] = set().union(*(sources(r.inside) for r in results if r.part[0] == "stack"))
    before = [sources(t) for t in record.following]
    now = {r.part.number for r in results if r.part.kind == "final"} & set(leaves.values())
    after: set[int] = set()
    for _ in range(record.run.body.length):
        after |= now
        earlier = always.union(*(before[i] for i in now))
        if earlier == now:
            break
        now = earlier
    return _Reach(after, now, after | now)


class _Back(NamedTuple):
    """One backward step: its equations, what it is given, and what it makes."""

    equations: list[Equation]
    #: The gradients of carried values that it is given, and the sums so far of those around.
    seeds: list[Tensor]
    #: Those of results that are stacked.
    rows: list[Tensor]
    following: list[Tensor]  # what becomes of the seeds
    sent: list[Tensor]  # the gradients of slices
    around: list[Port]
    slices: list[Port]
    variables: list[Variable]  # that hold `following` and `sent`


def _pulled(record: Record, results: list[Result], upstream: list[Tensor]) -> tuple[Any, ...]:
    """The gradient for each edge of a loop, from those of its results."""
    tracer: Any = STATE.execution
    if not hasattr(tracer, "write"):
        raise TraceError(
            "scan: a captured loop has no derivative under vmap; put the scan into the function "
            "that vmap is given, where it is done step by step, or differentiate without vmap"
        )
    reach = _reach(record, results)
    on_tape = [(i, leaf) for i, (_, leaf) in enumerate(record.carried) if leaf is not None]
    linked = [(i, leaf) for i, leaf in on_tape if i in reach.carried]
    given = list(zip(results, upstream, strict=True))
    stacked = [(r, g) for r, g in given if r.part.kind == "stack"]
    back = _step_back(record, linked, reach.after, stacked)
    finals = {r.part.number: g for r, g in given if r.part.kind == "final"}
    places = [i for i, _ in linked] + [-1] * len(back.around)
    begins = [
        finals[i] if i in finals else zeros(seed.shape, dtype=seed.dtype)
        for i, seed in zip(places, back.seeds, strict=True)
    ]
    run, read = _backward_run(record.run, back)
    outside = [tracer.read(t) for t in (*begins, *(g for _, g in stacked))]
    residuals = [run.forward.home(v).stacked(tracer, v) for v in read]  # type: ignore[union-attr]
    run.inputs = (*run.body.constants, *outside, *residuals)
    first = {i: port for (i, _), port in zip(on_tape, record.first, strict=True)}
    begun = [first[i] if i in reach.first else None for i, _ in linked]
    numbers = run.body.numbers
    wanted: list[tuple[Port | None, Part, Tensor]] = [
        (port, Part("final", n), t)
        for n, (port, t) in enumerate(zip((*begun, *back.around), back.following, strict=True))
    ]
    slices = back.variables[len(back.following) :]
    wanted += [
        (port, Part("stack", numbers[v]), t)
        for port, v, t in zip(back.slices, slices, back.sent, strict=True)
    ]
    wanted = [entry for entry in wanted if entry[0] is not None]
    gradients: dict[Any, Any] = {
        port: (lambda part=part: wrap(run.part(tracer, *part))) for port, part, _ in wanted
    }
    if STATE.grad_enabled:  # the gradients are to be differentiated, too
        found = [Result(part, t, run.part(tracer, *part)) for _, part, t in wanted]
        backward = _recorded(record, run, back, begins, stacked, found)
        gradients = dict(zip(gradients, _linked(backward, found), strict=True))
    return tuple([gradients.get(port) for port in (*record.around, *record.first, *record.slices)])


def _step_back(
    record: Record,
    linked: list[tuple[int, Tensor]],
    after: set[int],
    stacked: list[tuple[Result, Tensor]],
) -> _Back:
    """Walk back over one step, from abstract gradients of what it has made."""
    tracer: Any = STATE.execution
    again = STATE.grad_enabled
    site, state = tracer.forward, tracer.state()
    with _one_step(tracer) as (equations, inside):
        seeds = [_leaf(inside, leaf.shape, leaf.dtype, again) for _, leaf in linked]
        rows = [_leaf(inside, g.shape[1:], g.dtype, again) for _, g in stacked]
        carried = [
            (_edge(record.following[i]), seed)
            for (i, _), seed in zip(linked, seeds, strict=True)
            if i in after and record.following[i].requires_grad
        ]
        made = [(_edge(r.inside), row) for (r, _), row in zip(stacked, rows, strict=True)]
        arrived = walk_part([*carried, *made], record.since, keep=True, differentiable=again)
        _require_unchanged(tracer, state)
        tracer.forward = site
        following = [
            arrived[leaf] if leaf in arrived else zeros(leaf.shape, dtype=leaf.dtype)
            for _, leaf in linked
        ]
        around = [port for port in record.around if port.key in arrived]
        sums = [_leaf(inside, port.key.shape, port.key.dtype, again) for port in around]
        following += [s + arrived[port.key] for s, port in zip(sums, around, strict=True)]
        slices = [port for port in record.slices if port.key in arrived]
        sent = [arrived[port.key] for port in slices]
        variables = [tracer.read(t) for t in (*following, *sent)]
    return _Back(equations, [*seeds, *sums], rows, following, sent, around, slices, variables)


def _backward_run(forward: Run, back: _Back) -> tuple[Run, list[Variable]]:
    """The loop of backward steps, still without inputs; what it reads of the forward steps.

    What is the same in all steps, or was only moved, is made again from what it was made of.
    """
    carry, rows = [t.array for t in back.seeds], [t.array for t in back.rows]
    known = {*carry, *rows, *(e.output for e in back.equations)}
    pending = [x for e in back.equations for x in e.inputs if isinstance(x, Variable)]
    pending += back.variables
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
    carried = len(back.following)
    body = _body(
        [*(e for _, _, e in ordered), *back.equations],
        carry,
        [*rows, *read],
        back.variables[:carried],
        back.variables[carried:],
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
    back: _Back,
    begins: list[Tensor],
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
        [(leaf, leaf) for leaf in back.seeds],
        back.following,
        [],
        [Port(_edge(t), leaf) for t, leaf in zip(begins, back.seeds, strict=True)],
        [
            *(Port(_edge(t), leaf) for t, leaf in zip(states, keys, strict=True)),
            *record.slices,
            *(Port(_edge(g), row) for (_, g), row in zip(stacked, back.rows, strict=True)),
        ],
    )
    backward.around += _around(backward, [*back.following, *(r.inside for r in found)])
    return backward
