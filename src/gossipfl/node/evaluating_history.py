"""How good a node's current adapter is on what came when, and what of it is forgotten."""

from dataclasses import dataclass

from gossipfl.errors import DataError
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.forgetting import score_of
from gossipfl.node.evaluating import Wanted, desk_of, newest_state
from gossipfl.node.periods import read_journal
from gossipfl.node.standing import memory_in


@dataclass(frozen=True, slots=True)
class OfPeriod:
    """A node's newest checkpoint on the held-out data of one period.

    Attributes:
        period: from 0.
        step: optimizer steps the node had done when its data came.
        files: names.
        now: None where nothing of it is held out.
        best: of the evaluations in this node's metrics, accuracy, of causal-lm that of tokens; None before the first.
        forgetting: best − now, of a period that is not the newest, see `learning.forgetting`.
    """

    period: int
    step: int
    files: tuple[str, ...]
    now: Evaluation | None
    best: float | None
    forgetting: float | None


def evaluate_history(wanted: Wanted) -> list[OfPeriod]:
    """Of each period, oldest first.

    Raises:
        StateError: the node has no checkpoint yet.
        DataError: it watches no folder, or holds nothing out; or a file was asked for.
    """
    desk = desk_of(wanted)
    if wanted.data is not None:
        raise DataError("--history, --data: one of them was expected")
    if not (desk.experiment.data.watch and desk.experiment.data.held_out):
        raise DataError("--history: data.watch and data.held_out were expected: a part of each period that is held out")
    state, data, journal = newest_state(desk.folder), desk.data(), read_journal(desk.folder)
    now = [desk.evaluate(state, each) if each.rows else None for each in data.by_period or (data.held_out,)]
    memory = memory_in(desk.folder / "metrics.jsonl")
    scores = [None if found is None else score_of(found) for found in now]
    best = [*memory.best, *[None] * len(scores)]
    figures = zip(journal.periods, now, best, [*memory.forgotten(scores), None], strict=False)
    return [
        OfPeriod(number, came.step, tuple(file.name for file in came.files), found, top, forgotten)
        for number, (came, found, top, forgotten) in enumerate(figures)
    ]
