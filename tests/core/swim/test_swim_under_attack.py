"""What a member of ill will can do: make others ask. Neither death nor life can be talked onto anybody."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.swim.fields import Field, members, seal_of

from gossipfl.core.swim import Card, Doubt, Kind, Pace, Standing, Word
from gossipfl.core.swim.machine import MOST_WORDS
from gossipfl.core.swim.words import LAST_INCARNATION, MOST_NEWS, answer_text

some = settings(max_examples=12, deadline=None)
names = st.sampled_from(["m0", "m1", "m2", "m3", "m4", "evil", "nobody", "", "x" * 300])
numbers = st.one_of(st.integers(-3, 6), st.integers(0, 2**64 - 1))
cards = st.builds(Card, names, st.sampled_from(["evil:1", "m1:1", ""]), numbers, st.booleans(), st.binary(max_size=8))
words = st.builds(
    Word,
    st.sampled_from(Kind),
    numbers,
    names,
    st.binary(max_size=8),
    numbers,
    st.lists(cards, max_size=4).map(tuple),
    st.lists(st.builds(Doubt, names, numbers), max_size=8).map(tuple),
)


def settled(count: int = 5, seed: int = 0) -> Field:
    """Members that know each other, one of them ill-willed from now on: the tests send in its name."""
    field = members(count, seed)
    field.start("evil", "m0")
    field.ticks_until(field.agree, 60)
    field.run(2 * count)
    return field


@some
@given(said=st.lists(st.lists(words, max_size=20), min_size=1, max_size=12), data=st.data())
def test_whatever_a_member_says_no_living_one_is_ever_down_and_nothing_unknown_is_remembered(
    said: list[list[Word]], data: st.DataObject
) -> None:
    field = settled()
    for words_of_a_tick in said:
        for word in words_of_a_tick:
            field.send("evil", data.draw(st.sampled_from(["m0", "m1", "m2", "m3", "m4"])), word)
        field.run(1)
    field.run(3)
    assert not [change for _, by, change in field.changes if change.standing is Standing.DOWN and by != "evil"]
    for name in ("m0", "m1", "m2", "m3", "m4"):
        machine = field.alive[name]
        assert machine.known == 5
        assert machine.card.incarnation <= 2 + len(said) + 3
    field.run(10)
    assert field.agree()


def test_doubts_about_everybody_in_every_tick_leave_everybody_in_place() -> None:
    field = settled(8)
    for _ in range(60):
        doubts = tuple(Doubt(name, machine.card.incarnation) for name, machine in field.alive.items())
        for name in sorted(field.alive.keys() - {"evil"}):
            for _ in range(10):
                field.send("evil", name, Word(Kind.NEWS, 0, doubts=doubts))
        field.run(1)
        assert all(len(machine.up) == 9 for machine in field.alive.values())
    assert not [change for _, _, change in field.changes if change.standing is Standing.DOWN]
    field.run(10)
    assert field.agree()


def test_more_are_doubted_than_can_be_asked_in_time_and_none_of_them_is_down_for_it() -> None:
    field = settled(40)
    field.weather.loss = 0.2
    for _ in range(20):
        cards = [machine.card for machine in field.alive.values()]
        for first in range(0, 40, MOST_NEWS):
            doubts = tuple(Doubt(card.name, card.incarnation) for card in cards[first : first + MOST_NEWS])
            field.send("evil", "m0", Word(Kind.NEWS, 0, doubts=doubts))
        field.run(1)
    assert not [change for _, _, change in field.changes if change.standing is Standing.DOWN]


def test_a_doubt_is_told_on_only_by_who_was_not_answered_itself() -> None:
    field = settled()
    machine = field.alive["m0"]
    doubt = Doubt("m1", field.alive["m1"].card.incarnation)
    machine.hear("evil", Word(Kind.NEWS, 0, doubts=(doubt,)), field.now)
    said = machine.hear("m2", Word(Kind.PING, 9), field.now)
    assert not [each for effect in said for each in effect.word.doubts]  # type: ignore[union-attr]


def test_a_member_that_is_doubted_raises_its_incarnation_once_a_tick() -> None:
    field = settled()
    machine, before = field.alive["m1"], field.alive["m1"].card.incarnation
    for _ in range(50):
        machine.hear("evil", Word(Kind.NEWS, 0, doubts=(Doubt("m1", machine.card.incarnation),)), field.now)
    assert machine.card.incarnation == before + 1


def test_a_doubt_of_an_incarnation_that_nobody_announced_means_nothing() -> None:
    field = settled()
    machine = field.alive["m0"]
    for incarnation in (2, 10, 2**62, LAST_INCARNATION, 2**64 - 1):
        machine.hear("evil", Word(Kind.NEWS, 0, doubts=(Doubt("m1", incarnation), Doubt("m0", incarnation))), field.now)
    member = machine.member("m1")
    assert member is not None
    assert member.standing is Standing.UP
    assert machine.card.incarnation == 1


def test_cards_that_their_owner_did_not_sign_are_refused_and_counted() -> None:
    field = settled()
    machine = field.alive["m0"]
    forged = (Card("m1", "evil:1", 7, left=True, proof=b"?"), Card("ghost", "evil:1", 1, proof=b"?"))
    machine.hear("evil", Word(Kind.NEWS, 0, cards=forged), field.now)
    assert machine.refused == 2
    assert machine.up == ("evil", "m0", "m1", "m2", "m3", "m4")
    member = machine.member("m1")
    assert member is not None
    assert member.card.address == "m1:1"


def test_who_says_too_much_in_a_tick_is_not_heard() -> None:
    field = settled()
    machine = field.alive["m0"]
    machine.wake(machine.due)
    answers = [machine.hear("evil", Word(Kind.PING, number), field.now) for number in range(3 * MOST_WORDS)]
    assert sum(map(bool, answers)) == MOST_WORDS
    # a card that is not what it claims costs as much as a word
    field = settled()
    machine = field.alive["m0"]
    machine.wake(machine.due)
    bad = tuple(Card(f"g{place}", "g:1", 1, proof=b"?") for place in range(MOST_NEWS))
    answers = [machine.hear("evil", Word(Kind.PING, number, cards=bad), field.now) for number in range(MOST_WORDS)]
    assert sum(map(bool, answers)) == 2
    assert machine.refused == 2 * MOST_NEWS


def test_senders_without_a_card_are_not_answered_and_not_remembered() -> None:
    field = members(3, pace=Pace(most_members=16))
    field.ticks_until(field.agree, 60)
    machine = field.alive["m0"]
    for place in range(100):
        assert not machine.hear(f"s{place}", Word(Kind.PING, 1), field.now)
    assert machine.known == 2


def test_a_dead_member_is_not_talked_alive_by_its_old_cards_or_by_invented_answers() -> None:
    field = settled()
    old = field.alive["m1"].card
    field.kill("m1")
    for tick in range(60):
        for name in ("m0", "m2", "m3", "m4"):
            field.send("evil", name, Word(Kind.NEWS, 0, cards=(old,)))
            for number in range(tick, tick + 40):
                field.send("evil", name, Word(Kind.PASS, number, "m1", b"it is well"))
        field.run(1)
    assert all("m1" not in field.alive[name].up for name in ("m0", "m2", "m3", "m4"))


def test_an_answer_is_signed_for_one_asker_and_one_question() -> None:
    field = settled()
    field.weather.severed = lambda a, b: "m1" in {a, b}
    seal = seal_of("m1")
    for tick in range(60):
        for name in ("m0", "m2"):
            for number in range(tick, tick + 40):
                # made for another asker, and for another question
                field.send("evil", name, Word(Kind.PASS, number, "m1", seal.sign(answer_text("m1", "m3", number))))
                wrong = seal.sign(answer_text("m1", name, number + 1))
                field.send("evil", name, Word(Kind.PASS, number, "m1", wrong))
        field.run(1)
    assert all("m1" not in field.alive[name].up for name in ("m0", "m2"))


def test_a_node_that_lost_its_memory_rises_above_what_others_remember_of_it() -> None:
    field = settled()
    machine = field.alive["m1"]
    machine.hear("m0", Word(Kind.NEWS, 0, cards=(seal_of("m1").card("m1", 41, False),)), field.now)
    assert machine.card.incarnation == 42
    field.run(5)
    assert field.agree()


def test_a_revoked_member_is_forgotten_at_once_and_its_cards_are_worth_nothing() -> None:
    field = settled()
    card = field.alive["m1"].card
    field.revoked.add("m1")
    for name in ("m0", "m2", "m3", "m4"):
        field.perform(name, field.alive[name].sift())
        assert "m1" not in field.alive[name].up
        field.alive[name].hear("m2" if name != "m2" else "m3", Word(Kind.NEWS, 0, cards=(card,)), field.now)
        assert field.alive[name].member("m1") is None


def test_no_word_holds_more_news_than_the_wire_takes() -> None:
    field = members(60)
    field.ticks_until(field.agree, 100)
    assert field.largest <= MOST_NEWS
