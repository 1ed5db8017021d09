"""`see.why`: None, zero and stale gradients, each with its reason and line."""

from __future__ import annotations

import re

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, see
from backlit.errors import ArgumentError, ShapeError
from backlit.ops import activation
from backlit.tensor import apply


def weight(data=(1.0, 2.0)):
    return bl.tensor(np.array(data, "float32"), requires_grad=True)


def reason(parameter, source, state, kind):
    result = see.why(parameter, source)
    assert result.state == state, result
    assert [r.kind for r in result.reasons][:1] == [kind], result
    assert result.__rich__() is not None
    return result.reasons[0]


def test_frozen():
    w = bl.tensor([1.0])
    assert reason(w, None, "none", "frozen").text == "requires_grad is False"


def test_overwritten_by_a_computed_tensor():
    w = weight()
    w = w * 0.9
    found = reason(w, None, "none", "overwritten")
    assert "result of multiply" in found.text
    assert "w = w * 0.9" in found.line


def test_no_backward_yet():
    w = weight()
    reason(w, None, "none", "no backward yet")
    reason(w, (w * 2).sum(), "none", "no backward yet")


def test_detached():
    w = weight()
    with see.recording() as r:
        h = w * 3
        (h.detach() * weight()).sum()
    found = reason(w, r, "none", "detached")
    assert "without its gradient" in found.text
    assert "(h.detach() * weight()).sum()" in found.line


def test_only_the_place_where_the_way_ends_is_named():
    w, other = weight(), weight()
    with see.recording() as r:
        with bl.no_grad():
            h = w * 3
            k = h * other
        (k * other).sum().backward()
    (found,) = see.why(w, r).reasons
    assert "multiply was computed under no_grad" in found.text
    assert "h = w * 3" in found.line


def test_the_parameter_itself_detached():
    w = weight()
    with see.recording() as r:
        (w.detach() * weight()).sum()
    result = see.why(w, r)
    assert result.state == "none"
    assert result.reasons[0].kind in ("detached", "not used")


def test_under_no_grad():
    w = weight()
    with see.recording() as r:
        with bl.no_grad():
            h = bl.exp(w)
        (h * weight()).sum()
    found = reason(w, r, "none", "detached")
    assert "no_grad" in found.text
    assert "h = bl.exp(w)" in found.line


def test_through_an_op_without_a_derivative():
    w = weight()
    with see.recording() as r:
        c = w > 1.5
        (c * weight()).sum()
    found = reason(w, r, "none", "no derivative")
    assert "greater" in found.text


def test_not_used():
    w = weight()
    with see.recording() as r:
        (weight() * 2).sum()
    assert "was it replaced" in reason(w, r, "none", "not used").text


def test_not_reached_by_this_loss():
    w, v = weight(), weight()
    with see.recording() as r:
        aside = bl.exp(w)
        loss = (v * 2).sum()
    assert aside.shape == (2,)
    assert loss.size == 1
    found = reason(w, r, "none", "not reached")
    assert "aside" in found.text or "exp" in found.text


def test_an_all_zero_mask():
    w = weight()
    mask = bl.tensor([0.0, 0.0])
    found = reason(w, (w * mask).sum(), "zero", "masked")
    assert "a mask of zeros" in found.text
    assert "(w * mask).sum()" in found.line


def test_an_image_of_zeros():
    w, black = weight(np.ones((1, 1, 2, 2))), bl.zeros((1, 1, 3, 3))
    y = nn.functional.conv2d(black, w)
    assert "convolution multiplies its gradient by" in reason(w, y.sum(), "zero", "masked").text


def test_dropout_of_everything():
    w = weight()
    y = nn.functional.dropout(w, 1.0)
    assert "dropout multiplies its gradient by a mask" in reason(w, y.sum(), "zero", "masked").text


def test_a_part_that_is_written_over():
    w = weight()
    y = +w
    y[:] = 0.0
    assert (
        "set_slice never chooses it" in reason(w, (y * w.detach()).sum(), "zero", "not chosen").text
    )


def test_a_factor_of_zeros():
    w, v = weight(), weight((0.0, 0.0))
    assert "zeros" in reason(w, (w * v).sum(), "zero", "masked").text


def test_dead_units():
    w = weight((-1.0, -2.0))
    found = reason(w, apply(activation.Relu(), w).sum(), "zero", "dead units")
    assert "every unit of 2 (inputs -2 to -1)" in found.text


def test_some_dead_units():
    x = bl.tensor(np.ones((3, 2), "float32"))
    w = weight(((1.0, -1.0), (1.0, -1.0)))
    y = apply(activation.Relu(), x @ w).sum()
    result = see.why(w, y)
    assert result.state == "partly zero"
    assert result.reasons[0].text == "1 of 2 columns of its gradient are 0"
    assert "relu" in repr(result)


def test_a_step_function():
    w = weight((1.2, 2.4))
    assert "floor has the derivative 0" in reason(w, bl.floor(w).sum(), "zero", "flat").text


def test_saturated():
    w = weight((200.0, 300.0))
    assert "saturated" in reason(w, bl.tanh(w).sum(), "zero", "flat").text


def test_not_chosen():
    w = weight()
    y = bl.where(bl.tensor([False, False]), w, 0.0).sum()
    assert "never chooses" in reason(w, y, "zero", "not chosen").text


def test_accumulated():
    w = weight()
    for _ in range(3):
        (w * w).sum().backward()
    found = reason(w, (w * w).sum(), "stale", "accumulated")
    assert "3 times" in found.text


def test_of_another_loss():
    w = weight()
    (w * w * w).sum().backward()
    reason(w, (w * 2).sum(), "stale", "stale")


def test_overwritten_after_the_forward_pass():
    w = weight()
    with see.recording() as r:
        (w * w).sum()
    w.assign([5.0, 6.0])
    assert "belongs to the old one" in reason(w, r, "stale", "overwritten").text


def test_fine():
    w = weight()
    y = (w * w).sum()
    y.backward(retain_graph=True)
    result = see.why(w, y)
    assert result.state == "fine"
    assert result.reasons == []
    assert "it is this loss's" in repr(result)
    assert see.why(w).state == "fine"
    w.grad = bl.tensor([0.0, 0.0])
    assert see.why(w).state == "zero"


def test_without_a_loss():
    w = weight()
    with see.recording() as r:
        w * 2
    assert see.why(w, r).reasons[0].kind in ("no backward yet", "not reached")


def test_all_parameters_of_a_module():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.used = nn.Parameter(np.ones(2, "float32"))
            self.idle = nn.Parameter(np.ones(2, "float32"))

        def forward(self, x):
            return (x * self.used).sum()

    net = Net()
    with see.recording() as r:
        net(bl.tensor([1.0, 2.0]))
    found = {name: see.why(p, r).reasons[0].kind for name, p in net.named_parameters()}
    assert found == {"used": "no backward yet", "idle": "not used"}


def test_bad_input():
    with pytest.raises(ArgumentError, match=r"why: needs a Tensor, got int"):
        see.why(3)


def test_after_backward_has_freed_the_graph():
    used, unused = weight(), weight()
    loss = (used * 2).sum()
    loss.backward()
    found = reason(unused, loss, "none", "not reached")
    assert "left no gradient here; it freed the graph" in found.text
    assert "ask before backward()" in found.fix
    assert see.why(used, loss).state == "fine"
    assert repr(see.why(unused, loss)).startswith("unused has no gradient")


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (lambda w: (w * 2).sum().item(), r"the loss \(6.0\) is a float: made from numbers, not"),
        (lambda w: np.float32(3), "is a float32: made from numbers, not computed by ops"),
        (lambda w: bl.tensor(3.0, requires_grad=True), r"the loss \(float32\[\]\) is a leaf: made"),
        (lambda w: w.detach().sum(), r"does not require a gradient: .*, or the way ended before"),
    ],
)
def test_a_loss_without_a_graph(loss, text):
    w = weight()
    assert re.search(text, reason(w, loss(w), "none", "no graph").text)


def test_a_loss_that_came_out_of_a_compiled_function():
    w = weight()
    found = reason(w, bl.compile(lambda x: (w * x).sum())(bl.ones(2)), "none", "not reached")
    assert (
        "no gradient goes through a compiled function from outside; call backward()" in found.text
    )


def test_a_loss_that_is_no_single_number():
    w = weight()
    found = reason(w, w * 2, "none", "no backward yet")
    assert "the loss is no single number (float32[2]), where backward() starts" in found.text
    with see.recording() as r:
        (w * 2).backward(bl.tensor([1.0, 3.0]))
    assert see.why(w, r).state == "fine"


def test_recordings_that_show_nothing():
    w = weight()
    step = bl.compile(lambda x: (w * x).sum())
    with see.recording() as r:
        step(bl.ones(2))
    assert "nothing was recorded: no op ran in the block" in reason(w, r, "none", "not used").text
    with pytest.raises(ShapeError), see.recording() as r:
        w @ bl.ones((3, 3))
    found = reason(w, r, "none", "no backward yet")
    assert "the recorded code raised before there was a loss: matmul: a.shape[-1]" in found.text


def test_a_gradient_that_is_not_finite():
    w = weight()
    with np.errstate(all="ignore"), see.recording() as r:
        (bl.sqrt(w - 1) * 0).sum().backward()
        found = "see.bad_numbers(recording)"
    assert found in reason(w, r, "not finite", "not finite").fix
    assert "1 of 2 elements of it are nan or infinite" in repr(see.why(w, r))


def test_after_the_optimizer_has_used_the_gradient():
    w = weight()
    optimizer = optim.SGD([w], 0.1)
    with see.recording() as r:
        (w * w).sum().backward()
        optimizer.step()
    assert see.why(w, r).state == "fine"
    w.grad = None
    reason(w, r, "stale", "overwritten")


def test_what_is_only_part_of_a_parameter():
    table = weight(np.ones((5, 2)))
    found = reason(table, (table[bl.tensor([1, 3])] ** 2).sum(), "partly zero", "not chosen")
    assert found.text == "3 of 5 rows of its gradient are 0"
    x = bl.tensor([[1.0, 0.0], [2.0, 0.0]])
    w = weight(np.ones((2, 3)))
    result = see.why(w, (x @ w).sum())
    assert "x, of which a part is 0 in this batch" in repr(result)
    reason(w, (x @ w).sum(), "partly zero", "masked")


def test_an_integer_tensor_and_a_name_bound_anew():
    found = reason(bl.tensor([1, 2]), None, "none", "frozen")
    assert found.fix == "only floating tensors have gradients, this one is int64"
    w = weight()
    with see.recording() as r, bl.no_grad():
        w = w - 0.1
    found = reason(w, r, "none", "overwritten")
    assert "the result of subtract, computed under no_grad, and not the parameter" in found.text
    assert "w = w - 0.1" in found.line
    assert "w -= lr * w.grad under no_grad" in reason(w, None, "none", "frozen").fix


def test_a_second_pass_in_a_recording_is_connected():
    w = weight()
    with see.recording() as r:
        (g,) = bl.grad((w**3).sum(), [w], create_graph=True)
        (g * g).sum().backward()
    np.testing.assert_allclose(r.of_loss().find(w).upstream.array, 36.0 * w.numpy() ** 3)
    assert see.why(w, r).state == "fine"


def test_a_parameter_outside_the_limits_of_a_clip():
    w = weight((5.0, -7.0))
    for y, limits in (
        (bl.clip(w, -1, 1), "clip, [−1, 1]"),
        (nn.functional.hardtanh(w, -2.0, 2.0), ", [−2, 2]"),
        (bl.clip(w, 6.0, None), "clip, 6 and above"),
    ):
        found = reason(w, y.sum(), "zero", "dead units")
        assert "every element of 2 (inputs -7 to 5) lies outside the limits of" in found.text
        assert limits in found.text
        assert "start it inside, or widen the limits" in found.fix
    v = weight((-1.0, -2.0))
    assert "start it above 0" in reason(v, nn.functional.relu(v).sum(), "zero", "dead units").fix


def test_labels_that_are_all_ignored():
    layer, x = nn.Linear(3, 4), bl.ones((5, 3))
    for n, loss in ((-100, nn.functional.cross_entropy), (7, nn.functional.nll_loss)):
        y = loss(layer(x), bl.tensor([n] * 5), ignore_index=n, reduction="sum")
        found = reason(layer.weight, y, "zero", "not chosen")
        assert f"every label is ignore_index={n}" in found.text


def test_one_class_only():
    layer, x = nn.Linear(3, 1), bl.ones((5, 3))
    labels = bl.zeros((5,), dtype="int64")
    for y in (
        nn.functional.cross_entropy(layer(x), labels),
        (nn.functional.softmax(layer(x), dim=1) * 2).sum(),
        (nn.functional.log_softmax(layer(x), dim=-1) * 2).sum(),
    ):
        found = reason(layer.weight, y, "zero", "cancels")
        assert "one class to choose from" in found.text
        assert "an output for each class" in found.fix


def test_only_the_row_of_padding_was_looked_up():
    e, w = nn.Embedding(4, 2, padding_idx=0), bl.ones((4, 2)).requires_grad_()
    for p, y in (
        (e.weight, e(bl.tensor([0, 0]))),
        (w, nn.functional.embedding(bl.tensor([1, 1]), w, padding_idx=1)),
    ):
        found = reason(p, y.sum(), "zero", "not chosen")
        assert re.search(r"every index that was looked up is padding_idx=[01]", found.text)


def test_data_is_among_the_ways_out():
    w, u = weight(), bl.ones((2,)).requires_grad_()
    with see.recording() as r:
        (w.data * u).sum()
    assert ".data" in reason(w, r, "none", "detached").fix


def test_parameters_of_two_modules_of_one_kind_have_names_of_their_own():
    first, second = nn.Linear(3, 4), nn.Linear(4, 2)
    x = bl.ones((5, 3))
    with see.recording() as r:
        loss = second(bl.tanh(first(x))).sum()
    for source in (loss, r):
        assert see.why(first.weight, source).name == "first.weight"
        assert see.why(second.bias, source).name == "second.bias"
    layers = [nn.Linear(3, 3), nn.Linear(3, 3)]
    assert see.why(layers[1].weight, layers[1](layers[0](x)).sum()).name == "layers[1].weight"
    assert see.why(first.weight, first(x).sum()).name == "Linear.weight"


def test_modules_without_a_variable_are_numbered():
    held = {"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)}
    y = held["b"](held["a"](bl.ones((5, 3)))).sum()
    assert see.why(held["b"].weight, y).name == "held['b'].weight"
    pair = [held]
    del held
    assert see.why(pair[0]["a"].weight, y).name == "Linear_1.weight"
    assert see.why(pair[0]["b"].weight, y).name == "Linear_2.weight"
