"""The optimizer: one update rule, written for one parameter, applied to all of them.

A rule is mathematics over a namespace, like an op body: it takes the parameter, its gradient and
its state and returns the new parameter and the new state. NumPy runs it eagerly, Tensors capture
it. Whatever changes between steps (the learning rate, the number of steps) is a Tensor, so a
captured step does not freeze it.

Here are the groups, the rule's interface, the step of Tensors and saving; `eager_step` is the step
of arrays, in which small parameters are joined.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from ..array_api.arguments import listed
from ..array_api.dialects import SPOKEN
from ..array_api.namespace import TENSORS
from ..autograd import enable_grad, no_grad
from ..changes import CHANGES, Announcing, WatchedDict, WatchedList
from ..dtypes import float64
from ..errors import ArgumentError, DTypeError, ShapeError
from ..foreign import require_dict, words
from ..op import describe
from ..state import STATE
from ..tensor import Tensor, as_tensor, wrap
from .eager_step import STEP, GroupStep, update_dtype
from .group import Group


class Optimizer(Announcing):
    """The base of all optimizers: subclass it and write `update`.

    >>> from backlit import tensor
    >>> class SignDescent(Optimizer):
    ...     def update(self, xp, settings, numbers, parameter, grad):
    ...         (lr,) = numbers
    ...         return (parameter - lr * xp.sign(grad),)
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SignDescent([w], {"lr": 0.5})
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Tensor([0.5, 1.5], shape=(2,), dtype=float32, requires_grad=True)
    """

    guarded: ClassVar = ("param_groups", "state")
    called: ClassVar = ("initial_state", "coefficients", "update")
    prepared: ClassVar = ("state", "param_groups")
    ignored: ClassVar = ("_group_steps",)

    #: Numeric settings for which 0 means that their term is left out.
    optional: ClassVar[tuple[str, ...]] = ()
    #: Allowed values of numeric settings: [low, high). Those not named must not be negative.
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}
    #: Settings that are True or False, and settings that are pairs of numbers.
    flags: ClassVar[tuple[str, ...]] = ()
    pairs: ClassVar[tuple[str, ...]] = ()
    #: Settings that are no numbers of a step: they stay what they are, and are checked by `check`.
    fixed: ClassVar[tuple[str, ...]] = ()
    #: Whether `update` treats each element on its own. Small parameters are then updated together.
    elementwise: ClassVar[bool] = False

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]):
        groups: list[Any] = listed(type(self).__name__, _unnamed(params))
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.defaults = dict(defaults)
        self.param_groups: list[Group] = WatchedList()
        self.state: dict[Tensor, dict[str, Tensor]] = _State()
        self._group_steps: list[GroupStep | None] = []
        for group in groups:
            self.add_param_group(group)

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get(name, STATE) is not value:
            object.__setattr__(self, name, value)
            CHANGES.mark = object()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_group_steps": [None] * len(self.param_groups)}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own: `{"params": [...], "lr": 0.1}`.

        A schedule that was made before changes their rate, too, from its next step on. Parameters
        that require no gradient (frozen ones) may be among them, and stay as they are.
        """
        name = type(self).__name__
        group = dict(param_group)
        initial = {k: float(group.pop(k)) for k in ("initial_lr",) if k in group}
        unknown = set(group) - set(self.defaults) - {"params"}
        more = {k: group.pop(k) for k in unknown} if SPOKEN.pytorch else {}  # kept, as there
        if (unknown and not more) or "params" not in group:
            raise ArgumentError(
                f"{name}: a group has 'params' and any of {', '.join(self.defaults)}, "
                f"got {', '.join(map(str, group))}"
            )
        params = listed(name, _unnamed(group["params"]))
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor) or not p.is_leaf:
                raise DTypeError(f"{name}: parameters must be leaf Tensors, got {_fault(p)}")
            if id(p) in known:
                raise ArgumentError(f"{name}: a parameter ({describe(p)}) is listed twice")
            known.add(id(p))
        settings = {**self.defaults, **{k: v for k, v in group.items() if k != "params"}}
        for key, value in settings.items():
            settings[key] = tuple(value) if isinstance(value, list) else value
        self.check(settings)
        self.param_groups.append(self._group(params, settings))
        self.param_groups[-1].update({**initial, **more})
        self._group_steps.append(None)

    def _group(self, params: list[Tensor], settings: dict[str, Any]) -> Group:
        kept = set(settings) - {"lr"} if self._is_free() else self.fixed
        fixed = {n: settings[n] for n in kept}
        return Group(params, settings, self.optional, self.check, fixed)

    def check(self, settings: dict[str, Any]) -> None:
        """Raise unless every given setting lies in its range."""
        name = type(self).__name__
        for key, value in settings.items():
            if key in self.fixed or (key != "lr" and self._is_free()):
                continue
            if key == "maximize" or key in self.flags:
                if not isinstance(value, bool):
                    raise ArgumentError(f"{name}: {key} must be True or False, got {value!r}")
                continue
            many = key in self.pairs
            if many and (not isinstance(value, tuple) or len(value) != 2):
                raise ArgumentError(f"{name}: {key} must be 2 numbers, got {value!r}")
            low, high = self.ranges.get(key, (0.0, math.inf))
            for v in value if many else (value,):
                try:
                    inside = low <= float(v) < high
                except (TypeError, ValueError):
                    raise DTypeError(f"{name}: {key} must be a number, got {v!r}") from None
                if not inside:
                    raise ArgumentError(f"{name}: {key} must lie in [{low:g}, {high:g}), got {v}")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or with `set_to_none=False` make them zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad = TENSORS.zeros_like(p.grad)

    # -- the rule -----------------------------------------------------------------------------

    def initial_state(self, settings: dict[str, Any]) -> dict[str, float]:
        """Names and starting values of the Tensors that are kept for each parameter."""
        return {}

    def state_for(
        self, settings: dict[str, Any], shape: tuple[int, ...]
    ) -> dict[str, tuple[float, tuple[int, ...]]]:
        """`initial_state` with the shape of each Tensor, for a parameter of a shape: its own."""
        return {name: (value, shape) for name, value in self.initial_state(settings).items()}

    def coefficients(self, xp: Any, settings: dict[str, Any], step: Any) -> tuple[Any, ...]:
        """The numbers of this step that all parameters of a group share, worked out in float64.

        `settings` has the numbers of the group, None for those that are off. `step` counts from 1.
        """
        return (settings["lr"],)

    def update(
        self,
        xp: Any,
        settings: dict[str, Any],
        numbers: tuple[Any, ...],
        parameter: Any,
        grad: Any,
        *state: Any,
    ) -> tuple[Any, ...]:
        """The new value of one parameter, and its new state in the order of `initial_state`.

        `numbers` are the coefficients, in the parameter's dtype.
        """
        raise NotImplementedError(f"{type(self).__name__}.update")

    # -- the step -----------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Parameters of 16-bit types are updated in float32, as is their state, and rounded. A
        `closure` is called before, to compute the loss and gradients anew; its result is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if STATE.execution.captures:
            STATE.execution.called(self)
            self._step_tensors()
            return loss
        for number, group in enumerate(self.param_groups):
            step = self._group_steps[number]
            if step is None or not step.fits(self, group):
                step = self._group_steps[number] = GroupStep(self, group)
            step.run(self, group.floats())
        return loss

    @no_grad()
    def _step_tensors(self) -> None:
        """One step of Tensors, parameter by parameter, for capture."""
        xp: Any = TENSORS
        for group in self.param_groups:
            settings = group.tensors()
            shared: dict[Tensor, tuple[Any, ...]] = {}
            for p, state in self._active(group):
                counter = state[STEP]
                if counter not in shared:
                    counter.assign(counter + 1)
                    shared[counter] = self.coefficients(xp, settings, counter)
                wide = update_dtype(p.dtype)
                numbers = tuple(
                    n.astype(wide) if isinstance(n, Tensor) else n for n in shared[counter]
                )
                kept = [t for name, t in state.items() if name != STEP]
                grad = as_tensor(p.grad).astype(wide)
                if settings.get("maximize"):
                    grad = -grad
                new = self.update(xp, settings, numbers, p.astype(wide), grad, *kept)
                p.assign(new[0].astype(p.dtype))
                for tensor, value in zip(kept, new[1:], strict=True):
                    tensor.assign(value)

    def _active(self, group: Group) -> list[tuple[Tensor, dict[str, Tensor]]]:
        """The parameters that have a gradient, with their state, made where there is none yet."""
        counter: Tensor | None = None
        result = []
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state.get(p)
            if not state:
                # Those that start together share a counter.
                counter = wrap(np.zeros((), float64)) if counter is None else counter
                state = self.state[p] = self._fresh(p, group, counter)
            wide = update_dtype(p.dtype)
            for name, (value, shape) in self.state_for(group.floats(), p.shape).items():
                if name not in state:  # its term was switched on meanwhile
                    state[name] = wrap(np.full(shape, value, wide))
            for name, t in state.items():
                if name != STEP and t.dtype != wide:  # the parameter was cast meanwhile
                    t.array = t.array.astype(wide)
            result.append((p, state))
        return result

    def _fresh(self, p: Tensor, group: Group, counter: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = WatchedDict({STEP: counter})
        for name, (value, shape) in self.state_for(group.floats(), p.shape).items():
            state[name] = wrap(np.full(shape, value, update_dtype(p.dtype)))
        return state

    # -- saving -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Copies of the state Tensors by parameter number, and the settings of the groups.

        The numbers are texts, and a group says how many parameters it has; after `import
        backlit.torch` they are numbers, and a group lists its own, as in PyTorch.
        """
        as_theirs = SPOKEN.pytorch
        state: dict[Any, Any] = {}
        groups = []
        number = 0
        for group in self.param_groups:
            first = number
            for p in group["params"]:
                if self.state.get(p):
                    kept = {n: _copied(t) for n, t in self.state[p].items()}
                    state[number if as_theirs else str(number)] = kept
                number += 1
            own = list(range(first, number)) if as_theirs else number - first
            groups.append({**group.plain(), "params": own})
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state, ours or PyTorch's. Nothing changes if it does not fit."""
        name = type(self).__name__
        require_dict(f"{name}.load_state_dict", state_dict)
        if not {"state", "param_groups"} <= set(state_dict):
            raise ArgumentError(
                f"load_state_dict: {name} needs 'state' and 'param_groups', got "
                f"{', '.join(state_dict)}"
            )
        if any(isinstance(g["params"], list) for g in state_dict["param_groups"]):
            state_dict = _from_pytorch(state_dict, self.defaults)
        sizes = [len(g["params"]) for g in self.param_groups]
        groups = state_dict["param_groups"]
        given = [g["params"] for g in groups]
        if sizes != given:
            raise ArgumentError(
                f"load_state_dict: the groups must have {sizes} parameters, got {given}"
            )
        twins = [self._twin(g, s) for g, s in zip(self.param_groups, groups, strict=True)]
        unknown = set(state_dict["state"]) - {str(i) for i in range(sum(sizes))}
        if unknown:
            raise ArgumentError(
                f"load_state_dict: there are {sum(sizes)} parameters, got state for "
                f"{', '.join(sorted(unknown))}"
            )
        new: dict[Tensor, dict[str, Tensor]] = _State()
        number = 0
        for group in twins:
            counters: dict[float, Tensor] = {}
            for p in group["params"]:
                tensors = state_dict["state"].get(str(number))
                if tensors is not None:
                    new[p] = self._loaded(p, number, group, tensors, counters)
                number += 1
        for group, twin in zip(self.param_groups, twins, strict=True):
            for key, value in twin.plain().items():
                group[key] = value
        self._replace_state(new)

    def _twin(self, group: Group, saved: dict[str, Any]) -> Group:
        """A new group with the saved settings, checked."""
        settings = {k: v for k, v in saved.items() if k in self.defaults}
        for name in ("maximize", "decoupled_weight_decay"):  # older files lack them
            if name in self.defaults:
                settings.setdefault(name, self.defaults[name])
        settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        missing = set(self.defaults) - set(settings)
        if missing:
            raise ArgumentError(
                f"load_state_dict: {type(self).__name__} has the settings "
                f"{', '.join(self.defaults)}, got {', '.join(k for k in saved if k != 'params')}"
            )
        self.check(settings)
        twin = self._group(group["params"], settings)
        for key, value in saved.items():
            if key not in twin:
                twin[key] = value  # what a schedule keeps here
        return twin

    def _loaded(
        self,
        p: Tensor,
        number: int,
        group: Group,
        tensors: dict[str, Any],
        counters: dict[float, Tensor],
    ) -> dict[str, Tensor]:
        if self._own_step():
            return WatchedDict({name: _copied(value) for name, value in tensors.items()})
        shapes = {n: s for n, (_, s) in self.state_for(group.floats(), p.shape).items()}
        if set(tensors) != {STEP, *shapes}:
            raise ArgumentError(
                f"load_state_dict: {type(self).__name__} keeps {', '.join((STEP, *shapes))}, "
                f"got {', '.join(tensors)}"
            )
        steps = float(as_tensor(tensors[STEP]))
        state: dict[str, Tensor] = WatchedDict()
        state[STEP] = counters.setdefault(steps, wrap(np.array(steps, float64)))
        for name, shape in shapes.items():
            value = as_tensor(tensors[name])
            if value.shape != shape:
                raise ShapeError(
                    f"load_state_dict: {name} of parameter {number} must have shape {shape}, "
                    f"got {value.shape}"
                )
            state[name] = wrap(np.array(value.numpy(), update_dtype(p.dtype)))
        return state

    def _is_free(self) -> bool:
        """Whether a subclass wrote its own `step`, whose settings may be anything but the rate."""
        return self._own_step() and not self.fixed

    def _own_step(self) -> bool:
        """Whether a subclass wrote `step` in place of `update`; its state is what it likes."""
        return type(self).step is not Optimizer.step

    def _replace_state(self, new: dict[Tensor, dict[str, Tensor]]) -> None:
        """Take over the state, in the Tensors that are there, because captured steps refer to them.

        Where that is impossible they are emptied: a captured step sees a new shape and is captured
        again.
        """
        if self._own_step():
            self.state = new
            return
        old = {p: state for p, state in self.state.items() if state}
        same = set(old) == set(new) and _sharing(old) == _sharing(new)
        same = same and all(set(old[p]) == set(new[p]) for p in new)
        if same:
            for p, state in new.items():
                for name, tensor in state.items():
                    old[p][name].array = tensor.array
        else:
            for state in old.values():
                for tensor in state.values():
                    tensor.array = np.zeros((0,), tensor.dtype)
            self.state = new
        self._group_steps = [None] * len(self.param_groups)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}("]
        for group in self.param_groups:
            settings = ", ".join(f"{n}={_short(v)}" for n, v in group.plain().items())
            count = sum(p.size for p in group["params"])
            lines.append(f"  {len(group['params'])} Tensors of {count:,} numbers: {settings}")
        return "\n".join([*lines, ")"])


#: Settings of PyTorch's groups that say how it computes, not what.
_HOW = ("foreach", "fused", "capturable", "differentiable")


def _from_pytorch(saved: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """A state of PyTorch's in our form: it lists its parameters by number, and leaves zeros out."""
    groups, state = [], {}
    number = 0
    for group in saved["param_groups"]:
        settings = {**defaults, **{k: v for k, v in group.items() if k not in _HOW}}
        settings["lr"] = float(group.get("lr", 0.0))
        groups.append({**settings, "params": len(group["params"])})
        for theirs in group["params"]:
            kept = {k: v for k, v in saved["state"].get(theirs, {}).items() if v is not None}
            if kept:
                state[str(number)] = {STEP: 1.0, **kept}  # SGD does not count
            number += 1
    return {"state": state, "param_groups": groups}


class _State(WatchedDict):
    """The state by parameter: an empty one for a parameter that has none yet, as in PyTorch."""

    def __missing__(self, p: Tensor) -> dict[str, Tensor]:
        self[p] = state = WatchedDict()
        return state


def _copied(value: Any) -> Any:
    """A copy of a Tensor of the state, or a number that an optimizer's own `step` keeps there."""
    return wrap(value.numpy().copy()) if isinstance(value, Tensor) else value


def settings_of(names: dict[str, Any]) -> dict[str, Any]:
    """A rule's settings, out of `locals()` in the first line of its constructor.

    So a constructor lists its settings once, as its parameters: `super().__init__(params,
    settings_of(locals()))`. Left out are `self`, `params` and what chooses among PyTorch's ways to
    compute one step (`foreach`, `fused`, `capturable`), of which there is one here.
    `differentiable=True` is refused.
    """
    others = ("self", "params", "__class__", "foreach", "fused", "capturable", "differentiable")
    if names.get("differentiable"):
        raise ArgumentError(
            f"{type(names['self']).__name__}: differentiable must be False, got True: a step is "
            "not put on the tape; write the update with Tensors to differentiate through it"
        )
    return {n: value for n, value in names.items() if n not in others}


def _unnamed(params: Any) -> Any:
    """Parameters without the names that `named_parameters()` gives them."""
    if not isinstance(params, list | tuple | Iterator):
        return params
    return [p[1] if isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) else p
            for p in params]  # fmt: skip


def _fault(p: Any) -> str:
    """What is wrong with a parameter, and the cure."""
    if not isinstance(p, Tensor):
        return f"{words(p)[0]}; use model.parameters()"
    return f"{describe(p)} computed by {p.op}; give what it was computed from"


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))})"
    return f"{value:g}" if isinstance(value, float) else repr(value)


def _sharing(state: dict[Tensor, dict[str, Tensor]]) -> dict[Tensor, int]:
    """Which parameters share a step counter: the number of the first one that has it."""
    first: dict[Tensor, int] = {}
    return {p: first.setdefault(s[STEP], i) for i, (p, s) in enumerate(state.items())}


__all__ = ["Group", "Optimizer"]
