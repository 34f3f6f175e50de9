"""How far a node's last published state is from its neighbors': what it can see of the consensus distance.

    d_ij = ‖x̂_i − x̂_j‖        both have left their nodes: nothing is told that was not published

States of equal rounds are compared where there are such; what comes ahead of the own publication waits for it. Under
protection no state is read, and there is no distance.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.messages import Header
from gossipfl.state import AdapterState

_BLOCK = 1 << 16
"""Values at a time: no second copy of a large state."""


class Distances:
    """To the neighbors that were heard in this life."""

    def __init__(self) -> None:
        self._own: AdapterState | None = None
        self._round = -1
        self._ahead: dict[str, AdapterState] = {}
        self._found: dict[str, float] = {}

    @property
    def by_neighbor(self) -> Mapping[str, float]:
        """The last known ones."""
        return self._found

    @property
    def typical(self) -> float | None:
        """Root mean square over the neighbors; None before the first."""
        found = list(self._found.values())
        return math.sqrt(sum(each**2 for each in found) / len(found)) if found else None

    def published(self, state: AdapterState, header: Header) -> None:
        """Takes the own publication, as neighbors see it."""
        self._own, self._round = state, header.round
        for name, theirs in self._ahead.items():
            self._measure(name, theirs)
        self._ahead.clear()

    def heard(self, name: str, state: AdapterState, header: Header) -> None:
        """Takes a neighbor's publication."""
        if self._own is None or header.round > self._round:
            self._ahead[name] = state
        else:
            self._measure(name, state)

    def _measure(self, name: str, theirs: AdapterState) -> None:
        own = self._own
        # where ranks differ, states of different sizes have no distance
        if own is not None and own.vector.shape == theirs.vector.shape:
            self._found[name] = _distance(own.vector, theirs.vector)


def _distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    total = 0.0
    for start in range(0, one.size, _BLOCK):
        apart = one[start : start + _BLOCK] - other[start : start + _BLOCK]
        total += float(np.dot(apart, apart))
    return math.sqrt(total)
