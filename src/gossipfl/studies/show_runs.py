"""How a study shows where its comparison is."""

import sys
from collections.abc import Callable

from gossipfl.studies.compare_jobs import Advance


def show_runs(name: str) -> Callable[[Advance], None]:
    """A line on stderr whenever a run has ended."""
    last = [-1]

    def show(advance: Advance) -> None:
        ended = advance.done + advance.faulty
        if ended != last[0]:
            last[0] = ended
            faulty = f", {advance.faulty} without a result" if advance.faulty else ""
            left = "" if advance.left_s is None else f", {advance.left_s:.0f} s left"
            sys.stderr.write(f"{name}: {advance.done} of {advance.runs} runs{faulty}, {advance.seconds:.0f} s{left}\n")

    return show
