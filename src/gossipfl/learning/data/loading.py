"""A node's data, from its files to examples: read, take its part, group by unit, hold out, tokenize.

sites ──each source read once──> FleetRecords ──> NodeRecords of a node, common test set ──> NodeData
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.canaries import Canary, choose_canaries, plant
from gossipfl.learning.data.common import CommonRecords, read_common, read_test
from gossipfl.learning.data.examples import Examples, make_examples
from gossipfl.learning.data.kinds import Reader
from gossipfl.learning.data.records import Record, to_records
from gossipfl.learning.data.sources import read_table
from gossipfl.learning.data.units import Lot, group_units, hold_out, limit_units


@dataclass(frozen=True, slots=True)
class DataSite:
    """Where one node's records are.

    Attributes:
        node: the node.
        names: all nodes, itself among them, in any order: one dataset is split over them.
        source: the node's own file, folder, hub id or `sklearn:digits`; None takes its part of `data.source`.
        folder: where experiment.yaml lies; `data.source` and `data.test` start there.
        data_folder: where peers.yaml lies; `source` starts there.
    """

    node: str
    names: Sequence[str]
    source: str | None
    folder: Path
    data_folder: Path


@dataclass(frozen=True, slots=True)
class NodeRecords:
    """A node's records before they are tokens.

    Attributes:
        records: all it has.
        train, held_out: positions of the records of each unit on either side.
        left_out: number of records beyond `data.max_per_unit`.
        tags: SHA-256 of every record of the units in `train`, sorted, each once: what the ledger knows the data by.
        canaries: those of `data.canaries`, of their owner.
        unit_tags: the tags of each named unit in `train`: its own, then those of its records, of equal ones all.
    """

    records: tuple[Record, ...]
    train: tuple[list[int], ...]
    held_out: tuple[list[int], ...]
    left_out: int
    tags: tuple[bytes, ...]
    canaries: tuple[Canary, ...] = ()
    unit_tags: tuple[tuple[bytes, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class FleetRecords:
    """The records of several nodes of one experiment, read together.

    Attributes:
        nodes: by node name.
        test: the common public test set; None without `data.test` and `data.test_share`.
        tried: records of it as an attack on training data wants them said; None without one that wants something.
    """

    nodes: Mapping[str, NodeRecords]
    test: tuple[Record, ...] | None
    tried: tuple[Record, ...] | None = None


@dataclass(frozen=True, slots=True)
class NodeData:
    """What a node trains on and is measured by.

    Attributes:
        train: by privacy unit.
        held_out: the node's own, never trained on; a unit is never on both sides.
        test: the common public test set; None without `data.test` and `data.test_share`.
        tags: see `NodeRecords`.
        left_out: number of records that `data.max_per_unit` left out.
    """

    train: Examples
    held_out: Examples
    test: Examples | None
    tags: tuple[bytes, ...]
    left_out: int = 0

    def to(self, device: torch.device) -> "NodeData":
        """The same data, with micro-batches on another device."""
        test = self.test.to(device) if self.test is not None else None
        return replace(self, train=self.train.to(device), held_out=self.held_out.to(device), test=test)


def load_node_data(experiment: Experiment, site: DataSite, tokenizer: Reader | None) -> NodeData:
    """Everything of one node, tokenized.

    Raises:
        DataError: see `load_fleet_records`; or a record comes to no token.
    """
    fleet = load_fleet_records(experiment, [site])
    test = make_test(experiment, fleet.test, tokenizer)
    return tokenize_node(experiment, fleet.nodes[site.node], tokenizer, test=test)


def tokenize_node(
    experiment: Experiment,
    found: NodeRecords,
    tokenizer: Reader | None,
    *,
    test: Examples | None = None,
) -> NodeData:
    """The records of a node as tokens or numbers.

    Args:
        tokenizer: of the model, or its image processor; None where it reads numbers.
        test: the common test set, as `make_test` gives it; many nodes may share one.

    Raises:
        DataError: a record comes to no token.
    """
    goldfish = experiment.training.leaves_out
    train, held_out = (
        make_examples(found.records, units, tokenizer=tokenizer, task=experiment.task, goldfish=out)
        for units, out in ((found.train, goldfish), (found.held_out, None))
    )
    return NodeData(train, held_out, test, found.tags, found.left_out)


def load_fleet_records(experiment: Experiment, sites: Sequence[DataSite]) -> FleetRecords:
    """The records of some nodes and the common test set; `data.source` is read and split once for all of them.

    Args:
        sites: of one experiment: their names and folders agree.

    Raises:
        DataError: see `load_all_node_records`; or the test set cannot be read.
    """
    folder = sites[0].folder
    if experiment.data.test is not None or not experiment.data.test_share:
        return FleetRecords(_load_all(experiment, sites, None), read_test(experiment, folder))
    common = read_common(experiment, folder)
    return FleetRecords(_load_all(experiment, sites, common), common.test)


def load_all_node_records(experiment: Experiment, sites: Sequence[DataSite]) -> dict[str, NodeRecords]:
    """The records of some nodes by name, with their units and sides; `data.source` is read and split once.

    It needs no model, so `check` and `privacy plan` can use it.

    Args:
        sites: of one experiment: their names and folders agree.

    Raises:
        DataError: nothing there, a column absent, a value null, a label unknown, or too few units.
    """
    return _load_all(experiment, sites, None)


def load_node_records(experiment: Experiment, site: DataSite) -> NodeRecords:
    """The records of one node, see `load_all_node_records`."""
    return load_all_node_records(experiment, [site])[site.node]


def load_test(experiment: Experiment, folder: Path, tokenizer: Reader | None) -> Examples | None:
    """The common test set as examples, see `load_test_records` and `make_test`."""
    return make_test(experiment, load_test_records(experiment, folder), tokenizer)


def make_test(experiment: Experiment, records: Sequence[Record] | None, tokenizer: Reader | None) -> Examples | None:
    """The common test set as examples, every record a unit of its own; None of None.

    Raises:
        DataError: a record comes to no token.
    """
    if records is None:
        return None
    units = [[row] for row in range(len(records))]
    return make_examples(records, units, tokenizer=tokenizer, task=experiment.task)


def load_test_records(experiment: Experiment, folder: Path) -> tuple[Record, ...] | None:
    """The records of the common test set, which needs no model; None without `data.test` and `data.test_share`.

    Args:
        folder: where experiment.yaml lies.

    Raises:
        DataError: as for a node's data.
    """
    if experiment.data.test is None and experiment.data.test_share:
        return read_common(experiment, folder).test
    return read_test(experiment, folder)


def _load_all(
    experiment: Experiment, sites: Sequence[DataSite], common: CommonRecords | None
) -> dict[str, NodeRecords]:
    sharing = [site for site in sites if site.source is None]
    parts: Mapping[str, tuple[Record, ...]] = {}
    if sharing:
        if experiment.data.source is None:
            raise DataError(
                f"node {sharing[0].node!r} has no data: give its `data` in peers.yaml, or data.source for all nodes"
            )
        common = common or read_common(experiment, sharing[0].folder)
        parts = common.parts(experiment, sharing[0].names)
    return {
        site.node: _sorted_out(
            experiment, site.node, parts[site.node] if site.source is None else _own(experiment, site, site.source)
        )
        for site in sites
    }


def _own(experiment: Experiment, site: DataSite, source: str) -> tuple[Record, ...]:
    data = experiment.data
    table = read_table(source, folder=site.data_folder, format=data.format, name=data.name, split=data.hub_split)
    return tuple(to_records(table, experiment, source=source))


def _sorted_out(experiment: Experiment, node: str, records: tuple[Record, ...]) -> NodeRecords:
    """A node's records by unit and side, and what the ledger knows them by."""
    data, lot = experiment.data, Lot(experiment.seed, node)
    whole = group_units(records)
    limited = limit_units(records, whole, most=data.max_per_unit, lot=lot)
    train, held_out = hold_out(records, limited, fraction=data.held_out, lot=lot)
    if data.held_out and not held_out:
        raise DataError(
            f"data of node {node!r} has {len(whole)} unit, data.held_out {data.held_out} needs 2: "
            "one to train on and one held out; with data.held_out 0 it trains on what it has"
        )
    # a person's left-out records stand for the same person, whichever of them a later run happens to use
    trained = {unit[0] for unit in train}
    theirs = [unit for unit, used in zip(whole, limited, strict=True) if used[0] in trained]
    # and a person stands for herself, whichever records she comes with: her ε adds up over all of them
    tags = set().union(*(_tags([records[row] for row in unit]) for unit in theirs))
    named = [
        (own, *sorted(records[row].tag for row in unit))
        for unit in theirs
        if (own := records[unit[0]].unit_tag) is not None
    ]
    left_out = len(records) - sum(map(len, limited))
    wished = data.canaries
    canaries = () if wished is None or wished.node != node else choose_canaries(records, train, wished, lot)
    planted = tuple(plant(train, canaries))
    return NodeRecords(records, planted, tuple(held_out), left_out, tuple(sorted(tags)), canaries, tuple(named))


def _tags(records: Sequence[Record]) -> set[bytes]:
    return {record.tag for record in records} | {record.unit_tag for record in records if record.unit_tag is not None}
