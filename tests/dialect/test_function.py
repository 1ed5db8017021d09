"""torch.autograd.Function: the user's forward and backward, on the one tape."""

import gc
import weakref

import numpy as np
import pytest

import backlit
from backlit import see
from backlit.errors import ArgumentError, DTypeError, GradientError, TraceError
from backlit.torch.function import Function, once_differentiable


class Scale(Function):
    """y = k x w, and the sum of x, which has no gradient of its own."""

    @staticmethod
    def forward(ctx, x, w, k):
        ctx.save_for_backward(x, w)
        ctx.k = k
        return x * w * k

    @staticmethod
    def backward(ctx, grad_y):
        x, w = ctx.saved_tensors
        return grad_y * w * ctx.k, grad_y * x * ctx.k, None


class Exp(Function):
    """y = eˣ, kept by its output; written with setup_context."""

    @staticmethod
    def forward(x):
        return backlit.exp(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, grad_y):
        (y,) = ctx.saved_tensors
        return grad_y * y


class Relu(Function):
    """y = max(x, 0), with a mask that is neither input nor output."""

    @staticmethod
    def forward(ctx, x):
        ctx.mask = x > 0
        return backlit.where(ctx.mask, x, 0.0)

    @staticmethod
    def backward(ctx, grad_y):
        return backlit.where(ctx.mask, grad_y, 0.0)


class Parts(Function):
    """(x w, the sum of x, the place of the largest x)."""

    seen = ()

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        ctx.set_materialize_grads(False)
        place = backlit.argmax(x)
        ctx.mark_non_differentiable(place)
        return x * w, x.sum(), place

    @staticmethod
    def backward(ctx, grad_product, grad_sum, grad_place):
        x, w = ctx.saved_tensors
        Parts.seen = grad_product, grad_sum, grad_place, ctx.needs_input_grad
        grad_x = grad_w = None
        if grad_product is not None:
            grad_x, grad_w = grad_product * w, grad_product * x
        if grad_sum is not None:
            more = grad_sum + backlit.zeros_like(x)
            grad_x = more if grad_x is None else grad_x + more
        return grad_x, grad_w


def leaves(*values):
    return [backlit.tensor(v, dtype="float64", requires_grad=True) for v in values]


def test_first_and_second_derivatives():
    x, w = leaves([1.0, -2.0], [3.0, 4.0])
    y = Scale.apply(x, w, 2)
    assert y.op == "Scale"
    assert y.tolist() == [6, -16]
    grad_x, grad_w = backlit.grad(y.sum(), [x, w], create_graph=True)
    assert grad_x.tolist() == [6, 8]
    assert grad_w.tolist() == [2, -4]
    assert backlit.grad((grad_x * grad_x).sum(), w)[0:].tolist() == [24, 32]
    backlit.gradcheck(lambda x: Exp.apply(x) * Scale.apply(x, x, 3), x)
    bend = backlit.hessian(lambda x: Exp.apply(x).sum(), x).numpy()
    assert np.allclose(bend, np.diag(np.exp([1.0, -2.0])), rtol=1e-12)
    bend = backlit.hessian(lambda x: Scale.apply(x, x, 3).sum(), x).numpy()
    assert np.allclose(bend, 6 * np.eye(2), rtol=1e-12)


def test_several_outputs():
    x, w = leaves([1.0, 5.0], [3.0, 4.0])
    product, total, place = Parts.apply(x, w)
    assert (product.tolist(), total.item(), place.item()) == ([3, 20], 6, 1)
    assert not place.requires_grad
    (product.sum() + 10 * total).backward()
    assert x.grad.tolist() == [13, 14]
    assert w.grad.tolist() == [1, 5]
    x.grad = None
    Parts.apply(x, w)[1].backward()
    product, total, place, needs = Parts.seen
    assert (product, total.item(), place, needs) == (None, 1, None, (True, True))
    assert x.grad.tolist() == [1, 1]


def test_it_is_what_eager_computes_when_compiled():
    x, w = leaves([1.0, -5.0], [3.0, 4.0])

    def gradients(x, w):
        y = Relu.apply(Exp.apply(x) * Scale.apply(x, w, 2)) + Parts.apply(x, w)[0]
        return backlit.grad(y.sum(), [x, w])

    for ours, theirs in zip(backlit.compile(gradients)(x, w), gradients(x, w), strict=True):
        assert np.allclose(ours.numpy(), theirs.numpy(), rtol=1e-12)

    class Looks(Function):
        @staticmethod
        def forward(ctx, x):
            return backlit.asarray(np.sin(x.numpy()))

    with pytest.raises(TraceError, match=r"numpy\(\): a captured function cannot ask"):
        backlit.compile(Looks.apply)(x)


def test_it_is_drawn_and_checked():
    (x,) = leaves([1.0, -2.0, 3.0])
    text = see.draw(Relu.apply(x).sum()).text()
    assert "Relu_1 = Relu(x)" in text
    for right in (Relu.apply, Exp.apply, lambda x: Parts.apply(x, x)[0] + Scale.apply(x, x, 3)):
        assert see.check(right, x).ok

    class Doubled(Relu):
        @staticmethod
        def backward(ctx, grad_y):
            return 2 * Relu.backward(ctx, grad_y)

    result = see.check(Doubled.apply, x)
    assert not result.ok
    assert "the gradient of x is 2 times what it should be" in str(result)


def test_what_it_keeps():
    """Inputs and outputs that are not saved are not kept, and no reference goes in a circle."""
    (x,) = leaves([1.0, 2.0])
    assert [a.tolist() for a in Exp.apply(x).node.saved] == [np.exp([1.0, 2.0]).tolist()]
    assert len(Scale.apply(x, x, 1).node.saved) == 2
    middle = x + 0
    array = weakref.ref(middle.array)
    y = Exp.apply(middle)
    del middle
    assert array() is None
    gc.disable()
    try:
        y = Exp.apply(x)
        gone = weakref.ref(y)
        del y
        assert gone() is None
    finally:
        gc.enable()


def test_without_a_gradient_nothing_is_recorded():
    x = backlit.tensor([1.0])
    assert not Exp.apply(x).requires_grad
    x.requires_grad_()
    with backlit.no_grad():
        assert not Exp.apply(x).requires_grad


def test_an_input_changed_in_place():
    class Increment(Function):
        @staticmethod
        def forward(ctx, x):
            x += 1
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, grad_y):
            return 5 * grad_y

    (leaf,) = leaves([1.0])
    x = leaf * 2
    y = Increment.apply(x)
    assert y is x
    assert y.tolist() == [3]
    y.sum().backward()
    assert leaf.grad.tolist() == [10]


def test_a_backward_that_computes_with_arrays():
    class Sine(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return backlit.asarray(np.sin(x.numpy()))

        @staticmethod
        @once_differentiable
        def backward(ctx, grad_y):
            (x,) = ctx.saved_tensors
            return backlit.asarray(grad_y.numpy() * np.cos(x.numpy()))

    (x,) = leaves([0.0, 1.0])
    Sine.apply(x).sum().backward()
    assert np.allclose(x.grad.numpy(), np.cos([0, 1]))
    with pytest.raises(GradientError, match="Sine: its derivative cannot itself be"):
        backlit.grad(Sine.apply(x).sum(), x, create_graph=True)


def test_what_is_wrong_is_said():
    (x,) = leaves([1.0])

    class Short(Scale):
        @staticmethod
        def backward(ctx, grad_y):
            return grad_y, grad_y

    class Number(Relu):
        @staticmethod
        def backward(ctx, grad_y):
            return 3.0

    class Text(Function):
        @staticmethod
        def forward(ctx, x):
            return "y"

    class Saves(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, 3)

    with pytest.raises(GradientError, match=r"a gradient for each of the 3 arguments.*got 2"):
        Short.apply(x, x, 2).backward()
    with pytest.raises(DTypeError, match=r"Number.backward: gradient 0 must be a Tensor or None"):
        Number.apply(x).backward()
    with pytest.raises(DTypeError, match=r"Text.forward must return a Tensor or a tuple of them"):
        Text.apply(x)
    with pytest.raises(DTypeError, match=r"argument 1 must be a Tensor or None, got a number, 3"):
        Saves.apply(x)
    with pytest.raises(ArgumentError, match=r"not made but applied: Relu\.apply"):
        Relu()
