"""One run of a comparison, in a process of its own.

python -m gossipfl.studies.compare_run ORDER.json      prints what came of it as one JSON object, the last line

A gossip run that was stopped goes on from its checkpoint, others begin anew; of one that is done nothing is run.
"""

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gossipfl.baseline.fedavg import fedavg
from gossipfl.config.compare import Driver
from gossipfl.config.loading import LoadedExperiment, parse_experiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import DivergedError, GossipflError
from gossipfl.runs.result import RunResult
from gossipfl.sim.simulate import simulate
from gossipfl.studies.compare_jobs import Ended
from gossipfl.studies.compare_plan import Order
from gossipfl.studies.pooled import train_pooled

LOOK_S = 1.0
"""Between two looks whether whoever started this process is still there."""


def _gossip(order: Order) -> RunResult:
    return simulate(order.loaded, order.output, resume=True)


def _fedavg(order: Order) -> RunResult:
    return fedavg(order.loaded, order.output, mode=order.mode, resume=True)


def _pooled(order: Order) -> RunResult:
    return train_pooled(order.loaded, order.output, resume=True)


DRIVERS: Mapping[Driver, Callable[[Order], RunResult]] = {
    "gossip": _gossip,
    # the same simulator: the arm's protocol is `alone`
    "alone": _gossip,
    "fedavg": _fedavg,
    "pooled": _pooled,
}
"""By the name in `compare.arms.NAME.driver`."""


def run_order(order: Order) -> Ended:
    """Does one run; what is wrong with it is its end, not an error. A bug of ours is one."""
    order.output.parent.mkdir(parents=True, exist_ok=True)
    try:
        result = DRIVERS[order.driver](order)
    except DivergedError as error:
        return Ended("diverged", " ".join(str(error).split()))
    except GossipflError as error:
        return Ended("failed", " ".join(str(error).split()))
    return Ended("done" if result.done else "stopped")


def run_text(text: str) -> Ended:
    """Does the run that `Order.as_json` wrote down."""
    return run_order(order_of(text))


def order_of(text: str) -> Order:
    """What `Order.as_json` wrote."""
    values: dict[str, Any] = json.loads(text)
    path = Path(values["path"])
    experiment = parse_experiment(values["experiment"], source=str(path))
    loaded = LoadedExperiment(experiment, path.parent, Path(values["topology_folder"]), values["experiment"], path)
    place = Path(values["output"])
    return Order(values["arm"], values["seed"], values["driver"], values["mode"], loaded, place)


def main(path: Path) -> None:
    """Runs the order in this file."""
    watch_parent()
    sys.stdout.write(json_text(run_text(path.read_text())) + "\n")


def watch_parent() -> None:
    """Ends this process when whoever started it is gone."""
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    """Whoever started this process may be killed without a word to it: then it ends as if it had been asked to."""
    starter = multiprocessing.parent_process()
    if starter is not None:
        # forked from a process between, which lives as long as this one
        starter.join()
    else:
        ended = threading.Event()
        while os.getppid() == parent:
            ended.wait(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
