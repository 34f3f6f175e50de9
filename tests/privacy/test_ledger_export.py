"""A ledger for an auditor: signed with the node's key, worked out anew, and refused when anything in it was altered."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.privacy.test_publications import CERTIFICATE, OTHER, SIGNER, certificate

from gossipfl.errors import LedgerError
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.ledger import open_account
from gossipfl.privacy.ledger_export import VerifiedLedger, export_ledger, is_export, verify_export
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.pairs.exposure import Exposure
from gossipfl.privacy.signing import Signer
from gossipfl.privacy.spent import spent

RECORDS = [bytes([number]) * 32 for number in range(6)]


def request(records: list[bytes], run: str, **other: Any) -> AccountRequest:
    return AccountRequest(records, 1e-5, "rdp", None, public=False, new_account=None, run=run, node="a", **other)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Two accounts of whole nodes, one of them merged from two; 7 charges in all."""
    path = tmp_path / "ledger.sqlite"
    for run, records in (("one", RECORDS[:2]), ("two", RECORDS[2:4]), ("both", RECORDS[:4]), ("other", RECORDS[5:])):
        with open_account(path, request(records, run, level="update")) as account:
            for _ in range(2 if run != "other" else 1):
                account.charge(Charge(0.1, 1.5, 3))
    return path


@pytest.fixture
def exported(ledger: Path, tmp_path: Path) -> Path:
    path = tmp_path / "export.json"
    export_ledger(ledger, path, SIGNER)
    return path


def body_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes().partition(b"\t")[0])
    return found


def write(path: Path, body: dict[str, Any], signer: Signer = SIGNER) -> None:
    signed = json.dumps(body, ensure_ascii=False).encode()
    path.write_bytes(signed + b"\t" + base64.b64encode(signer.sign(signed)) + b"\n")


def test_an_auditor_finds_what_the_ledger_says(ledger: Path, exported: Path) -> None:
    found = verify_export(exported, CERTIFICATE)
    assert list(found.accounts) == spent(ledger)
    assert found.charges == 7
    assert [(each.run, each.steps, each.first, each.last) for each in found.history] == [
        ("one", 6, 1, 2),
        ("two", 6, 3, 4),
        ("both", 6, 5, 6),
        ("other", 3, 7, 7),
    ]
    assert found.accounts[0].epsilon == pytest.approx(epsilon([Charge(0.1, 1.5, 18)], 1e-5, "rdp"))
    assert is_export(exported)
    assert not is_export(ledger)


def test_it_says_nothing_of_the_records(exported: Path) -> None:
    content = exported.read_bytes()
    for record in RECORDS:
        assert record not in content
        assert record.hex().encode() not in content
    kinds = {row[1] for row in body_of(exported)["entries"]}
    assert kinds == {"began", "started", "joined", "merged", "opened", "charge"}


def test_what_weaker_adversaries_see_is_verified_too(tmp_path: Path) -> None:
    path, target = tmp_path / "l", tmp_path / "e"
    with open_account(path, request(RECORDS, "r", level="correlated")) as account:
        account.charge(Charge(1.0, 1.0, 1, Exposure(4.0, 2.0, 1.0)))
    export_ledger(path, target, SIGNER)
    (found,) = verify_export(target, CERTIFICATE).accounts
    assert found.exposed is not None
    assert found.exposed["outsider"] < found.exposed["any neighbor"] < found.exposed["all neighbors"] == found.epsilon


def test_another_nodes_certificate_does_not_verify_it(exported: Path) -> None:
    with pytest.raises(LedgerError, match="not signed by the key"):
        verify_export(exported, certificate(OTHER))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_byte_that_was_altered_is_found(exported: Path, data: st.DataObject) -> None:
    whole = exported.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 2))
    changed = bytearray(whole)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    altered = exported.with_name("altered")
    altered.write_bytes(bytes(changed))
    with pytest.raises(LedgerError):
        verify_export(altered, CERTIFICATE)


def dropped(body: dict[str, Any]) -> None:
    body["entries"].pop()


def reordered(body: dict[str, Any]) -> None:
    body["entries"][-1], body["entries"][-2] = body["entries"][-2], body["entries"][-1]


def fewer_steps(body: dict[str, Any]) -> None:
    row = body["entries"][-1]
    row[3] = row[3].replace('"steps":3', '"steps":1')


def lower_epsilon(body: dict[str, Any]) -> None:
    body["accounts"][0]["epsilon"] /= 2


def an_account_less(body: dict[str, Any]) -> None:
    body["accounts"].pop()


def another_head(body: dict[str, Any]) -> None:
    body["head"] = "0" * 64


def nonsense(body: dict[str, Any]) -> None:
    body["entries"] = [[1, "began"]]


def no_entries(body: dict[str, Any]) -> None:
    del body["entries"]


@pytest.mark.parametrize(
    "lie",
    [dropped, reordered, fewer_steps, lower_epsilon, an_account_less, another_head, nonsense, no_entries],
)
def test_a_lie_that_the_node_itself_has_signed_is_found(exported: Path, lie: Callable[[dict[str, Any]], None]) -> None:
    body = body_of(exported)
    lie(body)
    write(exported, body)
    with pytest.raises(LedgerError) as refused:
        verify_export(exported, CERTIFICATE)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]\tAAAA\n", b"nothing", b"\xff\xfe\t\n", b"{}\t!!!\n"])
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "e"
    path.write_bytes(content)
    with pytest.raises(LedgerError):
        verify_export(path, CERTIFICATE)


def test_an_altered_ledger_is_not_exported(ledger: Path, tmp_path: Path) -> None:
    content = ledger.read_bytes()
    assert b'"steps":3' in content
    ledger.write_bytes(content.replace(b'"steps":3', b'"steps":1', 1))
    with pytest.raises(LedgerError, match="altered"):
        export_ledger(ledger, tmp_path / "e", SIGNER)
    assert not (tmp_path / "e").exists()


def test_a_later_export_goes_on_from_an_earlier_one(ledger: Path, exported: Path, tmp_path: Path) -> None:
    before = verify_export(exported, CERTIFICATE)
    with open_account(ledger, request(RECORDS[5:], "other", level="update")) as account:
        account.charge(Charge(0.1, 1.5))
    later: VerifiedLedger = export_ledger(ledger, tmp_path / "later", SIGNER)
    assert later.charges == before.charges + 1
    assert body_of(tmp_path / "later")["entries"][: len(body_of(exported)["entries"])] == body_of(exported)["entries"]
