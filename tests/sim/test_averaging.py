"""Gossip alone, simulated: the laws of mixing, measured through the protocols' own code."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from tests.sim.averaging import averaging, lines, run

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import build_schedule, mixing_matrix, second_eigenvalue


@pytest.mark.parametrize("kind", ["ring", "torus", "hypercube", "exponential"])
def test_the_spread_shrinks_by_lambda_squared_a_round(tmp_path: Path, kind: str) -> None:
    run(tmp_path, averaging(topology__kind=kind, gossip__settle_rounds=12))
    names = [f"n{number}" for number in range(16)]
    lam = second_eigenvalue(mixing_matrix(build_schedule(TopologyConfig(kind=kind), names)))
    squares = [line["consensus_distance"] ** 2 for line in lines(tmp_path)][:13]
    assert [line["round"] for line in lines(tmp_path)][:13] == list(range(13))
    # below 1e-10 of the start it is rounding that is measured
    ratios = [after / before for before, after in itertools.pairwise(squares) if after > 1e-10 * squares[0]]
    assert len(ratios) >= 8
    assert max(ratios) <= lam**2 * 1.001


def test_rounds_are_those_of_the_mixing_matrix(tmp_path: Path) -> None:
    run(tmp_path, averaging(topology__kind="torus", vectors__start="one_hot", gossip__settle_rounds=3))
    W = mixing_matrix(build_schedule(TopologyConfig(kind="torus"), [f"n{number}" for number in range(16)]))
    wanted = np.linalg.norm(np.linalg.matrix_power(W, 3) - 1 / 16, axis=1)
    assert np.allclose(lines(tmp_path, "nodes.jsonl")[3]["distance"], wanted, atol=1e-6)


def test_graphs_of_a_file_are_gone_through_in_turn_with_its_weights(tmp_path: Path) -> None:
    weights = ({("n0", "n1"): 0.5, ("n2", "n3"): 0.25}, {("n1", "n2"): 0.75, ("n0", "n3"): 0.125})
    graphs = [
        {
            "nodes": [{"id": f"n{number}"} for number in range(4)],
            "edges": [{"source": u, "target": v, "weight": weight} for (u, v), weight in edges.items()],
        }
        for edges in weights
    ]
    (tmp_path / "two.json").write_text(json.dumps(graphs))
    topology = {"kind": "two.json", "schedule": "graphs", "weights": "file"}
    content = averaging(
        topology=topology, simulation__nodes=4, vectors={"start": "one_hot", "size": 4}, gossip__settle_rounds=3
    )
    run(tmp_path, content)
    first, second = np.eye(4), np.eye(4)
    for W, edges in ((first, weights[0]), (second, weights[1])):
        for (u, v), weight in edges.items():
            i, j = int(u[1]), int(v[1])
            W[i, j] = W[j, i] = weight
            W[i, i] -= weight
            W[j, j] -= weight
    wanted = np.linalg.norm(first @ second @ first - 1 / 4, axis=1)
    assert np.allclose(lines(tmp_path, "nodes.jsonl")[3]["distance"], wanted, atol=1e-6)


def test_without_loss_sync_keeps_the_mean_and_the_bound_holds(tmp_path: Path) -> None:
    run(tmp_path, averaging())
    for line in lines(tmp_path):
        assert line["mean_drift"] < 1e-6
        assert line["consensus_distance"] <= line["bound"] * 1.0001


def test_what_a_node_sent_before_it_left_is_mixed_before_it_is_missed(tmp_path: Path) -> None:
    # the first to finish leaves while its last message is on its way
    links = {"latency_s": 0.1, "jitter_s": 0.5, "bytes_per_s": 1000.0}
    run(tmp_path, averaging(gossip__settle_rounds=5, gossip__deadline_s=60.0, simulation__links=links))
    assert lines(tmp_path)[-1]["mean_drift"] < 1e-6


def test_bytes_are_those_of_the_codec(tmp_path: Path) -> None:
    result = run(tmp_path, averaging(gossip__settle_rounds=7))
    assert result.bytes_per_node == 7 * 2 * 50 * 4


@pytest.mark.parametrize("protocol", ["sync", "wait_free"])
@pytest.mark.slow
def test_loss_duplicates_and_overtaking_do_not_stop_agreement(tmp_path: Path, protocol: str) -> None:
    links = {"latency_s": 0.1, "jitter_s": 0.3, "loss": 0.3, "duplication": 0.3, "reordering": True}
    result = run(
        tmp_path,
        averaging(
            gossip__protocol=protocol, gossip__settle_rounds=300, gossip__deadline_s=1.0, simulation__links=links
        ),
    )
    first, last = lines(tmp_path)[0], lines(tmp_path)[-1]
    assert result.done
    assert last["consensus_distance"] < 1e-2 * first["consensus_distance"]


def test_a_line_is_as_slow_as_its_bandwidth(tmp_path: Path) -> None:
    quick = run(tmp_path / "quick", averaging(gossip__settle_rounds=10, simulation__links={"latency_s": 0.0}))
    slow = run(
        tmp_path / "slow",
        averaging(gossip__settle_rounds=10, simulation__links={"latency_s": 0.0, "bytes_per_s": 100.0}),
    )
    assert quick.virtual_s == 0.0
    # 200 bytes a message: 2 s a round
    assert slow.virtual_s == pytest.approx(20.0)


def test_two_runs_are_equal_byte_for_byte(tmp_path: Path) -> None:
    content = averaging(simulation__links={"latency_s": 0.1, "jitter_s": 0.2, "loss": 0.2}, gossip__deadline_s=1.0)
    for folder in ("first", "second"):
        run(tmp_path / folder, content)
    for name in ("metrics.jsonl", "nodes.jsonl"):
        assert lines(tmp_path / "first", name) == lines(tmp_path / "second", name)


@pytest.mark.slow
def test_a_partition_that_heals_ends_in_agreement_and_one_that_does_not_ends_apart(tmp_path: Path) -> None:
    groups = [[f"n{number}" for number in range(8)], [f"n{number}" for number in range(8, 16)]]
    distances = {}
    for name, until_s in (("heals", 4.0), ("stays", None)):
        partition = {"from_s": 1.0, "until_s": until_s, "groups": groups}
        run(
            tmp_path / name,
            averaging(
                gossip__settle_rounds=400,
                simulation__availability={"partitions": [partition]},
                vectors__start="one_hot",
                simulation__evaluate_every=50,
            ),
        )
        distances[name] = lines(tmp_path / name)[-1]["consensus_distance"]
    assert distances["heals"] < 1e-4
    assert distances["stays"] > 0.05


def test_a_run_with_churn_comes_to_its_end_and_nearer_to_agreement(tmp_path: Path) -> None:
    # a restart begins to settle anew: nodes have to be up for longer than that takes
    churn = {"kind": "churn", "up_s": 60.0, "down_s": 2.0}
    result = run(
        tmp_path,
        averaging(gossip__protocol="wait_free", gossip__settle_rounds=80, simulation__availability=churn),
    )
    first, last = lines(tmp_path)[0], lines(tmp_path)[-1]
    assert result.done
    assert any(not all(line["up"]) for line in lines(tmp_path, "nodes.jsonl")[1:-1])
    # not to it: without training nothing is checkpointed before the end, and who comes back late stands where it began
    assert last["consensus_distance"] < 0.5 * first["consensus_distance"]


def test_a_trace_takes_a_node_down_and_up(tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").write_text('{"node": "n3", "from_s": 0.55, "until_s": 1.55}\n')
    run(
        tmp_path,
        averaging(
            gossip__protocol="wait_free",
            gossip__settle_rounds=100,
            simulation__availability={"kind": "trace", "trace": "trace.jsonl"},
        ),
    )
    down = [line["virtual_s"] for line in lines(tmp_path, "nodes.jsonl") if not line["up"][3] and line["up"][0]]
    assert down
    assert all(0.55 <= at < 1.55 for at in down)
    assert math.isfinite(lines(tmp_path)[-1]["consensus_distance"])
