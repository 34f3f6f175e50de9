"""experiment.yaml, `topology`: who may talk to whom, and when."""

from typing import Annotated

from pydantic import Field

from gossipfl.config.section import Choice, NonNegativeInt, PositiveInt, Section


class TopologyConfig(Section):
    """Who may talk to whom."""

    kind: str = "ring"
    """A generator's name, or a graph file (GraphML, GML, edge or adjacency list, node-link JSON, YAML edges).
    one_peer_exponential, base, random_matching, random_regular and epidemic link the nodes by themselves: with them a
    generator's name does not count, and a file is refused."""
    schedule: Choice = "static"
    """static: every edge in every round. Round by round, with gossip.protocol sync: one_peer_exponential: one message
    each, exact after log2(n) rounds where n is a power of two; base: at most `degree` peers each, exact for any n;
    random_edge: one random edge; random_matching: random pairs; random_regular: each meets `degree` random others;
    epidemic: each sends to `degree` random others."""
    weights: Choice = "auto"
    """static: metropolis (symmetric, doubly stochastic), the choice of auto on an undirected graph, or uniform, its
    choice on a directed one. The other schedules have weights of their own and want auto."""
    degree: PositiveInt | None = None
    """random_regular (as kind and as schedule), watts_strogatz: neighbors; barabasi_albert: edges a node joins with;
    exponential: hops; schedule base: peers a round at most, default 1; schedule epidemic: messages a node sends in a
    round, default ⌈log2 n⌉. More agrees in fewer rounds and sends more."""
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    """erdos_renyi: of an edge, default 2 ln(n)/n; watts_strogatz: of rewiring, default 0.1."""
    shape: tuple[PositiveInt, ...] = ()
    """grid, torus: rows and columns; default: as square as the number of nodes allows."""
    seed: NonNegativeInt = 0
    """Of random graphs and random schedules; equal on all nodes."""
