"""Laws of what waits to be sent."""

from hypothesis import given
from hypothesis import strategies as st
from tests.net.world import state_of

from gossipfl.core.codecs.fp32 import Fp32
from gossipfl.core.events import Header
from gossipfl.net.outbox import LONGEST, Outbox, Outgoing, Packer

PARCEL = Packer(Fp32()).pack(state_of(1))
steps = st.lists(st.sampled_from(["put", "put fixed", "send", "break", "seen", "reconnect"]), max_size=40)


def message(sequence: int, *, round: int = 0, replaceable: bool = True) -> Outgoing:
    return Outgoing(sequence, PARCEL, Header(round, 0), None, replaceable)


@given(steps)
def test_whatever_happens_the_newest_message_is_delivered_in_the_end(steps: list[str]) -> None:
    outbox, newest, seen = Outbox(), 0, 0
    for step in steps:
        match step:
            case "put" | "put fixed":
                newest += 1
                outbox.put(message(newest, round=newest, replaceable=step == "put"))
            case "send" | "break":
                taken = outbox.take()
                if taken is None:
                    continue
                if step == "break":
                    outbox.give_back(taken)
                else:
                    outbox.written(taken, (1, taken.sequence))
            case "seen":
                outbox.confirm((1, seen))
            case _:
                outbox.reconnected((1, seen))
    outbox.reconnected((1, seen))
    delivered = []
    while (taken := outbox.take()) is not None:
        delivered.append(taken.sequence)
        outbox.written(taken, (1, taken.sequence))
    assert newest == 0 or delivered[-1] == newest
    assert delivered == sorted(set(delivered))
    assert len(delivered) <= LONGEST


def test_messages_that_must_not_be_replaced_stay_and_the_others_make_room() -> None:
    outbox = Outbox()
    for sequence, replaceable in ((1, False), (2, True), (3, True), (4, False), (5, True), (6, True)):
        outbox.put(message(sequence, round=sequence, replaceable=replaceable))
    taken = []
    while (one := outbox.take()) is not None:
        taken.append(one.sequence)
        outbox.written(one, (1, one.sequence))
    assert taken == [1, 4, 6]


async def test_flushed_means_nothing_waits_and_nothing_is_on_its_way() -> None:
    outbox = Outbox()
    await outbox.flushed()
    outbox.put(message(1))
    assert not outbox._idle.is_set()
    one = outbox.take()
    assert one is not None
    assert not outbox._idle.is_set()
    outbox.give_back(one)
    assert not outbox._idle.is_set()
    again = outbox.take()
    assert again is one
    outbox.written(one, (1, 1))
    await outbox.flushed()


def test_a_state_posted_to_several_neighbors_is_encoded_once() -> None:
    packer, state = Packer(Fp32()), state_of(3)
    first = packer.pack(state)
    assert packer.pack(state) is first
    assert packer.pack(state_of(3)) is not first
    assert first.payload_bytes == state.vector.nbytes <= sum(map(len, first.frames)) <= state.vector.nbytes + 16


def test_a_message_that_is_under_way_is_not_sent_twice() -> None:
    outbox = Outbox()
    outbox.put(message(1))
    one = outbox.take()
    assert one is not None
    outbox.put(message(2))  # what a protocol says again when it hears that the link is up
    outbox.written(one, (1, 1))
    outbox.put(message(3))
    assert outbox.take() is None
    outbox.reconnected((1, 0))  # lost with the link
    again = outbox.take()
    assert again is one
    outbox.written(again, (1, 1))
    outbox.confirm((1, 1))  # a new life of the neighbor knows nothing of what it had confirmed
    outbox.put(message(4))
    assert outbox.take() is not None
