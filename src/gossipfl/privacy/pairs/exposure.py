"""What correlated noise is worth against whom: the noise multiplier that each adversary still faces.

    node i publishes   u_i + N(0, s_i²) + Σ_j ±v_ij,    v_ij = −v_ji ~ N(0, p²)      in units of the clipping norm C
    covariance of all nodes' noise:   Σ = diag(s²) + p²·L,    L the graph's Laplacian
    what is left of it for one who sees all messages and wants u_i:   σ_eff = [(Σ⁻¹)_ii]^(−1/2)

Whitened by Σ, the release is a Gaussian one of sensitivity C and deviation σ_eff·C, exactly: so it composes, and is
charged, like any other. A node knows the pair noise of its own edges: who colludes is deleted from the graph.

    outsider          sees every message, knows no pair noise
    one neighbor      the worst of them
    all neighbors     together they know all pair noise of i: what is left is s_i, as without any

What is missing at run time never raises these ε. A pair term whose other end was not published, or was drawn from
another seed (a crash, a lost link), stands alone: an off-diagonal entry −p² of Σ becomes 0. Σ is an M-matrix, and the
inverse of a larger M-matrix is smaller, entry by entry. A message that was not seen leaves a part of Σ: its inverse is
smaller too. Only a term that is left out would cost more, so that a node adds one for every edge, always. What stays
behind is noise: deviation p·C for each end that has lost its other.

Source: Allouah, Koloskova, El Firdoussi, Jaggi & Guerraoui (2024); M-matrices: Berman & Plemmons (1994), chapter 6.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Links = Mapping[str, Collection[str]]
"""Neighbors of each node, both ways."""
NEAREST = 200
"""Nodes of the graph that are looked at: leaving out those farther away leaves out noise, which only overstates ε."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Noise multipliers of one node's release.

    Attributes:
        outsider: against who sees every message of every node.
        neighbor: against any one neighbor, with that too.
        neighbors: against all its neighbors together: its own noise.
    """

    outsider: float
    neighbor: float
    neighbors: float


def exposure(links: Links, node: str, *, own: float, others: float, pair: float) -> Exposure:
    """What adversaries still face of a node's noise.

    Args:
        own: s of this node; over C, as all of these.
        others: the least s of the other nodes.
        pair: p.
    """
    near = list(islice(_nearest(links, node), NEAREST))
    linked = _adjacency(links, near)
    base = np.full(len(near), others**2)
    base[0] = own**2
    colluders = [near.index(neighbor) for neighbor in links[node] if neighbor in near]
    # a neighbor that is not looked at has given no noise
    weakest = min((_effective(_without(linked, k), np.delete(base, k), pair) for k in colluders), default=own)
    return Exposure(_effective(linked, base, pair), weakest, own)


def _without(linked: Matrix, node: int) -> Matrix:
    return np.delete(np.delete(linked, node, 0), node, 1)


def _adjacency(links: Links, near: list[str]) -> Matrix:
    place = {name: number for number, name in enumerate(near)}
    linked = np.zeros((len(near), len(near)))
    for name in near:
        linked[place[name], [place[other] for other in links[name] if other in place]] = 1.0
    return linked


def _effective(linked: Matrix, base: Matrix, pair: float) -> float:
    """σ_eff of the first of some nodes."""
    covariance = -(pair**2) * linked
    covariance[np.diag_indices_from(covariance)] = base + pair**2 * linked.sum(1)
    wanted = np.zeros(len(base))
    wanted[0] = 1.0
    return 1 / math.sqrt(float(np.linalg.solve(covariance, wanted)[0]))


def _nearest(links: Links, node: str) -> Iterator[str]:
    """The node, then the others by distance."""
    seen, ring = {node}, [node]
    while ring:
        yield from ring
        following = list(dict.fromkeys(other for name in ring for other in links[name] if other not in seen))
        seen.update(following)
        ring = following
