"""The optimizer: one update rule, written for one parameter, applied to all of them.

A rule is mathematics over a namespace, like an op body: it takes the parameter, its gradient and
its state and returns the new parameter and the new state. NumPy runs it eagerly, Tensors capture it.
Whatever changes between steps (the learning rate, the number of steps) is a Tensor, so a captured
step does not freeze it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from ..autograd import no_grad
from ..backend import numpy_backend as NUMPY
from ..dtypes import float64
from ..errors import ArgumentError, DTypeError, ShapeError
from ..functions.namespace import TENSORS
from ..op import describe
from ..tensor import STATE, Tensor, as_tensor, wrap


class Group(dict):
    """Parameters with common settings. `lr` is a Tensor; setting it to a number changes its value."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "lr" and isinstance(self.get("lr"), Tensor):
            self["lr"].assign(np.array(float(value), float64))
        else:
            super().__setitem__(name, value)


class Optimizer:
    """The base of all optimizers: subclass it and write `update`."""

    #: Names of the Tensors that are kept for each parameter, starting at zero.
    state_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]):
        groups = list(params)
        if not groups:
            raise ArgumentError(f"{type(self).__name__}: there must be at least one parameter")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add parameters with settings of their own."""
        name = type(self).__name__
        unknown = set(group) - set(self.defaults) - {"params"}
        if unknown or "params" not in group:
            raise ArgumentError(
                f"{name}: a group has 'params' and any of {', '.join(self.defaults)}, "
                f"got {', '.join(map(str, group))}"
            )
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor) or not p.requires_grad or not p.is_leaf:
                raise DTypeError(
                    f"{name}: parameters must be leaf Tensors that require a gradient, got {p!r:.80}"
                )
            if id(p) in known:
                raise ArgumentError(f"{name}: a parameter ({describe(p)}) stands in two groups")
            known.add(id(p))
        settings = {**self.defaults, **{k: v for k, v in group.items() if k != "params"}}
        self.check(settings)
        settings["lr"] = wrap(np.array(float(settings["lr"]), float64))
        self.param_groups.append(Group(params=params, **settings))

    def check(self, settings: dict[str, Any]) -> None:
        """Raise unless every setting lies in its range."""
        for name, value in settings.items():
            if name == "betas":
                if len(value) != 2 or not all(0 <= b < 1 for b in value):
                    raise ArgumentError(f"{type(self).__name__}: betas must lie in [0, 1), got {value}")
            elif isinstance(value, float | int) and not isinstance(value, bool) and value < 0:
                raise ArgumentError(
                    f"{type(self).__name__}: {name} must not be negative, got {value}"
                )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or with `set_to_none=False` make them zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None if set_to_none or p.grad is None else as_tensor(p.grad * 0)

    def coefficients(self, xp: Any, lr: Any, step: Any, group: Group) -> tuple[Any, ...]:
        """The numbers of this step that all parameters of a group share, in float64."""
        return (lr,)

    def update(
        self,
        xp: Any,
        group: Group,
        coefficients: tuple[Any, ...],
        parameter: Any,
        grad: Any,
        *state: Any,
    ) -> tuple[Any, ...]:
        """The new value of one parameter, and its new state."""
        raise NotImplementedError(f"{type(self).__name__}.update")

    @no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        if STATE.trace is None:
            self._step(NUMPY, _read_array, _write_array)
        else:
            self._step(TENSORS, _read_tensor, Tensor.assign)

    def _step(self, xp: Any, read: Any, write: Any) -> None:
        counted: dict[Tensor, Any] = {}
        for group in self.param_groups:
            shared: dict[Any, tuple[Any, ...]] = {}
            lr = read(group["lr"])
            fresh: Tensor | None = None
            for p in group["params"]:
                grad = p.grad
                if grad is None:
                    continue
                state = self.state.get(p)
                if state is None:
                    fresh = wrap(np.zeros((), float64)) if fresh is None else fresh
                    state = self._start(p, fresh)
                steps = state["step"]
                if steps not in counted:
                    counted[steps] = read(steps) + 1
                    write(steps, counted[steps])
                key = (steps, p.dtype)
                if key not in shared:
                    numbers = self.coefficients(xp, lr, counted[steps], group)
                    shared[key] = tuple(xp.astype(_array(xp, c), p.dtype) for c in numbers)
                names = self.state_names
                new = self.update(
                    xp, group, shared[key], read(p), read(grad), *[read(state[n]) for n in names]
                )
                write(p, new[0])
                for name, value in zip(names, new[1:], strict=True):
                    write(state[name], value)

    def _start(self, p: Tensor, steps: Tensor) -> dict[str, Tensor]:
        """Zero state for a parameter; those that start together share a step counter."""
        state = {"step": steps}
        for name in self.state_names:
            state[name] = wrap(np.zeros(p.shape, p.dtype))
        self.state[p] = state
        return state

    # -- saving -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """State Tensors by parameter number, and the settings of the groups."""
        params = [p for g in self.param_groups for p in g["params"]]
        state = {
            str(i): {n: t.detach() for n, t in self.state[p].items()}
            for i, p in enumerate(params)
            if p in self.state
        }
        groups = []
        for g in self.param_groups:
            settings = {k: v for k, v in g.items() if k != "params"}
            settings["lr"] = float(g["lr"])
            settings["params"] = len(g["params"])
            groups.append(settings)
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from a saved state. Nothing changes if it does not fit."""
        sizes = [len(g["params"]) for g in self.param_groups]
        given = [g["params"] for g in saved["param_groups"]]
        if sizes != given:
            raise ArgumentError(
                f"load_state_dict: the groups must have {sizes} parameters, got {given}"
            )
        params = [p for g in self.param_groups for p in g["params"]]
        counters: dict[float, Tensor] = {}
        new: dict[Tensor, dict[str, Tensor]] = {}
        for i, tensors in saved["state"].items():
            p = params[int(i)]
            if set(tensors) != {"step", *self.state_names}:
                raise ArgumentError(
                    f"load_state_dict: {type(self).__name__} keeps "
                    f"{', '.join(('step', *self.state_names))}, got {', '.join(tensors)}"
                )
            steps = float(as_tensor(tensors["step"]))
            counter = counters.setdefault(steps, wrap(np.array(steps, float64)))
            new[p] = {"step": counter}
            for name in self.state_names:
                value = as_tensor(tensors[name])
                if value.shape != p.shape:
                    raise ShapeError(
                        f"load_state_dict: {name} of parameter {i} must have shape {p.shape}, "
                        f"got {value.shape}"
                    )
                new[p][name] = wrap(np.array(value.numpy(), p.dtype))
        self.state = new
        for group, settings in zip(self.param_groups, saved["param_groups"], strict=True):
            for name, value in settings.items():
                if name != "params":
                    group[name] = tuple(value) if isinstance(value, list) else value


def _array(xp: Any, x: Any) -> Any:
    return np.asarray(x) if xp is NUMPY else as_tensor(x)


def _read_array(t: Tensor) -> Any:
    return t.array


def _read_tensor(t: Tensor) -> Any:
    return t


def _write_array(t: Tensor, value: Any) -> None:
    t.array = np.asarray(value)
