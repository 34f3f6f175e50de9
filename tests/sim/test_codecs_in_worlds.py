"""Codecs that lose something, in whole simulations: they agree as far as exact ones, for fewer bytes."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.sim.averaging import averaging, lines, request, run

from gossipfl.runs.progress import Progress

WISHED = 1e-6
"""Of the distance at the start."""
SQUARES = 1e-3
"""A distance whose square is a millionth of that at the start: what figures of others are of."""


def cost(folder: Path, rounds: int, wished: float = WISHED, **changes: Any) -> tuple[int, float]:
    """Rounds and bytes a node until the wished distance, on a ring of 16."""
    run(folder, averaging(vectors__size=2000, gossip__settle_rounds=rounds, **changes))
    recorded = lines(folder)
    start = recorded[0]["consensus_distance"]
    first = next(line for line in recorded if line["consensus_distance"] <= wished * start)
    return first["round"], first["bytes_per_node"]


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, float]:
    return cost(tmp_path_factory.mktemp("exact"), 260)


@pytest.mark.parametrize(("codec", "share"), [("int8", 0.26), ("int4", 0.14), ("bf16", 0.51), ("fp16", 0.51)])
@pytest.mark.slow(50)
def test_rounded_differences_agree_in_as_many_rounds(
    tmp_path: Path, exact: tuple[int, float], codec: str, share: float
) -> None:
    rounds, sent = cost(tmp_path, 260, gossip__codec=codec)
    assert rounds <= exact[0] + 1
    assert sent <= share * exact[1]


@pytest.mark.slow(50)
def test_the_largest_tenth_agrees_for_about_half_the_bytes(tmp_path: Path, exact: tuple[int, float]) -> None:
    rounds, sent = cost(tmp_path, 900, gossip__codec="top_k", gossip__codec_share=0.1)
    assert rounds > exact[0]
    assert sent <= 0.55 * exact[1]


@pytest.mark.slow(50)
def test_with_half_the_feedback_the_largest_tenth_bears_a_higher_rate(tmp_path: Path, exact: tuple[int, float]) -> None:
    wished: dict[str, Any] = {"gossip__codec": "top_k", "gossip__codec_share": 0.1, "gossip__consensus_rate": 0.6}
    _, sent = cost(tmp_path / "half", 420, gossip__feedback=0.5, **wished)
    assert sent <= 0.22 * exact[1]
    run(tmp_path / "whole", averaging(vectors__size=2000, gossip__settle_rounds=260, **wished))
    first, *_, last = lines(tmp_path / "whole")
    assert last["consensus_distance"] > 2 * first["consensus_distance"]


@pytest.mark.slow(50)
def test_the_largest_hundredth_agrees_for_a_third_of_the_bytes(tmp_path: Path) -> None:
    """To a millionth of the squares; in fp32 thousands of rounds add up to 2e-6 of the distance, and it ends there."""
    _, exact = cost(tmp_path / "exact", 260, SQUARES)
    wished: dict[str, Any] = {"gossip__codec": "top_k", "gossip__codec_share": 0.01, "gossip__consensus_rate": 0.05}
    rounds, sent = cost(tmp_path / "hundredth", 2500, SQUARES, **wished)
    assert rounds == pytest.approx(2325, rel=0.05)
    assert sent <= 0.35 * exact


@pytest.mark.parametrize("codec", ["int8", "int4", "top_k", "random_k", "low_rank", "bf16"])
def test_without_loss_of_messages_the_mean_is_kept(tmp_path: Path, codec: str) -> None:
    run(tmp_path, averaging(gossip__codec=codec, gossip__settle_rounds=40))
    assert lines(tmp_path)[-1]["mean_drift"] < 1e-5


@pytest.mark.parametrize(("schedule", "nodes", "degree"), [("one_peer_exponential", 16, None), ("base", 10, 2)])
def test_where_each_round_has_other_partners_differences_are_short_too(
    tmp_path: Path, schedule: str, nodes: int, degree: int | None
) -> None:
    common: dict[str, Any] = {
        "vectors__size": 2000,
        "simulation__nodes": nodes,
        "topology": {"schedule": schedule} | ({"degree": degree} if degree else {}),
    }
    exact, rounded = tmp_path / "exact", tmp_path / "rounded"
    for folder in (exact, rounded):
        folder.mkdir()
    run(exact, averaging(gossip__settle_rounds=8, **common))
    run(rounded, averaging(gossip__settle_rounds=40, gossip__codec="int8", **common))
    per_round = lines(exact)[-1]["bytes_per_node"] / lines(exact)[-1]["round"]
    start, last = lines(rounded)[0], lines(rounded)[-1]
    assert last["bytes_per_node"] <= 0.26 * per_round * last["round"]
    assert last["consensus_distance"] <= 1e-6 * start["consensus_distance"]
    assert last["mean_drift"] < 1e-5


@pytest.mark.parametrize("protocol", ["sync", "wait_free"])
@pytest.mark.slow(50)
def test_a_lost_difference_is_followed_by_a_whole_state(tmp_path: Path, protocol: str) -> None:
    links = {"latency_s": 0.1, "jitter_s": 0.3, "loss": 0.3, "duplication": 0.2, "reordering": True}
    result = run(
        tmp_path,
        averaging(
            gossip__protocol=protocol,
            gossip__codec="int8",
            gossip__settle_rounds=300,
            gossip__deadline_s=1.0,
            simulation__links=links,
        ),
    )
    first, last = lines(tmp_path)[0], lines(tmp_path)[-1]
    assert last["consensus_distance"] < 1e-2 * first["consensus_distance"]
    assert result.rejected["reference"] > 0


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    content = averaging(
        gossip__codec="int8",
        gossip__settle_rounds=60,
        gossip__deadline_s=1.0,
        simulation__links={"latency_s": 0.1, "jitter_s": 0.2, "loss": 0.2},
        simulation__availability={"kind": "churn", "up_s": 60.0, "down_s": 2.0},
    )
    run(tmp_path / "whole", content)
    parts = tmp_path / "parts"
    parts.mkdir()

    def stop(progress: Progress) -> None:
        if progress.rounds >= 20:
            os.kill(os.getpid(), signal.SIGINT)

    assert not request(parts, content, resume=True)(show=stop).done
    assert request(parts, content, resume=True)().done
    assert lines(parts, "nodes.jsonl") == lines(tmp_path / "whole", "nodes.jsonl")
