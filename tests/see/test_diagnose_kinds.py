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
from backlit.see.find.diagnose.reshape import moves_an_axis
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


def test_a_rate_beyond_all_measure_is_named_in_place_of_the_decay_it_multiplies():
    net, batch = mlp(8, 3), points(16, 8, 3)
    optimizer = optim.SGD(net.parameters(), lr=1e6, weight_decay=0.01)
    found = diagnose(net, batch, CE, optimizer)
    assert [f.text for f in found] == ["the learning rate is 1e+06"]
    optimizer = optim.SGD(net.parameters(), lr=50, weight_decay=0.25)
    decay = [f for f in diagnose(net, batch, CE, optimizer) if f.rule == "weight decay"]
    assert [f.evidence for f in decay] == ["each step takes 12.5 times every weight"]


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


def _loop_of(body, second=False):
    """What is found in a step; `body` gets network, optimizers, batch and the call's number."""
    net = mlp(5, 8, 3)
    x, t = points(32, 5, 3)
    made = [optim.SGD(net.parameters(), lr=0.1)]
    if second:
        made = [optim.Adam(net[i].parameters(), lr=1e-3) for i in (0, 2)]
    numbers = iter(range(100))
    return diagnose(
        net,
        (x, t),
        CE,
        made[0],
        rehearse=True,
        step=lambda x, t: body(net, made, x, t, next(numbers)),
    )


def _zero_step_backward(net, made, x, t, n):
    loss = CE(net(x), t)
    made[0].zero_grad()
    made[0].step()
    loss.backward()


def _step_zero_backward(net, made, x, t, n):
    loss = CE(net(x), t)
    made[0].step()
    made[0].zero_grad()
    loss.backward()


def _clipped_too_late(net, made, x, t, n):
    made[0].zero_grad()
    CE(net(x), t).backward()
    made[0].step()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)


def _clipped_too_early(net, made, x, t, n):
    made[0].zero_grad()
    loss = CE(net(x), t)
    nn.utils.clip_grad_value_(net.parameters(), 1.0)
    loss.backward()
    made[0].step()


def _accumulated_and_lost(net, made, x, t, n):
    for rows in (slice(0, 16), slice(16, 32)):
        made[0].zero_grad()
        (CE(net(x[rows]), t[rows]) / 2).backward()
    made[0].step()


@pytest.mark.parametrize(
    ("body", "rule", "text"),
    [
        (_zero_step_backward, "step before backward", "between the forward pass and its backward"),
        (_step_zero_backward, "step before backward", "between the forward pass and its backward"),
        (_clipped_too_late, "clipping without effect", "stands behind step()"),
        (_clipped_too_early, "clipping without effect", "clip_grad_value_ stands before backward"),
        (_accumulated_and_lost, "accumulated gradients lost", "the step uses the last one's alone"),
    ],
)
def test_calls_in_a_wrong_order_are_named(body, rule, text):
    found = _loop_of(body)
    assert [f.rule for f in found] == [rule], found
    assert text in found.findings[0].text
    assert found.findings[0].line.startswith("test_diagnose_kinds.py:")


def _rotated(net, made, x, t, n):  # the first step has nothing to do, the others are right
    if n:
        made[0].step()
    made[0].zero_grad()
    CE(net(x), t).backward()


def _clipped_between_two_steps(net, made, x, t, n):
    for o in made:
        o.zero_grad()
    CE(net(x), t).backward()
    made[0].step()
    nn.utils.clip_grad_norm_(net[2].parameters(), 1.0)
    made[1].step()
    nn.utils.clip_grad_norm_(net.parameters(), math.inf)  # only measures


def _accumulated(net, made, x, t, n):
    made[0].zero_grad()
    for rows in (slice(0, 16), slice(16, 32)):
        (CE(net(x[rows]), t[rows]) / 2).backward()
    made[0].step()


def _put_together_by_hand(net, made, x, t, n):  # as where each sample's gradient is clipped
    kept = []
    for rows in (slice(0, 16), slice(16, 32)):
        made[0].zero_grad()
        CE(net(x[rows]), t[rows]).backward()
        kept.append([p.grad for p in net.parameters()])
    for p, *grads in zip(net.parameters(), *kept, strict=True):
        p.grad = sum(grads) / 2
    made[0].step()


def _two_optimizers_and_two_losses(net, made, x, t, n):  # as in a GAN: each zeroes when it begins
    for o in made:
        o.zero_grad()
        CE(net(x), t).backward()
        o.step()


@pytest.mark.parametrize(
    ("body", "second"),
    [
        (_rotated, False),
        (_clipped_between_two_steps, True),
        (_accumulated, False),
        (_put_together_by_hand, False),
        (_two_optimizers_and_two_losses, True),
    ],
)
def test_other_orders_that_are_right_are_left_in_peace(body, second):
    found = _loop_of(body, second)
    assert not found, found


def test_one_of_two_optimizers_may_forget():
    def body(net, made, x, t, n):
        for o in made:
            if o is made[0]:
                o.zero_grad()
            CE(net(x), t).backward()
            o.step()

    found = _loop_of(body, second=True)
    assert [f.rule for f in found] == ["zero_grad forgotten"], found
    assert "5 of 6 steps of one of 2 optimizers" in found.findings[0].evidence


def test_a_target_that_is_trained_can_agree_on_anything():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.student, self.teacher = mlp(5, 4, 3), mlp(5, 8, 3, seed=1)

        def forward(self, x):
            return self.student(x), self.teacher(x)

    net, (x, t) = Two(), points(32, 5, 3)

    def apart(y, t):
        return nn.functional.mse_loss(*y)

    both = optim.SGD(net.parameters(), lr=0.1)
    found = diagnose(net, (x, t), apart, both)
    assert [f.rule for f in found] == ["target is trained"], found
    assert "the optimizer holds teacher.0.weight …" in found.findings[0].evidence
    right = {
        "labels, too": lambda y, t: apart(y, t) + CE(y[0], t) + CE(y[1], t),
        "detached": lambda y, t: nn.functional.mse_loss(y[0], y[1].detach()),
    }
    for name, loss in right.items():
        rules = {f.rule for f in diagnose(net, (x, t), loss, both)}
        assert "target is trained" not in rules, name


def test_a_limit_that_leaves_no_step_is_named():
    x, t = points(64)
    said = {}
    for limit, kind in ((1e-6, optim.SGD), (1.0, optim.SGD), (1e-6, optim.Adam)):
        net = mlp(10, 16, 4)
        look = Diagnose((x, t))
        made = kind(net.parameters(), lr=0.01)
        trainer = Trainer(net, CE, made, callbacks=[look], progress="quiet", clip_norm=limit)
        trainer.fit([(x, t)], epochs=1)
        said[limit, kind] = [f.rule for f in look.diagnoses[0]]
    assert said[1e-6, optim.SGD] == ["gradients clipped away"]
    assert said[1.0, optim.SGD] == said[1e-6, optim.Adam] == []


def test_an_axis_that_a_reshape_moves():
    merged_and_split = [((6, 4), (24,)), ((6, 8), (6, 2, 4)), ((2, 3, 4), (6, 4)), ((5, 1), (5,))]
    moved = {((6, 4), (4, 6)): 6, ((6, 8), (2, 6, 4)): 6, ((2, 6, 4), (6, 8)): 6}
    for before, after in merged_and_split:
        assert moves_an_axis(before, after) is None
    for (before, after), size in moved.items():
        assert moves_an_axis(before, after) == size
