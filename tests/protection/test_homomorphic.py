"""Guards that average by encryption: what a receiver gets, what it never gets, and what it costs."""

import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag

pytest.importorskip("tenseal", reason="extra `he`")

from tests.protection.neighborhood import (
    NAMES,
    SLANTED,
    Certificates,
    Neighborhood,
    neighborhood,
    reborn,
    seeded,
    state_of,
    terms_of,
)

from gossipfl.config.protection import ProtectionConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.events import Heard, Summed
from gossipfl.core.messages import Header
from gossipfl.core.topology import build_schedule
from gossipfl.errors import ConfigError, MessageError
from gossipfl.protection.agreement import Agreement
from gossipfl.protection.ckks import SecretKey, add, encrypt
from gossipfl.protection.homomorphic import Homomorphic
from gossipfl.protection.hops import SEAL_BYTES, _cipher
from gossipfl.protection.letters import HOP, RELAY, ROSTER, SUM, Job, Letter
from gossipfl.protection.offers import Context, RosterLetter, make_context, make_offer, write_roster
from gossipfl.protection.pair_keys import KeyPair
from gossipfl.protection.terms import check_protectable
from gossipfl.state import AdapterState

HE: dict[str, Any] = {"kind": "homomorphic"}
STATES = {name: state_of(terms_of(name), place) for place, name in enumerate(NAMES)}


def agreed(**changes: Any) -> Neighborhood:
    """All keys are known to all who need them."""
    there = neighborhood(**HE, **changes)
    there.meet()
    return there


def published(there: Neighborhood, *names: str, round: int = 0) -> Neighborhood:
    """By these nodes; default: all."""
    for name in names or NAMES:
        there.publish(name, STATES[name], round)
    return there


def key_of(there: Neighborhood, name: str) -> SecretKey:
    """What a receiver could decrypt with."""
    guard = there.guards[name]
    assert isinstance(guard, Homomorphic)
    return guard._key


def test_a_receiver_learns_the_weighted_mean_of_its_senders_to_the_bit_of_the_masked_one() -> None:
    there = published(agreed())
    masked = neighborhood(ring_bits=64)
    masked.meet()
    published(masked)
    for name in NAMES:
        (summed,), (wanted,) = there.sums(name), masked.sums(name)
        assert summed.mean is not None
        assert summed.mean == wanted.mean
        mean = np.mean([STATES[other].vector for other in NAMES if other != name], axis=0)
        assert np.abs(summed.mean.vector - mean).max() <= 1e-4


@pytest.mark.parametrize("order", [("c", "b", "a"), ("b", "a", "c"), ("a", "b", "c")])
def test_the_row_waits_for_each_of_its_senders_in_any_order(order: tuple[str, ...]) -> None:
    there = published(agreed(), *order)
    (summed,) = there.sums("d")
    assert summed.mean is not None


def test_all_that_a_receiver_saw_decrypts_to_the_sum_only() -> None:
    there = published(agreed())
    terms, key = terms_of("d", **HE), key_of(there, "d")
    received = [(who, letter) for who, letter in there.seen if letter.to == "d" and letter.kind in {HOP, SUM}]
    assert [(who, letter.kind) for who, letter in received if letter.kind == SUM] == [("c", SUM)]
    contents = {who: bytes(letter.content) for who, letter in received if letter.header.round == 0}
    hops = [bytes(letter.content) for who, letter in received if letter.kind == HOP and who in {"a", "b"}]
    for hop in hops:
        for attempt in (hop, hop[:-SEAL_BYTES], hop[SEAL_BYTES:]):
            with pytest.raises(ValueError, match=r"."):
                key.decrypt(attempt, 40, terms.ring)
    words = key.decrypt(contents["c"], 40, terms.ring)
    assert words is not None
    expected = [terms.ring.encode(STATES[name].vector, 0.25) for name in ("a", "b", "c")]
    assert words.tolist() == np.sum([each for each in expected if each is not None], axis=0, dtype=np.uint64).tolist()


def test_the_seal_is_what_keeps_a_receiver_from_a_single_state() -> None:
    there = published(agreed(), "a", "b", "c")
    guard = there.guards["b"]
    assert isinstance(guard, Homomorphic)
    roster = guard._agreement.roster("d")
    assert roster is not None
    (hop,) = [letter for who, letter in there.seen if (who, letter.to, letter.kind) == ("a", "d", HOP)]
    opened = _cipher("a", "b", "d", 0, roster.secrets["a"]).decrypt(bytes(12), bytes(hop.content), roster.id)
    ring = terms_of("d", **HE).ring
    words, own = key_of(there, "d").decrypt(opened, 40, ring), ring.encode(STATES["a"].vector, 0.25)
    assert words is not None
    assert own is not None
    # a receiver that had the senders' key would read a's state: v and the hops around k isolate k
    assert np.array_equal(words, own)


def test_the_last_of_the_row_needs_only_the_one_before_it_to_be_against_it() -> None:
    there = published(agreed(), "a", "b", "c")
    guard, ring = there.guards["b"], terms_of("d", **HE).ring
    assert isinstance(guard, Homomorphic)
    roster = guard._agreement.roster("d")
    assert roster is not None
    contents = {(who, letter.kind): bytes(letter.content) for who, letter in there.seen if letter.to == "d"}
    # what b made it knows the key of; d decrypts it, and its own sum
    hop = _cipher("b", "c", "d", 0, roster.secrets["c"]).decrypt(bytes(12), contents["b", HOP], roster.id)
    so_far, total = (key_of(there, "d").decrypt(each, 40, ring) for each in (hop, contents["c", SUM]))
    own = ring.encode(STATES["c"].vector, 0.25)
    assert so_far is not None
    assert total is not None
    assert own is not None
    assert np.array_equal(total - so_far, own)


@pytest.mark.parametrize("missing", ["a", "b", "c"])
def test_a_sender_that_is_missing_leaves_no_sum_at_all(missing: str) -> None:
    there = published(agreed(), *[name for name in ("a", "b", "c") if name != missing])
    assert there.sums("d") == []


def test_a_value_beyond_the_bound_sits_its_round_out() -> None:
    there = agreed()
    vector = STATES["b"].vector.copy()
    vector[7] = np.nan
    there.publish("b", AdapterState(STATES["b"].spec, vector))
    published(there, "a", "c")
    heard = {event.sender: event.contributes for event in there.events["d"] if isinstance(event, Heard)}
    assert heard == {"a": True, "b": False, "c": True}
    assert there.sums("d") == []


def test_a_hop_changed_on_its_way_ends_the_row() -> None:
    there = agreed()

    def passes(_: str, letter: Letter) -> Letter:
        if letter.kind != RELAY:
            return letter
        changed = bytearray(letter.content)
        changed[1000] ^= 1
        return replace(letter, content=bytes(changed))

    there.passes = passes
    assert published(there).sums("d") == []


@pytest.mark.parametrize("shown_number", [0, 1])
@pytest.mark.parametrize("shown_by", ["c", "d"])
def test_a_hop_of_another_round_or_another_row_does_not_open(shown_by: str, shown_number: int) -> None:
    there, hops = agreed(), {}

    def passes(sender: str, letter: Letter) -> Letter:
        if (letter.to, letter.kind) != ("b", RELAY):
            return letter
        hops[sender, letter.header.round] = letter.content
        # c's row is before d's
        changed = (sender, letter.header.round) == ("d", 1)
        return replace(letter, content=hops[shown_by, shown_number]) if changed else letter

    there.passes = passes
    published(published(there), round=1)
    honest = (shown_by, shown_number) == ("d", 1)
    assert {name: len(there.sums(name)) for name in NAMES} == {"a": 2, "b": 2, "c": 2, "d": 2 if honest else 1}


def test_no_key_seals_two_hops() -> None:
    # a key that did would give away the difference of two ciphertexts, and forge seals
    there = agreed()
    for number in range(3):
        published(there, round=number)
    guard = there.guards["a"]
    assert isinstance(guard, Homomorphic)
    rosters = {name: guard._agreement.roster(name) for name in ("b", "c", "d")}
    opened = 0
    for sender, letter in there.seen:
        if sender != "a" or letter.kind != HOP:
            continue
        for number in range(3):
            roster = rosters[letter.to]
            assert roster is not None
            after = "c" if letter.to == "b" else "b"
            cipher = _cipher("a", after, letter.to, number, roster.secrets[after])
            if number == letter.header.round:
                assert cipher.decrypt(bytes(12), bytes(letter.content), roster.id)
                opened += 1
            else:
                with pytest.raises(InvalidTag):
                    cipher.decrypt(bytes(12), bytes(letter.content), roster.id)
    assert opened == 3 * 3


@pytest.mark.parametrize("name", NAMES)
def test_each_counts_for_what_its_receiver_gives_it_not_for_what_it_gives(name: str) -> None:
    there = published(agreed(**SLANTED))
    given = terms_of(name, **HE, **SLANTED).weights(name)
    wanted = sum(weight * STATES[other].vector.astype(np.float64) for other, weight in given.items())
    (summed,) = there.sums(name)
    assert summed.mean is not None
    assert np.abs(summed.mean.vector - wanted / sum(given.values())).max() <= 1e-6


def test_a_sum_of_numbers_between_the_multiples_is_none() -> None:
    key, ring = SecretKey(), terms_of("d", **HE).ring
    finer = replace(ring, scale_bits=ring.scale_bits + 1)
    for unit, is_sum in ((1, False), (2, True)):
        words = np.full(40, unit, finer.words)
        assert (key.decrypt(encrypt(key.public, words, finer), 40, ring) is not None) == is_sum


def test_a_hop_that_comes_twice_is_added_to_once() -> None:
    there = published(agreed())
    (relay,) = [letter for who, letter in there.seen if (who, letter.to, letter.kind) == ("d", "b", RELAY)]
    assert there.guards["b"].take("d", relay, 0).jobs == []
    assert there.guards["b"].take("d", replace(relay, roster=bytes(32)), 0).jobs == []


def test_a_sum_comes_from_the_last_of_the_row_and_under_the_receivers_key_only() -> None:
    there = agreed()
    ring = terms_of("d", **HE).ring
    own = ring.encode(STATES["a"].vector, 0.25)
    assert own is not None
    guard = there.guards["d"]
    assert guard.take("b", Letter(SUM, "d", encrypt(key_of(there, "d").public, own, ring)), 0).jobs == []
    stranger = guard.take("c", Letter(SUM, "d", encrypt(SecretKey().public, own, ring)), 0)
    assert [made.mean for job in stranger.jobs if (made := job()) is not None and not isinstance(made, Letter)] == [
        None
    ]
    for number, garbage in enumerate([b"x", bytes(100), b"\xff" * 1000], start=1):
        header = replace(Letter(SUM, "d", garbage).header, round=number)
        (job,) = guard.take("c", Letter(SUM, "d", garbage, header), 0).jobs
        made = job()
        assert made is not None
        assert not isinstance(made, Letter)
        assert made.mean is None


def test_whoever_sends_sums_of_many_rounds_fills_no_memory_and_takes_no_time() -> None:
    there = agreed()
    own = terms_of("d", **HE).ring.encode(STATES["a"].vector, 0.75)
    assert own is not None
    content = encrypt(key_of(there, "d").public, own, terms_of("d", **HE).ring)
    jobs: list[Job[AdapterState]] = []
    for number in range(200):
        jobs += there.guards["d"].take("c", Letter(SUM, "d", content, Header(number, 1)), 0).jobs
    # before the first is opened: a sender may be quicker than that
    made = [made for job in jobs if (made := job()) is not None]
    assert [each.round for each in made if isinstance(each, Summed)] == [197, 198, 199]
    assert len(made) == 3


def test_a_receiver_that_was_restarted_has_a_new_key_and_averages_again() -> None:
    there = published(agreed(), "a", "b", "c")
    reborn(there, "d", life=1, **HE)
    there.meet("d")
    published(there, "a", "b", "c")
    assert [summed.mean is None for summed in there.sums("d")] == [False, True]
    published(there, round=1)
    assert there.sums("d")[-1].mean is not None


def test_a_sender_that_was_restarted_ends_one_row_and_no_more() -> None:
    there = published(agreed(), "a", "c")
    reborn(there, "b", life=1, **HE)
    there.meet("b")
    published(there, "b")
    assert there.sums("d") == []
    published(there, round=1)
    assert [summed.round for summed in there.sums("d")] == [1]


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


def roster_with(certificates: Certificates, context: Context) -> Letter:
    """What `d` relays to `a`, with a context of its own."""
    offers = []
    for name in ("a", "b", "c"):
        key = KeyPair.of(seeded(name)("d", 32)).public
        offers.append(make_offer(terms_of(name, **HE), certificates.voucher(name), "d", key))
    return Letter(ROSTER, "a", write_roster(RosterLetter(offers, context)))


def test_a_context_of_another_run_another_node_or_nobody_is_refused(certificates: Certificates) -> None:
    own, terms, voucher = SecretKey().public, terms_of("d", **HE), certificates.voucher("d")
    honest = make_context(terms, voucher, own)
    attempts = {
        "another run": make_context(replace(terms, experiment=b"another"), voucher, own),
        "another node": make_context(terms_of("b", **HE), certificates.voucher("b"), own),
        "another key": replace(honest, data=SecretKey().public),
        "nobody": Context(own),
        "none": Context(),
    }
    for context in attempts.values():
        agreement = Agreement(terms_of("a", **HE), certificates.voucher("a"), seeded("a"), SecretKey().public)
        with pytest.raises(MessageError, match="context") as raised:
            agreement.take_roster("d", roster_with(certificates, context))
        assert raised.value.reason == "keys"
        assert agreement.roster("d") is None
    agreement = Agreement(terms_of("a", **HE), certificates.voucher("a"), seeded("a"), SecretKey().public)
    agreement.take_roster("d", roster_with(certificates, honest))
    assert agreement.roster("d") is not None


def made_of(degree: int, moduli_bits: list[int], *, with_secret: bool = False) -> bytes:
    """A context of the right scale."""
    tenseal = pytest.importorskip("tenseal")
    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, degree, -1, moduli_bits, n_threads=1)
    context.global_scale = 2.0**44
    made: bytes = context.serialize(
        save_public_key=True, save_secret_key=with_secret, save_galois_keys=False, save_relin_keys=False
    )
    return made


def test_a_context_of_other_parameters_or_with_the_secret_key_in_it_encrypts_nothing() -> None:
    terms = terms_of("a", **HE)
    words = terms.ring.encode(STATES["a"].vector, 0.25)
    assert words is not None
    honest = made_of(4096, [54, 55])
    ciphertexts = encrypt(honest, words, terms.ring)
    attempts = [
        # ciphertexts larger than a hop may be
        made_of(8192, [54, 55]),
        # no room for the numbers
        made_of(4096, [50, 50]),
        # whoever opens a hop could read it
        made_of(4096, [54, 55], with_secret=True),
    ]
    for context in attempts:
        with pytest.raises(ValueError, match="a context"):
            encrypt(context, words, terms.ring)
        with pytest.raises(ValueError, match="a context"):
            add(context, ciphertexts, words, terms.ring)


def test_all_agree_by_certificates(certificates: Certificates) -> None:
    there = published(agreed(certificates=certificates))
    assert all(summed.mean is not None for name in NAMES for summed in there.sums(name))


def test_letters_keep_to_the_sizes_that_are_checked_before_they_are_received() -> None:
    there = published(agreed(size=4608), "d")
    vector = state_of(terms_of("a", size=4608), 0)
    for name in ("a", "b", "c"):
        there.publish(name, vector, 1)
    sizes = there.guards["a"].sizes
    assert {letter.kind for _, letter in there.seen} >= {HOP, RELAY, SUM, ROSTER}
    assert all(letter.size in sizes[letter.kind] for _, letter in there.seen)
    # what is sealed is 40 bytes a value
    assert max(letter.size for _, letter in there.seen if letter.kind == HOP) < 45 * 4608


def test_a_node_round_of_4608_values_takes_less_than_a_second() -> None:
    there = agreed(size=4608)
    states = {name: state_of(terms_of(name, size=4608), place) for place, name in enumerate(NAMES)}
    costs = []
    for number in range(3):
        started = time.process_time()
        for name, state in states.items():
            there.publish(name, state, number)
        costs.append((time.process_time() - started) / len(NAMES))
    assert min(costs) < 1.0
    assert len(there.sums("d")) == 3


def test_the_library_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenseal", None)
    schedule = build_schedule(TopologyConfig(kind="complete"), NAMES)
    with pytest.raises(ConfigError, match=r"protection homomorphic needs the extra `he`: pip install 'gossipfl\[he\]'"):
        check_protectable(schedule, ProtectionConfig(kind="homomorphic"))


def test_a_bound_that_fits_no_ciphertext_is_refused() -> None:
    schedule = build_schedule(TopologyConfig(kind="complete"), NAMES)
    with pytest.raises(ConfigError, match="at most 128"):
        check_protectable(schedule, ProtectionConfig(kind="homomorphic", bound=1000))


def test_values_at_the_bound_and_the_finest_scale_are_still_exact() -> None:
    key, ring = SecretKey(), terms_of("d", **HE, scale_bits=24, bound=128.0).ring
    values = np.random.default_rng(0).uniform(-128, 128, 3000).astype(np.float32)
    words = ring.encode(values, 1.0)
    assert words is not None
    out = key.decrypt(encrypt(key.public, words, ring), 3000, ring)
    assert out is not None
    assert np.array_equal(out, words)
