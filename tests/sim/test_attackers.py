"""Simulated nodes that lie: what plain gossip makes of it, what robust mixing does, and what receivers drop."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sim.averaging import averaging, lines, request, run

from gossipfl.config.attackers import POISONS
from gossipfl.core.attacks import ATTACKS
from gossipfl.errors import ConfigError
from gossipfl.runs.progress import Progress

LIARS = {"nodes": ["n3", "n10"]}


def attacked(kind: str, mixing: str = "weighted", **changes: Any) -> dict[str, Any]:
    """Twenty nodes with four neighbors each, two of them liars."""
    return averaging(
        **{
            "topology__kind": "random_regular",
            "topology__degree": 4,
            "simulation__nodes": 20,
            "vectors__size": 64,
            "gossip__settle_rounds": 40,
            "gossip__mixing": mixing,
            "simulation__attackers": {"kind": kind, **LIARS},
            **changes,
        }
    )


def honest_error(folder: Path, experiment: dict[str, Any]) -> float:
    """Largest distance of an honest node to the mean of all in the end, over that in the beginning."""
    run(folder, experiment)
    nodes = lines(folder, "nodes.jsonl")
    honest = [place for place in range(20) if place not in {3, 10}]
    first, last = (np.array(nodes[place]["distance"])[honest] for place in (0, -1))
    return float(last.max() / first.max())


@pytest.mark.parametrize("kind", sorted(ATTACKS.keys() - POISONS))
def test_every_attack_runs_and_is_the_same_again(tmp_path: Path, kind: str) -> None:
    wished = attacked(kind, "self_centered_clipping", gossip__settle_rounds=4)
    results = [run(tmp_path / place, wished).final for place in ("one", "two")]
    assert results[0]["consensus_distance"] == results[1]["consensus_distance"]
    assert np.isfinite(results[0]["consensus_distance"])


@pytest.mark.parametrize("kind", ["nan", "huge_norm"])
def test_receivers_drop_what_is_no_state(tmp_path: Path, kind: str) -> None:
    result = run(tmp_path, attacked(kind, gossip__settle_rounds=4))
    assert sum(result.rejected.values()) > 0


@pytest.mark.parametrize("kind", ["nan", "huge_norm"])
def test_nobody_waits_for_who_has_sent_no_state(tmp_path: Path, kind: str) -> None:
    content = attacked(kind, gossip__protocol="sync", gossip__settle_rounds=40, gossip__deadline_s=1000.0)
    result = run(tmp_path, content)
    assert result.virtual_s < 100
    assert set(result.rejected) == {"nan" if kind == "nan" else "norm"}
    assert honest_error(tmp_path / "again", content) < 0.1


@pytest.mark.parametrize("kind", sorted(POISONS))
def test_records_that_are_not_there_are_not_altered(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigError, match=f"{kind} alters training records, and training is none"):
        run(tmp_path, attacked(kind))


def test_somebody_has_to_be_honest(tmp_path: Path) -> None:
    everybody = {"kind": "alie", "nodes": [f"n{place}" for place in range(20)]}
    with pytest.raises(ConfigError, match="all nodes attack"):
        run(tmp_path, attacked("alie", simulation__attackers=everybody))


def test_what_is_said_of_all_nodes_is_of_the_honest_ones(tmp_path: Path) -> None:
    """Attackers keep what they had, so that they lie far off."""
    run(tmp_path, attacked("nan", gossip__settle_rounds=60, gossip__deadline_s=0.5))
    nodes, summary = lines(tmp_path, "nodes.jsonl")[-1], lines(tmp_path)[-1]
    assert [place for place, far in enumerate(nodes["distance"]) if far is None] == [3, 10]
    known = np.array([far for far in nodes["distance"] if far is not None])
    assert summary["consensus_distance"] == pytest.approx(float(np.sqrt(np.mean(known**2))))


def test_books_know_no_lie(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="push_sum books what crosses each edge, and attackers know no lie for it"):
        run(tmp_path, attacked("sign_flip", gossip__protocol="push_sum"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sign_flip", "random", "dissensus", "equivocation"])
def test_robust_mixing_keeps_honest_nodes_where_plain_gossip_is_carried_off(tmp_path: Path, kind: str) -> None:
    assert honest_error(tmp_path / "plain", attacked(kind)) > 10
    for mixing in ("self_centered_clipping", "trimmed_mean", "median", "nearest", "geometric_median"):
        assert honest_error(tmp_path / mixing, attacked(kind, mixing)) < 0.6, mixing


@pytest.mark.parametrize("kind", ["stale", "random"])
def test_a_run_of_liars_that_was_stopped_goes_on_as_if_it_had_not(tmp_path: Path, kind: str) -> None:
    """What they remember, and what they draw next, is in the checkpoint."""
    content = attacked(kind, "self_centered_clipping", gossip__settle_rounds=30)
    run(tmp_path / "whole", content)
    (parts := tmp_path / "parts").mkdir()

    def stop(progress: Progress) -> None:
        if progress.rounds >= 8:
            os.kill(os.getpid(), signal.SIGINT)

    assert not request(parts, content, resume=True)(show=stop).done
    assert request(parts, content, resume=True)().done
    assert lines(parts, "nodes.jsonl") == lines(tmp_path / "whole", "nodes.jsonl")
