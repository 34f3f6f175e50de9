"""Who is up is found out by all, in the ticks that are promised, whatever the network does to single words."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.swim.fields import Field, Weather, members

from gossipfl.core.swim import Changed, Pace, Standing
from gossipfl.core.swim.trips import Trips

few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 2**32)


def promised_ticks(count: int) -> int:
    """From a death to everybody's knowing it, see `core.swim.machine`; one more for clocks that are apart."""
    return 2 * (count - 1) + math.ceil(math.log2(count + 1)) + 5 + 1


@few
@given(seed=seeds, count=st.integers(2, 12), loss=st.sampled_from([0.0, 0.1, 0.2]), data=st.data())
def test_all_that_are_alive_come_to_know_each_other_whoever_knew_whom_at_first(
    seed: int, count: int, loss: float, data: st.DataObject
) -> None:
    field = Field(seed, Weather(loss=loss))
    for place in range(count):
        known = data.draw(st.integers(0, place - 1)) if place else None
        field.start(f"m{place}", *([] if known is None else [f"m{known}"]))
        field.run(data.draw(st.sampled_from([0, 0.5, 3])))
    field.ticks_until(field.agree, 60)


@few
@given(seed=seeds, count=st.integers(2, 12), data=st.data())
def test_a_dead_member_is_down_everywhere_within_the_promised_ticks(seed: int, count: int, data: st.DataObject) -> None:
    field = members(count, seed)
    field.ticks_until(field.agree, 60)
    field.run(count)
    field.kill(data.draw(st.sampled_from(sorted(field.alive))))
    field.ticks_until(field.agree, promised_ticks(count))


@pytest.mark.slow
@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_nobody_that_is_alive_is_ever_down_though_words_get_lost(seed: int, loss: float) -> None:
    field = members(20, seed, Weather(loss=loss))
    field.ticks_until(field.agree, 60)
    field.run(200)
    assert not [change for _, _, change in field.changes if change.standing is Standing.DOWN]
    assert field.agree()


@few
@given(seed=seeds)
def test_whoever_was_taken_for_dead_on_a_terrible_line_comes_back_when_the_line_does(seed: int) -> None:
    field = members(6, seed)
    field.ticks_until(field.agree, 60)
    field.weather.loss = 0.85
    field.run(60)
    field.weather.loss = 0.0
    field.ticks_until(field.agree, 60)


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_many_find_each_other_and_their_dead_at_a_bounded_price(count: int) -> None:
    field = members(count, 3, Weather(loss=0.05))
    assert field.ticks_until(field.agree, 100) <= 20
    # by then everybody has asked everybody once
    field.run(40)
    before = field.words
    field.run(10)
    assert (field.words - before) / 10 / count <= 6
    field.kill("m7")
    field.kill("m20")
    assert field.ticks_until(field.agree, 200) <= 30
    down = {change.name for _, _, change in field.changes if change.standing is Standing.DOWN}
    assert down == {"m7", "m20"}
    field.start("late", "m3")
    # news of one spreads by gossip: 13 to 18 ticks for 200 members, by the seed
    assert field.ticks_until(field.agree, 100) <= 3 * math.ceil(math.log2(count))


@few
@given(seed=seeds, count=st.integers(3, 12))
def test_a_member_that_takes_leave_is_gone_at_once_and_may_come_back(seed: int, count: int) -> None:
    field = members(count, seed)
    field.ticks_until(field.agree, 60)
    field.leave("m1")
    field.run(3)
    assert field.agree()
    assert not field.believed_down("m1")
    field.start("m1", "m0", incarnation=1)
    field.ticks_until(field.agree, 60)


@few
@given(seed=seeds)
def test_two_whose_line_is_cut_know_of_each_other_by_the_signed_answers_that_others_pass_on(seed: int) -> None:
    field = members(6, seed)
    field.ticks_until(field.agree, 60)
    field.weather.severed = lambda a, b: {a, b} == {"m1", "m2"}
    field.run(60)
    assert field.agree()
    assert not field.believed_down("m1")
    assert not field.believed_down("m2")


def test_whoever_hears_a_member_does_not_doubt_it_though_its_own_questions_are_not_answered() -> None:
    field = members(2)
    field.ticks_until(field.agree, 60)
    # one way only
    field.weather.severed = lambda sender, to: (sender, to) == ("m0", "m1")
    field.run(60)
    assert not field.believed_down("m1")
    assert field.alive["m0"].up == ("m0", "m1")


@few
@given(seed=seeds)
def test_whoever_is_away_for_fewer_ticks_than_a_verdict_takes_is_nobodys_dead(seed: int) -> None:
    field = members(12, seed)
    field.ticks_until(field.agree, 60)
    field.run(24)
    patience = field.alive["m0"].suspicion_ticks
    assert patience == math.ceil(math.log2(13)) + 3
    field.weather.severed = lambda a, b: "m1" in {a, b}
    field.run(patience - 1)
    field.weather.severed = lambda _a, _b: False
    field.run(20)
    assert not [change for _, by, change in field.changes if change.standing is Standing.DOWN and by != "m1"]
    field.ticks_until(field.agree, 20)


@few
@given(seed=seeds)
def test_a_network_that_was_cut_in_two_becomes_one_again(seed: int) -> None:
    field = members(8, seed)
    field.ticks_until(field.agree, 60)
    field.weather.severed = lambda a, b: (int(a[1:]) < 4) != (int(b[1:]) < 4)
    field.ticks_until(lambda: field.alive["m0"].up == ("m0", "m1", "m2", "m3"), 80)
    field.ticks_until(lambda: field.alive["m7"].up == ("m4", "m5", "m6", "m7"), 80)
    field.weather.severed = lambda _a, _b: False
    field.ticks_until(field.agree, 80)


def test_waits_grow_with_the_round_trips_so_that_a_slow_network_accuses_nobody() -> None:
    field = members(8, 1)
    field.ticks_until(field.agree, 60)
    # from 10 ms to 8 s, there and back: eight ticks
    for step in range(40):
        field.weather.latency_s = 0.005 * (4.0 / 0.005) ** (step / 39)
        field.run(15)
    assert not [change for _, _, change in field.changes if change.standing is Standing.DOWN]
    assert field.agree()


def test_a_dead_member_that_had_answered_slowly_is_found_though_it_is_asked_faster_than_given_up() -> None:
    field = members(4, 3)
    field.ticks_until(field.agree, 60)
    for name in ("m0", "m1", "m2"):
        dead = field.alive[name].member("m3")
        assert dead is not None
        # a wait of 18 ticks, given up after 54; it is asked every third tick at least
        dead.trips = Trips(6.0, 3.0)
    field.kill("m3")
    field.run(50)
    assert all("m3" in machine.up for machine in field.alive.values())
    field.ticks_until(field.agree, 60)
    assert field.alive["m0"].up == ("m0", "m1", "m2")


def test_whoever_was_asleep_accuses_nobody_for_what_it_did_not_hear() -> None:
    field = members(5, 2)
    field.ticks_until(field.agree, 60)
    field.run(10)
    machine = field.alive["m0"]
    for _ in range(10):
        field.now += 30.0
        # all its questions look unanswered for half a minute
        effects = machine.wake(field.now)
        assert not [each for each in effects if isinstance(each, Changed)]
        field.perform("m0", effects)
        field.run(1)
    assert field.agree()


def test_what_is_remembered_is_bounded() -> None:
    field = members(4, 5, pace=Pace(most_members=8))
    field.ticks_until(field.agree, 60)
    for place in range(30):
        field.start(f"x{place}", "m0")
        field.run(6)
        field.kill(f"x{place}")
    assert all(machine.known <= 8 for machine in field.alive.values())
    field.ticks_until(field.agree, 80)


def test_when_all_places_are_taken_by_the_living_a_newcomer_is_not_let_in() -> None:
    field = members(4, 5, pace=Pace(most_members=3))
    field.ticks_until(field.agree, 60)
    field.start("late", "m0")
    field.run(20)
    assert all(machine.up == ("m0", "m1", "m2", "m3") for name, machine in field.alive.items() if name != "late")
