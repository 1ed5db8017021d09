"""The benchmark's steps in PyTorch: the same losses from the same weights as Backlit's."""

from __future__ import annotations

import pytest

from bench.peers import backlit_steps, pytorch_steps
from bench.workloads import WORKLOADS

pytestmark = pytest.mark.parity

LARGE = ("alexnet", "resnet18")


@pytest.mark.parametrize("name", [w for w in WORKLOADS if w not in LARGE])
def test_two_steps_have_the_same_losses(name):
    workload = WORKLOADS[name]
    weights, data = workload.weights(), workload.data()
    losses = [
        [float(steps(1)) for _ in range(2)]
        for steps in (
            peer.eager(workload, weights, data, 0.0) for peer in (backlit_steps, pytorch_steps)
        )
    ]
    assert losses[0] == pytest.approx(losses[1], rel=workload.tolerance)


@pytest.mark.parametrize("name", LARGE)
def test_every_parameter_has_a_starting_value(name):
    workload = WORKLOADS[name]
    pytorch_steps.eager(workload, workload.weights(), workload.data(), 0.0)
