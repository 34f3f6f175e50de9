"""Privacy units: which records belong to one person, which of them are used, who is held out.

What happens to one unit depends on that unit, the seed and the node alone, never on who else is there: adding or
removing one person moves nobody else, which is what ε is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gossipfl.core.rng import derive_seed
from gossipfl.learning.data.stored_records import Known


def group_units(records: Sequence[Known]) -> list[list[int]]:
    """Positions of the records of each unit, units by first appearance; without units each record is its own."""
    if all(record.unit is None for record in records):
        return [[row] for row in range(len(records))]
    units: dict[str | None, list[int]] = {}
    for row, record in enumerate(records):
        units.setdefault(record.unit, []).append(row)
    return list(units.values())


@dataclass(frozen=True, slots=True)
class Lot:
    """Chance that is fixed for one node: equal arguments, equal lots.

    Attributes:
        seed: of the experiment.
        node: its name.
    """

    seed: int
    node: str

    def draw(self, purpose: str, key: str) -> float:
        """Uniform on [0, 1), decided by the arguments."""
        return derive_seed(self.seed, node=self.node, purpose=f"{purpose} {key}") / 2**64


def limit_units(records: Sequence[Known], units: Sequence[list[int]], *, most: int, lot: Lot) -> list[list[int]]:
    """At most `most` records of each unit, chosen by lot, in their old order."""
    return [unit if len(unit) <= most else _chosen(records, unit, most, lot) for unit in units]


def _chosen(records: Sequence[Known], unit: list[int], most: int, lot: Lot) -> list[int]:
    def place(row: int) -> tuple[float, int]:
        return lot.draw("max_per_unit", f"{records[row].unit} {records[row].tag.hex()}"), row

    return sorted(sorted(unit, key=place)[:most])


def hold_out(
    records: Sequence[Known], units: Sequence[list[int]], *, fraction: float, lot: Lot, few: bool = True
) -> tuple[list[list[int]], list[list[int]]]:
    """Units to train on and units held out, each unit held out with chance `fraction`.

    Args:
        few: a handful of units may be all that there is, see below. false: others are there, and either side may be
            empty; then no unit's side depends on another unit, however few they are.

    Guarantees:
        A unit is on one side only, and so (but for a handful of units) is a text that occurs twice among records
        without units. With `few`, a fraction above 0 and two units or more neither side is empty; a single unit is
        trained on.
    """
    if fraction == 0 or (few and len(units) == 1):
        return list(units), []
    draws = [lot.draw("held_out", records[unit[0]].unit or records[unit[0]].tag.hex()) for unit in units]
    held = {place for place, draw in enumerate(draws) if draw < fraction}
    if few and len(held) in {0, len(units)}:
        # a handful of units: the one of lowest draw is held out, everybody else trained on
        held = {draws.index(min(draws))}
    train = [unit for place, unit in enumerate(units) if place not in held]
    return train, [unit for place, unit in enumerate(units) if place in held]
