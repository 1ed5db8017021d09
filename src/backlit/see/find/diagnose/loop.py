"""What a training loop does, as it is seen from outside: a log of what it calls, in order."""

from __future__ import annotations

import contextlib
import functools
import gc
import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....autograd import topological
from ....location import location
from ....nn.module import Module
from ....nn.utils import clip_grad
from ....op import Op
from ....ops.elementwise import Add, Comparison, Equal, Negative, Round
from ....ops.loss import Loss
from ....ops.movement import Reshape
from ....ops.reductions import Argmax
from ....optim import Optimizer
from ....optim.lr_scheduler import LRScheduler
from ....random import Generator
from ....state import STATE, observing
from ....tape import line_of, user_site
from ....tensor import Tensor
from ...records.value import squares
from .reshape import moves_an_axis

#: A log ends after so many events, and all further calls run as they would.
MOST = 20_000
#: Layers that behave otherwise in training.
MODAL = ("Dropout", "AlphaDropout", "FeatureAlphaDropout", "BatchNorm")
#: So many numbers of what models were given are remembered.
REMEMBERED = 4_000_000
#: So many data are remembered that others were made of by turning their sign.
TURNED = 32


@dataclass
class Event:
    """One call, and its place.

    "forward", "backward", "clip", "zero", "step", "schedule"; "made" is a new schedule, "seed" a
    seed that is set, "compared" a target that something computed without a tape was compared with,
    "reshaped" data in which an axis was moved that only a transposition could move.
    """

    kind: str
    place: str = ""
    #: What was called, by its id, and what is known of it at that moment.
    who: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


class Loop:
    """The log of a block of code in which models are trained."""

    def __init__(self, *, remembers: bool = False) -> None:
        self.events: list[Event] = []
        #: How many more numbers of batches are remembered; of a few steps none are.
        self._left = REMEMBERED if remembers else 0
        self._chosen: list[Tensor] = []  # the last classes, or yes and no, of outputs
        #: The last data that were made by turning the sign of others, by their ids.
        self.turned: dict[int, tuple[Tensor, Any]] = {}
        #: Losses that were walked back from, as long as somebody keeps them.
        self.losses: list[weakref.ref[Tensor]] = []
        #: Of how many losses of different steps a sum was made that has a graph, and where.
        self.summed, self.sum_place = 0, ""
        self._sum: Any = None
        self._count = self._walks = self._summed_at = 0
        self._depth = 0

    @contextlib.contextmanager
    def watching(self) -> Iterator[Loop]:
        """A block whose calls are logged; it runs as it would."""
        replaced: list[tuple[Any, str, Callable[..., Any]]] = [
            (Module, "__call__", self._forward),
            (Tensor, "backward", self._backward),
            (Module, "zero_grad", self._zero),
            (clip_grad, "to_limit", self._clip),
            (LRScheduler, "__init__", self._made),
            (Generator, "manual_seed", self._seed),
        ]
        for cls in _all(Optimizer):
            replaced += [(cls, n, f) for n, f in (("step", self._step), ("zero_grad", self._zero))
                         if n in vars(cls)]  # fmt: skip
        for cls in _all(LRScheduler):
            replaced += [(cls, "step", self._schedule)] if "step" in vars(cls) else []
        before = [(holder, name, vars(holder)[name]) for holder, name, _ in replaced]
        for (holder, name, make), (_, _, original) in zip(replaced, before, strict=True):
            setattr(holder, name, functools.wraps(original)(make(original)))
        looks_on = observing(self._applied) if self._left else contextlib.nullcontext()
        try:
            with looks_on:
                yield self
        finally:
            for holder, name, original in before:
                setattr(holder, name, original)

    @property
    def is_whole(self) -> bool:
        """Whether everything was logged."""
        return len(self.events) < MOST

    @property
    def _busy(self) -> bool:
        return self._depth > 0 or STATE.execution.captures or not self.is_whole

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """A block that is not logged."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _note(self, kind: str, who: Any, **facts: Any) -> Event:
        code, instruction = user_site()
        place = location(code.co_filename, line_of(code, instruction))
        event = Event(kind, place, id(who), facts)
        self.events.append(event)
        return event

    def _outer(self, original: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        with self.paused():  # a step may call the step of the class that it extends
            return original(*arguments, **options)

    def _forward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(module: Module, *inputs: Any, **options: Any) -> Any:
            if self._busy or STATE.scope is not None:
                return original(module, *inputs, **options)
            modal = any(type(m).__name__.startswith(MODAL) for m in module.modules())
            if modal or any(True for _ in module.parameters()):
                parameters = frozenset(id(p) for p in module.parameters())
                self._note("forward", module, training=module.training, modal=modal,
                           graded=STATE.grad_enabled, parameters=parameters,
                           name=type(module).__name__, rows=self._remembered(inputs[:1]),
                           single=sum(isinstance(x, Tensor) for x in inputs) == 1)  # fmt: skip
            return original(module, *inputs, **options)

        return call

    def _backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def backward(tensor: Tensor, *arguments: Any, **options: Any) -> Any:
            if self._busy:
                return original(tensor, *arguments, **options)
            nodes = topological([] if tensor.node is None else [tensor.node])
            leaves = {id(x): x for n in nodes for x in n.inputs if _is_leaf(x)}
            left = {number: _norm([x]) for number, x in leaves.items()}
            weights = math.sqrt(squares(*[x.array for x in leaves.values()])) if leaves else 0.0
            event = self._note("backward", tensor, nodes=len(nodes), left=left, weights=weights,
                               parameters=frozenset(leaves),
                               target=self._remembered(_targets(nodes)))  # fmt: skip
            self.losses.append(weakref.ref(tensor))
            self._walks += 1
            if tensor.node is self._sum:
                self.summed, self._sum = 0, None  # what was added up is walked back through
            result = self._outer(original, tensor, *arguments, **options)
            event.facts["norm"] = _norm(leaves.values())
            return result

        return backward

    def _step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(optimizer: Optimizer, *arguments: Any, **options: Any) -> Any:
            if self._busy:
                return original(optimizer, *arguments, **options)
            held = [p for g in optimizer.param_groups for p in g["params"]]
            averages = any("betas" in g or g.get("momentum") for g in optimizer.param_groups)
            self._note("step", optimizer, norm=_norm(held), lr=_rate(optimizer),
                       new=averages and not optimizer.state,
                       without=frozenset(id(p) for p in held if p.requires_grad and p.grad is None),
                       parameters=frozenset(map(id, held)))  # fmt: skip
            if arguments or options:  # a closure computes the gradients inside
                return original(optimizer, *arguments, **options)
            return self._outer(original, optimizer)

        return step

    def _zero(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def zero(owner: Any, *arguments: Any, **options: Any) -> Any:
            if not self._busy:
                self._note("zero", owner)
            return self._outer(original, owner, *arguments, **options)

        return zero

    def _clip(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def clip(name: str, parameters: Any, limit: float) -> Any:
            found = original(name, parameters, limit)
            if not self._busy and math.isfinite(limit):  # an endless one only measures
                self._note("clip", found, name=name, parameters=frozenset(map(id, found)))
            return found

        return clip

    def _schedule(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(schedule: Any, *arguments: Any, **options: Any) -> Any:
            if self._busy:
                return original(schedule, *arguments, **options)
            result = self._outer(original, schedule, *arguments, **options)
            self._note("schedule", schedule, lr=_rate(schedule.optimizer),
                       optimizer=id(schedule.optimizer), name=type(schedule).__name__)  # fmt: skip
            return result

        return step

    def _made(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def init(schedule: Any, *arguments: Any, **options: Any) -> None:
            self._outer(original, schedule, *arguments, **options)
            if not self._busy:
                self._note("made", schedule, optimizer=id(schedule.optimizer),
                           name=type(schedule).__name__)  # fmt: skip

        return init

    def _seed(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def manual_seed(generator: Generator, *arguments: Any, **options: Any) -> Any:
            before = int(generator.counter.array)
            result = original(generator, *arguments, **options)
            if not self._busy:
                self._note("seed", generator, key=generator.key.array.tobytes(), drawn=before)
            return result

        return manual_seed

    def _applied(self, op: Op, inputs: tuple[Any, ...], y: Tensor) -> None:
        """What something is compared with where there is no tape."""
        if self._busy:
            return
        if isinstance(op, Reshape) and y.node is None and moves_an_axis(inputs[0].shape, y.shape):
            self._note("reshaped", y, before=inputs[0].shape, rows=self._remembered([y]))
        if isinstance(op, Negative) and y.node is None:
            self.turned = {**dict(list(self.turned.items())[-TURNED:]), id(y): (y, inputs[0])}
        if isinstance(op, Add) and y.size == 1 and y.node is not None:
            self._added(inputs, y)
        if STATE.grad_enabled:
            return
        if isinstance(op, Argmax | Comparison | Round) and not isinstance(op, Equal):
            self._chosen = [*self._chosen[-3:], y]
        elif isinstance(op, Loss):
            self._note("compared", y, target=self._remembered(inputs[1:2]))
        elif isinstance(op, Equal) and any(x is c for x in inputs for c in self._chosen):
            others = [x for x in inputs if not any(x is c for c in self._chosen)]
            self._note("compared", y, target=self._remembered(others))

    def _added(self, inputs: Sequence[Any], y: Tensor) -> None:
        """A number that carries a graph is added to a sum, or begins one."""
        if self._sum is None or all(getattr(x, "node", None) is not self._sum for x in inputs):
            if self._sum is not None and self._summed_at == self._walks:
                return  # a loss is put together while a sum waits
            count = 1
        else:
            count = self._count + (self._summed_at < self._walks)
        self._sum, self._count, self._summed_at = y.node, count, self._walks
        if count > self.summed:
            code, instruction = user_site()
            self.summed, self.sum_place = (
                count,
                location(code.co_filename, line_of(code, instruction)),
            )

    def _remembered(self, given: Sequence[Any]) -> np.ndarray | None:
        """The numbers of a batch, as long as there is room."""
        x = given[0] if given else None
        if not isinstance(x, Tensor) or not x.shape or x.size > self._left:
            return None
        self._left -= x.size
        return np.asarray(x.array)

    # -- what is read off it ----------------------------------------------------------------------

    def of(self, *kinds: str) -> list[Event]:
        """The events of some kinds, in order."""
        return [e for e in self.events if e.kind in kinds]

    def alive(self) -> int:
        """How many of the losses somebody still keeps."""
        gc.collect()
        return sum(ref() is not None for ref in self.losses)


def _all(cls: type) -> list[type]:
    """A class and all that extend it."""
    found: list[type] = [cls]
    for each in found:
        subclasses: list[type] = each.__subclasses__()
        found += [c for c in subclasses if c not in found]
    return found


def _targets(nodes: Sequence[Any]) -> list[Tensor]:
    """What the last loss op of a graph compares with."""
    for node in reversed(nodes):
        if isinstance(node.op, Loss):
            return [x for x in node.inputs[1:2] if isinstance(x, Tensor)]
    return []


def _is_leaf(x: Any) -> bool:
    return isinstance(x, Tensor) and x.node is None and x.requires_grad


def _norm(tensors: Any) -> float:
    """The norm of the gradients that Tensors have; 0 where they have none."""
    grads = [np.asarray(t.grad.array) for t in tensors if t.grad is not None]
    return math.sqrt(squares(*grads)) if grads else 0.0


def _rate(optimizer: Optimizer) -> float:
    return max((float(g["lr"]) for g in optimizer.param_groups if "lr" in g), default=0.0)
