"""What attackers reckon from honest states, entry by entry."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.attacks.seam import Scene
from gossipfl.core.mixing.among import Rows, entrywise
from gossipfl.core.vector import P


def honest_states(scene: Scene[P]) -> list[P]:
    """In the order of their names."""
    return [scene.honest[name] for name in sorted(scene.honest)]


def mean_of(scene: Scene[P]) -> P:
    """Of the honest states."""
    return entrywise(honest_states(scene), _mean)


def deviation_of(scene: Scene[P]) -> P:
    """Standard deviation of the honest states, dividing by their number."""
    return entrywise(honest_states(scene), _deviation)


def _mean(rows: Rows) -> NDArray[Any]:
    return np.asarray(np.mean(rows, axis=0, dtype=np.float64))


def _deviation(rows: Rows) -> NDArray[Any]:
    return np.asarray(np.std(rows, axis=0, dtype=np.float64))
