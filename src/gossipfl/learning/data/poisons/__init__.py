"""Attacks on training data: what an attacking node trains on in place of its records.

    records of a node ── by lot, a share of those it trains on ── Poison ──> what it trains on      held out: as it was
    common test set   ── Poison ──> by what it is seen whether honest nodes have learned the same

What is sent is the truth: its seat among the attacks on messages is `gossipfl.core.attacks`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gossipfl.config.attackers import AttackersConfig
from gossipfl.config.experiment import Experiment
from gossipfl.learning.data.loading import FleetRecords
from gossipfl.learning.data.poisons.backdoor import backdoor
from gossipfl.learning.data.poisons.label_flip import label_flip
from gossipfl.learning.data.poisons.seam import Poison
from gossipfl.learning.data.records import Record
from gossipfl.learning.data.sorting import NodeRecords
from gossipfl.learning.data.units import Lot

BuildPoison = Callable[[AttackersConfig, Experiment], Poison]
"""How an attack's file offers itself to the table."""

POISON_TABLE: Mapping[str, BuildPoison] = {"label_flip": label_flip, "backdoor": backdoor}
"""By the name in `simulation.attackers.kind` and `gossipfl node --attack`."""


def poison_fleet(experiment: Experiment, fleet: FleetRecords) -> FleetRecords:
    """What the nodes of a simulation train on, by `simulation.attackers`, and what shows whether it has worked.

    Raises:
        ConfigError: the attack does not go with the experiment.
    """
    config = experiment.simulation.attackers
    if not config.poisons or not config.active:
        return fleet
    poison = POISON_TABLE[config.kind](config, experiment)
    nodes = {
        name: poisoned(records, poison, Lot(experiment.seed, name)) if name in config.active else records
        for name, records in fleet.nodes.items()
    }
    return replace(fleet, nodes=nodes, tried=_tried(fleet.test or (), poison))


def poison_node(experiment: Experiment, name: str, records: NodeRecords, config: AttackersConfig) -> NodeRecords:
    """What one attacking node trains on; of an attack on messages its records.

    Raises:
        ConfigError: the attack does not go with the experiment.
    """
    if not config.poisons:
        return records
    return poisoned(records, POISON_TABLE[config.kind](config, experiment), Lot(experiment.seed, name))


def poisoned(records: NodeRecords, poison: Poison, lot: Lot) -> NodeRecords:
    """A node's records, some of those that it trains on altered.

    Guarantees:
        Held-out records are as they were, and the ledger knows all by what they were.
    """
    chosen = {
        row
        for unit in records.train
        for row in unit
        if lot.draw("poison", f"{row} {records.records[row].tag.hex()}") < poison.share
    }
    altered = tuple(poison.altered(record) if row in chosen else record for row, record in enumerate(records.records))
    return replace(records, records=altered)


def _tried(test: Sequence[Record], poison: Poison) -> tuple[Record, ...] | None:
    found = tuple(record for record in map(poison.tried, test) if record is not None)
    return found or None


__all__ = ["POISON_TABLE", "BuildPoison", "Poison", "poison_fleet", "poison_node", "poisoned"]
