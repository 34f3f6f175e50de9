"""Faults of a node's own machine: its process, its clock, its disk."""

import contextlib
import signal
from pathlib import Path

from gossipfl.studies.drill.faults.fault import Fault
from gossipfl.studies.drill.ground import Ground

_FAKETIME = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")
_KILLED, _STOPPED, _LATE, _FULL = 3, 1, 2, 2


def _kill(ground: Ground) -> None:
    ground.kill(ground.names[_KILLED])


def _start(ground: Ground) -> None:
    ground.start(ground.names[_KILLED])


def _freeze(ground: Ground) -> None:
    ground.signal(ground.names[_STOPPED], signal.SIGSTOP)


def _go_on(ground: Ground) -> None:
    ground.signal(ground.names[_STOPPED], signal.SIGCONT)


def _kill_all(ground: Ground) -> None:
    for name in ground.names:
        ground.kill(name)


def _start_all(ground: Ground) -> None:
    for name in ground.names:
        ground.start(name)


def faketime() -> Path | None:
    """The library that shows a process another time (Debian: libfaketime); None where there is none."""
    found = [file for place in _FAKETIME for file in Path("/").glob(f"{place[1:]}/libfaketime.so.1")]
    return found[0] if found else None


def _one_hour_ahead(ground: Ground) -> None:
    name = ground.names[_LATE]
    ground.kill(name)
    # intervals are measured by another clock, which nobody sets
    said = {"LD_PRELOAD": str(faketime()), "FAKETIME": "+1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    ground.start(name, said)


def _right_time(ground: Ground) -> None:
    name = ground.names[_LATE]
    ground.kill(name)
    ground.start(name)


def _no_faketime(_: Ground) -> str | None:
    return None if faketime() else "libfaketime is not installed (Debian: apt-get install libfaketime)"


def _fill(ground: Ground) -> None:
    name = ground.names[_FULL]
    with (ground.state(name) / "filler").open("wb", buffering=0) as file:
        # to the last byte: a smaller piece may fit where a larger one does not
        for size in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


def _empty(ground: Ground) -> None:
    name = ground.names[_FULL]
    # a node that cannot keep what it has learned must not go on; it says so and ends
    if ground.is_up(name):
        ground.note("disk", f"{name} went on with a full disk")
        ground.kill(name)
    elif "cannot be written" not in ground.log(name):
        ground.note("disk", f"{name} ended without saying that its disk is full")
    (ground.state(name) / "filler").unlink()
    ground.start(name)


def _no_small_disk(ground: Ground) -> str | None:
    return None if ground.has_small_disk(ground.names[_FULL]) else "no small file system can be mounted (needs root)"


KILL = Fault("kill", "kill -9, started again", 3.0, _kill, _start, hurt=(_KILLED,))
STOP = Fault("stop", "SIGSTOP, SIGCONT: a machine that slept", 8.0, _freeze, _go_on, hurt=(_STOPPED,))
CLOCK = Fault("clock", "a clock one hour ahead", 15.0, _one_hour_ahead, _right_time, hurt=(_LATE,), lacks=_no_faketime)
DISK = Fault("disk", "a full disk", 4.0, _fill, _empty, hurt=(_FULL,), lacks=_no_small_disk)
RESTART = Fault("restart", "all killed at once, started again", 1.0, _kill_all, _start_all, hurt=(0, 1, 2, 3))
