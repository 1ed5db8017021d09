"""What does the first training step of a script show? For the options of `backlit run`.

The script is not changed: calls of modules, `backward` and `optimizer.step` are looked at on their
way, until the first step has been taken.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click
import numpy as np

from ...errors import ArgumentError, BacklitError
from ...location import location
from ...nn.module import Module
from ...op import Op
from ...optim import Optimizer
from ...see.checks import check as check_gradient
from ...see.find.diagnose import Diagnosis, judged
from ...see.find.diagnose.finding import Finding
from ...see.find.diagnose.loop import Loop
from ...see.find.diagnose.material import Material
from ...see.find.diagnose.rules import FIRST, REHEARSING, RULES
from ...see.find.diagnose.rules.steps import found_in_script
from ...see.measure.statistics import Watch
from ...see.measure.statistics import watch as watch_model
from ...see.records.from_tape import record
from ...see.show.draw import draw as draw_record
from ...state import STATE, observing
from ...table import quantity
from ...tape import INTERNAL, line_of, user_site
from ...tensor import Tensor
from ..output import make_console
from .calls import Adversaries, state_dropped
from .replay import CURE, Call, Replay, replay

#: So many rules are asked where one model makes the loss.
ALL_RULES = len(FIRST) + len(RULES) + len(REHEARSING)
#: So many losses of the first step are drawn.
DRAWN = 8
#: What to write in a script that updates its parameters by hand, for what looks at a step.
_BY_HAND = {
    "watch": "put each turn of its loop in `with watching:`, after watching = see.watch(model), "
    "and print(watching)",
    "diagnose": "print(see.diagnose(model, (x, y), loss_fn)), where loss_fn(model(x), y) is the "
    "loss",
}


class FirstStep:
    """Looks at the first step, as the options ask: until an optimizer takes its second."""

    def __init__(
        self, script: str, *, draw: bool, check: bool, diagnose: bool, watch: bool
    ) -> None:
        self.picture = Path(script).stem if draw else ""
        self.check, self.diagnose, self.watch = check, diagnose, watch
        #: The calls of modules that learn, until the first `backward`.
        self.calls: list[Call] = []
        #: What is watched, and what it is called; None once that is shown.
        self.watches: dict[int, tuple[str, Module, Watch] | None] = {}
        #: The ops that are nobody's but the script's, with the arrays that they got.
        self.own: dict[Any, tuple[Op, tuple[Any, ...]]] = {}
        #: The places from which `backward` was called; the ops that were checked.
        self.walks: list[Any] = []
        self.checked: set[Any] = set()
        #: What is diagnosed, and where its loss is walked back from.
        self.replay: Replay | None = None
        self.place = ""
        self.stepped: list[Optimizer] = []
        #: Whether an optimizer is at its step; whether we are looking; whether we have looked.
        self.stepping = self.busy = self.over = False
        self.shown = {"watch": not watch, "diagnose": not diagnose}
        #: What the whole script calls, for the diagnosis of its loop.
        self.loop = Loop(remembers=diagnose)
        #: The rules that spoke of the first step, and what those explain.
        self.said: set[str] = set()
        self.adversaries = Adversaries()
        #: What is found before the graph of the first loss is freed.
        self.beforehand: list[Finding] = []
        #: The verdict on the first step, if it found nothing: it waits for that on the loop.
        self.silent: Diagnosis | None = None

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """A block in which a script runs."""
        log = self.loop.watching() if self.diagnose else contextlib.nullcontext()
        try:
            with log, self._first_step():
                yield
        except BaseException:
            if self.silent is not None:
                _print(self.silent)
            raise
        found = found_in_script(self.loop) if self.diagnose else []
        found += self.adversaries.found()
        found = [f for f in found if f.rule not in self.said]
        if found:
            _print(Diagnosis("diagnose: the whole loop", found, 0))
        elif self.silent is not None:
            whole = "nor did those" if self.loop.is_whole else "and it is too long for those"
            _say(f"diagnose: {self.silent.asked} rules found nothing in the first step, {whole} of "
                 "the whole loop")  # fmt: skip

    @contextlib.contextmanager
    def _first_step(self) -> Iterator[None]:
        replaced: list[tuple[Any, str, Any]] = [
            (Module, "__call__", self._call(Module.__call__)),
            (Tensor, "backward", self._backward(Tensor.backward)),
            *[(cls, "step", self._step(cls.__dict__["step"])) for cls in _with_step()],
        ]
        before = [(holder, name, vars(holder).get(name)) for holder, name, _ in replaced]
        for holder, name, new in replaced:
            setattr(holder, name, new)
        looks_on = self.check or self.watch
        try:
            with observing(self._applied) if looks_on else contextlib.nullcontext():
                yield
        finally:
            for holder, name, old in before:
                setattr(holder, name, old)
            self._end()

    # -- what passes ----------------------------------------------------------------------------

    def _call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(module: Module, *inputs: Any, **options: Any) -> Any:
            looked_at = (
                not self.over
                and not self.busy
                and STATE.scope is None
                and not STATE.execution.captures
            )
            learns = looked_at and STATE.grad_enabled and any(True for _ in module.parameters())
            if learns and self.watch and id(module) not in self.watches:
                name = _name_of(module, sys._getframe(1))
                self.watches[id(module)] = name, module, watch_model(module)
            code, instruction = user_site()
            y = original(module, *inputs, **options)
            if self.diagnose and STATE.scope is None and not self.busy:
                self.adversaries.called(module, (inputs, options), y)
            if learns and self.diagnose and not self.walks:
                at = location(code.co_filename, line_of(code, instruction))
                self.calls.append(Call(module, inputs, options, y, at))
            return y

        return call

    def _backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def backward(tensor: Tensor, *arguments: Any, **options: Any) -> Any:
            site = user_site()
            if self.diagnose and not self.busy and not STATE.execution.captures:
                at = location(site[0].co_filename, line_of(*site))
                self._guarded(self.adversaries.walked, tensor, at)
            seen = self.over or self.busy or STATE.execution.captures or site in self.walks
            if not seen:
                self.walks.append(site)
                place = location(site[0].co_filename, line_of(*site))
                for look in (self._draw, self._check, self._remember):
                    self._guarded(look, tensor, place)
                self.calls.clear()
            return original(tensor, *arguments, **options)

        return backward

    def _step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def step(optimizer: Optimizer, *arguments: Any, **options: Any) -> Any:
            if self.over or self.busy or self.stepping:
                return original(optimizer, *arguments, **options)
            if any(optimizer is o for o in self.stepped):
                self._end()
                return original(optimizer, *arguments, **options)
            if self.walks and not STATE.execution.captures:  # before the parameters change
                self._guarded(self._judge, optimizer)
            self.stepping = True  # a class may call the step of the class that it extends
            try:
                result = original(optimizer, *arguments, **options)
            finally:
                self.stepping = False
            if self.walks and not STATE.execution.captures:
                self.stepped.append(optimizer)
                self._guarded(self._after_the_step, optimizer)
            return result

        return step

    def _applied(self, op: Op, inputs: tuple[Any, ...], y: Tensor) -> None:
        if self.over or self.busy:
            return
        for watched in self.watches.values():
            if watched is not None:
                watched[2].observe(op, inputs, y)
        if self.check and not type(op).__module__.startswith("backlit."):
            arrays = tuple(x.array if isinstance(x, Tensor) else x for x in inputs)
            kinds = tuple(getattr(a, "shape", None) for a in arrays)
            if (op.name, kinds) not in self.checked:
                self.own.setdefault((op.name, kinds), (op, arrays))

    def _guarded(self, look: Callable[..., None], *things: Any) -> None:
        """Look; what goes wrong there is said, and the script goes on."""
        self.busy = True
        try:
            with observing(alone=True), self.loop.paused():
                look(*things)
        except BacklitError as error:
            _say(" ".join(str(error).split()))
        finally:
            self.busy = False

    # -- what is shown --------------------------------------------------------------------------

    def _draw(self, loss: Tensor, place: str) -> None:
        number = len(self.walks)
        if not self.picture or number > DRAWN:
            return
        file = f"{self.picture}.html" if number == 1 else f"{self.picture}_{number}.html"
        seen = record(loss)
        draw_record(seen).save(file)
        which = "the first backward()" if number == 1 else f"backward() {number} of the first step"
        _say(f"{file}: {which}, {place}, {quantity(len(seen.nodes), 'node')}")

    def _check(self, loss: Tensor, place: str) -> None:
        found, self.own = self.own, {}
        self.checked |= found.keys()
        for op, arrays in found.values():
            _print(check_gradient(op, *[_float64(a) for a in arrays]))

    def _remember(self, loss: Tensor, place: str) -> None:
        """Take down how the loss came about, before its graph is freed."""
        if not self.diagnose or len(self.walks) > 1:
            return
        self.beforehand = list(state_dropped(self.calls))
        try:
            self.replay = replay(loss, self.calls, self.loop.turned)
            self.place = place
        except BacklitError as error:
            self.shown["diagnose"] = True
            raise ArgumentError(f"diagnose: {place}: {error}") from None

    def _after_the_step(self, optimizer: Optimizer) -> None:
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for key, watched in self.watches.items():
            if watched is None:
                continue
            name, module, watch = watched
            if any(id(p) in held for p in module.parameters()):
                self.watches[key] = None
                watch.step()
                self.shown["watch"] = True
                _say(f"watch: {name}, after {type(optimizer).__name__} took its first step")
                _print(watch)
        self._judge(optimizer)  # of a step whose closure walks back

    def _judge(self, optimizer: Optimizer) -> None:
        if self.replay is not None:
            found, self.replay = self.replay, None
            self.shown["diagnose"] = True
            _say(f"diagnose: the loss of {self.place}, with {type(optimizer).__name__}")
            material = Material(
                found.model, found.batch, found.loss_fn, optimizer, call=found.call,
                several=bool(found.calls), through=found.through, called_at=found.place,
            )  # fmt: skip
            told = judged(material)
            told.findings = [*self.beforehand, *told.findings]
            self.said = {rule for f in told for rule in (f.rule, *f.explains)}
            if found.calls:
                _say(
                    f"diagnose: {found.calls} make the loss, so {told.asked} of {ALL_RULES} rules "
                    f"can be asked; {CURE}"
                )
            if told:
                _print(told)
            else:
                self.silent = told

    def _end(self) -> None:
        """Say what there was not to see, once."""
        if self.over:
            return
        self.over = True
        self.watches.clear()
        if not self.walks:
            _say("nothing called backward, so there was no training step to look at")
            return
        left = len(self.walks) - DRAWN
        if self.picture and left > 0:
            _say(f"draw: {left} more backward() of the first step are not drawn")
        if self.check and not self.checked:
            _say(
                "check: nothing to check: the script writes no autograd.Function (gradients of "
                "Backlit's own functions are tested with it)"
            )
        for option, shown in self.shown.items():
            if shown:
                continue
            if self.stepped:
                _say(f"{option}: no module was called whose parameters the optimizer has")
            else:
                _say(
                    f"{option}: no optimizer took a step, after which --{option} looks; where a "
                    f"script updates by hand, {_BY_HAND[option]}"
                )


def _with_step() -> list[type[Optimizer]]:
    """The classes of optimizers that have a `step` of their own."""
    found, pending = [], [Optimizer]
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if "step" in cls.__dict__:
            found.append(cls)
    return found


def _name_of(module: Module, frame: FrameType | None) -> str:
    """What a module is called where it is called: `critic (Sequential)`, or by its class alone."""
    kind = type(module).__name__
    while frame is not None and INTERNAL[frame.f_code.co_filename]:
        frame = frame.f_back
    if frame is None:
        return kind
    held = {**frame.f_globals, **frame.f_locals}
    return next((f"{n} ({kind})" for n, x in held.items() if x is module), kind)


def _float64(x: Any) -> Any:
    return x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def _say(text: str) -> None:
    click.echo(f"backlit: {text}", err=True)


def _print(thing: Any) -> None:
    make_console(stderr=True, soft_wrap=True).print(thing)
