"""One run of an audit of memorization, and its attack, in a process of its own.

python -m gossipfl.studies.memorization_run ORDER.json      as `compare_run`; the attack lies in the run's folder
"""

import sys
from pathlib import Path

from gossipfl.core.json_text import json_text
from gossipfl.errors import GossipflError
from gossipfl.studies.compare_jobs import Ended
from gossipfl.studies.compare_run import order_of, run_order, watch_parent
from gossipfl.studies.memorization_attack import attack_run


def main(path: Path) -> None:
    """Does the order in this file."""
    watch_parent()
    order = order_of(path.read_text())
    ended = run_order(order)
    if ended.status == "done":
        try:
            attack_run(order.loaded, order.output)
        except GossipflError as error:
            ended = Ended("failed", " ".join(str(error).split()))
    sys.stdout.write(json_text(ended) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
