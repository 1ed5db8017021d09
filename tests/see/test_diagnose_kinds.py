"""`see.diagnose` on many kinds of mistakes and of right training; the tables are beside this."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim
from backlit.data import DataLoader, TensorDataset
from backlit.errors import ArgumentError
from backlit.op import REGISTRY
from backlit.see.find.diagnose import Diagnosis, diagnose
from backlit.tensor import apply
from backlit.train import Diagnose, Trainer
from sampling import one_in

from .ailing import BUGS, CE, case, mlp, points
from .sound import HEALTHY


def diagnosed(c) -> Diagnosis:
    return diagnose(c.model, c.batch, c.loss, c.optimizer, **c.more)


@pytest.mark.parametrize("name", one_in(6, BUGS))
def test_the_cause_is_named(name):
    rules, make = BUGS[name]
    found = diagnosed(make())
    assert {f.rule for f in found} & set(rules), found
    for f in found:
        assert f.text
        assert f.evidence
        assert f.next, f


@pytest.mark.parametrize("name", one_in(12, HEALTHY))
def test_what_is_right_is_left_in_peace(name):
    found = diagnosed(HEALTHY[name]())
    assert not found, found


def test_the_cause_stands_first_and_its_consequences_are_not_told():
    found = diagnosed(BUGS["pictures_to_255"][1]())
    assert [f.rule for f in found] == ["unscaled inputs"]
    found = diagnosed(BUGS["cross_entropy_of_one_output"][1]())
    assert [f.rule for f in found] == ["constant loss"]


def test_the_place_is_that_of_the_cause():
    found = diagnosed(BUGS["view_that_mixes_batch_and_features"][1]())
    assert found.findings[0].line.endswith(".reshape(-1, 24)), a=nn.Linear(10, 24),") or (
        "reshape" in found.findings[0].line
    )
    found = diagnosed(BUGS["zero_grad_after_backward"][1]())
    assert found.findings[0].line.startswith("ailing.py:")


def test_a_step_leaves_nothing_behind():
    c = BUGS["zero_grad_forgotten_in_the_step"][1]()
    before = [np.array(p.array) for p in c.model.parameters()]
    step, backward = type(c.optimizer).step, bl.Tensor.backward
    diagnosed(c)
    for p, a in zip(c.model.parameters(), before, strict=True):
        assert np.array_equal(p.array, a)
        assert p.grad is None
    assert (type(c.optimizer).step, bl.Tensor.backward) == (step, backward)
    assert not c.optimizer.state


def test_gradients_of_several_batches_are_none_that_were_forgotten():
    net = mlp(10, 16, 4)
    made = optim.SGD(net.parameters(), lr=0.1)
    count = [0]

    def step(x, t):
        CE(net(x), t).backward()
        count[0] += 1
        if count[0] % 2 == 0:
            made.step()
            for p in net.parameters():
                p.grad = None

    assert not diagnosed(case(net, points(), CE, made, step=step))


def test_as_a_callback_it_looks_at_the_data():
    x, t = points(96)
    train, test = TensorDataset(x[:64], t[:64]), TensorDataset(x[32:], t[32:])
    net = mlp(10, 16, 4)
    look = Diagnose((x[:32], t[:32]), data=train, validation=test)
    made = optim.Adam(net.parameters(), lr=1e-3)
    trainer = Trainer(net, CE, made, callbacks=[look], progress="quiet")
    trainer.fit(DataLoader(train, 32), DataLoader(test, 32), epochs=1)
    assert [f.rule for f in look.diagnoses[0]] == ["validation rows in training"]
    assert not look.diagnoses[1]


def test_steps_and_evaluations_must_be_functions():
    for name in ("step", "evaluate"):
        with pytest.raises(ArgumentError, match=f"diagnose: {name} must be a function, got int"):
            diagnosed(case(mlp(10, 8, 4), points(), CE, **{name: 3}))


def test_what_a_step_raises_is_told():
    def step(x, t):
        raise KeyError("weights")

    found = diagnosed(case(mlp(10, 8, 4), points(), CE, step=step))
    assert [f.rule for f in found] == ["the step raises"]
    assert found.findings[0].text == "step raises KeyError"


def test_a_target_may_be_more_than_one_tensor():
    x, t = points()

    def loss(y, target):
        return CE(y, target["labels"])

    assert not diagnosed(case(mlp(10, 16, 4), (x, {"labels": t}), loss))


def test_results_stay_in_the_bounds_of_their_op():
    given = np.linspace(-30, 30, 61).astype("float32").reshape(1, -1)
    bounded = {n: c for n, c in REGISTRY.items() if c.bounds is not None}
    assert len(bounded) >= 10
    for name, cls in bounded.items():
        low, high = cls.bounds
        if set(cls.attributes) - {"axis"} or len(cls.parameters) != 1:
            continue
        op = cls(axis=1) if cls.attributes else cls()
        x = bl.tensor(np.abs(given) if name == "sqrt" else given)
        y = apply(op, x).numpy()
        assert y.min() >= low, name
        assert y.max() <= high + 1e-6, name
        if not math.isinf(high - low):
            assert y.max() > low + 0.5 * (high - low), name


def test_a_model_without_parameters_has_nothing_to_train():
    class Double(nn.Module):
        def forward(self, x):
            return x * 2

    found = diagnosed(case(Double(), (points()[0], points()[0]), nn.MSELoss()))
    assert [f.rule for f in found] == ["no gradient"]


def test_each_part_may_have_its_own_optimizer():
    x, t = points(32, 5, 3)
    net = mlp(5, 8, 3)
    first = optim.SGD(net[0].parameters(), lr=0.1)
    found = diagnose(net, (x, t), CE, first)
    assert [f.rule for f in found] == ["optimizer"]
    assert "2 trainable parameters are not in the optimizer: 2.weight" in str(found)
    second = optim.Adam(net[2].parameters())
    assert not diagnose(net, (x, t), CE, first)
    assert not diagnose(net, (x, t), CE, second)


def test_where_nothing_held_can_learn_the_cut_is_the_cause():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.painter, self.critic = mlp(5, 8, 4), mlp(4, 8, 3)

        def forward(self, x):
            return self.critic(self.painter(x).detach())

    net = Pair()
    found = diagnose(net, points(32, 5, 3), CE, optim.SGD(net.painter.parameters(), lr=0.1))
    assert [f.rule for f in found] == ["no gradient"]
    assert "detached" in found.findings[0].evidence


def test_a_gradient_of_zeros_is_no_matter_of_the_rate():
    def chosen(y, t):
        return ((y.argmax(axis=1) - t).astype("float32") ** 2).mean() + 0.0 * y.sum()

    net = mlp(5, 8, 3)
    found = diagnose(net, points(32, 5, 3), chosen, optim.SGD(net.parameters(), lr=0.1))
    assert [f.rule for f in found] == ["no gradient"]
    assert "of every other weight, is all zeros" in found.findings[0].text
    assert "by the number 0" in found.findings[0].evidence

    def met(y, t):  # a hinge that nobody violates: nothing is left to learn
        return bl.nn.functional.relu(y - 1e3).sum()

    assert "no gradient" not in {f.rule for f in diagnose(net, points(32, 5, 3), met)}
