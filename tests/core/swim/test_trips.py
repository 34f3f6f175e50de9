from hypothesis import given
from hypothesis import strategies as st

from gossipfl.core.swim.trips import LONGEST_S, Trips, typical_wait_s

times = st.floats(1e-6, 1e3)


def test_waits_are_those_of_rfc_6298() -> None:
    trips = Trips.first(0.1)
    assert (trips.mean_s, trips.deviation_s) == (0.1, 0.05)
    after = trips.after(0.3)
    assert abs(after.mean_s - 0.125) < 1e-12
    assert abs(after.deviation_s - (0.75 * 0.05 + 0.25 * 0.2)) < 1e-12
    assert abs(after.wait_s - (0.125 + 4 * 0.0875)) < 1e-12


@given(st.lists(times, min_size=1))
def test_no_wait_is_longer_than_the_longest_nor_shorter_than_the_mean_trip(samples: list[float]) -> None:
    trips = Trips.first(samples[0])
    for sample in samples[1:]:
        trips = trips.after(sample)
    assert min(trips.mean_s, LONGEST_S) <= trips.wait_s <= LONGEST_S


@given(st.lists(times, min_size=3, max_size=9), st.integers(0, 4))
def test_a_minority_that_answers_late_changes_nobodys_pace(honest: list[float], hostile: int) -> None:
    late = [Trips.first(1e6)] * min(hostile, (len(honest) - 1) // 2)
    known = [Trips.first(sample) for sample in honest]
    assert typical_wait_s([*known, *late]) <= max(trips.wait_s for trips in known)
