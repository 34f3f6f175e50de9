"""What all nodes share: the one dataset that is split over them, and the public test set.

    data.source ──hold out data.test_share──> split ──> a part a node
                        └──────> test <────── data.test, a source of its own

Every node reads the same files and comes to the same parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.records import Record, records_of
from gossipfl.learning.data.sources import read_table
from gossipfl.learning.data.split import split_records
from gossipfl.learning.data.stored_records import cards_of, chosen
from gossipfl.learning.data.token_folder import scratch_for
from gossipfl.learning.data.units import Lot, group_units, hold_out

_NOBODY = ""
"""In place of a node's name: the lot of a common unit is the same everywhere."""


@dataclass(frozen=True, slots=True)
class CommonRecords:
    """The records of `data.source`.

    Attributes:
        shared: to be split over the nodes.
        test: held out of them by `data.test_share`; a unit is never on both sides.
    """

    shared: Sequence[Record]
    test: Sequence[Record]

    def parts(self, experiment: Experiment, names: Sequence[str]) -> dict[str, Sequence[Record]]:
        """Each node's part of the shared records.

        Raises:
            DataError: see `split_records`.
        """
        places = split_records(cards_of(self.shared), experiment.data.split, names=names, seed=experiment.seed)
        return {node: chosen(self.shared, rows) for node, rows in places.items()}


def read_common(experiment: Experiment, folder: Path, tokens: Path | None = None) -> CommonRecords:
    """The dataset that is split over the nodes.

    Args:
        folder: where experiment.yaml lies.
        tokens: see `DataSite`.

    Raises:
        DataError: there is no `data.source`, it cannot be read, or `data.test_share` leaves one side nothing.
    """
    data = experiment.data
    if data.source is None:
        raise DataError("no data: give data.source for all nodes, or each node's `data` in peers.yaml")
    scratch = scratch_for(data, tokens)
    table = read_table(
        data.source, folder=folder, format=data.format, name=data.name, split=data.hub_split, scratch=scratch
    )
    records = records_of(table, experiment, source=data.source, common=True)
    known = cards_of(records)
    shared, test = hold_out(known, group_units(known), fraction=data.test_share, lot=Lot(experiment.seed, _NOBODY))
    if data.test_share and not test:
        raise DataError(f"data.test_share: data {data.source!r} has 1 unit, 2 are needed")
    return CommonRecords(_of(records, shared), _of(records, test))


def read_test(experiment: Experiment, folder: Path, tokens: Path | None = None) -> Sequence[Record] | None:
    """The records of `data.test`; None without it.

    Raises:
        DataError: as for a node's data.
    """
    source = experiment.data.test
    if source is None:
        return None
    # it need not name units, and a saved dataset's test split is meant
    common = experiment.model_copy(update={"data": experiment.data.model_copy(update={"unit": None})})
    table = read_table(source, folder=folder, split="test", scratch=scratch_for(experiment.data, tokens))
    return records_of(table, common, source=source)


def _of(records: Sequence[Record], units: Sequence[Sequence[int]]) -> Sequence[Record]:
    return chosen(records, sorted(row for unit in units for row in unit))
