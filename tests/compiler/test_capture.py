"""Capture: what a function does to abstract Tensors, as a graph with the bits of eager runs."""

import collections
import functools
import io
from contextlib import redirect_stdout

import numpy as np
import pytest

import backlit as bl
from backlit.compiler import interpret
from backlit.compiler.api import interpreter
from backlit.compiler.capture.graph import Equation, Graph, Variable
from backlit.errors import ShapeError, TraceError
from backlit.ops.elementwise import Add, Multiply, Negative
from backlit.optim import SGD, Adam
from backlit.state import STATE
from sampling import every

compiled = functools.partial(bl.compile, executor=interpreter)
Pair = collections.namedtuple("Pair", "left right")


def bits(tensors):
    return [(t.dtype, t.shape, t.numpy().tobytes()) for t in tensors]


# -- a whole training step --------------------------------------------------------------------


class Net(bl.nn.Module):
    """Two layers with everything that changes between steps: statistics, random masks."""

    def __init__(self, seed=0):
        super().__init__()
        rng = np.random.default_rng(seed)

        def parameter(*shape):
            return bl.nn.Parameter(rng.normal(size=shape).astype(np.float32))

        self.w1, self.b1 = parameter(8, 5), parameter(8)
        self.w2, self.b2 = parameter(3, 8), parameter(3)
        self.register_buffer("mean", bl.zeros((8,)))
        self.register_buffer("seen", bl.tensor(0))
        self.generator = bl.Generator(7)

    def forward(self, x):
        h = x @ self.w1.mT + self.b1
        if self.training:
            mean = h.mean(axis=0)
            self.mean.assign(0.9 * self.mean + 0.1 * mean.detach())
            self.seen.assign(self.seen + 1)
            h = h - mean
            keep = self.generator.uniform(h.shape) < 0.8
            h = bl.where(keep, h / 0.8, 0.0)
        else:
            h = h - self.mean
        return bl.tanh(h) @ self.w2.mT + self.b2


def make_step(net, optimizer):
    def step(x, y):
        logits = net(x)
        loss = -(y * (logits - bl.logsumexp(logits, axis=1, keepdims=True))).sum() / x.shape[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, {"logits": logits}

    return step


def batches(count, size=6):
    rng = np.random.default_rng(1)
    for _ in range(count):
        x = rng.normal(size=(size, 5)).astype(np.float32)
        y = np.eye(3, dtype=np.float32)[rng.integers(0, 3, size)]
        yield bl.tensor(x), bl.tensor(y)


@pytest.mark.parametrize("make", [Adam, functools.partial(SGD, momentum=0.9)])
def test_a_captured_training_step_gives_the_bits_of_an_eager_one(make):
    runs = []
    for wrap in (lambda f: f, compiled):
        net = Net()
        optimizer = make(net.parameters(), lr=0.01)
        step = wrap(make_step(net, optimizer))
        results = []
        for x, y in batches(5):
            loss, extra = step(x, y)
            results += [loss, extra["logits"]]
        state = [t for s in optimizer.state.values() for t in s.values()]
        gradients = [p.grad for p in net.parameters()]
        counters = [net.generator.counter, net.generator.key]
        everything = [*results, *net.state_dict().values(), *state, *gradients, *counters]
        runs.append(bits(everything))
        if wrap is compiled:
            assert len(step.graphs) == 1
            step.graphs[0].check()
            assert all(e.op.primitive for e in step.graphs[0].equations)
    assert runs[0] == runs[1]
    assert int(net.seen) == 5


def test_training_and_evaluation_are_captured_apart():
    net = Net()
    forward = compiled(net)
    x, _ = next(batches(1))
    forward(x)
    net.eval()
    before = bits(net.state_dict().values())
    assert bits([forward(x)]) == bits([net(x)])
    assert bits(net.state_dict().values()) == before
    net.train()
    forward(x)
    assert len(forward.graphs) == 2


# -- the environment ------------------------------------------------------------------------------


def test_a_tensor_of_a_closure_is_an_input():
    w = bl.tensor([1.0, 2.0])
    f = compiled(lambda x: x * w)
    assert f(bl.tensor([1.0, 1.0])).tolist() == [1.0, 2.0]
    w.assign([3.0, 4.0])
    assert f(bl.tensor([1.0, 1.0])).tolist() == [3.0, 4.0]
    w[0] = 5.0
    assert f(bl.tensor([1.0, 1.0])).tolist() == [5.0, 4.0]
    assert len(f.graphs) == 1


def test_an_assigned_tensor_is_input_and_output():
    total = bl.tensor(0.0)

    @compiled
    def add(x):
        before = total * 1
        total.assign(total + x)
        total.assign(total + x)
        return before, total * 1

    assert [[t.item() for t in add(bl.tensor(v))] for v in (1.0, 10.0)] == [[0.0, 2.0], [2.0, 22.0]]
    assert total.item() == 22.0


def test_a_tensor_that_is_only_assigned_is_an_input_too():
    total = bl.tensor([0.0, 0.0])
    graph = bl.capture(lambda x: total.assign(x * 2) is None)(bl.zeros((2,)))
    assert [repr(v) for v in graph.inputs] == ["float32[2]"] * 2


def test_the_capture_itself_changes_nothing():
    total = bl.tensor(0.0)
    w = bl.tensor(1.0, requires_grad=True)

    def f(x):
        total.assign(total + x)
        (w * x).backward()

    bl.capture(f)(bl.tensor(1.0))
    assert total.item() == 0.0
    assert w.grad is None


def test_results_are_not_overwritten_by_later_calls():
    f = compiled(lambda x: x * 2)
    a = f(bl.tensor([1.0]))
    f(bl.tensor([5.0]))
    assert a.tolist() == [2.0]


def test_values_handed_through():
    w = bl.tensor([1.0])
    f = compiled(lambda x: (x, w, x, 3, None, "text"))
    x = bl.tensor([2.0])
    a, b, c, *rest = f(x)
    assert (a.tolist(), b.tolist(), c.tolist(), rest) == ([2.0], [1.0], [2.0], [3, None, "text"])


# -- gradients ----------------------------------------------------------------------------------


def test_gradients_are_left_as_eager_leaves_them():
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    f = compiled(lambda x: (w * w * x).sum().backward())
    f(bl.tensor(1.0))
    assert w.grad.tolist() == [2.0, 4.0]
    f(bl.tensor(10.0))  # there is a gradient by now: they add up
    assert w.grad.tolist() == [22.0, 44.0]
    f(bl.tensor(100.0))
    assert w.grad.tolist() == [222.0, 444.0]
    w.grad = None
    f(bl.tensor(1.0))
    assert w.grad.tolist() == [2.0, 4.0]
    assert len(f.graphs) == 2


def test_gradients_add_up_when_a_call_is_repeated():
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    f = compiled(lambda x: (w * w * x).sum().backward())
    f.repeat(3, bl.tensor(1.0))
    assert w.grad.tolist() == [6.0, 12.0]


def test_a_gradient_from_before_the_call_is_an_input():
    w = bl.tensor([1.0], requires_grad=True)
    f = compiled(lambda: w.grad * 2)
    for value in (1.0, 5.0):
        w.grad = bl.tensor([value])
        assert f().tolist() == [2 * value]
    assert len(f.graphs) == 1


def test_an_argument_gets_no_gradient_and_that_is_said():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    f = compiled(lambda x: (x * x).sum().backward())
    with pytest.raises(
        TraceError,
        match=r"backward: a captured function leaves no gradient in the grad of its arguments, but "
        r"float32\[2\] requires one; return backlit.grad",
    ):
        f(x)
    assert not STATE.execution.captures
    assert compiled(lambda x: bl.grad((x * x).sum(), x))(x).tolist() == [2.0, 4.0]


def test_gradients_that_are_cleared_are_gone():
    w = bl.tensor([1.0], requires_grad=True)

    @compiled
    def f():
        (w * w).sum().backward()
        w.grad = None

    w.grad = bl.tensor([3.0])
    f()
    assert w.grad is None


def test_grad_and_second_derivatives_are_captured():
    def f(x):
        x = x.detach().requires_grad_()
        (g,) = bl.grad((x**3).sum(), [x], create_graph=True)
        return bl.grad(g.sum(), x)

    x = bl.tensor([1.0, 2.0])
    assert bits([compiled(f)(x)]) == bits([f(x)])


def test_transformations_are_captured():
    def f(x):
        return bl.hessian(lambda x: (bl.tanh(x) * x[0]).sum(), x), bl.jvp(bl.sin, x, x)[1]

    x = bl.tensor([0.5, -1.0])
    assert bits(compiled(f)(x)) == bits(f(x))


def test_no_grad_is_part_of_the_kind():
    w = bl.tensor(2.0, requires_grad=True)
    f = compiled(lambda x: x * w)
    f(bl.tensor(1.0))
    with bl.no_grad():
        f(bl.tensor(1.0))
    assert len(f.graphs) == 2


# -- kinds of arguments ---------------------------------------------------------------------------


def test_a_new_shape_or_dtype_is_a_new_capture():
    f = compiled(lambda x: x + 1)
    for shape in ((2,), (3,), (2,), (3,)):
        assert f(bl.zeros(shape)).tolist() == [1.0] * shape[0]
    f(bl.zeros((2,), dtype="float64"))
    assert len(f.graphs) == 3


def test_a_new_python_argument_is_a_new_capture():
    f = compiled(lambda x, n: x * n)
    assert [f(bl.tensor(2.0), n).item() for n in (1, 2, 3, 2)] == [2.0, 4.0, 6.0, 4.0]
    assert len(f.graphs) == 3
    f(bl.tensor(2.0), 2.0)  # a float is not an int
    f(bl.tensor(2.0), True)
    assert len(f.graphs) == 5


def test_a_surrounding_tensor_of_another_type_is_a_new_capture():
    w = bl.tensor([1.0, 2.0])
    f = compiled(lambda: w.sum())
    f()
    w.array = np.ones(3, np.float32)
    assert f().item() == 3.0
    w.requires_grad_()
    f()
    assert len(f.graphs) == 3


def test_keywords_dicts_lists_and_named_tuples():
    @compiled
    def f(a, *, options, pair):
        return Pair(a + options["b"], [pair.left, (pair.right,)]), {"n": options["n"]}

    one, two, three, four = (bl.tensor(float(i)) for i in (1, 2, 3, 4))
    result, rest = f(one, options={"b": two, "n": 5}, pair=Pair(three, four))
    assert type(result) is Pair
    assert result.left.item() == 3.0
    assert [t.item() for t in (result.right[0], result.right[1][0])] == [3.0, 4.0]
    assert rest == {"n": 5}


def test_arguments_must_be_hashable():
    with pytest.raises(
        TraceError, match="compile: an argument that is not a Tensor must be hashable, got"
    ):
        compiled(lambda x: x)(np.zeros(3))


def test_nested_compiled_functions_are_one_graph():
    inner = compiled(lambda x: x * 2)
    outer = compiled(lambda x: inner(x) + 1)
    assert outer(bl.tensor(3.0)).item() == 7.0
    assert [e.op.name for e in outer.graphs[0].equations] == ["multiply", "add"]
    assert inner.graphs == []


def test_the_decorator_keeps_name_and_documentation():
    @bl.compile
    def step(x):
        """Say what it does."""
        return x

    assert (step.__name__, step.__doc__) == ("step", "Say what it does.")

    @bl.compile(executor=interpreter)
    def other(x):
        return x * 2

    assert other(bl.tensor(2.0)).item() == 4.0


def test_random_numbers_differ_from_call_to_call_as_in_eager():
    generator, twin = bl.Generator(3), bl.Generator(3)
    f = compiled(lambda: generator.normal((5,)))
    assert bits([f() for _ in range(3)]) == bits([twin.normal((5,)) for _ in range(3)])


# -- asking for a value ---------------------------------------------------------------------------


@every(
    "ask, what",
    [
        (lambda t: float(t), r"float\(\)"),
        (lambda t: int(t), r"int\(\)"),
        (lambda t: bool(t), r"bool\(\)"),
        (lambda t: 1 if t > 0 else 2, r"bool\(\)"),
        (lambda t: [0, 1][t], r"index\(\)"),
        (lambda t: t.item(), r"item\(\)"),
        (lambda t: t.tolist(), r"tolist\(\)"),
        (lambda t: t.numpy(), r"numpy\(\)"),
        (lambda t: np.asarray(t), r"numpy.asarray\(\)"),
        (lambda t: print(t), r"print\(\)"),
        (lambda t: f"{t}", r"print\(\)"),
        (lambda t: f"{t:.3f}", r"item\(\)"),
        (lambda t: bl.nonzero(t), r"nonzero\(\)"),
        (lambda t: bl.unique_values(t), r"unique_values\(\)"),
        (lambda t: bl.tensor([t, t]), "a list of Tensors"),
        (lambda t: t[t > 0], "indexing by a mask"),
        (lambda t: t.__setitem__((t > 0, 0), 1.0), "indexing by a mask"),
        (lambda t: np.from_dlpack(t), r"__dlpack__\(\)"),
        (lambda t: t in [t + 1], r"bool\(\)"),
    ],
)
@every("where", ["argument", "closure"])
def test_a_value_cannot_be_asked_for(ask, what, where):
    outside = bl.tensor([1.0])

    def function(x):
        ask(x * 1 if where == "argument" else outside)
        return x

    text = what + r": a captured function cannot ask for a value, which differs from call to call "
    if where == "closure" and what == r"bool\(\)":
        text = "a captured function cannot ask for a value"
    with redirect_stdout(io.StringIO()), pytest.raises(TraceError, match=text):
        bl.capture(function)(bl.tensor([1.0]))
    assert not STATE.execution.captures


def test_the_error_names_the_line_and_the_cure():
    def function(x):
        if x > 0:  # the line that asks
            return x
        return -x

    with pytest.raises(TraceError) as caught:
        bl.capture(function)(bl.tensor(1.0))
    with open(__file__) as source:
        lines = source.read().splitlines()
    number = next(i for i, text in enumerate(lines, 1) if text.endswith("# the line that asks"))
    assert f"(test_capture.py:{number}, bool[])" in str(caught.value)
    assert "use backlit.where instead of a branch" in str(caught.value)


def test_an_abstract_tensor_has_a_repr_for_debugging():
    seen = []
    bl.capture(lambda x: seen.append(repr(x * 2)) or x)(bl.tensor([1.0, 2.0]))
    assert seen == ["Tensor(abstract, shape=(2,), dtype=float32)"]


def test_a_capture_inside_a_capture():
    inner = bl.capture(lambda x: x)
    with pytest.raises(
        TraceError, match="capture: a captured function cannot itself capture; capture"
    ):
        bl.capture(lambda x: inner(x))(bl.tensor(1.0))


def test_an_exception_leaves_no_trace():
    w = bl.tensor([1.0], requires_grad=True)
    total = bl.tensor(0.0)

    def fails(x):
        total.assign(total + x)
        (w * x).sum().backward()
        raise KeyError("mine")

    f = compiled(fails)
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            f(bl.tensor(1.0))
        assert not STATE.execution.captures
        assert STATE.scope is None
        assert bl.is_grad_enabled()
    assert (total.item(), w.grad, f.graphs) == (0.0, None, [])
    assert (w * 2).tolist() == [2.0]


def test_errors_inside_a_capture_are_those_of_eager_runs():
    with pytest.raises(
        ShapeError, match=r"matmul: a.shape\[-1\] must equal b.shape\[-2\], got 3 and 2"
    ):
        bl.capture(lambda x: x @ x)(bl.zeros((2, 3)))


# -- the graph ------------------------------------------------------------------------------------


def test_a_graph_prints_as_typed_equations():
    w = bl.tensor([[1.0, 2.0]], requires_grad=True)

    def f(x):
        y = (w @ x).sum()
        return bl.grad(y, w)

    lines = str(bl.capture(f)(bl.zeros((2, 3)))).splitlines()
    assert lines[0] == "inputs  a: float32[2,3], b: float32[1,2]"
    assert lines[1].startswith("c: float32[1,3] = matmul b a")
    assert lines[1].split("# ")[1].startswith("test_capture.py:")
    assert lines[2].startswith("d: float32[] = sum(axis=(0, 1), keepdims=False) c")
    assert lines[-2].startswith("i: float32[1,2] = matmul g h")
    assert lines[-2].endswith(", backward of matmul")
    assert lines[-1] == "return  i"


def test_what_follows_a_backward_is_not_part_of_it():
    w = bl.tensor([1.0, 2.0], requires_grad=True)

    def f():
        bl.sin(w).sum().backward()
        return w.grad * 3

    equations = bl.capture(f)().equations
    assert [e.backward for e in equations if e.op.name in ("cos", "sin")] == [None, "sin"]
    assert equations[-1].backward is None


def test_checks_of_compound_ops_are_made_in_a_capture():
    with pytest.raises(
        ShapeError, match=r"linear: x.shape\[-1\] must equal in_features, got 4 and 3"
    ):
        bl.capture(bl.nn.Linear(3, 2))(bl.zeros((5, 4)))


@pytest.mark.parametrize(
    "index",
    [
        -1,
        (slice(None), -2),
        (slice(None, None, -2), None),
        ([0, 2], [1, -1]),
        ([0, 1], slice(None), [2, 3]),
        (slice(None), [0, 1], [2, 3]),
        ([0, 1], None, [2, 3]),
        (0, slice(None), [1, 2]),
        (slice(1), [[0, 1], [1, 2]]),
    ],
)
def test_captured_indexing_has_numpy_s_shapes(index):
    x = np.arange(60.0).reshape(3, 4, 5)
    f = compiled(lambda x: x[index])
    got = f(bl.tensor(x))
    f.graphs[0].check()
    assert f.graphs[0].outputs[0].shape == x[index].shape
    assert got.tolist() == x[index].tolist()


def test_captured_index_arrays_that_are_apart_come_first():
    x = np.zeros((3, 4, 5, 6))
    (equation,) = bl.capture(lambda x: x[:, [0, 1], :, [2, 3]])(bl.tensor(x)).equations
    assert equation.output.shape == x[:, [0, 1], :, [2, 3]].shape == (2, 3, 5)


def test_captured_integers_in_an_index_count_from_the_front():
    (equation,) = bl.capture(lambda x: x[-1, ..., -2])(bl.zeros((3, 4, 5))).equations
    assert equation.op.index == (2, (0, 4, 1), 3)


def test_equations_know_module_and_line():
    net = Net()
    graph = bl.capture(net)(bl.zeros((2, 5)))
    assert all(e.site.scope.path == "Net" for e in graph.equations)


def test_names_go_on_after_z():
    def f(x):
        for _ in range(30):
            x = -x
        return x

    assert str(bl.capture(f)(bl.tensor(1.0))).splitlines()[-1] == "return  ae"


def test_the_interpreter_runs_a_graph_on_arrays():
    graph = bl.capture(lambda x, y: (x + y, x * y))(bl.zeros((2,)), bl.zeros((2,)))
    a, b = interpret(graph, [np.array([1.0, 2.0], "f"), np.array([3.0, 4.0], "f")])
    assert (a.tolist(), b.tolist()) == ([4.0, 6.0], [3.0, 8.0])


def variable(*shape):
    return Variable(shape, np.dtype("float32"))


def equation(op, inputs, output):
    return Equation(op, inputs, output, None)


def test_check_accepts_a_legal_graph():
    a, b = variable(2), variable(2)
    Graph([a], [equation(Negative(), (a,), b)], [b, a]).check()
    c = variable()
    Graph([], [equation(Add(), (c, 1.0), variable())], [], {c: np.float32(2)}).check()


def illegal_graphs():
    a, b, c, d = variable(2), variable(2), variable(2), variable(3)
    yield Graph([a, a], [], []), "graph: an input is listed twice"
    yield (
        Graph([a], [equation(Add(), (a, b), c)], [c]),
        r"graph: equation 0 \(add\) uses an undefined variable",
    )
    yield (
        Graph([a], [equation(Negative(), (b,), c), equation(Negative(), (a,), b)], [c]),
        r"graph: equation 0 \(negative\) uses an undefined variable",
    )
    yield (
        Graph([a], [equation(Negative(), (a,), b), equation(Negative(), (a,), b)], [b]),
        r"graph: equation 1 \(negative\) defines a variable again",
    )
    yield (
        Graph([a], [equation(Negative(), (a,), a)], [a]),
        r"graph: equation 0 \(negative\) defines a variable again",
    )
    yield (
        Graph([a], [equation(Multiply(), (a, 2.0), d)], [d]),
        r"graph: equation 0 \(multiply\) is typed float32\[3\], but its op gives float32\[2\]",
    )
    yield Graph([a], [], [b]), "graph: an output is not defined"
    yield (
        Graph([a, d], [equation(Add(), (a, d), b)], [b]),
        r"add: shapes must broadcast .* got \(2,\) and \(3,\)",
    )


@pytest.mark.parametrize(("graph", "text"), list(illegal_graphs()))
def test_check_finds_what_is_illegal(graph, text):
    with pytest.raises(ShapeError, match=text):
        graph.check()


def test_the_gradient_of_one_weight_for_many_matrices_is_one_product():
    w = bl.ones((5, 2)).requires_grad_()
    graph = bl.capture(lambda x, w, up: bl.grad(x @ w, w, up))(
        bl.ones((3, 4, 5)), w, bl.ones((3, 4, 2))
    )
    lines = str(graph).splitlines()
    assert not [line for line in lines if " sum" in line]
    products = [line.split(" = ")[0].strip() for line in lines if " = matmul" in line]
    assert [name.split(": ")[1] for name in products] == ["float32[3,4,2]", "float32[5,2]"]
