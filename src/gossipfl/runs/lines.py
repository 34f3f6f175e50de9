"""What an evaluation leaves in a run's folder: a line of metrics.jsonl over all nodes, one of nodes.jsonl by node.

own_*   each node's state on its own held-out part        test_*         each node's state on the common test set
worst   of the nodes, on the test set or without one      mean_model_*   the mean of all states, on the test set
trigger_success   with a backdoor, see `Judgment`         own_*, test_*  also what else the task measures, by its name

Where nodes attack, the line over all nodes is of the others; what was sent, and when, is of all.

averaging_error   of adapters with two factors, see `core.factors`; others have none, and no such key
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gossipfl.core.factors import averaging_error, pairs_of
from gossipfl.learning.evaluation import Evaluation
from gossipfl.runs.judging import Judgment
from gossipfl.runs.spread import Spread
from gossipfl.state import AdapterState

_PARTS, _ALWAYS = ("own", "test"), ("loss", "accuracy")
_TRIGGER = "trigger_success"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the nodes of a run are; sequences are in the nodes' order.

    Attributes:
        nodes: their names.
        virtual_s: seconds of virtual time.
        rounds, steps: exchange rounds and optimizer steps done.
        sent: bytes, encoded.
        epsilons: ε, infinite without privacy.
        up: it is there.
        finished: it has done all it was to do.
    """

    nodes: Sequence[str]
    virtual_s: float
    rounds: Sequence[int]
    steps: Sequence[int]
    sent: Sequence[int]
    epsilons: Sequence[float]
    up: Sequence[bool]
    finished: Sequence[bool]


def node_columns(standing: Standing, spread: Spread, judgments: Mapping[str, Judgment]) -> dict[str, Any]:
    """The line of nodes.jsonl; without judgments there is no training, and so neither ε nor how good a node is."""
    columns: dict[str, Any] = {
        "virtual_s": standing.virtual_s,
        "round": standing.rounds,
        "step": standing.steps,
        "bytes": standing.sent,
        "distance": spread.distances,
        "up": standing.up,
        "finished": standing.finished,
    }
    if judgments:
        columns["epsilon"] = [epsilon if math.isfinite(epsilon) else None for epsilon in standing.epsilons]
        for part in _PARTS:
            for figure in _ALWAYS:
                found = [_figure(judgments.get(name), part, figure) for name in standing.nodes]
                columns[f"{part}_{figure}"] = found
        columns |= _sometimes(standing.nodes, judgments)
    return columns


def summary_line(columns: Mapping[str, Any], spread: Spread) -> dict[str, Any]:
    """What metrics.jsonl says of any run."""
    return {
        "virtual_s": columns["virtual_s"],
        "round": float(np.mean(columns["round"])),
        "step": float(np.mean(columns["step"])),
        "bytes_per_node": float(np.mean(columns["bytes"])),
        "consensus_distance": spread.consensus_distance,
    }


def judged_line(
    columns: Mapping[str, Any], mean: Evaluation | None, honest: Sequence[bool] | None = None
) -> dict[str, Any]:
    """What it says beside that of a run with training.

    Args:
        honest: of each node; None: all are.
    """
    line: dict[str, Any] = {}
    for key in _judged_keys(columns):
        known = _known(columns[key], honest)
        line[key] = float(np.mean(known)) if known else None
    judged = "test" if line["test_loss"] is not None else "own"
    accuracies, losses = (_known(columns[f"{judged}_{figure}"], honest) for figure in ("accuracy", "loss"))
    line["worst"] = min(accuracies) if accuracies else max(losses, default=None)
    line["mean_model_loss"] = mean and mean.loss
    line["mean_model_accuracy"] = mean and mean.accuracy
    line["epsilon"] = max(_known(columns["epsilon"]), default=None)
    return line


def error_line(states: Sequence[AdapterState], weights: Sequence[float] | None = None) -> dict[str, float | None]:
    """`averaging_error` of what the nodes have to average; nothing where averages are exact."""
    error = averaging_error(states, weights) if pairs_of(states[0].spec) else None
    return {} if error is None else {"averaging_error": error}


def _judged_keys(columns: Mapping[str, Any]) -> list[str]:
    """Those keys of a line that say how good states are: four in every line, and the measures that it has."""
    always = [f"{part}_{figure}" for part in _PARTS for figure in _ALWAYS]
    parts = tuple(f"{part}_" for part in _PARTS)
    others = [key for key in columns if key.startswith(parts) and key not in always]
    return [*always, *others, *(key for key in (_TRIGGER,) if key in columns)]


def _sometimes(nodes: Sequence[str], judgments: Mapping[str, Judgment]) -> dict[str, list[float | None]]:
    """What is known of any node, and not of every run."""
    columns = {f"{part}_{name}": column for part in _PARTS for name, column in _measures(nodes, judgments, part)}
    tried = {name: judged.trigger_success for name, judged in judgments.items()}
    columns[_TRIGGER] = [tried.get(name) for name in nodes]
    return {key: column for key, column in columns.items() if any(figure is not None for figure in column)}


def _measures(
    nodes: Sequence[str], judgments: Mapping[str, Judgment], part: str
) -> Iterator[tuple[str, list[float | None]]]:
    """Each measure that any node has, and what it is at all nodes."""
    found = [_evaluation(judgments.get(name), part) for name in nodes]
    measures = [{} if evaluation is None else evaluation.measures for evaluation in found]
    for name in dict.fromkeys(name for known in measures for name in known):
        yield name, [known.get(name) for known in measures]


def _known(values: Sequence[float | None], honest: Sequence[bool] | None = None) -> list[float]:
    counted = [True] * len(values) if honest is None else honest
    return [value for value, counts in zip(values, counted, strict=True) if counts and value is not None]


def _figure(judgment: Judgment | None, part: str, figure: str) -> float | None:
    evaluation = _evaluation(judgment, part)
    return None if evaluation is None else getattr(evaluation, figure)


def _evaluation(judgment: Judgment | None, part: str) -> Evaluation | None:
    found: Evaluation | None = getattr(judgment, part, None)
    return found
