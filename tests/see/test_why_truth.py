"""What `see.why` says of a parameter whose gradient is missing, zero, stale or fine is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, see

F = nn.functional
CASES: dict[str, tuple[Callable[[], Any], str, str]] = {}


def case(state: str, words: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """A program that returns a parameter and what `why` is asked with; what must be said of it.

    Of the words that are divided by `|` one must be there.
    """

    def keep(f: Callable[[], Any]) -> Callable[[], Any]:
        CASES[f.__name__] = f, state, words
        return f

    return keep


RNG = np.random.default_rng(0)


def weight(*shape: int, data: Any = None) -> bl.Tensor:
    made = RNG.normal(size=shape) if data is None else np.array(data)
    return bl.tensor(made.astype("float32"), requires_grad=True)


def data(*shape: int) -> bl.Tensor:
    return bl.tensor(RNG.normal(size=shape).astype("float32"))


@case("none", "does not require a gradient")
def loss_without_a_graph():
    w = weight(3)
    with bl.no_grad():
        loss = (w * 2).sum()
    return w, loss


@case("none", "argmax")
def after_argmax():
    w = weight(4, 3)
    with see.recording() as r:
        k = bl.argmax(data(2, 4) @ w, axis=1)
        loss = (k.astype("float32") - 1.0).mean()
        assert loss.size == 1
    return w, r


@case("none", "numpy")
def round_trip_by_numpy():
    w = weight(4)
    v = weight(4)
    with see.recording() as r:
        h = bl.tensor(np.tanh((w * 3).numpy()))
        (h * v).sum().backward()
    return w, r


@case("zero", "softmax|exactly 0|by mathematics")
def softmax_over_one():
    w = weight(4, 1)
    x = data(5, 4)
    p = F.softmax(x @ w, dim=1)
    return w, (p * data(5, 1)).sum()


@case("zero", "batch_norm")
def bias_before_batch_norm():
    layer, norm = nn.Linear(4, 3), nn.BatchNorm1d(3)
    y = norm(layer(data(16, 4)))
    return layer.bias, (y**3).mean()


@case("none", "integers|int32")
def through_integers():
    w = weight(4)
    with see.recording() as r:
        k = (w * 10).astype("int32")
        loss = k.astype("float32").mean()
        assert loss.size == 1
    return w, r


@case("none", "detach")
def detached():
    w, v = weight(3), weight(3)
    with see.recording() as r:
        ((w * 2).detach() * v).sum().backward()
    return w, r


@case("none", "no_grad")
def in_a_no_grad_block():
    w, v = weight(3), weight(3)
    with see.recording() as r:
        with bl.no_grad():
            h = w * 2
        (h * v).sum().backward()
    return w, r


@case("none", "replaced|result of")
def replaced_by_assignment():
    w = weight(3)
    old = w
    (w * w).sum().backward()
    w = w - 0.1 * w.grad
    assert old is not w
    return w, (w * 2).sum()


@case("none", "was it replaced|not this one|none of")
def replaced_in_the_model():
    net = nn.Linear(3, 1)
    old = net.weight
    net.weight = nn.Parameter(weight(1, 3).detach())
    with see.recording() as r:
        net(data(2, 3)).sum().backward()
    return old, r


@case("fine", "")
def not_in_the_optimizer():
    w, v = weight(3), weight(3)
    step = optim.SGD([v], lr=0.1)
    loss = (w * v).sum()
    loss.backward(retain_graph=True)
    step.step()
    loss = (w * v).sum()
    w.grad = None
    loss.backward(retain_graph=True)
    return w, loss


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(3, 3), nn.Linear(3, 1)]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


@case("fine", "")
def in_a_plain_list():
    net = Plain()
    loss = net(data(2, 3)).sum()
    loss.backward(retain_graph=True)
    return net.layers[0].weight, loss


class Forgotten(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(3, 1), nn.Linear(3, 1)

    def forward(self, x):
        return self.used(x)


@case("none", "not used|none of the")
def layer_not_called():
    net = Forgotten()
    with see.recording() as r:
        net(data(2, 3)).sum().backward()
    return net.unused.weight, r


@case("zero", "relu")
def dead_relu():
    layer = nn.Linear(3, 4)
    layer.bias.assign(bl.full((4,), -50.0))
    return layer.weight, F.relu(layer(data(8, 3))).sum()


@case("zero", "zeros|by 0|number 0")
def multiplied_by_zero():
    w = weight(3)
    return w, (w * 0.0).sum() + (w.detach() * weight(3)).sum()


@case("zero", "mask|zeros")
def mask_of_zeros():
    w = weight(3)
    return w, (F.relu(w + 5.0) * bl.zeros((3,))).sum()


@case("zero", "clip")
def clamp_outside():
    w = weight(3, data=[5.0, 7.0, 9.0])
    return w, (bl.clip(w, -1.0, 1.0) * data(3)).sum()


@case("zero", "sign")
def through_sign():
    w = weight(3)
    return w, (bl.sign(w) * data(3)).sum()


@case("zero", "round")
def through_round():
    w = weight(3)
    return w, (bl.round(w * 4) * data(3)).sum()


@case("none", "greater")
def through_a_comparison():
    w = weight(3)
    v = weight(3)
    with see.recording() as r:
        ((w > 0).astype("float32") * v).sum().backward()
    return w, r


@case("none", "not reached|no way leads")
def wrong_loss():
    w, v = weight(3), weight(3)
    with see.recording() as r:
        reconstruction = (w * w).sum()
        loss = (v * v).sum()
        loss.backward()
        assert reconstruction.size == 1
    return w, r


@case("none", "freed")
def graph_freed():
    w, v = weight(3), weight(3)
    loss = (v * v).sum()
    loss.backward()
    return w, loss


@case("none", "requires_grad is False")
def does_not_require():
    w = bl.tensor([1.0, 2.0])
    return w, (w * weight(2)).sum()


@case("none", "detach|its values|copy")
def copied_by_tensor():
    v = weight(3)
    w = bl.tensor(v.detach().numpy(), requires_grad=True)
    with see.recording() as r:
        (v * v).sum().backward()
    return w, r


@case("zero", "saturated")
def saturated_tanh():
    w = weight(3, data=[40.0, 50.0, -60.0])
    return w, (bl.tanh(w) * data(3)).sum()


@case("zero", "saturated")
def saturated_sigmoid():
    w = weight(3, data=[140.0, 150.0, -160.0])
    return w, (bl.sigmoid(w) * data(3)).sum()


@case("zero", "never chooses")
def where_never():
    w = weight(3)
    y = bl.where(bl.tensor([False, False, False]), w, 1.0)
    return w, (y * weight(3)).sum()


@case("partly zero", "rows")
def embedding_rows():
    table = nn.Embedding(6, 2)
    loss = (table(bl.tensor([0, 3, 3])) ** 2).sum()
    loss.backward(retain_graph=True)
    return table.weight, loss


@case("zero", "dropout")
def dropout_of_all():
    w = weight(3)
    return w, F.dropout(w * 2, 1.0).sum() + weight(1).sum()


@case("fine", "")
def batch_norm_in_eval():
    layer, norm = nn.Linear(4, 3), nn.BatchNorm1d(3)
    norm.eval()
    loss = (norm(layer(data(8, 4))) ** 2).mean()
    loss.backward(retain_graph=True)
    return layer.bias, loss


@case("zero", "softmax")
def sum_of_a_softmax():
    w = weight(4, 3)
    return w, F.softmax(data(2, 4) @ w, dim=1).sum()


@case("none", "cleared")
def cleared_after_backward():
    w = weight(3)
    step = optim.SGD([w], lr=0.1)
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    step.zero_grad()
    return w, loss


@case("zero", "layer_norm")
def shift_before_layer_norm():
    w = weight(1)
    y = F.layer_norm(data(4, 6) + w, (6,))
    return w, (y * data(4, 6)).sum()


@case("zero", "softmax|log_softmax|cross_entropy")
def shift_before_softmax():
    w = weight(1)
    return w, F.cross_entropy(data(4, 6) + w, bl.tensor([0, 1, 2, 3]))


@case("zero", "subtract|mean|cancel|exactly 0")
def difference_to_the_mean():
    w = weight(1)
    h = data(8) + w
    return w, ((h - h.mean()) ** 2).sum()


@case("zero", "subtract|exactly 0|cancel")
def difference_with_itself():
    w = weight(3)
    return w, ((w - w) * data(3)).sum()


@case("none", "item()")
def through_item():
    w, v = weight(3), weight(1)
    with see.recording() as r:
        scale = (w * w).sum().item()
        (v * scale).sum().backward()
    return w, r


@case("zero", "zeros")
def second_layer_of_zeros():
    first, second = nn.Linear(3, 4), nn.Linear(4, 1)
    second.weight.assign(bl.zeros((1, 4)))
    return first.weight, second(bl.tanh(first(data(5, 3)))).sum()


@case("stale", "times")
def not_cleared():
    w = weight(3)
    for _ in range(3):
        loss = (w * w).sum()
        loss.backward(retain_graph=True)
    return w, loss


@case("zero", "maximum|max")
def never_the_maximum():
    w = weight(3, data=[-9.0, -8.0, -7.0])
    return w, bl.maximum(w, bl.zeros((3,))).sum()


@case("none", "integers|argmax|no derivative|which has none|int")
def index_of_an_embedding():
    w = weight(4, 3)
    table = nn.Embedding(3, 2)
    with see.recording() as r:
        loss = (table(bl.argmax(data(2, 4) @ w, axis=1)) ** 2).sum()
        loss.backward()
    return w, r


@case("zero", "the number 0")
def loss_weight_of_zero():
    w = weight(3)
    aux = (w * w).sum()
    return w, (weight(3) ** 2).sum() + 0.0 * aux


# -- written after the rules were fixed ---------------------------------------------------------


@case("zero", "normalize|cosine|does not change")
def scale_before_normalize():
    w = weight(data=2.0)
    x = data(4, 3)
    return w, (F.normalize(x * F.softplus(w), dim=1) * data(4, 3)).sum()


@case("zero", "batch_norm")
def conv_bias_before_batch_norm():
    conv, norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
    return conv.bias, (norm(conv(data(4, 1, 6, 6))) ** 3).mean()


@case("zero", "softmax")
def key_bias_of_attention():
    q, k = data(3, 4), data(3, 4)
    w = weight(4)
    scores = q @ (k + w).T
    return w, (F.softmax(scores, dim=1) @ data(3, 2)).sum()


@case("zero", "floor_divide|floor|derivative 0")
def through_floor_division():
    w = weight(3, data=[5.0, 7.0, 9.0])
    return w, (bl.floor(w / 2.0) * data(3)).sum()


@case("none", "tolist")
def through_a_list():
    w, v = weight(3), weight(3)
    with see.recording() as r:
        parts = (w * 3).tolist()
        (bl.tensor(parts) * v).sum().backward()
    return w, r


@case("none", "float()")
def through_float():
    w, v = weight(1), weight(3)
    with see.recording() as r:
        (v * float((w * 1.7).sum())).sum().backward()
    return w, r


@case("none", "frozen|requires_grad is False")
def frozen_layer():
    layer = nn.Linear(3, 1)
    layer.requires_grad_(False)
    return layer.weight, (layer(data(2, 3)) * weight(1)).sum()


@case("zero", "hinge|relu|maximum|clip|is off")
def hinge_satisfied():
    w = weight(3, data=[9.0, 9.0, 9.0])
    return w, bl.maximum(1.0 - w * bl.ones((3,)), bl.zeros((3,))).mean()


@case("zero", "gelu|saturated|silu|is off")
def leaky_of_nothing():
    w = weight(3, data=[-200.0, -300.0, -400.0])
    return w, F.silu(w).sum()


@case("partly zero", "columns|rows|elements|part")
def some_features_absent():
    w = weight(4, 2)
    x = bl.tensor(np.array([[1, 0, 2, 0], [3, 0, 1, 0]], "float32"))
    loss = ((x @ w) ** 2).sum()
    loss.backward(retain_graph=True)
    return w, loss


@case("partly zero", "chooses|elements")
def slice_of_a_vector():
    w = weight(6)
    loss = (w[:3] ** 2).sum()
    loss.backward(retain_graph=True)
    return w, loss


@case("none", "not reached|no way leads")
def auxiliary_head():
    trunk, head, aux = nn.Linear(3, 3), nn.Linear(3, 1), nn.Linear(3, 1)
    with see.recording() as r:
        h = bl.tanh(trunk(data(2, 3)))
        other = aux(h).mean()
        loss = head(h).mean()
        loss.backward()
        assert other.size == 1
    return aux.weight, r


@case("none", "read by|tensor|numpy|item|a leaf|made from numbers")
def loss_made_anew():
    w = weight(3)
    loss = bl.tensor((w * w).sum().item(), requires_grad=True)
    return w, loss


@case("stale", "another backward|differs")
def gradient_of_another_loss():
    w = weight(3)
    (w * w * 5).sum().backward()
    return w, (w**3).sum()


@case("fine", "")
def small_but_true():
    w = weight(3)
    loss = (w * 1e-9).sum()
    loss.backward(retain_graph=True)
    return w, loss


@case("fine", "")
def deep_and_vanishing():
    w = weight(2, 2)
    h = data(3, 2) @ w
    for _ in range(12):
        h = bl.sigmoid(h) * 0.1
    loss = h.sum()
    loss.backward(retain_graph=True)
    return w, loss


@case("not finite", "nan or infinite")
def not_a_number():
    w = weight(3, data=[0.0, 1.0, 2.0])
    loss = bl.sqrt(w).sum()
    loss.backward(retain_graph=True)
    return w, loss


@case("zero", "does not change|exactly|cancels")
def odds_that_cancel():
    w = weight(1)
    a, b = data(4) * bl.exp(w), (data(4) ** 2 + 1.0) * bl.exp(w)
    return w, (a / b).sum()


@case("none", "detach")
def target_network():
    online, target = nn.Linear(3, 1), nn.Linear(3, 1)
    with see.recording() as r:
        x = data(4, 3)
        ((online(x) - target(x).detach()) ** 2).mean().backward()
    return target.weight, r


@case("zero", "one_hot|sort|argsort|topk|never chooses|chooses")
def not_among_the_best():
    w = weight(data=-50.0)
    values = bl.concat([data(5) + 10.0, w.reshape(1)])
    return w, bl.max(values)


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_is_true(name):
    program, state, words = CASES[name]
    answer = see.why(*program())
    assert answer.state == state, answer
    reasons = " ".join(f"{r.kind} {r.text} {r.fix}" for r in answer.reasons[:2])
    assert any(word in reasons for word in words.split("|")), answer
