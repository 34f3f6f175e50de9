"""Where the states of a run's nodes lie.

consensus_distance = √(Σ ‖x_i − x̄‖² / n)        over what is exchanged; the mean is that of all values
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.protocol import Mixing
from gossipfl.state import AdapterState

BLOCK = 1 << 18
"""Values of all states side by side at a time: in float64 they stay in the cache."""
WIDTH = 8192
"""Values of one state at a time, at most: BLAS starts no threads for so few, which would spin."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the states lie.

    Attributes:
        mean: x̄, (size,) float64.
        distances: (nodes,) ‖x_i − x̄‖ of the shared segments.
    """

    mean: NDArray[np.float64]
    distances: NDArray[np.float64]

    @property
    def consensus_distance(self) -> float:
        """Root of the mean squared distance."""
        return float(np.sqrt(np.mean(self.distances**2)))


def spread_of(states: Sequence[AdapterState]) -> Spread:
    """Mean and distances, in float64; some values of some nodes at a time, so that they stay in the cache."""
    nodes, size, shared = len(states), states[0].spec.size, states[0].spec.shared().size
    mean, squares = np.empty(size), np.zeros(nodes)
    width = min(size, WIDTH, max(1, BLOCK // nodes))
    scratch = np.empty((nodes, width))
    for start in range(0, size, width):
        place = slice(start, start + width)
        block = scratch[:, : min(width, size - start)]
        for row, state in zip(block, states, strict=True):
            row[:] = state.vector[place]
        mean[place] = block.sum(axis=0) / nodes
        block -= mean[place]
        exchanged = block[:, : max(0, shared - start)]
        squares += np.vecdot(exchanged, exchanged)
    return Spread(mean, np.sqrt(squares))


def spread_of_updates(
    states: Sequence[AdapterState],
    average: Callable[[Sequence[AdapterState]], AdapterState],
    distance: Callable[[AdapterState, AdapterState], float],
) -> Spread:
    """The same of states whose updates are averaged: the mean is theirs, and so are the distances.

    Nodes that agree on the updates may hold them in different factors.
    """
    mean = average(states)
    distances = np.array([distance(state, mean) for state in states])
    return Spread(mean.vector.astype(np.float64), distances)


def mean_by(mixing: Mixing[AdapterState], states: Sequence[AdapterState]) -> AdapterState:
    """What mixing makes of all states with equal weights; being whole here, also of what stays at each node."""
    share = 1 / len(states)
    # of the highest rank, if they differ: it holds most of the mean
    first, *others = sorted(states, key=lambda state: -state.spec.size)
    return mixing.mix(first, share, {str(place): (share, state) for place, state in enumerate(others)})


def spread_of_one(state: AdapterState, nodes: int) -> Spread:
    """Where so many nodes lie that all have the one state."""
    return Spread(state.vector.astype(np.float64), np.zeros(nodes))
