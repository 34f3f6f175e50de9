"""Who may talk to whom: graphs, mixing weights, schedules, and how fast they agree.

graph (generated or read) ──> checked ──> weights ──> Schedule ──> row(node, round)
                                                         └──> W, λ, spectral gap
"""

from gossipfl.core.topology.figures import Figures, linked, measure, weighted
from gossipfl.core.topology.generators import GENERATORS, Generator
from gossipfl.core.topology.graphs import build_graph, check_graph
from gossipfl.core.topology.schedules import SCHEDULES, BuildSchedule, build_schedule
from gossipfl.core.topology.schedules.static import StaticSchedule
from gossipfl.core.topology.spectrum import (
    Agreement,
    agreement,
    is_doubly_stochastic,
    is_exact,
    mixing_matrix,
    second_eigenvalue,
    sparse_matrix,
    spectral_gap,
    steps_to,
)
from gossipfl.core.topology.weights import WEIGHTS, Weigh

__all__ = [
    "GENERATORS",
    "SCHEDULES",
    "WEIGHTS",
    "Agreement",
    "BuildSchedule",
    "Figures",
    "Generator",
    "StaticSchedule",
    "Weigh",
    "agreement",
    "build_graph",
    "build_schedule",
    "check_graph",
    "is_doubly_stochastic",
    "is_exact",
    "linked",
    "measure",
    "mixing_matrix",
    "second_eigenvalue",
    "sparse_matrix",
    "spectral_gap",
    "steps_to",
    "weighted",
]
