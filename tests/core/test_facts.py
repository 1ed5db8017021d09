"""What ops say of themselves, against what they compute: roles are read off their derivatives."""

from __future__ import annotations

import contextlib
import itertools
import math
from functools import cache

import numpy as np
import pytest

import backlit as bl
from backlit import see
from backlit.autograd import fit
from backlit.backend import numpy_backend as NUMPY
from backlit.dtypes import FLOATING
from backlit.errors import ArgumentError
from backlit.facts import ROLES, Border, written
from backlit.op import REGISTRY, Elementwise, Op, Reduction
from backlit.ops import activation, loss
from backlit.ops.loss import Loss
from backlit.see.show.words import effect_of, formula, role_of, symbol_of
from op_table import BUILT_IN, RECORDS, Record
from op_table.record import generator
from sampling import every

DIFFERENTIABLE = {n: r for n, r in RECORDS.items() if r.op.differentiable}
LOSSES = [n for n, r in DIFFERENTIABLE.items() if issubclass(r.op, Loss)]
OTHERS = [n for n in DIFFERENTIABLE if n not in LOSSES]


# -- derivatives as matrices ----------------------------------------------------------------------


def is_float(x) -> bool:
    return isinstance(x, np.ndarray) and x.dtype in FLOATING


def jacobians(op: Op, inputs: tuple) -> dict[int, np.ndarray]:
    """(outputs, inputs) for each floating input of one application."""
    with np.errstate(all="ignore"):
        y = np.asarray(op.forward(NUMPY, *inputs))
        saved = op.save(inputs, y)
        found = {k: np.zeros((y.size, x.size)) for k, x in enumerate(inputs) if is_float(x)}
        for i in range(y.size):
            unit = np.zeros(y.size)
            unit[i] = 1
            back = op.backward(NUMPY, unit.reshape(y.shape), *saved)
            for k, g in enumerate(back if isinstance(back, tuple) else (back,)):
                if k in found and g is not None:
                    g = np.asarray(g() if callable(g) else g)
                    found[k][i] = fit(NUMPY, g, inputs[k]).reshape(-1)
    return found


def shuffled(inputs: tuple, rng: np.random.Generator, kinds: str) -> tuple:
    """The inputs with the elements of those arrays in other places, so that all stay allowed."""
    return tuple(
        rng.permuted(x.reshape(-1)).reshape(x.shape)
        if isinstance(x, np.ndarray) and x.dtype.kind in kinds
        else x
        for x in inputs
    )


def one_changed(inputs: tuple, k: int, i: int, j: int) -> tuple:
    """The inputs with the i-th element of the k-th taken from the j-th."""
    x = inputs[k].copy()
    x.reshape(-1)[i] = x.reshape(-1)[j]
    return (*inputs[:k], x, *inputs[k + 1 :])


class Seen:
    """What the derivatives of an op show, over all cases of its record."""

    def __init__(self, record: Record):
        self.op = record.op
        self.whole: list[np.ndarray] = []  # all floating inputs side by side
        self.first: list[np.ndarray] = []
        self.each: list[np.ndarray] = []
        self.inputs = 0
        self.constant = self.affine = True
        self.varies = False
        rng = generator(record.name)
        for case in record.cases:
            op = self.op(**case.attributes)
            if not any(map(is_float, case.inputs)) or len(self.whole) == 8:
                continue
            found = jacobians(op, case.inputs)
            whole = np.concatenate(list(found.values()), axis=1)
            if not whole.size or whole.size > 2000 or not np.isfinite(whole).all():
                continue
            self.whole.append(whole)
            self.first.append(next(iter(found.values())))
            self.each.extend(found.values())
            self.inputs = max(self.inputs, len(found))
            with contextlib.suppress(ArgumentError):  # not all matrices are allowed
                self._shuffle(op, case.inputs, found, rng)
                self._change_one(op, case.inputs, found, rng)

    def _shuffle(self, op: Op, inputs: tuple, found: dict, rng: np.random.Generator) -> None:
        for _ in range(2):
            other = jacobians(op, shuffled(inputs, rng, "f"))
            self.constant &= same(found, other)
            other = jacobians(op, shuffled(inputs, rng, "fb"))
            self.varies |= not same(found, other)

    def _change_one(self, op: Op, inputs: tuple, found: dict, rng: np.random.Generator) -> None:
        for k, before in found.items():
            for i in rng.permutation(before.shape[1])[:4]:
                for j in rng.permutation(before.shape[1])[:4]:
                    after = jacobians(op, one_changed(inputs, k, i, j))[k]
                    self.affine &= bool(np.allclose(before[:, i], after[:, i], 1e-9, 1e-12))

    def all_in(self, *values: float) -> bool:
        return all(np.isin(j, values).all() for j in self.whole)

    @property
    def picks(self) -> bool:
        """Whether each output is at most one input."""
        return all(((j != 0).sum(1) <= 1).all() for j in self.whole)

    @property
    def shares(self) -> bool:
        """Whether equal parts add up to one for each output that has any."""
        count = [(j != 0).sum(1, keepdims=True) for j in self.whole]
        return all(
            np.allclose(j, (j != 0) / np.maximum(n, 1))
            for j, n in zip(self.whole, count, strict=True)
        )

    @property
    def mixes(self) -> bool:
        """Whether an element of the first input is seen in several outputs, each of which sees
        several elements.
        """
        used = [j != 0 for j in self.first]
        return any((u.sum(0) > 1).any() and (u.sum(1) > 1).any() for u in used)

    @property
    def leaves_out(self) -> bool:
        """Whether no output sees an element of an input of which others are seen."""
        return any((j == 0).all(0).any() and j.any() for j in self.each)

    @property
    def role(self) -> str:
        """The first role in the list that is true of what was seen."""
        single = issubclass(self.op, Elementwise) and self.inputs == 1
        if self.all_in(0):
            return "blocker"
        if self.constant and self.all_in(0, 1, -1):
            moves = self.picks and self.all_in(0, 1)
            if moves and issubclass(self.op, Elementwise) and self.inputs > 1:
                return "router"
            return "mover" if moves and not issubclass(self.op, Elementwise) else "distributor"
        if self.constant and self.shares:
            return "sharer"
        if self.all_in(0, 1) and not single:
            return "router"
        if self.affine and self.varies:
            return "switcher"
        return "mixer" if self.mixes else "scaler"


def same(a: dict[int, np.ndarray], b: dict[int, np.ndarray]) -> bool:
    return all(np.allclose(a[k], b[k], 1e-9, 1e-12) for k in a)


@cache
def seen(name: str) -> Seen:
    return Seen(RECORDS[name])


# -- roles ----------------------------------------------------------------------------------------


@every("name", OTHERS)
def test_the_role_of_an_op_is_what_its_derivative_shows(name: str) -> None:
    assert seen(name).whole, "no case shows anything"
    assert RECORDS[name].op.role == seen(name).role


@every("name", LOSSES)
def test_all_losses_scale(name: str) -> None:
    """Each element gets the upstream gradient of its loss times a slope; none mixes several."""
    assert RECORDS[name].op.role == "scaler"
    assert not seen(name).mixes


def test_every_role_is_that_of_an_op() -> None:
    assert {r.op.role for r in DIFFERENTIABLE.values()} == set(ROLES)


@every("name", [n for n in OTHERS if RECORDS[n].op.role == "distributor"])
def test_a_distributor_that_turns_a_sign_says_so(name: str) -> None:
    turns = any((j < 0).any() for j in seen(name).whole)
    assert ("minus" in RECORDS[name].op.effect) == turns


def test_ops_have_words_of_their_own_where_those_of_their_role_are_not_enough() -> None:
    assert {n for n, op in BUILT_IN.items() if op.effect} == {
        *("negative", "subtract"),  # distributors that turn a sign
        *("cumulative_sum", "max_pool", "softmax", "log_softmax", "masked_softmax"),
    }


# -- how an op is written -------------------------------------------------------------------------

PYTHON = {"−": "-", "×": "*", "÷": "/", "^": "**", "²": "**2", "=": "==", "≠": "!=", "≤": "<=",
          "≥": ">="}  # fmt: skip


@every("name", [n for n, op in BUILT_IN.items() if op.notation])
def test_a_notation_read_as_python_computes_the_op(name: str) -> None:
    op = BUILT_IN[name]
    operands = ["a", "−b"] if len(op.parameters) == 2 else ["−b"]
    text = written(op.notation, operands).translate(str.maketrans(PYTHON))
    for a, b in ((3.0, 2.0), (2.0, -2.0), (1.0, -2.0)):
        given = {"a": np.full((1, 1), a), "b": np.full((1, 1), b)}
        inputs = [given["a"], -given["b"]][-len(operands) :]
        assert eval(text, given) == op().forward(NUMPY, *inputs)


def test_what_is_written_with_a_sign_has_that_sign_in_its_gate() -> None:
    signs = {n: op for n, op in BUILT_IN.items() if len(op.parameters) == 2 and op.notation}
    assert all(op.symbol in op.notation for n, op in signs.items() if n != "pow")
    assert {n: op.symbol for n, op in BUILT_IN.items() if op.symbol and n not in signs} == {
        "positive": "+x", "negative": "−x", "abs": "|x|", "square": "x²", "sqrt": "√x",
        "reciprocal": "1/x", "exp": "eˣ", "sigmoid": "σ", "sum": "Σ", "permute_dims": "transpose",
        "broadcast_to": "broadcast", "masked_softmax": "softmax",
    }  # fmt: skip
    assert all(op.symbol for op in signs.values())
    assert BUILT_IN["pow"].symbol == "xⁿ"


# -- choosing, saturating, rectifying -------------------------------------------------------------


@every("name", [n for n in OTHERS if RECORDS[n].op.role in ("router", "mover")])
def test_an_op_chooses_if_it_leaves_elements_out(name: str) -> None:
    assert RECORDS[name].op.chooses == seen(name).leaves_out


def test_no_other_op_chooses() -> None:
    choosing = {n for n, op in BUILT_IN.items() if op.chooses}
    assert choosing <= {n for n in OTHERS if RECORDS[n].op.role in ("router", "mover")}


FAR = (1e8, 1e12)
NEAR = (0.2, 0.4, 0.6, -0.2, -0.4, -0.6)


def value_and_slope(op: Op, x: float) -> tuple[float, float]:
    inputs = (np.array(x),)
    with np.errstate(all="ignore"):
        y = np.asarray(op.forward(NUMPY, *inputs))
    return float(y), jacobians(op, inputs)[0].item()


def ends(op: Op) -> set[float]:
    """What the values of a function of one number come near, flat, on both sides."""
    found = set()
    for sign in (1, -1):
        (near, _), (far, slope) = (value_and_slope(op, sign * x) for x in FAR)
        if abs(slope) < 1e-15 and abs(far - near) < 1e-7:
            found.add(round(far, 6) + 0.0)
    return found


def sides(op: Op) -> set[float]:
    return {slope for _, slope in (value_and_slope(op, x) for x in NEAR)}


OF_ONE = [
    n
    for n in OTHERS
    if issubclass(RECORDS[n].op, Elementwise)
    and len(RECORDS[n].op.parameters) == 1
    and RECORDS[n].op.role != "blocker"
]


@every("name", OF_ONE)
def test_a_function_rectifies_if_its_slope_is_1_on_one_side_only(name: str) -> None:
    record = RECORDS[name]
    found = [sides(record.op(**c.attributes)) for c in record.cases]
    assert record.op.rectifies == any(1 in s and any(0 <= v < 1 for v in s) for s in found)


@every("name", [n for n in OF_ONE if not RECORDS[n].op.rectifies])
def test_a_function_saturates_where_it_is_flat(name: str) -> None:
    record = RECORDS[name]
    found = ends(record.op(**record.cases[0].attributes))
    assert {round(v, 6) + 0.0 for v in record.op.saturates} == found


SOFTMAXES = ("softmax", "masked_softmax", "log_softmax")


@every("name", SOFTMAXES)
def test_a_softmax_saturates_where_one_element_has_it_all(name: str) -> None:
    op, x = BUILT_IN[name](axis=0), np.array([1e3, 0.0, -1e3])
    flat = ~jacobians(op, (x,))[0].any(1)
    assert set(op.forward(NUMPY, x)[flat]) == set(op.saturates)


def test_only_functions_of_one_number_rectify_and_only_they_and_softmaxes_saturate() -> None:
    assert {n for n, op in BUILT_IN.items() if op.rectifies} <= set(OF_ONE)
    assert {n for n, op in BUILT_IN.items() if op.saturates} <= {*OF_ONE, *SOFTMAXES}


def test_activations_are_those_of_their_module_and_tanh() -> None:
    own = {n for n, op in BUILT_IN.items() if op.activation}
    module = {
        n
        for n, op in BUILT_IN.items()
        if op.__module__ == activation.__name__ and issubclass(op, Elementwise)
    }
    assert own == module | {"tanh"}


# -- domains --------------------------------------------------------------------------------------


POINTS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
OF_NUMBERS = [
    n
    for n in OTHERS
    if issubclass(RECORDS[n].op, Elementwise)
    and all(x.dtype.kind == "f" for c in RECORDS[n].cases for x in c.inputs if is_float(x))
    and n != "where"
]


def at(op: Op, point: tuple[float, ...]) -> tuple[float, dict[str, float]]:
    """Value and slopes of a function of numbers."""
    inputs = tuple(np.array(x) for x in point)
    slopes = {op.parameters[k]: j.item() for k, j in jacobians(op, inputs).items()}
    with np.errstate(all="ignore"):
        return np.asarray(op.forward(NUMPY, *inputs)).item(), slopes


def reached(op: Op, point: tuple[float, ...], slope: str = "") -> bool:
    return any(b.reached(*point) for b in op.domain if b.slope == slope)


@every("name", OF_NUMBERS)
def test_a_function_has_no_value_or_no_slope_where_its_domain_ends(name: str) -> None:
    op = RECORDS[name].op(**RECORDS[name].cases[0].attributes)
    for point in itertools.product(POINTS, repeat=len(op.parameters)):
        y, slopes = at(op, point)
        assert reached(op, point) == (not math.isfinite(y)), (point, y)
        for argument, slope in slopes.items():
            if not math.isnan(y):
                assert reached(op, point, argument) == (not math.isfinite(slope)), (point, slopes)


@every("name", ["add", "subtract", "multiply", "divide"])
def test_arithmetic_has_no_value_where_infinities_meet(name: str) -> None:
    op = BUILT_IN[name]()
    for point in itertools.product((*POINTS, math.inf, -math.inf), repeat=2):
        y, _ = at(op, point)
        if any(map(math.isinf, point)) or math.isnan(y):
            finite_divisor = name == "divide" and point[1] == 0
            assert reached(op, point) == (math.isnan(y) or finite_divisor), point


@every("name", OF_NUMBERS)
def test_each_border_is_reached_first_somewhere(name: str) -> None:
    """None is told of only by another one that stands before it."""
    op = RECORDS[name].op
    numbers = (*POINTS, math.inf, -math.inf)
    points = list(itertools.product(numbers, repeat=len(op.parameters)))
    for slope in {b.slope for b in op.domain}:
        borders = [b for b in op.domain if b.slope == slope]
        first = {next((b for b in borders if b.reached(*p)), None) for p in points}
        assert first >= set(borders)


@every("name", ["divide", "floor_divide"])
def test_nothing_by_nothing_is_told_from_a_division_by_nothing(name: str) -> None:
    for a, rule in ((0.0, "0/0"), (1.0, "division by 0")):
        assert next(b for b in BUILT_IN[name].domain if b.reached(a, 0.0)).rule == rule


@every("name", OF_ONE)
def test_a_function_overflows_if_a_thousand_is_too_much(name: str) -> None:
    record = RECORDS[name]
    op = record.op(**record.cases[0].attributes)
    assert record.op.overflows == any(
        math.isinf(value_and_slope(op, x)[0]) for x in (1e3, 0.5 - 1e3)
    )


@every("name", [n for n in OF_NUMBERS if RECORDS[n].op.inside])
def test_what_is_written_inside_the_domain_has_a_value_and_a_slope(name: str) -> None:
    inside = RECORDS[name].op.inside.format(x="x", lib="bl.")
    shift = "x + " in inside  # it keeps off 0, not off negative numbers
    for x in (v for v in POINTS if v >= 0 or not shift):
        safe = float(eval(inside, {"bl": bl, "x": bl.tensor(x, dtype="float64")}))
        y, slopes = at(RECORDS[name].op(**RECORDS[name].cases[0].attributes), (safe,))
        assert math.isfinite(y)
        assert math.isfinite(slopes["x"])


def test_functions_say_how_to_keep_inside_if_a_domain_ends() -> None:
    ending = {n for n in OF_ONE if BUILT_IN[n].domain}
    assert {n for n, op in BUILT_IN.items() if op.inside} == ending


@every("name", [n for n in OTHERS if n not in OF_NUMBERS])
def test_an_op_adds_if_its_derivative_is_a_sum_of_several(name: str) -> None:
    op = RECORDS[name].op
    several = any(((j != 0).sum(1) > 1).any() for j in seen(name).first)
    linear = op.role in ("distributor", "sharer", "switcher") and is_linear(name)
    assert op.adds == (several and linear)


def is_linear(name: str) -> bool:
    """Whether the derivative for the first floating input is the same everywhere."""
    record = RECORDS[name]
    for case in record.cases[:4]:
        op, first = record.op(**case.attributes), case.inputs[0]
        doubled = jacobians(op, (2.5 * first, *case.inputs[1:]))
        if not np.allclose(doubled[0], jacobians(op, case.inputs)[0]):
            return False
    return True


def test_only_functions_of_one_number_overflow_and_only_those_of_arrays_add() -> None:
    assert {n for n, op in BUILT_IN.items() if op.overflows} <= set(OF_ONE)
    assert {n for n, op in BUILT_IN.items() if op.adds} <= set(OTHERS) - set(OF_NUMBERS) - {"where"}


# -- what an op applies itself --------------------------------------------------------------------


def value(op: Op, *inputs) -> np.ndarray:
    return np.asarray(op.forward(NUMPY, *inputs))


LOGITS = np.array([[0.3, -1.2, 2.0], [1.0, 0.0, -0.5]])


def sees_a_shift(name: str) -> bool:
    """Whether the value changes if the same number is added to all of the first input."""
    if name in SOFTMAXES:
        op, inputs = BUILT_IN[name](axis=1), (LOGITS,)
    else:
        case = RECORDS[name].cases[0]
        op, inputs = BUILT_IN[name](**case.attributes), case.inputs
    with np.errstate(all="ignore"):
        return not np.allclose(value(op, *inputs), value(op, inputs[0] + 0.5, *inputs[1:]))


def test_what_applies_the_softmax_does_not_see_a_shift() -> None:
    blind = {name for name in (*LOSSES, *SOFTMAXES) if not sees_a_shift(name)}
    compares_scores = {"multi_margin_loss"}
    assert {n for n, op in BUILT_IN.items() if op.applies == "softmax"} == blind - compares_scores


def test_what_applies_the_sigmoid_is_the_loss_of_its_probabilities() -> None:
    target = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    (taking,) = [op for op in BUILT_IN.values() if op.applies not in ("", "softmax")]
    probabilities = value(BUILT_IN[taking.applies](), LOGITS)
    wanted = value(loss.BinaryCrossEntropy(reduction="mean"), probabilities, target)
    np.testing.assert_allclose(value(taking(reduction="mean"), LOGITS, target), wanted)


# -- ops of one's own -----------------------------------------------------------------------------


def cube(**facts) -> type[Op]:
    def forward(self, xp, x):
        return x * x * x

    def backward(self, xp, grad_y, x):
        return grad_y * (3 * x * x)

    return type("Cube", (Elementwise,), {"saves": ("x",), "forward": forward, "backward": backward,
                                         **facts})  # fmt: skip


def record_of(op: type[Op]) -> see.Record:
    x = bl.tensor(2.0, requires_grad=True)
    return see.record(bl.apply(op(), x))


def test_an_op_of_ones_own_that_states_nothing_has_what_is_true_of_its_base() -> None:
    node = record_of(cube()).nodes[-1]
    assert (role_of(node), symbol_of(node), formula(node, ["a"])) == ("scaler", "cube", "cube(a)")
    assert Op.role == "mixer"
    assert Reduction.role == "scaler"


def test_an_op_of_ones_own_is_drawn_and_named_as_it_says() -> None:
    op = cube(role="router", effect="a third of it is lost", symbol="x³", notation="{:-}³")
    r = record_of(op)
    node = r.nodes[-1]
    assert (role_of(node), effect_of(node)) == ("router", "a third of it is lost")
    assert (symbol_of(node), formula(node, ["−2"])) == ("x³", "(−2)³")
    assert "router" in see.draw(r).text()
    assert "a third of it is lost" in see.draw(r).html()
    assert "x³ routes: upstream 1" in list(see.steps(r))[-1].sentence


def logit(x):
    def forward(self, xp, x):
        return xp.log(x / (1 - x))

    def backward(self, xp, grad_y, x):
        return grad_y / (x * (1 - x))

    domain = (
        Border("logit needs x between 0 and 1, not {0}", lambda x: not 0 < x < 1),
        Border("the derivative of logit at 0 and 1 is infinite", lambda x: x in (0, 1), "x"),
    )
    facts = {"domain": domain, "inside": "{lib}clip({x}, 1e-6, 1 - 1e-6)", "saves": ("x",)}
    op = type("Logit", (Elementwise,), {"forward": forward, "backward": backward, **facts})
    return bl.apply(op(), x)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_domain_of_an_op_of_ones_own_is_told() -> None:
    x = bl.tensor([0.5, 0.0], requires_grad=True)
    found = see.bad_numbers(logit(x).sum())
    assert (found.forward.rule, found.forward.values) == (
        "logit needs x between 0 and 1, not 0",
        "x = 0",
    )
    assert found.forward.rewrite == "bl.apply(op(), bl.clip(x, 1e-6, 1 - 1e-6))"
    assert found.backward.rule == "the derivative of logit at 0 and 1 is infinite"


def test_a_record_from_a_file_knows_built_in_ops_only(tmp_path, monkeypatch) -> None:
    monkeypatch.delitem(REGISTRY, "cube", raising=False)  # a docstring's example has one
    record_of(cube(symbol="x³")).save(tmp_path / "own.json")
    see.record(bl.square(bl.tensor(2.0, requires_grad=True))).save(tmp_path / "built_in.json")
    own, built_in = (see.Record.load(tmp_path / f).nodes[-1] for f in ("own.json", "built_in.json"))
    assert (role_of(own), symbol_of(own)) == (Op.role, "cube")
    assert (role_of(built_in), symbol_of(built_in)) == ("scaler", "x²")


def test_a_role_is_one_of_the_known() -> None:
    with pytest.raises(ArgumentError, match=r"Cube.role must be one of blocker, mover, .*'cuber'"):
        cube(role="cuber")


def test_a_border_of_a_slope_is_that_of_an_input() -> None:
    with pytest.raises(ArgumentError, match=r"Cube.domain: slope must be .*inputs \(x\), got 'y'"):
        cube(domain=(Border("the derivative at 0", lambda x: x == 0, "y"),))


@every("notation", ["{}^{}", "{y}³", "{³"])
def test_a_notation_has_a_place_for_each_input(notation: str) -> None:
    with pytest.raises(ArgumentError, match=r"Cube.notation must have a {} for each of \(x\)"):
        cube(notation=notation)


def test_a_gate_with_one_input_that_can_get_a_gradient_scales() -> None:
    x = bl.tensor([3.0, 4.0], requires_grad=True)
    for y, alone, several in (
        (2 * x, "scaler", x * x),
        (bl.maximum(x, 0.0), "scaler", bl.maximum(x, -x)),
        (bl.prod(x), "switcher", bl.prod(x)),
        (bl.max(x), "router", bl.max(x)),
    ):
        assert role_of(see.record(y).nodes[-1]) == alone
        op = see.record(several).nodes[-1]
        assert role_of(op) == op.op_class.role


def test_two_ops_of_one_name_are_refused():
    with pytest.raises(TypeError, match=r"Sine: .* has the name sin"):
        type("Sine", (Elementwise,), {"__module__": "backlit.ops.x", "name": "sin", "forward": abs})
