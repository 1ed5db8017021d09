"""What prints a gate prints it alike: `grad`, `step`, `explain` and `draw`, for every function."""

from __future__ import annotations

import pytest

from backlit import see
from backlit.facts import ROLES
from backlit.see.formula.language import FUNCTIONS
from backlit.see.formula.tree import as_text, differentiate
from backlit.see.show.draw.labels import Labels
from backlit.see.show.draw.layout import METRICS
from backlit.see.show.words import role_of, symbol_of


def formulas():
    """A formula with every sign and every function of the language."""
    for sign in ("+", "-", "*", "/", "**"):
        yield f"x {sign} y"
        yield f"x {sign} -2"
    yield "-x"
    yield "x / z"
    for name, function in FUNCTIONS.items():
        if name in ("transpose", "matmul", "dot", "outer"):
            continue  # several ops, or no single number
        two = function.fewest > 1
        yield f"{name}(x, y)" if two else f"sum({name}(x))"


@pytest.mark.parametrize("text", list(formulas()))
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_symbols_roles_numbers_and_sums(text):
    d = differentiate(f"{text} + 0*x" if "x" in text else text, values(text))
    labels = Labels(d.record, METRICS)
    backward = {s.node.id: s.sentence for s in see.steps(d) if s.phase == "backward"}
    printed = as_text(d, 400)
    for gate in d.gates:
        if gate.kind != "gate" or len(gate.ops) != 1:
            continue
        (node,) = gate.ops
        assert gate.title == f"{symbol_of(node)} {ROLES[role_of(node)].verb}"
        assert labels.symbol[node.id] == symbol_of(node)
        assert backward[node.id].startswith(f"{gate.title}: upstream ")
        assert gate.title in printed
        for wire in gate.inputs:  # one product, with the same signs
            up, local = gate.upstream, wire.local
            if local is not None and up.ndim == 0 and wire.source.value.ndim == 0:
                product = see.show.words.product_of(float(up), float(local.values))
                assert product in printed
                assert product in backward[node.id]
    x = d.named["x"]
    if len(x.contributions) > 1:
        total = see.show.words.sum_of([float(c) for c in x.contributions])
        assert f"copy adds {total}" in printed
        assert any(f"adds up: {total} = " in s for s in backward.values())
        assert f"adder: {total}" in see.draw(d).text(300)


def values(text):
    given = {"x": 0.5, "y": 2.0, "z": 0.0}
    return {name: v for name, v in given.items() if name == "x" or f" {name}" in text}


def test_constants_are_written_as_numbers_and_have_no_gradient():
    d = differentiate("max(x, -1) * x**2", {"x": -2})
    text = see.draw(d).text(120)
    assert "maximum_2 = max(x, −1)" in text
    assert "x^2" in text
    assert "nan" not in text
    assert "max(x, −1) = max(−2, −1) = −1" in "\n".join(s.sentence for s in see.steps(d))
