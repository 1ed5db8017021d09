"""What a diagnosis is made from: one recorded step, and experiments with model, loss and batch.

Everything is put back: parameters, buffers, gradients, the optimizer's state, the generator.
"""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from types import CodeType
from typing import Any

import numpy as np

from ....autograd import backward, no_grad, topological
from ....dtypes import FLOATING
from ....errors import ArgumentError, BacklitError
from ....location import location
from ....nn.keeping import kept
from ....nn.module import Module
from ....ops.elementwise import Astype
from ....ops.loss import Loss
from ....optim import Adam, Optimizer
from ....tape import line_of, user_site
from ....tensor import Tensor, as_tensor, wrap
from ....tree import flatten, unflatten
from ...problem import require_batch, require_loss
from ...records.from_block import recording
from ...records.model import Record
from ...records.parts import NodeRecord
from ...records.value import array_of

#: What the code of a user may raise in an experiment, which then has no result.
FAILURES = (BacklitError, ValueError, TypeError, IndexError, KeyError, AttributeError,
            RuntimeError, ArithmeticError)  # fmt: skip


class Material:
    """One batch, one model, one loss, and what they do together.

    `data`, `validation`, `schedule`, `step` and `evaluate` are what `diagnose` was given of them.
    """

    def __init__(
        self,
        model: Module,
        batch: Sequence[Any],
        loss_fn: Callable[..., Any],
        optimizer: Optimizer | None,
        seconds: float = 20.0,
        call: Callable[..., Any] | None = None,
        *,
        data: Any = None,
        validation: Any = None,
        schedule: Any = None,
        step: Callable[..., Any] | None = None,
        evaluate: Callable[..., Any] | None = None,
        clip_norm: float | None = None,
        several: bool = False,
        through: Callable[..., Any] | None = None,
        called_at: str = "",
    ):
        self.model = model
        #: How the model is called with `batch`: `model(*inputs)`, unless it was called otherwise.
        self.call: Callable[..., Any] = model if call is None else call
        #: Whether the model's children are several models, and `call` gives their loss: then rules
        #: about inputs, outputs and targets are not asked.
        self.several = several
        self._through = through
        #: Who asks for the diagnosis, and where the user's code has called the model; a layer of a
        #: Sequential is found at neither, but where the one is called that calls the model here.
        self.here, self.called_at = location(*_line(user_site())), called_at
        require_batch("diagnose", batch)
        if not callable(loss_fn):
            raise ArgumentError(
                "diagnose: loss_fn must be a function of the model's output and the target, as "
                f"nn.CrossEntropyLoss(), got {type(loss_fn).__name__}"
            )
        self.inputs = tuple(_given(x) for x in batch[:-1])
        self.target = _given(batch[-1])
        self.loss_fn = loss_fn
        self.optimizer = optimizer
        self.seconds = seconds
        self.data, self.validation, self.schedule = data, validation, schedule
        self.step, self.evaluate, self.clip_norm = step, evaluate, clip_norm
        self.parameters = list(model.named_parameters())
        self.names = {id(p): n for n, p in self.parameters}
        #: What the model returned, and the loss; None if it, or the loss function, raised.
        self.returned: Any = None
        self.error: Exception | None = None
        loss: Any = None
        start = time.perf_counter()
        with self.kept(), recording() as watched, np.errstate(all="ignore"):
            try:
                self.returned = self.call(*self.inputs)
                loss = self.loss_fn(self.returned, self.target)
            except Exception as error:  # whatever the user's code raises is what is told
                self.error = error
        self.cost = time.perf_counter() - start
        self.output = _tensor_of(self.returned)
        #: The type of a loss that is no Tensor, and cannot be trained; else empty.
        self.no_tensor = ""
        if self.error is None and not isinstance(loss, Tensor) and _is_number(loss):
            self.no_tensor = type(loss).__name__
        elif self.error is None:
            require_loss("diagnose", loss)
        self.loss = float("nan") if loss is None else float(loss)
        self.has_graph = isinstance(loss, Tensor) and loss.requires_grad
        self.record: Record = watched.of(loss) if self.has_graph else watched.record
        result = self.record.node_of(self.output)
        self.output_id = None if result is None else result.id

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Whatever happens inside, afterwards the model and its surroundings are as before."""
        given: tuple[Any, ...] = (self.optimizer, self.schedule)
        held = [x for x in given if hasattr(x, "load_state_dict")]
        states = [x.state_dict() for x in held]
        try:
            with kept(self.model):
                yield
        finally:
            for x, state in zip(held, states, strict=True):
                x.load_state_dict(state)

    # -- what the batch is --------------------------------------------------------------------

    @cached_property
    def arrays(self) -> list[tuple[int, Tensor, np.ndarray]]:
        """The inputs that are Tensors, by position, with their arrays."""
        tensors = [(i, x) for i, x in enumerate(self.inputs) if isinstance(x, Tensor)]
        return [(i, x, np.asarray(x.array)) for i, x in tensors]

    @property
    def rows(self) -> int:
        """The size of the batch."""
        shapes = [x.shape for _, x, _ in self.arrays if x.shape]
        return shapes[0][0] if shapes else 1

    @cached_property
    def y(self) -> np.ndarray | None:
        """The output's numbers."""
        return np.asarray(self.output.array) if isinstance(self.output, Tensor) else None

    @cached_property
    def t(self) -> np.ndarray | None:
        """The target's numbers."""
        return np.asarray(self.target.array) if isinstance(self.target, Tensor) else None

    @cached_property
    def labels(self) -> np.ndarray | None:
        """The target, if it is made of integers."""
        return self.t if self.t is not None and self.t.dtype.kind in "iu" else None

    @property
    def classes(self) -> int | None:
        """The number of classes, if this is classification of integer labels."""
        y, t = self.output, self.labels
        if not isinstance(y, Tensor) or y.ndim < 2 or t is None:
            return None
        return y.shape[1] if t.ndim == y.ndim - 1 else None

    # -- what was recorded --------------------------------------------------------------------

    @property
    def loss_op(self) -> NodeRecord | None:
        """The node of a loss op, if the loss is one."""
        return next((n for n in reversed(self.record.nodes) if issubclass(n.op_class, Loss)), None)

    def gradient(self, p: Tensor) -> np.ndarray | None:
        """This batch's gradient of a parameter."""
        node = self.record.node_of(p)
        return None if node is None else array_of(node.upstream)

    @cached_property
    def slope(self) -> np.ndarray | None:
        """The gradient of the loss with respect to the output; None where there is none."""
        if self.output_id is None:
            return None
        g = array_of(self.record.nodes[self.output_id].upstream)
        return None if g is None else np.asarray(g, np.float64)

    @cached_property
    def weights(self) -> list[tuple[str, Tensor, np.ndarray]]:
        """The matrices and kernels in the order in which the forward pass used them."""
        found = []
        for name, p in self.parameters:
            g = self.gradient(p)
            node = self.record.node_of(p)
            if p.ndim >= 2 and g is not None and node is not None:
                first = min((e.target for e in self.record.outgoing[node.id]), default=node.id)
                found.append((first, name, p, g))
        return [(n, p, g) for _, n, p, g in sorted(found, key=lambda f: f[0])]

    @cached_property
    def hidden(self) -> list[NodeRecord]:
        """The activations between input and output."""
        last = self.output_id
        return [
            n for n in self.record.nodes
            if n.op_class.activation and n.id != last and n.requires_grad
            and (last is None or n.id < last)
        ]  # fmt: skip

    def parents(self, node: NodeRecord) -> list[NodeRecord]:
        """The nodes that an op was applied to, by position."""
        return [self.record.nodes[e.source] for e in self.record.incoming[node.id]]

    def argument(self, node: NodeRecord, name: str) -> NodeRecord | None:
        """The node that is an op's argument of this name."""
        edges = self.record.incoming[node.id]
        return next((self.record.nodes[e.source] for e in edges if e.argument == name), None)

    @cached_property
    def inside(self) -> set[int]:
        """The nodes from which the output was computed, and it itself."""
        return set() if self.output_id is None else self._closure([self.output_id], back=True)

    @cached_property
    def of_inputs(self) -> set[int]:
        """The nodes that were computed from the inputs, and they themselves."""
        nodes = [self.record.node_of(x) for x in self.inputs]
        return self._closure([n.id for n in nodes if n is not None])

    def behind(self, node: NodeRecord) -> set[int]:
        """The nodes from which one was computed, and it itself."""
        return self._closure([node.id], back=True)

    def _closure(self, starts: Iterable[int], back: bool = False) -> set[int]:
        seen = set(starts)
        stack = list(seen)
        while stack:
            number = stack.pop()
            edges = self.record.incoming[number] if back else self.record.outgoing[number]
            for e in edges:
                other = e.source if back else e.target
                if other not in seen:
                    seen.add(other)
                    stack.append(other)
        return seen

    def moved(self, node: NodeRecord) -> NodeRecord:
        """What a node's elements were before they were only moved or converted."""
        for _ in range(8):
            only_moves = node.op_class.role == "mover" or issubclass(node.op_class, Astype)
            edges = self.record.incoming[node.id]
            if not only_moves or len([e for e in edges if e.argument != "index"]) != 1:
                return node
            node = self.record.nodes[edges[0].source]
        return node

    def producer(self, node: NodeRecord) -> NodeRecord | None:
        """What made the first input of a node, views looked through."""
        edges = [e for e in self.record.incoming[node.id] if e.position == 0]
        return self.moved(self.record.nodes[edges[0].source]) if edges else None

    # -- experiments ----------------------------------------------------------------------------

    def run(self, *inputs: Any, training: bool | None = None) -> np.ndarray | None:
        """The model's output for other inputs, None if it raises."""
        with self.kept(), no_grad(), np.errstate(all="ignore"):
            if training is not None:
                self.model.train(training)
            try:
                y = _tensor_of(self.call(*inputs))
            except FAILURES:
                return None
            return np.array(y.numpy(), np.float64) if isinstance(y, Tensor) else None

    @cached_property
    def evaluated(self) -> np.ndarray | None:
        """The output in evaluation mode."""
        return self.run(*self.inputs, training=False)

    def with_input(self, position: int, array: np.ndarray) -> tuple[Any, ...]:
        """The inputs, one of them replaced."""
        given = wrap(np.ascontiguousarray(array, self.inputs[position].dtype))
        return (*self.inputs[:position], given, *self.inputs[position + 1 :])

    def loss_of(self, y: Any = None, target: Any = None) -> float | None:
        """The loss of another output, or with another target; None if that raises or is random."""
        with self.kept(), no_grad(), np.errstate(all="ignore"):
            try:
                leaves, structure = flatten(self.returned)
                if y is not None:
                    at = next(i for i, x in enumerate(leaves) if isinstance(x, Tensor))
                    leaves = list(leaves)
                    leaves[at] = wrap(np.asarray(y, self.output.dtype))
                t = self.target
                if target is not None:
                    t = wrap(np.ascontiguousarray(target, t.dtype))
                return float(self.loss_fn(unflatten(structure, leaves), t))
            except FAILURES:
                return None

    @cached_property
    def heads(self) -> list[np.ndarray]:
        """The floats that the model returns, or each of several calls: what the loss is made of."""
        found: list[np.ndarray] = []

        def hook(leaves: list[Any]) -> list[Any]:
            found.extend(np.array(x.array) for x in leaves if is_floating(x))
            return leaves

        with self.kept(), no_grad(), np.errstate(all="ignore"):
            try:
                self._loss_through(hook)
            except FAILURES:
                return []
        return found

    @cached_property
    def trained_heads(self) -> list[bool]:
        """Of each head, whether it depends on what is trained: of a teacher's it does not."""
        optimizer = self.optimizer
        groups = optimizer.param_groups if optimizer is not None else ()
        held = {id(p) for g in groups for p in g["params"]}
        held = held or {id(p) for _, p in self.parameters}
        found: list[bool] = []

        def hook(leaves: list[Any]) -> list[Any]:
            for x in filter(is_floating, leaves):
                nodes = topological([] if x.node is None else [x.node])
                found.append(any(id(e) in held for n in nodes for e in n.inputs))
            return leaves

        with self.kept(), np.errstate(all="ignore"):
            try:
                self._loss_through(hook, again=True)
            except FAILURES:
                return []
        return found

    def loss_at(self, heads: Sequence[np.ndarray]) -> float | None:
        """The loss where the models had returned other floats; None if that raises."""
        with self.kept(), no_grad(), np.errstate(all="ignore"):
            try:
                return float(self._loss_through(_exchange([wrap(a) for a in heads])))
            except FAILURES:
                return None

    def slopes(self, heads: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        """The gradient of the loss at such floats; None for what it does not depend on."""
        leaves = [wrap(np.array(a)) for a in heads]
        for x in leaves:
            x.requires_grad = True
        with self.kept(), np.errstate(all="ignore"):
            try:
                loss = self._loss_through(_exchange(leaves))
                if not loss.requires_grad:
                    return [None] * len(leaves)
                backward(loss)
            except FAILURES:
                return [None] * len(leaves)
        return [None if x.grad is None else np.asarray(x.grad.array, np.float64) for x in leaves]

    def _loss_through(self, hook: Callable[[list[Any]], list[Any]], again: bool = False) -> Any:
        """The loss, with a hook that may exchange what a model returns."""
        if self._through is not None:
            return self._through(hook)
        if again:
            leaves, structure = flatten(self.call(*self.inputs))
        else:
            leaves, structure = flatten(self.returned)
        return self.loss_fn(unflatten(structure, hook(leaves)), self.target)

    @cached_property
    def steady(self) -> bool:
        """Whether the loss function gives the same loss of the same output and target again."""
        if self.y is None or self.no_tensor:
            return False
        first, second = self.loss_of(self.y), self.loss_of(self.y)
        return first is not None and first == second and bool(np.isfinite(first))

    @cached_property
    def fits_targets(self) -> int:
        """What the loss does where the output is the target: -1 lowest, 1 highest, 0 not known.

        For targets of the output's shape; it is compared with outputs around them.
        """
        y, t = self.y, self.t
        if y is None or t is None or not self.steady or y.size != t.size or t.dtype.kind != "f":
            return 0
        t = np.asarray(t, np.float64).reshape(y.shape)
        if not np.isfinite(t).all():
            return 0
        signs = np.random.default_rng(0).choice([-1.0, 1.0], t.shape)
        far = 0.3 * (float(np.std(t)) or float(np.max(np.abs(t))) or 1.0)
        tried = [self.loss_of(t + s * far * signs) for s in (0, 1, -1)]
        at, *around = [np.nan if x is None else x for x in tried]
        if not np.isfinite([at, *around]).all():
            return 0
        if all(at < a for a in around):
            return -1
        return 1 if all(at > a for a in around) else 0

    def trained(
        self, steps: int, optimizer: Optimizer | None = None, lr: float = 3e-3
    ) -> Iterator[float]:
        """Steps on this batch, with the given optimizer or a safe Adam: the loss of each.

        It is handed out when the gradients are there, before the parameters change.
        """
        end = time.perf_counter() + self.seconds / 2
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        if not trainable:
            return
        with self.kept(), np.errstate(all="ignore"):
            chosen = optimizer if optimizer is not None else Adam(trainable, lr=lr)
            for _ in range(steps):
                for p in self.model.parameters():
                    p.grad = None
                chosen.zero_grad()
                loss = self.loss_fn(self.call(*self.inputs), self.target)
                ends = not loss.requires_grad or not np.isfinite(float(loss))
                if not ends:
                    backward(loss)
                yield float(loss)
                if ends:
                    return
                _step(chosen)
                if time.perf_counter() > end:
                    return

    def rehearsal(
        self, steps: int, optimizer: Optimizer | None = None, lr: float = 3e-3
    ) -> list[float]:
        """The losses of some steps on this batch, with the given optimizer or a safe Adam."""
        losses: list[float] = []
        with contextlib.suppress(*FAILURES):
            losses.extend(self.trained(steps, optimizer, lr))
        return losses

    @cached_property
    def own_losses(self) -> list[float]:
        """Twenty steps with the user's own optimizer."""
        return self.rehearsal(20, self.optimizer) if self.optimizer is not None else []

    @cached_property
    def updates(self) -> dict[str, float]:
        """‖Δw‖ / ‖w‖ of each matrix after one step of the user's optimizer."""
        if self.optimizer is None or not self.has_graph:
            return {}
        with self.kept(), np.errstate(all="ignore"):
            before = {n: np.array(p.array, np.float64) for n, p in self.parameters}
            for p in self.model.parameters():
                p.grad = None
            self.optimizer.zero_grad()
            backward(self.loss_fn(self.call(*self.inputs), self.target))
            _step(self.optimizer)
            ratios = {}
            for n, p in self.parameters:
                size = float(np.linalg.norm(before[n]))
                if p.ndim >= 2 and size > 0:
                    moved = np.asarray(p.array, np.float64) - before[n]
                    ratios[n] = float(np.linalg.norm(moved)) / size
        return ratios

    @cached_property
    def spread(self) -> float | None:
        """How much the output differs from sample to sample, of its own size; evaluation mode."""
        y = self.evaluated
        if y is None or self.rows < 2 or y.shape[:1] != (self.rows,):
            return None
        alike = all(
            np.ptp(np.asarray(x.array, np.float64), axis=0).max(initial=0) == 0
            for _, x, _ in self.arrays
            if x.shape[:1] == (self.rows,)
        )
        if alike:
            return None
        size = float(np.sqrt(np.mean(y * y)))
        return float(np.max(np.std(y, axis=0))) / size if size > 0 else None


def _step(optimizer: Optimizer) -> None:
    """A step with the gradients that are there; one that asks for a closure gets these."""
    try:
        optimizer.step()
    except ArgumentError:
        if "closure" not in inspect.signature(optimizer.step).parameters:
            raise
        optimizer.step(lambda: as_tensor(0.0))


def _line(site: tuple[CodeType, int]) -> tuple[str, int]:
    return site[0].co_filename, line_of(*site) or 0


def _given(x: Any) -> Any:
    """A Tensor of what a batch holds; what is none, as a dictionary, stays what it is."""
    if isinstance(x, Tensor) or x is None or isinstance(x, dict | str):
        return x
    try:
        return as_tensor(x)
    except (BacklitError, TypeError, ValueError):
        return x


def _exchange(heads: Sequence[Tensor]) -> Callable[[list[Any]], list[Any]]:
    """A hook that puts Tensors in the place of the floats that models return, in order."""
    left = iter(heads)

    def hook(leaves: list[Any]) -> list[Any]:
        return [next(left) if is_floating(x) else x for x in leaves]

    return hook


def _tensor_of(returned: Any) -> Any:
    """A model's output: of several things that it returns, the first that is a Tensor."""
    return next((x for x in flatten(returned)[0] if isinstance(x, Tensor)), returned)


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.number) or (isinstance(x, np.ndarray) and x.size == 1)


def rms(a: Any) -> float:
    """The root mean square of numbers; 0 of none."""
    wide = np.asarray(a, np.float64)
    return float(np.sqrt(np.mean(wide * wide))) if wide.size else 0.0


def is_floating(x: Any) -> bool:
    """Whether this is a Tensor of floats."""
    return isinstance(x, Tensor) and x.dtype in FLOATING
