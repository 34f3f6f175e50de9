"""Simulated nodes that share noise: it cancels in the mean, is accounted by adversary, and survives kills and stops."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sim.test_engines import assert_close, both
from tests.sim.training import FILES, UPDATE, Content, digits, play, resume, with_engine

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError, TopologyError
from gossipfl.privacy.gaussian import gaussian_epsilon
from gossipfl.privacy.pairs.exposure import exposure

CORRELATED = {**UPDATE, "level": "correlated", "pair_noise_multiplier": 2.0, "target_delta": 1e-5}
TRACE = {"kind": "trace", "trace": "down.jsonl"}
DOWN = json.dumps({"node": "n1", "from_s": 0.3, "until_s": 0.5}) + "\n"
RING = {"n0": ("n1", "n3"), "n1": ("n0", "n2"), "n2": ("n1", "n3"), "n3": ("n0", "n2")}


def content(**changes: Any) -> Content:
    return digits(**{"privacy": CORRELATED, "training__phases": 4, **changes})


def noised(folder: Path, privacy: Mapping[str, Any], **changes: Any) -> np.ndarray[Any, Any]:
    """(nodes, size) states after one phase without an exchange after it."""
    wanted = content(privacy=dict(privacy), training__phases=1, gossip__settle_rounds=0, **changes)
    return np.array(play(folder, wanted).vectors, np.float64)


def test_shared_noise_hides_each_node_and_leaves_the_mean_as_it_is(tmp_path: Path) -> None:
    plain = noised(tmp_path / "update", UPDATE)
    shared = noised(tmp_path / "correlated", CORRELATED)
    np.testing.assert_allclose(shared.mean(0), plain.mean(0), atol=1e-6)
    # after one mixing with weights 1/3 on a ring of 4: (I + ring)/3 · p·C of each edge
    left = (shared - plain).std()
    assert 0.5 * 2.0 * 0.2 / math.sqrt(3) < left < 2.0 * 0.2


def test_batched_is_the_loop(tmp_path: Path) -> None:
    assert_close(*both(tmp_path, content()))


def test_the_result_has_epsilon_by_adversary_and_the_accounts_is_the_highest(tmp_path: Path) -> None:
    result = resume(tmp_path, content())
    faced = exposure(RING, "n0", own=0.5, others=0.5, pair=2.0)
    noises = (faced.outsider, faced.neighbor, 0.5)
    expected = [gaussian_epsilon(math.sqrt(4) / noise, 1e-5) for noise in noises]
    assert result.exposed is not None
    assert list(result.exposed.values()) == pytest.approx(expected)
    assert result.epsilon == result.exposed["all neighbors"]
    recorded = json.loads((tmp_path / "run" / "result.json").read_text())
    assert recorded["exposed"] == result.exposed


def test_a_phase_done_again_is_paid_again_with_other_noise(tmp_path: Path) -> None:
    (tmp_path / "down.jsonl").write_text(DOWN)
    compute = {"kind": "constant", "step_s": 0.1}
    played = play(tmp_path, content(simulation__availability=TRACE, simulation__compute=compute))
    fleet = played.training.crew
    spent = {name: account.steps for name, account in fleet.simulated.items()}  # type: ignore[attr-defined]
    assert spent["n1"] >= max(spent[name] for name in ("n0", "n2", "n3"))
    turns = fleet.benches["n1"].mechanism.durable()["pairs/turn"]  # type: ignore[attr-defined]
    assert turns[1] == 1, "one phase was begun again"


def test_a_stopped_run_ends_as_if_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    for part in ("whole", "parts"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "down.jsonl").write_text(DOWN)
    compute = {"kind": "constant", "step_s": 0.1}
    wanted = with_engine(content(simulation__availability=TRACE, simulation__compute=compute), "batched")
    whole = resume(tmp_path / "whole", wanted)
    assert not resume(tmp_path / "parts", wanted, stop_at=1.5).done
    assert resume(tmp_path / "parts", wanted).final == whole.final
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gossip__protocol": "wait_free"}, "same round"),
        ({"gossip__codec": "int8"}, "a codec loses"),
        ({"gossip__consensus_rate": 0.5}, "leaves noise behind"),
        ({"topology": {"schedule": "base"}}, "same neighbors always"),
        ({"adapter": {"kind": "full", "private": ["output.*"]}}, "no other end"),
        ({"privacy": {**CORRELATED, "pair_noise_multiplier": None}}, "needs pair_noise_multiplier"),
        ({"privacy": {**UPDATE, "pair_noise_multiplier": 1.0}}, "takes no pair_noise_multiplier"),
        ({"privacy": {**CORRELATED, "noise_multiplier": None}}, "one of the two"),
        (
            {"privacy": {**CORRELATED, "noise_multiplier": None, "target_epsilon": 8.0, "target_delta": None}},
            "needs target_delta",
        ),
    ],
)
def test_what_would_not_cancel_is_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Experiment.model_validate(content(**changes))


def test_an_edge_that_goes_one_way_is_refused(tmp_path: Path) -> None:
    graph = {"directed": True, "nodes": [{"id": f"n{k}"} for k in range(4)]}
    links = [{"source": f"n{k}", "target": f"n{(k + 1) % 4}"} for k in range(4)]
    (tmp_path / "one-way.json").write_text(json.dumps({**graph, "links": links, "edges": links, "multigraph": False}))
    wanted = content(topology={"kind": "one-way.json", "weights": "uniform"})
    with pytest.raises((TopologyError, ConfigError), match="goes one way"):
        resume(tmp_path, wanted)
