"""Clients with machines of their own: what they do, and that FedAvg over them is still exact gossip."""

from pathlib import Path
from typing import Any

import pytest
from tests.baseline.flower_runs import centralized, distance, gossiped, lines_of, small
from tests.sim.training import NOISE

MACHINES: dict[str, Any] = {"n0": {"local_steps": 1, "batch_size": 4}, "n1": {"local_seconds": 7.0}}
SLOW = {"kind": "constant", "step_s": 1.0, "slow": {"n1": 3}}
UNEQUAL: dict[str, Any] = {"simulation__machines": MACHINES, "simulation__compute": SLOW}


@pytest.mark.parametrize("privacy", [{"level": "none"}, NOISE], ids=["plain", "private"])
def test_fedavg_over_unequal_clients_is_exact_gossip(tmp_path: Path, privacy: dict[str, Any]) -> None:
    server, gossip = (run(tmp_path, small(privacy=privacy, **UNEQUAL)) for run in (centralized, gossiped))
    assert lines_of(server, "nodes.jsonl")[-1]["step"] == lines_of(gossip, "nodes.jsonl")[-1]["step"] == [3, 6, 12, 12]
    assert distance(server, gossip) <= 1e-6


def test_without_counting_work_alike_it_is_another(tmp_path: Path) -> None:
    done = centralized(tmp_path / "done", small(gossip__work="as_done", **UNEQUAL))
    counted = centralized(tmp_path / "counted", small(**UNEQUAL))
    assert distance(done, counted) > 1e-4


def test_rests_are_said_to_be_for_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    centralized(tmp_path, small(simulation__machines={"n2": {"train_share": 0.5}}, training__phases=1))
    assert "simulation.machines.n2: train_share and train_hours are for nodes with a pace of their own" in caplog.text
