"""A real node that is killed by the system at a chosen moment: in its own process, by SIGKILL, nothing is cleaned up.

python -m tests.node.killed_node WHERE COUNT gossipfl's arguments …
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gossipfl.cli.app import main
from gossipfl.learning.optimizer import LocalOptimizer
from gossipfl.net.transport import Transport
from gossipfl.node import checkpoint, parts, rollback
from gossipfl.node.state_directory import StateDirectory
from gossipfl.privacy import ledger
from gossipfl.privacy.ledger_store import LedgerStore
from gossipfl.privacy.publications import PublicationLog


@dataclass(frozen=True, slots=True)
class Moment:
    """Before or after a call."""

    owner: Any
    name: str
    before: bool


MOMENTS = {
    "before the charge": Moment(ledger.LedgerAccount, "charge", before=True),
    "in the charge's transaction": Moment(LedgerStore, "add", before=False),
    "between charge and step": Moment(ledger.LedgerAccount, "charge", before=False),
    "after the step": Moment(LocalOptimizer, "step", before=False),
    "before the checkpoint": Moment(parts, "save_checkpoint", before=True),
    "while the checkpoint is written": Moment(checkpoint, "fsync_folder", before=True),
    "between checkpoint and log": Moment(PublicationLog, "append", before=True),
    "between log and publication": Moment(PublicationLog, "append", before=False),
    "after the publication": Moment(Transport, "post", before=False),
}
"""In the order charge, step, checkpoint, publish."""
ROLLBACK_MOMENTS = {
    "before the log says so": Moment(PublicationLog, "note_rollback", before=True),
    "between log and finish": Moment(PublicationLog, "note_rollback", before=False),
    "between finish and checkpoint": Moment(StateDirectory, "forget_finish", before=False),
    "while the kept state is written": Moment(checkpoint, "fsync_folder", before=True),
    "after the checkpoint": Moment(rollback, "save_checkpoint", before=False),
}
"""In the order log, finish, checkpoint."""


def die_at(moment: Moment, count: int) -> None:
    """Puts an end to this process at the call of that number."""
    call: Callable[..., Any] = getattr(moment.owner, moment.name)
    calls = 0

    def dying(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if moment.before and calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **named)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(moment.owner, moment.name, dying)


if __name__ == "__main__":
    where, number, *rest = sys.argv[1:]
    die_at({**MOMENTS, **ROLLBACK_MOMENTS}[where], int(number))
    sys.exit(main(rest))
