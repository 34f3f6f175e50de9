"""Graphs by name, on the nodes 0 … n−1.

    "ring" ──> ring(n, config) ──> nx.Graph, or nx.DiGraph whose edge u → v means that u sends to v

Random ones depend on `topology.seed` only, and are drawn again until they are connected.
"""

import math
from collections.abc import Callable, Mapping

import networkx as nx

from gossipfl.config.graph_types import NumberedGraph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.rng import derive_seed
from gossipfl.errors import TopologyError

Generator = Callable[[int, TopologyConfig], NumberedGraph]
"""Number of nodes (2 or more) and settings to a graph; raises `TopologyError` for an n it cannot make."""

LARGEST_DRAWS = 100


def ring(nodes: int, _config: TopologyConfig) -> NumberedGraph:
    """Each node with two neighbors in a circle."""
    made: NumberedGraph = nx.cycle_graph(nodes)
    return made


def path(nodes: int, _config: TopologyConfig) -> NumberedGraph:
    """A line."""
    made: NumberedGraph = nx.path_graph(nodes)
    return made


def complete(nodes: int, _config: TopologyConfig) -> NumberedGraph:
    """Everybody with everybody."""
    made: NumberedGraph = nx.complete_graph(nodes)
    return made


def star(nodes: int, _config: TopologyConfig) -> NumberedGraph:
    """The first node with each other."""
    made: NumberedGraph = nx.star_graph(nodes - 1)
    return made


def grid(nodes: int, config: TopologyConfig) -> NumberedGraph:
    """Rows and columns, row by row."""
    return nx.convert_node_labels_to_integers(nx.grid_2d_graph(*_shape(nodes, config)), ordering="sorted")


def torus(nodes: int, config: TopologyConfig) -> NumberedGraph:
    """A grid whose edges are joined."""
    made = nx.grid_2d_graph(*_shape(nodes, config), periodic=True)
    return nx.convert_node_labels_to_integers(made, ordering="sorted")


def hypercube(nodes: int, _config: TopologyConfig) -> NumberedGraph:
    """Nodes whose binary numbers differ in one digit."""
    dimensions = nodes.bit_length() - 1
    if nodes != 2**dimensions:
        raise TopologyError(f"topology.kind: a hypercube needs a power of two nodes, not {nodes}")
    return nx.convert_node_labels_to_integers(nx.hypercube_graph(dimensions), ordering="sorted")


def erdos_renyi(nodes: int, config: TopologyConfig) -> NumberedGraph:
    """Each edge with the same probability."""
    default = min(1.0, 2 * math.log(nodes) / nodes)
    chance = default if config.probability is None else config.probability
    # the fast algorithm visits edges only, but cannot make a complete graph
    draw = nx.gnp_random_graph if chance >= 1 else nx.fast_gnp_random_graph
    return _connected(lambda seed: draw(nodes, chance, seed=seed), config)


def watts_strogatz(nodes: int, config: TopologyConfig) -> NumberedGraph:
    """A ring of `degree` nearest neighbors with edges rewired at random: a small world."""
    degree = config.degree or (4 if nodes > 4 else 2)
    if degree % 2 or not degree < nodes:
        raise TopologyError(
            f"topology.degree: watts_strogatz on {nodes} nodes needs an even number below {nodes}, not {degree}"
        )
    chance = 0.1 if config.probability is None else config.probability
    return _connected(lambda seed: nx.watts_strogatz_graph(nodes, degree, chance, seed=seed), config)


def barabasi_albert(nodes: int, config: TopologyConfig) -> NumberedGraph:
    """Each node joins with `degree` edges, preferring nodes that have many: a few hubs."""
    degree = config.degree or min(2, nodes - 1)
    if not degree < nodes:
        raise TopologyError(
            f"topology.degree: barabasi_albert on {nodes} nodes needs a number below {nodes}, not {degree}"
        )
    return _connected(lambda seed: nx.barabasi_albert_graph(nodes, degree, seed=seed), config)


def random_regular(nodes: int, config: TopologyConfig) -> NumberedGraph:
    """Each node with `degree` random neighbors."""
    degree = regular_degree(nodes, config)
    return _connected(lambda seed: regular_graph(degree, nodes, seed), config)


def exponential(nodes: int, config: TopologyConfig) -> NumberedGraph:
    """Node i receives from i+1, i+2, i+4, …: directed, as few hops as log₂ n.

    Source: Ying et al. (2021), the static exponential graph.
    """
    longest = (nodes - 1).bit_length()
    hops = config.degree or longest
    if hops > longest:
        raise TopologyError(f"topology.degree: the exponential graph of {nodes} nodes has {longest} hops, not {hops}")
    edges = [((node + 2**hop) % nodes, node) for node in range(nodes) for hop in range(hops)]
    return nx.DiGraph(edges)


def regular_degree(nodes: int, config: TopologyConfig) -> int:
    """Neighbors of every node in a random regular graph, by default 3, or 4 for an odd number of nodes.

    Raises:
        TopologyError: no graph on so many nodes has it.
    """
    degree = config.degree or min(nodes - 1, 3 if nodes % 2 == 0 else 4)
    if degree >= nodes or degree * nodes % 2:
        raise TopologyError(
            f"topology.degree: random_regular on {nodes} nodes needs a number below {nodes} "
            f"that makes degree × nodes even, not {degree}"
        )
    return degree


def regular_graph(degree: int, nodes: int, seed: int) -> NumberedGraph:
    """A random graph in which every node has `degree` neighbors; it need not be connected.

    Args:
        degree: one that `regular_degree` allows.

    Source: Steger & Wormald (1999), whose pairing hardly ever ends where most pairs are wanted: the others are drawn.
    """
    unwanted = nodes - 1 - degree
    drawn: NumberedGraph = nx.random_regular_graph(min(degree, unwanted), nodes, seed=seed)
    wanted: NumberedGraph = nx.complement(drawn) if unwanted < degree else drawn
    return wanted


GENERATORS: Mapping[str, Generator] = {
    "ring": ring,
    "path": path,
    "complete": complete,
    "star": star,
    "grid": grid,
    "torus": torus,
    "hypercube": hypercube,
    "erdos_renyi": erdos_renyi,
    "watts_strogatz": watts_strogatz,
    "barabasi_albert": barabasi_albert,
    "random_regular": random_regular,
    "exponential": exponential,
}
"""By configuration name."""


def _shape(nodes: int, config: TopologyConfig) -> tuple[int, int]:
    """Rows and columns as given, or as square as the number of nodes allows."""
    if config.shape:
        if len(config.shape) != 2 or math.prod(config.shape) != nodes:
            raise TopologyError(f"topology.shape: {list(config.shape)} is not rows × columns of {nodes} nodes")
        return config.shape[0], config.shape[1]
    rows = max(side for side in range(1, math.isqrt(nodes) + 1) if nodes % side == 0)
    if rows == 1:
        raise TopologyError(
            f"topology.kind: {config.kind} needs rows and columns, {nodes} nodes make one row only: take ring or path"
        )
    return rows, nodes // rows


def _connected(draw: Callable[[int], NumberedGraph], config: TopologyConfig) -> NumberedGraph:
    for attempt in range(LARGEST_DRAWS):
        graph = draw(derive_seed(config.seed, purpose="topology", step=attempt))
        if nx.is_connected(graph):
            return graph
    raise TopologyError(
        f"topology.kind: none of {LARGEST_DRAWS} draws of {config.kind} is connected: "
        "raise topology.probability or topology.degree"
    )
