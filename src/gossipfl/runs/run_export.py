"""What a recorded run has left, for `export`: the mean over its nodes, one node's state, or a server's.

config.yaml, its first line naming the driver ──> experiment, Recorded
origin.json                                   ──> where its relative paths start
adapter.safetensors | states/NODE             ──> the state
metrics.jsonl, nodes.jsonl, result.json       ──> what the model card tells
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import parse_experiment
from gossipfl.config.ranks import at_rank, simulated_ranks
from gossipfl.config.yaml_text import read_text
from gossipfl.errors import StateError
from gossipfl.learning.card import Recorded, Spent, Story
from gossipfl.learning.export import Origin
from gossipfl.privacy.plan import LARGEST_DELTA
from gossipfl.privacy.spent import MECHANISMS
from gossipfl.runs import run_config as drivers
from gossipfl.runs.adapter_file import NAME, state_folders

_SIMULATED = ("simulation", "decentralized")


@dataclass(frozen=True, slots=True)
class Left:
    """What a run has left of one state.

    Attributes:
        place: folder of the state, as `read_adapter` takes it.
        story: for the model card.
    """

    origin: Origin
    place: Path
    story: Story


def left_by(run: Path, name: str | None) -> Left:
    """What is to be exported of a run.

    Args:
        run: the folder that `gossipfl simulate`, `fedavg` or `compare` wrote for it.
        name: of a node; None: the mean over the nodes, or what the server has.

    Raises:
        StateError: it is no run's folder, the run is not done or trained nothing, or that node's state was not kept.
        ConfigError: its configuration is damaged.
    """
    if not (run / "config.yaml").is_file() or not (run / "versions.json").is_file():
        raise StateError(f"--run {run} is no folder of a recorded run: no config.yaml and versions.json in it")
    if not (run / NAME).is_file():
        raise StateError(
            f"--run {run} holds no {NAME}: the run trained nothing, or is not done yet (--resume goes on with it)"
        )
    text = read_text(run / "config.yaml")
    driver = text.partition("\n")[0].removeprefix("#").strip()
    experiment = parse_experiment(text, source=str(run / "config.yaml"))
    place = run if name is None else _state_of(run, name, driver, experiment)
    ranks = simulated_ranks(experiment)
    here = at_rank(experiment, max(ranks.values()) if name is None else ranks[name])
    recorded = _recorded(driver, experiment, name)
    home, known = _origin(run)
    return Left(Origin(here, home, known), place, _story(run, experiment, recorded, name))


def _state_of(run: Path, name: str, driver: str, experiment: Experiment) -> Path:
    names = experiment.simulation.names
    if name not in names:
        raise StateError(f"--name: {name!r} is no node of {run}; they are {names[0]} to {names[-1]}")
    if driver != drivers.SIMULATE:
        raise StateError(f"--name: all nodes of {run} end with one state; leave --name away to export it")
    found = state_folders(run)
    if name not in found:
        raise StateError(
            f"--name: {run} has kept the mean over its nodes alone: leave --name away to export that, or run it again "
            "with --set simulation.keep_states=true"
        )
    return found[name]


def _origin(run: Path) -> tuple[Path, Mapping[str, str]]:
    """Where relative paths start, and what lay there; of a run of an older version where we are, and nothing known."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((run / "origin.json").read_text(encoding="utf-8"))
        return Path(found["folder"]), dict(found["components"])
    return Path.cwd(), {}


def _recorded(driver: str, experiment: Experiment, name: str | None) -> Recorded:
    """What the card says of who drove the run."""
    here = "all in one process, which had everybody's data"
    if driver == drivers.SIMULATE:
        whose = f"Node {name}'s state" if name is not None else "The mean over the nodes"
        return Recorded("fine-tuned in a simulation", f"{whose} at the end of a simulated run, {here}.", _SIMULATED)
    if driver == drivers.POOLED:
        whose = "What one learner came to on the data of all nodes, pooled."
        return Recorded("fine-tuned on pooled data", whose, (), ("nodes' data", "pooled"))
    mixing = ("mixing", f"Flower's {experiment.flower.strategy} at a server")
    if driver == drivers.SERVER:
        whose = "What Flower's server had at the end: every client trained on data that never left it."
        return Recorded("fine-tuned with a server", whose, ("federated-learning",), mixing)
    return Recorded(
        "fine-tuned in a trial with a server",
        f"What Flower's server had at the end of a trial on one machine ({driver}).",
        ("simulation", "federated-learning"),
        mixing,
        trusting=experiment.flower.central_noise is not None,
    )


def _story(run: Path, experiment: Experiment, recorded: Recorded, name: str | None) -> Story:
    metrics, nodes = (_last(run / file) for file in ("metrics.jsonl", "nodes.jsonl"))
    tested = metrics.get("test_loss") is not None
    if name is None:
        step, sent = None, None
        loss, accuracy = metrics.get("mean_model_loss"), metrics.get("mean_model_accuracy")
    else:
        at = experiment.simulation.names.index(name)
        step, sent, loss, accuracy = (nodes[key][at] for key in ("step", "bytes", "test_loss", "test_accuracy"))
    return Story(
        nodes=len(experiment.simulation.names),
        step=step,
        bytes_sent=sent,
        test_loss=loss if tested else None,
        test_accuracy=accuracy if tested else None,
        spent=_spent(run, experiment),
        recorded=recorded,
    )


def _spent(run: Path, experiment: Experiment) -> Spent | None:
    """The most that a node's data paid; None without noise, or where only the nodes know."""
    result = json.loads(read_text(run / "result.json")) if (run / "result.json").is_file() else {}
    found, privacy = result.get("epsilon"), experiment.privacy
    if found is None:
        return None
    central = experiment.flower.central_noise is not None and result.get("noise") == "central"
    mechanism = "Gaussian by the server on the mean" if central else MECHANISMS.get(privacy.level, privacy.level)
    return Spent(float(found), privacy.target_delta or LARGEST_DELTA, mechanism, public=privacy.public_data)


def _last(path: Path) -> Mapping[str, Any]:
    """The last line of a file of lines.

    Raises:
        StateError: there is none, or it is no JSON.
    """
    try:
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    except (OSError, ValueError, IndexError) as error:
        raise StateError(f"{path} is damaged: its last line cannot be read") from error
    return found
