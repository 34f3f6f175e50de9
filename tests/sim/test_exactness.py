"""A simulated run says whether its exact schedule was exact, and by how much the mean moved where it was not."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sim.averaging import averaging, lines, run


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


@pytest.mark.parametrize("schedule", ["base", "one_peer_exponential"])
def test_an_undisturbed_run_is_exact(tmp_path: Path, schedule: str) -> None:
    result = run(tmp_path, averaging(topology={"schedule": schedule}, gossip__settle_rounds=4))
    assert result.final["exact"] is True
    assert lines(tmp_path)[-1]["absent"] == 0
    assert result.final["consensus_distance"] < 1e-6


@pytest.mark.parametrize(
    "changes",
    [
        {"topology__kind": "ring"},
        {"topology__schedule": "random_matching"},
        {"topology__schedule": "base", "gossip__codec": "int8"},
    ],
)
def test_where_nothing_is_exact_nothing_is_said_of_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    result = run(tmp_path, averaging(gossip__settle_rounds=2, **changes))
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


def test_a_message_that_is_lost_ends_exactness(tmp_path: Path) -> None:
    links = {"latency_s": 0.1, "loss": 0.1}
    content = averaging(topology__schedule="base", gossip__settle_rounds=8, simulation__links=links)
    result = run(tmp_path, content)
    assert result.final["exact"] is False
    assert lines(tmp_path)[-1]["absent"] > 0
