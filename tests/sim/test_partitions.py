"""Planned partitions: what nodes are told of their links; and what is warned of before a run."""

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.sim.averaging import averaging

from gossipfl.config.loading import LoadedAveraging, load_simulation
from gossipfl.core.events import Event, NeighborDown, NeighborUp
from gossipfl.errors import ConfigError
from gossipfl.sim.averaging import averaging_course, averaging_setting
from gossipfl.sim.nodes import build_world, generators_of, node_parts, schedule_for, weigher
from gossipfl.sim.world import World
from gossipfl.state import AdapterState


def world_with(folder: Path, *partitions: dict[str, Any]) -> World[AdapterState]:
    return world_of(folder, simulation__availability={"partitions": list(partitions)})


def world_of(folder: Path, **changes: Any) -> World[AdapterState]:
    path = folder / "experiment.yaml"
    content = averaging(simulation__nodes=4, **changes)
    path.write_text(yaml.safe_dump(content))
    loaded = load_simulation(path)
    assert isinstance(loaded, LoadedAveraging)
    setting = averaging_setting(loaded.experiment, loaded.folder)
    course = averaging_course(loaded.experiment, setting)
    generators = generators_of(setting)
    parts = node_parts(setting, schedule_for(setting), course)
    return build_world(setting, parts, generators, trainer=course.trainer, weigh=weigher(setting))


def news_of(world: World[AdapterState], node: str) -> list[tuple[float, str, str]]:
    """What a node is told of its links: when, up or down, whose."""
    told: list[tuple[float, str, str]] = []

    def note(name: str, event: Event[AdapterState]) -> None:
        if name == node and isinstance(event, NeighborUp | NeighborDown):
            told.append((world.now, "up" if isinstance(event, NeighborUp) else "down", event.name))

    world.on_event = note
    world.run(until_s=3.5)
    return told


def test_a_node_is_told_once_of_each_neighbor_beyond_the_cut(tmp_path: Path) -> None:
    # the ring is n0 n1 n2 n3
    world = world_with(tmp_path, {"from_s": 1.0, "until_s": 2.0, "groups": [["n0", "n1"]]})
    assert news_of(world, "n0") == [(1.0, "down", "n3"), (2.0, "up", "n3")]


def test_a_link_that_another_partition_still_cuts_is_not_up(tmp_path: Path) -> None:
    world = world_with(
        tmp_path,
        {"from_s": 1.0, "until_s": 2.0, "groups": [["n0"]]},
        {"from_s": 1.5, "until_s": 3.0, "groups": [["n0", "n1"]]},
    )
    assert news_of(world, "n0") == [(1.0, "down", "n1"), (1.0, "down", "n3"), (2.0, "up", "n1"), (3.0, "up", "n3")]


def test_one_that_never_heals_is_allowed_and_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        world = world_with(tmp_path, {"from_s": 1.0, "groups": [["n0", "n1"]]})
    assert "never heals" in caplog.text
    assert news_of(world, "n0") == [(1.0, "down", "n3")]


def test_one_that_heals_is_not_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        world_with(tmp_path, {"from_s": 1.0, "until_s": 2.0, "groups": [["n0", "n1"]]})
    assert not caplog.records


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="partitions: 'zeta' is no node"):
        world_with(tmp_path, {"from_s": 1.0, "groups": [["n0", "zeta"]]})


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, True),
        ({"simulation__until_s": 100.0}, False),
        ({"gossip__protocol": "sync"}, False),
        ({"simulation__availability": {"kind": "churn", "up_s": 60.0}}, False),
    ],
)
def test_nodes_that_may_never_stay_up_to_settle_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], *, warned: bool
) -> None:
    churn = {"gossip__protocol": "wait_free", "simulation__availability": {"kind": "churn", "up_s": 4.0}}
    with caplog.at_level(logging.WARNING):
        world_of(tmp_path, **{**churn, **changes})
    assert ("may never stay up" in caplog.text) is warned
