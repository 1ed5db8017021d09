"""What an error knows of the tape: the op, the node or the module where it arose."""

import pickle

import backlit as bl
from backlit.tape import Origin, origin
from backlit.tensor import apply


def raised_by(work):
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


class Inner(bl.nn.Module):
    def forward(self, x):
        return x @ bl.ones((5, 5))


class Outer(bl.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        return self.inner(x)


def test_an_error_in_an_op_says_the_op_its_inputs_and_where():
    x = bl.ones((2, 3))
    known = origin(raised_by(lambda: Outer()(x)))
    assert known.op.name == "matmul"
    assert known.inputs[0] is x
    assert known.scope.path == "Outer.inner"
    code, instruction = known.site
    assert code is Inner.forward.__code__
    assert 0 < instruction < len(code.co_code)
    assert known.node is None


def test_an_error_in_a_module_s_own_code_says_the_module():
    class Failing(bl.nn.Module):
        def forward(self, x):
            raise KeyError("mine")

    error = raised_by(lambda: bl.nn.Sequential(Failing())(1))
    assert str(error) == "'mine'"
    assert origin(error).scope.path == "Sequential.0"
    assert origin(error).op is None


class Bad(bl.Op):
    def forward(self, xp, x):
        return x

    def backward(self, xp, grad_y):
        raise LookupError("no gradient")


def test_the_path_of_a_module_goes_through_all_it_stands_in():
    class Failing(bl.nn.Module):
        def forward(self, x):
            raise KeyError("mine")

    inner = bl.nn.Sequential(bl.nn.Identity(), Failing())
    error = raised_by(lambda: bl.nn.Sequential(bl.nn.Identity(), bl.nn.Identity(), inner)(1))
    assert origin(error).scope.path == "Sequential.2.1"


def test_an_error_in_a_walk_says_the_node():
    y = bl.tensor(1.0, requires_grad=True)
    y = apply(Bad(), y)
    error = raised_by(y.backward)
    assert str(error) == "no gradient"
    assert origin(error).node is y.node


class Once(Bad):
    twice_differentiable = False


def test_an_op_that_is_not_differentiable_twice_is_the_node_of_the_error():
    y = apply(Once(), bl.tensor(1.0, requires_grad=True))
    error = raised_by(lambda: y.backward(create_graph=True))
    assert origin(error).node is y.node


def test_an_error_of_others_has_no_origin():
    error = ValueError("x")
    assert origin(error) == Origin()
    error.backlit = "something of theirs"
    assert origin(error) == Origin()


def test_a_copy_of_an_error_for_another_process_has_no_graph():
    error = raised_by(lambda: bl.ones(2) @ bl.ones(3))
    assert origin(error).op is not None
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert origin(copy) == Origin()
