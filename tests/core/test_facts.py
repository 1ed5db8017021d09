"""What ops say of themselves, against what they compute: roles are read off their derivatives."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import backlit as bl
from backlit import see
from backlit.autograd import fit
from backlit.backend import numpy_backend as NUMPY
from backlit.dtypes import FLOATING
from backlit.errors import ArgumentError
from backlit.facts import ROLES
from backlit.op import Elementwise, Op, Reduction
from backlit.ops import activation, loss
from backlit.ops.loss import Loss
from backlit.see.show.words import effect_of, formula, role_of, symbol_of
from op_table import BUILT_IN, RECORDS, Record
from op_table.record import generator

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
            for _ in range(2):
                other = jacobians(op, shuffled(case.inputs, rng, "f"))
                self.constant &= same(found, other)
                other = jacobians(op, shuffled(case.inputs, rng, "fb"))
                self.varies |= not same(found, other)
            self._change_one(op, case.inputs, found, rng)

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


@pytest.mark.parametrize("name", OTHERS)
def test_the_role_of_an_op_is_what_its_derivative_shows(name: str) -> None:
    assert seen(name).whole, "no case shows anything"
    assert RECORDS[name].op.role == seen(name).role


@pytest.mark.parametrize("name", LOSSES)
def test_all_losses_scale(name: str) -> None:
    """Each element gets the upstream gradient of its loss times a slope; none mixes several."""
    assert RECORDS[name].op.role == "scaler"
    assert not seen(name).mixes


def test_every_role_is_that_of_an_op() -> None:
    assert {r.op.role for r in DIFFERENTIABLE.values()} == set(ROLES)


# -- choosing, saturating, rectifying -------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in OTHERS if RECORDS[n].op.role in ("router", "mover")])
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


@pytest.mark.parametrize("name", OF_ONE)
def test_a_function_rectifies_if_its_slope_is_1_on_one_side_only(name: str) -> None:
    record = RECORDS[name]
    found = [sides(record.op(**c.attributes)) for c in record.cases]
    assert record.op.rectifies == any(1 in s and any(0 <= v < 1 for v in s) for s in found)


@pytest.mark.parametrize("name", [n for n in OF_ONE if not RECORDS[n].op.rectifies])
def test_a_function_saturates_where_it_is_flat(name: str) -> None:
    record = RECORDS[name]
    found = ends(record.op(**record.cases[0].attributes))
    assert {round(v, 6) + 0.0 for v in record.op.saturates} == found


SOFTMAXES = ("softmax", "masked_softmax", "log_softmax")


@pytest.mark.parametrize("name", SOFTMAXES)
def test_a_softmax_saturates_where_one_element_has_it_all(name: str) -> None:
    op, x = BUILT_IN[name](axis=0), np.array([1e3, 0.0, -1e3])
    flat = ~jacobians(op, (x,))[0].any(1)
    assert set(op.forward(NUMPY, x)[flat]) == set(op.saturates)


def test_only_functions_of_one_number_and_softmaxes_saturate_or_rectify() -> None:
    rest = [op for n, op in BUILT_IN.items() if n not in OF_ONE and n not in SOFTMAXES]
    assert not [op.name for op in rest if op.saturates or op.rectifies]


def test_activations_are_those_of_their_module_and_tanh() -> None:
    own = {n for n, op in BUILT_IN.items() if op.activation}
    module = {
        n
        for n, op in BUILT_IN.items()
        if op.__module__ == activation.__name__ and issubclass(op, Elementwise)
    }
    assert own == module | {"tanh"}


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


def test_a_record_from_a_file_knows_built_in_ops_only(tmp_path) -> None:
    record_of(cube(symbol="x³")).save(tmp_path / "own.json")
    see.record(bl.square(bl.tensor(2.0, requires_grad=True))).save(tmp_path / "built_in.json")
    own, built_in = (see.Record.load(tmp_path / f).nodes[-1] for f in ("own.json", "built_in.json"))
    assert (role_of(own), symbol_of(own)) == (Op.role, "cube")
    assert (role_of(built_in), symbol_of(built_in)) == ("scaler", "x²")


def test_a_role_is_one_of_the_known() -> None:
    with pytest.raises(ArgumentError, match=r"Cube.role must be one of blocker, mover, .*'cuber'"):
        cube(role="cuber")


@pytest.mark.parametrize("notation", ["{}^{}", "{y}³", "{³"])
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
