"""Before the first training in earnest: every client says which of the nodes it is.

What it is asked with is what it is trained with: one that cannot work, or is of another experiment, says so now, when
no data has been charged yet.
"""

from collections.abc import Iterable

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from gossipfl.baseline.records import CONFIG, metrics_of, number
from gossipfl.errors import TrainingError


def call_roll(grid: Grid, terms: ConfigRecord, nodes: int, timeout_s: float) -> None:
    """Returns if every node has one client, and all of them can work.

    Args:
        terms: see `terms_of`.
        nodes: how many there are.
        timeout_s: time for all answers.

    Raises:
        TrainingError: one cannot work, has not answered, or has a number that is another's or no node's; one line.
    """
    asked = list(grid.get_node_ids())
    questions = [Message(RecordDict({CONFIG: terms}), node, MessageType.QUERY) for node in asked]
    answers = list(grid.send_and_receive(questions, timeout=timeout_s))
    for answer in answers:
        if answer.has_error():
            reason = answer.error.reason or f"error {answer.error.code}"
            raise TrainingError(f"client {answer.metadata.src_node_id} cannot work: {reason}")
    if len(answers) < len(asked):
        raise TrainingError(f"{len(answers)} of {len(asked)} clients answered within {timeout_s:.0f} s")
    check_numbers((number(metrics_of(answer), "partition") for answer in answers), nodes)


def check_numbers(numbers: Iterable[float], nodes: int) -> None:
    """Returns if these are numbers of different nodes.

    Raises:
        TrainingError: one is no node's, or two are equal.
    """
    seen: set[float] = set()
    for one in numbers:
        if one not in range(nodes):
            raise TrainingError(f"a client's partition-id is {one:g}, 0 to {nodes - 1} was expected")
        if one in seen:
            raise TrainingError(f"two clients have the partition-id {one:g}, each must have its own")
        seen.add(one)
