"""A node's records, sorted out: which unit each belongs to, on which side that lies, when it came.

records of period 0, 1, … ──> units, each of the period in which it first came ──> train | held out, by period
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.canaries import Canary, choose_canaries, plant
from gossipfl.learning.data.records import Record
from gossipfl.learning.data.stored_records import Known, StoredRecords, cards_of
from gossipfl.learning.data.units import Lot, group_units, hold_out, limit_units


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
        periods: of each unit in `train`, when it came; empty: all came at once.
        held_out_periods: of each unit in `held_out`.
        came: number of periods, those without a record of their own by now among them.
    """

    records: Sequence[Record]
    train: tuple[list[int], ...]
    held_out: tuple[list[int], ...]
    left_out: int
    tags: tuple[bytes, ...]
    canaries: tuple[Canary, ...] = ()
    unit_tags: tuple[tuple[bytes, ...], ...] = ()
    periods: tuple[int, ...] = ()
    held_out_periods: tuple[int, ...] = ()
    came: int = 1


def sort_out(experiment: Experiment, node: str, periods: Sequence[Sequence[Record]]) -> NodeRecords:
    """A node's records by unit and side, and what the ledger knows them by.

    Args:
        periods: the records that came at a time, in the order in which they came.

    Guarantees:
        What comes later changes neither side nor period of a unit that was there.

    Raises:
        DataError: the first period has nothing to hold out.
    """
    records = _joined(periods)
    known = cards_of(records)
    data, lot = experiment.data, Lot(experiment.seed, node)
    whole = group_units(known)
    limited = limit_units(known, whole, most=data.max_per_unit, lot=lot)
    came = _came(whole, [len(period) for period in periods])
    sides = _sides(known, limited, came, fraction=data.held_out, lot=lot)
    train, held_out = ([unit for unit, _ in side] for side in sides)
    # where files of the first period are gone, what came later is as it was
    if data.held_out and 0 in came and not any(period == 0 for _, period in sides[1]):
        raise DataError(
            f"data of node {node!r} has {came.count(0)} unit, data.held_out {data.held_out} needs 2: "
            "one to train on and one held out; with data.held_out 0 it trains on what it has"
        )
    # a person's left-out records stand for the same person, whichever of them a later run happens to use
    trained = {unit[0] for unit in train}
    theirs = [unit for unit, used in zip(whole, limited, strict=True) if used[0] in trained]
    # and a person stands for herself, whichever records she comes with: her ε adds up over all of them
    tags = set().union(*(_tags([known[row] for row in unit]) for unit in theirs))
    named = [
        (own, *sorted(known[row].tag for row in unit))
        for unit in theirs
        if (own := known[unit[0]].unit_tag) is not None
    ]
    left_out = len(records) - sum(map(len, limited))
    wished = data.canaries
    canaries = () if wished is None or wished.node != node else choose_canaries(records, train, wished, lot)
    planted = tuple(plant(train, canaries))
    found = NodeRecords(records, planted, tuple(held_out), left_out, tuple(sorted(tags)), canaries, tuple(named))
    if len(periods) == 1:
        return found
    of_train, of_held_out = (tuple(period for _, period in side) for side in sides)
    return replace(found, periods=of_train, held_out_periods=of_held_out, came=len(periods))


def _joined(periods: Sequence[Sequence[Record]]) -> Sequence[Record]:
    """All records; those on disk, which come all at once, stay there."""
    if len(periods) == 1 and isinstance(periods[0], StoredRecords):
        return periods[0]
    return tuple(chain.from_iterable(periods))


def _came(units: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[int]:
    """The period of each unit: that of its first record."""
    ends = list(accumulate(sizes))
    return [bisect_right(ends, unit[0]) for unit in units]


_Side = list[tuple[list[int], int]]
"""Units, each with its period."""


def _sides(
    records: Sequence[Known], units: Sequence[list[int]], came: Sequence[int], *, fraction: float, lot: Lot
) -> tuple[_Side, _Side]:
    """Units to train on and units held out, period by period, see `hold_out`.

    What comes later may be a unit a time: were it trained on since it is alone, one more beside it would put another in
    its place, which is more than the one unit that ε is about.
    """
    train: _Side = []
    held_out: _Side = []
    for period in sorted(set(came)):
        own = [unit for unit, began in zip(units, came, strict=True) if began == period]
        trained, held = hold_out(records, own, fraction=fraction, lot=lot, few=period == 0)
        train += [(unit, period) for unit in trained]
        held_out += [(unit, period) for unit in held]
    return train, held_out


def _tags(records: Sequence[Known]) -> set[bytes]:
    return {record.tag for record in records} | {record.unit_tag for record in records if record.unit_tag is not None}
