"""The log of publications: durable before anything leaves, whole after a crash, and no line of it can be altered."""

import base64
import datetime as dt
import json
import math
import multiprocessing
import resource
import signal
import stat
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.core.messages import Publishable, Receipt
from gossipfl.errors import LedgerError
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.ledger import open_account
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.publications import PublicationLog, read_log, verify
from gossipfl.privacy.publishing import Publisher
from gossipfl.privacy.signing import Signer
from gossipfl.privacy.signing import verify as signed_by
from gossipfl.state import AdapterSpec, AdapterState, Segment

FORK = multiprocessing.get_context("fork")
SPEC = AdapterSpec((Segment("a", (3,)),))
Sends = list[tuple[str, Publishable[AdapterState]]]


def certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
SIGNER, CERTIFICATE = Signer(KEY), certificate(KEY)


def state(value: float) -> AdapterState:
    return AdapterState(SPEC, np.full(3, value, np.float32))


def free(value: float, *receivers: str) -> Sends:
    content = Publisher(FreeAccount()).clear(state(value), Receipt(steps=1, epsilon=math.inf))
    return [(receiver, content) for receiver in receivers]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "publications.jsonl"
    with PublicationLog(path, SIGNER) as opened:
        for value in range(3):
            opened.append(free(value, "b", "c"))
    return path


def refusal(attempt: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as caught:
        attempt()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_publication_says_what_went_to_whom_at_which_epsilon(tmp_path: Path) -> None:
    path = tmp_path / "log"
    request = AccountRequest([b"x"], 1e-5, "rdp", None, False, None, "run", "a")
    with open_account(tmp_path / "l", request) as account, PublicationLog(path, SIGNER) as log:
        receipt = account.charge(Charge(0.1, 1.0))
        content = Publisher(account).clear(state(1.0), receipt)
        assert log.append([("b", content), ("c", content)]) == log.sequence == 2
    first, second = read_log(path)
    assert [(row.sequence, row.publication.receiver) for row in (first, second)] == [(1, "b"), (2, "c")]
    said = first.publication
    assert (said.epsilon, said.delta) == (receipt.epsilon, 1e-5)
    assert (said.charges, said.head, said.state) == (1, receipt.head, state(1.0).digest())
    assert dt.datetime.fromisoformat(first.time).tzinfo == dt.UTC
    verified = verify(path, CERTIFICATE)
    assert (verified.publications, verified.receivers, verified.epsilon) == (2, ("b", "c"), receipt.epsilon)


def test_what_goes_out_at_once_is_one_line_signed_over_the_bytes_of_its_json(log: Path) -> None:
    lines = log.read_bytes().splitlines()
    assert len(lines) == 3
    signed, _, signature = lines[1].partition(b"\t")
    assert len(json.loads(signed)["publications"]) == 2
    assert signed_by(CERTIFICATE, base64.b64decode(signature), signed)


def test_without_privacy_epsilon_stands_as_infinite(log: Path) -> None:
    assert verify(log, CERTIFICATE).epsilon == math.inf
    assert b'"Infinity"' in log.read_bytes()


def test_a_log_goes_on_where_it_stopped(log: Path) -> None:
    with PublicationLog(log, SIGNER) as again:
        assert again.sequence == 6
        assert again.append(free(9, "d")) == 7
        assert again.append([]) == 7
        assert again.verify(CERTIFICATE).publications == 7
    assert [row.sequence for row in read_log(log)] == list(range(1, 8))


def test_an_empty_log_verifies(tmp_path: Path) -> None:
    PublicationLog(tmp_path / "log", SIGNER).close()
    assert verify(tmp_path / "log", CERTIFICATE).publications == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def lines(place: Path) -> list[bytes]:
    with PublicationLog(place / "three", SIGNER) as opened:
        for value in range(3):
            opened.append(free(value, "b", "c"))
    return (place / "three").read_bytes().splitlines(keepends=True)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_torn_last_line_is_cut_off_and_nothing_else_is_lost(
    place: Path, lines: list[bytes], data: st.DataObject
) -> None:
    whole = data.draw(st.integers(0, 2))
    torn = data.draw(st.integers(0, len(lines[whole]) - 1))
    path = place / "torn"
    path.write_bytes(b"".join(lines[:whole]) + lines[whole][:torn])
    verified = verify(path, CERTIFICATE)
    assert (verified.publications, verified.torn_bytes) == (2 * whole, torn)
    with PublicationLog(path, SIGNER) as log:
        assert log.sequence == 2 * whole
        log.append(free(7, "b"))
    assert verify(path, CERTIFICATE).torn_bytes == 0
    assert verify(path, CERTIFICATE).publications == 2 * whole + 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_change_to_a_whole_line_is_found(place: Path, lines: list[bytes], data: st.DataObject) -> None:
    content = bytearray(b"".join(lines))
    content[data.draw(st.integers(0, len(content) - 2))] ^= data.draw(st.integers(1, 255))
    path = place / "changed"
    path.write_bytes(content)
    assert "altered" in refusal(lambda: verify(path, CERTIFICATE))


@pytest.mark.parametrize("order", [(1, 2), (0, 2), (0, 2, 1), (0, 0, 1), (0, 1, 2, 2)])
def test_a_line_missing_moved_or_doubled_is_found_by_auditor_and_node(
    tmp_path: Path, lines: list[bytes], order: tuple[int, ...]
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(lines[each] for each in order))
    content = path.read_bytes()
    for attempt in (lambda: verify(path, CERTIFICATE), lambda: PublicationLog(path, SIGNER), lambda: [*read_log(path)]):
        assert "does not follow" in refusal(attempt)
    assert path.read_bytes() == content


def test_a_torn_line_in_the_middle_is_an_error_and_nothing_is_cut_off(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "log"
    path.write_bytes(lines[0] + lines[1][:50] + b"\n" + lines[2])
    content = path.read_bytes()
    assert "line 2" in refusal(lambda: PublicationLog(path, SIGNER))
    assert path.read_bytes() == content


def test_a_line_without_end_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(1 << 25)
    assert "endless" in refusal(lambda: verify(path, CERTIFICATE))


@pytest.mark.parametrize(
    "publications",
    [
        "[]",
        "7",
        "[7]",
        '[{"receiver":"b"}]',
        '[{"receiver":null,"state":"","epsilon":1,"delta":0,"charges":1,"head":""}]',
        '[{"receiver":"b","state":"","epsilon":"NaN","delta":0,"charges":1,"head":""}]',
        '[{"receiver":"b","state":"","epsilon":-1,"delta":0,"charges":1,"head":""}]',
        "[" * 100_000,
    ],
)
def test_a_signed_line_without_sense_is_an_error_for_the_auditor(tmp_path: Path, publications: str) -> None:
    fields = f'"format":"gossipfl publications 1","previous":"{"0" * 64}","time":"","first":1'
    signed = f'{{{fields},"publications":{publications}}}'.encode()
    (tmp_path / "log").write_bytes(signed + b"\t" + base64.b64encode(SIGNER.sign(signed)) + b"\n")
    assert "line 1" in refusal(lambda: verify(tmp_path / "log", CERTIFICATE))


def test_a_log_signed_by_another_key_does_not_verify(log: Path) -> None:
    assert "line 1 was not signed" in refusal(lambda: verify(log, certificate(OTHER)))


def test_a_log_of_two_keys_verifies_with_both_certificates(log: Path) -> None:
    with PublicationLog(log, Signer(OTHER)) as renewed:
        renewed.append(free(1, "b"))
    assert "line 4" in refusal(lambda: verify(log, CERTIFICATE))
    assert verify(log, CERTIFICATE + certificate(OTHER)).publications == 7


def test_two_processes_cannot_write_one_log(log: Path) -> None:
    with PublicationLog(log, SIGNER):
        assert "in use" in refusal(lambda: PublicationLog(log, SIGNER))
    PublicationLog(log, SIGNER).close()


def test_the_log_is_readable_by_its_owner_only(log: Path) -> None:
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_place_where_no_log_can_be_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/proc/publications")):
        refusal(lambda path=path: PublicationLog(path, SIGNER))  # type: ignore[misc]
    refusal(lambda: verify(tmp_path / "none", CERTIFICATE))


def publish_for_ever(path: Path, tell: Connection) -> None:
    with PublicationLog(path, SIGNER) as log:
        while True:
            tell.send(log.append(free(1, "b", "c")))


def publish_until_the_disk_is_full(path: Path, tell: Connection) -> None:
    with PublicationLog(path, SIGNER) as log:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            publish_for_ever_on(log)
        except LedgerError as error:
            tell.send((log.sequence, str(error)))


def publish_for_ever_on(log: PublicationLog) -> None:
    while True:
        log.append(free(1, "b"))


def test_a_killed_node_has_logged_all_that_it_let_leave(tmp_path: Path) -> None:
    path, left = tmp_path / "log", 0
    for _ in range(8):
        ours, theirs = FORK.Pipe(duplex=False)
        process = FORK.Process(target=publish_for_ever, args=(path, theirs))
        process.start()
        theirs.close()
        for _ in range(5):
            left = ours.recv()
        process.kill()
        with suppress(EOFError, OSError):
            while True:
                left = ours.recv()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert left <= verify(path, CERTIFICATE).publications <= left + 2


def test_a_full_disk_refuses_and_leaves_a_log_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=publish_until_the_disk_is_full, args=(path, theirs))
    process.start()
    sequence, message = ours.recv()
    process.join()
    assert message.startswith(f"the publication log {path} cannot be written")
    verified = verify(path, CERTIFICATE)
    assert (verified.publications, verified.torn_bytes) == (sequence, 0)
    with PublicationLog(path, SIGNER) as log:
        assert log.append(free(1, "b")) == sequence + 1
