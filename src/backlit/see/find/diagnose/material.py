"""What a diagnosis is made from: one recorded step, probes of the model, and a short rehearsal.

Everything is put back: parameters, buffers, gradients, the optimizer's state, the generator.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ....autograd import backward, no_grad
from ....dtypes import FLOATING
from ....errors import ArgumentError, BacklitError
from ....nn.keeping import kept
from ....nn.module import Module
from ....ops.elementwise import Astype
from ....ops.loss import Loss
from ....optim import Adam, Optimizer
from ....tensor import Tensor, as_tensor, wrap
from ....tree import flatten
from ...problem import require_batch, require_loss
from ...records.from_block import recording
from ...records.model import Record
from ...records.parts import NodeRecord
from ...records.value import array_of


class Material:
    """One batch, one model, one loss, and what they do together."""

    def __init__(
        self,
        model: Module,
        batch: Sequence[Any],
        loss_fn: Callable[..., Tensor],
        optimizer: Optimizer | None,
        seconds: float = 20.0,
        call: Callable[..., Any] | None = None,
    ):
        self.model = model
        #: How the model is called with `batch`: `model(*inputs)`, unless it was called otherwise.
        self.call: Callable[..., Any] = model if call is None else call
        require_batch("diagnose", batch)
        if not callable(loss_fn):
            raise ArgumentError(
                "diagnose: loss_fn must be a function of the model's output and the target, as "
                f"nn.CrossEntropyLoss(), got {type(loss_fn).__name__}"
            )
        self.inputs = tuple(as_tensor(x) for x in batch[:-1])
        self.target = as_tensor(batch[-1])
        self.loss_fn = loss_fn
        self.optimizer = optimizer
        self.seconds = seconds
        self.parameters = list(model.named_parameters())
        self.names = {id(p): n for n, p in self.parameters}
        start = time.perf_counter()
        with self.kept(), recording() as watched:
            returned = self.call(*self.inputs)
            loss = require_loss("diagnose", loss_fn(returned, self.target))
        self.output = _tensor_of(returned)
        self.cost = time.perf_counter() - start
        self.loss = float(loss)
        self.record: Record = watched.of(loss) if loss.requires_grad else watched.record
        self.has_graph = loss.requires_grad
        result = self.record.node_of(self.output)
        self.output_id = None if result is None else result.id

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Whatever happens inside, afterwards the model and its surroundings are as before."""
        optimizer = self.optimizer
        state = optimizer.state_dict() if optimizer is not None else None
        try:
            with kept(self.model):
                yield
        finally:
            if optimizer is not None and state is not None:
                optimizer.load_state_dict(state)

    # -- what the batch is --------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """The size of the batch."""
        return self.inputs[0].shape[0] if self.inputs[0].shape else 1

    @property
    def classes(self) -> int | None:
        """The number of classes, if this is classification of integer labels."""
        y = self.output
        if not isinstance(y, Tensor) or y.ndim < 2 or self.target.dtype.kind not in "iu":
            return None
        return y.shape[1] if self.target.ndim == y.ndim - 1 else None

    @property
    def loss_op(self) -> NodeRecord | None:
        """The node of a loss op, if the loss is one."""
        return next((n for n in reversed(self.record.nodes) if issubclass(n.op_class, Loss)), None)

    def gradient(self, p: Tensor) -> np.ndarray | None:
        """This batch's gradient of a parameter."""
        node = self.record.node_of(p)
        return None if node is None else array_of(node.upstream)

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

    def producer(self, node: NodeRecord) -> NodeRecord | None:
        """What made the first input of a node, views looked through."""
        for _ in range(8):
            edges = [e for e in self.record.incoming[node.id] if e.position == 0]
            if not edges:
                return None
            node = self.record.nodes[edges[0].source]
            if not (node.op_class.role == "mover" or issubclass(node.op_class, Astype)):
                return node
        return node

    # -- probes -------------------------------------------------------------------------------

    def run(self, *inputs: Tensor, training: bool | None = None) -> np.ndarray | None:
        """The model's output for other inputs, None if it raises."""
        with self.kept(), no_grad():
            if training is not None:
                self.model.train(training)
            try:
                y = _tensor_of(self.call(*inputs))
            except (BacklitError, ValueError, TypeError, IndexError):
                return None
            return np.array(y.numpy(), np.float64) if isinstance(y, Tensor) else None

    def rehearsal(self, steps: int, optimizer: Optimizer | None = None) -> list[float]:
        """The losses of some steps on this batch, with the given optimizer or a safe Adam."""
        losses: list[float] = []
        end = time.perf_counter() + self.seconds / 2
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        if not trainable:
            return losses
        with self.kept(), np.errstate(all="ignore"):
            chosen = optimizer if optimizer is not None else Adam(trainable, lr=3e-3)
            for _ in range(steps):
                for p in self.model.parameters():
                    p.grad = None
                chosen.zero_grad()
                loss = self.loss_fn(self.call(*self.inputs), self.target)
                losses.append(float(loss))
                if not loss.requires_grad or not np.isfinite(losses[-1]):
                    break
                backward(loss)
                chosen.step()
                if time.perf_counter() > end:
                    break
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
            self.optimizer.step()
            ratios = {}
            for n, p in self.parameters:
                size = float(np.linalg.norm(before[n]))
                if p.ndim >= 2 and size > 0:
                    moved = np.asarray(p.array, np.float64) - before[n]
                    ratios[n] = float(np.linalg.norm(moved)) / size
        return ratios

    @cached_property
    def mixing(self) -> tuple[int, int] | None:
        """(i, j): the output of sample i depends on sample j, in evaluation mode."""
        y0 = self.run(*self.inputs, training=False)
        if y0 is None or self.rows < 2 or y0.ndim == 0 or y0.shape[0] != self.rows:
            return None
        for j in (0, self.rows - 1):
            other = 1 if j == 0 else 0
            changed = []
            for x in self.inputs:
                array = np.array(x.array)
                if array.shape[:1] == (self.rows,):
                    array[j] = array[other] * (0.5 if x.dtype in FLOATING else 1)
                changed.append(wrap(array))
            y1 = self.run(*changed, training=False)
            if y1 is None or y1.shape != y0.shape:
                return None
            rest = [i for i in range(self.rows) if i != j]
            scale = float(np.max(np.abs(y0[rest]), initial=0.0)) or 1.0
            off = np.abs(y1[rest] - y0[rest]).reshape(len(rest), -1).max(1)
            if off.max() > 1e-4 * scale:
                return rest[int(np.argmax(off))], j
        return None

    @cached_property
    def spread(self) -> float | None:
        """How much the output differs from sample to sample, of its own size; evaluation mode."""
        y = self.run(*self.inputs, training=False)
        if y is None or self.rows < 2 or y.shape[:1] != (self.rows,):
            return None
        alike = all(
            np.ptp(np.asarray(x.array, np.float64), axis=0).max(initial=0) == 0
            for x in self.inputs
            if x.shape[:1] == (self.rows,)
        )
        if alike:
            return None
        size = float(np.sqrt(np.mean(y * y)))
        return float(np.max(np.std(y, axis=0))) / size if size > 0 else None


def _tensor_of(returned: Any) -> Any:
    """A model's output: of several things that it returns, the first that is a Tensor."""
    return next((x for x in flatten(returned)[0] if isinstance(x, Tensor)), returned)


def rms(a: Any) -> float:
    """The root mean square of numbers; 0 of none."""
    wide = np.asarray(a, np.float64)
    return float(np.sqrt(np.mean(wide * wide))) if wide.size else 0.0
