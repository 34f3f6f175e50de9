"""Models of the nodes' own at the end of simulated runs, and of Flower's in one process."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.baseline.flower_runs import COMPLETE
from tests.sim.averaging import lines
from tests.sim.training import FILES, NOISE, Content, digits, load, resume

from gossipfl.baseline.fedavg import fedavg
from gossipfl.errors import ConfigError
from gossipfl.runs.progress import Progress
from gossipfl.runs.result import RunResult
from gossipfl.sim.simulate import simulate

OWN: dict[str, Any] = {"phases": 2, "interpolate": True}
LEVELS = [
    pytest.param({"level": "none"}, id="plain"),
    pytest.param(NOISE, id="private", marks=pytest.mark.slow),
]


def content(**changes: Any) -> Content:
    base = {"training__phases": 3, "data__held_out": 0.3, "simulation__nodes": 3, "personal": dict(OWN), **COMPLETE}
    return digits(**{**base, **changes})


def by_node(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run" / "personal.json").read_text())
    return found


def test_what_is_said_of_a_node_is_what_the_run_itself_says_of_it_mixed_and_alone(tmp_path: Path) -> None:
    result = resume(tmp_path / "own", content())
    found, last = by_node(tmp_path / "own"), lines(tmp_path / "own", "nodes.jsonl")[-1]
    assert list(found) == ["n0", "n1", "n2"]
    for key in ("own_loss", "own_accuracy", "test_loss", "test_accuracy"):
        assert [node["global"][key] for node in found.values()] == last[key]
    # alone: as many phases, by the protocol that has no neighbors
    resume(tmp_path / "alone", content(personal={}, training__phases=5, gossip={"protocol": "alone"}))
    assert [node["alone"]["own_loss"] for node in found.values()] == lines(tmp_path / "alone", "nodes.jsonl")[-1][
        "own_loss"
    ]
    for node in found.values():
        for other in ("global", "alone"):
            gain = node["personal"]["own_accuracy"] - node[other]["own_accuracy"]
            assert node[f"against_{other}"] == gain
    assert result.personal is not None
    assert result.personal["nodes"] == 3
    assert result.as_json()["personal"] == result.personal


def test_the_gossip_before_is_the_same_and_nothing_more_is_sent(tmp_path: Path) -> None:
    own, plain = resume(tmp_path / "own", content()), resume(tmp_path / "plain", content(personal={}))
    for name in FILES:
        assert (tmp_path / "own" / "run" / name).read_bytes() == (tmp_path / "plain" / "run" / name).read_bytes()
    assert (own.bytes_per_node, own.virtual_s, own.rounds) == (plain.bytes_per_node, plain.virtual_s, plain.rounds)
    assert plain.personal is None
    assert "personal" not in plain.as_json()
    assert not (tmp_path / "plain" / "run" / "personal.json").exists()


@pytest.mark.parametrize("privacy", LEVELS)
def test_stopped_between_own_models_it_ends_as_if_uninterrupted(
    tmp_path: Path, privacy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 1)
    wished = content(privacy=privacy)
    looks: list[Progress] = []
    whole = simulate(load(tmp_path / "whole", wished), tmp_path / "whole" / "run", show=looks.append)
    left = len(looks) - 2

    def stop(_progress: Progress) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = simulate(load(tmp_path / "parts", wished), tmp_path / "parts" / "run", show=stop)
    assert (stopped.done, stopped.personal) == (False, None)
    resumed = resume(tmp_path / "parts", wished)
    assert (resumed.done, resumed.personal, resumed.epsilon) == (True, whole.personal, whole.epsilon)
    for name in (*FILES, "personal.json"):
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()


@pytest.mark.slow
def test_the_result_says_what_own_models_have_cost_as_well(tmp_path: Path) -> None:
    charged = resume(tmp_path / "charged", content(privacy=NOISE))
    plain = resume(tmp_path / "plain", content(privacy=NOISE, personal={}))
    stays = resume(tmp_path / "stays", content(privacy=NOISE, personal={**OWN, "stays": True}))
    assert charged.epsilon is not None
    assert plain.epsilon is not None
    assert charged.epsilon > plain.epsilon
    assert stays.epsilon == plain.epsilon


def close(one: RunResult, other: RunResult) -> bool:
    assert one.personal is not None
    assert other.personal is not None
    models = ("global", "tuned", "personal", "alone")
    return all(one.personal[name] == pytest.approx(other.personal[name], abs=1e-4) for name in models)


@pytest.mark.parametrize("privacy", LEVELS)
def test_behind_fedavg_own_models_are_those_behind_gossip_that_is_exact(
    tmp_path: Path, privacy: dict[str, Any]
) -> None:
    wished = content(privacy=privacy)
    gossip = resume(tmp_path / "gossip", wished)
    server = fedavg(load(tmp_path / "server", wished), tmp_path / "server" / "run")
    assert close(server, gossip)
    assert server.epsilon == gossip.epsilon
    assert by_node(tmp_path / "server").keys() == by_node(tmp_path / "gossip").keys()


def test_where_clients_live_for_one_message_own_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"personal\.phases: a Flower client's process ends with its last message"):
        fedavg(load(tmp_path, content()), tmp_path / "run", mode="deployment")


def test_attackers_have_none_and_alone_is_left_out_when_nobody_asks(tmp_path: Path) -> None:
    attackers = {"kind": "sign_flip", "nodes": ["n2"]}
    wished = content(simulation__attackers=attackers, personal__against_alone=False, personal__interpolate=False)
    result = resume(tmp_path, wished)
    found = by_node(tmp_path)
    assert list(found) == ["n0", "n1"]
    assert all(node["personal"] == node["tuned"] for node in found.values())
    assert result.personal is not None
    assert "alone" not in result.personal
