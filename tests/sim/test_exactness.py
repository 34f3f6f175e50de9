"""A simulated run says whether its exact schedule was exact, and by how much the mean moved where it was not."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.sim.averaging import averaging, lines, run
from tests.sim.training import digits, resume

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.attacks import Attack
from gossipfl.core.attacks.sign_flip import SignFlip
from gossipfl.state import AdapterState


def without_two(folder: Path, schedule: str, rounds: int) -> dict[str, Any]:
    """Sixteen nodes, two of which leave for good."""
    gone = [json.dumps({"node": name, "from_s": 0.15}) + "\n" for name in ("n3", "n6")]
    (folder / "gone.jsonl").write_text("".join(gone))
    trace = {"kind": "trace", "trace": "gone.jsonl"}
    return averaging(
        topology={"schedule": schedule},
        vectors__start="one_hot",
        vectors__size=16,
        gossip__settle_rounds=rounds,
        simulation__availability=trace,
    )


class Stubborn:
    """A mixing of the user's own that takes nothing."""

    def mix(self, own: AdapterState, *_others: object) -> AdapterState:
        return own


def everybody_for_itself(_gossip: GossipConfig) -> Stubborn:
    return Stubborn()


def turned(_strength: float | None) -> Attack[AdapterState]:
    return SignFlip(1.0)


@pytest.mark.parametrize("schedule", ["base", "one_peer_exponential"])
def test_an_undisturbed_run_is_exact(tmp_path: Path, schedule: str) -> None:
    result = run(tmp_path, averaging(topology={"schedule": schedule}, gossip__settle_rounds=4))
    assert result.final["exact"] is True
    assert lines(tmp_path)[-1]["absent"] == 0
    assert result.final["consensus_distance"] < 1e-6
    # not before the mean is there
    assert [line["exact"] for line in lines(tmp_path)] == [None] * 4 + [True] * (len(lines(tmp_path)) - 4)


@pytest.mark.parametrize("rounds", [(3, 0, True), (2, 2, True), (2, 1, None), (1, 4, True), (1, 3, None)])
def test_a_whole_period_after_the_last_training_is_wanted(tmp_path: Path, rounds: tuple[int, int, bool | None]) -> None:
    # of three nodes a period has three rounds, and one that begins in its middle does not give the mean
    rounds_per_phase, settle_rounds, exact = rounds
    content = digits(
        topology={"schedule": "base"},
        training__phases=2,
        gossip__rounds_per_phase=rounds_per_phase,
        gossip__settle_rounds=settle_rounds,
        simulation__nodes=3,
    )
    result = resume(tmp_path, content)
    assert result.final.get("exact") is exact
    assert (result.final["consensus_distance"] < 1e-5) == (exact is True)


@pytest.mark.parametrize("rate", [0.5, 1.0])
def test_the_bound_counts_the_rate_in(tmp_path: Path, rate: float) -> None:
    run(tmp_path, averaging(gossip__consensus_rate=rate, gossip__settle_rounds=100))
    recorded = lines(tmp_path)
    assert all(line["consensus_distance"] <= line["bound"] * 1.0001 for line in recorded)
    assert recorded[-1]["bound"] < 0.8 * recorded[0]["bound"]


@pytest.mark.parametrize(
    "changes",
    [
        {"topology__kind": "ring"},
        {"topology__schedule": "random_matching"},
        {"topology__schedule": "base", "gossip__codec": "int8"},
        {"topology__schedule": "base", "gossip__consensus_rate": 0.5},
        {"topology__schedule": "base", "gossip__protocol": "push_sum"},
        # the period is four rounds
        {"topology__schedule": "base", "gossip__settle_rounds": 3},
        {"topology__schedule": "base", "simulation__until_s": 0.35},
        {"topology__schedule": "base", "gossip__mixing": "test_exactness:everybody_for_itself"},
        {"topology__schedule": "base", "simulation__attackers": {"kind": "test_exactness:turned", "nodes": ["n3"]}},
    ],
)
def test_where_nothing_is_exact_nothing_is_said_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.syspath_prepend(__file__.rpartition("/")[0])
    result = run(tmp_path, averaging(**{"gossip__settle_rounds": 4, **changes}))
    assert result.final["consensus_distance"] > 1e-6 or "push_sum" in changes.values()
    assert "exact" not in result.final
    assert lines(tmp_path)[-1]["exact"] is None


@pytest.mark.parametrize(("schedule", "keeps"), [("base", True), ("one_peer_exponential", False)])
def test_nodes_that_leave_end_exactness_and_the_drift_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, schedule: str, keeps: bool
) -> None:
    drifts = []
    for rounds in (8, 80):
        folder = tmp_path / str(rounds)
        folder.mkdir()
        with caplog.at_level(logging.WARNING):
            result = run(folder, without_two(folder, schedule, rounds))
        assert result.final["exact"] is False
        drifts.append(result.final["mean_drift"])
    # the others agree, and not on the mean of all
    assert np.ptp(np.delete(lines(tmp_path / "80", "nodes.jsonl")[-1]["distance"], [3, 6])) < 1e-4
    assert min(drifts) > 1e-3
    # two leave in the second round: once all know, the mean of the others stays, or goes on moving
    assert (abs(drifts[0] - drifts[1]) < 1e-6) == keeps
    assert any("sends one way" in record.message for record in caplog.records) == (not keeps)


def test_a_schedule_that_is_one_way_in_a_later_round_only_warns_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    circle = [[f"n{number}", f"n{(number + 1) % 16}"] for number in range(16)]
    (tmp_path / "both.yaml").write_text(
        yaml.safe_dump({"graphs": [{"edges": circle}, {"edges": circle, "directed": True}]})
    )
    content = without_two(tmp_path, "graphs", 2)
    content["topology"]["kind"] = "both.yaml"
    with caplog.at_level(logging.WARNING):
        run(tmp_path, content)
    assert any("graphs sends one way" in record.message for record in caplog.records)


def test_a_message_that_is_lost_ends_exactness(tmp_path: Path) -> None:
    links = {"latency_s": 0.1, "loss": 0.1}
    content = averaging(topology__schedule="base", gossip__settle_rounds=8, simulation__links=links)
    result = run(tmp_path, content)
    assert result.final["exact"] is False
    assert lines(tmp_path)[-1]["absent"] > 0
