"""What a process of its own makes of experiments: a line for each, its fingerprint and the sketch of its basis.

python -m tests.learning.told_fingerprints EXPERIMENT.json …
"""

import sys
from pathlib import Path

from gossipfl.config.experiment import Experiment
from gossipfl.learning.adapters import attach
from gossipfl.learning.models import load_base


def main(paths: list[str]) -> None:
    """Prints them."""
    for path in paths:
        experiment = Experiment.model_validate_json(Path(path).read_text())
        base = load_base(experiment.model, experiment.task, folder=Path(), seed=experiment.seed)
        adapted = attach(base, experiment)
        sys.stdout.write(f"{sorted(adapted.components().items())} {adapted.basis_sketch}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
