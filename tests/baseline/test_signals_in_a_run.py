"""A signal that ends a run of the baseline leaves no temporary files, in whatever mode: here in process."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.baseline.flower_runs import centralized, small
from tests.sim.training import load

COMMAND = """
import signal, sys
from pathlib import Path
# whoever runs the tests may ignore them: in the background, under nohup
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
from gossipfl.baseline.fedavg import fedavg
from gossipfl.config.loading import load_experiment
folder = Path(sys.argv[1])
try:
    fedavg(load_experiment(folder / "experiment.yaml"), folder / "run", show=lambda now: print(now.rounds, flush=True))
except KeyboardInterrupt:
    # as the command line does: what Python itself ends with depends on what libraries still run
    sys.exit(128 + signal.SIGINT)
"""
WAIT_S = 120.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.slow
def test_a_signal_leaves_no_temporary_files(tmp_path: Path, number: signal.Signals) -> None:
    (temporary := tmp_path / "tmp").mkdir()
    load(tmp_path, small(training__phases=100_000))
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert list(temporary.glob("gossipfl-flower-*"))
        process.send_signal(number)
        try:
            process.communicate(timeout=WAIT_S)
        finally:
            process.kill()
        code = process.returncode
    assert code == 128 + number
    assert not list(temporary.iterdir())


def test_where_no_signal_comes_none_is_taken_over(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as other:
        result = other.submit(centralized, tmp_path, small(training__phases=1)).result()
    assert result.rounds == 1
