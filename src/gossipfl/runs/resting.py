"""When a node may begin its next phase, where its machine does not train all the time.

phase of d seconds ──> rests d · (1/share − 1) ──> waits for one of its hours ──> phase
"""

from gossipfl.config.machine import MachineConfig

DAY_S = 86400.0


def rest_s(machine: MachineConfig, *, took_s: float, at_s: float) -> float:
    """Seconds to wait before the next phase.

    Args:
        took_s: what the last phase took; 0 before the first.
        at_s: time of day, in seconds since midnight, when it was over.
    """
    pause = took_s * (1 / machine.train_share - 1)
    return pause + _until_open(machine.train_hours, (at_s + pause) % DAY_S)


def _until_open(hours: tuple[str, ...], at_s: float) -> float:
    """Seconds until the next of these hours; 0 within one, or without any."""
    if not hours:
        return 0.0
    ends = [each.partition("-") for each in hours]
    return min(_until(_seconds(begin), _seconds(end), at_s) for begin, _, end in ends)


def _until(begin: float, end: float, at_s: float) -> float:
    """Seconds until a time of day between two others, over midnight too."""
    since = (at_s - begin) % DAY_S
    return 0.0 if since < (end - begin) % DAY_S else DAY_S - since


def _seconds(time: str) -> float:
    hours, _, minutes = time.partition(":")
    return 3600.0 * int(hours) + 60.0 * int(minutes)
