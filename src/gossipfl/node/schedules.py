"""Who talks to whom, by peers.yaml."""

from gossipfl.config.graph_files import graph_for
from gossipfl.config.loading import LoadedPeers
from gossipfl.core.mixing.blocks import check_connected
from gossipfl.core.schedule import Schedule
from gossipfl.core.topology import build_schedule
from gossipfl.core.topology.live import live_schedule
from gossipfl.node.ranks import ranks_in
from gossipfl.node.relays import check_reachable
from gossipfl.protection.terms import check_protectable


def schedule_of(loaded: LoadedPeers) -> Schedule:
    """The schedule of all nodes of a peers.yaml.

    Raises:
        TopologyError: the graph cannot carry gossip, or not of all ranks, or it protects nobody, or two neighbors
            cannot reach each other.
    """
    topology, adapter = loaded.experiment.experiment.topology, loaded.experiment.experiment.adapter
    if loaded.peers.membership == "dynamic":
        return live_schedule(topology, loaded.names)
    schedule = build_schedule(topology, loaded.names, graph_for(topology, loaded.experiment.topology_folder))
    check_protectable(schedule, loaded.experiment.experiment.protection)
    check_reachable(loaded.peers.nodes, schedule)
    if adapter.mixed_ranks and adapter.kind == "core":
        check_connected(schedule, ranks_in(loaded))
    return schedule
