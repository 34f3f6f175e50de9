"""`simulation.periods`: what data comes to which simulated node before which phase.

a node's part of data.source ── by value ──> period 0 | period 1 | …      what never comes to it is left out
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gossipfl.config.experiment import Experiment
from gossipfl.config.periods import PeriodConfig
from gossipfl.core.rng import generator
from gossipfl.errors import ConfigError
from gossipfl.learning.data import FleetRecords, NodeRecords, sort_out
from gossipfl.learning.data.records import Record


@dataclass(slots=True)
class Arrivals:
    """One node's data over time.

    Attributes:
        numbers: of its periods, in `simulation.periods`, 0 the first.
        phases: before which they come.
        records: of each.
        here: how many have come.
    """

    numbers: Sequence[int]
    phases: Sequence[int]
    records: Sequence[Sequence[Record]]
    here: int = 1

    def due(self, phase: int) -> int:
        """How many should have come before a phase."""
        return max(self.here, sum(when <= phase for when in self.phases))

    def sorted_out(self, experiment: Experiment, node: str, count: int) -> NodeRecords:
        """The first of them.

        Raises:
            DataError: too few units.
        """
        return sort_out(experiment, node, self.records[:count])


def arrivals_of(experiment: Experiment, names: Sequence[str], fleet: FleetRecords) -> dict[str, Arrivals]:
    """Of the nodes in `fleet`; nothing where all data is there from the beginning.

    Args:
        names: of all nodes.

    Raises:
        ConfigError: a name is no node's, or a node has nothing at the beginning.
    """
    periods = experiment.simulation.periods
    if periods is None:
        return {}
    getting = [_getting(experiment, number, period, names) for number, period in enumerate(periods.later)]
    plans = {
        node: [(0, 0, periods.first if any(node in some for some in getting) else periods.others or periods.first)]
        + [
            (number + 1, period.phase, period.values)
            for number, period in enumerate(periods.later)
            if node in getting[number]
        ]
        for node in fleet.nodes
    }
    return {node: _arrivals(node, plan, fleet.nodes[node].records) for node, plan in plans.items()}


def at_the_beginning(experiment: Experiment, fleet: FleetRecords, arrivals: Mapping[str, Arrivals]) -> FleetRecords:
    """What each node has then.

    Raises:
        DataError: too few units.
    """
    nodes = {
        name: arrivals[name].sorted_out(experiment, name, 1) if name in arrivals else records
        for name, records in fleet.nodes.items()
    }
    return FleetRecords(nodes, fleet.test, fleet.tried)


def _arrivals(node: str, plan: Sequence[tuple[int, int, Sequence[str]]], records: Sequence[Record]) -> Arrivals:
    pieces = [(number, phase, [each for each in records if each.part in values]) for number, phase, values in plan]
    if not pieces[0][2]:
        raise ConfigError(f"simulation.periods.first: node {node!r} has no record of these values")
    coming = [piece for piece in pieces if piece[2]]
    numbers, phases, found = zip(*coming, strict=True)
    return Arrivals(numbers, phases, found)


def _getting(experiment: Experiment, number: int, period: PeriodConfig, names: Sequence[str]) -> frozenset[str]:
    if period.share is None:
        unknown = sorted({*period.nodes} - {*names})
        if unknown:
            raise ConfigError(f"simulation.periods.later: {unknown[0]!r} is no node of {names[0]} to {names[-1]}")
        return frozenset(period.nodes)
    drawn = generator(experiment.seed, purpose=f"simulation period {number}")
    count = max(1, round(period.share * len(names)))
    return frozenset(names[place] for place in drawn.choice(len(names), count, replace=False).tolist())
