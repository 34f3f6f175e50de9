"""Who shares an edge with whom, both ways."""

from gossipfl.core.protocol import Schedule
from gossipfl.errors import TopologyError


def mutual_links(schedule: Schedule) -> dict[str, tuple[str, ...]]:
    """Neighbors of every node of a static schedule, sorted.

    Raises:
        TopologyError: an edge goes one way only, so that what one end adds the other cannot take away.
    """
    links = {}
    for node in schedule.nodes:
        row = schedule.row(node, 0)
        heard = set(row.weights) - {node}
        if heard != set(row.receivers):
            one_way = min(heard ^ set(row.receivers))
            raise TopologyError(
                f"privacy.level correlated: the edge of {node} and {one_way} goes one way; an undirected graph was "
                "expected, at both ends of whose edges noise is added and taken away"
            )
        links[node] = tuple(sorted(heard))
    return links
