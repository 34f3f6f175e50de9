"""What went wrong as an exit code and one line; anything not named here is a bug and keeps its traceback."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass

import click

from gossipfl.errors import GossipflError, UserError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Fault:
    """How a command ended.

    Attributes:
        exit_code: 2 for the user's mistake, 130 for Ctrl-C, 1 otherwise.
        message: what to say on stderr, or nothing.
    """

    exit_code: int
    message: str = ""


def fault_of(error: BaseException) -> Fault | None:  # noqa: PLR0911  # one return a kind
    """The fault that an exception means; None for a bug.

    A group of exceptions (from a `TaskGroup`) counts as the first user error in it when it holds nothing unknown.
    """
    match error:
        case BaseExceptionGroup():
            return _fault_of_group(error)
        case UserError():
            return Fault(2, str(error))
        case GossipflError():
            return Fault(1, str(error))
        case click.exceptions.Exit():
            return Fault(error.exit_code)
        case click.ClickException():
            return Fault(2, error.format_message())
        case KeyboardInterrupt() | click.Abort():
            return Fault(130)
        case BrokenPipeError():
            return Fault(1)  # whoever read our output has left, as `| head` does
        case OSError() if error.errno in NO_SPACE:
            return Fault(2, f"no space left on the device for {error.filename or 'a file'}: free some and run again")
        case _:
            return None


def _fault_of_group(group: BaseExceptionGroup[BaseException]) -> Fault | None:
    faults = [fault_of(leaf) for leaf in _leaves(group)]
    known = [fault for fault in faults if fault is not None]
    if len(known) < len(faults):
        return None
    return max(known, key=lambda fault: (fault.exit_code == 2, fault.exit_code))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
