"""More data at a bench, between two phases: what a restart with it would make, without the restart.

    records ─> tokens ─> account goes on with them, new ones start their own ─> plan ─> mechanism ─> learner

Model, optimizer and moments stay. Nothing is charged here: a process that dies at any point of it has spent nothing.
"""

from collections.abc import Callable

from gossipfl.learning.bench import Bench
from gossipfl.learning.books import Books
from gossipfl.learning.continual import sampling_of
from gossipfl.learning.data import NodeRecords


def take_in(bench: Bench, records: NodeRecords, reopen: Callable[[NodeRecords], Books]) -> None:
    """Lets a bench go on with other records, those of before among them.

    Args:
        records: all of the node, with their periods.
        reopen: the bench's account, for these records, see `reopen_books`.

    Guarantees:
        When anything raises, the bench is what it was.

    Raises:
        DataError: a record comes to no token.
        PrivacyError: the account cannot pay for these records, or δ is too large for so many.
        LedgerError: the ledger cannot be written.
    """
    place = bench.place
    data = place.tokenized(records)
    books = reopen(records)
    try:
        tools = place.tools(data, books, sampling_of(place.resident.adapted.experiment, records))
        tools.parts.mechanism.restore(bench.mechanism.durable())
    except BaseException:
        books.undo()
        raise
    bench.learner.go_on_with(tools.parts)
    bench.data, bench.plan, bench.account = data, books.plan, books.account
    bench.mechanism, bench.tuner = tools.parts.mechanism, tools.tuner
