"""One simulation of a study, to its end: what a stopped one has recorded is no result."""

from pathlib import Path

from gossipfl.config.loading import LoadedAveraging, LoadedExperiment
from gossipfl.runs.result import RunResult
from gossipfl.sim.simulate import simulate


def simulate_to_the_end(loaded: LoadedExperiment | LoadedAveraging, output: Path, *, resume: bool = False) -> RunResult:
    """See `simulate`.

    Raises:
        KeyboardInterrupt: a signal has stopped it; it has left a checkpoint.
        UserError: whatever is wrong with it.
    """
    result = simulate(loaded, output, resume=resume)
    if not result.done:
        raise KeyboardInterrupt
    return result
