"""A node's data, from its files to examples: read, take its part, group by unit, hold out, tokenize.

sites ──each source read once──> FleetRecords ──> NodeRecords of a node, common test set ──> NodeData

Data may come in periods, one after the other: a unit is of the period in which it first comes, and each period holds
out a part of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.common import CommonRecords, read_common, read_test
from gossipfl.learning.data.examples import Examples, make_examples
from gossipfl.learning.data.folder import read_folder
from gossipfl.learning.data.kinds import Reader
from gossipfl.learning.data.records import Record, records_of
from gossipfl.learning.data.sorting import NodeRecords, sort_out
from gossipfl.learning.data.sources import read_table
from gossipfl.learning.data.token_folder import place_for, scratch_for


@dataclass(frozen=True, slots=True)
class DataSite:
    """Where one node's records are.

    Attributes:
        node: the node.
        names: all nodes, itself among them, in any order: one dataset is split over them.
        source: the node's own file, folder, hub id or `sklearn:digits`; None takes its part of `data.source`.
        folder: where experiment.yaml lies; `data.source` and `data.test` start there.
        data_folder: where peers.yaml lies; `source` starts there.
        periods: the records of `source`, read already, as they came; None: they are to be read.
        tokens: where `data.tokens: mapped` keeps tokens, a folder of its own; None: in files that are gone with this
            process.
    """

    node: str
    names: Sequence[str]
    source: str | None
    folder: Path
    data_folder: Path
    periods: Sequence[Sequence[Record]] | None = None
    tokens: Path | None = None


@dataclass(frozen=True, slots=True)
class FleetRecords:
    """The records of several nodes of one experiment, read together.

    Attributes:
        nodes: by node name.
        test: the common public test set; None without `data.test` and `data.test_share`.
        tried: records of it as an attack on training data wants them said; None without one that wants something.
    """

    nodes: Mapping[str, NodeRecords]
    test: Sequence[Record] | None
    tried: Sequence[Record] | None = None


@dataclass(frozen=True, slots=True)
class NodeData:
    """What a node trains on and is measured by.

    Attributes:
        train: by privacy unit.
        held_out: the node's own, never trained on; a unit is never on both sides.
        test: the common public test set; None without `data.test` and `data.test_share`.
        tags: see `NodeRecords`.
        left_out: number of records that `data.max_per_unit` left out.
        by_period: the held-out units of each period, where data came in several; else empty.
    """

    train: Examples
    held_out: Examples
    test: Examples | None
    tags: tuple[bytes, ...]
    left_out: int = 0
    by_period: tuple[Examples, ...] = ()

    def to(self, device: torch.device) -> "NodeData":
        """The same data, with micro-batches on another device."""
        test = self.test.to(device) if self.test is not None else None
        by_period = tuple(each.to(device) for each in self.by_period)
        held_out = self.held_out.to(device)
        return replace(self, train=self.train.to(device), held_out=held_out, test=test, by_period=by_period)


def load_node_data(experiment: Experiment, site: DataSite, tokenizer: Reader | None) -> NodeData:
    """Everything of one node, tokenized.

    Raises:
        DataError: see `load_fleet_records`; or a record comes to no token.
    """
    fleet = load_fleet_records(experiment, [site])
    test = make_test(experiment, fleet.test, tokenizer, tokens=site.tokens)
    return tokenize_node(experiment, fleet.nodes[site.node], tokenizer, test=test, tokens=own_tokens(site))


def tokenize_node(
    experiment: Experiment,
    found: NodeRecords,
    tokenizer: Reader | None,
    *,
    test: Examples | None = None,
    tokens: Path | None = None,
) -> NodeData:
    """The records of a node as tokens or numbers.

    Args:
        tokenizer: of the model, or its image processor; None where it reads numbers.
        test: the common test set, as `make_test` gives it; many nodes may share one.
        tokens: see `own_tokens`.

    Raises:
        DataError: a record comes to no token, or the tokens cannot be kept.
    """
    goldfish = experiment.training.leaves_out
    sides = (("train", found.train, goldfish), ("held_out", found.held_out, None))
    train, held_out = (
        make_examples(
            found.records,
            units,
            tokenizer=tokenizer,
            task=experiment.task,
            goldfish=out,
            keep=place_for(experiment.data, tokens, use),
        )
        for use, units, out in sides
    )
    by_period = tuple(
        make_examples(found.records, units, tokenizer=tokenizer, task=experiment.task) for units in _by_period(found)
    )
    return NodeData(train, held_out, test, found.tags, found.left_out, by_period)


def _by_period(found: NodeRecords) -> list[list[list[int]]]:
    """Held-out units of each period; nothing where there is one."""
    periods = max(found.periods, default=0) + 1
    if periods == 1:
        return []
    held_out = list(zip(found.held_out, found.held_out_periods, strict=True))
    return [[unit for unit, came in held_out if came == period] for period in range(periods)]


def load_fleet_records(experiment: Experiment, sites: Sequence[DataSite]) -> FleetRecords:
    """The records of some nodes and the common test set; `data.source` is read and split once for all of them.

    Args:
        sites: of one experiment: their names and folders agree.

    Raises:
        DataError: see `load_all_node_records`; or the test set cannot be read.
    """
    folder = sites[0].folder
    if experiment.data.test is not None or not experiment.data.test_share:
        return FleetRecords(_load_all(experiment, sites, None), read_test(experiment, folder, sites[0].tokens))
    common = read_common(experiment, folder, sites[0].tokens)
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


def own_tokens(site: DataSite) -> Path | None:
    """Where a node's own tokens are kept, beside those of the common test set."""
    return None if site.tokens is None else site.tokens / "nodes" / site.node


def make_test(
    experiment: Experiment, records: Sequence[Record] | None, tokenizer: Reader | None, *, tokens: Path | None = None
) -> Examples | None:
    """The common test set as examples, every record a unit of its own; None of None.

    Args:
        tokens: see `DataSite`.

    Raises:
        DataError: a record comes to no token.
    """
    if records is None:
        return None
    units = [[row] for row in range(len(records))]
    keep = place_for(experiment.data, tokens, "test")
    return make_examples(records, units, tokenizer=tokenizer, task=experiment.task, keep=keep)


def load_test_records(experiment: Experiment, folder: Path) -> Sequence[Record] | None:
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
    parts: Mapping[str, Sequence[Record]] = {}
    if sharing:
        if experiment.data.source is None:
            raise DataError(
                f"node {sharing[0].node!r} has no data: give its `data` in peers.yaml, or data.source for all nodes"
            )
        common = common or read_common(experiment, sharing[0].folder, sharing[0].tokens)
        parts = common.parts(experiment, sharing[0].names)
    return {
        site.node: sort_out(
            experiment, site.node, [parts[site.node]] if site.source is None else _own(experiment, site, site.source)
        )
        for site in sites
    }


def _own(experiment: Experiment, site: DataSite, source: str) -> Sequence[Sequence[Record]]:
    if site.periods is not None:
        return site.periods
    data = experiment.data
    if data.watch:
        return [read_folder(experiment, source, site.data_folder)]
    scratch = scratch_for(data, site.tokens)
    table = read_table(
        source, folder=site.data_folder, format=data.format, name=data.name, split=data.hub_split, scratch=scratch
    )
    return [records_of(table, experiment, source=source)]
