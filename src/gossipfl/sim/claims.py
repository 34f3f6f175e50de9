"""What may be claimed of a run before it begins: how fast nodes agree, and from which round on they hold the mean."""

import math

from scipy import sparse

from gossipfl.core.codecs import build_codec
from gossipfl.core.mixing import is_linear
from gossipfl.core.protocol import Mixing, Schedule
from gossipfl.core.topology import is_doubly_stochastic, is_exact, second_eigenvalue, sparse_matrix
from gossipfl.sim.nodes import Course, Setting
from gossipfl.state import AdapterState


def lambda_of(setting: Setting, schedule: Schedule, mixing: Mixing[AdapterState]) -> float | None:
    """λ of mixing that is the same in every round and keeps the mean, γ counted in; None for others."""
    if schedule.period != 1 or not _goes_by_matrices(setting, mixing):
        return None
    matrix = sparse_matrix(schedule, 0)
    if not is_doubly_stochastic(matrix):
        return None
    rate = setting.gossip.rate
    return second_eigenvalue(sparse.csr_array(rate * matrix + (1 - rate) * sparse.eye_array(matrix.shape[0])))


def exact_from(setting: Setting, schedule: Schedule, course: Course) -> int | None:
    """The round from which on every node holds the mean while nobody is missed; None: there is none.

    It ends the first whole period after the last training. Rounds have to be kept together, and nothing may be lost in
    encoding.
    """
    gossip = setting.gossip
    whole = gossip.protocol == "sync" and gossip.rate == 1.0 and _goes_by_matrices(setting, course.mixing)
    if schedule.period is None or not whole or not is_exact(schedule):
        return None
    trained = max(course.phases - 1, 0) * gossip.rounds_per_phase
    period = schedule.period
    reached = (math.ceil(trained / period) + 1) * period
    return reached if reached <= course.phases * gossip.rounds_per_phase + gossip.settle_rounds else None


def _goes_by_matrices(setting: Setting, mixing: Mixing[AdapterState]) -> bool:
    """Whether what is averaged gets the weights of the schedule, of what everybody has."""
    lossless = build_codec(setting.gossip).exact
    return lossless and is_linear(mixing) and not setting.simulation.attackers.active
