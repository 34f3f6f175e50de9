"""A node's life number rises above what neighbors remember, and only then."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.core.handshake import Greeting
from gossipfl.node.greeting import Greeter


class Numbers:
    """The durable counter of a state directory."""

    def __init__(self, last: int) -> None:
        self.last = last

    def above(self, number: int) -> int:
        self.last = max(self.last, number) + 1
        return self.last


def greeter(incarnation: int = 1, fingerprint: Mapping[str, str] | None = None) -> Greeter:
    return Greeter(
        name="ada",
        fingerprint=fingerprint or {"model": "m"},
        basis_sketch=(),
        codec="fp32",
        topology_version=1,
        incarnation=incarnation,
        next_incarnation=Numbers(incarnation).above,
        head=lambda _: None,
    )


def greeting(*, own: int, seen: int) -> Greeting:
    """A neighbor's, in its life `own`, which remembers ada's life `seen`."""
    return Greeting(
        protocol_version=1,
        name="bob",
        fingerprint={},
        basis_sketch=(),
        codecs=("fp32",),
        incarnation=own,
        seen_incarnation=seen,
        topology_version=1,
        ledger_head=None,
    )


@given(own=st.integers(1, 50), seen=st.integers(0, 50))
def test_after_the_first_meeting_this_life_is_above_all_that_the_neighbor_remembers(own: int, seen: int) -> None:
    node = greeter(own)
    node.heard("bob", greeting(own=1, seen=seen))
    assert node.incarnation > seen
    assert (node.incarnation == own) == (seen < own)


def test_a_neighbor_met_in_this_life_remembers_this_very_life() -> None:
    node = greeter(2)
    node.heard("bob", greeting(own=1, seen=1))
    node.heard("bob", greeting(own=1, seen=2))
    assert node.incarnation == 2


def test_another_neighbor_may_remember_a_later_life_yet() -> None:
    node = greeter(2)
    node.heard("bob", greeting(own=1, seen=0))
    node.heard("cid", greeting(own=1, seen=8))
    assert node.incarnation == 9
    assert node.greet("bob").incarnation == 9


@pytest.mark.parametrize("lives", [(1, 2), (2, 1)])
def test_it_tells_a_neighbor_the_latest_life_it_met(lives: tuple[int, ...]) -> None:
    node = greeter()
    assert node.greet("bob").seen_incarnation == 0
    for life in lives:
        node.heard("bob", greeting(own=life, seen=0))
    assert node.greet("bob").seen_incarnation == 2
