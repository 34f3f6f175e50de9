"""Runs of a comparison in this very process, one after the other: for many small ones.

Of a run of a second, the imports and the data of a process of its own would be most.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from gossipfl.config.compare import CompareConfig
from gossipfl.studies.compare_jobs import Ended
from gossipfl.studies.compare_plan import Order


class Here:
    """See `Executor`; a start returns when the run has ended."""

    def __init__(self) -> None:
        self._ended: dict[str, Ended] = {}

    def start(self, order: Order) -> None:
        """See `Executor`.

        Raises:
            KeyboardInterrupt: the run was stopped by a signal, and has left a checkpoint.
        """
        # what only runs need: the study's command line is there at once
        from gossipfl.studies.compare_run import run_order  # noqa: PLC0415

        ended = run_order(order)
        if ended.status == "stopped":
            raise KeyboardInterrupt
        self._ended[order.name] = ended

    def ended(self) -> dict[str, Ended]:
        """See `Executor`."""
        found, self._ended = self._ended, {}
        return found


@contextmanager
def open_here(_table: CompareConfig, _at_once: int) -> Iterator[Here]:
    """What does the runs; see `compare_executors.OpenExecutor`."""
    yield Here()
