"""What the schedules of this package have in common: a digest, and settings that they refuse."""

import hashlib
import json
from collections.abc import Sequence

from gossipfl.config.graph_types import Given
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology.graphs import check_count
from gossipfl.errors import TopologyError


def digest_of(*parts: object) -> str:
    """SHA-256 of what JSON can write, as hex."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def others_of(nodes: Sequence[str], node: str) -> tuple[str, ...]:
    """All nodes but one, sorted: the links of a schedule in which everybody may meet everybody."""
    return tuple(sorted(name for name in nodes if name != node))


def check_degree(degree: int, names: Sequence[str]) -> None:
    """Raises `TopologyError` when a node is to meet more in a round than there are others."""
    if degree >= len(names):
        raise TopologyError(
            f"topology.degree: a node of {len(names)} has {len(names) - 1} others to meet, not {degree}"
        )


def refuse_weights(config: TopologyConfig) -> None:
    """Raises `TopologyError` when weights are chosen for a schedule that brings its own."""
    if config.weights != "auto":
        raise TopologyError(
            f"topology.weights: {config.schedule} has weights of its own: leave it auto, not {config.weights}"
        )


def refuse_graph(config: TopologyConfig, names: Sequence[str], graph: Given) -> None:
    """Raises `TopologyError` unless the settings fit a schedule that links the nodes by itself.

    A generator's name in `topology.kind` may be a default and does not count. A file says who is able to talk to whom:
    a schedule that would not keep to it is refused.
    """
    check_count(names)
    refuse_weights(config)
    if graph is not None:
        raise TopologyError(
            f"topology.schedule: {config.schedule} links the nodes by itself and would not keep to {config.kind}: "
            "leave topology.kind out, or take static or random_edge"
        )
