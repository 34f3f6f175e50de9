"""What was one unit when steps were charged: a record by itself, or all records of a name (`data.unit`).

    charged by record, two of hers in a step    she moves the sum by up to 2C, and is drawn more often
    charged by name, a record of hers apart     without it her gradient is another one: up to 2C again

Neither charge covers the other's unit, so an account holds both only where a unit is one record in every step that was
charged by record.
"""

from collections import Counter
from collections.abc import Collection, Iterable

from gossipfl.errors import PrivacyError
from gossipfl.privacy.ledger_book import AccountRecord, Book
from gossipfl.privacy.ledger_store import LedgerStore

BY_RECORD, BY_NAME = "record", "name"
Units = Iterable[Iterable[bytes]]
"""Fingerprints of each named unit: its own, then those of its records."""


def refuse_other_units(store: LedgerStore, book: Book, accounts: Iterable[AccountRecord], units: Units) -> None:
    """Refuses units that the charges of these accounts say too little of.

    Args:
        units: of a run; none where every record is one by itself.

    Raises:
        PrivacyError: some charge was for another unit.
    """
    named = [tuple(unit) for unit in units]
    if not named:
        refuse_named(accounts)
        return
    several = [records for _, *records in named if len(records) > 1]
    if not several or not book.charged_by_record:
        return
    tags = [[store.tag(record) for record in records] for records in several]
    entries = store.entries_of(sorted({tag for some in tags for tag in some}))
    took_part = _took_part(book, set(entries.values()))
    for some in tags:
        joined = Counter(entries[tag] for tag in some if tag in entries)
        if any(sum(joined[entry] for entry in together) > 1 for together in took_part):
            raise _other("every record by itself", f"data.unit makes {len(some)} of them one")


def refuse_named(accounts: Iterable[AccountRecord]) -> None:
    """Refuses accounts that have charges by name, for a run in which every record is a unit by itself.

    Raises:
        PrivacyError: one has.
    """
    for account in accounts:
        if BY_NAME in account.units:
            raise _other("all records of one data.unit together", "without data.unit each is one by itself")


def refuse_charged_by_record(book: Book, accounts: Collection[int], *, after: int) -> None:
    """Refuses accounts that were charged by record since a run by name was let in: its units are not at hand.

    Args:
        after: last entry at the time.

    Raises:
        PrivacyError: one was.
    """
    for together, last in book.charged_by_record.items():
        if last > after and not together.isdisjoint(accounts):
            raise _other("every record by itself meanwhile", "data.unit may make several of them one")


def _took_part(book: Book, entries: Collection[int]) -> set[frozenset[int]]:
    """Which of these joining records, by their entries, took part in the same steps charged by record."""
    return {
        # what came later had no part in it
        frozenset(entry for entry in entries if entry < last and book.joins[entry].account in together)
        for together, last in book.charged_by_record.items()
    }


def _other(charged: str, now: str) -> PrivacyError:
    return PrivacyError(
        f"the account of these records was charged for {charged}, and {now}, which that ε does not cover; "
        "--new-account REASON starts afresh"
    )
