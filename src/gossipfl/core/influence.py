"""Each node's influence: which part of the training inside the final mean was its own.

    c_i ← w_ii c_i + Σ_j w_ij c_j + a · steps · e_i        credits of node i at each of its mixings

c_i (n,) counts, by node, the optimizer steps that have entered state i, each as much as mixing has left of it; a is
what the mixing left of the steps since the one before. Without any training, c_i starts as e_i: the weights of the
initial states.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.events import Report
from gossipfl.core.messages import Header

Credits = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Entry:
    """Credits of a node's state after a round."""

    round: int
    step: int
    credits: Credits


def influence(reports: Sequence[tuple[str, Report]], nodes: Sequence[str]) -> Credits:
    """Each node's part (n,) in the mean of the final states; sums to 1.

    Uniform when every node has trained equally and mixing kept the mean.

    Args:
        reports: (node, report) of all nodes in the order they occurred; a node that came back from a checkpoint
            repeats rounds, and its later reports count.
        nodes: every node, in the order of the result.
    """
    trained = any(report.step for _, report in reports)
    start = np.zeros((len(nodes), len(nodes))) if trained else np.eye(len(nodes))
    histories = {name: [_Entry(0, 0, start[place])] for place, name in enumerate(nodes)}
    own = dict(zip(nodes, np.eye(len(nodes)), strict=True))
    for name, report in reports:
        histories[name].append(_after(name, report, histories, own))
    total = np.sum([history[-1].credits for history in histories.values()], axis=0)
    return np.asarray(total / total.sum(), np.float64)


def _after(name: str, report: Report, histories: Mapping[str, list[_Entry]], own: Mapping[str, Credits]) -> _Entry:
    history = histories[name]
    while len(history) > 1 and history[-1].round >= report.round:
        history.pop()
    before = history[-1]
    after = report.weights[name] * before.credits
    after = after + report.increment_weight * (report.step - before.step) * own[name]
    for source, header in report.sources.items():
        after = after + report.weights[source] * _contributed(histories[source], header, own[source])
    return _Entry(report.round, report.step, after)


def _contributed(history: Sequence[_Entry], header: Header, own: Credits) -> Credits:
    """Credits of the state a neighbor published: those after its last round, and what it had trained since."""
    entry = next((entry for entry in reversed(history) if entry.round <= header.round), history[0])
    return entry.credits + max(0, header.step - entry.step) * own
