"""Where the nodes stand on the page: equal graphs look alike."""

from collections.abc import Sequence

import networkx as nx

from gossipfl.node.network_view import Link

CIRCLE = 16
"""More nodes than these are placed by their distances in the graph, so that clusters are seen as such."""
LARGEST_EXACT = 150


def positions(names: Sequence[str], links: Sequence[Link]) -> dict[str, tuple[float, float]]:
    """By node, x and y from -1 to 1; the first one on top, clockwise, where they stand on a circle."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(names)
    graph.add_edges_from(links)
    circle = nx.circular_layout(graph)
    if not CIRCLE < len(names) <= LARGEST_EXACT or not nx.is_connected(graph):
        return {name: (float(y), float(-x)) for name, (x, y) in circle.items()}
    placed = nx.kamada_kawai_layout(graph, pos=circle)
    return {name: (float(x), float(y)) for name, (x, y) in placed.items()}
