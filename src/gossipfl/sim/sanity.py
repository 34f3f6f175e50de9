"""What a user should know of a simulation before it runs."""

import logging
from collections.abc import Collection

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.named_nodes import refuse_strangers
from gossipfl.config.simulation import SimulationConfig
from gossipfl.core.attacks.protocols import check_protocol
from gossipfl.errors import ConfigError

logger = logging.getLogger(__name__)


def check_names(simulation: SimulationConfig) -> None:
    """Returns if every node that is named is there.

    Raises:
        ConfigError: one is not.
    """
    places: dict[str, Collection[str]] = {
        "compute.slow": simulation.compute.slow,
        "attackers.nodes": simulation.attackers.nodes,
        "availability.joins": simulation.availability.joins,
    }
    for place, named in places.items():
        refuse_strangers(named, simulation.names, field=f"simulation.{place}")


def check_joins(simulation: SimulationConfig, gossip: GossipConfig) -> None:
    """Whoever joins finds somebody there, under a protocol that knows newcomers, in a run that ends.

    Raises:
        ConfigError: nobody is there from the beginning, it knows none, or the run has no end.
    """
    joins = simulation.availability.joins
    if joins and gossip.protocol != "wait_free":
        raise ConfigError(
            f"simulation.availability.joins: gossip.protocol wait_free was expected, not {gossip.protocol}"
        )
    if joins and simulation.until_s is None:
        raise ConfigError(
            "simulation.availability.joins: simulation.until_s was expected: whoever comes when all are through waits "
            "for them for ever"
        )
    late = max(joins, key=lambda name: joins[name], default=None)
    if late is not None and simulation.until_s is not None and joins[late] >= simulation.until_s:
        ends = f"simulation.until_s ends the run at {simulation.until_s:g} s"
        raise ConfigError(f"simulation.availability.joins: {late} joins at {joins[late]:g} s, and {ends}")
    if {*joins} >= {*simulation.names}:
        raise ConfigError("simulation.availability.joins: all nodes join; one was expected that is there before")


def check_attackers(simulation: SimulationConfig, gossip: GossipConfig) -> None:
    """Somebody is honest, and attackers know a lie for the protocol.

    Raises:
        ConfigError: they do not, or nobody is.
    """
    attackers = simulation.attackers
    if attackers.active >= {*simulation.names}:
        raise ConfigError("simulation.attackers.nodes: all nodes attack; one at least was expected that does not")
    check_protocol(attackers, gossip, field="simulation.attackers.kind")


def warn_of_no_end(simulation: SimulationConfig, gossip: GossipConfig) -> None:
    """Says where nodes never agree, or never end."""
    availability = simulation.availability
    if any(partition.until_s is None for partition in availability.partitions):
        logger.warning("simulation.availability.partitions: one never heals, so its sides end apart")
    # a restart begins to settle anew
    settles_anew = availability.kind == "churn" and gossip.protocol == "wait_free" and gossip.settle_rounds > 0
    if settles_anew and simulation.until_s is None and availability.up_s < gossip.deadline_s:
        logger.warning(
            "simulation.availability.up_s: %g is less than gossip.deadline_s %g, so nodes may never stay up for long "
            "enough to settle; simulation.until_s ends the run",
            availability.up_s,
            gossip.deadline_s,
        )
