"""Which optimizer steps a phase does: so many, or as many as fit into a time, one at least.

    no privacy       by the clock: another step while the time is not over
    with privacy     (seconds − r) / r steps, r being the seconds of a rehearsal: a step on made-up records

How long a step takes depends on which records were drawn for it and on how long they are, and how many steps a node has
done is public: a count by the clock would tell of private data what no account has in it. A rehearsal depends on what
is public only, the expected batch and the longest record there may be, and on how busy the machine is.
"""

import time
from collections.abc import Callable, Iterator

Clock = Callable[[], float]
Rehearse = Callable[[], None]


def steps_in(seconds: float, step_s: float, *, most: int) -> int:
    """Steps of `step_s` that fit into a time: one at least, `most` at most."""
    return int(min(max(seconds / step_s, 1), most)) if step_s > 0 else most


def timed_steps(
    steps: range, seconds: float | None, rehearse: Rehearse | None = None, *, clock: Clock = time.monotonic
) -> Iterator[int]:
    """The steps that a phase does, by their index in the run.

    Args:
        steps: all that it may do.
        seconds: that it may take; None: it does all.
        rehearse: does what a step does, and changes nothing; None where the number of steps may depend on the data.

    Guarantees:
        One step at least, where `steps` has one. With a rehearsal their number is known before the first of them.
    """
    if seconds is None:
        yield from steps
        return
    began = clock()
    if rehearse is not None:
        rehearse()
        step_s = clock() - began
        yield from steps[: steps_in(seconds - step_s, step_s, most=len(steps))]
        return
    for step in steps:
        if step != steps.start and clock() - began >= seconds:
            return
        yield step
