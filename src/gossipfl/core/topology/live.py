"""The graph of those that are up: made anew, by everybody alike, whenever that changes.

names of who is up, sorted ──> generator of topology.kind ──> Metropolis–Hastings weights, doubly stochastic among them

Two nodes that take the same members to be up have the same graph; while they do not, a link that only one of them wants
does not come up, and the other's weight for it stays its own: rows are stochastic all the time, and columns again as
soon as all agree.
"""

from collections.abc import Collection

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.schedule import Row, Schedule
from gossipfl.core.topology.schedules import build_schedule
from gossipfl.core.topology.schedules.static import StaticSchedule
from gossipfl.core.topology.schedules.terms import digest_of


def live_schedule(config: TopologyConfig, up: Collection[str]) -> Schedule:
    """The static schedule of at least one node.

    Args:
        config: one that `config.membership` lets pass, so that there is a graph for any number of nodes.
        up: who is up.
    """
    names = tuple(sorted(up))
    if len(names) == 1:
        return StaticSchedule(names, {names[0]: Row({names[0]: 1.0}, ())}, {names[0]: ()})
    return build_schedule(config, names)


def rule_digest(config: TopologyConfig) -> str:
    """SHA-256 of how the graph follows from who is up, as hex: two nodes must agree on it before they meet."""
    return digest_of("live", config.kind, config.seed)
