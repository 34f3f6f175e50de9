"""A node's data, from its files to examples: read, take its part, group by unit, hold out, tokenize."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.examples import Examples, make_examples
from gossipfl.learning.data.records import Record, to_records
from gossipfl.learning.data.sources import read_table
from gossipfl.learning.data.split import split_records
from gossipfl.learning.data.units import Lot, group_units, hold_out, limit_units


@dataclass(frozen=True, slots=True)
class DataSite:
    """Where one node's records are.

    Attributes:
        node: the node.
        names: all nodes, itself among them, in any order: one dataset is split over them.
        source: the node's own file, folder or hub id; None takes its part of `data.source`.
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
    """

    records: tuple[Record, ...]
    train: tuple[list[int], ...]
    held_out: tuple[list[int], ...]
    left_out: int
    tags: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NodeData:
    """What a node trains on and is measured by.

    Attributes:
        train: by privacy unit.
        held_out: the node's own, never trained on; a unit is never on both sides.
        test: the common public test set; None without `data.test`.
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


def load_node_data(experiment: Experiment, site: DataSite, tokenizer: PreTrainedTokenizerBase) -> NodeData:
    """Everything of one node, tokenized.

    Raises:
        DataError: see `load_node_records`; or a record comes to no token.
    """
    return tokenize_node(experiment, load_node_records(experiment, site), site.folder, tokenizer)


def tokenize_node(
    experiment: Experiment, found: NodeRecords, folder: Path, tokenizer: PreTrainedTokenizerBase
) -> NodeData:
    """The records of a node and the common test set as tokens.

    Args:
        folder: where experiment.yaml lies.

    Raises:
        DataError: a record comes to no token, or the test set cannot be read.
    """
    train, held_out = (
        make_examples(found.records, units, tokenizer=tokenizer, task=experiment.task)
        for units in (found.train, found.held_out)
    )
    test = load_test(experiment, folder, tokenizer)
    return NodeData(train, held_out, test, found.tags, found.left_out)


def load_node_records(experiment: Experiment, site: DataSite) -> NodeRecords:
    """The node's records with their units and sides; needs no model, so `check` and `privacy plan` can use it.

    Raises:
        DataError: nothing there, a column absent, a value null, a label unknown, or too few units.
    """
    records = _own_records(experiment, site)
    data, lot = experiment.data, Lot(experiment.seed, site.node)
    whole = group_units(records)
    limited = limit_units(records, whole, most=data.max_per_unit, lot=lot)
    train, held_out = hold_out(records, limited, fraction=data.held_out, lot=lot)
    if data.held_out and not held_out:
        raise DataError(
            f"data of node {site.node!r} has {len(whole)} unit, data.held_out {data.held_out} needs 2: "
            "one to train on and one held out"
        )
    # a person's left-out records stand for the same person, whichever of them a later run happens to use
    trained = {unit[0] for unit in train}
    theirs = [records[row] for unit, used in zip(whole, limited, strict=True) if used[0] in trained for row in unit]
    # and a person stands for herself, whichever records she comes with: her ε adds up over all of them
    tags = {record.tag for record in theirs} | {record.unit_tag for record in theirs if record.unit_tag is not None}
    left_out = len(records) - sum(map(len, limited))
    return NodeRecords(tuple(records), tuple(train), tuple(held_out), left_out, tuple(sorted(tags)))


def load_test(experiment: Experiment, folder: Path, tokenizer: PreTrainedTokenizerBase) -> Examples | None:
    """The common test set, every record a unit of its own; None without `data.test`.

    Raises:
        DataError: as for a node's data.
    """
    records = load_test_records(experiment, folder)
    if records is None:
        return None
    units = [[row] for row in range(len(records))]
    return make_examples(records, units, tokenizer=tokenizer, task=experiment.task)


def load_test_records(experiment: Experiment, folder: Path) -> list[Record] | None:
    """The records of the common test set, which needs no model; None without `data.test`.

    Raises:
        DataError: as for a node's data.
    """
    source = experiment.data.test
    if source is None:
        return None
    # it need not name units, and a saved dataset's test split is meant
    common = experiment.model_copy(update={"data": experiment.data.model_copy(update={"unit": None})})
    return to_records(read_table(source, folder=folder, split="test"), common, source=source)


def _own_records(experiment: Experiment, site: DataSite) -> list[Record]:
    data = experiment.data
    source, folder = (site.source, site.data_folder) if site.source is not None else (data.source, site.folder)
    if source is None:
        raise DataError(f"node {site.node!r} has no data: give its `data` in peers.yaml, or data.source for all nodes")
    table = read_table(source, folder=folder, format=data.format, name=data.name, split=data.hub_split)
    records = to_records(table, experiment, source=source, common=site.source is None)
    if site.source is None:
        part = split_records(records, data.split, names=site.names, seed=experiment.seed)[site.node]
        records = [records[row] for row in part]
    return records
