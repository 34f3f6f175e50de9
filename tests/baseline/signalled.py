"""python -m tests.baseline.signalled FOLDER: a run of the baseline that never ends, and says how far it is."""

import signal
import sys
import tempfile
from pathlib import Path

from gossipfl.baseline.fedavg import fedavg
from gossipfl.config.loading import load_experiment


def main(folder: Path) -> None:
    """Runs the experiment in the folder."""
    # whoever runs the tests may ignore them: in the background, under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # whoever this was forked from may have looked for another
    tempfile.tempdir = None
    loaded = load_experiment(folder / "experiment.yaml")
    try:
        fedavg(loaded, folder / "run", show=lambda now: print(now.rounds, flush=True))  # noqa: T201
    except KeyboardInterrupt:
        # as the command line does: what Python itself ends with depends on what libraries still run
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
