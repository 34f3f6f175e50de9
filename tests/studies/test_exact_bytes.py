"""What agreement costs in bytes."""

from pathlib import Path

import pytest

from gossipfl.studies.exact_bytes import NEVER, Wish, by_pair, simulated, table

WISH = Wish(nodes=8, size=300, goals=(1e-2, 1e-6))
STATE = 4 * WISH.size


@pytest.mark.parametrize("schedule", ["one-peer exponential", "Base-2"])
def test_an_exact_schedule_costs_a_state_a_round_and_is_over_after_a_period(tmp_path: Path, schedule: str) -> None:
    for cost in simulated(WISH, schedule, "fp32", tmp_path):
        assert cost.rounds == 3
        assert cost.sent == pytest.approx(3 * STATE)


def test_on_the_ring_int8_takes_as_many_rounds_for_a_quarter_of_the_bytes(tmp_path: Path) -> None:
    exact, rounded = (simulated(WISH, "ring", codec, folder) for codec, folder in folders(tmp_path))
    for one, other in zip(exact, rounded, strict=True):
        assert abs(one.rounds - other.rounds) <= 1
        assert one.sent == pytest.approx(2 * STATE * one.rounds)
        assert other.sent < 0.27 * one.sent


def test_on_an_exact_schedule_int8_costs_more_than_it_saves(tmp_path: Path) -> None:
    exact, rounded = (simulated(WISH, "Base-2", codec, folder)[-1] for codec, folder in folders(tmp_path))
    assert exact.sent < by_pair(WISH, "Base-2", "int8")[-1].sent < rounded.sent < NEVER.sent


def test_the_tables_name_every_schedule_and_codec() -> None:
    text = table(Wish(nodes=4, size=20, goals=(1e-3,)))
    assert text.count("| ring |") == 7
    assert text.count("| int8 |") == 6


def folders(home: Path) -> list[tuple[str, Path]]:
    found = [("fp32", home / "fp32"), ("int8", home / "int8")]
    for _, folder in found:
        folder.mkdir()
    return found
