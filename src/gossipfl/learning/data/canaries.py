"""Canaries: passages of a node's own training data, some repeated, by which it is seen what a model recites.

    what a node trains on ──drawn by seed──> 30% there 10 times, 70% once

Source: Bossy et al. (2025), arXiv 2502.05087.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gossipfl.config.memorization import CanariesConfig
from gossipfl.errors import DataError
from gossipfl.learning.data.records import Record
from gossipfl.learning.data.units import Lot


@dataclass(frozen=True, slots=True)
class Canary:
    """One passage.

    Attributes:
        row: position of its record.
        copies: how often the node has it in an epoch; 1: once.
    """

    row: int
    copies: int


def choose_canaries(
    records: Sequence[Record], train: Sequence[Sequence[int]], config: CanariesConfig, lot: Lot
) -> tuple[Canary, ...]:
    """The passages, the repeated ones first; equal for equal arguments.

    Args:
        train: positions of the records of each unit that is trained on; none is changed.

    Raises:
        DataError: too few are as long as wished.
    """
    long = [unit[0] for unit in train if len(records[unit[0]].text) >= config.characters]
    if len(long) < config.count:
        raise DataError(
            f"data.canaries.count: {config.count} passages of {config.characters} characters were expected among what "
            f"node {config.node!r} trains on, there are {len(long)}"
        )
    drawn = sorted(long, key=lambda row: (lot.draw("canary", records[row].tag.hex()), row))[: config.count]
    repeated = round(config.repeated_share * config.count)
    return tuple(Canary(row, config.copies if place < repeated else 1) for place, row in enumerate(drawn))


def plant(train: Sequence[list[int]], canaries: Sequence[Canary]) -> Iterator[list[int]]:
    """What is trained on, with the copies behind it, each a unit of its own."""
    yield from train
    for canary in canaries:
        yield from ([canary.row] for _ in range(canary.copies - 1))
