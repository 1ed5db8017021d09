"""What does the first training step of a script show? For the options of `backlit run`.

The script is not changed: calls of modules, `backward` and `optimizer.step` are looked at on their
way, until the first step has been taken.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from ...errors import BacklitError
from ...nn import functional
from ...nn.module import Module
from ...op import Op
from ...optim import Optimizer
from ...see.checks import check as check_gradient
from ...see.find.diagnose import diagnose as diagnose_model
from ...see.measure.statistics import Watch
from ...see.measure.statistics import watch as watch_model
from ...see.records.from_tape import record
from ...see.show.draw import draw as draw_record
from ...state import STATE, observing
from ...tensor import Tensor
from ...torch.nn import functional as their_functional
from ..output import make_console

#: The functions that may be a script's loss, where it is no module.
_LOSSES = (
    "cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy "
    "binary_cross_entropy_with_logits kl_div"
).split()


class FirstStep:
    """Looks at the first step, as the options ask."""

    def __init__(
        self, script: str, *, draw: bool, check: bool, diagnose: bool, watch: bool
    ) -> None:
        self.picture = Path(script).stem + ".html" if draw else ""
        self.check, self.diagnose, self.watch = check, diagnose, watch
        #: The first call of a model: the module, its inputs, its output. Then that of the loss.
        self.model: tuple[Module, tuple[Any, ...], Any] | None = None
        self.loss: tuple[Callable[..., Any], tuple[Any, ...]] | None = None
        self.watching: Watch | None = None
        #: The ops that are nobody's but the script's, with the arrays that they got.
        self.own: dict[Any, tuple[Op, tuple[Any, ...]]] = {}
        self.walked = self.stepped = False

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """A block in which a script runs."""
        replaced: list[tuple[Any, str, Any]] = [
            (Module, "__call__", self._call(Module.__call__)),
            (Tensor, "backward", self._backward(Tensor.backward)),
            *[(cls, "step", self._step(cls.__dict__["step"])) for cls in _with_step()],
            *[(their_functional, n, self._loss(getattr(functional, n))) for n in _LOSSES],
        ]
        before = [(holder, name, vars(holder).get(name)) for holder, name, _ in replaced]
        for holder, name, new in replaced:
            setattr(holder, name, new)
        try:
            with observing(self._applied) if self.check else contextlib.nullcontext():
                try:
                    yield
                finally:
                    self._stop_watching()
        finally:
            for holder, name, old in before:
                if old is None:
                    delattr(holder, name)
                else:
                    setattr(holder, name, old)
            if not self.walked:
                _say("nothing called backward, so there was no training step to look at")
            elif not self.stepped and (self.watch or self.diagnose):
                _say("no optimizer took a step, after which watch and diagnose would look")

    # -- what passes ----------------------------------------------------------------------------

    def _call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(module: Module, *inputs: Any, **options: Any) -> Any:
            outermost = STATE.scope is None and not self.walked
            learns = outermost and STATE.grad_enabled and any(True for _ in module.parameters())
            if learns and self.watch and self.watching is None:
                self.watching = watch_model(module)
                self.watching.__enter__()
            y = original(module, *inputs, **options)
            if learns:
                self.model = module, inputs, y
            elif outermost:
                self._note_loss(module, inputs)
            return y

        return call

    def _loss(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def loss(*inputs: Any, **options: Any) -> Any:
            if STATE.scope is None and not self.walked:
                self._note_loss(functools.partial(original, **options), inputs)
            return original(*inputs, **options)

        return loss

    def _note_loss(self, function: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
        """A loss is what is computed of the model's output and one more thing."""
        if self.model is not None and len(inputs) == 2 and inputs[0] is self.model[2]:
            self.loss = function, inputs

    def _backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def backward(tensor: Tensor, *arguments: Any, **options: Any) -> Any:
            if not self.walked and not STATE.execution.captures:
                self.walked = True
                self._guarded(self._before_the_walk, tensor)
            return original(tensor, *arguments, **options)

        return backward

    def _step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def step(optimizer: Optimizer, *arguments: Any, **options: Any) -> Any:
            result = original(optimizer, *arguments, **options)
            if self.walked and not self.stepped and not STATE.execution.captures:
                self.stepped = True
                watched = self._stop_watching()
                self._guarded(functools.partial(self._after_the_step, watched), optimizer)
            return result

        return step

    def _applied(self, op: Op, inputs: tuple[Any, ...], y: Tensor) -> None:
        if not self.walked and not type(op).__module__.startswith("backlit."):
            arrays = tuple(x.array if isinstance(x, Tensor) else x for x in inputs)
            kinds = tuple(getattr(a, "shape", None) for a in arrays)
            self.own.setdefault((op.name, kinds), (op, arrays))

    def _stop_watching(self) -> Watch | None:
        """End the watch, if there is one, in the block in which it began."""
        watched, self.watching = self.watching, None
        if watched is not None:
            watched.__exit__(None, None, None)
        return watched

    def _guarded(self, look: Callable[[Any], None], thing: Any) -> None:
        """Look; what goes wrong there is said, and the script goes on."""
        try:
            with observing(alone=True):
                look(thing)
        except BacklitError as error:
            _say(" ".join(str(error).split()))

    # -- what is shown --------------------------------------------------------------------------

    def _before_the_walk(self, loss: Tensor) -> None:
        if self.picture:
            seen = record(loss)
            draw_record(seen).save(self.picture)
            _say(f"{self.picture}: the first step, {len(seen.nodes)} nodes")
        if self.check:
            for op, arrays in self.own.values():
                _print(check_gradient(op, *[_float64(a) for a in arrays]))
            if not self.own:
                _say("check: every gradient of the first step is Backlit's own, none the script's")

    def _after_the_step(self, watched: Watch | None, optimizer: Optimizer) -> None:
        if watched is not None:
            _print(watched)
        if not self.diagnose:
            return
        if self.model is None or self.loss is None:
            _say(
                "diagnose: the loss must be one call with the model's output and the target, as "
                "criterion(output, target), which the first step has not; use see.diagnose"
            )
            return
        model, inputs, _ = self.model
        function, (_, target) = self.loss
        batch = [x.detach() if isinstance(x, Tensor) else x for x in (*inputs, target)]
        _print(diagnose_model(model, batch, function, optimizer))


def _with_step() -> list[type[Optimizer]]:
    """The classes of optimizers that have a `step` of their own."""
    found, pending = [], [Optimizer]
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if "step" in cls.__dict__:
            found.append(cls)
    return found


def _float64(x: Any) -> Any:
    return x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def _say(text: str) -> None:
    click.echo(f"backlit: {text}", err=True)


def _print(thing: Any) -> None:
    make_console(stderr=True, soft_wrap=True).print(thing)
