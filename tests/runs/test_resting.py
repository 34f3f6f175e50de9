"""When a machine that does not train all the time may begin its next phase."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config.machine import MachineConfig
from gossipfl.runs.resting import DAY_S, rest_s

HOUR_S = 3600.0


@given(share=st.floats(0.01, 1.0), took_s=st.floats(0.0, 1e5))
def test_it_trains_its_share_of_the_time(share: float, took_s: float) -> None:
    rest = rest_s(MachineConfig(train_share=share), took_s=took_s, at_s=0.0)
    assert took_s == pytest.approx(share * (took_s + rest), abs=1e-6)


@pytest.mark.parametrize(
    ("hour", "waits_h"), [(21.0, 1.0), (22.0, 0.0), (23.5, 0.0), (0.0, 0.0), (5.99, 0.0), (6.0, 6.0), (13.0, 9.0)]
)
def test_it_waits_for_the_next_of_its_hours(hour: float, waits_h: float) -> None:
    machine = MachineConfig(train_hours=("22:00-06:00", "12:00-12:30"))
    assert rest_s(machine, took_s=0.0, at_s=hour * HOUR_S) == pytest.approx(waits_h * HOUR_S)


def test_what_it_rests_may_bring_it_out_of_its_hours() -> None:
    machine = MachineConfig(train_share=0.5, train_hours=("12:00-13:00",))
    # till 13:10, so till noon tomorrow
    assert rest_s(machine, took_s=0.5 * HOUR_S, at_s=12 * HOUR_S + 2400) == pytest.approx(DAY_S - 2400)
