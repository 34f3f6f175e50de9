"""Gossip under masks in simulated worlds: equal to plain within rounding, and never a wrong average."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from tests.sim.averaging import averaging, lines, request, run
from tests.sim.training import digits, play

from gossipfl.config.loading import LoadedAveraging, load_simulation
from gossipfl.core.events import Report
from gossipfl.errors import TopologyError
from gossipfl.runs.progress import Progress
from gossipfl.sim.averaging import averaging_course, averaging_setting
from gossipfl.sim.nodes import build_world, generators_of, guards_of, node_parts, schedule_for, weigher
from gossipfl.sim.world import World
from gossipfl.state import AdapterState

UNIT = 2.0**-22
"""A step of the fixed point."""
TORUS = averaging(topology={"kind": "torus"}, gossip__settle_rounds=10)
MASKED = {**TORUS, "protection": "masked"}


def world_of(folder: Path, content: dict[str, Any]) -> World[AdapterState]:
    """A world in which nothing has happened yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.yaml").write_text(yaml.safe_dump(content))
    loaded = load_simulation(folder / "experiment.yaml")
    assert isinstance(loaded, LoadedAveraging)
    setting = averaging_setting(loaded.experiment, loaded.folder)
    course, generators = averaging_course(loaded.experiment, setting), generators_of(setting)
    schedule = schedule_for(setting)
    parts, guard = node_parts(setting, schedule, course), guards_of(setting, schedule, course)
    return build_world(setting, parts, generators, trainer=course.trainer, weigh=weigher(setting), guard=guard)


def vectors(world: World[AdapterState]) -> NDArray[np.float32]:
    """(nodes, size)"""
    return np.stack([body.snapshot.state.vector for body in world.bodies.values()])


def test_masked_equals_plain_within_the_rounding_of_the_fixed_point(tmp_path: Path) -> None:
    plain, masked = world_of(tmp_path / "plain", TORUS), world_of(tmp_path / "masked", MASKED)
    assert np.array_equal(vectors(plain), vectors(masked))
    plain.run()
    masked.run()
    apart = np.abs(vectors(plain) - vectors(masked)).max()
    # ten rounds, half a unit for each of four senders, and no more: a mixing never makes a difference larger
    assert 0 < apart <= 10 * (2 * UNIT + 2.0**-22)
    assert masked.rejected == {}


def test_the_mean_of_the_network_is_kept_to_rounding(tmp_path: Path) -> None:
    masked = world_of(tmp_path, MASKED)
    before = vectors(masked).mean(axis=0, dtype=np.float64)
    masked.run()
    assert np.abs(vectors(masked).mean(axis=0, dtype=np.float64) - before).max() <= 10 * 2 * UNIT


def test_no_line_carries_more_bytes_than_in_plain(tmp_path: Path) -> None:
    plain, masked = run(tmp_path / "plain", TORUS), run(tmp_path / "masked", MASKED)
    assert masked.bytes_per_node <= 1.12 * plain.bytes_per_node


def test_where_messages_get_lost_a_node_mixes_all_of_its_neighbors_or_none(tmp_path: Path) -> None:
    content = {**MASKED, "simulation": {**MASKED["simulation"], "links": {"latency_s": 0.1, "loss": 0.1}}}
    world = world_of(tmp_path, content)
    reports: list[Report] = []
    world.on_report = lambda _, report: reports.append(report)
    start = vectors(world)
    world.run()
    skipped = [report for report in reports if report.absent]
    assert 0 < len(skipped) < len(reports)
    assert {len(report.absent) for report in reports} == {0, 4}
    assert all(list(report.weights.values()) == [1.0] for report in skipped)
    # no wrong average: all stay within what there was
    assert np.all(vectors(world).max(axis=0) <= start.max(axis=0) + 10 * UNIT)
    assert np.all(vectors(world).min(axis=0) >= start.min(axis=0) - 10 * UNIT)


def test_a_node_that_is_down_stops_its_neighbors_averages_and_new_keys_let_them_go_on(tmp_path: Path) -> None:
    trace = tmp_path / "down.jsonl"
    trace.write_text('{"node": "n5", "from_s": 0.25, "until_s": 1.0}\n')
    availability = {"kind": "trace", "trace": str(trace)}
    content = {
        **MASKED,
        "gossip": {**MASKED["gossip"], "settle_rounds": 40},
        "simulation": {**MASKED["simulation"], "availability": availability},
    }
    world = world_of(tmp_path, content)
    seen: dict[str, list[bool]] = {name: [] for name in world.bodies}
    world.on_report = lambda name, report: seen[name].append(bool(report.absent))
    world.run()
    neighbors = [name for name in seen if any(seen[name])]
    assert "n5" not in neighbors or len(neighbors) >= 4
    assert len(neighbors) >= 4
    # after it came back everybody averages again
    assert all(not skipped for each in seen.values() for skipped in each[-5:])
    assert np.ptp(vectors(world), axis=0).max() < 0.01


def test_a_value_beyond_the_bound_skips_rounds_and_never_wraps(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).standard_normal((16, 50)).astype(np.float32)
    matrix[3, 7] = 17.0
    np.save(tmp_path / "start.npy", matrix)
    world = world_of(tmp_path, {**MASKED, "vectors": {"size": 50, "start": "start.npy"}})
    skipped: list[tuple[str, int]] = []
    world.on_report = lambda name, report: skipped.extend([(name, report.round)] if report.absent else [])
    world.run()
    # by its neighbors' sum it comes back within the bound
    assert len(skipped) == 4
    assert {number for _, number in skipped} == {1}
    assert np.abs(vectors(world)[:, 7]).max() < 3.0


def test_a_run_that_was_stopped_goes_on_under_the_same_keys(tmp_path: Path) -> None:
    content = {**MASKED, "gossip": {**MASKED["gossip"], "settle_rounds": 30}}

    def show(progress: Progress) -> None:
        if progress.rounds >= 10:
            os.kill(os.getpid(), signal.SIGINT)

    whole = run(tmp_path / "whole", content)
    (tmp_path / "parts").mkdir()
    assert not request(tmp_path / "parts", content, resume=True)(show=show).done
    resumed = request(tmp_path / "parts", content, resume=True)()
    assert resumed.final == whole.final
    assert lines(tmp_path / "parts", "nodes.jsonl") == lines(tmp_path / "whole", "nodes.jsonl")


def test_encrypted_equals_masked_to_the_bit_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    pytest.importorskip("tenseal", reason="extra `he`")
    few = averaging(topology={"kind": "complete"}, simulation__nodes=4, gossip__settle_rounds=12)

    def show(progress: Progress) -> None:
        if progress.rounds >= 5:
            os.kill(os.getpid(), signal.SIGINT)

    masked = world_of(tmp_path / "masked", {**few, "protection": {"kind": "masked", "ring_bits": 64}})
    masked.run()
    content = {**few, "protection": "homomorphic"}
    encrypted = world_of(tmp_path / "encrypted", content)
    encrypted.run()
    assert np.array_equal(vectors(masked), vectors(encrypted))
    whole = run(tmp_path / "whole", content)
    (tmp_path / "parts").mkdir()
    assert not request(tmp_path / "parts", content, resume=True)(show=show).done
    resumed = request(tmp_path / "parts", content, resume=True)()
    assert resumed.final["consensus_distance"] == whole.final["consensus_distance"]


def test_a_ring_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="node 'n0' has 2 neighbors"):
        run(tmp_path, averaging(protection="masked"))


def test_training_under_masks_ends_where_plain_training_does(tmp_path: Path) -> None:
    shape = {"topology": {"kind": "complete"}, "training__phases": 3, "training__threads": 1}
    plain = play(tmp_path / "plain", digits(**shape)).vectors
    masked = play(tmp_path / "masked", digits(**shape, protection="masked")).vectors
    assert 0 < np.abs(plain - masked).max() < 1e-3
