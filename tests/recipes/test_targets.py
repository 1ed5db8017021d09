"""Targets, losses, scores and schedules beside numbers worked out by hand."""

import math

import numpy as np
import pytest

from backlit import nn, optim
from backlit.errors import DataError
from backlit.recipes.corpus import Characters
from backlit.recipes.networks import schedule_of
from backlit.recipes.targets import (
    Classes,
    Labels,
    Numbers,
    Prediction,
    Target,
    score_text,
    separator_of,
)


def test_classes():
    target = Classes.learn(["10", "9", "a", "9"])
    assert target.names == ("9", "10", "a")
    assert target.encode(["a", "9"]).tolist() == [2, 0]
    with pytest.raises(DataError, match="the class 'b' is none of the 3 that the run has learned"):
        target.encode(["b"])
    outputs = np.log(np.array([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]]))
    scores = target.scores(outputs, np.array([0, 1]))
    assert scores["accuracy"] == 0.5
    assert scores["loss"] == pytest.approx((math.log(1 / 0.7) + math.log(4)) / 2)
    said = target.predictions(outputs)[0]
    assert (said.value, str(said)) == ("9", "9  70.0 %")
    assert said.share == pytest.approx(0.7)


def test_balance_weighs_classes_equally():
    """n / (C n_c): three of one class, one of the other."""
    trained = np.array([0, 0, 0, 1])
    loss = Classes(("a", "b")).loss({"balance": True, "label_smoothing": 0.0}, trained)
    assert loss.weight.tolist() == pytest.approx([4 / 6, 4 / 2])
    loss = Labels(("a", "b")).loss({"balance": True}, np.array([[1, 0], [0, 0], [1, 1], [0, 0]]))
    assert loss.pos_weight.tolist() == [1.0, 3.0]


def test_labels():
    target = Labels.learn(["x; y", "", "y"], ";")
    answers = target.encode(["y;x", "", "y"])
    assert answers.tolist() == [[1, 1], [0, 0], [0, 1]]
    scores = target.scores(np.array([[1.0, -1], [-1, -1], [1, 1]]), answers)
    assert scores["precision"] == pytest.approx(2 / 3)
    assert scores["recall"] == pytest.approx(2 / 3)
    assert scores["F1"] == pytest.approx(2 / 3)
    assert scores["all labels right"] == pytest.approx(1 / 3)
    assert [str(p) for p in target.predictions(np.array([[0.0, -1], [2, 1]]))] == [
        "none",
        "x 88 %, y 73 %",
    ]
    assert [str(p) for p in target.truths(answers)] == ["x, y", "none", "y"]
    with pytest.raises(DataError, match="the label 'z' is none of x, y"):
        target.encode(["z"])


def test_numbers_are_learned_in_deviations_and_told_in_units():
    target = Numbers.learn(["price"], np.array([[10.0], [20.0], [30.0]]))
    assert target.mean == (20.0,)
    encoded = target.encode(np.array([[20.0], [30.0]]))
    assert encoded[0, 0] == 0
    scores = target.scores(encoded + 1, encoded)
    deviation = math.sqrt(200 / 3)
    assert scores["mean absolute error"] == pytest.approx(deviation, rel=1e-6)
    assert scores["R²"] == pytest.approx(1 - 2 * deviation**2 / 50, rel=1e-5)
    assert target.predictions(encoded)[1].value == pytest.approx(30, rel=1e-6)
    assert "price - 20" in target.scale
    two = Numbers.learn(["a", "b"], np.array([[1.0, 5], [2, 6]]))
    assert str(two.predictions(np.zeros((1, 2)))[0]) == "a 1.5, b 5.5"


def test_classes_of_a_text_are_its_characters():
    assert Characters((" ", "\n", "\t", "a")).classes == ("␣", "⏎", "⇥", "a")
    assert Classes(("x", "y")).classes == ("x", "y")


def test_a_target_is_read_back_as_it_was():
    for target in (Classes(("a", "b")), Labels(("a",), "|"), Numbers(("x",), (1.0,), (2.0,))):
        assert Target.of(target.state()) == target
    assert str(Prediction(3.0)) == "3"


def test_what_separates_labels():
    assert separator_of(["warm|cold", "warm", "cold", "cold|warm"]) == "|"
    assert separator_of(["Rome, Italy", "Milan, Italy", "Rome, Italy", "Oslo, Norway"] * 5) is None
    assert separator_of(["one", "two"] * 5) is None


def test_scores_are_read_as_shares_or_numbers():
    assert score_text("accuracy", 0.98765) == "98.77 %"
    assert score_text("loss", 0.98765) == "0.9877"
    assert score_text("mean absolute error", 12.345) == "12.35"


@pytest.mark.parametrize(
    ("name", "warmup", "factors"),
    [
        ("cosine", 0.0, [1, (1 + math.cos(math.pi / 4)) / 2, 0.5]),
        ("linear", 0.0, [1, 0.75, 0.5]),
        ("constant", 0.5, [1 / 3, 2 / 3, 1, 1]),
        ("linear", 0.5, [1 / 3, 2 / 3, 1, 0.5, 0]),
    ],
)
def test_schedules(name, warmup, factors):
    optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=2.0)
    settings = {"schedule": name, "warmup": warmup, "lr": 2.0, "optimizer": "sgd"}
    schedule = schedule_of(optimizer, settings, 4)
    for factor in factors:
        assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(2 * factor)
        optimizer.step()
        schedule.step()
    assert schedule_of(optimizer, {**settings, "schedule": "constant", "warmup": 0.0}, 4) is None
