"""The runs of `bench.reproduce`: both sides compute the same in the first steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.reproduce.recipe import constant
from bench.reproduce.runs import RECIPES
from bench.reproduce.sides import Backlit, PyTorch, fastest, starting
from bench.reproduce.training import (
    ROUNDING,
    DisagreementError,
    difference,
    first_losses,
    train,
    validate,
)

pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True)
def one_thread():
    """Test processes share the cores: PyTorch's threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


DATA = Path(__file__).parents[3] / "shared" / "data"
BY_HEART = [name for name in RECIPES if name.endswith("-64")]
OTHERS = [name for name in RECIPES if name not in BY_HEART]


def material(recipe):
    """The real data where they are; else generated ones, which the test's output says."""
    if recipe.name == "transfer-500":  # its real data hold an epoch of MNIST
        return recipe.data(None)
    missing = [name for name in recipe.needs if not (DATA / name).is_dir()]
    if missing:
        print(f"{recipe.name}: {DATA} has no {' and no '.join(missing)}, data are generated")
    return recipe.data(DATA if recipe.needs and not missing else None)


@pytest.mark.parametrize("name", OTHERS)
def test_first_losses_agree(name) -> None:
    recipe = RECIPES[name]
    curves = first_losses(recipe, material(recipe), compiled=False, steps=4)
    assert difference(recipe, curves) <= recipe.tolerance
    assert len(set(curves[0])) == 4


@pytest.mark.parametrize("name", BY_HEART)
def test_first_losses_of_large_networks_agree_to_rounding(name) -> None:
    """In float64, or a value beside a kink makes more of a difference than an error would."""
    rule = {"optimizer": "sgd", "settings": {"lr": 1e-3}, "rate": constant}
    recipe = replace(RECIPES[name], batch=4, **rule)
    data = material(recipe)
    curves = first_losses(recipe, data, compiled=False, steps=2, double=True)
    assert difference(recipe, curves, ROUNDING) <= ROUNDING


def test_compiled_and_to_the_end() -> None:
    """A whole short training: the figures are those of one and the same network."""
    recipe = replace(RECIPES["spiral"], epochs=4)
    data = material(recipe)
    assert difference(recipe, first_losses(recipe, data)) <= recipe.tolerance
    found = train(recipe, data, 1, settings=fastest(recipe, data, 1))
    ours, theirs = found["backlit"], found["pytorch"]
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-3)
    assert ours.figure == theirs.figure > 40
    for side in (ours, theirs):
        assert 0 < side.first <= side.seconds


def test_a_disagreement_is_an_error() -> None:
    recipe = RECIPES["spiral"]
    data = material(recipe)
    curves = first_losses(recipe, data, steps=3, compiled=False)
    curves[0][1] *= 1.01
    with pytest.raises(DisagreementError, match=r"spiral: the losses of step 2 must differ by at"):
        difference(recipe, curves)


def test_starting_values_must_be_all_and_no_others() -> None:
    recipe = RECIPES["spiral"]
    data = material(recipe)
    state = starting(recipe, data, 0)
    first = dict(list(state.items())[1:])
    with pytest.raises(RuntimeError, match="Missing key"):
        PyTorch(recipe, data, first, 0)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        PyTorch(recipe, data, state | {"other": np.zeros(1)}, 0)


@pytest.mark.parametrize("name", ["wnut-window", "wnut-crf", "names-lstm", "mnist"])
def test_figures_are_the_same_for_the_same_network(name) -> None:
    """Untrained: what differs is how each side predicts, decodes and counts."""
    recipe = RECIPES[name]
    data = recipe.data(None)
    state = starting(recipe, data, 0)
    figures = [
        recipe.figure(make(recipe, data, state, 0, compiled=False), data)
        for make in (Backlit, PyTorch)
    ]
    assert figures[0] == pytest.approx(figures[1], rel=1e-4)
    assert np.isfinite(figures[0])


def test_both_see_the_same_in_scenes() -> None:
    """Untrained, and told to be less unsure: what differs is what is suppressed and cut off."""
    recipe = RECIPES["scenes"]
    data = recipe.data(None)
    state = starting(recipe, data, 0)
    state["head.bias"].reshape(3, -1)[:, 4] = -2.0
    for name, value in state.items():
        if value.ndim == 4:  # layers that keep the size of what goes through them
            state[name] = value * 2.4
    ours, theirs = (
        make(recipe, data, state, 0, compiled=False).decode(data.test[0][:2])
        for make in (Backlit, PyTorch)
    )
    for mine, other in zip(ours, theirs, strict=True):
        assert 20 < len(mine.scores) < 100
        seen = [
            # of almost equal scores either may come first
            sorted(zip(b.round(2).tolist(), c.round(3).tolist(), k.tolist(), strict=True))
            for b, c, k in (
                [part.numpy() for part in mine],
                [other[part] for part in ("boxes", "scores", "labels")],
            )
        ]
        np.testing.assert_allclose(*([[*b, c, k] for b, c, k in one] for one in seen), atol=0.011)


def test_a_recipe_is_chosen_without_the_test_examples() -> None:
    recipe = replace(RECIPES["digits"], epochs=1)
    data = recipe.data(None)
    unknown = replace(data, test=tuple(np.full_like(part, 99) for part in data.test))
    assert validate(recipe, data, 0) == validate(recipe, unknown, 0) > 20
