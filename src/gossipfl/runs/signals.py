"""Signals taken over for a while."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None] | signal.Handlers

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the request to end, and a terminal that is closed."""


@contextmanager
def handling(numbers: Sequence[signal.Signals], handler: Handler) -> Iterator[None]:
    """These signals go to the handler until the context ends, then where they went before; in the main thread only."""
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, earlier in zip(numbers, before, strict=True):
            signal.signal(number, earlier)


@contextmanager
def unwound_once() -> Iterator[None]:
    """The first of `ENDINGS` unwinds the stack; what comes after it, however soon, is ignored until the context ends.

    Within another such context, and in a thread that no signal reaches, nothing changes.

    Raises:
        KeyboardInterrupt: by Ctrl-C.
        SystemExit: by another, with the shell's code for it.
    """
    if not _reaches_us() or signal.getsignal(signal.SIGTERM) is _leave:
        yield
        return
    # under nohup a terminal may be closed
    taken = [number for number in ENDINGS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    with handling(taken, _leave):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """None of `ENDINGS` does anything until the context ends: for what has to be put away."""
    if not _reaches_us():
        yield
        return
    with handling(ENDINGS, signal.SIG_IGN):
        yield


def _reaches_us() -> bool:
    return threading.current_thread() is threading.main_thread()


def _leave(number: int, _frame: FrameType | None) -> None:
    for each in ENDINGS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
