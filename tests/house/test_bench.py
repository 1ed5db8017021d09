"""The benchmark: workloads, turns, disagreements, ratios, what is kept."""

import itertools
import json
import re
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import backlit
from backlit.nn import functional
from bench import __main__ as bench_command
from bench import measure as measuring
from bench import prices, report
from bench.measure import Measurement, Outcome, Plan, disagreements, measure
from bench.peers import PEERS
from bench.picture import picture
from bench.worker import PeerError, _in_one_line, worker
from bench.workloads import WORKLOADS

SMALL = ("playground", "two-layer", "ner")
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def outcome(*seconds, **more):
    more.setdefault("start", {"import": 0.1, "build": 0.1, "first": 0.2})
    more.setdefault("memory", {"steps": 1_000_000, "life": 2_000_000})
    return Outcome(seconds=list(seconds), losses={1: 1.0, 2: 0.5}, **more)


@pytest.fixture
def measured():
    return [
        Measurement(
            "mlp",
            {
                "backlit": outcome(1.0, 10.0, 2.0, cold={"first": 3.0}),
                "pytorch": outcome(4.0, 4.0),
                "pytorch fused": outcome(2.5, 2.5, idle=0.5),
                "pytorch compile": Outcome(error="no C++ compiler"),
                "jax": outcome(1.0),
            },
            operations=4_000_000_000,
        ),
        Measurement("playground", {"backlit": outcome(1e-5), "backlit loop": outcome(1e-6)}),
    ]


def test_there_are_the_nine_workloads():
    assert list(WORKLOADS) == [
        *("playground", "two-layer", "mlp", "lenet", "alexnet", "resnet18", "lstm", "gpt", "ner")
    ]
    assert {t.workload for t in report.TARGETS} == set(WORKLOADS)


@pytest.mark.parametrize("name", SMALL)
def test_steps_learn(name):
    workload = WORKLOADS[name]
    step = PEERS["backlit eager"].builder()(workload, workload.weights(), workload.data(), 0.0)
    first = float(step(1))
    assert float(step(4)) < first


def test_numpy_by_hand_is_backlit():
    workload = WORKLOADS["two-layer"]
    losses = []
    for name in ("backlit eager", "numpy"):
        step = PEERS[name].builder()(workload, workload.weights(), workload.data(), 0.0)
        losses.append([float(step(1)) for _ in range(5)])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_weights_and_data_are_the_same_in_every_process():
    workload = WORKLOADS["ner"]
    for k, v in workload.weights().items():
        np.testing.assert_array_equal(v, workload.weights()[k])
    for a, b in zip(workload.data(), workload.data(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.long
def test_peers_agree_and_take_turns():
    peers = ("backlit eager", "backlit", "backlit loop")
    plan = Plan(peers, rounds=2, turn=0.002, cold=False)
    m = measure(WORKLOADS["playground"], plan)
    assert {name: o.error for name, o in m.peers.items()} == dict.fromkeys(peers, "")
    assert list(m.peers["backlit"].losses) == list(range(1, 11))
    assert list(m.peers["backlit loop"].losses) == [1, 3, 6, 10]
    for o in m.peers.values():
        assert len(o.seconds) == 2
        assert o.median > 0
        assert o.memory["life"] >= o.memory["steps"] > 0
    assert m.operations > 0
    assert not m.peers["backlit loop"].cold


def test_operations_of_convolutions_are_those_of_their_products():
    """Also where the weights, or the image that a stride thins out, are larger than the result."""
    x = backlit.zeros((2, 8, 6, 6)).requires_grad_()
    weight = backlit.zeros((16, 8, 3, 3)).requires_grad_()

    @backlit.compile
    def step(x, weight):
        return backlit.grad(functional.conv2d(x, weight, stride=2, padding=1).sum(), (x, weight))

    step(x, weight)
    products = 2 * (2 * 16 * 3 * 3) * (8 * 3 * 3)
    counted = [row[4] for row in step.kernels.rows if "convolution" in row[3]]
    assert counted
    assert all(products <= n < 1.1 * products for n in counted)


def test_a_slow_peer_takes_part_in_fewer_rounds_evenly(monkeypatch):
    asked = []

    class One:
        def __init__(self, name):
            self.name = name

        def ask(self, what, count, short):
            asked.append(self.name)
            return {"slow": 2.0, "fast": 0.01}[self.name], 0.0

    monkeypatch.setattr(measuring, "PAUSE", 0.0)
    m = Measurement("mlp", {"slow": Outcome(), "fast": Outcome()})
    measuring._turns(m, {n: One(n) for n in m.peers}, Plan(rounds=9, turn=0.05, budget=4.0))
    assert [len(o.seconds) for o in m.peers.values()] == [3, 9]
    slow = [i for i, name in enumerate(asked[-12:]) if name == "slow"]
    assert min(b - a for a, b in itertools.pairwise(slow)) > 2


def test_a_very_slow_peer_is_timed_once(monkeypatch):
    class One:
        def ask(self, what, count, short):
            return 20.0, 0.0

    m = Measurement("mlp", {"slow": Outcome()})
    measuring._turns(m, {"slow": One()}, Plan(rounds=9))
    assert m.peers["slow"].seconds == [20.0]


def test_what_is_left_out_is_shown():
    left_out = PEERS["jax loop"].excuse(WORKLOADS["resnet18"])
    assert left_out.startswith("left out: XLA's convolutions inside a loop")
    assert not PEERS["jax loop"].excuse(WORKLOADS["lenet"])
    assert not PEERS["jax"].excuse(WORKLOADS["resnet18"])
    m = measure(WORKLOADS["resnet18"], Plan(("jax loop",)))
    assert "  jax loop: left out" in report.describe(m, {})


def test_a_peer_that_computes_something_else_is_named():
    curves = {
        "a": {1: 1.0, 2: 0.5, 3: 0.25},
        "b": {1: 1.0, 2: 0.6, 3: 0.25},
        "c": {1: 1.0, 3: 0.25},
        "d": {1: 1.0, 2: 0.5, 3: float("nan")},
    }
    wrong = disagreements(WORKLOADS["mlp"], {k: curves[k] for k in "abc"} | {"e": curves["a"]})
    assert list(wrong) == ["b"]
    assert wrong["b"] == "disagrees: loss 0.6 at step 2, others 0.5 (a), 0.5 (e)"
    both = disagreements(WORKLOADS["mlp"], {k: curves[k] for k in "ab"})
    assert list(both) == ["a", "b"]
    assert "d" in disagreements(WORKLOADS["mlp"], curves)


@pytest.mark.slow
def test_a_peer_that_cannot_be_built_says_why(tmp_path):
    with (
        worker("backlit eager", "playground", tmp_path / "none.npz", None) as one,
        pytest.raises(PeerError, match=r"FileNotFoundError: .*none\.npz"),
    ):
        one.ask("start")


def test_a_peer_that_dies_is_noticed(tmp_path):
    with worker("backlit eager", "playground", tmp_path / "none.npz", None) as one:
        one.process.kill()
        with pytest.raises(PeerError, match=r"its process ended with code -?\d+"):
            one.ask("start")


def test_a_framework_that_is_not_installed_is_shown(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.delitem(sys.modules, "bench.peers.jax_steps", raising=False)
    with pytest.raises(ModuleNotFoundError) as raised:
        PEERS["jax"].builder()
    said = _in_one_line(raised.value)
    assert said == "jax is not installed"
    m = Measurement("mlp", {"jax": Outcome(error=said), "numpy": outcome(1.0)})
    assert "  jax: jax is not installed" in report.describe(m, {})


def test_ratios_are_of_medians_with_the_best_of_the_others(measured):
    pytorch, jax = [r for r in report.ratios(measured) if r.title == "mlp"]
    assert (pytorch.value, pytorch.against, pytorch.met) == (2.0 / 2.5, "pytorch fused", True)
    assert (jax.value, jax.against, jax.met) == (2.0, "jax", False)
    unknown = [r for r in report.ratios(measured) if r.title.startswith("playground")]
    assert [r.met for r in unknown] == [None] * 4
    text = report.describe_ratios(measured)
    assert re.search(r"mlp +0\.800 +≤ 0\.85 +met +pytorch fused +2\.000 +≤ 0\.85 +MISSED", text)
    assert "not measured" in text


def test_the_table_of_a_workload_shows_everything(measured):
    limits = {"backlit": {"1": {"gflops": 2.0, "gigabytes": 1.0}}}
    text = report.describe(measured[0], limits)
    assert "4 peers agree on the losses 1, 0.5, …, 0.5 (step 2)" in text
    assert re.search(r"backlit +2,000,000\.0 +1,000,000\.0 +1\.00 +3 +3\.00 s +0\.20 s", text)
    assert "pytorch compile: no C++ compiler" in text
    assert "pytorch fused waits busily for 500 ms, in the turns of others" in text
    assert "2.0 GFLOP/s, 100 % of the limit" in text
    assert "backlit        1        2   1.0" in report.describe_limits(limits)


def test_first_calls_and_memory_have_targets(measured):
    assert re.search(r"mlp +3\.00 s +< 5 s +0\.20 s +< 0\.5 s +1 +1 +met", _others(measured))
    measured[0].peers["backlit"].memory["steps"] = 5_000_000
    assert "MISSED" in _others(measured)


def test_memory_is_compared_without_what_every_step_needs(measured):
    measured[0].peers["backlit"].memory["steps"] = 5_000_000
    measured[1].peers["backlit"].memory["steps"] = 4_500_000
    text = report.describe_others(measured)
    assert re.search(r"mlp .* 0 +1 +met", text)
    assert "MB above those of the playground" in text


def _others(measured):
    return report.describe_others(measured[:1])


def test_what_is_kept_can_be_read_again(measured):
    kept = json.loads(json.dumps(report.as_json(measured, {})))
    assert kept["machine"]["cores"] > 0
    assert report.read(kept) == measured


def test_the_picture_has_a_bar_for_each_peer(measured):
    svg = picture(measured)
    bars = [e for e in ElementTree.fromstring(svg).iter() if e.get("height") == "13"]
    assert len(bars) == 6
    assert "2.5e+03 ms" not in svg
    assert "2.00 s  2 ×" in svg


@pytest.mark.long
def test_the_command_keeps_json_and_picture(tmp_path, capsys):
    arguments = ["--only", "playground", "--peers", "backlit eager", "--quick", "--turn", "0.002"]
    assert bench_command.main([*arguments, "--out", str(tmp_path)]) == 0
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".svg"}
    assert "1 peers agree on the losses" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nothing"], "unknown workload 'nothing'; there are playground, two-layer"),
        (["--peers", "nobody"], "unknown peer 'nobody'; there are backlit, backlit loop"),
    ],
)
def test_names_that_are_not_known(arguments, message, capsys):
    with pytest.raises(SystemExit):
        bench_command.main(arguments)
    assert message in capsys.readouterr().err


def test_failures_of_backlit_and_disagreements_fail_the_command(measured):
    assert not any(map(bench_command._wrong, measured))
    measured[0].peers["jax"].error = "disagrees: loss 1 at step 1"
    measured[1].peers["backlit"].error = "ValueError"
    assert all(map(bench_command._wrong, measured))


def test_what_the_peers_need_is_an_extra():
    extras = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["optional-dependencies"]
    assert {re.match(r"\w+", d)[0] for d in extras["bench"]} == {
        "jax",
        "torch",
        "torchlens",
    }


# -- what watching costs -------------------------------------------------------------------------


def test_prices_say_which_packages_are_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(prices, "find_spec", lambda name: None if name == "torchlens" else 1)
    monkeypatch.setattr(prices, "MODELS", {})
    monkeypatch.setattr(sys, "argv", ["prices", "--out", str(tmp_path)])
    assert prices.main() == 0
    assert "Without PyTorch and TorchLens: torchlens cannot be imported" in capsys.readouterr().out


def test_the_ratio_of_prices_has_a_range_around_it():
    base = [1.0, 1.1, 0.9, 1.0, 1.2, 1.0, 0.8, 1.0]
    assert prices.ratio(base, base) == (1, 1, 1)
    middle, low, high = prices.ratio([2.0, 2.1, 2.2, 1.8, 2.0, 2.6, 2.0, 1.9], base)
    assert middle == 2
    assert 1.5 < low < 2 < high < 2.7
