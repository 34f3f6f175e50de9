"""Whether a ledger covers a state that is about to leave its machine by hand."""

import math
from pathlib import Path

from gossipfl.core.messages import Receipt
from gossipfl.errors import PrivacyError
from gossipfl.privacy.ledger_store import LedgerStore


def check_covered(ledger: Path, receipt: Receipt) -> None:
    """Refuses a receipt that the ledger has not given; changes nothing.

    Raises:
        PrivacyError: steps were not charged, or not to this ledger.
        LedgerError: it cannot be read, or was altered.
    """
    if not math.isfinite(receipt.epsilon):
        raise PrivacyError("its training was neither noised nor charged: no ledger covers it")
    store = LedgerStore(ledger, read_only=True)
    try:
        head = store.hash_of_charge(receipt.charges)
    finally:
        store.close()
    if receipt.charges and head != receipt.head:
        raise PrivacyError(f"the ledger {ledger} has not charged it: its receipt of {receipt.charges} charges differs")
