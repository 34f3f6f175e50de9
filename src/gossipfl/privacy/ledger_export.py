"""A ledger for an auditor: its whole history and what it amounts to, signed with the node's key.

    file = JSON, tab, base64 of the signature over exactly the bytes of the JSON, newline     as in the publication log

No record is in it, not even a fingerprint: of those that joined an account their number and a digest. Whoever verifies
it believes nothing but the key: the chain is hashed again, accounts and ε are worked out again from every charge.
What it cannot show is that this is the newest copy: the neighbors keep the highest head they ever saw.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gossipfl.core.json_text import json_text
from gossipfl.errors import LedgerError
from gossipfl.privacy.ledger_book import Book
from gossipfl.privacy.ledger_chain import Entry, Link, Row, follow, row_of
from gossipfl.privacy.ledger_store import LedgerStore
from gossipfl.privacy.signing import Signer, verify
from gossipfl.privacy.spent import AccountSummary, History, history_of, summary_of

FORMAT = "gossipfl ledger 1"


@dataclass(frozen=True, slots=True)
class VerifiedLedger:
    """What a verified export amounts to.

    Attributes:
        head: hash of the last charge, hex; empty before the first.
        charges: in all accounts.
        time: UTC, when it was exported.
        accounts: oldest first, ε worked out anew.
        history: every charge.
    """

    head: str
    charges: int
    time: str
    accounts: tuple[AccountSummary, ...]
    history: tuple[History, ...]


def export_ledger(ledger: Path, target: Path, signer: Signer) -> VerifiedLedger:
    """Writes a signed export; what it amounts to.

    Raises:
        LedgerError: the ledger cannot be read or was altered, or the file cannot be written.
    """
    store = LedgerStore(ledger, read_only=True)
    try:
        entries = list(store.history())
    finally:
        store.close()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found = _amount(entries, now)
    text = json_text(
        {
            "format": FORMAT,
            "time": now,
            "head": found.head,
            "charges": found.charges,
            "accounts": [asdict(account) for account in found.accounts],
            "entries": [row_of(entry) for entry in entries],
        }
    )
    signed = text.encode()
    try:
        target.write_bytes(signed + b"\t" + base64.b64encode(signer.sign(signed)) + b"\n")
    except OSError as error:
        raise LedgerError(f"the export {target} cannot be written: {error.strerror}") from error
    return found


def verify_export(path: Path, certificate_pem: bytes) -> VerifiedLedger:
    """Verifies an export: signature, chain, and that it states what its charges amount to.

    Raises:
        LedgerError: the first thing that does not fit.
        CertificateError: there is no usable certificate in the text.
    """
    body = _signed_body(path, certificate_pem)
    try:
        rows = [_row(row) for row in body["entries"]]
        found = _amount(list(follow(rows, Link())), str(body["time"]))
        stated = json.loads(json_text({"accounts": [asdict(each) for each in found.accounts]}))["accounts"]
        fits = [body["head"], body["charges"], body["accounts"]] == [found.head, found.charges, stated]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LedgerError(f"the export {path} makes no sense: {type(error).__name__}") from error
    if not fits:
        raise LedgerError(f"the export {path} states something else than its charges amount to")
    return found


def is_export(path: Path) -> bool:
    """Whether a file begins like an export; False for what cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(64).startswith(b'{"format": "' + FORMAT.encode())
    except OSError:
        return False


def _amount(entries: Sequence[Entry], time: str) -> VerifiedLedger:
    book = Book()
    for entry in entries:
        book.fold(entry)
    return VerifiedLedger(
        head=book.head,
        charges=book.last.charges,
        time=time,
        accounts=tuple(summary_of(account) for account in book.accounts()),
        history=tuple(history_of(entries)),
    )


def _signed_body(path: Path, certificate_pem: bytes) -> dict[str, Any]:
    try:
        signed, tab, signature = path.read_bytes().rstrip(b"\n").partition(b"\t")
        raw = base64.b64decode(signature, validate=True)
        body = json.loads(signed)
    except OSError as error:
        raise LedgerError(f"the export {path} cannot be read: {error.strerror}") from error
    except (ValueError, binascii.Error, RecursionError) as error:
        raise LedgerError(f"{path} is no export of a ledger") from error
    if not tab or not isinstance(body, dict) or body.get("format") != FORMAT:
        raise LedgerError(f"{path} is no export of a ledger: format {FORMAT!r} was expected")
    if base64.b64encode(raw) != signature or not verify(certificate_pem, raw, signed):
        raise LedgerError(f"the export {path} was altered, or was not signed by the key of this certificate")
    return dict(body)


def _row(row: object) -> Row:
    match row:
        case [int(seq), str(kind), int(charges), str(body), str(digest)]:
            return seq, kind, charges, body, bytes.fromhex(digest)
    raise ValueError("an entry has five fields")
