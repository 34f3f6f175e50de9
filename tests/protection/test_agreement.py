"""What a receiver that relays keys can and cannot do."""

from dataclasses import replace

import pytest
from tests.net.strange import FLAWS, flawed
from tests.protection.neighborhood import NAMES, Certificates, Neighborhood, neighborhood, seeded, state_of, terms_of

from gossipfl.errors import MessageError
from gossipfl.net.issuing import make_authority, make_node
from gossipfl.protection.agreement import Agreement
from gossipfl.protection.letters import OFFER, ROSTER, Letter
from gossipfl.protection.offers import Offer, RosterLetter, make_offer, read_roster, write_offer, write_roster
from gossipfl.protection.pair_keys import KeyPair
from gossipfl.protection.vouching import Unsigned


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


def roster_for(certificates: Certificates, **changes: Offer) -> Letter:
    """What an honest `d` relays to `a`, with some offers replaced."""
    offers = {name: offer_of(certificates, name) for name in ("a", "b", "c")} | changes
    return Letter(ROSTER, "a", write_roster(RosterLetter(list(offers.values()))))


def offer_of(certificates: Certificates, name: str, receiver: str = "d", life: int = 0) -> Offer:
    """As the node makes it."""
    key = KeyPair.of(seeded(name, life)(receiver, 32)).public
    return make_offer(terms_of(name), certificates.voucher(name), receiver, key)


def sender(certificates: Certificates) -> Agreement:
    """Node `a`, one of three senders of `d`."""
    return Agreement(terms_of("a"), certificates.voucher("a"), seeded("a"))


def test_all_senders_of_a_receiver_agree_though_only_the_receiver_knows_them_all(certificates: Certificates) -> None:
    there = neighborhood(certificates=certificates)
    there.meet()
    states = {name: state_of(terms_of(name), place) for place, name in enumerate(NAMES)}
    for name, state in states.items():
        there.publish(name, state)
    assert [len(there.sums(name)) for name in NAMES] == [1] * 4
    assert all(summed.mean is not None for name in NAMES for summed in there.sums(name))


def test_an_honest_roster_is_taken(certificates: Certificates) -> None:
    agreement = sender(certificates)
    agreement.take_roster("d", roster_for(certificates))
    roster = agreement.roster("d")
    assert roster is not None
    assert sorted(roster.secrets) == ["b", "c"]


def test_a_receiver_that_puts_its_own_key_in_a_senders_place_is_caught(certificates: Certificates) -> None:
    own = KeyPair.of(bytes(range(32))).public
    honest = offer_of(certificates, "b")
    by_itself = make_offer(terms_of("d"), certificates.voucher("d"), "d", own)
    attempts = [
        # the true signature beside another key
        replace(honest, key=own),
        # signed by the receiver, in the sender's name
        replace(honest, key=own, signature=by_itself.signature),
        replace(honest, key=own, signature=by_itself.signature, certificate=by_itself.certificate),
        # the sender's certificate first, and behind it the receiver's, whose signature fits
        replace(by_itself, sender="b", certificate=honest.certificate + by_itself.certificate),
        signed_as(certificates, "b", own, honest.certificate + by_itself.certificate),
        signed_as(certificates, "b", own, by_itself.certificate + honest.certificate),
    ]
    for forged in attempts:
        agreement = sender(certificates)
        with pytest.raises(MessageError, match="'b' did not sign") as raised:
            agreement.take_roster("d", roster_for(certificates, b=forged))
        assert raised.value.reason == "keys"
        assert agreement.roster("d") is None


def signed_as(certificates: Certificates, name: str, key: bytes, certificate: bytes) -> Offer:
    """A statement in another's name, signed by the receiver."""
    forged = make_offer(terms_of(name), certificates.voucher("d"), "d", key)
    return replace(forged, certificate=certificate)


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_certificate_that_no_issuer_makes_signs_nothing(certificates: Certificates, flaw: str) -> None:
    honest = offer_of(certificates, "b")
    forged = replace(honest, certificate=flawed(honest.certificate, flaw))
    with pytest.raises(MessageError, match="'b' did not sign"):
        sender(certificates).take_roster("d", roster_for(certificates, b=forged))


def test_an_authority_of_the_receivers_own_vouches_for_nobody(certificates: Certificates) -> None:
    pair = make_node("b", None, authority=make_authority())
    honest = certificates.pairs["b"]
    try:
        certificates.pairs["b"] = pair
        voucher = certificates.voucher("b", knows=("d",))
    finally:
        certificates.pairs["b"] = honest
    forged = make_offer(terms_of("b"), voucher, "d", KeyPair.of(bytes(range(32))).public)
    assert forged.certificate == pair.certificate
    with pytest.raises(MessageError, match="'b' did not sign"):
        sender(certificates).take_roster("d", roster_for(certificates, b=forged))


def test_a_key_for_another_receiver_another_experiment_or_fewer_senders_is_refused(certificates: Certificates) -> None:
    voucher = certificates.voucher("b")
    key = KeyPair.of(seeded("b")("d", 32)).public
    larger = Certificates((*NAMES, "e"))
    larger.pairs.update(certificates.pairs)
    attempts = [
        offer_of(certificates, "b", receiver="c"),
        replace(offer_of(certificates, "b", receiver="c"), receiver="d"),
        make_offer(replace(terms_of("b"), experiment=b"another"), voucher, "d", key),
        make_offer(terms_of("b", names=(*NAMES, "e")), voucher, "d", key),
    ]
    for shown in attempts:
        with pytest.raises(MessageError, match="'b' did not sign"):
            sender(certificates).take_roster("d", roster_for(certificates, b=shown))


def test_a_receiver_known_by_another_certificate_collects_no_keys(certificates: Certificates) -> None:
    # signed for whoever showed this certificate to b, which is not the one that a knows d by
    elsewhere = Certificates()
    elsewhere.authority = certificates.authority
    elsewhere.pairs = {**certificates.pairs, "d": make_node("d", None, authority=certificates.authority)}
    with pytest.raises(MessageError, match="'b' did not sign"):
        sender(certificates).take_roster("d", roster_for(certificates, b=offer_of(elsewhere, "b")))


def test_a_receiver_of_which_no_certificate_is_known_gets_no_key_and_brings_none(certificates: Certificates) -> None:
    # else all would sign for anybody of that name: nothing would bind the receiver to its sums
    unknown = Agreement(terms_of("a"), certificates.voucher("a", knows=("b", "c")), seeded("a"))
    assert unknown.up("d") == []
    assert [letter.kind for letter in unknown.up("b")] == [OFFER]
    unbound = {}
    for name in ("a", "b", "c"):
        key = KeyPair.of(seeded(name)("d", 32)).public
        unbound[name] = make_offer(terms_of(name), certificates.voucher(name, knows=("a", "b", "c")), "d", key)
    with pytest.raises(MessageError, match="did not sign"):
        unknown.take_roster("d", roster_for(certificates, **unbound))
    assert unknown.roster("d") is None


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "b"), ("a", "b", "c", "d"), ("b", "c"), ()])
def test_a_roster_of_other_senders_than_the_topologys_is_refused(
    certificates: Certificates, names: tuple[str, ...]
) -> None:
    letter = Letter(ROSTER, "a", write_roster(RosterLetter([offer_of(certificates, name) for name in names])))
    with pytest.raises(MessageError, match="other senders"):
        sender(certificates).take_roster("d", letter)


def test_a_roster_with_another_key_in_the_own_name_is_refused_and_an_own_one_of_an_earlier_life_is_no_agreement(
    certificates: Certificates,
) -> None:
    agreement = sender(certificates)
    earlier = offer_of(certificates, "a", life=1)
    agreement.take_roster("d", roster_for(certificates, a=earlier))
    assert agreement.roster("d") is None
    with pytest.raises(MessageError, match="'a' did not sign"):
        agreement.take_roster("d", roster_for(certificates, a=replace(earlier, key=bytes(32))))


def test_a_key_of_low_order_agrees_on_nothing() -> None:
    zero = replace(offer_of_unsigned("b"), key=bytes(32))
    letter = Letter(ROSTER, "a", write_roster(RosterLetter([offer_of_unsigned("a"), zero, offer_of_unsigned("c")])))
    with pytest.raises(MessageError, match="agrees on no secret"):
        Agreement(terms_of("a"), Unsigned(), seeded("a")).take_roster("d", letter)


def offer_of_unsigned(name: str) -> Offer:
    """Where nobody signs."""
    return make_offer(terms_of(name), Unsigned(), "d", KeyPair.of(seeded(name)("d", 32)).public)


def test_a_receiver_takes_keys_of_its_senders_only_from_themselves(certificates: Certificates) -> None:
    receiver = Agreement(terms_of("d"), certificates.voucher("d"), seeded("d"))
    honest = offer_of(certificates, "b")
    for who, offer in [
        ("c", honest),
        ("b", offer_of(certificates, "b", receiver="c")),
        ("b", replace(honest, key=b"")),
    ]:
        with pytest.raises(MessageError, match="did not sign"):
            receiver.take_offer(who, Letter(OFFER, "d", write_offer(offer)))
    with pytest.raises(MessageError):
        receiver.take_offer("b", Letter(OFFER, "d", b"\xff\xff\xff"))
    assert receiver.take_offer("b", Letter(OFFER, "d", write_offer(honest))) == []


def test_keys_are_told_again_to_who_comes_back_and_to_all_when_somebody_has_a_new_one(
    certificates: Certificates,
) -> None:
    receiver = Agreement(terms_of("d"), certificates.voucher("d"), seeded("d"))

    def told(name: str, life: int = 0) -> list[str]:
        letter = Letter(OFFER, "d", write_offer(offer_of(certificates, name, life=life)))
        return [each.to for each in receiver.take_offer(name, letter)]

    assert [told("a"), told("b"), told("c")] == [[], [], ["a", "b", "c"]]
    assert told("b", life=1) == ["a", "b", "c"]
    again = Letter(OFFER, "d", write_offer(offer_of(certificates, "a")))
    assert [len(read_roster(each.content).offers) for each in receiver.take_offer("a", again)] in ([3], [3, 3, 3])


def test_a_private_key_is_in_no_representation() -> None:
    there: Neighborhood = neighborhood()
    there.meet()
    private = seeded("a")("d", 32)
    assert private.hex() not in repr(there.guards["a"])
    assert repr(private) not in repr(KeyPair.of(private))
