"""The one thread that owns the model: training and evaluation, one job after the other."""

import asyncio
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


_THREAD = "training"


def is_training() -> bool:
    """Whether a training thread of this process has not ended: the interpreter's end would tear it out of torch."""
    return any(thread.name == _THREAD for thread in threading.enumerate())


class _Job(Generic[T]):
    """A call and the future that waits for it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.call = call
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()

    def run(self) -> None:
        try:
            value = self.call()
        except BaseException as error:  # noqa: BLE001  # handed to whoever waits
            self._settle(partial(self.future.set_exception, error))
        else:
            self._settle(partial(self.future.set_result, value))

    def _settle(self, settle: Callable[[], None]) -> None:
        def unless_cancelled() -> None:
            if not self.future.done():
                settle()

        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(unless_cancelled)


class Worker:
    """Runs jobs on one daemon thread, in order.

    Daemon, because a stop must not wait for an optimizer step: an unfinished phase is dropped, its charges stand.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=_THREAD, daemon=True)
        self._thread.start()

    async def run(self, call: Callable[[], T]) -> T:
        """Result of `call`, run on the thread; its exception is raised here."""
        job = _Job(call)
        self._jobs.put(job)  # type: ignore[arg-type]  # invariant in T, which the queue never looks at
        return await job.future

    def close(self) -> None:
        """No more jobs; a running one is not waited for."""
        self._jobs.put(None)

    def join(self, timeout_s: float) -> bool:
        """After `close`: waits for the job under way; whether it ended in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
