from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.core.membership import Freshness

marks = st.tuples(st.integers(0, 4), st.integers(0, 9))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), marks)))
def test_a_message_is_accepted_exactly_when_it_is_newer_than_all_before_from_its_sender(
    messages: list[tuple[str, tuple[int, int]]],
) -> None:
    freshness, newest = Freshness(), dict[str, tuple[int, int]]()
    for sender, mark in messages:
        assert freshness.accept(sender, *mark) == (sender not in newest or mark > newest[sender])
        newest[sender] = max(newest.get(sender, mark), mark)
        assert freshness.seen(sender) == newest[sender]


def test_a_node_that_lost_its_state_is_heard_again_in_its_next_life() -> None:
    freshness = Freshness({"a": (1, 500)})
    assert not freshness.accept("a", 1, 1)
    assert freshness.accept("a", 2, 1)
    assert freshness.marks() == {"a": (2, 1)}


def test_of_a_sender_never_heard_nothing_was_seen() -> None:
    assert Freshness().seen("a") == (0, 0)
