"""What `gossipfl check` notes of a schedule, though nothing is wrong with it."""

import pytest

from gossipfl.config.experiment import Experiment
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import build_schedule
from gossipfl.node.checking import Findings, _check_agreement


def noted(**topology: object) -> list[str]:
    experiment = Experiment.model_validate(
        {
            "model": {"source": "builtin:logistic", "inputs": 4},
            "task": {"kind": "vector-classification", "labels": ["a", "b"]},
            "adapter": {"kind": "full"},
            "privacy": {"level": "none"},
            "topology": topology,
            "gossip": {"protocol": "sync", "rounds_per_phase": 2},
        }
    )
    findings = Findings()
    _check_agreement(findings, experiment, build_schedule(TopologyConfig.model_validate(topology), list("abcdefgh")))
    return findings.notes


def test_a_period_that_a_phase_does_not_end_with() -> None:
    (note,) = noted(schedule="base")
    assert "exact mean after 3 rounds, and gossip.rounds_per_phase is 2" in note
    assert noted(schedule="random_matching") == noted(kind="ring") == []


def test_weights_that_each_machine_solves_for_itself() -> None:
    pytest.importorskip("cvxpy", reason="the extra `optimal` is not installed")
    (note,) = noted(kind="ring", weights="optimal")
    assert "gossipfl topology show --save" in note
