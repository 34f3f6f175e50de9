"""Who carries bytes between two neighbors of which neither can be dialed."""

from collections.abc import Mapping, Sequence

from gossipfl.config.peers import NodeConfig
from gossipfl.core.protocol import Schedule
from gossipfl.errors import TopologyError


def relays_of(nodes: Sequence[NodeConfig], schedule: Schedule, me: str) -> Mapping[str, Sequence[NodeConfig]]:
    """By neighbor of `me` that only dials out, if `me` does so too: nodes that both exchange with and can dial.

    Raises:
        TopologyError: there is none for a neighbor.
    """
    by_name = {node.name: node for node in nodes}
    if by_name[me].address is not None:
        return {}
    hidden = [name for name in schedule.neighbors(me) if by_name[name].address is None]
    return {name: _between(by_name, schedule, me, name) for name in hidden}


def check_reachable(nodes: Sequence[NodeConfig], schedule: Schedule) -> None:
    """Returns if every two neighbors can have a link.

    Raises:
        TopologyError: as `relays_of`, of any node.
    """
    for node in nodes:
        relays_of(nodes, schedule, node.name)


def _between(nodes: Mapping[str, NodeConfig], schedule: Schedule, me: str, other: str) -> Sequence[NodeConfig]:
    common = sorted({*schedule.neighbors(me)} & {*schedule.neighbors(other)})
    found = [nodes[name] for name in common if nodes[name].address is not None]
    if not found:
        raise TopologyError(
            f"{me!r} and {other!r} are neighbors and both only dial out (no nodes.address), and nobody who can be "
            "dialed is a neighbor of both to carry their bytes: give one an address, or choose another topology"
        )
    return found
