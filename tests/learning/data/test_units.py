import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.learning.data.records import Record
from gossipfl.learning.data.units import Lot, group_units, hold_out, limit_units

PERSONS = st.lists(st.integers(0, 30).map(str), min_size=1, max_size=80)


def records_of(persons: list[str]) -> list[Record]:
    return [Record(f"text {row}", unit=person) for row, person in enumerate(persons)]


@given(persons=PERSONS, most=st.integers(1, 4), fraction=st.floats(0, 0.9), seed=st.integers(0, 99))
def test_a_unit_is_on_one_side_only_and_nobody_is_lost(
    persons: list[str], most: int, fraction: float, seed: int
) -> None:
    records, lot = records_of(persons), Lot(seed, "a")
    units = limit_units(records, group_units(records), most=most, lot=lot)

    train, held_out = hold_out(records, units, fraction=fraction, lot=lot)

    sides = [{records[row].unit for unit in side for row in unit} for side in (train, held_out)]
    assert sides[0].isdisjoint(sides[1])
    assert sides[0] | sides[1] == set(persons)
    assert all(1 <= len(unit) <= most for unit in units)
    assert train
    assert bool(held_out) == (fraction > 0 and len(set(persons)) > 1)


@given(
    persons=st.permutations([str(number % 20) for number in range(30)]),
    seed=st.integers(0, 99),
)
def test_adding_a_person_moves_nobody_else(persons: list[str], seed: int) -> None:
    lot = Lot(seed, "a")

    def sides(people: list[str]) -> tuple[set[str], set[str]]:
        records = records_of(people)
        units = limit_units(records, group_units(records), most=2, lot=lot)
        train, held_out = hold_out(records, units, fraction=0.5, lot=lot)
        return {str(u) for u in train}, {str(u) for u in held_out}

    before, after = sides(persons), sides([*persons, "new"])

    assert before[0] <= after[0]
    assert before[1] <= after[1]


@given(persons=st.integers(1, 4), fraction=st.floats(0, 0.9), seed=st.integers(0, 99))
def test_where_others_are_there_nobody_is_moved_however_few_come(persons: int, fraction: float, seed: int) -> None:
    def sides(count: int) -> tuple[set[int], set[int]]:
        records = records_of([str(person) for person in range(count)])
        both = hold_out(records, group_units(records), fraction=fraction, lot=Lot(seed, "a"), few=False)
        train, held_out = ({unit[0] for unit in side} for side in both)
        return train, held_out

    before, after = sides(persons), sides(persons + 1)

    assert before[0] <= after[0]
    assert before[1] <= after[1]


def test_what_is_held_out_depends_on_seed_and_node() -> None:
    records = records_of([str(person) for person in range(100)])
    draws = [
        hold_out(records, group_units(records), fraction=0.3, lot=lot)[1]
        for lot in (Lot(0, "a"), Lot(0, "a"), Lot(1, "a"), Lot(0, "b"))
    ]

    assert draws[0] == draws[1] != draws[2] != draws[3] != draws[0]


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_about_the_wished_part_is_held_out(fraction: float) -> None:
    records = records_of([str(person) for person in range(2000)])

    held_out = hold_out(records, group_units(records), fraction=fraction, lot=Lot(0, "a"))[1]

    assert len(held_out) == pytest.approx(2000 * fraction, rel=0.15)


def test_twins_without_units_are_on_the_same_side() -> None:
    records = [Record(f"text {number % 50}") for number in range(100)]

    train, held_out = hold_out(records, group_units(records), fraction=0.4, lot=Lot(0, "a"))

    assert {records[unit[0]].text for unit in train}.isdisjoint({records[unit[0]].text for unit in held_out})
