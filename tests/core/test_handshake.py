from dataclasses import replace

import pytest

from gossipfl.core.handshake import PROTOCOL_VERSION, Greeting, HeadWatch, LedgerHead, check_greeting
from gossipfl.errors import HandshakeError

OURS = Greeting(
    protocol_version=PROTOCOL_VERSION,
    name="north",
    fingerprint={"model": "aa" * 32, "adapter": "bb" * 32},
    basis_sketch=(0.5, -0.25),
    codecs=("fp32",),
    incarnation=1,
    seen_incarnation=0,
    topology_version=1,
    ledger_head=None,
)
THEIRS = replace(OURS, name="south")


def refusal(**changes: object) -> HandshakeError:
    with pytest.raises(HandshakeError) as raised:
        check_greeting(OURS, replace(THEIRS, **changes))  # type: ignore[arg-type]
    assert raised.value.peer == "south"
    return raised.value


def test_equal_experiments_may_gossip() -> None:
    check_greeting(OURS, THEIRS)


@pytest.mark.parametrize("step", [-1, 1])
def test_adjacent_protocol_versions_interoperate(step: int) -> None:
    check_greeting(OURS, replace(THEIRS, protocol_version=PROTOCOL_VERSION + step))


def test_a_protocol_version_further_away_is_refused_with_both_versions() -> None:
    error = refusal(protocol_version=PROTOCOL_VERSION + 2)
    assert error.reason == "version"
    assert f"version {PROTOCOL_VERSION + 2} there, {PROTOCOL_VERSION} here" in str(error)


@pytest.mark.parametrize(
    ("fingerprint", "named"),
    [
        ({"model": "cc" * 32, "adapter": "bb" * 32}, "'model'"),
        ({"model": "aa" * 32, "adapter": "cc" * 32}, "'adapter'"),
        ({"model": "aa" * 32}, "'adapter' is missing there"),
        ({**OURS.fingerprint, "labels": "dd"}, "'labels' is 'dd' there, missing here"),
    ],
)
def test_another_experiment_is_refused_and_what_differs_is_named(fingerprint: dict[str, str], named: str) -> None:
    error = refusal(fingerprint=fingerprint)
    assert error.reason == "fingerprint"
    assert named in str(error)
    assert str(error).count("there") == 1


def test_a_run_that_was_rolled_back_refuses_one_that_was_not_and_says_to_what() -> None:
    error = refusal(fingerprint={**OURS.fingerprint, "branch": "6-0a1b2c"})
    assert error.reason == "branch"
    assert "rolled back to phase 6 (branch 6-0a1b2c)' there, 'never rolled back' here" in str(error)


def test_nodes_of_one_branch_may_gossip_and_of_two_may_not() -> None:
    here = replace(OURS, fingerprint={**OURS.fingerprint, "branch": "6-0a"})
    check_greeting(here, replace(here, name="south"))
    with pytest.raises(HandshakeError, match="6-0b"):
        check_greeting(here, replace(here, name="south", fingerprint={**OURS.fingerprint, "branch": "6-0b"}))


def test_a_basis_within_the_tolerance_is_the_same_basis() -> None:
    check_greeting(OURS, replace(THEIRS, basis_sketch=(0.50009, -0.25009)))


@pytest.mark.parametrize("sketch", [(0.5, -0.2498), (0.5,), (), (0.5, float("nan"))])
def test_another_basis_is_refused(sketch: tuple[float, ...]) -> None:
    assert refusal(basis_sketch=sketch).reason == "basis"


def test_another_topology_or_no_common_codec_is_refused() -> None:
    assert refusal(topology_version=2).reason == "topology"
    assert refusal(codecs=("int8",)).reason == "codec"
    assert refusal(codecs=()).reason == "codec"


def test_a_hostile_greeting_makes_no_long_message() -> None:
    error = refusal(fingerprint={f"{'x' * 9999}{n}": "\n" * 9999 for n in range(99)})
    assert len(str(error)) < 1500
    assert "\n" not in str(error)


def head(charges: int, content: str = "h", incarnation: int = 1) -> LedgerHead:
    return LedgerHead(charges, content, incarnation, b"")


def test_a_ledger_may_grow_and_be_repeated_in_any_life() -> None:
    watch = HeadWatch()
    for seen in (None, head(1), head(1), head(5, "i"), head(5, "i", 2), head(9, "j", 2)):
        watch.accept("south", seen)
    assert watch.heads() == {"south": head(9, "j", 2)}


@pytest.mark.parametrize("later", [head(4), head(4, incarnation=9), head(5, "other"), None])
def test_a_ledger_that_goes_back_is_refused(later: LedgerHead | None) -> None:
    watch = HeadWatch({"south": head(5)})
    with pytest.raises(HandshakeError, match="ledger went back") as raised:
        watch.accept("south", later)
    assert raised.value.reason == "ledger"
    assert watch.heads() == {"south": head(5)}
    watch.accept("west", later)
