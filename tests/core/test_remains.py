import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.core.events import Report
from gossipfl.core.remains import Remains

weights = st.dictionaries(st.sampled_from("abc"), st.floats(0, 0.3), max_size=3)


def mixing(heard: dict[str, float]) -> Report:
    return Report(0, 0, 0, {"me": 1 - sum(heard.values()), **heard}, {}, ())


@given(st.lists(weights))
def test_shares_are_those_of_a_state_that_is_mixed_so(rounds: list[dict[str, float]]) -> None:
    remains, state = Remains("me"), {"me": 1.0}
    for heard in rounds:
        remains.note(mixing(heard))
        kept = 1 - sum(heard.values())
        state = {name: kept * state.get(name, 0.0) + heard.get(name, 0.0) for name in "abc"} | {
            "me": kept * state["me"]
        }
    for name in "abc":
        assert remains.of(name) == pytest.approx(state.get(name, 0.0), abs=1e-4)
    assert sum(map(remains.of, "abc")) <= 1 + 1e-9


def test_what_came_of_a_neighbor_fades_with_every_mixing_without_it_and_is_never_taken_out() -> None:
    remains = Remains("me")
    remains.note(mixing({"a": 0.5}))
    remains.note(mixing({"b": 0.5}))
    assert (remains.of("a"), remains.of("b"), remains.of("c")) == (0.25, 0.5, 0.0)
