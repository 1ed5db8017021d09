"""Making a record by watching a block of code, also one that raises."""

from __future__ import annotations

import linecache
import sys
from collections import deque
from collections.abc import Callable, Mapping
from itertools import zip_longest
from types import CodeType, TracebackType
from typing import Any, NamedTuple

import numpy as np

from ...errors import ArgumentError
from ...location import location
from ...nn.module import Parameter
from ...op import Op, describe
from ...state import STATE, observing
from ...tape import INTERNAL, Node, Scope, line_of, origin, user_site
from ...tensor import Tensor, wrap
from .builder import Builder, Walked, one_line, seed_of
from .model import Record
from .naming import name_at, names_of, user_frames
from .parts import Applied


def recording(*, step: int | None = None) -> Recording:
    """Record every op that a block of code applies, also if it raises.

    >>> from backlit import tensor
    >>> with recording() as r:
    ...     y = (tensor([1.0, 2.0], requires_grad=True) * 2).sum()
    >>> r.record.output is not None, len(r.record)
    (True, 3)
    """
    return Recording(step)


class Call(NamedTuple):
    """One op as it was applied: Tensors may change in place, and take another node, later."""

    op: Op
    inputs: tuple[Any, ...]
    arrays: tuple[Any, ...]
    #: For each input its node and whether it required a gradient; None for a number.
    states: tuple[tuple[Node | None, bool] | None, ...]
    y: Tensor
    array: np.ndarray
    node: Node | None
    requires_grad: bool
    scope: Scope | None
    site: tuple[CodeType, int]
    graded: bool  # not under no_grad

    @property
    def place(self) -> tuple[CodeType, int]:
        """Where it was applied; of an op that was done again, where it was at first."""
        return self.site if self.node is None else (self.node.code, self.node.instruction)

    @property
    def where(self) -> str:
        """`file.py:12, in Net.fc1: the source line`."""
        number = line_of(*self.place) or 0
        file, scope = self.place[0].co_filename, "" if self.scope is None else self.scope.path
        return location(file, number, scope, linecache.getline(file, number).strip())


class Recording(observing):
    """A block of code being watched. Afterwards `record` is what was seen.

    The backward pass starts at the last single number that requires a gradient and that no other op
    used; `of(output)` takes another.
    """

    def __init__(self, step: int | None = None):
        super().__init__()
        self.step = step
        self.error: BaseException | None = None
        #: The ops that were applied, in order.
        self.calls: list[Call] = []
        self._failure: _Failure | None = None
        self._names: dict[int, str] = {}
        #: What a leaf is called where an op first used it, by the Tensor's id; "": it is not known.
        self._called: dict[int, str] = {}
        self._walked: dict[Node, Walked] = {}
        self._reads: list[tuple[Any, ...]] = []
        self._root: Node | None = None  # where the last backward pass in the block has started
        self._order = -1
        self._record: Record | None = None

    def _watchers(self) -> tuple[Callable[..., None], ...]:
        return self._observe, self._observe_backward, self._observe_read

    def _observe(self, op: Op, inputs: tuple[Any, ...], y: Tensor) -> None:
        if type(y.array) is not np.ndarray:
            return  # a capture runs on abstract values
        arrays = tuple([x.array if isinstance(x, Tensor) else x for x in inputs])
        states = tuple(
            [(x.node, x.requires_grad) if isinstance(x, Tensor) else None for x in inputs]
        )
        for x in inputs:
            if isinstance(x, Tensor) and x.node is None and id(x) not in self._called:
                # A module knows what its parameters are called.
                named = isinstance(x, Parameter)
                self._called[id(x)] = "" if named else name_at(sys._getframe(1), x)
        now = y.array, y.node, y.requires_grad, STATE.scope, user_site(), STATE.grad_enabled
        self.calls.append(Call(op, inputs, arrays, states, y, *now))

    def _observe_backward(self, node: Node, upstream: Any, sent: list[tuple[int, Any]]) -> None:
        first = node.order > self._order  # a walk goes from later nodes to earlier ones
        self._order = node.order
        if isinstance(upstream, np.ndarray):  # in a differentiable pass it is a Tensor
            self._walked[node] = upstream, sent
            if first:
                self._root = node

    def _observe_read(self, t: Tensor, what: str) -> None:
        if what not in _NOT_NUMBERS:
            self._reads.append((len(self.calls), t, t.array, what, user_site()))

    def _ended(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """Find who raised, if somebody did, and the names of the user's variables."""
        self.error = error
        frames = list(user_frames(sys._getframe(1)))
        if error is not None:
            steps = _steps(traceback)
            self._failure = _Failure.find(error, steps)
            # The names that the block itself uses come first, then those further inside.
            frames += [s.tb_frame for s in steps if not INTERNAL[_code(s).co_filename]]
        self._names = names_of(frames)

    def add_names(self, variables: Mapping[str, Any]) -> None:
        """Take down the names of variables that hold Tensors, as of a script that has ended."""
        for name, x in variables.items():
            if isinstance(x, Tensor) and not name.startswith("_"):
                self._names.setdefault(id(x), name)

    @property
    def record(self) -> Record:
        """What was seen, with the gradients of the last single number."""
        if self._record is None:
            self._record = self.of(None)
        return self._record

    def of_loss(self) -> Record:
        """What was seen, with the gradients of what `backward` was called on in the block."""
        if self._root is not None:
            for call in reversed(self.calls):
                if call.node is self._root:
                    return self.of(call.y, self._walked[self._root][0])
        return self.record

    def of(self, output: Tensor | None, gradient: Any = None) -> Record:
        """What was seen, with the gradients of the given Tensor."""
        if self._entered:
            raise ArgumentError("recording: the record exists once the block has ended")
        return self._build(output, gradient)

    def _build(self, output: Tensor | None, gradient: Any) -> Record:
        results = {id(c.y) for c in self.calls}
        called = {i: n for i, n in self._called.items() if n and i not in results}
        add, failure = Builder(self._names, self.step, called), self._failure
        sources, reads = _Sources(add), deque(self._reads)
        used = {id(x) for call in self.calls for x in call.inputs if isinstance(x, Tensor)}
        calls = [(i, c) for i, c in enumerate(self.calls) if c.inputs or id(c.y) in used]
        for _, call in calls:
            add.scope(call.scope)
        add.scope(None if failure is None else failure.scope)
        for position, call in calls:
            while reads and reads[0][0] <= position:
                add.read(*reads.popleft()[1:])
            self._add(add, sources, call)
        if failure is not None and failure.node is None:
            failure.add_to(add, sources)
        for _, *read in reads:
            add.read(*read)
        made = [c for _, c in calls]
        result, seed = self._start(add, made, sources.numbers, output, gradient)
        error = None if self.error is None else one_line(self.error)
        record = add.finish(result, seed, error, chosen=output is not None, whole=True)
        if failure is not None and failure.node is not None:
            failed = add.tensors.get(id(failure.node))
            if failed is not None and record.nodes[failed].status == "ok":
                record.nodes[failed].status = "failed in backward"
                record.nodes[failed].error = error
        return record

    def _add(self, add: Builder, sources: _Sources, call: Call) -> None:
        """Add the result of one op, with what is known of it."""
        ids = sources.of(call.inputs, call.arrays, call.states)
        node = add.op(call.op, call.inputs, ids, call.array, call.scope, call.place)
        node.requires_grad = call.requires_grad
        if not call.graded:
            add.off.add(node.id)
        y, tape = call.y, call.node
        node.name = add.names.get(id(y)) or add.names.get(id(y.node))
        add.made(node, call.array)
        if call.op.differentiable:
            node.applied = Applied(call.op, call.arrays, call.array)
        else:
            add.ops[node.id] = call.op
        sources.numbers[id(y)] = add.tensors[id(y)] = node.id
        if tape is not None:
            add.tensors[id(tape)] = node.id
            if tape.op is call.op and tape in self._walked:
                add.walked[node.id] = self._walked[tape]
        add.alive += (y, tape)

    def _start(
        self,
        add: Builder,
        calls: list[Call],
        numbers: dict[int, int],
        output: Tensor | None,
        gradient: Any,
    ) -> tuple[int | None, np.ndarray | None]:
        """The node from which the backward pass starts, and with which gradient."""
        if output is not None:
            if id(output) not in numbers:
                raise ArgumentError(
                    f"recording: the output ({describe(output)}) was not computed in the block"
                )
            return numbers[id(output)], seed_of(output, gradient)
        used = {e.source for e in add.edges}
        for call in reversed(calls):
            y = call.y
            number = numbers[id(y)]
            if y.requires_grad and y.size == 1 and number not in used:
                return number, np.ones(y.shape, y.dtype)
        return None, None


#: Ways of asking for a value that hand out no number: a text, a branch, a copy.
_NOT_NUMBERS = frozenset(("print()", "bool()", "copy", "indexing by a mask"))


class _Sources:
    """The nodes of what ops are applied to; a leaf is added when it is first used."""

    def __init__(self, add: Builder):
        self.add = add
        #: The node of an op's result, by the Tensor's id.
        self.numbers: dict[int, int] = {}
        #: A leaf may get new values: by the ids of Tensor and array.
        self.leaves: dict[tuple[int, int], int] = {}

    def of(
        self, inputs: tuple[Any, ...], arrays: tuple[Any, ...], states: tuple[Any, ...] = ()
    ) -> list[int | None]:
        """The node of each input; None for a number."""
        found: list[int | None] = []
        for x, array, state in zip_longest(inputs, arrays, states):
            if not isinstance(x, Tensor):
                found.append(None)
                continue
            node, asked = state or (x.node, x.requires_grad)
            if id(x) in self.numbers:
                found.append(self.numbers[id(x)])
            elif node is not None and id(node) in self.add.tensors:
                found.append(self.add.tensors[id(node)])  # what an op saved, in a second pass
            else:
                key = id(x), id(array)
                if key not in self.leaves:
                    self.leaves[key] = self.add.leaf(x, array, requires_grad=asked)
                found.append(self.leaves[key])
        return found


class _Failure:
    """The op or function that raised."""

    def __init__(self, error: BaseException, name: str, scope: Scope | None):
        self.error = error
        self.name = name
        self.scope = scope
        self.op: Op | None = None
        self.inputs: tuple[Any, ...] = ()
        self.node: Node | None = None
        self.site: tuple[CodeType, int] | None = None

    @classmethod
    def find(cls, error: BaseException, steps: list[TracebackType]) -> _Failure | None:
        """Who raised: what the engine knew where the error passed, else the user's own call."""
        known = origin(error)
        if known.op is not None:
            found = cls(error, known.op.name, known.scope)
            found.op, found.inputs, found.site = known.op, known.inputs, known.site
            return found
        if known.node is not None:
            found = cls(error, known.node.op.name, known.scope)
            found.node = known.node
            return found
        user = [i for i, step in enumerate(steps) if not INTERNAL[_code(step).co_filename]]
        last = user[-1] if user else -1
        if last + 1 >= len(steps):
            return None  # the user's own code raised
        inner = [step.tb_frame for step in steps[last + 1 :]]
        # What is around a function, to read its arguments, is none that a user calls.
        frame = next((f for f in inner if "<locals>" not in f.f_code.co_qualname), inner[0])
        found = cls(error, frame.f_code.co_name.strip("_"), known.scope)
        given = [frame.f_locals.get(a) for a in _arguments(frame.f_code)]
        found.inputs = tuple(x for x in given if isinstance(x, Tensor))
        if user:
            found.site = _code(steps[last]), steps[last].tb_lasti
        return found

    def add_to(self, add: Builder, sources: _Sources) -> None:
        """Add the node that was not made: it has inputs and no value."""
        op = self.op or _Unmade()
        arrays = tuple([x.array if isinstance(x, Tensor) else x for x in self.inputs])
        ids = sources.of(self.inputs, arrays)
        node = add.op(op, self.inputs, ids, wrap(np.zeros(())), self.scope, self.site)
        node.op = self.name
        node.shape = ()
        node.status = "failed"
        node.error = one_line(self.error)
        node.note = "it raised, so it has no value; its shape is not known"


class _Unmade(Op):
    """Stands for a function that raised before it applied an op."""

    parameters = ("x",)
    variadic = True


def _steps(traceback: TracebackType | None) -> list[TracebackType]:
    """A traceback, from the block inwards."""
    steps = []
    while traceback is not None:
        steps.append(traceback)
        traceback = traceback.tb_next
    return steps


def _code(step: TracebackType) -> CodeType:
    return step.tb_frame.f_code


def _arguments(code: CodeType) -> tuple[str, ...]:
    """The names of a function's positional arguments."""
    return code.co_varnames[: code.co_argcount]
