"""What a function reads besides its arguments: when it changes, compiled does what eager does.

Each scenario is a program that gets `compile` and returns what it saw. It is run once eagerly and
once compiled. Here stands what is found from the function's code - closures, globals, attributes,
modules, NumPy arrays, modes - with what of it is refused, warned about or frozen. What a call does
to Tensors, its arguments and its results stands in `test_footguns.py`.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime
import enum
import functools
import gc
import os
import pickle
import random
import subprocess
import sys
import threading
import time
import types
import warnings
import weakref
from random import uniform

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim
from backlit.compiler import CompiledFunction, interpreter, native
from backlit.errors import ArgumentError, GradientError, TraceError

SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__.replace("_", " ")] = function
    return function


def seen(value):
    if isinstance(value, bl.Tensor):
        return np.round(value.numpy().astype(np.float64), 4).tolist()
    if isinstance(value, tuple | list):
        return [seen(v) for v in value]
    if isinstance(value, dict):
        return {k: seen(v) for k, v in value.items()}
    return value


def both(function, executor):
    eager = seen(function(lambda f: f))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eager, seen(function(functools.partial(bl.compile, executor=executor)))


X = bl.tensor([1.0, -2.0])


# -- closures, globals, defaults ------------------------------------------------------------------


@scenario
def closure_numbers(compile):
    n, pair, table, words = 2, (1.0, 2.0), {"a": 3.0}, ["x"]

    @compile
    def f(x):
        return x * n + pair[0] + table["a"] + (10 if words[0] == "x" else 20)

    out = [f(X)]
    n = 3
    out.append(f(X))
    pair = (5.0, 2.0)
    out.append(f(X))
    table["a"] = 4.0
    out.append(f(X))
    words[0] = "y"
    out.append(f(X))
    n, pair, words[0] = 2, (1.0, 2.0), "x"
    table["a"] = 3.0
    return [*out, f(X)]


@scenario
def closure_numbers_of_equal_value(compile):
    n = 1

    @compile
    def f(x):
        return x.astype("int64") / n if n is True else x / n

    out = [f(X)]
    n = True
    out.append(f(X))
    n = 0.0
    out.append(f(X))
    n = -0.0
    return [*out, f(X)]


SCALE = 2.0
SETTINGS = {"inner": {"scale": [1.0, 2.0]}}


def helper(x):
    return x * SCALE + SETTINGS["inner"]["scale"][1]


@scenario
def globals_of_functions_that_are_called(compile):
    global SCALE, helper
    before = helper

    @compile
    def f(x):
        return helper(x)

    out = [f(X)]
    try:
        SCALE = 3.0
        out.append(f(X))
        SETTINGS["inner"]["scale"][1] = 7.0
        out.append(f(X))
        helper = lambda x: x - 1  # noqa: E731
        out.append(f(X))
    finally:
        SCALE, helper, SETTINGS["inner"]["scale"][1] = 2.0, before, 2.0
    return out


@scenario
def defaults(compile):
    def make():
        def f(x, scale=[2.0], *, shift={"by": 1.0}):  # noqa: B006
            return x * scale[0] + shift["by"]

        return f

    f = make()
    fast = compile(f)
    out = [fast(X)]
    f.__defaults__[0][0] = 5.0
    out.append(fast(X))
    f.__kwdefaults__["shift"]["by"] = 2.0
    out.append(fast(X))
    f.__defaults__ = ([9.0],)
    return [*out, fast(X)]


@scenario
def code_of_the_function_replaced(compile):
    def f(x):
        return x + 1

    fast = compile(f)
    out = [fast(X)]
    f.__code__ = (lambda x: x + 2).__code__
    return [*out, fast(X)]


@scenario
def closures_of_inner_functions(compile):
    n = 2.0

    @compile
    def f(x):
        def inner(y):
            return [y * n for _ in range(2)][1]

        return (lambda z: inner(z))(x)

    out = [f(X)]
    n = 4.0
    return [*out, f(X)]


@scenario
def functions_in_containers_and_partial(compile):
    power = 2

    def first(x):
        return x**power

    steps = [first, functools.partial(lambda a, x: x * a, 3.0)]

    @compile
    def f(x):
        for s in steps:
            x = s(x)
        return x

    out = [f(X)]
    power = 3
    out.append(f(X))
    steps[1] = functools.partial(lambda a, x: x * a, 4.0)
    out.append(f(X))
    steps.append(lambda x: x + 1)
    return [*out, f(X)]


@scenario
def partial_of_the_function(compile):
    options = {"scale": 2.0}
    f = compile(functools.partial(lambda o, x, shift: x * o["scale"] + shift, options, shift=1.0))
    out = [f(X)]
    options["scale"] = 3.0
    return [*out, f(X), f(X, shift=2.0)]


@scenario
def surrounding_tensors_replaced_by_others(compile):
    w = bl.tensor([1.0, 2.0])
    held = {"w": bl.tensor([1.0, 1.0])}

    @compile
    def f(x):
        return x * w + held["w"]

    out = [f(X)]
    w = bl.tensor([3.0, 4.0])
    out.append(f(X))
    held["w"] = bl.tensor([5.0, 5.0])
    return [*out, f(X)]


@scenario
def numbers_and_dictionaries_that_the_function_writes(compile):
    count, log = 0, {}

    @compile
    def f(x):
        nonlocal count
        count += 1
        log["count"] = count
        return x * count

    return [f(X) for _ in range(5)] + [count, log]


@scenario
def deque_and_set(compile):
    recent, chosen = collections.deque([1.0, 2.0], maxlen=2), {1}

    @compile
    def f(x):
        return x * recent[0] + (1 if 2 in chosen else 0)

    out = [f(X)]
    recent.append(3.0)
    out.append(f(X))
    chosen.add(2)
    return [*out, f(X)]


# -- objects --------------------------------------------------------------------------------------


class Mode(enum.Enum):
    A = 1
    B = 2


class Config:
    shared = 1.0

    def __init__(self):
        self.scale, self.sizes, self.mode, self.other = 2.0, [1, 2], Mode.A, 0
        self.inner = types.SimpleNamespace(shift=1.0)

    @property
    def doubled(self):
        return self._doubling() * 2

    def _doubling(self):
        return self.scale


@scenario
def configuration_objects(compile):
    c = Config()

    @compile
    def f(x):
        y = x * c.doubled + c.inner.shift + c.sizes[1] + c.shared
        return y if c.mode is Mode.A else -y

    out = [f(X)]
    c.scale = 3.0
    out.append(f(X))
    c.inner.shift = 5.0
    out.append(f(X))
    c.sizes.append(1)
    c.sizes[1] = 7
    out.append(f(X))
    c.mode = Mode.B
    out.append(f(X))
    c.inner = types.SimpleNamespace(shift=0.5)
    out.append(f(X))
    c.shared = 9.0
    out.append(f(X))
    del c.shared
    out.append(f(X))
    Config.shared = 11.0
    try:
        return [*out, f(X)]
    finally:
        Config.shared = 1.0


@scenario
def attributes_that_are_asked_for_by_string(compile):
    c = Config()

    @compile
    def f(x):
        if hasattr(c, "extra"):
            x = x + c.extra
        return x * getattr(c, "factor", 1.0)

    out = [f(X)]
    c.factor = 3.0
    out.append(f(X))
    c.extra = 4.0
    out.append(f(X))
    del c.factor
    return [*out, f(X)]


class Slotted:
    __slots__ = ("value",)


@scenario
def slots_and_named_tuples(compile):
    s = Slotted()
    s.value = 2.0
    point = collections.namedtuple("point", "a b")(1.0, 2.0)

    @compile
    def f(x):
        return x * s.value + point.b

    out = [f(X)]
    s.value = 3.0
    out.append(f(X))
    point = point._replace(b=5.0)
    return [*out, f(X)]


class Machine:
    def __init__(self, compile):
        self.w = bl.tensor([1.0, 1.0])
        self.rate, self.calls = 0.5, 0
        self.step = compile(self._step)

    def _step(self, x):
        self.w.assign(self.w - self._rate() * x)
        return self.w * 1

    def _rate(self):
        return self.rate

    def run(self, x):
        self.calls += 1
        return self.step(x)


@scenario
def bound_methods_as_steps(compile):
    m = Machine(compile)
    out = [m.run(X), m.run(X)]
    m.rate = 0.25
    out += [m.run(X), m.run(X)]
    m._rate = lambda: 2.0
    out.append(m.run(X))
    if isinstance(m.step, CompiledFunction):
        assert len(m.step.graphs) == 3
    return out


@scenario
def methods_decorated_in_the_class(compile):
    class Stepper:
        def __init__(self, scale):
            self.scale = scale

        @compile
        def step(self, x, shift=1.0):
            return x * self.scale + shift

    a, b = Stepper(2.0), Stepper(3.0)
    out = [a.step(X), b.step(X), a.step(X, shift=2.0), Stepper.step(a, X)]
    a.scale = 4.0
    out += [a.step(X), b.step(X)]
    c = copy.deepcopy(a)
    c.scale = 5.0
    return [*out, c.step(X), a.step(X)]


@scenario
def callable_objects(compile):
    class Scale:
        def __init__(self):
            self.by = 2.0

        def __call__(self, x):
            return x * self.by

    s = Scale()
    f, g = compile(s), compile(lambda x: s(x) + 1)
    out = [f(X), g(X)]
    s.by = 3.0
    return [*out, f(X), g(X)]


@scenario
def objects_as_arguments(compile):
    c = Config()

    @compile
    def f(x, config):
        return x * config.scale

    out = [f(X, c)]
    c.scale = 3.0
    out.append(f(X, c))
    return [*out, f(X, config=Config())]


@dataclasses.dataclass
class Batch:
    x: bl.Tensor
    scale: float = 1.0
    names: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Frozen:
    scale: float = 1.0


@scenario
def dataclasses_as_arguments_and_results(compile):
    f = compile(lambda batch, frozen: Batch(batch.x * batch.scale * frozen.scale, 1.0, batch.names))
    b = Batch(X, 2.0, ["a"])
    out = [f(b, Frozen()).x]
    b.x, b.names = bl.tensor([5.0, 6.0]), ["b"]
    result = f(b, Frozen(1))
    out += [result.x, result.names, type(result) is Batch]
    b.scale = 4.0
    return [*out, f(b, Frozen(True)).x, f(b, Frozen(3.0)).x]


@scenario
def keyword_order_and_dicts(compile):
    f = compile(lambda **k: [(n, v * (i + 1)) for i, (n, v) in enumerate(k.items())])
    g = compile(lambda d: [(str(n), v) for n, v in d.items()])
    return [
        f(a=X, b=X), f(b=X, a=X), g({1: X}), g({True: X}), g({1.0: X}),
        g(collections.OrderedDict(b=X, a=X)),
    ]  # fmt: skip


@scenario
def numbers_as_arguments(compile):
    f = compile(lambda x, n: x / n if n else x * 0 / (n or 1.0) + (1 if n is None else 2))
    values = (1, 1.0, True, 2, None, np.float32(2.0), np.int64(2))
    zero = compile(lambda x, n: x * n)
    return [
        *[f(X, v) for v in values],
        *[np.signbit(zero(X, v).numpy()).tolist() for v in (0.0, -0.0, np.float32(-0.0))],
        *[bool(bl.isnan(zero(X, float(n))).all()) for n in ("nan", "nan")],
    ]


# -- modules --------------------------------------------------------------------------------------


class Net(nn.Module):
    factor = 1.0

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
        self.more = nn.ModuleList([nn.Linear(2, 2)])
        self.sizes, self.options, self.mode = (1, 2), {"shift": 1.0}, Mode.A
        self.drop = nn.Dropout(0.0)
        self.function = bl.tanh
        for i, p in enumerate(self.parameters()):
            p.assign(np.full(p.shape, 0.1 * (i + 1)))

    def forward(self, x):
        x = self.layers(x) * self.factor
        for layer in self.more:
            x = layer(x)
        x = self.function(x) + self.sizes[0] + self.options["shift"]
        return self.drop(x if self.mode is Mode.A else -x)


@scenario
def attributes_of_modules(compile):
    net = Net()
    f = compile(net)
    out = [f(X)]
    net.sizes = (3, 2)
    out.append(f(X))
    net.options["shift"] = 2.0
    out.append(f(X))
    net.options = {"shift": 4.0}
    out.append(f(X))
    net.mode = Mode.B
    out.append(f(X))
    net.function = bl.sigmoid
    out.append(f(X))
    net.factor = 5.0
    out.append(f(X))
    net.forward = lambda x: x + 100
    out.append(f(X))
    return out


@scenario
def modules_replaced_inside(compile):
    net = Net()
    f = compile(lambda x: net(x))
    out = [f(X)]
    net.layers[1] = nn.ReLU()
    out.append(f(X))
    net.layers.append(nn.Sigmoid())
    out.append(f(X))
    del net.layers[0]
    out.append(f(X))
    net.more[0] = nn.Identity()
    out.append(f(X))
    net.more.append(nn.ReLU())
    out.append(f(X))
    net.layers._modules["0"] = nn.Identity()
    out.append(f(X))
    net.layers = nn.Identity()
    out.append(f(X))
    net = nn.Identity()
    return [*out, f(X)]


@scenario
def parameters_replaced(compile):
    net = nn.Linear(2, 2)
    f = compile(lambda x: net(x))
    net.weight = nn.Parameter(bl.ones((2, 2)))
    net.bias = nn.Parameter(bl.zeros((2,)))
    out = [f(X)]
    net.weight = nn.Parameter(bl.full((2, 2), 2.0))
    out.append(f(X))
    net.bias = None
    out.append(f(X))
    net.weight.requires_grad_(False)
    out.append(f(X))
    net.load_state_dict({"weight": bl.full((2, 2), 3.0)})
    return [*out, f(X)]


@scenario
def switches_of_a_submodule(compile):
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5))
    x = bl.tensor([[1.0, 2.0], [3.0, 5.0]])
    f = compile(lambda x: net(x))
    net[1].eval()
    out = [f(x)]
    net[0].eval()
    out.append(f(x))
    net[0].train()
    net[0].momentum = None
    out += [f(x), f(x), net[0].running_mean]
    net[0].track_running_stats = False
    return [*out, f(x)]


@scenario
def frozen_and_unfrozen_parameters(compile):
    net = nn.Linear(2, 1)
    net.weight.assign(np.ones((1, 2)))

    @compile
    def f(x):
        net.zero_grad()
        net(x).sum().backward()

    f(X)
    out = [net.weight.grad]
    net.weight.requires_grad_(False)
    f(X)
    out.append(net.weight.grad)
    net.requires_grad_(True)
    f(X * 2)
    return [*out, net.weight.grad]


@scenario
def temporary_attributes(compile):
    class Attention(nn.Module):
        def forward(self, x):
            self.q = x * 2
            self.parts = []
            self.parts.append(self.q + 1)
            return self.q + self.parts[0]

    f = compile(Attention())
    return [f(X), f(X * 2), f(X)]


@scenario
def getattr_of_modules_and_class_attributes(compile):
    class Base(nn.Module):
        scale = 2.0

        def forward(self, x):
            return x * self.scale * self.helper()

        def helper(self):
            return getattr(self, "extra", 1.0)

    net = Base()
    f = compile(lambda x: net(x))
    out = [f(X)]
    net.extra = 3.0
    out.append(f(X))
    Base.scale = 5.0
    out.append(f(X))
    Base.helper = lambda self: 10.0
    return [*out, f(X)]


@scenario
def dictionaries_of_modules(compile):
    heads = nn.ModuleDict({"a": nn.Identity(), "b": nn.ReLU()})
    plain = {"c": nn.Tanh()}
    name = "a"
    f = compile(lambda x: plain["c"](heads[name](x)))
    out = [f(X)]
    name = "b"
    out.append(f(X))
    heads["b"] = nn.Sigmoid()
    out.append(f(X))
    plain["c"] = nn.Identity()
    return [*out, f(X)]


@scenario
def what_a_module_writes_down(compile):
    class Noting(nn.Module):
        def forward(self, x):
            self.size = x.shape[0]
            return x + 1

    net = Noting()
    f = compile(lambda x: net(x))
    out = []
    for n in (2, 3, 2, 3, 2):
        f(bl.ones((n,)))
        out.append(net.size)
    return out


@scenario
def signed_zeros(compile):
    f = compile(lambda x: [
        1 / y for y in (x * 0.0, x * -0.0, bl.full((2,), 0.0) * x, bl.full((2,), -0.0) * x,
                        bl.clip(x - 9, -0.0, 5.0), bl.clip(x - 9, 0.0, 5.0))
    ])  # fmt: skip
    return f(bl.tensor([1.0, 2.0]))


# -- optimizers -----------------------------------------------------------------------------------


def training(compile, make, change):
    net = nn.Linear(2, 1)
    net.weight.assign([[1.0, 0.5]])
    net.bias.assign([1.0])
    opt = make(net.parameters())

    @compile
    def step(x):
        loss = (net(x) ** 2).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    out = [step(X), step(X)]
    change(net, opt)
    return [*out, step(X), step(X), net.weight, net.bias]


class OwnRule(optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})
        self.scale, self.powers = 2.0, (1, 1)

    def update(self, xp, settings, numbers, parameter, grad):
        return (parameter - numbers[0] * self.scale * grad ** self.powers[0],)


def change_rule(net, opt):
    opt.scale, opt.powers = 0.5, (3, 1)


def set_group(name, value):
    return lambda net, opt: opt.param_groups[0].__setitem__(name, value)


def add_group(net, opt):
    del opt.param_groups[0]["params"][1]
    opt.add_param_group({"params": [net.bias], "lr": 1.0})


def swap_rule(net, opt):
    opt.update = types.MethodType(
        lambda self, xp, settings, numbers, parameter, grad: (parameter - grad,), opt
    )


CHANGES_OF_OPTIMIZERS = {
    "own numbers": (lambda p: OwnRule(p, 0.01), change_rule),
    "own rule": (lambda p: OwnRule(p, 0.01), swap_rule),
    "betas": (lambda p: optim.Adam(p, lr=0.1), set_group("betas", (0.5, 0.6))),
    "eps": (lambda p: optim.Adam(p, lr=0.1), set_group("eps", 1.0)),
    "amsgrad": (lambda p: optim.Adam(p, lr=0.1, amsgrad=True), set_group("lr", 0.5)),
    "weight decay on": (lambda p: optim.SGD(p, lr=0.1), set_group("weight_decay", 0.5)),
    "weight decay off": (lambda p: optim.SGD(p, lr=0.1, weight_decay=1.0),
                         set_group("weight_decay", 0.0)),
    "momentum on": (lambda p: optim.SGD(p, lr=0.01), set_group("momentum", 0.5)),
    "nesterov": (lambda p: optim.SGD(p, lr=0.01, momentum=0.5), set_group("nesterov", True)),
    "state cleared": (lambda p: optim.Adam(p, lr=0.1), lambda net, opt: opt.state.clear()),
    "state of one cleared": (lambda p: optim.Adam(p, lr=0.1),
                             lambda net, opt: opt.state.pop(net.weight)),
    "state replaced": (lambda p: optim.Adam(p, lr=0.1),
                       lambda net, opt: opt.state[net.weight].update(
                           {k: bl.zeros_like(v) for k, v in opt.state[net.weight].items()})),
    "params removed": (lambda p: optim.SGD(p, lr=0.1),
                       lambda net, opt: opt.param_groups[0]["params"].pop()),
    "groups": (lambda p: optim.SGD(p, lr=0.01), add_group),
    "parameter frozen": (lambda p: optim.SGD(p, lr=0.01),
                         lambda net, opt: net.weight.requires_grad_(False)),
    "loaded": (lambda p: optim.Adam(p, lr=0.1),
               lambda net, opt: opt.load_state_dict(optim.Adam(
                   net.parameters(), lr=0.3, betas=(0.1, 0.2)).state_dict())),
}  # fmt: skip


for _name, (_make, _change) in CHANGES_OF_OPTIMIZERS.items():
    SCENARIOS[f"optimizer {_name}"] = functools.partial(
        lambda compile, make, change: training(compile, make, change), make=_make, change=_change
    )


@scenario
def optimizer_replaced(compile):
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    opt = optim.SGD([w], lr=0.1)

    @compile
    def step():
        opt.zero_grad()
        (w * w).sum().backward()
        opt.step()

    step()
    opt = optim.Adam([w], lr=0.5)
    step()
    return w


@scenario
def steps_and_modes_in_turn(compile):
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    net[0].weight.assign(np.eye(2))
    f = compile(lambda x: net(x))
    out = []
    for i in range(6):
        net.train(i % 2 == 0)
        bl.manual_seed(i)
        out.append(f(X) if i % 2 else f(X) * 0)
        net[0].bias.assign([0.5 * i, 1.0])
    return out


@scenario
def hooks(compile):
    w = bl.tensor([1.0, 2.0], requires_grad=True)

    @compile
    def step(x):
        w.grad = None
        (w * x).sum().backward()

    step(X)
    out = [w.grad]
    remove = w.register_hook(lambda g: g * 10)
    step(X)
    out.append(w.grad)
    remove()
    step(X)
    return [*out, w.grad]


# -- NumPy arrays ---------------------------------------------------------------------------------


@scenario
def arrays_written_to_in_place(compile):
    a = np.array([1.0, 2.0], np.float32)
    table = {"b": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)}

    @compile
    def f(x):
        return x * a + bl.asarray(table["b"])[0] + bl.tensor(table["b"].T[0]) + table["b"][1]

    out = [f(X)]
    a[0] = 10.0
    out.append(f(X))
    table["b"][:, 1] = 7.0
    out.append(f(X))
    a = np.array([5.0, 5.0], np.float32)
    return [*out, f(X)]


@scenario
def arrays_computed_with(compile):
    a = np.array([1.0, 2.0], np.float32)

    @compile
    def f(x):
        return x * (a * 2) + float(a[1])

    out = [f(X)]
    a[:] = 4.0
    return [*out, f(X), f(X)]


@scenario
def arrays_of_other_types(compile):
    a, flags = np.array([1.0, 2.0]), np.array([True, False])

    @compile
    def f(x):
        return bl.asarray(a, dtype="float32") + bl.where(flags, x, 0.0) + bl.tensor(a, "float32")

    out = [f(X)]
    a[:], flags[:] = 3.0, True
    return [*out, f(X)]


@scenario
def assigned_arrays(compile):
    a, w = np.array([1.0, 2.0], np.float32), bl.zeros((2,))

    @compile
    def f():
        w.assign(a)

    f()
    out = [w * 1]
    a[:] = 9.0
    f()
    return [*out, w]


# -- modes and threads ----------------------------------------------------------------------------


@scenario
def gradients_switched_off_around_it(compile):
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    f = compile(lambda x: (x * w).detach() if bl.is_grad_enabled() else x)
    out = [f(X)]
    with bl.no_grad():
        out.append(f(X))
    return [*out, f(X)]


@scenario
def seeds(compile):
    own = bl.random.Generator(3)
    f = compile(lambda: (bl.random.uniform((2,)), own.normal((2,))))
    bl.manual_seed(5)
    out = [f(), f()]
    bl.manual_seed(5)
    out.append(f())
    own.manual_seed(1)
    out.append(f())
    own = bl.random.Generator(9)
    return [*out, f()]


@scenario
def random_numbers_of_threads(compile):
    f = compile(lambda: bl.random.uniform((2,)))
    bl.manual_seed(1)
    out = [f()]

    def work():
        bl.manual_seed(7)
        out.append(f())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return [*out, f()]


@scenario
def errors_and_another_try(compile):
    fail = True

    @compile
    def f(x):
        if fail:
            raise KeyboardInterrupt
        return x + 1

    with pytest.raises(KeyboardInterrupt):
        f(X)
    fail = False
    return [f(X), f(X)]


@scenario
def copies_of_compiled_functions(compile):
    net = nn.Linear(2, 1, bias=False)
    net.weight.assign(np.ones((1, 2)))
    f = compile(net)
    out = [f(X)]
    g, h = copy.deepcopy(f), copy.copy(f)
    net.weight.assign(np.zeros((1, 2)))
    return [*out, f(X), g(X), h(X)]


def test_a_class_of_the_user_may_have_the_name_of_a_compiled_function() -> None:
    other = type("CompiledFunction", (), {"factor": 2.0})()
    f = bl.compile(lambda x: x * other.factor, executor=interpreter)
    assert f(bl.tensor([1.0])).tolist() == [2.0]
    other.factor = 3.0
    assert f(bl.tensor([1.0])).tolist() == [3.0]


@pytest.mark.parametrize("executor", [interpreter, native])
@pytest.mark.parametrize("name", SCENARIOS)
def test_compiled_is_eager(name, executor):
    eager, compiled = both(SCENARIOS[name], executor)
    assert compiled == eager


# -- what raises ----------------------------------------------------------------------------------


def numpy_numbers(x):
    return x * float(np.random.rand())


def python_numbers(x):
    return x * random.random()


def imported_function(x):
    return x * uniform(0, 1)


OWN_NUMBERS = np.random.default_rng(0)
LETTERS = iter([1.0, 2.0])


def own_numbers(x):
    return x * OWN_NUMBERS.normal()


def elements(x):
    return x * next(LETTERS)


def generator(x):
    yield x


async def coroutine(x):
    return x


def array(x):
    return x, np.ones(2)


def holder(x):
    return types.SimpleNamespace(x=x)


def fresh_object(x):
    return Config()


def fresh_set(x):
    return {1, 2}


def changed_dict(x, d):
    d["y"] = x * 2
    return x


def changed_list(x, d):
    d["list"].append(1)
    return x


def replaced_leaf(x, d):
    d["a"] = x
    return x


STATE = {"h": bl.tensor([0.0, 0.0])}


def state_in_a_dict(x):
    STATE["h"] = STATE["h"] * 0.5 + x
    return STATE["h"] * 1


RAISING = [
    (numpy_numbers, r"cannot draw random numbers from numpy\.random, because every call would see"),
    (python_numbers, "cannot draw random numbers from random"),
    (imported_function, "cannot draw random numbers from uniform"),
    (own_numbers, "cannot draw random numbers from OWN_NUMBERS.*draw with backlit.random"),
    (
        elements,
        "cannot read from an iterator.*but LETTERS is a list_iterator; take from it",
    ),
    (generator, "returned a generator, but it runs once"),
    (coroutine, "returned a coroutine, but it runs once"),
    (array, "returned a ndarray, but NumPy computes it once"),
    (holder, "returned a SimpleNamespace, but Tensors inside it have no values"),
    (fresh_object, "returned a Config, but every call would return the same one"),
    (fresh_set, "returned a set, but every call would return the same one"),
    (
        state_in_a_dict,
        r"a float32\[2\] is read by multiply .* that an earlier captured call",
    ),
]


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize(("function", "text"), RAISING)
def test_what_cannot_be_as_in_eager_is_an_error(function, text):
    with pytest.raises(TraceError, match=text):
        bl.compile(function)(X)
    assert bl.compile(lambda x: x + 1)(X).tolist() == [2.0, -1.0]  # nothing is left behind


@pytest.mark.parametrize("function", [changed_dict, changed_list, replaced_leaf])
def test_containers_among_the_arguments_are_not_changed(function):
    with pytest.raises(TraceError, match="cannot change a list, dict or dataclass among its arg"):
        bl.compile(function)(X, {"a": 1, "list": []})


def test_an_iterator_as_argument_is_an_error():
    with pytest.raises(TraceError, match=r"cannot read from an iterator.*but argument 1 is a list"):
        bl.compile(lambda x, i: x * next(i))(X, iter([1.0]))


def test_only_functions_are_compiled():
    with pytest.raises(ArgumentError, match="compile: a function is required, got 3"):
        bl.compile(3)


def test_gradients_of_arguments_are_not_seen():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()

    def clears(x):
        x.grad = None
        return x * 1

    for f in (lambda x: x * x.grad, clears):
        with pytest.raises(TraceError, match=r"does not see the grad of its arguments, but fl"):
            bl.compile(f)(x)


@pytest.mark.parametrize("executor", [interpreter, native])
def test_no_gradient_is_lost_at_the_border_of_a_compiled_function(executor):
    body, head = nn.Linear(2, 2), nn.Linear(2, 1)
    f = bl.compile(lambda x: (body(x), x * 1), executor=executor)
    out, same = f(X)
    assert out.requires_grad
    assert not same.requires_grad
    with pytest.raises(GradientError, match=r"no gradient goes through a compiled function from o"):
        head(out).sum().backward()
    with bl.no_grad():
        out = f(X)[0]
    head(out).sum().backward()
    assert head.weight.grad is not None
    w, other = bl.ones(2).requires_grad_(), bl.ones(2).requires_grad_()
    square = bl.compile(lambda w: (w * w).sum(), executor=executor)
    derivatives = [
        lambda: bl.grad(square(w), w),
        lambda: bl.grad(square(w) + w.sum(), w),
        lambda: bl.value_and_grad(square)(bl.ones(2)),
        lambda: bl.jacobian(square, bl.ones(2)),
        lambda: bl.jvp(square, bl.ones(2), bl.ones(2)),
        lambda: bl.grad(f(X)[0].sum(), body.bias),
    ]
    for derivative in derivatives:
        with pytest.raises(GradientError, match=r"no gradient goes through a compiled function"):
            derivative()
    y = square(w)
    assert bl.grad(y * 2 + other.sum(), [y, other])[0].item() == 2
    assert bl.grad(square(w), other, allow_unused=True) is None
    step = bl.compile(lambda x: bl.value_and_grad(lambda w: (w * x).sum())(body.bias))
    assert not step(X)[1].requires_grad  # nothing could be differentiated further


NET = types.SimpleNamespace(last=None)


def test_tensors_left_behind_say_so():
    net = nn.Identity()

    def f(x):
        net.last = x * 2
        return x

    bl.compile(f)(X)
    assert net.last.tolist() == [2.0, -4.0]  # attributes of modules are set at every call
    net.last = None

    def g(x):
        NET.last = x * 2
        return x

    bl.compile(g)(X)
    with pytest.raises(TraceError, match=r"tolist\(\): this float32\[2\] has no value, because"):
        NET.last.tolist()


# -- what warns -----------------------------------------------------------------------------------

LARGE = np.ones(100_000, np.float32)


def prints(x):
    print("here")
    return x


def clock(x):
    return x * time.time()


def date(x):
    return x * datetime.datetime.now().year


def large(x):
    return x * float(LARGE.sum())


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (
            prints,
            r"prints calls print \(test_environment.py:\d+\) while it is captured",
        ),
        (clock, r"clock calls time\.time \("),
        (date, r"date calls datetime\.now \("),
        (large, "large computes with the NumPy array LARGE, whose elements are read while it is"),
    ],
)
def test_what_happens_at_the_capture_only_is_warned_about_once(function, text):
    f = bl.compile(function)
    with pytest.warns(UserWarning, match=text):
        f(X)
    f(X)
    f(bl.ones(3))


@pytest.mark.slow
def test_captures_because_of_surroundings_are_warned_about_with_the_cause():
    c = Config()
    f = bl.compile(lambda x: x * c.scale)
    for i in range(8):
        c.scale = i
        f(X)
    c.scale = 99
    with pytest.warns(
        UserWarning, match=r"captured 9 times, .* because c\.scale was 7 and then 99"
    ):
        f(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i in range(40):
            c.scale = 100 + i
            f(X)
    assert len(f.graphs) == 49


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda net: setattr(net[1], "p", 0.1), r"net\._modules\['1'\]\.p was 0\.5 and then 0\.1"),
        (lambda net: setattr(net[0].weight, "grad", bl.ones((2, 2))), "had no gradient before"),
        (lambda net: net[0].weight.requires_grad_(False), "requires_grad of a Tensor it found"),
        (lambda net: net.append(nn.ReLU()), r"net\._modules was a list of 4 and then"),
    ],
)
def test_the_cause_of_a_capture_is_named(change, text):
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    f = bl.compile(lambda x: (net(x), net[0].weight.grad)[0])
    f(X)
    f._captures = 8
    change(net)
    with pytest.warns(UserWarning, match=text):
        f(X)


# -- where a module lies says nothing about whose it is --------------------------------------------

INSTALLED = """
rates = {"dropout": 0.5}

class Settings:
    scale = 2.0

settings = Settings()
factor = 3.0

def by_dict(x): return x * rates["dropout"]
def by_class(x): return x * Settings.scale
def by_object(x): return x * settings.scale
def by_global(x): return x * factor
def by_default(x, times=[1.0]): return x * times[0]
"""
SCRIPT = """
import backlit, mytrain
from backlit.compiler import interpreter, native

x = backlit.tensor([1.0, 2.0])
own = {"rate": 1.0}
functions = {name: f for name, f in vars(mytrain).items() if name.startswith("by_")}
functions["script"] = lambda x: x * own["rate"] * mytrain.by_dict(x)
functions["module"] = lambda x: x * mytrain.settings.scale * mytrain.factor

def change():
    mytrain.rates["dropout"] *= 0.5
    mytrain.Settings.scale *= 2.0
    mytrain.factor += 1.0
    mytrain.by_default.__defaults__[0][0] += 1.0
    own["rate"] += 1.0

compiled = {(n, e): backlit.compile(f, executor=e)
            for n, f in functions.items() for e in (native, interpreter)}
for _ in range(3):
    for (name, executor), f in compiled.items():
        assert f(x).tolist() == functions[name](x).tolist(), name
    change()
for f in compiled.values():
    assert len(f.graphs) == 3
print("as eager")
"""


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["site-packages", "dist-packages", "plain"])
def test_an_installed_package_of_the_user_is_followed_as_any_other(tmp_path, folder):
    place = tmp_path / "lib" / folder
    (place / "mytrain").mkdir(parents=True)
    (place / "mytrain" / "__init__.py").write_text(INSTALLED)
    (place / "launcher.py").write_text("import sys\nexec(sys.argv[1], {'__name__': '__main__'})\n")
    path = os.pathsep.join([str(place), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "launcher", SCRIPT],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
    )
    assert done.stdout == "as eager\n", done.stderr


@pytest.mark.slow
def test_a_script_that_has_the_name_of_a_standard_module_is_followed(tmp_path):
    (tmp_path / "profile.py").write_text(INSTALLED)
    script = SCRIPT.replace("import backlit, mytrain", "import backlit, profile as mytrain")
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        cwd=tmp_path,
    )
    assert done.stdout == "as eager\n", done.stderr


# -- what is frozen, as the guide says ------------------------------------------------------------


def test_the_environment_of_the_process_is_frozen(monkeypatch):
    monkeypatch.setenv("SCALE", "2")
    f = bl.compile(lambda x: x * float(os.environ["SCALE"]))
    assert f(X).tolist() == [2.0, -4.0]
    monkeypatch.setenv("SCALE", "3")
    assert f(X).tolist() == [2.0, -4.0]


def test_attributes_whose_names_are_computed_are_frozen():
    settings, kind = Config(), "ale"
    settings.scale = 2.0
    reads = {
        "computed": (lambda x: x * getattr(settings, "sc" + kind), 2.0),
        "through vars": (lambda x: x * vars(settings)["scale"], 2.0),
        "given as text": (lambda x: x * getattr(settings, "scale"), 3.0),  # noqa: B009
    }
    compiled = {what: bl.compile(f) for what, (f, _) in reads.items()}
    for f in compiled.values():
        assert f(X).tolist() == [2.0, -4.0]
    settings.scale = 3.0
    for what, (_, factor) in reads.items():
        assert compiled[what](X).tolist() == [factor, -2 * factor], what


def test_what_is_written_past_a_module_is_seen_with_its_next_change():
    drop = nn.Dropout(0.5)
    f = bl.compile(drop)
    f(X)
    vars(drop)["p"] = 0.0
    assert f(bl.ones(64)).tolist() == [1.0] * 64  # other arguments: another capture
    assert len(f.graphs) == 2
    f(X)
    drop.note = "this is announced"
    assert f(X).tolist() == X.tolist()
    assert len(f.graphs) == 3


def test_attributes_that_are_only_set_on_other_objects_are_set_at_the_capture():
    c = Config()

    def f(x):
        c.size = x.shape[0]
        return x

    fast = bl.compile(f)
    for n, size in ((2, 2), (3, 3), (2, 3)):
        fast(bl.ones(n))
        assert c.size == size


# -- what changes nothing -------------------------------------------------------------------------


def test_changes_that_the_function_does_not_read_make_no_captures():
    class Fit:
        def __init__(self):
            self.net, self.losses, self.epoch, self.notes = nn.Linear(2, 1), [], 0, {}
            self.optimizer = optim.SGD(self.net.parameters(), lr=0.1)
            self.step = bl.compile(self._step)

        def _step(self, x):
            loss = (self.net(x) ** 2).sum()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            return loss

        def run(self):
            for _ in range(5):
                self.net.train()
                self.losses.append(self.step(X).item())
                self.epoch += 1
                self.notes[self.epoch] = self.losses[-1]
                self.net.seen = self.epoch
                self.optimizer.param_groups[0]["lr"] = 0.1 / self.epoch
                self.optimizer.last = self.epoch

    fit = Fit()
    fit.run()
    assert len(fit.step.graphs) == 1


def test_models_and_functions_are_given_back():
    net = nn.Linear(2, 2)
    gone = weakref.ref(net)
    f = bl.compile(net)
    f(X)
    del net, f
    gc.collect()
    assert gone() is None


@bl.compile
def module_level(x):
    return x + 1


def test_functions_of_modules_are_pickled_by_name():
    assert pickle.loads(pickle.dumps(module_level)) is module_level
    other = pickle.loads(pickle.dumps(bl.compile(helper)))
    assert other(X).tolist() == helper(X).tolist()
    assert repr(other).startswith("compile(<function helper")
    assert Config.__name__ in repr(bl.compile(Config))


def test_threads_that_compile_the_same_function_in_different_modes():
    net, failures = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), []
    f = bl.compile(lambda x, mode: net(x) * (2 if mode else 3))
    want = {mode: (net(X) * (2 if mode else 3)).tolist() for mode in (True, False)}

    def work(mode):
        for i in range(50):
            net[1].note = i  # announced, but nothing that is read
            if not np.allclose(f(X, mode).numpy(), want[mode], rtol=1e-5):
                failures.append(mode)

    threads = [threading.Thread(target=work, args=(i % 2 == 0,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert len(f.graphs) == 2
