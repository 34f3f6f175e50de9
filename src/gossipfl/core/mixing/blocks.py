"""Mixing of cores of several ranks: R of rank r is the leading block of every larger one.

    s_i R_i[a, b] ← s_i R_i[a, b] + Σ_j w_ij (s_j R_j[a, b] − s_i R_i[a, b])        over the j that have (a, b)

U and V are the leading singular vectors of one public basis, so that equal places mean the same. What an entry would
get of a node that does not have it falls to the own value: with symmetric weights the mean over those that have it is
kept, and they agree on it if the nodes of at least each rank are connected among themselves. Scales differ by rank:
s·R is averaged.

Source: the core, LoRA-XS, Bałazy et al. (2405.17604); mixed ranks by leading parts, HetLoRA, Cho et al. (2401.06432).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from gossipfl.core.factors import CORE
from gossipfl.core.mixing.products import Scale, aligned
from gossipfl.core.protocol import Schedule
from gossipfl.errors import TopologyError
from gossipfl.state import AdapterState


@dataclass(frozen=True, slots=True)
class LeadingBlocks:
    """Averages what the ranks have in common; see `Mixing`.

    Attributes:
        scale: of the cores, by their rank.

    Guarantees:
        Every entry of the new s·R lies between the smallest and the largest of those that have it.
    """

    scale: Scale

    def mix(
        self,
        own: AdapterState,
        own_weight: float,  # noqa: ARG002  # it follows from the others
        contributions: Mapping[str, tuple[float, AdapterState]],
    ) -> AdapterState:
        """New own state; all weights, own among them, sum to 1."""
        others = list(contributions.values())
        mixed = own.toward([(weight, aligned(state, own)) for weight, state in others]).vector.copy()
        for name in cores(own):
            block = _block(own, name)
            total = block.copy()
            for weight, state in others:
                theirs = _block(state, name)
                common = min(len(block), len(theirs))
                ratio = self.scale(len(theirs)) / self.scale(len(block))
                step = ratio * theirs[:common, :common] - block[:common, :common]
                total[:common, :common] += weight * step
            mixed[own.spec.slices[name]] = total.reshape(-1)
        return AdapterState(own.spec, mixed)


def mean_of_blocks(states: Sequence[AdapterState], scale: Scale) -> AdapterState:
    """The mean at the highest rank: every entry of s·R is that over the states that have it."""
    largest, *others = sorted(states, key=lambda state: -cores_rank(state))
    mean = largest.toward([(1 / len(states), aligned(state, largest)) for state in others]).vector.copy()
    for name in cores(largest):
        total, having = np.zeros((2, *largest.segment(name).shape))
        for state in states:
            rank = len(state.segment(name))
            total[:rank, :rank] += scale(rank) * _block(state, name)
            having[:rank, :rank] += 1
        mean[largest.spec.slices[name]] = (total / having / scale(len(total))).reshape(-1)
    return AdapterState(largest.spec, mean)


def cores(state: AdapterState) -> list[str]:
    """Names of the exchanged cores."""
    return [segment.name for segment in state.spec.shared().segments if segment.name.endswith(CORE)]


def cores_rank(state: AdapterState) -> int:
    """Rank of the exchanged cores; 0 without any."""
    return max((len(state.segment(name)) for name in cores(state)), default=0)


def block_distance(one: AdapterState, other: AdapterState, scale: Scale) -> float:
    """How far a state is from another in all that both have."""
    squares = 0.0
    for segment in one.spec.shared().segments:
        mine, theirs = _block(one, segment.name), _block(other, segment.name)
        if segment.name.endswith(CORE):
            common = min(len(mine), len(theirs))
            mine = scale(len(mine)) * mine[:common, :common]
            theirs = scale(len(theirs)) * theirs[:common, :common]
        squares += float(np.sum((mine - theirs) ** 2))
    return float(np.sqrt(squares))


def check_connected(schedule: Schedule, ranks: Mapping[str, int]) -> None:
    """Whether all nodes of at least each rank reach each other without the others.

    Raises:
        TopologyError: they do not: entries that only they have would never be agreed on.
    """
    graph = nx.Graph((node, other) for node in schedule.nodes for other in schedule.neighbors(node))
    for rank in sorted(set(ranks.values())):
        nodes = [name for name in schedule.nodes if ranks[name] >= rank]
        part = graph.subgraph(nodes)
        if len(nodes) > 1 and (part.number_of_nodes() < len(nodes) or not nx.is_connected(part)):
            raise TopologyError(
                f"adapter.mixed_ranks: the nodes of rank {rank} or more ({', '.join(nodes[:8])}) are not connected "
                "without the others; what only they have would not be averaged"
            )


def _block(state: AdapterState, name: str) -> NDArray[np.float64]:
    return state.segment(name).astype(np.float64)
