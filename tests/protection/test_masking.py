"""Guards that average under masks: what a receiver gets, and what it never gets."""

import itertools
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from scipy import stats
from tests.protection.neighborhood import NAMES, SLANTED, Neighborhood, neighborhood, reborn, seeded, state_of, terms_of

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.events import Heard
from gossipfl.core.messages import Header
from gossipfl.core.topology import build_schedule
from gossipfl.errors import MessageError
from gossipfl.protection.guards import build_guard
from gossipfl.protection.letters import SHARE, Letter
from gossipfl.protection.terms import check_protectable
from gossipfl.protection.vouching import Unsigned
from gossipfl.state import AdapterState

STATES = {name: state_of(terms_of(name), place) for place, name in enumerate(NAMES)}


def shares(there: Neighborhood, sender: str, to: str = "d") -> list[bytes]:
    """Contents of all shares on one edge."""
    return [bytes(letter.content) for who, letter in there.seen if (who, letter.to, letter.kind) == (sender, to, SHARE)]


@pytest.mark.parametrize("changes", [{}, {"ring_bits": 64, "scale_bits": 24, "bound": 1000.0}])
def test_a_receiver_learns_the_weighted_mean_of_its_senders_within_rounding(changes: dict[str, Any]) -> None:
    there = neighborhood(**changes)
    there.meet()
    for name, state in STATES.items():
        there.publish(name, state)
    for name in NAMES:
        (summed,) = there.sums(name)
        assert summed.mean is not None
        wanted = np.mean([STATES[other].vector for other in NAMES if other != name], axis=0)
        assert np.abs(summed.mean.vector - wanted).max() <= 2.0**-21


@pytest.mark.parametrize("name", NAMES)
def test_each_counts_for_what_its_receiver_gives_it_not_for_what_it_gives(name: str) -> None:
    there = neighborhood(**SLANTED)
    there.meet()
    for each, state in STATES.items():
        there.publish(each, state)
    given = terms_of(name, **SLANTED).weights(name)
    wanted = sum(weight * STATES[other].vector.astype(np.float64) for other, weight in given.items())
    (summed,) = there.sums(name)
    assert summed.mean is not None
    assert np.abs(summed.mean.vector - wanted / sum(given.values())).max() <= 1e-6


@pytest.mark.parametrize("bits", [32, 64])
def test_no_two_shares_of_a_sender_tell_what_they_differ_in(bits: int) -> None:
    there = neighborhood(ring_bits=bits)
    there.meet()
    for number in range(4):
        there.publish("a", STATES["a"], number)
    sent = [np.frombuffer(each, f"<u{bits // 8}") for to in ("b", "c", "d") for each in shares(there, "a", to)]
    assert len(sent) == 3 * 4
    # the same content: under masks that came twice two shares would be alike, or differ by little
    apart = [one - other for one, other in itertools.combinations(sent, 2)]
    assert stats.kstest((np.concatenate(apart) + 0.5) / 2.0**bits, "uniform").pvalue > 0.01
    nearest = [np.minimum(each, -each).min() / 2.0**bits for each in apart]
    assert min(nearest) > 1e-6


def test_no_message_holds_a_state() -> None:
    there = neighborhood()
    there.meet()
    for name, state in STATES.items():
        there.publish(name, state)
    bare = terms_of("a").ring.encode(STATES["a"].vector, 0.25)
    assert bare is not None
    (share,) = shares(there, "a")
    assert share != bare.tobytes()
    assert len({*shares(there, "a"), *shares(there, "a", "b"), *shares(there, "a", "c")}) == 3
    assert all(STATES["a"].vector.tobytes() not in bytes(letter.content) for _, letter in there.seen)


def test_two_receivers_whose_senders_differ_by_one_know_that_one_together() -> None:
    # v hears a, b, c and w; w hears a, b and v
    edges = [(edge[0], edge[1]) for edge in ["va", "vb", "vc", "vw", "wa", "wb", "ab", "cd", "ce", "de", "da", "eb"]]
    names = ("a", "b", "c", "d", "e", "v", "w")
    schedule = build_schedule(TopologyConfig(), names, nx.Graph(edges))
    check_protectable(schedule, terms_of("a").config)
    terms = {name: replace(terms_of("a"), me=name, schedule=schedule) for name in names}
    there = Neighborhood({name: build_guard(terms[name], Unsigned(), seeded(name)) for name in names})
    there.meet()
    states = {name: state_of(terms[name], place) for place, name in enumerate(names)}
    for name in names:
        there.publish(name, states[name], to=sorted(terms[name].receivers))
    total = {}
    for name in ("v", "w"):
        (summed,) = there.sums(name)
        assert summed.mean is not None
        assert {*terms[name].weights(name).values()} == {0.2}
        total[name] = summed.mean.vector * len(terms[name].senders)
    known = total["v"] - states["w"].vector - (total["w"] - states["v"].vector)
    assert np.abs(known - states["c"].vector).max() < 1e-5


def test_a_sender_that_is_missing_leaves_no_sum_at_all() -> None:
    there = neighborhood()
    there.meet()
    for name in ("a", "b"):
        there.publish(name, STATES[name])
    assert there.sums("d") == []
    assert [type(event) for event in there.events["d"]] == [Heard, Heard]


def test_a_value_beyond_the_bound_sits_its_round_out() -> None:
    there = neighborhood()
    there.meet()
    vector = STATES["b"].vector.copy()
    vector[7] = -16.5
    there.publish("a", STATES["a"])
    there.publish("b", AdapterState(STATES["b"].spec, vector))
    there.publish("c", STATES["c"])
    heard = {event.sender: event.contributes for event in there.events["d"] if isinstance(event, Heard)}
    assert heard == {"a": True, "b": False, "c": True}
    assert there.sums("d") == []


def test_a_round_is_masked_once_whoever_asks_again_gets_the_same_bytes() -> None:
    there = neighborhood()
    there.meet()
    there.publish("a", STATES["a"], 3, to=["d"])
    there.publish("a", STATES["b"], 3, to=["d"])
    there.publish("a", STATES["b"], 2, to=["d"])
    first, again = shares(there, "a")
    assert first == again


def test_what_is_published_before_keys_are_agreed_waits_for_them() -> None:
    there = neighborhood()
    for name, state in STATES.items():
        there.publish(name, state)
    assert not any(letter.kind == SHARE for _, letter in there.seen)
    there.meet()
    assert [len(there.sums(name)) for name in NAMES] == [1] * 4


def test_a_sender_that_was_restarted_has_new_keys_and_the_round_under_way_is_no_sum() -> None:
    there = neighborhood()
    there.meet()
    there.publish("a", STATES["a"])
    reborn(there, "b", life=1)
    there.meet("b")
    there.publish("b", STATES["b"])
    there.publish("c", STATES["c"])
    # a's share was made with a key of b's that nobody has any more
    assert [summed.mean for summed in there.sums("d")] == [None]
    for name in NAMES:
        there.publish(name, STATES[name], 1)
    assert [summed.round for summed in there.sums("d") if summed.mean is not None] == [1]
    rosters = {letter.roster for who, letter in there.seen if letter.kind == SHARE and letter.to == "d"}
    assert len(rosters) == 2


def test_a_receiver_that_was_restarted_gets_the_same_keys_and_the_same_shares() -> None:
    there = neighborhood()
    there.meet()
    for name in ("a", "b", "c"):
        there.publish(name, STATES[name], to=["d"])
    reborn(there, "d", life=1)
    there.meet("d")
    for name in ("a", "b", "c"):
        there.publish(name, STATES[name], to=["d"])
    assert all(len({*shares(there, name)}) == 1 for name in ("a", "b", "c"))
    first, second = there.sums("d")
    assert first.mean is not None
    assert first.mean == second.mean


def test_shares_that_were_tampered_with_are_no_sum() -> None:
    there = neighborhood()
    there.meet()
    noise = np.random.default_rng(0).bytes(160)

    def passes(sender: str, letter: Letter) -> Letter:
        if letter.kind == SHARE and sender == "b":
            return Letter(SHARE, letter.to, noise, letter.header, letter.roster)
        return letter

    there.passes = passes
    for name, state in STATES.items():
        there.publish(name, state)
    assert [summed.mean for summed in there.sums("d")] == [None]


def test_the_same_share_twice_counts_once_and_late_ones_not_at_all() -> None:
    there = neighborhood()
    there.meet()
    there.publish("a", STATES["a"], to=["d"])
    there.publish("a", STATES["a"], to=["d"])
    there.publish("b", STATES["b"], to=["d"])
    there.publish("c", STATES["c"], to=["d"])
    assert len(there.sums("d")) == 1
    there.present = 5
    for name in ("a", "b", "c"):
        there.publish(name, STATES[name], 4, to=["d"])
    assert len(there.sums("d")) == 1


def test_whoever_announces_many_rounds_fills_no_memory() -> None:
    there = neighborhood()
    there.meet()
    guard = there.guards["d"]
    content = bytes(160)
    for number in range(200):
        for roster in range(5):
            guard.take("a", Letter(SHARE, "d", content, Header(number, 1), bytes([roster]) * 32), 0)
    kept = guard._totals._rounds  # type: ignore[attr-defined]
    assert len(kept) <= 3
    assert all(len(totals) <= 2 for totals in kept.values())


def test_letters_that_make_no_sense_are_refused() -> None:
    there = neighborhood()
    with pytest.raises(MessageError, match="nonsense"):
        there.guards["a"].take("b", Letter("nonsense", "a", b"x"), 0)
