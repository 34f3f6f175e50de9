"""What a node finds out of the others: all of a ring without protection, the noise where there is some."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from gossipfl.cli.app import main
from gossipfl.config.loading import load_simulation
from gossipfl.errors import ConfigError
from gossipfl.studies.reconstruction import Reconstruction, reconstruct
from gossipfl.studies.reconstruction_world import Contributions, seen_by_all, setting_of

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
RING = EXPERIMENTS / "reconstruction.yaml"


def attacked(*sets: str, noise: float | None = None, path: Path = RING) -> Reconstruction:
    return reconstruct(load_simulation(path, sets), noise=noise)


def test_after_five_rounds_on_a_ring_of_eight_every_node_knows_every_other() -> None:
    found = attacked()
    assert len(found.views) == 8 * 7
    assert all(view.determined == view.contributions == 1 for view in found.views)
    assert max(view.error for view in found.views if view.error is not None) < 1e-6


@pytest.mark.parametrize("rounds", range(1, 6))
def test_a_contribution_is_found_when_it_had_time_to_arrive(rounds: int) -> None:
    """Held against the matrices themselves: row j of W^t is what a neighbor j of the observer says in round t."""
    weights = sum(np.roll(np.eye(8), shift, axis=1) for shift in (-1, 0, 1)) / 3
    powers = [np.linalg.matrix_power(weights, step) for step in range(rounds)]
    rows = np.vstack([[power[1], power[7]] for power in powers])
    rows[:, 0] = 0.0  # the observer knows its own
    rank = np.linalg.matrix_rank(rows)
    for view in attacked(f"gossip.settle_rounds={rounds}").views:
        if view.observer == "n0":
            unit = np.eye(1, 8, int(view.node[1:]))
            assert view.determined == (np.linalg.matrix_rank(np.vstack([rows, unit])) == rank)


def test_what_is_found_under_noise_is_the_noised_contribution() -> None:
    found = attacked(noise=0.5)
    errors = [view.error for view in found.views if view.error is not None]
    assert len(errors) == 8 * 7
    # seven others, the noise of each the same to all observers
    assert 0.5 * 0.5 < np.sqrt(np.mean(np.square(errors))) < 0.5 * 2
    assert max(view.noise_error for view in found.views if view.noise_error is not None) < 1e-6


def test_of_training_every_phase_is_a_contribution(tmp_path: Path) -> None:
    content: dict[str, Any] = yaml.safe_load((EXPERIMENTS / "quickstart.yaml").read_text())
    content["privacy"] = {"level": "update", "noise_multiplier": 0.7}
    content["training"] |= {"phases": 3}
    content["topology"] = {"kind": "ring"}
    content["simulation"] = {"nodes": 6}
    content["gossip"] = {"protocol": "sync", "settle_rounds": 6, "deadline_s": 1e6}
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(content))
    found = attacked(path=path)
    assert found.noise == pytest.approx(0.7)
    assert {view.contributions for view in found.views} == {3}
    # what a neighbor says first is its first contribution by itself; later ones come mixed with those of others
    assert all(view.determined >= 1 for view in found.views if view.distance == 1)
    assert any(view.determined < 3 for view in found.views)


def test_a_noise_that_depends_on_the_data_is_asked_for(tmp_path: Path) -> None:
    content: dict[str, Any] = yaml.safe_load((EXPERIMENTS / "quickstart.yaml").read_text())
    content["privacy"] = {"level": "example", "target_epsilon": 3.0}
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="give --noise"):
        attacked(path=path)


def test_protocols_that_exchange_more_than_states_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"gossip\.protocol push_sum: the attack knows"):
        attacked("gossip.protocol=push_sum")


def test_the_command_says_it_and_draws_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "n0.svg"
    arguments = ["audit", "reconstruction", str(RING), "--observer", "n0", "--plot", str(picture)]
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["contributions"], result["determined"]) == (7, 7)
    assert {view["distance"] for view in result["views"]} == {1, 2, 3, 4}
    assert picture.read_text().startswith("<?xml")
    assert main([*arguments[:3], "--observer", "nobody"]) == 2
    assert "--observer nobody: no such node; known: n0" in capsys.readouterr().err
    assert main([*arguments[:-1], str(tmp_path / "n0.gif")]) == 2


def four_regular(rounds: int, *, masked: bool, seed: int = 0) -> Reconstruction:
    graph = ("topology.kind=random_regular", "topology.degree=4", f"topology.seed={seed}")
    return attacked(*graph, f"gossip.settle_rounds={rounds}", *(["protection=masked"] if masked else []))


def test_under_masks_a_node_learns_sums_and_nobodys_value() -> None:
    assert all(view.determined == 1 for view in four_regular(2, masked=False).views if view.distance == 1)
    for rounds in (1, 2):
        assert all(view.determined == 0 for view in four_regular(rounds, masked=True).views)


def test_sums_of_many_rounds_of_the_same_values_give_single_ones_away() -> None:
    """Why masks do not do without noise: each observer has solved for one other node after five rounds."""
    assert all(view.determined == 1 for view in four_regular(5, masked=False).views)
    found = [view for view in four_regular(5, masked=True).views if view.determined]
    assert [view.observer for view in found] == [f"n{number}" for number in range(8)]
    assert max(view.error for view in found if view.error is not None) < 1e-6


def test_masked_and_plain_nodes_end_alike() -> None:
    """What is attacked is the protocol that runs: sums are of the neighbors' plain states."""
    settings = [
        setting_of(load_simulation(RING, ["topology.kind=complete", *more])) for more in ([], ["protection=masked"])
    ]
    contributed = Contributions(0, np.arange(8.0)[:, None])
    plain, masked = (seen_by_all(setting, contributed) for setting in settings)
    for name, seen in masked.items():
        assert len(seen) == 5
        for number, mean in enumerate(seen):
            states = plain[name][7 * number : 7 * (number + 1)]
            assert mean.value == pytest.approx(np.mean([state.value for state in states]))
