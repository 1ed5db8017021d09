"""`backlit.see.differentiate`: gates, gradients, the tree, and the language of formulas."""

import io
import textwrap

import numpy as np
import pytest

import backlit
from backlit.errors import ArgumentError
from backlit.facts import ROLES
from backlit.see import ExpressionError, as_record, differentiate, explain
from backlit.see.formula.language import FUNCTIONS, parse, parse_value
from backlit.see.formula.tree import as_text
from sampling import every

# -- the lectures' numbers ----------------------------------------------------------------------

LECTURES = {
    "a product of a sum": (
        "q = x + y; q * z",
        {"x": -2, "y": 5, "z": -4},
        -12,
        {"x": -4, "y": -4, "z": 3, "q": -4},
        1e-12,
    ),
    "a neuron, gate by gate": (
        "1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))",
        {"w0": 2, "w1": -3, "w2": -3, "x0": -1, "x1": -2},
        0.73,
        {"w0": -0.20, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.20},
        5e-3,
    ),
    "a neuron, the sigmoid as one gate": (
        "sigmoid(w0*x0 + w1*x1 + w2)",
        {"w0": 2, "w1": -3, "w2": -3, "x0": -1, "x1": -2},
        0.73,
        {"w0": -0.20, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.20},
        5e-3,
    ),
    "add, max and mul": (
        "(x + y) * max(y, z)",
        {"x": 1, "y": 2, "z": 0},
        6,
        {"x": 2, "y": 5, "z": 0},
        1e-12,
    ),
    "a squared norm": (
        "norm(W @ x)**2",
        {"W": [[0.1, 0.5], [-0.3, 0.8]], "x": [0.2, 0.4]},
        0.116,
        {"W": [[0.088, 0.176], [0.104, 0.208]], "x": [-0.112, 0.636]},
        1e-12,
    ),
    "a squared norm, summed": (
        "sum(square(W @ x))",
        {"W": [[0.1, 0.5], [-0.3, 0.8]], "x": [0.2, 0.4]},
        0.116,
        {"W": [[0.088, 0.176], [0.104, 0.208]], "x": [-0.112, 0.636]},
        1e-12,
    ),
}


@every("name", LECTURES)
def test_lecture_numbers(name):
    text, values, value, gradients, tolerance = LECTURES[name]
    d = differentiate(text, values)
    np.testing.assert_allclose(d.value, value, atol=tolerance)
    assert d.gradients.keys() == gradients.keys()
    for variable, expected in gradients.items():
        np.testing.assert_allclose(d.gradients[variable], expected, atol=tolerance)


def test_lecture_score_of_a_layer():
    """s = uᵀ f(Wx + b): ∂s/∂b = u ∘ f'(z) = δ and ∂s/∂W = δ xᵀ."""
    u, x, b = np.array([0.5, -1.0]), np.array([1.0, 2.0, -1.0]), np.array([0.1, 0.2])
    W = np.array([[0.3, -0.2, 0.1], [0.4, 0.5, -0.6]])
    d = differentiate("z = W @ x + b; dot(u, tanh(z))", {"W": W, "x": x, "b": b, "u": u})
    delta = u * (1 - np.tanh(W @ x + b) ** 2)
    np.testing.assert_allclose(d.gradients["z"], delta)
    np.testing.assert_allclose(d.gradients["b"], delta)
    np.testing.assert_allclose(d.gradients["W"], np.outer(delta, x))
    np.testing.assert_allclose(d.gradients["x"], W.T @ delta)


def test_lecture_softmax_with_cross_entropy():
    """∂L/∂Z = (P - Y) / M for the mean over M examples."""
    Z, Y = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]), np.eye(3)[[1, 2]]
    d = differentiate("-sum(Y * log_softmax(Z)) / 2", {"Z": Z, "Y": Y})
    P = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
    np.testing.assert_allclose(d.gradients["Z"], (P - Y) / 2)


# -- the chain rule at every gate ---------------------------------------------------------------

W = [[0.5, 2], [-1, 3]]
FORMULAS = [
    ("x * x + x", {"x": 3}),
    ("sum(x[1:] * 2) + max(x) + x.T[0] - x[-1]", {"x": [1, 2, 3]}),
    ("mean(x * y) / norm(x)", {"x": [[1, 2], [3, 4]], "y": 2}),
    ("dot(x, relu(y)) + min(x, y, 2)[0] * pi + e", {"x": [1, -2], "y": [3, -4]}),
    ("sum(softmax(W @ x, axis=0) * y)", {"W": [[1, 2], [3, 4]], "x": [0.1, 0.2], "y": [1, 0]}),
    ("sum(outer(x, y) @ W.T)", {"x": [1, 2], "y": [3, 4, 5], "W": [[1, 2, 3]]}),
    ("logsumexp(x) + var(x) + std(x) + prod(x)", {"x": [1, 2, 4]}),
    ("sum(-x ** 2 + +x + gelu(x) * silu(x) - softplus(x))", {"x": [0.5, -1.5]}),
    ("sum(leaky_relu(x) * elu(x))", {"x": [0.5, -1.5]}),
    ("sum(max(x, axis=1) * [1, 2])", {"x": [[1, 2], [4, 3]]}),
    ("q = x * y; q + q * q", {"x": 2, "y": 3}),
    ("sum([[1, 2], [3, 4]] @ x)", {"x": [[1], [2]]}),
    ("x ** 0.5 + 2 ** x + 2 * 3", {"x": 4}),
    ("dot(x, x) * x @ x + sum(outer(x, x) @ x)", {"x": [1, -2, 0.5]}),
    (
        "sum(max(x, y, x, 2 * y) * max(x, x)) + prod(W) + W[1] @ x",
        {"x": [1, 4], "y": [3, 1], "W": W},
    ),
    ("x", {"x": 3}),
]


@every("text, values", FORMULAS)
def test_downstream_is_upstream_times_local_and_uses_add_up(text, values):
    d = differentiate(text, values)
    for gate in d.gates:
        for wire in gate.inputs:
            if wire.local is None:
                continue
            source = wire.source.value
            if wire.local.kind == "factor":
                product = gate.upstream * wire.local.values
                while product.ndim > source.ndim:
                    product = product.sum(0)
            else:
                product = np.tensordot(gate.upstream, wire.local.values, axes=gate.value.ndim)
            np.testing.assert_allclose(wire.downstream, product, atol=1e-14)
        # A formula that is a name alone has no gate that would send something back.
        if gate.contributions:
            np.testing.assert_allclose(sum(gate.contributions), gate.upstream, atol=1e-14)


@every("text, values", FORMULAS)
def test_gradients_match_central_differences(text, values):
    d = differentiate(text, values)
    for name in parse(text).variables:
        if name not in values:
            continue
        array = np.array(values[name], float)
        for index in np.ndindex(array.shape):
            ends = []
            for h in (1e-6, -1e-6):
                moved = array.copy()
                moved[index] += h
                ends.append(differentiate(text, {**values, name: moved}).value)
            slope = (ends[0] - ends[1]) / 2e-6
            np.testing.assert_allclose(d.gradients[name][index], slope, rtol=1e-6, atol=1e-7)


def test_every_function_of_the_language_differentiates():
    for name, function in FUNCTIONS.items():
        inputs = "x" if function.fewest == 1 else "x, y"
        wide = {"x": [1.25, 2.5], "y": [1.5, 3.0]}
        small = {"x": [0.25, 0.5], "y": [1.5, 3.0]}
        values = {k: v for k, v in (small if name != "acosh" else wide).items() if k in inputs}
        d = differentiate(f"sum({name}({inputs}))", values)
        assert d.gradients["x"].shape == (2,), name
        assert np.isfinite(d.gradients["x"]).all(), name


def test_a_value_that_is_not_used_has_no_gradient():
    d = differentiate("q = x * y; x", {"x": 1, "y": 2})
    assert d.gradients["q"] is None
    assert d.gradients["y"] is None
    assert "∂f/∂q = none: f does not depend on q" in str(d)


def test_upstream_and_dtype():
    d = differentiate("x * y", {"x": [1, 2], "y": 3}, upstream=[10, 1], dtype="float32")
    assert d.value.dtype == np.float32
    np.testing.assert_array_equal(d.gradients["x"], [30, 3])
    np.testing.assert_array_equal(d.gradients["y"], 12)


# -- what is printed -----------------------------------------------------------------------------


@every(
    "text, values, lines",
    [
        ("W @ x", {"W": [[1, 2], [3, 4]], "x": [5, 6]}, ["local I₂ ⊗ [5, 6]", "[[1, 2], [3, 4]]"]),
        ("A @ B", {"A": [[1, 2], [3, 4]], "B": [[5, 6], [7, 8]]}, ["local [[1, 2], [3, 4]] ⊗ I₂"]),
        ("x.T", {"x": [[1, 2], [3, 4]]}, ["local picks elements 0, 2, 1, 3"]),
        ("x[1:]", {"x": [1, 2, 3]}, ["local picks elements 1, 2   downstream [0, 1, 1]"]),
        ("x[1:2]", {"x": [1, 2, 3]}, ["local [0, 1, 0]"]),
        ("exp(x)", {"x": [0, 1]}, ["local diag(1, 2.718)"]),
        ("exp(x)", {"x": [[0, 1]]}, ["local ∘ [[1, 2.718]]"]),
        ("2 * x", {"x": [3, 4]}, ["local 2 for each element", "└── local", "2   constant"]),
        ("x + y", {"x": [3, 4], "y": 1}, ["local [1, 1], summed over the copies   downstream 2"]),
        ("mean(x, axis=0)", {"x": [1, 2, 3, 4]}, ["local 0.25 for each element"]),
        ("max(x, y, 0)", {"x": [1, 5], "y": [3, 4]}, ["local diag(0, 1)"]),
        ("softmax(x)", {"x": [0, 0]}, ["local [[0.25, −0.25], [−0.25, 0.25]]"]),
        ("max(x, y, 9)", {"x": [1, 5], "y": [3, 4]}, ["local 0 "]),
        ("x - y", {"x": 1, "y": 2}, ["local −1   downstream 1 · (−1) = −1"]),
        (
            "max(x, y, Y)",
            {"x": [1, 5], "y": [3, 4], "Y": [[0, 9], [0, 0]]},
            ["local [[0, 0], [0, 0], [0, 0], [0, 1]]", "∘ [[0, 1], [0, 0]]"],
        ),
        ("sum(x) * 0", {"x": [0.0] * 60}, ["[0, 0, 0, …, 0, 0] (60)"]),
        ("x", {"x": [[0.5] * 5] * 5}, ["5×5 from 0.5 to 0.5"]),
    ],
)
def test_local_gradients_are_named_by_their_structure(text, values, lines):
    printed = str(differentiate(text, values, upstream=1))
    for line in lines:
        assert line in printed


def test_a_jacobian_too_large_to_show_is_said_to_be():
    W = np.ones((20, 10))
    printed = str(differentiate("softmax(W)", {"W": W}, upstream=1))
    assert "local a 200×200 Jacobian, too large to show" in printed


def test_a_shared_part_is_drawn_once():
    printed = str(differentiate("q = x * y; q + q", {"x": 2, "y": 3}))
    assert printed.count("q = x * y = 6   upstream 2   × switches   copy adds 1 + 1") == 2
    assert printed.count("see above") == 1


def test_subtraction_and_a_variable_called_f():
    printed = str(differentiate("f - y", {"f": 1, "y": 2}))
    assert "result = f - y" in printed
    assert (
        "− distributes  the first input gets the upstream gradient, the second minus it" in printed
    )
    assert "∂result/∂f = 1" in printed


def test_narrow_terminals_break_lines_between_parts():
    d = differentiate("norm(W @ x)**2", {"W": [[0.1, 0.5], [-0.3, 0.8]], "x": [0.2, 0.4]})
    assert max(map(len, as_text(d, 80).splitlines())) <= 80
    narrow = as_text(d, 50).splitlines()
    assert max(map(len, narrow)) <= 50


def test_rich_consoles_print_the_tree():
    from rich.console import Console

    console = Console(width=80, record=True, file=io.StringIO())
    console.print(differentiate("x * y", {"x": 2, "y": 3}))
    assert "× switches" in console.export_text()


# -- what is typed ------------------------------------------------------------------------------


def test_mistakes_in_python():
    with pytest.raises(ExpressionError, match="x must be a number, a vector or a matrix") as caught:
        differentiate("x", {"x": "one"})
    assert caught.value.pointer == "x\n^"
    with pytest.raises(ExpressionError, match=r"with at most 1000 numbers, got \[\[\["):
        differentiate("x", {"x": [[[1.0]]]})
    with pytest.raises(ArgumentError, match="differentiate: dtype must be floating, got int64"):
        differentiate("x", {"x": 1}, dtype="int64")
    with pytest.raises(ArgumentError, match="formula: a function that is being captured has no"):
        backlit.compile(lambda t: t * differentiate("x", {"x": 1}).value)(backlit.ones(2))
    with pytest.raises(ExpressionError, match="which uses no names; leave out x"):
        differentiate("exp(1)", {"x": 1})


def test_values_are_read():
    assert parse_value("-2") == -2.0
    assert parse_value("[1, +2, -3e-1]") == [1.0, 2.0, -0.3]
    assert parse_value(" [[1], [2]] ") == [[1.0], [2.0]]


def test_line_breaks_in_an_expression_are_blanks():
    text = textwrap.dedent(
        """
        q = x + y;
        q * x
        """
    )
    assert differentiate(text, {"x": 1, "y": 2}).value == 3


# -- one vocabulary -------------------------------------------------------------------------------


#: What is typed, and how its gate is called: the lectures' words, also where it takes several ops.
TITLES = {
    "x + y": "+ distributes",
    "x - y": "− distributes",
    "x * y": "× switches",
    "x / y": "÷ scales",
    "x ** y": "xⁿ scales",
    "pow(x, y)": "xⁿ scales",
    "x @ y": "@ switches",
    "matmul(M, x)": "@ switches",
    "-x": "−x distributes",
    "exp(x)": "eˣ scales",
    "log2(x)": "log2 scales",
    "floor(x)": "floor blocks",
    "max(x)": "max routes",
    "max(x, y, x, y)": "max routes",
    "min(x, axis=0)": "min routes",
    "sum(x)": "Σ distributes",
    "mean(x)": "mean shares",
    "prod(M)": "prod switches",
    "std(x)": "std scales",
    "softmax(x)": "softmax mixes",
    "dot(x, y)": "dot switches",
    "outer(x, y)": "outer switches",
    "x.T": "transpose moves",
    "transpose(M)": "transpose moves",
    "x[1:]": "slice moves",
}


def test_a_gate_is_called_by_what_was_typed_and_by_what_it_does():
    values = {"x": [0.3, 0.4], "y": [1.5, 2.5], "M": [[0.3, 0.4], [0.2, 0.6]]}
    for text, title in TITLES.items():
        used = {name: value for name, value in values.items() if name in parse(text).variables}
        gate = differentiate(text, used, upstream=1).result
        assert gate.title == title
        assert ROLES[gate.role].verb == title.split()[1]
        assert gate.does


def test_the_record_of_a_formula_is_what_the_other_views_read():
    d = differentiate("q = x + y; q * max(y, z)", {"x": -2, "y": 5, "z": -4})
    assert as_record(d) is d.record
    assert explain("y", d).unicode().endswith("= 5·1 + 3·1 = 8")
    names = {n.name: n.upstream.item() for n in d.record if n.name}
    assert names == {"x": 5, "y": 8, "z": 0, "q": 5} == d.gradients


def test_a_name_alone_has_a_record_too():
    d = differentiate("q = x * y; x", {"x": 1, "y": 2})
    assert (d.record.find("x").upstream.item(), d.record.find("y").upstream) == (1, None)
    assert not d.result.contributions
