"""A signal that ends a run of the baseline leaves no temporary files, in whatever mode: here in process."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.baseline.flower_runs import centralized, small
from tests.forked import forked
from tests.node.study import wait_until
from tests.sim.training import load

from gossipfl.studies.fleet import Fleet, Job

WAIT_S = 120.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.slow
def test_a_signal_leaves_no_temporary_files(tmp_path: Path, number: signal.Signals) -> None:
    (temporary := tmp_path / "tmp").mkdir()
    load(tmp_path, small(training__phases=100_000))
    job = Job("run", ["-m", "tests.baseline.signalled", str(tmp_path)], tmp_path / "run.log")
    with Fleet([], launch=forked) as fleet:
        fleet.start(job, {"TMPDIR": str(temporary)})
        said = job.log.with_suffix(".out")
        wait_until(said.read_text, fleet, what="the run is under way")
        assert list(temporary.glob("gossipfl-flower-*"))
        fleet.processes["run"].send_signal(number)
        assert fleet.processes["run"].wait(WAIT_S) == 128 + number
    assert not list(temporary.iterdir())


def test_where_no_signal_comes_none_is_taken_over(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as other:
        result = other.submit(centralized, tmp_path, small(training__phases=1)).result()
    assert result.rounds == 1
