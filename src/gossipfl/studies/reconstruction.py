"""The knowledge-matrix attack: what each node of an experiment could solve for from all that it receives.

    experiment ── the protocol's own code, on combinations of contributions ──> what every node receives
    of each observer: its equations, less its own contributions ── core.knowledge.solve ──> others' contributions

A contribution is what one phase of training adds to one node's state; without training (`training: none`) the vector
that a node starts with. Contributions are of size one, drawn at random; noise is that of the node, before anything is
published. Graph, weights and the order of events are known to the observer. Codecs are left out: what they lose is
noise that nobody accounts for, so nothing is claimed of it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

import networkx as nx
import numpy as np

from gossipfl.config.graph_types import Graph
from gossipfl.config.loading import LoadedAveraging, LoadedExperiment
from gossipfl.core.knowledge import Combination, Floats, Solution, solve
from gossipfl.core.protocol import Schedule
from gossipfl.core.rng import generator
from gossipfl.errors import ConfigError
from gossipfl.sim.nodes import Setting, schedule_for
from gossipfl.studies.reconstruction_world import Contributions, seen_by_all, setting_of


@dataclass(frozen=True, slots=True)
class View:
    """What one node could find out of another.

    Attributes:
        observer, node: who, and of whom.
        distance: links between them in the graph.
        contributions: of the node.
        determined: how many of them the observer's equations determine.
        error: largest |found − true| of those, contributions being of size one; None where there are none.
        noise_error: largest |found − (true + noise)| of them.
    """

    observer: str
    node: str
    distance: int
    contributions: int
    determined: int
    error: float | None
    noise_error: float | None


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What an attack came to.

    Attributes:
        graph: who talks to whom.
        noise: deviation of the noise in each contribution.
        views: of every observer on every other node.
    """

    graph: Graph
    noise: float
    views: tuple[View, ...]

    def by_distance(self) -> list[tuple[str, int, int, int, int, float | None, float | None]]:
        """Observer, distance, nodes at it, their contributions, how many are determined, both largest errors."""
        rows = []
        for key, group in groupby(sorted(self.views, key=_key), key=_key):
            views = list(group)
            counts = (len(views), sum(view.contributions for view in views), sum(view.determined for view in views))
            rows.append(
                (*key, *counts, _worst(view.error for view in views), _worst(view.noise_error for view in views))
            )
        return rows

    def as_json(self) -> dict[str, object]:
        """The command's result."""
        return {
            "contributions": sum(view.contributions for view in self.views),
            "determined": sum(view.determined for view in self.views),
            "error": _worst(view.error for view in self.views),
            "noise": self.noise,
            "noise_error": _worst(view.noise_error for view in self.views),
            "views": [asdict(view) for view in self.views],
        }


def _key(view: View) -> tuple[str, int]:
    return view.observer, view.distance


def _worst(errors: Iterable[float | None]) -> float | None:
    return max((error for error in errors if error is not None), default=None)


def reconstruct(
    loaded: LoadedExperiment | LoadedAveraging, *, observers: Sequence[str] = (), noise: float | None = None
) -> Reconstruction:
    """Simulates an experiment's gossip and attacks it from the inside.

    Args:
        observers: nodes that try; default all.
        noise: deviation of the noise in each contribution, the contribution's size being one; None: as the
            experiment says.

    Raises:
        ConfigError: there is no such observer, or the experiment does not say its noise without its data.
    """
    setting = setting_of(loaded)
    for name in observers:
        if name not in setting.names:
            raise ConfigError(f"--observer {name}: no such node; known: {', '.join(setting.names)}")
    phases = 0 if isinstance(loaded, LoadedAveraging) else loaded.experiment.training.phases
    deviation = noise_of(loaded) if noise is None else noise
    truth = _drawn(setting, "contributions", max(phases, 1))
    contributed = Contributions(phases, truth + deviation * _drawn(setting, "noise", max(phases, 1)))
    seen = seen_by_all(setting, contributed)
    graph = _graph(schedule_for(setting))
    tried = observers or setting.names
    views = [view for name in tried for view in _views(name, seen[name], graph, contributed, truth)]
    return Reconstruction(graph, deviation, tuple(views))


def noise_of(loaded: LoadedExperiment | LoadedAveraging) -> float:
    """Deviation of the noise in one contribution.

    In units of the clipping norm: what one record, at level update a node's data, may add to a contribution at most.

    Raises:
        ConfigError: the noise follows from how many records a node has.
    """
    if isinstance(loaded, LoadedAveraging) or loaded.experiment.privacy.level == "none":
        return 0.0
    privacy, training = loaded.experiment.privacy, loaded.experiment.training
    if privacy.noise_multiplier is None:
        raise ConfigError(
            f"{loaded.path}: privacy: the noise follows from a target and the number of records; give --noise, the "
            "noise multiplier that gossipfl check or gossipfl privacy plan says"
        )
    return privacy.noise_multiplier * math.sqrt(training.local_steps if privacy.noises_steps else 1)


def _drawn(setting: Setting, purpose: str, phases: int) -> Floats:
    """(nodes, phases) standard normals."""
    draw = generator(setting.seed, purpose=f"reconstruction {purpose}")
    return draw.standard_normal((len(setting.names), phases))


def _graph(schedule: Schedule) -> Graph:
    graph: Graph = nx.Graph()
    graph.add_nodes_from(schedule.nodes)
    graph.add_edges_from((name, other) for name in schedule.nodes for other in schedule.neighbors(name))
    return graph


def _views(
    observer: str, seen: Sequence[Combination], graph: Graph, contributed: Contributions, truth: Floats
) -> list[View]:
    names = list(graph)
    own = names.index(observer)
    solution = solve([contributed.without(own, each) for each in seen], contributed.unknowns)
    distances: Mapping[str, int] = nx.single_source_shortest_path_length(graph, observer)
    return [
        _view(
            observer,
            name,
            distances.get(name, -1),
            _of_node(solution, contributed, place),
            (truth[place], contributed.values[place]),
        )
        for place, name in enumerate(names)
        if name != observer
    ]


def _of_node(solution: Solution, contributed: Contributions, place: int) -> Solution:
    part = contributed.places(place)
    return Solution(solution.determined[part], solution.estimates[part])


def _view(observer: str, node: str, distance: int, found: Solution, of_node: tuple[Floats, Floats]) -> View:
    truth, published = of_node
    known = found.determined
    errors = [_largest(found.estimates[known] - values[known]) for values in (truth, published)]
    return View(observer, node, distance, len(known), int(known.sum()), *errors)


def _largest(errors: Floats) -> float | None:
    return float(np.abs(errors).max()) if len(errors) else None
