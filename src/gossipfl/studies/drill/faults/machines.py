"""Faults of a node's own machine: its process, its clock, its disk."""

import contextlib
import signal
from pathlib import Path

from gossipfl.studies.drill.faults.fault import Fault
from gossipfl.studies.drill.ground import Ground

_FAKETIME = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")
_KILLED, _STOPPED, _FULL = 3, 1, 2
_CLOCKS = {2: 1, 1: -1}
"""Hours by which the clocks of two nodes, by place, are ahead."""
TAKE_PART_S = 90.0
"""By when all go on together, though clocks are two hours apart."""
_HOUR_S = 3600.0


def _kill(ground: Ground) -> None:
    ground.kill(ground.names[_KILLED])


def _start(ground: Ground) -> None:
    ground.start(ground.names[_KILLED])


def _freeze(ground: Ground) -> None:
    ground.signal(ground.names[_STOPPED], signal.SIGSTOP)


def _go_on(ground: Ground) -> None:
    name = ground.names[_STOPPED]
    if ground.progress_since_struck(name) > 0:
        ground.note(f"{name} went on though it was stopped")
    ground.signal(name, signal.SIGCONT)


def _kill_all(ground: Ground) -> None:
    for name in ground.names:
        ground.kill(name)


def _start_all(ground: Ground) -> None:
    for name in ground.names:
        ground.start(name)


def faketime() -> Path | None:
    """The library that shows a process another time (Debian: libfaketime); None where there is none."""
    found = [file for place in _FAKETIME for file in Path("/").glob(f"{place[1:]}/libfaketimeMT.so.1")]
    return found[0] if found else None


def _set_clocks(ground: Ground) -> None:
    """Two nodes with other times than the rest: they have to take part as before."""
    for place in _CLOCKS:
        ground.kill(ground.names[place])
    ground.look()
    marks = ground.phases()
    for place, hours in _CLOCKS.items():
        # intervals are measured by another clock, which nobody sets
        said = {"LD_PRELOAD": str(faketime()), "FAKETIME": f"{hours:+d}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        ground.start(ground.names[place], said)
    if not ground.until(lambda: ground.goes_on(marks), TAKE_PART_S):
        ground.note(f"not all went on together within {TAKE_PART_S:g} s")


def _right_times(ground: Ground) -> None:
    for place, hours in _CLOCKS.items():
        name = ground.names[place]
        if abs(ground.clock_ahead_s(name) - hours * _HOUR_S) > _HOUR_S / 2:
            ground.note(f"{name}'s clock was not set")
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
        ground.note(f"{name} went on with a full disk")
    elif "cannot be written" not in ground.said(name):
        ground.note(f"{name} ended without saying that its disk is full")
    (ground.state(name) / "filler").unlink(missing_ok=True)
    ground.start(name)


def _no_small_disk(ground: Ground) -> str | None:
    return None if ground.has_small_disk(ground.names[_FULL]) else "no small file system can be mounted (needs root)"


KILL = Fault("kill", "kill -9, started again", 3.0, _kill, _start, hurt=(_KILLED,))
STOP = Fault("stop", "SIGSTOP, SIGCONT: a machine that slept", 8.0, _freeze, _go_on, hurt=(_STOPPED,))
CLOCK = Fault("clock", "clocks an hour ahead and an hour behind", 5.0, _set_clocks, _right_times, lacks=_no_faketime)
DISK = Fault("disk", "a full disk", 4.0, _fill, _empty, hurt=(_FULL,), lacks=_no_small_disk)
RESTART = Fault("restart", "all killed at once, started again", 1.0, _kill_all, _start_all, hurt=(0, 1, 2, 3))
