"""Where the runs of a comparison are done: in processes of this machine, or in tasks of a Ray cluster.

Whatever ends a comparison, nothing of it goes on running.
"""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from gossipfl.config.compare import CompareConfig
from gossipfl.runs.signals import handling
from gossipfl.studies.compare_jobs import Ended, Executor
from gossipfl.studies.compare_plan import Order
from gossipfl.studies.fleet import Fleet, Job, Running
from gossipfl.studies.forked import launcher

if TYPE_CHECKING:
    from gossipfl.sim.executor import Tasks

OpenExecutor = Callable[[CompareConfig, int], AbstractContextManager[Executor]]
"""How an executor is opened: for a table, with so many runs at a time."""
WARM = ("gossipfl.studies.warm",)
"""Imported once for all runs."""
RUN = "gossipfl.studies.compare_run"
END_S = 20.0
"""Seconds a run gets to leave a checkpoint, and Flower to end its own processes."""


class Processes:
    """Runs in processes of this machine.

    Args:
        program: module that does an order, as `compare_run` does.
    """

    def __init__(self, fleet: Fleet, program: str = RUN) -> None:
        self._fleet = fleet
        self._program = program
        self._jobs: dict[str, Job] = {}

    def start(self, order: Order) -> None:
        """See `Executor`; the order and the run's log lie beside its folder."""
        order.output.parent.mkdir(parents=True, exist_ok=True)
        place, log = (order.output.with_suffix(ending) for ending in (".json", ".log"))
        place.write_text(order.as_json() + "\n")
        log.unlink(missing_ok=True)
        self._jobs[order.name] = Job(order.name, ["-m", self._program, str(place)], log)
        self._fleet.start(self._jobs[order.name])

    def ended(self) -> dict[str, Ended]:
        """See `Executor`."""
        found: dict[str, Ended] = {}
        for name, job in list(self._jobs.items()):
            code = self._fleet.processes[name].poll()
            if code is not None:
                # gone with the files it holds open: a comparison may have more runs than a process may have files
                found[name] = _ended(self._fleet.processes.pop(name), code, job)
                del self._jobs[name]
        return found


class RayTasks:
    """Runs in tasks of a Ray cluster, whose machines have to see the same files."""

    def __init__(self, tasks: "Tasks[Ended]") -> None:
        self._tasks = tasks

    def start(self, order: Order) -> None:
        """See `Executor`."""
        self._tasks.start(order.name, order.as_json())

    def ended(self) -> dict[str, Ended]:
        """See `Executor`."""
        found = self._tasks.ended().items()
        return {name: end if isinstance(end, Ended) else Ended("failed", _last_line(str(end))) for name, end in found}


@contextmanager
def open_executor(table: CompareConfig, at_once: int, program: str = RUN) -> Iterator[Executor]:
    """What does the runs; what is still running when the context ends is ended, by Ctrl-C and SIGTERM too.

    Args:
        at_once: cores of a Ray cluster that is started here.
        program: of processes, see `Processes`.

    Raises:
        ConfigError: Ray is not installed, or nobody answers at `compare.address`.
    """
    # SIGTERM ends it as Ctrl-C does
    with handling([signal.SIGTERM], _leave):
        if table.executor == "ray":
            # processes do without all that trains
            from gossipfl.sim.executor import Tasks  # noqa: PLC0415
            from gossipfl.studies.compare_run import run_text  # noqa: PLC0415

            with closing(Tasks(run_text, address=table.address, cores=at_once)) as tasks:
                yield RayTasks(tasks)
        else:
            with Fleet([], end_s=END_S, launch=launcher(WARM)) as fleet:
                yield Processes(fleet, program)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _ended(process: Running, code: int, job: Job) -> Ended:
    said = process.stdout.read().strip().splitlines() if process.stdout is not None else []
    if code == 0 and said:
        return Ended(**json.loads(said[-1]))
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return Ended("failed", f"{how}: {_last_line(job.log.read_text())} (whole log: {job.log})")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing was said"])[-1]
