"""Who talks to whom in which round, by the name in `topology.schedule`.

name                   links            a round                                    repeats after   exact mean
static                 topology.kind    every edge                                 1               complete graph
one_peer_exponential   its own          hear one: (i + 2^t) mod n                  ⌈log₂ n⌉        n = 2^k
base                   its own          at most `degree` peers                     ≤ 2 log n + 2   always
graphs                 topology.kind    the edges of the file's next graph         after them all  hardly ever
random_edge            topology.kind    one random edge, everybody else rests      never           no
random_matching        everybody        random pairs                               never           no
random_regular         everybody        meet `degree` random peers                 never           no
epidemic               everybody        send to `degree` random peers              never           no

Schedules other than static are keyed by the round, so nodes have to count rounds together: they go with `sync`.
"""

from collections.abc import Callable, Mapping, Sequence

from gossipfl.config.graph_types import Given
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Schedule
from gossipfl.core.tables import resolve
from gossipfl.core.topology.schedules.base import base
from gossipfl.core.topology.schedules.epidemic import epidemic
from gossipfl.core.topology.schedules.graph_list import graph_list
from gossipfl.core.topology.schedules.one_peer_exponential import one_peer_exponential
from gossipfl.core.topology.schedules.random_edge import random_edge
from gossipfl.core.topology.schedules.random_matching import random_matching
from gossipfl.core.topology.schedules.random_regular import random_regular
from gossipfl.core.topology.schedules.static import static

BuildSchedule = Callable[[TopologyConfig, Sequence[str], Given], Schedule]
"""Settings, nodes in the order of peers.yaml, and the graph or graphs of a file if there is one, to a schedule."""

SCHEDULES: Mapping[str, BuildSchedule] = {
    "static": static,
    "one_peer_exponential": one_peer_exponential,
    "base": base,
    "graphs": graph_list,
    "random_edge": random_edge,
    "random_matching": random_matching,
    "random_regular": random_regular,
    "epidemic": epidemic,
}
"""By configuration name."""


def build_schedule(config: TopologyConfig, names: Sequence[str], graph: Given = None) -> Schedule:
    """The schedule of an experiment.

    Args:
        names: every node, in the order of peers.yaml.
        graph: as in `build_graph`.

    Raises:
        ConfigError: a name that no table knows.
        TopologyError: the graph cannot carry gossip, or the schedule is of another mind than the settings.
    """
    build = resolve(SCHEDULES, config.schedule, field="topology.schedule")
    return build(config, names, graph)
