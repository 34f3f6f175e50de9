"""experiment.yaml, `topology`: who may talk to whom, and when."""

from typing import Annotated

from pydantic import Field

from gossipfl.config.section import Choice, NonNegativeInt, PositiveInt, Section


class TopologyConfig(Section):
    """Who may talk to whom."""

    kind: str = "ring"
    """A generator's name, or a graph file (GraphML, GML, edge or adjacency list, node-link JSON, YAML edges); for
    schedule graphs a .yaml or .json file with a list of graphs.
    one_peer_exponential, base, random_matching, random_regular and epidemic link the nodes by themselves: with them a
    generator's name does not count, and a file is refused."""
    schedule: Choice = "static"
    """static: every edge in every round. Round by round, with gossip.protocol sync: one_peer_exponential: one message
    each, exact after log2(n) rounds for a power of two nodes; base: at most `degree` peers each, exact for any n;
    graphs: a file's graphs in turn; random_edge: one random edge; random_matching: random pairs; random_regular: each
    meets `degree` random others; epidemic: each sends to `degree` random others."""
    weights: Choice = "auto"
    """static, graphs: metropolis (symmetric, doubly stochastic), the choice of auto on an undirected graph; uniform,
    its choice on a directed one; optimal: agrees in the fewest rounds, undirected, up to 80 nodes, extra `optimal`;
    file: the edges' attribute `weight` in the graph file. The other schedules have weights of their own and want
    auto."""
    degree: PositiveInt | None = None
    """random_regular (as kind and as schedule), watts_strogatz: neighbors; barabasi_albert: edges a node joins with;
    exponential: hops; schedule base: peers a round at most, default 1; schedule epidemic: messages a node sends in a
    round, default ⌈log2 n⌉. More agrees in fewer rounds and sends more."""
    inexact: bool = False
    """one_peer_exponential: also for a number of nodes that is no power of two, where it only approaches the mean."""
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    """erdos_renyi: of an edge, default 2 ln(n)/n; watts_strogatz: of rewiring, default 0.1."""
    shape: tuple[PositiveInt, ...] = ()
    """grid, torus: rows and columns; default: as square as the number of nodes allows."""
    seed: NonNegativeInt = 0
    """Of random graphs and random schedules; equal on all nodes."""
