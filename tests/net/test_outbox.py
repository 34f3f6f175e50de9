"""Laws of what waits to be sent."""

from hypothesis import given
from hypothesis import strategies as st
from tests.net.world import packet_of, state_of

from gossipfl.core.messages import Header, Packet
from gossipfl.net.outbox import LONGEST, Bundle, Bundler, Outbox, Outgoing

BUNDLE = Bundle(packet_of(state_of(1)), "fp32")
steps = st.lists(st.sampled_from(["put", "put fixed", "send", "break", "seen", "reconnect"]), max_size=40)


def message(sequence: int, *, round: int = 0, replaceable: bool = True) -> Outgoing:
    return Outgoing(sequence, BUNDLE, Header(round, 0), None, replaceable)


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


def test_a_packet_posted_to_several_neighbors_is_framed_once() -> None:
    bundler, state = Bundler("fp32"), state_of(3)
    packet = packet_of(state)
    first = bundler.bundle(packet)
    assert bundler.bundle(packet) is first
    assert bundler.bundle(packet_of(state)) is not first
    assert first.usual is first.usual
    size = state.vector.nbytes
    assert first.usual.payload_bytes == size <= sum(map(len, first.usual.frames)) <= size + 16


def difference(number: int, *, replaceable: bool = True) -> Outgoing:
    """Publication `number`, which travels as two bytes that mean something to who has the one before."""
    packet = Packet(packet_of(state_of(1)).content, state_of(1), None, number, number - 1, b"ab")
    return Outgoing(number, Bundle(packet, "int8"), Header(number, 0), None, replaceable)


def test_a_difference_goes_to_who_has_what_it_is_added_to_and_the_whole_to_others() -> None:
    outbox, sent = Outbox(), []

    def send() -> None:
        taken = outbox.take()
        assert taken is not None
        sent.append((taken.bundle.number, taken.parcel.codec, taken.parcel.payload_bytes))
        outbox.written(taken, (1, taken.sequence))

    outbox.put(difference(1))
    send()  # the first is a difference to the common start
    outbox.put(difference(2))
    send()
    outbox.put(difference(3))
    outbox.put(difference(4))  # takes the place of 3
    send()
    outbox.put(difference(5))
    send()
    outbox.refused()  # the neighbor has dropped it
    outbox.put(difference(6))
    send()
    outbox.confirm((1, 6))
    outbox.reconnected((1, 6))
    outbox.put(difference(7))
    send()
    size = state_of(1).vector.nbytes
    assert sent == [
        (1, "int8", 2),
        (2, "int8", 2),
        (4, "fp32", size),
        (5, "int8", 2),
        (6, "fp32", size),
        (7, "fp32", size),
    ]


def test_a_difference_that_broke_off_goes_whole() -> None:
    outbox = Outbox()
    outbox.put(difference(1))
    outbox.written(outbox.take() or difference(1), (1, 1))
    outbox.put(difference(2, replaceable=False))
    broken = outbox.take()
    assert broken is not None
    assert broken.parcel.codec == "int8"
    outbox.give_back(broken)
    again = outbox.take()
    assert again is not None
    assert (again.bundle.number, again.parcel.codec) == (2, "fp32")


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
