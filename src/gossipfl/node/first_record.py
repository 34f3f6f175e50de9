"""A node's record as a life begins: what it plans, and what its state directory tells of earlier lives."""

from gossipfl.learning.bench import Bench
from gossipfl.node.history import history_in
from gossipfl.node.intake import Folder
from gossipfl.node.record import NodeRecord
from gossipfl.node.standing import DataStanding, memory_in
from gossipfl.node.state_directory import StateDirectory


def first_record(name: str, bench: Bench, directory: StateDirectory, folder: Folder | None) -> NodeRecord:
    """Before anything has happened.

    Args:
        folder: that the node watches; None: none.
    """
    plan = bench.plan
    return NodeRecord(
        name,
        bench.adapted.experiment.training.total_steps,
        target_epsilon=plan.target_epsilon if plan else None,
        noise_multiplier=plan.noise_ahead if plan else None,
        receipt=bench.account.receipt(),
        history=history_in(directory.metrics),
        data=None if folder is None else DataStanding(memory_in(directory.metrics), folder.journal),
    )
