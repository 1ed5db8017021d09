"""`bench.reproduce` without PyTorch: recipes, the record, the table, the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.reproduce import __main__ as command
from bench.reproduce import race, record
from bench.reproduce.recipe import constant, loss_within, near, one_cycle
from bench.reproduce.runs import RECIPES
from bench.reproduce.sides import Settings
from bench.reproduce.training import Outcome


def outcome(figure):
    return Outcome(figure, 2.0, 3.0, 0.5, [1.0])


def kept(ours, theirs):
    by_seed = {0: {"backlit": outcome(ours), "pytorch": outcome(theirs)}}
    settings, apart = Settings(2, True), {"float32": 1e-6}
    return record.entry(RECIPES["mnist"], "python -m …", "2026-01-01", settings, apart, by_seed)


def test_batches_are_the_same_for_everyone_and_other_ones_in_each_epoch() -> None:
    recipe = RECIPES["digits"]
    data = recipe.data(None)
    first, again, other = (list(recipe.batches(data, 3, epoch)) for epoch in (0, 0, 1))
    assert len(first) == recipe.steps(data) == len(data.train[0]) // recipe.batch
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
    assert not np.array_equal(first[0][0], other[0][0])


@pytest.mark.parametrize("name", RECIPES)
def test_generated_data_have_the_form_of_the_real_ones(name) -> None:
    recipe = RECIPES[name]
    data = recipe.data(None)
    assert len(data.train) == len(data.test)
    for part in (data.train, data.test):
        assert len({len(array) for array in part}) == 1
    assert recipe.steps(data) >= 1
    batch = next(recipe.batches(data, 0, 0))
    assert [b.shape[1:] for b in batch] == [a.shape[1:] for a in data.train]


def test_rates() -> None:
    assert constant(0.7) == 1
    assert [one_cycle(x) for x in (0, 0.125, 0.25)] == [0, 0.5, 1]
    assert one_cycle(0.625) == pytest.approx(0.5)
    assert one_cycle(1.0) == pytest.approx(0)


def test_what_is_asked_for() -> None:
    assert near(0.5)(90, 90.5)
    assert not near(0.5)(90, 90.6)
    assert loss_within(0.01)(2.02, 2.0)
    assert not loss_within(0.01)(2.03, 2.0)


def test_every_run_has_a_row_and_says_what_became_of_it(tmp_path) -> None:
    path = tmp_path / "deep" / "r.json"
    record.keep(path, "mnist", kept(99.3, 99.0))
    record.keep(path, "digits", kept(97.0, 98.0))
    known = record.read(path)
    assert list(known) == ["digits", "mnist"]
    lines = record.describe(known).splitlines()
    rows = {line.split()[0]: line for line in lines[1 : 2 + len(RECIPES)]}
    assert list(rows) == [*RECIPES, race.NAME]
    assert "met" in rows["mnist"]
    assert "99.30" in rows["mnist"]
    assert "MISSED" in rows["digits"]
    assert "not run" in rows["spiral"]
    assert "bench.reproduce --only spiral" in rows["spiral"]


def test_a_run_that_must_exceed_another_is_open_until_that_is_made() -> None:
    crf = RECIPES["wnut-crf"]

    def said(**known):
        return record.row(crf, {name.replace("_", "-"): run for name, run in known.items()})[2]

    assert said(wnut_crf=kept(30, 30)) == "open"
    assert said(wnut_crf=kept(30, 30), wnut_window=kept(29, 35)) == "met"
    assert said(wnut_crf=kept(30, 30), wnut_window=kept(30, 35)) == "MISSED"
    assert said(wnut_crf=kept(30, 32), wnut_window=kept(29, 35)) == "MISSED"


def test_a_run_may_also_be_missed_by_its_time() -> None:
    slow = kept(2.0, 2.0)
    assert record.row(RECIPES["names-gpt"], {"names-gpt": slow})[2] == "MISSED"
    slow["sides"]["pytorch"][0]["cpu"] *= 1.7
    assert record.row(RECIPES["names-gpt"], {"names-gpt": slow})[2] == "met"


def test_a_race_is_met_only_if_both_arrive_and_ours_in_time() -> None:
    def one(figure, seconds):
        return {"figure": figure, "steps": 700, "seconds": seconds, "cpu": seconds}

    def said(ours, theirs):
        return race.row({"sides": {"backlit": [ours], "pytorch": [theirs]}})[2]

    assert said(one(99.0, 6), one(99.1, 10)) == "met"
    assert said(one(99.0, 7), one(99.1, 10)) == "MISSED"
    assert said(one(98.9, 6), one(99.1, 10)) == "MISSED"


def test_the_committed_record_is_of_these_recipes_and_stands_in_the_guide() -> None:
    known = record.read(record.COMMITTED)
    assert set(known) <= {*RECIPES, race.NAME}
    for name, run in known.items():
        if name != race.NAME:
            assert run["recipe"] == RECIPES[name].about
        assert f"--only {name} --seeds {len(run['seeds'])}" in run["command"]
        assert {"when", "machine", "sides"} <= set(run)
        for side in run["sides"].values():
            assert len(side) == len(run["seeds"])
    guide = Path(__file__).parents[2] / "docs" / "guide" / "benchmarks.md"
    assert record.guide(known) in guide.read_text("utf-8"), "write what --guide prints into it"


def test_the_command_names_runs_and_folders_that_are_not_there(tmp_path, capsys) -> None:
    out = ["--out", str(tmp_path / "r.json"), "--data", str(tmp_path)]
    with pytest.raises(SystemExit):
        command.main(["--only", "mnits", *out])
    assert "unknown run 'mnits'; there are digits, spiral, mnist" in capsys.readouterr().err
    assert command.main(["--only", f"mnist,{race.NAME}", *out]) == 0
    assert f"mnist: not run, there is no folder {tmp_path / 'mnist'}" in capsys.readouterr().err
    assert command.main(["--table", *out]) == 0
    assert "asked for" in capsys.readouterr().out
