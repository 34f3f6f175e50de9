import json
from typing import Any, Literal

import networkx as nx
import pytest

from gossipfl.config.experiment import Experiment
from gossipfl.config.graph_types import Graph
from gossipfl.config.loading import parse_experiment
from gossipfl.config.protection import ProtectionConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import build_schedule
from gossipfl.errors import ConfigError, TopologyError, UserError
from gossipfl.protection.terms import check_protectable

CONTENT: dict[str, Any] = {
    "model": {"source": "m"},
    "task": {"kind": "causal-lm"},
    "privacy": {"level": "none"},
    "gossip": {"protocol": "sync"},
    "protection": "masked",
}


def experiment(**changes: Any) -> Experiment:
    """Parsed from text, as a user's file is."""
    return parse_experiment(json.dumps({**CONTENT, **changes}), source="experiment.yaml")


def test_a_name_alone_is_short_for_the_kind() -> None:
    assert experiment().protection == ProtectionConfig(kind="masked")
    assert experiment(protection={"kind": "masked", "bound": 2}).protection.bound == 2
    assert not experiment(protection="plain").protection.sums_only


def test_plain_in_the_gossip_section_is_read_from_older_files() -> None:
    assert experiment(gossip={"protocol": "sync", "protection": "plain"}) == experiment()
    with pytest.raises(ConfigError, match=r"gossip\.protection"):
        experiment(gossip={"protocol": "sync", "protection": "masked"})


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown kind": ({"protection": "maskd"}, "protection.kind"),
    "protocol": ({"gossip": {"protocol": "wait_free"}}, "set gossip.protocol sync"),
    "push-sum": ({"gossip": {"protocol": "push_sum"}}, "push_sum mixes them one by one"),
    "changing schedule": ({"topology": {"schedule": "base"}}, "the same senders in every round"),
    "random senders": ({"topology": {"schedule": "epidemic"}}, "the same senders in every round"),
    "clipping mix": ({"gossip": {"protocol": "sync", "mixing": "my.mixing:clipped"}}, "looks at each of them"),
    "lossy codec": ({"gossip": {"protocol": "sync", "codec": "int8"}}, "not int8"),
    "squeezed": ({"gossip": {"protocol": "sync", "zstd": True}}, "fp32 with zstd"),
    "products": ({"adapter": {"kind": "lora", "merge": "svd"}}, "products of each neighbor"),
    "mixed ranks": ({"adapter": {"kind": "core", "mixed_ranks": True, "basis": "b"}}, "values of one layout"),
    "scale": ({"protection": {"kind": "masked", "scale_bits": 30}}, "protection.scale_bits"),
    "ring": ({"protection": {"kind": "masked", "ring_bits": 16}}, "protection.ring_bits"),
    "bound": ({"protection": {"kind": "masked", "bound": -1}}, "protection.bound"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_needs_single_contributions_is_refused_with_the_reason_in_one_line(mistake: str) -> None:
    changes, words = REFUSED[mistake]
    with pytest.raises(ConfigError, match=words) as raised:
        experiment(**changes)
    assert "\n" not in str(raised.value)
    if "protection" not in changes:
        experiment(**changes, protection="plain")


def schedule_problem(kind: str, nodes: int, **protection: Any) -> str:
    """What is said of a graph."""
    schedule = build_schedule(TopologyConfig(kind=kind), [f"n{number}" for number in range(nodes)])
    with pytest.raises(UserError) as raised:
        check_protectable(schedule, ProtectionConfig(kind="masked", **protection))
    return str(raised.value)


@pytest.mark.parametrize(("kind", "nodes"), [("ring", 8), ("complete", 3), ("star", 6), ("path", 5)])
def test_a_receiver_of_fewer_than_three_is_refused_by_name(kind: str, nodes: int) -> None:
    problem = schedule_problem(kind, nodes)
    assert "protection masked: node 'n" in problem
    assert "at least 3" in problem


def test_nodes_that_do_not_hear_whom_they_send_to_are_refused() -> None:
    assert "undirected" in schedule_problem("exponential", 16)


@pytest.mark.parametrize("light", [0.0, 1e-9, 0.002])
@pytest.mark.parametrize("kind", ["masked", "homomorphic"])
def test_neighbors_that_weigh_next_to_nothing_hide_nobody(kind: Literal["masked", "homomorphic"], light: float) -> None:
    if kind == "homomorphic":
        pytest.importorskip("tenseal", reason="extra `he`")
    graph: Graph = nx.Graph()
    graph.add_weighted_edges_from((f"n{one}", f"n{other}", 0.25) for one in range(4) for other in range(one))
    config, protection = TopologyConfig(weights="file"), ProtectionConfig(kind=kind)
    check_protectable(build_schedule(config, list(graph), graph), protection)
    # n0 hears two, and one that adds nothing to their sum
    graph.edges["n0", "n3"]["weight"] = light
    with pytest.raises(TopologyError, match="of 3 neighbors node 'n0' gives 2 a hundredth"):
        check_protectable(build_schedule(config, list(graph), graph), protection)


def test_hubs_and_their_leaves_may_weigh_as_metropolis_has_it() -> None:
    # two hubs of 42 neighbors: a leaf hears them, and two leaves, by weights eight times as large
    leaves = [f"leaf{number}" for number in range(41)]
    graph = nx.cycle_graph(leaves)
    graph.add_edges_from((hub, leaf) for hub in ("one", "other") for leaf in leaves)
    graph.add_edge("one", "other")
    schedule = build_schedule(TopologyConfig(), list(graph), graph)
    check_protectable(schedule, ProtectionConfig(kind="masked", ring_bits=64))


def test_a_sum_that_could_wrap_is_refused_with_the_inequality() -> None:
    problem = schedule_problem("complete", 33)
    assert problem.startswith("protection.bound: (neighbors + 1) · bound · 2^scale_bits = (32 + 1) · 16 · 2^22")
    assert "2^31" in problem
    schedule = build_schedule(TopologyConfig(kind="complete"), [f"n{number}" for number in range(33)])
    check_protectable(schedule, ProtectionConfig(kind="masked", ring_bits=64))
    check_protectable(schedule, ProtectionConfig(kind="masked", bound=8))


def test_a_schedule_over_time_of_the_users_own_is_refused_when_it_is_built() -> None:
    names = [f"n{number}" for number in range(8)]
    schedule = build_schedule(TopologyConfig(schedule="base", degree=3), names)
    with pytest.raises(TopologyError, match="other senders in other rounds"):
        check_protectable(schedule, ProtectionConfig(kind="masked"))
